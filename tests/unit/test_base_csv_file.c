#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/csv.h"
#include "base/file.h"

/* What a reading gave: each row as `line:[field][field]`. */
struct rows {
	char text[4096];
	size_t count;
	size_t stop_at; /* the row that is refused */
};

static struct error error;

static enum err keep_row(
    void *arg, size_t line, const struct csv_field *fields, size_t count, struct error *why)
{
	struct rows *rows = arg;
	size_t used = strlen(rows->text);

	if (++rows->count == rows->stop_at)
		return error_set(why, ERR_REFUSED, "enough");
	used += (size_t)snprintf(rows->text + used, sizeof(rows->text) - used, "%zu:", line);
	for (size_t i = 0; i < count && used < sizeof(rows->text); i++) {
		assert_int_equal(strlen(fields[i].text), fields[i].len);
		used += (size_t)snprintf(
		    rows->text + used, sizeof(rows->text) - used, "[%s]", fields[i].text);
	}
	return ERR_OK;
}

static enum err read_rows(const char *bytes, size_t len, struct rows *rows)
{
	FILE *file = tmpfile();
	enum err err;

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	rewind(file);
	err = csv_read(fileno(file), "in.csv", keep_row, rows, &error);
	fclose(file);
	return err;
}

static void check_rows(const char *bytes, const char *text)
{
	struct rows rows = {.count = 0};

	if (read_rows(bytes, strlen(bytes), &rows) != ERR_OK)
		fail_msg("%s", error.text);
	assert_string_equal(rows.text, text);
}

static void check_refused(const char *bytes, size_t len, const char *text, const char *before)
{
	struct rows rows = {.count = 0};

	assert_int_equal(read_rows(bytes, len, &rows), ERR_INVALID);
	if (strstr(error.text, text) == NULL)
		fail_msg("%s", error.text);
	assert_string_equal(rows.text, before);
}

static void rows_and_lines(void **state)
{
	(void)state;
	check_rows("", "");
	check_rows("a,b\nc,d\n", "1:[a][b]2:[c][d]");
	check_rows("a,b\r\nc,d", "1:[a][b]2:[c][d]");
	check_rows("\xef\xbb\xbf"
		   "a\n",
	    "1:[a]");
	check_rows("\xef\xbb\xbf", "");
	check_rows("a\n\n\r\nb\n", "1:[a]4:[b]");
	check_rows("a,,\n,\n", "1:[a][][]2:[][]");
	check_rows("\"a\"\"b\",\"c,d\"\n", "1:[a\"b][c,d]");
	check_rows("\"a\nb\n\",c\nd\n", "1:[a\nb\n][c]4:[d]");
	check_rows("\"a\r\n\r\nb\"\r\nd\r\n", "1:[a\r\n\r\nb]4:[d]");
	check_rows(" a , b \n \n", "1:[ a ][ b ]2:[ ]");
	check_rows("\"\"\n", "1:[]");
}

static void bad_bytes_are_refused(void **state)
{
	(void)state;
	check_refused("a\nb\xff\n", 5, "in.csv:2: ", "1:[a]");
	check_refused("a\nb\0c\n", 6, "in.csv:2: ", "1:[a]");
	check_refused("a\n\"b\nc", 6, "in.csv:2: a quote is opened here", "1:[a]");
	check_refused("a\nb\"c\n", 6, "in.csv:2: a quote", "1:[a]");
	check_refused("\"b\"c\n", 5, "in.csv:1: a quote", "");
	check_refused("a\rb\rc\n", 6, "in.csv:1: a carriage return", "");
	check_refused("a\n\rb\n", 5, "in.csv:2: a carriage return", "1:[a]");
}

static void long_rows_are_refused(void **state)
{
	size_t size = 200000;
	char *big = malloc(size);
	struct rows rows = {.count = 0};

	(void)state;
	memset(big, 'a', size);
	memcpy(big, "h\n", 2);
	check_refused(big, size, "in.csv:2: the line is too long", "1:[h]");
	big[2 + CSV_LINE_MAX] = '\n';
	check_refused(big, CSV_LINE_MAX + 3, "in.csv:2: the row is too long", "1:[h]");
	big[1 + CSV_LINE_MAX] = '\n';
	assert_int_equal(read_rows(big, CSV_LINE_MAX + 2, &rows), ERR_OK);
	assert_int_equal(rows.count, 2);
	/* A quoted field of many lines is one row. */
	for (size_t i = 100; i < size; i += 100)
		big[i] = '\n';
	big[2] = '"';
	check_refused(big, size, "the row is too long", "1:[h]");
	free(big);
}

static void many_fields_are_refused(void **state)
{
	char row[CSV_FIELDS_MAX + 2];
	struct rows rows = {.count = 0};

	(void)state;
	memset(row, ',', sizeof(row));
	row[CSV_FIELDS_MAX - 1] = '\n';
	assert_int_equal(read_rows(row, CSV_FIELDS_MAX, &rows), ERR_OK);
	row[CSV_FIELDS_MAX - 1] = ',';
	row[CSV_FIELDS_MAX] = '\n';
	check_refused(row, CSV_FIELDS_MAX + 1, "in.csv:1: the row has too many fields", "");
}

