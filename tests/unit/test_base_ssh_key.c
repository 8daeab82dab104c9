/* Keys that are made here and read there: ssh-keygen is the judge. */
#define _GNU_SOURCE /* memmem */
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/secret.h"
#include "base/ssh_key.h"

static char dir[64];

/* ── Help ────────────────────────────────────────────────────────────────────────────────── */

static int shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static int shell(const char *fmt, ...)
{
	char command[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	return system(command);
}

static const char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void key_save(const char *name, const struct secret *key)
{
	int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, secret_data(key), secret_len(key)), secret_len(key));
	close(fd);
}

static struct secret *key_load(const char *name)
{
	char text[SECRET_SIZE_MAX];
	int fd = open(path_of(name), O_RDONLY);
	ssize_t len = read(fd, text, sizeof(text));

	assert_true(fd >= 0 && len > 0);
	close(fd);
	return secret_from(text, (size_t)len);
}

/* The first two words of a file: a public line without its comment. */
static void public_words(const char *name, char *line)
{
	char type[64], blob[SSH_KEY_LINE_SIZE];
	FILE *file = fopen(path_of(name), "r");

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%63s %4000s", type, blob), 2);
	fclose(file);
	snprintf(line, SSH_KEY_LINE_SIZE, "%.63s %.4000s", type, blob);
}

static void assert_public(const struct secret *key, const char *phrase, const char *pub)
{
	struct secret *passphrase = phrase == NULL ? NULL : secret_from(phrase, strlen(phrase));
	char line[SSH_KEY_LINE_SIZE], wanted[SSH_KEY_LINE_SIZE];
	struct error error = {.text = ""};

	if (ssh_key_public(key, passphrase, line, &error) != ERR_OK)
		fail_msg("%s: %s", pub, error.text);
	secret_free(passphrase);
	public_words(pub, wanted);
	assert_string_equal(line, wanted);
}

/* ── Making ──────────────────────────────────────────────────────────────────────────────── */

static void made_key_is_good(enum ssh_key_type type)
{
	struct secret *key;
	struct error error;

	assert_int_equal(ssh_key_make(type, &key, &error), ERR_OK);
	key_save("made", key);
	assert_int_equal(shell("cd %s && ssh-keygen -y -f made >made.pub", dir), 0);
	assert_public(key, NULL, "made.pub");
	assert_int_equal(
	    shell("cd %s && rm -f text.sig && echo hello >text && ssh-keygen -Y sign -q -f made "
		  "-n test text 2>/dev/null && ssh-keygen -Y check-novalidate -n test -s "
		  "text.sig <text >/dev/null",
		dir),
	    0);
	secret_free(key);
}

static void test_what_is_made_signs(void **state)
{
	static const enum ssh_key_type types[] = {
	    SSH_KEY_ED25519, SSH_KEY_ECDSA_256, SSH_KEY_ECDSA_384, SSH_KEY_ECDSA_521};

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		for (uint64_t seed = 1; seed <= 6; seed++) {
			random_seed(seed);
			made_key_is_good(types[i]);
			random_unseed();
		}
}

static void test_each_is_another(void **state)
{
	struct secret *one, *two;
	struct error error;

	(void)state;
	assert_int_equal(ssh_key_make(SSH_KEY_ED25519, &one, &error), ERR_OK);
	assert_int_equal(ssh_key_make(SSH_KEY_ED25519, &two, &error), ERR_OK);
	assert_false(secret_equal(one, two));
	secret_free(one);
	secret_free(two);
}

static bool memory_holds(const char *map, const void *bytes, size_t len)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	int mem = open("/proc/self/mem", O_RDONLY);
	char row[512];
	bool held = false;

	while (!held && fgets(row, sizeof(row), maps) != NULL) {
		uint64_t from, to;
		char *copy;

		if (strstr(row, map) == NULL ||
		    sscanf(row, "%" SCNx64 "-%" SCNx64, &from, &to) != 2)
			continue;
		copy = malloc(to - from);
		if (pread(mem, copy, to - from, (off_t)from) == (ssize_t)(to - from))
			held = memmem(copy, to - from, bytes, len) != NULL;
		explicit_bzero(copy, to - from);
		free(copy);
	}
	close(mem);
	fclose(maps);
	return held;
}

/* OpenSSL keeps its numbers the other way round. */
static void assert_not_left(const struct secret *secret, size_t from, size_t len)
{
	static const char *const maps[] = {"[heap]", "[stack]"};
	struct secret *turned = secret_new(len);

	for (size_t i = 0; i < len; i++)
		secret_bytes(turned)[i] = secret_data(secret)[from + len - 1 - i];
	for (size_t i = 0; i < 2; i++) {
		assert_false(memory_holds(maps[i], secret_data(secret) + from, len));
		assert_false(memory_holds(maps[i], secret_data(turned), len));
	}
	secret_free(turned);
}

