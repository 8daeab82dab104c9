#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/pack.h"

static struct unpack *parse(struct buf *buf)
{
	struct unpack *unpack;

	assert_false(buf_failed(buf));
	assert_int_equal(unpack_new(&unpack, buf->data, buf->len), ERR_OK);
	assert_non_null(unpack);
	return unpack;
}

static void check_text(const struct value *value, const char *text)
{
	char out[64];

	assert_int_equal(value_text(value, out, sizeof(out)), strlen(text));
	assert_string_equal(out, text);
}

static void pack_record(struct buf *buf, const struct id *id)
{
	pack_map(buf, 8);
	pack_kv_text(buf, "text", "hello");
	pack_kv_text(buf, "none", NULL);
	pack_kv_bytes(buf, "bytes", "a\0b", 3);
	pack_kv_uint(buf, "uint", UINT64_MAX);
	pack_kv_int(buf, "int", INT64_MIN);
	pack_kv_bool(buf, "bool", true);
	pack_kv_id(buf, "id", id);
	pack_text(buf, "list");
	pack_array(buf, 3);
	pack_uint(buf, 1);
	pack_nil(buf);
	pack_text(buf, "x");
}

static void a_record_comes_back(void **state)
{
	struct id id = {{1, 2, 3, [15] = 9}}, got;
	struct unpack *unpack;
	const struct value *root, *list;
	struct buf buf;
	size_t len;

	(void)state;
	buf_init(&buf, 1000);
	pack_record(&buf, &id);
	unpack = parse(&buf);
	root = unpack_root(unpack);
	assert_int_equal(value_pairs(root), 8);
	check_text(value_get(root, "text"), "hello");
	assert_true(value_is_nil(value_get(root, "none")));
	assert_memory_equal(value_bytes(value_get(root, "bytes"), &len), "a\0b", 3);
	assert_int_equal(len, 3);
	assert_true(value_uint(value_get(root, "uint"), 0) == UINT64_MAX);
	assert_true(value_int(value_get(root, "int"), 0) == INT64_MIN);
	assert_true(value_bool(value_get(root, "bool"), false));
	got = value_id(value_get(root, "id"));
	assert_true(id_equal(&got, &id));
	list = value_get(root, "list");
	assert_int_equal(value_count(list), 3);
	assert_int_equal(value_uint(value_item(list, 0), 0), 1);
	check_text(value_item(list, 2), "x");
	assert_null(value_item(list, 3));
	unpack_free(unpack);
	buf_clear(&buf);
}

static void what_is_missing_has_a_default(void **state)
{
	struct unpack *unpack;
	const struct value *root;
	struct buf buf;
	struct id id;
	size_t len = 1;

	(void)state;
	buf_init(&buf, 1000);
	pack_map(&buf, 2);
	pack_kv_int(&buf, "minus", -1);
	pack_kv_uint(&buf, "big", UINT64_MAX);
	unpack = parse(&buf);
	root = unpack_root(unpack);
	assert_int_equal(value_uint(value_get(root, "minus"), 7), 7);
	assert_int_equal(value_int(value_get(root, "big"), 7), 7);
	assert_int_equal(value_uint(value_get(root, "mi"), 7), 7);
	assert_int_equal(value_int(NULL, -7), -7);
	assert_true(value_bool(root, true));
	assert_null(value_bytes(root, &len));
	assert_int_equal(len, 0);
	assert_int_equal(value_count(root), 0);
	assert_null(value_get(value_get(root, "minus"), "x"));
	check_text(NULL, "");
	id = value_id(value_get(root, "minus"));
	assert_true(id_is_none(&id));
	assert_false(value_is_nil(root));
	unpack_free(unpack);
	unpack_free(NULL);
	buf_clear(&buf);
}

static void pairs_in_order(void **state)
{
	struct unpack *unpack;
	const char *key;
	struct buf buf;
	size_t len;

	(void)state;
	buf_init(&buf, 1000);
	pack_map(&buf, 2);
	pack_uint(&buf, 5);
	pack_text(&buf, "by number");
	pack_kv_text(&buf, "k", "by text");
	unpack = parse(&buf);
	check_text(value_pair(unpack_root(unpack), 0, &key, &len), "by number");
	assert_null(key);
	check_text(value_pair(unpack_root(unpack), 1, &key, &len), "by text");
	assert_int_equal(len, 1);
	assert_memory_equal(key, "k", 1);
	assert_null(value_pair(unpack_root(unpack), 2, &key, &len));
	unpack_free(unpack);
	buf_clear(&buf);
}

static void check_cut(const char *bytes, size_t len, size_t size, const char *shown)
{
	struct unpack *unpack;
	struct buf buf;
	char out[32];

	buf_init(&buf, 1000);
	pack_bytes(&buf, bytes, len);
	unpack = parse(&buf);
	assert_int_equal(value_text(unpack_root(unpack), out, size), strlen(shown));
	assert_string_equal(out, shown);
	unpack_free(unpack);
	buf_clear(&buf);
}

