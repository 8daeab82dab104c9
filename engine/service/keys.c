#include "service/keys.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "service/audit.h"
#include "service/names.h"

#define RESEAL_PAUSE_MS 10 /* between two commits: others have their turn */

/* ── The source ──────────────────────────────────────────────────────────────────────────── */

struct key_source key_source_of(struct service *service, const struct master_key *key)
{
	return (struct key_source){
	    .file = key->file,
	    .credential = key->credential,
	    .command = key->command,
	    .timeout_ms = key->timeout_ms,
	    .passphrase = key->passphrase,
	    .ask = service->ask_passphrase,
	    .arg = service->arg,
	};
}

static bool can_wait(const struct master_key *key)
{
	return key->command != NULL || (key->passphrase && key->credential == NULL);
}

char *key_warning(struct service *service, const struct master_key *key)
{
	struct key_source source = key_source_of(service, key);
	struct error error;

	if (can_wait(key) || vault_key_confirm(service->vault, &source, &error) == ERR_OK)
		return NULL;
	return xasprintf("the engine goes on, and could not be started again: %s", error.text);
}

/* ── Sealing anew ────────────────────────────────────────────────────────────────────────── */

static void reseal_end(struct resealing *resealing, enum err err, const struct error *error)
{
	void (*done)(void *, enum err, const struct error *) = resealing->done;

	resealing->working = false;
	resealing->done = NULL;
	if (err == ERR_OK)
		log_event(LOG_LEVEL_INFO, "sealed_anew", NULL);
	else
		log_event(LOG_LEVEL_ERROR, "not_sealed_anew", "error", error->text, NULL);
	if (done != NULL)
		done(resealing->arg, err, error);
}

static void reseal_turn(void *arg)
{
	struct resealing *resealing = arg;
	struct service *service = resealing->service;
	struct error error = {.code = ERR_OK};
	bool more;
	enum err err = vault_reseal(service->vault, &more, &error);

	if (err == ERR_OK && more)
		timer_start(loop_clock(service->loop), &resealing->timer, RESEAL_PAUSE_MS);
	else
		reseal_end(resealing, err, &error);
}

void reseal_begin(
    struct service *service, void (*done)(void *arg, enum err, const struct error *), void *arg)
{
	struct resealing *resealing = &service->resealing;
	struct key_facts facts;

	vault_key_facts(service->vault, &facts);
	if (facts.data_keys < 2 && done == NULL)
		return;
	resealing->done = done;
	resealing->arg = arg;
	if (resealing->working)
		return;
	resealing->service = service;
	resealing->working = true;
	resealing->timer = (struct timer){.fn = reseal_turn, .arg = resealing};
	timer_start(loop_clock(service->loop), &resealing->timer, 0);
}

void reseal_stop(struct service *service)
{
	timer_stop(&service->resealing.timer);
	service->resealing.working = false;
	service->resealing.done = NULL;
}

/* ── Another key ─────────────────────────────────────────────────────────────────────────── */

struct changing {
	struct request *request;
	const struct master_key *from, *to; /* the same: a new key in the same place */
	struct secret *material;
	char *kept; /* where an older backup's key is; NULL = it stays where it was */
};

static void changing_free(void *arg)
{
	struct changing *changing = arg;

	secret_free(changing->material);
	free(changing->kept);
	free(changing);
}

static bool is_here(const struct changing *changing)
{
	return changing->from == changing->to;
}

static enum service_end refuse_place(struct changing *changing)
{
	return request_fail(changing->request, SERVICE_USAGE,
	    "\"master_key\" is a %s, which is not ours to write: make a new one there "
	    "under another name, set next_master_key to it in the settings, and run this again",
	    changing->to->command != NULL ? "command" : "credential");
}

/* What the new one is made of. */
static enum service_end material_read(struct changing *changing)
{
	struct request *request = changing->request;
	const struct master_key *to = changing->to;
	struct key_source source = key_source_of(request->service, to);
	const char *passphrase = param_text(request, "passphrase");
	enum err err;

	if (is_here(changing) && (to->command != NULL || to->credential != NULL))
		return refuse_place(changing);
	if (to->command != NULL && request->service->daemon != NULL)
		return request_fail(request, SERVICE_USAGE,
		    "\"next_master_key\" is a command, for which a running engine does not wait: "
		    "stop "
		    "lockstepd, run this again, and start it");
	if (to->passphrase && to->credential == NULL) {
		if (passphrase == NULL)
			return request_fail(request, SERVICE_USAGE,
			    "the parameter \"passphrase\" is missing: the new one");
		changing->material = secret_from(passphrase, strlen(passphrase));
		return changing->material != NULL ? SERVICE_OK
						  : request_fail(request, SERVICE_NO_ENGINE,
							"the memory for secrets is full");
	}
	err = is_here(changing) ? key_file_make(to->file, &changing->material, request->error)
				: key_read(&source, &changing->material, request->error);
	return err == ERR_OK ? SERVICE_OK : SERVICE_NO_ENGINE;
}

