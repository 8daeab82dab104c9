/*
 * A disk that does what LMDB is promised, and no more: what was written since the last sync may be
 * lost at a crash, page by page; what was synced, or written with O_DSYNC, is there.
 *
 * The file is a real one (LMDB maps it); writes go to it through a mapping of our own. Beside it
 * stands what is durable.
 */
#define _GNU_SOURCE

#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sim.h"

#define PAGE	   ((size_t)4096)
#define PAGES_MAX  ((size_t)4096)
#define FDS_MAX	   8
#define ROOM_PAGES 24

/* Of a page. */
enum {
	PAGE_TOUCHED = 1,  /* it may differ from what the file was taken over with */
	PAGE_UNSYNCED = 2, /* it was written since the last sync */
	PAGE_LOST = 4,	   /* the file has what is not durable */
};

struct pages {
	uint16_t list[PAGES_MAX];
	size_t count;
};

struct disk {
	char *path;
	int fd; /* ours */
	struct {
		int fd;
		bool synced;
	} fds[FDS_MAX];
	size_t fd_count;
	uint8_t *file;	  /* the mapping */
	void *map;	  /* the same, for those who only read it */
	uint8_t *durable; /* as long */
	uint8_t *base;
	size_t base_size, base_used; /* the file's length; up to its last page that is not zeros */
	size_t size;
	uint8_t flags[PAGES_MAX];
	struct pages touched, unsynced, lost;
	struct sim *sim;
	bool stopped;
	bool broke;
	bool failed; /* a sync failed: what is unsynced stays so */
	uint64_t full_until_ms;
	uint64_t syncs; /* while the disk forgets */
	struct {
		uint16_t *list; /* of pages; the others are as the file was taken over */
		uint8_t *data;
		size_t count;
	} copy;
};

static struct disk *disks[SIM_GROUNDS];

/* ── Pages ── */

static void pages_add(struct disk *disk, struct pages *pages, size_t page, uint8_t flag)
{
	if ((disk->flags[page] & flag) != 0)
		return;
	disk->flags[page] |= flag;
	pages->list[pages->count++] = (uint16_t)page;
}

static void pages_drop(struct disk *disk, struct pages *pages, uint8_t flag)
{
	for (size_t i = 0; i < pages->count; i++)
		disk->flags[pages->list[i]] &= (uint8_t)~flag;
	pages->count = 0;
}

static void page_keep(struct disk *disk, size_t page)
{
	memcpy(disk->durable + page * PAGE, disk->file + page * PAGE, PAGE);
}

static void page_forget(struct disk *disk, size_t page)
{
	if ((page + 1) * PAGE <= disk->size)
		memcpy(disk->file + page * PAGE, disk->durable + page * PAGE, PAGE);
}

/* ── Which file ── */

struct disk *disk_of(int fd)
{
	for (size_t i = 0; i < SIM_GROUNDS && disks[i] != NULL; i++)
		for (size_t k = 0; k < disks[i]->fd_count; k++)
			if (disks[i]->fds[k].fd == fd)
				return disks[i];
	return NULL;
}

void *disk_map(const struct disk *disk, size_t len)
{
	return len <= PAGES_MAX * PAGE ? disk->map : NULL;
}

bool disk_is_map(const void *addr)
{
	for (size_t i = 0; i < SIM_GROUNDS && disks[i] != NULL; i++)
		if (disks[i]->map == addr)
			return true;
	return false;
}

void disk_opened(const char *path, int fd, bool synced)
{
	for (size_t i = 0; fd >= 0 && i < SIM_GROUNDS && disks[i] != NULL; i++) {
		struct disk *disk = disks[i];

		if (strcmp(disk->path, path) != 0)
			continue;
		if (disk->fd_count == FDS_MAX)
			sim_die("%s is open too often", path);
		disk->fds[disk->fd_count].fd = fd;
		disk->fds[disk->fd_count++].synced = synced;
	}
}

void disk_closed(int fd)
{
	struct disk *disk = disk_of(fd);

	for (size_t i = 0; disk != NULL && i < disk->fd_count; i++)
		if (disk->fds[i].fd == fd)
			disk->fds[i] = disk->fds[--disk->fd_count];
}

/* ── What the vault does with it ── */

static uint64_t now_ms(const struct disk *disk)
{
	return disk->sim != NULL ? disk->sim->clock.now_ms : 0;
}

bool disk_is_full(const struct disk *disk)
{
	return !disk->stopped && now_ms(disk) < disk->full_until_ms;
}

static bool is_synced(const struct disk *disk, int fd)
{
	for (size_t i = 0; i < disk->fd_count; i++)
		if (disk->fds[i].fd == fd)
			return disk->fds[i].synced;
	return false;
}

/* A disk that forgets keeps one sync in sixteen. */
static bool disk_forgets(struct disk *disk)
{
	return sim_bug == BUG_SKIP_COMMIT && ++disk->syncs % 16 != 0;
}

