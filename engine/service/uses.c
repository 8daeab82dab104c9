#include "service/uses.h"

#include <stdio.h>

bool use_next(const struct policy *policy, struct use *use)
{
	const struct mail *mail = &policy_settings(policy)->mail;

	for (; use->at < policy_task_count(policy);) {
		const struct task *task = policy_task(policy, use->at++);

		if (task->source != SOURCE_SPECIFIED || task->specified == NULL)
			continue;
		*use = (struct use){use->at, task->specified, "task", task->name, "secret", task};
		return true;
	}
	if (use->at++ == policy_task_count(policy) && mail->password != NULL) {
		*use = (struct use){use->at, mail->password, "settings", "mail", "password", NULL};
		return true;
	}
	return false;
}

void use_text(const struct use *use, char *out, size_t size)
{
	if (use->task == NULL)
		snprintf(out, size, "settings.%s", use->name);
	else
		snprintf(out, size, "task \"%s\" (%s:%zu)", use->task->name, use->task->file,
		    use->task->line);
}
