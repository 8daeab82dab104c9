#include "service/totp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <liboath/oath.h>

#include "base/digest.h"
#include "base/mem.h"
#include "base/random.h"

#define WINDOW_STEPS	 1   /* of which a code counts, before now and behind */
#define SEARCH_STEPS	 240 /* two hours: how far a clock that is off is looked for */
#define FREE_FAILURES	 2   /* after which each one makes the next wait */
#define PAUSE_MIN_MS	 30000u
#define PAUSE_MAX_MS	 3600000u
#define SAME_DRIFT_STEPS 2 /* two codes of one phone, typed one after the other */

#define RECOVERY_LETTERS "abcdefghijklmnopqrstuvwxyz234567"
#define RECOVERY_LEN	 16

/* ── Codes ───────────────────────────────────────────────────────────────────────────────── */

void totp_code(const struct secret *secret, uint64_t step, char out[TOTP_DIGITS + 1])
{
	if (oath_hotp_generate(secret_data(secret), secret_len(secret), step, TOTP_DIGITS, false,
		OATH_HOTP_DYNAMIC_TRUNCATION, out) != OATH_OK)
		abort(); /* only a lack of memory makes it fail */
}

static bool is_code_of(const struct secret *secret, uint64_t step, const char *code)
{
	char right[TOTP_DIGITS + 1];
	bool same;

	totp_code(secret, step, right);
	same = bytes_equal(right, code, TOTP_DIGITS);
	explicit_bzero(right, sizeof(right));
	return same;
}

/* The step from `first` to `last` whose code it is; 0 = of none. Looks at all of them. */
static uint64_t step_of(
    const struct secret *secret, const char *code, uint64_t first, uint64_t last)
{
	uint64_t found = 0;

	for (uint64_t step = first; step <= last; step++)
		if (is_code_of(secret, step, code))
			found = step;
	return found;
}

/* ── Failures ────────────────────────────────────────────────────────────────────────────── */

static void count_failure(uint32_t *failures, uint64_t *locked_ms, uint64_t now_ms)
{
	uint64_t pause_ms = PAUSE_MIN_MS;

	++*failures;
	if (*failures <= FREE_FAILURES)
		return;
	for (uint32_t i = FREE_FAILURES + 1; i < *failures && pause_ms < PAUSE_MAX_MS; i++)
		pause_ms *= 2;
	*locked_ms = now_ms + (pause_ms < PAUSE_MAX_MS ? pause_ms : PAUSE_MAX_MS);
}

void credentials_count_failure(struct credentials *credentials, uint64_t now_ms)
{
	count_failure(&credentials->failures, &credentials->locked_ms, now_ms);
}

void credentials_count_login(struct credentials *credentials, bool right, uint64_t now_ms)
{
	if (right)
		credentials->login_failures = credentials->login_locked_ms = 0;
	else
		count_failure(&credentials->login_failures, &credentials->login_locked_ms, now_ms);
}

static void forgive(struct credentials *credentials)
{
	credentials->failures = 0;
	credentials->locked_ms = 0;
	credentials->early_steps = credentials->early_step = 0;
}

/* ── A clock that is off ─────────────────────────────────────────────────────────────────── */

/*
 * A code of the past never comes again: to tell that it was one helps nobody to guess. One of the
 * future does come: it is told only with the second of two different ones, by the same phone as it
 * seems, which a guess does not hit.
 */
static bool early_is_told(struct credentials *credentials, uint64_t now, uint64_t step)
{
	uint64_t steps = step - now, before = credentials->early_steps;
	uint64_t apart = steps > before ? steps - before : before - steps;
	bool told = before != 0 && step > credentials->early_step && apart <= SAME_DRIFT_STEPS;

	credentials->early_steps = steps;
	credentials->early_step = step;
	return told;
}

static struct code_verdict judge_wrong(struct credentials *credentials, const struct secret *secret,
    const char *code, uint64_t now, uint64_t now_ms)
{
	struct code_verdict verdict = {.word = CODE_WRONG};
	uint64_t past = step_of(secret, code, now - SEARCH_STEPS, now - WINDOW_STEPS - 1);
	uint64_t future = step_of(secret, code, now + WINDOW_STEPS + 1, now + SEARCH_STEPS);

	if (past != 0)
		verdict =
		    (struct code_verdict){CODE_CLOCK, -(int64_t)((now - past) * TOTP_STEP_MS), 0};
	else if (future != 0 && early_is_told(credentials, now, future))
		verdict =
		    (struct code_verdict){CODE_CLOCK, (int64_t)((future - now) * TOTP_STEP_MS), 0};
	credentials_count_failure(credentials, now_ms);
	verdict.wait_ms = credentials->locked_ms > now_ms ? credentials->locked_ms - now_ms : 0;
	return verdict;
}

