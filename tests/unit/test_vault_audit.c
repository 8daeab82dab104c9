/* The audit log: with what it records or not at all, chained, signed, and no edit goes unseen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "vault/audit.h"
#include "vault_help.h"

/* ── Helpers ─────────────────────────────────────────────────────────────────────────────── */

static enum err append_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	return audit_append(txn, arg, error);
}

static void append(struct place *place, struct vault *vault, const char *account)
{
	struct audit_event event = {
	    .what = AUDIT_REVEAL,
	    .who = {.origin = AUDIT_SOCKET, .has_uid = true, .uid = 1000, .user = "ops1"},
	    .asset = "web1",
	    .account = account,
	    .version = 3,
	    .detail = "why: a \"quoted\" \\ reason\nof two lines \x01 \xff and \xc3\xbc",
	};

	if (vault_write(vault, append_apply, &event, &place->error) != ERR_OK)
		fail_msg("%s", place->error.text);
}

static void fill(struct place *place, struct vault *vault, int count)
{
	char name[32];

	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "app%d", i);
		append(place, vault, name);
	}
}

static uint64_t last(struct vault *vault)
{
	struct vault_txn *txn = vault_read(vault);
	uint64_t number = audit_last(txn);

	vault_read_end(txn);
	return number;
}

static void sign(struct place *place, struct vault *vault)
{
	if (vault_audit_sign(vault, &place->error) != ERR_OK)
		fail_msg("%s", place->error.text);
}

static enum err check(struct place *place, struct vault *vault, struct audit_report *report)
{
	struct vault_txn *txn = vault_read(vault);
	enum err err = audit_check(txn, report, &place->error);

	vault_read_end(txn);
	return err;
}

struct text {
	char *bytes;
	size_t len;
	FILE *file;
};

static bool write_line(void *arg, const struct audit_entry *entry)
{
	char line[AUDIT_LINE_SIZE];

	fprintf(arg, "%s\n", audit_line(entry, line));
	return true;
}

static struct text export_from(struct vault *vault, uint64_t after)
{
	struct vault_txn *txn = vault_read(vault);
	char line[AUDIT_LINE_SIZE];
	struct text text = {0};

	text.file = open_memstream(&text.bytes, &text.len);
	assert_int_equal(audit_head_line(txn, after, line), ERR_OK);
	fprintf(text.file, "%s\n", line);
	audit_each(txn, after, write_line, text.file);
	vault_read_end(txn);
	fclose(text.file);
	return text;
}

static enum err check_bytes(const char *bytes, size_t len, const char *key,
    struct audit_report *report, struct error *error)
{
	FILE *file = fmemopen((void *)(uintptr_t)bytes, len, "r");
	enum err err = audit_check_file(file, key, report, error);

	fclose(file);
	return err;
}

/* ── Tests ───────────────────────────────────────────────────────────────────────────────── */

static void test_append_sign_export_check(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	char key[AUDIT_KEY_TEXT_SIZE], again[AUDIT_KEY_TEXT_SIZE];
	struct audit_report report;
	struct text whole, part;

	assert_int_equal(check(place, vault, &report), ERR_OK);
	assert_int_equal(report.count, 0);
	assert_int_equal(vault_audit_key(vault, key, &place->error), ERR_OK);
	fill(place, vault, 5);
	assert_int_equal(last(vault), 5);
	assert_int_equal(check(place, vault, &report), ERR_OK);
	assert_int_equal(report.signed_to, 0);
	sign(place, vault);
	sign(place, vault); /* nothing to sign: no entry more */
	assert_int_equal(last(vault), 6);
	vault_close(vault);

	vault = must_open(place);
	fill(place, vault, 3);
	sign(place, vault);
	assert_int_equal(vault_audit_key(vault, again, &place->error), ERR_OK);
	assert_string_equal(key, again);
	assert_int_equal(check(place, vault, &report), ERR_OK);
	assert_int_equal(report.count, 10);
	assert_int_equal(report.signatures, 2);
	assert_int_equal(report.signed_to, 10);
	whole = export_from(vault, 0);
	assert_int_equal(check_bytes(whole.bytes, whole.len, key, &report, &place->error), ERR_OK);
	assert_int_equal(report.count, 10);
	part = export_from(vault, 4);
	assert_int_equal(check_bytes(part.bytes, part.len, key, &report, &place->error), ERR_OK);
	assert_int_equal(report.first, 5);
	assert_int_equal(report.count, 6);
	free(whole.bytes);
	free(part.bytes);
	vault_close(vault);
	assert_false(
	    file_holds(vault_file(place, "data.mdb"), key)); /* as text; it is bytes there */
}

static enum err fail_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	enum err err = audit_append(txn, arg, error);

	return err == ERR_OK ? error_set(error, ERR_REFUSED, "no") : err;
}

struct heard {
	size_t count;
	char last[AUDIT_LINE_SIZE];
};

static void hear(void *arg, const char *line)
{
	struct heard *heard = arg;

	heard->count++;
	snprintf(heard->last, sizeof(heard->last), "%s", line);
}

