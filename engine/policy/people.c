/* People: `user` and `role`, from the files to the snapshot. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "policy/certificate.h"
#include "policy/loader.h"

#define ALL_PERMISSIONS ((1U << PERMISSION_COUNT) - 1)
#define UID_NOBODY	UINT32_MAX /* the kernel's word for no user */
#define UID_OVERFLOW	65534	   /* and for one that it cannot name here */

/* What a policy need not declare; one that it does declare stands in its place. */
static const struct role shipped[] = {
    {.name = "admin", .permissions = ALL_PERMISSIONS},
    {.name = "auditor", .permissions = 1U << PERMIT_VIEW | 1U << PERMIT_AUDIT},
    {.name = "operator", .permissions = 1U << PERMIT_VIEW | 1U << PERMIT_RUN},
    {.name = "viewer", .permissions = 1U << PERMIT_VIEW},
};

/* ── Roles ───────────────────────────────────────────────────────────────────────────────── */

#define AT(member) offsetof(struct role_decl, member)

static const struct field role_fields[] = {
    {.name = "nodes", .type = FIELD_NAMES, .offset = AT(nodes), .fault = node_pattern_fault},
    {.name = "tasks", .type = FIELD_NAMES, .offset = AT(tasks), .fault = pattern_fault},
    {.name = "reason", .type = FIELD_FLAG, .offset = AT(role.reason)},
    {.name = "approval", .type = FIELD_FLAG, .offset = AT(role.approval)},
    {0},
};

#undef AT

/* One permission, on top of the stack. */
static void permission_read(const struct reader *reader, struct role *role)
{
	const char *word =
	    lua_type(reader->lua, -1) == LUA_TSTRING ? lua_tostring(reader->lua, -1) : "";
	enum permission permission = permission_named(word);
	char shown[64];

	text_escape(shown, sizeof(shown), word, strlen(word));
	if (permission < PERMISSION_COUNT)
		role->permissions |= 1U << permission;
	else if (permission_nearest(word) != NULL)
		statement_problem(reader->errors, reader->statement, NULL, permission_nearest(word),
		    "unknown permission \"%s\"", shown);
	else
		statement_problem(reader->errors, reader->statement, NULL, NULL,
		    "unknown permission \"%s\"; there are view, run, edit, reveal, approve, "
		    "audit and admin",
		    shown);
}

/* Takes them out of a copy, so that what is left has names. */
static void permissions_read(const struct reader *reader, int index, struct role *role)
{
	lua_State *lua = reader->lua;

	lua_newtable(lua);
	for (lua_pushnil(lua); lua_next(lua, index); lua_pop(lua, 1)) {
		if (lua_isinteger(lua, -2)) {
			permission_read(reader, role);
			continue;
		}
		lua_pushvalue(lua, -2);
		lua_pushvalue(lua, -2);
		lua_rawset(lua, -5);
	}
}

void role_read(struct loader *loader, const struct statement *statement, int index)
{
	struct reader reader = {
	    loader->policy->lua, &loader->policy->arena, loader->errors, statement};
	size_t before = loader->errors->count + loader->errors->more;
	struct role_decl *decl = arena_alloc(reader.arena, sizeof(*decl));

	*decl = (struct role_decl){
	    .role = {.name = statement->name, .file = statement->file, .line = statement->line},
	    .statement = statement};
	lua_checkstack(reader.lua, 8);
	permissions_read(&reader, index, &decl->role);
	schema_read(&reader, role_fields, lua_gettop(reader.lua), NULL, decl);
	lua_pop(reader.lua, 1);
	if (decl->role.permissions == 0 && loader->errors->count + loader->errors->more == before)
		statement_problem(loader->errors, statement, NULL, NULL,
		    "permits nothing; say what: role \"%s\" { \"view\", \"run\" }",
		    statement->name);
	loader->role_count++;
	STAILQ_INSERT_TAIL(&loader->roles, decl, link);
}

/* ── Users ───────────────────────────────────────────────────────────────────────────────── */

#define AT(member) offsetof(struct user_decl, member)

static void uid_read(struct reader *reader, const struct field_path *path, void *out)
{
	struct user_decl *decl = out;
	uint32_t uid;

	if (!field_number(reader, path, 0, UID_NOBODY - 1, &uid))
		return;
	if (uid == UID_OVERFLOW)
		field_fault(reader, path,
		    "is what the kernel says of everyone whom it cannot name: give them an id of "
		    "their own");
	else
		decl->user.uid = uid;
}

