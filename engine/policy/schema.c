#include "policy/schema.h"

#include <inttypes.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define WORDS_MAX     64
#define EXPECTED_SIZE 256

static const char refused_mark;

void push_refused(lua_State *lua)
{
	lua_pushlightuserdata(lua, (void *)(uintptr_t)&refused_mark);
}

bool is_refused(lua_State *lua)
{
	return lua_touserdata(lua, -1) == &refused_mark;
}

/* ── Complaints ──────────────────────────────────────────────────────────────────────────── */

/* Lists and tables with names are told apart, as fields take one of them. */
static void table_text(lua_State *lua, char *out, size_t size)
{
	unsigned long long count = lua_rawlen(lua, -1);
	bool any;

	lua_pushnil(lua);
	any = lua_next(lua, -2) != 0;
	if (any)
		lua_pop(lua, 2);
	if (count > 0)
		snprintf(out, size, "a list of %llu", count);
	else
		snprintf(out, size, any ? "a table with names" : "an empty table");
}

static void value_text(lua_State *lua, char *out, size_t size)
{
	char shown[48];
	size_t len;
	const char *text;

	switch (lua_type(lua, -1)) {
	case LUA_TSTRING:
		text = lua_tolstring(lua, -1, &len);
		text_escape(shown, sizeof(shown), text, len);
		snprintf(out, size, "\"%s\"", shown);
		return;
	case LUA_TNUMBER:
		if (lua_isinteger(lua, -1))
			snprintf(out, size, "%lld", (long long)lua_tointeger(lua, -1));
		else
			snprintf(out, size, "%g", (double)lua_tonumber(lua, -1));
		return;
	case LUA_TBOOLEAN:
		snprintf(out, size, "%s", lua_toboolean(lua, -1) ? "true" : "false");
		return;
	case LUA_TTABLE: table_text(lua, out, size); return;
	case LUA_TFUNCTION: snprintf(out, size, "a function"); return;
	default: snprintf(out, size, "a rule"); return;
	}
}

void field_wrong(struct reader *reader, const struct field_path *path, const char *expected)
{
	char name[128], came[64];

	if (is_refused(reader->lua))
		return;
	field_path_text(path, name, sizeof(name));
	value_text(reader->lua, came, sizeof(came));
	statement_problem(reader->errors, reader->statement, path, NULL,
	    "field \"%s\" must be %s, not %s", name, expected, came);
}

void field_fault(struct reader *reader, const struct field_path *path, const char *fault)
{
	char name[128], came[64];

	field_path_text(path, name, sizeof(name));
	value_text(reader->lua, came, sizeof(came));
	statement_problem(reader->errors, reader->statement, path, NULL, "field \"%s\": %s %s",
	    name, came, fault);
}

/* ── Values ──────────────────────────────────────────────────────────────────────────────── */

const char *field_text(struct reader *reader, const struct field_path *path, const char *expected)
{
	size_t len;
	const char *text;

	if (lua_type(reader->lua, -1) != LUA_TSTRING) {
		field_wrong(reader, path, expected);
		return NULL;
	}
	text = lua_tolstring(reader->lua, -1, &len);
	if (len > TEXT_LEN_MAX) {
		field_fault(reader, path, "is longer than 1024 bytes");
		return NULL;
	}
	if (!text_is_utf8(text, len)) {
		field_fault(reader, path, "is not UTF-8 without NUL");
		return NULL;
	}
	return arena_text(reader->arena, text, len);
}

bool field_number(
    struct reader *reader, const struct field_path *path, uint64_t min, uint64_t max, uint32_t *out)
{
	char expected[EXPECTED_SIZE];
	int whole;
	lua_Integer number = lua_tointegerx(reader->lua, -1, &whole);

	if (lua_type(reader->lua, -1) != LUA_TNUMBER || !whole || number < 0 ||
	    (uint64_t)number < min || (uint64_t)number > max) {
		snprintf(expected, sizeof(expected), "a whole number from %" PRIu64 " to %" PRIu64,
		    min, max);
		field_wrong(reader, path, expected);
		return false;
	}
	*out = (uint32_t)number;
	return true;
}

