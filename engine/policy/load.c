#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/luastate.h"
#include "base/mem.h"
#include "policy/loader.h"

#define MEMORY_MAX	 (64UL * 1024 * 1024)
#define INSTRUCTIONS_MAX 50000000UL
#define SUBJECT_MAX	 (64UL * 1024)
#define SOURCES_SIZE_MAX (64UL * 1024 * 1024)

/* ── One file ────────────────────────────────────────────────────────────────────────────── */

/* "attempt to call a nil value (global 'taks')": a word that the language does not have. */
static bool unknown_word(const char *text, char *word, size_t size)
{
	static const char before[] = "attempt to call a nil value (global '";
	size_t len;

	if (strncmp(text, before, sizeof(before) - 1) != 0)
		return false;
	text += sizeof(before) - 1;
	len = strcspn(text, "'");
	if (len >= size)
		return false;
	memcpy(word, text, len);
	word[len] = '\0';
	return true;
}

static void report_lua(
    struct loader *loader, const struct source *source, const struct error *error)
{
	char word[64];
	const char *file, *meant, *text;
	size_t line;

	text = policy_lua_place(loader->policy, error->text, &file, &line);
	if (strcmp(text, "not enough memory") == 0)
		text = "needs more memory than a policy may have (64 MB for its Lua): does a table "
		       "or a text grow without end?";
	else if (strncmp(text, "attempt to load a binary chunk", 30) == 0)
		text = "is compiled Lua, and only text is read: put its source here";
	if (unknown_word(text, word, sizeof(word))) {
		meant = statement_nearest(word);
		problem_add_line(loader->errors, source, line, "unknown statement \"%s\"; %s%s%s",
		    word, meant ? "did you mean \"" : "see lockstep-policy(5)", meant ? meant : "",
		    meant ? "\"?" : "");
	} else {
		problem_add_line(loader->errors, source, line, "%s", text);
	}
}

static enum err run_chunk(struct loader *loader, const struct source *source, struct error *error)
{
	lua_State *lua = loader->policy->lua;
	char chunk[32];
	int status;

	snprintf(chunk, sizeof(chunk), "=#%zu", source->id);
	status =
	    luaL_loadbufferx(lua, (const char *)source->text.data, source->text.len, chunk, "t");
	if (status == LUA_OK)
		return luastate_call(lua, 0, 0, error);
	error_set(
	    error, status == LUA_ERRMEM ? ERR_LIMIT : ERR_INVALID, "%s", lua_tostring(lua, -1));
	lua_pop(lua, 1);
	return error->code;
}

/* What the file has, or would have. */
static bool read_text(struct loader *loader, struct source *source)
{
	const struct policy_draft *draft = source->shipped ? NULL : draft_of(loader, source->file);
	struct error error;
	struct stat status;

	if (draft) {
		if (!buf_add(&source->text, draft->text, draft->len))
			problem_add(loader->errors, source->file, 0, "is longer than %d bytes",
			    SOURCE_SIZE_MAX);
		return !buf_failed(&source->text);
	}
	if (stat(source->path, &status) != 0 || !S_ISREG(status.st_mode)) {
		problem_add(loader->errors, source->file, 0, "is not a file");
		return false;
	}
	if (file_read(source->path, &source->text, &error) != ERR_OK) {
		problem_add(loader->errors, source->file, 0, "%s", error.text);
		return false;
	}
	return true;
}

static bool read_source(struct loader *loader, struct source *source)
{
	if (!read_text(loader, source))
		return false;
	digest_text_file(loader, source->file, &source->text);
	loader->source_bytes += source->text.len;
	if (loader->source_bytes > SOURCES_SIZE_MAX) {
		problem_add(loader->errors, source->file, 0,
		    "the policy's files have more than 64 MB together");
		return false;
	}
	return true;
}

/* Platforms are all that wires receive: a file has one, or none. */
static void check_platform_alone(struct loader *loader, const struct source *source)
{
	if (source->platforms > 0 && source->statements > 1)
		problem_add(loader->errors, source->file, 0,
		    "a file that declares a platform declares nothing else; move the rest to a "
		    "file of its own");
	else if (source->shipped && source->platforms == 0)
		problem_add(loader->errors, source->file, 0, "declares no platform");
}

static void run_source(struct loader *loader, struct source *source)
{
	struct error error;
	enum err err;

	loader->current = source;
	loader->policy->files[source->id] = source->file;
	loader->policy->file_count = source->id + 1;
	if (!read_source(loader, source)) {
		loader->incomplete = true;
		return;
	}
	err = run_chunk(loader, source, &error);
	if (err != ERR_OK) {
		report_lua(loader, source, &error);
		loader->incomplete = true;
		loader->exhausted = err == ERR_LIMIT;
		STAILQ_INIT(&loader->statements);
		return;
	}
	statements_finish(loader);
	check_platform_alone(loader, source);
}

/* ── All files ───────────────────────────────────────────────────────────────────────────── */

