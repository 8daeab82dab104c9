/*
 * A directory of this process. It is locked for as long as the process lives: what one left that
 * was killed, the next finds unlocked, and removes.
 */
#define _GNU_SOURCE /* nftw, O_DIRECTORY */

#include "sim.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX	"lockstep-simulator-"
#define FDS_MAX 8

static char scratch[64];
static int lock_fd = -1;

static const char *place(void)
{
	return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
}

/* ── Removing ── */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void tree_remove(const char *path)
{
	(void)nftw(path, remove_one, FDS_MAX, FTW_DEPTH | FTW_PHYS);
}

/* The lock; -1 = another has it, or the directory is none or gone. */
static int dir_lock(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -1;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0 && st.st_nlink > 0 &&
	    st.st_uid == getuid())
		return fd;
	close(fd);
	return -1;
}

static void sweep(const char *dir)
{
	DIR *list = opendir(dir);
	const struct dirent *entry;

	while (list != NULL && (entry = readdir(list)) != NULL) {
		char path[512];
		int fd;

		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		fd = dir_lock(path);
		if (fd < 0)
			continue;
		tree_remove(path);
		close(fd);
	}
	if (list != NULL)
		closedir(list);
}

/* ── The door ── */

const char *scratch_make(void)
{
	const char *dir = place();

	sweep(dir);
	while (lock_fd < 0) { /* another may sweep it away before it is locked */
		snprintf(scratch, sizeof(scratch), "%s/" PREFIX "XXXXXX", dir);
		if (mkdtemp(scratch) == NULL)
			sim_die("no directory can be made in %s", dir);
		lock_fd = dir_lock(scratch);
	}
	return scratch;
}

void scratch_clear(void)
{
	if (lock_fd < 0)
		return;
	tree_remove(scratch);
	close(lock_fd);
	lock_fd = -1;
}
