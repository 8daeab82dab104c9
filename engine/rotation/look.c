/* Looking at an asset without changing anything: its host key, or the whole privileged way in. */
#include "rotation/engine.h"

#include <stdlib.h>

#include "base/mem.h"

struct look_at {
	LIST_ENTRY(look_at) entry;
	struct rotation *rotation;
	struct visit *visit;
	const struct asset *asset;
	look_done_fn done;
	void *arg;
	uint64_t started_ms;
	struct timer timer;
	const char *reason;
};

static void look_free(struct look_at *look)
{
	LIST_REMOVE(look, entry);
	timer_stop(&look->timer);
	visit_free(look->visit);
	free(look);
}

bool looks_at(const struct site *site)
{
	const struct look_at *look;

	LIST_FOREACH (look, &site->rotation->looks, entry)
		if (look->visit != NULL && look->visit->site == site)
			return true;
	return false;
}

void looks_clear(struct rotation *rotation)
{
	struct look_at *look;

	while ((look = LIST_FIRST(&rotation->looks)) != NULL) {
		if (look->visit != NULL && look->visit->site->visit == look->visit)
			look->visit->site->visit = NULL;
		look_free(look);
	}
}

static void look_end(struct look_at *look, const struct wire_result *result, const char *reason)
{
	struct look_result answer = {
	    .asset = look->asset,
	    .wire = *result,
	    .reason = reason,
	    .elapsed_ms = rotation_now(look->rotation) - look->started_ms,
	};
	struct site *site = look->visit != NULL ? look->visit->site : NULL;
	look_done_fn done = look->done;
	void *arg = look->arg;

	if (site != NULL && site->visit == look->visit) {
		site->visit = NULL;
		look->rotation->visits--;
		site_wake(site);
		dispatch_soon(look->rotation);
	}
	look_free(look);
	done(arg, &answer);
}

static void look_ready(void *arg)
{
	struct look_at *look = arg;

	look_end(look, &look->visit->result, look->visit->reason);
}

static void look_enter(struct look_at *look);

/* Through the gateway, which is opened anew where its session turned out to be of no use. */
static void look_key(void *arg, const struct wire_result *result)
{
	struct look_at *look = arg;
	struct visit *visit = look->visit;

	if (!result->via_lost || visit->reentered) {
		look_end(look, result, NULL);
		return;
	}
	visit->reentered = true;
	wire_session_free(visit->session);
	visit->session = NULL;
	gate_lost(&visit->pass);
	look_enter(look);
}

static void look_entered(void *arg, const struct wire_result *blocked)
{
	struct look_at *look = arg;
	const struct settings *settings = look->visit->site->settings;
	struct wire_target target = {
	    .asset = look->asset->name,
	    .address = look->asset->address,
	    .port = look->asset->port,
	    .urgent = true,
	    .via = gate_session(&look->visit->pass),
	};

	if (blocked != NULL) {
		look_end(look, blocked, NULL);
		return;
	}
	look->visit->session = wire_session_new(look->rotation->config.wires, &target);
	wire_submit(look->visit->session,
	    &(struct wire_job){
		.kind = WIRE_OPEN,
		.timeout_ms = settings->connect_timeout_ms + settings->login_timeout_ms,
	    },
	    look_key, look);
}

static void look_enter(struct look_at *look)
{
	gate_enter(&look->visit->pass, look->visit->site, look_entered, look);
}

static void look_busy(void *arg)
{
	struct look_at *look = arg;
	struct wire_result none = {.fault = FAULT_NONE};

	look_end(look, &none, "busy");
}

/* Who asks may know it by a policy from before the last two loads: it is in none that is in use. */
static void look_gone(void *arg)
{
	struct look_at *look = arg;
	struct wire_result gone = {
	    .fault = FAULT_CONNECT,
	    .text = "it has left the policy, which was loaded anew meanwhile",
	};

	look_end(look, &gone, NULL);
}

/* It is told later, as all answers are. */
static void look_later(struct look_at *look, void (*fn)(void *arg))
{
	look->timer.fn = fn;
	look->timer.arg = look;
	timer_start(look->rotation->config.clock, &look->timer, 0);
}

void rotation_look(struct rotation *rotation, const struct asset *asset, enum look what,
    look_done_fn done, void *arg)
{
	struct site *site = rotation_site(rotation, asset->name);
	struct look_at *look = xcalloc(1, sizeof(*look));

	*look = (struct look_at){
	    .rotation = rotation,
	    .visit = site != NULL ? visit_new(site) : NULL,
	    .asset = asset,
	    .done = done,
	    .arg = arg,
	    .started_ms = rotation_now(rotation),
	};
	LIST_INSERT_HEAD(&rotation->looks, look, entry);
	if (site == NULL) {
		look_later(look, look_gone);
	} else if (what == LOOK_KEY) {
		look_enter(look);
	} else if (site->visit != NULL || site->line != NULL) {
		look_later(look, look_busy);
	} else {
		site->visit = look->visit;
		rotation->visits++;
		visit_open(look->visit, look_ready, look);
	}
}
