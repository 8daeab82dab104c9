/*
 * A Unix of the test's own, for what the platforms run on an asset: accounts, homes, and each sh
 * and set of tools that this machine has. In namespaces of its own, so that only root can have it.
 */
#ifndef TEST_UNIX_HELP_H
#define TEST_UNIX_HELP_H

#include <stdbool.h>
#include <stddef.h>

#include "wire/script.h"

#define UNIX_UID                                                                                   \
	"47001" /* of the account "app", whose home is /home/app; its group is the same            \
		 */

/* Stands in the place of a privileged shell: runs each command of a script. */
struct shell {
	char dir[64];	    /* of the test: stands for /proc too */
	char sh[16];	    /* which tools are used now */
	const char *before; /* sh words that run in front of each command; "" = none */
	struct scripts *scripts;
	bool targeted;
};

/* NULL where there can be none; says why. Loads the files of policies/platforms, in that order. */
struct shell *unix_new(const char *const *platforms);
void unix_free(struct shell *);

/*
 * For each set of tools: calls `fn`, with `sh` set. UNIX_TOOLS are those that differ in more than
 * the shell.
 */
enum { UNIX_TOOLS = 2, UNIX_ALL = 4 };
void unix_each(struct shell *, unsigned count, void (*fn)(struct shell *));

/* What its sshd says of its settings ("port 0\\n…": the port that nobody came in by); "" = there is
 * none. */
void unix_sshd(struct shell *, const char *says);

struct unix_answer {
	enum err err;
	struct script_result result;
	struct outcome outcome;
};

struct unix_answer unix_ask(struct shell *, const struct script_config *);

/* Runs a command line of the test itself, with this machine's tools; fails the test when it fails.
 */
void unix_do(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* What a file holds; NULL when it is not there. Good until the next call. */
const char *unix_text(const char *path);

#endif
