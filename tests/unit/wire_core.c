#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "bad_wire.h"
#include "base/log.h"
#include "wire/spawn.h"
#include "wire_core.h"

static void on_died(void *arg, uint32_t wire, const char *how)
{
	struct core *core = arg;

	core->deaths++;
	core->last_dead = wire;
	snprintf(core->how, sizeof(core->how), "%s", how);
	/* It was waited for: nobody is left who has ended. */
	assert_true(waitpid(-1, NULL, WNOHANG) <= 0);
}

void core_start(struct core *core, uint32_t processes, int lock_fd)
{
	struct wires_config config = {
	    .loop = core->loop,
	    .processes = processes,
	    .lock_fd = lock_fd,
	    .sandbox = true,
	    .died = on_died,
	    .arg = core,
	};
	struct error error = {.code = ERR_OK};

	assert_int_equal(wires_start(&core->wires, &config, &error), ERR_OK);
}

int core_begin(void **state)
{
	struct core *core = calloc(1, sizeof(*core));

	core->loop = loop_new();
	core->secret = secret_from("new", 3);
	*state = core;
	return 0;
}

int core_finish(void **state)
{
	struct core *core = *state;

	wires_stop(core->wires);
	loop_free(core->loop);
	secret_free(core->secret);
	free(core);
	return waitpid(-1, NULL, WNOHANG) == -1 ? 0 : -1;
}

void core_done(void *arg, const struct wire_result *result)
{
	struct answer *answer = arg;

	answer->result = *result;
	answer->count++;
	answer->deaths = answer->core->deaths;
	if (answer->core->stop_in_done) {
		wires_stop(answer->core->wires);
		answer->core->wires = NULL;
	}
	if (--*answer->left == 0)
		loop_stop(answer->core->loop);
}

struct wire_session *session_new(struct core *core, const char *asset)
{
	struct wire_target target = {.asset = asset, .address = "192.0.2.1", .port = 22};

	return wire_session_new(core->wires, &target);
}

void submit(struct core *core, struct wire_session *session, enum wire_job_kind kind,
    const char *how, struct answer *answer, unsigned *left)
{
	struct wire_job job = {
	    .kind = kind,
	    .timeout_ms = 20000,
	    .platform = "linux",
	    .account = how,
	    .secret = core->secret,
	};

	*answer = (struct answer){.core = core, .left = left};
	wire_submit(session, &job, core_done, answer);
	assert_int_equal(answer->count, 0);
}

void change(struct core *core, const char *how, struct answer *answer)
{
	struct wire_session *session = session_new(core, "asset");
	unsigned left = 1;

	submit(core, session, WIRE_CHANGE, how, answer, &left);
	loop_run(core->loop);
	assert_int_equal(answer->count, 1);
	wire_session_free(session);
}

int core_main(int argc, char **argv, int (*run)(void))
{
	struct error error;

	if (argc == 2 && strcmp(argv[1], WIRE_ARGUMENT) == 0)
		return bad_wire_run();
	log_init(STDERR_FILENO, LOG_LEVEL_ERROR);
	if (secret_heap_init(1 << 20, NULL, &error) != ERR_OK)
		return 1;
	return run();
}
