/* What must hold of each commit: told by notes.c what the open transaction does. */
#ifndef SIM_COMMITS_H
#define SIM_COMMITS_H

#include "sim.h"

struct key;

/* A transaction begins; it changes a record; it deletes the version with this key. */
void commit_begin(struct sim *);
void commit_record(struct sim *, const struct id *record);
void commit_drop(struct sim *, struct vault_txn *, const struct key *);
/* It is about to be made. */
void commit_check(struct sim *, struct vault_txn *);

#endif