static void test_nothing_private_is_left_in_ordinary_memory(void **state)
{
	static const enum ssh_key_type types[] = {SSH_KEY_ED25519, SSH_KEY_ECDSA_256};
	char *control = strdup("what is looked for would be found");
	bool looked;

	(void)state;
	looked = memory_holds("[heap]", control, strlen(control));
	free(control);
	if (!looked) /* a heap of another making: a sanitizer's */
		skip();
	for (size_t i = 0; i < 2; i++) {
		struct secret *number = secret_new(32), *key;
		struct error error;

		random_seed(99);
		random_bytes(secret_bytes(number), 32);
		random_seed(99);
		assert_int_equal(ssh_key_make(types[i], &key, &error), ERR_OK);
		random_unseed();
		assert_not_left(number, 8, 16);
		assert_not_left(key, 200, 40);
		secret_free(key);
		secret_free(number);
	}
}

/* ── Reading ─────────────────────────────────────────────────────────────────────────────── */

static void keygen(const char *options, const char *phrase)
{
	assert_int_equal(shell("cd %s && rm -f k k.pub && ssh-keygen -q -N '%s' -C c -f k %s", dir,
			     phrase, options),
	    0);
}

static void test_every_form_is_read(void **state)
{
	static const char *const options[] = {"-t ed25519", "-t ecdsa -b 521", "-t rsa -b 2048",
	    "-t ecdsa -m PEM", "-t ecdsa -b 384 -m PKCS8", "-t rsa -b 2048 -m PEM"};

	(void)state;
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		struct secret *key;

		keygen(options[i], "");
		key = key_load("k");
		assert_public(key, NULL, "k.pub");
		secret_free(key);
		keygen(options[i], "a phrase");
		key = key_load("k");
		assert_public(key, "a phrase", "k.pub");
		secret_free(key);
	}
}

static void test_ed25519_in_pkcs8(void **state)
{
	struct secret *key;
	char line[SSH_KEY_LINE_SIZE];
	struct error error;

	(void)state;
	if (shell("openssl genpkey -algorithm ed25519 -out %s/e 2>/dev/null", dir) != 0)
		skip();
	key = key_load("e");
	assert_int_equal(ssh_key_public(key, NULL, line, &error), ERR_OK);
	assert_memory_equal(line, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI", 37);
	secret_free(key);
}

/* ── Passphrases ─────────────────────────────────────────────────────────────────────────── */

/* The file "k" says what it is the key of, without its passphrase. */
static void assert_unsealed(const char *phrase)
{
	struct secret *key = key_load("k"), *pass = secret_from(phrase, strlen(phrase));
	struct secret *plain;
	struct error error;

	if (ssh_key_unseal(key, pass, &plain, &error) != ERR_OK)
		fail_msg("%s", error.text);
	assert_public(plain, NULL, "k.pub");
	key_save("plain", plain);
	assert_int_equal(
	    shell("cd %s && ssh-keygen -y -P '' -f plain | cmp -n 60 - k.pub", dir), 0);
	secret_free(plain);
	secret_free(pass);
	secret_free(key);
}

/* With few rounds, for each is slow. */
static void test_passphrase_is_taken_off(void **state)
{
	static const char *const options[] = {"-t ed25519 -a 1", "-t rsa -a 2 -b 2048",
	    "-t ecdsa -b 521 -a 3 -Z aes128-cbc", "-t ecdsa -m PEM", "-t ecdsa -b 384 -m PKCS8",
	    "-t rsa -b 2048 -m PEM"};

	(void)state;
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		keygen(options[i], "a phrase");
		assert_unsealed("a phrase");
	}
}

static void test_passphrase_that_is_not_taken_off(void **state)
{
	struct secret *key, *pass = secret_from("a phrase", 8), *plain;
	struct error error;

	(void)state;
	keygen("-t ed25519 -a 1", "another");
	key = key_load("k");
	assert_int_equal(ssh_key_unseal(key, pass, &plain, &error), ERR_INVALID);
	assert_null(plain);
	assert_non_null(strstr(error.text, "does not open"));
	secret_free(key);
	keygen("-t ecdsa -m PEM", "another");
	key = key_load("k");
	assert_int_equal(ssh_key_unseal(key, pass, &plain, &error), ERR_INVALID);
	secret_free(key);
	keygen("-t ed25519 -a 1 -Z aes256-gcm@openssh.com", "a phrase");
	key = key_load("k");
	assert_int_equal(ssh_key_unseal(key, pass, &plain, &error), ERR_INVALID);
	assert_non_null(strstr(error.text, "aes256-gcm@openssh.com"));
	secret_free(key);
	keygen("-t ed25519", "");
	key = key_load("k");
	assert_int_equal(ssh_key_unseal(key, pass, &plain, &error), ERR_OK);
	assert_true(secret_equal(key, plain));
	secret_free(plain);
	secret_free(key);
	secret_free(pass);
}

