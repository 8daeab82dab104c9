/*
 * SSH keys: making a private one, and the public line of one.
 *
 * Owns the forms that keys are written in. A private key stands in a `struct secret` alone, while
 * it is made too. Never logs in with one: that is the wire's.
 */
#ifndef BASE_SSH_KEY_H
#define BASE_SSH_KEY_H

#include <stddef.h>
#include <stdint.h>

#include "base/secret.h"

#define SSH_KEY_TYPE_SIZE 32   /* "ecdsa-sha2-nistp256" */
#define SSH_KEY_LINE_SIZE 4096 /* a public line; that of an RSA key of 16384 bits fits */

enum ssh_key_type {
	SSH_KEY_ED25519,
	SSH_KEY_ECDSA_256,
	SSH_KEY_ECDSA_384,
	SSH_KEY_ECDSA_521,
};

/* What a public line begins with: "ssh-ed25519". */
const char *ssh_key_type_name(enum ssh_key_type);

/*
 * What a policy's words mean: `type` is "ed25519" or "ecdsa", `bits` 0 for the usual ones. NULL
 * when this build makes such keys and can log in with them; else why it does not, to be said behind
 * the name of what asks.
 */
const char *ssh_key_words(const char *type, uint64_t bits, enum ssh_key_type *out);

/* NULL when this build can log in with keys of the type that a public line names; else why not. */
const char *ssh_key_unusable(const char *type_name);

/*
 * Makes one: "-----BEGIN OPENSSH PRIVATE KEY-----" and what follows, without a passphrase. ERR_FULL
 * when the memory for secrets is; ERR_IO when OpenSSL refuses.
 */
enum err ssh_key_make(enum ssh_key_type, struct secret **out, struct error *error) MUST_CHECK;

/*
 * The public line of a private key in PEM (OpenSSH's form, PKCS #8, or the older ones of OpenSSL):
 * "ssh-ed25519 AAAA…", without comment or newline. `passphrase` may be NULL. ERR_INVALID: it is
 * none, or the passphrase does not open it.
 */
enum err ssh_key_public(const struct secret *key, const struct secret *passphrase,
    char line[SSH_KEY_LINE_SIZE], struct error *error) MUST_CHECK;

/*
 * The same key without its passphrase: OpenSSH's form again, PKCS #8 for the others. Takes some 200
 * ms. ERR_INVALID: the passphrase does not open it, or it is sealed in a way that is not known.
 */
enum err ssh_key_unseal(const struct secret *key, const struct secret *passphrase,
    struct secret **out, struct error *error) MUST_CHECK;

#endif
