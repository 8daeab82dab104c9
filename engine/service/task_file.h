/*
 * Tasks as files of the policy.
 *
 * Owns which file a task stands in, and which one a new task gets. What changes a file first loads
 * the whole policy as it would be then; only a file that holds one task, plainly written, is
 * changed by itself, of any other it is said how to.
 */
#ifndef SERVICE_TASK_FILE_H
#define SERVICE_TASK_FILE_H

#include "base/buf.h"
#include "service/engine.h"

#define TASKS_DIR "tasks"

struct task_file {
	char *name; /* "tasks/weekly.lua" */
	char *path;
	struct buf text;
	struct task_span span;
	bool plain; /* it says so in one piece, which is `span` */
};

/*
 * The file that declares the task, with its text; cleared with task_file_clear, whatever came of
 * it. Where the policy cannot be loaded, the one where such a task would be written: to mend it may
 * be what is wanted.
 */
enum service_end task_file_find(struct request *, const char *task, struct task_file *);
void task_file_clear(struct task_file *);
/* Fails the request: a program cannot tell what to change. */
enum service_end task_file_refuse(struct request *, const char *task, const char *file);

/* Where a task of this name would be written; to be freed, as is a path. */
char *task_file_name(const char *task);
char *policy_path(const struct request *, const char *file);
bool path_is_there(const char *path);

/* Those of the warnings that are about the file or the task. */
json_t *task_file_warnings(const json_t *warnings, const char *file, const char *task);
/* The purpose of the engine that runs elsewhere, and goes by the policy from before; null = none.
 */
json_t *engine_elsewhere(const struct request *);

#endif
