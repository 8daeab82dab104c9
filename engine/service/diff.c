#include "service/diff.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "service/reload.h"
#include "service/notices.h"
#include "service/shape.h"
#include "service/task.h"

#define EXAMPLES 5

/* {count, examples}: of what is gained, lost or changed. */
struct some {
	json_int_t count;
	json_t *examples;
};

static void some_init(struct some *some)
{
	*some = (struct some){.examples = json_array()};
}

/* `name` becomes ours. */
static void some_add(struct some *some, json_t *name)
{
	if (some->count++ < EXAMPLES)
		json_array_append(some->examples, name);
	json_decref(name);
}

static json_t *some_shape(struct some *some)
{
	return json_pack("{s:I, s:o}", "count", some->count, "examples", some->examples);
}

/* ── Fields ──────────────────────────────────────────────────────────────────────────────── */

static void add_field(json_t *fields, const char *name, const json_t *was, const json_t *is)
{
	json_array_append_new(
	    fields, json_pack("{s:s, s:O?, s:O?}", "field", name, "was", was, "is", is));
}

/* Those of two objects with the same keys that differ. */
static json_t *fields_changed(const json_t *was, json_t *is)
{
	json_t *fields = json_array(), *value;
	const char *name;

	json_object_foreach(is, name, value)
	{
		const json_t *before = json_object_get(was, name);

		if (!json_equal(before, value))
			add_field(fields, name, before, value);
	}
	json_object_foreach((json_t *)(uintptr_t)was, name, value)
	{
		if (json_object_get(is, name) == NULL)
			add_field(fields, name, value, NULL);
	}
	return fields;
}

static void shape_listen(json_t *shape, const struct listen *listen)
{
	json_object_set_new(shape, "listen.address", json_text(listen->address));
	json_object_set_new(shape, "listen.certificate", json_text(listen->certificate));
	json_object_set_new(shape, "listen.key", json_text(listen->key));
	json_object_set_new(shape, "listen.client_ca", json_text(listen->client_ca));
}

static void shape_lending(json_t *shape, const struct settings *settings)
{
	json_object_set_new(
	    shape, "checkout.longest_ms", json_integer((json_int_t)settings->checkout_longest_ms));
	json_object_set_new(shape, "checkout.exclusive",
	    shape_addresses(settings->checkout_exclusive, settings->checkout_exclusive_count));
}

static json_t *shape_settings(const struct settings *settings)
{
	json_int_t in_flight = settings->in_flight, versions = settings->retention_versions;
	json_int_t gateway = settings->gateway_in_flight, wires = settings->wires;
	json_int_t deadline = (json_int_t)settings->change_deadline_ms;
	json_int_t drain = (json_int_t)settings->drain_ms;
	json_int_t connect = (json_int_t)settings->connect_timeout_ms;
	json_int_t login = (json_int_t)settings->login_timeout_ms;
	json_int_t records = (json_int_t)settings->retention_records_ms;
	char key[PATH_MAX];
	json_t *shape = json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:b}",
	    "secure_mode", settings->secure_mode, "in_flight", in_flight, "change_deadline_ms",
	    deadline, "drain_ms", drain, "connect_timeout_ms", connect, "login_timeout_ms", login,
	    "host_keys", settings->host_keys == HOST_KEYS_KNOWN ? "known" : "first_use",
	    "retention.records_ms", records, "retention.versions", versions, "gateway_in_flight",
	    gateway, "wires", wires, "sandbox", settings->sandbox);

	json_object_set_new(shape, "vault", json_text(settings->vault));
	json_object_set_new(shape, "master_key",
	    json_text(master_key_describe(&settings->master_key, key, sizeof(key))));
	json_object_set_new(shape, "socket", json_text(settings->socket));
	shape_listen(shape, &settings->listen);
	shape_lending(shape, settings);
	notices_shape(shape, settings);
	return shape;
}

static json_t *diff_settings(const struct policy *was, const struct policy *is)
{
	json_t *before = shape_settings(policy_settings(was));
	json_t *after = shape_settings(policy_settings(is));
	json_t *fields = fields_changed(before, after);

	json_decref(before);
	json_decref(after);
	return fields;
}

/* ── Sets in order of name ───────────────────────────────────────────────────────────────── */

struct sides {
	struct some gained, lost, changed;
};

static void sides_init(struct sides *sides)
{
	some_init(&sides->gained);
	some_init(&sides->lost);
	some_init(&sides->changed);
}

