/* Tasks: what the policy says of them, when they are next run, and pausing their schedules. */
#include "service/audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "service/names.h"
#include "service/notices.h"
#include "service/shape.h"
#include "service/task.h"

#define NEXT_COUNT 5
#define NEXT_MAX   1000

static uint64_t now_ms(const struct request *request)
{
	return clock_wall_ms(loop_clock(request->service->loop));
}

/* ── Shapes ──────────────────────────────────────────────────────────────────────────────── */

static json_t *shape_duration(uint64_t ms)
{
	return ms == 0 ? json_null() : json_integer((json_int_t)ms);
}

static json_t *shape_schedule(const struct task *task)
{
	char words[256];

	task_describe_schedule(task, words, sizeof(words));
	return shape_word(words);
}

/* When it comes, as its zone shows that. */
static json_t *shape_local(const struct task *task, uint64_t at_ms)
{
	char words[64];

	task_describe_time(task, at_ms, words, sizeof(words));
	return json_text(words);
}

static void set_next(
    json_t *shape, const struct task *task, const struct task_state *state, uint64_t now)
{
	struct moment moment;
	bool comes = scheduler_foresee(task, state, now, &moment);
	uint64_t at_ms = comes && moment.start_ms < now ? now : moment.start_ms;

	json_object_set_new(shape, "next", comes ? json_time(at_ms) : json_null());
	json_object_set_new(shape, "next_local", comes ? shape_local(task, at_ms) : json_null());
}

void task_shape_next(json_t *shape, const struct task *task, uint64_t now)
{
	json_object_set_new(shape, "schedule", shape_schedule(task));
	set_next(shape, task, NULL, now);
}

static json_t *shape_pause(const struct task_state *state, uint64_t now)
{
	if (state == NULL || state->paused_ms == 0 ||
	    (state->until_ms != 0 && state->until_ms <= now))
		return json_null();
	return json_pack("{s:o, s:o, s:o, s:o}", "by", shape_word(state->paused_by), "why",
	    shape_word(state->paused_why), "since", json_time(state->paused_ms), "until",
	    json_time(state->until_ms));
}

/* The execution that its schedule began last; null where there was none, or it is kept no more. */
static json_t *shape_last(
    const struct service *service, struct vault_txn *txn, const struct task_state *state)
{
	struct execution execution;

	if (state == NULL || id_is_none(&state->execution) ||
	    execution_get(txn, &state->execution, &execution) != ERR_OK)
		return json_null();
	return shape_execution(&execution, txn, service);
}

static json_t *shape_task(struct request *request, struct vault_txn *txn, const struct task *task)
{
	struct task_state kept;
	const struct task_state *state =
	    task_state_get(txn, task->name, &kept) == ERR_OK ? &kept : NULL;
	uint64_t now = now_ms(request);
	json_t *shape = json_pack("{s:o, s:s, s:b, s:o, s:o, s:o}", "name", json_text(task->name),
	    "kind", task_kind_name(task->kind), "active", task->active, "schedule",
	    shape_schedule(task), "paused", shape_pause(state, now), "last",
	    shape_last(request->service, txn, state));

	set_next(shape, task, state, now);
	return shape;
}

/* ── How old secrets are ─────────────────────────────────────────────────────────────────── */

static bool is_overdue(
    struct vault_txn *txn, const struct task *task, const struct selected *item, uint64_t now)
{
	enum secret_kind kind = task->source == SOURCE_SSH_KEY ? SECRET_KEY : SECRET_PASSWORD;
	struct account account;

	return account_get(txn, item->asset->name, item->account, kind, &account) == ERR_OK &&
	       account.current != 0 && account.changed_ms + task->max_age_ms < now;
}

size_t task_overdue(
    struct vault_txn *txn, const struct task *task, const struct selection *selection, uint64_t now)
{
	size_t count = 0;

	for (size_t i = 0; task->max_age_ms > 0 && i < selection->count; i++)
		count += is_overdue(txn, task, &selection->items[i], now);
	return count;
}

/* ── list, show ──────────────────────────────────────────────────────────────────────────── */

enum service_end task_list(struct request *request)
{
	struct vault_txn *txn = request_read(request);

	if (txn == NULL)
		return SERVICE_NO_ENGINE;
	request->result = json_array();
	for (size_t i = 0; i < policy_task_count(request->policy); i++) {
		const struct task *task = policy_task(request->policy, i);

		if (request_may(request, NULL, task->name))
			json_array_append_new(request->result, shape_task(request, txn, task));
	}
	vault_read_end(txn);
	return SERVICE_OK;
}

static json_t *shape_portion(const struct portion *portion)
{
	char words[32];

	if (portion->count > 0)
		return json_integer((json_int_t)portion->count);
	if (portion->per_10000 == 0)
		return json_null();
	snprintf(words, sizeof(words), "%g%%", (double)portion->per_10000 / 100);
	return json_text(words);
}

