/*
 * An SSH key as the account's secret: what of it is told to the asset. The private part is used for
 * the login that proves it, and leaves for nothing else.
 */
#include "rotation/engine.h"

#include <stdio.h>

#include "base/ssh_key.h"

/* Before anything is kept of the account it has no id, and no key of ours can be there either. */
#define MARK_OF_NONE "lockstep:none"

static enum wire_key_replace replace_of(const struct task *task)
{
	static const enum wire_key_replace words[] = {
	    [KEY_ADD] = WIRE_KEY_ADD,
	    [KEY_OURS] = WIRE_KEY_OURS,
	    [KEY_ALL] = WIRE_KEY_ALL,
	};

	/* Of a doubt whose task is there no more nothing is known: then nothing is removed. */
	return task != NULL && task->source == SOURCE_SSH_KEY ? words[task->ssh_key.replace]
							      : WIRE_KEY_ADD;
}

/* What the subject's task asks for. */
static const struct task *subject_task(const struct life *life)
{
	if (life->run != NULL && life->subject == &life->record)
		return life->run->task;
	return policy_task_find(life->site->policy, life->subject->task);
}

static bool account_id(const struct life *life, struct id *id)
{
	static const enum secret_kind kinds[] = {SECRET_KEY, SECRET_PASSWORD};
	struct vault_txn *txn = vault_read(life->site->rotation->config.vault);
	struct account account;
	bool found = false;

	for (size_t i = 0; txn != NULL && !found && i < SECRET_KIND_COUNT; i++)
		found = account_get(txn, life->site->asset->name, life_account(life), kinds[i],
			    &account) == ERR_OK;
	vault_read_end(txn);
	if (found)
		*id = account.id;
	return found;
}

void life_key_open(const struct life *life, struct life_key *key)
{
	char text[ID_TEXT_SIZE];
	struct id id;

	if (account_id(life, &id))
		snprintf(key->mark, sizeof(key->mark), "lockstep:%s", id_text(&id, text));
	else
		snprintf(key->mark, sizeof(key->mark), MARK_OF_NONE);
	key->wire = (struct wire_ssh_key){
	    .mark = key->mark,
	    .replace = replace_of(subject_task(life)),
	};
}

bool life_key_pending(struct life *life, struct life_key *key, void (*look_again)(struct life *))
{
	char line[SSH_KEY_LINE_SIZE];
	struct secret *secret, *passphrase;
	struct error error;
	enum err err;

	if (!life_secret_pair(life, life->account.pending, &secret, &passphrase, look_again))
		return false;
	err = ssh_key_public(secret, passphrase, line, &error);
	secret_free(secret);
	secret_free(passphrase);
	if (err != ERR_OK) {
		life_look_later(life, err, &error, look_again);
		return false;
	}
	life_key_open(life, key);
	snprintf(key->line, sizeof(key->line), "%s %s", line, key->mark);
	key->wire.line = key->line;
	return true;
}
