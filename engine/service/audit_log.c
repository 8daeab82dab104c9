/* The audit log on request: its entries, its key, an export, and whether it is as it was written.
 */
#include "service/audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "service/names.h"
#include "service/page.h"
#include "service/shape.h"

/* ── list ────────────────────────────────────────────────────────────────────────────────── */

struct listing {
	struct request *request;
	const char *who, *what, *asset, *account, *task;
	uint64_t since_ms; /* wall; 0 = all */
	struct page page;
	uint64_t last;
};

static bool same_or_any(const char *asked, const char *text)
{
	return asked == NULL || strcmp(asked, text) == 0;
}

static bool listing_takes(const struct listing *listing, const struct audit_entry *entry)
{
	return same_or_any(listing->who, entry->user) && same_or_any(listing->what, entry->what) &&
	       same_or_any(listing->asset, entry->asset) &&
	       same_or_any(listing->account, entry->account) &&
	       same_or_any(listing->task, entry->task);
}

/* The line that is hashed, as an object. */
static json_t *shape_entry(const struct audit_entry *entry)
{
	char line[AUDIT_LINE_SIZE];

	return json_loads(audit_line(entry, line), 0, NULL);
}

static bool listing_add(void *arg, const struct audit_entry *entry)
{
	struct listing *listing = arg;
	bool listed = listing_takes(listing, entry);

	if (entry->at_ms < listing->since_ms)
		return false;
	if (listed)
		json_array_append_new(listing->request->result, shape_entry(entry));
	listing->last = entry->number;
	return page_take(&listing->page, listed);
}

/* A span back from now, or a moment as the log shows it. */
static bool read_since(struct request *request, uint64_t *since_ms)
{
	const char *text = param_text(request, "since");
	uint64_t now_ms = clock_wall_ms(loop_clock(request->service->loop));
	unsigned long long span_ms;

	if (text == NULL)
		return true;
	if (text_duration_ms(text, strlen(text), &span_ms) && span_ms > 0) {
		*since_ms = now_ms > span_ms ? now_ms - span_ms : 1;
		return true;
	}
	if (text_moment_ms(text, since_ms))
		return true;
	request_fail(request, SERVICE_USAGE,
	    "--since: \"%.64s\" is neither a span of time nor a moment: give one such as 7d, or a "
	    "day or moment in UTC such as 2026-11-24 or 2026-11-24T09:41:07Z",
	    text);
	return false;
}

static bool read_what(struct request *request, const char **what)
{
	const char *names[AUDIT_WHAT_COUNT], *nearest;

	*what = param_text(request, "what");
	for (int i = 0; i < AUDIT_WHAT_COUNT; i++) {
		names[i] = audit_what_name((enum audit_what)i);
		if (*what == NULL || strcmp(*what, names[i]) == 0)
			return true;
	}
	nearest = text_nearest(*what, names, AUDIT_WHAT_COUNT);
	request_fail(request, SERVICE_USAGE,
	    "--what: \"%.32s\" is no word of the audit log%s%s%s: lockstep(1) tells which there "
	    "are",
	    *what, nearest != NULL ? "; did you mean \"" : "", nearest != NULL ? nearest : "",
	    nearest != NULL ? "\"?" : "");
	return false;
}

enum service_end audit_list(struct request *request)
{
	struct listing listing = {
	    .request = request,
	    .who = param_text(request, "who"),
	    .asset = param_text(request, "asset"),
	    .account = param_text(request, "account"),
	    .task = param_text(request, "task"),
	};
	struct vault_txn *txn;
	char at[24];

	if (!read_since(request, &listing.since_ms) || !read_what(request, &listing.what) ||
	    !page_read(request, UINT64_MAX, &listing.page))
		return SERVICE_USAGE;
	listing.last = strtoull(listing.page.after, NULL, 10);
	txn = request_read(request);
	if (txn == NULL)
		return SERVICE_NO_ENGINE;
	request->result = json_array();
	audit_each_back(txn, listing.last, listing_add, &listing);
	vault_read_end(txn);
	snprintf(at, sizeof(at), "%llu", (unsigned long long)listing.last);
	page_end(request, &listing.page, at);
	return SERVICE_OK;
}

/* ── key ─────────────────────────────────────────────────────────────────────────────────── */

enum service_end audit_key(struct request *request)
{
	char key[AUDIT_KEY_TEXT_SIZE];

	if (vault_audit_key(request->service->vault, key, request->error) != ERR_OK)
		return SERVICE_NO_ENGINE;
	request->result = json_pack("{s:s}", "key", key);
	return SERVICE_OK;
}

/* ── export ──────────────────────────────────────────────────────────────────────────────── */

struct exporting {
	json_t *lines;
	struct page page;
	uint64_t last;
};

static bool exporting_add(void *arg, const struct audit_entry *entry)
{
	struct exporting *exporting = arg;
	char line[AUDIT_LINE_SIZE];

	json_array_append_new(exporting->lines, json_string(audit_line(entry, line)));
	exporting->last = entry->number;
	return page_take(&exporting->page, true);
}