static json_t *shape_limit(uint32_t limit)
{
	return limit == 0 ? json_null() : json_integer((json_int_t)limit);
}

static json_t *shape_limits(const struct limits *limits)
{
	json_int_t retries = limits->retries;

	return json_pack("{s:o, s:o, s:o, s:o, s:I, s:o, s:o}", "in_flight",
	    shape_limit(limits->in_flight), "per_second", shape_limit(limits->per_second),
	    "per_node", shape_limit(limits->per_node), "per_gateway",
	    shape_limit(limits->per_gateway), "retries", retries, "canary",
	    shape_portion(&limits->canary), "stop_after", shape_portion(&limits->stop_after));
}

void task_shape_declared(json_t *shape, const struct task *task)
{
	char secret[256], verify[32];
	json_int_t line = (json_int_t)task->line;

	task_describe_secret(task, secret, sizeof(secret));
	task_describe_verify(task, verify, sizeof(verify));
	json_object_update_new(shape,
	    json_pack("{s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:I}", "priority",
		priority_name(task->priority), "secret", json_text(secret), "verify", verify,
		"jitter_ms", shape_duration(task->schedule.jitter_ms), "catch_up_ms",
		task->schedule.kind == SCHEDULE_NONE ? json_null()
						     : shape_duration(task->schedule.catch_up_ms),
		"max_age_ms", shape_duration(task->max_age_ms), "limits",
		shape_limits(&task->limits), "recipients",
		shape_addresses(task->recipients, task->recipient_count), "comment",
		shape_word(task->comment), "file", task->file, "line", line));
}

enum service_end task_show(struct request *request)
{
	const char *name = param_need(request, "task");
	const struct task *task = name == NULL ? NULL : need_task(request, name);
	struct selection selection;
	struct vault_txn *txn;

	if (task == NULL)
		return SERVICE_USAGE;
	if (policy_select(request->policy, task, &selection, request->error) != ERR_OK)
		return SERVICE_USAGE;
	txn = request_read(request);
	if (txn != NULL) {
		json_int_t accounts = (json_int_t)selection.count;
		json_int_t assets = (json_int_t)selection.asset_count;
		json_int_t overdue =
		    (json_int_t)task_overdue(txn, task, &selection, now_ms(request));

		request->result = shape_task(request, txn, task);
		task_shape_declared(request->result, task);
		json_object_update_new(request->result,
		    json_pack("{s:I, s:I, s:o}", "accounts", accounts, "assets", assets, "overdue",
			task->max_age_ms == 0 ? json_null() : json_integer(overdue)));
		vault_read_end(txn);
	}
	selection_clear(&selection);
	return txn == NULL ? SERVICE_NO_ENGINE : SERVICE_OK;
}

/* ── next ────────────────────────────────────────────────────────────────────────────────── */

static json_t *shape_moment(const struct task *task, const struct moment *moment)
{
	bool bound = moment->until_ms != UINT64_MAX;

	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "task", json_text(task->name), "due",
	    json_time(moment->due_ms), "start", json_time(moment->start_ms), "start_local",
	    shape_local(task, moment->start_ms), "until",
	    bound ? json_time(moment->until_ms) : json_null());
}

static void add_moments(
    struct request *request, struct vault_txn *txn, const struct task *task, uint64_t count)
{
	struct task_state kept;
	const struct task_state *state =
	    task_state_get(txn, task->name, &kept) == ERR_OK ? &kept : NULL;
	struct moment moment;
	bool comes = scheduler_foresee(task, state, now_ms(request), &moment);

	for (; comes && count > 0; count--) {
		json_array_append_new(request->result, shape_moment(task, &moment));
		comes = task_next(task, moment.due_ms, &moment);
	}
}

static int by_start(const void *left, const void *right)
{
	const json_t *const *a = left, *const *b = right;
	int order = strcmp(json_string_value(json_object_get(*a, "start")),
	    json_string_value(json_object_get(*b, "start")));

	if (order != 0)
		return order;
	return strcmp(json_string_value(json_object_get(*a, "task")),
	    json_string_value(json_object_get(*b, "task")));
}

/* The first `count` of all, in order of time. */
static json_t *sorted(json_t *moments, uint64_t count)
{
	size_t size = json_array_size(moments);
	json_t **items = xcalloc(size + 1, sizeof(json_t *));
	json_t *first = json_array();

	for (size_t i = 0; i < size; i++)
		items[i] = json_array_get(moments, i);
	qsort(items, size, sizeof(json_t *), by_start);
	for (size_t i = 0; i < size && i < count; i++)
		json_array_append(first, items[i]);
	free(items);
	json_decref(moments);
	return first;
}

