#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "policy/loader.h"

#define DEPTH_MAX	  16
#define SOURCES_MAX	  10000
#define FILES_PER_DIR_MAX 100000

/* ── Trust ───────────────────────────────────────────────────────────────────────────────── */

bool path_trusted(
    struct loader *loader, const struct statement *statement, const char *path, const char *file)
{
	struct error error;
	enum err err = file_trusted(path, &error);

	if (err == ERR_NOT_FOUND && statement)
		statement_problem(loader->errors, statement, NULL, NULL, "there is no %s", file);
	else if (err != ERR_OK)
		problem_add(loader->errors, file, 0, "%s", error.text);
	return err == ERR_OK;
}

/* ── Drafts ──────────────────────────────────────────────────────────────────────────────── */

const struct policy_draft *draft_of(const struct loader *loader, const char *file)
{
	for (size_t i = 0; i < loader->config->draft_count; i++)
		if (strcmp(loader->config->drafts[i].file, file) == 0)
			return &loader->config->drafts[i];
	return NULL;
}

/* ── Patterns ────────────────────────────────────────────────────────────────────────────── */

struct walk {
	struct loader *loader;
	const struct statement *statement;
	void (*fn)(struct loader *, const struct statement *, const char *path, const char *file);
};

static bool walk_path(const struct walk *, const char *file, const char *rest);

static char *join(const char *dir, const char *name)
{
	return dir[0] ? xasprintf("%s/%s", dir, name) : xstrdup(name);
}

static bool exists(const struct walk *walk, const char *file)
{
	char *path = join(walk->loader->dir, file);
	struct stat status;
	bool found = lstat(path, &status) == 0;

	free(path);
	return found;
}

static bool would_be_gone(const struct walk *walk, const char *file)
{
	const struct policy_draft *draft = draft_of(walk->loader, file);

	return draft != NULL && draft->text == NULL;
}

static bool step_is_good(const struct walk *walk, const char *path, const char *file)
{
	if (draft_of(walk->loader, file) == NULL)
		return path_trusted(walk->loader, walk->statement, path, file);
	if (would_be_gone(walk, file))
		statement_problem(
		    walk->loader->errors, walk->statement, NULL, NULL, "there is no %s", file);
	return !would_be_gone(walk, file);
}

/* One component is settled: goes on below it, or hands the file over. */
static bool walk_step(const struct walk *walk, const char *file, const char *rest)
{
	char *path = join(walk->loader->dir, file);
	bool good = step_is_good(walk, path, file);

	if (good && rest[0])
		good = walk_path(walk, file, rest);
	else if (good)
		walk->fn(walk->loader, walk->statement, path, file);
	else
		walk->loader->incomplete = true;
	free(path);
	return good;
}

static int visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* The file's name where it stands in the directory itself; else NULL. */
static const char *name_in(const char *dir, const char *file)
{
	const char *slash = strrchr(file, '/');
	size_t len = slash == NULL ? 0 : (size_t)(slash - file);

	if (len != strlen(dir) || strncmp(file, dir, len) != 0)
		return NULL;
	return slash == NULL ? file : slash + 1;
}

/* The files that would stand beside those that a directory has. */
static bool walk_drafts(const struct walk *walk, const char *dir, const char *pattern)
{
	const struct policy_config *config = walk->loader->config;
	bool good = true;

	for (size_t i = 0; i < config->draft_count; i++) {
		const struct policy_draft *draft = &config->drafts[i];
		const char *name = name_in(dir, draft->file);

		if (draft->text != NULL && name != NULL && text_glob(pattern, name) &&
		    !exists(walk, draft->file))
			good = walk_step(walk, draft->file, "") && good;
	}
	return good;
}

static int byte_order(const struct dirent **left, const struct dirent **right)
{
	return strcmp((*left)->d_name, (*right)->d_name);
}

/* A component with `*`: every entry that matches, in order of name. */
static bool walk_glob(
    const struct walk *walk, const char *file, const char *pattern, const char *rest)
{
	char *dir = join(walk->loader->dir, file);
	struct dirent **entries;
	int count = scandir(dir, &entries, visible, byte_order);
	bool good = true;

	free(dir);
	if (count < 0) {
		if (errno != ENOTDIR)
			statement_problem(walk->loader->errors, walk->statement, NULL, NULL,
			    "cannot read %s: %s", file[0] ? file : "the policy's directory",
			    strerror(errno));
		return errno == ENOTDIR;
	}
	for (int i = 0; i < count; i++) {
		char *below = join(file, entries[i]->d_name);

		if (text_glob(pattern, entries[i]->d_name) && !would_be_gone(walk, below) &&
		    !(rest[0] && entries[i]->d_type == DT_REG))
			good = walk_step(walk, below, rest) && good;
		free(below);
		free(entries[i]);
	}
	free(entries);
	return (rest[0] || walk_drafts(walk, file, pattern)) && good;
}

