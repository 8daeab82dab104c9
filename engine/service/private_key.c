#include "service/private_key.h"

#include <string.h>

#include "base/secret.h"

#define BEGIN "-----BEGIN "
#define END   "-----END "
#define RULE  "-----"

/* "openssh-key-v1", and the same with the cipher "none" behind it, in base 64. */
#define OPENSSH_MAGIC "b3BlbnNzaC1rZXktdjEA"
#define OPENSSH_OPEN  "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU"

/* A piece of the text: nothing is copied. */
struct span {
	const char *at;
	size_t len;
};

static bool span_begins(struct span span, const char *text)
{
	size_t len = strlen(text);

	return span.len >= len && memcmp(span.at, text, len) == 0;
}

static bool span_ends(struct span span, const char *text)
{
	size_t len = strlen(text);

	return span.len >= len && memcmp(span.at + span.len - len, text, len) == 0;
}

static bool span_is(struct span span, const char *text)
{
	return span.len == strlen(text) && span_begins(span, text);
}

static struct span next_line(struct span *rest)
{
	const char *newline = memchr(rest->at, '\n', rest->len);
	size_t len = newline == NULL ? rest->len : (size_t)(newline - rest->at);
	struct span line = {rest->at, len};

	rest->at += newline == NULL ? len : len + 1;
	rest->len -= newline == NULL ? len : len + 1;
	while (line.len > 0 && strchr(" \t\r", line.at[line.len - 1]) != NULL)
		line.len--;
	return line;
}

static bool is_base64(struct span line)
{
	for (size_t i = 0; i < line.len; i++) {
		char c = line.at[i];

		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
			c == '+' || c == '/' || c == '='))
			return false;
	}
	return line.len > 0;
}

/* "EC PRIVATE KEY" of "-----BEGIN EC PRIVATE KEY-----"; empty when it is no such line. */
static struct span label_of(struct span line, const char *begin)
{
	struct span label = {line.at, 0};

	if (!span_begins(line, begin) || !span_ends(line, RULE) ||
	    line.len < strlen(begin) + strlen(RULE))
		return label;
	label.at += strlen(begin);
	label.len = line.len - strlen(begin) - strlen(RULE);
	return label;
}

static bool label_equal(struct span a, struct span b)
{
	return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

struct body {
	struct span first; /* line of base 64 */
	bool sealed;	   /* its header says that it has a passphrase */
	bool good;
};

/* The lines up to the end's: headers of the old form, then base 64. */
static struct body read_body(struct span *rest, struct span label)
{
	struct body body = {.first = {NULL, 0}};
	bool headers = true;

	while (rest->len > 0) {
		struct span line = next_line(rest);

		if (label_equal(label_of(line, END), label)) {
			body.good = body.first.len > 0;
			return body;
		}
		if (headers && (line.len == 0 || memchr(line.at, ':', line.len) != NULL)) {
			body.sealed |=
			    span_begins(line, "Proc-Type:") && span_ends(line, "ENCRYPTED");
			continue;
		}
		headers = false;
		if (!is_base64(line))
			return body;
		if (body.first.len == 0)
			body.first = line;
	}
	return body;
}

static bool is_sealed(struct span label, const struct body *body)
{
	if (span_is(label, "OPENSSH PRIVATE KEY"))
		return !span_begins(body->first, OPENSSH_OPEN);
	return body->sealed || span_is(label, "ENCRYPTED PRIVATE KEY");
}

const char *private_key_fault(const char *pem, size_t len, bool passphrase_given)
{
	struct span rest = {pem, len};
	struct span label = label_of(next_line(&rest), BEGIN);
	struct body body;

	if (len > SECRET_SIZE_MAX)
		return "is too long for a private key";
	if (span_is(label, "PUBLIC KEY") || span_begins((struct span){pem, len}, "ssh-"))
		return "is a public key: the private one is asked for";
	if (!span_ends(label, "PRIVATE KEY"))
		return "is no private key in PEM (it does not begin with \"-----BEGIN … PRIVATE "
		       "KEY-----\")";
	body = read_body(&rest, label);
	if (!body.good)
		return "is no whole private key in PEM: it is cut or damaged";
	if (span_is(label, "OPENSSH PRIVATE KEY") && !span_begins(body.first, OPENSSH_MAGIC))
		return "is no OpenSSH private key: what is inside is damaged";
	if (is_sealed(label, &body) && !passphrase_given)
		return "is sealed by a passphrase, and none is given";
	return NULL;
}
