#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/pack.h"
#include "wire/message.h"

#define LENGTH_SIZE 4

static struct secret *secret_text(const char *text)
{
	struct secret *secret = secret_from(text, strlen(text));

	assert_non_null(secret);
	return secret;
}

static void assert_secret(const struct secret *secret, const char *text)
{
	assert_non_null(secret);
	assert_int_equal(secret_len(secret), strlen(text));
	assert_memory_equal(secret_data(secret), text, strlen(text));
}

/* Decodes the one frame in `out`, whose length must be right. */
static enum err decode(struct message *message, const struct buf *out)
{
	size_t len = 0;

	assert_false(buf_failed(out));
	assert_true(out->len > LENGTH_SIZE);
	for (size_t i = 0; i < LENGTH_SIZE; i++)
		len = len << 8 | out->data[i];
	assert_int_equal(len, out->len - LENGTH_SIZE);
	return message_get(message, out->data + LENGTH_SIZE, len);
}

static void put_full_job(struct buf *out)
{
	static const struct wire_ssh_key ssh_key = {
	    .line = "ssh-ed25519 AAAA ours", .mark = "ours", .replace = WIRE_KEY_ALL};
	struct wire_key pins[2] = {
	    {.type = "ssh-ed25519", .blob = "\0\1\2", .len = 3},
	    {.type = "ecdsa-sha2-nistp256", .blob = "x", .len = WIRE_KEY_SIZE},
	};
	struct wire_target target = {
	    .asset = "web-1",
	    .address = "2001:db8::1",
	    .port = 65535,
	    .pins = pins,
	    .pin_count = 2,
	    .known_only = true,
	    .urgent = true,
	};
	struct wire_job job = {
	    .kind = WIRE_OPEN,
	    .timeout_ms = 12345,
	    .snapshot = 7,
	    .platform = "linux",
	    .account = "app",
	    .secret = secret_text("new\nline"),
	    .secret_is_key = true,
	    .passphrase = secret_text("pass phrase"),
	    .old = secret_text("old"),
	    .become = WIRE_BECOME_DOAS,
	    .become_secret = secret_text(""),
	    .proof = WIRE_PROOF_HASH,
	    .ssh_key = &ssh_key,
	    .params = "{\"create\":true}",
	};

	message_put_job(out, 4000000000u, 3, &target, 7, &job);
	secret_free((struct secret *)(uintptr_t)job.secret);
	secret_free((struct secret *)(uintptr_t)job.passphrase);
	secret_free((struct secret *)(uintptr_t)job.old);
	secret_free((struct secret *)(uintptr_t)job.become_secret);
}

static void put_done(struct buf *out)
{
	struct wire_result result = {
	    .fault = FAULT_REFUSED,
	    .text = "password: too short \xe2\x80\xa6",
	    .host_key = {.type = "ssh-ed25519", .blob = "blob", .len = 4},
	    .host_key_new = true,
	    .address = "192.0.2.7",
	    .finding = FINDING_EXPIRED,
	    .sent = true,
	    .ended = true,
	    .targeted = true,
	    .verdict = VERDICT_MISMATCH,
	    .failed_attempts = 2,
	    .remembers = true,
	    .via_lost = true,
	    .slow_lane = true,
	    .wire = 9,
	};

	message_put_done(out, 5, 6, &result);
}

static void put_scripts(struct buf *out)
{
	static const struct wire_script scripts[] = {
	    {.platform = "a", .file = "a.lua", .source = "x\0y", .len = 3},
	    {.platform = "b", .file = "b.lua", .source = "", .len = 0},
	};

	message_put_scripts(out, 42, scripts, 2);
}

static void put_close(struct buf *out)
{
	message_put_close(out, 77);
}

static void put_begun(struct buf *out)
{
	message_put_begun(out, 78);
}

static void put_start(struct buf *out)
{
	message_put_start(out, true, true);
}

static void put_ready(struct buf *out)
{
	struct error error = {.code = ERR_INVALID, .text = "a.lua:3: no such thing"};

	message_put_ready(out, &error);
}

static void put_log(struct buf *out)
{
	message_put_log(out, 1, "a line");
}

static void (*const all[])(struct buf *) = {
    put_full_job, put_done, put_scripts, put_close, put_begun, put_start, put_ready, put_log};

