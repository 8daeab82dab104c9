#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "vault/place.h"
#include "vault_help.h"

#define ASSET "web01.example.com"

/* ── Making ──────────────────────────────────────────────────────────────────────────────── */

static void test_create(void **state)
{
	struct place *place = *state;
	struct stat st;
	uid_t uid;
	gid_t gid;

	assert_int_equal(vault_owner(place->dir, &uid, &gid, &place->error), ERR_NOT_FOUND);
	assert_int_equal(vault_create(&place->config, &place->error), ERR_OK);
	assert_int_equal(stat(place->dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(vault_owner(place->dir, &uid, &gid, &place->error), ERR_OK);
	assert_int_equal(uid, geteuid());
	assert_int_equal(gid, st.st_gid);
	assert_int_equal(stat(place->key_path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0400);
	assert_int_equal(st.st_size, 65);
	vault_close(must_open(place));
}

static size_t entries(const char *dir)
{
	char command[400];
	FILE *pipe;
	size_t count = 0;

	snprintf(command, sizeof(command), "ls -A '%s'", dir);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	for (int c = fgetc(pipe); c != EOF; c = fgetc(pipe))
		count += c == '\n';
	pclose(pipe);
	return count;
}

static void test_create_twice(void **state)
{
	struct place *place = *state;

	must_make(place);
	assert_int_equal(vault_create(&place->config, &place->error), ERR_EXISTS);
	assert_non_null(strstr(place->error.text, place->dir));
	vault_close(must_open(place));
	assert_int_equal(entries(place->root), 2);
}

static void test_create_with_a_key_left(void **state)
{
	struct place *place = *state;

	must_make(place);
	snprintf(place->dir, sizeof(place->dir), "%s/other/", place->root);
	assert_int_equal(vault_create(&place->config, &place->error), ERR_EXISTS);
	assert_non_null(strstr(place->error.text, "move it away"));
	assert_int_equal(unlink(place->key_path), 0);
	assert_int_equal(vault_create(&place->config, &place->error), ERR_OK);
	vault_close(must_open(place));
}

/* Whatever part fails, nothing stays behind and the second try is as the first. */
static void test_create_leaves_nothing_half_made(void **state)
{
	struct place *place = *state;
	struct rlimit usual;
	char key_path[300];
	enum err err;

	snprintf(key_path, sizeof(key_path), "%s/absent/master.key", place->root);
	place->config.key_path = key_path;
	assert_int_equal(vault_create(&place->config, &place->error), ERR_NOT_FOUND);
	assert_int_equal(entries(place->root), 0);
	place->config.key_path = place->key_path;
	place->config.dir = "/nonexistent/vault";
	assert_int_equal(vault_create(&place->config, &place->error), ERR_NOT_FOUND);
	assert_int_equal(entries(place->root), 0);
	place->config.dir = place->dir;

	/* The key is written, and the file is not: it would be too long. */
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &usual), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){8192, usual.rlim_max}), 0);
	err = vault_create(&place->config, &place->error);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &usual), 0);
	assert_int_equal(err, ERR_IO);
	assert_int_equal(entries(place->root), 0);
	must_make(place);
}

/* ── Who may open it ─────────────────────────────────────────────────────────────────────── */

static void test_no_vault(void **state)
{
	struct place *place = *state;

	assert_open_fails(place, ERR_NOT_FOUND, "lockstep init");
	assert_int_equal(mkdir(place->dir, 0700), 0);
	assert_open_fails(place, ERR_NOT_FOUND, "data.mdb");
	/* Opening makes nothing: neither an environment nor a key. */
	assert_int_equal(access(vault_file(place, "data.mdb"), F_OK), -1);
}

static void test_modes(void **state)
{
	struct place *place = *state;

	must_make(place);
	assert_int_equal(chmod(place->dir, 0750), 0);
	assert_open_fails(place, ERR_DENIED, "chmod 700 ");
	assert_int_equal(chmod(place->dir, 0701), 0);
	assert_open_fails(place, ERR_DENIED, "chmod 700 ");
	assert_int_equal(chmod(place->dir, 0700), 0);
	assert_int_equal(chmod(place->key_path, 0440), 0);
	assert_open_fails(place, ERR_DENIED, "chmod 400 ");
	assert_int_equal(chmod(place->key_path, 0404), 0);
	assert_open_fails(place, ERR_DENIED, "chmod 400 ");
	assert_int_equal(chmod(place->key_path, 0600), 0);
	vault_close(must_open(place));
}