/* That it was exported is its last entry but one, and its signature the last. */
static enum service_end export_end(struct request *request, const char *since)
{
	struct audit_event event = {.what = AUDIT_AUDIT_EXPORT, .detail = since};
	enum service_end end = request_audit_now(request, &event);

	if (end == SERVICE_OK &&
	    vault_audit_sign(request->service->vault, request->error) != ERR_OK)
		return SERVICE_NO_ENGINE;
	return end;
}

struct finding {
	uint64_t since_ms;
	uint64_t before; /* 0 = there is none */
};

static bool find_before(void *arg, const struct audit_entry *entry)
{
	struct finding *finding = arg;

	if (entry->at_ms < finding->since_ms)
		finding->before = entry->number;
	return finding->before == 0;
}

/* The number of the last entry from before the moment. */
static uint64_t number_before(struct vault_txn *txn, uint64_t since_ms)
{
	struct finding finding = {.since_ms = since_ms};

	if (since_ms > 0)
		audit_each_back(txn, 0, find_before, &finding);
	return finding.before;
}

/* What is written while pages are read stands behind the last: `until` says where it ends. */
static enum service_end export_first(struct request *request, struct exporting *exporting)
{
	char line[AUDIT_LINE_SIZE];
	struct vault_txn *txn;
	uint64_t since_ms = 0;
	enum service_end end;
	enum err err;

	if (!read_since(request, &since_ms))
		return SERVICE_USAGE;
	end = export_end(request, param_text(request, "since"));
	txn = end == SERVICE_OK ? request_read(request) : NULL;
	if (txn == NULL)
		return SERVICE_NO_ENGINE;
	exporting->last = number_before(txn, since_ms);
	err = audit_head_line(txn, exporting->last, line);
	exporting->page.left = audit_last(txn) - exporting->last;
	vault_read_end(txn);
	if (err != ERR_OK)
		return request_fail(request, SERVICE_NO_ENGINE,
		    "the audit log cannot be read: lockstep audit verify tells where it is "
		    "damaged");
	json_array_append_new(exporting->lines, json_string(line));
	return SERVICE_OK;
}

enum service_end audit_export(struct request *request)
{
	struct exporting exporting = {.lines = json_array()};
	struct vault_txn *txn;
	enum service_end end = SERVICE_OK;
	char at[24];

	request->result = exporting.lines;
	if (!page_read(request, UINT64_MAX, &exporting.page))
		return SERVICE_USAGE;
	exporting.last = strtoull(exporting.page.after, NULL, 10);
	if (exporting.page.after[0] == '\0')
		end = export_first(request, &exporting);
	else
		request->must_audit = false; /* its first page was */
	txn = end == SERVICE_OK ? request_read(request) : NULL;
	if (txn == NULL)
		return end == SERVICE_OK ? SERVICE_NO_ENGINE : end;
	audit_each(txn, exporting.last, exporting_add, &exporting);
	vault_read_end(txn);
	snprintf(at, sizeof(at), "%llu", (unsigned long long)exporting.last);
	page_end(request, &exporting.page, at);
	return SERVICE_OK;
}

/* ── verify ──────────────────────────────────────────────────────────────────────────────── */

json_t *shape_audit(const struct audit_report *report)
{
	json_int_t first = (json_int_t)report->first, last = (json_int_t)report->last;
	json_int_t count = (json_int_t)report->count, signed_to = (json_int_t)report->signed_to;
	json_int_t signatures = (json_int_t)report->signatures;

	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:o}", "vault", report->vault, "first",
	    first, "last", last, "entries", count, "signatures", signatures, "signed_to", signed_to,
	    "signed_at", json_time(report->signed_at_ms));
}

enum service_end audit_verify(struct request *request)
{
	struct vault_txn *txn = request_read(request);
	struct audit_report report;
	enum err err;

	if (txn == NULL)
		return SERVICE_NO_ENGINE;
	err = audit_check(txn, &report, request->error);
	vault_read_end(txn);
	if (err != ERR_OK)
		return SERVICE_NO_ENGINE;
	request->result = shape_audit(&report);
	return SERVICE_OK;
}

enum service_end service_audit_verify(
    const char *path, const char *key, json_t **result, struct error *error)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	struct audit_report report;
	enum err err;

	*result = NULL;
	if (file == NULL) {
		error_set(error, ERR_NOT_FOUND,
		    "%s cannot be read: name an export of the audit log", path);
		return SERVICE_USAGE;
	}
	err = audit_check_file(file, key, &report, error);
	if (file != stdin)
		fclose(file);
	if (err != ERR_OK) {
		error_prefix(error, "%s: ", path);
		return err == ERR_INVALID ? SERVICE_USAGE : SERVICE_SOME;
	}
	*result = shape_audit(&report);
	return SERVICE_OK;
}
