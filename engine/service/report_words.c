#include "service/report.h"

#include <string.h>

#include "base/format.h"
#include "base/json.h"
#include "service/advice.h"

#define WORDS_SIZE  512
#define CHART_WIDTH 720

/* In the order in which they are shown. */
static const struct look {
	const char *status, *colour;
} looks[] = {
    {"success", "#2e7d4f"},
    {"failed", "#c0392b"},
    {"unverified", "#d68910"},
    {"skipped", "#5d8aa8"},
};

#define LOOKS (sizeof(looks) / sizeof(looks[0]))

static json_int_t count_of(const json_t *report, const char *status)
{
	const json_t *execution = json_object_get(report, "execution");

	return number_of(json_object_get(execution, "counts"), status);
}

static const char *state_of(const json_t *execution)
{
	if (json_is_true(json_object_get(execution, "interrupted")))
		return "its engine was killed";
	return text_of(execution, "ended")[0] != '\0' ? "ended" : "running";
}

/* Of a doubt that is settled so, there is nothing to say. */
static bool is_success(const json_t *record)
{
	return strcmp(text_of(record, "status"), "success") == 0;
}

/* How many are not told one by one. */
static json_int_t untold(const json_t *report)
{
	const json_t *problems = json_object_get(report, "problems");

	return number_of(problems, "total") -
	       (json_int_t)json_array_size(json_object_get(problems, "records"));
}

/* ── Text ────────────────────────────────────────────────────────────────────────────────── */

static void text_head(FILE *out, const json_t *report)
{
	const json_t *execution = json_object_get(report, "execution");
	char text[FORMAT_SIZE];

	fprintf(out, "execution  %s\n", text_of(execution, "id"));
	fprintf(
	    out, "task       %s (%s)\n", text_of(execution, "task"), text_of(execution, "trigger"));
	fprintf(out, "started    %s\n", format_time(text, text_of(execution, "started")));
	fprintf(out, "ended      %s  (%s)\n", format_time(text, text_of(execution, "ended")),
	    state_of(execution));
	fprintf(
	    out, "accounts   %s\n", format_count(text, (uint64_t)number_of(execution, "total")));
	for (size_t i = 0; i < LOOKS; i++)
		fprintf(out, "  %-10s %s\n", looks[i].status,
		    format_count(text, (uint64_t)count_of(report, looks[i].status)));
}

static void text_causes(FILE *out, const json_t *causes)
{
	char count[FORMAT_SIZE];

	if (json_array_size(causes) > 0)
		fputs("\nwhy\n", out);
	for (size_t i = 0; i < json_array_size(causes); i++) {
		const json_t *cause = json_array_get(causes, i);
		const char *word = text_of(cause, "cause");

		fprintf(out, "  %-10s %s: %s\n", text_of(cause, "status"),
		    word[0] != '\0' ? word : "other",
		    format_count(count, (uint64_t)number_of(cause, "count")));
	}
}

static void text_problem(FILE *out, const json_t *record)
{
	char what[WORDS_SIZE], next[WORDS_SIZE];

	fprintf(out, "\n  %s  %s of %s\n", text_of(record, "status"), text_of(record, "account"),
	    text_of(record, "asset"));
	if (is_success(record))
		return;
	fprintf(out, "    %s\n", advice_what(what, sizeof(what), record));
	fprintf(out, "    → %s\n", advice_next(next, sizeof(next), record));
}

void report_text(FILE *out, const json_t *report)
{
	const json_t *records = json_object_get(json_object_get(report, "problems"), "records");
	const json_t *execution = json_object_get(report, "execution");
	const char *note = text_of(report, "note"), *foot = text_of(report, "foot");
	char count[FORMAT_SIZE];

	if (note[0] != '\0')
		fprintf(out, "%s\n%s", note, execution != NULL ? "\n" : "");
	if (execution != NULL)
		text_head(out, report);
	text_causes(out, json_object_get(report, "causes"));
	if (json_array_size(records) > 0 && execution != NULL)
		fputs("\nwhat to do\n", out);
	for (size_t i = 0; i < json_array_size(records); i++)
		text_problem(out, json_array_get(records, i));
	if (untold(report) > 0)
		fprintf(out, "\n  … and %s more: lockstep record list%s%s\n",
		    format_count(count, (uint64_t)untold(report)),
		    execution != NULL ? " --execution " : "", text_of(execution, "id"));
	if (foot[0] != '\0')
		fprintf(out, "\n-- \n%s\n", foot);
}

/* ── HTML ────────────────────────────────────────────────────────────────────────────────── */

static void escape(FILE *out, const char *text)
{
	for (; *text != '\0'; text++) {
		switch (*text) {
		case '&': fputs("&amp;", out); break;
		case '<': fputs("&lt;", out); break;
		case '>': fputs("&gt;", out); break;
		case '"': fputs("&quot;", out); break;
		case '\'': fputs("&#39;", out); break;
		default: fputc(*text, out);
		}
	}
}

static void element(FILE *out, const char *name, const char *text)
{
	fprintf(out, "<%s>", name);
	escape(out, text);
	fprintf(out, "</%s>", name);
}

static void fact(FILE *out, const char *word, const char *text)
{
	fputs("<tr>", out);
	element(out, "th", word);
	element(out, "td", text);
	fputs("</tr>\n", out);
}

static void html_title(FILE *out, const json_t *execution)
{
	if (execution == NULL)
		fputs("Lockstep", out);
	escape(out, text_of(execution, "task"));
	fputs(execution == NULL ? "" : ": what came of it", out);
}

