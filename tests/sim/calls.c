/*
 * The system calls by which the vault, and LMDB below it, reach its file: defined in the
 * executable they stand before the C library's, for the shared libraries too. Files that are no
 * disk of ours are passed on.
 */
#undef _FORTIFY_SOURCE /* its inline bodies would be ours */
#define _GNU_SOURCE

#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "disk.h"

int open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	int fd;

	if ((flags & (O_CREAT | O_TMPFILE)) != 0) {
		va_list args;

		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
	disk_opened(path, fd, (flags & O_DSYNC) != 0);
	return fd;
}

int close(int fd)
{
	disk_closed(fd);
	return (int)syscall(SYS_close, fd);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
	struct disk *disk = disk_of(fd);
	struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};

	if (disk != NULL)
		return disk_write(disk, fd, &part, 1, at);
	return syscall(SYS_pwrite64, fd, data, len, at);
}

/* LMDB has two ways to write several pages: this one, */
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
	struct disk *disk = disk_of(fd);

	if (disk != NULL)
		return disk_write(disk, fd, parts, count, at);
	return syscall(SYS_pwritev, fd, parts, (long)count, (long)at, 0L);
}

/* and lseek with this one. */
ssize_t writev(int fd, const struct iovec *parts, int count)
{
	struct disk *disk = disk_of(fd);

	if (disk != NULL)
		return disk_write(disk, fd, parts, count, lseek(fd, 0, SEEK_CUR));
	return syscall(SYS_writev, fd, parts, (long)count);
}

int fdatasync(int fd)
{
	struct disk *disk = disk_of(fd);

	return disk != NULL ? disk_sync(disk) : (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
	struct disk *disk = disk_of(fd);

	return disk != NULL ? disk_sync(disk) : (int)syscall(SYS_fsync, fd);
}

int ftruncate(int fd, off_t size)
{
	struct disk *disk = disk_of(fd);

	return disk != NULL ? disk_truncate(disk, size) : (int)syscall(SYS_ftruncate, fd, size);
}

/* The file is mapped once and for all: each opening would have its pages found anew, and each
 * closing have every processor told. */
void *mmap(void *addr, size_t len, int protection, int flags, int fd, off_t at)
{
	const struct disk *disk = disk_of(fd);
	void *map = disk != NULL && protection == PROT_READ ? disk_map(disk, len) : NULL;

	if (map != NULL)
		return map;
	return (void *)syscall(SYS_mmap, addr, len, (long)protection, (long)flags, (long)fd, at);
}

int munmap(void *addr, size_t len)
{
	return disk_is_map(addr) ? 0 : (int)syscall(SYS_munmap, addr, len);
}

/* The vault asks for the room that is left when a write was cut short. */
int fstatvfs(int fd, struct statvfs *fs)
{
	const struct disk *disk = disk_of(fd);

	*fs = (struct statvfs){.f_frsize = 4096, .f_bavail = 1 << 20};
	if (disk != NULL && disk_is_full(disk))
		fs->f_bavail = 0;
	return 0;
}
