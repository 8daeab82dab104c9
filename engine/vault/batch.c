#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "vault/batch.h"
#include "vault/vault_state.h"

/* A single rotation shall not wait for long where the disk stood still once. */
#define REST_MAX_MS 20

struct job {
	STAILQ_ENTRY(job) entry;
	vault_apply_fn apply;
	vault_done_fn done;
	void *arg;
	bool dropped; /* it failed after it had written: its batch was begun again without it */
	enum err result;
	struct error error;
};

/* How a round of a batch ended. */
enum round {
	ROUND_READY, /* every job ran or was dropped: commit */
	ROUND_AGAIN, /* one was dropped: begin again without it */
	ROUND_GROW,  /* the map is full: grow it, begin again */
	ROUND_FAILED /* the store cannot go on: none is kept */
};

/* ── One job ─────────────────────────────────────────────────────────────────────────────── */

static void job_fail(struct job *job, const struct error *error)
{
	job->result = error->code;
	job->error = *error;
}

/* What went wrong below a job's rules, though its function may not have looked. */
static enum round job_trouble(struct job *job, const struct vault_txn *txn, struct error *error)
{
	if (txn->trouble.code == ERR_FULL || txn->trouble.code == ERR_IO) {
		*error = txn->trouble;
		return ROUND_FAILED;
	}
	job_fail(job, &txn->trouble);
	job->dropped = true;
	return ROUND_AGAIN;
}

static enum round job_run(struct job *job, struct vault_txn *txn, struct error *error)
{
	uint64_t changes_before = txn->changes;

	job->error = (struct error){.code = ERR_OK};
	job->result = job->apply(txn, job->arg, &job->error);
	if (txn->map_full)
		return ROUND_GROW;
	if (txn->trouble.code != ERR_OK)
		return job_trouble(job, txn, error);
	if (job->result == ERR_OK)
		return ROUND_READY;
	if (job->error.code != job->result)
		error_set(&job->error, job->result, "the vault could not do it: %s",
		    err_name(job->result));
	if (txn->changes == changes_before)
		return ROUND_READY;
	job->dropped = true;
	return ROUND_AGAIN;
}

/* ── One commit ──────────────────────────────────────────────────────────────────────────── */

static enum round jobs_run(struct jobs *jobs, struct vault_txn *txn, struct error *error)
{
	struct job *job;

	STAILQ_FOREACH (job, jobs, entry) {
		enum round round = job->dropped ? ROUND_READY : job_run(job, txn, error);

		if (round != ROUND_READY)
			return round;
	}
	return ROUND_READY;
}

/*
 * The loop stands still while a commit goes to disk, and the wires run out of work. So where
 * several jobs come at once, it works for as long as that took before the next one, which then
 * serves more.
 */
static void batch_rest(struct batch *batch, uint64_t begun_ms, uint64_t ended_ms)
{
	uint64_t took_ms = ended_ms - begun_ms;

	if (batch->served > 1)
		batch->rest_until_ms = ended_ms + (took_ms < REST_MAX_MS ? took_ms : REST_MAX_MS);
}

static uint64_t batch_rest_ms(const struct vault *vault)
{
	uint64_t now_ms = clock_mono_ms(vault->clock);
	uint64_t until_ms = vault->batch.rest_until_ms;

	return until_ms > now_ms ? until_ms - now_ms : 0;
}

static enum err batch_commit(struct vault *vault, struct vault_txn *txn, struct error *error)
{
	struct batch *batch = &vault->batch;
	uint64_t begun_ms;
	enum err err = ERR_OK;

	if (txn->changes == 0) {
		store_abort(txn);
		return ERR_OK;
	}
	begun_ms = clock_mono_ms(vault->clock);
	if (batch->gate != NULL)
		err = batch->gate(batch->gate_arg);
	if (err == ERR_OK) {
		err = store_commit(txn, error);
		batch->commits += err == ERR_OK;
		batch_rest(batch, begun_ms, clock_mono_ms(vault->clock));
		return err;
	}
	store_abort(txn);
	return error_set(error, err == ERR_FULL ? ERR_FULL : ERR_IO,
	    "vault %s: the commit failed: %s", vault->dir, err_name(err));
}

/* ERR_AGAIN: another round, perhaps after growing. */
static enum err batch_round(struct vault *vault, struct jobs *jobs, bool *grow, struct error *error)
{
	struct vault_txn txn;
	enum round round;
	enum err err = store_begin(vault->store, true, &txn, error);

	*grow = false;
	if (err != ERR_OK)
		return err;
	txn.vault = vault;
	trail_begin(vault);
	round = jobs_run(jobs, &txn, error);
	if (round == ROUND_READY) {
		err = batch_commit(vault, &txn, error);
		*grow = err == ERR_AGAIN;
		return err;
	}
	store_abort(&txn);
	*grow = round == ROUND_GROW;
	return round == ROUND_FAILED ? error->code : ERR_AGAIN;
}

/* Each round drops a job or doubles the map, so that the rounds end. */
static enum err batch_write(struct vault *vault, struct jobs *jobs, struct error *error)
{
	bool grow;
	enum err err;

	do {
		err = batch_round(vault, jobs, &grow, error);
		if (grow) {
			err = store_grow(vault->store, error);
			err = err == ERR_OK ? ERR_AGAIN : err;
		}
	} while (err == ERR_AGAIN);
	return err;
}

