/*
 * The core's side of the wires in a test: a loop, the pool, and what came of the jobs. The wires
 * are the test's own program again, as bad_wire.h has them.
 */
#ifndef TESTS_WIRE_CORE_H
#define TESTS_WIRE_CORE_H

#include "base/loop.h"
#include "wire.h"

struct core {
	struct loop *loop;
	struct wires *wires;
	struct secret *secret;
	unsigned deaths;
	uint32_t last_dead;
	char how[256];
	bool stop_in_done;
};

struct answer {
	struct core *core;
	struct wire_result result;
	unsigned count;
	unsigned deaths; /* as of then */
	unsigned *left;	 /* the loop stops at 0 */
};

/* A test's setup and teardown, whose state is a core; the teardown sees that no wire is left. */
int core_begin(void **state);
int core_finish(void **state);

/* Starts the wires; `lock_fd` is -1 for none. */
void core_start(struct core *, uint32_t processes, int lock_fd);

struct wire_session *session_new(struct core *, const char *asset);

/* A job of 20 s for an answer, which counts `*left` down. */
void submit(struct core *, struct wire_session *, enum wire_job_kind, const char *how,
    struct answer *, unsigned *left);

/* What `submit` has called back; its argument is the answer. */
void core_done(void *answer, const struct wire_result *);

/* A change on a session of its own, to its answer. */
void change(struct core *, const char *how, struct answer *);

/* The program's main: the wire when it was started as one, else the tests. */
int core_main(int argc, char **argv, int (*run)(void));

#endif