static bool sides_differ(const struct sides *sides)
{
	return sides->gained.count + sides->lost.count + sides->changed.count > 0;
}

static json_t *sides_shape(struct sides *sides, bool *differ)
{
	*differ = *differ || sides_differ(sides);
	return json_pack("{s:o, s:o, s:o}", "gained", some_shape(&sides->gained), "lost",
	    some_shape(&sides->lost), "changed", some_shape(&sides->changed));
}

/* Which of two lists has the next one: below 0 the first alone, above 0 the second alone. */
static int side(const char *was, const char *is)
{
	if (was == NULL || is == NULL)
		return was == NULL ? 1 : -1;
	return strcmp(was, is);
}

static json_t *diff_assets(const struct policy *was, const struct policy *is, bool *differ)
{
	size_t i = 0, k = 0, old = policy_asset_count(was), new = policy_asset_count(is);
	struct sides sides;

	sides_init(&sides);
	while (i < old || k < new) {
		const struct asset *a = i < old ? policy_asset(was, i) : NULL;
		const struct asset *b = k < new ? policy_asset(is, k) : NULL;
		int order = side(a == NULL ? NULL : a->name, b == NULL ? NULL : b->name);

		if (order < 0)
			some_add(&sides.lost, json_text(a->name));
		else if (order > 0)
			some_add(&sides.gained, json_text(b->name));
		else if (!asset_same(a, b))
			some_add(&sides.changed, json_text(a->name));
		i += order <= 0;
		k += order >= 0;
	}
	return sides_shape(&sides, differ);
}

static void diff_platform(
    struct sides *sides, const struct policy *was, const struct platform *platform)
{
	const struct platform *before = policy_platform_find(was, platform->name);

	if (before == NULL)
		some_add(&sides->gained, json_text(platform->name));
	else if (!platform_same(before, platform))
		some_add(&sides->changed, json_text(platform->name));
}

static json_t *diff_platforms(const struct policy *was, const struct policy *is, bool *differ)
{
	struct sides sides;

	sides_init(&sides);
	for (size_t i = 0; i < policy_platform_count(is); i++)
		diff_platform(&sides, was, policy_platform(is, i));
	for (size_t i = 0; i < policy_platform_count(was); i++)
		if (policy_platform_find(is, policy_platform(was, i)->name) == NULL)
			some_add(&sides.lost, json_text(policy_platform(was, i)->name));
	return sides_shape(&sides, differ);
}

/* ── Tasks ───────────────────────────────────────────────────────────────────────────────── */

/* All that is said of a task, as one object; its place in the files left out. */
static json_t *shape_task(const struct task *task)
{
	json_t *shape = json_object(), *limits;
	char schedule[256], key[64];
	const char *name;
	json_t *limit;

	task_describe_schedule(task, schedule, sizeof(schedule));
	task_shape_declared(shape, task);
	json_object_set_new(shape, "kind", json_string(task_kind_name(task->kind)));
	json_object_set_new(shape, "active", json_boolean(task->active));
	json_object_set_new(shape, "rotate_checked_out", json_boolean(task->rotate_checked_out));
	json_object_set_new(shape, "schedule", shape_word(schedule));
	json_object_set_new(shape, "params", shape_word(task->params));
	json_object_del(shape, "file");
	json_object_del(shape, "line");
	limits = json_incref(json_object_get(shape, "limits"));
	json_object_del(shape, "limits");
	json_object_foreach(limits, name, limit)
	{
		snprintf(key, sizeof(key), "limits.%s", name);
		json_object_set(shape, key, limit);
	}
	json_decref(limits);
	return shape;
}

static json_t *shape_selected(const struct selected *item)
{
	return json_pack("{s:o, s:o}", "asset", json_text(item->asset->name), "account",
	    json_text(item->account));
}

static int selected_side(const struct selected *was, const struct selected *is)
{
	int order =
	    side(was == NULL ? NULL : was->asset->name, is == NULL ? NULL : is->asset->name);

	return order != 0 ? order : strcmp(was->account, is->account);
}

static void diff_selections(
    const struct selection *was, const struct selection *is, struct some *gained, struct some *lost)
{
	size_t i = 0, k = 0;

	while (i < was->count || k < is->count) {
		const struct selected *a = i < was->count ? &was->items[i] : NULL;
		const struct selected *b = k < is->count ? &is->items[k] : NULL;
		int order = selected_side(a, b);

		if (order < 0)
			some_add(lost, shape_selected(a));
		else if (order > 0)
			some_add(gained, shape_selected(b));
		i += order <= 0;
		k += order >= 0;
	}
}

