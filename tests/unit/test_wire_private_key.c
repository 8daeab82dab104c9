/*
 * The forms of a private key: what logs in on a real sshd, and what is said of the others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/ssh_key.h"
#include "wire_link_help.h"

#define PHRASE "a phrase"

static struct secret *file_secret(const char *path)
{
	char text[SECRET_SIZE_MAX];
	FILE *file = fopen(path, "r");
	size_t len;

	assert_non_null(file);
	len = fread(text, 1, sizeof(text), file);
	fclose(file);
	return secret_from(text, len);
}

/* Makes a key by `make` (sh; $1 is its file) and lets it in. */
static struct secret *make_key(const char *make, const struct secret *passphrase)
{
	char *path = xasprintf("%s/form", asset.dir);
	char *command = xasprintf("set -e; set -- %s; rm -f $1 $1.pub; %s", path, make);
	char line[SSH_KEY_LINE_SIZE];
	struct error error;
	struct secret *key;
	FILE *file;

	assert_int_equal(system(command), 0);
	key = file_secret(path);
	assert_int_equal(ssh_key_public(key, passphrase, line, &error), ERR_OK);
	free(command);
	free(path);
	path = xasprintf("%s/authorized", asset.dir);
	file = fopen(path, "a");
	assert_non_null(file);
	fprintf(file, "%s\n", line);
	fclose(file);
	free(path);
	return key;
}

static enum err login_by(
    struct session *session, const struct secret *key, const struct secret *passphrase)
{
	struct login login = {
	    .user = "admin", .secret = key, .is_key = true, .passphrase = passphrase};

	enum err err;

	expect_open(session, asset.key_port);
	/* libssh2 1.10 forgets a number of an ECDSA key in OpenSSH's form. */
	__lsan_disable();
	err = DRIVE(session, 60000, link_login_step(session->link, &login, &session->outcome));
	__lsan_enable();
	return err;
}

#define KEYGEN "ssh-keygen -q -N '' -f $1 "

static void logs_in_with_every_form(void **state)
{
	static const char *const makes[] = {
	    KEYGEN "-t ed25519",
	    KEYGEN "-t ecdsa -b 256",
	    KEYGEN "-t ecdsa -b 384",
	    KEYGEN "-t ecdsa -b 521",
	    KEYGEN "-t ecdsa -b 256 -m PEM",
	    KEYGEN "-t ecdsa -b 521 -m PKCS8",
	    "openssl genpkey -algorithm ed25519 -out $1 2>/dev/null",
	};

	(void)state;
	NEED_ASSET();
	for (size_t i = 0; i < sizeof(makes) / sizeof(makes[0]); i++) {
		struct secret *key = make_key(makes[i], NULL);
		struct session session;

		if (login_by(&session, key, NULL) != ERR_OK)
			fail_msg("%s: %s", makes[i], session.outcome.text);
		session_end(&session);
		secret_free(key);
	}
}

static void logs_in_with_a_passphrase(void **state)
{
	static const char *const makes[] = {
	    "ssh-keygen -q -N '" PHRASE "' -f $1 -t ed25519 -a 1",
	    "ssh-keygen -q -N '" PHRASE "' -f $1 -t ecdsa -m PEM",
	    "ssh-keygen -q -N '" PHRASE "' -f $1 -t ecdsa -m PKCS8",
	};
	struct secret *phrase = secret_from(PHRASE, strlen(PHRASE));

	(void)state;
	NEED_ASSET();
	for (size_t i = 0; i < sizeof(makes) / sizeof(makes[0]); i++) {
		struct secret *key = make_key(makes[i], phrase), *plain;
		struct session session;
		struct error error;

		if (login_by(&session, key, phrase) != ERR_OK)
			fail_msg("%s: %s", makes[i], session.outcome.text);
		session_end(&session);
		assert_int_not_equal(login_by(&session, key, NULL), ERR_OK);
		expect_fault(&session, FAULT_KEY);
		session_end(&session);
		assert_int_equal(ssh_key_unseal(key, phrase, &plain, &error), ERR_OK);
		assert_int_equal(login_by(&session, plain, NULL), ERR_OK);
		session_end(&session);
		secret_free(plain);
		secret_free(key);
	}
	secret_free(phrase);
}

/* In whatever form. */
static void says_why_an_rsa_key_is_refused(void **state)
{
	static const char *const makes[] = {
	    KEYGEN "-t rsa -b 2048",
	    KEYGEN "-t rsa -b 2048 -m PEM",
	};

	(void)state;
	NEED_ASSET();
	for (size_t i = 0; i < sizeof(makes) / sizeof(makes[0]); i++) {
		struct secret *key = make_key(makes[i], NULL);
		struct session session;

		if (login_by(&session, key, NULL) != ERR_OK) {
			expect_fault(&session, FAULT_AUTH);
			assert_non_null(strstr(session.outcome.text, "SHA-1 alone"));
		}
		session_end(&session);
		secret_free(key);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(logs_in_with_every_form),
	    cmocka_unit_test(logs_in_with_a_passphrase),
	    cmocka_unit_test(says_why_an_rsa_key_is_refused),
	};

	return cmocka_run_group_tests(tests, asset_begin, asset_end);
}
