/*
 * Bugs in the life of a record: what is believed, when, and what is sent. Each stands between two
 * parts of rotation (the linker's --wrap).
 */
#include "sim.h"

#include <string.h>

#include "rotation/engine.h"

/* ── Verdicts ── */

typedef void (*tried_fn)(struct life *, const struct wire_result *);

void __real_attempt_try(struct life *, uint32_t, tried_fn);
void __wrap_attempt_try(struct life *, uint32_t, tried_fn);

/* Who is to be told of a try, with another verdict than the asset's. */
static struct {
	const struct life *life;
	tried_fn next;
} asking[SIM_ACCOUNTS * 16];
static size_t asked;

void bugs_begin(void)
{
	asked = 0;
}

static tried_fn *asking_of(const struct life *life)
{
	for (size_t i = 0; i < asked; i++)
		if (asking[i].life == life)
			return &asking[i].next;
	if (asked == sizeof(asking) / sizeof(asking[0]))
		sim_die("more lives than a bug has room for");
	asking[asked].life = life;
	return &asking[asked++].next;
}

static void tried_otherwise(struct life *life, const struct wire_result *result)
{
	struct wire_result other = *result;

	if (sim_bug == BUG_MISMATCH_BELIEVED && result->verdict == VERDICT_MISMATCH)
		other.verdict = VERDICT_MATCH;
	if (sim_bug == BUG_LOST_IS_REFUSED && result->verdict == VERDICT_UNKNOWN)
		other.verdict = VERDICT_MISMATCH;
	if (sim_bug == BUG_GIVE_BACK && result->verdict == VERDICT_MISMATCH)
		life->returns++;
	(*asking_of(life))(life, &other);
}

/* Seen before believed: here a try is a match, or a refusal, without being made. */
static enum wire_verdict verdict_unseen(const struct life *life, uint32_t version)
{
	bool old = version == life->account.current && life->account.pending != 0;

	if (sim_bug == BUG_PROMOTE_UNSEEN || (sim_bug == BUG_OLD_UNSEEN && old))
		return VERDICT_MATCH;
	if (sim_bug == BUG_REFUSAL_BELIEVED && life->refused && version == life->account.pending)
		return VERDICT_MISMATCH;
	return VERDICT_UNKNOWN;
}

void __wrap_attempt_try(struct life *life, uint32_t version, tried_fn next)
{
	struct wire_result unseen = {.verdict = verdict_unseen(life, version)};

	if (unseen.verdict != VERDICT_UNKNOWN) {
		next(life, &unseen);
		return;
	}
	if (sim_bug == BUG_MISMATCH_BELIEVED || sim_bug == BUG_LOST_IS_REFUSED ||
	    sim_bug == BUG_GIVE_BACK) {
		*asking_of(life) = next;
		next = tried_otherwise;
	}
	__real_attempt_try(life, version, next);
}

/* ── Sending ── */

void __real_life_write(struct life *, void (*then)(struct life *));
void __wrap_life_write(struct life *, void (*then)(struct life *));
void __real_rehearse_end(struct life *);
void __wrap_rehearse_end(struct life *);

static void sent_undurable(void *arg, const struct wire_result *result)
{
	struct life *life = arg;

	(void)result;
	__real_life_write(life, life->then);
}

static void sent_by_rehearsal(void *arg, const struct wire_result *result)
{
	(void)result;
	__real_rehearse_end(arg);
}

static bool sends_password(const struct life *life)
{
	return life->write.fresh != NULL && life_kind(life) == SECRET_PASSWORD;
}

/* Durable before sent: here it is the other way round; and a put-back is sent without. */
void __wrap_life_write(struct life *life, void (*then)(struct life *))
{
	if (sim_bug == BUG_SEND_UNDURABLE && sends_password(life)) {
		life->then = then;
		life_submit_change(
		    life, (struct wire_job){.secret = life->write.fresh}, sent_undurable);
	} else if (sim_bug == BUG_PUT_BACK_MUTE && strcmp(life->subject->reason, "put_back") == 0 &&
		   life->subject->status != STATUS_UNVERIFIED) {
		then(life);
	} else {
		__real_life_write(life, then);
	}
}

void __wrap_rehearse_end(struct life *life)
{
	if (sim_bug == BUG_REHEARSAL_SENDS && sends_password(life))
		life_submit_change(
		    life, (struct wire_job){.secret = life->write.fresh}, sent_by_rehearsal);
	else
		__real_rehearse_end(life);
}

/* ── Ending ── */

void __real_life_end(struct life *, enum status, const char *reason);
void __wrap_life_end(struct life *, enum status, const char *reason);

static void promote_after(struct life *life)
{
	life->write.promote = true;
	life->write.method = life_proof(life);
	__real_life_end(life, STATUS_SUCCESS, "");
}

static void succeed_after(struct life *life)
{
	__real_life_end(life, STATUS_SUCCESS, "");
}

/* A record and its account say the same: here one of them says it a commit later. */
void __wrap_life_end(struct life *life, enum status status, const char *reason)
{
	if (sim_bug == BUG_UNASKED_BELIEVED && strcmp(reason, "not_asked") == 0) {
		settle_permanent(life);
	} else if (sim_bug == BUG_TWO_COMMITS && life->write.promote) {
		life->write.promote = false;
		life->subject->status = STATUS_SUCCESS;
		life_write(life, promote_after);
	} else if (sim_bug == BUG_PROMOTE_FIRST && life->write.promote) {
		life_write(life, succeed_after);
	} else {
		__real_life_end(life, status, reason);
	}
}

