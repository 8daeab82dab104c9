#include "policy/phrase.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/random.h"
#include "policy/wordlist.h"

#define WORDS_MAX	64
#define DIGITS_MAX	9
#define JOIN_LEN_MAX	8
#define LIST_DEFAULT	"eff-large"
#define JOIN_DEFAULT	"-"
#define DIGITS		"0123456789"
#define CHARACTER_COUNT 128

struct phrase {
	uint32_t words, digits;
	bool capital;
	const char *join;
	const char **list; /* the words that may be drawn */
	size_t list_count;
	size_t longest, shortest;	/* of a whole passphrase */
	bool may_hold[CHARACTER_COUNT]; /* by character */
};

struct phrase_draft {
	uint32_t words, digits;
	bool capital;
	const char *join, *list;
};

/* ── Fields ──────────────────────────────────────────────────────────────────────────────── */

static const char *join_fault(const char *join)
{
	if (strlen(join) > JOIN_LEN_MAX)
		return "is longer than 8 characters";
	for (; *join; join++)
		if (*join < ' ' || *join > '~' || isalnum((unsigned char)*join))
			return "holds characters other than the symbols and the space of ASCII";
	return NULL;
}

static void digit_read(struct reader *reader, const struct field_path *path, void *out)
{
	struct phrase_draft *draft = out;

	if (lua_type(reader->lua, -1) != LUA_TBOOLEAN || lua_toboolean(reader->lua, -1))
		(void)field_number(reader, path, 0, DIGITS_MAX, &draft->digits);
}

/* What belongs to a rule of characters. */
static void other_read(struct reader *reader, const struct field_path *path, void *out)
{
	(void)out;
	statement_problem(reader->errors, reader->statement, path, NULL,
	    "field \"%s\" is for rules of characters; this one has words", path->name);
}

#define AT(member) offsetof(struct phrase_draft, member)

static const struct field phrase_fields[] = {
    {.name = "words", .type = FIELD_COUNT, .offset = AT(words), .min = 1, .max = WORDS_MAX},
    {.name = "list", .type = FIELD_TEXT, .offset = AT(list), .fault = name_fault},
    {.name = "join", .type = FIELD_TEXT, .offset = AT(join), .fault = join_fault},
    {.name = "capital", .type = FIELD_FLAG, .offset = AT(capital)},
    {.name = "digit", .type = FIELD_OWN, .read = digit_read},
    {.name = "length", .type = FIELD_OWN, .read = other_read},
    {.name = "lower", .type = FIELD_OWN, .read = other_read},
    {.name = "upper", .type = FIELD_OWN, .read = other_read},
    {.name = "symbol", .type = FIELD_OWN, .read = other_read},
    {.name = "first", .type = FIELD_OWN, .read = other_read},
    {.name = "last", .type = FIELD_OWN, .read = other_read},
    {.name = "longest_run", .type = FIELD_OWN, .read = other_read},
    {.name = "ambiguous", .type = FIELD_OWN, .read = other_read},
    {.name = "user_name", .type = FIELD_OWN, .read = other_read},
    {.name = "exclude", .type = FIELD_OWN, .read = other_read},
    {0},
};

static bool field_given(lua_State *lua, int index, const char *name)
{
	bool given;

	lua_pushstring(lua, name);
	lua_rawget(lua, index);
	given = !lua_isnil(lua, -1);
	lua_pop(lua, 1);
	return given;
}

bool phrase_wanted(lua_State *lua, int index)
{
	return field_given(lua, index, "words");
}

void phrase_refuse(struct loader *loader, const struct statement *statement, int index)
{
	static const char *const names[] = {"list", "join", "capital"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct field_path path = {.name = names[i]};

		if (field_given(loader->policy->lua, index, names[i]))
			statement_problem(loader->errors, statement, &path, NULL,
			    "field \"%s\" is for passphrases; say how many words they have: words "
			    "= 6",
			    names[i]);
	}
}

/* ── Which words ─────────────────────────────────────────────────────────────────────────── */

/*
 * A word that holds what joins words is left out: else "drop-down" could be one word or two, and
 * some texts would come up more often than others.
 */
static void choose_words(struct arena *arena, struct phrase *phrase, const struct wordlist *list)
{
	phrase->list = arena_alloc(arena, (list->count + 1) * sizeof(phrase->list[0]));
	for (size_t i = 0; i < list->count; i++)
		if (!list->words[i][strcspn(list->words[i], phrase->join)])
			phrase->list[phrase->list_count++] = list->words[i];
}

/* NULL when no two draws can run into the same text, else why they can. */
static const char *words_fault(const struct phrase *phrase)
{
	if (phrase->list_count < 2)
		return "fewer than two of its words are without what joins them";
	/* In this order, what a word begins is what follows it. */
	for (size_t i = 1; !phrase->join[0] && i < phrase->list_count; i++)
		if (strncasecmp(
			phrase->list[i], phrase->list[i - 1], strlen(phrase->list[i - 1])) == 0)
			return "some of its words begin others, and need something that joins "
			       "them: join = \"-\"";
	return NULL;
}

