/*
 * Checking a policy as a whole: what no single statement can know.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "policy/loader.h"
#include "policy/rule.h"

#define NAMED_MAX 5 /* examples in a warning */

/* ── Tasks against platforms ─────────────────────────────────────────────────────────────── */

/* What the platform refuses of the rule's secrets, in words. False when nothing. */
static bool refusal(
    const struct rule *rule, const struct platform *platform, char *out, size_t size)
{
	char held = rule_may_hold(rule, platform->password_refuse);
	size_t longest = rule_longest(rule), shortest = rule_shortest(rule);
	const char *makes = longest == shortest ? "makes" : "may make";

	if (longest > platform->password_longest)
		snprintf(out, size, "%s %zu characters, but platform \"%s\" takes at most %u",
		    makes, longest, platform->name, platform->password_longest);
	else if (shortest < platform->password_shortest)
		snprintf(out, size,
		    "%s only %zu characters, but platform \"%s\" asks for at least %u", makes,
		    shortest, platform->name, platform->password_shortest);
	else if (held)
		snprintf(out, size, "may make \"%c\", which platform \"%s\" refuses", held,
		    platform->name);
	else
		return false;
	return true;
}

static void check_rule(struct loader *loader, const struct task_entry *task,
    const struct asset *asset, const struct platform *platform)
{
	static const struct field_path field = {.name = "secret"};
	char title[160], why[320];

	if (task->task.source != SOURCE_RANDOM)
		return;
	rule_title(task->task.rule, title, sizeof(title));
	if (refusal(task->task.rule, platform, why, sizeof(why)))
		statement_problem(loader->errors, task->statement, &field, NULL,
		    "%s %s (asset \"%s\")", title, why, asset->name);
}

/* What the task needs the platform to be able to. */
static void check_functions(struct loader *loader, const struct task_entry *task,
    const struct asset *asset, const struct platform *platform)
{
	static const struct field_path secret = {.name = "secret"}, verify = {.name = "verify"};
	bool key = task->task.source == SOURCE_SSH_KEY;

	if (key ? !platform->change_key : !platform->change_password)
		statement_problem(loader->errors, task->statement, &secret, NULL,
		    "platform \"%s\" has no %s, and cannot change %s (asset \"%s\")",
		    platform->name, key ? "change_key" : "change_password",
		    key ? "SSH keys" : "passwords", asset->name);
	if (task->task.verify_count == 1 && task->task.verify[0] == VERIFY_HASH &&
	    !platform->read_hash)
		statement_problem(loader->errors, task->statement, &verify, NULL,
		    "platform \"%s\" has no read_hash, and \"hash\" proves nothing there (asset "
		    "\"%s\")",
		    platform->name, asset->name);
}

static void check_platform(struct loader *loader, const struct task_entry *task,
    const struct asset *asset, const struct platform *platform)
{
	if (task->task.kind == TASK_VERIFY)
		return;
	check_rule(loader, task, asset, platform);
	check_functions(loader, task, asset, platform);
	params_check(loader, task, asset);
}

/* Each platform once, with the first asset that has it. */
static void check_platforms(
    struct loader *loader, const struct task_entry *task, const struct selection *selection)
{
	const struct platform_entry *platforms = loader->policy->platforms;
	bool *seen = xcalloc(loader->policy->platform_count + 1, sizeof(*seen));

	for (size_t i = 0; i < selection->count; i++) {
		const struct asset *asset = selection->items[i].asset;
		const struct platform_entry *entry =
		    policy_platform_entry(loader->policy, asset->platform);

		if (seen[entry - platforms])
			continue;
		seen[entry - platforms] = true;
		check_platform(loader, task, asset, &entry->platform);
	}
	free(seen);
}

/* ── Warnings ────────────────────────────────────────────────────────────────────────────── */

static bool account_selected(const struct selection *selection, const char *pattern)
{
	for (size_t i = 0; i < selection->count; i++)
		if (text_glob(pattern, selection->items[i].account))
			return true;
	return false;
}

static bool node_used(const struct policy *policy, const char *pattern)
{
	for (size_t i = 0; i < policy->asset_count; i++)
		if (node_matches(pattern, policy->assets[i].node))
			return true;
	return false;
}

static bool asset_named(const struct policy *policy, const char *pattern)
{
	if (!strchr(pattern, '*'))
		return policy_asset_find(policy, pattern) != NULL;
	for (size_t i = 0; i < policy->asset_count; i++)
		if (text_glob(pattern, policy->assets[i].name))
			return true;
	return false;
}

static void warn_scope(struct loader *loader, const struct task_entry *task)
{
	static const struct field_path assets = {.name = "assets"}, nodes = {.name = "nodes"};
	const struct policy *policy = loader->policy;

	for (size_t i = 0; i < task->scope.assets.count; i++) {
		const char *name = task->scope.assets.items[i];

		if (!asset_named(policy, name))
			statement_problem(loader->warnings, task->statement, &assets,
			    meant_asset(policy, loader->warnings, name), "there is no asset \"%s\"",
			    name);
	}
	for (size_t i = 0; i < task->scope.nodes.count; i++)
		if (!node_used(policy, task->scope.nodes.items[i]))
			statement_problem(loader->warnings, task->statement, &nodes, NULL,
			    "no asset is at or below node \"%s\"", task->scope.nodes.items[i]);
}

static void warn_accounts(
    struct loader *loader, const struct task_entry *task, const struct selection *selection)
{
	static const struct field_path field = {.name = "accounts"};