static void text_is_cut(void **state)
{
	(void)state;
	check_cut("abcdef", 6, 7, "abcdef");
	check_cut("abcdef", 6, 4, "abc");
	check_cut("abcdef", 6, 1, "");
	check_cut("ab\xe2\x82\xac", 5, 5, "ab");
	check_cut("ab\xe2\x82\xac", 5, 6, "ab\xe2\x82\xac");
	check_cut("ab\0cd", 5, 32, "ab");
}

static void check_corrupt(const char *bytes, size_t len)
{
	/* A copy on the heap, so that reading past its end is found. */
	char *copy = malloc(len + 1);
	struct unpack *unpack;

	memcpy(copy + 1, bytes, len);
	assert_int_equal(unpack_new(&unpack, copy + 1, len), ERR_CORRUPT);
	assert_null(unpack);
	free(copy);
}

#define CORRUPT(text) check_corrupt(text, sizeof(text) - 1)

static void corrupt_messages(void **state)
{
	(void)state;
	CORRUPT("");
	CORRUPT("\xc1");
	CORRUPT("\x01\x02"); /* something behind the message */
	CORRUPT("\xa5"
		"abcd"); /* text cut */
	CORRUPT("\xdb\xff\xff\xff\xff"
		"a"); /* text of 4 GB */
	CORRUPT("\xc6\x00\x00\x00\x02"
		"a");
	CORRUPT("\xdd\xff\xff\xff\xff\xc0");	 /* an array of 4 thousand millions */
	CORRUPT("\xdf\xff\xff\xff\xff\xc0\xc0"); /* a map of as many */
	CORRUPT("\xdf\x80\x00\x00\x01\xc0\xc0");
	CORRUPT("\x82\xc0\xc0\xc0");
	CORRUPT("\xcf\x00\x00");
	CORRUPT("\xd9");
	CORRUPT("\xc7\x01\x05");
	CORRUPT("\xd8\x05"
		"123456789012345");
}

static void well_formed_strangers_are_read(void **state)
{
	static const char *const messages[] = {
	    "\x92\xcb\x40\x09\x21\xfb\x54\x44\x2d\x18\xc3",
	    "\x92\xd8\x05"
	    "1234567890123456"
	    "\xc3",
	    "\x92\xc7\x02\x05xy\xc3",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		size_t len = i == 0 ? 11 : strlen(messages[i]);
		struct unpack *unpack;

		assert_int_equal(unpack_new(&unpack, messages[i], len), ERR_OK);
		assert_int_equal(value_uint(value_item(unpack_root(unpack), 0), 7), 7);
		assert_true(value_bool(value_item(unpack_root(unpack), 1), false));
		unpack_free(unpack);
	}
}

static void check_number(const char *bytes, size_t len, int64_t number)
{
	struct unpack *unpack;
	const struct value *root;

	assert_int_equal(unpack_new(&unpack, bytes, len), ERR_OK);
	root = unpack_root(unpack);
	assert_int_equal(value_int(root, 7), number);
	assert_int_equal(value_uint(root, 7), number < 0 ? 7 : (uint64_t)number);
	unpack_free(unpack);
}

#define NUMBER(bytes, number) check_number(bytes, sizeof(bytes) - 1, number)

/* Of every size, and a signed one may be positive. */
static void numbers_of_every_form(void **state)
{
	(void)state;
	NUMBER("\x00", 0);
	NUMBER("\x7f", 127);
	NUMBER("\xe0", -32);
	NUMBER("\xff", -1);
	NUMBER("\xcc\xff", 255);
	NUMBER("\xcd\x01\x02", 258);
	NUMBER("\xce\xff\x00\x00\x01", 0xff000001);
	NUMBER("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", INT64_MAX);
	NUMBER("\xd0\x05", 5);
	NUMBER("\xd0\x80", -128);
	NUMBER("\xd1\x7f\xff", 32767);
	NUMBER("\xd1\x80\x00", -32768);
	NUMBER("\xd2\x80\x00\x00\x00", INT32_MIN);
	NUMBER("\xd3\x80\x00\x00\x00\x00\x00\x00\x00", INT64_MIN);
	NUMBER("\xd3\x00\x00\x00\x00\x00\x00\x00\x09", 9);
}

static void nesting_is_bounded(void **state)
{
	struct unpack *unpack;
	char deep[100001];

	(void)state;
	memset(deep, '\x91', sizeof(deep));
	deep[16] = '\xc0';
	assert_int_equal(unpack_new(&unpack, deep, 17), ERR_OK);
	unpack_free(unpack);
	deep[16] = '\x91';
	deep[17] = '\xc0';
	check_corrupt(deep, 18);
	deep[17] = '\x91';
	deep[sizeof(deep) - 1] = '\xc0';
	check_corrupt(deep, sizeof(deep));
	/* An empty one at the bottom counts, too. */
	memset(deep, '\x91', 16);
	deep[16] = '\x90';
	check_corrupt(deep, 17);
}

