#include "wire/hint.h"

#include <string.h>
#include <strings.h>

struct hint {
	const char *words;
	enum fault fault;
};

static const char *const changes[] = {
    "current password",
    "old password",
    "new password",
    "(current) unix password",
    "change your password",
    "password change",
    "password has expired",
    "reset your password",
    NULL,
};

static const struct hint login_hints[] = {
    {"password has expired", FAULT_EXPIRED},
    {"password change required", FAULT_EXPIRED},
    {"must change your password", FAULT_EXPIRED},
    {"required to change your password", FAULT_EXPIRED},
    {"account has expired", FAULT_EXPIRED},
    {"account is expired", FAULT_EXPIRED},
    {NULL, FAULT_NONE},
};

/* The first that is found counts; sudo says its lecture before, its reason last. */
static const struct hint sudo_hints[] = {
    {"not in the sudoers", FAULT_BECOME_DENIED},
    {"is not allowed to", FAULT_BECOME_DENIED},
    {"may not run sudo", FAULT_BECOME_DENIED},
    {"must have a tty", FAULT_BECOME_DENIED},
    {"reset your password", FAULT_EXPIRED},
    {"password is expired", FAULT_EXPIRED},
    {"password expired", FAULT_EXPIRED},
    {"account expired", FAULT_EXPIRED},
    {"account validation failure", FAULT_EXPIRED},
    {"incorrect password", FAULT_BECOME_PASSWORD},
    {"password is required", FAULT_BECOME_PASSWORD},
    {"no password was provided", FAULT_BECOME_PASSWORD},
    {"authentication failed", FAULT_BECOME_PASSWORD},
    {"maximum 3 incorrect", FAULT_BECOME_PASSWORD},
    /* env(1) quotes it in more ways than one. */
    {"sudo: not found", FAULT_BECOME_DENIED},
    {"sudo: no such file", FAULT_BECOME_DENIED},
    {"sudo': no such file", FAULT_BECOME_DENIED},
    {"sudo\xe2\x80\x99: no such file", FAULT_BECOME_DENIED},
    {NULL, FAULT_NONE},
};

/* The first that is found counts here too. */
static const struct hint su_hints[] = {
    {"account has expired", FAULT_EXPIRED},
    {"account is locked", FAULT_BECOME_DENIED},
    {"permission denied", FAULT_BECOME_DENIED},
    {"operation not permitted", FAULT_BECOME_DENIED},
    {"not enabled", FAULT_BECOME_DENIED},
    {"must be run from a terminal", FAULT_BECOME_DENIED},
    {"must be suid", FAULT_BECOME_DENIED},
    {"not installed setuid", FAULT_BECOME_DENIED},
    {"tty is required", FAULT_BECOME_DENIED},
    {"authentication failure", FAULT_BECOME_PASSWORD},
    {"authentication failed", FAULT_BECOME_PASSWORD},
    {"authentication required", FAULT_BECOME_PASSWORD},
    {"incorrect password", FAULT_BECOME_PASSWORD},
    {"su: sorry", FAULT_BECOME_PASSWORD},
    {"su: not found", FAULT_BECOME_DENIED},
    {"doas: not found", FAULT_BECOME_DENIED},
    {"doas: no such file", FAULT_BECOME_DENIED},
    {"doas': no such file", FAULT_BECOME_DENIED},
    {"doas\xe2\x80\x99: no such file", FAULT_BECOME_DENIED},
    {"account is currently not available", FAULT_NO_SHELL},
    {NULL, FAULT_NONE},
};

/* How questions end; only these are known for what they are. */
static const struct {
	const char *end;
	enum prompt prompt;
} prompt_ends[] = {
    {"one-time password", PROMPT_OTHER},
    {"password", PROMPT_PASSWORD},
    {"code", PROMPT_OTHER},
    {"pin", PROMPT_OTHER},
    {"token", PROMPT_OTHER},
    {"response", PROMPT_OTHER},
    {NULL, PROMPT_NONE},
};

static bool text_has(const char *text, size_t len, const char *words)
{
	size_t words_len = 0;

	while (words[words_len] != '\0')
		words_len++;
	for (size_t i = 0; i + words_len <= len; i++) {
		if (strncasecmp(text + i, words, words_len) == 0)
			return true;
	}
	return false;
}

static enum fault hints_find(const struct hint *hint, const char *text, size_t len)
{
	while (hint->words != NULL && !text_has(text, len, hint->words))
		hint++;
	return hint->fault;
}

bool hint_change(const char *text, size_t len)
{
	for (const char *const *words = changes; *words != NULL; words++) {
		if (text_has(text, len, *words))
			return true;
	}
	return false;
}

bool hint_refused(const char *text, size_t len)
{
	return text_has(text, len, "too many authentication failures");
}

enum fault hint_login(const char *text, size_t len)
{
	return hints_find(login_hints, text, len);
}

enum fault hint_sudo(const char *text, size_t len)
{
	enum fault fault = hints_find(sudo_hints, text, len);

	return fault != FAULT_NONE ? fault : hint_login(text, len);
}

enum fault hint_sudo_asks(const char *text, size_t len)
{
	static const char words[] = "sudo: Account or password is expired, reset your password";

	return text_has(text, len, words) ? FAULT_EXPIRED : FAULT_NONE;
}

enum fault hint_su(const char *text, size_t len)
{
	enum fault fault = hints_find(su_hints, text, len);

	return fault != FAULT_NONE ? fault : hint_login(text, len);
}

enum fault hint_sudo_terminal(const char *text, size_t len)
{
	return text_has(text, len, "must have a tty") ? FAULT_BECOME_DENIED : FAULT_NONE;
}

enum fault hint_sudo_command(const char *text, size_t len)
{
	return text_has(text, len, "is not allowed to execute") ? FAULT_BECOME_DENIED : FAULT_NONE;
}

static bool text_ends(const char *text, size_t len, const char *end)
{
	size_t end_len = strlen(end);

	return len >= end_len && strncasecmp(text + len - end_len, end, end_len) == 0;
}

/* Cuts the line to what stands before its colon; false where it ends with none. */
static bool question_cut(const char *line, size_t *len)
{
	while (*len > 0 && line[*len - 1] == ' ')
		--*len;
	if (*len == 0 || line[*len - 1] != ':')
		return false;
	--*len;
	return true;
}

enum prompt hint_prompt(const char *text, size_t len)
{
	size_t from = len, line_len;
	size_t i = 0;

	while (from > 0 && text[from - 1] != '\n' && text[from - 1] != '\r')
		from--;
	text += from;
	line_len = len - from;
	if (!question_cut(text, &line_len))
		return PROMPT_NONE;
	if (hint_change(text, line_len))
		return PROMPT_CHANGE;
	if (text_has(text, line_len, "password for "))
		return PROMPT_PASSWORD;
	while (prompt_ends[i].end != NULL && !text_ends(text, line_len, prompt_ends[i].end))
		i++;
	return prompt_ends[i].prompt;
}
