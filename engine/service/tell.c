/*
 * Telling: secrets that people know come into the vault. All rows are checked before anything is
 * written, and all are written in one commit.
 */
#include "service/audit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/ssh_key.h"
#include "service/names.h"
#include "service/private_key.h"
#include "vault/seen.h"

#define WORDS_SIZE 512
#define FAULTS_MAX 100

/* One account and the row that tells its secret. */
struct told {
	const struct asset *asset;
	const char *account;
	const json_t *row;
};

struct telling {
	struct request *request;
	const char *source; /* for messages: "accounts.csv" */
	struct vault_txn *txn;
	struct told *items;
	size_t count, room;
	json_t *faults;
	size_t fault_count;
	/* The last key that had a passphrase. */
	struct secret *sealed, *passphrase, *unsealed;
};

static void telling_forget(struct telling *telling)
{
	secret_free(telling->sealed);
	secret_free(telling->passphrase);
	secret_free(telling->unsealed);
	telling->sealed = telling->passphrase = telling->unsealed = NULL;
}

static const char *row_text(const json_t *row, const char *key)
{
	const char *text = json_string_value(json_object_get(row, key));

	return text != NULL && text[0] != '\0' ? text : NULL;
}

static json_int_t row_line(const json_t *row)
{
	return json_integer_value(json_object_get(row, "line"));
}

/* ── Checking ────────────────────────────────────────────────────────────────────────────── */

/* "accounts.csv:3: column account: …"; of what was told alone, its account. */
static char *fault_text(
    const struct telling *telling, const json_t *row, const char *column, const char *what)
{
	if (row_line(row) != 0)
		return xasprintf("%s:%lld: column %s: %s", telling->source,
		    (long long)row_line(row), column, what);
	if (strcmp(column, "password") != 0)
		return xstrdup(what);
	return xasprintf("account \"%s\" on asset \"%s\": the password %s; nothing was changed",
	    row_text(row, "account"), row_text(row, "asset"), what);
}

static void __attribute__((format(printf, 4, 5)))
row_fault(struct telling *telling, const json_t *row, const char *column, const char *fmt, ...)
{
	char what[WORDS_SIZE];
	json_int_t line = row_line(row);
	char *text;
	va_list args;

	if (telling->fault_count++ >= FAULTS_MAX)
		return;
	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	text = fault_text(telling, row, column, what);
	json_array_append_new(
	    telling->faults, json_pack("{s:o, s:I, s:s, s:o}", "file", json_text(telling->source),
				 "line", line, "column", column, "text", json_text(text)));
	free(text);
}

static bool password_is_good(struct telling *telling, const json_t *row, const char *password)
{
	size_t len = strlen(password);

	if (len > SECRET_SIZE_MAX)
		row_fault(telling, row, "password", "is longer than %d bytes: give a shorter one",
		    SECRET_SIZE_MAX);
	else if (strpbrk(password, "\r\n") != NULL)
		row_fault(telling, row, "password",
		    "has a line's end in it, which no asset takes: give one without");
	else
		return true;
	return false;
}

/* The same key without its passphrase; rows that follow most often tell the same. */
static const struct secret *unsealed(struct telling *telling, const struct secret *key,
    const struct secret *passphrase, struct error *error)
{
	if (telling->unsealed != NULL && secret_equal(telling->sealed, key) &&
	    secret_equal(telling->passphrase, passphrase))
		return telling->unsealed;
	telling_forget(telling);
	telling->sealed = secret_copy(key);
	telling->passphrase = secret_copy(passphrase);
	if (telling->sealed == NULL || telling->passphrase == NULL ||
	    ssh_key_unseal(key, passphrase, &telling->unsealed, error) != ERR_OK)
		return NULL;
	return telling->unsealed;
}

/* From here on the row has the key as it logs in without work: the vault seals it. */
static bool key_is_unsealed(
    struct telling *telling, json_t *row, const struct secret *key, const char *phrase)
{
	struct error error = {.text = "the memory for secrets is full: import fewer rows at once"};
	struct secret *passphrase = secret_from(phrase, strlen(phrase));
	const struct secret *plain =
	    passphrase == NULL ? NULL : unsealed(telling, key, passphrase, &error);

