/*
 * Copies of the vault, as commands make them: the engine that has the vault records what is done,
 * and the command's own process reads the vault beside it, so that nobody waits.
 */
#include "service.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/mem.h"
#include "policy.h"
#include "service/audit.h"
#include "service/keys.h"
#include "service/names.h"
#include "service/place.h"
#include "service/shape.h"
#include "vault/copy.h"
#include "vault/seen.h"

#define HEAP_BYTES	(1024UL * 1024)
#define CERTIFICATE_MAX (256UL * 1024)

/* ── In the engine ───────────────────────────────────────────────────────────────────────── */

/* Before a copy is made that it is; before it has its name, that the vault is newer. */
enum service_end vault_backup(struct request *request)
{
	struct vault *vault = request->service->vault;
	const char *file = param_need(request, "file");
	struct audit_event event = {.what = AUDIT_BACKUP, .object = file};
	enum service_end end = SERVICE_OK;

	if (file == NULL)
		return SERVICE_USAGE;
	if (param_flag(request, "made")) {
		request->must_audit = false; /* its beginning was */
		if (vault_outdate_copies(vault, request->error) != ERR_OK)
			return SERVICE_NO_ENGINE;
	} else {
		end = request_audit_now(request, &event);
		if (end == SERVICE_OK && vault_audit_sign(vault, request->error) != ERR_OK)
			return SERVICE_NO_ENGINE;
	}
	request->result = json_pack("{s:o}", "file", json_text(file));
	return end;
}

/* What is made while it is written is in it too, or may be. */
static enum err export_seen(struct vault_txn *txn, void *arg, struct error *error)
{
	const struct request *request = arg;
	enum err err = seen_put_all(txn, request->person.name);

	return err == ERR_OK ? err : error_set(error, err, "who has seen all cannot be kept");
}

/* Twice: before anything is read, and before what was written has its name. */
enum service_end vault_export_request(struct request *request)
{
	const char *recipient = param_need(request, "recipient");
	const char *fingerprint = recipient == NULL ? NULL : param_need(request, "fingerprint");
	struct audit_event event = {
	    .what = AUDIT_EXPORT, .object = recipient, .detail = fingerprint};
	enum service_end end;

	if (fingerprint == NULL)
		return SERVICE_USAGE;
	if (param_flag(request, "made")) {
		request->must_audit = false; /* its beginning was */
		end = vault_write(request->service->vault, export_seen, request, request->error) ==
			      ERR_OK
			  ? SERVICE_OK
			  : SERVICE_NO_ENGINE;
	} else {
		end = request_write(request, export_seen, request, &event) == ERR_OK
			  ? SERVICE_OK
			  : SERVICE_NO_ENGINE;
	}
	if (end == SERVICE_OK)
		request->result = json_pack("{s:o}", "recipient", json_text(recipient));
	return end;
}

/* ── Beside it ───────────────────────────────────────────────────────────────────────────── */

struct beside {
	struct service *service;
	struct policy *policy; /* its settings alone */
	const struct settings *settings;
	struct key_source key;
	struct vault_config config;
	char *file, *draft;
	struct error *error;
};

static enum service_end beside_open(
    struct beside *beside, struct service *service, struct error *error)
{
	const struct policy_config config = {.dir = service->dir};
	enum err err;

	*beside = (struct beside){.service = service, .error = error};
	if (service->elsewhere != NULL) {
		error_set(error, ERR_REFUSED,
		    "this reads and writes the vault's own file, which is where %s runs: do it on "
		    "that "
		    "machine, without --server",
		    service->elsewhere->url);
		return SERVICE_USAGE;
	}
	beside->policy = policy_load_settings(&config);
	if (beside->policy == NULL) {
		error_set(error, ERR_NOT_FOUND,
		    "there is no policy in %s, whose settings say where the vault is: give its "
		    "directory by -C",
		    service->dir);
		return SERVICE_USAGE;
	}
	beside->settings = policy_settings(beside->policy);
	beside->key = key_source_of(service, &beside->settings->master_key);
	beside->config = (struct vault_config){
	    .dir = beside->settings->vault,
	    .key = &beside->key,
	    .purpose = service->purpose,
	    .clock = loop_clock(service->loop),
	};
	err = secret_heap_init(HEAP_BYTES, NULL, error);
	return err == ERR_OK || err == ERR_EXISTS ? SERVICE_OK : SERVICE_NO_ENGINE;
}

static void beside_clear(struct beside *beside)
{
	policy_free(beside->policy);
	free(beside->file);
	free(beside->draft);
}

/* In a directory, under the time's name; else as it is given. */
static void beside_name(struct beside *beside, const char *path, const char *suffix)
{
	time_t seconds = (time_t)(clock_wall_ms(beside->config.clock) / 1000);
	struct stat st;
	struct tm tm;
	char at[32];

	gmtime_r(&seconds, &tm);
	strftime(at, sizeof(at), "%Y%m%dT%H%M%SZ", &tm);
	beside->file = stat(path, &st) == 0 && S_ISDIR(st.st_mode)
			   ? xasprintf("%s/lockstep-%s.%s", path, at, suffix)
			   : xstrdup(path);
	beside->draft = xasprintf("%s.part", beside->file);
}

