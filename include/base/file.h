/*
 * Files: reading whole ones within a cap, writing so that a crash leaves the old or the new, and
 * whether others may change what we are about to trust.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/* Appends the whole file to `buf` (within its cap). ERR_NOT_FOUND, ERR_DENIED, ERR_LIMIT, ERR_IO.
 */
enum err file_read(const char *path, struct buf *, struct error *error) MUST_CHECK;

/* Writes a new file durably: written beside, synced, renamed, the directory synced. ERR_EXISTS when
 * it is there already and `replace` is false. */
enum err file_write(const char *path, const void *bytes, size_t len, mode_t mode, int replace,
    struct error *error) MUST_CHECK;

/*
 * As file_write, for a file that others may have to read: with the group and the readers of `like`,
 * a file or a directory, and with its owner where that may be. Only its owner may write it.
 */
enum err file_write_like(const char *path, const char *like, const void *bytes, size_t len,
    int replace, struct error *error) MUST_CHECK;

/* Another name for the file, which is not taken yet; durably. ERR_EXISTS when it is. */
enum err file_rename(const char *from, const char *to, struct error *error) MUST_CHECK;

/* Takes the file away, durably. */
enum err file_remove(const char *path, struct error *error) MUST_CHECK;

/*
 * ERR_DENIED when the file or directory, opened without following a last symbolic link, is owned by
 * someone else than us or root, or may be written by group or others. The text says what to do
 * (chmod …).
 */
enum err file_trusted(const char *path, struct error *error) MUST_CHECK;

#endif