static void disk_put(struct disk *disk, bool synced, const uint8_t *data, size_t len, size_t at)
{
	if (at + len > PAGES_MAX * PAGE)
		sim_die("the vault grows past what the simulated disk has");
	if (at + len > disk->size && disk_truncate(disk, (off_t)(at + len)) != 0)
		sim_die("the vault's file cannot grow");
	memcpy(disk->file + at, data, len);
	for (size_t page = at / PAGE; page * PAGE < at + len; page++) {
		pages_add(disk, &disk->touched, page, PAGE_TOUCHED);
		if (disk->stopped)
			pages_add(disk, &disk->lost, page, PAGE_LOST);
		else if (!synced)
			pages_add(disk, &disk->unsynced, page, PAGE_UNSYNCED);
	}
	if (synced && !disk->stopped)
		memcpy(disk->durable + at, disk->file + at, len);
}

ssize_t disk_write(struct disk *disk, int fd, const struct iovec *parts, int count, off_t at)
{
	bool synced = is_synced(disk, fd);
	ssize_t done = 0;

	if (synced && disk->sim != NULL)
		core_commit_at(disk->sim, MOMENT_SYNCED);
	if (synced && disk_forgets(disk))
		synced = false;
	for (int i = 0; i < count; i++) {
		if (!synced && disk_is_full(disk)) { /* what has its place keeps it */
			errno = ENOSPC; /* what was written before is a write in part */
			return done > 0 ? done : -1;
		}
		disk_put(
		    disk, synced, parts[i].iov_base, parts[i].iov_len, (size_t)at + (size_t)done);
		done += (ssize_t)parts[i].iov_len;
	}
	return done;
}

int disk_sync(struct disk *disk)
{
	struct sim *sim = disk->sim;

	if (sim != NULL)
		core_commit_at(sim, MOMENT_TORN);
	if (disk->stopped)
		return 0;
	if (sim != NULL && sim_event(sim, "sync fails", "", 3)) {
		/* What was to be written is marked as clean: no later sync writes it. */
		disk->failed = disk->broke = true;
		errno = EIO;
		return -1;
	}
	/* Meanwhile the core stands still, and what others do becomes due. */
	if (sim != NULL && sim_event(sim, "a sync takes long", "", 50))
		sim->clock.now_ms += 1 + sim_amount(sim, 50);
	if (disk->failed || disk_forgets(disk))
		return 0;
	for (size_t i = 0; i < disk->unsynced.count; i++)
		page_keep(disk, disk->unsynced.list[i]);
	pages_drop(disk, &disk->unsynced, PAGE_UNSYNCED);
	return 0;
}

/* A length is durable at once: LMDB reads none, and the vault syncs after it. */
int disk_truncate(struct disk *disk, off_t size)
{
	if (disk_is_full(disk)) {
		errno = ENOSPC;
		return -1;
	}
	if ((size_t)size > PAGES_MAX * PAGE)
		sim_die("the vault grows past what the simulated disk has");
	if ((int)syscall(SYS_ftruncate, disk->fd, size) != 0)
		return -1;
	disk->size = (size_t)size;
	return 0;
}

/* ── Stopping and starting ── */

void disk_stop(struct disk *disk)
{
	char whose[16];

	disk->stopped = true;
	for (size_t i = 0; i < disk->unsynced.count; i++) {
		size_t page = disk->unsynced.list[i];

		snprintf(whose, sizeof(whose), "%zu", page);
		if (sim_choose(disk->sim, "an unsynced page is there", whose, 2) == 1)
			page_keep(disk, page);
		else
			pages_add(disk, &disk->lost, page, PAGE_LOST);
	}
	pages_drop(disk, &disk->unsynced, PAGE_UNSYNCED);
}

void disk_restart(struct disk *disk)
{
	for (size_t i = 0; i < disk->lost.count; i++)
		page_forget(disk, disk->lost.list[i]);
	pages_drop(disk, &disk->lost, PAGE_LOST);
	disk->stopped = disk->broke = disk->failed = false;
}

void disk_fill(struct disk *disk, uint64_t until_ms)
{
	disk->full_until_ms = until_ms;
}

bool disk_broke(const struct disk *disk)
{
	return disk->broke;
}

static void page_reset(struct disk *disk, size_t page)
{
	if (page * PAGE < disk->base_used)
		memcpy(disk->durable + page * PAGE, disk->base + page * PAGE, PAGE);
	else
		memset(disk->durable + page * PAGE, 0, PAGE);
	page_forget(disk, page);
}

void disk_copy(struct disk *disk)
{
	disk->copy.count = disk->touched.count;
	disk->copy.list = realloc(disk->copy.list, disk->copy.count * sizeof(uint16_t) + 1);
	disk->copy.data = realloc(disk->copy.data, disk->copy.count * PAGE + 1);
	if (disk->copy.list == NULL || disk->copy.data == NULL)
		sim_die("out of memory");
	for (size_t i = 0; i < disk->copy.count; i++) {
		size_t page = disk->touched.list[i];

		disk->copy.list[i] = (uint16_t)page;
		memcpy(disk->copy.data + i * PAGE, disk->durable + page * PAGE, PAGE);
	}
}

