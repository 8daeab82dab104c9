/*
 * Stands in for engine/policy/later.c: tests of the whole language, whatever the engine behind it
 * can do today. What is refused meanwhile is test_policy_later's.
 */
#include "policy/loader.h"

void task_later(struct loader *loader, const struct task_entry *entry)
{
	(void)loader;
	(void)entry;
}

void platform_later(struct loader *loader, const struct platform_decl *decl)
{
	(void)loader;
	(void)decl;
}
