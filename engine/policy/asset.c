#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "policy/loader.h"

#define MINUTE_MS (60 * 1000UL)

/* ── Labels ──────────────────────────────────────────────────────────────────────────────── */

const char *label_parse(struct arena *arena, const char *text, struct label *label)
{
	size_t len = strcspn(text, "=");

	if (len == 0)
		return "has no key; labels are \"key\" or \"key=value\"";
	if (strlen(text) > LABEL_LEN_MAX)
		return "is longer than 255 bytes";
	label->key = arena_text(arena, text, len);
	label->value =
	    text[len] ? arena_text(arena, text + len + 1, strlen(text + len + 1)) : "true";
	return NULL;
}

bool label_known(const struct labels *labels, const char *key)
{
	for (size_t i = 0; i < labels->count; i++)
		if (strcmp(labels->items[i].key, key) == 0)
			return true;
	return false;
}

/* `tier = "1"`, `tier = 1`, `nginx = true`: the key is below the value at the top. */
static bool keyed_label(struct reader *reader, const struct field_path *path, struct label *label)
{
	lua_State *lua = reader->lua;
	const struct field_path inner = {.up = path, .name = lua_tostring(lua, -2)};
	char number[32];

	label->key = arena_text(reader->arena, inner.name, strlen(inner.name));
	label->value = "true";
	if (lua_type(lua, -1) == LUA_TBOOLEAN && lua_toboolean(lua, -1))
		return true;
	if (lua_type(lua, -1) == LUA_TSTRING) {
		label->value = field_text(reader, &inner, "a text");
		return label->value != NULL;
	}
	if (lua_isinteger(lua, -1)) {
		snprintf(number, sizeof(number), "%lld", (long long)lua_tointeger(lua, -1));
		label->value = arena_text(reader->arena, number, strlen(number));
		return true;
	}
	field_wrong(reader, &inner, "a text, a whole number or true");
	return false;
}

static bool bare_label(struct reader *reader, const struct field_path *path, struct label *label)
{
	const char *text = field_text(reader, path, "a text");
	const char *fault = text ? label_parse(reader->arena, text, label) : NULL;

	if (fault)
		field_fault(reader, path, fault);
	return text && !fault;
}

static void label_read(struct reader *reader, const struct field_path *path, struct labels *labels)
{
	struct label label;

	if (!(lua_type(reader->lua, -2) == LUA_TSTRING ? keyed_label(reader, path, &label)
						       : bare_label(reader, path, &label)))
		return;
	if (label_known(labels, label.key))
		field_fault(reader, path, "gives a label twice");
	else
		labels->items[labels->count++] = label;
}

static void labels_read(struct reader *reader, const struct field_path *path, void *out)
{
	struct labels *labels = &((struct traits *)out)->labels;
	lua_State *lua = reader->lua;
	size_t room = 0;

	if (lua_type(lua, -1) != LUA_TTABLE) {
		field_wrong(reader, path, "a table such as { \"nginx\", tier = \"1\" }");
		return;
	}
	for (lua_pushnil(lua); lua_next(lua, -2); lua_pop(lua, 1))
		room++;
	if (room > LABELS_MAX) {
		field_wrong(reader, path, "at most 256 labels");
		return;
	}
	labels->items = arena_alloc(reader->arena, room * sizeof(labels->items[0]));
	for (lua_pushnil(lua); lua_next(lua, -2); lua_pop(lua, 1))
		label_read(reader, path, labels);
}

/* ── Keeping ─────────────────────────────────────────────────────────────────────────────── */

static void traits_intern(struct intern *texts, struct traits *traits)
{
	struct names *accounts = &traits->accounts;
	struct labels *labels = &traits->labels;

	traits->platform = intern_text(texts, traits->platform);
	traits->admin = intern_text(texts, traits->admin);
	traits->gateway = intern_text(texts, traits->gateway);
	for (size_t i = 0; i < accounts->count; i++)
		accounts->items[i] = intern_text(texts, accounts->items[i]);
	accounts->items =
	    intern_list(texts, accounts->items, accounts->count, sizeof(accounts->items[0]));
	for (size_t i = 0; i < labels->count; i++)
		labels->items[i] = (struct label){intern_text(texts, labels->items[i].key),
		    intern_text(texts, labels->items[i].value)};
	labels->items = intern_list(texts, labels->items, labels->count, sizeof(labels->items[0]));
}

static struct asset_class *class_of(struct loader *loader, const struct asset_decl *decl)
{
	struct asset_class class = {
	    .traits = decl->traits,
	    .node = decl->node,
	    .file = decl->statement->file,
	    .source = decl->statement->source,
	};

	class.traits.port = 0;
	return intern_bytes(
	    &loader->classes, &class, offsetof(struct asset_class, asset), sizeof(class));
}

static void row_add(struct loader *loader, const struct asset_row *row)
{
	if (loader->asset_count == loader->asset_room) {
		loader->asset_room = loader->asset_room ? 2 * loader->asset_room : 256;
		loader->assets =
		    xrealloc(loader->assets, loader->asset_room * sizeof(loader->assets[0]));
	}
	loader->assets[loader->asset_count++] = *row;
}

