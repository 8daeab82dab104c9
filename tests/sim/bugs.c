/*
 * Rules of rotation broken on purpose, by standing between its parts (the linker's --wrap): what
 * the checks are worth is shown by what they catch.
 */
#include "sim.h"

#include <string.h>

#include "rotation/engine.h"

enum sim_bug sim_bug = BUG_NONE;

static const struct life *unwaited; /* its doubt is tried without waiting */

const char *sim_bug_name(enum sim_bug bug)
{
	static const char *const names[BUG_COUNT] = {
	    [BUG_NONE] = "none",
	    [BUG_SKIP_COMMIT] = "skip the commit",
	    [BUG_PROMOTE_UNSEEN] = "promote unseen",
	    [BUG_DROP_PENDING] = "drop pending",
	    [BUG_FRESH_BESIDE] = "a fresh secret beside one in doubt",
	    [BUG_NO_DEADLINE] = "settle before the deadline",
	    [BUG_FREE_PROBES] = "attempts are not counted",
	    [BUG_PUT_BACK_MUTE] = "put back before that is durable",
	    [BUG_PUT_BACK_BLIND] = "put back, no end seen, and believed",
	    [BUG_PUT_BACK_HASTY] = "put back, no end seen, not waited out",
	    [BUG_NO_LIFELINE] = "change without a lifeline",
	    [BUG_NOT_LAST] = "privileged accounts not last",
	    [BUG_PERSIST_UNSEEN] = "old keys removed before the proof",
	    [BUG_NOT_PINNED] = "host keys are not pinned",
	    [BUG_NO_LOCK] = "wires without the vault's lock",
	    [BUG_NOT_WAITED] = "a dead wire is not waited for",
	    [BUG_EARLY_ENDS] = "an early answer taken for an end",
	    [BUG_ENTER_IN_DOUBT] = "work while the way in is in doubt",
	};

	return names[bug];
}

/* The last of them are about the accounts that assets are entered with. */
const char *sim_bug_task(enum sim_bug bug)
{
	if (bug == BUG_PERSIST_UNSEEN)
		return "keys";
	return bug >= BUG_PUT_BACK_MUTE && bug <= BUG_ENTER_IN_DOUBT ? "entries" : NULL;
}

/* Seen before believed: here every try is a match. */
void __real_attempt_try(
    struct life *, uint32_t, void (*next)(struct life *, const struct wire_result *));
void __wrap_attempt_try(
    struct life *, uint32_t, void (*next)(struct life *, const struct wire_result *));

void __wrap_attempt_try(
    struct life *life, uint32_t version, void (*next)(struct life *, const struct wire_result *))
{
	struct wire_result match = {.verdict = VERDICT_MATCH};

	if (sim_bug == BUG_PROMOTE_UNSEEN)
		next(life, &match);
	else
		__real_attempt_try(life, version, next);
}

/* After doubt, the same again: here the doubt is given up at once, and what follows is fresh. */
void __real_settle_begin(struct life *);
void __wrap_settle_begin(struct life *);

void __wrap_settle_begin(struct life *life)
{
	if (sim_bug != BUG_FRESH_BESIDE) {
		__real_settle_begin(life);
		return;
	}
	life->doubt_tried = true;
	life->write.retire = true;
	life->write.end = VERSION_NO_VERDICT;
	life_end(life, STATUS_UNVERIFIED, "given_up");
}

/* Nothing is believed while an earlier send may be under way: here nobody waits. */
void __real_life_queue(struct life *, uint64_t delay_ms);
void __wrap_life_queue(struct life *, uint64_t delay_ms);

void __wrap_life_queue(struct life *life, uint64_t delay_ms)
{
	bool hasty = sim_bug == BUG_NO_DEADLINE || sim_bug == BUG_FRESH_BESIDE || life == unwaited;

	unwaited = NULL;
	__real_life_queue(life, hasty ? 0 : delay_ms);
}

/* A put-back is a send like any other: durable before, in doubt until its end was seen. */
void __real_life_write(struct life *, void (*then)(struct life *));
void __wrap_life_write(struct life *, void (*then)(struct life *));
void __real_life_uncertain(struct life *, const struct wire_result *);
void __wrap_life_uncertain(struct life *, const struct wire_result *);

static bool puts_back(const struct life *life)
{
	return strcmp(life->subject->reason, "put_back") == 0 &&
	       life->subject->status != STATUS_UNVERIFIED;
}

void __wrap_life_write(struct life *life, void (*then)(struct life *))
{
	if (sim_bug == BUG_PUT_BACK_MUTE && puts_back(life))
		then(life);
	else
		__real_life_write(life, then);
}

