/*
 * Text: what may be shown, and what was probably meant.
 *
 * Owns the rules for showing bytes that others wrote. Never changes what is kept.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True for well-formed UTF-8 without NUL. */
bool text_is_utf8(const char *text, size_t len);

/*
 * Copies hostile text for a terminal or a log: control characters (C0, DEL, C1), bytes that are not
 * UTF-8 and direction overrides become \xNN or \u{NNNN}; newline and tab become \n and \t. Cut at
 * `size` (with NUL) at a character boundary, then ends in "…". Returns `out`.
 */
char *text_escape(char *out, size_t size, const char *text, size_t len);

/*
 * The nearest of `count` names to `word` by edits (at most a third of its length, at least 1), else
 * the only one that begins with it, or NULL when none is near.
 */
const char *text_nearest(const char *word, const char *const *names, size_t count);

/* True when `name` matches `pattern`, where `*` is any run of characters; all else is literal. */
bool text_glob(const char *pattern, const char *name);

/*
 * "30s", "15m", "2h", "90d", "4w", "500ms" into milliseconds. False for anything else, for none and
 * for what does not fit.
 */
bool text_duration_ms(const char *text, size_t len, unsigned long long *ms);

/* The reverse: "2026-11-24T09:41:07.120Z", without the fraction too, or the day alone, at its
 * beginning. False for anything else. */
bool text_moment_ms(const char *text, uint64_t *wall_ms);

/* In base64, with its padding and a NUL: TEXT_BASE64_SIZE(len) bytes. */
#define TEXT_BASE64_SIZE(len) (4 * (((len) + 2) / 3) + 1)
void text_base64(char *out, const void *bytes, size_t len);

/* Milliseconds since 1970 as RFC 3339 in UTC ("2026-11-24T09:41:07.120Z"); `out` has 32 bytes. */
char *text_rfc3339(char *out, unsigned long long wall_ms);

#endif