void asset_declare(struct loader *loader, struct asset_decl *decl)
{
	struct arena *arena = &loader->policy->arena;

	traits_intern(&loader->texts, &decl->traits);
	decl->node = intern_text(&loader->texts, decl->node);
	decl->name = arena_text(arena, decl->name, strlen(decl->name));
	if (decl->address)
		decl->address = arena_text(arena, decl->address, strlen(decl->address));
	row_add(loader, &(struct asset_row){
			    .name = decl->name,
			    .address = decl->address,
			    .class = class_of(loader, decl),
			    .line = (uint32_t)decl->statement->line,
			    .port = decl->traits.port,
			});
}

struct statement row_statement(const struct asset_row *row)
{
	return (struct statement){
	    .file = row->class->file,
	    .source = row->class->source,
	    .line = row->line,
	    .kind = "asset",
	    .name = row->name,
	};
}

void assets_forget(struct loader *loader)
{
	intern_clear(&loader->texts);
	intern_clear(&loader->classes);
	free(loader->assets);
	loader->assets = NULL;
	loader->asset_count = loader->asset_room = 0;
}

/* ── Statements ──────────────────────────────────────────────────────────────────────────── */

/* `gateway = "jump"`, or false for none where a node has one. */
static void gateway_read(struct reader *reader, const struct field_path *path, void *out)
{
	struct traits *traits = out;
	const char *name, *fault;

	if (lua_type(reader->lua, -1) == LUA_TBOOLEAN && !lua_toboolean(reader->lua, -1)) {
		traits->gateway = GATEWAY_NONE;
		return;
	}
	name = field_text(reader, path, "the name of an asset, or false");
	fault = name ? name_fault(name) : NULL;
	if (fault)
		field_fault(reader, path, fault);
	else
		traits->gateway = name;
}

static const char *const become_words[] = {[BECOME_NONE] = "none",
    [BECOME_SUDO] = "sudo",
    [BECOME_SU] = "su",
    [BECOME_DOAS] = "doas",
    NULL};

static const char *const by_words[] = {"account", "source", NULL};

#define TRAIT(member) offsetof(struct traits, member)

static const struct field lockout_fields[] = {
    {.name = "limit",
	.type = FIELD_COUNT,
	.offset = TRAIT(lockout_limit),
	.min = 2,
	.max = 1000000},
    {.name = "window",
	.type = FIELD_DURATION,
	.offset = TRAIT(lockout_window_ms),
	.min = 1000,
	.max = 7 * 24 * 60 * MINUTE_MS},
    {.name = "by", .type = FIELD_CHOICE, .offset = TRAIT(lockout_by), .words = by_words},
    {0},
};

/* Traits stand first in both declarations. */
#define TRAIT_FIELDS                                                                               \
	{.name = "platform", .type = FIELD_TEXT, .offset = TRAIT(platform), .fault = name_fault},  \
	    {.name = "admin", .type = FIELD_TEXT, .offset = TRAIT(admin), .fault = account_fault}, \
	    {.name = "become",                                                                     \
		.type = FIELD_CHOICE,                                                              \
		.offset = TRAIT(become),                                                           \
		.words = become_words},                                                            \
	    {.name = "port", .type = FIELD_COUNT, .offset = TRAIT(port), .min = 1, .max = 65535},  \
	    {.name = "accounts",                                                                   \
		.type = FIELD_NAMES,                                                               \
		.offset = TRAIT(accounts),                                                         \
		.fault = account_fault},                                                           \
	    {.name = "labels", .type = FIELD_OWN, .read = labels_read},                            \
	    {.name = "gateway", .type = FIELD_OWN, .read = gateway_read},                          \
	{                                                                                          \
		.name = "lockout", .type = FIELD_TABLE, .fields = lockout_fields                   \
	}

static const struct field node_fields[] = {
    TRAIT_FIELDS,
    {0},
};

static const struct field asset_fields[] = {
    TRAIT_FIELDS,
    {.name = "address",
	.type = FIELD_TEXT,
	.offset = offsetof(struct asset_decl, address),
	.fault = address_fault},
    {.name = "node",
	.type = FIELD_TEXT,
	.offset = offsetof(struct asset_decl, node),
	.fault = node_fault},
    {0},
};

void asset_read(struct loader *loader, const struct statement *statement, int index)
{
	struct reader reader = {loader->policy->lua, &loader->scratch, loader->errors, statement};
	struct asset_decl decl = {
	    .traits = TRAITS_NONE, .name = statement->name, .statement = statement};

	arena_reset(&loader->scratch);
	schema_read(&reader, asset_fields, index, NULL, &decl);
	asset_declare(loader, &decl);
}

void node_read(struct loader *loader, const struct statement *statement, int index)
{
	struct reader reader = {
	    loader->policy->lua, &loader->policy->arena, loader->errors, statement};
	struct node_decl *decl = arena_alloc(reader.arena, sizeof(*decl));

	*decl = (struct node_decl){
	    .traits = TRAITS_NONE, .path = statement->name, .statement = statement};
	schema_read(&reader, node_fields, index, NULL, decl);
	loader->node_count++;
	STAILQ_INSERT_TAIL(&loader->nodes, decl, link);
}
