#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/text.h"
#include "vault/lock.h"
#include "vault/place.h"

#define HOLDER_SIZE  512
#define LOCK_WAIT_MS 3000
#define LOCK_STEP_MS 10

/* Whoever has the lock, as its file tells: "PID SINCE_MS PURPOSE\n". */
struct holder {
	long pid;
	uint64_t since_ms;
	char purpose[HOLDER_SIZE];
};

static bool holder_read(int fd, struct holder *holder)
{
	char text[HOLDER_SIZE];
	ssize_t len = pread(fd, text, sizeof(text) - 1, 0);
	char *at, *end;

	if (len <= 0)
		return false;
	text[len] = '\0';
	text[strcspn(text, "\n")] = '\0';
	holder->pid = strtol(text, &at, 10);
	if (at == text || *at != ' ' || holder->pid <= 0)
		return false;
	holder->since_ms = strtoull(at + 1, &end, 10);
	if (end == at + 1 || *end != ' ')
		return false;
	text_escape(holder->purpose, sizeof(holder->purpose), end + 1, strlen(end + 1));
	return true;
}

/* Failure is no matter: the lock holds without its text, on a full disk too. */
static void holder_write(int fd, const char *purpose, uint64_t now_ms)
{
	char text[HOLDER_SIZE];
	int len =
	    snprintf(text, sizeof(text), "%ld %" PRIu64 " %s\n", (long)getpid(), now_ms, purpose);

	if (len >= (int)sizeof(text))
		len = (int)sizeof(text) - 1;
	if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)len, 0) != len)
		(void)!ftruncate(fd, 0);
}

static bool holder_has_ended(const struct holder *holder)
{
	return kill((pid_t)holder->pid, 0) != 0 && errno == ESRCH;
}

/*
 * Takes the lock. Where the engine that had it was killed, its wires, which die with it, have it
 * for a moment longer.
 */
static bool lock_try(int fd)
{
	struct holder holder;

	for (int waited_ms = 0;; waited_ms += LOCK_STEP_MS) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return true;
		if (errno != EWOULDBLOCK || waited_ms >= LOCK_WAIT_MS)
			return false;
		if (!holder_read(fd, &holder) || !holder_has_ended(&holder)) {
			errno = EWOULDBLOCK;
			return false;
		}
		(void)poll(NULL, 0, LOCK_STEP_MS);
		errno = EWOULDBLOCK;
	}
}

static enum err busy(const char *dir, int fd, struct error *error)
{
	struct holder holder;
	char since[32];

	if (!holder_read(fd, &holder))
		return error_set(error, ERR_BUSY,
		    "vault %s is in use by another lockstep: wait until it ends, or stop it", dir);
	text_rfc3339(since, holder.since_ms);
	if (holder_has_ended(&holder))
		return error_set(error, ERR_BUSY,
		    "vault %s: \"%s\" (process %ld, since %s) has ended and processes that it "
		    "started are still ending: try again in a moment",
		    dir, holder.purpose, holder.pid, since);
	return error_set(error, ERR_BUSY,
	    "vault %s is in use by \"%s\" (process %ld, since %s): wait until it ends, or stop it",
	    dir, holder.purpose, holder.pid, since);
}

enum err lock_take(
    const char *dir, int dir_fd, const char *purpose, uint64_t now_ms, int *fd, struct error *error)
{
	enum err err;

	*fd = openat(dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*fd < 0)
		return error_set(error, place_err(errno),
		    "vault %s: its file `lock` cannot be opened for writing: %s", dir,
		    strerror(errno));
	if (lock_try(*fd)) {
		holder_write(*fd, purpose, now_ms);
		return ERR_OK;
	}
	if (errno == EWOULDBLOCK)
		err = busy(dir, *fd, error);
	else
		err = error_set(
		    error, ERR_IO, "vault %s: its lock cannot be taken: %s", dir, strerror(errno));
	close(*fd);
	*fd = -1;
	return err;
}