/* A full disk passes; after anything else nobody knows what is on disk, and only a restart can
 * look. */
static void batch_failed(struct batch *batch, enum err err, const struct error *error)
{
	if (err == ERR_FULL) {
		log_event(LOG_LEVEL_WARN, "vault_full", "text", error->text, NULL);
		return;
	}
	log_event(LOG_LEVEL_ERROR, "vault_failed", "text", error->text, NULL);
	batch->failure = *error;
	batch->failure.code = ERR_IO;
}

static void jobs_fail(struct jobs *jobs, const struct error *error)
{
	struct job *job;

	STAILQ_FOREACH (job, jobs, entry)
		job_fail(job, error);
}

static void jobs_write(struct vault *vault, struct jobs *jobs)
{
	struct batch *batch = &vault->batch;
	struct error error = {.code = ERR_OK};
	enum err err;

	if (batch->failure.code != ERR_OK) {
		jobs_fail(jobs, &batch->failure);
		return;
	}
	batch->running = true;
	err = batch_write(vault, jobs, &error);
	batch->running = false;
	if (err == ERR_OK) {
		trail_committed(vault);
		return;
	}
	batch_failed(batch, err, &error);
	jobs_fail(jobs, err == ERR_FULL ? &error : &batch->failure);
}

/* What `done` submits waits for the next turn. */
static void jobs_tell(struct jobs *jobs)
{
	struct job *job;

	while ((job = STAILQ_FIRST(jobs)) != NULL) {
		STAILQ_REMOVE_HEAD(jobs, entry);
		job->done(job->arg, job->result, &job->error);
		free(job);
	}
}

static void batch_flush(struct vault *vault)
{
	struct jobs jobs = STAILQ_HEAD_INITIALIZER(jobs);

	timer_stop(&vault->batch.timer);
	STAILQ_CONCAT(&jobs, &vault->batch.queue);
	vault->batch.served = vault->batch.waiting;
	vault->batch.waiting = 0;
	jobs_write(vault, &jobs);
	jobs_tell(&jobs);
}

/* ── The door ────────────────────────────────────────────────────────────────────────────── */

static void batch_turn(void *arg)
{
	batch_flush(arg);
}

void batch_init(struct vault *vault, const struct vault_config *config)
{
	struct batch *batch = &vault->batch;

	STAILQ_INIT(&batch->queue);
	batch->timer.fn = batch_turn;
	batch->timer.arg = vault;
	batch->gate = config->commit_gate;
	batch->gate_arg = config->gate_arg;
}

void batch_clear(struct vault *vault)
{
	struct batch *batch = &vault->batch;
	struct job *job;

	timer_stop(&batch->timer);
	while ((job = STAILQ_FIRST(&batch->queue)) != NULL) {
		STAILQ_REMOVE_HEAD(&batch->queue, entry);
		free(job);
	}
}

static void batch_add(struct batch *batch, vault_apply_fn apply, vault_done_fn done, void *arg)
{
	struct job *job = xcalloc(1, sizeof(*job));

	job->apply = apply;
	job->done = done;
	job->arg = arg;
	STAILQ_INSERT_TAIL(&batch->queue, job, entry);
	batch->waiting++;
}

void vault_submit(struct vault *vault, vault_apply_fn apply, vault_done_fn done, void *arg)
{
	struct batch *batch = &vault->batch;

	if (STAILQ_EMPTY(&batch->queue))
		timer_start(vault->clock, &batch->timer, batch_rest_ms(vault));
	batch_add(batch, apply, done, arg);
}

/* A call of vault_write, which is one more job. */
struct write_call {
	vault_apply_fn apply;
	void *arg;
	enum err result;
	struct error *error;
};

static enum err write_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct write_call *call = arg;

	return call->apply(txn, call->arg, error);
}

static void write_done(void *arg, enum err result, const struct error *error)
{
	struct write_call *call = arg;

	call->result = result;
	if (call->error != NULL && result != ERR_OK)
		*call->error = *error;
}

enum err vault_write(struct vault *vault, vault_apply_fn apply, void *arg, struct error *error)
{
	struct write_call call = {.apply = apply, .arg = arg, .error = error};

	if (vault->reads_alone)
		return error_set(error, ERR_REFUSED, "the vault is open for reading alone");
	if (vault->batch.running || vault->readers > 0)
		return error_set(
		    error, ERR_REFUSED, "a write inside of another transaction of the vault");
	batch_add(&vault->batch, write_apply, write_done, &call);
	batch_flush(vault);
	return call.result;
}

/* ── Reading ─────────────────────────────────────────────────────────────────────────────── */

struct vault_txn *vault_read(struct vault *vault)
{
	struct vault_txn *txn;
	struct error error;

	if (vault->batch.failure.code != ERR_OK)
		return NULL;
	txn = xcalloc(1, sizeof(*txn));
	if (store_begin(vault->store, false, txn, &error) != ERR_OK) {
		batch_failed(&vault->batch, ERR_IO, &error);
		free(txn);
		return NULL;
	}
	txn->vault = vault;
	vault->readers++;
	return txn;
}

void vault_read_end(struct vault_txn *txn)
{
	if (txn == NULL)
		return;
	txn->vault->readers--;
	store_abort(txn);
	free(txn);
}
