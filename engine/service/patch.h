/* What changes in a file, as a patch that `git apply` and `patch -p1` take. */
#ifndef SERVICE_PATCH_H
#define SERVICE_PATCH_H

/* From one text of the file to the other, in one piece; to be freed. */
char *patch_of(const char *file, const char *was, const char *is);

#endif