/* ── Recovery codes ──────────────────────────────────────────────────────────────────────── */

/* Without blanks and dashes, in small letters; at most `size` - 1 characters of it. */
static size_t code_clean(const char *code, char *out, size_t size)
{
	size_t len = 0;

	for (; *code != '\0'; code++) {
		char c = *code >= 'A' && *code <= 'Z' ? (char)(*code - 'A' + 'a') : *code;

		if (c == ' ' || c == '-')
			continue;
		if (len + 1 == size)
			return 0; /* too long to be any */
		out[len++] = c;
	}
	out[len] = '\0';
	return len;
}

static void recovery_digest(const char code[RECOVERY_LEN], uint8_t out[DIGEST_SIZE])
{
	digest_of(code, RECOVERY_LEN, out);
}

static bool recovery_take(struct credentials *credentials, const char *code)
{
	uint8_t digest[DIGEST_SIZE];
	size_t found = RECOVERY_MAX;

	recovery_digest(code, digest);
	for (size_t i = 0; i < credentials->recovery_count; i++)
		if (bytes_equal(credentials->recovery[i], digest, DIGEST_SIZE))
			found = i;
	if (found == RECOVERY_MAX)
		return false;
	credentials->recovery_count--;
	memmove(credentials->recovery[found], credentials->recovery[credentials->recovery_count],
	    DIGEST_SIZE);
	return true;
}

/* 80 bits each: no slower hash is needed. */
void recovery_make(struct credentials *credentials, char out[RECOVERY_MAX][RECOVERY_TEXT_SIZE])
{
	for (size_t i = 0; i < RECOVERY_MAX; i++) {
		uint8_t bytes[RECOVERY_LEN];
		char code[RECOVERY_LEN];
		size_t at = 0;

		random_bytes(bytes, sizeof(bytes));
		for (size_t k = 0; k < RECOVERY_LEN; k++) {
			code[k] = RECOVERY_LETTERS[bytes[k] % (sizeof(RECOVERY_LETTERS) - 1)];
			if (k > 0 && k % 4 == 0)
				out[i][at++] = '-';
			out[i][at++] = code[k];
		}
		out[i][at] = '\0';
		recovery_digest(code, credentials->recovery[i]);
		explicit_bzero(bytes, sizeof(bytes));
		explicit_bzero(code, sizeof(code));
	}
	credentials->recovery_count = RECOVERY_MAX;
}

/* ── All ─────────────────────────────────────────────────────────────────────────────────── */

static struct code_verdict judge_digits(
    struct credentials *credentials, const struct secret *secret, const char *code, uint64_t now_ms)
{
	uint64_t now = now_ms / TOTP_STEP_MS;
	uint64_t step = step_of(secret, code, now - WINDOW_STEPS, now + WINDOW_STEPS);

	if (step == 0)
		return judge_wrong(credentials, secret, code, now, now_ms);
	if (step <= credentials->used_step)
		return (struct code_verdict){.word = CODE_USED};
	forgive(credentials);
	credentials->used_step = step;
	return (struct code_verdict){.word = CODE_RIGHT};
}

struct code_verdict code_judge(
    struct credentials *credentials, const struct secret *secret, const char *code, uint64_t now_ms)
{
	struct code_verdict verdict = {.word = CODE_WRONG};
	char clean[RECOVERY_LEN + 1] = "";
	size_t len = code_clean(code, clean, sizeof(clean));

	if (credentials->locked_ms > now_ms)
		return (struct code_verdict){
		    .word = CODE_LOCKED, .wait_ms = credentials->locked_ms - now_ms};
	if (len == TOTP_DIGITS && strspn(clean, "0123456789") == len)
		return judge_digits(credentials, secret, clean, now_ms);
	if (len == RECOVERY_LEN && recovery_take(credentials, clean)) {
		forgive(credentials);
		verdict.word = CODE_RECOVERY;
	} else {
		credentials_count_failure(credentials, now_ms);
		verdict.wait_ms =
		    credentials->locked_ms > now_ms ? credentials->locked_ms - now_ms : 0;
	}
	explicit_bzero(clean, sizeof(clean));
	return verdict;
}

char *totp_uri(const struct secret *secret, const char *user)
{
	static const char form[] = "otpauth://totp/Lockstep:%s?secret=%s&issuer=Lockstep";
	char *text = NULL, *uri;
	size_t len, size;

	if (oath_base32_encode(secret_data(secret), secret_len(secret), &text, &len) != OATH_OK)
		return NULL;
	size = sizeof(form) + strlen(user) + len;
	uri = mem_alloc(size);
	if (uri != NULL)
		snprintf(uri, size, form, user, text);
	explicit_bzero(text, len);
	free(text);
	return uri;
}
