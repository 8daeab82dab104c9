#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/log.h"
#include "base/text.h"

static void error_keeps_code_and_text(void **state)
{
	struct error error;

	(void)state;
	assert_int_equal(error_set(&error, ERR_IO, "cannot %s\n", "read"), ERR_IO);
	assert_int_equal(error.code, ERR_IO);
	assert_string_equal(error.text, "cannot read");
	error_prefix(&error, "%s: ", "vault");
	assert_string_equal(error.text, "vault: cannot read");
	assert_int_equal(error.code, ERR_IO);
	assert_int_equal(error_set(NULL, ERR_BUSY, "nobody reads %d", 1), ERR_BUSY);
	error_prefix(NULL, "nobody");
}

static void error_can_quote_itself(void **state)
{
	struct error error;

	(void)state;
	error_set(&error, ERR_IO, "inner");
	error_set(&error, ERR_LINK, "outer (%s)", error.text);
	assert_string_equal(error.text, "outer (inner)");
}

static void error_text_is_cut_between_characters(void **state)
{
	struct error error;
	char text[3 * ERROR_TEXT_SIZE + 1];

	(void)state;
	for (size_t shift = 0; shift < 3; shift++) {
		memset(text, 'a', sizeof(text));
		for (size_t i = shift; i + 3 < sizeof(text); i += 3)
			memcpy(text + i, "\xe2\x82\xac", 3);
		text[sizeof(text) - 1] = '\0';
		error_set(&error, ERR_INVALID, "%s", text);
		assert_true(strlen(error.text) < ERROR_TEXT_SIZE);
		assert_true(strlen(error.text) > ERROR_TEXT_SIZE - 8);
		assert_true(text_is_utf8(error.text, strlen(error.text)));
		error_prefix(&error, "x: ");
		assert_true(text_is_utf8(error.text, strlen(error.text)));
		assert_memory_equal(error.text, "x: ", 3);
	}
}

static void error_text_has_no_controls(void **state)
{
	struct error error;

	(void)state;
	error_set(&error, ERR_INVALID, "two\nlines \x1b[2J \xff");
	assert_string_equal(error.text, "two\nlines \\x1b[2J \\xff");
}

static void every_code_has_its_own_name(void **state)
{
	(void)state;
	for (int i = ERR_OK; i <= ERR_CANCELED; i++) {
		assert_non_null(err_name((enum err)i));
		for (int j = ERR_OK; j < i; j++)
			assert_string_not_equal(err_name((enum err)i), err_name((enum err)j));
	}
	assert_string_equal(err_name(ERR_NOT_FOUND), "not_found");
	assert_string_equal(err_name((enum err)4711), "unknown");
}

