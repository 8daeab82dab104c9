/* The break-glass file: every secret as readable JSON, encrypted to a certificate. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/cms.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/digest.h"
#include "base/json.h"
#include "base/text.h"
#include "vault/copy.h"
#include "vault/vault_state.h"

#define EXPORT_VERSION 1

struct exporting {
	struct vault_txn *txn;
	BIO *out; /* what is written to it comes out encrypted */
	struct export_report *report;
	struct error *error;
	enum err err;
	bool first; /* of the array that is open */
};

/* ── The recipient ───────────────────────────────────────────────────────────────────────── */

static X509 *certificate_read(const char *text, struct error *error)
{
	BIO *bio = BIO_new_mem_buf(text, (int)strlen(text));
	X509 *certificate = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, NULL, NULL);

	BIO_free(bio);
	if (certificate == NULL)
		error_set(error, ERR_INVALID,
		    "the recipient's file is no certificate in PEM: give one that begins with "
		    "\"-----BEGIN CERTIFICATE-----\"");
	return certificate;
}

static void recipient_describe(X509 *certificate, struct export_report *report)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	X509_NAME_oneline(
	    X509_get_subject_name(certificate), report->recipient, sizeof(report->recipient));
	if (X509_digest(certificate, EVP_sha256(), digest, &len) == 1 && len == DIGEST_SIZE)
		digest_text(digest, report->fingerprint);
}

enum err export_recipient(const char *text, struct export_report *report, struct error *error)
{
	X509 *certificate = certificate_read(text, error);

	*report = (struct export_report){.accounts = 0};
	if (certificate == NULL)
		return ERR_INVALID;
	recipient_describe(certificate, report);
	X509_free(certificate);
	return ERR_OK;
}

/* ── Writing ─────────────────────────────────────────────────────────────────────────────── */

static enum err not_written(struct exporting *exporting)
{
	exporting->err = error_set(exporting->error, ERR_IO,
	    "the export cannot be written: %s: make room, or name another place",
	    errno != 0 ? strerror(errno) : "OpenSSL refuses");
	return exporting->err;
}

static enum err put(struct exporting *exporting, const char *text, size_t len)
{
	if (len > 0 && BIO_write(exporting->out, text, (int)len) != (int)len)
		return not_written(exporting);
	return ERR_OK;
}

static enum err put_text(struct exporting *exporting, const char *text)
{
	return put(exporting, text, strlen(text));
}

static int put_part(const char *bytes, size_t len, void *arg)
{
	return put(arg, bytes, len) == ERR_OK ? 0 : -1;
}

/* An element of the array that is open, on lines of its own. `shape` becomes ours. */
static bool put_element(struct exporting *exporting, json_t *shape)
{
	if (put_text(exporting, exporting->first ? "\n" : ",\n") == ERR_OK &&
	    json_dump_callback(shape, put_part, exporting, JSON_COMPACT) != 0 &&
	    exporting->err == ERR_OK)
		exporting->err = error_set(
		    exporting->error, ERR_LIMIT, "there is no memory to write an account");
	exporting->first = false;
	json_decref(shape);
	return exporting->err == ERR_OK;
}

/* What is no text stands in hexadecimal: nothing is left out. */
static void set_secret(json_t *object, const char *key, const struct secret *secret)
{
	json_t *text =
	    secret == NULL ? json_null() : json_stringn(secret_data(secret), secret_len(secret));
	json_t *hex;
	char name[64];

	if (text != NULL) {
		json_object_set_new(object, key, text);
		return;
	}
	hex = json_array();
	for (size_t i = 0; i < secret_len(secret); i++)
		json_array_append_new(hex, json_integer((uint8_t)secret_data(secret)[i]));
	snprintf(name, sizeof(name), "%s_bytes", key);
	json_object_set_new(object, name, hex);
}

/* ── Accounts ────────────────────────────────────────────────────────────────────────────── */

struct listing {
	struct exporting *exporting;
	const struct account *account;
	json_t *versions;
};

static const char *stage_of(const struct account *account, uint32_t number)
{
	if (number == account->current)
		return "current";
	if (number == account->pending)
		return "pending";
	return number == account->previous ? "previous" : "retired";
}

static bool add_version(void *arg, const struct version *version)
{
	struct listing *listing = arg;
	struct exporting *exporting = listing->exporting;
	json_int_t number = version->number;
	struct secret *secret, *passphrase;
	json_t *shape;

	exporting->err = version_open(exporting->txn, listing->account, version->number, &secret,
	    &passphrase, exporting->error);
	if (exporting->err != ERR_OK)
		return false;
	shape = json_pack("{s:I, s:s, s:o, s:s, s:o}", "version", number, "stage",
	    stage_of(listing->account, version->number), "created", json_time(version->created_ms),
	    "proof", proof_name(version->proof), "proved", json_time(version->proved_ms));
	set_secret(shape, "secret", secret);
	if (passphrase != NULL)
		set_secret(shape, "passphrase", passphrase);
	json_array_append_new(listing->versions, shape);
	exporting->report->values++;
	secret_free(secret);
	secret_free(passphrase);
	return true;
}

