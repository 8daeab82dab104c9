#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "policy/loader.h"

#define LONGEST_DEFAULT	 RULE_LENGTH_MAX
#define SHORTEST_DEFAULT 1

#define AT(member)	 offsetof(struct platform_decl, member)
#define PLATFORM(member) AT(entry.platform.member)

enum { ACCOUNTS_ANY, ACCOUNTS_POSIX };

static const char *const accounts_words[] = {
    [ACCOUNTS_ANY] = "any", [ACCOUNTS_POSIX] = "posix", NULL};

/* Any bytes; NUL and newline are refused by every platform and need no keeping. */
static void refuse_read(struct reader *reader, const struct field_path *path, void *out)
{
	struct platform_decl *decl = out;
	size_t len, kept = 0;
	const char *bytes;
	char *refuse;

	if (lua_type(reader->lua, -1) != LUA_TSTRING) {
		field_wrong(reader, path, "a text of characters");
		return;
	}
	bytes = lua_tolstring(reader->lua, -1, &len);
	if (len > TEXT_LEN_MAX) {
		field_fault(reader, path, "is longer than 1024 bytes");
		return;
	}
	refuse = arena_alloc(reader->arena, len + 1);
	for (size_t i = 0; i < len; i++)
		if (bytes[i] != '\0' && bytes[i] != '\n')
			refuse[kept++] = bytes[i];
	decl->entry.platform.password_refuse = refuse;
}

static const struct field password_fields[] = {
    {.name = "longest",
	.type = FIELD_COUNT,
	.offset = PLATFORM(password_longest),
	.min = 1,
	.max = 16384},
    {.name = "shortest",
	.type = FIELD_COUNT,
	.offset = PLATFORM(password_shortest),
	.min = 1,
	.max = 16384},
    {.name = "refuse", .type = FIELD_OWN, .read = refuse_read},
    {0},
};

/* Whether it has a function of that name. */
static bool *function_flag(struct platform *platform, const char *name)
{
	if (strcmp(name, "change_password") == 0)
		return &platform->change_password;
	if (strcmp(name, "change_key") == 0)
		return &platform->change_key;
	if (strcmp(name, "read_hash") == 0)
		return &platform->read_hash;
	return &platform->persist;
}

static void function_read(struct reader *reader, const struct field_path *path, void *out)
{
	struct platform_decl *decl = out;

	if (lua_type(reader->lua, -1) != LUA_TFUNCTION)
		field_wrong(reader, path, "a function");
	else
		*function_flag(&decl->entry.platform, path->name) = true;
}

/* Functions are the wires' to run; here they only have to be functions. */
static const struct field platform_fields[] = {
    {.name = "password", .type = FIELD_TABLE, .fields = password_fields},
    {.name = "accounts", .type = FIELD_CHOICE, .offset = AT(accounts), .words = accounts_words},
    {.name = "extends", .type = FIELD_TEXT, .offset = AT(extends), .fault = name_fault},
    {.name = "answers_early", .type = FIELD_FLAG, .offset = PLATFORM(answers_early)},
    {.name = "persist_keys_only", .type = FIELD_FLAG, .offset = PLATFORM(persist_keys_only)},
    {.name = "check", .type = FIELD_FUNCTION, .offset = FIELD_NOT_KEPT},
    {.name = "check_proof", .type = FIELD_FUNCTION, .offset = FIELD_NOT_KEPT},
    {.name = "prepare", .type = FIELD_FUNCTION, .offset = FIELD_NOT_KEPT},
    {.name = "change_password", .type = FIELD_OWN, .read = function_read},
    {.name = "change_key", .type = FIELD_OWN, .read = function_read},
    {.name = "read_hash", .type = FIELD_OWN, .read = function_read},
    {.name = "persist", .type = FIELD_OWN, .read = function_read},
    {.name = "params", .type = FIELD_OWN, .read = params_declare},
    {.name = "prompt", .type = FIELD_LATER},
    {0},
};

void platform_read(struct loader *loader, const struct statement *statement, int index)
{
	struct reader reader = {
	    loader->policy->lua, &loader->policy->arena, loader->errors, statement};
	struct platform_decl *decl = arena_alloc(reader.arena, sizeof(*decl));
	const struct buf *text = &statement->source->text;

	*decl = (struct platform_decl){.accounts = -1, .statement = statement};
	decl->entry.platform.name = statement->name;
	decl->entry.platform.file = statement->file;
	decl->entry.platform.source = arena_text(reader.arena, (const char *)text->data, text->len);
	decl->entry.platform.source_len = text->len;
	schema_read(&reader, platform_fields, index, NULL, decl);
	loader->platform_count++;
	STAILQ_INSERT_TAIL(&loader->platforms, decl, link);
}

/* ── Extending ───────────────────────────────────────────────────────────────────────────── */

static struct platform_decl *decl_find(struct loader *loader, const char *name)
{
	struct platform_decl *decl;

	STAILQ_FOREACH (decl, &loader->platforms, link)
		if (strcmp(decl->entry.platform.name, name) == 0)
			return decl;
	return NULL;
}

