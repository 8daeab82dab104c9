/*
 * Rules of the design broken on purpose, one at a time: what the checks are worth is shown by what
 * they catch. Where each is broken: bugs_life.c, bugs_way.c, bugs_vault.c, bugs_when.c, and where
 * the world itself has the rule, there (disk.c, processes.c).
 */
#include "sim.h"

enum sim_bug sim_bug = BUG_NONE;

struct bug_words {
	const char *name;
	const char *task; /* that it is about; NULL = any */
	bool rare;	  /* caught by one history in hundreds */
};

static const struct bug_words words[BUG_COUNT] = {
    [BUG_NONE] = {"none", NULL, false},
    [BUG_SKIP_COMMIT] = {"skip the fsync", NULL, false},
    [BUG_COMMIT_BELIEVED] = {"a failed commit taken for done", NULL, false},
    [BUG_SEND_UNDURABLE] = {"send before it is durable", NULL, false},
    [BUG_TWO_COMMITS] = {"success a commit before the promotion", NULL, false},
    [BUG_PROMOTE_FIRST] = {"the promotion a commit before success", NULL, false},
    [BUG_COUNTERS] = {"counters not updated with a record", NULL, false},
    [BUG_PROMOTE_UNSEEN] = {"promote before verify", NULL, false},
    [BUG_MISMATCH_BELIEVED] = {"promote on a mismatch", NULL, false},
    [BUG_UNASKED_BELIEVED] = {"promote what nobody asked to prove", NULL, false},
    [BUG_OLD_UNSEEN] = {"the old one taken to work unseen", NULL, false},
    [BUG_REFUSAL_BELIEVED] = {"refused, so it is not live", NULL, false},
    [BUG_LOST_IS_REFUSED] = {"a broken link taken for a refusal", NULL, true},
    [BUG_NOT_PINNED] = {"the host key not pinned before a secret", NULL, false},
    [BUG_DROP_CURRENT] = {"drop current when staging", NULL, false},
    [BUG_PRUNE_IN_DOUBT] = {"delete versions while in doubt", NULL, false},
    [BUG_TOLD_PROVES] = {"count told as a proof: retention", NULL, false},
    [BUG_RETIRED_PROVES] = {"count a retired one as a proof: retention", NULL, false},
    [BUG_DROP_PENDING] = {"a restart drops what is pending", NULL, false},
    [BUG_JUDGE_BY_OLD] = {"judge by the old secret", NULL, false},
    [BUG_RETRY_UNCERTAIN] = {"retry uncertain as if never sent", NULL, false},
    [BUG_FRESH_BESIDE] = {"a fresh secret beside one in doubt", NULL, false},
    [BUG_NO_DEADLINE] = {"believe before the deadline", NULL, false},
    [BUG_FROM_STAGING] = {"the deadline from staging", NULL, true},
    [BUG_EARLY_ENDS] = {"an early answer taken for an end", NULL, false},
    [BUG_NOT_WAITED] = {"reconcile before the wire is dead", NULL, true},
    [BUG_NO_LOCK] = {"wires without the vault's lock", NULL, false},
    [BUG_FORGET_DOUBT] = {"recover all doubts but one", NULL, false},
    [BUG_RECOVER_SKIPPED] = {"interrupted told as skipped", NULL, false},
    [BUG_NOT_BUSY] = {"two rotations of one account", NULL, false},
    [BUG_REHEARSAL_SENDS] = {"a rehearsal sends", NULL, false},
    [BUG_FREE_PROBES] = {"attempts not counted", NULL, false},
    [BUG_BUDGET_IN_MEMORY] = {"attempts counted in memory only", NULL, false},
    [BUG_ONE_TOO_MANY] = {"attempts up to the limit", NULL, false},
    [BUG_SHORT_WINDOW] = {"half the lockout window", NULL, true},
    [BUG_ADMIN_FREE] = {"privileged logins not counted", NULL, false},
    [BUG_GIVE_BACK] = {"a refused attempt given back", NULL, false},
    [BUG_READ_AT_PLAN] = {"secrets read at the plan", NULL, false},
    [BUG_GATE_IN_DOUBT] = {"enter a gateway in doubt", NULL, false},
    [BUG_GATE_IN_USE] = {"change a gateway's account in use", "entries", false},
    [BUG_NO_LIFELINE] = {"change without a lifeline", "entries", false},
    [BUG_NOT_LAST] = {"privileged accounts not last", "entries", false},
    [BUG_ENTER_IN_DOUBT] = {"work while the way in is in doubt", "entries", false},
    [BUG_PUT_BACK_MUTE] = {"put back before that is durable", "entries", false},
    [BUG_PUT_BACK_UNENDED] = {"put back, the change's end not seen", "entries", true},
    [BUG_PUT_BACK_BLIND] = {"put back, its end not seen, and believed", "entries", false},
    [BUG_PUT_BACK_HASTY] = {"put back without a deadline", "entries", true},
    [BUG_PERSIST_UNSEEN] = {"persist before the proof", "keys", false},
    [BUG_NO_PERSIST] = {"success before persist", "keys", false},
    [BUG_PERSIST_LATER] = {"persist on a later session", "keys", false},
    [BUG_HANDLED_FIRST] = {"what is handled kept a commit before", NULL, false},
    [BUG_OVERLAPS] = {"a task beside itself", NULL, false},
    [BUG_NEVER_MISSED] = {"what was missed never made up for", NULL, false},
    [BUG_WINDOW_IGNORED] = {"begin outside the window", NULL, false},
    [BUG_PAUSE_IGNORED] = {"begin in a pause", NULL, false},
    [BUG_NEW_MISSED] = {"a new schedule has missed something", NULL, false},
    [BUG_SCHEDULE_STALE] = {"follow the tasks of an earlier policy", NULL, false},
    [BUG_LET_GO] = {"let a policy go that is in use", NULL, false},
    [BUG_SEEN_ANEW] = {"another policy in mid-visit", NULL, false},
    [BUG_CANCEL_DEAF] = {"go on with what was cancelled", NULL, false},
    [BUG_CANCEL_DENIES] = {"cancel what was sent", NULL, false},
    [BUG_DRAIN_DEAF] = {"go on when asked to end", NULL, false},
    [BUG_KEY_DROPPED] = {"the old master key dropped at once", NULL, false},
    [BUG_SHED_EARLY] = {"a data key dropped before all is resealed", NULL, false},
    [BUG_COPY_UNNOTICED] = {"a copy put back, and nobody told", NULL, false},
    [BUG_CHECKED_OUT] = {"change what someone has out", NULL, false},
};

const char *sim_bug_name(enum sim_bug bug)
{
	return words[bug].name;
}

const char *sim_bug_task(enum sim_bug bug)
{
	return words[bug].task;
}

bool sim_bug_rare(enum sim_bug bug)
{
	return words[bug].rare;
}
