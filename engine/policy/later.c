/*
 * What the language says already and the engine cannot do yet. One line a feature: who finishes it
 * deletes its line, and with it the refusal.
 */
#include "policy/loader.h"

static void later(struct loader *loader, const struct statement *statement, const char *field,
    bool used, const char *what)
{
	const struct field_path path = {.name = field};

	if (used)
		statement_problem(
		    loader->errors, statement, &path, NULL, "%s is not supported yet", what);
}

void task_later(struct loader *loader, const struct task_entry *entry)
{
	const struct task *task = &entry->task;
	const struct statement *statement = entry->statement;

	later(loader, statement, "params", task->params != NULL, "params");
}

void platform_later(struct loader *loader, const struct platform_decl *decl)
{
	const struct platform *platform = &decl->entry.platform;

	later(loader, decl->statement, "params", platform->param_count > 0, "params");
}