/* Every message cut anywhere, and with any one byte changed, is read or refused, never more. */
static void damage_is_survived(void **state)
{
	struct id id = {{7}};
	struct buf buf;

	(void)state;
	buf_init(&buf, 1000);
	pack_record(&buf, &id);
	for (size_t len = 0; len < buf.len; len++)
		check_corrupt((const char *)buf.data, len);
	for (size_t at = 0; at < buf.len; at++) {
		for (unsigned flip = 1; flip < 256; flip++) {
			struct unpack *unpack;
			char *copy = malloc(buf.len);

			memcpy(copy, buf.data, buf.len);
			copy[at] = (char)(copy[at] ^ (char)flip);
			if (unpack_new(&unpack, copy, buf.len) == ERR_OK)
				value_get(unpack_root(unpack), "list");
			unpack_free(unpack);
			free(copy);
		}
	}
	buf_clear(&buf);
}

static void a_full_buffer_shows(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 10);
	pack_array(&buf, 2);
	pack_text(&buf, "hello");
	assert_false(buf_failed(&buf));
	pack_text(&buf, "world");
	pack_nil(&buf);
	assert_true(buf_failed(&buf));
	buf_clear(&buf);
}

/* What json_write wrote. */
static const char *written(const json_t *json, bool indented, char *out, size_t size)
{
	int fds[2];
	ssize_t n;

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(json_write(fds[1], json, indented), ERR_OK);
	n = read(fds[0], out, size - 1);
	assert_true(n > 0);
	out[n] = '\0';
	close(fds[0]);
	close(fds[1]);
	return out;
}

static void json_documents(void **state)
{
	struct id id = {{[15] = 1}}, none = {{0}};
	json_t *json = json_object();
	char out[1024];

	(void)state;
	assert_int_equal(json_object_set_new(json, "text", json_text("a\x1b\xff")), 0);
	assert_int_equal(json_object_set_new(json, "null", json_text(NULL)), 0);
	assert_int_equal(json_object_set_new(json, "time", json_time(1)), 0);
	assert_int_equal(json_object_set_new(json, "never", json_time(0)), 0);
	assert_int_equal(json_object_set_new(json, "id", json_id(&id)), 0);
	assert_int_equal(json_object_set_new(json, "none", json_id(&none)), 0);
	assert_string_equal(written(json, false, out, sizeof(out)),
	    "{\"text\":\"a\\\\x1b\\\\xff\",\"null\":null,\"time\":\"1970-01-01T00:00:00.001Z\","
	    "\"never\":null,\"id\":\"00000000000000000000000001\",\"none\":null}\n");
	json_decref(json);
	json = json_pack("{s:i}", "a", 1);
	assert_string_equal(written(json, true, out, sizeof(out)), "{\n  \"a\": 1\n}\n");
	assert_int_equal(json_write(-1, json, false), ERR_IO);
	json_decref(json);
}

static void json_longer_than_a_write(void **state)
{
	char *out = malloc(200000), *long_text = malloc(50001);
	FILE *file = tmpfile();
	json_t *json;

	(void)state;
	memset(long_text, 'j', 50000);
	long_text[50000] = '\0';
	json = json_text(long_text);
	assert_int_equal(json_write(fileno(file), json, false), ERR_OK);
	assert_int_equal(pread(fileno(file), out, 200000, 0), 50003);
	assert_memory_equal(out + 1, long_text, 50000);
	assert_memory_equal(out + 50001, "\"\n", 2);
	json_decref(json);
	fclose(file);
	free(long_text);
	free(out);
}

static void json_is_in_wiped_memory(void **state)
{
	size_t before = mem_used();
	json_t *json = json_string("a value");

	(void)state;
	assert_true(mem_used() > before);
	json_decref(json);
	assert_int_equal(mem_used(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_record_comes_back),
	    cmocka_unit_test(what_is_missing_has_a_default),
	    cmocka_unit_test(pairs_in_order),
	    cmocka_unit_test(text_is_cut),
	    cmocka_unit_test(corrupt_messages),
	    cmocka_unit_test(well_formed_strangers_are_read),
	    cmocka_unit_test(numbers_of_every_form),
	    cmocka_unit_test(nesting_is_bounded),
	    cmocka_unit_test(damage_is_survived),
	    cmocka_unit_test(a_full_buffer_shows),
	    cmocka_unit_test(json_documents),
	    cmocka_unit_test(json_longer_than_a_write),
	    cmocka_unit_test(json_is_in_wiped_memory),
	};

	json_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
