#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "policy/loader.h"
#include "policy/rule.h"

#define RETRIES_DEFAULT 2
#define RETRIES_MAX	10
#define PORTION_MAX	1000000
#define JITTER_MAX_MS	86400000u
#define MAX_AGE_MAX_MS	(36500 * 86400000ull)

/* ── Fields ──────────────────────────────────────────────────────────────────────────────── */

static void secret_read(struct reader *reader, const struct field_path *path, void *out)
{
	struct task_decl *decl = out;
	const struct secret_use *use = NULL;

	if (lua_type(reader->lua, -1) == LUA_TLIGHTUSERDATA && !is_refused(reader->lua))
		use = lua_touserdata(reader->lua, -1);
	if (use && use->value == VALUE_SECRET)
		decl->secret = use;
	else if (use)
		statement_problem(reader->errors, reader->statement, path, NULL,
		    "field \"secret\" must be random \"rule\", random { … }, specified \"name\" or "
		    "ssh_key { … }, not %s",
		    use->value == VALUE_NAMED ? "secret \"…\"" : "a schedule");
	else
		field_wrong(reader, path,
		    "random \"rule\", random { … }, specified \"name\" or ssh_key { … }");
}

#define PROOFS_ONE "\"login\", \"su\" or \"hash\""
#define PROOFS	   "\"login\", \"su\", \"hash\", a list of these, or false"

/* One proof, at the top; `listed`: of a list. */
static void proof_read(
    struct reader *reader, const struct field_path *path, bool listed, struct task *task)
{
	const char *text =
	    lua_type(reader->lua, -1) == LUA_TSTRING ? lua_tostring(reader->lua, -1) : "";
	enum verify verify = VERIFY_LOGIN;

	while (verify <= VERIFY_HASH && strcmp(text, verify_name(verify)) != 0)
		verify++;
	if (verify > VERIFY_HASH) {
		field_wrong(reader, path, listed ? "a list of " PROOFS_ONE : PROOFS);
		return;
	}
	for (size_t i = 0; i < task->verify_count; i++)
		if (task->verify[i] == verify) {
			field_fault(reader, path, "stands there twice");
			return;
		}
	task->verify[task->verify_count++] = verify;
}

static void verify_read(struct reader *reader, const struct field_path *path, void *out)
{
	struct task *task = &((struct task_decl *)out)->entry.task;
	lua_State *lua = reader->lua;
	size_t count;

	task->verify_count = 0;
	if (lua_type(lua, -1) == LUA_TBOOLEAN && !lua_toboolean(lua, -1))
		return;
	if (lua_type(lua, -1) != LUA_TTABLE) {
		proof_read(reader, path, false, task);
		return;
	}
	count = lua_rawlen(lua, -1);
	if (count == 0 || count > VERIFY_MAX) {
		field_wrong(reader, path, PROOFS);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		lua_rawgeti(lua, -1, (lua_Integer)i + 1);
		proof_read(reader, path, true, task);
		lua_pop(lua, 1);
	}
}

/* "5%" or "0.5%" into parts of 10000; 0 for anything else. */
static uint32_t percent_read(const char *text)
{
	size_t whole = strspn(text, "0123456789"), rest = 0;
	uint32_t parts;

	if (whole == 0 || whole > 3)
		return 0;
	parts = (uint32_t)strtoul(text, NULL, 10) * 100;
	text += whole;
	if (*text == '.') {
		text++;
		rest = strspn(text, "0123456789");
		if (rest == 0 || rest > 2)
			return 0;
		parts += (uint32_t)strtoul(text, NULL, 10) * (rest == 1 ? 10 : 1);
	}
	return strcmp(text + rest, "%") == 0 && parts <= 10000 ? parts : 0;
}

static void portion_read(
    struct reader *reader, const struct field_path *path, struct portion *portion)
{
	struct portion read = {.count = 0};
	lua_Integer count = lua_tointeger(reader->lua, -1);

	if (lua_type(reader->lua, -1) == LUA_TSTRING)
		read.per_10000 = percent_read(lua_tostring(reader->lua, -1));
	else if (lua_isinteger(reader->lua, -1) && count > 0 && count <= PORTION_MAX)
		read.count = (uint32_t)count;
	if (read.count == 0 && read.per_10000 == 0)
		field_wrong(reader, path,
		    "a whole number above 0, or a part such as \"5%\" (up to \"100%\")");
	else
		*portion = read;
}

static void canary_read(struct reader *reader, const struct field_path *path, void *out)
{
	portion_read(reader, path, &((struct task_decl *)out)->entry.task.limits.canary);
}

static void stop_after_read(struct reader *reader, const struct field_path *path, void *out)
{
	portion_read(reader, path, &((struct task_decl *)out)->entry.task.limits.stop_after);
}

static const char *const kind_words[] = {[TASK_CHANGE] = "change", [TASK_VERIFY] = "verify", NULL};

