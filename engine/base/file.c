#define _GNU_SOURCE 1

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define READ_BYTES (16 * 1024)

static enum err err_of_errno(int number)
{
	switch (number) {
	case ENOENT:
	case ENOTDIR: return ERR_NOT_FOUND;
	case EACCES:
	case EPERM:
	case ELOOP: return ERR_DENIED;
	case EEXIST: return ERR_EXISTS;
	case ENOSPC:
	case EDQUOT: return ERR_FULL;
	default: return ERR_IO;
	}
}

static enum err error_of_errno(struct error *error, const char *what, const char *path)
{
	int number = errno;

	return error_set(
	    error, err_of_errno(number), "cannot %s %s: %s", what, path, strerror(number));
}

/* Reads to the end of the file, and one byte past the cap to know that there is more. */
static enum err read_all(int fd, const char *path, struct buf *buf, struct error *error)
{
	for (;;) {
		size_t left = buf->size_max - buf->len;
		size_t want = left < READ_BYTES ? left : READ_BYTES;
		char over;
		uint8_t *room = want == 0 ? (uint8_t *)&over : buf_reserve(buf, want);
		ssize_t n;

		if (room == NULL)
			return error_set(error, ERR_FULL, "no memory to read %s", path);
		n = read(fd, room, want == 0 ? 1 : want);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_of_errno(error, "read", path);
		if (n == 0)
			return ERR_OK;
		if (want == 0) {
			explicit_bzero(&over, sizeof(over));
			return error_set(
			    error, ERR_LIMIT, "%s is longer than %zu bytes", path, buf->size_max);
		}
		buf->len += (size_t)n;
	}
}

enum err file_read(const char *path, struct buf *buf, struct error *error)
{
	size_t before = buf->len;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	enum err err;

	if (fd < 0)
		return error_of_errno(error, "open", path);
	err = read_all(fd, path, buf, error);
	if (err != ERR_OK && buf->data != NULL) {
		explicit_bzero(buf->data + before, buf->len - before);
		buf->len = before;
	}
	close(fd);
	return err;
}

static bool write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

/* Makes the names in the file's directory durable. */
static bool sync_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *directory = slash == NULL	  ? xstrdup(".")
			  : slash == path ? xstrdup("/")
					  : xstrndup(path, (size_t)(slash - path));
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0) {
		int saved = errno;

		close(fd);
		errno = saved;
	}
	free(directory);
	return ok;
}

/* Gives what is written its name; leaves `beside` when it fails. */
static bool take_name(const char *beside, const char *path, bool replace)
{
	if (replace)
		return rename(beside, path) == 0;
	/* Unlike rename, link never takes a name that is in use. */
	return link(beside, path) == 0 && unlink(beside) == 0;
}

/* Whose a new file is; `like` NULL = ours. */
struct access {
	mode_t mode;
	const struct stat *like;
};

/* What another may not be given is left as it is: the owner is then us. */
static bool give_access(int fd, const struct access *access)
{
	if (access->like != NULL && fchown(fd, access->like->st_uid, access->like->st_gid) != 0 &&
	    fchown(fd, (uid_t)-1, access->like->st_gid) != 0 && errno != EPERM)
		return false;
	return fchmod(fd, access->mode) == 0;
}

static enum err write_with(const char *path, const void *bytes, size_t len,
    const struct access *access, int replace, struct error *error)
{
	char *beside = xasprintf("%s.XXXXXX", path);
	int fd = mkostemp(beside, O_CLOEXEC);
	enum err err = ERR_OK;

	if (fd < 0) {
		err = error_of_errno(error, "create a file beside", path);
		goto out;
	}
	if (!write_all(fd, bytes, len) || !give_access(fd, access) || fsync(fd) != 0 ||
	    !take_name(beside, path, replace != 0)) {
		err = error_of_errno(error, "write", path);
		unlink(beside);
		goto out;
	}
	if (!sync_directory(path))
		err = error_of_errno(error, "sync the directory of", path);
out:
	if (fd >= 0)
		close(fd);
	free(beside);
	return err;
}

enum err file_write(
    const char *path, const void *bytes, size_t len, mode_t mode, int replace, struct error *error)
{
	return write_with(path, bytes, len, &(struct access){.mode = mode}, replace, error);
}

enum err file_write_like(const char *path, const char *like, const void *bytes, size_t len,
    int replace, struct error *error)
{
	struct access access = {.mode = 0};
	struct stat st;

	if (lstat(like, &st) != 0)
		return error_of_errno(error, "look at", like);
	access.like = &st;
	access.mode = (st.st_mode & 0444) | 0600;
	return write_with(path, bytes, len, &access, replace, error);
}

enum err file_rename(const char *from, const char *to, struct error *error)
{
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) != 0)
		return error_of_errno(error, "give another name to", from);
	return sync_directory(to) ? ERR_OK : error_of_errno(error, "sync the directory of", to);
}

enum err file_remove(const char *path, struct error *error)
{
	if (unlink(path) != 0)
		return error_of_errno(error, "remove", path);
	return sync_directory(path) ? ERR_OK : error_of_errno(error, "sync the directory of", path);
}

static enum err check_stat(const char *path, const struct stat *st, struct error *error)
{
	if (S_ISLNK(st->st_mode))
		return error_set(error, ERR_DENIED,
		    "%s is a symbolic link: name the file that it points to", path);
	if (st->st_uid != geteuid() && st->st_uid != 0)
		return error_set(error, ERR_DENIED,
		    "%s belongs to user %lu, who could change it: chown it to root or to user %lu",
		    path, (unsigned long)st->st_uid, (unsigned long)geteuid());
	if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return error_set(error, ERR_DENIED,
		    "%s may be written by others (mode %04o): chmod go-w %s", path,
		    (unsigned)(st->st_mode & 07777), path);
	return ERR_OK;
}

enum err file_trusted(const char *path, struct error *error)
{
	struct stat st;
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	enum err err;

	if (fd < 0)
		return error_of_errno(error, "open", path);
	if (fstat(fd, &st) != 0)
		err = error_of_errno(error, "look at", path);
	else
		err = check_stat(path, &st, error);
	close(fd);
	return err;
}
