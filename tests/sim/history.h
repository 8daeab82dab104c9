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
};
/* The exit status. */
int campaign_run(const struct campaign *);
int campaign_bugs(const struct campaign *);

#endif
