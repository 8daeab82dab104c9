/*
 * Reporting: mistakes as people read them.
 *
 * Owns the form of a message: "file:line: kind "name": what", the line as it stands in the file, a
 * caret, what was probably meant. Never decides what is a mistake.
 */
#ifndef POLICY_REPORT_H
#define POLICY_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "policy.h"
#include "policy/source.h"

/* One `kind "name" { … }` in a file, or one row of an inventory. */
struct statement {
	const char *file;
	struct source *source; /* NULL in an inventory */
	size_t line;
	const char *kind;
	const char *name; /* NULL where the kind has none */
	bool complete;	  /* its table came */
	STAILQ_ENTRY(statement) link;
};

/* Adds "file:line: …" (no line when 0, no file when NULL). The same text twice is kept once. */
void problem_add(struct problems *, const char *file, size_t line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* As problem_add, with the line of the source below it. */
void problem_add_line(struct problems *, const struct source *, size_t line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* About a statement; at its field where `path` is not NULL. `meant` (may be NULL) is offered
 * instead. */
void statement_problem(struct problems *, const struct statement *, const struct field_path *,
    const char *meant, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* The same, without the line itself: it may hold a secret, which goes into no log. */
void statement_problem_quiet(
    struct problems *, const struct statement *, const struct field_path *, const char *what);

/* About a statement as a whole, with a second line that says why. */
void statement_problem_why(struct problems *, const struct statement *, const char *why,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* "limits.in_flight" into `out`. */
void field_path_text(const struct field_path *, char *out, size_t size);

/* In reading order: by file, then line. */
void problems_sort(struct problems *);

#endif
