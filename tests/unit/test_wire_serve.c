/*
 * Whole wires, in their sandbox, as the core uses them: this program again, as a wire.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"
#include "wire.h"
#include "wire_asset.h"

#define SNAPSHOT 7

static const char platform[] =
    "platform \"test\" {\n"
    "  password = { longest = 100, refuse = \"\\0\\n\" },\n"
    "  accounts = \"posix\",\n"
    "  check = function(job)\n"
    "    local r = job.admin:exec { \"grep\", \"-q\", \"^\" .. job.account .. \":\", "
    "\"/etc/passwd\" }\n"
    "    if r.status ~= 0 then skip(\"absent\", \"no such account\") end\n"
    "  end,\n"
    /* In place, for the file is mounted. */
    "  change_password = function(job)\n"
    "    local r = job.admin:exec({ \"sh\", \"-c\", \"IFS=: read -r u p && "
    "h=$(printf %s \\\"$p\\\" | openssl passwd -6 -stdin) && "
    "new=$(sed \\\"s|^$u:[^:]*:|$u:$h:|\\\" /etc/shadow) && "
    "printf '%s\\\\n' \\\"$new\\\" >/etc/shadow\" }, "
    "{ stdin = { job.account, \":\", job.new, \"\\n\" } })\n"
    "    if r.status ~= 0 then refused(r.stderr) end\n"
    "  end,\n"
    "  read_hash = function(job)\n"
    "    local r = job.admin:exec({ \"sh\", \"-c\", \"grep \\\"^$1:\\\" /etc/shadow | cut -d: "
    "-f2\", \"sh\", job.account }, { opaque = true })\n"
    "    return r.stdout\n"
    "  end,\n"
    "}\n";

static const char platform_slow[] =
    "platform \"slow\" {\n"
    "  password = { longest = 100, refuse = \"\\0\\n\" },\n"
    "  accounts = \"posix\",\n"
    "  check = function(job) while true do end end,\n"
    "  change_password = function(job)\n"
    "    job.admin:exec({ \"sh\", \"-c\", \"cat >/dev/null; sleep 30\" }, "
    "{ stdin = { job.new, \"\\n\" } })\n"
    "  end,\n"
    "}\n";

/* Says in a refusal what it was told. */
static const char platform_key[] =
    "platform \"key\" {\n"
    "  change_key = function(job)\n"
    "    local r = job.admin:exec({ \"cat\" }, { stdin = { job.key.line, \"\\n\" } })\n"
    "    refused(r.stdout .. job.key.replace .. job.params.shell)\n"
    "  end,\n"
    "  persist = function(job)\n"
    "    job.admin:exec({ \"cat\" }, { stdin = { job.key.line, \"\\n\" } })\n"
    "  end,\n"
    "}\n";

static struct asset asset;
static bool asset_there;
static struct loop *loop;
static struct wires *wires;
static unsigned deaths;

static void on_died(void *arg, uint32_t wire, const char *how)
{
	(void)arg;
	(void)wire;
	deaths++;
	print_error("the wire %s\n", how);
}

static void on_done(void *arg, const struct wire_result *result)
{
	*(struct wire_result *)arg = *result;
	loop_stop(loop);
}

static struct wire_session *session_new(const char *address, uint16_t port)
{
	struct wire_target target = {.asset = "asset", .address = address, .port = port};

	return wire_session_new(wires, &target);
}

static struct wire_result run(struct wire_session *session, const struct wire_job *job)
{
	struct wire_result result = {.fault = FAULT_NONE};

	wire_submit(session, job, on_done, &result);
	loop_run(loop);
	assert_int_equal(deaths, 0);
	return result;
}

static struct wire_result open_at(struct wire_session *session, uint64_t timeout_ms)
{
	return run(session, &(struct wire_job){.kind = WIRE_OPEN, .timeout_ms = timeout_ms});
}

static struct wire_result with_secret(struct wire_session *session, enum wire_job_kind kind,
    const char *account, const char *text, const char *platform_name, uint64_t timeout_ms)
{
	struct secret *secret = secret_from(text, strlen(text));
	struct wire_result result =
	    run(session, &(struct wire_job){
			     .kind = kind,
			     .timeout_ms = timeout_ms,
			     .snapshot = SNAPSHOT,
			     .platform = platform_name,
			     .account = account,
			     .secret = secret,
			     .become = kind == WIRE_ADMIN ? WIRE_BECOME_SUDO : WIRE_BECOME_NONE,
			 });

	secret_free(secret);
	return result;
}

