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
	struct service *service = ping->request->service;
	json_t *answer = answer_shape(look);

	ping->answers[one->index] = answer; /* transferred */
	ping->failed += look->reason != NULL || look->wire.fault != FAULT_NONE;
	ping->open--;
	free(one);
	service_tell(service, json_pack("{s:s, s:O}", "event", "pinged", "answer", answer));
	timer_start(loop_clock(service->loop), &ping->turn, 0);
}

static void ping_one(struct ping *ping)
{
	struct ping_one *one = xcalloc(1, sizeof(*one));

	*one = (struct ping_one){.ping = ping, .index = ping->next++};
	ping->open++;
	rotation_look(ping->request->service->rotation, ping->assets.items[one->index], LOOK_PING,
	    ping_done, one);
}

static void ping_turn(void *arg)
{
	struct ping *ping = arg;
	struct service *service = ping->request->service;
	uint32_t in_flight = policy_settings(service->policy)->in_flight;

	while (!service->interrupted && ping->open < in_flight && ping->next < ping->assets.count)
		ping_one(ping);
	if (ping->open == 0)
		loop_stop(service->loop);
}

static void ping_event(void *arg, const struct rotation_event *event)
{
	struct ping *ping = arg;

	if (event->kind != ROTATION_BROKEN)
		return;
	ping->broken = true;
	error_set(ping->request->error, ERR_IO, "%s", event->error->text);
	loop_stop(ping->request->service->loop);
}

static enum service_end ping_all(struct ping *ping)
{
	struct service *service = ping->request->service;

	ping->answers = xcalloc(ping->assets.count + 1, sizeof(json_t *));
	service->event = ping_event;
	service->event_arg = ping;
	timer_start(loop_clock(service->loop), &ping->turn, 0);
	loop_run(service->loop);
	service->event = NULL;
	timer_stop(&ping->turn);
	if (ping->broken)
		return SERVICE_NO_ENGINE;
	ping->request->result = json_array();
	for (size_t i = 0; i < ping->next; i++)
		json_array_append(ping->request->result, ping->answers[i]);
	return ping->failed > 0 || ping->next < ping->assets.count ? SERVICE_SOME : SERVICE_OK;
}

enum service_end asset_ping(struct request *request)
{
	struct ping ping = {.request = request, .turn = {.fn = ping_turn, .arg = &ping}};
	enum service_end end;

	if (!assets_meant(request, &ping.assets))
		return SERVICE_USAGE;
	end = engine_open(request, NEEDS_WIRES);
	if (end == SERVICE_OK)
		end = ping_all(&ping);
	for (size_t i = 0; ping.answers != NULL && i < ping.assets.count; i++)
		json_decref(ping.answers[i]);
	free(ping.answers);
	asset_list_clear(&ping.assets);
	return end;
}