#define ALL (sizeof(all) / sizeof(all[0]))

/* ── Round trips ─────────────────────────────────────────────────────────────────────────── */

static void test_job(void **state)
{
	struct message message;
	struct buf out;

	(void)state;
	buf_init(&out, MESSAGE_SIZE_MAX);
	put_full_job(&out);
	assert_int_equal(decode(&message, &out), ERR_OK);
	assert_int_equal(message.kind, MESSAGE_JOB);
	assert_int_equal(message.session, 4000000000u);
	assert_int_equal(message.number, 3);
	assert_string_equal(message.target.asset, "web-1");
	assert_string_equal(message.target.address, "2001:db8::1");
	assert_int_equal(message.target.port, 65535);
	assert_true(message.target.known_only);
	assert_true(message.target.urgent);
	assert_int_equal(message.target.pin_count, 2);
	assert_string_equal(message.target.pins[0].type, "ssh-ed25519");
	assert_int_equal(message.target.pins[0].len, 3);
	assert_memory_equal(message.target.pins[0].blob, "\0\1\2", 3);
	assert_int_equal(message.target.pins[1].len, WIRE_KEY_SIZE);
	assert_int_equal(message.via, 7);
	assert_null(message.target.via);
	assert_int_equal(message.job.kind, WIRE_OPEN);
	assert_int_equal(message.job.timeout_ms, 12345);
	assert_int_equal(message.job.snapshot, 7);
	assert_string_equal(message.job.platform, "linux");
	assert_string_equal(message.job.account, "app");
	assert_secret(message.job.secret, "new\nline");
	assert_true(message.job.secret_is_key);
	assert_secret(message.job.passphrase, "pass phrase");
	assert_secret(message.job.old, "old");
	assert_secret(message.job.become_secret, "");
	assert_int_equal(message.job.become, WIRE_BECOME_DOAS);
	assert_int_equal(message.job.proof, WIRE_PROOF_HASH);
	assert_string_equal(message.job.ssh_key->line, "ssh-ed25519 AAAA ours");
	assert_string_equal(message.job.ssh_key->mark, "ours");
	assert_int_equal(message.job.ssh_key->replace, WIRE_KEY_ALL);
	assert_string_equal(message.job.params, "{\"create\":true}");
	message_clear(&message);
	buf_clear(&out);
}

static void test_job_without_options(void **state)
{
	struct secret *secret = secret_text("s");
	struct wire_job job = {
	    .kind = WIRE_PROVE, .account = "app", .secret = secret, .timeout_ms = UINT64_MAX};
	struct message message;
	struct buf out;

	(void)state;
	buf_init(&out, MESSAGE_SIZE_MAX);
	message_put_job(&out, 1, 1, NULL, 0, &job);
	assert_int_equal(decode(&message, &out), ERR_OK);
	assert_int_equal(message.job.timeout_ms, MESSAGE_TIMEOUT_MAX);
	assert_null(message.job.platform);
	assert_null(message.job.passphrase);
	assert_null(message.job.old);
	assert_null(message.job.become_secret);
	assert_null(message.job.ssh_key);
	assert_null(message.job.params);
	message_clear(&message);
	buf_clear(&out);
	secret_free(secret);
}

