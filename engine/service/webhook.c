#include "service/webhook.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hmac.h"
#include "base/json.h"
#include "service/engine.h"
#include "service/shape.h"
#include "service/transfer.h"
#include "vault/notice.h"

#define HEADER_SIZE 512
#define HOST_SIZE   256
#define BODY_MAX    (256UL * 1024) /* more than a hundred records take */

/* ── The body ────────────────────────────────────────────────────────────────────────────── */

static json_t *shape_counts(const struct counts *counts)
{
	json_t *json = json_object();

	for (int status = 0; status < STATUS_COUNT; status++)
		json_object_set_new(json, status_name((enum status)status),
		    json_integer((json_int_t)counts->by_status[status]));
	return json;
}

/* As it was when it was queued; where it is not kept any more, what is known still. */
static json_t *shape_about(struct vault_txn *txn, const struct notice *notice)
{
	struct execution execution;

	if (id_is_none(&notice->execution))
		return json_null();
	if (execution_get(txn, &notice->execution, &execution) != ERR_OK)
		execution = (struct execution){.id = notice->execution};
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o}", "id", json_id(&execution.id),
	    "task", json_text(notice->task), "trigger", shape_word(execution.trigger), "started",
	    json_time(execution.started_ms), "ended", json_time(execution.ended_ms), "stopped",
	    shape_word(execution.stopped), "interrupted", execution.interrupted, "counts",
	    shape_counts(&notice->counts));
}

/* No asset's words: whoever wants these asks for the record. */
static json_t *shape_settled(struct vault_txn *txn, const struct notice *notice)
{
	json_t *array = json_array();

	for (size_t i = 0; i < notice->record_count; i++) {
		struct record record;

		if (record_get(txn, &notice->records[i], &record) != ERR_OK)
			continue;
		json_array_append_new(array,
		    json_pack("{s:o, s:o, s:o, s:s, s:s, s:o}", "id", json_id(&record.id), "asset",
			json_text(record.asset), "account", json_text(record.account), "kind",
			secret_kind_name(record.kind), "status", status_name(record.status),
			"reason", shape_word(record.reason)));
	}
	return array;
}

static int add_bytes(const char *bytes, size_t len, void *out)
{
	return buf_add(out, bytes, len) ? 0 : -1;
}

static void body_write(struct buf *out, struct vault_txn *txn, const struct notice *notice)
{
	json_int_t more = (json_int_t)notice->more;
	char host[HOST_SIZE] = "";
	json_t *json;

	if (gethostname(host, sizeof(host) - 1) != 0)
		host[0] = '\0';
	json = json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:s}", "id",
	    json_id(&notice->id), "event", notice->event, "at", json_time(notice->queued_ms),
	    "task", shape_word(notice->task), "execution", shape_about(txn, notice), "records",
	    shape_settled(txn, notice), "more", more, "text", shape_word(notice->text), "host",
	    json_text(host), "version", PACKAGE_VERSION);
	(void)json_dump_callback(json, add_bytes, out, JSON_COMPACT);
	json_decref(json);
}

/* ── The request ─────────────────────────────────────────────────────────────────────────── */

static void __attribute__((format(printf, 2, 3)))
header_add(struct transfer *transfer, const char *fmt, ...)
{
	char line[HEADER_SIZE];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	transfer->headers = curl_slist_append(transfer->headers, line);
}

/* The time is signed too: what someone recorded cannot be played again later. */
static enum err add_signature(struct transfer *transfer, const struct service *service,
    struct vault_txn *txn, const char *secret, const char *body, struct error *error)
{
	uint64_t now_s = clock_wall_ms(loop_clock(service->loop)) / 1000;
	char prefix[32], mac[HMAC_HEX_SIZE];
	struct secret *key;
	enum err err = named_secret_get(txn, secret, &key, error);

	if (err != ERR_OK)
		return err == ERR_NOT_FOUND ? ERR_DENIED : err;
	snprintf(prefix, sizeof(prefix), "%llu.", (unsigned long long)now_s);
	hmac_sha256_hex(key, prefix, body, mac);
	secret_free(key);
	header_add(transfer, "Lockstep-Signature: t=%llu,v1=%s", (unsigned long long)now_s, mac);
	return ERR_OK;
}

static void add_request(struct transfer *transfer, const struct webhook *webhook,
    const struct notice *notice, const char *body)
{
	CURL *curl = transfer->curl;
	char id[ID_TEXT_SIZE];

	header_add(transfer, "Content-Type: application/json");
	header_add(transfer, "Lockstep-Event: %s", notice->event);
	header_add(transfer, "Lockstep-Delivery: %s", id_text(&notice->id, id));
	header_add(transfer, "Expect:");
	curl_easy_setopt(curl, CURLOPT_URL, webhook->url);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "lockstep/" PACKAGE_VERSION);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	if (webhook->ca != NULL)
		curl_easy_setopt(curl, CURLOPT_CAINFO, webhook->ca);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, transfer->headers);
	curl_easy_setopt(curl, CURLOPT_POST, 1L);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(body));
	curl_easy_setopt(curl, CURLOPT_COPYPOSTFIELDS, body);
}

static const struct webhook *webhook_find(const struct settings *settings, const char *name)
{
	for (size_t i = 0; i < settings->webhook_count; i++)
		if (strcmp(settings->webhooks[i].name, name) == 0)
			return &settings->webhooks[i];
	return NULL;
}

enum err webhook_make(struct transfer **out, const struct service *service, struct vault_txn *txn,
    const struct notice *notice, struct error *error)
{
	const struct settings *settings = policy_settings(service->snapshot->policy);
	const struct webhook *webhook = webhook_find(settings, notice->to);
	struct transfer *transfer;
	struct buf body;
	enum err err;

	*out = NULL;
	if (webhook == NULL)
		return error_set(
		    error, ERR_NOT_FOUND, "the policy has no webhook of that name any more");
	transfer = transfer_new(settings->notify.timeout_ms);
	if (transfer == NULL)
		return error_set(error, ERR_LIMIT, "there is no memory for a transfer");
	buf_init(&body, BODY_MAX);
	body_write(&body, txn, notice);
	err = add_signature(transfer, service, txn, webhook->secret, buf_text(&body), error);
	add_request(transfer, webhook, notice, buf_text(&body));
	buf_clear(&body);
	if (err == ERR_OK)
		*out = transfer; /* transferred */
	else
		transfer_free(transfer);
	return err;
}

/* ── What came of it ─────────────────────────────────────────────────────────────────────── */

/* Whatever it refuses may be its mistake, and mended: all is tried again. */
enum sent webhook_sent(const struct transfer *transfer, CURLcode code, char why[WHY_SIZE])
{
	long status = 0;

	curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
	why[0] = '\0';
	if (code != CURLE_OK)
		snprintf(why, WHY_SIZE, "%.200s",
		    transfer->words[0] != '\0' ? transfer->words : curl_easy_strerror(code));
	else if (status >= 300 && status < 400)
		snprintf(why, WHY_SIZE,
		    "it answered %ld: it is elsewhere, and that is not followed; give its url as "
		    "it is",
		    status);
	else if (status < 200 || status >= 300)
		snprintf(why, WHY_SIZE, "it answered %ld", status);
	else
		return SENT_OK;
	return SENT_LATER;
}
