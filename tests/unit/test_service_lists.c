/* What is kept, asked for: lists with their filters, an execution's log, an account's history. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/loop.h"
#include "service.h"
#include "vault.h"

#define DAY_MS UINT64_C(86400000)

static char top[] = "/tmp/test-lists.XXXXXX";
static char dir[64];
static struct id executions[2], records[5];
static uint64_t now_ms;

/* ── What is kept ────────────────────────────────────────────────────────────────────────── */

/* A clock that says what the test wants; nothing here waits. */
struct set_clock {
	struct clock clock;
	uint64_t wall_ms;
};

static uint64_t set_wall(struct clock *clock)
{
	return ((struct set_clock *)(void *)clock)->wall_ms;
}

static const struct clock_ops set_ops = {.wall_ms = set_wall, .mono_ms = set_wall};
static struct set_clock at = {.clock = {&set_ops}};

static enum err fill_executions(struct vault_txn *txn)
{
	enum err err = ERR_OK;

	for (int i = 0; err == ERR_OK && i < 2; i++) {
		struct execution execution = {
		    .id = executions[i],
		    .started_ms = now_ms - (uint64_t)(10 - 9 * i) * DAY_MS,
		    .ended_ms = now_ms - (uint64_t)(10 - 9 * i) * DAY_MS + 900,
		};

		snprintf(execution.task, sizeof(execution.task), "linux-weekly");
		snprintf(execution.trigger, sizeof(execution.trigger), "manual");
		err = execution_put(txn, &execution);
	}
	return err;
}

static enum err put(struct vault_txn *txn, int i, int execution, const char *account,
    enum status status, const char *reason, const char *code)
{
	uint64_t start_ms = now_ms - (uint64_t)(10 - 9 * execution) * DAY_MS;
	struct record record = {
	    .id = records[i],
	    .execution = executions[execution],
	    .status = status,
	    .planned_ms = start_ms + (uint64_t)i,
	    .staged_ms = status == STATUS_SKIPPED ? 0 : start_ms + 100,
	    .sent_ms = status == STATUS_SKIPPED ? 0 : start_ms + 200,
	    .proved_ms = status == STATUS_SUCCESS ? start_ms + 300 : 0,
	    .ended_ms = start_ms + 400,
	    .new_version = 2,
	    .proof = status == STATUS_SUCCESS ? PROOF_LOGIN : PROOF_NONE,
	    .attempts = 1,
	    .sends = status == STATUS_SKIPPED ? 0 : 2,
	};

	snprintf(record.task, sizeof(record.task), "%s", i == 4 ? "" : "linux-weekly");
	snprintf(record.asset, sizeof(record.asset), i == 2 ? "db1" : "web1");
	snprintf(record.account, sizeof(record.account), "%s", account);
	snprintf(record.reason, sizeof(record.reason), "%s", reason);
	snprintf(record.error_code, sizeof(record.error_code), "%s", code);
	snprintf(record.error_class, sizeof(record.error_class), "%s", code[0] ? "permanent" : "");
	return record_put(txn, &record);
}

static enum err fill_old(struct vault_txn *txn, void *arg, struct error *error)
{
	struct secret *first = secret_from("one", 3), *second = secret_from("two", 3);
	struct account account;
	enum err err = fill_executions(txn);

	(void)arg;
	if (err == ERR_OK)
		err = put(txn, 0, 0, "app", STATUS_SUCCESS, "", "");
	if (err == ERR_OK)
		err = put(txn, 1, 0, "deploy", STATUS_FAILED, "", "auth");
	if (err == ERR_OK)
		err = put(txn, 2, 1, "postgres", STATUS_SKIPPED, "locked", "");
	if (err == ERR_OK)
		err = put(txn, 3, 1, "app", STATUS_FAILED, "", "lost");
	if (err == ERR_OK)
		err = put(txn, 4, 1, "ops", STATUS_FAILED, "mismatch", "");
	if (err == ERR_OK)
		err =
		    account_tell(txn, "web1", "app", SECRET_PASSWORD, first, NULL, &account, error);
	if (err == ERR_OK)
		err = account_stage(
		    txn, "web1", "app", SECRET_PASSWORD, second, &records[0], &account, error);
	if (err == ERR_OK)
		err = account_promote(
		    txn, "web1", "app", SECRET_PASSWORD, PROOF_LOGIN, &account, error);
	if (err == ERR_OK)
		err =
		    account_tell(txn, "old9", "app", SECRET_PASSWORD, first, NULL, &account, error);
	secret_free(first);
	secret_free(second);
	return err;
}

