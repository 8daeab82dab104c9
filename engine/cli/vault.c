#include "cli/cli.h"

#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "cli/ask.h"
#include "cli/passphrase.h"
#include "cli/terminal.h"

#define PASSPHRASE_MAX 1024

enum { KEY_PASSPHRASE = 0x1000, KEY_RESUME, KEY_RECIPIENT, KEY_YES };

static int backup_run(struct cli *);
static int restore_run(struct cli *);
static int check_run(struct cli *);
static int export_run(struct cli *);
static int rekey_run(struct cli *);

static const struct argp_option restore_options[] = {
    {"yes", KEY_YES, NULL, 0, "do not ask", 0},
    {0},
};

static const struct argp_option export_options[] = {
    {"recipient", KEY_RECIPIENT, "CERT", 0, "whose key opens it: a certificate in PEM", 0},
    {0},
};

static const struct argp_option rekey_options[] = {
    {"passphrase", KEY_PASSPHRASE, NULL, 0, "ask for the new passphrase, where it is one", 0},
    {"resume", KEY_RESUME, NULL, 0, "change nothing: go on with what an earlier one left", 0},
    {0},
};

const struct command vault_commands[] = {
    {"vault backup", "FILE|DIR", "copy the vault, sealed as it is, while it is in use", NULL, 1, 1,
	backup_run},
    {"vault restore", "FILE", "put a copy in the vault's place", restore_options, 1, 1,
	restore_run},
    {"vault check", "[FILE]", "open and count all that the vault, or a copy, keeps", NULL, 0, 1,
	check_run},
    {"vault export", "FILE|DIR", "write every secret for when there is no Lockstep", export_options,
	1, 1, export_run},
    {"vault rekey", "", "change the vault's keys, while it is in use", rekey_options, 0, 0,
	rekey_run},
    {0},
};

/* ── The passphrase ──────────────────────────────────────────────────────────────────────── */

enum err passphrase_ask(void *arg, struct secret **passphrase, struct error *error)
{
	struct buf line;

	(void)arg;
	*passphrase = NULL;
	if (!terminal_is(STDIN_FILENO))
		return error_set(error, ERR_NOT_FOUND,
		    "the vault opens by a passphrase, and stdin is no terminal to type it at: "
		    "start "
		    "lockstepd with it as a credential, or type it");
	buf_init(&line, PASSPHRASE_MAX);
	if (terminal_read_secret("passphrase of the vault: ", &line))
		*passphrase = secret_from(line.data, line.len);
	buf_clear(&line);
	return *passphrase != NULL
		   ? ERR_OK
		   : error_set(error, ERR_INVALID,
			 "no passphrase was given, so the vault stays closed: type it");
}

/* ── backup, restore, check, export ──────────────────────────────────────────────────────── */

/* What was done, in the one form or the other. */
static int end_with(struct cli *cli, enum service_end end, json_t *result,
    const struct error *error, void (*print)(const json_t *))
{
	int status = end;

	if (result == NULL)
		fprintf(stderr, "lockstep: %s\n", error->text);
	else if (cli->json)
		status = cli_print_json(result, status);
	else
		print(result);
	json_decref(result);
	return status;
}

static void print_backup(const json_t *result)
{
	printf(
	    "%s is a copy of the vault, sealed as it is (%lld bytes): the master key alone opens "
	    "it, so keep that elsewhere\n",
	    text_of(result, "file"), (long long)number_of(result, "bytes"));
}

static int backup_run(struct cli *cli)
{
	struct error error = {.code = ERR_OK};
	json_t *result;
	enum service_end end = service_vault_backup(cli->service, cli->args[0], &result, &error);

	return end_with(cli, end, result, &error, print_backup);
}

static void print_restore(const json_t *result)
{
	const char *kept = text_of(result, "kept");

	printf(
	    "the vault is the copy now%s%s\n", kept[0] != '\0' ? "; what it was is at " : "", kept);
	printf("its assets may have newer secrets: lockstep account verify sees which still open; "
	       "lockstepd does so when it starts\n");
}

