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

bool keys_is_sealed(const struct secret *key)
{
	return strstr(secret_data(key), "CmFlczI1Ni1jdHI") != NULL; /* "aes256-ctr" */
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
		if (is_of(account->lines[i].text, key))
			return true;
	return false;
}

void keys_begin(struct sim_account *account, const char *ours)
{
	keys_add(account, THEIRS);
	if (ours[0] != '\0')
		keys_add(account, ours);
}

void keys_add(struct sim_account *account, const char *line)
{
	struct sim_line *added;

	for (size_t i = 0; i < account->line_count; i++)
		if (is_of(account->lines[i].text, line)) {
			account->lines[i].lost = false;
			account->lines_good = false;
			return;
		}
	if (account->line_count == SIM_LINES)
		return;
	added = &account->lines[account->line_count++];
	*added = (struct sim_line){.kept_as = 0};
	snprintf(added->text, sizeof(added->text), "%s", line);
	account->lines_good = false;
}

void keys_take_image(struct sim_account *account)
{
	memcpy(account->image_lines, account->lines, sizeof(account->lines));
	account->image_line_count = account->line_count;
}

/* Of what stands there again nothing was promised: it may be deleted, now or later, as newer keys
 * were seen to work since. */
void keys_restore_image(struct sim_account *account)
{
	memcpy(account->lines, account->image_lines, sizeof(account->lines));
	account->line_count = account->image_line_count;
	for (size_t i = 0; i < account->line_count; i++)
		account->lines[i].lost = true;
	account->lines_good = false;
	account->believed_key[0] = '\0';
}

/* ── Removing ── */

void keys_persisting(const struct sim_session *session)
{
	struct sim_account *account = session->account;
	const char *fault = NULL;

	if (account->lied)
		fault = NULL;
	else if (!is_of(session->secret, account->seen))
		fault = "old keys are removed before the new one was seen";
	else if (session->opened_moment > account->seen_moment)
		fault = "made permanent by a session younger than the proof";
	if (fault != NULL)
		sim_violation(session->sim, fault, "%s %s", account->asset, account->name);
	if (!is_of(session->secret, account->believed_key))
		account->believed_key[0] = '\0'; /* the old word is not the last */
}

void keys_persist(struct sim *sim, struct sim_account *account, const char *line)
{
	const char *mark = strrchr(line, ' ');
	size_t kept = 0;

	for (size_t i = 0; i < account->line_count; i++) {
		const char *its = strrchr(account->lines[i].text, ' ');

		if (strcmp(its, mark) == 0 && strcmp(account->lines[i].text, line) != 0)
			continue;
		account->lines[kept++] = account->lines[i];
	}
	if (kept < account->line_count)
		sim_seen(sim, "a key removed");
	account->line_count = kept;
	account->lines_good = false;
}

/* ── What must hold ── */

struct kept {
	struct vault_txn *txn;
	const struct account *account;
	const char *line;
	uint32_t number; /* 0 = in none */
};

static bool kept_version(void *arg, const struct version *version)
{
	struct kept *kept = arg;
	char key[SIM_SECRET_SIZE] = "";
	struct secret *secret = NULL;
	struct error error;

	if (version_open(kept->txn, kept->account, version->number, &secret, NULL, &error) ==
	    ERR_OK)
		keys_line_of(secret, key);
	secret_free(secret);
	if (is_of(kept->line, key))
		kept->number = version->number;
	return kept->number == 0;
}

static bool is_ours(const char *line)
{
	return strstr(line, " lockstep:") != NULL;
}

/* The version whose key's line this is; 0 = none. */
static uint32_t version_of(struct vault_txn *txn, const struct account *account, const char *line)
{
	struct kept kept = {.txn = txn, .account = account, .line = line};

	version_each(txn, account, kept_version, &kept);
	return kept.number;
}

bool keys_kept(struct vault_txn *txn, const struct sim_account *at, const char *line)
{
	struct account account;

	return !is_ours(line) ||
	       (account_get(txn, at->asset, at->name, SECRET_KEY, &account) == ERR_OK &&
		   version_of(txn, &account, line) != 0);
}

bool keys_have_current(struct vault_txn *txn, const struct sim_account *at)
{
	struct account account;

	return account_get(txn, at->asset, at->name, SECRET_KEY, &account) == ERR_OK &&
	       account.current != 0;
}

