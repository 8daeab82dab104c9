/*
 *	ledger DIR
 *
 * Prints every password that a vault holds, in the open: ASSET ACCOUNT STAGE VERSION PASSWORD,
 *where the stage is current, pending or history. For tests, which hold it against what the
 *simulated fleet tells. DIR is a policy's, with vault/ and master.key; nothing else may be at work
 *on it.
 */
#include <stdio.h>

#include "base/loop.h"
#include "base/secret.h"
#include "vault.h"

#define HEAP_SIZE (1024u * 1024)

struct ledger {
	struct vault_txn *txn;
	const struct account *account;
	struct error *error;
	enum err err;
};

static const char *stage_of(const struct account *account, uint32_t number)
{
	if (number == account->current)
		return "current";
	return number == account->pending ? "pending" : "history";
}

static bool print_version(void *arg, const struct version *version)
{
	struct ledger *ledger = arg;
	const struct account *account = ledger->account;
	struct secret *secret = NULL;

	ledger->err =
	    version_open(ledger->txn, account, version->number, &secret, NULL, ledger->error);
	if (ledger->err == ERR_OK)
		printf("%s\t%s\t%s\t%u\t%.*s\n", account->asset, account->name,
		    stage_of(account, version->number), version->number, (int)secret_len(secret),
		    secret_data(secret));
	secret_free(secret);
	return ledger->err == ERR_OK;
}

static bool print_account(void *arg, const struct account *account)
{
	struct ledger *ledger = arg;

	ledger->account = account;
	if (account->kind == SECRET_PASSWORD)
		version_each(ledger->txn, account, print_version, ledger);
	return ledger->err == ERR_OK;
}

static enum err print_all(struct vault *vault, struct error *error)
{
	struct ledger ledger = {.txn = vault_read(vault), .error = error, .err = ERR_OK};

	if (ledger.txn == NULL)
		return error_set(error, ERR_IO, "the vault cannot be read");
	account_each(ledger.txn, NULL, print_account, &ledger);
	vault_read_end(ledger.txn);
	return ledger.err;
}

int main(int argc, char **argv)
{
	char vault_dir[512], key_path[512];
	struct loop *loop = loop_new();
	struct vault_config config = {
	    .dir = vault_dir,
	    .key_path = key_path,
	    .purpose = "ledger",
	    .clock = loop_clock(loop),
	};
	struct vault *vault = NULL;
	struct error error = {.text = "it cannot be read"};
	bool locked;
	enum err err;

	if (argc != 2) {
		fprintf(stderr, "usage: ledger DIR\n");
		return 2;
	}
	snprintf(vault_dir, sizeof(vault_dir), "%s/vault", argv[1]);
	snprintf(key_path, sizeof(key_path), "%s/master.key", argv[1]);
	err = secret_heap_init(HEAP_SIZE, &locked, &error);
	if (err == ERR_OK)
		err = vault_open(&vault, &config, &error);
	if (err == ERR_OK)
		err = print_all(vault, &error);
	if (err != ERR_OK)
		fprintf(stderr, "ledger: %s\n", error.text);
	vault_close(vault);
	loop_free(loop);
	return err == ERR_OK ? 0 : 1;
}