static enum err fill_new(struct vault_txn *txn, void *arg, struct error *error)
{
	struct secret *secret = secret_from("three", 5);
	struct account account;
	enum err err =
	    account_tell(txn, "db1", "ops", SECRET_PASSWORD, secret, NULL, &account, error);

	(void)arg;
	if (err == ERR_OK)
		err = account_stage(
		    txn, "db1", "postgres", SECRET_PASSWORD, secret, &records[2], &account, error);
	secret_free(secret);
	return err;
}

/* An id of that time: this process may have made a later one already. */
static struct id made_at(uint64_t wall_ms)
{
	struct id id = {{0}};

	for (size_t i = 0; i < 6; i++)
		id.bytes[i] = (uint8_t)(wall_ms >> (8 * (5 - i)));
	return id;
}

static void fill(void)
{
	char vault_dir[80], key[80];
	struct vault_config config = {
	    .dir = vault_dir, .key_path = key, .purpose = "test", .clock = &at.clock};
	struct error error;
	struct vault *vault;

	snprintf(vault_dir, sizeof(vault_dir), "%s/vault", dir);
	snprintf(key, sizeof(key), "%s/master.key", dir);
	if (vault_open(&vault, &config, &error) != ERR_OK)
		fail_msg("%s", error.text);
	for (int i = 0; i < 2; i++)
		executions[i] = made_at(now_ms - (uint64_t)(10 - 9 * i) * DAY_MS);
	for (int i = 0; i < 5; i++)
		records[i] = made_at(now_ms + (uint64_t)i * 1000);
	at.wall_ms = now_ms - 10 * DAY_MS;
	assert_int_equal(vault_write(vault, fill_old, NULL, &error), ERR_OK);
	at.wall_ms = now_ms;
	assert_int_equal(vault_write(vault, fill_new, NULL, &error), ERR_OK);
	vault_close(vault);
}

static int set_up(void **state)
{
	struct loop *loop = loop_new();
	struct error error;
	json_t *result;
	bool locked;

	(void)state;
	json_init();
	assert_int_equal(secret_heap_init((size_t)1 << 20, &locked, &error), ERR_OK);
	now_ms = clock_wall_ms(loop_clock(loop));
	loop_free(loop);
	if (mkdtemp(top) == NULL)
		return 1;
	snprintf(dir, sizeof(dir), "%s/ops", top);
	if (service_init(dir, &result, &error) != SERVICE_OK)
		fail_msg("%s", error.text);
	json_decref(result);
	fill();
	return 0;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", top);
	return system(command);
}

/* ── Asking ──────────────────────────────────────────────────────────────────────────────── */

static json_t *ask(const char *method, json_t *params)
{
	struct service_config config = {.dir = dir, .purpose = "test"};
	struct service *service = service_new(&config);
	struct error error;
	json_t *result;

	if (service_call(service, method, params, &result, &error) != SERVICE_OK)
		fail_msg("%s: %s", method, error.text);
	service_free(service);
	json_decref(params);
	return result;
}

static void refused(const char *method, json_t *params, const char *why)
{
	struct service_config config = {.dir = dir, .purpose = "test"};
	struct service *service = service_new(&config);
	struct error error = {.code = ERR_OK};
	json_t *result;

	assert_int_equal(service_call(service, method, params, &result, &error), SERVICE_USAGE);
	json_decref(result);
	service_free(service);
	json_decref(params);
	if (strstr(error.text, why) == NULL)
		fail_msg("%s: \"%s\" has no \"%s\"", method, error.text, why);
}

static const char *text(const json_t *object, const char *key)
{
	const char *found = json_string_value(json_object_get(object, key));

	return found == NULL ? "" : found;
}

