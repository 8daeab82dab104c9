/*
 * Copies of the vault: made beside the running engine, put back, looked at, and exported for when
 * there is no Lockstep any more.
 *
 * Owns the file `generation` beside the vault, by which one that was put back is noticed. What is
 * here reads the vault in a process of its own, and never keeps the engine waiting.
 */
#ifndef VAULT_COPY_H
#define VAULT_COPY_H

#include "base/apart.h"
#include "base/digest.h"
#include "vault.h"
#include "vault/audit.h"

/*
 * Opens for reading alone, and takes no lock: `file` NULL: the vault of the config, beside its
 * engine; else a copy of one. ERR_VERSION: an older release's, which an engine has to open first.
 */
enum err vault_open_reading(
    struct vault **, const struct vault_config *, const char *file, struct error *error) MUST_CHECK;

/*
 * Carries out what reads a vault's file that may be damaged in a process of its own (base/apart.h).
 * ERR_CORRUPT, and the text says so, where that did not end well.
 */
enum err vault_apart(apart_fn fn, void *arg, void *result, size_t size, const char *file,
    struct error *error) MUST_CHECK;

/* ── Making one ──────────────────────────────────────────────────────────────────────────── */

/* Makes `draft` (0600, in place of what an earlier try left) of the vault as it is now, without its
 * free pages, and puts it on disk. Sealed as it is: needs no key. */
enum err vault_copy(const char *dir, const char *draft, struct error *error) MUST_CHECK;

/* What a draft is written to, for the rest of this door. */
enum err draft_open(const char *draft, int *fd, struct error *error) MUST_CHECK;
/* Gives it its name, durably. ERR_EXISTS: there is such a file. */
enum err draft_name(const char *draft, const char *file, struct error *error) MUST_CHECK;

/* From now on the vault is newer than every copy: to be called before a copy is given its name. */
enum err vault_outdate_copies(struct vault *, struct error *error) MUST_CHECK;

/* ── Putting one back ────────────────────────────────────────────────────────────────────── */

/*
 * Puts the copy in the place of the vault, or makes one of it where there is none; the old one's
 * file is kept beside (`*kept`, the caller's; NULL = there was none). ERR_BUSY: an engine runs;
 * ERR_CORRUPT: the config's key does not open it, or it is damaged. Killed at any moment one of the
 * two is whole and in place.
 */
enum err vault_put_back(
    const struct vault_config *, const char *file, char **kept, struct error *error) MUST_CHECK;

/* When the vault was seen to have been put back; 0 = never. */
uint64_t vault_restored_ms(const struct vault *);
/* It was seen just now, as it was opened. */
bool vault_was_put_back(const struct vault *);
/* Its accounts were not all looked at since. */
bool vault_restore_is_open(const struct vault *);
enum err vault_restore_settled(struct vault *, struct error *error) MUST_CHECK;

/* The account's current secret was neither set, told nor seen to work since the vault was put back:
 * the asset may have a newer one. */
bool account_is_stale(struct vault_txn *, const struct account *);

/* ── Looking at one ──────────────────────────────────────────────────────────────────────── */

struct check_report {
	uint64_t accounts, values, named; /* values: of versions, opened */
	struct audit_report audit;
};

/* Reads every row, opens every seal, counts again, and checks the audit log. ERR_CORRUPT and the
 * first thing that is wrong. */
enum err vault_check(struct vault_txn *, struct check_report *, struct error *error) MUST_CHECK;

/* ── Without Lockstep ────────────────────────────────────────────────────────────────────── */

struct export_report {
	uint64_t accounts, values, named;
	char recipient[WHY_SIZE];	    /* the certificate's subject */
	char fingerprint[DIGEST_TEXT_SIZE]; /* its SHA-256 */
};

/* What a certificate (PEM) says of itself. ERR_INVALID: it is none, or cannot be encrypted to. */
enum err export_recipient(
    const char *certificate, struct export_report *, struct error *error) MUST_CHECK;

/* Every secret that is kept, as readable JSON, encrypted to the certificate (CMS, AES-256): written
 * to `fd` in DER as it goes, and put on disk. */
enum err vault_export(struct vault_txn *, const char *certificate, int fd, struct export_report *,
    struct error *error) MUST_CHECK;

#endif