static const char *const priority_words[] = {
    [PRIORITY_LOW] = "low", [PRIORITY_NORMAL] = "normal", [PRIORITY_HIGH] = "high", NULL};

const char *task_kind_name(enum task_kind kind)
{
	return kind_words[kind];
}

const char *priority_name(enum priority priority)
{
	return priority_words[priority];
}

size_t portion_of(const struct portion *portion, size_t total)
{
	size_t some = portion->count;

	if (portion->per_10000 > 0)
		some = (size_t)((uint64_t)total * portion->per_10000 / 10000);
	if (some == 0)
		some = 1;
	return some < total ? some : total;
}

#define AT(member)    offsetof(struct task_decl, member)
#define TASK(member)  AT(entry.task.member)
#define SCOPE(member) AT(entry.scope.member)
#define LIMIT(member) TASK(limits.member)

static const struct field exclude_fields[] = {
    {.name = "accounts",
	.type = FIELD_NAMES,
	.offset = SCOPE(not_accounts),
	.fault = pattern_fault},
    {.name = "assets", .type = FIELD_NAMES, .offset = SCOPE(not_assets), .fault = pattern_fault},
    {.name = "nodes", .type = FIELD_NAMES, .offset = SCOPE(not_nodes), .fault = node_pattern_fault},
    {0},
};

static const struct field limits_fields[] = {
    {.name = "in_flight", .type = FIELD_COUNT, .offset = LIMIT(in_flight), .min = 1, .max = 20000},
    {.name = "per_second",
	.type = FIELD_COUNT,
	.offset = LIMIT(per_second),
	.min = 1,
	.max = 10000},
    {.name = "per_node", .type = FIELD_COUNT, .offset = LIMIT(per_node), .min = 1, .max = 20000},
    {.name = "per_gateway",
	.type = FIELD_COUNT,
	.offset = LIMIT(per_gateway),
	.min = 1,
	.max = 20000},
    {.name = "retries",
	.type = FIELD_COUNT,
	.offset = LIMIT(retries),
	.min = 0,
	.max = RETRIES_MAX},
    {.name = "canary", .type = FIELD_OWN, .read = canary_read},
    {.name = "stop_after", .type = FIELD_OWN, .read = stop_after_read},
    {0},
};

static const struct field task_fields[] = {
    {.name = "kind", .type = FIELD_CHOICE, .offset = TASK(kind), .words = kind_words},
    {.name = "accounts", .type = FIELD_NAMES, .offset = SCOPE(accounts), .fault = pattern_fault},
    {.name = "assets", .type = FIELD_NAMES, .offset = SCOPE(assets), .fault = pattern_fault},
    {.name = "nodes", .type = FIELD_NAMES, .offset = SCOPE(nodes), .fault = node_pattern_fault},
    {.name = "where", .type = FIELD_FUNCTION, .offset = SCOPE(where)},
    {.name = "exclude", .type = FIELD_TABLE, .fields = exclude_fields},
    {.name = "secret", .type = FIELD_OWN, .read = secret_read},
    {.name = "verify", .type = FIELD_OWN, .read = verify_read},
    {.name = "limits", .type = FIELD_TABLE, .fields = limits_fields},
    {.name = "priority", .type = FIELD_CHOICE, .offset = TASK(priority), .words = priority_words},
    {.name = "active", .type = FIELD_FLAG, .offset = TASK(active)},
    {.name = "rotate_checked_out", .type = FIELD_FLAG, .offset = TASK(rotate_checked_out)},
    {.name = "comment", .type = FIELD_TEXT, .offset = TASK(comment)},
    {.name = "schedule", .type = FIELD_OWN, .read = schedule_read},
    {.name = "zone", .type = FIELD_OWN, .read = zone_read},
    {.name = "window", .type = FIELD_OWN, .read = window_read},
    {.name = "jitter",
	.type = FIELD_DURATION,
	.offset = TASK(schedule.jitter_ms),
	.min = 1000,
	.max = JITTER_MAX_MS},
    {.name = "catch_up", .type = FIELD_OWN, .read = catch_up_read},
    {.name = "params", .type = FIELD_OWN, .read = params_read},
    {.name = "max_age",
	.type = FIELD_DURATION,
	.offset = TASK(max_age_ms),
	.min = 3600000,
	.max = MAX_AGE_MAX_MS},
    {.name = "recipients", .type = FIELD_OWN, .read = recipients_read},
    {0},
};

static void check_scope(
    struct loader *loader, const struct statement *statement, const struct scope *scope)
{
	if (scope->accounts.count == 0)
		statement_problem(loader->errors, statement, NULL, NULL,
		    "selects no account; say which: accounts = { \"app\" }, or accounts = \"*\" "
		    "for all that are declared");
	if (scope->assets.count == 0 && scope->nodes.count == 0)
		statement_problem(loader->errors, statement, NULL, NULL,
		    "selects no asset; say which: nodes = { \"/prod\" } or assets = { \"web1\" }");
}