/* The accounts of a list, as "asset/account asset/account ". */
static void expect(json_t *list, const char *expected)
{
	char found[256] = "";
	size_t used = 0;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);

		used += (size_t)snprintf(found + used, sizeof(found) - used, "%s/%s ",
		    text(item, "asset"), text(item, "account"));
	}
	json_decref(list);
	assert_string_equal(found, expected);
}

static void test_records_by_filter(void **state)
{
	char id[ID_TEXT_SIZE];

	(void)state;
	expect(ask("record.list", json_object()),
	    "db1/postgres web1/app web1/ops web1/app web1/deploy ");
	expect(ask("record.list", json_pack("{s:s}", "status", "failed")),
	    "web1/app web1/ops web1/deploy ");
	expect(ask("record.list", json_pack("{s:s, s:s}", "status", "failed", "since", "2d")),
	    "web1/app web1/ops ");
	expect(ask("record.list", json_pack("{s:s}", "since", "2019-01-01 08:00")),
	    "db1/postgres web1/app web1/ops web1/app web1/deploy ");
	expect(ask("record.list", json_pack("{s:s}", "since", "2219-01-01T08:00:00Z")), "");
	expect(ask("record.list", json_pack("{s:s}", "reason", "locked")), "db1/postgres ");
	expect(ask("record.list", json_pack("{s:s}", "reason", "auth")), "web1/deploy ");
	expect(ask("record.list", json_pack("{s:s}", "asset", "w*1")),
	    "web1/app web1/ops web1/app web1/deploy ");
	expect(ask("record.list", json_pack("{s:s}", "asset", "/prod/db")), "db1/postgres ");
	expect(ask("record.list", json_pack("{s:s}", "account", "d*")), "web1/deploy ");
	expect(ask("record.list", json_pack("{s:s}", "task", "other")), "");
	expect(ask("record.list", json_pack("{s:s}", "task", "linux*")),
	    "db1/postgres web1/app web1/app web1/deploy ");
	expect(ask("record.list", json_pack("{s:s, s:s}", "execution", id_text(&executions[0], id),
				      "account", "app")),
	    "web1/app ");
	expect(ask("record.list", json_pack("{s:s}", "limit", "1")), "db1/postgres ");
	refused("record.list", json_pack("{s:s}", "since", "2019-13-01"), "is no time");
	refused("record.list", json_pack("{s:s}", "since", "2019-01-01 8"), "is no time");
	refused("record.list", json_pack("{s:s}", "since", "2019-01-01Tx"), "is no time");
}

static void test_accounts_by_filter(void **state)
{
	(void)state;
	expect(ask("account.list", json_pack("{s:b}", "orphaned", 1)), "old9/app ");
	expect(ask("account.list", json_pack("{s:b}", "in_doubt", 1)), "db1/postgres ");
	expect(ask("account.list", json_pack("{s:b}", "mismatch", 1)), "");
	expect(ask("account.list", json_pack("{s:b, s:b}", "in_doubt", 1, "unmanaged", 1)),
	    "db1/postgres web1/deploy web1/ops ");
	expect(ask("account.list", json_pack("{s:s}", "older", "9d")), "web1/app old9/app ");
	expect(ask("account.list", json_pack("{s:s}", "older", "11d")), "");
	expect(ask("account.list", json_pack("{s:s, s:b}", "older", "9d", "orphaned", 1)),
	    "old9/app ");
	expect(ask("account.list", json_pack("{s:s, s:b}", "older", "9d", "unmanaged", 1)), "");
	refused("account.list", json_pack("{s:s}", "older", "0d"), "no span of time");
	refused("account.list", json_pack("{s:s}", "older", "old"), "such as 90d");
}

