/* Sending the pending version, and what its answer says: was it sent, was its end seen. */
#include "rotation/engine.h"

#include "base/crash.h"

/* The version never left: it is not the account's, and an attempt booked for its proof is not made.
 */
static void life_not_sent(struct life *life, const struct wire_result *result)
{
	life->returns += life->booked;
	life->booked = 0;
	if (!life->doubt) {
		life->write.retire = true;
		life->write.end = VERSION_NOT_LIVE;
	}
	life_fault(life, result);
}

static void life_accepted_unasked(struct life *life)
{
	life->returns += life->booked;
	life->booked = 0;
	life_end(life, STATUS_UNVERIFIED, "not_asked");
}

static void life_changed(void *arg, const struct wire_result *result)
{
	struct life *life = arg;

	CRASH_POINT("core.changed");
	if (!result->ended)
		life->site->visit->over = true;
	life->refused = result->fault == FAULT_REFUSED;
	life->answered_early = result->sent && result->ended && platform_answers_early(life);
	life->end_seen = result->sent && result->ended && !life->answered_early;
	if (life->refused)
		life_error(life, "permanent", fault_name(result->fault), result->text);
	if (!result->sent) {
		life_not_sent(life, result);
	} else if (!result->ended) {
		life->returns += life->booked;
		life->booked = 0;
		life_uncertain(life, result);
	} else if (!life_asks_proof(life) && !life->refused && !life->doubt) {
		life_accepted_unasked(life);
	} else {
		settle_changed(life);
	}
}

void life_submit_change(struct life *life, struct wire_job job, wire_done_fn done)
{
	const struct site *site = life->site;

	job.kind = WIRE_CHANGE;
	job.timeout_ms = site->settings->change_deadline_ms;
	job.snapshot = site->snapshot;
	job.platform = site->asset->platform;
	job.account = life_account(life);
	wire_submit(site->visit->session, &job, done, life);
}

/* A change is noted before, for whatever comes of it. */
static void life_send(struct life *life, struct wire_job job)
{
	life->subject->sends++;
	life->subject->sent_ms = rotation_wall(life->site->rotation);
	job.params = life_params(life);
	CRASH_POINT("core.sending");
	life_submit_change(life, job, life_changed);
	CRASH_POINT("core.sent");
}

/* Of a key the asset is given its public line, and nothing of the old one. */
static void life_change_key(struct life *life)
{
	struct life_key key;

	if (life_key_pending(life, &key, life_change_key))
		life_send(life, (struct wire_job){.ssh_key = &key.wire});
}

static void life_change_password(struct life *life)
{
	struct secret *fresh, *old = NULL;

	if (!life_secret(life, life->account.pending, &fresh, life_change_password))
		return;
	if (life->account.current != 0 &&
	    !life_secret(life, life->account.current, &old, life_change_password)) {
		secret_free(fresh);
		return;
	}
	life_send(life, (struct wire_job){.secret = fresh, .old = old});
	secret_free(fresh);
	secret_free(old);
}

void life_change(struct life *life)
{
	if (life_kind(life) == SECRET_KEY)
		life_change_key(life);
	else
		life_change_password(life);
}
