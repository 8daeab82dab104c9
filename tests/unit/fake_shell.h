/*
 * A privileged shell that does what a test says, in place of the real one.
 */
#ifndef TEST_FAKE_SHELL_H
#define TEST_FAKE_SHELL_H

#include <stdbool.h>
#include <stddef.h>

#include "wire/script.h"

/* How the next command goes. */
struct fake_command {
	unsigned waits;	  /* times that it says ERR_AGAIN first */
	bool unsent;	  /* its input did not leave */
	bool unended;	  /* its end was not seen, though it is answered */
	enum fault fault; /* after the waits; NONE = it is answered as follows */
	const char *text;
	const char *out, *err;
	int status;
	size_t answers;	 /* of a dialogue: so many of its steps are answered */
	bool unanswered; /* likewise: it asks for more */
};

/* What the test sees of it. */
struct shell {
	const struct fake_command *commands;
	size_t count;
	size_t next;	  /* so many have ended */
	unsigned waited;  /* of the one in work */
	char line[4096];  /* of the last one that began */
	char input[4096]; /* likewise */
	bool targeted;
	bool holds_secret;
	bool plain;
	unsigned limit_ms;
	const struct command *command; /* in work; the steps must all come with this one */
};

/* One platform "p" of one file "p.lua". Fails the test when it does not load. */
struct scripts *fake_scripts(const char *source);

/* A call of it in that shell, with account "app" of asset "web1". Secrets may be NULL. */
struct script *fake_script(struct scripts *, enum script_call, struct shell *,
    const struct secret *new_secret, const struct secret *old_secret);

/* The same with all that a script may be told; the platform, account and asset are filled. */
struct script *fake_script_with(struct scripts *, struct script_config, struct shell *);

/* Steps it to its end; `*turns`, which may be NULL, counts the busy ones. */
enum err fake_run(
    struct script *, struct script_result *, struct outcome *, unsigned *turns) MUST_CHECK;

struct secret *fake_secret(const char *text);

/* The heap for secrets: a group's setup. */
int fake_setup(void **state);

#endif
