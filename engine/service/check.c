/* Checking: the policy as a whole, and where the vault can be had at once, what it lacks. */
#include "service/engine.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "service/held.h"
#include "service/shape.h"
#include "service/task.h"
#include "service/uses.h"

struct lacking {
	size_t unmanaged;
	size_t rotated; /* of these, what a rotation may take over */
	size_t admins;
	const char *admin_of; /* the first such asset */
	size_t bare;	      /* assets of which no secret is kept */
	const char *bare_one; /* the last such asset */
};

/* Assets of which secrets are kept, and which the policy has no more. */
struct gone {
	const struct policy *policy;
	size_t count;
	char name[ASSET_NAME_SIZE]; /* the last such asset */
};

/* ── Tasks ───────────────────────────────────────────────────────────────────────────────── */

/* Null where the secret is not drawn by a rule. */
static json_t *entropy_of(const struct task *task)
{
	return task->rule == NULL ? json_null() : json_real(rule_entropy_bits(task->rule));
}

json_t *task_shape_checked(struct request *request, const struct task *task)
{
	uint64_t now_ms = clock_wall_ms(loop_clock(request->service->loop));
	struct selection selection;
	json_t *shape;
	json_int_t accounts, assets;
	char secret[256], verify[32];
	enum err err = policy_select(request->policy, task, &selection, request->error);

	if (err != ERR_OK)
		return NULL;
	accounts = (json_int_t)selection.count;
	assets = (json_int_t)selection.asset_count;
	selection_clear(&selection);
	task_describe_secret(task, secret, sizeof(secret));
	task_describe_verify(task, verify, sizeof(verify));
	shape = json_pack("{s:o, s:s, s:I, s:I, s:o, s:o, s:s, s:b, s:o}", "name",
	    json_text(task->name), "kind", task_kind_name(task->kind), "accounts", accounts,
	    "assets", assets, "secret", json_text(secret), "entropy_bits", entropy_of(task),
	    "verify", verify, "active", task->active, "comment", shape_word(task->comment));
	task_shape_next(shape, task, now_ms);
	return shape;
}

static enum service_end check_tasks(struct request *request, json_t *tasks)
{
	const struct policy *policy = request->policy;

	for (size_t i = 0; i < policy_task_count(policy); i++) {
		json_t *shape = task_shape_checked(request, policy_task(policy, i));

		if (shape == NULL)
			return SERVICE_USAGE;
		json_array_append_new(tasks, shape);
	}
	return SERVICE_OK;
}

/* ── The vault ───────────────────────────────────────────────────────────────────────────── */

/* By su, root's secret is needed too. */
static bool admin_opens(const struct held *held, const struct asset *asset)
{
	return held_manages(held, asset->name, asset->admin) &&
	       (asset->become != BECOME_SU || held_manages(held, asset->name, "root"));
}

static void lacking_asset(
    struct lacking *lacking, const struct held *held, const struct asset *asset)
{
	bool any = held_find(held, asset->name, NULL) != NULL;

	lacking->bare += !any;
	lacking->bare_one = any ? lacking->bare_one : asset->name;
	for (size_t i = 0; i < asset->account_count; i++) {
		const char *account = asset->accounts[i];

		if (held_manages(held, asset->name, account))
			continue;
		lacking->unmanaged++;
		lacking->rotated += !asset_account_privileged(asset, account);
	}
	if (asset->admin == NULL || admin_opens(held, asset))
		return;
	lacking->admins++;
	if (lacking->admin_of == NULL)
		lacking->admin_of = asset->name;
}

static void warn(json_t *warnings, const char *text)
{
	json_array_append_new(warnings, json_pack("{s:n, s:n, s:s}", "file", "line", "text", text));
}

static void warn_lacking(const struct lacking *lacking, json_t *warnings)
{
	char text[512];

	if (lacking->rotated > 0) {
		snprintf(text, sizeof(text),
		    "%zu account%s no known secret yet: %s first rotation takes %s over (lockstep "
		    "account list --unmanaged)",
		    lacking->rotated, lacking->rotated == 1 ? " has" : "s have",
		    lacking->rotated == 1 ? "its" : "their", lacking->rotated == 1 ? "it" : "them");
		warn(warnings, text);
	}
	if (lacking->admins > 0) {
		snprintf(text, sizeof(text),
		    "%zu asset%s an admin (or, where become is su, root) without a secret, "
		    "and nothing can be changed there (skipped: no_admin): %s%s; lockstep account "
		    "import",
		    lacking->admins, lacking->admins == 1 ? " has" : "s have", lacking->admin_of,
		    lacking->admins == 1 ? "" : " …");
		warn(warnings, text);
	}
}

/* Accounts come in order of their assets. */
static void note_gone(struct gone *gone, const char *asset)
{
	if (policy_asset_find(gone->policy, asset) != NULL || strcmp(asset, gone->name) == 0)
		return;
	snprintf(gone->name, sizeof(gone->name), "%s", asset);
	gone->count++;
}

