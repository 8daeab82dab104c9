#include "wire/hint.h"

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
    {"sudo: no such file", FAULT_BECOME_DENIED},
    {"sudo': no such file", FAULT_BECOME_DENIED},
    {"sudo\xe2\x80\x99: no such file", FAULT_BECOME_DENIED},
    {NULL, FAULT_NONE},
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
