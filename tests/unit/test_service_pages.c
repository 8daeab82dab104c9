/* Long lists: each page looks at so many rows and no more, and together they are the whole list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/secret.h"
#include "service/engine.h"
#include "service/page.h"

#define ASSETS	   1203
#define EXECUTIONS 1100
#define RECORDS	   2999 /* of the newest execution: with its end, three pages */

static char top[] = "/tmp/test-pages.XXXXXX";
static char dir[64];

static void write_inventory(void)
{
	char path[96];
	FILE *file;

	snprintf(path, sizeof(path), "%s/inventory/assets.csv", dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("name,address,accounts\n", file);
	for (int i = 0; i < ASSETS; i++)
		fprintf(file, "a%04d,10.0.%d.%d,app;deploy\n", i, i / 250, i % 250 + 1);
	assert_int_equal(fclose(file), 0);
	snprintf(path, sizeof(path), "%s/lockstep.lua", dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("inventory \"inventory/assets.csv\"\n", file);
	assert_int_equal(fclose(file), 0);
}

static struct id made(uint64_t ms)
{
	struct id id = {{0}};

	for (size_t i = 0; i < 6; i++)
		id.bytes[i] = (uint8_t)(ms >> (8 * (5 - i)));
	return id;
}

static enum err fill(struct vault_txn *txn, void *arg, struct error *error)
{
	struct secret *secret = secret_from("one", 3);
	struct execution execution = {.started_ms = 1000};
	struct account account;
	enum err err = ERR_OK;

	(void)arg;
	for (uint64_t i = 0; err == ERR_OK && i < EXECUTIONS; i++) {
		execution.id = made(1000000 + i);
		snprintf(execution.task, sizeof(execution.task), i % 2 == 0 ? "even" : "odd");
		err = execution_put(txn, &execution);
	}
	for (uint64_t i = 0; err == ERR_OK && i < RECORDS; i++) {
		struct record record = {.id = made(2000000 + i),
		    .execution = execution.id,
		    .status = i % 50 == 0 ? STATUS_FAILED : STATUS_SUCCESS};

		snprintf(record.asset, sizeof(record.asset), "a%04d", (int)(i % ASSETS));
		snprintf(record.account, sizeof(record.account), "app");
		err = record_put(txn, &record);
	}
	/* Of an asset that left the inventory. */
	for (int i = 0; err == ERR_OK && i < 3; i++) {
		char name[16];

		snprintf(name, sizeof(name), "old%d", i);
		err =
		    account_tell(txn, name, "app", SECRET_PASSWORD, secret, NULL, &account, error);
	}
	secret_free(secret);
	return err;
}

static void fill_vault(void)
{
	struct loop *loop = loop_new();
	char vault_dir[80], key[80];
	struct vault_config config = {
	    .dir = vault_dir, .key_path = key, .purpose = "test", .clock = loop_clock(loop)};
	struct error error;
	struct vault *vault;

	snprintf(vault_dir, sizeof(vault_dir), "%s/vault", dir);
	snprintf(key, sizeof(key), "%s/master.key", dir);
	if (vault_open(&vault, &config, &error) != ERR_OK)
		fail_msg("%s", error.text);
	if (vault_write(vault, fill, NULL, &error) != ERR_OK)
		fail_msg("%s", error.text);
	vault_close(vault);
	loop_free(loop);
}

static int set_up(void **state)
{
	struct error error;
	json_t *result;
	bool locked;

	(void)state;
	json_init();
	assert_int_equal(secret_heap_init((size_t)1 << 20, &locked, &error), ERR_OK);
	if (mkdtemp(top) == NULL)
		return 1;
	snprintf(dir, sizeof(dir), "%s/ops", top);
	if (service_init(dir, &result, &error) != SERVICE_OK)
		fail_msg("%s", error.text);
	json_decref(result);
	write_inventory();
	fill_vault();
	return 0;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", top);
	return system(command);
}

/* ── One page ────────────────────────────────────────────────────────────────────────────── */

struct answer {
	enum service_end end;
	size_t count;
	char next[700];
	char error[ERROR_TEXT_SIZE];
};

static void answered(
    void *arg, enum service_end end, json_t *result, const char *next, const struct error *error)
{
	struct answer *answer = arg;

	answer->end = end;
	answer->count =
	    json_array_size(json_is_object(result) ? json_object_get(result, "steps") : result);
	snprintf(answer->next, sizeof(answer->next), "%s", next == NULL ? "" : next);
	snprintf(answer->error, sizeof(answer->error), "%s", error->text);
	json_decref(result);
}

static struct answer page_of(const char *method, json_t *params, const char *after)
{
	struct service_config config = {.dir = dir, .purpose = "test"};
	struct service *service = service_new(&config);
	struct answer answer = {.count = 0};
	struct listener listener = {
	    .done = answered,
	    .arg = &answer,
	    .caller = {.uid = getuid(), .here = true},
	};

	if (after[0] != '\0')
		json_object_set_new(params, "after", json_string(after));
	assert_null(request_begin(service, method, params, &listener));
	service_free(service);
	return answer;
}

static void test_no_page_is_longer(void **state)
{
	static const char *const methods[] = {
	    "asset.list", "account.list", "execution.list", "record.list"};

	(void)state;
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		struct answer answer = page_of(methods[i], json_object(), "");

		assert_int_equal(answer.end, SERVICE_OK);
		/* An asset's accounts stay together. */
		assert_in_range(answer.count, 1, PAGE_ROWS + 1);
	}
	/* What few records are meant is looked for no longer either. */
	assert_in_range(page_of("record.list", json_pack("{s:b}", "problems", 1), "").count, 1, 20);
}

static void test_what_no_page_gave_is_refused(void **state)
{
	static const char *const wrong[] = {
	    "x", "1", "1:", "1:0", "1:zz", "-1:61", "5:00", "5:6161"};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct answer answer = page_of("execution.list", json_object(), wrong[i]);

		assert_int_equal(answer.end, SERVICE_USAGE);
		assert_non_null(strstr(answer.error, "is not what an answer gave"));
	}
}