static void html_begin(FILE *out, const json_t *execution)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	      "<meta http-equiv=\"Content-Security-Policy\" "
	      "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width\">\n<title>",
	    out);
	html_title(out, execution);
	fputs("</title>\n<style>\n"
	      "body { font: 15px/1.4 sans-serif; max-width: 60em; margin: 2em auto; "
	      "padding: 0 1em; color: #222; background: #fff; }\n"
	      "table { border-collapse: collapse; margin: 1em 0; }\n"
	      "th, td { text-align: left; vertical-align: top; padding: .2em 1.2em .2em 0; "
	      "overflow-wrap: anywhere; }\n"
	      "tbody tr { border-top: 1px solid #ddd; }\n"
	      "svg { display: block; width: 100%; height: 2em; }\n"
	      ".next { color: #555; }\n"
	      "</style>\n</head>\n<body>\n",
	    out);
}

static void html_head(FILE *out, const json_t *report)
{
	const json_t *execution = json_object_get(report, "execution");
	char text[FORMAT_SIZE];

	element(out, "h1", text_of(execution, "task"));
	fputs("\n<table>\n", out);
	fact(out, "execution", text_of(execution, "id"));
	fact(out, "begun by", text_of(execution, "trigger"));
	fact(out, "started", format_time(text, text_of(execution, "started")));
	fact(out, "ended", format_time(text, text_of(execution, "ended")));
	fact(out, "state", state_of(execution));
	fact(out, "accounts", format_count(text, (uint64_t)number_of(execution, "total")));
	fputs("</table>\n", out);
}

/* One bar, a part an outcome. */
static void html_chart(FILE *out, const json_t *report)
{
	json_int_t total = 0, before = 0;

	for (size_t i = 0; i < LOOKS; i++)
		total += count_of(report, looks[i].status);
	if (total == 0)
		return;
	fprintf(out,
	    "<svg viewBox=\"0 0 %d 24\" preserveAspectRatio=\"none\" role=\"img\" "
	    "aria-label=\"outcomes\">\n",
	    CHART_WIDTH);
	for (size_t i = 0; i < LOOKS; i++) {
		json_int_t count = count_of(report, looks[i].status);
		double x = (double)before * CHART_WIDTH / (double)total;
		double width = (double)count * CHART_WIDTH / (double)total;

		before += count;
		if (count > 0)
			fprintf(out,
			    "<rect x=\"%.2f\" y=\"0\" width=\"%.2f\" height=\"24\" "
			    "fill=\"%s\"><title>%s: %lld</title></rect>\n",
			    x, width, looks[i].colour, looks[i].status, (long long)count);
	}
	fputs("</svg>\n", out);
}

static void html_outcomes(FILE *out, const json_t *report)
{
	char count[FORMAT_SIZE];

	fputs("<table>\n", out);
	for (size_t i = 0; i < LOOKS; i++) {
		fprintf(
		    out, "<tr><th style=\"color: %s\">%s</th>", looks[i].colour, looks[i].status);
		element(
		    out, "td", format_count(count, (uint64_t)count_of(report, looks[i].status)));
		fputs("</tr>\n", out);
	}
	fputs("</table>\n", out);
}

static void html_problem(FILE *out, const json_t *record)
{
	char what[WORDS_SIZE], next[WORDS_SIZE];

	fputs("<tr>", out);
	element(out, "td", text_of(record, "status"));
	element(out, "td", text_of(record, "asset"));
	element(out, "td", text_of(record, "account"));
	fputs("<td>", out);
	if (!is_success(record)) {
		escape(out, advice_what(what, sizeof(what), record));
		fputs("<div class=\"next\">", out);
		escape(out, advice_next(next, sizeof(next), record));
		fputs("</div>", out);
	}
	fputs("</td></tr>\n", out);
}

static void html_which(FILE *out, const json_t *execution)
{
	if (execution == NULL)
		return;
	fputs(" --execution ", out);
	escape(out, text_of(execution, "id"));
}

static void html_problems(FILE *out, const json_t *report)
{
	const json_t *records = json_object_get(json_object_get(report, "problems"), "records");
	char count[FORMAT_SIZE];

	if (json_array_size(records) == 0)
		return;
	if (json_object_get(report, "execution") != NULL)
		element(out, "h2", "What to do");
	fputs("\n<table>\n<thead><tr><th>status</th><th>asset</th>"
	      "<th>account</th><th>what happened, and what to do</th></tr></thead>\n<tbody>\n",
	    out);
	for (size_t i = 0; i < json_array_size(records); i++)
		html_problem(out, json_array_get(records, i));
	fputs("</tbody>\n</table>\n", out);
	if (untold(report) > 0) {
		fprintf(out, "<p>And %s more: <code>lockstep record list",
		    format_count(count, (uint64_t)untold(report)));
		html_which(out, json_object_get(report, "execution"));
		fputs("</code></p>\n", out);
	}
}

static void html_paragraph(FILE *out, const char *text, const char *kind)
{
	if (text[0] == '\0')
		return;
	fprintf(out, "<p%s>", kind);
	escape(out, text);
	fputs("</p>\n", out);
}

void report_html(FILE *out, const json_t *report)
{
	const json_t *execution = json_object_get(report, "execution");

	html_begin(out, execution);
	html_paragraph(out, text_of(report, "note"), "");
	if (execution != NULL) {
		html_head(out, report);
		html_chart(out, report);
		html_outcomes(out, report);
	}
	html_problems(out, report);
	html_paragraph(out, text_of(report, "foot"), " class=\"next\"");
	fputs("</body>\n</html>\n", out);
}