/* What is not kept is not in the log, and nobody hears of it. */
static void test_only_with_what_it_records(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct audit_event event = {.what = AUDIT_RUN, .task = "weekly"};
	struct heard heard = {0};

	vault_audit_tell(vault, hear, &heard);
	assert_int_equal(vault_write(vault, fail_apply, &event, &place->error), ERR_REFUSED);
	assert_int_equal(last(vault), 0);
	assert_int_equal(heard.count, 0);
	append(place, vault, "app");
	assert_int_equal(heard.count, 1);
	assert_non_null(strstr(heard.last, "\"number\":1,"));
	assert_non_null(strstr(heard.last, "\"what\":\"reveal\",\"outcome\":\"done\""));
	place_turn(place); /* the time to sign has come */
	place_turn(place);
	assert_int_equal(heard.count, 2);
	assert_non_null(strstr(heard.last, "\"signature\":\""));
	vault_close(vault);
}

static void test_signs_by_number(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	struct audit_report report;

	fill(place, vault, 250);
	assert_int_equal(check(place, vault, &report), ERR_OK);
	assert_int_equal(report.signatures, 2);
	assert_int_equal(report.signed_to, 202);
	vault_close(vault);
}

/* ── Edits ───────────────────────────────────────────────────────────────────────────────── */

static size_t random_below(size_t bound)
{
	uint32_t number;

	random_bytes(&number, sizeof(number));
	return number % bound;
}

/* Where line `n` of `count` begins, and how long it is with its end. */
static char *line_at(const struct text *text, size_t n, size_t *len)
{
	char *at = text->bytes;

	while (n-- > 0)
		at = strchr(at, '\n') + 1;
	*len = (size_t)(strchr(at, '\n') + 1 - at);
	return at;
}

static size_t line_count(const struct text *text)
{
	size_t count = 0;

	for (size_t i = 0; i < text->len; i++)
		count += text->bytes[i] == '\n';
	return count;
}

static struct text copy_of(const struct text *text)
{
	struct text copy = {.bytes = malloc(text->len + 1), .len = text->len};

	memcpy(copy.bytes, text->bytes, text->len);
	copy.bytes[text->len] = '\0';
	return copy;
}

static void cut_line(struct text *text, size_t n)
{
	size_t len;
	char *at = line_at(text, n, &len);

	memmove(at, at + len, text->len - (size_t)(at + len - text->bytes) + 1);
	text->len -= len;
}

/* A byte changed, a line taken out, two swapped, one doubled, the end cut off. */
static void edit(struct text *text, int kind)
{
	size_t lines = line_count(text), len, other_len;
	char *at, *other;

	switch (kind) {
	case 0: text->bytes[random_below(text->len)] ^= (char)(1 + random_below(127)); break;
	case 1: cut_line(text, random_below(lines)); break;
	case 2:
		at = line_at(text, random_below(lines - 1), &len);
		other = strndup(at, len);
		other_len = (size_t)(strchr(at + len, '\n') + 1 - (at + len));
		memmove(at, at + len, other_len);
		memcpy(at + other_len, other, len);
		free(other);
		break;
	case 3:
		at = line_at(text, random_below(lines), &len);
		other = malloc(text->len + len + 1);
		len += (size_t)(at - text->bytes);
		memcpy(other, text->bytes, len);
		memcpy(other + len, at, text->len - (size_t)(at - text->bytes) + 1);
		text->len += len - (size_t)(at - text->bytes);
		free(text->bytes);
		text->bytes = other;
		break;
	default: text->len = random_below(text->len - 1) + 1; break;
	}
}

static void test_every_edit_is_found(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	char key[AUDIT_KEY_TEXT_SIZE];
	struct audit_report report;
	struct text text;

	random_seed(6);
	for (int i = 0; i < 6; i++) {
		fill(place, vault, 4);
		sign(place, vault);
	}
	assert_int_equal(vault_audit_key(vault, key, &place->error), ERR_OK);
	text = export_from(vault, 0);
	assert_int_equal(check_bytes(text.bytes, text.len, key, &report, &place->error), ERR_OK);
	for (int i = 0; i < 500; i++) {
		struct text edited = copy_of(&text);

		/* To cut behind a signature is to export earlier: that is no edit. */
		edit(&edited, i % 5);
		if (check_bytes(edited.bytes, edited.len, key, &report, &place->error) == ERR_OK) {
			assert_int_equal(i % 5, 4);
			assert_int_equal(report.signed_to, report.last);
		} else {
			assert_true(place->error.text[0] != '\0');
		}
		free(edited.bytes);
	}
	random_unseed();
	free(text.bytes);
	vault_close(vault);
}

static void test_another_key_and_no_key(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	char key[AUDIT_KEY_TEXT_SIZE];
	struct audit_report report;
	struct text text;

	fill(place, vault, 2);
	sign(place, vault);
	assert_int_equal(vault_audit_key(vault, key, &place->error), ERR_OK);
	text = export_from(vault, 0);
	key[0] = key[0] == 'a' ? 'b' : 'a';
	assert_int_equal(
	    check_bytes(text.bytes, text.len, key, &report, &place->error), ERR_CORRUPT);
	assert_non_null(strstr(place->error.text, "another key"));
	assert_int_equal(
	    check_bytes(text.bytes, text.len, "tiger", &report, &place->error), ERR_INVALID);
	assert_int_equal(check_bytes("x\n", 2, key, &report, &place->error), ERR_INVALID);
	free(text.bytes);
	vault_close(vault);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_append_sign_export_check, place_begin, place_end),
	    cmocka_unit_test_setup_teardown(test_only_with_what_it_records, place_begin, place_end),
	    cmocka_unit_test_setup_teardown(test_signs_by_number, place_begin, place_end),
	    cmocka_unit_test_setup_teardown(test_every_edit_is_found, place_begin, place_end),
	    cmocka_unit_test_setup_teardown(test_another_key_and_no_key, place_begin, place_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
