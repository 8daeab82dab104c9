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

void life_stage(struct life *life)
{
	struct rotation *rotation = life->site->rotation;
	const struct task *task = life_task(life);
	struct error error;
	enum err err = rule_generate(task->rule, life_account(life), &life->write.fresh, &error);

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
	life->write.book = life->verify == VERIFY_LOGIN;
	life->record.status = STATUS_STAGED;
	life->record.staged_ms = rotation_wall(rotation);
	CRASH_POINT("core.staging");
	life_write(life, life_staged);
}
