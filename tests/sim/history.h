/* Whole histories: one, many, and the fewest events of one that fails. */
#ifndef HISTORY_H
#define HISTORY_H

#include "sim.h"

/* How a history begins; 0 and NULL = as the seed says. */
struct beginning {
	uint64_t seed;
	uint32_t crash_in;    /* points from the start of the first run */
	const char *task;     /* of the first run */
	const char *asset;    /* that it is about */
	const uint64_t *only; /* events that happen */
	size_t only_count;
	bool trace;
};

/* What became of it. */
struct ending {
	const char *violation; /* NULL = none */
	char detail[256];
	struct event *events; /* that happened: the caller's */
	size_t event_count;
};

void history(const struct beginning *, struct cover *, struct ending *);
void ending_clear(struct ending *);

/* Histories of consecutive seeds; a violation is shrunk and printed with its trace. True = none. */
bool histories(struct beginning *, uint64_t count, struct cover *);

/* Prints a failing history, with the fewest events that fail. */
void shrink_print(const struct beginning *, const struct ending *);

struct campaign {
	uint64_t seed, count;
	uint32_t jobs;
	const char *task;
	const char *state; /* the file that says what is done already; NULL = none */
};
/* The exit status. */
int campaign_run(struct campaign *);
int campaign_bugs(const struct campaign *);

/* What a campaign came to until now. */
struct progress {
	uint64_t first, next; /* seeds: those from the first to before the next are done */
	double took_s, cpu_s;
	struct cover cover;
};

/* Reads it; where there is no such file yet it stays as it is. Of another program's it dies. */
void state_load(const char *path, struct progress *);
void state_save(const char *path, const struct progress *);

#endif
