/*
 * API tokens: found by what is shown alone, in their own vault alone, and a name is one token's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "vault/token.h"
#include "vault_help.h"

struct keeping {
	struct token token;
	char text[TOKEN_TEXT_SIZE];
	enum err err;
	bool drops;
	size_t times;
};

static enum err keep(struct vault_txn *txn, void *arg, struct error *error)
{
	struct keeping *keeping = arg;

	(void)error;
	keeping->err = ERR_OK;
	for (size_t i = 0; i < keeping->times && keeping->err == ERR_OK; i++) {
		if (i > 0) {
			token_make(keeping->text);
			snprintf(keeping->token.name, TOKEN_NAME_SIZE, "n%zu", i);
		}
		keeping->err = keeping->drops ? token_drop(txn, &keeping->token)
					      : token_put(txn, &keeping->token, keeping->text);
	}
	return ERR_OK;
}

static enum err keep_in(struct place *place, struct vault *vault, struct keeping *keeping)
{
	assert_int_equal(vault_write(vault, keep, keeping, &place->error), ERR_OK);
	return keeping->err;
}

static struct keeping keeping_of(const char *name, uint64_t until_ms)
{
	struct keeping keeping = {.times = 1,
	    .token = {.user = "ann",
		.made_ms = 1,
		.until_ms = until_ms,
		.permissions = {"view", "reveal"},
		.permission_count = 2,
		.nodes = {"/prod", "/test/web"},
		.node_count = 2,
		.tasks = {"prod-*"},
		.task_count = 1}};

	snprintf(keeping.token.name, TOKEN_NAME_SIZE, "%s", name);
	token_make(keeping.text);
	return keeping;
}

static enum err get(struct vault *vault, const char *text, size_t len, struct token *token)
{
	struct vault_txn *txn = vault_read(vault);
	enum err err = token_get(txn, text, len, token);

	vault_read_end(txn);
	return err;
}

static void all_of_it_is_kept(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct keeping keeping = keeping_of("ci", UINT64_MAX);
	struct token token;

	assert_int_equal(keep_in(place, vault, &keeping), ERR_OK);
	assert_int_equal(get(vault, keeping.text, strlen(keeping.text), &token), ERR_OK);
	assert_memory_equal(&token, &keeping.token, sizeof(token));
	vault_close(vault);
}

static void what_is_shown_must_be_all_of_it(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct keeping keeping = keeping_of("ci", UINT64_MAX);
	size_t len = strlen(keeping.text);
	char other[TOKEN_TEXT_SIZE];
	struct token token;

	assert_int_equal(keep_in(place, vault, &keeping), ERR_OK);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(get(vault, keeping.text, cut, &token), ERR_NOT_FOUND);
	for (size_t i = 0; i < len; i++) {
		memcpy(other, keeping.text, sizeof(other));
		other[i] = other[i] == '0' ? '1' : '0';
		assert_int_equal(get(vault, other, len, &token), ERR_NOT_FOUND);
	}
	token_make(other);
	assert_true(token_is_whole(other, len));
	assert_int_equal(get(vault, other, len, &token), ERR_NOT_FOUND);
	assert_string_not_equal(other, keeping.text);
	vault_close(vault);
}

static void a_name_is_one_tokens(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct keeping first = keeping_of("ci", UINT64_MAX), second = keeping_of("ci", UINT64_MAX);
	struct token token;

	assert_int_equal(keep_in(place, vault, &first), ERR_OK);
	assert_int_equal(keep_in(place, vault, &second), ERR_EXISTS);
	assert_int_equal(get(vault, second.text, strlen(second.text), &token), ERR_NOT_FOUND);
	first.drops = true;
	assert_int_equal(keep_in(place, vault, &first), ERR_OK);
	assert_int_equal(get(vault, first.text, strlen(first.text), &token), ERR_NOT_FOUND);
	/* One that expired gives its name away. */
	second.token.until_ms = 1;
	assert_int_equal(keep_in(place, vault, &second), ERR_OK);
	first.drops = false;
	assert_int_equal(keep_in(place, vault, &first), ERR_OK);
	assert_int_equal(get(vault, second.text, strlen(second.text), &token), ERR_NOT_FOUND);
	vault_close(vault);
}

static void there_are_not_too_many(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct keeping keeping = keeping_of("ci", UINT64_MAX);

	keeping.times = TOKENS_MAX + 1;
	assert_int_equal(keep_in(place, vault, &keeping), ERR_FULL);
	vault_close(vault);
}

static void another_vault_does_not_know_it(void **state)
{
	struct place *place = *state, other;
	struct vault *vault = must_create(place), *second;
	struct keeping keeping = keeping_of("ci", UINT64_MAX);
	struct keeping copied = keeping;
	struct token token;

	place_setup(&other);
	second = must_create(&other);
	assert_int_equal(keep_in(place, vault, &keeping), ERR_OK);
	assert_int_equal(get(second, keeping.text, strlen(keeping.text), &token), ERR_NOT_FOUND);
	/* The same token has another hash there: a row that is copied is found by nothing. */
	assert_int_equal(keep_in(&other, second, &copied), ERR_OK);
	assert_memory_not_equal(copied.token.digest, keeping.token.digest, DIGEST_SIZE);
	vault_close(second);
	vault_close(vault);
	place_teardown(&other);
}

static void names_are_plain(void **state)
{
	(void)state;
	assert_true(token_name_is_good("ci.build_2-x"));
	assert_false(token_name_is_good(""));
	assert_false(token_name_is_good("-x"));
	assert_false(token_name_is_good("a b"));
	assert_false(token_name_is_good("a/b"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(all_of_it_is_kept, place_begin, place_end),
	    cmocka_unit_test_setup_teardown(
		what_is_shown_must_be_all_of_it, place_begin, place_end),
	    cmocka_unit_test_setup_teardown(a_name_is_one_tokens, place_begin, place_end),
	    cmocka_unit_test_setup_teardown(there_are_not_too_many, place_begin, place_end),
	    cmocka_unit_test_setup_teardown(another_vault_does_not_know_it, place_begin, place_end),
	    cmocka_unit_test(names_are_plain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