/* A fault's text helps to see what went wrong. */
static void assert_fine(const struct wire_result *result)
{
	if (result->fault != FAULT_NONE)
		fail_msg("%s: %s", fault_name(result->fault), result->text);
}

static void assert_fault(const struct wire_result *result, enum fault fault)
{
	if (result->fault != fault)
		fail_msg("%s instead of %s: %s", fault_name(result->fault), fault_name(fault),
		    result->text);
}

/* An open session with a privileged login; NULL where there is no asset. */
static struct wire_session *admin_session(void)
{
	struct wire_session *session = session_new("127.0.0.1", asset.port);
	struct wire_result result = open_at(session, 10000);

	assert_fine(&result);
	result = with_secret(session, WIRE_ADMIN, "free", ASSET_PASSWORD, NULL, 10000);
	assert_fine(&result);
	assert_int_equal(result.failed_attempts, 0);
	return session;
}

static enum wire_verdict hash_of_plain(struct wire_session *session, const char *password)
{
	struct wire_result result =
	    with_secret(session, WIRE_HASH, "plain", password, "test", 10000);

	assert_fine(&result);
	return result.verdict;
}

/* ── With an asset ───────────────────────────────────────────────────────────────────────── */

static void test_rotation(void **state)
{
	struct wire_session *session, *other;
	struct wire_result result;

	(void)state;
	if (!asset_there)
		skip();
	session = session_new("127.0.0.1", asset.port);
	result = open_at(session, 10000);
	assert_fine(&result);
	assert_true(result.host_key_new);
	assert_string_equal(result.host_key.type, "ssh-ed25519");
	assert_string_equal(result.address, "127.0.0.1");
	result = run(session,
	    &(struct wire_job){.kind = WIRE_METHODS, .timeout_ms = 5000, .account = "plain"});
	assert_fine(&result);
	assert_int_equal(result.finding, FINDING_OK);
	wire_session_free(session);

	session = admin_session();
	result = with_secret(session, WIRE_CHECK, "plain", "", "test", 10000);
	assert_fine(&result);
	assert_int_equal(result.finding, FINDING_OK);
	result = with_secret(session, WIRE_CHECK, "nobody-such", "", "test", 10000);
	assert_fine(&result);
	assert_int_equal(result.finding, FINDING_ABSENT);
	assert_string_equal(result.text, "no such account");
	assert_int_equal(hash_of_plain(session, ASSET_PASSWORD), VERDICT_MATCH);
	assert_int_equal(hash_of_plain(session, "Fresh-Pw.2"), VERDICT_MISMATCH);
	result = with_secret(session, WIRE_CHANGE, "plain", "Fresh-Pw.2", "test", 10000);
	assert_fine(&result);
	assert_true(result.sent);
	assert_true(result.ended);
	assert_int_equal(hash_of_plain(session, "Fresh-Pw.2"), VERDICT_MATCH);

	other = session_new("127.0.0.1", asset.port);
	result = open_at(other, 10000);
	assert_fine(&result);
	result = with_secret(other, WIRE_PROVE, "plain", ASSET_PASSWORD, NULL, 10000);
	assert_fault(&result, FAULT_AUTH);
	assert_int_equal(result.verdict, VERDICT_MISMATCH);
	assert_int_equal(result.failed_attempts, 1);
	/* One login a connection: nothing is said of a secret that was not tried. */
	result = with_secret(other, WIRE_PROVE, "plain", "Fresh-Pw.2", NULL, 10000);
	assert_fault(&result, FAULT_LOST);
	assert_int_equal(result.verdict, VERDICT_UNKNOWN);
	result = open_at(other, 10000);
	assert_fine(&result);
	result = with_secret(other, WIRE_PROVE, "plain", "Fresh-Pw.2", NULL, 10000);
	assert_fine(&result);
	assert_int_equal(result.verdict, VERDICT_MATCH);
	result = with_secret(other, WIRE_PROVE, "plain", "wrong", NULL, 10000);
	assert_fault(&result, FAULT_LOST);
	assert_int_equal(result.verdict, VERDICT_UNKNOWN);
	wire_session_free(other);

	result = with_secret(session, WIRE_CHANGE, "plain", ASSET_PASSWORD, "test", 10000);
	assert_fine(&result);
	wire_session_free(session);
}

