/* Running: what `run` and `record retry` share. */
#ifndef SERVICE_RUN_H
#define SERVICE_RUN_H

#include "service/engine.h"

/* Opens the engine, carries out the order and waits for the end. The result is the summary. */
enum service_end run_order(struct request *, const struct rotation_order *) MUST_CHECK;

#endif
