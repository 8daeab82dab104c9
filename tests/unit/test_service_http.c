/* Heads of requests: what is taken, and with which status the rest is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "service/http.h"

static struct http_head head;

static int status_of(const char *text)
{
	const char *why = NULL;
	int status = http_head_read(&head, text, strlen(text), &why);

	if (status != 0 && status != HTTP_OK)
		assert_non_null(why);
	return status;
}

static void test_a_good_one(void **state)
{
	static const char text[] = "POST /v1/run HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n"
				   "ACCEPT: text/html, application/x-ndjson\r\n"
				   "Lockstep-Vault: fe01:2c\r\nexpect:100-Continue\r\n\r\nbody";

	(void)state;
	assert_int_equal(status_of(text), HTTP_OK);
	assert_string_equal(head.path, "/v1/run");
	assert_int_equal(head.len, sizeof(text) - 1 - strlen("body"));
	assert_int_equal(head.body_len, 12);
	assert_true(head.streams && head.expects);
	assert_string_equal(head.vault, "fe01:2c");
	assert_int_equal(status_of("POST /v1/run HTTP/1.0\r\n\r\n"), HTTP_OK);
	assert_int_equal(head.body_len, 0);
	assert_false(head.streams || head.expects);
	assert_string_equal(head.vault, "");
}

static void test_metrics_are_got(void **state)
{
	(void)state;
	assert_int_equal(status_of("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), HTTP_OK);
	assert_true(head.gets);
	assert_int_equal(status_of("POST /metrics HTTP/1.1\r\n\r\n"), HTTP_OK);
	assert_false(head.gets);
	assert_int_equal(status_of("GET /metrics?x HTTP/1.1\r\n\r\n"), 405);
	assert_int_equal(status_of("GET HTTP/1.1\r\n\r\n"), 400);
}

static void test_a_token(void **state)
{
	(void)state;
	assert_int_equal(
	    status_of("POST /v1/run HTTP/1.1\r\nauthorization:  bearer  lst_1 \r\n\r\n"), HTTP_OK);
	assert_int_equal(head.bearer_len, 5);
	assert_memory_equal(head.bearer, "lst_1", 5);
	assert_int_equal(status_of("POST /v1/run HTTP/1.1\r\n\r\n"), HTTP_OK);
	assert_null(head.bearer);
	assert_int_equal(
	    status_of("POST /v1/run HTTP/1.1\r\nAuthorization: Basic eDp5\r\n\r\n"), HTTP_OK);
	assert_null(head.bearer);
	assert_int_equal(
	    status_of("POST /v1/run HTTP/1.1\r\nAuthorization:\r\nAuthorization: B\r\n\r\n"),
	    HTTP_OK);
	assert_null(head.bearer);
	assert_int_equal(status_of("POST /v1/run HTTP/1.1\r\nAuthorization: Bearer a\r\n"
				   "Authorization: Bearer a\r\n\r\n"),
	    HTTP_BAD);
}

/* However it is cut, more is asked for until the empty line is there. */
static void test_in_pieces(void **state)
{
	static const char text[] = "POST /v1/run HTTP/1.1\r\nContent-Length: 1\r\n\r\n";
	const char *why;

	(void)state;
	for (size_t len = 0; len < sizeof(text) - 1; len++)
		assert_int_equal(http_head_read(&head, text, len, &why), 0);
	assert_int_equal(http_head_read(&head, text, sizeof(text) - 1, &why), HTTP_OK);
}

static void test_refused(void **state)
{
	static const struct {
		const char *text;
		int status;
	} cases[] = {
	    {"\r\n\r\n", 400},
	    {"nonsense\r\n\r\n", 400},
	    {"POST HTTP/1.1\r\n\r\n", 400},
	    {"POST /v1/run\r\n\r\n", 505},
	    {"POST /v1/run HTTP/2.0\r\n\r\n", 505},
	    {"POST /v1/run HTTP/1.10\r\n\r\n", 505},
	    {"GET /v1/run HTTP/1.1\r\n\r\n", 405},
	    {"POST /v1/run HTTP/1.1\r\nno field\r\n\r\n", 400},
	    {"POST /v1/run HTTP/1.1\r\n: value\r\n\r\n", 400},
	    {"POST /v1/run HTTP/1.1\r\nA : b\r\n\r\n", 400},
	    {"POST /v1/run HTTP/1.1\r\nA: b\r\n folded\r\n\r\n", 400},
	    {"POST /v1/run HTTP/1.1\r\nA: b\nB: c\r\n\r\n", 400},
	    {"POST /v1/run HTTP/1.1\r\nA: \x01\r\n\r\n", 400},
	    {"POST /v1/run HTTP/1.1\r\nContent-Length:\r\n\r\n", 400},
	    {"POST /v1/run HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400},
	    {"POST /v1/run HTTP/1.1\r\nContent-Length: 0x10\r\n\r\n", 400},
	    {"POST /v1/run HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
	    {"POST /v1/run HTTP/1.1\r\nContent-Length: 33554433\r\n\r\n", 413},
	    {"POST /v1/run HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", 413},
	    {"POST /v1/run HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 501},
	    {"POST /v1/run HTTP/1.1\r\nExpect: wonders\r\n\r\n", 417},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (status_of(cases[i].text) != cases[i].status)
			fail_msg("%s: %d", cases[i].text, status_of(cases[i].text));
	assert_int_equal(
	    status_of("POST /v1/run HTTP/1.1\r\nContent-Length: 33554432\r\n\r\n"), HTTP_OK);
}

static void test_too_long(void **state)
{
	char text[HTTP_HEAD_MAX + 64];
	const char *why;

	(void)state;
	memset(text, 'a', sizeof(text));
	assert_int_equal(http_head_read(&head, text, HTTP_HEAD_MAX - 1, &why), 0);
	assert_int_equal(http_head_read(&head, text, HTTP_HEAD_MAX, &why), 431);
	snprintf(text, sizeof(text), "POST /%0300d HTTP/1.1\r\n\r\n", 0);
	assert_int_equal(status_of(text), 414);
}

/* A NUL ends neither a line nor the search. */
static void test_nul(void **state)
{
	static const char text[] = "POST /v1/run HTTP/1.1\r\nA: b\0c\r\n\r\n";
	const char *why;

	(void)state;
	assert_int_equal(http_head_read(&head, text, sizeof(text) - 1, &why), 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_good_one),
	    cmocka_unit_test(test_metrics_are_got),
	    cmocka_unit_test(test_a_token),
	    cmocka_unit_test(test_in_pieces),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_too_long),
	    cmocka_unit_test(test_nul),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
