#include "service/shape.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "service/checkout.h"
#include "vault/copy.h"

json_t *shape_word(const char *word)
{
	return word == NULL || word[0] == '\0' ? json_null() : json_text(word);
}

static json_t *shape_number(uint64_t number)
{
	return number == 0 ? json_null() : json_integer((json_int_t)number);
}

/* ── What is declared ────────────────────────────────────────────────────────────────────── */

/* A problem's lines stay lines: they show the place. What others wrote in it is escaped already. */
json_t *shape_problems(const struct problems *problems)
{
	json_t *array = json_array();

	for (size_t i = 0; i < problems->count; i++) {
		const struct problem *problem = &problems->items[i];

		json_array_append_new(
		    array, json_pack("{s:o, s:o, s:s}", "file", shape_word(problem->file), "line",
			       shape_number(problem->line), "text", problem->text));
	}
	if (problems->more > 0) {
		char text[64];

		snprintf(text, sizeof(text), "and %zu more", problems->more);
		json_array_append_new(
		    array, json_pack("{s:n, s:n, s:s}", "file", "line", "text", text));
	}
	return array;
}

static json_t *shape_labels(const struct asset *asset)
{
	json_t *labels = json_object();

	for (size_t i = 0; i < asset->label_count; i++)
		json_object_set_new(
		    labels, asset->labels[i].key, json_text(asset->labels[i].value));
	return labels;
}

static json_t *shape_names(const char *const *names, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, json_text(names[i]));
	return array;
}

json_t *shape_asset(const struct asset *asset, struct vault_txn *txn)
{
	int port = asset->port;

	return json_pack("{s:o, s:o, s:i, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o}", "name",
	    json_text(asset->name), "address", json_text(asset->address), "port", port, "platform",
	    json_text(asset->platform), "node", json_text(asset->node), "admin",
	    shape_word(asset->admin), "become", become_name(asset->become), "gateway",
	    shape_word(asset->gateway), "accounts",
	    shape_names(asset->accounts, asset->account_count), "labels", shape_labels(asset),
	    "host_keys", shape_host_keys(txn, asset->name));
}

/* ── What was seen ───────────────────────────────────────────────────────────────────────── */

json_t *shape_error(const char *class, const char *code, const char *message)
{
	if (code == NULL || code[0] == '\0')
		return json_null();
	return json_pack(
	    "{s:s, s:s, s:o}", "class", class, "code", code, "message", json_text(message));
}

json_t *shape_fault(const struct wire_result *result)
{
	bool again = fault_class(result->fault) == FAULT_CLASS_RETRY;

	return shape_error(again ? "retry" : "permanent", fault_name(result->fault), result->text);
}

json_t *shape_wire_key(const struct wire_key *key)
{
	char fingerprint[WIRE_FINGERPRINT_SIZE];

	return json_pack("{s:o, s:s}", "type", json_text(key->type), "fingerprint",
	    wire_key_fingerprint(key, fingerprint));
}

json_t *shape_host_key(const struct host_key *pin)
{
	struct wire_key key = {.len = pin->len};
	json_t *shape;

	snprintf(key.type, sizeof(key.type), "%s", pin->type);
	memcpy(key.blob, pin->blob, pin->len);
	shape = shape_wire_key(&key);
	json_object_set_new(shape, "seen", json_time(pin->seen_ms));
	json_object_set_new(shape, "how", json_text(pin->how));
	return shape;
}

json_t *shape_host_keys(struct vault_txn *txn, const char *asset)
{
	struct host_key pins[HOST_KEYS_MAX];
	size_t count = host_key_list(txn, asset, pins);
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, shape_host_key(&pins[i]));
	return array;
}

/* ── What is kept ────────────────────────────────────────────────────────────────────────── */

const char *version_stage(const struct account *account, uint32_t number)
{
	if (number == account->pending)
		return "pending";
	if (number == account->current)
		return "current";
	return number == account->previous ? "previous" : "history";
}

json_t *shape_account(const struct account *account, struct vault_txn *txn, bool declared)
{
	struct version version = {.number = 0};

	if (account->current != 0 &&
	    version_get(txn, account, account->current, &version) != ERR_OK)
		version.number = 0;
	return json_pack("{s:o, s:o, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o}",
	    "asset", json_text(account->asset), "account", json_text(account->name), "state",
	    account_state_name(account_state(account)), "declared", declared, "current",
	    shape_number(account->current), "pending", shape_number(account->pending), "previous",
	    shape_number(account->previous), "kind",
	    account->last != 0 ? json_string(secret_kind_name(account->kind)) : json_null(),
	    "changed", json_time(account->changed_ms), "proof",
	    shape_word(proof_name(version.proof)), "proved", json_time(version.proved_ms), "stale",
	    account_is_stale(txn, account), "checkouts", shape_checkouts(txn, account));
}

