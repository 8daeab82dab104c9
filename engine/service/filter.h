/*
 * Which records are meant: by execution, status, task, asset, account, reason and time.
 */
#ifndef SERVICE_FILTER_H
#define SERVICE_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "service/engine.h"

struct record_filter {
	struct id execution;			     /* none = of all */
	const char *task, *asset, *account, *reason; /* NULL = any */
	int status;				     /* of enum status; -1 = any */
	bool ignored;				     /* of failures, also those that are */
	uint64_t since_ms; /* of executions that started at or after it; wall, 0 = any */
	bool problems;	   /* only what keeps a run's exit status from being 0 */
	const struct request *request; /* whose person sees them */
};

/*
 * Reads it from the parameters "execution", "status", "task", "asset" (a name, a glob or a node),
 * "account" (a name or a glob), "reason", "since", "problems" and "ignored". Fails the request for
 * what is not well formed, or not there.
 */
enum service_end filter_read(struct request *, struct vault_txn *, struct record_filter *);

/* The parameter "since" alone; wall, 0 where it is not given. False, and fails. */
bool param_since(struct request *, uint64_t *since_ms);

/* True when any but "execution" and "ignored", which widens, is given. */
bool filter_is_given(const struct request *);

/* Whether a record of an execution that is meant is meant itself. */
bool filter_takes(const struct record_filter *, const struct record *);

/* Behind this record, or where it is none, behind all of the execution's; both none = the first. */
struct record_place {
	struct id execution, record;
};

/*
 * Calls for each record, meant or not, of the executions that are meant, the newest first, and
 * behind the last one of any execution with NULL. False from fn stops.
 */
typedef bool (*filter_walk_fn)(void *arg, const struct id *execution, const struct record *record);
void filter_walk(struct vault_txn *, const struct record_filter *, const struct record_place *from,
    filter_walk_fn fn, void *arg);

/* Calls for each record that is meant, those of the newest execution first. False from fn stops. */
void filter_each(struct vault_txn *, const struct record_filter *,
    bool (*fn)(void *arg, const struct record *), void *arg);

#endif