/* NULL = there is no such task, which selects nothing. */
static enum err select_of(const struct policy *policy, const struct task *task,
    struct selection *selection, struct error *error)
{
	*selection = (struct selection){.count = 0};
	return task == NULL ? ERR_OK : policy_select(policy, task, selection, error);
}

/* A task that one of the two may lack. */
struct pair {
	const struct policy *was, *is;
	const struct task *old, *new;
};

static enum err diff_accounts(
    const struct pair *pair, struct some *gained, struct some *lost, struct error *error)
{
	struct selection was, is;
	enum err err = select_of(pair->was, pair->old, &was, error);

	if (err != ERR_OK)
		return err;
	err = select_of(pair->is, pair->new, &is, error);
	if (err == ERR_OK) {
		diff_selections(&was, &is, gained, lost);
		selection_clear(&is);
	}
	selection_clear(&was);
	return err;
}

static const char *change_of(const struct pair *pair)
{
	return pair->old == NULL ? "gained" : pair->new == NULL ? "lost" : "changed";
}

static json_t *diff_fields(const struct pair *pair)
{
	json_t *was, *is, *fields;

	if (pair->old == NULL || pair->new == NULL)
		return json_array();
	was = shape_task(pair->old);
	is = shape_task(pair->new);
	fields = fields_changed(was, is);
	/* Rules may differ in what no word of theirs tells. */
	if (!rule_same(pair->old->rule, pair->new->rule) &&
	    json_equal(json_object_get(was, "secret"), json_object_get(is, "secret")))
		add_field(
		    fields, "rule", json_object_get(was, "secret"), json_object_get(is, "secret"));
	json_decref(was);
	json_decref(is);
	return fields;
}

/* Adds it where it differs. */
static enum err diff_task(const struct pair *pair, json_t *tasks, struct error *error)
{
	const struct task *task = pair->new != NULL ? pair->new : pair->old;
	struct some gained, lost;
	json_t *fields, *shape;
	enum err err;

	some_init(&gained);
	some_init(&lost);
	err = diff_accounts(pair, &gained, &lost, error);
	fields = diff_fields(pair);
	shape = json_pack("{s:o, s:s, s:o, s:o, s:o}", "name", json_text(task->name), "change",
	    change_of(pair), "fields", fields, "gained", some_shape(&gained), "lost",
	    some_shape(&lost));
	if (err == ERR_OK && (pair->old == NULL || pair->new == NULL ||
				 json_array_size(fields) > 0 || gained.count + lost.count > 0))
		json_array_append(tasks, shape);
	json_decref(shape);
	return err;
}

static enum err diff_tasks(
    const struct policy *was, const struct policy *is, json_t *tasks, struct error *error)
{
	size_t i = 0, k = 0, old = policy_task_count(was), new = policy_task_count(is);
	enum err err = ERR_OK;

	while (err == ERR_OK && (i < old || k < new)) {
		struct pair pair = {.was = was, .is = is};
		int order = side(i < old ? policy_task(was, i)->name : NULL,
		    k < new ? policy_task(is, k)->name : NULL);

		pair.old = order <= 0 ? policy_task(was, i) : NULL;
		pair.new = order >= 0 ? policy_task(is, k) : NULL;
		err = diff_task(&pair, tasks, error);
		i += order <= 0;
		k += order >= 0;
	}
	return err;
}

/* ── All ─────────────────────────────────────────────────────────────────────────────────── */

enum service_end diff_snapshots(const struct service *service, const struct snapshot *newest,
    json_t **result, struct error *error)
{
	const struct policy *was = service->snapshot->policy, *is = newest->policy;
	json_t *tasks = json_array(), *settings, *platforms, *assets;
	char dir[PATH_MAX];
	bool differ = false;

	if (diff_tasks(was, is, tasks, error) != ERR_OK) {
		json_decref(tasks);
		return SERVICE_USAGE;
	}
	settings = diff_settings(was, is);
	platforms = diff_platforms(was, is, &differ);
	assets = diff_assets(was, is, &differ);
	differ = differ || json_array_size(settings) > 0 || json_array_size(tasks) > 0;
	*result = json_pack("{s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "same", !differ, "dir",
	    json_text(realpath(service->dir, dir)), "loaded",
	    json_time(service->snapshot->loaded_ms), "settings", settings, "platforms", platforms,
	    "assets", assets, "tasks", tasks, "warnings", reload_warnings(service, newest));
	return differ ? SERVICE_SOME : SERVICE_OK;
}
