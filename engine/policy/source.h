/*
 * A policy file's text, and where in it a field stands.
 *
 * Owns the text while the policy loads. Finds by scanning tokens; never runs anything, and a field
 * that it does not find costs only the caret of a message.
 */
#ifndef POLICY_SOURCE_H
#define POLICY_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "base/buf.h"

#define SOURCE_SIZE_MAX (1024 * 1024)

struct source {
	const char *file; /* as messages name it */
	const char *path; /* where it is */
	struct buf text;
	size_t id;		       /* Lua's chunk is named "#id" */
	const struct source *includer; /* NULL for the entry and the shipped platforms */
	size_t depth;
	bool shipped;	/* a platform that comes with the program */
	bool inventory; /* declares assets and nodes alone */
	size_t statements;
	size_t platforms; /* of these */
	STAILQ_ENTRY(source) link;
};

/* From the outermost field inwards: limits.in_flight is { "in_flight", up = { "limits" } }. */
struct field_path {
	const struct field_path *up;
	const char *name;
};

struct position {
	size_t line;   /* from 1 */
	size_t column; /* in bytes, from 0 */
	size_t len;
};

/*
 * Finds the field of the statement `kind "name" { … }` that begins on `line`; `name` may be NULL.
 * False when it is not written there plainly.
 */
bool source_find(const struct source *, size_t line, const char *kind, const char *name,
    const struct field_path *, struct position *);

/* The line's text without its end; `*len` is 0 when there is no such line. */
const char *source_line(const struct source *, size_t line, size_t *len);

#endif
