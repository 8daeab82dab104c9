/*
 * One-time codes: RFC 6238 (SHA-1, six digits, steps of 30 seconds) and recovery codes, and what is
 * made of one that someone gives.
 *
 * Owns which code counts, how often, and the pauses after wrong ones. Never keeps anything: the
 * caller writes what it changed before it says so.
 */
#ifndef SERVICE_TOTP_H
#define SERVICE_TOTP_H

#include <stdint.h>

#include "base/secret.h"
#include "vault.h"

#define TOTP_DIGITS	   6
#define TOTP_STEP_MS	   30000u
#define TOTP_SECRET_BYTES  20
#define RECOVERY_TEXT_SIZE 20 /* "abcd-efgh-ijkl-mnop" */

/* The code of a step. */
void totp_code(const struct secret *, uint64_t step, char out[TOTP_DIGITS + 1]);

enum code_word {
	CODE_RIGHT,
	CODE_RECOVERY, /* a recovery code, which is gone now */
	CODE_WRONG,
	CODE_USED,   /* a right one, taken before */
	CODE_CLOCK,  /* it is of another time: `off_ms` ahead of this machine, or behind */
	CODE_LOCKED, /* nothing was looked at */
};

struct code_verdict {
	enum code_word word;
	int64_t off_ms;
	uint64_t wait_ms; /* until the next one is looked at */
};

/*
 * Judges a code and changes the credentials by what it was: a right one is never right again, a
 * wrong one is counted. All comparisons take the same time.
 */
struct code_verdict code_judge(
    struct credentials *, const struct secret *, const char *code, uint64_t now_ms);

/* A wrong code was given. */
void credentials_count_failure(struct credentials *, uint64_t now_ms);
/* A login was right or wrong: the same, counted apart. */
void credentials_count_login(struct credentials *, bool right, uint64_t now_ms);

/* Fresh recovery codes, in place of those before. */
void recovery_make(struct credentials *, char out[RECOVERY_MAX][RECOVERY_TEXT_SIZE]);

/* What an authenticator takes: "otpauth://totp/Lockstep:ann?secret=…"; mem_free it. NULL: no
 * memory. */
char *totp_uri(const struct secret *, const char *user);

#endif
