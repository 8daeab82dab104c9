/* Durable steps: handed to the vault, and handed again for as long as the disk has no room. */
#include "rotation/engine.h"

#define ROOM_PAUSE_MS 1000

static void keep_submit(struct keep *);

static void keep_again(void *arg)
{
	keep_submit(arg);
}

static void keep_pause(struct keep *keep)
{
	struct rotation *rotation = keep->rotation;

	if (!keep->paused) {
		keep->paused = true;
		if (rotation->paused++ == 0)
			rotation_tell(rotation, ROTATION_PAUSED, NULL, NULL);
	}
	keep->again.fn = keep_again;
	keep->again.arg = keep;
	timer_start(rotation->config.clock, &keep->again, ROOM_PAUSE_MS);
}

static void keep_resume(struct keep *keep)
{
	struct rotation *rotation = keep->rotation;

	if (!keep->paused)
		return;
	keep->paused = false;
	if (--rotation->paused > 0)
		return;
	rotation_tell(rotation, ROTATION_RESUMED, NULL, NULL);
	dispatch_soon(rotation);
}

static enum err keep_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct keep *keep = arg;

	return keep->apply(txn, keep->arg, error);
}

static void keep_done(void *arg, enum err result, const struct error *error)
{
	struct keep *keep = arg;

	if (keep->rotation->broken)
		return;
	if (result == ERR_FULL) {
		keep_pause(keep);
		return;
	}
	keep_resume(keep);
	if (result == ERR_IO || result == ERR_CORRUPT) {
		rotation_break(keep->rotation, error);
		return;
	}
	keep->next(keep->arg, result, error);
}

static void keep_submit(struct keep *keep)
{
	vault_submit(keep->rotation->config.vault, keep_apply, keep_done, keep);
}

void keep_write(struct keep *keep, struct rotation *rotation, vault_apply_fn apply,
    void (*next)(void *arg, enum err, const struct error *), void *arg)
{
	keep->rotation = rotation;
	keep->apply = apply;
	keep->next = next;
	keep->arg = arg;
	keep_submit(keep);
}

void keep_clear(struct keep *keep)
{
	timer_stop(&keep->again);
}
