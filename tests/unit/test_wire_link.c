/*
 * Links, logins, channels and privileged shells against a real sshd and against servers that
 * misbehave.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <errno.h>
#include <poll.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/socket.h>

#include <cmocka.h>
#include <event2/event.h>
#include <libssh2.h>
#include <openssl/rand.h>

#include "base/mem.h"
#include "base/secret.h"
#include "wire/link.h"
#include "wire/shell.h"
#include "wire_asset.h"

#if defined(__SANITIZE_ADDRESS__)
#define LEAKS_SEEN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LEAKS_SEEN 1
#endif
#endif
#ifdef LEAKS_SEEN
#include <sanitizer/lsan_interface.h>
#else
#define __lsan_disable() ((void)0)
#define __lsan_enable()	 ((void)0)
#endif

static struct asset asset;
static bool asset_there;

#define NEED_ASSET()                                                                               \
	do {                                                                                       \
		if (!asset_there)                                                                  \
			skip();                                                                    \
	} while (0)

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ── Driving steps ───────────────────────────────────────────────────────────────────────── */

/* How many steps may still be made; what is cut is cut when none is left. */
static int steps_left;

#define CUT ERR_CANCELED

/* Waits as the link says; false when the deadline has passed or the steps are used up. */
static bool wait_link(struct link *link, uint64_t deadline_ms)
{
	struct pollfd fd = {.fd = -1};
	uint64_t now = now_ms();
	short events;

	if (--steps_left <= 0 || now >= deadline_ms)
		return false;
	link_wait(link, &fd.fd, &events);
	fd.events = (short)((events & EV_READ ? POLLIN : 0) | (events & EV_WRITE ? POLLOUT : 0));
	assert_int_not_equal(fd.events, 0);
	poll(&fd, 1, (int)(deadline_ms - now));
	return true;
}

#define DRIVE(link, timeout_ms, step)                                                              \
	({                                                                                         \
		uint64_t deadline_ms_ = now_ms() + (timeout_ms);                                   \
		enum err err_;                                                                     \
		while ((err_ = (step)) == ERR_AGAIN) {                                             \
			if (!wait_link(link, deadline_ms_)) {                                      \
				err_ = CUT;                                                        \
				break;                                                             \
			}                                                                          \
		}                                                                                  \
		err_;                                                                              \
	})

struct session {
	struct link *link;
	struct shell *shell;
	struct outcome outcome;
	struct secret *secret;
};

static void session_begin(struct session *session, uint16_t port, const struct wire_key *pins,
    size_t pin_count, bool known_only)
{
	struct wire_target target = {.asset = "web1",
	    .address = "127.0.0.1",
	    .port = port,
	    .pins = pins,
	    .pin_count = pin_count,
	    .known_only = known_only};
	struct link_config config = {.dns = NULL};

	*session = (struct session){.link = link_new(&config, &target)};
}

static enum err session_open(struct session *session)
{
	return DRIVE(session->link, 10000, link_open_step(session->link, &session->outcome));
}

static enum err session_login(
    struct session *session, const char *user, const char *secret, bool is_key)
{
	struct login login = {.user = user, .is_key = is_key};

	session->secret = secret_from(secret, strlen(secret));
	login.secret = session->secret;
	return DRIVE(
	    session->link, 15000, link_login_step(session->link, &login, &session->outcome));
}

static enum err session_become(struct session *session, const char *password)
{
	struct shell_config config = {.become = WIRE_BECOME_SUDO};
	struct secret *secret = password != NULL ? secret_from(password, strlen(password)) : NULL;
	enum err err;

	config.become_secret = secret;
	session->shell = shell_new(session->link, &config);
	err = DRIVE(session->link, 15000, shell_open_step(session->shell, &session->outcome));
	secret_free(secret);
	return err;
}

static enum err session_run(struct session *session, struct command *command)
{
	return DRIVE(
	    session->link, 15000, shell_run_step(session->shell, command, &session->outcome));
}

static void session_end(struct session *session)
{
	shell_free(session->shell);
	link_free(session->link);
	secret_free(session->secret);
	*session = (struct session){.link = NULL};
}

static void expect_open(struct session *session, uint16_t port)
{
	steps_left = 100000;
	session_begin(session, port, NULL, 0, false);
	if (session_open(session) != ERR_OK)
		fail_msg("%s", session->outcome.text);
}

static void expect_login(
    struct session *session, uint16_t port, const char *user, const char *secret, bool is_key)
{
	expect_open(session, port);
	if (session_login(session, user, secret, is_key) != ERR_OK)
		fail_msg("%s: %s", fault_name(session->outcome.fault), session->outcome.text);
}