	secret_free(passphrase);
	if (plain == NULL) {
		row_fault(telling, row, "passphrase", "%s", error.text);
		return false;
	}
	json_object_set_new(row, "key", json_stringn(secret_data(plain), secret_len(plain)));
	json_object_del(row, "passphrase");
	return true;
}

/* RSA keys log in where the asset's SSH is old enough; a refusal says so. */
static bool key_is_of_use(struct telling *telling, json_t *row)
{
	const char *text = row_text(row, "key");
	struct secret *key = secret_from(text, strlen(text));
	struct error error = {.text = "the memory for secrets is full: import fewer rows at once"};
	char line[SSH_KEY_LINE_SIZE];
	const char *fault = NULL;

	if (key == NULL || ssh_key_public(key, NULL, line, &error) != ERR_OK) {
		fault = error.text;
	} else {
		line[strcspn(line, " ")] = '\0';
		if (strcmp(line, "ssh-rsa") != 0)
			fault = ssh_key_unusable(line);
	}
	secret_free(key);
	if (fault != NULL)
		row_fault(telling, row, "key_file", "%s", fault);
	return fault == NULL;
}

static bool key_is_good(
    struct telling *telling, json_t *row, const char *text, const char *passphrase)
{
	const char *fault;
	struct secret *key;
	bool good;

	if (passphrase != NULL && strlen(passphrase) > SECRET_SIZE_MAX) {
		row_fault(telling, row, "passphrase", "is longer than %d bytes", SECRET_SIZE_MAX);
		return false;
	}
	fault = private_key_fault(text, strlen(text), passphrase != NULL);
	if (fault != NULL)
		row_fault(telling, row, "key_file", "%s", fault);
	if (fault != NULL || passphrase == NULL)
		return fault == NULL && key_is_of_use(telling, row);
	key = secret_from(text, strlen(text));
	if (key == NULL)
		row_fault(telling, row, "key_file",
		    "the memory for secrets is full: import fewer rows at once");
	good = key != NULL && key_is_unsealed(telling, row, key, passphrase);
	secret_free(key);
	return good && key_is_of_use(telling, row);
}

static bool secret_is_good(struct telling *telling, json_t *row)
{
	const char *password = row_text(row, "password"), *key = row_text(row, "key");
	const char *passphrase = row_text(row, "passphrase");

	if (password == NULL && key == NULL) {
		row_fault(telling, row, "password", "a password, a key_file or both are needed");
		return false;
	}
	if (key == NULL && passphrase != NULL) {
		row_fault(telling, row, "passphrase", "belongs to a key_file, not to a password");
		return false;
	}
	if (password != NULL && !password_is_good(telling, row, password))
		return false;
	return key == NULL || key_is_good(telling, row, key, passphrase);
}

/* None that the row tells is in doubt: it would say what is current beside what may be. */
static bool account_is_free(struct telling *telling, const json_t *row, const char *asset)
{
	const char *name = row_text(row, "account");
	struct account account;

	if (account_get_in_doubt(telling->txn, asset, name, &account) != ERR_OK ||
	    row_text(row, secret_kind_name(account.kind)) == NULL)
		return true;
	row_fault(telling, row, "account",
	    "the %s of account \"%s\" on asset \"%s\" is in doubt, and what is told now could be "
	    "wrong: lockstep run TASK settles it first",
	    secret_kind_name(account.kind), name, asset);
	return false;
}

static void telling_add(struct telling *telling, const struct asset *asset, const json_t *row)
{
	if (!account_is_free(telling, row, asset->name))
		return;
	if (telling->count == telling->room) {
		telling->room = telling->room * 2 + 64;
		telling->items = xrealloc(telling->items, telling->room * sizeof(*telling->items));
	}
	telling->items[telling->count++] =
	    (struct told){.asset = asset, .account = row_text(row, "account"), .row = row};
}

