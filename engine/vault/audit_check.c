/* Checking the audit log: each line, what it follows, and what is signed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/mem.h"
#include "base/text.h"
#include "vault/audit_text.h"
#include "vault/trail.h"
#include "vault/vault_state.h"

#define EXPORT_VERSION 1

struct check {
	EVP_PKEY *pkey;			 /* NULL: nothing was signed, as there is no key */
	uint8_t before[AUDIT_HASH_SIZE]; /* that the next entry follows */
	uint64_t next;			 /* its number */
	size_t line;			 /* 0 = not of a file */
	struct audit_report *report;
	struct error *error;
	enum err err;
};

static enum err wrong(struct check *check, uint64_t number, const char *what)
{
	char place[64] = "";

	if (check->line > 0)
		snprintf(place, sizeof(place), "line %zu: ", check->line);
	check->err = error_set(check->error, ERR_CORRUPT,
	    "the audit log is not as it was written: %sentry %llu: %s", place,
	    (unsigned long long)number, what);
	return check->err;
}

/* ── One entry ───────────────────────────────────────────────────────────────────────────── */

static bool signature_holds(const struct check *check, const struct audit_entry *entry)
{
	char text[AUDIT_SIGNED_SIZE];
	size_t len = audit_signed_text(check->report->vault, check->before, entry, text);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool holds = ctx != NULL && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, check->pkey) == 1 &&
		     EVP_DigestVerify(ctx, entry->signature, sizeof(entry->signature),
			 (const unsigned char *)text, len) == 1;

	EVP_MD_CTX_free(ctx);
	return holds;
}

static void note_signature(struct check *check, const struct audit_entry *entry)
{
	check->report->signatures++;
	check->report->signed_to = entry->number;
	check->report->signed_at_ms = entry->at_ms;
}

static enum err check_entry(struct check *check, const struct audit_entry *entry)
{
	struct audit_entry computed = *entry;
	char text[64];

	if (entry->number != check->next) {
		snprintf(text, sizeof(text), "entry %llu should stand here",
		    (unsigned long long)check->next);
		return wrong(check, entry->number, text);
	}
	audit_hash(&computed, check->before);
	if (memcmp(computed.hash, entry->hash, AUDIT_HASH_SIZE) != 0)
		return wrong(check, entry->number,
		    "its hash is not that of what it says and of what stands before it: one of "
		    "them was changed");
	if (strcmp(entry->what, audit_what_name(AUDIT_SIGN)) == 0 || entry->is_signed) {
		if (check->pkey == NULL || !entry->is_signed || !signature_holds(check, entry))
			return wrong(check, entry->number,
			    "its signature is not this key's over what stands before it");
		note_signature(check, entry);
	}
	memcpy(check->before, entry->hash, AUDIT_HASH_SIZE);
	if (check->report->first == 0)
		check->report->first = entry->number;
	check->report->last = entry->number;
	check->report->count++;
	check->next++;
	return ERR_OK;
}

static EVP_PKEY *public_pkey(const uint8_t key[AUDIT_KEY_SIZE])
{
	return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, AUDIT_KEY_SIZE);
}

/* ── The vault's own ─────────────────────────────────────────────────────────────────────── */

static bool check_row(void *arg, const struct audit_entry *entry)
{
	return check_entry(arg, entry) == ERR_OK;
}

enum err audit_check(struct vault_txn *txn, struct audit_report *report, struct error *error)
{
	struct check check = {.next = 1, .report = report, .error = error, .err = ERR_OK};
	const struct id *id = seal_vault(txn->vault->seal);
	uint8_t key[AUDIT_KEY_SIZE];
	enum err err = trail_public_key(txn, key);

	*report = (struct audit_report){.count = 0};
	if (err != ERR_OK && err != ERR_NOT_FOUND)
		return error_set(error, err, "the audit log's key is damaged");
	check.pkey = err == ERR_OK ? public_pkey(key) : NULL;
	id_text(id, report->vault);
	audit_genesis(id, check.before);
	audit_each(txn, 0, check_row, &check);
	EVP_PKEY_free(check.pkey);
	if (check.err == ERR_OK && txn->trouble.code != ERR_OK)
		return error_set(error, txn->trouble.code, "%s", txn->trouble.text);
	return check.err;
}

/* ── An export ───────────────────────────────────────────────────────────────────────────── */

static const char *head_write(const char *vault, const char *key, uint64_t after,
    const uint8_t hash[AUDIT_HASH_SIZE], char *out)
{
	char hex[2 * AUDIT_HASH_SIZE + 1];

	hex_of(hash, AUDIT_HASH_SIZE, hex);
	snprintf(out, AUDIT_LINE_SIZE,
	    "{\"audit\":%d,\"vault\":\"%s\",\"key\":\"%s\",\"after\":%llu,\"hash\":\"%s\"}",
	    EXPORT_VERSION, vault, key, (unsigned long long)after, hex);
	return out;
}

enum err audit_head_line(struct vault_txn *txn, uint64_t after, char *out)
{
	uint8_t key[AUDIT_KEY_SIZE], hash[AUDIT_HASH_SIZE];
	char id[ID_TEXT_SIZE], hex[AUDIT_KEY_TEXT_SIZE];
	enum err err = trail_public_key(txn, key);

