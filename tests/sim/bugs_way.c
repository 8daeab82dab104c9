/* Bugs on the way in: who is at work at an asset, and with what it and its gateway are entered. */
#include "sim.h"

#include <string.h>

#include "rotation/engine.h"

/* ── One at a time ── */

enum err __real_plan_run(
    struct rotation *, const struct rotation_order *, struct run **, struct error *);
enum err __wrap_plan_run(
    struct rotation *, const struct rotation_order *, struct run **, struct error *);

/* Of each account, what opened it when the last run was planned. */
static char planned[SIM_ACCOUNTS][SIM_SECRET_SIZE];

static void plan_read(struct sim *sim, size_t index)
{
	const struct sim_account *at = &sim->accounts[index];
	struct vault_txn *txn = vault_read(sim->vault);
	struct secret *secret = NULL;
	struct account account;
	struct error error;

	planned[index][0] = '\0';
	if (account_get(txn, at->asset, at->name, SECRET_PASSWORD, &account) == ERR_OK &&
	    account.current != 0 &&
	    version_open(txn, &account, account.current, &secret, NULL, &error) == ERR_OK)
		snprintf(planned[index], SIM_SECRET_SIZE, "%s", secret_data(secret));
	secret_free(secret);
	vault_read_end(txn);
}

TAILQ_HEAD(lives, life);

static void lives_move(struct rotation *rotation, struct lives *hidden, bool hide)
{
	for (size_t i = 0; i < rotation->site_count; i++) {
		struct site *site = rotation->sites[i];

		if (hide)
			TAILQ_INIT(&hidden[i]);
		if (hide)
			TAILQ_CONCAT(&hidden[i], &site->lives, entry);
		else
			TAILQ_CONCAT(&site->lives, &hidden[i], entry);
	}
}

/* A run leaves alone what another has in work: here it sees none at work. */
enum err __wrap_plan_run(struct rotation *rotation, const struct rotation_order *order,
    struct run **run, struct error *error)
{
	struct lives hidden[SIM_ASSETS];
	enum err err;

	for (size_t i = 0; sim_bug == BUG_READ_AT_PLAN && i < sim_running->account_count; i++)
		plan_read(sim_running, i);
	if (sim_bug != BUG_NOT_BUSY)
		return bug_plan(__real_plan_run, rotation, order, run, error);
	lives_move(rotation, hidden, true);
	err = bug_plan(__real_plan_run, rotation, order, run, error);
	lives_move(rotation, hidden, false);
	return err;
}

/* A job reads its secrets at dispatch: here those that an asset is entered with are older. */
void bug_take(struct sim_session *session)
{
	bool enters = session->kind == WIRE_ADMIN || session->kind == WIRE_LOGIN;
	const char *older;

	if (sim_bug != BUG_READ_AT_PLAN || !enters)
		return;
	older = planned[session->account - session->sim->accounts];
	if (older[0] != '\0')
		snprintf(session->secret, sizeof(session->secret), "%s", older);
}

/* ── The privileged account ── */

const char *__real_lifeline_missing(const struct life *);
const char *__wrap_lifeline_missing(const struct life *);
struct life *__real_site_next(const struct site *);
struct life *__wrap_site_next(const struct site *);
bool __real_lifeline_bars(const struct visit *);
bool __wrap_lifeline_bars(const struct visit *);

/* It comes last, with a lifeline, and in doubt it is settled before the rest. */
const char *__wrap_lifeline_missing(const struct life *life)
{
	return sim_bug == BUG_NO_LIFELINE ? NULL : __real_lifeline_missing(life);
}

bool __wrap_lifeline_bars(const struct visit *visit)
{
	if (sim_bug == BUG_ENTER_IN_DOUBT || (sim_bug == BUG_GATE_IN_DOUBT && visit->carries))
		return false;
	return __real_lifeline_bars(visit);
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

/* ── The gateway ── */

bool __real_gate_bars(const struct life *);
bool __wrap_gate_bars(const struct life *);
void __real_gate_make_way(struct life *);
void __wrap_gate_make_way(struct life *);

/* What a gateway is entered with is not changed while someone is inside. */
bool __wrap_gate_bars(const struct life *life)
{
	return sim_bug != BUG_GATE_IN_USE && __real_gate_bars(life);
}

void __wrap_gate_make_way(struct life *life)
{
	if (sim_bug != BUG_GATE_IN_USE)
		__real_gate_make_way(life);
}