static void test_job_lacks(void **state)
{
	static const struct wire_ssh_key unmade = {.mark = "ours"}, unmarked = {.line = "k AAAA"};
	static const struct wire_ssh_key made = {.line = "k AAAA ours", .mark = "ours"};
	struct secret *secret = secret_text("s");
	const struct wire_job jobs[] = {
	    {.kind = WIRE_OPEN}, /* no target */
	    {.kind = WIRE_METHODS},
	    {.kind = WIRE_ADMIN, .account = "a"},
	    {.kind = WIRE_PROVE, .secret = secret},
	    {.kind = WIRE_SU, .account = "a"},
	    {.kind = WIRE_LOGIN, .account = "a"},
	    {.kind = WIRE_CHECK, .account = "a"},
	    {.kind = WIRE_CHANGE, .account = "a", .platform = "p"},
	    {.kind = WIRE_CHANGE, .account = "a", .platform = "p", .ssh_key = &unmade},
	    {.kind = WIRE_CHANGE, .account = "a", .platform = "p", .ssh_key = &unmarked},
	    {.kind = WIRE_CHANGE,
		.account = "a",
		.platform = "p",
		.secret = secret,
		.ssh_key = &made},
	    {.kind = WIRE_PERSIST, .account = "a"},
	    {.kind = WIRE_PERSIST, .account = "a", .platform = "p", .ssh_key = &unmade},
	    {.kind = WIRE_HASH, .account = "a", .secret = secret},
	    {.kind = (enum wire_job_kind)99, .account = "a", .platform = "p", .secret = secret},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
		struct message message;
		struct buf out;

		buf_init(&out, MESSAGE_SIZE_MAX);
		message_put_job(&out, 1, 1, NULL, 0, &jobs[i]);
		assert_int_equal(decode(&message, &out), ERR_PROTOCOL);
		message_clear(&message);
		buf_clear(&out);
	}
	secret_free(secret);
}

static void test_done(void **state)
{
	struct message message;
	struct buf out;

	(void)state;
	buf_init(&out, MESSAGE_SIZE_MAX);
	put_done(&out);
	assert_int_equal(decode(&message, &out), ERR_OK);
	assert_int_equal(message.kind, MESSAGE_DONE);
	assert_int_equal(message.session, 5);
	assert_int_equal(message.number, 6);
	assert_int_equal(message.result->fault, FAULT_REFUSED);
	assert_string_equal(message.result->text, "password: too short \xe2\x80\xa6");
	assert_string_equal(message.result->host_key.type, "ssh-ed25519");
	assert_int_equal(message.result->host_key.len, 4);
	assert_memory_equal(message.result->host_key.blob, "blob", 4);
	assert_true(message.result->host_key_new);
	assert_string_equal(message.result->address, "192.0.2.7");
	assert_int_equal(message.result->finding, FINDING_EXPIRED);
	assert_true(message.result->sent);
	assert_true(message.result->ended);
	assert_true(message.result->targeted);
	assert_int_equal(message.result->verdict, VERDICT_MISMATCH);
	assert_int_equal(message.result->failed_attempts, 2);
	assert_true(message.result->remembers);
	assert_true(message.result->via_lost);
	assert_true(message.result->slow_lane);
	assert_int_equal(message.result->wire, 0); /* not the wire's to say */
	message_clear(&message);
	buf_clear(&out);
}

/* The largest result fits what the core accepts of a wire. */
static void test_done_fits(void **state)
{
	struct wire_result result = {.host_key.len = WIRE_KEY_SIZE};
	struct buf out;

	(void)state;
	memset(result.text, 'x', sizeof(result.text) - 1);
	buf_init(&out, LENGTH_SIZE + MESSAGE_UP_SIZE_MAX);
	message_put_done(&out, UINT32_MAX, UINT32_MAX, &result);
	assert_false(buf_failed(&out));
	buf_clear(&out);
}

/* What an asset said in other bytes than UTF-8 must not make the frame one that the core refuses.
 */
static void test_done_escapes(void **state)
{
	struct wire_result result = {.fault = FAULT_OUTPUT};
	struct message message;
	struct buf out;

	(void)state;
	memset(result.text, 0xff, sizeof(result.text) - 1);
	buf_init(&out, MESSAGE_SIZE_MAX);
	message_put_done(&out, 1, 1, &result);
	assert_int_equal(decode(&message, &out), ERR_OK);
	assert_memory_equal(message.result->text, "\\xff\\xff", 8);
	message_clear(&message);
	buf_clear(&out);
}

static void test_dead_cannot_say_so(void **state)
{
	struct wire_result result = {.fault = FAULT_WIRE};
	struct message message;
	struct buf out;

	(void)state;
	buf_init(&out, MESSAGE_SIZE_MAX);
	message_put_done(&out, 1, 1, &result);
	assert_int_equal(decode(&message, &out), ERR_PROTOCOL);
	message_clear(&message);
	buf_clear(&out);
}

