/* Trusting: what key an asset offers now, and pinning it in place of what was pinned. */
#include "service/audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "service/names.h"
#include "service/shape.h"

struct offer {
	struct request *request;
	const struct asset *asset;
	struct wire_result wire;
	enum service_end (*then)(struct offer *);
};

static void offer_done(void *arg, const struct look_result *look)
{
	struct offer *offer = arg;
	struct request *request = offer->request;
	enum service_end end;

	offer->wire = look->wire;
	end = offer->then(offer);
	free(offer);
	request_end(request, end);
}

/* Asks the asset that the request names which key it offers, then goes on with `then`. */
static enum service_end offer_look(
    struct request *request, const struct asset *asset, enum service_end (*then)(struct offer *))
{
	enum service_end end = engine_open(request, NEEDS_WIRES);
	struct offer *offer;

	if (end != SERVICE_OK)
		return end;
	offer = xcalloc(1, sizeof(*offer));
	*offer = (struct offer){.request = request, .asset = asset, .then = then};
	request->drop = free;
	request->drop_arg = offer;
	rotation_look(request->service->rotation, asset, LOOK_KEY, offer_done, offer);
	return SERVICE_LATER;
}

static bool offer_seen(const struct offer *offer)
{
	return offer->wire.fault == FAULT_NONE;
}

static json_t *offer_shape(const struct offer *offer, const char *word, json_t *pinned)
{
	return json_pack("{s:s, s:o, s:o, s:o}", "asset", offer->asset->name, "pinned", pinned,
	    word, offer_seen(offer) ? shape_wire_key(&offer->wire.host_key) : json_null(), "error",
	    shape_fault(&offer->wire));
}

static enum service_end offer_show(struct offer *offer)
{
	struct request *request = offer->request;
	struct vault_txn *txn = request_read(request);

	if (txn == NULL)
		return SERVICE_NO_ENGINE;
	request->result = offer_shape(offer, "offered", shape_host_keys(txn, offer->asset->name));
	vault_read_end(txn);
	return offer_seen(offer) ? SERVICE_OK : SERVICE_SOME;
}

enum service_end asset_look(struct request *request)
{
	const char *name = param_need(request, "asset");
	const struct asset *asset = name == NULL ? NULL : need_asset(request, name);

	return asset == NULL ? SERVICE_USAGE : offer_look(request, asset, offer_show);
}

struct pinning {
	const char *asset;
	struct host_key key;
};

static enum err pinning_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct pinning *pinning = arg;
	enum err err = host_key_forget(txn, pinning->asset);

	if (err == ERR_OK)
		err = host_key_pin(txn, pinning->asset, &pinning->key);
	return err == ERR_OK ? ERR_OK : error_set(error, err, "the key cannot be pinned");
}

static enum service_end pin(
    struct request *request, const struct asset *asset, const struct wire_key *key)
{
	struct service *service = request->service;
	struct pinning pinning = {
	    .asset = asset->name,
	    .key = {.len = key->len, .seen_ms = clock_wall_ms(loop_clock(service->loop))},
	};
	struct audit_event event = {.what = AUDIT_TRUST, .asset = asset->name};
	char fingerprint[WIRE_FINGERPRINT_SIZE];

	snprintf(pinning.key.type, sizeof(pinning.key.type), "%s", key->type);
	memcpy(pinning.key.blob, key->blob, key->len);
	snprintf(pinning.key.how, sizeof(pinning.key.how), "trust");
	event.object = wire_key_fingerprint(key, fingerprint);
	return request_write(request, pinning_apply, &pinning, &event) == ERR_OK
		   ? SERVICE_OK
		   : SERVICE_NO_ENGINE;
}

static enum service_end offer_pin(struct offer *offer)
{
	struct request *request = offer->request;
	const char *agreed = param_text(request, "fingerprint");
	enum service_end end = offer_seen(offer) ? SERVICE_OK : SERVICE_SOME;
	char offered[WIRE_FINGERPRINT_SIZE];

	if (end == SERVICE_OK &&
	    strcmp(agreed, wire_key_fingerprint(&offer->wire.host_key, offered)) != 0)
		return request_fail(request, SERVICE_USAGE,
		    "asset \"%s\" offers %s now, not %.64s: see that it is right, then lockstep "
		    "asset "
		    "trust %s; nothing was pinned",
		    offer->asset->name, offered, agreed, offer->asset->name);
	if (end == SERVICE_OK)
		end = pin(request, offer->asset, &offer->wire.host_key);
	if (end == SERVICE_OK || end == SERVICE_SOME)
		request->result = offer_shape(offer, "trusted", json_null());
	return end;
}

/* The asset is asked again: what it offers now must be what was agreed to. */
enum service_end asset_trust(struct request *request)
{
	const char *name = param_need(request, "asset");
	const struct asset *asset = name == NULL ? NULL : need_asset(request, name);

	if (asset == NULL || param_need(request, "fingerprint") == NULL)
		return SERVICE_USAGE;
	return offer_look(request, asset, offer_pin);
}