static void test_key_is_no_regular_file(void **state)
{
	struct place *place = *state;
	char real[320];

	must_make(place);
	snprintf(real, sizeof(real), "%s/real.key", place->root);
	assert_int_equal(rename(place->key_path, real), 0);
	assert_open_fails(place, ERR_NOT_FOUND, "no master key");
	assert_int_equal(symlink(real, place->key_path), 0);
	assert_open_fails(place, ERR_DENIED, "symbolic link");
	assert_int_equal(unlink(place->key_path), 0);
	assert_int_equal(mkfifo(place->key_path, 0400), 0);
	assert_open_fails(place, ERR_DENIED, "not a regular file");
	assert_int_equal(unlink(place->key_path), 0);
	assert_int_equal(mkdir(place->key_path, 0700), 0);
	assert_open_fails(place, ERR_DENIED, "not a regular file");
}

static void test_other_owner(void **state)
{
	struct place *place = *state;

	if (geteuid() != 0) {
		print_message("skipped: only root can give a directory away\n");
		skip();
	}
	must_make(place);
	assert_int_equal(chown(place->dir, 4711, 4711), 0);
	assert_open_fails(place, ERR_DENIED, "4711");
	assert_int_equal(chown(place->dir, 0, 0), 0);
	assert_int_equal(chown(place->key_path, 4711, 4711), 0);
	assert_open_fails(place, ERR_DENIED, "4711");
}

/* Runs `fn` as a user without rights; true when it returned true. */
static bool as_nobody(struct place *place, bool (*fn)(struct place *))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(setgid(65534) == 0 && setuid(65534) == 0 && fn(place) ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool open_is_denied(struct place *place)
{
	struct vault *vault;

	return vault_open(&vault, &place->config, &place->error) == ERR_DENIED &&
	       strstr(place->error.text, "vault") != NULL;
}

static void test_read_only_directory(void **state)
{
	struct place *place = *state;

	if (geteuid() != 0) {
		must_make(place);
		assert_int_equal(unlink(vault_file(place, "lock")), 0);
		assert_int_equal(chmod(place->dir, 0500), 0);
		assert_open_fails(place, ERR_DENIED, "lock");
		assert_int_equal(chmod(place->dir, 0700), 0);
		return;
	}
	/* Root writes everywhere: the same as somebody else. */
	must_make(place);
	assert_int_equal(unlink(vault_file(place, "lock")), 0);
	assert_int_equal(chmod(place->dir, 0500), 0);
	assert_int_equal(chown(place->dir, 65534, 65534), 0);
	assert_int_equal(chmod(place->root, 0711), 0);
	assert_true(as_nobody(place, open_is_denied));
}

static void test_remote_file_systems(void **state)
{
	(void)state;
	assert_true(place_is_remote(0x6969));			      /* NFS */
	assert_true(place_is_remote(0xff534d42));		      /* CIFS */
	assert_true(place_is_remote(0x65735546));		      /* FUSE */
	assert_true(place_is_remote(0x01021997));		      /* 9p */
	assert_true(place_is_remote((unsigned long)(int)0xfe534d42)); /* SMB2, sign extended */
	assert_false(place_is_remote(0xef53));			      /* ext4 */
	assert_false(place_is_remote(0x58465342));		      /* XFS */
	assert_false(place_is_remote(0x01021994));		      /* tmpfs */
	assert_false(place_is_remote(0x9123683e));		      /* btrfs */
}

/* ── The keys ────────────────────────────────────────────────────────────────────────────── */

static void key_write(struct place *place, const char *text)
{
	FILE *file;

	(void)unlink(place->key_path);
	file = fopen(place->key_path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(place->key_path, 0400), 0);
}

static void test_wrong_and_bad_keys(void **state)
{
	static const char other[] = "00112233445566778899aabbccddeeff"
				    "00112233445566778899aabbccddeeff";
	struct place *place = *state;
	char text[128];

	must_make(place);
	key_write(place, other);
	assert_open_fails(place, ERR_CORRUPT, "does not open vault");
	assert_non_null(strstr(place->error.text, place->key_path));
	key_write(place, "");
	assert_open_fails(place, ERR_INVALID, "does not hold a key");
	snprintf(text, sizeof(text), "%.63sx\n", other);
	key_write(place, text);
	assert_open_fails(place, ERR_INVALID, "does not hold a key");
	snprintf(text, sizeof(text), "%.62s\n", other);
	key_write(place, text);
	assert_open_fails(place, ERR_INVALID, "does not hold a key");
	snprintf(text, sizeof(text), "%s\n\n", other);
	key_write(place, text);
	assert_open_fails(place, ERR_INVALID, "does not hold a key");
	/* No text tells the key. */
	assert_null(strstr(place->error.text, "00112233"));
}

static void test_key_without_newline(void **state)
{
	struct place *place = *state;
	char text[80];
	FILE *file;

	must_make(place);
	file = fopen(place->key_path, "r");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof(text), file));
	fclose(file);
	text[64] = '\0';
	key_write(place, text);
	vault_close(must_open(place));
}