static void inherit(
    struct arena *arena, struct platform_decl *decl, const struct platform_decl *base)
{
	struct platform *own = &decl->entry.platform;
	const struct platform *from = &base->entry.platform;

	if (!own->password_longest)
		own->password_longest = from->password_longest;
	if (!own->password_shortest)
		own->password_shortest = from->password_shortest;
	if (!own->password_refuse)
		own->password_refuse = from->password_refuse;
	if (decl->accounts < 0)
		decl->accounts = base->accounts;
	own->answers_early = own->answers_early || from->answers_early;
	own->change_password = own->change_password || from->change_password;
	own->change_key = own->change_key || from->change_key;
	own->read_hash = own->read_hash || from->read_hash;
	if (!own->persist) { /* what it is for goes with it */
		own->persist = from->persist;
		own->persist_keys_only = own->persist_keys_only || from->persist_keys_only;
	}
	params_inherit(arena, own, from);
}

static void defaults(struct platform_decl *decl)
{
	struct platform *platform = &decl->entry.platform;

	if (!platform->password_longest)
		platform->password_longest = LONGEST_DEFAULT;
	if (!platform->password_shortest)
		platform->password_shortest = SHORTEST_DEFAULT;
	if (!platform->password_refuse)
		platform->password_refuse = "";
	decl->entry.posix_accounts = decl->accounts == ACCOUNTS_POSIX;
}

static void resolve(struct loader *loader, struct platform_decl *decl)
{
	static const struct field_path field = {.name = "extends"};
	struct platform_decl *base;

	if (decl->state != PLATFORM_NEW)
		return;
	decl->state = PLATFORM_RESOLVING;
	base = decl->extends ? decl_find(loader, decl->extends) : NULL;
	if (decl->extends && !base) {
		statement_problem(loader->errors, decl->statement, &field, NULL,
		    "there is no platform \"%s\"", decl->extends);
	} else if (base && base->state == PLATFORM_RESOLVING) {
		statement_problem(loader->errors, decl->statement, &field, NULL,
		    "extends itself by \"%s\"", decl->extends);
	} else if (base) {
		resolve(loader, base);
		inherit(&loader->policy->arena, decl, base);
	} else if (!decl->entry.platform.change_password && !decl->entry.platform.change_key) {
		statement_problem(loader->errors, decl->statement, NULL, NULL,
		    "has neither a function change_password nor change_key");
	}
	defaults(decl);
	decl->state = PLATFORM_RESOLVED;
}

static void check_limits(struct loader *loader, const struct platform_decl *decl)
{
	static const struct field_path field = {.name = "password"};
	const struct platform *platform = &decl->entry.platform;

	if (platform->password_shortest > platform->password_longest)
		statement_problem(loader->errors, decl->statement, &field, NULL,
		    "its shortest password (%u) is longer than its longest (%u)",
		    platform->password_shortest, platform->password_longest);
}

static int entry_compare(const void *left, const void *right)
{
	const struct platform_entry *a = left, *b = right;

	return strcmp(a->platform.name, b->platform.name);
}

static void report_twice(
    struct loader *loader, const struct platform_decl *decl, const struct platform_decl *first)
{
	const char *name = decl->statement->name;

	if (first->statement->source->shipped)
		statement_problem(loader->errors, decl->statement, NULL, NULL,
		    "comes with the program; give this one another name and extends = \"%s\"",
		    name);
	else
		statement_problem(loader->errors, decl->statement, NULL, NULL,
		    "is declared in %s already", first->statement->file);
}

void platforms_build(struct loader *loader)
{
	struct policy *policy = loader->policy;
	struct platform_decl *decl;
	size_t count = 0;

	policy->platforms = arena_alloc(
	    &policy->arena, (loader->platform_count + 1) * sizeof(policy->platforms[0]));
	STAILQ_FOREACH (decl, &loader->platforms, link) {
		const struct platform_decl *first = decl_find(loader, decl->entry.platform.name);

		if (first != decl) {
			report_twice(loader, decl, first);
			continue;
		}
		resolve(loader, decl);
		check_limits(loader, decl);
		policy->platforms[count++] = decl->entry;
	}
	policy->platform_count = count;
	qsort(policy->platforms, count, sizeof(policy->platforms[0]), entry_compare);
}

enum err platform_takes(
    const struct platform *platform, const struct secret *password, struct error *error)
{
	const char *bytes = secret_data(password);
	size_t len = secret_len(password);

	if (len > platform->password_longest)
		return error_set(error, ERR_INVALID,
		    "it is longer than the %u bytes that platform \"%s\" takes",
		    platform->password_longest, platform->name);
	if (len < platform->password_shortest)
		return error_set(error, ERR_INVALID,
		    "it is shorter than the %u bytes that platform \"%s\" asks for",
		    platform->password_shortest, platform->name);
	for (size_t i = 0; i < len; i++)
		if (bytes[i] == '\0' || bytes[i] == '\n' ||
		    strchr(platform->password_refuse, bytes[i]))
			return error_set(error, ERR_INVALID,
			    "it holds a character that platform \"%s\" refuses", platform->name);
	return ERR_OK;
}
