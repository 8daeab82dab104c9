/*
 * SSH keys in the simulated world: the lines that open an account, beside its password. Someone
 * else has a line in each, which nobody may remove.
 */
#include "sim.h"

#include <stdio.h>
#include <string.h>

#include "base/ssh_key.h"

#define THEIRS "ssh-ed25519 THEIRS someone"

bool keys_is_line(const char *secret)
{
	return strncmp(secret, "ssh-", 4) == 0;
}

void keys_line_of(const struct secret *key, char out[SIM_SECRET_SIZE])
{
	char line[SSH_KEY_LINE_SIZE];
	struct error error;

	out[0] = '\0';
	if (ssh_key_public(key, NULL, line, &error) == ERR_OK)
		snprintf(out, SIM_SECRET_SIZE, "%.*s", SIM_SECRET_SIZE - 1, line);
}

/* `line` with or without its mark. */
static bool is_of(const char *line, const char *key)
{
	size_t len = strlen(key);

	return len > 0 && strncmp(line, key, len) == 0 && (line[len] == '\0' || line[len] == ' ');
}

bool keys_open(const struct sim_account *account, const char *key)
{
	for (size_t i = 0; i < account->line_count; i++)
		if (is_of(account->lines[i], key))
			return true;
	return false;
}

void keys_begin(struct sim_account *account)
{
	keys_add(account, THEIRS);
}

void keys_add(struct sim_account *account, const char *line)
{
	if (!keys_open(account, line) && account->line_count < SIM_LINES)
		snprintf(
		    account->lines[account->line_count++], sizeof(account->lines[0]), "%s", line);
}

/* ── Removing ── */

void keys_persisting(struct sim *sim, struct sim_account *account, const char *line)
{
	if (!is_of(line, account->seen))
		sim_violation(sim, "old keys are removed before the new one was seen", "%s %s",
		    account->asset, account->name);
	if (!is_of(line, account->believed_key))
		account->believed_key[0] = '\0'; /* the old word is not the last */
}

void keys_persist(struct sim *sim, struct sim_account *account, const char *line)
{
	const char *mark = strrchr(line, ' ');
	size_t kept = 0;

	for (size_t i = 0; i < account->line_count; i++) {
		const char *its = strrchr(account->lines[i], ' ');

		if (strcmp(its, mark) == 0 && strcmp(account->lines[i], line) != 0)
			continue;
		memmove(account->lines[kept++], account->lines[i], sizeof(account->lines[0]));
	}
	sim->stats->keys_removed += account->line_count - kept;
	account->line_count = kept;
}

/* ── What must hold ── */

struct kept {
	struct vault_txn *txn;
	const struct account *account;
	const char *line;
	bool found;
};

static bool kept_version(void *arg, const struct version *version)
{
	struct kept *kept = arg;
	char key[SIM_SECRET_SIZE] = "";
	struct secret *secret;
	struct error error;

	if (version_open(kept->txn, kept->account, version->number, &secret, NULL, &error) ==
	    ERR_OK)
		keys_line_of(secret, key);
	secret_free(secret);
	kept->found = is_of(kept->line, key);
	return !kept->found;
}

bool keys_kept(struct vault_txn *txn, const struct sim_account *at, const char *line)
{
	struct account account;
	struct kept kept = {.txn = txn, .account = &account, .line = line};

	if (strstr(line, " lockstep:") == NULL)
		return true; /* not ours */
	if (account_get(txn, at->asset, at->name, SECRET_KEY, &account) != ERR_OK)
		return false;
	version_each(txn, &account, kept_version, &kept);
	return kept.found;
}

bool keys_open_with_current(struct vault_txn *txn, const struct sim_account *at)
{
	char key[SIM_SECRET_SIZE] = "";
	struct secret *secret = NULL;
	struct account account;
	struct error error;

	if (account_get(txn, at->asset, at->name, SECRET_KEY, &account) != ERR_OK ||
	    account.current == 0)
		return false;
	if (version_open(txn, &account, account.current, &secret, NULL, &error) == ERR_OK)
		keys_line_of(secret, key);
	secret_free(secret);
	return keys_open(at, key);
}

void keys_check(struct sim *sim, struct vault_txn *txn, const struct sim_account *account)
{
	if (!keys_open(account, THEIRS))
		sim_violation(
		    sim, "someone else's key is gone", "%s %s", account->asset, account->name);
	if (account->believed_key[0] != '\0' && !keys_open(account, account->believed_key))
		sim_violation(sim, "a key's success is not true any more", "%s %s", account->asset,
		    account->name);
	for (size_t i = 0; i < account->line_count; i++) {
		if (!keys_kept(txn, account, account->lines[i]))
			sim_violation(sim, "a key that opens is not kept", "%s %s", account->asset,
			    account->name);
		for (size_t k = 0; k < sim->failed_count; k++)
			if (is_of(account->lines[i], sim->failed[k]))
				sim_violation(sim, "a failed key opens", "%s %s", account->asset,
				    account->name);
	}
}

void keys_believe(struct sim *sim, struct sim_account *at, const struct secret *secret)
{
	keys_line_of(secret, at->believed_key);
	sim->stats->keys++;
	if (!keys_open(at, at->believed_key))
		sim_violation(
		    sim, "success, but the key does not open", "%s %s", at->asset, at->name);
}
