/* Looking at all that a vault keeps: every row, every seal, every count, and the audit log. */
#include <inttypes.h>
#include <string.h>

#include "vault/copy.h"
#include "vault/row.h"
#include "vault/vault_state.h"

struct checking {
	struct vault_txn *txn;
	struct check_report *report;
	struct error *error;
	enum err err;
	const struct account *account;
};

static bool check_version(void *arg, const struct version *version)
{
	struct checking *checking = arg;
	struct secret *secret, *passphrase;

	checking->err = version_open(checking->txn, checking->account, version->number, &secret,
	    &passphrase, checking->error);
	secret_free(secret);
	secret_free(passphrase);
	checking->report->values += checking->err == ERR_OK;
	return checking->err == ERR_OK;
}

static bool is_kept(struct checking *checking, const struct account *account, uint32_t number)
{
	struct version version;

	if (number == 0 || version_get(checking->txn, account, number, &version) == ERR_OK)
		return true;
	checking->err = error_set(checking->error, ERR_CORRUPT,
	    "account \"%s\" on asset \"%s\" has lost its version %" PRIu32 ": put back a backup",
	    account->name, account->asset, number);
	return false;
}

static bool check_account(void *arg, const struct account *account)
{
	struct checking *checking = arg;

	checking->account = account;
	checking->report->accounts++;
	version_each(checking->txn, account, check_version, checking);
	return checking->err == ERR_OK && is_kept(checking, account, account->current) &&
	       is_kept(checking, account, account->pending) &&
	       is_kept(checking, account, account->previous);
}

static bool check_named(void *arg, const struct named_secret *named)
{
	struct checking *checking = arg;
	struct secret *secret;

	checking->err = named_secret_get(checking->txn, named->name, &secret, checking->error);
	secret_free(secret);
	checking->report->named += checking->err == ERR_OK;
	return checking->err == ERR_OK;
}

/* A value whose version is gone, or is no account's any more, is seen here. */
static enum err check_values(struct checking *checking)
{
	struct key key = {.bytes = {0}, .len = 1};
	struct bytes row;
	uint64_t count = 0;

	while (store_step(checking->txn, TABLE_SEAL, STEP_UP, &key, &row) == ERR_OK)
		count++;
	if (count == checking->report->values)
		return ERR_OK;
	return error_set(checking->error, ERR_CORRUPT,
	    "the vault has %" PRIu64 " sealed values, and its accounts %" PRIu64
	    " versions: put back a backup",
	    count, checking->report->values);
}

enum err vault_check(struct vault_txn *txn, struct check_report *report, struct error *error)
{
	struct checking checking = {.txn = txn, .report = report, .error = error};

	*report = (struct check_report){.accounts = 0};
	account_each(txn, NULL, check_account, &checking);
	if (checking.err == ERR_OK)
		checking.err = check_values(&checking);
	if (checking.err == ERR_OK)
		named_secret_each(txn, check_named, &checking);
	if (checking.err == ERR_OK)
		checking.err = vault_recount(txn, error);
	if (checking.err == ERR_OK)
		checking.err = audit_check(txn, &report->audit, error);
	if (checking.err == ERR_OK && txn->trouble.code != ERR_OK)
		checking.err = error_set(error, txn->trouble.code, "%s", txn->trouble.text);
	return checking.err;
}
