#include "service/uses.h"

#include <stdio.h>
#include <string.h>

#define WEBHOOK "webhook"

/* What stands at the place: the tasks, then the mail, then the webhooks. */
static bool use_at(const struct policy *policy, size_t at, struct use *use)
{
	const struct settings *settings = policy_settings(policy);
	size_t tasks = policy_task_count(policy);

	if (at < tasks) {
		const struct task *task = policy_task(policy, at);

		use->secret = task->source == SOURCE_SPECIFIED ? task->specified : NULL;
		use->kind = "task", use->name = task->name, use->field = "secret";
		use->task = task;
	} else if (at == tasks) {
		use->secret = settings->mail.password;
		use->kind = "settings", use->name = "mail", use->field = "password";
		use->task = NULL;
	} else {
		const struct webhook *webhook = &settings->webhooks[at - tasks - 1];

		use->secret = webhook->secret;
		use->kind = WEBHOOK, use->name = webhook->name, use->field = "secret";
		use->task = NULL;
	}
	return use->secret != NULL;
}

bool use_next(const struct policy *policy, struct use *use)
{
	size_t count = policy_task_count(policy) + 1 + policy_settings(policy)->webhook_count;

	while (use->at < count)
		if (use_at(policy, use->at++, use))
			return true;
	return false;
}

void use_text(const struct use *use, char *out, size_t size)
{
	if (use->task != NULL)
		snprintf(out, size, "task \"%s\"", use->name);
	else
		snprintf(out, size, "settings.%s%s.%s",
		    strcmp(use->kind, WEBHOOK) == 0 ? "webhooks." : "", use->name, use->field);
}
