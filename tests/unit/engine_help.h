/*
 * The real rotation on a real vault, with a clock that the test drives and assets that do as their
 * names say: for tests of who is worked on, and when.
 */
#ifndef TESTS_UNIT_ENGINE_HELP_H
#define TESTS_UNIT_ENGINE_HELP_H

#include <sys/queue.h>

#include "policy_fixture.h"
#include "rotation.h"

#define STARTS_MAX 4096
#define BEGAN_MAX  4096
#define SAID_MAX   8192

struct hand_timer {
	TAILQ_ENTRY(hand_timer) entry;
	struct timer *timer;
	uint64_t at_ms;
};

struct hand_clock {
	struct clock clock; /* first */
	uint64_t now_ms;
	int64_t wall_ms; /* what the wall clock shows is that much more */
	TAILQ_HEAD(, hand_timer) timers;
};

/* A visit: from its privileged login on. */
struct start {
	const struct asset *asset;
	uint64_t at_ms;
	uint32_t open; /* how many were, with it */
};

/* An execution that its schedule began. */
struct began {
	char task[TASK_NAME_SIZE];
	uint64_t wall_ms;
};

struct engine {
	struct fixture fixture;
	struct hand_clock clock;
	struct wires wires;
	char vault_dir[160], key_path[160];
	struct vault *vault;
	struct rotation *rotation;
	struct scheduler *scheduler; /* NULL = schedules are not followed */
	uint64_t job_ms;	     /* how long each job takes */
	struct start starts[STARTS_MAX];
	size_t start_count;
	LIST_HEAD(, hand_session) sessions;
	struct began began[BEGAN_MAX];
	size_t began_count;
	char said[SAID_MAX]; /* a line an event but for those of records */
	size_t ended[STATUS_COUNT];
};

/*
 * Loads the policy and makes a vault, which holds a password of root for each asset. What an asset
 * does its name begins with: `dead` is not reached, `locked` has its accounts locked, `lost` breaks
 * the link in a change that it applied; all others do as they are asked.
 */
void engine_init(struct engine *, const char *policy);
void engine_clear(struct engine *);

/* As when it was killed, and began again `off_ms` later. */
void engine_restart(struct engine *, uint64_t off_ms);

/* Follows schedules from now on. */
void engine_schedule(struct engine *);
/* Another policy is loaded, beside what is at work; the one before is the caller's to free, when it
 * is not used any more. */
struct policy *engine_reload_beside(struct engine *, const char *policy);
/* The same, when all that was at work has ended. */
void engine_reload(struct engine *, const char *policy);
uint64_t engine_wall_ms(struct engine *);

/* The id of the execution that it starts, by the task's name. */
struct id engine_run(struct engine *, const char *task, const char *trigger);

/* Runs timers for so long, or until nothing is left to do. */
void engine_wait(struct engine *, uint64_t ms);
void engine_finish(struct engine *);

/* Sessions with the privileged account that are open now, of assets whose name begins so. */
size_t engine_open_sessions(const struct engine *, const char *prefix);

/* An execution as it is kept. */
struct execution engine_execution(struct engine *, const struct id *);

#endif