/* ── The lock ────────────────────────────────────────────────────────────────────────────── */

static void test_second_opener_in_this_process(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	char pid[32];

	assert_open_fails(place, ERR_BUSY, "run weekly");
	snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
	assert_non_null(strstr(place->error.text, pid));
	assert_non_null(strstr(place->error.text, "2023-11-14T22:13:20"));
	assert_int_equal(tell(place, vault, ASSET, "app", "x"), ERR_OK);
	vault_close(vault);
	vault_close(must_open(place));
}

static bool open_is_busy(struct place *place)
{
	struct vault *vault;
	char pid[32];

	snprintf(pid, sizeof(pid), "process %ld", (long)getppid());
	return vault_open(&vault, &place->config, &place->error) == ERR_BUSY &&
	       strstr(place->error.text, pid) != NULL;
}

static bool in_a_child(struct place *place, bool (*fn)(struct place *))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fn(place) ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void test_second_opener_in_another_process(void **state)
{
	static struct vault *vault; /* on the child's stack it would count as forgotten */
	struct place *place = *state;

	vault = must_create(place);
	assert_true(in_a_child(place, open_is_busy));
	assert_int_equal(tell(place, vault, ASSET, "app", "x"), ERR_OK);
	vault_close(vault);
}

static void test_lock_fd_is_closed_on_exec_and_outlives_its_vault(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	int wire = dup(vault_lock_fd(vault));

	assert_int_equal(fcntl(vault_lock_fd(vault), F_GETFD), FD_CLOEXEC);
	vault_close(vault);
	/* A wire lives still. */
	assert_open_fails(place, ERR_BUSY, "in use");
	close(wire);
	vault_close(must_open(place));
}

/* What a wire inherits, it is given on purpose. */
static void test_every_descriptor_is_closed_on_exec(void **state)
{
	struct place *place = *state;
	struct vault *vault = must_create(place);
	char link[64], target[512];
	size_t seen = 0;

	for (int fd = 3; fd < 64; fd++) {
		ssize_t len;

		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		len = readlink(link, target, sizeof(target) - 1);
		if (len < 0)
			continue;
		target[len] = '\0';
		if (strncmp(target, place->root, strlen(place->root)) != 0)
			continue;
		seen++;
		assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	}
	assert_true(seen >= 3);
	vault_close(vault);
}

static void test_holder_that_ended_while_its_wire_lives(void **state)
{
	struct place *place = *state;
	int fd;
	pid_t pid;

	must_make(place);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	fd = open(vault_file(place, "lock"), O_RDWR | O_TRUNC | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	dprintf(fd, "%ld 1700000000000 run \033[31mred\n", (long)pid);
	assert_open_fails(place, ERR_BUSY, "has ended");
	assert_null(strchr(place->error.text, '\033'));
	/* And with nothing legible in the file. */
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_open_fails(place, ERR_BUSY, "another lockstep");
	close(fd);
	vault_close(must_open(place));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, place_begin, place_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_create),
	    TEST(test_create_twice),
	    TEST(test_create_with_a_key_left),
	    TEST(test_create_leaves_nothing_half_made),
	    TEST(test_no_vault),
	    TEST(test_modes),
	    TEST(test_key_is_no_regular_file),
	    TEST(test_other_owner),
	    TEST(test_read_only_directory),
	    TEST(test_remote_file_systems),
	    TEST(test_wrong_and_bad_keys),
	    TEST(test_key_without_newline),
	    TEST(test_second_opener_in_this_process),
	    TEST(test_second_opener_in_another_process),
	    TEST(test_lock_fd_is_closed_on_exec_and_outlives_its_vault),
	    TEST(test_every_descriptor_is_closed_on_exec),
	    TEST(test_holder_that_ended_while_its_wire_lives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
