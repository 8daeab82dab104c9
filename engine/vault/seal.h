/*
 * The seal: AES-256-GCM over every secret that is kept, bound to the vault, the account and the
 * version it was made for.
 *
 * Owns the data keys (wrapped by a master key where they are kept, in the secure heap here). Never
 * writes anything and never holds a plaintext outside wiped memory.
 */
#ifndef VAULT_SEAL_H
#define VAULT_SEAL_H

#include "base/buf.h"
#include "base/err.h"
#include "base/id.h"
#include "base/secret.h"

/* Room for the longest secret and passphrase, sealed. */
#define SEALED_SIZE_MAX (2 * SECRET_SIZE_MAX + 64)

/* At most so many data keys: the newest closes, and all of them open. */
#define SEAL_KEYS_MAX 4

struct seal;

/* Without a data key. */
struct seal *seal_new(const struct id *vault);
void seal_free(struct seal *);

/* Makes one more data key. ERR_BUSY: there are enough; ERR_FULL: no secure memory. */
enum err seal_add(struct seal *, struct error *error) MUST_CHECK;

/* A copy, of all data keys or of the newest alone. ERR_FULL. */
enum err seal_copy(
    struct seal **, const struct seal *, bool newest, struct error *error) MUST_CHECK;

size_t seal_count(const struct seal *);
uint32_t seal_number(const struct seal *); /* the newest's */

/* Appends the data keys, wrapped by a master key. */
enum err seal_wrap(const struct seal *, const struct secret *master, struct buf *wrapped,
    struct error *error) MUST_CHECK;

/* Adds the data keys that are wrapped; `legacy`: the one that schema 4 wrapped. False when
 * `master` does not open it, or secure memory is full. */
bool seal_unwrap(
    struct seal *, const struct secret *master, const void *wrapped, size_t len, bool legacy);

/* The vault that it is of. */
const struct id *seal_vault(const struct seal *);

/* Appends the sealed secret to `out` (cap SEALED_SIZE_MAX). `passphrase` may be NULL. */
enum err seal_close(const struct seal *, const struct id *account, uint32_t version,
    const struct secret *, const struct secret *passphrase, struct buf *out,
    struct error *error) MUST_CHECK;

/*
 * Opens what seal_close made for the same account and version. `passphrase` may be NULL. Both
 * become the caller's. ERR_CORRUPT, ERR_FULL.
 */
enum err seal_open(const struct seal *, const struct id *account, uint32_t version,
    const void *sealed, size_t len, struct secret **, struct secret **passphrase,
    struct error *error) MUST_CHECK;

/*
 * The same for a secret that has a name instead of an account: no name's value opens as another's,
 * nor as a version. Names have at most SEAL_NAME_MAX bytes.
 */
#define SEAL_NAME_MAX 127
enum err seal_close_named(const struct seal *, const char *name, const struct secret *,
    struct buf *out, struct error *error) MUST_CHECK;
enum err seal_open_named(const struct seal *, const char *name, const void *sealed, size_t len,
    struct secret **, struct error *error) MUST_CHECK;

#endif
