/* The shapes of results: how what is declared and kept reads as JSON. docs/json.md describes them.
 */
#ifndef SERVICE_SHAPE_H
#define SERVICE_SHAPE_H

#include <stdbool.h>

#include <jansson.h>

#include "policy.h"
#include "vault.h"
#include "wire.h"

struct request;
struct service;

/* A word, or null where there is none. */
json_t *shape_word(const char *word);
json_t *shape_problems(const struct problems *);
/* {class, code, message}, or null without a code. */
json_t *shape_error(const char *class, const char *code, const char *message);
json_t *shape_fault(const struct wire_result *);
json_t *shape_host_key(const struct host_key *);
json_t *shape_wire_key(const struct wire_key *);
/* All pins of an asset. */
json_t *shape_host_keys(struct vault_txn *, const char *asset);
json_t *shape_asset(const struct asset *, struct vault_txn *);
json_t *shape_account(const struct account *, struct vault_txn *, bool declared);
json_t *shape_version(const struct account *, const struct version *);
/* With `txn` also the id's first characters that no other's has; NULL where there is no reading. */
json_t *shape_execution(const struct execution *, struct vault_txn *txn, const struct service *);
json_t *shape_record(const struct record *, struct vault_txn *txn);

/* {execution, causes, problems}: of the latter so many are told one by one. What the request's
 * person may not see is left out; NULL = nothing is. */
json_t *report_of(const struct service *, const struct request *, struct vault_txn *,
    const struct execution *, size_t problems_most);

/* "replaced" …; "" while it is in a stage. */
const char *version_end_name(enum version_end);
/* "pending", "current", "previous" or "history". */
const char *version_stage(const struct account *, uint32_t number);

/* Whether a record leaves a run's exit status at 0. */
bool record_is_fine(const struct record *);

#endif
