/* The overview: how it stands with executions, records and accounts, from what is counted. */
#include "service/engine.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "service/account_rows.h"
#include "service/checkout.h"
#include "service/names.h"
#include "service/shape.h"

#define DAYS_DEFAULT 7
#define DAYS_MOST    30
#define FAILING_MOST 20 /* that are shown; all are counted */
#define DAY_S	     86400

/* Up to how many days old secrets are counted together. */
static const uint32_t age_days[] = {30, 90, 365, UINT32_MAX};
#define AGE_COUNT (sizeof(age_days) / sizeof(age_days[0]))

struct overview {
	struct request *request;
	struct vault_txn *txn;
	uint32_t today, first;
	struct counts days[DAYS_MOST]; /* of records, from `first` on */
	uint64_t executions[OUTCOME_COUNT];
	uint64_t ages[AGE_COUNT];
	json_t *failing;
};

/* ── Looking ─────────────────────────────────────────────────────────────────────────────── */

static void add_age(struct overview *overview, const struct day *day)
{
	uint32_t age = day->number < overview->today ? overview->today - day->number : 0;
	size_t at = 0;

	while (age > age_days[at])
		at++;
	overview->ages[at] += day->secrets;
}

static bool add_day(void *arg, const struct day *day)
{
	struct overview *overview = arg;

	add_age(overview, day);
	if (day->number < overview->first || day->number > overview->today)
		return true;
	overview->days[day->number - overview->first] = day->records;
	for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++)
		overview->executions[outcome] += day->executions[outcome];
	return true;
}

static bool add_failing(void *arg, const struct record *record)
{
	struct overview *overview = arg;

	json_array_append_new(overview->failing, shape_record(record, overview->txn));
	return json_array_size(overview->failing) < FAILING_MOST;
}

/* Declared accounts of which no secret is known. */
static json_int_t unmanaged_count(const struct policy *policy, struct vault_txn *txn)
{
	json_int_t count = 0;

	for (size_t i = 0; i < policy_asset_count(policy); i++) {
		const struct asset *asset = policy_asset(policy, i);

		for (size_t k = 0; k < asset->account_count; k++)
			count += !account_is_managed(txn, asset->name, asset->accounts[k]);
	}
	return count;
}

/* ── Telling ─────────────────────────────────────────────────────────────────────────────── */

static json_t *shape_day(uint32_t number)
{
	time_t at = (time_t)number * DAY_S;
	struct tm tm;
	char text[16] = "";

	if (gmtime_r(&at, &tm) != NULL)
		(void)strftime(text, sizeof(text), "%Y-%m-%d", &tm);
	return json_string(text);
}

static json_t *shape_records(const struct overview *overview)
{
	json_t *array = json_array();

	for (uint32_t number = overview->first; number <= overview->today; number++) {
		const struct counts *counts = &overview->days[number - overview->first];
		json_t *day = json_pack("{s:o}", "day", shape_day(number));

		for (int status = STATUS_SUCCESS; status < STATUS_COUNT; status++)
			json_object_set_new(day, status_name(status),
			    json_integer((json_int_t)counts->by_status[status]));
		json_array_append_new(array, day);
	}
	return array;
}

static json_t *shape_executions(const struct overview *overview)
{
	json_int_t running = (json_int_t)overview->executions[OUTCOME_RUNNING];
	json_int_t succeeded = (json_int_t)overview->executions[OUTCOME_SUCCEEDED];
	json_int_t failed = (json_int_t)overview->executions[OUTCOME_FAILED];

	return json_pack("{s:I, s:I, s:I, s:I}", "total", running + succeeded + failed, "succeeded",
	    succeeded, "with_failures", failed, "running", running);
}

static json_t *shape_accounts(const struct overview *overview, const struct totals *totals)
{
	json_t *accounts = json_object();

	for (int state = ACCOUNT_CURRENT; state < ACCOUNT_STATE_COUNT; state++)
		json_object_set_new(accounts, account_state_name(state),
		    json_integer((json_int_t)totals->accounts[state]));
	json_object_set_new(accounts, account_state_name(ACCOUNT_UNMANAGED),
	    json_integer(unmanaged_count(overview->request->policy, overview->txn)));
	return accounts;
}

static json_t *shape_ages(const struct overview *overview)
{
	json_t *array = json_array();

	for (size_t i = 0; i < AGE_COUNT; i++) {
		json_int_t days = age_days[i], accounts = (json_int_t)overview->ages[i];

		json_array_append_new(
		    array, json_pack("{s:o, s:I}", "up_to_days",
			       age_days[i] == UINT32_MAX ? json_null() : json_integer(days),
			       "accounts", accounts));
	}
	return array;
}

static json_t *shape_out(const struct overview *overview)
{
	struct checkout_counts counts;
	json_t *over = json_array();
	json_int_t out, left;

	checkouts_count(overview->txn, &counts, over);
	out = (json_int_t)counts.out, left = (json_int_t)counts.over;
	return json_pack("{s:I, s:I, s:o}", "out", out, "over", left, "accounts", over);
}

static json_t *shape_overview(const struct overview *overview)
{
	const struct settings *settings = policy_settings(overview->request->policy);
	json_int_t days = (json_int_t)overview->today - overview->first + 1, failing;
	struct totals totals;

	vault_totals(overview->txn, &totals);
	failing = (json_int_t)totals.failing;
	return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:{s:I, s:O}, s:b}", "days", days,
	    "executions", shape_executions(overview), "records", shape_records(overview),
	    "accounts", shape_accounts(overview, &totals), "checkouts", shape_out(overview), "ages",
	    shape_ages(overview), "failing", "total", failing, "records", overview->failing,
	    "sandbox", settings->sandbox);
}

static bool days_read(struct request *request, uint64_t *days)
{
	if (!param_count(request, "days", DAYS_DEFAULT, days))
		return false;
	if (*days == 1 || *days == DAYS_DEFAULT || *days == DAYS_MOST)
		return true;
	request_fail(request, SERVICE_USAGE, "--days: give 1, %d or %d", DAYS_DEFAULT, DAYS_MOST);
	return false;
}

enum service_end overview_show(struct request *request)
{
	struct overview overview = {.request = request};
	uint64_t now_ms = clock_wall_ms(loop_clock(request->service->loop)), days;
	const struct id newest = {{0}};

	if (!days_read(request, &days))
		return SERVICE_USAGE;
	overview.txn = request_read(request);
	if (overview.txn == NULL)
		return SERVICE_NO_ENGINE;
	overview.today = day_number(now_ms);
	overview.first = overview.today - (uint32_t)days + 1;
	overview.failing = json_array();
	day_each(overview.txn, 0, add_day, &overview);
	failing_each(overview.txn, &newest, add_failing, &overview);
	request->result = shape_overview(&overview);
	json_decref(overview.failing);
	vault_read_end(overview.txn);
	return SERVICE_OK;
}
