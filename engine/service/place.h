/* Where things are, and who we are: the shipped files, and the user that the engine runs as. */
#ifndef SERVICE_PLACE_H
#define SERVICE_PLACE_H

#include <stdbool.h>

#include "base/err.h"

/* The directory that holds policies/: the source tree's for a program that stands in its build
 * tree, else the installed one. To be freed. */
char *data_dir(void);
char *platforms_dir(void);
char *wordlists_dir(void);

/* What tells a vault from every other of this machine, by whatever path: its directory's file
 * system and number. False where there is none. */
#define VAULT_MARK_SIZE 48
bool vault_mark(const char *dir, char out[VAULT_MARK_SIZE]);

/* Root becomes the owner of `dir`, for good; anyone else stays who they are. */
enum err drop_to_owner(const char *dir, struct error *error) MUST_CHECK;

#endif
