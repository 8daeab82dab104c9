#include "service/place.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "vault.h"

static bool path_is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(path, dir, len) == 0 && path[len] == '/';
}

char *data_dir(void)
{
	char exe[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (len > 0) {
		exe[len] = '\0';
		if (path_is_below(exe, ABS_TOP_BUILDDIR))
			return xstrdup(ABS_TOP_SRCDIR);
	}
	return xstrdup(PKGDATADIR);
}

static char *policies_dir(const char *name)
{
	char *data = data_dir();
	char *dir = xasprintf("%s/policies/%s", data, name);

	free(data);
	return dir;
}

char *platforms_dir(void)
{
	return policies_dir("platforms");
}

char *wordlists_dir(void)
{
	return policies_dir("wordlists");
}

bool vault_mark(const char *dir, char out[VAULT_MARK_SIZE])
{
	struct stat st;

	out[0] = '\0';
	if (stat(dir, &st) != 0)
		return false;
	snprintf(out, VAULT_MARK_SIZE, "%llx:%llx", (unsigned long long)st.st_dev,
	    (unsigned long long)st.st_ino);
	return true;
}

enum err drop_to_owner(const char *dir, struct error *error)
{
	uid_t uid;
	gid_t gid;
	enum err err;

	if (geteuid() != 0)
		return ERR_OK;
	err = vault_owner(dir, &uid, &gid, error);
	if (err != ERR_OK || uid == 0)
		return err;
	if (setgroups(0, NULL) != 0 || setgid(gid) != 0 || setuid(uid) != 0)
		return error_set(error, ERR_DENIED, "cannot become user id %u, who owns %s: %s",
		    (unsigned)uid, dir, strerror(errno));
	return ERR_OK;
}