static bool is_free(struct beside *beside)
{
	struct stat st;

	if (lstat(beside->file, &st) != 0)
		return true;
	error_set(beside->error, ERR_EXISTS,
	    "%s is there already, and nothing was written: name another file, or a directory",
	    beside->file);
	return false;
}

/* The engine says yes, and keeps that it did. `params` becomes the call's. */
static enum service_end ask_engine(struct beside *beside, const char *method, json_t *params)
{
	json_t *result;
	enum service_end end =
	    service_call(beside->service, method, params, &result, beside->error);

	json_decref(params);
	json_decref(result);
	return end;
}

static enum service_end of_err(enum err err)
{
	switch (err) {
	case ERR_OK: return SERVICE_OK;
	case ERR_INVALID:
	case ERR_NOT_FOUND:
	case ERR_EXISTS: return SERVICE_USAGE;
	default: return SERVICE_NO_ENGINE;
	}
}

/* Root would leave files that the vault's owner cannot open. */
static enum err become_owner(const struct beside *beside)
{
	return drop_to_owner(beside->settings->vault, beside->error);
}

/* ── Backup ──────────────────────────────────────────────────────────────────────────────── */

static json_t *shape_file(const struct beside *beside)
{
	struct stat st;
	json_int_t bytes = stat(beside->file, &st) == 0 ? (json_int_t)st.st_size : 0;

	return json_pack("{s:o, s:I}", "file", json_text(beside->file), "bytes", bytes);
}

static enum service_end backup_make(struct beside *beside)
{
	enum service_end end;
	enum err err;

	if (!is_free(beside))
		return SERVICE_USAGE;
	end =
	    ask_engine(beside, "vault.backup", json_pack("{s:o}", "file", json_text(beside->file)));
	if (end != SERVICE_OK)
		return end;
	err = become_owner(beside);
	if (err == ERR_OK)
		err = vault_copy(beside->settings->vault, beside->draft, beside->error);
	if (err != ERR_OK)
		return of_err(err);
	end = ask_engine(beside, "vault.backup",
	    json_pack("{s:o, s:b}", "file", json_text(beside->file), "made", 1));
	return end == SERVICE_OK ? of_err(draft_name(beside->draft, beside->file, beside->error))
				 : end;
}

enum service_end service_vault_backup(
    struct service *service, const char *path, json_t **result, struct error *error)
{
	struct beside beside;
	enum service_end end = beside_open(&beside, service, error);

	*result = NULL;
	if (end == SERVICE_OK) {
		beside_name(&beside, path, "vault");
		end = backup_make(&beside);
	}
	if (end == SERVICE_OK)
		*result = shape_file(&beside);
	beside_clear(&beside);
	return end;
}

/* ── Restore ─────────────────────────────────────────────────────────────────────────────── */

enum service_end service_vault_restore(
    struct service *service, const char *file, json_t **result, struct error *error)
{
	struct beside beside;
	char *kept = NULL;
	enum service_end end = beside_open(&beside, service, error);
	struct stat st;

	*result = NULL;
	if (end == SERVICE_OK && stat(beside.settings->vault, &st) == 0)
		end = of_err(become_owner(&beside));
	if (end == SERVICE_OK)
		end = of_err(vault_put_back(&beside.config, file, &kept, error));
	/* Whoever opens it first notices, and keeps that it was. */
	if (end == SERVICE_OK)
		end = ask_engine(&beside, "audit.key", json_object());
	if (end == SERVICE_OK)
		*result = json_pack("{s:o, s:o}", "vault", json_text(beside.settings->vault),
		    "kept", kept == NULL ? json_null() : json_text(kept));
	free(kept);
	beside_clear(&beside);
	return end;
}

/* ── Check ───────────────────────────────────────────────────────────────────────────────── */

static json_t *shape_check(const struct check_report *report)
{
	json_int_t accounts = (json_int_t)report->accounts, values = (json_int_t)report->values;
	json_int_t named = (json_int_t)report->named;

	return json_pack("{s:I, s:I, s:I, s:o}", "secrets", accounts, "versions", values, "named",
	    named, "audit", shape_audit(&report->audit));
}

struct checking {
	struct beside *beside;
	const char *file; /* NULL: the vault itself */
};

static enum err check_open(void *arg, void *result, struct error *error)
{
	const struct checking *checking = arg;
	struct check_report *report = result;
	struct vault_txn *txn;
	struct vault *vault;
	enum err err = vault_open_reading(&vault, &checking->beside->config, checking->file, error);

