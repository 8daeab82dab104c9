#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/mem.h"
#include "vault.h"
#include "vault/place.h"

/*
 * File systems that another machine or program serves. flock, mmap coherence and fsync are promises
 * that the vault rests on and that they make in part or not at all.
 */
static const uint32_t remote_types[] = {
    0x00006969, /* NFS */
    0x0000517b, /* SMB */
    0xff534d42, /* CIFS */
    0xfe534d42, /* SMB2 */
    0x65735546, /* FUSE: sshfs, s3fs … */
    0x01021997, /* 9p */
    0x5346414f, /* AFS */
    0x6b414653, /* kAFS */
    0x00c36400, /* Ceph */
    0x73757245, /* Coda */
    0x0000564c, /* NCP */
    0x0bd00bd0, /* Lustre */
    0x47504653, /* GPFS */
    0x01161970, /* GFS2 */
    0x7461636f, /* OCFS2 */
    0x786f4256, /* VirtualBox shared folders */
};

enum err place_err(int errnum)
{
	switch (errnum) {
	case ENOENT:
	case ENOTDIR: return ERR_NOT_FOUND;
	case EEXIST:
	case ENOTEMPTY: return ERR_EXISTS;
	case EACCES:
	case EPERM:
	case EROFS: return ERR_DENIED;
	case ENOSPC:
	case EDQUOT: return ERR_FULL;
	default: return ERR_IO;
	}
}

bool place_is_remote(unsigned long type)
{
	for (size_t i = 0; i < sizeof(remote_types) / sizeof(remote_types[0]); i++) {
		if ((uint32_t)type == remote_types[i])
			return true;
	}
	return false;
}

char *place_parent(const char *path)
{
	char *copy = xstrdup(path);
	char *parent = xstrdup(dirname(copy));

	free(copy);
	return parent;
}

static enum err no_vault(const char *dir, struct error *error)
{
	return error_set(error, ERR_NOT_FOUND,
	    "there is no vault at %s: give the directory of one, or make one with lockstep init",
	    dir);
}

enum err vault_owner(const char *dir, uid_t *uid, gid_t *gid, struct error *error)
{
	struct stat st;

	if (stat(dir, &st) != 0) {
		enum err err = place_err(errno);

		if (err == ERR_NOT_FOUND)
			return no_vault(dir, error);
		return error_set(error, err, "vault %s: %s", dir, strerror(errno));
	}
	if (!S_ISDIR(st.st_mode))
		return no_vault(dir, error);
	*uid = st.st_uid;
	*gid = st.st_gid;
	return ERR_OK;
}

static enum err place_check(const char *dir, int fd, struct error *error)
{
	struct stat st;
	struct statfs fs;

	if (fstat(fd, &st) != 0 || fstatfs(fd, &fs) != 0)
		return error_set(error, place_err(errno), "vault %s: %s", dir, strerror(errno));
	if (st.st_uid != geteuid())
		return error_set(error, ERR_DENIED,
		    "vault %s belongs to user id %u and this process runs as %u: run it as the "
		    "owner",
		    dir, (unsigned)st.st_uid, (unsigned)geteuid());
	if ((st.st_mode & 077) != 0)
		return error_set(error, ERR_DENIED,
		    "vault %s is open to others (mode %04o): close it with chmod 700 %s", dir,
		    (unsigned)(st.st_mode & 07777), dir);
	if (place_is_remote((unsigned long)fs.f_type))
		return error_set(error, ERR_REFUSED,
		    "vault %s is on a network or FUSE file system (type 0x%lx), where locks and "
		    "syncs do not hold: move it to a disk of this machine",
		    dir, (unsigned long)fs.f_type & 0xffffffffUL);
	return ERR_OK;
}

enum err place_open(const char *dir, int *fd, struct error *error)
{
	enum err err;

	*fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0) {
		err = place_err(errno);
		if (err == ERR_NOT_FOUND)
			return no_vault(dir, error);
		return error_set(error, err, "vault %s cannot be opened: %s; run as its owner", dir,
		    strerror(errno));
	}
	err = place_check(dir, *fd, error);
	if (err != ERR_OK) {
		close(*fd);
		*fd = -1;
	}
	return err;
}

enum err place_sync(const char *dir, struct error *error)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int errnum = 0;

	if (fd < 0 || fsync(fd) != 0)
		errnum = errno;
	if (fd >= 0)
		close(fd);
	if (errnum != 0)
		return error_set(error, place_err(errnum), "%s could not be put on disk: %s", dir,
		    strerror(errnum));
	return ERR_OK;
}
