/*
 * An engine that is killed at any moment: what it was told is kept is there for the next one, and
 * what it was not told is there wholly or not at all.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "vault_help.h"

#define ASSET	 "web01.example.com"
#define ACCOUNTS 4000

/* ── The engine that is killed ───────────────────────────────────────────────────────────── */

struct step {
	uint32_t index;
	struct execution *execution;
	int told_fd;
};

static const struct id *record_id(uint32_t index)
{
	static struct id id;

	id = (struct id){{1}};
	memcpy(id.bytes + 8, &index, sizeof(index));
	return &id;
}

static void name_of(char *name, size_t size, uint32_t index)
{
	snprintf(name, size, "account-%u", (unsigned)index);
}

/* A rotation's step in small: a secret is staged, and its record says so. */
static enum err step_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct step *step = arg;
	struct record record = {.id = *record_id(step->index),
	    .execution = step->execution->id,
	    .status = STATUS_STAGED};
	char name[32];
	struct secret *secret;
	enum err err;

	name_of(name, sizeof(name), step->index);
	secret = secret_of(name);
	err = account_stage(txn, ASSET, name, SECRET_PASSWORD, secret, &record.id, NULL, error);
	secret_free(secret);
	return err == ERR_OK ? record_put(txn, &record) : err;
}

static void step_done(void *arg, enum err result, const struct error *error)
{
	struct step *step = arg;

	(void)error;
	if (result != ERR_OK ||
	    write(step->told_fd, &step->index, sizeof(step->index)) != sizeof(step->index))
		_exit(1);
}

struct trap {
	unsigned at_commit; /* the commit before which it is killed; 0 = at none */
	unsigned commits;
};

static enum err trap_gate(void *arg)
{
	struct trap *trap = arg;

	if (++trap->commits == trap->at_commit)
		raise(SIGKILL);
	return ERR_OK;
}

static void engine_run(struct place *place, struct execution *execution, int told_fd)
{
	static struct step steps[ACCOUNTS];
	struct vault *vault;

	if (vault_open(&vault, &place->config, &place->error) != ERR_OK)
		_exit(1);
	for (uint32_t i = 0; i < ACCOUNTS; i++) {
		steps[i] = (struct step){i, execution, told_fd};
		vault_submit(vault, step_apply, step_done, &steps[i]);
		if (i % 7 == 6)
			place_turn(place);
	}
	/* Done before it was killed, on a fast disk. */
	for (;;)
		pause();
}

/* ── The one after it ────────────────────────────────────────────────────────────────────── */

struct seen {
	bool told[ACCOUNTS];
	size_t told_count, kept;
	struct vault *vault;
};

static bool account_is_whole(void *arg, const struct account *account)
{
	struct seen *seen = arg;
	uint32_t index = (uint32_t)strtoul(account->name + strlen("account-"), NULL, 10);
	struct vault_txn *txn = vault_read(seen->vault);
	struct record record;

	assert_int_equal(account->pending, 1);
	assert_true(version_is(seen->vault, ASSET, account->name, 1, account->name));
	assert_int_equal(record_get(txn, record_id(index), &record), ERR_OK);
	assert_true(id_equal(&record.id, &account->pending_record));
	vault_read_end(txn);
	seen->kept++;
	seen->told[index] = false;
	return true;
}

static void told_read(struct seen *seen, int fd)
{
	uint32_t index;

	while (read(fd, &index, sizeof(index)) == sizeof(index)) {
		assert_true(index < ACCOUNTS);
		seen->told[index] = true;
		seen->told_count++;
	}
}

static void vault_check(struct place *place, struct seen *seen)
{
	struct totals totals;
	struct vault_txn *txn;

	place->config.commit_gate = NULL;
	seen->vault = must_open(place);
	txn = vault_read(seen->vault);
	account_each_in_doubt(txn, account_is_whole, seen);
	vault_totals(txn, &totals);
	assert_int_equal(vault_recount(txn, NULL), ERR_OK);
	vault_read_end(txn);
	assert_int_equal(totals.records.by_status[STATUS_STAGED], seen->kept);
	for (size_t i = 0; i < ACCOUNTS; i++)
		assert_false(seen->told[i]); /* told and lost */
	/* And it works on. */
	assert_int_equal(tell(place, seen->vault, ASSET, "later", "x"), ERR_OK);
	vault_close(seen->vault);
}

/* Kills the engine before a commit, or after so many microseconds; true when something had been
 * kept. */
static bool crash(struct place *place, unsigned at_commit, unsigned after_us)
{
	static struct seen seen;
	struct execution execution = {.id = {{9}}, .task = "weekly"};
	struct trap trap = {.at_commit = at_commit};
	struct vault *vault = must_create(place);
	int pipe_fds[2], status;
	pid_t pid;

	seen = (struct seen){.kept = 0};
	assert_int_equal(put_execution(vault, &execution), ERR_OK);
	vault_close(vault);
	assert_int_equal(pipe(pipe_fds), 0);
	place->config.commit_gate = trap_gate;
	place->config.gate_arg = &trap;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(pipe_fds[0]);
		engine_run(place, &execution, pipe_fds[1]);
	}
	close(pipe_fds[1]);
	if (at_commit == 0) {
		nanosleep(&(struct timespec){.tv_nsec = (long)after_us * 1000}, NULL);
		kill(pid, SIGKILL);
	}
	told_read(&seen, pipe_fds[0]);
	close(pipe_fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	vault_check(place, &seen);
	assert_true(seen.kept >= seen.told_count);
	return seen.kept > 0;
}

static void test_killed_before_a_commit(void **state)
{
	static const unsigned commits[] = {1, 2, 5, 40};
	struct place *place = *state;

	for (size_t i = 0; i < sizeof(commits) / sizeof(commits[0]); i++) {
		assert_int_equal(crash(place, commits[i], 0), commits[i] > 1);
		place_teardown(place);
		place_setup(place);
	}
}

static void test_killed_at_any_moment(void **state)
{
	struct place *place = *state;
	size_t kept = 0;

	/* On a slow machine later ones too, until something was kept. */
	for (unsigned i = 0; i < 15 || (kept == 0 && i < 22); i++) {
		kept += crash(place, 0, i < 15 ? 500 + i * 1700 : 5000U << (i - 14));
		place_teardown(place);
		place_setup(place);
	}
	assert_true(kept > 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, place_begin, place_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_killed_before_a_commit),
	    TEST(test_killed_at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
