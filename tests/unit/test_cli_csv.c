/* Secrets from CSV: columns, key files, and what is said about bad ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/accounts_csv.h"

static char dir[] = "/tmp/test-cli-csv.XXXXXX";

static void put(const char *name, const char *text)
{
	FILE *file = fopen(name, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(dir) == NULL || chdir(dir) != 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink("a.csv");
	unlink("key");
	return chdir("/") != 0 || rmdir(dir) != 0;
}

static void refused(const char *csv, const char *why)
{
	struct error error;
	json_t *rows;

	put("a.csv", csv);
	assert_int_not_equal(accounts_csv_read("a.csv", "a.csv", &rows, &error), ERR_OK);
	assert_null(rows);
	if (strstr(error.text, why) == NULL)
		fail_msg("\"%s\" has no \"%s\"", error.text, why);
}

static const char *member(const json_t *rows, size_t index, const char *key)
{
	return json_string_value(json_object_get(json_array_get(rows, index), key));
}

static void test_rows(void **state)
{
	struct error error;
	json_t *rows;

	(void)state;
	put("key", "-----BEGIN\nkey\n");
	put("a.csv",
	    "account,asset,key_file,password\r\napp,web1,,\"p,\"\"1\"\"\"\nops,/prod,key,\n");
	assert_int_equal(accounts_csv_read("a.csv", "a.csv", &rows, &error), ERR_OK);
	assert_int_equal(json_array_size(rows), 2);
	assert_string_equal(member(rows, 0, "password"), "p,\"1\"");
	assert_string_equal(member(rows, 0, "asset"), "web1");
	assert_null(member(rows, 0, "key"));
	assert_string_equal(member(rows, 1, "key"), "-----BEGIN\nkey\n");
	assert_null(member(rows, 1, "password"));
	assert_int_equal(json_integer_value(json_object_get(json_array_get(rows, 1), "line")), 3);
	json_decref(rows);
}

static void test_headers(void **state)
{
	(void)state;
	refused("asset,acount,password\n", "a.csv:1: column \"acount\" is not known; did you mean "
					   "\"account\"?");
	refused("asset,password\n", "a.csv:1: column \"account\" is missing");
	refused("asset,account,asset\n", "a.csv:1: column \"asset\" is there twice");
	refused("asset,account,\x1b[2J\n", "\\x1b");
}

static void test_bad_rows(void **state)
{
	(void)state;
	refused("asset,account,password\nweb1,app\n", "a.csv:2: 2 fields, but the header has 3");
	refused("asset,account,key_file\nweb1,app,nowhere\n", "a.csv:2: column key_file: ");
	refused("asset,account,password\nweb1,app,\xff\n", "a.csv:2");
}

static void test_no_file(void **state)
{
	struct error error;
	json_t *rows;

	(void)state;
	assert_int_not_equal(accounts_csv_read("nowhere.csv", "x", &rows, &error), ERR_OK);
	assert_non_null(strstr(error.text, "nowhere.csv"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_headers),
	    cmocka_unit_test(test_bad_rows),
	    cmocka_unit_test(test_no_file),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