enum service_end task_next_request(struct request *request)
{
	const char *name = param_text(request, "task");
	const struct task *task = name == NULL ? NULL : need_task(request, name);
	struct vault_txn *txn;
	uint64_t count;

	if (name != NULL && task == NULL)
		return SERVICE_USAGE;
	if (!param_count(request, "count", NEXT_COUNT, &count))
		return SERVICE_USAGE;
	count = count < NEXT_MAX ? count : NEXT_MAX;
	txn = request_read(request);
	if (txn == NULL)
		return SERVICE_NO_ENGINE;
	request->result = json_array();
	for (size_t i = 0; i < policy_task_count(request->policy); i++) {
		const struct task *one = policy_task(request->policy, i);

		if ((task == NULL || task == one) && request_may(request, NULL, one->name))
			add_moments(request, txn, one, count);
	}
	vault_read_end(txn);
	request->result = sorted(request->result, count);
	return SERVICE_OK;
}

/* ── pause, resume ───────────────────────────────────────────────────────────────────────── */

struct pausing {
	const char *task, *by, *why;
	uint64_t now_ms, until_ms;
	bool pause;
};

static enum err pausing_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	const struct pausing *pausing = arg;
	struct task_state state = {.handled_ms = pausing->now_ms};
	enum err err = task_state_get(txn, pausing->task, &state);

	if (err != ERR_OK && err != ERR_NOT_FOUND)
		return error_set(
		    error, err, "what is kept of task \"%s\" cannot be read", pausing->task);
	snprintf(state.task, sizeof(state.task), "%s", pausing->task);
	snprintf(state.paused_by, sizeof(state.paused_by), "%s", pausing->by);
	snprintf(state.paused_why, sizeof(state.paused_why), "%s", pausing->why);
	/* What was due in a pause is not made up for. */
	if (!pausing->pause && state.paused_ms != 0)
		state.handled_ms = pausing->now_ms;
	state.paused_ms = pausing->pause ? pausing->now_ms : 0;
	state.until_ms = pausing->pause ? pausing->until_ms : 0;
	err = task_state_put(txn, &state);
	return err == ERR_OK ? ERR_OK
			     : error_set(error, err,
				   "what is kept of task \"%s\" cannot be written", pausing->task);
}

static enum service_end pausing_carry_out(struct request *request, struct pausing *pausing)
{
	const struct task *task = need_task(request, pausing->task);
	struct audit_event event = {
	    .what = pausing->pause ? AUDIT_PAUSE : AUDIT_RESUME,
	    .task = pausing->task,
	    .detail = pausing->why,
	};
	struct vault_txn *txn;

	if (task == NULL)
		return SERVICE_USAGE;
	if (!request_may(request, "", task->name))
		return request_deny(request, "all that the task selects");
	if (task->schedule.kind == SCHEDULE_NONE)
		return request_fail(request, SERVICE_USAGE,
		    "task \"%s\" (%s:%zu) has no schedule: there is nothing to pause", task->name,
		    task->file, task->line);
	if (request_write(request, pausing_apply, pausing, &event) != ERR_OK)
		return SERVICE_NO_ENGINE;
	if (request->service->scheduler != NULL)
		scheduler_look(request->service->scheduler);
	txn = request_read(request);
	if (txn == NULL)
		return SERVICE_NO_ENGINE;
	request->result = shape_task(request, txn, task);
	vault_read_end(txn);
	return SERVICE_OK;
}

/* "2d" from now. */
static bool read_until(struct request *request, struct pausing *pausing)
{
	const char *text = param_text(request, "for");
	unsigned long long ms;

	if (text == NULL)
		return true;
	if (!text_duration_ms(text, strlen(text), &ms) || ms == 0) {
		request_fail(request, SERVICE_USAGE,
		    "--for: \"%.32s\" is no span of time such as \"12h\" or \"2d\": name one",
		    text);
		return false;
	}
	pausing->until_ms = pausing->now_ms + ms;
	return true;
}

enum service_end task_pause(struct request *request)
{
	const char *why = param_text(request, "why");
	struct pausing pausing = {
	    .task = param_need(request, "task"),
	    .by = request->person.name,
	    .why = why != NULL ? why : "",
	    .now_ms = now_ms(request),
	    .pause = true,
	};

	if (pausing.task == NULL || !read_until(request, &pausing))
		return SERVICE_USAGE;
	return pausing_carry_out(request, &pausing);
}

enum service_end task_resume(struct request *request)
{
	struct pausing pausing = {
	    .task = param_need(request, "task"),
	    .by = "",
	    .why = "",
	    .now_ms = now_ms(request),
	};

	return pausing.task == NULL ? SERVICE_USAGE : pausing_carry_out(request, &pausing);
}