static int restore_run(struct cli *cli)
{
	struct error error = {.code = ERR_OK};
	json_t *result;
	enum service_end end;

	if (!cli_flag(cli, "yes") && !terminal_is(STDIN_FILENO))
		return cli_usage("vault restore: stdin is no terminal, so nothing is asked: give "
				 "--yes to put the copy in the vault's place");
	if (!cli_flag(cli, "yes") &&
	    !terminal_ask("Secrets that were set since the copy was made are not in it. Put it in "
			  "the vault's place?")) {
		fprintf(stderr, "nothing was changed\n");
		return SERVICE_OK;
	}
	end = service_vault_restore(cli->service, cli->args[0], &result, &error);
	return end_with(cli, end, result, &error, print_restore);
}

static void print_check(const json_t *result)
{
	const json_t *audit = json_object_get(result, "audit");

	printf("all is as it was written: %lld secrets of accounts in %lld versions, %lld named "
	       "secrets, %lld entries of the audit log\n",
	    (long long)number_of(result, "secrets"), (long long)number_of(result, "versions"),
	    (long long)number_of(result, "named"), (long long)number_of(audit, "entries"));
}

static int check_run(struct cli *cli)
{
	struct error error = {.code = ERR_OK};
	const char *file = cli->arg_count > 0 ? cli->args[0] : NULL;
	json_t *result;
	enum service_end end = service_vault_check(cli->service, file, &result, &error);

	return end_with(cli, end, result, &error, print_check);
}

static void print_export(const json_t *result)
{
	printf("%s has %lld secrets of accounts and %lld named ones, for %s\n",
	    text_of(result, "file"), (long long)number_of(result, "secrets"),
	    (long long)number_of(result, "named"), text_of(result, "recipient"));
	printf("its key opens it: openssl cms -decrypt -inform DER -in %s -inkey KEY\n",
	    text_of(result, "file"));
}

static int export_run(struct cli *cli)
{
	const char *recipient = cli_option(cli, "recipient");
	struct error error = {.code = ERR_OK};
	json_t *result;
	enum service_end end;

	if (recipient == NULL)
		return cli_usage("--recipient is missing: give the certificate of whoever is to "
				 "open the file in an emergency");
	end = service_vault_export(cli->service, recipient, cli->args[0], &result, &error);
	return end_with(cli, end, result, &error, print_export);
}

/* ── rekey ───────────────────────────────────────────────────────────────────────────────── */

static void print_rekeyed(const json_t *result)
{
	const char *kept = text_of(result, "kept");

	printf("the vault is sealed by data key %lld; its master key is a new one (%s)\n",
	    (long long)number_of(result, "data_key"), text_of(result, "source"));
	if (kept[0] != '\0')
		printf("the old master key is at %s: move it to where the backups from before are "
		       "kept, which it alone opens\n",
		    kept);
	if (!json_is_true(json_object_get(result, "confirmed")))
		printf(
		    "until the settings name it as master_key, the old one opens the vault too\n");
}

static int rekey_run(struct cli *cli)
{
	json_t *params = json_object(), *result, *text;
	int status;

	if (cli_flag(cli, "passphrase")) {
		text = ask_secret("passphrase", "the vault");
		if (text == NULL) {
			json_decref(params);
			return SERVICE_USAGE;
		}
		json_object_set_new(params, "passphrase", text);
	}
	if (cli_flag(cli, "resume"))
		json_object_set_new(params, "resume", json_true());
	status = cli_call(cli, "vault.rekey", params, &result);
	if (status == SERVICE_OK && cli->json)
		status = cli_print_json(result, status);
	else if (status == SERVICE_OK)
		print_rekeyed(result);
	json_decref(result);
	return status;
}
