/* Making the directory that everything else works in. */
#include "service.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/secret.h"
#include "policy.h"
#include "service/place.h"
#include "service/shape.h"
#include "vault.h"

#define HEAP_BYTES     (1024UL * 1024)
#define TEMPLATE_BYTES (1024UL * 1024)
#define DEPTH_MAX      4
#define ENTRY	       "lockstep.lua"
#define IGNORE_FILE    ".gitignore"
#define IGNORE_TEXT                                                                                \
	"# The vault and what opens it never go into version control.\n/vault/\n/master.key\n"

struct making {
	const char *dir;
	char *template;
	json_t *made; /* paths within `dir`, in order of making */
	bool dir_made;
	struct error *error;
};

static char *path_in(const char *dir, const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

/* ── What is there ───────────────────────────────────────────────────────────────────────── */

static bool is_there(const struct making *making, const char *name)
{
	char *path = path_in(making->dir, name);
	struct stat st;
	bool there = lstat(path, &st) == 0;

	free(path);
	return there;
}

static enum err check_free(const struct making *making)
{
	static const char *const names[] = {
	    ENTRY, "inventory", "rules", "tasks", "vault", "master.key"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (is_there(making, names[i]))
			return error_set(making->error, ERR_EXISTS,
			    "%s/%s is there already, and nothing was touched: init makes a new "
			    "policy, in a directory that has none",
			    making->dir, names[i]);
	return ERR_OK;
}

/* ── Files ───────────────────────────────────────────────────────────────────────────────── */

static void note(struct making *making, const char *name)
{
	json_array_append_new(making->made, json_text(name));
}

static enum err make_dir(struct making *making, const char *name)
{
	char *path = path_in(making->dir, name);
	enum err err = ERR_OK;

	if (mkdir(path, 0755) == 0)
		note(making, name);
	else
		err = error_set(
		    making->error, ERR_IO, "%s cannot be made: %s", path, strerror(errno));
	free(path);
	return err;
}

static enum err write_file(struct making *making, const char *name, const void *bytes, size_t len)
{
	char *path = path_in(making->dir, name);
	enum err err = file_write(path, bytes, len, 0644, 0, making->error);

	if (err == ERR_OK)
		note(making, name);
	free(path);
	return err;
}

static enum err copy_file(struct making *making, const char *name)
{
	char *path = path_in(making->template, name);
	struct buf text;
	enum err err;

	buf_init(&text, TEMPLATE_BYTES);
	err = file_read(path, &text, making->error);
	if (err == ERR_OK)
		err = write_file(making, name, text.data, text.len);
	buf_clear(&text);
	free(path);
	return err;
}

static enum err copy_tree(struct making *making, const char *below, int depth);

static enum err copy_entry(struct making *making, const char *name, int depth)
{
	char *path = path_in(making->template, name);
	struct stat st;
	enum err err = ERR_OK;

	if (stat(path, &st) != 0) {
		err = error_set(making->error, ERR_IO, "%s: %s", path, strerror(errno));
	} else if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX) {
		err = make_dir(making, name);
		if (err == ERR_OK)
			err = copy_tree(making, name, depth + 1);
	} else if (S_ISREG(st.st_mode)) {
		err = copy_file(making, name);
	}
	free(path);
	return err;
}

static int visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static enum err copy_tree(struct making *making, const char *below, int depth)
{
	char *path = path_in(making->template, below);
	struct dirent **entries;
	int count = scandir(path, &entries, visible, alphasort);
	enum err err = ERR_OK;

	if (count < 0)
		err = error_set(making->error, ERR_NOT_FOUND,
		    "the files that init copies are not in %s: %s; install lockstep again", path,
		    strerror(errno));
	for (int i = 0; i < count; i++) {
		char *name = below[0] == '\0' ? xstrdup(entries[i]->d_name)
					      : path_in(below, entries[i]->d_name);

		if (err == ERR_OK)
			err = copy_entry(making, name, depth);
		free(name);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	free(path);
	return err;
}

static enum err make_ignore(struct making *making)
{
	if (is_there(making, IGNORE_FILE))
		return ERR_OK;
	return write_file(making, IGNORE_FILE, IGNORE_TEXT, strlen(IGNORE_TEXT));
}

/* Takes back what was made, newest first: what is not whole must not stand in the way. */
static void undo(struct making *making)
{
	for (size_t i = json_array_size(making->made); i > 0; i--) {
		const char *name = json_string_value(json_array_get(making->made, i - 1));
		char *path = path_in(making->dir, name);

		if (unlink(path) != 0)
			(void)rmdir(path);
		free(path);
	}
	if (making->dir_made)
		(void)rmdir(making->dir);
}

/* ── The vault ───────────────────────────────────────────────────────────────────────────── */

static enum err make_vault_at(
    struct making *making, const struct settings *settings, json_t **result)
{
	struct loop *loop = loop_new();
	struct vault_config config = {
	    .dir = settings->vault,
	    .key_path = settings->master_key.file,
	    .purpose = "init",
	};
	enum err err;

	if (loop == NULL)
		return error_set(making->error, ERR_IO, "there is no event loop");
	config.clock = loop_clock(loop);
	err = vault_create(&config, making->error);
	loop_free(loop);
	if (err == ERR_OK)
		*result = json_pack("{s:o, s:O, s:o, s:o}", "dir", json_text(making->dir), "made",
		    making->made, "vault", json_text(settings->vault), "master_key",
		    json_text(settings->master_key.file));
	return err;
}

/* The settings that were just written say where. */
static enum err make_vault(struct making *making, json_t **result)
{
	struct problems *problems = xcalloc(2, sizeof(*problems));
	char *platforms = platforms_dir(), *wordlists = wordlists_dir();
	struct policy_config config = {
	    .dir = making->dir, .platforms_dir = platforms, .wordlists_dir = wordlists};
	struct policy *policy;
	enum err err = policy_load(&policy, &config, &problems[0], &problems[1]);

	if (err == ERR_OK)
		err = make_vault_at(making, policy_settings(policy), result);
	else
		error_set(making->error, err, "the new policy does not load: %s",
		    problems[0].items[0].text);
	policy_free(policy);
	problems_clear(&problems[0]);
	problems_clear(&problems[1]);
	free(problems);
	free(platforms);
	free(wordlists);
	return err;
}

static enum err make_all(struct making *making, json_t **result)
{
	enum err err = secret_heap_init(HEAP_BYTES, NULL, making->error);

	if (err != ERR_OK && err != ERR_EXISTS)
		return err;
	if (mkdir(making->dir, 0755) == 0)
		making->dir_made = true;
	else if (errno != EEXIST)
		return error_set(
		    making->error, ERR_IO, "%s cannot be made: %s", making->dir, strerror(errno));
	err = copy_tree(making, "", 0);
	if (err == ERR_OK)
		err = make_ignore(making);
	if (err == ERR_OK)
		err = make_vault(making, result);
	if (err != ERR_OK)
		undo(making);
	return err;
}

enum service_end service_init(const char *dir, json_t **result, struct error *error)
{
	struct making making = {.dir = dir, .made = json_array(), .error = error};
	char *data = data_dir();
	enum service_end end = SERVICE_USAGE;

	*result = NULL;
	process_harden();
	making.template = path_in(data, "policies/init");
	if (check_free(&making) == ERR_OK)
		end = make_all(&making, result) == ERR_OK ? SERVICE_OK : SERVICE_NO_ENGINE;
	json_decref(making.made);
	free(making.template);
	free(data);
	return end;
}
