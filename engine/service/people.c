/* Users and roles: whom the policy declares, and who asks. */
#include "service/people.h"

#include "base/json.h"
#include "service/names.h"
#include "service/scope.h"
#include "service/shape.h"

static json_t *shape_texts(const char *const *texts, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, json_text(texts[i]));
	return array;
}

static json_t *shape_permissions(uint32_t permissions)
{
	json_t *array = json_array();

	for (int i = 0; i < PERMISSION_COUNT; i++)
		if ((permissions & 1U << i) != 0)
			json_array_append_new(
			    array, json_string(permission_name((enum permission)i)));
	return array;
}

static json_t *shape_role(const struct role *role)
{
	return json_pack("{s:s, s:o, s:o, s:o, s:b}", "name", role->name, "permissions",
	    shape_permissions(role->permissions), "nodes",
	    shape_texts(role->reach.nodes, role->reach.node_count), "tasks",
	    shape_texts(role->reach.tasks, role->reach.task_count), "reason", role->reason,
	    "approval", role->approval);
}

static json_t *shape_roles(const struct user *user)
{
	json_t *array = json_array();

	for (size_t i = 0; user != NULL && i < user->role_count; i++)
		json_array_append_new(array, json_text(user->roles[i]->name));
	return array;
}

/* {name, roles, permissions, uid, mail, nodes, tasks} */
static json_t *shape_user(const struct user *user)
{
	uint32_t permissions = 0;

	for (size_t i = 0; i < user->role_count; i++)
		permissions |= user->roles[i]->permissions;
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "name", user->name, "roles",
	    shape_roles(user), "permissions", shape_permissions(permissions), "uid",
	    user->uid < 0 ? json_null() : json_integer(user->uid), "mail", shape_word(user->mail),
	    "nodes", shape_texts(user->reach.nodes, user->reach.node_count), "tasks",
	    shape_texts(user->reach.tasks, user->reach.task_count));
}

static json_t *shape_kept(struct vault_txn *txn, const struct user *user)
{
	json_t *shape = shape_user(user);
	struct credentials credentials;

	if (credentials_get(txn, user->name, &credentials) != ERR_OK)
		credentials = (struct credentials){.enrolled_ms = 0};
	/* Since when they have a second factor, and a password; null = they have none. */
	json_object_set_new(shape, "enrolled", json_time(credentials.enrolled_ms));
	json_object_set_new(shape, "password", json_time(credentials.password_ms));
	json_object_set_new(
	    shape, "certificates", shape_texts(user->certificates, user->certificate_count));
	return shape;
}

enum service_end user_list(struct request *request)
{
	struct vault_txn *txn = request_read(request);

	if (txn == NULL)
		return SERVICE_NO_ENGINE;
	request->result = json_array();
	for (size_t i = 0; i < policy_user_count(request->policy); i++)
		json_array_append_new(
		    request->result, shape_kept(txn, policy_user(request->policy, i)));
	vault_read_end(txn);
	return SERVICE_OK;
}

/* For whoever may know of all of them, as user list has it. */
static const char *user_near(const struct request *request, const char *name)
{
	return person_may(&request->person, PERMIT_VIEW, "", "")
		   ? policy_user_nearest(request->policy, name)
		   : NULL;
}

const struct user *need_user(struct request *request, const char *name)
{
	const struct user *user = policy_user_find(request->policy, name);
	const char *nearest;

	if (user != NULL)
		return user;
	nearest = user_near(request, name);
	request_fail(request, SERVICE_USAGE, "there is no user \"%.64s\"; %s%s%s", name,
	    nearest == NULL ? "lockstep user list tells which there are" : "did you mean \"",
	    nearest == NULL ? "" : nearest, nearest == NULL ? "" : "\"?");
	return NULL;
}

const struct user *need_whose(struct request *request, const char *what, const char *another)
{
	const char *name = param_text(request, "user");
	const struct user *own = request->person.user, *user = own;

	if (!request_is_in_person(request, what))
		return NULL;
	if (name == NULL && own == NULL) {
		request_fail(request, SERVICE_USAGE,
		    "the policy declares no user for you: name one, or add user \"%s\" { uid = %u, "
		    "role = … }",
		    request->person.name, (unsigned)request->person.uid);
		return NULL;
	}
	if (name != NULL)
		user = need_user(request, name);
	request->permission = PERMIT_ADMIN;
	if (user == NULL || user == own || request_may(request, "", ""))
		return user;
	request_deny(request, another);
	return NULL;
}

enum service_end user_show(struct request *request)
{
	const char *name = param_need(request, "user");
	const struct user *user = name == NULL ? NULL : need_user(request, name);
	struct vault_txn *txn = user == NULL ? NULL : request_read(request);
	json_t *details;
	json_int_t line;

	if (user == NULL)
		return SERVICE_USAGE;
	if (txn == NULL)
		return SERVICE_NO_ENGINE;
	request->result = shape_kept(txn, user);
	vault_read_end(txn);
	details = json_array();
	for (size_t i = 0; i < user->role_count; i++)
		json_array_append_new(details, shape_role(user->roles[i]));
	line = (json_int_t)user->line;
	json_object_update_new(request->result, json_pack("{s:o, s:s, s:I}", "role_details",
						    details, "file", user->file, "line", line));
	return SERVICE_OK;
}

enum service_end whoami_show(struct request *request)
{
	const struct person *person = &request->person;
	json_t *uid = person->tls ? json_null() : json_integer(person->uid);

	request->result = json_pack("{s:o, s:o, s:s, s:b, s:b, s:o}", "name",
	    json_text(person->name), "uid", uid, "origin", person->origin, "owner", person->owner,
	    "declared", person->user != NULL, "roles", shape_roles(person->user));
	json_object_set_new(request->result, "token",
	    person->scope == NULL ? json_null() : json_text(person->scope->token.name));
	return SERVICE_OK;
}