void task_read(struct loader *loader, const struct statement *statement, int index)
{
	struct reader reader = {
	    loader->policy->lua, &loader->policy->arena, loader->errors, statement};
	size_t before = loader->errors->count + loader->errors->more;
	struct task_decl *decl = arena_alloc(reader.arena, sizeof(*decl));
	struct task *task = &decl->entry.task;

	*task = (struct task){
	    .name = statement->name,
	    .verify = {VERIFY_LOGIN},
	    .verify_count = 1,
	    .priority = PRIORITY_NORMAL,
	    .limits = {.retries = RETRIES_DEFAULT},
	    .schedule = {.catch_up_ms = CATCH_UP_DEFAULT_MS},
	    .active = true,
	    .file = statement->file,
	    .line = statement->line,
	};
	decl->entry.scope.where = LUA_NOREF;
	decl->entry.statement = statement;
	schema_read(&reader, task_fields, index, NULL, decl);
	if (loader->errors->count + loader->errors->more == before)
		check_scope(loader, statement, &decl->entry.scope);
	loader->task_count++;
	STAILQ_INSERT_TAIL(&loader->tasks, decl, link);
}

/* ── Into the snapshot ───────────────────────────────────────────────────────────────────── */

static const struct rule *find_rule(
    struct loader *loader, const struct task_decl *decl, const char *name)
{
	static const struct field_path field = {.name = "secret"};
	const struct rule *rule = rule_find(loader, name);

	if (!rule)
		statement_problem(loader->errors, decl->entry.statement, &field,
		    rule_nearest(loader, name), "there is no rule \"%s\"", name);
	return rule;
}

static void secret_build(struct loader *loader, struct task_decl *decl)
{
	struct task *task = &decl->entry.task;
	const struct secret_use *use = decl->secret;

	if (task->kind == TASK_VERIFY)
		return;
	if (!use) {
		task->rule = rule_default(loader, decl->entry.statement);
		return;
	}
	task->source = use->source;
	task->specified = use->specified;
	task->ssh_key = use->ssh_key;
	task->rule = use->rule_name ? find_rule(loader, decl, use->rule_name) : use->rule;
}

/* What only sees whether secrets work sets none, and nothing beside. */
static void check_kind(struct loader *loader, const struct task_decl *decl)
{
	static const struct field_path secret = {.name = "secret"}, params = {.name = "params"};
	const struct task_entry *entry = &decl->entry;

	if (entry->task.kind != TASK_VERIFY)
		return;
	if (decl->secret)
		statement_problem(loader->errors, entry->statement, &secret, NULL,
		    "field \"secret\": a task of kind \"verify\" sets none: take it out");
	if (entry->task.params)
		statement_problem(loader->errors, entry->statement, &params, NULL,
		    "field \"params\": a task of kind \"verify\" changes nothing: take it out");
	if (entry->task.verify_count == 0)
		statement_problem(loader->errors, entry->statement,
		    &(struct field_path){.name = "verify"}, NULL,
		    "field \"verify\": a task of kind \"verify\" does nothing else: name a proof");
}

/* Nothing but a login tells whether a key opens. */
static void check_proofs(struct loader *loader, const struct task_entry *entry)
{
	static const struct field_path field = {.name = "verify"};
	const struct task *task = &entry->task;

	for (size_t i = 0; task->source == SOURCE_SSH_KEY && i < task->verify_count; i++)
		if (task->verify[i] != VERIFY_LOGIN)
			statement_problem(loader->errors, entry->statement, &field, NULL,
			    "an SSH key is proved by \"login\" alone, not by \"%s\"",
			    verify_name(task->verify[i]));
}

static int entry_compare(const void *left, const void *right)
{
	const struct task_entry *a = left, *b = right;
	int order = strcmp(a->task.name, b->task.name);

	return order ? order : strcmp(a->task.file, b->task.file);
}

static void check_doubles(struct loader *loader)
{
	const struct policy *policy = loader->policy;

	for (size_t i = 1; i < policy->task_count; i++) {
		const struct task *first = &policy->tasks[i - 1].task;

		if (strcmp(first->name, policy->tasks[i].task.name) == 0)
			statement_problem(loader->errors, policy->tasks[i].statement, NULL, NULL,
			    "is declared in %s:%zu already", first->file, first->line);
	}
}

void tasks_build(struct loader *loader)
{
	struct policy *policy = loader->policy;
	struct task_decl *decl;

	rules_check(loader);
	policy->tasks =
	    arena_alloc(&policy->arena, (loader->task_count + 1) * sizeof(policy->tasks[0]));
	STAILQ_FOREACH (decl, &loader->tasks, link) {
		secret_build(loader, decl);
		check_kind(loader, decl);
		check_proofs(loader, &decl->entry);
		schedule_check(loader, &decl->entry);
		task_recipients_build(loader, decl);
		policy->tasks[policy->task_count++] = decl->entry;
	}
	qsort(policy->tasks, policy->task_count, sizeof(policy->tasks[0]), entry_compare);
	check_doubles(loader);
}