static char capital(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static void hold(struct phrase *phrase, const char *text)
{
	for (; *text; text++)
		phrase->may_hold[(unsigned char)*text] = true;
}

static void measure(struct phrase *phrase)
{
	size_t longest = 0, shortest = SIZE_MAX;
	size_t joins = (phrase->words - 1) * strlen(phrase->join);

	for (size_t i = 0; i < phrase->list_count; i++) {
		const char *word = phrase->list[i];
		size_t len = strlen(word);

		longest = len > longest ? len : longest;
		shortest = len < shortest ? len : shortest;
		hold(phrase, word + phrase->capital);
		if (phrase->capital)
			phrase->may_hold[(unsigned char)capital(word[0])] = true;
	}
	if (phrase->words > 1)
		hold(phrase, phrase->join);
	if (phrase->digits > 0)
		hold(phrase, DIGITS);
	phrase->longest = phrase->words * longest + joins + phrase->digits;
	phrase->shortest = phrase->words * shortest + joins + phrase->digits;
}

static const struct phrase *phrase_make(
    struct loader *loader, const struct statement *statement, const struct phrase_draft *draft)
{
	static const struct field_path list_field = {.name = "list"};
	struct arena *arena = &loader->policy->arena;
	struct phrase *phrase = arena_alloc(arena, sizeof(*phrase));
	const struct wordlist *list = wordlist_get(loader, statement, &list_field, draft->list);
	const char *fault;

	if (!list)
		return NULL;
	phrase->words = draft->words;
	phrase->digits = draft->digits;
	phrase->capital = draft->capital;
	phrase->join = draft->join;
	choose_words(arena, phrase, list);
	fault = words_fault(phrase);
	if (fault) {
		statement_problem(loader->errors, statement, &list_field, NULL,
		    "word list \"%s\": %s", draft->list, fault);
		return NULL;
	}
	measure(phrase);
	return phrase;
}

const struct phrase *phrase_read(
    struct loader *loader, const struct statement *statement, int index)
{
	struct reader reader = {
	    loader->policy->lua, &loader->policy->arena, loader->errors, statement};
	size_t before = loader->errors->count + loader->errors->more;
	struct phrase_draft draft = {.join = JOIN_DEFAULT, .list = LIST_DEFAULT};

	schema_read(&reader, phrase_fields, index, NULL, &draft);
	if (loader->errors->count + loader->errors->more != before)
		return NULL;
	return phrase_make(loader, statement, &draft);
}

/* ── What there is ───────────────────────────────────────────────────────────────────────── */

double phrase_bits(const struct phrase *phrase)
{
	return phrase->words * log2((double)phrase->list_count) + phrase->digits * log2(10);
}

size_t phrase_longest(const struct phrase *phrase)
{
	return phrase->longest;
}

size_t phrase_shortest(const struct phrase *phrase)
{
	return phrase->shortest;
}

bool phrase_same(const struct phrase *a, const struct phrase *b)
{
	if (a->words != b->words || a->digits != b->digits || a->capital != b->capital ||
	    strcmp(a->join, b->join) != 0 || a->list_count != b->list_count)
		return false;
	for (size_t i = 0; i < a->list_count; i++)
		if (strcmp(a->list[i], b->list[i]) != 0)
			return false;
	return true;
}

uint32_t phrase_words(const struct phrase *phrase)
{
	return phrase->words;
}

char phrase_may_hold(const struct phrase *phrase, const char *refuse)
{
	for (; *refuse; refuse++) {
		unsigned char c = (unsigned char)*refuse;

		if (c < CHARACTER_COUNT && phrase->may_hold[c])
			return *refuse;
	}
	return '\0';
}

/* ── Drawing ─────────────────────────────────────────────────────────────────────────────── */

/* Evenly below `limit`: what the last, incomplete round of limits would favour is drawn again. */
static uint32_t draw_below(uint32_t limit)
{
	uint32_t excess = UINT32_MAX % limit == limit - 1 ? 0 : UINT32_MAX % limit + 1, drawn;

	do
		random_bytes(&drawn, sizeof(drawn));
	while (drawn > UINT32_MAX - excess);
	return drawn % limit;
}

static char *put_word(const struct phrase *phrase, char *at, const char *word)
{
	size_t len = strlen(word);

	memcpy(at, word, len);
	if (phrase->capital)
		*at = capital(*at);
	return at + len;
}

static void put(const struct phrase *phrase, const uint32_t *chosen, char *at)
{
	size_t join = strlen(phrase->join);

	for (size_t i = 0; i < phrase->words; i++) {
		if (i > 0) {
			memcpy(at, phrase->join, join);
			at += join;
		}
		at = put_word(phrase, at, phrase->list[chosen[i]]);
	}
	for (size_t i = 0; i < phrase->digits; i++)
		*at++ = DIGITS[draw_below(10)];
}

enum err phrase_draw(const struct phrase *phrase, struct secret **out, struct error *error)
{
	uint32_t chosen[WORDS_MAX];
	size_t len = (phrase->words - 1) * strlen(phrase->join) + phrase->digits;

	for (size_t i = 0; i < phrase->words; i++) {
		chosen[i] = draw_below((uint32_t)phrase->list_count);
		len += strlen(phrase->list[chosen[i]]);
	}
	*out = secret_new(len);
	if (*out)
		put(phrase, chosen, secret_bytes(*out));
	explicit_bzero(chosen, sizeof(chosen));
	return *out ? ERR_OK
		    : error_set(error, ERR_FULL, "no locked memory is free for a new secret");
}