static void read_text(struct reader *reader, const struct field *field,
    const struct field_path *path, const char **out)
{
	const char *text = field_text(reader, path, "a text");
	const char *fault = text && field->fault ? field->fault(text) : NULL;

	if (fault)
		field_fault(reader, path, fault);
	else if (text)
		*out = text;
}

static void duration_text(uint64_t ms, char *out, size_t size)
{
	static const struct {
		uint64_t ms;
		const char *unit;
	} units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
	size_t i = 0;

	while (units[i].ms > 1 && ms % units[i].ms != 0)
		i++;
	snprintf(out, size, "%" PRIu64 "%s", ms / units[i].ms, units[i].unit);
}

static void read_duration(
    struct reader *reader, const struct field *field, const struct field_path *path, uint64_t *out)
{
	char expected[EXPECTED_SIZE], min[32], max[32];
	unsigned long long ms;
	size_t len;
	const char *text;

	if (lua_type(reader->lua, -1) == LUA_TSTRING) {
		text = lua_tolstring(reader->lua, -1, &len);
		if (text_duration_ms(text, len, &ms) && ms >= field->min && ms <= field->max) {
			*out = ms;
			return;
		}
	}
	duration_text(field->min, min, sizeof(min));
	duration_text(field->max, max, sizeof(max));
	snprintf(expected, sizeof(expected), "a duration from \"%s\" to \"%s\"", min, max);
	field_wrong(reader, path, expected);
}

static void read_choice(
    struct reader *reader, const struct field *field, const struct field_path *path, int *out)
{
	char expected[EXPECTED_SIZE];
	size_t used = 0;

	for (int i = 0; lua_type(reader->lua, -1) == LUA_TSTRING && field->words[i]; i++)
		if (strcmp(lua_tostring(reader->lua, -1), field->words[i]) == 0) {
			*out = i;
			return;
		}
	for (int i = 0; field->words[i] && used < sizeof(expected); i++)
		used += (size_t)snprintf(expected + used, sizeof(expected) - used, "%s\"%s\"",
		    i == 0		  ? ""
		    : field->words[i + 1] ? ", "
					  : " or ",
		    field->words[i]);
	field_wrong(reader, path, expected);
}

static bool read_item(struct reader *reader, const struct field *field,
    const struct field_path *path, const char **out)
{
	const char *text = field_text(reader, path, "a list of texts");
	const char *fault = text && field->fault ? field->fault(text) : NULL;

	if (fault)
		field_fault(reader, path, fault);
	*out = text;
	return text && !fault;
}

/* True when the table at the top has nothing but 1 … n. */
static bool is_list(lua_State *lua, size_t *count)
{
	size_t pairs = 0;

	*count = lua_rawlen(lua, -1);
	for (lua_pushnil(lua); lua_next(lua, -2); lua_pop(lua, 1))
		pairs++;
	return pairs == *count && *count <= LIST_COUNT_MAX;
}

static void read_names(struct reader *reader, const struct field *field,
    const struct field_path *path, struct names *out)
{
	struct names names = {0};
	size_t count;

	if (lua_type(reader->lua, -1) == LUA_TSTRING) {
		names.items = arena_alloc(reader->arena, sizeof(names.items[0]));
		names.count = 1;
		if (read_item(reader, field, path, &names.items[0]))
			*out = names;
		return;
	}
	if (lua_type(reader->lua, -1) != LUA_TTABLE || !is_list(reader->lua, &count)) {
		field_wrong(reader, path, "a text or a list of texts");
		return;
	}
	names.items = arena_alloc(reader->arena, (count + 1) * sizeof(names.items[0]));
	for (size_t i = 0; i < count; i++) {
		lua_rawgeti(reader->lua, -1, (lua_Integer)i + 1);
		if (read_item(reader, field, path, &names.items[names.count]))
			names.count++;
		lua_pop(reader->lua, 1);
	}
	*out = names;
}