/* A name means one asset that must declare the account; a glob or node, those that do. */
static void row_accounts(struct telling *telling, const json_t *row)
{
	const struct policy *policy = telling->request->policy;
	const char *pattern = row_text(row, "asset"), *account = row_text(row, "account");
	const struct asset *last = NULL;
	bool declared = false;
	char text[WORDS_SIZE];

	for (size_t i = 0; i < policy_asset_count(policy); i++) {
		const struct asset *asset = policy_asset(policy, i);

		if (!asset_meant(asset, pattern))
			continue;
		last = asset;
		if (asset_has_account(asset, account)) {
			declared = true;
			telling_add(telling, asset, row);
		}
	}
	if (last == NULL) {
		unknown_asset(telling->request, pattern, text, sizeof(text));
		row_fault(telling, row, "asset", "%s", text);
	} else if (!declared && pattern_is_name(pattern)) {
		unknown_account(last, account, text, sizeof(text));
		row_fault(telling, row, "account", "%s", text);
	} else if (!declared) {
		row_fault(telling, row, "account",
		    "no asset of \"%.128s\" declares \"%.128s\"; lockstep account list tells which "
		    "there are",
		    pattern, account);
	}
}

static void check_row(struct telling *telling, json_t *row)
{
	if (row_text(row, "asset") == NULL)
		row_fault(telling, row, "asset", "is empty");
	else if (row_text(row, "account") == NULL)
		row_fault(telling, row, "account", "is empty");
	else if (secret_is_good(telling, row))
		row_accounts(telling, row);
}

static int told_order(const void *left, const void *right)
{
	const struct told *a = left, *b = right;
	int order = strcmp(a->asset->name, b->asset->name);

	if (order == 0)
		order = strcmp(a->account, b->account);
	if (order == 0)
		order =
		    (row_line(a->row) > row_line(b->row)) - (row_line(a->row) < row_line(b->row));
	return order;
}

/* Two rows for one account: which one is right is not ours to guess. */
static void check_twice(struct telling *telling)
{
	if (telling->count > 1)
		qsort(telling->items, telling->count, sizeof(*telling->items), told_order);
	for (size_t i = 1; i < telling->count; i++) {
		const struct told *a = &telling->items[i - 1], *b = &telling->items[i];

		if (a->asset == b->asset && strcmp(a->account, b->account) == 0)
			row_fault(telling, b->row, "account",
			    "line %lld tells the secret of \"%s\" on \"%s\" already",
			    (long long)row_line(a->row), b->account, b->asset->name);
	}
}

static enum service_end telling_check(struct telling *telling, const json_t *rows)
{
	struct request *request = telling->request;
	const char *first;
	size_t count = json_array_size(rows);

	for (size_t i = 0; i < count; i++)
		check_row(telling, json_array_get(rows, i));
	check_twice(telling);
	if (telling->fault_count == 0)
		return SERVICE_OK;
	first = json_string_value(json_object_get(json_array_get(telling->faults, 0), "text"));
	if (row_line(json_array_get(rows, 0)) == 0)
		return request_fail(request, SERVICE_USAGE, "%s", first);
	request->result =
	    json_pack("{s:b, s:O, s:[]}", "ok", 0, "errors", telling->faults, "warnings");
	return request_fail(request, SERVICE_USAGE,
	    "%s has %zu error%s: mend %s, then import it again; nothing was imported",
	    telling->source, telling->fault_count, telling->fault_count == 1 ? "" : "s",
	    telling->fault_count == 1 ? "it" : "them");
}

/* ── Writing ─────────────────────────────────────────────────────────────────────────────── */

/* Who tells a secret knows it. */
static enum err tell_seen(
    struct vault_txn *txn, const struct account *account, const char *who, struct error *error)
{
	enum err err = seen_put(txn, &account->id, account->current, who);

	return err == ERR_OK ? err : error_set(error, err, "who told it cannot be kept");
}

static enum err tell_secret(struct vault_txn *txn, const struct telling *telling,
    const struct told *told, enum secret_kind kind, const char *text, const char *phrase,
    struct error *error)
{
	struct secret *secret = secret_from(text, strlen(text));
	struct secret *passphrase = phrase == NULL ? NULL : secret_from(phrase, strlen(phrase));
	struct account account;
	enum err err;

