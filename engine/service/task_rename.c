/* Renaming a task: what is kept of it follows the name that the policy gives it now. */
#include "service/audit.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "service/names.h"

struct task_renaming {
	const char *from;
	const struct task *to;
	bool moved; /* there was something */
};

/* A pause, and what its schedule began: nothing of that may be written over. */
static bool is_lived_in(const struct task_state *state)
{
	return state->paused_ms != 0 || !id_is_none(&state->execution);
}

/*
 * How far the schedule was followed stays true under the new name. An engine that loaded the policy
 * without the old one has noted that its schedule is gone.
 */
static enum err renaming_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct task_renaming *renaming = arg;
	const char *to = renaming->to->name;
	struct task_state state, there;
	enum err err = task_state_get(txn, renaming->from, &state);

	renaming->moved = err == ERR_OK;
	if (err == ERR_NOT_FOUND)
		return ERR_OK;
	if (err == ERR_OK && task_state_get(txn, to, &there) == ERR_OK && is_lived_in(&there))
		return error_set(error, ERR_EXISTS,
		    "task \"%s\" has a pause or runs of its own, which those of \"%s\" would "
		    "replace; nothing was moved: lockstep task show %s",
		    to, renaming->from, to);
	if (err == ERR_OK)
		err = task_state_drop(txn, renaming->from);
	if (err == ERR_OK) {
		snprintf(state.task, sizeof(state.task), "%s", to);
		if (state.schedule == 0)
			state.schedule = task_schedule_mark(renaming->to);
		err = task_state_put(txn, &state);
	}
	return err == ERR_OK ? ERR_OK
			     : error_set(error, err, "what is kept of task \"%s\" cannot be moved",
				   renaming->from);
}

/* The policy is renamed first: it says which name is right. */
static bool names_are_good(struct request *request, struct task_renaming *renaming, const char *to)
{
	const struct task *old = policy_task_find(request->policy, renaming->from);

	renaming->to = need_task(request, to);
	if (renaming->to == NULL)
		return false;
	if (old != NULL)
		request_fail(request, SERVICE_USAGE,
		    "task \"%s\" is still in the policy (%s:%zu): rename it there first (lockstep "
		    "task rename), then reload; nothing was moved",
		    renaming->from, old->file, old->line);
	return old == NULL;
}

enum service_end task_rename_request(struct request *request)
{
	struct task_renaming renaming = {.from = param_need(request, "task")};
	const char *to = renaming.from == NULL ? NULL : param_need(request, "to");
	enum service_end end;
	enum err err;

	if (to == NULL || !names_are_good(request, &renaming, to))
		return SERVICE_USAGE;
	end = engine_open(request, NEEDS_VAULT);
	if (end != SERVICE_OK)
		return end;
	err = request_write(request, renaming_apply, &renaming,
	    &(struct audit_event){.what = AUDIT_TASK,
		.task = renaming.from,
		.object = renaming.to->name,
		.detail = "renamed"});
	if (err != ERR_OK)
		return err == ERR_EXISTS ? SERVICE_USAGE : SERVICE_NO_ENGINE;
	if (request->service->scheduler != NULL)
		scheduler_look(request->service->scheduler);
	request->result = json_pack("{s:o, s:o, s:b}", "task", json_text(renaming.from), "to",
	    json_text(renaming.to->name), "moved", renaming.moved);
	return SERVICE_OK;
}