static bool add_account(void *arg, const struct account *account)
{
	struct exporting *exporting = arg;
	struct listing listing = {exporting, account, json_array()};

	version_each(exporting->txn, account, add_version, &listing);
	if (exporting->err != ERR_OK) {
		json_decref(listing.versions);
		return false;
	}
	exporting->report->accounts++;
	return put_element(exporting,
	    json_pack("{s:o, s:o, s:s, s:s, s:o}", "asset", json_text(account->asset), "account",
		json_text(account->name), "kind", secret_kind_name(account->kind), "state",
		account_state_name(account_state(account)), "versions", listing.versions));
}

static bool add_named(void *arg, const struct named_secret *named)
{
	struct exporting *exporting = arg;
	struct secret *secret;
	json_t *shape;

	exporting->err = named_secret_get(exporting->txn, named->name, &secret, exporting->error);
	if (exporting->err != ERR_OK)
		return false;
	shape = json_pack(
	    "{s:o, s:o}", "name", json_text(named->name), "changed", json_time(named->changed_ms));
	set_secret(shape, "secret", secret);
	secret_free(secret);
	exporting->report->named++;
	return put_element(exporting, shape);
}

static enum err put_all(struct exporting *exporting)
{
	char head[256], id[ID_TEXT_SIZE], at[32];
	uint64_t now_ms = clock_wall_ms(exporting->txn->vault->clock);

	snprintf(head, sizeof(head),
	    "{\"lockstep_export\": %d, \"vault\": \"%s\", \"at\": \"%s\",\n\"accounts\": [",
	    EXPORT_VERSION, id_text(seal_vault(exporting->txn->vault->seal), id),
	    text_rfc3339(at, now_ms));
	exporting->first = true;
	if (put_text(exporting, head) == ERR_OK)
		account_each(exporting->txn, NULL, add_account, exporting);
	if (exporting->err == ERR_OK)
		(void)put_text(exporting, "\n],\n\"secrets\": [");
	exporting->first = true;
	if (exporting->err == ERR_OK)
		named_secret_each(exporting->txn, add_named, exporting);
	if (exporting->err == ERR_OK)
		(void)put_text(exporting, "\n]}\n");
	if (exporting->err == ERR_OK && exporting->txn->trouble.code != ERR_OK)
		exporting->err = error_set(exporting->error, exporting->txn->trouble.code, "%s",
		    exporting->txn->trouble.text);
	return exporting->err;
}

/* ── The envelope ────────────────────────────────────────────────────────────────────────── */

static enum err no_envelope(struct error *error)
{
	return error_set(error, ERR_INVALID,
	    "OpenSSL cannot encrypt to that certificate: give one whose key is RSA, or elliptic "
	    "for key agreement");
}

static enum err envelope_write(
    struct exporting *exporting, CMS_ContentInfo *cms, int fd, struct error *error)
{
	BIO *file = BIO_new_fd(fd, BIO_NOCLOSE);
	enum err err = ERR_OK;

	errno = 0;
	exporting->out = file == NULL ? NULL : BIO_new_CMS(file, cms);
	if (exporting->out == NULL) {
		BIO_free(file);
		return no_envelope(error);
	}
	err = put_all(exporting);
	if (err == ERR_OK && BIO_flush(exporting->out) != 1)
		err = not_written(exporting);
	/* Filter by filter, to the file's own. */
	while (exporting->out != NULL && exporting->out != file) {
		BIO *next = BIO_pop(exporting->out);

		BIO_free(exporting->out);
		exporting->out = next;
	}
	BIO_free(file);
	if (err == ERR_OK && fsync(fd) != 0 && errno != EINVAL && errno != EROFS)
		err = error_set(
		    error, ERR_IO, "the export cannot be put on disk: %s", strerror(errno));
	return err;
}

enum err vault_export(struct vault_txn *txn, const char *text, int fd, struct export_report *report,
    struct error *error)
{
	struct exporting exporting = {.txn = txn, .report = report, .error = error};
	X509 *certificate = certificate_read(text, error);
	STACK_OF(X509) *recipients = sk_X509_new_null();
	CMS_ContentInfo *cms = NULL;
	enum err err = certificate == NULL ? ERR_INVALID : ERR_OK;

	*report = (struct export_report){.accounts = 0};
	if (err == ERR_OK && (recipients == NULL || sk_X509_push(recipients, certificate) == 0))
		err = no_envelope(error);
	if (err == ERR_OK) {
		recipient_describe(certificate, report);
		cms = CMS_encrypt(
		    recipients, NULL, EVP_aes_256_cbc(), CMS_BINARY | CMS_STREAM | CMS_PARTIAL);
		err = cms == NULL ? no_envelope(error) : envelope_write(&exporting, cms, fd, error);
	}
	CMS_ContentInfo_free(cms);
	sk_X509_free(recipients);
	X509_free(certificate);
	return err;
}