static void a_refused_row_ends_it(void **state)
{
	struct rows rows = {.stop_at = 2};

	(void)state;
	assert_int_equal(read_rows("a\nb\nc\n", 6, &rows), ERR_REFUSED);
	assert_string_equal(error.text, "enough");
	assert_int_equal(rows.count, 2);
	rows = (struct rows){.stop_at = 2};
	assert_int_equal(read_rows("a\nb", 3, &rows), ERR_REFUSED);
	assert_int_equal(csv_read(-1, "none", keep_row, &rows, &error), ERR_IO);
}

/* A fresh directory to work in. */
static int enter_directory(void **state)
{
	static char directory[] = "/tmp/test_base_file.XXXXXX";

	*state = mkdtemp(directory);
	return *state == NULL ? -1 : chdir(*state);
}

static int leave_directory(void **state)
{
	if (system("rm -rf a b d link a.*") != 0 || chdir("/") != 0)
		return -1;
	return rmdir(*state);
}

static void check_content(const char *path, const char *text)
{
	struct buf buf;

	buf_init(&buf, 100);
	assert_int_equal(file_read(path, &buf, &error), ERR_OK);
	assert_string_equal(buf_text(&buf), text);
	buf_clear(&buf);
}

static void files_are_written_and_read(void **state)
{
	struct stat st;

	(void)state;
	umask(077);
	assert_int_equal(file_write("a", "one", 3, 0640, 0, &error), ERR_OK);
	check_content("a", "one");
	assert_int_equal(stat("a", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(file_write("a", "two", 3, 0600, 0, &error), ERR_EXISTS);
	check_content("a", "one");
	assert_int_equal(file_write("./a", "three", 5, 0600, 1, &error), ERR_OK);
	check_content("a", "three");
	assert_int_equal(file_write("b", "", 0, 0600, 1, &error), ERR_OK);
	check_content("b", "");
	assert_int_equal(file_write("none/a", "x", 1, 0600, 1, &error), ERR_NOT_FOUND);
	/* Nothing is left beside. */
	assert_int_not_equal(system("ls a.* 2>/dev/null"), 0);
}

static void reading_has_a_cap(void **state)
{
	struct buf buf;

	(void)state;
	assert_int_equal(file_write("a", "12345678", 8, 0600, 1, &error), ERR_OK);
	buf_init(&buf, 11);
	assert_true(buf_add_text(&buf, "abc"));
	assert_int_equal(file_read("a", &buf, &error), ERR_OK);
	assert_string_equal(buf_text(&buf), "abc12345678");
	buf_clear(&buf);
	buf_init(&buf, 10);
	assert_true(buf_add_text(&buf, "abc"));
	assert_int_equal(file_read("a", &buf, &error), ERR_LIMIT);
	assert_string_equal(buf_text(&buf), "abc");
	assert_int_equal(file_read("none", &buf, &error), ERR_NOT_FOUND);
	assert_non_null(strstr(error.text, "none"));
	assert_int_equal(file_read(".", &buf, &error), ERR_IO);
	buf_clear(&buf);
}

static void check_distrust(const char *path, const char *text)
{
	assert_int_equal(file_trusted(path, &error), ERR_DENIED);
	if (strstr(error.text, text) == NULL)
		fail_msg("%s", error.text);
}

static void only_ours_is_trusted(void **state)
{
	(void)state;
	assert_int_equal(file_write("a", "x", 1, 0644, 1, &error), ERR_OK);
	assert_int_equal(mkdir("d", 0755), 0);
	assert_int_equal(symlink("a", "link"), 0);
	assert_int_equal(file_trusted("a", &error), ERR_OK);
	assert_int_equal(file_trusted("d", &error), ERR_OK);
	assert_int_equal(file_trusted("/etc/passwd", &error), ERR_OK);
	assert_int_equal(file_trusted("none", &error), ERR_NOT_FOUND);
	check_distrust("link", "symbolic link");
	check_distrust("/tmp", "chmod go-w /tmp");
	assert_int_equal(chmod("a", 0664), 0);
	check_distrust("a", "chmod go-w a");
	assert_int_equal(chmod("a", 0602), 0);
	check_distrust("a", "chmod go-w a");
	assert_int_equal(chmod("d", 01777), 0);
	check_distrust("d", "chmod go-w d");
	if (geteuid() != 0)
		return;
	assert_int_equal(chmod("a", 0600), 0);
	assert_int_equal(chown("a", 65534, 65534), 0);
	check_distrust("a", "belongs to user 65534");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rows_and_lines),
	    cmocka_unit_test(bad_bytes_are_refused),
	    cmocka_unit_test(long_rows_are_refused),
	    cmocka_unit_test(many_fields_are_refused),
	    cmocka_unit_test(a_refused_row_ends_it),
	    cmocka_unit_test(files_are_written_and_read),
	    cmocka_unit_test(reading_has_a_cap),
	    cmocka_unit_test(only_ours_is_trusted),
	};

	return cmocka_run_group_tests(tests, enter_directory, leave_directory);
}
