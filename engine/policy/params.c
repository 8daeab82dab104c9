/*
 * Parameters: which a platform takes, what a task gives, and that the two agree.
 *
 * Values are kept as one JSON text, for they only pass through: from the task to the platform's
 * script.
 */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/text.h"
#include "policy/loader.h"

#define PARAMS_MAX	64
#define PARAMS_SIZE_MAX 16384
#define PARAM_LIST_MAX	256
#define NUMBER_MAX	(1LL << 53) /* beyond it, JSON's numbers are not exact everywhere */

static const char *const type_words[] = {[PARAM_TEXT] = "text",
    [PARAM_FLAG] = "flag",
    [PARAM_NUMBER] = "number",
    [PARAM_LIST] = "list",
    NULL};

static const char *const type_means[] = {[PARAM_TEXT] = "a text",
    [PARAM_FLAG] = "true or false",
    [PARAM_NUMBER] = "a whole number",
    [PARAM_LIST] = "a list of texts"};

static bool name_good(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");

	return len > 0 && len <= 32 && name[len] == '\0';
}

/* The key below the value at the top. */
static bool check_name(struct reader *reader, const struct field_path *path)
{
	if (lua_type(reader->lua, -2) == LUA_TSTRING && name_good(lua_tostring(reader->lua, -2)))
		return true;
	statement_problem(reader->errors, reader->statement, path, NULL,
	    "field \"%s\": a parameter's name has lower-case letters, digits and \"_\"",
	    path->name);
	return false;
}

static int param_compare(const void *left, const void *right)
{
	const struct param *a = left, *b = right;

	return strcmp(a->name, b->name);
}

/* ── Of a platform ───────────────────────────────────────────────────────────────────────── */

/* The name is below the type at the top. */
static void declare_one(
    struct reader *reader, const struct field_path *up, struct param *params, size_t *count)
{
	lua_State *lua = reader->lua;
	struct field_path path = {.up = up};
	struct param param = {.name = NULL};
	int type = -1;
	struct field field = {.type = FIELD_CHOICE, .words = type_words};

	if (!check_name(reader, up))
		return;
	path.name = lua_tostring(lua, -2);
	field_read(reader, &field, &path, &type);
	if (type < 0)
		return;
	param.name = arena_text(reader->arena, path.name, strlen(path.name));
	param.type = (enum param_type)type;
	params[(*count)++] = param;
}

void params_declare(struct reader *reader, const struct field_path *path, void *out)
{
	struct platform *platform = &((struct platform_decl *)out)->entry.platform;
	lua_State *lua = reader->lua;
	struct param *params;
	size_t count = 0;

	if (lua_type(lua, -1) != LUA_TTABLE) {
		field_wrong(reader, path, "a table such as { shell = \"text\" }");
		return;
	}
	for (lua_pushnil(lua); lua_next(lua, -2); lua_pop(lua, 1))
		count++;
	if (count > PARAMS_MAX) {
		field_wrong(reader, path, "at most 64 parameters");
		return;
	}
	params = arena_alloc(reader->arena, (count + 1) * sizeof(params[0]));
	count = 0;
	for (lua_pushnil(lua); lua_next(lua, -2); lua_pop(lua, 1))
		declare_one(reader, path, params, &count);
	qsort(params, count, sizeof(params[0]), param_compare);
	platform->params = params;
	platform->param_count = count;
}

static const struct param *param_find(const struct platform *platform, const char *name)
{
	const struct param key = {.name = name};

	return platform->param_count ? bsearch(&key, platform->params, platform->param_count,
					   sizeof(key), param_compare)
				     : NULL;
}

void params_inherit(struct arena *arena, struct platform *own, const struct platform *from)
{
	struct param *params =
	    arena_alloc(arena, (own->param_count + from->param_count + 1) * sizeof(params[0]));
	size_t count = 0;

	for (size_t i = 0; i < own->param_count; i++)
		params[count++] = own->params[i];
	for (size_t i = 0; i < from->param_count; i++)
		if (!param_find(own, from->params[i].name))
			params[count++] = from->params[i];
	qsort(params, count, sizeof(params[0]), param_compare);
	own->params = params;
	own->param_count = count;
}

/* ── Of a task ───────────────────────────────────────────────────────────────────────────── */

/* The text at the top, as JSON; NULL and reported when it is none, or more than a line. */
static json_t *text_value(
    struct reader *reader, const struct field_path *path, const char *expected)
{
	const char *text = field_text(reader, path, expected);

	for (const char *at = text; at && *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f) {
			field_fault(reader, path, "may not hold control characters");
			return NULL;
		}
	return text ? json_string(text) : NULL;
}