/* A key of each length that a key may be cut to: nothing is read past its end. */
static void test_cut_keys_are_refused(void **state)
{
	struct secret *pass = secret_from("a phrase", 8), *key, *plain;
	struct error error;

	(void)state;
	keygen("-t ed25519 -a 1", "a phrase");
	key = key_load("k");
	for (size_t len = 1; len < secret_len(key) - 45; len += 3) {
		struct secret *cut = secret_from(secret_data(key), len);

		assert_int_equal(ssh_key_unseal(cut, pass, &plain, &error), ERR_INVALID);
		secret_free(cut);
	}
	secret_free(key);
	secret_free(pass);
}

static void is_no_key(const char *text)
{
	struct secret *key = secret_from(text, strlen(text));
	char line[SSH_KEY_LINE_SIZE];
	struct error error;

	assert_int_equal(ssh_key_public(key, NULL, line, &error), ERR_INVALID);
	secret_free(key);
}

static void test_what_is_no_key(void **state)
{
	struct secret *key, *wrong;
	char line[SSH_KEY_LINE_SIZE];
	struct error error;

	(void)state;
	is_no_key("");
	is_no_key("-----BEGIN OPENSSH PRIVATE KEY-----");
	is_no_key("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n");
	is_no_key("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmX/////\n");
	is_no_key("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
	keygen("-t ecdsa -m PEM", "a phrase");
	key = key_load("k");
	wrong = secret_from("wrong", 5);
	assert_int_equal(ssh_key_public(key, wrong, line, &error), ERR_INVALID);
	assert_int_equal(ssh_key_public(key, NULL, line, &error), ERR_INVALID);
	secret_free(wrong);
	secret_free(key);
}

/* ── Words ───────────────────────────────────────────────────────────────────────────────── */

static void test_words(void **state)
{
	enum ssh_key_type type;

	(void)state;
	assert_null(ssh_key_words("ed25519", 0, &type));
	assert_int_equal(type, SSH_KEY_ED25519);
	assert_null(ssh_key_words("ecdsa", 0, &type));
	assert_int_equal(type, SSH_KEY_ECDSA_256);
	assert_null(ssh_key_words("ecdsa", 521, &type));
	assert_int_equal(type, SSH_KEY_ECDSA_521);
	assert_non_null(strstr(ssh_key_words("ecdsa", 512, &type), "256, 384 or 521"));
	assert_non_null(strstr(ssh_key_words("ed25519", 512, &type), "256"));
	assert_non_null(strstr(ssh_key_words("rsa", 4096, &type), "SHA-1"));
	assert_non_null(strstr(ssh_key_words("dsa", 0, &type), "ed25519"));
	assert_null(ssh_key_unusable("ssh-ed25519"));
	assert_null(ssh_key_unusable(ssh_key_type_name(SSH_KEY_ECDSA_384)));
	assert_non_null(strstr(ssh_key_unusable("ssh-rsa"), "8.8"));
	assert_non_null(strstr(ssh_key_unusable("sk-ssh-ed25519@openssh.com"), "security token"));
	assert_non_null(strstr(ssh_key_unusable("ssh-dss"), "does not know"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_is_made_signs),
	    cmocka_unit_test(test_each_is_another),
	    cmocka_unit_test(test_nothing_private_is_left_in_ordinary_memory),
	    cmocka_unit_test(test_every_form_is_read),
	    cmocka_unit_test(test_ed25519_in_pkcs8),
	    cmocka_unit_test(test_passphrase_is_taken_off),
	    cmocka_unit_test(test_passphrase_that_is_not_taken_off),
	    cmocka_unit_test(test_cut_keys_are_refused),
	    cmocka_unit_test(test_what_is_no_key),
	    cmocka_unit_test(test_words),
	};
	bool locked;
	struct error error;
	int failed;

	if (secret_heap_init(1 << 20, &locked, &error) != ERR_OK)
		return 1;
	snprintf(dir, sizeof(dir), "/tmp/ssh-key-test.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	if (shell("rm -rf %s", dir) != 0)
		return 1;
	return failed;
}
