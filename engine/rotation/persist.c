/*
 * Making a change permanent, after it was seen to work and before it counts as a success: `write
 * memory` on a device, and of a key the removal of what it replaces. It goes through the privileged
 * session, which is older than the proof, but where the proof itself had to show the way in. What
 * was not made permanent stays in doubt, and is seen and made so again when that is settled.
 */
#include "rotation/engine.h"

#include "base/crash.h"

bool life_persists(const struct life *life)
{
	const struct platform *platform =
	    policy_platform_find(life->site->policy, life->site->asset->platform);

	return platform != NULL && platform->persist &&
	       (life_kind(life) == SECRET_KEY || !platform->persist_keys_only);
}

static void persist_failed(struct life *life, const char *code, const char *text)
{
	life_error(life, "uncertain", code, text);
	life_end(life, STATUS_UNVERIFIED, "not_persisted");
}

static void persist_answered(void *arg, const struct wire_result *result)
{
	struct life *life = arg;

	CRASH_POINT("core.persisted");
	if (!result->ended)
		life->site->visit->over = true;
	if (result->fault == FAULT_NONE && result->ended)
		settle_permanent(life);
	else
		persist_failed(life,
		    result->fault != FAULT_NONE ? fault_name(result->fault) : "no_verdict",
		    result->text);
}

static void persist_send(struct life *life)
{
	bool is_key = life_kind(life) == SECRET_KEY;
	struct life_key key;

	if (is_key && !life_key_pending(life, &key, persist_send))
		return;
	CRASH_POINT("core.persisting");
	wire_submit(life->site->visit->session,
	    &(struct wire_job){
		.kind = WIRE_PERSIST,
		.timeout_ms = life->site->settings->change_deadline_ms,
		.snapshot = life->site->snapshot,
		.platform = life->site->asset->platform,
		.account = life_account(life),
		.ssh_key = is_key ? &key.wire : NULL,
	    },
	    persist_answered, life);
}

static void persist_visited(void *arg)
{
	struct life *life = arg;
	const struct visit *visit = life->site->visit;

	if (visit->failed)
		persist_failed(life,
		    visit->reason != NULL ? visit->reason : fault_name(visit->result.fault),
		    visit->result.text);
	else
		persist_send(life);
}

static void persist_visit(struct life *life)
{
	struct visit *visit = life->site->visit;

	/* By what was just seen to work: of the way in nothing else is known to. */
	if (life_is_privileged(life))
		visit_reopen(visit, true);
	visit_open(visit, persist_visited, life);
}

void life_persist(struct life *life)
{
	struct visit *visit = life->site->visit;

	if (visit->over) {
		persist_failed(life, "lost",
		    "the new secret works; the privileged session broke before it could be made "
		    "permanent");
		return;
	}
	if (visit->open && !visit->failed)
		persist_send(life);
	else /* the proof's attempt is given back first: the way in takes one of the same account */
		life_write(life, persist_visit);
}