static void test_others(void **state)
{
	struct message message;
	struct buf out;

	(void)state;
	buf_init(&out, MESSAGE_SIZE_MAX);
	put_scripts(&out);
	assert_int_equal(decode(&message, &out), ERR_OK);
	assert_int_equal(message.kind, MESSAGE_SCRIPTS);
	assert_int_equal(message.snapshot, 42);
	assert_int_equal(message.script_count, 2);
	assert_string_equal(message.scripts[0].platform, "a");
	assert_string_equal(message.scripts[0].file, "a.lua");
	assert_int_equal(message.scripts[0].len, 3);
	assert_memory_equal(message.scripts[0].source, "x\0y", 4);
	assert_int_equal(message.scripts[1].len, 0);
	message_clear(&message);

	buf_reset(&out);
	put_close(&out);
	assert_int_equal(decode(&message, &out), ERR_OK);
	assert_int_equal(message.kind, MESSAGE_CLOSE);
	assert_int_equal(message.session, 77);
	message_clear(&message);

	buf_reset(&out);
	put_start(&out);
	assert_int_equal(decode(&message, &out), ERR_OK);
	assert_int_equal(message.kind, MESSAGE_START);
	assert_true(message.sandbox);
	assert_true(message.slow_lane);
	message_clear(&message);

	buf_reset(&out);
	put_ready(&out);
	assert_int_equal(decode(&message, &out), ERR_OK);
	assert_int_equal(message.kind, MESSAGE_READY);
	assert_int_equal(message.error->code, ERR_INVALID);
	assert_string_equal(message.error->text, "a.lua:3: no such thing");
	message_clear(&message);

	buf_reset(&out);
	put_log(&out);
	assert_int_equal(decode(&message, &out), ERR_OK);
	assert_int_equal(message.kind, MESSAGE_LOG);
	assert_int_equal(message.level, 1);
	assert_string_equal(message.error->text, "a line");
	message_clear(&message);
	buf_clear(&out);
}

static void test_caps(void **state)
{
	static char large[MESSAGE_SIZE_MAX];
	struct wire_script script = {.platform = "a", .file = "a", .source = large};
	struct buf out;

	(void)state;
	script.len = sizeof(large) - 200;
	buf_init(&out, 2 * MESSAGE_SIZE_MAX);
	message_put_scripts(&out, 1, &script, 1);
	assert_false(buf_failed(&out));
	buf_reset(&out);
	script.len = sizeof(large);
	message_put_scripts(&out, 1, &script, 1);
	assert_true(buf_failed(&out));
	buf_clear(&out);
}

/* ── Hostile ─────────────────────────────────────────────────────────────────────────────── */

static void test_truncated(void **state)
{
	(void)state;
	for (size_t i = 0; i < ALL; i++) {
		struct buf out;

		buf_init(&out, MESSAGE_SIZE_MAX);
		all[i](&out);
		for (size_t len = 0; len < out.len - LENGTH_SIZE; len++) {
			/* A block of its very size, so that a read past it is seen. */
			uint8_t *cut = malloc(len > 0 ? len : 1);
			struct message message;

			memcpy(cut, out.data + LENGTH_SIZE, len);
			assert_int_equal(message_get(&message, cut, len), ERR_PROTOCOL);
			message_clear(&message);
			free(cut);
		}
		buf_clear(&out);
	}
}

/* Whatever is flipped: a whole message or a refusal, and what is there keeps to the caps. */
static void test_flipped(void **state)
{
	unsigned seed = 1;
	size_t refused = 0, taken = 0;

	(void)state;
	for (size_t round = 0; round < 20000; round++) {
		struct message message;
		struct buf out;
		uint8_t *copy;
		size_t len;

		buf_init(&out, MESSAGE_SIZE_MAX);
		all[round % ALL](&out);
		len = out.len - LENGTH_SIZE;
		copy = malloc(len);
		memcpy(copy, out.data + LENGTH_SIZE, len);
		buf_clear(&out);
		for (int flips = rand_r(&seed) % 3; flips >= 0; flips--)
			copy[(size_t)rand_r(&seed) % len] ^= (uint8_t)(1 << rand_r(&seed) % 8);
		switch (message_get(&message, copy, len)) {
		case ERR_OK:
			taken++;
			if (message.result != NULL) {
				assert_true(message.result->host_key.len <= WIRE_KEY_SIZE);
				assert_true(message.result->fault < FAULT_WIRE);
			}
			assert_true(message.job.timeout_ms <= MESSAGE_TIMEOUT_MAX);
			assert_true(message.target.pin_count <= MESSAGE_PINS_MAX);
			break;
		case ERR_PROTOCOL: refused++; break;
		default: fail_msg("neither taken nor refused");
		}
		message_clear(&message);
		free(copy);
	}
	assert_true(refused > 1000);
	assert_true(taken > 1000);
}