static json_t *list_value(struct reader *reader, const struct field_path *path)
{
	lua_State *lua = reader->lua;
	json_t *list = json_array();
	size_t pairs = 0, count = lua_rawlen(lua, -1);

	for (lua_pushnil(lua); lua_next(lua, -2); lua_pop(lua, 1))
		pairs++;
	if (pairs != count || count > PARAM_LIST_MAX)
		field_wrong(reader, path, "a list of at most 256 texts");
	for (size_t i = 0; pairs == count && count <= PARAM_LIST_MAX && i < count; i++) {
		json_t *item;

		lua_rawgeti(lua, -1, (lua_Integer)i + 1);
		item = text_value(reader, path, "a list of texts");
		if (item)
			json_array_append_new(list, item);
		lua_pop(lua, 1);
	}
	return list;
}

static json_t *number_value(struct reader *reader, const struct field_path *path)
{
	int whole;
	lua_Integer number = lua_tointegerx(reader->lua, -1, &whole);

	if (whole && number >= 0 && number < NUMBER_MAX)
		return json_integer(number);
	field_wrong(reader, path, "a text, a whole number, true, false or a list of texts");
	return NULL;
}

static json_t *value_read(struct reader *reader, const struct field_path *path)
{
	switch (lua_type(reader->lua, -1)) {
	case LUA_TSTRING: return text_value(reader, path, "a text");
	case LUA_TBOOLEAN: return json_boolean(lua_toboolean(reader->lua, -1));
	case LUA_TTABLE: return list_value(reader, path);
	default: return number_value(reader, path);
	}
}

static void params_fill(struct reader *reader, const struct field_path *path, json_t *params)
{
	lua_State *lua = reader->lua;

	for (lua_pushnil(lua); lua_next(lua, -2); lua_pop(lua, 1)) {
		struct field_path inner = {.up = path};
		json_t *value;

		if (!check_name(reader, path))
			continue;
		inner.name = lua_tostring(lua, -2);
		value = value_read(reader, &inner);
		if (value)
			json_object_set_new(params, inner.name, value);
	}
}

/* The object as a text in the arena; NULL when it has nothing. */
static const char *params_text(
    struct reader *reader, const struct field_path *path, const json_t *params)
{
	const size_t flags = JSON_COMPACT | JSON_SORT_KEYS;
	size_t len = json_dumpb(params, NULL, 0, flags);
	char *text;

	if (json_object_size(params) == 0)
		return NULL;
	if (len > PARAMS_SIZE_MAX) {
		field_wrong(reader, path, "at most 16 KB of JSON");
		return NULL;
	}
	text = arena_alloc(reader->arena, len + 1);
	json_dumpb(params, text, len, flags);
	return text;
}

void params_read(struct reader *reader, const struct field_path *path, void *out)
{
	struct task *task = &((struct task_decl *)out)->entry.task;
	json_t *params;

	if (lua_type(reader->lua, -1) != LUA_TTABLE) {
		field_wrong(reader, path, "a table such as { shell = \"/bin/bash\" }");
		return;
	}
	params = json_object();
	params_fill(reader, path, params);
	task->params = params_text(reader, path, params);
	json_decref(params);
}

/* ── Both ────────────────────────────────────────────────────────────────────────────────── */

static bool value_is(const json_t *value, enum param_type type)
{
	switch (type) {
	case PARAM_TEXT: return json_is_string(value);
	case PARAM_FLAG: return json_is_boolean(value);
	case PARAM_NUMBER: return json_is_integer(value);
	default: return json_is_array(value);
	}
}

static const char *param_nearest(const struct platform *platform, const char *name)
{
	const char *names[2 * PARAMS_MAX];
	size_t count = 0;

	for (; count < platform->param_count && count < 2 * PARAMS_MAX; count++)
		names[count] = platform->params[count].name;
	return text_nearest(name, names, count);
}

static void check_one(struct loader *loader, const struct task_entry *task,
    const struct asset *asset, const char *name, const json_t *value)
{
	static const struct field_path params = {.name = "params"};
	const struct field_path field = {.up = &params, .name = name};
	const struct platform *platform = policy_platform_find(loader->policy, asset->platform);
	const struct param *param = param_find(platform, name);

	if (!param)
		statement_problem(loader->errors, task->statement, &field,
		    param_nearest(platform, name),
		    "platform \"%s\" takes no parameter \"%s\" (asset \"%s\")", platform->name,
		    name, asset->name);
	else if (!value_is(value, param->type))
		statement_problem(loader->errors, task->statement, &field, NULL,
		    "field \"params.%s\" must be %s for platform \"%s\" (asset \"%s\")", name,
		    type_means[param->type], platform->name, asset->name);
}

void params_check(struct loader *loader, const struct task_entry *task, const struct asset *asset)
{
	json_t *params, *value;
	const char *name;

	if (!task->task.params)
		return;
	params = json_loads(task->task.params, 0, NULL);
	json_object_foreach(params, name, value)
	{
		check_one(loader, task, asset, name, value);
	}
	json_decref(params);
}
