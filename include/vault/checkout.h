/*
 * Check-outs: secrets that people have for a time, and that are rotated when it is over.
 *
 * Owns when one is over, and that it is kept until a rotation of the account was seen to work:
 * account_promote takes it away in its own commit. Never rotates, and never knows who may have one.
 */
#ifndef VAULT_CHECKOUT_H
#define VAULT_CHECKOUT_H

#include "vault.h"

struct checkout {
	struct id account;
	char asset[ASSET_NAME_SIZE]; /* as it is called now */
	char name[ACCOUNT_NAME_SIZE];
	enum secret_kind kind;
	uint32_t version;   /* that was shown */
	char who[WHO_SIZE]; /* one person has it out once */
	char why[WHY_SIZE];
	uint64_t since_ms, since_mono_ms; /* wall, monotonic */
	uint64_t length_ms;
	uint64_t ended_ms;   /* wall: it was given back, or its time was seen to be over */
	uint32_t tries;	     /* of the rotation that ends it */
	uint64_t again_ms;   /* wall: the next one not before */
	struct id execution; /* of the last one; none = there was none */
};

/* Begins one, of a secret that opens the account. ERR_EXISTS: they have it out already, or what
 * they had is not rotated yet; then that one is in `*there`. */
enum err checkout_begin(struct vault_txn *, const struct account *, const char *who,
    const char *why, uint64_t length_ms, struct checkout *there, struct error *error) MUST_CHECK;

/* ERR_NOT_FOUND. */
enum err checkout_get(
    struct vault_txn *, const struct account *, const char *who, struct checkout *) MUST_CHECK;

/*
 * When its time is over, by the wall clock. It is over when one of both clocks says so: one that is
 * set back makes no check-out longer.
 */
uint64_t checkout_until_ms(struct vault_txn *, const struct checkout *);
/* Neither given back nor over. */
bool checkout_is_out(struct vault_txn *, const struct checkout *);

/*
 * It is over. `*left` false: nothing of it is kept any more, as the account was rotated since by
 * what they have not seen. No harm where it was over already.
 */
enum err checkout_end(struct vault_txn *, const struct checkout *, bool *left) MUST_CHECK;

/* Takes it away, whether what was shown opens the account still or not. */
enum err checkout_forget(struct vault_txn *, const struct checkout *) MUST_CHECK;

/* A rotation that is to end it begins, or cannot: not again before `again_ms` (wall). */
enum err checkout_tried(struct vault_txn *, const struct checkout *, const struct id *execution,
    uint64_t again_ms) MUST_CHECK;

/* Whether there are any. */
bool checkout_any(struct vault_txn *);
/* In order of account, kind and person. False from fn stops. */
void checkout_each(struct vault_txn *, bool (*fn)(void *arg, const struct checkout *), void *arg);
/* Those of one row. */
void checkout_each_of(struct vault_txn *, const struct account *,
    bool (*fn)(void *arg, const struct checkout *), void *arg);

/* Someone's of this row that is out (`any`: or waits to be rotated) and not `but`'s (NULL =
 * nobody's). */
bool account_is_out(
    struct vault_txn *, const struct account *, const char *but, bool any, struct checkout *);

#endif
