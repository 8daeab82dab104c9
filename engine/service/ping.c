/* Pinging: looks at many assets at once, as many as the settings allow in flight. */
#include "service/engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "service/names.h"
#include "service/shape.h"

struct ping {
	struct request *request;
	struct watch watch;
	struct asset_list assets;
	json_t **answers; /* one an asset, in order */
	size_t next;	  /* the next asset to look at */
	size_t open;
	size_t failed;
	struct timer turn;
	bool broken;
};

struct ping_one {
	struct ping *ping;
	size_t index;
};

static json_t *not_tried(const char *reason)
{
	static const struct {
		const char *reason, *message;
	} words[] = {
	    {"no_admin", "it has no admin, or the vault has no secret for it (for su: of root)"},
	    {"probe_budget", "one more refused login could lock the admin's account"},
	    {"busy", "it is being worked on"},
	    {"in_doubt", "the secret that it is entered with is in doubt; a run settles it first"},
	    {"admin_refused", "other assets refused this secret of its admin"},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i].reason, reason) == 0)
			return shape_error("permanent", reason, words[i].message);
	return shape_error("permanent", reason, "it was not tried");
}

static json_t *answer_shape(const struct look_result *look)
{
	bool ok = look->reason == NULL && look->wire.fault == FAULT_NONE;
	json_int_t elapsed_ms = (json_int_t)look->elapsed_ms;
	json_t *error = look->reason != NULL ? not_tried(look->reason) : shape_fault(&look->wire);

	return json_pack("{s:o, s:s, s:o, s:I}", "asset", json_text(look->asset->name), "status",
	    ok ? "ok" : "failed", "error", error, "elapsed_ms", elapsed_ms);
}

static void ping_done(void *arg, const struct look_result *look)
{
	struct ping_one *one = arg;
	struct ping *ping = one->ping;
	json_t *answer;

	if (ping->broken) {
		free(one);
		return;
	}
	answer = answer_shape(look);
	ping->answers[one->index] = answer; /* transferred */
	ping->failed += look->reason != NULL || look->wire.fault != FAULT_NONE;
	ping->open--;
	free(one);
	request_tell(ping->request, json_pack("{s:s, s:O}", "event", "pinged", "answer", answer));
	timer_start(loop_clock(ping->request->service->loop), &ping->turn, 0);
}

static void ping_one(struct ping *ping)
{
	struct ping_one *one = xcalloc(1, sizeof(*one));

	*one = (struct ping_one){.ping = ping, .index = ping->next++};
	ping->open++;
	rotation_look(ping->request->service->rotation, ping->assets.items[one->index], LOOK_PING,
	    ping_done, one);
}

/* ── The end ─────────────────────────────────────────────────────────────────────────────── */

static void ping_free(void *arg)
{
	struct ping *ping = arg;

	timer_stop(&ping->turn);
	watch_remove(&ping->watch);
	for (size_t i = 0; i < ping->assets.count; i++)
		json_decref(ping->answers[i]);
	free(ping->answers);
	asset_list_clear(&ping->assets);
	free(ping);
}

static void ping_end(struct ping *ping)
{
	struct request *request = ping->request;
	bool all = ping->failed == 0 && ping->next == ping->assets.count;

	request->result = json_array();
	for (size_t i = 0; i < ping->next; i++)
		json_array_append(request->result, ping->answers[i]);
	ping_free(ping);
	request_end(request, all ? SERVICE_OK : SERVICE_SOME);
}

/* The engine ends: what is open may still be answered, and finds the ping here. */
static void ping_give_up(struct ping *ping)
{
	watch_remove(&ping->watch);
	request_end(ping->request, SERVICE_NO_ENGINE);
}

static void ping_turn(void *arg)
{
	struct ping *ping = arg;
	struct service *service = ping->request->service;
	uint32_t in_flight = policy_settings(ping->request->policy)->in_flight;

	if (ping->broken) {
		ping_give_up(ping);
		return;
	}
	while (!service->interrupted && ping->open < in_flight && ping->next < ping->assets.count)
		ping_one(ping);
	if (ping->open == 0)
		ping_end(ping);
}

static void ping_event(void *arg, const struct rotation_event *event)
{
	struct ping *ping = arg;

	if (event->kind != ROTATION_BROKEN)
		return;
	ping->broken = true;
	error_set(ping->request->error, ERR_IO, "%s", event->error->text);
	timer_start(loop_clock(ping->request->service->loop), &ping->turn, 0);
}

enum service_end asset_ping(struct request *request)
{
	struct asset_list assets;
	enum service_end end;
	struct ping *ping;

	if (!assets_meant(request, &assets))
		return SERVICE_USAGE;
	end = engine_open(request, NEEDS_WIRES);
	if (end != SERVICE_OK) {
		asset_list_clear(&assets);
		return end;
	}
	ping = xcalloc(1, sizeof(*ping));
	*ping = (struct ping){
	    .request = request,
	    .assets = assets,
	    .answers = xcalloc(assets.count + 1, sizeof(json_t *)),
	    .watch = {.event = ping_event, .arg = ping},
	    .turn = {.fn = ping_turn, .arg = ping},
	};
	request->drop = ping_free;
	request->drop_arg = ping;
	watch_add(request->service, &ping->watch);
	timer_start(loop_clock(request->service->loop), &ping->turn, 0);
	return SERVICE_LATER;
}