/* The session is as good after each attempt as before it. */
static void test_su(void **state)
{
	struct wire_session *session;
	struct wire_result result;

	(void)state;
	if (!asset_there)
		skip();
	session = admin_session();
	result = with_secret(session, WIRE_SU, "plain", "wrong", NULL, 10000);
	assert_fine(&result);
	assert_int_equal(result.verdict, VERDICT_MISMATCH);
	assert_int_equal(result.failed_attempts, 1);
	result = with_secret(session, WIRE_SU, "plain", ASSET_PASSWORD, NULL, 10000);
	assert_fine(&result);
	assert_int_equal(result.verdict, VERDICT_MATCH);
	assert_int_equal(result.failed_attempts, 0);
	result = with_secret(session, WIRE_SU, "none", ASSET_PASSWORD, NULL, 10000);
	assert_fault(&result, FAULT_NO_SHELL);
	assert_int_equal(result.verdict, VERDICT_UNKNOWN);
	assert_int_equal(hash_of_plain(session, ASSET_PASSWORD), VERDICT_MATCH);
	wire_session_free(session);
}

static struct wire_result login_by_key(const char *pem)
{
	struct wire_session *session = session_new("127.0.0.1", asset.key_port);
	struct secret *key = secret_from(pem, strlen(pem));
	struct wire_result result = open_at(session, 10000);

	assert_fine(&result);
	result = run(session, &(struct wire_job){
				  .kind = WIRE_ADMIN,
				  .timeout_ms = 10000,
				  .account = "free",
				  .secret = key,
				  .secret_is_key = true,
				  .become = WIRE_BECOME_SUDO,
			      });
	secret_free(key);
	wire_session_free(session);
	return result;
}

/* The libraries read keys without a file, whatever is wrong with one. */
static void test_keys(void **state)
{
	/* Encrypted, in the old form: where no passphrase is known nobody is asked for it. */
	static const char locked[] = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
				     "DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\n"
				     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
				     "-----END RSA PRIVATE KEY-----\n";
	struct wire_result result;

	(void)state;
	if (!asset_there)
		skip();
	result = login_by_key(asset.key);
	assert_fine(&result);
	result = login_by_key(asset.key_ecdsa);
	assert_fine(&result);
	result = login_by_key("not a key");
	assert_fault(&result, FAULT_KEY);
	result = login_by_key(locked);
	assert_fault(&result, FAULT_KEY);
}

/* The deadline is kept, and what is known of the secret is said. */
static void test_change_key(void **state)
{
	static const struct wire_ssh_key key = {"ssh-ed25519 AAAA ours", "ours", WIRE_KEY_OURS};
	struct wire_session *session;
	struct wire_job job = {
	    .kind = WIRE_CHANGE,
	    .timeout_ms = 10000,
	    .snapshot = SNAPSHOT,
	    .platform = "key",
	    .account = "plain",
	    .ssh_key = &key,
	    .params = "{\"shell\":\"/bin/sh\"}",
	};
	struct wire_result result;

	(void)state;
	if (!asset_there)
		skip();
	session = admin_session();
	result = run(session, &job);
	assert_fault(&result, FAULT_REFUSED);
	assert_string_equal(result.text, "ssh-ed25519 AAAA ours\\nours/bin/sh");
	assert_true(result.sent);
	assert_true(result.ended);
	job.kind = WIRE_PERSIST;
	result = run(session, &job);
	assert_fine(&result);
	assert_true(result.ended);
	job.ssh_key = NULL;
	job.platform = "test"; /* has nothing to persist */
	result = run(session, &job);
	assert_fine(&result);
	wire_session_free(session);
}

