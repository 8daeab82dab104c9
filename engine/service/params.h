/*
 * Which parameters a method takes, as the table of methods lists them: "assets* version yes?" are
 * an array, a text and a flag.
 *
 * What a method does not know is refused: a filter with a wrong name would mean all there is.
 */
#ifndef SERVICE_PARAMS_H
#define SERVICE_PARAMS_H

#include <stdbool.h>

#include <jansson.h>

struct request;

/* Programs have whole numbers where commands have words. */
void params_to_text(json_t *params);

bool params_have(const char *list, const char *name);
/* False, and the request fails, where one is not of the list or not of its type. */
bool params_fit(struct request *, const char *list);
/* For `methods`: an object of names and types. A new reference. */
json_t *params_shape(const char *list);

#endif