/* It stays as long as it is: LMDB takes no offence. */
void disk_put_back(struct disk *disk)
{
	for (size_t i = 0; i < disk->touched.count; i++)
		page_reset(disk, disk->touched.list[i]);
	for (size_t i = 0; i < disk->copy.count; i++) {
		size_t page = disk->copy.list[i];

		memcpy(disk->durable + page * PAGE, disk->copy.data + i * PAGE, PAGE);
		pages_add(disk, &disk->touched, page, PAGE_TOUCHED);
		page_forget(disk, page);
	}
}

/*
 * LMDB takes the map's size from the page that heads the file, of which there are two (struct
 * MDB_meta, after the 16 bytes of a page's header: magic, version, address, size).
 */
#define META_AT	     16
#define META_SIZE_AT (META_AT + 16)
#define META_MAGIC   0xBEEFC0DE

static void map_narrow(struct disk *disk, size_t size)
{
	for (size_t page = 0; page < 2; page++) {
		uint8_t *meta = disk->file + page * PAGE;
		uint32_t magic;

		memcpy(&magic, meta + META_AT, sizeof(magic));
		if (magic != META_MAGIC)
			sim_die("%s is not as LMDB has it", disk->path);
		memcpy(meta + META_SIZE_AT, &size, sizeof(size));
		page_keep(disk, page);
		pages_add(disk, &disk->touched, page, PAGE_TOUCHED);
	}
}

void disk_begin(struct disk *disk, struct sim *sim)
{
	if (disk->size != disk->base_size) {
		if ((int)syscall(SYS_ftruncate, disk->fd, (off_t)disk->base_size) != 0)
			sim_die("the vault's file cannot be cut");
		disk->size = disk->base_size;
	}
	for (size_t i = 0; i < disk->touched.count; i++)
		page_reset(disk, disk->touched.list[i]);
	pages_drop(disk, &disk->touched, PAGE_TOUCHED);
	pages_drop(disk, &disk->unsynced, PAGE_UNSYNCED);
	pages_drop(disk, &disk->lost, PAGE_LOST);
	disk->stopped = disk->broke = disk->failed = false;
	disk->full_until_ms = 0;
	disk->syncs = 0;
	disk->sim = sim;
	if (sim != NULL && sim_choose(sim, "whether the map is nearly full", "", 4) == 0)
		map_narrow(disk,
		    disk->base_used + PAGE * sim_choose(sim, "room in the map", "", ROOM_PAGES));
}

/* ── The whole ── */

static size_t used_bytes(const uint8_t *bytes, size_t size)
{
	static const uint8_t zeros[PAGE];

	while (size >= PAGE && memcmp(bytes + size - PAGE, zeros, PAGE) == 0)
		size -= PAGE;
	return size;
}

struct disk *disk_new(const char *path)
{
	struct disk *disk = calloc(1, sizeof(*disk));
	struct stat st;
	size_t at = 0;

	disk->path = strdup(path);
	disk->fd = open(path, O_RDWR | O_CLOEXEC);
	disk->durable = calloc(PAGES_MAX, PAGE);
	if (disk->fd < 0 || fstat(disk->fd, &st) != 0)
		sim_die("%s: %s", path, strerror(errno));
	disk->file = mmap(NULL, PAGES_MAX * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, disk->fd, 0);
	if (disk->file == MAP_FAILED)
		sim_die("%s: %s", path, strerror(errno));
	disk->map = mmap(NULL, PAGES_MAX * PAGE, PROT_READ, MAP_SHARED, disk->fd, 0);
	if (disk->map == MAP_FAILED)
		sim_die("%s: %s", path, strerror(errno));
	disk->size = disk->base_size = (size_t)st.st_size;
	disk->base_used = used_bytes(disk->file, disk->size);
	disk->base = malloc(disk->base_used);
	memcpy(disk->base, disk->file, disk->base_used);
	memcpy(disk->durable, disk->file, disk->base_used);
	while (disks[at] != NULL)
		at++;
	disks[at] = disk;
	return disk;
}

void disk_free(struct disk *disk)
{
	size_t at = 0, last = 0;

	while (disks[at] != disk)
		at++;
	while (last + 1 < SIM_GROUNDS && disks[last + 1] != NULL)
		last++;
	disks[at] = disks[last];
	disks[last] = NULL;
	munmap(disk->file, PAGES_MAX * PAGE);
	munmap(disk->map, PAGES_MAX * PAGE);
	close(disk->fd);
	free(disk->path);
	free(disk->durable);
	free(disk->base);
	free(disk->copy.list);
	free(disk->copy.data);
	free(disk);
}
