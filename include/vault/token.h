/*
 * API tokens: what programs show, over TLS, to act for a user within a scope.
 *
 * Owns how a token looks, and that only its hash is kept: SHA-256 is enough, as a token is 256
 * random bits, which nobody can guess one by one. The hash covers the vault's id, so that a token
 * is good for no other vault, whatever rows are copied there. Never knows what a permission is.
 */
#ifndef VAULT_TOKEN_H
#define VAULT_TOKEN_H

#include "vault.h"

#define TOKEN_NAME_SIZE	 64
#define TOKEN_TEXT_SIZE	 (4 + 64 + 1) /* "lst_" and hexadecimal, with the NUL */
#define TOKEN_LIMITS_MAX 16
#define TOKEN_WORDS_MAX	 16
#define TOKENS_MAX	 1000

struct token {
	char name[TOKEN_NAME_SIZE];
	char user[WHO_SIZE]; /* for whom it acts */
	uint64_t made_ms;    /* wall */
	uint64_t until_ms;   /* wall; it is good for nothing from then on */
	char permissions[TOKEN_WORDS_MAX][WORD_SIZE];
	size_t permission_count;
	char nodes[TOKEN_LIMITS_MAX][TASK_NAME_SIZE]; /* patterns; none = wherever the user may */
	size_t node_count;
	char tasks[TOKEN_LIMITS_MAX][TASK_NAME_SIZE]; /* likewise */
	size_t task_count;
	uint8_t digest[DIGEST_SIZE];
};

/* A fresh one's text. */
void token_make(char out[TOKEN_TEXT_SIZE]);
/* Whether a text can be one: of the whole length, and nothing but its characters. */
bool token_is_whole(const char *text, size_t len);
/* Whether it can be a token's name. */
bool token_name_is_good(const char *name);

/* Keeps it, with the hash of `text`. ERR_EXISTS: of that name there is one that has not expired;
 * ERR_FULL: there are TOKENS_MAX. */
enum err token_put(struct vault_txn *, struct token *, const char *text) MUST_CHECK;
/* By its text, however long ago it expired. ERR_NOT_FOUND. */
enum err token_get(struct vault_txn *, const char *text, size_t len, struct token *) MUST_CHECK;
/* By its name. ERR_NOT_FOUND. */
enum err token_find(struct vault_txn *, const char *name, struct token *) MUST_CHECK;
enum err token_drop(struct vault_txn *, const struct token *) MUST_CHECK;
/* In no order. False from fn stops. */
void token_each(struct vault_txn *, bool (*fn)(void *arg, const struct token *), void *arg);

#endif
