#include "policy/generate.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "policy/count.h"
#include "policy/tail.h"

/* Tables of names that are kept: at most this many, and together this size (a larger one is kept
 * alone). */
#define KEPT_MAX      16
#define KEPT_SIZE_MAX ((uint64_t)64 << 20)

/* A rule is accepted only if it can be counted for names as long as this, the longest that Unix
 * systems take. */
#define NAME_LEN 32

struct kept {
	char *name; /* in lower case */
	uint64_t size;
	struct table *table;
};

struct generator {
	struct rule_spec spec;
	struct table *any_name;
	struct kept kept[KEPT_MAX]; /* the latest used first */
	size_t kept_count;
	uint64_t kept_size;
};

static const char *const class_names[CLASS_COUNT] = {"lower", "upper", "digit", "symbol"};
static const char *const edge_names[] = {
    "any", "letter", "lower", "upper", "digit", "alnum", "symbol"};

/* ── Judging a rule ──────────────────────────────────────────────────────────────────────── */

static enum err sets_check(const struct rule_spec *spec, struct error *error)
{
	const char *owner[CLASS_SET_SIZE] = {0};

	for (size_t cls = 0; cls < CLASS_COUNT; cls++) {
		const char *set = spec->classes[cls].set;

		for (size_t i = 0; i < CLASS_SET_SIZE && set[i] != '\0'; i++) {
			unsigned char c = (unsigned char)set[i];

			if (c < ' ' || c > '~')
				return error_set(error, ERR_INVALID,
				    "%s: byte 0x%02x is not a printable ASCII character",
				    class_names[cls], c);
			if (owner[c] != NULL)
				return error_set(error, ERR_INVALID,
				    "the character '%c' is in %s and again in %s", c, owner[c],
				    class_names[cls]);
			owner[c] = class_names[cls];
		}
	}
	return ERR_OK;
}

static enum err class_check(const struct class_spec *limits, const char *name, struct error *error)
{
	if (limits->min > limits->max)
		return error_set(error, ERR_INVALID, "%s asks for at least %u, but for at most %u",
		    name, limits->min, limits->max);
	if (limits->min > 0 && limits->set[0] == '\0')
		return error_set(error, ERR_INVALID,
		    "%s asks for %u, but after what is excluded it has no character left", name,
		    limits->min);
	return ERR_OK;
}

/* What a class asks for and what it allows; one without characters allows none. */
static uint32_t class_min(const struct class_spec *limits)
{
	return limits->min;
}

static uint32_t class_max(const struct class_spec *limits)
{
	return limits->set[0] == '\0' ? 0 : limits->max;
}

/* Adds up the classes, and writes the sum as people do: "lower 4 + digit 4". */
static uint64_t sum_classes(
    const struct rule_spec *spec, uint32_t (*figure)(const struct class_spec *), struct buf *text)
{
	uint64_t sum = 0;

	for (size_t cls = 0; cls < CLASS_COUNT; cls++) {
		uint32_t value = figure(&spec->classes[cls]);

		if (value > 0)
			buf_addf(text, "%s%s %u", text->len ? " + " : "", class_names[cls], value);
		sum += value;
	}
	return sum;
}

static enum err sums_check(const struct rule_spec *spec, struct error *error)
{
	struct buf mins, maxes;
	enum err err = ERR_OK;
	uint64_t sum;

	buf_init(&mins, ERROR_TEXT_SIZE);
	buf_init(&maxes, ERROR_TEXT_SIZE);
	sum = sum_classes(spec, class_min, &mins);
	if (sum > spec->length) {
		err = error_set(error, ERR_INVALID, "length %u, but %s ask for %llu", spec->length,
		    buf_text(&mins), (unsigned long long)sum);
		goto out;
	}
	sum = sum_classes(spec, class_max, &maxes);
	if (sum == 0)
		err = error_set(error, ERR_INVALID, "no class has a character that may be used");
	else if (sum < spec->length)
		err = error_set(error, ERR_INVALID, "length %u, but %s allow only %llu",
		    spec->length, buf_text(&maxes), (unsigned long long)sum);
out:
	buf_clear(&mins);
	buf_clear(&maxes);
	return err;
}

static enum err spec_check(const struct rule_spec *spec, struct error *error)
{
	enum err err;

	if (spec->length < 1 || spec->length > RULE_LENGTH_MAX)
		return error_set(error, ERR_INVALID, "length %u: a secret has 1 to %d characters",
		    spec->length, RULE_LENGTH_MAX);
	err = sets_check(spec, error);
	for (size_t cls = 0; cls < CLASS_COUNT && err == ERR_OK; cls++)
		err = class_check(&spec->classes[cls], class_names[cls], error);
	return err == ERR_OK ? sums_check(spec, error) : err;
}

/* ── Saying what is wrong with one ───────────────────────────────────────────────────────── */

