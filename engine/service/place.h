/* Where things are, and who we are: the shipped files, and the user that the engine runs as. */
#ifndef SERVICE_PLACE_H
#define SERVICE_PLACE_H

#include "base/err.h"

/* The directory that holds policies/: the source tree's for a program that stands in its build
 * tree, else the installed one. To be freed. */
char *data_dir(void);
char *platforms_dir(void);
char *wordlists_dir(void);

/* Root becomes the owner of `dir`, for good; anyone else stays who they are. */
enum err drop_to_owner(const char *dir, struct error *error) MUST_CHECK;

#endif
