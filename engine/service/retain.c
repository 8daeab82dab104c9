/* Retention at the end of a run: a step a commit, so that nobody waits for long, and at most so
 * many that the run itself ends soon; the next one goes on. */
#include "service/retain.h"

#include "base/log.h"
#include "service/engine.h"

#include <stdio.h>

#define STEPS_MOST 20

static void retain_step(struct retaining *retaining);

static void retain_end(struct retaining *retaining)
{
	char records[24], executions[24];

	retaining->working = false;
	snprintf(records, sizeof(records), "%u", retaining->now.records);
	snprintf(executions, sizeof(executions), "%u", retaining->now.executions);
	if (retaining->now.records + retaining->now.executions > 0)
		log_event(LOG_LEVEL_INFO, "retention", "records", records, "executions", executions,
		    NULL);
	retaining->done(retaining->arg);
}

static enum err retain_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct retaining *retaining = arg;

	(void)error;
	retaining->next = retaining->now;
	return vault_remove_old(txn, &retaining->next);
}

/* What could not be taken away now is left for the next run. */
static void retain_stepped(void *arg, enum err result, const struct error *error)
{
	struct retaining *retaining = arg;

	if (result == ERR_OK)
		retaining->now = retaining->next;
	else
		log_event(LOG_LEVEL_WARN, "retention_failed", "error", error->text, NULL);
	if (result == ERR_OK && retaining->now.more && ++retaining->steps < STEPS_MOST)
		retain_step(retaining);
	else
		retain_end(retaining);
}

static void retain_step(struct retaining *retaining)
{
	vault_submit(retaining->vault, retain_apply, retain_stepped, retaining);
}

bool retain_begin(struct service *service, void (*done)(void *arg), void *arg)
{
	struct retaining *retaining = &service->retaining;
	uint64_t now_ms = clock_wall_ms(loop_clock(service->loop));
	uint64_t keep_ms = policy_settings(service->snapshot->policy)->retention_records_ms;

	if (retaining->working || now_ms <= keep_ms)
		return false;
	*retaining = (struct retaining){
	    .vault = service->vault,
	    .now = {.before_ms = now_ms - keep_ms},
	    .done = done,
	    .arg = arg,
	    .working = true,
	};
	retain_step(retaining);
	return true;
}
