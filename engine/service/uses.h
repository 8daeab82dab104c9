/* What in the policy asks for a secret by its name. */
#ifndef SERVICE_USES_H
#define SERVICE_USES_H

#include <stdbool.h>
#include <stddef.h>

#include "policy.h"

struct use {
	size_t at; /* 0 at the beginning */
	const char *secret;
	const char *kind, *name, *field; /* "task", its name, "secret" */
	const struct task *task;	 /* NULL: it is the settings' */
};

/* The next place; false when there is none. */
bool use_next(const struct policy *, struct use *);

/* The place in words: `task "web"`, "settings.mail.password". */
void use_text(const struct use *, char *out, size_t size);

#endif