static void test_log(void **state)
{
	static const char *const steps[] = {"planned web1 app", "planned web1 deploy",
	    "staged web1 app", "staged web1 deploy", "sent web1 app", "sent web1 deploy",
	    "proved web1 app", "ended web1 app", "ended web1 deploy"};
	char id[ID_TEXT_SIZE];
	json_t *log =
	    ask("execution.log", json_pack("{s:s}", "execution", id_text(&executions[0], id)));
	const json_t *found = json_object_get(log, "steps"), *last;

	(void)state;
	assert_int_equal(json_array_size(found), 9);
	for (size_t i = 0; i < 9; i++) {
		const json_t *step = json_array_get(found, i);
		char line[64];

		snprintf(line, sizeof(line), "%s %s %s", text(step, "step"), text(step, "asset"),
		    text(step, "account"));
		assert_string_equal(line, steps[i]);
	}
	last = json_array_get(found, 8);
	assert_string_equal(text(last, "status"), "failed");
	assert_string_equal(text(json_object_get(last, "error"), "code"), "auth");
	assert_int_equal(json_integer_value(json_object_get(last, "sends")), 2);
	json_decref(log);
	/* What was never sent has no such step. */
	log = ask("execution.log",
	    json_pack("{s:s, s:s}", "execution", id_text(&executions[1], id), "asset", "d*"));
	assert_int_equal(json_array_size(json_object_get(log, "steps")), 2);
	json_decref(log);
}

static void test_history(void **state)
{
	json_t *history =
	    ask("account.history", json_pack("{s:s, s:s}", "asset", "web1", "account", "app"));
	const json_t *versions = json_object_get(history, "versions");
	const json_t *newest = json_array_get(versions, 0), *oldest = json_array_get(versions, 1);
	const json_t *maker = json_object_get(newest, "made_by");
	char id[ID_TEXT_SIZE];

	(void)state;
	assert_int_equal(json_array_size(versions), 2);
	assert_string_equal(text(maker, "record"), id_text(&records[0], id));
	assert_string_equal(text(maker, "execution"), id_text(&executions[0], id));
	assert_string_equal(text(maker, "task"), "linux-weekly");
	assert_string_equal(text(maker, "trigger"), "manual");
	assert_string_equal(text(maker, "status"), "success");
	assert_string_equal(text(newest, "proof"), "login");
	assert_true(json_is_null(json_object_get(oldest, "made_by")));
	assert_string_equal(text(oldest, "stage"), "previous");
	json_decref(history);
	history =
	    ask("account.history", json_pack("{s:s, s:s}", "asset", "old9", "account", "app"));
	assert_true(json_is_false(json_object_get(history, "declared")));
	json_decref(history);
	refused("account.history", json_pack("{s:s, s:s}", "asset", "web1", "account", "ap"),
	    "did you mean");
}

static void test_short_ids_find_their_things(void **state)
{
	json_t *list = ask("execution.list", json_object());

	(void)state;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);
		json_t *found;

		assert_true(strlen(text(item, "short")) < ID_TEXT_SIZE - 1);
		found = ask("execution.show", json_pack("{s:s}", "execution", text(item, "short")));
		assert_string_equal(text(found, "id"), text(item, "id"));
		json_decref(found);
	}
	json_decref(list);
}

/* What succeeded, and what another execution changed since, is left alone by a filter. */
static void test_nothing_to_retry(void **state)
{
	char id[ID_TEXT_SIZE];

	(void)state;
	refused("record.retry", json_pack("{s:s}", "status", "success"), "nothing to retry");
	refused("record.retry", json_pack("{s:s}", "status", "planned"), "nothing to retry");
	refused("record.retry",
	    json_pack("{s:s, s:[s]}", "status", "failed", "records", id_text(&records[1], id)),
	    "either their ids or a filter");
	refused("record.retry", json_object(), "--status failed");
	refused(
	    "record.retry", json_pack("{s:[s]}", "records", id_text(&records[0], id)), "succeeded");
	/* A verify set nothing, and no task is its. */
	refused("record.retry", json_pack("{s:s}", "reason", "mismatch"), "nothing to retry");
	refused("record.retry", json_pack("{s:[s]}", "records", id_text(&records[4], id)),
	    "lockstep account verify web1 ops");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_records_by_filter),
	    cmocka_unit_test(test_accounts_by_filter),
	    cmocka_unit_test(test_log),
	    cmocka_unit_test(test_history),
	    cmocka_unit_test(test_short_ids_find_their_things),
	    cmocka_unit_test(test_nothing_to_retry),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
