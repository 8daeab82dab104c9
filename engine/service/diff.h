/* What a reload would change: two loads of the policy, held against each other. */
#ifndef SERVICE_DIFF_H
#define SERVICE_DIFF_H

#include "service/engine.h"

/* Between the policy in force and `newest`: OK where nothing differs, else SOME. */
enum service_end diff_snapshots(
    const struct service *, const struct snapshot *newest, json_t **result, struct error *error);

#endif
