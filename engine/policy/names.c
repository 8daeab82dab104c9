#include "policy/names.h"

#include <ctype.h>
#include <string.h>

#include "base/text.h"
#include "policy.h"

#define NAME_LEN_MAX	127 /* the vault's keys */
#define POSIX_LEN_MAX	32
#define ADDRESS_LEN_MAX 253
#define NODE_LEN_MAX	255
#define COMPONENT_SIZE	256

static bool has_control(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	return false;
}

/* Whatever the locale. */
static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static const char *word_fault(const char *text)
{
	size_t len = strlen(text);

	if (len == 0)
		return "may not be empty";
	if (len > NAME_LEN_MAX)
		return "may have at most 127 bytes";
	if (!text_is_utf8(text, len))
		return "must be UTF-8";
	if (has_control(text))
		return "may not hold control characters";
	if (isspace((unsigned char)text[0]) || isspace((unsigned char)text[len - 1]))
		return "may not begin or end with a space";
	if (strchr(text, '*'))
		return "may not hold \"*\", which stands for any characters where names are "
		       "selected";
	return NULL;
}

const char *name_fault(const char *name)
{
	const char *fault = word_fault(name);

	if (!fault && name[0] == '-')
		fault = "may not begin with \"-\"";
	if (!fault && name[0] == '/')
		fault = "may not begin with \"/\", as nodes do";
	return fault;
}

const char *secret_name_fault(const char *name)
{
	if (strlen(name) > NAME_LEN_MAX)
		return "may have at most 127 characters";
	if (!is_word(name[0]))
		return "must begin with a letter or a digit";
	for (; *name; name++)
		if (!is_word(*name) && !strchr("._-/@", *name))
			return "may hold only letters, digits and \"._-/@\"";
	return NULL;
}

const char *pattern_fault(const char *pattern)
{
	return pattern[0] ? NULL : "may not be empty";
}

const char *user_fault(const char *name)
{
	if (strlen(name) >= USER_NAME_SIZE)
		return "may have at most 63 characters";
	if (!is_word(name[0]))
		return "must begin with a letter or a digit";
	for (; *name; name++)
		if (!is_word(*name) && !strchr("._-@", *name))
			return "may hold only letters, digits and \"._-@\"";
	return NULL;
}

const char *account_fault(const char *account)
{
	return word_fault(account);
}

const char *account_posix_fault(const char *account)
{
	const char *at = account;

	if (!isalpha((unsigned char)*at) && *at != '_')
		return "must begin with a letter or \"_\"";
	if (strlen(account) > POSIX_LEN_MAX)
		return "may have at most 32 characters";
	while (isalnum((unsigned char)*at) || (*at && strchr("_.-", *at)))
		at++;
	if (at[0] == '$' && at[1] == '\0')
		at++;
	return *at ? "may hold only letters, digits, \"_\", \".\" and \"-\"" : NULL;
}

static const char *path_fault(const char *node)
{
	size_t len = strlen(node);

	if (node[0] != '/')
		return "must begin with \"/\"";
	if (len > NODE_LEN_MAX)
		return "may have at most 255 bytes";
	if (!text_is_utf8(node, len))
		return "must be UTF-8";
	if (has_control(node))
		return "may not hold control characters";
	if (len > 1 && node[len - 1] == '/')
		return "may not end with \"/\"";
	if (strstr(node, "//"))
		return "may not hold an empty part (\"//\")";
	return NULL;
}

const char *node_fault(const char *node)
{
	const char *fault = path_fault(node);

	if (!fault && strchr(node, '*'))
		fault = "may not hold \"*\"";
	return fault;
}

const char *node_pattern_fault(const char *pattern)
{
	return path_fault(pattern);
}

const char *address_fault(const char *address)
{
	size_t len = strlen(address);

	if (len == 0 || len > ADDRESS_LEN_MAX || address[0] == '-')
		return "must be a host name or an IP address";
	for (const char *at = address; *at; at++)
		if (!isalnum((unsigned char)*at) && !strchr(".:_%-", *at))
			return "must be a host name or an IP address";
	return NULL;
}

/* Words and dots, none at an end or beside another. */
static bool is_dotted(const char *text, size_t len, const char *signs)
{
	bool word = false;

	for (size_t i = 0; i < len; i++) {
		if (text[i] != '.' && !is_word(text[i]) && !strchr(signs, text[i]))
			return false;
		if (text[i] == '.' && !word)
			return false;
		word = text[i] != '.';
	}
	return word;
}

const char *mail_fault(const char *address)
{
	const char *at = strrchr(address, '@');
	size_t local = at ? (size_t)(at - address) : 0;

	if (at && local <= 64 && strlen(address) <= 254 && at[1] != '-' &&
	    is_dotted(address, local, "!#$%&'*+/=?^_`{|}~-") &&
	    is_dotted(at + 1, strlen(at + 1), "-"))
		return NULL;
	return "is no mail address: give one such as \"ops@example.com\"";
}

/* Takes the next component of a path off `*path`. False at the end. */
static bool component(const char **path, char out[COMPONENT_SIZE])
{
	size_t len;

	while (**path == '/')
		++*path;
	len = strcspn(*path, "/");
	if (len == 0 || len >= COMPONENT_SIZE)
		return false;
	memcpy(out, *path, len);
	out[len] = '\0';
	*path += len;
	return true;
}

bool node_matches(const char *pattern, const char *node)
{
	char want[COMPONENT_SIZE], have[COMPONENT_SIZE];

	while (component(&pattern, want))
		if (!component(&node, have) || !text_glob(want, have))
			return false;
	return true;
}

bool path_stays_inside(const char *path)
{
	char part[COMPONENT_SIZE];
	const char *at = path;

	if (path[0] == '/' || path[0] == '\0')
		return false;
	while (component(&at, part))
		if (strcmp(part, "..") == 0)
			return false;
	return *at == '\0';
}

bool names_match(const struct names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++)
		if (text_glob(names->items[i], name))
			return true;
	return false;
}
