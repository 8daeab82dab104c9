#define _GNU_SOURCE /* struct ucred, O_PATH */
#include "service/unix.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"

#define BACKLOG 128

bool unix_path(const char *path, char out[UNIX_PATH_SIZE], int *dir_fd)
{
	char *dir = xstrdup(path), *name = xstrdup(path);
	int len = snprintf(out, UNIX_PATH_SIZE, "%s", path);

	*dir_fd = -1;
	if (len >= UNIX_PATH_SIZE) {
		*dir_fd = open(dirname(dir), O_PATH | O_DIRECTORY | O_CLOEXEC);
		len = snprintf(out, UNIX_PATH_SIZE, "/proc/self/fd/%d/%s", *dir_fd, basename(name));
	}
	free(dir);
	free(name);
	return len < UNIX_PATH_SIZE;
}

static int unix_socket(const char *address, struct sockaddr_un *out)
{
	*out = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(out->sun_path, sizeof(out->sun_path), "%s", address);
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* Only a refusal says that the process which made it is gone. */
static bool is_served(const char *address)
{
	struct sockaddr_un to;
	int fd = unix_socket(address, &to);
	bool served = fd >= 0 && (connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0 ||
				     (errno != ECONNREFUSED && errno != ENOENT));

	if (fd >= 0)
		close(fd);
	return served;
}

static enum err remove_stale(const char *path, const char *address, struct error *error)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return ERR_OK;
	if (!S_ISSOCK(st.st_mode))
		return error_set(error, ERR_EXISTS, "%s is there and is no socket", path);
	if (is_served(address))
		return error_set(error, ERR_EXISTS,
		    "someone listens at socket %s already: give each vault a socket of its own in "
		    "settings { socket = }",
		    path);
	if (unlink(path) == 0 || errno == ENOENT)
		return ERR_OK;
	return error_set(error, ERR_IO, "socket %s cannot be replaced: %s", path, strerror(errno));
}

static int listen_at(const char *path)
{
	struct sockaddr_un address;
	int fd = unix_socket(path, &address);
	mode_t before;
	int rc;

	if (fd < 0)
		return -1;
	before = umask(0177);
	rc = bind(fd, (const struct sockaddr *)&address, sizeof(address));
	umask(before);
	if (rc == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	rc = errno;
	close(fd);
	errno = rc;
	return -1;
}

enum err unix_listen(const char *path, int *fd, struct error *error)
{
	char address[UNIX_PATH_SIZE];
	int dir_fd = -1;
	bool fits = unix_path(path, address, &dir_fd);
	enum err err = fits ? remove_stale(path, address, error) : ERR_OK;

	errno = ENAMETOOLONG;
	*fd = err == ERR_OK && fits ? listen_at(address) : -1;
	if (err == ERR_OK && *fd < 0)
		err =
		    error_set(error, ERR_IO, "socket %s cannot be made: %s", path, strerror(errno));
	if (dir_fd >= 0)
		close(dir_fd);
	return err;
}

bool unix_peer(int fd, uid_t *uid, pid_t *pid)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
		return false;
	*uid = peer.uid;
	*pid = peer.pid;
	return true;
}
