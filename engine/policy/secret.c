/*
 * What a task makes of a secret: `random`, `specified` and `ssh_key` as values of its field.
 */
#include <string.h>

#include "base/ssh_key.h"
#include "policy/loader.h"

#define EC_BITS_DEFAULT	 256
#define RSA_BITS_MIN	 2048
#define RSA_BITS_MAX	 8192
#define RSA_BITS_DEFAULT 3072

static void use_push(struct loader *loader, const struct secret_use *use)
{
	struct secret_use *kept = arena_alloc(&loader->policy->arena, sizeof(*kept));

	*kept = *use;
	lua_pushlightuserdata(loader->policy->lua, kept);
}

/* ── specified ───────────────────────────────────────────────────────────────────────────── */

void specified_read(struct loader *loader, const struct statement *statement, int index)
{
	lua_State *lua = loader->policy->lua;
	struct secret_use use = {.source = SOURCE_SPECIFIED};
	const char *name = lua_type(lua, index) == LUA_TSTRING ? lua_tostring(lua, index) : "";
	size_t len = strlen(name);
	const char *fault = secret_name_fault(name);

	if (len == 0 || len != lua_rawlen(lua, index)) {
		statement_problem(loader->errors, statement, NULL, NULL,
		    "needs the name of a secret that the vault holds: specified \"name\"");
		push_refused(lua);
	} else if (fault) {
		statement_problem(loader->errors, statement, NULL, NULL, "\"%s\" %s", name, fault);
		push_refused(lua);
	} else {
		use.specified = arena_text(&loader->policy->arena, name, len);
		use_push(loader, &use);
	}
}

/* ── ssh_key ─────────────────────────────────────────────────────────────────────────────── */

struct key_draft {
	int type, replace;
	uint32_t bits; /* 0 = not said */
};

static const char *const type_words[] = {
    [KEY_ED25519] = "ed25519", [KEY_ECDSA] = "ecdsa", [KEY_RSA] = "rsa", NULL};

static const char *const replace_words[] = {
    [KEY_ADD] = "add", [KEY_OURS] = "ours", [KEY_ALL] = "all", NULL};

#define AT(member) offsetof(struct key_draft, member)

static const struct field key_fields[] = {
    {.name = "type", .type = FIELD_CHOICE, .offset = AT(type), .words = type_words},
    {.name = "bits", .type = FIELD_COUNT, .offset = AT(bits), .min = 1, .max = RSA_BITS_MAX},
    {.name = "replace", .type = FIELD_CHOICE, .offset = AT(replace), .words = replace_words},
    {0},
};

/* NULL, or how many bits the type takes. */
static const char *bits_fault(const struct key_draft *draft)
{
	switch ((enum key_type)draft->type) {
	case KEY_ED25519: return "ed25519 keys have one size; leave bits out";
	case KEY_ECDSA:
		return draft->bits == 256 || draft->bits == 384 || draft->bits == 521
			   ? NULL
			   : "ecdsa keys have 256, 384 or 521 bits";
	default: return draft->bits >= RSA_BITS_MIN ? NULL : "rsa keys have 2048 to 8192 bits here";
	}
}

static uint32_t bits_default(const struct key_draft *draft)
{
	return draft->type == KEY_RSA ? RSA_BITS_DEFAULT : EC_BITS_DEFAULT;
}

/* What a key must be, and what this build can make and log in with. */
static void check_key(
    struct loader *loader, const struct statement *statement, const struct key_draft *draft)
{
	static const struct field_path type_field = {.name = "type"}, bits_field = {.name = "bits"};
	const char *fault = draft->bits > 0 ? bits_fault(draft) : NULL;
	enum ssh_key_type type;

	if (fault) {
		statement_problem(loader->errors, statement, &bits_field, NULL, "%s", fault);
		return;
	}
	fault = ssh_key_words(type_words[draft->type], draft->bits, &type);
	if (fault)
		statement_problem(loader->errors, statement, &type_field, NULL, "%s", fault);
}

void ssh_key_read(struct loader *loader, const struct statement *statement, int index)
{
	lua_State *lua = loader->policy->lua;
	struct reader reader = {lua, &loader->policy->arena, loader->errors, statement};
	struct key_draft draft = {.type = KEY_ED25519, .replace = KEY_OURS};

	if (lua_type(lua, index) != LUA_TTABLE) {
		statement_problem(loader->errors, statement, NULL, NULL,
		    "needs a table: ssh_key { type = \"ed25519\" }, or ssh_key {}");
		push_refused(lua);
		return;
	}
	schema_read(&reader, key_fields, index, NULL, &draft);
	check_key(loader, statement, &draft);
	use_push(loader, &(struct secret_use){.source = SOURCE_SSH_KEY,
			     .ssh_key = {.type = (enum key_type)draft.type,
				 .bits = draft.bits ? draft.bits : bits_default(&draft),
				 .replace = (enum key_replace)draft.replace}});
}