	if (secret == NULL || (phrase != NULL && passphrase == NULL))
		err = error_set(
		    error, ERR_LIMIT, "the memory for secrets is full: import fewer rows at once");
	else
		err = account_tell(txn, told->asset->name, told->account, kind, secret, passphrase,
		    &account, error);
	if (err == ERR_OK)
		err = tell_seen(txn, &account, telling->request->person.name, error);
	secret_free(secret);
	secret_free(passphrase);
	return err;
}

static enum err tell_one(struct vault_txn *txn, const struct telling *telling,
    const struct told *told, struct error *error)
{
	const char *password = row_text(told->row, "password"), *key = row_text(told->row, "key");
	enum err err = ERR_OK;

	if (password != NULL)
		err = tell_secret(txn, telling, told, SECRET_PASSWORD, password, NULL, error);
	if (err == ERR_OK && key != NULL)
		err = tell_secret(
		    txn, telling, told, SECRET_KEY, key, row_text(told->row, "passphrase"), error);
	return err;
}

static enum err tell_audit(struct vault_txn *txn, const struct telling *telling,
    const struct told *told, struct error *error)
{
	bool password = row_text(told->row, "password") != NULL;
	bool key = row_text(told->row, "key") != NULL;

	return request_audit(telling->request, txn,
	    &(struct audit_event){
		.what = AUDIT_IMPORT,
		.asset = told->asset->name,
		.account = told->account,
		.object = password && key ? "password and key"
			  : key		  ? "key"
					  : "password",
		.detail = telling->source,
	    },
	    error);
}

static enum err telling_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	const struct telling *telling = arg;
	enum err err = ERR_OK;

	for (size_t i = 0; err == ERR_OK && i < telling->count; i++) {
		err = tell_one(txn, telling, &telling->items[i], error);
		if (err == ERR_OK)
			err = tell_audit(txn, telling, &telling->items[i], error);
	}
	return err;
}

static enum service_end telling_run(struct telling *telling, const json_t *rows)
{
	struct request *request = telling->request;
	json_int_t told, row_count = (json_int_t)json_array_size(rows);
	enum service_end end = engine_open(request, NEEDS_VAULT);

	if (end != SERVICE_OK)
		return end;
	telling->txn = request_read(request);
	if (telling->txn == NULL)
		return SERVICE_NO_ENGINE;
	telling->faults = json_array();
	end = telling_check(telling, rows);
	vault_read_end(telling->txn);
	if (end == SERVICE_OK &&
	    vault_write(request->service->vault, telling_apply, telling, request->error) != ERR_OK)
		end = SERVICE_NO_ENGINE;
	told = (json_int_t)telling->count;
	if (end == SERVICE_OK)
		request->result = json_pack("{s:I, s:I}", "rows", row_count, "accounts", told);
	json_decref(telling->faults);
	telling_forget(telling);
	free(telling->items);
	return end;
}

enum service_end account_import(struct request *request)
{
	struct telling telling = {.request = request, .source = param_need(request, "source")};
	const json_t *rows = json_object_get(request->params, "rows");

	if (telling.source == NULL)
		return SERVICE_USAGE;
	if (json_array_size(rows) == 0)
		return request_fail(request, SERVICE_USAGE,
		    "%s has no rows: give a header and a line an account; nothing was imported",
		    telling.source);
	return telling_run(&telling, rows);
}

enum service_end account_add(struct request *request)
{
	struct telling telling = {.request = request, .source = "account add"};
	const char *name = param_need(request, "asset");
	const char *account = name == NULL ? NULL : param_need(request, "account");
	const struct asset *asset = account == NULL ? NULL : need_asset(request, name);
	json_t *rows;
	enum service_end end;

	if (asset == NULL || !need_account(request, asset, account))
		return SERVICE_USAGE;
	rows = json_pack("[O]", request->params);
	end = telling_run(&telling, rows);
	json_decref(rows);
	return end;
}
