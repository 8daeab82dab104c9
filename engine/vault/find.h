/*
 * Things by the first characters of their id, as people type them.
 */
#ifndef VAULT_FIND_H
#define VAULT_FIND_H

#include "vault/store.h"

/* The one id in `table` (keyed by id) that begins with `text`. `what` names the kind of thing in
 * texts. */
enum err find_by_id(struct vault_txn *, enum table, const char *what, const char *text,
    struct id *id, struct error *error) MUST_CHECK;

/*
 * How many characters of an id tell it from all others of the table; at least FIND_LENGTH_MIN,
 * which is its whole moment: what was printed of an execution tells it from later ones, too.
 */
#define FIND_LENGTH_MIN 10
size_t find_length(struct vault_txn *, enum table, const struct id *id);

#endif