/* The line of the current key, with our mark; false where there is none. */
static bool line_of_current(
    struct vault_txn *txn, const struct sim_account *at, char line[SIM_SECRET_SIZE])
{
	struct secret *secret = NULL;
	char mark[ID_TEXT_SIZE];
	struct account account;
	struct error error;

	line[0] = '\0';
	if (account_get(txn, at->asset, at->name, SECRET_KEY, &account) == ERR_OK &&
	    account.current != 0 &&
	    version_open(txn, &account, account.current, &secret, NULL, &error) == ERR_OK) {
		keys_line_of(secret, line);
		snprintf(line + strlen(line), SIM_SECRET_SIZE - strlen(line), " lockstep:%s",
		    id_text(&account.id, mark));
	}
	secret_free(secret);
	return line[0] != '\0';
}

bool keys_open_with_current(struct vault_txn *txn, const struct sim_account *at)
{
	char line[SIM_SECRET_SIZE];

	return line_of_current(txn, at, line) && keys_open(at, line);
}

void keys_mend(struct sim *sim, struct sim_account *at)
{
	struct vault_txn *txn = vault_read(sim->vault);
	char line[SIM_SECRET_SIZE];

	if (at->keys_dirty && line_of_current(txn, at, line) && !keys_open(at, line))
		keys_add(at, line);
	vault_read_end(txn);
}

/* Our lines are of versions that are kept: where they were found last, or looked for anew. */
static bool lines_are_kept(struct vault_txn *txn, struct sim_account *at)
{
	struct account account = {.current = 0};
	struct version version;
	bool known = account_get(txn, at->asset, at->name, SECRET_KEY, &account) == ERR_OK;

	for (size_t i = 0; i < at->line_count; i++) {
		struct sim_line *line = &at->lines[i];

		if (!is_ours(line->text) || line->lost)
			continue;
		if (!known)
			return false;
		if (line->kept_as == 0 ||
		    version_get(txn, &account, line->kept_as, &version) != ERR_OK)
			line->kept_as = version_of(txn, &account, line->text);
		if (line->kept_as == 0)
			return false;
	}
	return true;
}

void keys_lose(struct vault_txn *txn, struct sim_account *at)
{
	for (size_t i = 0; i < at->line_count; i++) {
		struct sim_line *line = &at->lines[i];

		line->kept_as = 0;
		line->lost = line->lost || !keys_kept(txn, at, line->text);
		at->keys_dirty = at->keys_dirty || line->lost;
	}
	if (!keys_open_with_current(txn, at))
		at->keys_dirty = true;
	at->lines_good = false;
}

static bool line_failed(const struct sim *sim, const struct sim_account *at)
{
	for (size_t i = 0; i < at->line_count; i++)
		for (size_t k = 0; k < sim->failed_count; k++)
			if (is_of(at->lines[i].text, sim->failed[k]))
				return true;
	return false;
}

void keys_check(struct sim *sim, struct vault_txn *txn, struct sim_account *account)
{
	const char *what = NULL;

	if (account->lines_good && !sim->pruned)
		return;
	if (!keys_open(account, THEIRS))
		what = "someone else's key is gone";
	else if (account->believed_key[0] != '\0' && !keys_open(account, account->believed_key))
		what = "a key's success is not true any more";
	else if (!lines_are_kept(txn, account))
		what = "a key that opens is not kept";
	else if (!account->keys_dirty && line_failed(sim, account))
		what = "a failed key opens";
	if (what != NULL)
		sim_violation(sim, what, "%s %s", account->asset, account->name);
	account->lines_good = true;
}

/* Ours beside the one that was believed: what it replaces was not removed. */
static bool keys_are_more(const struct sim_account *at)
{
	for (size_t i = 0; i < at->line_count; i++)
		if (is_ours(at->lines[i].text) && !is_of(at->lines[i].text, at->believed_key))
			return true;
	return false;
}

void keys_believe(struct sim *sim, struct sim_account *at, const struct secret *secret)
{
	keys_line_of(secret, at->believed_key);
	at->lines_good = false;
	sim_seen(sim, "a key's success");
	if (!at->keys_dirty && !at->lied && keys_open(at, at->believed_key) && keys_are_more(at))
		sim_violation(
		    sim, "success, and an old key opens yet", "%s %s", at->asset, at->name);
	if (keys_open(at, at->believed_key))
		at->keys_dirty = false; /* what is believed since then is true */
	else if (at->keys_dirty)
		at->believed_key[0] = '\0';
	else
		sim_violation(
		    sim, "success, but the key does not open", "%s %s", at->asset, at->name);
}
