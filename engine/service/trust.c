/* Trusting: what key an asset offers now, and pinning it in place of what was pinned. */
#include "service/engine.h"

#include <stdio.h>
#include <string.h>

#include "service/names.h"
#include "service/shape.h"

struct offer {
	struct request *request;
	struct wire_result wire;
};

static void offer_done(void *arg, const struct look_result *look)
{
	struct offer *offer = arg;

	offer->wire = look->wire;
	loop_stop(offer->request->service->loop);
}

static enum service_end offer_look(struct offer *offer, const struct asset *asset)
{
	struct service *service = offer->request->service;
	enum service_end end = engine_open(offer->request, NEEDS_WIRES);

	if (end != SERVICE_OK)
		return end;
	rotation_look(service->rotation, asset, LOOK_KEY, offer_done, offer);
	loop_run(service->loop);
	return offer->wire.fault == FAULT_NONE ? SERVICE_OK : SERVICE_SOME;
}

static json_t *offer_shape(
    const struct offer *offer, const struct asset *asset, const char *word, json_t *pinned)
{
	bool seen = offer->wire.fault == FAULT_NONE;

	return json_pack("{s:s, s:o, s:o, s:o}", "asset", asset->name, "pinned", pinned, word,
	    seen ? shape_wire_key(&offer->wire.host_key) : json_null(), "error",
	    shape_fault(&offer->wire));
}

enum service_end asset_look(struct request *request)
{
	struct offer offer = {.request = request};
	const char *name = param_need(request, "asset");
	const struct asset *asset = name == NULL ? NULL : need_asset(request, name);
	struct vault_txn *txn;
	enum service_end end;

	if (asset == NULL)
		return SERVICE_USAGE;
	end = offer_look(&offer, asset);
	if (end != SERVICE_OK && end != SERVICE_SOME)
		return end;
	txn = request_read(request);
	if (txn == NULL)
		return SERVICE_NO_ENGINE;
	request->result = offer_shape(&offer, asset, "offered", shape_host_keys(txn, asset->name));
	vault_read_end(txn);
	return end;
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

	snprintf(pinning.key.type, sizeof(pinning.key.type), "%s", key->type);
	memcpy(pinning.key.blob, key->blob, key->len);
	snprintf(pinning.key.how, sizeof(pinning.key.how), "trust");
	return vault_write(service->vault, pinning_apply, &pinning, request->error) == ERR_OK
		   ? SERVICE_OK
		   : SERVICE_NO_ENGINE;
}

/* The asset is asked again: what it offers now must be what was agreed to. */
enum service_end asset_trust(struct request *request)
{
	struct offer offer = {.request = request};
	const char *name = param_need(request, "asset");
	const struct asset *asset = name == NULL ? NULL : need_asset(request, name);
	const char *agreed = asset == NULL ? NULL : param_need(request, "fingerprint");
	char offered[WIRE_FINGERPRINT_SIZE];
	enum service_end end;

	if (agreed == NULL)
		return SERVICE_USAGE;
	end = offer_look(&offer, asset);
	if (end == SERVICE_OK &&
	    strcmp(agreed, wire_key_fingerprint(&offer.wire.host_key, offered)) != 0)
		return request_fail(request, SERVICE_USAGE,
		    "asset \"%s\" offers %s now, not %.64s; nothing was pinned", name, offered,
		    agreed);
	if (end == SERVICE_OK)
		end = pin(request, asset, &offer.wire.host_key);
	if (end == SERVICE_OK || end == SERVICE_SOME)
		request->result = offer_shape(&offer, asset, "trusted", json_null());
	return end;
}
