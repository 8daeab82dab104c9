/*
 * A task as text: what a request says of it, as the Lua that declares it.
 *
 * Owns the form that Lockstep itself writes: one statement a file, its fields in the order of
 * lockstep-policy(5). Never judges the values: what is wrong with one, loading the text says.
 */
#ifndef SERVICE_TASK_TEXT_H
#define SERVICE_TASK_TEXT_H

#include "base/buf.h"
#include "service/engine.h"

#define TASK_TEXT_SIZE (1024UL * 1024)

/* Appends `task "name" { … }`. False, and the request fails, where parameters exclude one another.
 */
bool task_text_write(struct request *, const char *name, struct buf *);

/* Appends a text as Lua writes it, with its quotes. */
void task_text_quote(struct buf *, const char *text);

#endif