static void expect_fault(const struct session *session, enum fault fault)
{
	if (session->outcome.fault != fault)
		fail_msg("%s, not %s: %s", fault_name(session->outcome.fault), fault_name(fault),
		    session->outcome.text);
}

static void words(struct command *command, const char *const *list)
{
	command_init(command);
	for (; *list != NULL; list++)
		assert_true(command_word(command, *list, strlen(*list)));
}

/* ── Logging in ──────────────────────────────────────────────────────────────────────────── */

static void expect_echo(struct session *session)
{
	struct echo *echo = echo_new(session->link);
	enum err err = DRIVE(session->link, 10000, echo_step(echo, &session->outcome));

	echo_free(echo);
	if (err != ERR_OK)
		fail_msg("%s: %s", fault_name(session->outcome.fault), session->outcome.text);
}

static void logs_in_each_way(void **state)
{
	struct session session;

	(void)state;
	NEED_ASSET();
	expect_login(&session, asset.port, "plain", ASSET_PASSWORD, false);
	assert_int_equal(link_failed_attempts(session.link), 0);
	expect_echo(&session);
	session_end(&session);
	expect_login(&session, asset.prompt_port, "plain", ASSET_PASSWORD, false);
	assert_int_equal(link_failed_attempts(session.link), 0);
	expect_echo(&session);
	session_end(&session);
	expect_login(&session, asset.key_port, "plain", asset.key, true);
	expect_echo(&session);
	session_end(&session);
	/* libssh2 1.10 forgets a number when it reads an ECDSA key in OpenSSH's form. */
	__lsan_disable();
	expect_login(&session, asset.key_port, "plain", asset.key_ecdsa, true);
	expect_echo(&session);
	session_end(&session);
	__lsan_enable();
}

static void expect_refused(uint16_t port, const char *user, const char *secret, bool is_key,
    enum fault fault, unsigned failed)
{
	struct session session;

	expect_open(&session, port);
	assert_int_not_equal(session_login(&session, user, secret, is_key), ERR_OK);
	expect_fault(&session, fault);
	assert_int_equal(link_failed_attempts(session.link), failed);
	session_end(&session);
}

static void counts_what_is_refused(void **state)
{
	(void)state;
	NEED_ASSET();
	expect_refused(asset.port, "plain", "wrong", false, FAULT_AUTH, 1);
	expect_refused(asset.prompt_port, "plain", "wrong", false, FAULT_AUTH, 1);
	expect_refused(asset.key_port, "plain", "wrong", false, FAULT_NO_METHOD, 0);
	expect_refused(asset.key_port, "plain", "not a key", true, FAULT_KEY, 0);
	expect_refused(asset.two_port, "plain", ASSET_PASSWORD, false, FAULT_NO_METHOD, 0);
	expect_refused(asset.two_port, "plain", "wrong", false, FAULT_AUTH, 1);
	expect_refused(asset.prompt_port, "old", ASSET_PASSWORD, false, FAULT_EXPIRED, 0);
}

static void tells_an_account_that_can_do_nothing(void **state)
{
	static const struct {
		const char *user;
		enum fault fault;
	} cases[] = {{"old", FAULT_EXPIRED}, {"none", FAULT_NO_SHELL}};

	(void)state;
	NEED_ASSET();
	for (size_t i = 0; i < 2; i++) {
		struct session session;
		struct echo *echo;

		expect_login(&session, asset.port, cases[i].user, ASSET_PASSWORD, false);
		echo = echo_new(session.link);
		assert_int_not_equal(
		    DRIVE(session.link, 10000, echo_step(echo, &session.outcome)), ERR_OK);
		expect_fault(&session, cases[i].fault);
		echo_free(echo);
		session_end(&session);
	}
}

static void checks_the_host_key(void **state)
{
	struct session session;
	struct wire_key key;
	bool new_key;
	char address[WIRE_ADDRESS_SIZE];

	(void)state;
	NEED_ASSET();
	expect_open(&session, asset.port);
	link_peer(session.link, &key, &new_key, address);
	assert_true(new_key);
	assert_string_equal(address, "127.0.0.1");
	assert_string_equal(key.type, "ssh-ed25519");
	session_end(&session);

	session_begin(&session, asset.port, &key, 1, true);
	assert_int_equal(session_open(&session), ERR_OK);
	link_peer(session.link, &key, &new_key, address);
	assert_false(new_key);
	session_end(&session);

	key.blob[key.len - 1] ^= 1;
	session_begin(&session, asset.port, &key, 1, false);
	assert_int_not_equal(session_open(&session), ERR_OK);
	expect_fault(&session, FAULT_HOST_KEY);
	session_end(&session);

	snprintf(key.type, sizeof(key.type), "ecdsa-sha2-nistp256");
	session_begin(&session, asset.port, &key, 1, false);
	assert_int_not_equal(session_open(&session), ERR_OK);
	expect_fault(&session, FAULT_ALGORITHM);
	assert_non_null(strstr(session.outcome.text, "offers ssh-ed25519;"));
	session_end(&session);

	session_begin(&session, asset.port, NULL, 0, true);
	assert_int_not_equal(session_open(&session), ERR_OK);
	expect_fault(&session, FAULT_HOST_UNKNOWN);
	session_end(&session);
}

