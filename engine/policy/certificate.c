#include "policy/certificate.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "policy/loader.h"

#define PREFIX "SHA256:"

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c == '\0' ? NULL : strchr(digits, tolower((unsigned char)c));

	return at == NULL ? -1 : (int)(at - digits);
}

/* With a colon between each two digits, or without any. */
static bool certificate_read(const char *text, uint8_t out[DIGEST_SIZE])
{
	size_t len = strlen(PREFIX), step;

	if (strncmp(text, PREFIX, len) != 0)
		return false;
	text += len;
	step = strlen(text) == 2 * DIGEST_SIZE ? 2 : 3;
	if (step == 3 && strlen(text) != 3 * DIGEST_SIZE - 1)
		return false;
	for (size_t i = 0; i < DIGEST_SIZE; i++) {
		const char *at = text + i * step;
		int high = hex_digit(at[0]), low = hex_digit(at[1]);

		if (high < 0 || low < 0 || (step == 3 && i + 1 < DIGEST_SIZE && at[2] != ':'))
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

const char *certificate_fault(const char *text)
{
	uint8_t digest[DIGEST_SIZE];

	return certificate_read(text, digest) ? NULL
					      : "must be \"SHA256:\" and the fingerprint that "
						"openssl x509 -noout -fingerprint "
						"-sha256 prints";
}

static bool user_has(const struct user *user, const uint8_t digest[DIGEST_SIZE])
{
	uint8_t own[DIGEST_SIZE];

	for (size_t i = 0; i < user->certificate_count; i++)
		if (certificate_read(user->certificates[i], own) &&
		    memcmp(own, digest, DIGEST_SIZE) == 0)
			return true;
	return false;
}

const struct user *policy_user_of_certificate(
    const struct policy *policy, const uint8_t digest[DIGEST_SIZE])
{
	for (size_t i = 0; i < policy->user_count; i++)
		if (user_has(&policy->users[i], digest))
			return &policy->users[i];
	return NULL;
}

/* ── Checking ────────────────────────────────────────────────────────────────────────────── */

static void one_check(struct loader *loader, const struct user_decl *decl, const char *text)
{
	static const struct field_path field = {.name = "certificate"};
	const struct user *first;
	uint8_t digest[DIGEST_SIZE];

	if (!certificate_read(text, digest))
		return;
	first = policy_user_of_certificate(loader->policy, digest);
	if (first != NULL && strcmp(first->name, decl->user.name) != 0)
		statement_problem(loader->errors, decl->statement, &field, NULL,
		    "certificate %.30s… is user \"%s\"'s already (%s:%zu): one certificate is one "
		    "person",
		    text, first->name, first->file, first->line);
}

void certificates_check(struct loader *loader)
{
	static const struct field_path field = {.name = "certificate"};
	const struct settings *settings = &loader->policy->settings;
	const struct user_decl *decl;

	STAILQ_FOREACH (decl, &loader->users, link) {
		for (size_t i = 0; i < decl->certificates.count; i++)
			one_check(loader, decl, decl->certificates.items[i]);
		if (decl->certificates.count > 0 && settings->listen.client_ca == NULL)
			statement_problem(loader->warnings, decl->statement, &field, NULL,
			    "clients are asked for no certificate: settings { listen = { client_ca "
			    "= "
			    "… } } names who vouches for them");
	}
}