/* ERR_LIMIT, with the fields that make the table large. */
static enum err too_large(const struct rule_spec *spec, struct error *error)
{
	enum err err;
	struct buf text;

	buf_init(&text, ERROR_TEXT_SIZE);
	buf_addf(&text, "length %u", spec->length);
	for (size_t cls = 0; cls < CLASS_COUNT; cls++) {
		const struct class_spec *limits = &spec->classes[cls];

		if (limits->set[0] != '\0' && limits->max < spec->length)
			buf_addf(&text, ", %s max %u", class_names[cls], limits->max);
		else if (limits->min > 1)
			buf_addf(&text, ", %s min %u", class_names[cls], limits->min);
	}
	if (spec->longest_run > 0 && spec->longest_run < spec->length)
		buf_addf(&text, ", longest_run %u", spec->longest_run);
	if (!spec->user_name)
		buf_add_text(&text, ", user_name = false");
	err = error_set(error, ERR_LIMIT,
	    "this rule would take more than %zu MB to count; relax some of: %s",
	    TABLE_SIZE_MAX >> 20, buf_text(&text));
	buf_clear(&text);
	return err;
}

/* Whether something satisfies the rule, whatever the name. A rule too large to count is given the
 * benefit. */
static bool is_satisfiable(const struct rule_spec *spec)
{
	struct table *table;
	bool satisfiable;

	if (table_size(spec, "") > TABLE_SIZE_MAX)
		return true;
	table = table_new(spec, "");
	satisfiable = table == NULL || !table_is_empty(table);
	table_free(table);
	return satisfiable;
}

/* ERR_INVALID for a rule whose sums are right and that nothing satisfies: looks for the one field
 * that is to blame. */
static enum err unsatisfiable(const struct rule_spec *spec, struct error *error)
{
	struct rule_spec any_run = *spec, any_first = *spec, any_last = *spec;
	struct buf text;
	enum err err;

	any_run.longest_run = 0;
	any_first.first = EDGE_ANY;
	any_last.last = EDGE_ANY;
	buf_init(&text, ERROR_TEXT_SIZE);
	if (sum_classes(spec, class_min, &text) > 0)
		buf_add_text(&text, ": ");
	if (is_satisfiable(&any_run))
		buf_addf(&text, "longest_run %u leaves", spec->longest_run);
	else if (is_satisfiable(&any_first))
		buf_addf(&text, "first = \"%s\" leaves", edge_names[spec->first]);
	else if (is_satisfiable(&any_last))
		buf_addf(&text, "last = \"%s\" leaves", edge_names[spec->last]);
	else
		buf_addf(&text, "first = \"%s\", last = \"%s\" and longest_run %u leave",
		    edge_names[spec->first], edge_names[spec->last], spec->longest_run);
	err = error_set(error, ERR_INVALID, "length %u, %s nothing that satisfies the rule",
	    spec->length, buf_text(&text));
	buf_clear(&text);
	return err;
}

/* ── The generator ───────────────────────────────────────────────────────────────────────── */

/* A class that may not be used has no characters, which spares everyone else the case. */
static void spec_copy(struct rule_spec *copy, const struct rule_spec *spec)
{
	*copy = *spec;
	for (size_t cls = 0; cls < CLASS_COUNT; cls++) {
		if (copy->classes[cls].max == 0)
			copy->classes[cls].set[0] = '\0';
	}
}

/* A name that is as hard to keep out as names are: long, of characters that the secret may have,
 * few of them twice. */
static void name_example(char name[NAME_LEN + 1], const struct rule_spec *spec)
{
	size_t len = spec->length < NAME_LEN ? spec->length : NAME_LEN, distinct = 0;

	memset(name, 0, NAME_LEN + 1);
	for (size_t cls = 0; cls < CLASS_COUNT; cls++) {
		for (const char *c = spec->classes[cls].set; *c != '\0' && distinct < len; c++) {
			if (strchr(name, ascii_lower(*c)) == NULL)
				name[distinct++] = ascii_lower(*c);
		}
	}
	for (size_t i = distinct; i < len; i++)
		name[i] = name[i - distinct];
}

/* Whether it can be counted, with a name too: a rule that loads must not fail later for its size.
 */
static bool is_countable(const struct rule_spec *spec)
{
	char name[NAME_LEN + 1] = "";

	if (!spec->user_name)
		name_example(name, spec);
	return table_size(spec, name) <= TABLE_SIZE_MAX;
}

static enum err count_secrets(
    struct table **table, const struct rule_spec *spec, const char *name, struct error *error)
{
	if (table_size(spec, name) > TABLE_SIZE_MAX)
		return too_large(spec, error);
	*table = table_new(spec, name);
	return *table == NULL
		   ? error_set(error, ERR_FULL, "no memory to count the rule's secrets in")
		   : ERR_OK;
}

