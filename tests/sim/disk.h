/*
 * The disk as the vault's system calls see it (calls.c): what each does to a file that may be
 * taken over. Every one returns as the call does, errno set.
 */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct disk;

/* The disk whose file was opened as this; NULL = none of ours. */
struct disk *disk_of(int fd);
/* A file was opened, or closed. */
void disk_opened(const char *path, int fd, bool synced);
void disk_closed(int fd);

ssize_t disk_write(struct disk *, int fd, const struct iovec *, int count, off_t at);
int disk_sync(struct disk *);
int disk_truncate(struct disk *, off_t size);
bool disk_is_full(const struct disk *);
/* Its file, mapped to be read; NULL where that is not as long. */
void *disk_map(const struct disk *, size_t len);
bool disk_is_map(const void *);

#endif
