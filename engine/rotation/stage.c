/* Staging: the new secret is made, sealed and durable before anything of it leaves. */
#include "rotation/engine.h"

#include "base/crash.h"

#define HEAP_PAUSE_MS 100

static void life_staged(struct life *life)
{
	CRASH_POINT("core.staged");
	if (life->budget_out) {
		life->record.status = STATUS_PLANNED;
		life->record.staged_ms = 0;
		life_no_budget(life);
	} else {
		life_change(life);
	}
}

static void life_stage_again(void *arg)
{
	life_stage(arg);
}

/* A fresh secret as the task says, into life->write. */
static enum err stage_make(struct life *life, struct error *error)
{
	return rule_generate(life_task(life)->rule, life_account(life), &life->write.fresh, error);
}

void life_stage(struct life *life)
{
	struct rotation *rotation = life->site->rotation;
	struct error error;
	enum err err = stage_make(life, &error);

	if (err == ERR_FULL) {
		life->again.fn = life_stage_again;
		life->again.arg = life;
		timer_start(rotation->config.clock, &life->again, HEAP_PAUSE_MS);
		return;
	}
	if (err != ERR_OK) {
		attempt_close(&life->attempt);
		life_error(life, "permanent", "rule", error.text);
		life_end(life, STATUS_FAILED, "");
		return;
	}
	if (life_rehearses(life)) {
		rehearse_end(life);
		return;
	}
	if (life_asks_proof(life)) {
		life->write.book = life_method(life) != WIRE_PROOF_HASH;
		life->record.proof = life_proof(life);
	}
	life->record.status = STATUS_STAGED;
	life->record.staged_ms = rotation_wall(rotation);
	CRASH_POINT("core.staging");
	life_write(life, life_staged);
}
