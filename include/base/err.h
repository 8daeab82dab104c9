/*
 * Errors: what went wrong, as a value that code acts on and a text that people read.
 *
 * Owns the list of error codes. Never decides what to do about one: that is the caller's.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stddef.h>

enum err {
	ERR_OK = 0,
	ERR_AGAIN,     /* would have to wait; look again later */
	ERR_INVALID,   /* what we were given is not well formed */
	ERR_NOT_FOUND, /* no such thing */
	ERR_EXISTS,    /* there is one already */
	ERR_BUSY,      /* someone else has it now */
	ERR_DENIED,    /* not permitted: file mode, owner, wrong key */
	ERR_FULL,      /* no room: disk, map, memory cap, probe budget */
	ERR_LIMIT,     /* a cap of ours was reached: size, time, instructions */
	ERR_IO,	       /* the system refused: disk, file, process */
	ERR_CORRUPT,   /* kept bytes are not what we wrote */
	ERR_VERSION,   /* written by a newer or a foreign program */
	ERR_LINK,      /* a peer is gone or cannot be reached */
	ERR_PROTOCOL,  /* a peer speaks, but not as agreed */
	ERR_REFUSED,   /* a rule of ours forbids it */
	ERR_CANCELED,  /* ended on request */
};

/* The text for people is cut here, at a character boundary. */
#define ERROR_TEXT_SIZE 1024

/*
 * A code and its text. The text says what happened, to what, why, and what to do next;
 * one or more lines, UTF-8, no newline at the end, no terminal controls.
 */
struct error {
	enum err code;
	char text[ERROR_TEXT_SIZE];
};

/* A code's stable name, as in JSON and logs: "not_found". Never NULL. */
const char *err_name(enum err code);

/*
 * Sets code and text and returns the code, so that a function can end with
 * `return error_set(error, ERR_IO, …)`. `error` may be NULL: only the code is kept then.
 */
enum err error_set(struct error *error, enum err code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts `prefix` in front of the text that is there ("vault: "). `error` may be NULL. */
void error_prefix(struct error *error, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Marks a function whose result must be looked at. */
#define MUST_CHECK __attribute__((warn_unused_result))

#endif
