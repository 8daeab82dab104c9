#include "service/filter.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "service/names.h"
#include "service/shape.h"

bool filter_is_given(const struct request *request)
{
	static const char *const texts[] = {
	    "status", "task", "asset", "account", "reason", "since"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (param_text(request, texts[i]) != NULL)
			return true;
	return param_flag(request, "problems");
}

/* ── Reading ─────────────────────────────────────────────────────────────────────────────── */

/* -1 where none is given. */
static bool status_read(struct request *request, int *out)
{
	const char *status = param_text(request, "status");

	*out = -1;
	if (status == NULL)
		return true;
	for (*out = 0; *out < STATUS_COUNT; ++*out)
		if (strcmp(status_name((enum status) * out), status) == 0)
			return true;
	request_fail(request, SERVICE_USAGE,
	    "--status: there is no status \"%.32s\": give success, failed, unverified, skipped, "
	    "planned or "
	    "staged",
	    status);
	return false;
}

/* "2026-11-24", "2026-11-24 09:41", "2026-11-24T09:41:07", with a Z in UTC. -1 for no time. */
static int64_t time_read(const char *text)
{
	struct tm tm = {.tm_isdst = -1};
	int used = 0, more = 0;
	const char *rest;

	if (sscanf(text, "%4d-%2d-%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &used) != 3)
		return -1;
	if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31)
		return -1;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	rest = text + used;
	if (*rest == 'T' || *rest == ' ') {
		if (sscanf(rest + 1, "%2d:%2d%n", &tm.tm_hour, &tm.tm_min, &more) != 2)
			return -1;
		rest += 1 + more;
		if (*rest == ':' && sscanf(rest + 1, "%2d%n", &tm.tm_sec, &more) == 1)
			rest += 1 + more;
	}
	if (strcmp(rest, "Z") == 0)
		return timegm(&tm);
	return *rest == '\0' ? mktime(&tm) : -1;
}

bool param_since(struct request *request, uint64_t *since_ms)
{
	const char *text = param_text(request, "since");
	uint64_t now_ms = clock_wall_ms(loop_clock(request->service->loop));
	unsigned long long ago_ms;
	int64_t at_s;

	*since_ms = 0;
	if (text == NULL)
		return true;
	if (text_duration_ms(text, strlen(text), &ago_ms)) {
		*since_ms = now_ms > ago_ms ? now_ms - ago_ms : 0;
		return true;
	}
	at_s = time_read(text);
	if (at_s >= 0) {
		*since_ms = (uint64_t)at_s * 1000;
		return true;
	}
	request_fail(request, SERVICE_USAGE,
	    "--since: \"%.64s\" is no time: give how long ago (\"2d\", \"90m\") or a date "
	    "(\"2026-11-24\", \"2026-11-24 09:41\")",
	    text);
	return false;
}

enum service_end filter_read(
    struct request *request, struct vault_txn *txn, struct record_filter *filter)
{
	const char *id = param_text(request, "execution");
	struct execution execution;

	*filter = (struct record_filter){
	    .task = param_text(request, "task"),
	    .asset = param_text(request, "asset"),
	    .account = param_text(request, "account"),
	    .reason = param_text(request, "reason"),
	    .problems = param_flag(request, "problems"),
	    .ignored = param_flag(request, "ignored"),
	    .request = request,
	};
	if (!status_read(request, &filter->status) || !param_since(request, &filter->since_ms))
		return SERVICE_USAGE;
	if (id == NULL)
		return SERVICE_OK;
	if (execution_find(txn, id, &execution, request->error) != ERR_OK)
		return SERVICE_USAGE;
	filter->execution = execution.id;
	return SERVICE_OK;
}

/* ── Choosing ────────────────────────────────────────────────────────────────────────────── */

/* A record has its asset's name of then; at which node that is, only the policy knows. */
static bool asset_is_meant(const struct record_filter *filter, const char *name)
{
	const struct asset *asset;

	if (filter->asset == NULL)
		return true;
	if (filter->asset[0] != '/')
		return text_glob(filter->asset, name);
	asset = policy_asset_find(filter->request->policy, name);
	return asset != NULL && asset_meant(asset, filter->asset);
}

/* A reason, or the code of the error: people see one of them. */
static bool reason_is(const struct record *record, const char *reason)
{
	return strcmp(record->reason, reason) == 0 || strcmp(record->error_code, reason) == 0;
}

bool filter_takes(const struct record_filter *filter, const struct record *record)
{
	if (!request_sees_record(filter->request, record))
		return false;
	if (filter->status >= 0 && (int)record->status != filter->status)
		return false;
	if (filter->status == STATUS_FAILED && record->ignored_ms != 0 && !filter->ignored)
		return false;
	if (filter->task != NULL && !text_glob(filter->task, record->task))
		return false;
	if (filter->account != NULL && !text_glob(filter->account, record->account))
		return false;
	if (filter->reason != NULL && !reason_is(record, filter->reason))
		return false;
	if (filter->problems && record_is_fine(record))
		return false;
	return asset_is_meant(filter, record->asset);
}

struct walk {
	struct vault_txn *txn;
	const struct record_filter *filter;
	filter_walk_fn fn;
	void *arg;
	struct id execution;
	bool stopped;
};

static bool walk_record(void *arg, const struct record *record)
{
	struct walk *walk = arg;

	walk->stopped = !walk->fn(walk->arg, &walk->execution, record);
	return !walk->stopped;
}

/* Of what went wrong the vault has an index: nothing else is looked at. */
static void walk_records(struct walk *walk, const struct id *execution, const struct id *after)
{
	int status = walk->filter->status;

	walk->execution = *execution;
	if (status == STATUS_FAILED || status == STATUS_UNVERIFIED)
		record_each_with(
		    walk->txn, execution, (enum status)status, after, walk_record, walk);
	else
		record_each(walk->txn, execution, after, walk_record, walk);
	walk->stopped = walk->stopped || !walk->fn(walk->arg, execution, NULL);
}

static bool walk_execution(void *arg, const struct execution *execution)
{
	struct walk *walk = arg;
	const struct record_filter *filter = walk->filter;
	const struct id first = {{0}};

	if (execution->started_ms < filter->since_ms)
		return false;
	if (filter->task == NULL || text_glob(filter->task, execution->task))
		walk_records(walk, &execution->id, &first);
	else
		walk->stopped = !walk->fn(walk->arg, &execution->id, NULL);
	return !walk->stopped;
}

void filter_walk(struct vault_txn *txn, const struct record_filter *filter,
    const struct record_place *from, filter_walk_fn fn, void *arg)
{
	struct walk walk = {.txn = txn, .filter = filter, .fn = fn, .arg = arg};
	bool inside = !id_is_none(&from->record), one = !id_is_none(&filter->execution);
	const struct id *execution = one ? &filter->execution : &from->execution;

	if (inside || (one && id_is_none(&from->execution)))
		walk_records(&walk, execution, &from->record);
	if (!one && !walk.stopped)
		execution_each(txn, &from->execution, walk_execution, &walk);
}

struct each {
	const struct record_filter *filter;
	bool (*fn)(void *arg, const struct record *);
	void *arg;
};

static bool each_record(void *arg, const struct id *execution, const struct record *record)
{
	const struct each *each = arg;

	(void)execution;
	return record == NULL || !filter_takes(each->filter, record) || each->fn(each->arg, record);
}

void filter_each(struct vault_txn *txn, const struct record_filter *filter,
    bool (*fn)(void *arg, const struct record *), void *arg)
{
	struct each each = {.filter = filter, .fn = fn, .arg = arg};
	const struct record_place first = {.execution = {{0}}};

	filter_walk(txn, filter, &first, each_record, &each);
}
