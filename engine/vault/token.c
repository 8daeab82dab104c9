/* A row each, by its hash: to look one up that someone shows is one step. */
#include "vault/token.h"

#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "vault/row.h"
#include "vault/vault_state.h"

#define PREFIX	     "lst_"
#define PREFIX_LEN   4
#define RANDOM_BYTES 32
#define SIGNS	     "._-"

/* ── Its text ────────────────────────────────────────────────────────────────────────────── */

void token_make(char out[TOKEN_TEXT_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t bytes[RANDOM_BYTES];

	random_bytes(bytes, sizeof(bytes));
	memcpy(out, PREFIX, PREFIX_LEN);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		out[PREFIX_LEN + 2 * i] = digits[bytes[i] >> 4];
		out[PREFIX_LEN + 2 * i + 1] = digits[bytes[i] & 15];
	}
	out[TOKEN_TEXT_SIZE - 1] = '\0';
	explicit_bzero(bytes, sizeof(bytes));
}

static bool is_digit(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

bool token_is_whole(const char *text, size_t len)
{
	if (len != TOKEN_TEXT_SIZE - 1 || memcmp(text, PREFIX, PREFIX_LEN) != 0)
		return false;
	for (size_t i = PREFIX_LEN; i < len; i++)
		if (!is_digit(text[i]))
			return false;
	return true;
}

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool token_name_is_good(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len >= TOKEN_NAME_SIZE || !is_word(name[0]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_word(name[i]) && strchr(SIGNS, name[i]) == NULL)
			return false;
	return true;
}

static void token_digest(
    struct vault_txn *txn, const char *text, size_t len, uint8_t out[DIGEST_SIZE])
{
	char said[ID_TEXT_SIZE + 32], id[ID_TEXT_SIZE];

	id_text(seal_vault(txn->vault->seal), id);
	snprintf(said, sizeof(said), "lockstep token 1\n%s\n", id);
	digest_of_two(said, strlen(said), text, len, out);
}

/* ── Rows ────────────────────────────────────────────────────────────────────────────────── */

static struct key key_of_digest(const uint8_t digest[DIGEST_SIZE])
{
	struct key key = {.len = 0};

	key_add(&key, digest, DIGEST_SIZE);
	return key;
}

static size_t texts_parse(const struct value *array, char *out, size_t size, size_t most)
{
	size_t count = 0;

	for (size_t i = 0; i < value_count(array) && count < most; i++)
		if (value_text(value_item(array, i), out + count * size, size) > 0)
			count++;
	return count;
}

/* One that has more limits than are known here would reach further without them. */
static bool fits(const struct value *map)
{
	return value_count(value_get(map, "n")) <= TOKEN_LIMITS_MAX &&
	       value_count(value_get(map, "k")) <= TOKEN_LIMITS_MAX;
}

static enum err token_parse(
    struct vault_txn *txn, const struct key *key, const struct bytes *row, struct token *token)
{
	struct unpack *unpack;
	const struct value *map;
	enum err err = row_parse(txn, TABLE_TOKEN, row, &unpack);

	*token = (struct token){.made_ms = 0};
	if (err != ERR_OK)
		return err;
	map = unpack_root(unpack);
	value_text(value_get(map, "a"), token->name, sizeof(token->name));
	value_text(value_get(map, "u"), token->user, sizeof(token->user));
	token->made_ms = value_uint(value_get(map, "m"), 0);
	token->until_ms = value_uint(value_get(map, "e"), 0);
	token->permission_count =
	    texts_parse(value_get(map, "p"), token->permissions[0], WORD_SIZE, TOKEN_WORDS_MAX);
	token->node_count =
	    texts_parse(value_get(map, "n"), token->nodes[0], TASK_NAME_SIZE, TOKEN_LIMITS_MAX);
	token->task_count =
	    texts_parse(value_get(map, "k"), token->tasks[0], TASK_NAME_SIZE, TOKEN_LIMITS_MAX);
	if (key->len != DIGEST_SIZE || !fits(map))
		err = txn_trouble(txn, ERR_CORRUPT, "a token's row is damaged");
	else
		memcpy(token->digest, key->bytes, DIGEST_SIZE);
	unpack_free(unpack);
	return err;
}

static void pack_texts(struct buf *row, const char *key, const char *texts, size_t size, size_t n)
{
	pack_text(row, key);
	pack_array(row, n);
	for (size_t i = 0; i < n; i++)
		pack_text(row, texts + i * size);
}

static enum err token_write(struct vault_txn *txn, const struct token *token)
{
	struct key key = key_of_digest(token->digest);
	struct buf row;

	buf_init(&row, ROW_SIZE_MAX);
	pack_map(&row, 7);
	pack_kv_text(&row, "a", token->name);
	pack_kv_text(&row, "u", token->user);
	pack_kv_uint(&row, "m", token->made_ms);
	pack_kv_uint(&row, "e", token->until_ms);
	pack_texts(&row, "p", token->permissions[0], WORD_SIZE, token->permission_count);
	pack_texts(&row, "n", token->nodes[0], TASK_NAME_SIZE, token->node_count);
	pack_texts(&row, "k", token->tasks[0], TASK_NAME_SIZE, token->task_count);
	return row_put(txn, TABLE_TOKEN, &key, &row);
}

void token_each(struct vault_txn *txn, bool (*fn)(void *arg, const struct token *), void *arg)
{
	struct key key = {.bytes = {0}, .len = 1}; /* before every hash */
	struct token token;
	struct bytes row;
	enum step step = STEP_AT;

	while (store_step(txn, TABLE_TOKEN, step, &key, &row) == ERR_OK) {
		if (token_parse(txn, &key, &row, &token) != ERR_OK || !fn(arg, &token))
			return;
		step = STEP_UP;
	}
}

/* ── One of them ─────────────────────────────────────────────────────────────────────────── */

struct finding {
	const char *name;
	struct token *out;
	size_t count;
	bool found;
};

static bool find_one(void *arg, const struct token *token)
{
	struct finding *finding = arg;

	finding->count++;
	if (strcmp(token->name, finding->name) == 0) {
		*finding->out = *token;
		finding->found = true;
	}
	return true;
}

enum err token_find(struct vault_txn *txn, const char *name, struct token *token)
{
	struct finding finding = {.name = name, .out = token};

	token_each(txn, find_one, &finding);
	return finding.found ? ERR_OK : ERR_NOT_FOUND;
}

enum err token_get(struct vault_txn *txn, const char *text, size_t len, struct token *token)
{
	uint8_t digest[DIGEST_SIZE];
	struct bytes row;
	struct key key;
	enum err err;

	if (!token_is_whole(text, len))
		return ERR_NOT_FOUND;
	token_digest(txn, text, len, digest);
	key = key_of_digest(digest);
	err = store_get(txn, TABLE_TOKEN, &key, &row);
	return err == ERR_OK ? token_parse(txn, &key, &row, token) : err;
}

enum err token_put(struct vault_txn *txn, struct token *token, const char *text)
{
	struct token before;
	struct finding finding = {.name = token->name, .out = &before};
	enum err err = ERR_OK;

	token_each(txn, find_one, &finding);
	if (finding.found && before.until_ms > clock_wall_ms(txn->vault->clock))
		return ERR_EXISTS;
	if (finding.found)
		err = token_drop(txn, &before);
	else if (finding.count >= TOKENS_MAX)
		err = ERR_FULL;
	token_digest(txn, text, strlen(text), token->digest);
	return err == ERR_OK ? token_write(txn, token) : err;
}

enum err token_drop(struct vault_txn *txn, const struct token *token)
{
	struct key key = key_of_digest(token->digest);

	return store_del(txn, TABLE_TOKEN, &key);
}