const char *version_end_name(enum version_end end)
{
	static const char *const names[] = {
	    [VERSION_LIVE] = "",
	    [VERSION_REPLACED] = "replaced",
	    [VERSION_NOT_LIVE] = "not_live",
	    [VERSION_NO_VERDICT] = "no_verdict",
	};

	return names[end];
}

json_t *shape_version(const struct account *account, const struct version *version)
{
	json_int_t number = version->number;

	return json_pack("{s:I, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "number", number, "stage",
	    version_stage(account, version->number), "kind", secret_kind_name(version->kind),
	    "created", json_time(version->created_ms), "proof",
	    shape_word(proof_name(version->proof)), "proved", json_time(version->proved_ms), "end",
	    shape_word(version_end_name(version->end)), "ended", json_time(version->ended_ms),
	    "record", json_id(&version->record));
}

/* ── What was done ───────────────────────────────────────────────────────────────────────── */

/* Its first characters that no other's has. */
static json_t *shape_short(const struct id *id, size_t length)
{
	char text[ID_TEXT_SIZE];

	return json_stringn(id_text(id, text), length < ID_TEXT_SIZE ? length : ID_TEXT_SIZE - 1);
}

/* Whoever holds the vault holds it alone: what has not ended and does not run here was killed. */
static bool was_killed(const struct execution *execution, const struct service *service)
{
	if (execution->interrupted || execution->ended_ms != 0)
		return execution->interrupted;
	return service->rotation == NULL || !rotation_runs(service->rotation, &execution->id);
}

json_t *shape_execution(
    const struct execution *execution, struct vault_txn *txn, const struct service *service)
{
	json_t *counts = json_object();
	json_int_t total = 0;

	for (int status = 0; status < STATUS_COUNT; status++) {
		json_int_t count = (json_int_t)execution->counts.by_status[status];

		total += count;
		json_object_set_new(counts, status_name(status), json_integer(count));
	}
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:I, s:o}", "id",
	    json_id(&execution->id), "short",
	    txn == NULL ? json_null()
			: shape_short(&execution->id, execution_id_length(txn, &execution->id)),
	    "task", json_text(execution->task), "trigger", json_text(execution->trigger), "started",
	    json_time(execution->started_ms), "ended", json_time(execution->ended_ms),
	    "interrupted", was_killed(execution, service), "stopped",
	    shape_word(execution->stopped), "total", total, "counts", counts);
}

static json_t *shape_elapsed(const struct record *record)
{
	if (record->ended_ms < record->planned_ms || record->ended_ms == 0)
		return json_null();
	return json_integer((json_int_t)(record->ended_ms - record->planned_ms));
}

/* Beside a reason, text that is no error's: which record was busy with the account. */
static json_t *shape_detail(const struct record *record)
{
	return record->error_code[0] == '\0' ? shape_word(record->error_message) : json_null();
}

static json_t *shape_ignored(const struct record *record)
{
	if (record->ignored_ms == 0)
		return json_null();
	return json_pack("{s:o, s:o, s:o}", "by", json_text(record->ignored_by), "at",
	    json_time(record->ignored_ms), "why", json_text(record->ignored_why));
}

json_t *shape_record(const struct record *record, struct vault_txn *txn)
{
	json_int_t attempts = record->attempts, sends = record->sends;
	json_t *shape = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:s, s:o, s:o, s:o}", "id",
	    json_id(&record->id), "short",
	    txn == NULL ? json_null()
			: shape_short(&record->id, record_id_length(txn, &record->id)),
	    "execution", json_id(&record->execution), "task", json_text(record->task), "asset",
	    json_text(record->asset), "account", json_text(record->account), "kind",
	    secret_kind_name(record->kind), "status", status_name(record->status), "reason",
	    shape_word(record->reason), "error",
	    shape_error(record->error_class, record->error_code, record->error_message), "detail",
	    shape_detail(record));
	const char *method = proof_name(record->proof);
	json_t *facts = json_pack(
	    "{s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "ignored",
	    shape_ignored(record), "old_version", shape_number(record->old_version), "new_version",
	    shape_number(record->new_version), "method", shape_word(method), "proof",
	    shape_word(record->proved_ms != 0 ? method : ""), "attempts", attempts, "sends", sends,
	    "planned", json_time(record->planned_ms), "staged", json_time(record->staged_ms),
	    "sent", json_time(record->sent_ms), "proved", json_time(record->proved_ms), "ended",
	    json_time(record->ended_ms), "elapsed_ms", shape_elapsed(record));

	json_object_update(shape, facts);
	json_decref(facts);
	return shape;
}

bool record_is_fine(const struct record *record)
{
	switch (record->status) {
	case STATUS_SUCCESS: return true;
	case STATUS_SKIPPED:
		return strcmp(record->reason, "secure_mode") == 0 ||
		       strcmp(record->reason, "no_secret") == 0;
	case STATUS_UNVERIFIED: return strcmp(record->reason, "not_asked") == 0;
	default: return false;
	}
}
