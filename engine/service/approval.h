/*
 * Approval by another, for what shows a secret.
 *
 * Owns who may answer, and that what was answered is used in the commit that lets the secret be
 * seen. Never shows one.
 */
#ifndef SERVICE_APPROVAL_H
#define SERVICE_APPROVAL_H

#include "service/engine.h"
#include "vault/approval.h"

/* What a request to see a secret goes on with. */
struct approving {
	bool needed;
	struct approval approval; /* where it is */
};

/* Whether whoever asks sees secrets of this asset only with another's approval. */
bool approval_is_needed(const struct request *, const char *asset);

/*
 * Whether whoever asks may see this version now. Where it takes an approval that nobody has given,
 * it is asked for, and the request fails; its result is {"needs": "approval", "approval": id, …}.
 */
enum service_end approval_pass(
    struct request *, const struct account *, uint32_t version, struct approving *) MUST_CHECK;

/* Uses it, where one is needed: ERR_REFUSED when that is not so any more. */
enum err approval_spend(struct vault_txn *, const struct approving *, struct error *) MUST_CHECK;

/* Who let them, for the audit log; "" where nobody had to. */
const char *approval_text(const struct approving *, char *out, size_t size);

#endif