	if (err != ERR_OK)
		return err;
	txn = vault_read(vault);
	err = txn == NULL ? error_set(error, ERR_IO, "the vault cannot be read")
			  : vault_check(txn, report, error);
	if (err == ERR_NOT_FOUND) /* of what should be there */
		err = error->code = ERR_CORRUPT;
	vault_read_end(txn);
	vault_close(vault);
	return err;
}

/* Whatever is wrong with it, the same helps. */
static void say_damaged(const char *file, struct error *error)
{
	struct error what = *error;

	if ((what.code == ERR_CORRUPT || what.code == ERR_IO) &&
	    strstr(what.text, "put back") == NULL)
		error_set(error, what.code,
		    "%s is damaged, or cannot be read: %.512s: put back the newest backup", file,
		    what.text);
}

/* LMDB believes its pages: on damaged ones it crashes, or goes round in a circle. */
static enum err check_apart(struct beside *beside, const char *file, struct check_report *report)
{
	struct checking checking = {beside, file};
	char *data =
	    file != NULL ? xstrdup(file) : xasprintf("%s/data.mdb", beside->settings->vault);
	enum err err =
	    vault_apart(check_open, &checking, report, sizeof(*report), data, beside->error);

	if (err != ERR_OK)
		say_damaged(data, beside->error);
	free(data);
	return err;
}

enum service_end service_vault_check(
    struct service *service, const char *file, json_t **result, struct error *error)
{
	struct beside beside;
	struct check_report report = {.accounts = 0};
	enum service_end end = beside_open(&beside, service, error);

	*result = NULL;
	if (end == SERVICE_OK)
		end = of_err(become_owner(&beside));
	if (end == SERVICE_OK)
		end = of_err(check_apart(&beside, file, &report));
	if (end == SERVICE_OK)
		*result = shape_check(&report);
	beside_clear(&beside);
	return end;
}

/* ── Export ──────────────────────────────────────────────────────────────────────────────── */

static enum err export_write(
    struct beside *beside, const char *certificate, struct export_report *report)
{
	struct vault_txn *txn;
	struct vault *vault;
	int fd;
	enum err err = vault_open_reading(&vault, &beside->config, NULL, beside->error);

	if (err != ERR_OK)
		return err;
	err = draft_open(beside->draft, &fd, beside->error);
	txn = err == ERR_OK ? vault_read(vault) : NULL;
	if (err == ERR_OK && txn == NULL)
		err = error_set(beside->error, ERR_IO, "the vault cannot be read");
	else if (err == ERR_OK)
		err = vault_export(txn, certificate, fd, report, beside->error);
	vault_read_end(txn);
	vault_close(vault);
	if (fd >= 0)
		close(fd);
	return err;
}

static enum service_end export_ask(
    struct beside *beside, const struct export_report *report, bool made)
{
	return ask_engine(beside, "vault.export",
	    json_pack("{s:o, s:s, s:b}", "recipient", json_text(report->recipient), "fingerprint",
		report->fingerprint, "made", made));
}

static enum service_end export_make(
    struct beside *beside, const char *certificate, struct export_report *report)
{
	enum service_end end;
	enum err err = export_recipient(certificate, report, beside->error);

	if (err != ERR_OK || !is_free(beside))
		return SERVICE_USAGE;
	end = export_ask(beside, report, false);
	if (end != SERVICE_OK)
		return end;
	err = become_owner(beside);
	if (err == ERR_OK)
		err = export_write(beside, certificate, report);
	end = of_err(err);
	if (end == SERVICE_OK)
		end = export_ask(beside, report, true);
	if (end == SERVICE_OK)
		return of_err(draft_name(beside->draft, beside->file, beside->error));
	(void)unlink(beside->draft);
	return end;
}

static json_t *shape_export(const struct beside *beside, const struct export_report *report)
{
	json_t *shape = shape_file(beside);
	json_int_t accounts = (json_int_t)report->accounts, values = (json_int_t)report->values;
	json_int_t named = (json_int_t)report->named;

	json_object_update_new(
	    shape, json_pack("{s:o, s:s, s:I, s:I, s:I}", "recipient", json_text(report->recipient),
		       "fingerprint", report->fingerprint, "secrets", accounts, "versions", values,
		       "named", named));
	return shape;
}

enum service_end service_vault_export(struct service *service, const char *certificate,
    const char *path, json_t **result, struct error *error)
{
	struct export_report report;
	struct beside beside;
	struct buf text;
	enum service_end end = beside_open(&beside, service, error);

	*result = NULL;
	buf_init(&text, CERTIFICATE_MAX);
	if (end == SERVICE_OK && file_read(certificate, &text, error) != ERR_OK)
		end = SERVICE_USAGE;
	if (end == SERVICE_OK) {
		beside_name(&beside, path, "cms");
		end = export_make(&beside, buf_text(&text), &report);
	}
	if (end == SERVICE_OK)
		*result = shape_export(&beside, &report);
	buf_clear(&text);
	beside_clear(&beside);
	return end;
}
