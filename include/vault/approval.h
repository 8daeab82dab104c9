/*
 * Approvals: that one person may see one version of an account's secret, once, because another
 * said so.
 *
 * Owns who asked for what, what was answered, for how long that holds, and that it is used once.
 * Never knows who may answer.
 */
#ifndef VAULT_APPROVAL_H
#define VAULT_APPROVAL_H

#include "vault.h"

#define APPROVALS_MAX	 1000	      /* that are kept; of one person a tenth */
#define APPROVAL_KEEP_MS 604800000ULL /* after it was asked for, whatever became of it */

enum approval_state {
	APPROVAL_PENDING, /* nobody has answered */
	APPROVAL_GRANTED,
	APPROVAL_DENIED,
	APPROVAL_USED,
	APPROVAL_EXPIRED, /* granted, and its time is over; or nobody has answered in a week */
};
const char *approval_state_name(enum approval_state); /* "pending", … */

struct approval {
	struct id id;
	struct id account;
	char asset[ASSET_NAME_SIZE], name[ACCOUNT_NAME_SIZE]; /* as it is called now */
	enum secret_kind kind;
	uint32_t version;
	char who[WHO_SIZE]; /* asks */
	char why[WHY_SIZE];
	uint64_t asked_ms; /* wall */
	char by[WHO_SIZE]; /* has answered; "" = nobody */
	bool by_owner;	   /* the vault's, whom no policy needs to let */
	bool granted;
	uint64_t answered_ms, answered_mono_ms, length_ms;
	uint64_t used_ms;
};

/* By both clocks, as a check-out: one that is set back makes it no longer. */
enum approval_state approval_state(struct vault_txn *, const struct approval *);
uint64_t approval_until_ms(struct vault_txn *, const struct approval *); /* of a granted one */

/*
 * The newest of this person's for this version that is pending or granted, the granted one first.
 * ERR_NOT_FOUND.
 */
enum err approval_for(struct vault_txn *, const struct id *account, uint32_t version,
    const char *who, struct approval *) MUST_CHECK;

/* Asks. What is old goes. ERR_LIMIT: there are too many. `*out` is what is kept then. */
enum err approval_ask(struct vault_txn *, const struct account *, uint32_t version, const char *who,
    const char *why, struct approval *out, struct error *error) MUST_CHECK;

/* Answers one that is pending; ERR_REFUSED otherwise, and of one's own. `length_ms` 0 = no. */
enum err approval_answer(struct vault_txn *, const struct id *, const char *by, bool by_owner,
    uint64_t length_ms, struct approval *out, struct error *error) MUST_CHECK;

/* What was granted holds no more: whoever did may not any more. */
enum err approval_void(struct vault_txn *, const struct id *, struct error *error) MUST_CHECK;

/* Uses one that is granted; ERR_REFUSED otherwise. */
enum err approval_use(struct vault_txn *, const struct id *, struct error *error) MUST_CHECK;

/* As execution_find. */
enum err approval_find(
    struct vault_txn *, const char *text, struct approval *, struct error *error) MUST_CHECK;
size_t approval_id_length(struct vault_txn *, const struct id *);

/* In order of id, the oldest first. False from fn stops. */
void approval_each(struct vault_txn *, bool (*fn)(void *arg, const struct approval *), void *arg);

#endif
