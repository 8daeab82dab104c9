/*
 * Rules of the design broken on purpose, one at a time: what the checks are worth is shown by what
 * they catch. Where each is broken: bugs_life.c, bugs_way.c, bugs_vault.c, and where the world
 * itself has the rule, there (disk.c, processes.c).
 */
#include "sim.h"

enum sim_bug sim_bug = BUG_NONE;

struct bug_words {
	const char *name;
	const char *task; /* that it is about; NULL = any */
};

static const struct bug_words words[BUG_COUNT] = {
    [BUG_NONE] = {"none", NULL},
    [BUG_SKIP_COMMIT] = {"skip the fsync", NULL},
    [BUG_COMMIT_BELIEVED] = {"a failed commit taken for done", NULL},
    [BUG_SEND_UNDURABLE] = {"send before it is durable", NULL},
    [BUG_TWO_COMMITS] = {"success a commit before the promotion", NULL},
    [BUG_PROMOTE_FIRST] = {"the promotion a commit before success", NULL},
    [BUG_COUNTERS] = {"counters not updated with a record", NULL},
    [BUG_PROMOTE_UNSEEN] = {"promote before verify", NULL},
    [BUG_MISMATCH_BELIEVED] = {"promote on a mismatch", NULL},
    [BUG_UNASKED_BELIEVED] = {"promote what nobody asked to prove", NULL},
    [BUG_OLD_UNSEEN] = {"the old one taken to work unseen", NULL},
    [BUG_REFUSAL_BELIEVED] = {"refused, so it is not live", NULL},
    [BUG_LOST_IS_REFUSED] = {"a broken link taken for a refusal", NULL},
    [BUG_NOT_PINNED] = {"the host key not pinned before a secret", NULL},
    [BUG_DROP_CURRENT] = {"drop current when staging", NULL},
    [BUG_PRUNE_IN_DOUBT] = {"delete versions while in doubt", NULL},
    [BUG_TOLD_PROVES] = {"count told as a proof: retention", NULL},
    [BUG_RETIRED_PROVES] = {"count a retired one as a proof: retention", NULL},
    [BUG_DROP_PENDING] = {"a restart drops what is pending", NULL},
    [BUG_JUDGE_BY_OLD] = {"judge by the old secret", NULL},
    [BUG_RETRY_UNCERTAIN] = {"retry uncertain as if never sent", NULL},
    [BUG_FRESH_BESIDE] = {"a fresh secret beside one in doubt", NULL},
    [BUG_NO_DEADLINE] = {"believe before the deadline", NULL},
    [BUG_FROM_STAGING] = {"the deadline from staging", NULL},
    [BUG_EARLY_ENDS] = {"an early answer taken for an end", NULL},
    [BUG_NOT_WAITED] = {"reconcile before the wire is dead", NULL},
    [BUG_NO_LOCK] = {"wires without the vault's lock", NULL},
    [BUG_FORGET_DOUBT] = {"recover all doubts but one", NULL},
    [BUG_RECOVER_SKIPPED] = {"interrupted told as skipped", NULL},
    [BUG_NOT_BUSY] = {"two rotations of one account", NULL},
    [BUG_REHEARSAL_SENDS] = {"a rehearsal sends", NULL},
    [BUG_FREE_PROBES] = {"attempts not counted", NULL},
    [BUG_BUDGET_IN_MEMORY] = {"attempts counted in memory only", NULL},
    [BUG_ONE_TOO_MANY] = {"attempts up to the limit", NULL},
    [BUG_SHORT_WINDOW] = {"half the lockout window", NULL},
    [BUG_ADMIN_FREE] = {"privileged logins not counted", NULL},
    [BUG_GIVE_BACK] = {"a refused attempt given back", NULL},
    [BUG_READ_AT_PLAN] = {"secrets read at the plan", NULL},
    [BUG_GATE_IN_DOUBT] = {"enter a gateway in doubt", NULL},
    [BUG_GATE_IN_USE] = {"change a gateway's account in use", "entries"},
    [BUG_NO_LIFELINE] = {"change without a lifeline", "entries"},
    [BUG_NOT_LAST] = {"privileged accounts not last", "entries"},
    [BUG_ENTER_IN_DOUBT] = {"work while the way in is in doubt", "entries"},
    [BUG_PUT_BACK_MUTE] = {"put back before that is durable", "entries"},
    [BUG_PUT_BACK_UNENDED] = {"put back, the change's end not seen", "entries"},
    [BUG_PUT_BACK_BLIND] = {"put back, its end not seen, and believed", "entries"},
    [BUG_PUT_BACK_HASTY] = {"put back without a deadline", "entries"},
    [BUG_PERSIST_UNSEEN] = {"persist before the proof", "keys"},
    [BUG_NO_PERSIST] = {"success before persist", "keys"},
    [BUG_PERSIST_LATER] = {"persist on a later session", "keys"},
};

const char *sim_bug_name(enum sim_bug bug)
{
	return words[bug].name;
}

const char *sim_bug_task(enum sim_bug bug)
{
	return words[bug].task;
}
