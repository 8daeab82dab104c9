/* Numbers, times, widths and sheets for people. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/format.h"
#include "cli/sheet.h"

static void test_counts(void **state)
{
	char out[FORMAT_SIZE];

	(void)state;
	assert_string_equal(format_count(out, 0), "0");
	assert_string_equal(format_count(out, 999), "999");
	assert_string_equal(format_count(out, 1236), "1,236");
	assert_string_equal(format_count(out, 100000), "100,000");
	assert_string_equal(format_count(out, UINT64_MAX), "18,446,744,073,709,551,615");
}

static void test_elapsed(void **state)
{
	char out[FORMAT_SIZE];

	(void)state;
	assert_string_equal(format_elapsed(out, 40), "0.0 s");
	assert_string_equal(format_elapsed(out, 9149), "9.1 s");
	assert_string_equal(format_elapsed(out, 250000), "4 min 10 s");
	assert_string_equal(format_elapsed(out, 7500000), "2 h 5 min");
}

static void test_times_are_local(void **state)
{
	char out[FORMAT_SIZE];

	(void)state;
	setenv("TZ", "Europe/Berlin", 1);
	tzset();
	assert_string_equal(format_time(out, "2026-11-24T09:41:07.120Z"), "2026-11-24 10:41:07");
	assert_string_equal(format_time(out, "2026-07-01T22:30:00Z"), "2026-07-02 00:30:00");
	assert_string_equal(format_time(out, ""), "");
}

static void test_ages(void **state)
{
	char out[FORMAT_SIZE];

	(void)state;
	assert_string_equal(format_age(out, "1970-01-01T00:00:10Z", 15), "5 s");
	assert_string_equal(format_age(out, "1970-01-01T00:00:10Z", 5), "0 s");
	assert_string_equal(format_age(out, "1970-01-01T00:00:00Z", 3599), "59 min");
	assert_string_equal(format_age(out, "1970-01-01T00:00:00Z", 86400), "24 h");
	assert_string_equal(format_age(out, "1970-01-01T00:00:00Z", 86400 * 12), "12 days");
	assert_string_equal(format_age(out, "", 5), "");
}

static void test_widths(void **state)
{
	(void)state;
	assert_int_equal(format_width("abc"), 3);
	assert_int_equal(format_width("aé…"), 3);
	assert_int_equal(format_prefix("aé…b", 2), strlen("aé"));
	assert_int_equal(format_prefix("ab", 5), 2);
}

static char *printed(const struct sheet *sheet, size_t width)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	sheet_print(sheet, out, width);
	fclose(out);
	return text;
}

static void test_sheet_fits(void **state)
{
	static const char *const titles[] = {"asset", "none", "why", NULL};
	struct sheet *sheet = sheet_new(titles);
	char *text;

	(void)state;
	sheet_add(sheet, (const char *const[]){"web1", "", "the link broke in the middle"});
	sheet_add(sheet, (const char *const[]){"é", "", "x"});
	text = printed(sheet, 0);
	assert_string_equal(text, "asset  why\n"
				  "web1   the link broke in the middle\n"
				  "é      x\n");
	free(text);
	text = printed(sheet, 20);
	assert_string_equal(text, "asset  why\n"
				  "web1   the link bro…\n"
				  "é      x\n");
	free(text);
	sheet_free(sheet);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_counts),
	    cmocka_unit_test(test_elapsed),
	    cmocka_unit_test(test_times_are_local),
	    cmocka_unit_test(test_ages),
	    cmocka_unit_test(test_widths),
	    cmocka_unit_test(test_sheet_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