	if (err == ERR_OK)
		err = trail_hash(txn, after, hash);
	if (err != ERR_OK)
		return err;
	hex_of(key, sizeof(key), hex);
	head_write(id_text(seal_vault(txn->vault->seal), id), hex, after, hash, out);
	return ERR_OK;
}

static enum err no_export(struct error *error)
{
	return error_set(error, ERR_INVALID,
	    "this does not begin as an export of the audit log does, or its first line was "
	    "changed: lockstep audit export makes one");
}

/* Read, and written again, as every line. */
static enum err head_check(struct check *check, const char *line, const char *key)
{
	char again[AUDIT_LINE_SIZE];
	json_error_t json_error;
	json_t *head = json_loads(line, JSON_REJECT_DUPLICATES, &json_error);
	const char *vault = json_string_value(json_object_get(head, "vault"));
	const char *kept = json_string_value(json_object_get(head, "key"));
	uint64_t after = (uint64_t)json_integer_value(json_object_get(head, "after"));
	enum err err = ERR_OK;

	if (vault == NULL || kept == NULL || strlen(vault) >= ID_TEXT_SIZE ||
	    strlen(kept) >= AUDIT_KEY_TEXT_SIZE ||
	    !hex_read(
		json_string_value(json_object_get(head, "hash")), check->before, AUDIT_HASH_SIZE) ||
	    strcmp(head_write(vault, kept, after, check->before, again), line) != 0)
		err = no_export(check->error);
	else if (strcmp(kept, key) != 0)
		err = error_set(check->error, ERR_CORRUPT,
		    "this says that it is signed by another key (%s) than the one that was given: "
		    "it is another vault's, or was made by someone else",
		    kept);
	else
		memcpy(check->report->vault, vault, strlen(vault) + 1);
	check->next = after + 1;
	json_decref(head);
	return err;
}

/* Where nothing was left out before it, the beginning is the vault's own. */
static enum err genesis_check(struct check *check)
{
	uint8_t hash[AUDIT_HASH_SIZE];
	struct id id, high;

	if (check->next != 1)
		return ERR_OK;
	if (!id_range(check->report->vault, &id, &high) || !id_equal(&id, &high))
		return no_export(check->error);
	audit_genesis(&id, hash);
	return memcmp(hash, check->before, sizeof(hash)) == 0 ? ERR_OK : no_export(check->error);
}

/* Without its end. ERR_NOT_FOUND: there is no more. */
static enum err line_read(struct check *check, FILE *file, char *line)
{
	size_t len;

	check->line++;
	if (fgets(line, AUDIT_LINE_SIZE + 1, file) == NULL)
		return ferror(file) ? error_set(check->error, ERR_IO, "it cannot be read: %s",
					  strerror(errno))
				    : ERR_NOT_FOUND;
	len = strlen(line);
	if (len > 0 && line[len - 1] == '\n') {
		line[len - 1] = '\0';
		return ERR_OK;
	}
	return error_set(check->error, ERR_CORRUPT,
	    "the audit log is not as it was written: line %zu has no end, or is longer than any: "
	    "it was cut or changed",
	    check->line);
}

static enum err lines_check(struct check *check, FILE *file)
{
	char line[AUDIT_LINE_SIZE + 1];
	struct audit_entry entry;
	enum err err;

	while ((err = line_read(check, file, line)) == ERR_OK) {
		if (!audit_parse(line, &entry))
			return wrong(check, check->next,
			    "the line is not as an entry is written: it was changed");
		err = check_entry(check, &entry);
		if (err != ERR_OK)
			return err;
	}
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err file_check(struct check *check, FILE *file, const char *key)
{
	char line[AUDIT_LINE_SIZE + 1];
	enum err err = line_read(check, file, line);

	if (err == ERR_NOT_FOUND)
		return no_export(check->error);
	if (err == ERR_OK)
		err = head_check(check, line, key);
	if (err == ERR_OK)
		err = genesis_check(check);
	if (err == ERR_OK)
		err = lines_check(check, file);
	if (err == ERR_OK &&
	    (check->report->count == 0 || check->report->signed_to != check->report->last))
		err = error_set(check->error, ERR_CORRUPT,
		    "it does not end with a signature, as every export does: what stood behind "
		    "entry %llu was cut off",
		    (unsigned long long)check->report->last);
	return err;
}

enum err audit_check_file(
    FILE *file, const char *key, struct audit_report *report, struct error *error)
{
	struct check check = {.report = report, .error = error};
	uint8_t bytes[AUDIT_KEY_SIZE];
	enum err err;

	*report = (struct audit_report){.count = 0};
	if (!hex_read(key, bytes, sizeof(bytes)))
		return error_set(error, ERR_INVALID,
		    "that is no public key of an audit log: give the %d hexadecimal digits that "
		    "lockstep audit key has printed",
		    2 * AUDIT_KEY_SIZE);
	check.pkey = public_pkey(bytes);
	err = check.pkey == NULL
		  ? error_set(error, ERR_INVALID, "OpenSSL takes no such Ed25519 key")
		  : file_check(&check, file, key);
	EVP_PKEY_free(check.pkey);
	return err;
}