static const struct field user_fields[] = {
    {.name = "role", .type = FIELD_NAMES, .offset = AT(roles), .fault = name_fault},
    {.name = "uid", .type = FIELD_OWN, .read = uid_read},
    {.name = "certificate",
	.type = FIELD_NAMES,
	.offset = AT(certificates),
	.fault = certificate_fault},
    {.name = "mail", .type = FIELD_TEXT, .offset = AT(user.mail), .fault = mail_fault},
    {.name = "nodes", .type = FIELD_NAMES, .offset = AT(nodes), .fault = node_pattern_fault},
    {.name = "tasks", .type = FIELD_NAMES, .offset = AT(tasks), .fault = pattern_fault},
    {0},
};

void user_read(struct loader *loader, const struct statement *statement, int index)
{
	struct reader reader = {
	    loader->policy->lua, &loader->policy->arena, loader->errors, statement};
	size_t before = loader->errors->count + loader->errors->more;
	struct user_decl *decl = arena_alloc(reader.arena, sizeof(*decl));
	const char *fault = user_fault(statement->name);

	*decl = (struct user_decl){.user = {.name = statement->name,
				       .uid = -1,
				       .file = statement->file,
				       .line = statement->line},
	    .statement = statement};
	if (fault)
		statement_problem(loader->errors, statement, NULL, NULL, "the name %s", fault);
	schema_read(&reader, user_fields, index, NULL, decl);
	if (decl->roles.count == 0 && loader->errors->count + loader->errors->more == before)
		statement_problem(loader->errors, statement, NULL, NULL,
		    "has no role, and may do nothing; give one: role = \"operator\"");
	loader->user_count++;
	STAILQ_INSERT_TAIL(&loader->users, decl, link);
}

/* ── Into the snapshot: roles ────────────────────────────────────────────────────────────── */

static struct reach reach_of(const struct names *nodes, const struct names *tasks)
{
	return (struct reach){.nodes = nodes->items,
	    .node_count = nodes->count,
	    .tasks = tasks->items,
	    .task_count = tasks->count};
}

static int role_compare(const void *left, const void *right)
{
	const struct role *a = left, *b = right;

	return strcmp(a->name, b->name);
}

static struct role *role_find(const struct policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->role_count; i++)
		if (strcmp(policy->roles[i].name, name) == 0)
			return &policy->roles[i];
	return NULL;
}

static void role_build(struct loader *loader, struct role_decl *decl)
{
	struct policy *policy = loader->policy;
	struct role *there = role_find(policy, decl->role.name);

	decl->role.reach = reach_of(&decl->nodes, &decl->tasks);
	if (there == NULL)
		policy->roles[policy->role_count++] = decl->role;
	else if (there->file == NULL)
		*there = decl->role;
	else
		statement_problem(loader->errors, decl->statement, NULL, NULL,
		    "is declared in %s:%zu already", there->file, there->line);
}

static void roles_build(struct loader *loader)
{
	struct policy *policy = loader->policy;
	size_t shipped_count = sizeof(shipped) / sizeof(shipped[0]);
	struct role_decl *decl;

	policy->roles = arena_alloc(
	    &policy->arena, (loader->role_count + shipped_count) * sizeof(policy->roles[0]));
	for (size_t i = 0; i < shipped_count; i++)
		policy->roles[policy->role_count++] = shipped[i];
	STAILQ_FOREACH (decl, &loader->roles, link)
		role_build(loader, decl);
	qsort(policy->roles, policy->role_count, sizeof(policy->roles[0]), role_compare);
}

/* ── Into the snapshot: users ────────────────────────────────────────────────────────────── */

static const char *role_nearest(const struct policy *policy, const char *name)
{
	const char **names = xcalloc(policy->role_count + 1, sizeof(*names));
	const char *nearest;

	for (size_t i = 0; i < policy->role_count; i++)
		names[i] = policy->roles[i].name;
	nearest = text_nearest(name, names, policy->role_count);
	free(names);
	return nearest;
}