/* ── Servers that misbehave ──────────────────────────────────────────────────────────────── */

static void survives_rogues(void **state)
{
	static const struct {
		enum rogue kind;
		enum fault fault;
		const char *word;
	} cases[] = {
	    {ROGUE_BANNER, FAULT_BANNER, "welcome"},
	    {ROGUE_IGNORE, FAULT_LIMIT, "256 KB"},
	    {ROGUE_GARBAGE, FAULT_ALGORITHM, "key exchange"},
	    {ROGUE_HTTP, FAULT_BANNER, "HTTP/1.1"},
	    {ROGUE_CLOSE, FAULT_LOST, "without a word"},
	    {ROGUE_ODD, FAULT_ALGORITHM, "odd-cipher; this build offers"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rogue_server server;
		struct session session;

		rogue_start(&server, cases[i].kind);
		steps_left = 100000;
		session_begin(&session, server.port, NULL, 0, false);
		assert_int_not_equal(session_open(&session), ERR_OK);
		expect_fault(&session, cases[i].fault);
		if (strstr(session.outcome.text, cases[i].word) == NULL)
			fail_msg("no \"%s\" in: %s", cases[i].word, session.outcome.text);
		session_end(&session);
		rogue_stop(&server);
	}
}

static void waits_for_a_silent_one_no_longer_than_asked(void **state)
{
	struct rogue_server server;
	struct session session;

	(void)state;
	rogue_start(&server, ROGUE_SILENT);
	steps_left = 100;
	session_begin(&session, server.port, NULL, 0, false);
	assert_int_equal(
	    DRIVE(session.link, 300, link_open_step(session.link, &session.outcome)), CUT);
	/* It waited instead of turning. */
	assert_true(steps_left > 90);
	session_end(&session);
	rogue_stop(&server);

	session_begin(&session, server.port, NULL, 0, false);
	assert_int_not_equal(session_open(&session), ERR_OK);
	expect_fault(&session, FAULT_CONNECT);
	session_end(&session);
}

/* What the peer sees when a link is closed: 0 for an orderly end, else errno. */
static int seen_by_peer(bool held)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM, 0), peer, error = 0;
	struct session session;
	char bytes[4096];
	ssize_t got;

	assert_int_equal(bind(listener, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	session_begin(&session, ntohs(at.sin_port), NULL, 0, false);
	steps_left = 100;
	assert_int_equal(
	    DRIVE(session.link, 200, link_open_step(session.link, &session.outcome)), CUT);
	peer = accept(listener, NULL, NULL);
	link_hold(session.link, true);
	link_hold(session.link, held);
	session_end(&session);
	while ((got = recv(peer, bytes, sizeof(bytes), 0)) > 0) {
	}
	if (got < 0)
		error = errno;
	close(peer);
	close(listener);
	return error;
}

static void resets_what_it_holds(void **state)
{
	(void)state;
	assert_int_equal(seen_by_peer(false), 0);
	assert_int_equal(seen_by_peer(true), ECONNRESET);
}

/* ── Privileged shells ───────────────────────────────────────────────────────────────────── */

static void expect_become(const char *user, const char *password)
{
	const char *const id[] = {"id", "-u", NULL};
	struct session session;
	struct command command;

	expect_login(&session, asset.key_port, user, asset.key, true);
	if (session_become(&session, password) != ERR_OK)
		fail_msg("%s: %s", fault_name(session.outcome.fault), session.outcome.text);
	assert_int_equal(shell_failed_attempts(session.shell), 0);
	words(&command, id);
	assert_int_equal(session_run(&session, &command), ERR_OK);
	assert_string_equal(buf_text(&command.out), "0\n");
	command_clear(&command);
	session_end(&session);
}

static void expect_no_become(
    const char *user, const char *password, enum fault fault, unsigned failed)
{
	struct session session;

	expect_login(&session, asset.key_port, user, asset.key, true);
	assert_int_not_equal(session_become(&session, password), ERR_OK);
	expect_fault(&session, fault);
	assert_int_equal(shell_failed_attempts(session.shell), failed);
	session_end(&session);
}

/* The asset's own count: sudo writes it when it has ended. */
static void expect_in_sudo_log(const char *words)
{
	char *command = xasprintf("grep -q '%s' %s/sudo.log", words, asset.dir);

	for (int i = 0; system(command) != 0; i++) {
		if (i == 50)
			fail_msg("sudo never logged: %s", words);
		usleep(100 * 1000);
	}
	free(command);
}

static void becomes_root(void **state)
{
	(void)state;
	NEED_ASSET();
	expect_become("admin", ASSET_PASSWORD);
	expect_become("free", NULL);
	expect_become("free", ASSET_PASSWORD);
	expect_no_become("admin", "wrong", FAULT_BECOME_PASSWORD, 1);
	expect_in_sudo_log("admin : 1 incorrect password attempt");
	expect_no_become("admin", NULL, FAULT_BECOME_PASSWORD, 0);
	expect_no_become("plain", ASSET_PASSWORD, FAULT_BECOME_DENIED, 0);
	expect_no_become("old", ASSET_PASSWORD, FAULT_EXPIRED, 0);
}

static void begin_root(struct session *session)
{
	struct shell_config config = {.become = WIRE_BECOME_NONE};

	expect_login(session, asset.key_port, "root", asset.key, true);
	session->shell = shell_new(session->link, &config);
	if (DRIVE(session->link, 10000, shell_open_step(session->shell, &session->outcome)) !=
	    ERR_OK)
		fail_msg("%s: %s", fault_name(session->outcome.fault), session->outcome.text);
}

static void runs_command_after_command(void **state)
{
	const char *const odd[] = {
	    "printf", "%s|%s|%s", "it's", "$HOME `x` \\n !", "\xc3\x81", NULL};
	const char *const both[] = {"sh", "-c", "echo out; echo err >&2; exit 7", NULL};
	const char *const slow[] = {"sleep", "9", NULL};
	const char *const none[] = {"no-such-command", NULL};
	struct session session;
	struct command command;

	(void)state;
	NEED_ASSET();
	begin_root(&session);
	words(&command, odd);
	assert_int_equal(session_run(&session, &command), ERR_OK);
	assert_string_equal(buf_text(&command.out), "it's|$HOME `x` \\n !|\xc3\x81");
	assert_true(command.ended);
	assert_false(command.sent);
	command_clear(&command);

	words(&command, both);
	assert_int_equal(session_run(&session, &command), ERR_OK);
	assert_int_equal(command.status, 7);
	assert_string_equal(buf_text(&command.out), "out\n");
	assert_string_equal(buf_text(&command.err), "err\n");
	command_clear(&command);

	words(&command, slow);
	command.limit_ms = 1000;
	assert_int_equal(session_run(&session, &command), ERR_OK);
	assert_int_equal(command.status, 124);
	command_clear(&command);

	words(&command, none);
	assert_int_equal(session_run(&session, &command), ERR_OK);
	assert_int_equal(command.status, 127);
	command_clear(&command);
	session_end(&session);
}

static void hands_over_every_byte(void **state)
{
	const char *const cat[] = {"cat", NULL};
	struct session session;
	struct command command;
	char all[256];
	size_t len = 0;

	(void)state;
	NEED_ASSET();
	begin_root(&session);
	for (int byte = 1; byte < 256; byte++) {
		if (byte != '\n')
			all[len++] = (char)byte;
	}
	words(&command, cat);
	command.holds_secret = true;
	for (int i = 0; i < 20; i++) {
		buf_add(&command.input, all, len);
		buf_add_text(&command.input, i % 2 == 0 ? "\n" : " \n\n");
	}
	assert_int_equal(session_run(&session, &command), ERR_OK);
	assert_int_equal(command.out.len, command.input.len);
	assert_memory_equal(command.out.data, command.input.data, command.input.len);
	assert_true(command.sent);
	assert_true(command.ended);
	command_clear(&command);
	session_end(&session);
}

static void stops_at_too_much_output(void **state)
{
	const char *const yes[] = {"yes", NULL};
	struct session session;
	struct command command;

	(void)state;
	NEED_ASSET();
	begin_root(&session);
	words(&command, yes);
	assert_int_not_equal(session_run(&session, &command), ERR_OK);
	expect_fault(&session, FAULT_OUTPUT);
	assert_false(command.ended);
	command_clear(&command);
	words(&command, yes);
	assert_int_not_equal(session_run(&session, &command), ERR_OK);
	expect_fault(&session, FAULT_LOST);
	command_clear(&command);
	session_end(&session);
}

static void sees_a_shell_that_dies(void **state)
{
	const char *const kill[] = {"sh", "-c", "cat; kill -9 $PPID", NULL};
	struct session session;
	struct command command;

	(void)state;
	NEED_ASSET();
	begin_root(&session);
	words(&command, kill);
	command.holds_secret = true;
	buf_add_text(&command.input, "x\n");
	assert_int_not_equal(session_run(&session, &command), ERR_OK);
	expect_fault(&session, FAULT_LOST);
	assert_true(command.sent);
	assert_false(command.ended);
	command_clear(&command);
	session_end(&session);
}

/* ── Cut at every step ───────────────────────────────────────────────────────────────────── */

/* The whole of a rotation's session; true when it came to its end. */
static bool whole_session(const char *user, const char *secret, bool is_key, uint16_t port)
{
	const char *const cat[] = {"cat", NULL};
	struct session session;
	struct command command;
	bool whole;

	words(&command, cat);
	buf_add_text(&command.input, "line\n");
	command.holds_secret = true;
	session_begin(&session, port, NULL, 0, false);
	whole = session_open(&session) == ERR_OK &&
		session_login(&session, user, secret, is_key) == ERR_OK &&
		session_become(&session, ASSET_PASSWORD) == ERR_OK &&
		session_run(&session, &command) == ERR_OK;
	command_clear(&command);
	session_end(&session);
	return whole;
}

static void leaves_nothing_behind_wherever_it_is_cut(void **state)
{
	static const struct {
		const char *user;
		bool is_key;
	} cases[] = {{"admin", true}, {"free", false}};
	size_t used = mem_used();

	(void)state;
	NEED_ASSET();
	for (size_t i = 0; i < 2; i++) {
		bool is_key = cases[i].is_key, whole = false;

		for (int steps = 1; !whole; steps++) {
			steps_left = steps;
			whole = whole_session(cases[i].user, is_key ? asset.key : ASSET_PASSWORD,
			    is_key, is_key ? asset.key_port : asset.prompt_port);
			assert_int_equal(mem_used(), used);
			assert_in_range(steps, 0, 200);
		}
	}
}

/* The bytes of the handshake come so slowly that each message of it is cut somewhere. */
static void leaves_nothing_behind_within_the_handshake(void **state)
{
	struct rogue_server server;
	size_t used = mem_used();
	bool whole = false;
	int steps;

	(void)state;
	NEED_ASSET();
	rogue_relay(&server, asset.port);
	for (steps = 1; !whole; steps++) {
		struct session session;

		steps_left = steps;
		session_begin(&session, server.port, NULL, 0, false);
		whole = session_open(&session) == ERR_OK;
		session_end(&session);
		assert_int_equal(mem_used(), used);
		assert_in_range(steps, 0, 1000);
	}
	assert_in_range(steps, 40, 1000);
	rogue_stop(&server);
}

/* OpenSSL's generators live for good in the secure heap, where the leak checker does not look. */
static void warm_random(void)
{
	uint8_t byte;

	__lsan_disable();
	assert_int_equal(RAND_bytes(&byte, 1), 1);
	assert_int_equal(RAND_priv_bytes(&byte, 1), 1);
	__lsan_enable();
}

static int begin(void **state)
{
	bool locked;

	(void)state;
	assert_int_equal(secret_heap_init(1 << 20, &locked, NULL), ERR_OK);
	assert_int_equal(libssh2_init(0), 0);
	warm_random();
	asset_there = asset_start(&asset);
	if (!asset_there)
		print_message("no root or no sshd here: tests against it are skipped\n");
	return 0;
}

static int end(void **state)
{
	(void)state;
	asset_stop(&asset);
	libssh2_exit();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(logs_in_each_way),
	    cmocka_unit_test(counts_what_is_refused),
	    cmocka_unit_test(tells_an_account_that_can_do_nothing),
	    cmocka_unit_test(checks_the_host_key),
	    cmocka_unit_test(survives_rogues),
	    cmocka_unit_test(waits_for_a_silent_one_no_longer_than_asked),
	    cmocka_unit_test(resets_what_it_holds),
	    cmocka_unit_test(becomes_root),
	    cmocka_unit_test(runs_command_after_command),
	    cmocka_unit_test(hands_over_every_byte),
	    cmocka_unit_test(stops_at_too_much_output),
	    cmocka_unit_test(sees_a_shell_that_dies),
	    cmocka_unit_test(leaves_nothing_behind_wherever_it_is_cut),
	    cmocka_unit_test(leaves_nothing_behind_within_the_handshake),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
