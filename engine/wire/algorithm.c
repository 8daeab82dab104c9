#include "wire/algorithm.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

#define LIST_TEXT_MAX 400

static const char *const curves[] = {
/* The old one has a slow curve25519. */
#if LIBSSH2_VERSION_NUM < 0x010b00
    "ecdh-sha2-nistp256",
#endif
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
#if LIBSSH2_VERSION_NUM >= 0x010b00
    "ecdh-sha2-nistp256",
#endif
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    NULL,
};

/* A rotation by group 14 takes the wire 6 ms, by group 16, or one of that size that the asset
 * picks, 38. */
static const char *const groups[] = {
    "diffie-hellman-group14-sha256",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group14-sha1",
    "diffie-hellman-group-exchange-sha1",
    NULL,
};

/* Where nothing is pinned, as ssh has it: what is seen first is compared with what that shows. */
static const char *const host_keys[] = {
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
    "ssh-rsa",
    NULL,
};

/*
 * Of the types that are pinned, the one that costs the least to verify: on an EPYC with OpenSSL 3.0
 * ecdsa-sha2-nistp256 takes 40 µs, ssh-ed25519 60, ecdsa-sha2-nistp521 300, ecdsa-sha2-nistp384
 * 420. RSA takes 13 to 45, but the asset 0.2 to 3 ms to sign; and SHA-1 comes last.
 */
static const char *const pinned_host_keys[] = {
    "ecdsa-sha2-nistp256",
    "ssh-ed25519",
    "rsa-sha2-512",
    "rsa-sha2-256",
    "ecdsa-sha2-nistp521",
    "ecdsa-sha2-nistp384",
    "ssh-rsa",
    NULL,
};

static const char *const ciphers[] = {
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
    "aes256-cbc",
    "rijndael-cbc@lysator.liu.se",
    "aes192-cbc",
    "aes128-cbc",
    "3des-cbc",
    NULL,
};

static const char *const macs[] = {
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
    "hmac-sha1-etm@openssh.com",
    "hmac-sha1",
    NULL,
};

static const struct {
	int method; /* libssh2's name of the list */
	const char *const *preferred;
	const char *what;
} kinds[LIST_COUNT] = {
    [LIST_KEX] = {LIBSSH2_METHOD_KEX, curves, "key exchange"},
    [LIST_HOST_KEY] = {LIBSSH2_METHOD_HOSTKEY, host_keys, "host key type"},
    [LIST_CIPHER_OUT] = {LIBSSH2_METHOD_CRYPT_CS, ciphers, "cipher"},
    [LIST_CIPHER_IN] = {LIBSSH2_METHOD_CRYPT_SC, ciphers, "cipher"},
    [LIST_MAC_OUT] = {LIBSSH2_METHOD_MAC_CS, macs, "MAC"},
    [LIST_MAC_IN] = {LIBSSH2_METHOD_MAC_SC, macs, "MAC"},
};

/* An RSA key has one type and signs under several names. */
static bool key_signs_as(const struct wire_key *pin, const char *name)
{
	if (strcmp(pin->type, "ssh-rsa") == 0)
		return strcmp(name, "ssh-rsa") == 0 || strncmp(name, "rsa-sha2-", 9) == 0;
	return strcmp(pin->type, name) == 0;
}

static bool pins_want(const struct wire_key *pins, size_t pin_count, const char *name)
{
	for (size_t i = 0; i < pin_count; i++) {
		if (key_signs_as(&pins[i], name))
			return true;
	}
	return pin_count == 0;
}

static bool known_have(const char **known, int count, const char *name)
{
	for (int i = 0; i < count; i++) {
		if (strcmp(known[i], name) == 0)
			return true;
	}
	return false;
}

/* Our order, without what this libssh2 does not know: its own way to strip names is broken. */
static void list_add(struct buf *list, size_t kind, const char *const *preferred,
    LIBSSH2_SESSION *session, const struct offer_config *config)
{
	const char **known = NULL;
	int count = libssh2_session_supported_algs(session, kinds[kind].method, &known);

	for (const char *const *name = preferred; *name != NULL; name++) {
		if (kind == LIST_HOST_KEY && !pins_want(config->pins, config->pin_count, *name))
			continue;
		if (known_have(known, count, *name))
			buf_addf(list, "%s%s", list->len > 0 ? "," : "", *name);
	}
	if (known != NULL)
		libssh2_free(session, (void *)known);
}

static char *list_make(size_t kind, const char *const *preferred, const char *const *more,
    LIBSSH2_SESSION *session, const struct offer_config *config)
{
	struct buf list;
	char *text;

	buf_init(&list, 4096);
	list_add(&list, kind, preferred, session, config);
	if (more != NULL)
		list_add(&list, kind, more, session, config);
	text = xstrdup(buf_text(&list));
	buf_clear(&list);
	return text;
}

static enum err pins_unknown(const struct wire_key *pins, struct outcome *outcome)
{
	return outcome_set(outcome, FAULT_ALGORITHM,
	    "no common host key type: pinned is a %s key, which this build cannot check",
	    pins->type);
}

enum err offer_make(struct offer *offer, LIBSSH2_SESSION *session,
    const struct offer_config *config, struct outcome *outcome)
{
	enum err err = ERR_OK;

	if (!config->slow_lane)
		offer->groups = list_make(LIST_KEX, groups, NULL, session, config);
	for (size_t kind = 0; kind < LIST_COUNT && err == ERR_OK; kind++) {
		const char *const *more = kind == LIST_KEX && config->slow_lane ? groups : NULL;
		const char *const *preferred = kinds[kind].preferred;

		if (kind == LIST_HOST_KEY && config->pin_count > 0)
			preferred = pinned_host_keys;
		offer->lists[kind] = list_make(kind, preferred, more, session, config);
		if (offer->lists[kind][0] == '\0' && kind == LIST_HOST_KEY && config->pin_count > 0)
			err = pins_unknown(config->pins, outcome);
		else if (libssh2_session_method_pref(
			     session, kinds[kind].method, offer->lists[kind]) != 0)
			err = outcome_set(
			    outcome, FAULT_LIMIT, "cannot choose a %s", kinds[kind].what);
	}
	return err;
}

void offer_clear(struct offer *offer)
{
	for (size_t i = 0; i < LIST_COUNT; i++) {
		free(offer->lists[i]);
		offer->lists[i] = NULL;
	}
	free(offer->groups);
	offer->groups = NULL;
}

static struct names names_of(const char *list)
{
	return (struct names){list, strlen(list)};
}

enum err offer_compare(const struct offer *offer, const struct greeting *greeting, bool *slow_lane,
    struct outcome *outcome)
{
	struct names theirs[LIST_COUNT];
	char shown[LIST_TEXT_MAX];

	*slow_lane = false;
	if (offer->lists[0] == NULL || !greeting_lists(greeting, theirs))
		return ERR_OK;
	for (size_t i = 0; i < LIST_COUNT; i++) {
		const char *more = i == LIST_KEX && offer->groups != NULL ? offer->groups : "";

		if (names_share(theirs[i], names_of(offer->lists[i])))
			continue;
		*slow_lane = names_share(theirs[i], names_of(more));
		text_escape(shown, sizeof(shown), theirs[i].text, theirs[i].len);
		return outcome_set(outcome, FAULT_ALGORITHM,
		    "no common %s: the asset offers %s; this build offers %s%s%s", kinds[i].what,
		    shown, offer->lists[i], more[0] != '\0' ? "," : "", more);
	}
	return ERR_OK;
}
