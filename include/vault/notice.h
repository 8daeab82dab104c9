/*
 * Notices: the queue of what is to be told to someone outside, an entry a receiver.
 *
 * Owns how many there may be, and counting them. Never knows how one is sent. What it says is read
 * from the vault when it is sent, so it never holds a secret nor an asset's text.
 */
#ifndef VAULT_NOTICE_H
#define VAULT_NOTICE_H

#include "vault.h"

#define NOTICE_TO_SIZE	   256
#define NOTICE_RECORDS_MAX 100
#define NOTICES_MAX	   10000 /* that are kept; more are counted as lost */

struct notice {
	struct id id;		 /* none: it is new, and gets one */
	char channel[WORD_SIZE]; /* how it goes: "mail", "webhook" */
	char to[NOTICE_TO_SIZE]; /* an address, or what the policy calls the receiver */
	char event[WORD_SIZE];
	char task[TASK_NAME_SIZE]; /* "" = of none */
	struct id execution;	   /* none = of none */
	struct counts counts;	   /* of its records, when it was queued */
	struct id records[NOTICE_RECORDS_MAX];
	size_t record_count;
	uint64_t more;		 /* records that have no room here */
	char text[MESSAGE_SIZE]; /* what else there is to say */
	uint64_t queued_ms;	 /* wall */
	uint64_t due_ms;	 /* wall: not to be sent before */
	uint32_t tries;		 /* that failed */
	uint64_t tried_ms;	 /* the last one; 0 = none */
	uint64_t given_up_ms;	 /* 0 = it is still tried */
	char why[WHY_SIZE];	 /* the last one failed; hostile: a server's words */
};

/* New or changed. Of those given up the newest 1000 stay. Where the queue is full a new one is
 * counted as lost, and its id stays none. */
enum err notice_put(struct vault_txn *, struct notice *) MUST_CHECK;

/*
 * As notice_put of a new one about a record; but where one to the same receiver, of the same event
 * and task, waits for its time and was never tried, the record is added to that.
 */
enum err notice_gather(struct vault_txn *, struct notice *) MUST_CHECK;

/* Takes it out of the queue; `sent` counts it as such. Fine where it is not there. */
enum err notice_remove(struct vault_txn *, const struct id *, bool sent) MUST_CHECK;

enum err notice_get(struct vault_txn *, const struct id *, struct notice *) MUST_CHECK;
/* As execution_find. */
enum err notice_find(
    struct vault_txn *, const char *text, struct notice *, struct error *error) MUST_CHECK;
size_t notice_id_length(struct vault_txn *, const struct id *);

/* In order of id, the oldest first, from behind `after` (none = from the first). False stops. */
void notice_each(struct vault_txn *, const struct id *after,
    bool (*fn)(void *arg, const struct notice *), void *arg);

struct notice_counts {
	uint64_t waiting, given_up; /* now */
	uint64_t sent, lost;	    /* ever */
};

void notice_count(struct vault_txn *, struct notice_counts *);

#endif
