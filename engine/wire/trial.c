#include "wire/trial.h"

#include "base/buf.h"
#include "base/loop.h"
#include "wire/process.h"

/* The trial as a whole; a wire that is not ready at all is given up earlier. */
#define TRIAL_MS 15000

struct trial {
	struct loop *loop;
	unsigned awaited; /* answers */
	struct error result;
};

static void trial_end(struct trial *trial)
{
	loop_stop(trial->loop);
}

static enum err trial_on_message(void *arg, const struct message *message)
{
	struct trial *trial = arg;

	if (message->kind != MESSAGE_READY)
		return ERR_PROTOCOL;
	if (message->error->code != ERR_OK || --trial->awaited == 0) {
		trial->result = *message->error;
		trial_end(trial);
	}
	return ERR_OK;
}

static void trial_on_ended(void *arg, const char *how)
{
	struct trial *trial = arg;

	error_set(&trial->result, ERR_IO, "a wire does not start: it %s", how);
	trial_end(trial);
}

static void trial_on_late(void *arg)
{
	struct trial *trial = arg;

	error_set(&trial->result, ERR_LIMIT, "a wire took more than %d s to load the platforms",
	    TRIAL_MS / 1000);
	trial_end(trial);
}

enum err trial_run(
    const struct wires_config *config, const struct buf *scripts, struct error *error)
{
	struct trial trial = {.loop = loop_new(), .awaited = scripts != NULL ? 2 : 1};
	struct timer late = {.fn = trial_on_late, .arg = &trial};
	struct process_config one = {
	    .loop = trial.loop,
	    .exe = config->exe,
	    .lock_fd = config->lock_fd,
	    .sandbox = config->sandbox,
	    .message = trial_on_message,
	    .ended = trial_on_ended,
	    .arg = &trial,
	};
	struct process *process = NULL;
	enum err err;

	if (trial.loop == NULL)
		return error_set(error, ERR_IO, "no event loop for a wire's trial");
	err = process_new(&process, &one, error);
	if (err != ERR_OK)
		goto out;
	if (scripts != NULL)
		buf_add(process_out(process), scripts->data, scripts->len);
	timer_start(loop_clock(trial.loop), &late, TRIAL_MS);
	loop_run(trial.loop);
	timer_stop(&late);
	err = trial.result.code;
	if (err != ERR_OK)
		error_set(error, err, "%s", trial.result.text);
out:
	process_free(process);
	loop_free(trial.loop);
	return err;
}