static const char *way_of(const struct master_key *key)
{
	return key->passphrase		 ? "passphrase"
	       : key->credential != NULL ? "credential"
	       : key->command != NULL	 ? "command"
					 : "file";
}

static enum service_end slot_add(struct changing *changing)
{
	struct request *request = changing->request;
	struct audit_event event = {
	    .what = AUDIT_REKEY,
	    .object = way_of(changing->to),
	    .detail = is_here(changing) ? "a new key in its place" : "another source",
	};
	struct rekey *rekey;
	enum err err = rekey_new(&rekey, request->service->vault, changing->material,
	    changing->to->passphrase, request->error);

	if (err != ERR_OK)
		return err == ERR_BUSY ? SERVICE_USAGE : SERVICE_NO_ENGINE;
	err = request_write(request, rekey_apply, rekey, &event);
	if (err == ERR_OK)
		rekey_done(rekey);
	rekey_free(rekey);
	return err == ERR_OK ? SERVICE_OK : SERVICE_NO_ENGINE;
}

/* A file's new key takes its place; then the old one opens nothing any more. */
static enum service_end key_place(struct changing *changing)
{
	struct request *request = changing->request;
	struct service *service = request->service;
	struct key_source source = key_source_of(service, changing->to);
	uint64_t now_ms = clock_wall_ms(loop_clock(service->loop));

	if (!is_here(changing) || changing->to->file == NULL)
		return SERVICE_OK;
	if (key_file_place(changing->to->file, now_ms, &changing->kept, request->error) != ERR_OK ||
	    vault_key_confirm(service->vault, &source, request->error) != ERR_OK)
		return SERVICE_NO_ENGINE;
	return SERVICE_OK;
}

static void changing_end(void *arg, enum err err, const struct error *error)
{
	struct changing *changing = arg;
	struct request *request = changing->request;
	struct key_facts facts;
	enum service_end end = SERVICE_OK;

	if (err == ERR_OK) {
		vault_key_facts(request->service->vault, &facts);
		request->result = json_pack("{s:s, s:I, s:b, s:o}", "source", way_of(changing->to),
		    "data_key", (json_int_t)facts.data_key, "confirmed", facts.slots == 1, "kept",
		    changing->kept == NULL ? json_null() : json_string(changing->kept));
	} else {
		end = request_fail(request, SERVICE_NO_ENGINE,
		    "the key is changed, and values that were sealed before are not all sealed "
		    "anew: %s; lockstep vault rekey --resume goes on",
		    error->text);
	}
	changing_free(changing);
	request->drop = NULL;
	request_end(request, end);
}

/* Where a passphrase took another's place, the settings name the new one by naming what they did.
 */
static void passphrase_confirm(struct changing *changing)
{
	struct service *service = changing->request->service;
	struct error error;

	if (is_here(changing) && changing->to->passphrase && changing->to->credential == NULL &&
	    vault_key_take_newest(service->vault, &error) != ERR_OK)
		log_event(LOG_LEVEL_WARN, "rekey_not_confirmed", "error", error.text, NULL);
}

static enum service_end changing_begin(struct changing *changing)
{
	enum service_end end = material_read(changing);

	if (end == SERVICE_OK)
		end = slot_add(changing);
	if (end == SERVICE_OK)
		end = key_place(changing);
	if (end == SERVICE_OK)
		passphrase_confirm(changing);
	return end;
}

static const struct settings *settings_now(const struct request *request)
{
	return policy_settings(request->policy);
}

enum service_end vault_rekey(struct request *request)
{
	const struct settings *settings = settings_now(request);
	bool resume = param_flag(request, "resume");
	struct changing *changing = xcalloc(1, sizeof(*changing));
	enum service_end end = SERVICE_OK;

	changing->request = request;
	changing->from = changing->to = &settings->master_key;
	if (master_key_is_set(&settings->next_master_key) &&
	    !master_key_same(&settings->next_master_key, &settings->master_key))
		changing->to = &settings->next_master_key;
	if (resume)
		request->must_audit = false; /* the change itself was */
	else
		end = changing_begin(changing);
	if (end != SERVICE_OK) {
		changing_free(changing);
		return end;
	}
	request->drop = changing_free;
	request->drop_arg = changing;
	reseal_begin(request->service, changing_end, changing);
	return SERVICE_LATER;
}