static void run_sources(struct loader *loader)
{
	struct policy *policy = loader->policy;
	struct source *source;
	size_t room = 0;
	const char **files = NULL;

	STAILQ_FOREACH (source, &loader->sources, link) {
		if (loader->exhausted)
			break;
		if (source->id >= room) {
			room = 2 * loader->source_count;
			files = xrealloc(files, room * sizeof(*files));
			policy->files = files;
		}
		run_source(loader, source);
	}
	policy->files = arena_alloc(&policy->arena, (policy->file_count + 1) * sizeof(*files));
	for (size_t i = 0; i < policy->file_count; i++)
		policy->files[i] = files[i];
	free(files);
}

static void build(struct loader *loader)
{
	settings_build(loader);
	platforms_build(loader);
	assets_build(loader);
	tasks_build(loader);
	people_build(loader);
	if (loader->errors->count == 0)
		policy_check(loader);
}

static bool open_state(struct loader *loader)
{
	static const struct luastate_caps caps = {
	    .memory_bytes = MEMORY_MAX,
	    .instructions = INSTRUCTIONS_MAX,
	    .subject_bytes = SUBJECT_MAX,
	};

	loader->policy->lua = luastate_new(&caps);
	if (!loader->policy->lua) {
		problem_add(loader->errors, NULL, 0, "there is no memory to read the policy");
		return false;
	}
	statements_define(loader);
	return true;
}

static void loader_init(struct loader *loader, struct policy *policy,
    const struct policy_config *config, struct problems *errors, struct problems *warnings)
{
	*loader = (struct loader){
	    .policy = policy, .config = config, .errors = errors, .warnings = warnings};
	STAILQ_INIT(&loader->sources);
	STAILQ_INIT(&loader->statements);
	STAILQ_INIT(&loader->nodes);
	STAILQ_INIT(&loader->rules);
	STAILQ_INIT(&loader->tasks);
	STAILQ_INIT(&loader->platforms);
	STAILQ_INIT(&loader->roles);
	STAILQ_INIT(&loader->users);
	STAILQ_INIT(&loader->wordlists);
	STAILQ_INIT(&policy->rules);
	loader->texts.arena = &policy->arena;
	loader->classes.arena = &loader->arena;
	policy->loader = loader;
}

static void loader_clear(struct loader *loader)
{
	struct source *source;

	STAILQ_FOREACH (source, &loader->sources, link)
		buf_clear(&source->text);
	assets_forget(loader);
	arena_clear(&loader->scratch);
	arena_clear(&loader->arena);
	loader->policy->loader = NULL;
}

/* Where there is something that cannot be read, reading it says why. */
static bool is_there(const char *dir)
{
	char *path = xasprintf("%s/lockstep.lua", dir);
	bool there = access(path, F_OK) == 0 || errno != ENOENT;

	free(path);
	return there;
}

/* False where there is none. */
static bool load(struct loader *loader)
{
	char dir[PATH_MAX];

	if (!is_there(loader->config->dir) || !realpath(loader->config->dir, dir)) {
		problem_add(loader->errors, NULL, 0,
		    "there is no policy in %s: give its directory by -C, or make one: lockstep "
		    "init %s",
		    loader->config->dir, loader->config->dir);
		return false;
	}
	loader->dir = arena_text(&loader->policy->arena, dir, strlen(dir));
	if (!open_state(loader))
		return true;
	settings_defaults(loader);
	if (!loader->brief)
		include_shipped(loader);
	include_entry(loader);
	run_sources(loader);
	loader->policy->loader = NULL; /* from here on no function of the files may declare */
	if (loader->brief)
		settings_build(loader);
	else if (!loader->incomplete)
		build(loader);
	return true;
}

enum err policy_load(struct policy **out, const struct policy_config *config,
    struct problems *errors, struct problems *warnings)
{
	struct policy *policy = xcalloc(1, sizeof(*policy));
	struct loader loader;
	bool there;

	*out = NULL;
	loader_init(&loader, policy, config, errors, warnings);
	there = load(&loader);
	loader_clear(&loader);
	digests_sort(&loader);
	problems_sort(errors);
	problems_sort(warnings);
	if (errors->count > 0) {
		policy_free(policy);
		return there ? ERR_INVALID : ERR_NOT_FOUND;
	}
	*out = policy; /* transferred */
	return ERR_OK;
}

struct policy *policy_load_settings(const struct policy_config *config)
{
	struct problems *problems = xcalloc(2, sizeof(*problems));
	struct policy *policy = xcalloc(1, sizeof(*policy));
	struct loader loader;

	loader_init(&loader, policy, config, &problems[0], &problems[1]);
	loader.brief = true;
	load(&loader);
	loader_clear(&loader);
	problems_clear(&problems[0]);
	problems_clear(&problems[1]);
	free(problems);
	if (policy->settings.vault == NULL) {
		policy_free(policy);
		return NULL;
	}
	return policy;
}
