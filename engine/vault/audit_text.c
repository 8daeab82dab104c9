#include "vault/audit_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/text.h"

static const char *const whats[AUDIT_WHAT_COUNT] = {
    [AUDIT_SIGN] = "sign",
    [AUDIT_POLICY] = "policy",
    [AUDIT_LOGIN] = "login",
    [AUDIT_CODE] = "code",
    [AUDIT_PERMISSION] = "permission",
    [AUDIT_REVEAL] = "reveal",
    [AUDIT_APPROVE] = "approve",
    [AUDIT_CHECKOUT] = "checkout",
    [AUDIT_CHECKIN] = "checkin",
    [AUDIT_RUN] = "run",
    [AUDIT_CANCEL] = "cancel",
    [AUDIT_PAUSE] = "pause",
    [AUDIT_RESUME] = "resume",
    [AUDIT_TASK] = "task",
    [AUDIT_IGNORE] = "ignore",
    [AUDIT_UNIGNORE] = "unignore",
    [AUDIT_IMPORT] = "import",
    [AUDIT_RENAME] = "rename",
    [AUDIT_TRUST] = "trust",
    [AUDIT_SECRET_SET] = "secret_set",
    [AUDIT_SECRET_DELETE] = "secret_delete",
    [AUDIT_NOTICE] = "notice",
    [AUDIT_USER] = "user",
    [AUDIT_TOKEN] = "token",
    [AUDIT_EXPORT] = "export",
    [AUDIT_BACKUP] = "backup",
    [AUDIT_RESTORE] = "restore",
    [AUDIT_REKEY] = "rekey",
    [AUDIT_AUDIT_EXPORT] = "audit_export",
};

const char *audit_what_name(enum audit_what what)
{
	return whats[what];
}

const char *audit_outcome_name(enum audit_outcome outcome)
{
	static const char *const names[AUDIT_OUTCOME_COUNT] = {
	    [AUDIT_DONE] = "done", [AUDIT_REFUSED] = "refused", [AUDIT_FAILED] = "failed"};

	return names[outcome];
}

const char *audit_origin_name(enum audit_origin origin)
{
	static const char *const names[AUDIT_ORIGIN_COUNT] = {
	    [AUDIT_ENGINE] = "engine",
	    [AUDIT_COMMAND] = "command",
	    [AUDIT_SOCKET] = "socket",
	    [AUDIT_TLS] = "tls",
	    [AUDIT_SCHEDULE] = "schedule",
	};

	return names[origin];
}

/* ── Hexadecimal ─────────────────────────────────────────────────────────────────────────── */

