/* Requests without assets: init, then what each method makes of good and bad parameters. */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/json.h"
#include "service.h"

static char top[] = "/tmp/test-service.XXXXXX";
static char dir[64];

static int set_up(void **state)
{
	struct error error;
	json_t *result;

	(void)state;
	json_init();
	if (mkdtemp(top) == NULL)
		return 1;
	snprintf(dir, sizeof(dir), "%s/ops", top);
	if (service_init(dir, &result, &error) != SERVICE_OK)
		fail_msg("%s", error.text);
	json_decref(result);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = {"lockstep.lua", ".gitignore", "inventory/assets.csv",
	    "inventory", "rules/passwords.lua", "rules", "tasks/linux-weekly.lua", "tasks",
	    "vault/data.mdb", "vault/lock.mdb", "vault/lock", "vault/generation", "vault",
	    "master.key", ""};
	char path[128];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		if (unlink(path) != 0 && rmdir(path) != 0)
			perror(path);
	}
	return rmdir(top);
}

/* Calls a method with params (a reference that becomes ours) in an engine of its own. */
static enum service_end call(
    const char *method, json_t *params, json_t **result, struct error *error)
{
	struct service_config config = {.dir = dir, .purpose = "test"};
	struct service *service = service_new(&config);
	enum service_end end = service_call(service, method, params, result, error);

	service_free(service);
	json_decref(params);
	return end;
}

static void refused(const char *method, json_t *params, const char *why)
{
	struct error error = {.code = ERR_OK};
	json_t *result;

	if (call(method, params, &result, &error) != SERVICE_USAGE)
		fail_msg("%s: %s", method, error.text);
	json_decref(result);
	if (strstr(error.text, why) == NULL)
		fail_msg("%s: \"%s\" has no \"%s\"", method, error.text, why);
}

static json_t *done(const char *method, json_t *params)
{
	struct error error;
	json_t *result;

	if (call(method, params, &result, &error) != SERVICE_OK)
		fail_msg("%s: %s", method, error.text);
	return result;
}

static void test_init_leaves_what_is_there(void **state)
{
	struct error error;
	json_t *result;

	(void)state;
	assert_int_equal(service_init(dir, &result, &error), SERVICE_USAGE);
	assert_null(result);
	assert_non_null(strstr(error.text, "nothing was touched"));
}