enum err generator_new(struct generator **out, const struct rule_spec *spec, struct error *error)
{
	struct generator *generator = xcalloc(1, sizeof(*generator));
	enum err err;

	*out = NULL;
	spec_copy(&generator->spec, spec);
	err = spec_check(&generator->spec, error);
	if (err == ERR_OK && !is_countable(&generator->spec))
		err = too_large(&generator->spec, error);
	if (err == ERR_OK)
		err = count_secrets(&generator->any_name, &generator->spec, "", error);
	if (err == ERR_OK && table_is_empty(generator->any_name))
		err = unsatisfiable(&generator->spec, error);
	if (err != ERR_OK) {
		generator_free(generator);
		return err;
	}
	*out = generator; /* transferred */
	return ERR_OK;
}

static void kept_clear(struct kept *kept)
{
	free(kept->name);
	table_free(kept->table);
}

void generator_free(struct generator *generator)
{
	if (generator == NULL)
		return;
	for (size_t i = 0; i < generator->kept_count; i++)
		kept_clear(&generator->kept[i]);
	table_free(generator->any_name);
	free(generator);
}

double generator_bits(const struct generator *generator)
{
	return table_bits(generator->any_name);
}

static bool may_be_used(const struct rule_spec *spec, char lower)
{
	for (size_t cls = 0; cls < CLASS_COUNT; cls++) {
		for (const char *c = spec->classes[cls].set; *c != '\0'; c++) {
			if (ascii_lower(*c) == lower)
				return true;
		}
	}
	return false;
}

/*
 * The name in lower case in `folded`, or "" where it forbids nothing: the rule does not mind it, or
 * no secret can hold it, being too long or having characters that are not drawn.
 */
static void name_fold(
    char folded[RULE_LENGTH_MAX + 1], const struct rule_spec *spec, const char *name)
{
	size_t len = 0;

	if (!spec->user_name && name != NULL) {
		for (; name[len] != '\0'; len++) {
			folded[len] = ascii_lower(name[len]);
			if (len == spec->length || !may_be_used(spec, folded[len])) {
				len = 0;
				break;
			}
		}
	}
	folded[len] = '\0';
}

/* Makes room at the front, dropping those that were not used for longest. */
static void kept_push(struct generator *generator, struct kept new)
{
	while (generator->kept_count > 0 && (generator->kept_count == KEPT_MAX ||
						generator->kept_size + new.size > KEPT_SIZE_MAX)) {
		struct kept *oldest = &generator->kept[--generator->kept_count];

		generator->kept_size -= oldest->size;
		kept_clear(oldest);
	}
	memmove(generator->kept + 1, generator->kept, generator->kept_count * sizeof(new));
	generator->kept[0] = new;
	generator->kept_count++;
	generator->kept_size += new.size;
}

static bool kept_find(struct generator *generator, const char *name)
{
	for (size_t i = 0; i < generator->kept_count; i++) {
		struct kept found = generator->kept[i];

		if (strcmp(found.name, name) != 0)
			continue;
		memmove(generator->kept + 1, generator->kept, i * sizeof(found));
		generator->kept[0] = found;
		return true;
	}
	return false;
}

/* The table for a name as name_fold leaves it; the generator's own, valid until the next draw. */
static enum err table_for(
    struct generator *generator, const char *name, const struct table **table, struct error *error)
{
	struct kept new = {0};
	enum err err;

	if (name[0] == '\0') {
		*table = generator->any_name;
		return ERR_OK;
	}
	if (!kept_find(generator, name)) {
		err = count_secrets(&new.table, &generator->spec, name, error);
		if (err != ERR_OK)
			return err;
		new.name = xstrdup(name);
		new.size = table_size(&generator->spec, name);
		kept_push(generator, new); /* transferred */
	}
	*table = generator->kept[0].table;
	return ERR_OK;
}

enum err generator_draw(
    struct generator *generator, const char *account, struct secret **out, struct error *error)
{
	char name[RULE_LENGTH_MAX + 1], shown[128];
	const struct table *table;
	struct secret *secret;
	enum err err;

	*out = NULL;
	name_fold(name, &generator->spec, account);
	err = table_for(generator, name, &table, error);
	if (err != ERR_OK)
		return err;
	if (table_is_empty(table))
		return error_set(error, ERR_INVALID,
		    "user_name = false: each secret that satisfies the rule holds the account's "
		    "name \"%s\"",
		    text_escape(shown, sizeof(shown), account, strlen(account)));
	secret = secret_new(generator->spec.length);
	if (secret == NULL)
		return error_set(error, ERR_FULL, "no locked memory is free for a new secret");
	err = table_draw(table, secret_bytes(secret), error);
	if (err != ERR_OK) {
		secret_free(secret);
		return err;
	}
	*out = secret; /* transferred */
	return ERR_OK;
}
