#include "service/advice.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/format.h"
#include "base/json.h"

#define COMMAND_SIZE 384

/*
 * In `next`, %A is the asset, %U the account, %T the command that tells its secret, %S how to see
 * that the asset answers, %E how to set an earlier secret again where there may be one, and %R the
 * command that retries the record; of one in doubt, that it will be settled.
 */
static const struct advice {
	const char *code; /* an error's, or a reason */
	const char *what;
	const char *next;
} table[] = {
    /* Reaching the asset. */
    {"resolve", "its name has no address", "correct its address in the inventory, then %R"},
    {"connect", "the connection was refused", "%S %R"},
    {"timeout", "it did not answer in time", "%S %R"},
    {"lost", "the link broke", "%R"},
    {"banner", "what answers is not an SSH server", "correct its address and port, then %R"},
    {"algorithm", "no common algorithm",
	"let it offer one of those that this build offers, then %R"},
    {"host_key", "its host key changed", "if this is right: lockstep asset trust %A, then %R"},
    {"host_unknown", "its host key is not known", "lockstep asset trust %A, then %R"},
    {"gateway", "its gateway could not be used",
	"see to the gateway (lockstep asset ping tells when it works), then %R"},
    /* Logging in. */
    {"auth", "the privileged account's secret was refused",
	"tell the right one: lockstep account add %A ADMIN (a key: account import), then %R"},
    {"no_method", "it offers no way to log in that fits the secret",
	"let its sshd_config ask for a password or a key that the vault has, then %R"},
    {"expired", "the account is expired", "renew it there, then %R"},
    {"key", "the private key cannot be used", "import another: lockstep account import, then %R"},
    {"no_shell", "it logs in and does not run what it is told",
	"give the account that logs in a shell that runs commands, then %R"},
    /* Elevation. */
    {"become_password", "the password that elevates was refused",
	"tell the right one: lockstep account add %A ADMIN (root, where become is su), then %R"},
    {"become_denied", "the privileged account may not elevate",
	"allow it on the asset (sudoers, doas.conf, su's group), then %R"},
    /* Working. */
    {"refused", "the asset refused the new secret",
	"mend what it says on the asset, or in the task (rule, params), then %R"},
    {"output", "the asset answered something unexpected",
	"see the platform's script and lockstep-platform(5), then %R"},
    {"script", "the platform's script failed", "mend the script, or the task's params, then %R"},
    {"limit", "it sent more than is allowed", "see what it prints at a login, then %R"},
    {"wire", "the process that spoke to it ended", "%R"},
    {"specified", "the secret that the task names cannot be set",
	"lockstep secret set NAME, then %R"},
    {"restore", "the earlier secret cannot be set",
	"lockstep account show %A %U tells which are kept"},
    {"rule", "no secret could be made by the task's rule", "change the rule, then %R"},
    /* What came of it. */
    {"not_applied", "the asset said yes and did not change it", "see on the asset why, then %R"},
    {"refused_new_closed",
	"the change was refused, its new secret does not open, and no attempt is left for the old "
	"one",
	"wait until the lockout's window has passed, then %R"},
    {"accepted_new_closed",
	"the change was accepted, its new secret does not open, and no attempt is left for the old "
	"one",
	"wait until the lockout's window has passed, then %R"},
    {"refused_untried",
	"the change was refused, and no attempt is left to see whether its new secret opens it",
	"wait until the lockout's window has passed, then %R"},
    {"accepted_early",
	"the asset said yes before the change was in effect, and its new secret does not open it "
	"yet",
	"%R"},
    {"refused_early",
	"the asset said no, which is no end there, and it is yet to be seen what works", "%R"},
    {"pending_refused", "its new secret was refused, and no attempt is left for the old one",
	"wait until the lockout's window has passed, then %R"},
    {"put_back", "its new secret did not open it, so the old one was put back",
	"see on the asset why, then %R"},
    {"old_unknown", "the asset refused the new secret, and no old one is known",
	"tell its secret: %T, then %R"},
    {"mismatch", "no secret that is kept opens it: someone else changed it",
	"tell its secret: %T; %Eor rotate it: a task sets a new one"},
    {"accepted_does_not_open", "the asset said yes, and neither secret opens it",
	"tell its secret: %T"},
    {"refused_neither_opens", "the asset said no, and neither secret opens it",
	"tell its secret: %T"},
    {"neither_opens", "neither the new nor the old secret opens it",
	"set it on the asset and tell it: %T"},
    {"not_persisted", "it works now, and the asset did not make it permanent",
	"see on the asset why it is not saved; %R"},
    {"login_refused", "the login was refused, which alone says nothing about the secret",
	"see on the asset why (faillock, sshd_config), then lockstep account verify %A %U"},
    {"unreachable", "it could not be reached", "%S lockstep account verify %A %U"},
    {"no_secret", "no secret of it is known", "%T"},
    {"no_verdict", "nothing can be said about whether it works", "set verify = \"login\"; %R"},
    {"resent", "it was sent again, and has not been seen to work yet", "%R"},
    {"interrupted", "the engine was killed while it was at it", "%R"},
    {"restored", "the vault was put back from a copy from before this was settled", "%S"},
    {"not_asked", "the task asks for no proof",
	"set verify = \"login\" to have it seen to work; the next rotation settles it first"},
    /* Left alone. */
    {"secure_mode", "secure mode leaves privileged accounts alone",
	"settings { secure_mode = false } lets it be rotated"},
    {"no_admin", "no privileged account with a secret",
	"let the inventory name its admin, and tell that one's secret (lockstep account import), "
	"then %R"},
    {"admin_refused", "other assets refused the privileged account's secret",
	"tell the right one: lockstep account add %A ADMIN (a key: account import), then %R"},
    {"no_lifeline", "this is the account that changes the others, and nothing could mend it",
	"allow it a shell in the asset's sudoers, then %R"},
    {"no_proof", "the proof that the task asks for is not possible there",
	"mend that on the asset (a password may have another proof: verify in the task), then %R"},
    {"probe_budget", "one more refused login could lock the account",
	"wait until the lockout's window has passed, then %R"},
    {"in_doubt", "an earlier change is still in doubt", "the next run settles it first"},
    {"busy", "another record is at it", "when that one has ended, %R"},
    {"checked_out", "someone has it checked out",
	"nothing, it is rotated when that time is over; at once: lockstep account checkin %A %U"},
    {"absent", "there is no such account on the asset",
	"make it there, or take it out of the inventory"},
    {"locked", "the account is locked on the asset; nothing was sent", "unlock it there, then %R"},
    {"stopped", "stopped before anything was sent", "%R"},
    {"window", "its task's window closed before it was begun",
	"the next time that the window opens takes it up; at once: %R"},
    {"cancelled", "someone ended the run before it was begun", "%R"},
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

const char *advice_what(char *out, size_t size, const json_t *record)
{
	const struct advice *advice = advice_of(record);
	const char *said = text_of(json_object_get(record, "error"), "message");

	if (said[0] == '\0')
		said = text_of(record, "detail");
	if (said[0] == '\0' && advice != NULL)
		said = advice->what;
	return format_times(out, size, said[0] != '\0' ? said : text_of(record, "reason"));
}

static size_t add(char *out, size_t size, size_t used, const char *text, size_t len)
{
	if (used + len + 1 > size)
		len = size - used - 1;
	memcpy(out + used, text, len);
	out[used + len] = '\0';
	return used + len;
}

static const char *id_of(const json_t *record)
{
	const char *shorter = text_of(record, "short");

	return shorter[0] != '\0' ? shorter : text_of(record, "id");
}

/* A verify sets nothing, and has no task. */
static bool is_verify(const json_t *record)
{
	const char *task = json_string_value(json_object_get(record, "task"));

	return task != NULL && task[0] == '\0';
}

/* What came of looking at an asset is no record: it has no account. */
static bool is_look(const json_t *record)
{
	return text_of(record, "account")[0] == '\0';
}

static void look_text(char *out, size_t size, const json_t *look)
{
	const char *verb = json_object_get(look, "offered") != NULL ? "trust" : "ping";

	snprintf(out, size, "lockstep asset %s %s", verb, text_of(look, "asset"));
}

static void see_text(char *out, size_t size, const json_t *record)
{
	if (is_look(record))
		snprintf(out, size, "see that it is up and its address and port are right, then");
	else
		snprintf(out, size, "lockstep asset ping %s; when it answers,",
		    text_of(record, "asset"));
}

static void tell_text(char *out, size_t size, const json_t *record)
{
	if (strcmp(text_of(record, "kind"), "key") == 0)
		snprintf(out, size, "lockstep account import, with its key_file");
	else
		snprintf(out, size, "lockstep account add %s %s", text_of(record, "asset"),
		    text_of(record, "account"));
}

static void earlier_text(char *out, size_t size, const json_t *record)
{
	out[0] = '\0';
	if (json_integer_value(json_object_get(record, "old_version")) > 1)
		snprintf(out, size,
		    "set an earlier one again: lockstep account restore %s %s --version N (account "
		    "show tells which are kept); ",
		    text_of(record, "asset"), text_of(record, "account"));
}

/* A record that is not kept has no id: then its task is run. */
static void retry_text(char *out, size_t size, const json_t *record)
{
	bool doubt = strcmp(text_of(record, "status"), "unverified") == 0 &&
		     text_of(record, "staged")[0] != '\0';
	const char *id = id_of(record);

	if (is_look(record))
		look_text(out, size, record);
	else if (is_verify(record))
		snprintf(out, size, "lockstep account verify %s %s", text_of(record, "asset"),
		    text_of(record, "account"));
	else if (id[0] == '\0')
		snprintf(out, size, "lockstep run %s", text_of(record, "task"));
	else if (doubt)
		snprintf(out, size, "the next run settles it (lockstep record show %s)", id);
	else
		snprintf(out, size, "lockstep record retry %s", id);
}

static void command_text(char *out, size_t size, char letter, const json_t *record)
{
	switch (letter) {
	case 'A': snprintf(out, size, "%s", text_of(record, "asset")); break;
	case 'U': snprintf(out, size, "%s", text_of(record, "account")); break;
	case 'T': tell_text(out, size, record); break;
	case 'S': see_text(out, size, record); break;
	case 'E': earlier_text(out, size, record); break;
	default: retry_text(out, size, record); break;
	}
}

static void fill(char *out, size_t size, const char *pattern, const json_t *record)
{
	size_t used = 0;
	char command[COMMAND_SIZE];

	out[0] = '\0';
	for (; *pattern != '\0'; pattern++) {
		if (*pattern != '%') {
			used = add(out, size, used, pattern, 1);
			continue;
		}
		pattern++;
		command_text(command, sizeof(command), *pattern, record);
		used = add(out, size, used, command, strlen(command));
	}
}

char *advice_next(char *out, size_t size, const json_t *record)
{
	const struct advice *advice = advice_of(record);

	fill(out, size, advice == NULL ? "%R" : advice->next, record);
	return out;
}

bool advice_knows(const char *word)
{
	return advice_find(word) != NULL;
}