/* ── Doubts ── */

void __real_settle_begin(struct life *);
void __wrap_settle_begin(struct life *);
void __real_life_queue(struct life *, uint64_t delay_ms);
void __wrap_life_queue(struct life *, uint64_t delay_ms);
void __real_life_uncertain(struct life *, const struct wire_result *);
void __wrap_life_uncertain(struct life *, const struct wire_result *);

static const struct life *unwaited; /* its doubt is tried without waiting */

/* After doubt, the same again: here the doubt is given up at once, and what follows is fresh. */
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

/* The deadline runs from when the sender could last send: here from when it was staged. */
static uint64_t delay_from_staging(const struct life *life, uint64_t delay_ms)
{
	uint64_t since_ms = rotation_wall(life->site->rotation) - life->subject->staged_ms;

	return since_ms < delay_ms ? delay_ms - since_ms : 0;
}

/* Nothing is believed while an earlier send may be under way: here nobody waits. */
void __wrap_life_queue(struct life *life, uint64_t delay_ms)
{
	if (sim_bug == BUG_NO_DEADLINE || sim_bug == BUG_FRESH_BESIDE || life == unwaited)
		delay_ms = 0;
	if (sim_bug == BUG_FROM_STAGING && life->doubt)
		delay_ms = delay_from_staging(life, delay_ms);
	unwaited = NULL;
	__real_life_queue(life, delay_ms);
}

/* Where a platform says so, its answer is no end: here it is. */
bool __real_platform_answers_early(const struct life *);
bool __wrap_platform_answers_early(const struct life *);

bool __wrap_platform_answers_early(const struct life *life)
{
	return sim_bug != BUG_EARLY_ENDS && __real_platform_answers_early(life);
}

/* Seeing the old secret work proves nothing: here it proves that the new one does not. */
static void judged_by_old(struct life *life, const struct wire_result *result)
{
	if (result->verdict != VERDICT_MATCH) {
		__real_life_uncertain(life, result);
		return;
	}
	life->write.retire = true;
	life->write.end = VERSION_NOT_LIVE;
	life->write.prove_old = true;
	life->write.method = life_proof(life);
	life_end(life, STATUS_FAILED, "");
}

static bool puts_back(const struct life *life)
{
	return strcmp(life->subject->reason, "put_back") == 0 &&
	       life->subject->status == STATUS_STAGED;
}

static void uncertain_put_back(struct life *life, const struct wire_result *result)
{
	if (sim_bug == BUG_PUT_BACK_BLIND) {
		settle_put_back(life);
		return;
	}
	if (sim_bug == BUG_PUT_BACK_HASTY)
		unwaited = life;
	__real_life_uncertain(life, result);
}

static void put_back_on_another_session(void *arg)
{
	struct life *life = arg;
	static const struct wire_result lost = {.fault = FAULT_LOST};

	life->doubt = false;
	if (life->site->visit->open)
		lifeline_put_back(life);
	else
		__real_life_uncertain(life, &lost);
}

/* Of a change that was sent. */
static void uncertain_sent(struct life *life, const struct wire_result *result)
{
	struct visit *visit = life->site->visit;

	if (sim_bug == BUG_JUDGE_BY_OLD && life->account.current != 0) {
		attempt_try(life, life->account.current, judged_by_old);
	} else if (sim_bug == BUG_RETRY_UNCERTAIN && life->record.attempts < 3) {
		life->write.retire = true;
		life->write.end = VERSION_NOT_LIVE;
		life_retry_later(life);
	} else if (sim_bug == BUG_PUT_BACK_UNENDED && life_is_privileged(life) &&
		   life->account.current != 0) {
		visit->over = false;
		life->doubt = true; /* or it would not be let in */
		visit_reopen(visit, false);
		visit_open(visit, put_back_on_another_session, life);
	} else {
		__real_life_uncertain(life, result);
	}
}

void __wrap_life_uncertain(struct life *life, const struct wire_result *result)
{
	if (puts_back(life))
		uncertain_put_back(life, result);
	else if (life->subject->status == STATUS_STAGED && !life->doubt && !life->end_seen)
		uncertain_sent(life, result);
	else
		__real_life_uncertain(life, result);
}

/* ── Making permanent ── */

void __real_settle_changed(struct life *);
void __wrap_settle_changed(struct life *);
void __real_life_persist(struct life *);
void __wrap_life_persist(struct life *);

/* What a key replaces is removed only after the new one was seen to work: here before. */
void __wrap_settle_changed(struct life *life)
{
	if (sim_bug == BUG_PERSIST_UNSEEN && life_persists(life))
		life_persist(life);
	else
		__real_settle_changed(life);
}

/* And before it counts as a success, by a session that is older than the proof. */
void __wrap_life_persist(struct life *life)
{
	struct visit *visit = life->site->visit;

	if (sim_bug == BUG_NO_PERSIST) {
		settle_permanent(life);
		return;
	}
	if (sim_bug == BUG_PERSIST_LATER && visit->open && !visit->over)
		visit_reopen(visit, false);
	__real_life_persist(life);
}
