/*
 * Seen before believed: what the assets themselves said of each secret. Whatever the vault is told
 * to have been seen to work must have been; and a host key must be durable before a secret goes to
 * who shows it.
 */
#include "sim.h"

#include <string.h>

void seen_opened(struct sim_account *account, const char *secret)
{
	uint64_t hash = sim_hash(secret);

	for (size_t i = 0; i < SIM_OPENED; i++)
		if (account->opened[i] == hash)
			return;
	account->opened[account->opened_next++ % SIM_OPENED] = hash;
}

static bool was_opened(const struct sim_account *account, const char *secret)
{
	uint64_t hash = sim_hash(secret);

	for (size_t i = 0; i < SIM_OPENED; i++)
		if (account->opened[i] == hash)
			return true;
	return false;
}

void seen_check(struct sim *sim, struct vault_txn *txn, const char *asset, const char *name,
    enum secret_kind kind)
{
	const struct sim_account *at = world_account(sim, asset, name);
	struct secret *secret = NULL;
	char text[SIM_SECRET_SIZE];
	struct account account;
	struct version version;
	struct error error;

	if (at == NULL || at->lied || account_get(txn, asset, name, kind, &account) != ERR_OK ||
	    version_get(txn, &account, account.current, &version) != ERR_OK ||
	    version.proof == PROOF_TOLD ||
	    version_open(txn, &account, account.current, &secret, NULL, &error) != ERR_OK)
		return;
	if (kind == SECRET_KEY)
		keys_line_of(secret, text);
	else
		snprintf(text, sizeof(text), "%s", secret_data(secret));
	secret_free(secret);
	if (!was_opened(at, text))
		sim_violation(sim, "believed, and never seen to work", "%s %s", asset, name);
}

/* ── Host keys ── */

void seen_check_host_key(const struct sim_session *session)
{
	struct vault_txn *txn = vault_read(session->sim->vault);
	struct host_key pins[HOST_KEYS_MAX];
	size_t count = host_key_list(txn, session->asset, pins);
	bool pinned = false;

	vault_read_end(txn);
	for (size_t i = 0; i < count; i++)
		pinned = pinned || (pins[i].len == strlen(session->host_key) &&
				       memcmp(pins[i].blob, session->host_key, pins[i].len) == 0);
	if (!pinned)
		sim_violation(session->sim, "a secret goes where no host key is durable", "%s %s",
		    session->asset, session->host_key);
}
