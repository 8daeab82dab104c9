/* Staging: the new secret is made, sealed and durable before anything of it leaves. */
#include "rotation/checkout.h"

#include "base/crash.h"
#include "base/ssh_key.h"

#define HEAP_PAUSE_MS 100

/* Someone checked it out since it was planned. */
static void stage_left_alone(struct life *life)
{
	struct vault_txn *txn = vault_read(life->site->rotation->config.vault);

	attempt_close(&life->attempt);
	life_error(life, "", "", "");
	life->record.proof = PROOF_NONE;
	if (txn != NULL)
		checkout_tell(txn, &life->record);
	vault_read_end(txn);
	life_end(life, STATUS_SKIPPED, "checked_out");
}

static void life_staged(struct life *life)
{
	CRASH_POINT("core.staged");
	if (life->budget_out || life->checked_out) {
		life->record.status = STATUS_PLANNED;
		life->record.staged_ms = 0;
	}
	if (life->budget_out) {
		life_no_budget(life);
	} else if (life->checked_out) {
		stage_left_alone(life);
	} else {
		life_change(life);
	}
}

static void life_stage_again(void *arg)
{
	life_stage(arg);
}

/* The secret that the vault keeps under the task's name for it, where the platform takes it. */
static enum err stage_specified(struct life *life, struct error *error)
{
	struct rotation *rotation = life->site->rotation;
	const char *name = life_task(life)->specified;
	struct vault_txn *txn = vault_read(rotation->config.vault);
	struct error why;
	enum err err;

	if (txn == NULL)
		return error_set(error, ERR_IO, "the vault cannot be read any more");
	err = named_secret_get(txn, name, &life->write.fresh, error);
	vault_read_end(txn);
	if (err != ERR_OK)
		return err;
	err = platform_takes(policy_platform_find(life->site->policy, life->site->asset->platform),
	    life->write.fresh, &why);
	if (err == ERR_OK)
		return ERR_OK;
	secret_free(life->write.fresh);
	life->write.fresh = NULL;
	return error_set(error, err, "secret \"%s\": %s", name, why.text);
}

/* An older release kept the passphrase of a key beside it: what is staged now has none. */
static enum err stage_unsealed(
    struct life *life, const struct secret *passphrase, struct error *error)
{
	struct secret *sealed = life->write.fresh;
	enum err err;

	life->write.fresh = NULL;
	err = ssh_key_unseal(sealed, passphrase, &life->write.fresh, error);
	secret_free(sealed);
	return err;
}

/* An earlier version's secret: it becomes a version of its own, seen to work like any other. */
static enum err stage_earlier(struct life *life, struct error *error)
{
	uint32_t version = life->run->restore;
	struct vault_txn *txn = vault_read(life->site->rotation->config.vault);
	struct secret *passphrase = NULL;
	struct account account;
	enum err err;

	if (txn == NULL)
		return error_set(error, ERR_IO, "the vault cannot be read any more");
	err = account_get(
	    txn, life->site->asset->name, life_account(life), life_kind(life), &account);
	if (err == ERR_OK)
		err = version_open(txn, &account, version, &life->write.fresh, &passphrase, error);
	else
		(void)error_set(error, err, "version %u is not kept any more", version);
	vault_read_end(txn);
	if (err == ERR_OK && passphrase != NULL)
		err = stage_unsealed(life, passphrase, error);
	secret_free(passphrase);
	return err;
}

static enum err stage_key(struct life *life, struct error *error)
{
	const struct ssh_key *wanted = &life_task(life)->ssh_key;
	enum ssh_key_type type;
	const char *fault = ssh_key_words(key_type_name(wanted->type), wanted->bits, &type);

	return fault == NULL ? ssh_key_make(type, &life->write.fresh, error)
			     : error_set(error, ERR_INVALID, "%s", fault);
}

/* A fresh secret as the task says, into life->write. */
static enum err stage_make(struct life *life, struct error *error)
{
	const struct task *task = life_task(life);

	if (life->run->restore != 0)
		return stage_earlier(life, error);
	switch (task->source) {
	case SOURCE_SPECIFIED: return stage_specified(life, error);
	case SOURCE_SSH_KEY: return stage_key(life, error);
	case SOURCE_RANDOM: break;
	}
	return rule_generate(task->rule, life_account(life), &life->write.fresh, error);
}

static const char *stage_fault(const struct life *life)
{
	static const char *const words[] = {
	    [SOURCE_RANDOM] = "rule",
	    [SOURCE_SPECIFIED] = "specified",
	    [SOURCE_SSH_KEY] = "key",
	};

	if (life->run->restore != 0)
		return "restore";
	return words[life_task(life)->source];
}

void life_stage(struct life *life)
{
	struct rotation *rotation = life->site->rotation;
	struct error error;
	enum err err = stage_make(life, &error);

	if (err == ERR_FULL) {
		life->again.fn = life_stage_again;
		life->again.arg = life;
		timer_start(rotation->config.clock, &life->again, HEAP_PAUSE_MS);
		return;
	}
	if (err != ERR_OK) {
		attempt_close(&life->attempt);
		life_error(life, "permanent", stage_fault(life), error.text);
		life_end(life, STATUS_FAILED, "");
		return;
	}
	if (life_rehearses(life)) {
		rehearse_end(life);
		return;
	}
	if (life_asks_proof(life)) {
		life->write.book = life_method(life) != WIRE_PROOF_HASH;
		life->record.proof = life_proof(life);
	}
	life->record.status = STATUS_STAGED;
	life->record.staged_ms = rotation_wall(rotation);
	CRASH_POINT("core.staging");
	life_write(life, life_staged);
}