void hex_of(const uint8_t *bytes, size_t len, char *out)
{
	for (size_t i = 0; i < len; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

bool hex_read(const char *text, uint8_t *bytes, size_t len)
{
	if (text == NULL || strlen(text) != 2 * len || strspn(text, "0123456789abcdef") != 2 * len)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned byte;

		sscanf(text + 2 * i, "%2x", &byte);
		bytes[i] = (uint8_t)byte;
	}
	return true;
}

/* ── There ───────────────────────────────────────────────────────────────────────────────── */

static void set_text(json_t *object, const char *key, const char *text)
{
	if (text[0] != '\0')
		json_object_set_new(object, key, json_string(text));
}

static void set_number(json_t *object, const char *key, uint64_t number)
{
	json_object_set_new(object, key, json_integer((json_int_t)number));
}

static void set_hex(json_t *object, const char *key, const uint8_t *bytes, size_t len)
{
	char hex[AUDIT_HEX_SIZE];

	hex_of(bytes, len, hex);
	json_object_set_new(object, key, json_string(hex));
}

/* In this order, and what is empty is left out: one entry has one line. */
static json_t *entry_shape(const struct audit_entry *entry)
{
	json_t *object = json_object();
	char at[32];

	set_number(object, "number", entry->number);
	set_text(object, "at", text_rfc3339(at, entry->at_ms));
	set_text(object, "what", entry->what);
	set_text(object, "outcome", entry->outcome);
	set_text(object, "origin", entry->origin);
	if (entry->has_uid)
		set_number(object, "uid", entry->uid);
	set_text(object, "user", entry->user);
	set_text(object, "address", entry->address);
	set_text(object, "token", entry->token);
	set_text(object, "task", entry->task);
	set_text(object, "asset", entry->asset);
	set_text(object, "account", entry->account);
	set_text(object, "object", entry->object);
	if (entry->version != 0)
		set_number(object, "version", entry->version);
	set_text(object, "execution", entry->execution);
	set_text(object, "detail", entry->detail);
	return object;
}

static size_t shape_write(json_t *shape, char *out)
{
	size_t len = json_dumpb(shape, out, AUDIT_LINE_SIZE - 1, JSON_COMPACT);

	json_decref(shape);
	/* Of an entry that we made it cannot be too long, as its fields are capped. */
	if (len >= AUDIT_LINE_SIZE)
		len = 0;
	out[len] = '\0';
	return len;
}

static json_t *signed_shape(const struct audit_entry *entry)
{
	json_t *shape = entry_shape(entry);

	if (entry->is_signed)
		set_hex(shape, "signature", entry->signature, AUDIT_SIGNATURE_SIZE);
	return shape;
}

const char *audit_line(const struct audit_entry *entry, char *out)
{
	json_t *shape = signed_shape(entry);

	set_hex(shape, "hash", entry->hash, AUDIT_HASH_SIZE);
	shape_write(shape, out);
	return out;
}

/* ── Hashes and what is signed ───────────────────────────────────────────────────────────── */

#define GENESIS "lockstep audit 1\n"

void audit_genesis(const struct id *vault, uint8_t hash[AUDIT_HASH_SIZE])
{
	char id[ID_TEXT_SIZE];

	id_text(vault, id);
	digest_of_two(GENESIS, sizeof(GENESIS) - 1, id, strlen(id), hash);
}

void audit_hash(struct audit_entry *entry, const uint8_t before[AUDIT_HASH_SIZE])
{
	char line[AUDIT_LINE_SIZE];
	size_t len = shape_write(signed_shape(entry), line);

	digest_of_two(before, AUDIT_HASH_SIZE, line, len, entry->hash);
}

size_t audit_signed_text(const char *vault_id, const uint8_t before[AUDIT_HASH_SIZE],
    const struct audit_entry *entry, char *out)
{
	char line[AUDIT_LINE_SIZE], hex[2 * AUDIT_HASH_SIZE + 1];

	shape_write(entry_shape(entry), line);
	hex_of(before, AUDIT_HASH_SIZE, hex);
	return (size_t)snprintf(out, AUDIT_SIGNED_SIZE, GENESIS "%s\n%s\n%s", vault_id, hex, line);
}

/* ── And back ────────────────────────────────────────────────────────────────────────────── */

static void get_text(const json_t *object, const char *key, char *out, size_t size)
{
	const char *text = json_string_value(json_object_get(object, key));

	snprintf(out, size, "%s", text == NULL ? "" : text);
}

static uint64_t get_number(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

static uint64_t get_time(const json_t *object)
{
	const char *text = json_string_value(json_object_get(object, "at"));
	uint64_t at_ms;

	return text != NULL && text_moment_ms(text, &at_ms) ? at_ms : 0;
}

static void entry_read(const json_t *object, struct audit_entry *entry)
{
	*entry = (struct audit_entry){
	    .number = get_number(object, "number"),
	    .at_ms = get_time(object),
	    .has_uid = json_is_integer(json_object_get(object, "uid")),
	    .uid = get_number(object, "uid"),
	    .version = (uint32_t)get_number(object, "version"),
	};
	get_text(object, "what", entry->what, sizeof(entry->what));
	get_text(object, "outcome", entry->outcome, sizeof(entry->outcome));
	get_text(object, "origin", entry->origin, sizeof(entry->origin));
	get_text(object, "user", entry->user, sizeof(entry->user));
	get_text(object, "address", entry->address, sizeof(entry->address));
	get_text(object, "token", entry->token, sizeof(entry->token));
	get_text(object, "task", entry->task, sizeof(entry->task));
	get_text(object, "asset", entry->asset, sizeof(entry->asset));
	get_text(object, "account", entry->account, sizeof(entry->account));
	get_text(object, "object", entry->object, sizeof(entry->object));
	get_text(object, "execution", entry->execution, sizeof(entry->execution));
	get_text(object, "detail", entry->detail, sizeof(entry->detail));
	entry->is_signed = hex_read(json_string_value(json_object_get(object, "signature")),
	    entry->signature, AUDIT_SIGNATURE_SIZE);
}

/* Read, and written again: what is not the same is not what we wrote, wherever it differs. */
bool audit_parse(const char *line, struct audit_entry *entry)
{
	char again[AUDIT_LINE_SIZE];
	json_error_t error;
	json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, &error);
	bool good;

	if (object == NULL)
		return false;
	entry_read(object, entry);
	good = hex_read(
	    json_string_value(json_object_get(object, "hash")), entry->hash, AUDIT_HASH_SIZE);
	json_decref(object);
	return good && strcmp(audit_line(entry, again), line) == 0;
}
