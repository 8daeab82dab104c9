#include "cli/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "base/format.h"
#include "cli/terminal.h"

#define REDRAW_MS    100
#define LINE_MS	     10000
#define BAR_COLUMNS  36
#define PACE_COLUMNS 66 /* what stands behind the bar */
#define LINE_SIZE    256
#define MEASURE_MS   1000
#define PER_S_LEAST  0.5 /* slower than that, a rate says nothing */

enum ended { SUCCESS, FAILED, UNVERIFIED, SKIPPED, ENDED_COUNT };

static const char *const ended_names[] = {"success", "failed", "unverified", "skipped"};

struct progress {
	bool quiet;
	bool lines; /* plain ones */
	bool bar;
	bool colour;
	bool drawn; /* the bar stands on the terminal */
	bool running;
	char *task;
	char execution[32];
	json_int_t total;
	json_int_t in_flight;
	json_int_t counts[ENDED_COUNT];
	uint64_t shown_ms;
	double per_s;		/* how many end, of late; 0 = not known yet */
	uint64_t measured_ms;	/* when that was measured last */
	json_int_t measured;	/* and how many had ended then */
	uint64_t wait_until_ms; /* 0 = not waiting */
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct progress *progress_new(bool quiet, bool json, bool log)
{
	struct progress *progress = xcalloc(1, sizeof(*progress));

	progress->quiet = quiet;
	progress->bar = !quiet && !log && terminal_is(STDERR_FILENO);
	progress->lines = !quiet && !json && !progress->bar;
	progress->colour = terminal_has_colour(STDERR_FILENO);
	return progress;
}

void progress_free(struct progress *progress)
{
	if (progress == NULL)
		return;
	progress_end(progress);
	free(progress->task);
	free(progress);
}

/* ── Drawing ─────────────────────────────────────────────────────────────────────────────── */

static json_int_t done_count(const struct progress *progress)
{
	json_int_t done = 0;

	for (int i = 0; i < ENDED_COUNT; i++)
		done += progress->counts[i];
	return done < progress->total ? done : progress->total;
}

/* Appends to the `size` bytes at `out`, cut where they end. */
static void __attribute__((format(printf, 3, 4)))
append(char *out, size_t size, const char *fmt, ...)
{
	size_t used = strlen(out);
	va_list args;

	va_start(args, fmt);
	vsnprintf(out + used, size - used, fmt, args);
	va_end(args);
}

/* The newest second counts for as much as all before it: a fleet is not one pace throughout. */
static void measure(struct progress *progress, json_int_t done, uint64_t now)
{
	uint64_t elapsed_ms = now - progress->measured_ms;
	double newest;

	if (elapsed_ms < MEASURE_MS)
		return;
	newest = (double)(done - progress->measured) * 1000 / (double)elapsed_ms;
	progress->per_s = progress->per_s > 0 ? (progress->per_s + newest) / 2 : newest;
	progress->measured_ms = now;
	progress->measured = done;
}

static void add_pace(const struct progress *progress, json_int_t done, uint64_t now, char *out)
{
	char text[FORMAT_SIZE];

	if (progress->wait_until_ms > now) {
		append(out, LINE_SIZE, "   %s until doubts may be tried",
		    format_elapsed(text, progress->wait_until_ms - now));
	} else if (progress->per_s >= PER_S_LEAST && done < progress->total) {
		double left_ms = (double)(progress->total - done) * 1000 / progress->per_s;

		append(out, LINE_SIZE, "   %s/s",
		    format_count(text, (uint64_t)(progress->per_s + 0.5)));
		append(out, LINE_SIZE, "   %s left", format_elapsed(text, (uint64_t)left_ms));
	}
}

static void add_counts(const struct progress *progress, char *out)
{
	char text[FORMAT_SIZE];

	for (int i = 0; i < ENDED_COUNT; i++)
		append(out, LINE_SIZE, "%s%s %s", i == 0 ? " " : "   ", ended_names[i],
		    format_count(text, (uint64_t)progress->counts[i]));
}

static void draw_bar(const struct progress *progress, json_int_t done, int columns)
{
	int filled = progress->total > 0 ? (int)(done * columns / progress->total) : 0;

	fputs(progress->colour ? " \033[32m" : " ", stderr);
	for (int i = 0; i < filled; i++)
		fputs("━", stderr);
	fputs(progress->colour ? "\033[0m" : "", stderr);
	for (int i = filled; i < columns; i++)
		fputs("─", stderr);
}

/* Two lines, each no longer than the terminal: a longer one would wrap and stay. */
static void draw(struct progress *progress, uint64_t now)
{
	size_t width = terminal_width(STDERR_FILENO);
	json_int_t done = done_count(progress);
	char some[FORMAT_SIZE], all[FORMAT_SIZE], flight[FORMAT_SIZE];
	char pace[LINE_SIZE] = "", counts[LINE_SIZE] = "";
	size_t bar;

	measure(progress, done, now);
	append(pace, sizeof(pace), " %3d %%   %s/%s   in flight %s",
	    progress->total > 0 ? (int)(done * 100 / progress->total) : 100,
	    format_count(some, (uint64_t)done), format_count(all, (uint64_t)progress->total),
	    format_count(flight, (uint64_t)progress->in_flight));
	add_pace(progress, done, now, pace);
	add_counts(progress, counts);
	bar = width > PACE_COLUMNS ? width - PACE_COLUMNS : 0;
	bar = bar > BAR_COLUMNS ? BAR_COLUMNS : bar;
	fputs(progress->drawn ? "\r\033[1A\033[K" : "\r\033[K", stderr);
	draw_bar(progress, done, (int)bar);
	fprintf(stderr, "%.*s\n\033[K", (int)format_prefix(pace, width - bar - 2), pace);
	fprintf(stderr, "%.*s", (int)format_prefix(counts, width - 1), counts);
	fflush(stderr);
	progress->drawn = true;
}

static void print_line(const struct progress *progress)
{
	char some[FORMAT_SIZE], all[FORMAT_SIZE], counts[LINE_SIZE] = "";

	add_counts(progress, counts);
	fprintf(stderr, "%s  %s of %s:%s\n", progress->task,
	    format_count(some, (uint64_t)done_count(progress)),
	    format_count(all, (uint64_t)progress->total), counts);
}

static void show(struct progress *progress)
{
	uint64_t now = now_ms();

	if (!progress->running)
		return;
	if (progress->bar && now - progress->shown_ms >= REDRAW_MS) {
		progress->shown_ms = now;
		draw(progress, now);
	} else if (progress->lines && now - progress->shown_ms >= LINE_MS) {
		progress->shown_ms = now;
		print_line(progress);
	}
}

void progress_end(struct progress *progress)
{
	if (progress->drawn)
		fputs("\r\033[1A\033[J", stderr);
	progress->drawn = false;
	progress->running = false;
	fflush(stderr);
}

/* A sentence between the bars. */
static void say(struct progress *progress, const char *word, const char *text)
{
	bool running = progress->running;

	if (progress->quiet)
		return;
	progress_end(progress);
	progress->running = running;
	fprintf(stderr, "%s%s\n", word, text);
}

/* ── Events ──────────────────────────────────────────────────────────────────────────────── */

static void on_started(struct progress *progress, const json_t *event)
{
	const char *task = text_of(event, "task"); /* a verify has none */
	char total[FORMAT_SIZE], text[64];

	free(progress->task);
	progress->task = xstrdup(task[0] != '\0' ? task : "verify");
	progress->total = number_of(event, "total");
	progress->shown_ms = progress->measured_ms = now_ms();
	progress->running = true;
	snprintf(text, sizeof(text), "  %s account%s",
	    format_count(total, (uint64_t)progress->total), progress->total == 1 ? "" : "s");
	if (progress->bar || progress->lines)
		say(progress, progress->task, text);
}

static int ended_of(const json_t *record)
{
	const char *status = text_of(record, "status");

	for (int i = 0; i < ENDED_COUNT; i++)
		if (strcmp(status, ended_names[i]) == 0)
			return i;
	return -1;
}

static void on_record(struct progress *progress, const json_t *event)
{
	const json_t *record = json_object_get(event, "record");
	int ended = ended_of(record);

	progress->wait_until_ms = 0;
	snprintf(
	    progress->execution, sizeof(progress->execution), "%s", text_of(record, "execution"));
	if (ended >= 0)
		progress->counts[ended]++;
}

/* Of this execution, it was counted as unverified before. */
static void on_settled(struct progress *progress, const json_t *event)
{
	const json_t *record = json_object_get(event, "record");
	int ended = ended_of(record);

	progress->wait_until_ms = 0;
	if (ended < 0 || strcmp(text_of(record, "execution"), progress->execution) != 0)
		return;
	progress->counts[UNVERIFIED]--;
	progress->counts[ended]++;
}

static void on_waiting(struct progress *progress, const json_t *event)
{
	uint64_t wait_ms = (uint64_t)number_of(event, "wait_ms");
	char text[FORMAT_SIZE];

	if (progress->wait_until_ms == 0 && progress->lines)
		say(progress, "only doubts are left: they may be tried in ",
		    format_elapsed(text, wait_ms));
	progress->wait_until_ms = now_ms() + wait_ms;
}

static void on_canary(struct progress *progress, const json_t *event)
{
	char ok[FORMAT_SIZE], all[FORMAT_SIZE], text[96];

	snprintf(text, sizeof(text), "  canary %s of %s ok, going on",
	    format_count(ok, (uint64_t)number_of(event, "ok")),
	    format_count(all, (uint64_t)number_of(event, "canaries")));
	if (progress->bar || progress->lines)
		say(progress, progress->task, text);
}

static void on_stopped(struct progress *progress, const json_t *event)
{
	bool canary = strcmp(text_of(event, "why"), "canary") == 0;
	json_int_t all = number_of(event, canary ? "canaries" : "total");
	char trouble[FORMAT_SIZE], of[FORMAT_SIZE], text[192];

	snprintf(text, sizeof(text),
	    "  stopped: %s of %s %s failed or unverified; nothing more is begun",
	    format_count(trouble, (uint64_t)number_of(event, "trouble")),
	    format_count(of, (uint64_t)all), canary ? "canaries" : "accounts");
	say(progress, progress->task, text);
}

static void on_tick(struct progress *progress, const json_t *event)
{
	progress->in_flight = number_of(event, "in_flight");
}

static void on_paused(struct progress *progress, const json_t *event)
{
	(void)event;
	say(progress, "", "paused: there is no room on the vault's disk; it goes on when there is");
}

static void on_resumed(struct progress *progress, const json_t *event)
{
	(void)event;
	say(progress, "", "resumed");
}

static void on_interrupted(struct progress *progress, const json_t *event)
{
	(void)event;
	say(progress, "",
	    "interrupted: nothing more is begun; what is in flight ends, and what is in doubt is "
	    "settled by the next run");
}

static void on_others(struct progress *progress, const json_t *event)
{
	(void)event;
	say(progress, "",
	    "done; other commands are carried out by this one's engine, which ends after them");
}

static void on_left(struct progress *progress, const json_t *event)
{
	(void)event;
	say(progress, "",
	    "left: what was begun goes on in the engine that carries it out; lockstep execution "
	    "list shows it");
}

static void on_warning(struct progress *progress, const json_t *event)
{
	say(progress, "warning: ", text_of(event, "text"));
}

static void on_wire_died(struct progress *progress, const json_t *event)
{
	say(progress, "warning: a wire process ended and is replaced: ", text_of(event, "how"));
}

void progress_event(void *arg, const json_t *event)
{
	static const struct {
		const char *word;
		void (*fn)(struct progress *, const json_t *);
	} kinds[] = {
	    {"started", on_started},
	    {"record", on_record},
	    {"settled", on_settled},
	    {"canary", on_canary},
	    {"stopped", on_stopped},
	    {"waiting", on_waiting},
	    {"tick", on_tick},
	    {"paused", on_paused},
	    {"resumed", on_resumed},
	    {"interrupted", on_interrupted},
	    {"others", on_others},
	    {"left", on_left},
	    {"warning", on_warning},
	    {"wire_died", on_wire_died},
	};
	struct progress *progress = arg;
	const char *word = text_of(event, "event");

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].word, word) == 0)
			kinds[i].fn(progress, event);
	show(progress);
}