static void test_change_not_ended(void **state)
{
	struct wire_session *session;
	struct wire_result result;

	(void)state;
	if (!asset_there)
		skip();
	session = admin_session();
	/* Before the second after which the asset itself would end it. */
	result = with_secret(session, WIRE_CHANGE, "plain", "x", "slow", 900);
	assert_fault(&result, FAULT_TIMEOUT);
	assert_true(result.sent);
	assert_false(result.ended);
	result = with_secret(session, WIRE_CHANGE, "plain", "x", "test", 1000);
	assert_fault(&result, FAULT_LOST);
	assert_false(result.sent);
	wire_session_free(session);
}

static void test_scripts_of_old(void **state)
{
	struct wire_session *session;
	struct wire_result result;
	struct wire_job job = {
	    .kind = WIRE_CHECK,
	    .timeout_ms = 1000,
	    .snapshot = SNAPSHOT + 1,
	    .platform = "test",
	    .account = "plain",
	};

	(void)state;
	if (!asset_there)
		skip();
	session = admin_session();
	result = run(session, &job);
	assert_fault(&result, FAULT_LIMIT);
	wire_session_free(session);
}

struct open_answer {
	struct wire_result result;
	unsigned *left;
};

static void on_open(void *arg, const struct wire_result *result)
{
	struct open_answer *answer = arg;

	answer->result = *result;
	if (--*answer->left == 0)
		loop_stop(loop);
}

/* Many at once, beside a script that computes without end. */
static void test_many(void **state)
{
	static struct wire_session *sessions[60];
	static struct open_answer answers[60];
	struct wire_job busy = {
	    .kind = WIRE_CHECK,
	    .timeout_ms = 20000,
	    .snapshot = SNAPSHOT,
	    .platform = "slow",
	    .account = "plain",
	};
	struct wire_job job = {.kind = WIRE_OPEN, .timeout_ms = 20000};
	struct open_answer check;
	struct wire_session *session;
	unsigned left = 61;

	(void)state;
	if (!asset_there)
		skip();
	session = admin_session();
	check.left = &left;
	wire_submit(session, &busy, on_open, &check);
	for (size_t i = 0; i < 60; i++) {
		sessions[i] = session_new("127.0.0.1", asset.port);
		answers[i].left = &left;
		wire_submit(sessions[i], &job, on_open, &answers[i]);
	}
	loop_run(loop);
	assert_fault(&check.result, FAULT_LIMIT);
	for (size_t i = 0; i < 60; i++) {
		assert_fine(&answers[i].result);
		wire_session_free(sessions[i]);
	}
	wire_session_free(session);
}

/* ── Without one ─────────────────────────────────────────────────────────────────────────── */

static void test_nobody(void **state)
{
	struct wire_session *session = session_new("127.0.0.1", 1);
	struct wire_result result = open_at(session, 5000);

	(void)state;
	assert_fault(&result, FAULT_CONNECT);
	result = with_secret(session, WIRE_PROVE, "plain", "x", NULL, 1000);
	assert_fault(&result, FAULT_LOST);
	assert_int_equal(result.verdict, VERDICT_UNKNOWN);
	wire_session_free(session);
}

/* A name is asked for within the sandbox, of whoever resolv.conf names. */
static void test_name(void **state)
{
	struct wire_session *session = session_new("no-such-host.invalid", 22);
	struct wire_result result = open_at(session, 2000);

	(void)state;
	assert_true(result.fault == FAULT_RESOLVE || result.fault == FAULT_TIMEOUT);
	wire_session_free(session);
	session = session_new("localhost", 1);
	result = open_at(session, 2000);
	assert_fault(&result, FAULT_CONNECT);
	wire_session_free(session);
	/* Nor may an interface be asked for there. */
	session = session_new("fe80::1%lo", 1);
	result = open_at(session, 2000);
	assert_fault(&result, FAULT_CONNECT);
	wire_session_free(session);
	session = session_new("fe80::1%no-such", 1);
	result = open_at(session, 2000);
	assert_fault(&result, FAULT_RESOLVE);
	wire_session_free(session);
}

