/*
 * What the tests of the vault share: a place to put one, a clock that stands still, and writes in a
 * line.
 */
#ifndef TESTS_VAULT_HELP_H
#define TESTS_VAULT_HELP_H

#include "vault.h"

/* A clock whose timers run when the test says so. */
struct still_clock {
	struct clock clock;
	uint64_t wall_ms, mono_ms;
	struct timer *armed[8];
	size_t count;
	uint64_t delay_ms; /* of what was armed last */
};

struct place {
	char root[256]; /* of this test alone */
	char dir[300];	/* the vault's, not made yet */
	char key_path[300];
	struct still_clock clock;
	struct vault_config config;
	struct error error; /* the last one */
};

/* Makes `root`; removes it with all that is in it. */
void place_setup(struct place *);
void place_teardown(struct place *);

/* The same as a test's setup and teardown, whose state is a place. */
int place_begin(void **state);
int place_end(void **state);

/* Fires what is armed, once. */
void place_turn(struct place *);

struct vault *must_create(struct place *); /* and open */
struct vault *must_open(struct place *);
void must_make(struct place *); /* with a secret in it, and closed */

/* Opening fails with that code and with that text in the error's. */
void assert_open_fails(struct place *, enum err code, const char *text);

/* A path below the vault's directory; good until the next call. */
const char *vault_file(struct place *, const char *name);

struct secret *secret_of(const char *text);

/* One write each, committed, of a password; the error's text stays in place->error. */
enum err tell(
    struct place *, struct vault *, const char *asset, const char *name, const char *secret);
enum err stage(
    struct place *, struct vault *, const char *asset, const char *name, const char *secret);
enum err promote(struct place *, struct vault *, const char *asset, const char *name, enum proof);
enum err retire(
    struct place *, struct vault *, const char *asset, const char *name, enum version_end);
enum err prove(struct place *, struct vault *, const char *asset, const char *name, enum proof);

/* The same of either kind. */
enum err tell_kind(struct place *, struct vault *, const char *asset, const char *name,
    enum secret_kind, const char *secret);
enum err stage_kind(struct place *, struct vault *, const char *asset, const char *name,
    enum secret_kind, const char *secret);
enum err promote_kind(struct place *, struct vault *, const char *asset, const char *name,
    enum secret_kind, enum proof);
enum err retire_kind(struct place *, struct vault *, const char *asset, const char *name,
    enum secret_kind, enum version_end);

struct account account_kind_now(
    struct vault *, const char *asset, const char *name, enum secret_kind);
struct version version_kind_now(
    struct vault *, const char *asset, const char *name, enum secret_kind, uint32_t number);
bool version_kind_is(struct vault *, const char *asset, const char *name, enum secret_kind,
    uint32_t number, const char *text);

/* The account's password as committed. */
struct account account_now(struct vault *, const char *asset, const char *name);
struct version version_now(struct vault *, const char *asset, const char *name, uint32_t number);

/* True when version `number` opens and is `text`. */
bool version_is(
    struct vault *, const char *asset, const char *name, uint32_t number, const char *text);
enum err version_try(
    struct vault *, const char *asset, const char *name, uint32_t number, struct error *error);

enum err put_record(struct vault *, const struct record *);
enum err put_execution(struct vault *, const struct execution *);

/* True when the file holds the bytes anywhere. */
bool file_holds(const char *path, const char *text);

#endif
