/*
 * A policy for a test: a copy of a fixture in a directory of its own, where modes are as the loader
 * wants them.
 */
#ifndef TESTS_UNIT_POLICY_FIXTURE_H
#define TESTS_UNIT_POLICY_FIXTURE_H

#include "policy.h"

struct fixture {
	char root[64];
	char dir[128], platforms[128];
	struct policy *policy;
	struct problems errors, warnings;
};

/* The path of something below tests/fixtures/policy; the caller frees it. */
char *fixture_path(const char *name);

/* Copies tests/fixtures/policy/NAME; NULL = an empty directory. The platforms are those of the
 * fixtures. */
void fixture_init(struct fixture *, const char *name);
void fixture_clear(struct fixture *);

/* Writes a file into the policy, making its directory. */
void fixture_write(const struct fixture *, const char *file, const char *text);

/* Copies a tree of this source into the policy's directory, or to `platforms`. */
void fixture_copy(const char *from, const char *to);

/* Loads; may be called again. */
enum err fixture_load(struct fixture *);

/* Fails the test, and shows what was wrong, unless the policy loads. */
void fixture_load_good(struct fixture *);

/* All texts, each on lines of its own; the caller frees it. */
char *problems_text(const struct problems *);

/* Loads the fixture, a policy with mistakes, and compares what is said with its file `expected`. */
void fixture_check_bad(const char *name);

#endif
