/*
 * Fills a vault with a long history, for tests and for tests/bench/lists: executions and their
 * records, spread evenly over some days until now; one record in a hundred failed.
 *
 *	history DIR EXECUTIONS RECORDS ACCOUNTS DAYS
 *
 * DIR is a policy's, with vault/ and master.key. RECORDS are those of all executions.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/secret.h"
#include "vault.h"

#define DAY_MS	  UINT64_C(86400000)
#define FAILS_ONE 100

/* In one commit: fewer would write the same pages of the indices again and again. */
#define EXECUTIONS_MAX 200

struct history {
	uint64_t executions, records, accounts, days, now_ms;
	uint64_t at; /* the first execution that is put next */
};

static void account_name(const struct history *history, uint64_t number, struct record *record)
{
	uint64_t account = number % history->accounts;

	snprintf(
	    record->asset, sizeof(record->asset), "host%llu", (unsigned long long)(account / 2));
	snprintf(record->account, sizeof(record->account), account % 2 == 0 ? "app" : "deploy");
}

static struct record record_of(
    const struct history *history, const struct execution *execution, uint64_t number)
{
	bool failed = number % FAILS_ONE == 0;
	struct record record = {
	    .id = id_make(execution->started_ms),
	    .execution = execution->id,
	    .task = "weekly",
	    .status = failed ? STATUS_FAILED : STATUS_SUCCESS,
	    .planned_ms = execution->started_ms,
	    .ended_ms = execution->started_ms + 1000,
	    .attempts = 1,
	};

	account_name(history, number, &record);
	if (failed) {
		snprintf(record.error_class, sizeof(record.error_class), "retry");
		snprintf(record.error_code, sizeof(record.error_code), "connect");
		snprintf(record.error_message, sizeof(record.error_message),
		    "192.0.2.7 port 22: Connection refused");
	}
	return record;
}

static enum err put_one(struct vault_txn *txn, const struct history *history, uint64_t number)
{
	uint64_t each = history->records / history->executions;
	uint64_t span_ms = history->days * DAY_MS / history->executions;
	struct execution execution = {
	    .task = "weekly",
	    .trigger = "manual",
	    .started_ms = history->now_ms - (history->executions - number) * span_ms,
	};
	enum err err;

	execution.id = id_make(execution.started_ms);
	err = execution_put(txn, &execution);
	for (uint64_t i = 0; err == ERR_OK && i < each; i++) {
		struct record record = record_of(history, &execution, number * each + i);

		err = record_put(txn, &record);
	}
	execution.ended_ms = execution.started_ms + 1000;
	return err == ERR_OK ? execution_put(txn, &execution) : err;
}

static uint64_t put_end(const struct history *history)
{
	uint64_t left = history->executions - history->at;

	return history->at + (left < EXECUTIONS_MAX ? left : EXECUTIONS_MAX);
}

/* May be called twice for the same, where the map grows. */
static enum err put_some(struct vault_txn *txn, void *arg, struct error *error)
{
	const struct history *history = arg;
	enum err err = ERR_OK;

	(void)error;
	for (uint64_t n = history->at; err == ERR_OK && n < put_end(history); n++)
		err = put_one(txn, history, n);
	return err;
}

static enum err tell_all(struct vault_txn *txn, void *arg, struct error *error)
{
	const struct history *history = arg;
	struct secret *secret = secret_from("First-Pass.1", 12);
	enum err err = ERR_OK;

	for (uint64_t i = 0; err == ERR_OK && i < history->accounts; i++) {
		struct record record;

		account_name(history, i, &record);
		err = account_tell(
		    txn, record.asset, record.account, SECRET_PASSWORD, secret, NULL, NULL, error);
	}
	secret_free(secret);
	return err;
}

static enum err fill(struct history *history, const char *dir, struct error *error)
{
	char vault_dir[512], key_path[512];
	struct loop *loop = loop_new();
	struct vault_config config = {
	    .dir = vault_dir,
	    .key_path = key_path,
	    .purpose = "history",
	    .clock = loop_clock(loop),
	    .no_sync = true,
	};
	struct vault *vault = NULL;
	bool locked;
	enum err err;

	snprintf(vault_dir, sizeof(vault_dir), "%s/vault", dir);
	snprintf(key_path, sizeof(key_path), "%s/master.key", dir);
	history->now_ms = clock_wall_ms(config.clock);
	err = secret_heap_init(1024 * 1024, &locked, error);
	if (err == ERR_OK)
		err = vault_open(&vault, &config, error);
	if (err == ERR_OK)
		err = vault_write(vault, tell_all, history, error);
	for (history->at = 0; err == ERR_OK && history->at < history->executions;
	     history->at = put_end(history))
		err = vault_write(vault, put_some, history, error);
	vault_close(vault);
	loop_free(loop);
	return err;
}

static bool count_read(const char *text, uint64_t *out)
{
	char *end;

	*out = strtoull(text, &end, 10);
	return *end == '\0' && *out > 0;
}

int main(int argc, char **argv)
{
	struct history history;
	struct error error = {.text = "it cannot be filled"};

	if (argc != 6 || !count_read(argv[2], &history.executions) ||
	    !count_read(argv[3], &history.records) || !count_read(argv[4], &history.accounts) ||
	    !count_read(argv[5], &history.days)) {
		fprintf(stderr, "usage: history DIR EXECUTIONS RECORDS ACCOUNTS DAYS\n");
		return 2;
	}
	if (fill(&history, argv[1], &error) == ERR_OK)
		return 0;
	fprintf(stderr, "history: %s\n", error.text);
	return 1;
}