	for (size_t i = 0; i < task->scope.accounts.count; i++) {
		const char *pattern = task->scope.accounts.items[i];

		if (!names_match(&task->scope.not_accounts, pattern) &&
		    !account_selected(selection, pattern))
			statement_problem(loader->warnings, task->statement, &field, NULL,
			    "account \"%s\" is declared on none of the assets that this task "
			    "selects",
			    pattern);
	}
}

static void warn_admins(struct loader *loader)
{
	const struct policy *policy = loader->policy;
	char names[512];
	size_t count = 0, used = 0;

	for (size_t i = 0; i < policy->asset_count; i++) {
		if (policy->assets[i].admin)
			continue;
		if (count++ < NAMED_MAX && used < sizeof(names))
			used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s",
			    used ? ", " : "", policy->assets[i].name);
	}
	if (count > 0)
		problem_add(loader->warnings, NULL, 0,
		    "%zu asset%s no admin, and nothing can be changed there (skipped: no_admin): "
		    "%s%s",
		    count, count == 1 ? " has" : "s have", names, count > NAMED_MAX ? ", …" : "");
}

/* ── Two tasks for one account ───────────────────────────────────────────────────────────── */

/* A task with a schedule that changes accounts, and which. */
struct scheduled {
	const struct task_entry *task;
	struct selection selection;
	size_t at; /* before it are those of the assets that were looked at */
};

struct schedules {
	struct scheduled *items; /* in order of the tasks' names */
	size_t count;
};

/* One account of an asset that is looked at. */
struct change {
	const struct task_entry *task;
	const char *account;
};

struct changes {
	struct change *items;
	size_t count, room;
};

/* An account's password and its key are two things. */
static int same_compare(const struct change *a, const struct change *b)
{
	bool a_key = a->task->task.source == SOURCE_SSH_KEY;
	bool b_key = b->task->task.source == SOURCE_SSH_KEY;
	int order = strcmp(a->account, b->account);

	return order != 0 ? order : (a_key > b_key) - (a_key < b_key);
}

static int change_compare(const void *left, const void *right)
{
	const struct change *a = left, *b = right;
	int order = same_compare(a, b);

	return order != 0 ? order : strcmp(a->task->task.name, b->task->task.name);
}

static void changes_add(struct changes *changes, const struct task_entry *task, const char *account)
{
	if (changes->count == changes->room) {
		changes->room = changes->room ? 2 * changes->room : 64;
		changes->items =
		    xrealloc(changes->items, changes->room * sizeof(changes->items[0]));
	}
	changes->items[changes->count++] = (struct change){task, account};
}

/* What the tasks change of the asset, which follows those that were asked for before. */
static void changes_collect(
    struct changes *changes, struct schedules *schedules, const struct asset *asset)
{
	changes->count = 0;
	for (size_t i = 0; i < schedules->count; i++) {
		struct scheduled *scheduled = &schedules->items[i];
		const struct selection *selection = &scheduled->selection;

		for (; scheduled->at < selection->count &&
		       selection->items[scheduled->at].asset == asset;
		     scheduled->at++)
			changes_add(
			    changes, scheduled->task, selection->items[scheduled->at].account);
	}
}

/* Once for each two tasks: the same text is kept once. */
static void warn_of_asset(struct loader *loader, const struct changes *changes)
{
	const struct change *items = changes->items;

	if (changes->count > 1)
		qsort(changes->items, changes->count, sizeof(*items), change_compare);
	for (size_t i = 1; i < changes->count; i++) {
		const struct task *first = &items[i - 1].task->task;

		if (same_compare(&items[i - 1], &items[i]) == 0)
			statement_problem(loader->warnings, items[i].task->statement, NULL, NULL,
			    "selects accounts that task \"%s\" (%s:%zu) selects too, and both have "
			    "a schedule: let one of them exclude the other's",
			    first->name, first->file, first->line);
	}
}

static void warn_changed_twice(struct loader *loader, struct schedules *schedules)
{
	const struct policy *policy = loader->policy;
	struct changes changes = {.count = 0};

	for (size_t i = 0; i < policy->asset_count; i++) {
		changes_collect(&changes, schedules, &policy->assets[i]);
		warn_of_asset(loader, &changes);
	}
	free(changes.items);
}

static void schedules_add(struct schedules *schedules, const struct task_entry *task,
    const struct selection *selection /* transferred */)
{
	schedules->items =
	    xrealloc(schedules->items, (schedules->count + 1) * sizeof(schedules->items[0]));
	schedules->items[schedules->count++] =
	    (struct scheduled){.task = task, .selection = *selection};
}

static void schedules_clear(struct schedules *schedules)
{
	for (size_t i = 0; i < schedules->count; i++)
		selection_clear(&schedules->items[i].selection);
	free(schedules->items);
}

/* ── All ─────────────────────────────────────────────────────────────────────────────────── */

static void check_task(
    struct loader *loader, const struct task_entry *task, struct schedules *schedules)
{
	struct selection selection;
	struct error error;

	if (policy_select(loader->policy, &task->task, &selection, &error) != ERR_OK) {
		problem_add(loader->errors, NULL, 0, "%s", error.text);
		return;
	}
	check_platforms(loader, task, &selection);
	warn_scope(loader, task);
	warn_accounts(loader, task, &selection);
	if (task->task.schedule.kind != SCHEDULE_NONE && task->task.active &&
	    task->task.kind == TASK_CHANGE)
		schedules_add(schedules, task, &selection);
	else
		selection_clear(&selection);
}

void policy_check(struct loader *loader)
{
	struct schedules schedules = {.count = 0};

	for (size_t i = 0; i < loader->policy->task_count; i++)
		check_task(loader, &loader->policy->tasks[i], &schedules);
	if (schedules.count > 1)
		warn_changed_twice(loader, &schedules);
	schedules_clear(&schedules);
	warn_admins(loader);
}
