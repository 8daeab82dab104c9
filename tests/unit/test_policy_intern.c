/*
 * Interning: equal bytes are kept once, whatever else there is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/spread.h"
#include "policy/intern.h"

#define MANY	10000
#define CROWD	100 /* more than are looked at, less than half of the first slots */
#define ROOM	256 /* of them */
#define IN_STEP 32

struct kept {
	struct arena arena;
	struct intern intern;
};

static void kept_init(struct kept *kept)
{
	*kept = (struct kept){0};
	kept->intern.arena = &kept->arena;
}

static void kept_clear(struct kept *kept)
{
	intern_clear(&kept->intern);
	arena_clear(&kept->arena);
}

static void equal_texts_are_one(void **state)
{
	struct kept kept;
	const char *app, *deploy;
	char other[] = "app";

	(void)state;
	kept_init(&kept);
	app = intern_text(&kept.intern, "app");
	deploy = intern_text(&kept.intern, "deploy");
	assert_string_equal(app, "app");
	assert_string_equal(deploy, "deploy");
	assert_ptr_equal(intern_text(&kept.intern, other), app);
	other[0] = 'd';
	assert_string_equal(intern_text(&kept.intern, "app"), "app");
	assert_string_equal(intern_text(&kept.intern, "ap"), "ap");
	assert_string_equal(intern_text(&kept.intern, ""), "");
	assert_null(intern_text(&kept.intern, NULL));
	kept_clear(&kept);
}

static void equal_lists_are_one(void **state)
{
	struct kept kept;
	const char *items[3], *copy[3];
	const char **list;

	(void)state;
	kept_init(&kept);
	items[0] = copy[0] = intern_text(&kept.intern, "app");
	items[1] = copy[1] = intern_text(&kept.intern, "deploy");
	items[2] = copy[2] = intern_text(&kept.intern, "ops");
	list = intern_list(&kept.intern, items, 3, sizeof(items[0]));
	assert_ptr_not_equal(list, items);
	assert_string_equal(list[2], "ops");
	assert_ptr_equal(intern_list(&kept.intern, copy, 3, sizeof(copy[0])), list);
	assert_ptr_not_equal(intern_list(&kept.intern, copy, 2, sizeof(copy[0])), list);
	assert_null(intern_list(&kept.intern, items, 0, sizeof(items[0])));
	kept_clear(&kept);
}

static void callers_write_behind(void **state)
{
	struct kept kept;
	struct {
		uint64_t said, written;
	} * first, *again;
	uint64_t said = 7;

	(void)state;
	kept_init(&kept);
	first = intern_bytes(&kept.intern, &said, sizeof(said), sizeof(*first));
	assert_int_equal(first->said, 7);
	assert_int_equal(first->written, 0);
	first->written = 1;
	again = intern_bytes(&kept.intern, &said, sizeof(said), sizeof(*first));
	assert_ptr_equal(first, again);
	assert_int_equal(again->written, 1);
	kept_clear(&kept);
}

static const char *numbered(struct kept *kept, int number)
{
	char text[16];

	snprintf(text, sizeof(text), "host%d", number);
	return intern_text(&kept->intern, text);
}

static void many_are_found(void **state)
{
	const char **texts = test_calloc(MANY, sizeof(texts[0]));
	struct kept kept;
	size_t total;
	char expected[16];

	(void)state;
	kept_init(&kept);
	for (int i = 0; i < MANY; i++)
		texts[i] = numbered(&kept, i);
	total = kept.arena.total;
	for (int i = 0; i < MANY; i++) {
		snprintf(expected, sizeof(expected), "host%d", i);
		assert_string_equal(texts[i], expected);
		assert_ptr_equal(numbered(&kept, i), texts[i]);
	}
	assert_int_equal(kept.arena.total, total);
	assert_int_equal(kept.intern.count, MANY);
	test_free(texts);
	kept_clear(&kept);
}

/* The next number whose bytes belong into the first slot. */
static uint32_t crowding(uint32_t number)
{
	do
		number++;
	while ((uint32_t)spread_end(spread_add(0, &number, sizeof(number))) % ROOM != 0);
	return number;
}

/* Who chooses the bytes so that they meet gets them kept twice, and costs no time. */
static void crowd_is_kept_again(void **state)
{
	uint32_t number = 0, *kept_first[CROWD];
	struct kept kept;

	(void)state;
	kept_init(&kept);
	for (size_t i = 0; i < CROWD; i++) {
		number = crowding(number);
		kept_first[i] = intern_bytes(&kept.intern, &number, sizeof(number), sizeof(number));
		assert_int_equal(*kept_first[i], number);
	}
	assert_int_equal(kept.intern.count, IN_STEP);
	for (size_t i = 0; i < CROWD; i++) {
		number = *kept_first[i];
		assert_int_equal(kept_first[i] == intern_bytes(&kept.intern, &number,
						      sizeof(number), sizeof(number)),
		    i < IN_STEP);
		assert_int_equal(*kept_first[i], number);
	}
	kept_clear(&kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(equal_texts_are_one),
	    cmocka_unit_test(equal_lists_are_one),
	    cmocka_unit_test(callers_write_behind),
	    cmocka_unit_test(many_are_found),
	    cmocka_unit_test(crowd_is_kept_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
