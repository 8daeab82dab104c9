/* Where the master key comes from, changing it, and what is sealed anew: cut at every step, what
 * the settings name opens the vault. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "vault/keys.h"
#include "vault_help.h"

#define SECRETS 450

/* ── Helpers ─────────────────────────────────────────────────────────────────────────────── */

static void fill(struct place *place, struct vault *vault, int count)
{
	char name[32], secret[32];

	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "app%d", i);
		snprintf(secret, sizeof(secret), "tiger-%d", i);
		assert_int_equal(tell(place, vault, "web1", name, secret), ERR_OK);
	}
}

static void assert_filled(struct vault *vault, int count)
{
	char name[32], secret[32];

	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "app%d", i);
		snprintf(secret, sizeof(secret), "tiger-%d", i);
		assert_true(version_is(vault, "web1", name, 1, secret));
	}
}

static void add_slot(
    struct place *place, struct vault *vault, const struct secret *material, bool passphrase)
{
	struct rekey *rekey;

	if (rekey_new(&rekey, vault, material, passphrase, &place->error) != ERR_OK)
		fail_msg("%s", place->error.text);
	assert_int_equal(vault_write(vault, rekey_apply, rekey, &place->error), ERR_OK);
	rekey_done(rekey);
	rekey_free(rekey);
}

static void reseal_all(struct place *place, struct vault *vault)
{
	bool more = true;

	while (more)
		if (vault_reseal(vault, &more, &place->error) != ERR_OK)
			fail_msg("%s", place->error.text);
}

static struct key_facts facts_of(struct vault *vault)
{
	struct key_facts facts;

	vault_key_facts(vault, &facts);
	return facts;
}

static void write_text(const char *path, const char *text, mode_t mode)
{
	FILE *file = fopen(path, "w");

	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(path, mode), 0);
}

static enum err try_open(struct place *place, const struct key_source *source, struct vault **vault)
{
	place->config.key = source;
	return vault_open(vault, &place->config, &place->error);
}

/* ── Changing it ─────────────────────────────────────────────────────────────────────────── */

/* As lockstep vault rekey does it, left at step `stop`; then by what the settings name. */
static void rekey_cut_at(struct place *place, int stop)
{
	struct vault *vault = must_open(place);
	struct secret *material;
	char *kept = NULL;
	bool more;

	assert_int_equal(key_file_make(place->key_path, &material, &place->error), ERR_OK);
	if (stop > 0)
		add_slot(place, vault, material, false);
	if (stop > 1)
		assert_int_equal(key_file_place(place->key_path, 1700000000000 + (uint64_t)stop,
				     &kept, &place->error),
		    ERR_OK);
	if (stop > 2)
		assert_int_equal(vault_key_confirm(vault,
				     &(struct key_source){.file = place->key_path}, &place->error),
		    ERR_OK);
	if (stop > 3)
		assert_int_equal(vault_reseal(vault, &more, &place->error), ERR_OK);
	if (stop > 4)
		reseal_all(place, vault);
	secret_free(material);
	free(kept);
	vault_close(vault);
}

static void test_cut_anywhere_it_opens(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);

	fill(place, vault, SECRETS);
	vault_close(vault);
	for (int stop = 0; stop <= 5; stop++) {
		rekey_cut_at(place, stop);
		vault = must_open(place);
		assert_filled(vault, SECRETS);
		reseal_all(place, vault);
		assert_int_equal(facts_of(vault).data_keys, 1);
		assert_filled(vault, SECRETS);
		vault_close(vault);
	}
	vault = must_open(place);
	assert_int_equal(facts_of(vault).slots, 1);
	assert_int_equal(facts_of(vault).data_key, 6);
	vault_close(vault);
}

static void test_the_old_key_opens_nothing_any_more(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct secret *material;
	char *kept;

	fill(place, vault, 3);
	assert_int_equal(key_file_make(place->key_path, &material, &place->error), ERR_OK);
	add_slot(place, vault, material, false);
	secret_free(material);
	assert_int_equal(
	    key_file_place(place->key_path, 1700000000000, &kept, &place->error), ERR_OK);
	/* Not confirmed yet: both open it, the old one without harm to the new one. */
	vault_close(vault);
	assert_int_equal(try_open(place, &(struct key_source){.file = kept}, &vault), ERR_OK);
	assert_int_equal(facts_of(vault).slots, 2);
	vault_close(vault);
	assert_int_equal(
	    try_open(place, &(struct key_source){.file = place->key_path}, &vault), ERR_OK);
	assert_int_equal(facts_of(vault).slots, 1);
	assert_filled(vault, 3);
	vault_close(vault);
	assert_int_equal(try_open(place, &(struct key_source){.file = kept}, &vault), ERR_CORRUPT);
	assert_non_null(strstr(place->error.text, "does not open vault"));
	free(kept);
}