static void test_init_modes(void **state)
{
	struct stat st;
	char path[96];

	(void)state;
	snprintf(path, sizeof(path), "%s/master.key", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0400);
	snprintf(path, sizeof(path), "%s/vault", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

static void test_check(void **state)
{
	json_t *result = done("check", json_object());

	(void)state;
	assert_true(json_is_true(json_object_get(result, "ok")));
	assert_int_equal(json_integer_value(json_object_get(result, "assets")), 2);
	assert_int_equal(json_array_size(json_object_get(result, "tasks")), 1);
	json_decref(result);
}

static void test_unknown_names(void **state)
{
	(void)state;
	refused("no.such", json_object(), "no method");
	refused("run", json_object(), "\"task\" is missing");
	refused("run", json_pack("{s:s}", "task", "linux-weeky"), "did you mean \"linux-weekly\"?");
	refused("asset.ping", json_pack("{s:[s]}", "assets", "web2"), "did you mean \"web1\"?");
	refused("asset.ping", json_pack("{s:[s]}", "assets", "/pro"), "no asset is at or below");
	refused("asset.list", json_pack("{s:[s]}", "assets", "x*"), "matches");
	refused("asset.list", json_pack("{s:[i]}", "assets", 1), "array of texts");
	refused("account.show", json_pack("{s:s, s:s}", "asset", "web1", "account", "ap"),
	    "did you mean \"app\"?");
	refused("account.reveal", json_pack("{s:s, s:s}", "asset", "web1", "account", "app"),
	    "no secret");
	refused("execution.show", json_pack("{s:s}", "execution", "01J"), "no execution");
	refused("record.show", json_pack("{s:s}", "record", "!"), "no record");
	refused("record.list", json_pack("{s:s}", "status", "good"), "no status");
	refused("record.list", json_pack("{s:s}", "limit", "0"), "is no whole number above 0");
	refused("record.list", json_pack("{s:s}", "limit", "12x"), "is no whole number above 0");
	refused("record.retry", json_object(), "which records");
}

static json_t *rows(json_t *row)
{
	return json_pack("{s:s, s:[o]}", "source", "a.csv", "rows", row);
}

static void test_bad_imports_write_nothing(void **state)
{
	json_t *list;

	(void)state;
	refused("account.import", json_pack("{s:s}", "source", "a.csv"), "no rows");
	refused("account.import",
	    json_pack("{s:s, s:[{s:i, s:s, s:s, s:s}, {s:i, s:s, s:s, s:s}]}", "source", "a.csv",
		"rows", "line", 2, "asset", "web1", "account", "app", "password", "good", "line", 3,
		"asset", "web7", "account", "app", "password", "x"),
	    "1 error");
	refused("account.import",
	    rows(json_pack("{s:i, s:s, s:s, s:s, s:s}", "line", 2, "asset", "web1", "account",
		"app", "password", "x", "key", "y")),
	    "1 error");
	refused("account.import",
	    rows(json_pack("{s:i, s:s, s:s, s:s}", "line", 2, "asset", "*", "account", "nobody",
		"password", "x")),
	    "1 error");
	refused("account.add",
	    json_pack("{s:s, s:s, s:s}", "asset", "web1", "account", "app", "password", "a\nb"),
	    "line's end");
	list = done("account.list", json_pack("{s:b}", "unmanaged", 1));
	assert_int_equal(json_array_size(list), 5);
	json_decref(list);
}

static const char *text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void test_told_and_revealed(void **state)
{
	json_t *result;

	(void)state;
	result = done("account.import", rows(json_pack("{s:i, s:s, s:s, s:s}", "line", 2, "asset",
					    "/prod", "account", "ops", "password", "öps")));
	assert_int_equal(json_integer_value(json_object_get(result, "accounts")), 2);
	json_decref(result);
	result = done("account.add",
	    json_pack("{s:s, s:s, s:s}", "asset", "db1", "account", "ops", "password", "newer"));
	json_decref(result);
	result = done("account.reveal", json_pack("{s:s, s:s}", "asset", "db1", "account", "ops"));
	assert_string_equal(text(result, "secret"), "newer");
	assert_string_equal(text(result, "stage"), "current");
	assert_true(json_is_false(json_object_get(result, "in_doubt")));
	assert_int_equal(json_array_size(json_object_get(result, "candidates")), 0);
	json_decref(result);
	result = done("account.reveal",
	    json_pack("{s:s, s:s, s:s}", "asset", "db1", "account", "ops", "version", "1"));
	assert_string_equal(text(result, "secret"), "öps");
	assert_string_equal(text(result, "stage"), "previous");
	json_decref(result);
	result = done("account.show", json_pack("{s:s, s:s}", "asset", "db1", "account", "ops"));
	assert_string_equal(text(result, "state"), "current");
	assert_int_equal(json_array_size(json_object_get(result, "versions")), 2);
	assert_int_equal(json_integer_value(json_object_get(
			     json_array_get(json_object_get(result, "versions"), 0), "number")),
	    2);
	json_decref(result);
}

/* A process that has the vault's lock for as long as it lives. */
static pid_t hold_the_lock(int ms)
{
	char path[96];
	int ready[2];
	pid_t pid;
	char byte;

	snprintf(path, sizeof(path), "%s/vault/lock", dir);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		int fd = open(path, O_RDWR);

		if (fd < 0 || flock(fd, LOCK_EX) != 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		(void)poll(NULL, 0, ms);
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

/* Whoever has the vault without listening is about to end, or to listen: it is waited for. */
static void test_waits_for_the_vault(void **state)
{
	pid_t pid = hold_the_lock(400);
	json_t *result;
	int status;

	(void)state;
	result = done("check", json_object());
	assert_true(json_is_null(json_object_get(result, "unmanaged")));
	json_decref(result);
	json_decref(done("execution.list", json_object()));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Between two calls nobody has it. */
static void test_lets_go_of_the_vault(void **state)
{
	struct service_config config = {.dir = dir, .purpose = "the first"};
	struct service *first = service_new(&config);
	struct error error;
	json_t *result, *params = json_object();

	(void)state;
	assert_int_equal(
	    service_call(first, "execution.list", params, &result, &error), SERVICE_OK);
	json_decref(result);
	json_decref(done("execution.list", json_object()));
	assert_int_equal(
	    service_call(first, "execution.list", params, &result, &error), SERVICE_OK);
	json_decref(result);
	service_free(first);
	json_decref(params);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_init_leaves_what_is_there),
	    cmocka_unit_test(test_init_modes),
	    cmocka_unit_test(test_check),
	    cmocka_unit_test(test_unknown_names),
	    cmocka_unit_test(test_bad_imports_write_nothing),
	    cmocka_unit_test(test_told_and_revealed),
	    cmocka_unit_test(test_waits_for_the_vault),
	    cmocka_unit_test(test_lets_go_of_the_vault),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
