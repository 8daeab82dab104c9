/*
 * Metrics in Prometheus' text format (0.0.4): how it stands, for a program that asks every so
 * often.
 *
 * Owns their names, which docs/notifications.md lists, what is counted since the start, and the lag
 * of the loop. Costs the same however much is kept.
 */
#ifndef SERVICE_METRICS_H
#define SERVICE_METRICS_H

#include <stdbool.h>

#include "base/clock.h"
#include "rotation.h"

struct evbuffer;
struct service;

struct metrics {
	uint64_t records[STATUS_COUNT];	    /* that ended, by what they were then */
	uint64_t settled[STATUS_COUNT];	    /* doubts, by what they came to */
	uint64_t executions[OUTCOME_COUNT]; /* that ended */
	uint64_t wires_died;
	bool reload_failed;
	uint64_t reloaded_ms; /* wall; of the last policy that was taken */
	struct timer beat;
	uint64_t beat_ms;     /* monotonic: when it is due */
	uint64_t lags_ms[60]; /* of the last beats, a second each */
	unsigned at;
};

/* Begins to watch the loop's lag. */
void metrics_start(struct service *);
void metrics_stop(struct service *);
void metrics_count(struct metrics *, const struct rotation_event *);

/* The whole answer to who asks for them by HTTP. */
void metrics_answer(struct service *, struct evbuffer *out);

#endif
