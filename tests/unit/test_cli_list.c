/* Lists as tables and as CSV. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/list.h"

static const char *loud(char out[LIST_TEXT_SIZE], const json_t *row)
{
	snprintf(out, LIST_TEXT_SIZE, "%s!", text_of(row, "name"));
	return out;
}

static const struct column columns[] = {
    {"name", NULL, loud, false},
    {NULL, "name", NULL, false},
    {"labels", "labels", NULL, false},
    {"tags", "tags", NULL, false},
    {"code", "error.code", NULL, false},
    {NULL, "port", NULL, false},
    {NULL, "on", NULL, false},
    {0},
};

static json_t *rows(void)
{
	return json_pack("[{s:s, s:{s:s, s:s}, s:[s,s], s:{s:s}, s:i, s:b}, {s:s, s:n, s:[], s:n}]",
	    "name", "web1", "labels", "nginx", "true", "tier", "1", "tags", "a", "b", "error",
	    "code", "lost", "port", 22, "on", 1, "name", "a \"b\",\nc", "labels", "tags", "error");
}

static char *csv_of(json_t *list)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	list_write_csv(out, list, columns);
	fclose(out);
	json_decref(list);
	return text;
}

static char *table_of(json_t *list, size_t width)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	list_write(out, width, list, columns);
	fclose(out);
	json_decref(list);
	return text;
}

static void check(char *text, const char *expected)
{
	assert_string_equal(text, expected);
	free(text);
}

static void test_csv(void **state)
{
	(void)state;
	check(csv_of(rows()), "name,labels,tags,error.code,port,on\r\n"
			      "web1,nginx;tier=1,a;b,lost,22,true\r\n"
			      "\"a \"\"b\"\",\nc\",,,,,\r\n");
	check(csv_of(json_array()), "name,labels,tags,error.code,port,on\r\n");
}

static void test_a_formula_of_an_asset_is_text(void **state)
{
	static const struct column messages[] = {
	    {NULL, "asset", NULL, false}, {NULL, "error.message", NULL, false}, {0}};
	json_t *list = json_pack("[{s:s, s:{s:s}}, {s:s, s:{s:s}}]", "asset", "=web", "error",
	    "message", "=cmd|' /C calc'!A0", "asset", "web2", "error", "message", "no = here");
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	list_write_csv(out, list, messages);
	fclose(out);
	json_decref(list);
	check(text, "asset,error.message\r\n"
		    "=web,'=cmd|' /C calc'!A0\r\n"
		    "web2,no = here\r\n");
}

static void test_table(void **state)
{
	json_t *one = rows();

	(void)state;
	json_array_remove(one, 1);
	check(table_of(one, 0), "name   labels        tags  code\n"
				"web1!  nginx;tier=1  a;b   lost\n");
}

static void test_a_narrow_table_is_cut(void **state)
{
	json_t *one = rows();

	(void)state;
	json_array_remove(one, 1);
	check(table_of(one, 26), "name   labels   tags  code\n"
				 "web1!  nginx;…  a;b   lost\n");
}

/* Part of an id is of no use: what may be cut is cut further instead. */
static void test_an_id_is_not_cut(void **state)
{
	static const struct column ids[] = {
	    {"id", "id", NULL, true}, {"why", "why", NULL, false}, {0}};
	json_t *list = json_pack("[{s:s, s:s}]", "id", "01M8DRN8C973KSPP0YRZZ086KH", "why",
	    "the connection was refused");
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	list_write(out, 40, list, ids);
	list_write(out, 10, list, ids);
	fclose(out);
	json_decref(list);
	check(text, "id                          why\n"
		    "01M8DRN8C973KSPP0YRZZ086KH  the connect…\n"
		    "id                          why\n"
		    "01M8DRN8C973KSPP0YRZZ086KH  the c…\n");
}

static void test_a_long_cell_is_whole_in_csv(void **state)
{
	json_t *list = json_pack("[{s:s, s:[]}]", "name", "x", "tags");
	json_t *tags = json_object_get(json_array_get(list, 0), "tags");
	char *text;

	(void)state;
	for (int i = 0; i < 5000; i++)
		json_array_append_new(tags, json_string("0123456789"));
	text = csv_of(list);
	assert_int_equal(strlen(strchr(text, '\n') + 1), strlen("x,,,,,\r\n") + 5000 * 11 - 1);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_csv),
	    cmocka_unit_test(test_a_formula_of_an_asset_is_text),
	    cmocka_unit_test(test_table),
	    cmocka_unit_test(test_a_narrow_table_is_cut),
	    cmocka_unit_test(test_an_id_is_not_cut),
	    cmocka_unit_test(test_a_long_cell_is_whole_in_csv),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
