#include "service/letter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/format.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "service/engine.h"
#include "service/notices.h"
#include "service/report.h"
#include "service/shape.h"
#include "vault/notice.h"

#define PROBLEMS_MOST 50 /* that are told one by one in a mail */
#define NOTE_SIZE     1536
#define HOST_SIZE     256

static bool is(const struct notice *notice, enum occasion event)
{
	return strcmp(notice->event, occasion_name(event)) == 0;
}

/* ── What there is to tell ───────────────────────────────────────────────────────────────── */

static void add_settled(json_t *records, struct vault_txn *txn, const struct notice *notice)
{
	for (size_t i = 0; i < notice->record_count; i++) {
		struct record record;

		if (record_get(txn, &notice->records[i], &record) == ERR_OK)
			json_array_append_new(records, shape_record(&record, txn));
	}
}

static json_t *settled_of(struct vault_txn *txn, const struct notice *notice)
{
	json_t *records = json_array();
	json_int_t total = (json_int_t)(notice->record_count + notice->more);

	add_settled(records, txn, notice);
	return json_pack("{s:{s:I, s:o}}", "problems", "total", total, "records", records);
}

static enum err content_of(json_t **content, const struct service *service, struct vault_txn *txn,
    const struct notice *notice, struct error *error)
{
	struct execution execution;

	if (is(notice, OCCASION_SETTLED)) {
		*content = settled_of(txn, notice);
	} else if (id_is_none(&notice->execution)) {
		*content = json_object();
	} else {
		if (execution_get(txn, &notice->execution, &execution) != ERR_OK)
			return error_set(error, ERR_NOT_FOUND,
			    "the execution that it tells of is not kept any more");
		*content = report_of(service, NULL, txn, &execution, PROBLEMS_MOST);
	}
	return ERR_OK;
}

/* ── The subject ─────────────────────────────────────────────────────────────────────────── */

struct line {
	char *out;
	size_t size, used;
	bool any;
};

static void __attribute__((format(printf, 2, 3))) line_add(struct line *line, const char *fmt, ...)
{
	va_list args;
	int len;

	if (line->used >= line->size)
		return;
	va_start(args, fmt);
	len = vsnprintf(line->out + line->used, line->size - line->used, fmt, args);
	va_end(args);
	line->used += len > 0 ? (size_t)len : 0;
}

static void add_count(struct line *line, const json_t *counts, const char *status, const char *word)
{
	json_int_t count = number_of(counts, status);
	char text[FORMAT_SIZE];

	if (count == 0)
		return;
	line_add(
	    line, "%s%s %s", line->any ? ", " : " ", format_count(text, (uint64_t)count), word);
	line->any = true;
}

/* The worst first: a subject is cut where it is shown. */
static void subject_counts(struct line *line, const json_t *execution)
{
	const json_t *counts = json_object_get(execution, "counts");

	add_count(line, counts, "failed", "FAILED");
	add_count(line, counts, "unverified", "in doubt");
	add_count(line, counts, "success", "succeeded");
	add_count(line, counts, "skipped", "skipped");
	if (!line->any)
		line_add(line, " nothing to do");
	if (json_is_true(json_object_get(execution, "interrupted")))
		line_add(line, " (its engine was killed)");
	else if (text_of(execution, "stopped")[0] != '\0')
		line_add(line, " (stopped: %s)", text_of(execution, "stopped"));
}

static void subject_write(
    char out[SUBJECT_SIZE], const struct notice *notice, const json_t *content)
{
	struct line line = {.out = out, .size = SUBJECT_SIZE};
	size_t settled = notice->record_count + notice->more;
	char task[TASK_NAME_SIZE * 4];

	text_escape(task, sizeof(task), notice->task, strlen(notice->task));
	line_add(&line, "[Lockstep] ");
	if (is(notice, OCCASION_STOPPED))
		line_add(&line, "%s: STOPPED (%s)", task, notice->text);
	else if (is(notice, OCCASION_SETTLED))
		line_add(&line, "%s: %zu doubt%s settled", task, settled,
		    settled == 1 ? " is" : "s are");
	else if (is(notice, OCCASION_POLICY_REJECTED))
		line_add(&line, "the new policy was REFUSED");
	else if (is(notice, OCCASION_APPROVAL))
		line_add(&line, "an approval is asked for");
	else if (id_is_none(&notice->execution))
		line_add(&line, "a test");
	else {
		line_add(&line, "%s:", task);
		subject_counts(&line, json_object_get(content, "execution"));
	}
}

/* ── The words ───────────────────────────────────────────────────────────────────────────── */

/* What is said in front; "" = nothing. */
static void note_write(char out[NOTE_SIZE], const struct notice *notice)
{
	char said[MESSAGE_SIZE];

	text_escape(said, sizeof(said), notice->text, strlen(notice->text));
	out[0] = '\0';
	if (is(notice, OCCASION_STOPPED))
		snprintf(out, NOTE_SIZE,
		    "Nothing more of it is begun: %s. What is in flight ends, the rest is skipped.",
		    said);
	else if (is(notice, OCCASION_SETTLED))
		snprintf(out, NOTE_SIZE, "Doubts of earlier executions of %s are settled.",
		    notice->task);
	else if (is(notice, OCCASION_POLICY_REJECTED))
		snprintf(out, NOTE_SIZE,
		    "The new policy has errors and was refused; lockstepd goes on with the one "
		    "that it "
		    "has. The first is: %s. All of them: lockstep check",
		    said);
	else if (is(notice, OCCASION_APPROVAL))
		snprintf(out, NOTE_SIZE, "%s", said);
	else if (id_is_none(&notice->execution))
		snprintf(out, NOTE_SIZE, "This is a test: mail from Lockstep arrives here.");
}

static void foot_write(char *out, size_t size, const struct service *service)
{
	char host[HOST_SIZE] = "";

	if (gethostname(host, sizeof(host) - 1) != 0)
		host[0] = '\0';
	snprintf(out, size, "lockstepd on %s, policy %s", host, service->dir);
}

/* Lines end as mail's do. */
static char *with_crlf(const char *text)
{
	size_t lines = 0;
	char *out, *to;

	for (const char *at = text; *at != '\0'; at++)
		lines += *at == '\n';
	out = to = xcalloc(1, strlen(text) + lines + 1);
	for (; *text != '\0'; text++) {
		if (*text == '\n')
			*to++ = '\r';
		*to++ = *text;
	}
	return out;
}

static char *print(void (*words)(FILE *, const json_t *), const json_t *content)
{
	char *text = NULL, *mail;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (out == NULL)
		abort(); /* as any small allocation that fails */
	words(out, content);
	if (fclose(out) != 0)
		abort();
	mail = with_crlf(text);
	free(text);
	return mail;
}

enum err letter_write(struct letter *letter, const struct service *service, struct vault_txn *txn,
    const struct notice *notice, struct error *error)
{
	char note[NOTE_SIZE], foot[NOTE_SIZE];
	json_t *content = NULL;
	enum err err = content_of(&content, service, txn, notice, error);

	*letter = (struct letter){.text = NULL};
	if (err != ERR_OK)
		return err;
	note_write(note, notice);
	foot_write(foot, sizeof(foot), service);
	if (note[0] != '\0')
		json_object_set_new(content, "note", json_text(note));
	json_object_set_new(content, "foot", json_text(foot));
	subject_write(letter->subject, notice, content);
	letter->text = print(report_text, content);
	letter->html = print(report_html, content);
	json_decref(content);
	return ERR_OK;
}

void letter_clear(struct letter *letter)
{
	free(letter->text);
	free(letter->html);
}