static bool walk_path(const struct walk *walk, const char *file, const char *rest)
{
	size_t len = strcspn(rest, "/");
	char *part = xstrndup(rest, len), *below = join(file, part);
	bool good;

	rest += len + strspn(rest + len, "/");
	if (strchr(part, '*'))
		good = walk_glob(walk, file, part, rest);
	else if (!exists(walk, below) && walk->statement && strchr(walk->statement->name, '*') &&
		 rest[0])
		good = true; /* "tasks/" + "*.lua" where no tasks/ was made yet */
	else
		good = walk_step(walk, below, rest);
	free(part);
	free(below);
	return good;
}

bool pattern_each(struct loader *loader, const struct statement *statement, const char *pattern,
    void (*fn)(struct loader *, const struct statement *, const char *path, const char *file))
{
	struct walk walk = {loader, statement, fn};

	if (!path_stays_inside(pattern)) {
		statement_problem(loader->errors, statement, NULL, NULL,
		    "names a file below the policy's directory, without \"..\" or a leading \"/\"");
		return false;
	}
	return walk_path(&walk, "", pattern);
}

/* ── Queueing ────────────────────────────────────────────────────────────────────────────── */

static struct source *find_source(struct loader *loader, const char *path)
{
	struct source *source;

	STAILQ_FOREACH (source, &loader->sources, link)
		if (strcmp(source->path, path) == 0)
			return source;
	return NULL;
}

static struct source *queue(
    struct loader *loader, const struct source *includer, const char *path, const char *file)
{
	struct arena *arena = &loader->policy->arena;
	struct source *source = arena_alloc(arena, sizeof(*source));

	source->file = arena_text(arena, file, strlen(file));
	source->path = arena_text(arena, path, strlen(path));
	source->includer = includer;
	source->depth = includer ? includer->depth + 1 : 0;
	source->id = loader->source_count++;
	buf_init(&source->text, SOURCE_SIZE_MAX);
	STAILQ_INSERT_TAIL(&loader->sources, source, link);
	return source;
}

static bool includes(const struct source *outer, const struct source *inner)
{
	for (; inner; inner = inner->includer)
		if (inner == outer)
			return true;
	return false;
}

/* NULL when it was reported, or read before: once is enough, whoever asks. */
static struct source *queue_once(
    struct loader *loader, const struct statement *statement, const char *path, const char *file)
{
	const struct source *known = find_source(loader, path);

	if (known && includes(known, statement->source))
		statement_problem(
		    loader->errors, statement, NULL, NULL, "%s includes itself", file);
	else if (known)
		return NULL;
	else if (statement->source->depth + 1 >= DEPTH_MAX)
		statement_problem(loader->errors, statement, NULL, NULL,
		    "files include one another more than %d deep", DEPTH_MAX);
	else if (loader->source_count >= SOURCES_MAX)
		statement_problem(loader->errors, statement, NULL, NULL,
		    "a policy has at most %d files", SOURCES_MAX);
	else
		return queue(loader, statement->source, path, file);
	return NULL;
}

static void include_file(
    struct loader *loader, const struct statement *statement, const char *path, const char *file)
{
	if (text_glob("*.lua", file))
		(void)queue_once(loader, statement, path, file);
	else
		statement_problem(loader->errors, statement, NULL, NULL,
		    "%s does not end in .lua; lists of assets come in by inventory \"…\"", file);
}

void include_inventory(
    struct loader *loader, const struct statement *statement, const char *path, const char *file)
{
	struct source *source = queue_once(loader, statement, path, file);

	if (source)
		source->inventory = true;
}

void include_read(struct loader *loader, const struct statement *statement, const char *pattern)
{
	if (!pattern_each(loader, statement, pattern, include_file))
		loader->incomplete = true;
}

void include_entry(struct loader *loader)
{
	char *path = xasprintf("%s/lockstep.lua", loader->dir);

	if (path_trusted(loader, NULL, loader->dir, NULL) &&
	    path_trusted(loader, NULL, path, "lockstep.lua"))
		queue(loader, NULL, path, "lockstep.lua");
	else
		loader->incomplete = true;
	free(path);
}

/* ── The platforms that come with the program ────────────────────────────────────────────── */

static int platform_file(const struct dirent *entry)
{
	return visible(entry) && text_glob("*.lua", entry->d_name);
}

static void include_platform(struct loader *loader, const char *name)
{
	char *path = xasprintf("%s/%s", loader->config->platforms_dir, name);
	char *file = xasprintf("platforms/%s", name);

	if (path_trusted(loader, NULL, path, path))
		queue(loader, NULL, path, file)->shipped = true;
	else
		loader->incomplete = true;
	free(path);
	free(file);
}

void include_shipped(struct loader *loader)
{
	const char *dir = loader->config->platforms_dir;
	struct dirent **entries;
	int count;

	if (!dir || !path_trusted(loader, NULL, dir, dir)) {
		loader->incomplete = dir != NULL;
		return;
	}
	count = scandir(dir, &entries, platform_file, byte_order);
	if (count < 0) {
		problem_add(
		    loader->errors, dir, 0, "cannot read the platforms: %s", strerror(errno));
		loader->incomplete = true;
		return;
	}
	for (int i = 0; i < count; i++) {
		include_platform(loader, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
}