void __wrap_life_uncertain(struct life *life, const struct wire_result *result)
{
	if (sim_bug == BUG_PUT_BACK_BLIND && puts_back(life)) {
		settle_put_back(life);
		return;
	}
	if (sim_bug == BUG_PUT_BACK_HASTY && puts_back(life))
		unwaited = life;
	__real_life_uncertain(life, result);
}

/* A privileged account comes last, with a lifeline, and in doubt it is settled before the rest. */
const char *__real_lifeline_missing(const struct life *);
const char *__wrap_lifeline_missing(const struct life *);
struct life *__real_site_next(const struct site *);
struct life *__wrap_site_next(const struct site *);
bool __real_lifeline_bars(const struct visit *);
bool __wrap_lifeline_bars(const struct visit *);

const char *__wrap_lifeline_missing(const struct life *life)
{
	return sim_bug == BUG_NO_LIFELINE ? NULL : __real_lifeline_missing(life);
}

bool __wrap_lifeline_bars(const struct visit *visit)
{
	return sim_bug != BUG_ENTER_IN_DOUBT && __real_lifeline_bars(visit);
}

struct life *__wrap_site_next(const struct site *site)
{
	struct life *life, *next = NULL;

	if (sim_bug != BUG_NOT_LAST)
		return __real_site_next(site);
	TAILQ_FOREACH (life, &site->lives, entry)
		if (!life->working && (next == NULL || life->ready_ms < next->ready_ms))
			next = life;
	return next;
}

/* Attempts are counted on disk before they are made: here there is always one more. */
enum err __real_probe_book(struct vault_txn *, const char *, const char *, const struct lockout *,
    uint32_t, uint64_t, uint64_t *);
enum err __wrap_probe_book(struct vault_txn *, const char *, const char *, const struct lockout *,
    uint32_t, uint64_t, uint64_t *);

enum err __wrap_probe_book(struct vault_txn *txn, const char *asset, const char *account,
    const struct lockout *lockout, uint32_t attempts, uint64_t now_ms, uint64_t *free_at_ms)
{
	if (sim_bug == BUG_FREE_PROBES)
		return ERR_OK;
	if (sim_running != NULL)
		note_add(sim_running, COVER_COMMIT, "attempt booked");
	return __real_probe_book(txn, asset, account, lockout, attempts, now_ms, free_at_ms);
}

/* Nothing that may be live is dropped: here a restart retires what is in doubt, unseen. */
enum err __real_rotation_recover(struct rotation *, struct error *);
enum err __wrap_rotation_recover(struct rotation *, struct error *);

struct doubts {
	struct account accounts[SIM_ACCOUNTS];
	size_t count;
};

static bool doubts_add(void *arg, const struct account *account)
{
	struct doubts *doubts = arg;

	doubts->accounts[doubts->count++] = *account;
	return true;
}

static enum err doubts_forget(struct vault_txn *txn, void *arg, struct error *error)
{
	struct doubts *doubts = arg;
	struct account account;
	enum err err = ERR_OK;

	doubts->count = 0;
	account_each_in_doubt(txn, doubts_add, doubts);
	for (size_t i = 0; err == ERR_OK && i < doubts->count; i++)
		err = account_retire(txn, doubts->accounts[i].asset, doubts->accounts[i].name,
		    doubts->accounts[i].kind, VERSION_NOT_LIVE, &account, error);
	return err;
}

enum err __wrap_rotation_recover(struct rotation *rotation, struct error *error)
{
	struct doubts doubts = {.count = 0};
	enum err err = ERR_OK;

	if (sim_bug == BUG_DROP_PENDING)
		err = vault_write(rotation->config.vault, doubts_forget, &doubts, error);
	return err == ERR_OK ? __real_rotation_recover(rotation, error) : err;
}

/* What a key replaces is removed only after the new one was seen to work: here before. */
void __real_settle_changed(struct life *);
void __wrap_settle_changed(struct life *);

void __wrap_settle_changed(struct life *life)
{
	if (sim_bug == BUG_PERSIST_UNSEEN && life_persists(life))
		life_persist(life);
	else
		__real_settle_changed(life);
}

/* Where a platform says so, its answer is no end: here it is. */
bool __real_platform_answers_early(const struct life *);
bool __wrap_platform_answers_early(const struct life *);

bool __wrap_platform_answers_early(const struct life *life)
{
	return sim_bug != BUG_EARLY_ENDS && __real_platform_answers_early(life);
}
