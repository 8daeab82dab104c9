/* What is to be told of an end, in the transaction that writes it. */
#ifndef ROTATION_NOTE_H
#define ROTATION_NOTE_H

#include "rotation.h"

/* Asks rotation's `note`, where there is one. */
enum err rotation_note(struct rotation *, struct vault_txn *, enum rotation_event_kind,
    const struct execution *, const struct record *, struct error *error) MUST_CHECK;

#endif
