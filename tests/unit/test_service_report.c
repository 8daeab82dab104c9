/* A report as a page: whatever an asset or a name says, it stays text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "service/report.h"

#define EVIL "</td><script>alert(1)</script>'\"&<img src=x onerror=y>"

static json_t *report_of(const char *text)
{
	return json_pack(
	    "{s:{s:s, s:s, s:s, s:s, s:s, s:b, s:I, s:{s:I, s:I}}, s:[{s:s, s:s, s:I}],"
	    " s:{s:I, s:[{s:s, s:s, s:s, s:s, s:s, s:{s:s, s:s, s:s}}]}}",
	    "execution", "id", text, "task", text, "trigger", text, "started",
	    "2026-11-24T09:41:07.120Z", "ended", "2026-11-24T09:42:07.120Z", "interrupted", 0,
	    "total", (json_int_t)7, "counts", "success", (json_int_t)0, "failed", (json_int_t)7,
	    "causes", "status", text, "cause", text, "count", (json_int_t)7, "problems", "total",
	    (json_int_t)7, "records", "id", text, "status", text, "asset", text, "account", text,
	    "task", text, "error", "class", text, "code", text, "message", text);
}

static char *print(void (*fn)(FILE *, const json_t *), const char *text)
{
	json_t *report = report_of(text);
	char *page = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&page, &len);

	assert_non_null(report);
	assert_non_null(out);
	fn(out, report);
	assert_int_equal(fclose(out), 0);
	json_decref(report);
	return page;
}

static size_t count_of(const char *text, char c)
{
	size_t count = 0;

	for (; *text != '\0'; text++)
		count += *text == c;
	return count;
}

/* As many tags and quotes as with words that need no escape. */
static void test_nothing_comes_through(void **state)
{
	char *plain = print(report_html, "web1"), *evil = print(report_html, EVIL);

	(void)state;
	assert_null(strstr(evil, "<script"));
	assert_null(strstr(evil, "<img"));
	assert_non_null(strstr(evil, "&lt;/td&gt;&lt;script&gt;alert(1)&lt;/script&gt;&#39;&quot;"
				     "&amp;&lt;img src=x onerror=y&gt;"));
	assert_int_equal(count_of(evil, '<'), count_of(plain, '<'));
	assert_int_equal(count_of(evil, '>'), count_of(plain, '>'));
	assert_int_equal(count_of(evil, '"'), count_of(plain, '"'));
	assert_int_equal(count_of(evil, '\''), count_of(plain, '\''));
	free(plain);
	free(evil);
}

static void test_what_is_not_told_is_counted(void **state)
{
	char *page = print(report_html, "web1"), *text = print(report_text, "web1");

	(void)state;
	assert_non_null(strstr(page, "And 6 more"));
	assert_non_null(strstr(text, "and 6 more: lockstep record list --execution web1"));
	free(page);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nothing_comes_through),
	    cmocka_unit_test(test_what_is_not_told_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
