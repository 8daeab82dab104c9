/*
 * To be loaded before all else (LD_PRELOAD): each fsync takes ten milliseconds longer, as on a disk
 * that is slow or far away.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <time.h>

#define LATE_NS 10000000

int fsync(int fd);
int fdatasync(int fd);

static int late(const char *name, int fd)
{
	static const struct timespec wait = {.tv_nsec = LATE_NS};
	int (*real)(int) = NULL;

	*(void **)&real = dlsym(RTLD_NEXT, name);
	nanosleep(&wait, NULL);
	return real(fd);
}

int fsync(int fd)
{
	return late("fsync", fd);
}

int fdatasync(int fd)
{
	return late("fdatasync", fd);
}