static void utf8_is_well_formed(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		bool well;
	} cases[] = {
	    {"", 0, true},
	    {"plain", 5, true},
	    {"\xc3\xa9", 2, true},
	    {"\xf0\x9f\x98\x80", 4, true},
	    {"\xf4\x8f\xbf\xbf", 4, true},
	    {"a\0b", 3, false},
	    {"\x80", 1, false},
	    {"\xc3", 1, false},
	    {"\xc0\x80", 2, false},
	    {"\xe0\x80\xaf", 3, false},
	    {"\xed\xa0\x80", 3, false},
	    {"\xf4\x90\x80\x80", 4, false},
	    {"\xf8\x88\x80\x80\x80", 5, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(text_is_utf8(cases[i].text, cases[i].len), cases[i].well);
}

static void check_escape(const char *text, size_t len, const char *shown)
{
	char out[128];

	assert_ptr_equal(text_escape(out, sizeof(out), text, len), out);
	assert_string_equal(out, shown);
}

static void escape_shows_what_is_hidden(void **state)
{
	(void)state;
	check_escape("a\tb\nc", 5, "a\\tb\\nc");
	check_escape("\x1b]0;x\x07", 6, "\\x1b]0;x\\x07");
	check_escape("a\0b", 3, "a\\x00b");
	check_escape("\x7f\r", 2, "\\x7f\\x0d");
	check_escape("\xc2\x9b", 2, "\\u{009B}");
	check_escape("\xe2\x80\xae", 3, "\\u{202E}");
	check_escape("\xe2\x81\xa6", 3, "\\u{2066}");
	check_escape("\xff\xfe", 2, "\\xff\\xfe");
	check_escape("gr\xc3\xbc\xc3\x9f \\", 8, "gr\xc3\xbc\xc3\x9f \\");
}

static void escape_cuts_whole_pieces(void **state)
{
	char out[10];

	(void)state;
	text_escape(out, sizeof(out), "123456789", 9);
	assert_string_equal(out, "123456789");
	text_escape(out, sizeof(out), "1234567890", 10);
	assert_string_equal(out, "123456\xe2\x80\xa6");
	text_escape(out, sizeof(out), "1234\x1b\x1b", 6);
	assert_string_equal(out, "1234\xe2\x80\xa6");
	for (size_t size = 1; size <= sizeof(out); size++) {
		text_escape(out, size, "\xe2\x82\xac\x1b\xe2\x82\xac\xe2\x82\xac", 10);
		assert_true(strlen(out) < size);
		assert_true(text_is_utf8(out, strlen(out)));
	}
}

static void nearest_is_what_was_meant(void **state)
{
	static const char *const names[] = {"password", "platform", "schedule", "web"};

	(void)state;
	assert_string_equal(text_nearest("pasword", names, 4), "password");
	assert_string_equal(text_nearest("paltform", names, 4), "platform");
	assert_string_equal(text_nearest("scheduel", names, 4), "schedule");
	assert_string_equal(text_nearest("wb", names, 4), "web");
	assert_string_equal(text_nearest("pass", names, 4), "password");
	assert_null(text_nearest("p", names, 4));
	assert_null(text_nearest("", names, 1));
	assert_null(text_nearest("wobble", names, 4));
	assert_null(text_nearest("passport42", names, 4));
	assert_null(text_nearest("web", names, 0));
}

static void glob_matches(void **state)
{
	(void)state;
	assert_true(text_glob("*", ""));
	assert_true(text_glob("web*", "web"));
	assert_true(text_glob("web*.example.com", "web12.example.com"));
	assert_true(text_glob("*a*b*", "xxaxxabxx"));
	assert_true(text_glob("a?[b]", "a?[b]"));
	assert_false(text_glob("a?c", "abc"));
	assert_false(text_glob("web*", "Web1"));
	assert_false(text_glob("", "x"));
	assert_false(text_glob("*b", "abc"));
}

static void glob_is_never_slow(void **state)
{
	char name[20001];

	(void)state;
	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_false(text_glob("*a*a*a*a*a*a*a*a*a*a*b", name));
}

static void check_duration(const char *text, bool well, unsigned long long ms)
{
	unsigned long long got = 0;

	assert_int_equal(text_duration_ms(text, strlen(text), &got), well);
	if (well)
		assert_int_equal(got, ms);
}

static void durations(void **state)
{
	(void)state;
	check_duration("500ms", true, 500);
	check_duration("30s", true, 30000);
	check_duration("15m", true, 900000);
	check_duration("2h", true, 7200000);
	check_duration("90d", true, 7776000000ull);
	check_duration("4w", true, 2419200000ull);
	check_duration("0s", true, 0);
	check_duration("18446744073709551615ms", true, 18446744073709551615ull);
	check_duration("18446744073709551616ms", false, 0);
	check_duration("18446744073709551615s", false, 0);
	check_duration("", false, 0);
	check_duration("5", false, 0);
	check_duration("s", false, 0);
	check_duration("-5s", false, 0);
	check_duration("5 s", false, 0);
	check_duration("1h30m", false, 0);
	check_duration("5S", false, 0);
}

static void rfc3339(void **state)
{
	char out[32];

	(void)state;
	assert_string_equal(text_rfc3339(out, 0), "1970-01-01T00:00:00.000Z");
	assert_string_equal(text_rfc3339(out, 1795513267120ull), "2026-11-24T09:41:07.120Z");
	assert_string_equal(text_rfc3339(out, ~0ull), "9999-12-31T23:59:59.999Z");
}

/* What log_event wrote, after its time. */
static const char *logged(int fd, char *line, size_t size)
{
	ssize_t n = read(fd, line, size - 1);

	assert_true(n > 25);
	line[n] = '\0';
	assert_int_equal(line[n - 1], '\n');
	assert_int_equal(line[23], 'Z');
	return line + 25;
}

static void log_lines(void **state)
{
	char line[32768], big[4096];
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	log_init(fds[1], LOG_LEVEL_INFO);
	assert_true(log_wants(LOG_LEVEL_ERROR));
	assert_false(log_wants(LOG_LEVEL_DEBUG));
	log_event(LOG_LEVEL_DEBUG, "dropped", NULL);
	log_event(LOG_LEVEL_WARN, "died", "wire", "2", "signal", NULL, "why", "", NULL);
	assert_string_equal(
	    logged(fds[0], line, sizeof(line)), "level=warn event=died wire=2 signal=- why=\"\"\n");
	/* One that would write a line or a field of its own. */
	log_event(LOG_LEVEL_INFO, "said", "text", "x\" level=error\n\\", NULL);
	assert_string_equal(logged(fds[0], line, sizeof(line)),
	    "level=info event=said text=\"x\\\" level=error\\n\\\\\"\n");
	memset(big, 'a', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	log_event(LOG_LEVEL_INFO, "said", "text", big, "after", "1", NULL);
	logged(fds[0], line, sizeof(line));
	assert_in_range(strlen(line), 1024, 1100);
	assert_non_null(strstr(line, " after=1\n"));
	log_init(STDERR_FILENO, LOG_LEVEL_INFO);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(error_keeps_code_and_text),
	    cmocka_unit_test(error_can_quote_itself),
	    cmocka_unit_test(error_text_is_cut_between_characters),
	    cmocka_unit_test(error_text_has_no_controls),
	    cmocka_unit_test(every_code_has_its_own_name),
	    cmocka_unit_test(utf8_is_well_formed),
	    cmocka_unit_test(escape_shows_what_is_hidden),
	    cmocka_unit_test(escape_cuts_whole_pieces),
	    cmocka_unit_test(nearest_is_what_was_meant),
	    cmocka_unit_test(glob_matches),
	    cmocka_unit_test(glob_is_never_slow),
	    cmocka_unit_test(durations),
	    cmocka_unit_test(rfc3339),
	    cmocka_unit_test(log_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