/* Each of many has its own deadline, however late in its turn the loop began to count. */
static void test_silent(void **state)
{
	static struct wire_session *sessions[40];
	static struct open_answer answers[40];
	struct wire_job job = {.kind = WIRE_OPEN, .timeout_ms = 500};
	uint64_t start_ms = clock_mono_ms(loop_clock(loop));
	struct rogue_server server;
	unsigned left = 40;

	(void)state;
	rogue_start(&server, ROGUE_SILENT);
	for (size_t i = 0; i < 40; i++) {
		sessions[i] = session_new("127.0.0.1", server.port);
		answers[i].left = &left;
		wire_submit(sessions[i], &job, on_open, &answers[i]);
	}
	loop_run(loop);
	assert_in_range(clock_mono_ms(loop_clock(loop)) - start_ms, 500, 3000);
	for (size_t i = 0; i < 40; wire_session_free(sessions[i++]))
		assert_fault(&answers[i].result, FAULT_TIMEOUT);
	rogue_stop(&server);
}

/* It holds where bytes come without end. */
static void test_flood(void **state)
{
	static const enum rogue kinds[] = {ROGUE_BANNER, ROGUE_IGNORE, ROGUE_GARBAGE};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct rogue_server server;
		struct wire_session *session;
		struct wire_result result;

		rogue_start(&server, kinds[i]);
		session = session_new("127.0.0.1", server.port);
		result = open_at(session, 3000);
		assert_int_not_equal(result.fault, FAULT_NONE);
		assert_int_not_equal(result.fault, FAULT_WIRE);
		wire_session_free(session);
		rogue_stop(&server);
	}
}

/* A session that is freed in mid-connection is gone, and the wire goes on. */
static void test_freed_in_work(void **state)
{
	struct wire_job job = {.kind = WIRE_OPEN, .timeout_ms = 5000};
	struct rogue_server server;
	struct wire_session *session;
	struct wire_result result;

	(void)state;
	rogue_start(&server, ROGUE_SILENT);
	for (int i = 0; i < 20; i++) {
		session = session_new("127.0.0.1", server.port);
		wire_submit(session, &job, on_done, NULL);
		wire_session_free(session);
	}
	session = session_new("127.0.0.1", 1);
	result = open_at(session, 5000);
	assert_fault(&result, FAULT_CONNECT);
	wire_session_free(session);
	rogue_stop(&server);
}

static void test_bad_scripts(void **state)
{
	static const char source[] = "platform \"bad\" {\n  x =\n}";
	struct wire_script script = {"bad", "bad.lua", source, sizeof(source) - 1};
	struct error error;

	(void)state;
	assert_int_equal(wires_load(wires, SNAPSHOT + 2, &script, 1, &error), ERR_INVALID);
	assert_non_null(strstr(error.text, "bad.lua:3"));
}

static int begin(void **state)
{
	struct wires_config config = {.processes = 1, .lock_fd = -1, .sandbox = true};
	struct wire_script scripts[] = {
	    {"test", "test.lua", platform, sizeof(platform) - 1},
	    {"slow", "slow.lua", platform_slow, sizeof(platform_slow) - 1},
	    {"key", "key.lua", platform_key, sizeof(platform_key) - 1},
	};
	struct error error = {.code = ERR_OK};

	(void)state;
	asset_there = asset_start(&asset);
	loop = loop_new();
	config.loop = loop;
	config.died = on_died;
	if (secret_heap_init(1 << 20, NULL, &error) != ERR_OK ||
	    wires_start(&wires, &config, &error) != ERR_OK ||
	    wires_load(wires, SNAPSHOT, scripts, 3, &error) != ERR_OK) {
		print_error("%s\n", error.text);
		return -1;
	}
	return 0;
}

static int finish(void **state)
{
	(void)state;
	wires_stop(wires);
	loop_free(loop);
	asset_stop(&asset);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rotation),
	    cmocka_unit_test(test_su),
	    cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_change_key),
	    cmocka_unit_test(test_change_not_ended),
	    cmocka_unit_test(test_scripts_of_old),
	    cmocka_unit_test(test_many),
	    cmocka_unit_test(test_nobody),
	    cmocka_unit_test(test_name),
	    cmocka_unit_test(test_silent),
	    cmocka_unit_test(test_flood),
	    cmocka_unit_test(test_freed_in_work),
	    cmocka_unit_test(test_bad_scripts),
	};

	if (argc == 2 && strcmp(argv[1], WIRE_ARGUMENT) == 0)
		return wire_main();
	log_init(STDERR_FILENO, LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, begin, finish);
}
