/* Commands that change a task's file: create, edit, copy, rename, delete. */
#ifndef CLI_TASK_FILE_H
#define CLI_TASK_FILE_H

#include "cli/cli.h"

extern const struct argp_option task_create_options[];
extern const struct argp_option task_edit_options[];
extern const struct argp_option task_copy_options[];
extern const struct argp_option task_rename_options[];
extern const struct argp_option task_delete_options[];

int task_create_run(struct cli *);
int task_edit_run(struct cli *);
int task_copy_run(struct cli *);
int task_rename_run(struct cli *);
int task_delete_run(struct cli *);

#endif