static void test_many_pins(void **state)
{
	struct wire_key pin = {.type = "t", .len = 1};
	static struct wire_key pins[MESSAGE_PINS_MAX + 1];
	struct wire_target target = {.asset = "a", .address = "a", .pins = pins};
	struct wire_job job = {.kind = WIRE_OPEN};
	struct buf out;

	(void)state;
	for (size_t i = 0; i <= MESSAGE_PINS_MAX; i++)
		pins[i] = pin;
	target.pin_count = MESSAGE_PINS_MAX + 1;
	buf_init(&out, MESSAGE_SIZE_MAX);
	message_put_job(&out, 1, 1, &target, 0, &job);
	assert_true(buf_failed(&out));
	buf_clear(&out);
}

static void test_nul_in_text(void **state)
{
	struct message message;
	struct buf out;

	(void)state;
	buf_init(&out, 1024);
	pack_map(&out, 3);
	pack_kv_uint(&out, "kind", MESSAGE_LOG);
	pack_kv_uint(&out, "level", 1);
	pack_kv_bytes(&out, "text", "a\0b", 3);
	assert_int_equal(message_get(&message, out.data, out.len), ERR_PROTOCOL);
	message_clear(&message);
	buf_clear(&out);
}

/* The longest text is taken, one more byte is not. */
static void test_text_cap(void **state)
{
	char text[ERROR_TEXT_SIZE];

	(void)state;
	memset(text, 'x', sizeof(text));
	for (size_t len = sizeof(text) - 1; len <= sizeof(text); len++) {
		struct message message;
		struct buf out;
		enum err expected = len < sizeof(text) ? ERR_OK : ERR_PROTOCOL;

		buf_init(&out, 4096);
		pack_map(&out, 3);
		pack_kv_uint(&out, "kind", MESSAGE_LOG);
		pack_kv_uint(&out, "level", 1);
		pack_kv_bytes(&out, "text", text, len);
		assert_int_equal(message_get(&message, out.data, out.len), expected);
		message_clear(&message);
		buf_clear(&out);
	}
}

/* A heap that is full is no fault of the peer; it is told whose job it was. */
static void test_heap_full(void **state)
{
	struct secret *hog[4096];
	struct message message;
	struct buf out;
	size_t count = 0;

	(void)state;
	buf_init(&out, MESSAGE_SIZE_MAX);
	put_full_job(&out);
	while (count < 4096 && (hog[count] = secret_new(40)) != NULL)
		count++;
	assert_true(count < 4096);
	assert_int_equal(decode(&message, &out), ERR_FULL);
	assert_int_equal(message.kind, MESSAGE_JOB);
	assert_int_equal(message.session, 4000000000u);
	assert_int_equal(message.number, 3);
	message_clear(&message);
	while (count > 0)
		secret_free(hog[--count]);
	buf_clear(&out);
}

static int make_heap(void **state)
{
	struct error error;

	(void)state;
	return secret_heap_init(64 * 1024, NULL, &error) == ERR_OK ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_job),
	    cmocka_unit_test(test_job_without_options),
	    cmocka_unit_test(test_job_lacks),
	    cmocka_unit_test(test_done),
	    cmocka_unit_test(test_done_fits),
	    cmocka_unit_test(test_done_escapes),
	    cmocka_unit_test(test_dead_cannot_say_so),
	    cmocka_unit_test(test_others),
	    cmocka_unit_test(test_caps),
	    cmocka_unit_test(test_truncated),
	    cmocka_unit_test(test_flipped),
	    cmocka_unit_test(test_many_pins),
	    cmocka_unit_test(test_nul_in_text),
	    cmocka_unit_test(test_text_cap),
	    cmocka_unit_test(test_heap_full),
	};

	return cmocka_run_group_tests(tests, make_heap, NULL);
}
