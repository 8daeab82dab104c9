/*
 * Schemas: a statement's fields as a table of name, type, place and bounds.
 *
 * Owns reading a Lua table into a C structure by such a table, and what it says about fields that
 * are unknown or of another type. Runs no Lua: tables are read raw.
 */
#ifndef POLICY_SCHEMA_H
#define POLICY_SCHEMA_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/arena.h"
#include "policy/names.h"
#include "policy/report.h"

#define TEXT_LEN_MAX   1024
#define LIST_COUNT_MAX 10000

/* What reads fields: where to complain, whose memory to use, which statement it is. */
struct reader {
	lua_State *lua;
	struct arena *arena;
	struct problems *errors;
	const struct statement *statement;
};

enum field_type {
	FIELD_TEXT,	/* const char * */
	FIELD_FLAG,	/* bool */
	FIELD_COUNT,	/* uint32_t, min … max */
	FIELD_DURATION, /* uint64_t in ms, min … max */
	FIELD_CHOICE,	/* int: the index in words */
	FIELD_NAMES,	/* struct names: one text or a list */
	FIELD_TABLE,	/* a table with `fields` of its own, in the same structure */
	FIELD_FUNCTION, /* int: a reference in Lua's registry; not kept where offset is
			   FIELD_NOT_KEPT */
	FIELD_OWN,	/* `read` */
	FIELD_LATER,	/* a word of the language that this version does not know how to keep */
};

#define FIELD_NOT_KEPT SIZE_MAX

struct field {
	const char *name;
	enum field_type type;
	size_t offset;
	uint64_t min, max;
	const char *(*fault)(const char *text); /* TEXT, NAMES: may be NULL */
	const char *const *words;		/* CHOICE: ended by NULL */
	const struct field *fields;
	/* OWN: reads the value on top of the stack into the whole structure. */
	void (*read)(struct reader *, const struct field_path *, void *out);
};

/* Reads the table at `index`; `fields` is ended by a NULL name. What is wrong is reported and left
 * as it was. */
void schema_read(
    struct reader *, const struct field *fields, int index, const struct field_path *up, void *out);

/* The same for one value, on top of the stack. */
void field_read(struct reader *, const struct field *, const struct field_path *, void *out);

/* "field "x" must be …, not …" about the value on top of the stack. Silent for a word that was
 * refused already. */
void field_wrong(struct reader *, const struct field_path *, const char *expected);

/* As field_wrong, with what is wrong in words: "field "x" may not be empty". */
void field_fault(struct reader *, const struct field_path *, const char *fault);

/* The text at the top, copied; NULL (and reported) when it is none, too long, not UTF-8 or has a
 * NUL. */
const char *field_text(struct reader *, const struct field_path *, const char *expected);

/* The whole number at the top. False (and reported) when it is none or out of bounds. */
bool field_number(
    struct reader *, const struct field_path *, uint64_t min, uint64_t max, uint32_t *out);

/* What functions such as `cron` give today: refused where it was called, and silent where it
 * stands. */
void push_refused(lua_State *);
bool is_refused(lua_State *);

#endif
