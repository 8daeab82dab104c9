#include "cli/advice.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

/* In `next`, %A is the asset, %U the account, %R the command that retries the record. */
static const struct advice {
	const char *code; /* an error's, or a reason */
	const char *what;
	const char *next;
} table[] = {
    {"resolve", "its name has no address", "correct its address in the inventory, then %R"},
    {"connect", "the connection was refused", "lockstep asset ping %A; when it answers, %R"},
    {"timeout", "it did not answer in time", "lockstep asset ping %A; when it answers, %R"},
    {"lost", "the link broke", "%R"},
    {"banner", "what answers is not an SSH server", "correct its address and port, then %R"},
    {"algorithm", "no common algorithm", "let it offer an elliptic curve key exchange, then %R"},
    {"host_key", "its host key changed", "if this is right: lockstep asset trust %A, then %R"},
    {"host_unknown", "its host key is not known", "lockstep asset trust %A, then %R"},
    {"auth", "the privileged account's secret was refused",
	"tell the right one: lockstep account add %A ADMIN, then %R"},
    {"no_method", "it offers no way to log in that fits the secret",
	"allow one in its sshd_config, or import a key, then %R"},
    {"expired", "the account is expired", "renew it there, then %R"},
    {"key", "the private key cannot be used", "import another: lockstep account import, then %R"},
    {"no_shell", "it logs in and does not run what it is told", "give the admin a shell, then %R"},
    {"become_password", "sudo refused the privileged account's password",
	"lockstep account import, then %R"},
    {"become_denied", "the privileged account may not use sudo",
	"allow it in the asset's sudoers, then %R"},
    {"refused", "the asset refused the new secret",
	"make the task's rule fit what the asset takes, then %R"},
    {"not_applied", "the asset said yes and did not change it", "see on the asset why, then %R"},
    {"no_verdict", "it shows no hash that can be compared", "set verify = \"login\", then %R"},
    {"output", "the asset answered something unexpected", "see the platform's script, then %R"},
    {"script", "the platform's script failed", "mend the script, then %R"},
    {"limit", "it sent more than is allowed", "%R"},
    {"wire", "the process that spoke to it ended", "%R"},
    {"probe_budget", "one more refused login could lock the account", "wait, then %R"},
    {"no_admin", "no privileged account with a secret",
	"give it an admin in the inventory and its secret by lockstep account add, then %R"},
    {"no_lifeline", "this is the account that changes the others", ""},
    {"no_proof", "the proof that the task asks for is not possible there",
	"let the account log in by password, or set verify = \"hash\", then %R"},
    {"in_doubt", "an earlier change is still in doubt", "the next run settles it first"},
    {"busy", "another record is at it", "%R"},
    {"absent", "there is no such account on the asset",
	"make it there, or take it out of the inventory"},
    {"locked", "the account is locked on the asset; nothing was sent", "unlock it there, then %R"},
    {"stopped", "stopped before anything was sent", "%R"},
    {"accepted_does_not_open", "the asset said yes, and neither secret opens it",
	"tell its secret: lockstep account add %A %U"},
    {"refused_neither_opens", "the asset said no, and neither secret opens it",
	"tell its secret: lockstep account add %A %U"},
};

static const struct advice *advice_find(const char *code)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(table[i].code, code) == 0)
			return &table[i];
	return NULL;
}

/* A verdict says more than the error on the way to it. */
static const struct advice *advice_of(const json_t *record)
{
	const struct advice *advice = advice_find(text_of(record, "reason"));

	if (advice == NULL)
		advice = advice_find(text_of(json_object_get(record, "error"), "code"));
	return advice;
}

const char *advice_what(const json_t *record)
{
	const struct advice *advice = advice_of(record);
	const char *said = text_of(json_object_get(record, "error"), "message");

	if (said[0] == '\0')
		said = text_of(record, "detail");
	if (said[0] == '\0' && advice != NULL)
		said = advice->what;
	return said[0] != '\0' ? said : text_of(record, "reason");
}

static size_t add(char *out, size_t size, size_t used, const char *text, size_t len)
{
	if (used + len + 1 > size)
		len = size - used - 1;
	memcpy(out + used, text, len);
	out[used + len] = '\0';
	return used + len;
}

static void fill(char *out, size_t size, const char *pattern, const json_t *record)
{
	size_t used = 0;
	char retry[64];

	snprintf(retry, sizeof(retry), "lockstep record retry %s", text_of(record, "id"));
	out[0] = '\0';
	for (; *pattern != '\0'; pattern++) {
		const char *text = pattern;

		if (*pattern != '%') {
			used = add(out, size, used, text, 1);
			continue;
		}
		pattern++;
		text = *pattern == 'A'	 ? text_of(record, "asset")
		       : *pattern == 'U' ? text_of(record, "account")
					 : retry;
		used = add(out, size, used, text, strlen(text));
	}
}

char *advice_next(char *out, size_t size, const json_t *record)
{
	const struct advice *advice = advice_of(record);
	const char *reason = text_of(record, "reason");
	bool verdict = advice != NULL && strcmp(advice->code, reason) == 0;
	bool doubt = strcmp(text_of(record, "status"), "unverified") == 0;

	if (doubt && !(verdict && strstr(reason, "open") != NULL))
		snprintf(out, size, "the next run settles it (lockstep record show %s)",
		    text_of(record, "id"));
	else
		fill(out, size, advice == NULL ? "%R" : advice->next, record);
	return out;
}
