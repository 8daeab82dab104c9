#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <event2/event.h>
#include <libssh2.h>
#include <openssl/rand.h>

#include "wire_link_help.h"

struct asset asset;
bool asset_there;

uint64_t mono_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool session_wait(struct session *session, uint64_t deadline_ms)
{
	struct pollfd fd = {.fd = -1};
	uint64_t now = mono_ms();
	short events;

	if (--session->steps_left <= 0 || now >= deadline_ms)
		return false;
	link_wait(session->link, &fd.fd, &events);
	fd.events = (short)((events & EV_READ ? POLLIN : 0) | (events & EV_WRITE ? POLLOUT : 0));
	assert_int_not_equal(fd.events, 0);
	poll(&fd, 1, (int)(deadline_ms - now));
	return true;
}

void session_begin(struct session *session, uint16_t port, const struct wire_key *pins,
    size_t pin_count, bool known_only)
{
	struct wire_target target = {.asset = "web1",
	    .address = "127.0.0.1",
	    .port = port,
	    .pins = pins,
	    .pin_count = pin_count,
	    .known_only = known_only};
	struct link_config config = {.dns = NULL};

	*session = (struct session){.link = link_new(&config, &target), .steps_left = 100000};
}

enum err session_open(struct session *session)
{
	return DRIVE(session, 10000, link_open_step(session->link, &session->outcome));
}

enum err session_login(struct session *session, const char *user, const char *secret, bool is_key)
{
	struct login login = {.user = user, .is_key = is_key};

	session->secret = secret_from(secret, strlen(secret));
	login.secret = session->secret;
	return DRIVE(session, 60000, link_login_step(session->link, &login, &session->outcome));
}

enum err session_become(
    struct session *session, enum wire_become become, const char *user, const char *password)
{
	struct shell_config config = {.become = become, .user = user};
	struct secret *secret = password != NULL ? secret_from(password, strlen(password)) : NULL;
	enum err err;

	config.become_secret = secret;
	session->shell = shell_new(session->link, &config);
	err = DRIVE(session, 60000, shell_open_step(session->shell, &session->outcome));
	secret_free(secret);
	return err;
}

enum err session_run(struct session *session, struct command *command)
{
	return DRIVE(session, 60000, shell_run_step(session->shell, command, &session->outcome));
}

void session_end(struct session *session)
{
	shell_free(session->shell);
	link_free(session->link);
	secret_free(session->secret);
	*session = (struct session){.link = NULL};
}

void expect_open(struct session *session, uint16_t port)
{
	session_begin(session, port, NULL, 0, false);
	if (session_open(session) != ERR_OK)
		fail_msg("%s", session->outcome.text);
}

void expect_login(
    struct session *session, uint16_t port, const char *user, const char *secret, bool is_key)
{
	expect_open(session, port);
	if (session_login(session, user, secret, is_key) != ERR_OK)
		fail_msg("%s: %s", fault_name(session->outcome.fault), session->outcome.text);
}

void expect_fault(const struct session *session, enum fault fault)
{
	if (session->outcome.fault != fault)
		fail_msg("%s, not %s: %s", fault_name(session->outcome.fault), fault_name(fault),
		    session->outcome.text);
}

void words(struct command *command, const char *const *list)
{
	command_init(command);
	for (; *list != NULL; list++)
		assert_true(command_word(command, *list, strlen(*list)));
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

int asset_begin(void **state)
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

int asset_end(void **state)
{
	(void)state;
	asset_stop(&asset);
	libssh2_exit();
	return 0;
}