/* ── All of them ─────────────────────────────────────────────────────────────────────────── */

static json_t *all_of(const char *method, json_t *params)
{
	struct service_config config = {.dir = dir, .purpose = "test"};
	struct service *service = service_new(&config);
	struct error error;
	json_t *result;

	if (service_call(service, method, params, &result, &error) != SERVICE_OK)
		fail_msg("%s", error.text);
	service_free(service);
	json_decref(params);
	return result;
}

static const char *text(const json_t *object, const char *key)
{
	const char *found = json_string_value(json_object_get(object, key));

	return found == NULL ? "" : found;
}

/* Each once, in the order that the key gives: rising, or falling. */
static void check_order(json_t *list, const char *key, const char *then, size_t count, int sign)
{
	char before[400] = "", name[400];
	size_t i;
	json_t *item;

	assert_int_equal(json_array_size(list), count);
	json_array_foreach(list, i, item)
	{
		snprintf(name, sizeof(name), "%s %s", text(item, key), text(item, then));
		if (i > 0)
			assert_true(sign * strcmp(name, before) > 0);
		snprintf(before, sizeof(before), "%s", name);
	}
	json_decref(list);
}

static const char *newest(void)
{
	static char text[ID_TEXT_SIZE];
	struct id id = made(1000000 + EXECUTIONS - 1);

	return id_text(&id, text);
}

/* A log's page has the steps of so many records. */
static void test_a_log_has_pages(void **state)
{
	struct answer answer =
	    page_of("execution.log", json_pack("{s:s}", "execution", newest()), "");
	json_t *log = all_of("execution.log", json_pack("{s:s}", "execution", newest()));
	const json_t *step;
	size_t i, planned = 0;

	(void)state;
	assert_int_equal(answer.end, SERVICE_OK);
	assert_in_range(answer.count, PAGE_ROWS, 5 * PAGE_ROWS);
	assert_string_not_equal(answer.next, "");
	assert_string_equal(text(json_object_get(log, "execution"), "id"), newest());
	json_array_foreach(json_object_get(log, "steps"), i, step) planned +=
	    strcmp(text(step, "step"), "planned") == 0;
	assert_int_equal(planned, RECORDS);
	json_decref(log);
}

static void test_all_pages_are_the_list(void **state)
{
	(void)state;
	check_order(all_of("asset.list", json_object()), "name", "", ASSETS, 1);
	check_order(all_of("account.list", json_object()), "asset", "account", 2 * ASSETS + 3, 1);
	check_order(all_of("account.list", json_pack("{s:[s]}", "assets", "a1*")), "asset",
	    "account", 2 * (ASSETS - 1000), 1);
	check_order(
	    all_of("account.list", json_pack("{s:b}", "orphaned", 1)), "asset", "account", 3, 1);
	check_order(all_of("execution.list", json_object()), "id", "", EXECUTIONS, -1);
	check_order(all_of("record.list", json_pack("{s:s}", "status", "failed")), "id", "",
	    (RECORDS + 49) / 50, 1);
	check_order(all_of("record.list", json_pack("{s:b}", "problems", 1)), "id", "",
	    (RECORDS + 49) / 50, 1);
	check_order(
	    all_of("record.list", json_pack("{s:s}", "execution", newest())), "id", "", RECORDS, 1);
}

static void test_a_limit_holds_over_all_pages(void **state)
{
	(void)state;
	check_order(
	    all_of("execution.list", json_pack("{s:s}", "limit", "1050")), "id", "", 1050, -1);
	check_order(all_of("record.list", json_pack("{s:s}", "limit", "2001")), "id", "", 2001, 1);
	check_order(all_of("record.list", json_object()), "id", "", 1000, 1);
	check_order(
	    all_of("record.list", json_pack("{s:s, s:s}", "status", "failed", "limit", "30")), "id",
	    "", 30, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_no_page_is_longer),
	    cmocka_unit_test(test_what_no_page_gave_is_refused),
	    cmocka_unit_test(test_all_pages_are_the_list),
	    cmocka_unit_test(test_a_limit_holds_over_all_pages),
	    cmocka_unit_test(test_a_log_has_pages),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