static void test_changed_under_a_running_engine(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct key_source source = {.file = place->key_path};

	fill(place, vault, 1);
	assert_int_equal(vault_key_confirm(vault, &source, &place->error), ERR_OK);
	assert_int_equal(chmod(place->key_path, 0600), 0);
	write_text(place->key_path,
	    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n", 0400);
	assert_int_equal(vault_key_confirm(vault, &source, &place->error), ERR_CORRUPT);
	assert_int_equal(tell(place, vault, "web1", "more", "tiger"), ERR_OK);
	vault_close(vault);
	assert_int_equal(try_open(place, &source, &vault), ERR_CORRUPT);
}

/* ── Other sources ───────────────────────────────────────────────────────────────────────── */

static enum err ask(void *arg, struct secret **passphrase, struct error *error)
{
	(void)error;
	*passphrase = secret_of(arg);
	return ERR_OK;
}

static void test_passphrase(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	char right[] = "correct horse battery", wrong[] = "wrong horse battery", less[] = "horse";
	struct key_source source = {.passphrase = true, .ask = ask, .arg = right};
	struct secret *material = secret_of(right);

	fill(place, vault, 2);
	add_slot(place, vault, material, true);
	secret_free(material);
	vault_close(vault);
	source.arg = wrong;
	assert_int_equal(try_open(place, &source, &vault), ERR_CORRUPT);
	source.arg = less;
	assert_int_equal(try_open(place, &source, &vault), ERR_INVALID);
	source.ask = NULL;
	assert_int_equal(try_open(place, &source, &vault), ERR_NOT_FOUND);
	source.ask = ask;
	source.arg = right;
	assert_int_equal(try_open(place, &source, &vault), ERR_OK);
	assert_int_equal(facts_of(vault).slots, 1);
	reseal_all(place, vault);
	assert_filled(vault, 2);
	vault_close(vault);
	assert_int_equal(
	    try_open(place, &(struct key_source){.file = place->key_path}, &vault), ERR_CORRUPT);
}

static enum err run(struct place *place, const char *script, uint64_t timeout_ms)
{
	const char *argv[] = {"sh", "-c", script, NULL};
	struct key_source source = {.command = argv, .timeout_ms = timeout_ms};
	struct vault *vault;
	enum err err = try_open(place, &source, &vault);

	if (err == ERR_OK)
		vault_close(vault);
	return err;
}

static void test_command(void **state)
{
	struct place *place = *state;
	const char *none[] = {"/nowhere/kms", NULL};
	struct key_source absent = {.command = none};
	struct vault *vault;
	char script[400];

	must_make(place);
	snprintf(script, sizeof(script), "cat %s", place->key_path);
	assert_int_equal(run(place, script, 0), ERR_OK);
	assert_int_equal(run(place, "exit 3", 0), ERR_REFUSED);
	assert_non_null(strstr(place->error.text, "status 3"));
	assert_int_equal(run(place, "sleep 30", 100), ERR_LIMIT);
	assert_int_equal(run(place, "exec >&-; sleep 30", 100), ERR_LIMIT);
	assert_int_equal(run(place, "yes", 5000), ERR_LIMIT);
	assert_int_equal(run(place, "echo tiger", 0), ERR_INVALID);
	assert_int_equal(run(place, "kill -9 $$", 0), ERR_REFUSED);
	/* Valgrind gives the child memory of its own, which posix_spawn is not told its end by. */
	if (getenv("VALGRIND") == NULL)
		assert_int_equal(try_open(place, &absent, &vault), ERR_NOT_FOUND);
	place->config.key = NULL;
}

static void test_credential(void **state)
{
	struct place *place = *state;
	struct key_source source = {.credential = "master.key"}, other = {.credential = "other"};
	struct vault *vault;

	must_make(place);
	unsetenv("CREDENTIALS_DIRECTORY");
	assert_int_equal(try_open(place, &source, &vault), ERR_NOT_FOUND);
	assert_non_null(strstr(place->error.text, "LoadCredential=master.key"));
	setenv("CREDENTIALS_DIRECTORY", place->root, 1);
	assert_int_equal(try_open(place, &source, &vault), ERR_OK);
	vault_close(vault);
	assert_int_equal(try_open(place, &other, &vault), ERR_NOT_FOUND);
	unsetenv("CREDENTIALS_DIRECTORY");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_cut_anywhere_it_opens, place_begin, place_end),
	    cmocka_unit_test_setup_teardown(
		test_the_old_key_opens_nothing_any_more, place_begin, place_end),
	    cmocka_unit_test_setup_teardown(
		test_changed_under_a_running_engine, place_begin, place_end),
	    cmocka_unit_test_setup_teardown(test_passphrase, place_begin, place_end),
	    cmocka_unit_test_setup_teardown(test_command, place_begin, place_end),
	    cmocka_unit_test_setup_teardown(test_credential, place_begin, place_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