static void read_function(struct reader *reader, const struct field *field,
    const struct field_path *path, unsigned char *out)
{
	if (lua_type(reader->lua, -1) != LUA_TFUNCTION) {
		field_wrong(reader, path, "a function");
		return;
	}
	if (field->offset == FIELD_NOT_KEPT)
		return;
	lua_pushvalue(reader->lua, -1);
	*(int *)(void *)(out + field->offset) = luaL_ref(reader->lua, LUA_REGISTRYINDEX);
}

static void read_flag(struct reader *reader, const struct field_path *path, bool *out)
{
	if (lua_type(reader->lua, -1) != LUA_TBOOLEAN)
		field_wrong(reader, path, "true or false");
	else
		*out = lua_toboolean(reader->lua, -1);
}

static void refuse_later(struct reader *reader, const struct field_path *path)
{
	char name[128];

	if (is_refused(reader->lua))
		return;
	field_path_text(path, name, sizeof(name));
	statement_problem(reader->errors, reader->statement, path, NULL,
	    "field \"%s\" is not supported yet", name);
}

void field_read(
    struct reader *reader, const struct field *field, const struct field_path *path, void *out)
{
	unsigned char *base = out;
	void *at = field->offset == FIELD_NOT_KEPT ? NULL : base + field->offset;

	switch (field->type) {
	case FIELD_TEXT: read_text(reader, field, path, at); break;
	case FIELD_FLAG: read_flag(reader, path, at); break;
	case FIELD_COUNT: (void)field_number(reader, path, field->min, field->max, at); break;
	case FIELD_DURATION: read_duration(reader, field, path, at); break;
	case FIELD_CHOICE: read_choice(reader, field, path, at); break;
	case FIELD_NAMES: read_names(reader, field, path, at); break;
	case FIELD_FUNCTION: read_function(reader, field, path, out); break;
	case FIELD_OWN: field->read(reader, path, out); break;
	case FIELD_LATER: refuse_later(reader, path); break;
	case FIELD_TABLE:
		if (lua_type(reader->lua, -1) == LUA_TTABLE)
			schema_read(reader, field->fields, lua_gettop(reader->lua), path, out);
		else
			field_wrong(reader, path, "a table");
		break;
	}
}

/* ── Tables ──────────────────────────────────────────────────────────────────────────────── */

static const struct field *find(const struct field *fields, const char *name)
{
	for (; fields->name; fields++)
		if (strcmp(fields->name, name) == 0)
			return fields;
	return NULL;
}

static const char *nearest(const struct field *fields, const char *name)
{
	const char *names[WORDS_MAX];
	size_t count = 0;

	for (; fields->name && count < WORDS_MAX; fields++)
		names[count++] = fields->name;
	return text_nearest(name, names, count);
}

/* "; there are type and size" */
static void names_text(const struct field *fields, char *out, size_t size)
{
	size_t used = (size_t)snprintf(out, size, "; there are");

	for (const struct field *field = fields; field->name && used < size; field++)
		used += (size_t)snprintf(out + used, size - used, "%s %s",
		    field == fields ? ""
		    : field[1].name ? ","
				    : " and",
		    field->name);
}

static void unknown(
    struct reader *reader, const struct field *fields, const struct field_path *path)
{
	char name[128], there[384];
	const char *meant;

	field_path_text(path, name, sizeof(name));
	meant = nearest(fields, path->name);
	if (meant == NULL)
		names_text(fields, there, sizeof(there));
	statement_problem(reader->errors, reader->statement, path, meant, "unknown field \"%s\"%s",
	    name, meant == NULL ? there : "");
}

void schema_read(struct reader *reader, const struct field *fields, int index,
    const struct field_path *up, void *out)
{
	lua_State *lua = reader->lua;

	luaL_checkstack(lua, 8, NULL);
	for (lua_pushnil(lua); lua_next(lua, index); lua_pop(lua, 1)) {
		struct field_path path = {.up = up};
		const struct field *field;

		if (lua_type(lua, -2) != LUA_TSTRING) {
			statement_problem(reader->errors, reader->statement, up, NULL,
			    "a value stands here without a field's name");
			continue;
		}
		path.name = lua_tostring(lua, -2);
		field = find(fields, path.name);
		if (field)
			field_read(reader, field, &path, out);
		else
			unknown(reader, fields, &path);
	}
}