static void user_take_roles(struct loader *loader, struct user_decl *decl)
{
	static const struct field_path field = {.name = "role"};
	struct policy *policy = loader->policy;
	const struct role **roles =
	    arena_alloc(&policy->arena, (decl->roles.count + 1) * sizeof(struct role *));

	for (size_t i = 0; i < decl->roles.count; i++) {
		const char *name = decl->roles.items[i];
		const struct role *role = role_find(policy, name);

		if (role == NULL)
			statement_problem(loader->errors, decl->statement, &field,
			    role_nearest(policy, name), "there is no role \"%s\"", name);
		else
			roles[decl->user.role_count++] = role;
	}
	decl->user.roles = roles;
}

static int user_compare(const void *left, const void *right)
{
	const struct user *a = left, *b = right;
	int order = strcmp(a->name, b->name);

	return order ? order : strcmp(a->file, b->file);
}

static const struct user *user_of_uid(
    const struct policy *policy, int64_t uid, const struct user *but)
{
	for (size_t i = 0; uid >= 0 && i < policy->user_count; i++)
		if (policy->users[i].uid == uid && &policy->users[i] != but)
			return &policy->users[i];
	return NULL;
}

static void users_check(struct loader *loader)
{
	static const struct field_path field = {.name = "uid"};
	const struct policy *policy = loader->policy;
	struct user_decl *decl;

	STAILQ_FOREACH (decl, &loader->users, link) {
		const struct user *first = policy_user_find(policy, decl->user.name), *other;

		while (first > policy->users && strcmp(first[-1].name, first->name) == 0)
			first--;
		other = user_of_uid(policy, decl->user.uid, first);
		if (first->line != decl->user.line || strcmp(first->file, decl->user.file) != 0)
			statement_problem(loader->errors, decl->statement, NULL, NULL,
			    "is declared in %s:%zu already", first->file, first->line);
		else if (other != NULL && strcmp(other->name, decl->user.name) > 0)
			statement_problem(loader->errors, decl->statement, &field, NULL,
			    "user id %lld is user \"%s\"'s already (%s:%zu): the kernel says the "
			    "id alone, so one id is one person",
			    (long long)decl->user.uid, other->name, other->file, other->line);
	}
}

/* ── What deserves a warning ─────────────────────────────────────────────────────────────── */

static bool role_is_had(const struct policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->user_count; i++)
		for (size_t k = 0; k < policy->users[i].role_count; k++)
			if (strcmp(policy->users[i].roles[k]->name, name) == 0)
				return true;
	return false;
}

static void warn_of_nodes(
    struct loader *loader, const struct statement *statement, const struct names *nodes)
{
	static const struct field_path field = {.name = "nodes"};
	const struct policy *policy = loader->policy;

	for (size_t i = 0; i < nodes->count; i++) {
		size_t k = 0;

		while (k < policy->asset_count &&
		       !node_matches(nodes->items[i], policy->assets[k].node))
			k++;
		if (k == policy->asset_count)
			statement_problem(loader->warnings, statement, &field, NULL,
			    "no asset is at or below node \"%s\"", nodes->items[i]);
	}
}

static void people_warn(struct loader *loader)
{
	const struct role_decl *role;
	const struct user_decl *user;

	STAILQ_FOREACH (role, &loader->roles, link) {
		warn_of_nodes(loader, role->statement, &role->nodes);
		if (!role_is_had(loader->policy, role->role.name))
			statement_problem(
			    loader->warnings, role->statement, NULL, NULL, "no user has it");
	}
	STAILQ_FOREACH (user, &loader->users, link)
		warn_of_nodes(loader, user->statement, &user->nodes);
}

void people_build(struct loader *loader)
{
	struct policy *policy = loader->policy;
	struct user_decl *decl;

	roles_build(loader);
	policy->users =
	    arena_alloc(&policy->arena, (loader->user_count + 1) * sizeof(policy->users[0]));
	STAILQ_FOREACH (decl, &loader->users, link) {
		user_take_roles(loader, decl);
		decl->user.reach = reach_of(&decl->nodes, &decl->tasks);
		decl->user.certificates = decl->certificates.items;
		decl->user.certificate_count = decl->certificates.count;
		policy->users[policy->user_count++] = decl->user;
	}
	qsort(policy->users, policy->user_count, sizeof(policy->users[0]), user_compare);
	users_check(loader);
	certificates_check(loader);
	if (loader->errors->count == 0)
		people_warn(loader);
}