/* An asset that the inventory has under another name now looks like one lost and one gained. */
static void warn_renamed(const struct lacking *lacking, const struct policy *policy,
    const struct held *held, json_t *warnings)
{
	struct gone gone = {.policy = policy};
	char text[512 + 2 * ASSET_NAME_SIZE];

	for (size_t i = 0; lacking->bare > 0 && i < held->count; i++)
		note_gone(&gone, held->accounts[i].asset);
	if (gone.count == 0)
		return;
	snprintf(text, sizeof(text),
	    "%zu asset%s secrets in the vault and %s in the policy no more (%s%s); where one has "
	    "another name now: lockstep asset rename %s %s",
	    gone.count, gone.count == 1 ? " has" : "s have", gone.count == 1 ? "is" : "are",
	    gone.name, gone.count == 1 ? "" : " …", gone.name,
	    lacking->bare == 1 ? lacking->bare_one : "NEW");
	warn(warnings, text);
}

static void warn_not_kept(const struct policy *policy, const struct held *held, json_t *warnings)
{
	struct use use = {.at = 0};

	while (use_next(policy, &use)) {
		char text[512], where[192];

		if (json_object_get(held->secrets, use.secret) != NULL)
			continue;
		use_text(&use, where, sizeof(where));
		snprintf(text, sizeof(text),
		    "%s names secret \"%s\", which the vault does not hold: lockstep secret set %s",
		    where, use.secret, use.secret);
		warn(warnings, text);
	}
}

/* How many of the selection have a secret that is older than the task's max_age. */
static size_t count_overdue(const struct held *held, const struct task *task,
    const struct selection *selection, uint64_t now_ms)
{
	enum secret_kind kind = task->source == SOURCE_SSH_KEY ? SECRET_KEY : SECRET_PASSWORD;
	size_t count = 0;

	for (size_t i = 0; i < selection->count; i++) {
		const struct selected *item = &selection->items[i];
		const struct held_account *account =
		    held_find_kind(held, item->asset->name, item->account, kind);

		count += account != NULL && account->changed_ms != 0 &&
			 account->changed_ms + task->max_age_ms < now_ms;
	}
	return count;
}

static void warn_overdue_of(
    struct request *request, const struct task *task, const struct held *held, json_t *warnings)
{
	uint64_t now_ms = clock_wall_ms(loop_clock(request->service->loop));
	struct selection selection;
	struct error none;
	char text[512];
	size_t overdue;

	if (task->max_age_ms == 0 ||
	    policy_select(request->policy, task, &selection, &none) != ERR_OK)
		return;
	overdue = count_overdue(held, task, &selection, now_ms);
	selection_clear(&selection);
	if (overdue == 0)
		return;
	snprintf(text, sizeof(text),
	    "task \"%s\": %zu account%s a secret that is older than its max_age: lockstep run %s",
	    task->name, overdue, overdue == 1 ? " has" : "s have", task->name);
	warn(warnings, text);
}

static void warn_overdue(struct request *request, const struct held *held, json_t *warnings)
{
	for (size_t i = 0; i < policy_task_count(request->policy); i++)
		warn_overdue_of(request, policy_task(request->policy, i), held, warnings);
}

/* The number of accounts without a secret; null when the vault cannot be read now. */
static json_t *check_vault(struct request *request, json_t *warnings)
{
	const struct policy *policy = request->policy;
	struct lacking lacking = {.unmanaged = 0};
	struct held held;

	if (!held_read(request, &held))
		return json_null();
	for (size_t i = 0; i < policy_asset_count(policy); i++)
		lacking_asset(&lacking, &held, policy_asset(policy, i));
	warn_not_kept(policy, &held, warnings);
	warn_overdue(request, &held, warnings);
	warn_renamed(&lacking, policy, &held, warnings);
	held_clear(&held);
	warn_lacking(&lacking, warnings);
	return json_integer((json_int_t)lacking.unmanaged);
}

enum service_end check_run(struct request *request)
{
	const struct policy *policy = request->policy;
	json_t *tasks = json_array();
	json_t *warnings, *unmanaged;
	json_int_t assets = (json_int_t)policy_asset_count(policy);
	json_int_t platforms = (json_int_t)policy_platform_count(policy);

	if (check_tasks(request, tasks) != SERVICE_OK) {
		json_decref(tasks);
		return SERVICE_USAGE;
	}
	warnings = json_copy(request->snapshot->warnings);
	unmanaged = check_vault(request, warnings);
	request->result = json_pack("{s:b, s:I, s:I, s:o, s:o, s:o, s:[]}", "ok", 1, "assets",
	    assets, "platforms", platforms, "unmanaged", unmanaged, "tasks", tasks, "warnings",
	    warnings, "errors");
	return SERVICE_OK;
}
