/* Which texts may be private keys. None of these opens anything: the bodies are letters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "service/private_key.h"

#define OPENSSH(body)                                                                              \
	"-----BEGIN OPENSSH PRIVATE KEY-----\n" body "\n-----END OPENSSH PRIVATE KEY-----\n"
#define OPEN_BODY   "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW"
#define SEALED_BODY "b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABDPiGFnnD"

static void good(const char *pem, bool passphrase)
{
	const char *fault = private_key_fault(pem, strlen(pem), passphrase);

	if (fault != NULL)
		fail_msg("%s: %s", pem, fault);
}

static void bad(const char *pem, const char *why)
{
	const char *fault = private_key_fault(pem, strlen(pem), false);

	assert_non_null(fault);
	if (strstr(fault, why) == NULL)
		fail_msg("\"%s\" has no \"%s\"", fault, why);
}

static void test_good(void **state)
{
	(void)state;
	good(OPENSSH(OPEN_BODY), false);
	good(OPENSSH(SEALED_BODY), true);
	good("-----BEGIN EC PRIVATE KEY-----\r\nMHcCAQEE\r\nAAAA\r\n-----END EC PRIVATE KEY-----",
	    false);
	good("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,AB\n"
	     "\nMHcCAQEE\n-----END RSA PRIVATE KEY-----\n",
	    true);
	good("-----BEGIN PRIVATE KEY-----\nMHcCAQEE\n-----END PRIVATE KEY-----\n", false);
}

static void test_sealed(void **state)
{
	(void)state;
	bad(OPENSSH(SEALED_BODY), "passphrase");
	bad("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMHcCAQEE\n"
	    "-----END RSA PRIVATE KEY-----\n",
	    "passphrase");
	bad("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMHcCAQEE\n"
	    "-----END ENCRYPTED PRIVATE KEY-----\n",
	    "passphrase");
}

static void test_bad(void **state)
{
	(void)state;
	bad("", "no private key");
	bad("hello", "no private key");
	bad("-----BEGIN ", "no private key");
	bad("-----BEGIN -----", "no private key");
	bad("ssh-ed25519 AAAA you@example.com", "public key");
	bad("-----BEGIN PUBLIC KEY-----\nMHcCAQEE\n-----END PUBLIC KEY-----\n", "public key");
	bad("-----BEGIN CERTIFICATE-----\nMHcCAQEE\n-----END CERTIFICATE-----\n", "no private key");
	bad("-----BEGIN PRIVATE KEY-----\nMHcCAQEE\n", "cut");
	bad("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n", "cut");
	bad("-----BEGIN PRIVATE KEY-----\nMHc!\n-----END PRIVATE KEY-----\n", "damaged");
	bad("-----BEGIN PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----\n", "damaged");
	bad(OPENSSH("MHcCAQEE"), "damaged");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_sealed),
	    cmocka_unit_test(test_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
