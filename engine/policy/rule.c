#include "policy/rule.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "policy/phrase.h"

#define LENGTH_DEFAULT 24
#define AMBIGUOUS      "0OoIl1|"
#define GENERATORS_MAX 100 /* each has tables of its own */
#define NAMED_MAX      1024

struct class_draft {
	uint32_t min, max;
	const char *set;
};

struct rule_draft {
	uint32_t length;
	struct class_draft classes[CLASS_COUNT];
	int first, last;
	uint32_t longest_run;
	bool ambiguous, user_name;
	const char *exclude;
};

static const struct {
	const char *name;
	struct class_draft usual;
} classes[CLASS_COUNT] = {
    [CLASS_LOWER] = {"lower", {1, RULE_UNLIMITED, "abcdefghijklmnopqrstuvwxyz"}},
    [CLASS_UPPER] = {"upper", {1, RULE_UNLIMITED, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}},
    [CLASS_DIGIT] = {"digit", {1, RULE_UNLIMITED, "0123456789"}},
    /* These pass through nearly every asset's shell, file and dialogue unharmed. */
    [CLASS_SYMBOL] = {"symbol", {0, RULE_UNLIMITED, "-_.+="}},
};

static void draft_init(struct rule_draft *draft)
{
	*draft = (struct rule_draft){
	    .length = LENGTH_DEFAULT, .ambiguous = true, .user_name = true, .exclude = ""};
	for (size_t i = 0; i < CLASS_COUNT; i++)
		draft->classes[i] = classes[i].usual;
}

/* ── Classes ─────────────────────────────────────────────────────────────────────────────── */

static bool class_has(enum char_class class, char c)
{
	switch (class) {
	case CLASS_LOWER: return c >= 'a' && c <= 'z';
	case CLASS_UPPER: return c >= 'A' && c <= 'Z';
	case CLASS_DIGIT: return c >= '0' && c <= '9';
	default: return c >= ' ' && c <= '~' && !isalnum((unsigned char)c);
	}
}

static enum char_class class_of(const char *name)
{
	enum char_class class = CLASS_LOWER;

	while (strcmp(classes[class].name, name) != 0)
		class ++;
	return class;
}

static void set_read(struct reader *reader, const struct field_path *path, void *out)
{
	static const char *const expected[] = {[CLASS_LOWER] = "a text of lower-case letters",
	    [CLASS_UPPER] = "a text of upper-case letters",
	    [CLASS_DIGIT] = "a text of digits",
	    [CLASS_SYMBOL] = "a text of printable ASCII characters other than letters and digits"};
	struct class_draft *draft = out;
	enum char_class class = class_of(path->up->name);
	const char *set = field_text(reader, path, expected[class]);

	for (const char *at = set; at && *at; at++) {
		if (!class_has(class, *at)) {
			field_wrong(reader, path, expected[class]);
			return;
		}
		if (strchr(at + 1, *at)) {
			field_fault(reader, path, "has a character twice");
			return;
		}
	}
	if (set)
		draft->set = set;
}

#define CLASS_AT(member) offsetof(struct class_draft, member)

static const struct field class_fields[] = {
    {.name = "min", .type = FIELD_COUNT, .offset = CLASS_AT(min), .min = 0, .max = RULE_LENGTH_MAX},
    {.name = "max", .type = FIELD_COUNT, .offset = CLASS_AT(max), .min = 0, .max = RULE_LENGTH_MAX},
    {.name = "set", .type = FIELD_OWN, .read = set_read},
    {0},
};

static void class_table(
    struct reader *reader, const struct field_path *path, struct class_draft *draft)
{
	draft->min = 0;
	schema_read(reader, class_fields, lua_gettop(reader->lua), path, draft);
	if (draft->min > draft->max)
		statement_problem(reader->errors, reader->statement, path, NULL,
		    "field \"%s\" asks for at least %u and at most %u", path->name, draft->min,
		    draft->max);
}

/* `lower = 2`, `lower = false`, `lower = { min = 2, max = 6, set = "abc" }`. */
static void class_read(struct reader *reader, const struct field_path *path, void *out)
{
	struct rule_draft *rule = out;
	struct class_draft *draft = &rule->classes[class_of(path->name)];
	int whole;
	lua_Integer min = lua_tointegerx(reader->lua, -1, &whole);

	if (lua_type(reader->lua, -1) == LUA_TTABLE) {
		class_table(reader, path, draft);
	} else if (lua_type(reader->lua, -1) == LUA_TBOOLEAN && !lua_toboolean(reader->lua, -1)) {
		draft->min = draft->max = 0;
	} else if (lua_type(reader->lua, -1) == LUA_TNUMBER && whole && min >= 0 &&
		   min <= RULE_LENGTH_MAX) {
		draft->min = (uint32_t)min;
	} else {
		field_wrong(reader, path,
		    "how many at least (0 to 256), false for none, or { min =, max =, set = }");
	}
}

/* ── Fields ──────────────────────────────────────────────────────────────────────────────── */

static const char *const edge_words[] = {[EDGE_ANY] = "any",
    [EDGE_LETTER] = "letter",
    [EDGE_LOWER] = "lower",
    [EDGE_UPPER] = "upper",
    [EDGE_DIGIT] = "digit",
    [EDGE_ALNUM] = "alnum",
    [EDGE_SYMBOL] = "symbol",
    NULL};

static void phrase_field(struct reader *reader, const struct field_path *path, void *out)
{
	(void)reader;
	(void)path;
	(void)out;
}

#define AT(member) offsetof(struct rule_draft, member)

static const struct field rule_fields[] = {
    {.name = "length", .type = FIELD_COUNT, .offset = AT(length), .min = 1, .max = RULE_LENGTH_MAX},
    {.name = "lower", .type = FIELD_OWN, .read = class_read},
    {.name = "upper", .type = FIELD_OWN, .read = class_read},
    {.name = "digit", .type = FIELD_OWN, .read = class_read},
    {.name = "symbol", .type = FIELD_OWN, .read = class_read},
    {.name = "first", .type = FIELD_CHOICE, .offset = AT(first), .words = edge_words},
    {.name = "last", .type = FIELD_CHOICE, .offset = AT(last), .words = edge_words},
    {.name = "longest_run",
	.type = FIELD_COUNT,
	.offset = AT(longest_run),
	.min = 1,
	.max = RULE_LENGTH_MAX},
    {.name = "ambiguous", .type = FIELD_FLAG, .offset = AT(ambiguous)},
    {.name = "user_name", .type = FIELD_FLAG, .offset = AT(user_name)},
    {.name = "exclude", .type = FIELD_TEXT, .offset = AT(exclude)},
    /* Of passphrases; phrase_refuse speaks of them. */
    {.name = "words", .type = FIELD_OWN, .read = phrase_field},
    {.name = "list", .type = FIELD_OWN, .read = phrase_field},
    {.name = "join", .type = FIELD_OWN, .read = phrase_field},
    {.name = "capital", .type = FIELD_OWN, .read = phrase_field},
    {0},
};

/* ── Making ──────────────────────────────────────────────────────────────────────────────── */

static void spec_class(
    const struct rule_draft *draft, const struct class_draft *from, struct class_spec *to)
{
	size_t count = 0;

	to->min = from->min;
	to->max = from->max;
	for (const char *at = from->set; *at; at++)
		if (!strchr(draft->exclude, *at) && (draft->ambiguous || !strchr(AMBIGUOUS, *at)))
			to->set[count++] = *at;
	to->set[count] = '\0';
}

static void spec_fill(const struct rule_draft *draft, struct rule_spec *spec)
{
	*spec = (struct rule_spec){
	    .length = draft->length,
	    .first = (enum edge)draft->first,
	    .last = (enum edge)draft->last,
	    .longest_run = draft->longest_run,
	    .user_name = draft->user_name,
	};
	for (size_t i = 0; i < CLASS_COUNT; i++)
		spec_class(draft, &draft->classes[i], &spec->classes[i]);
}

/* Tasks often say the same in place: rules with equal specs have one generator. */
static bool rule_share(struct loader *loader, struct rule *rule)
{
	const struct rule *other;

	STAILQ_FOREACH (other, &loader->policy->rules, link) {
		if (other->phrase || !other->generator ||
		    memcmp(&other->spec, &rule->spec, sizeof(rule->spec)) != 0)
			continue;
		rule->generator = other->generator;
		rule->shares = true;
		return true;
	}
	return false;
}

static void rule_make(struct loader *loader, const struct statement *statement,
    const struct rule_draft *draft, struct rule *rule)
{
	struct error error;

	spec_fill(draft, &rule->spec);
	if (rule_share(loader, rule))
		return;
	if (loader->generator_count++ == GENERATORS_MAX) {
		statement_problem(loader->errors, statement, NULL, NULL,
		    "a policy has at most %d rules that differ", GENERATORS_MAX);
		return;
	}
	switch (generator_new(&rule->generator, &rule->spec, &error)) {
	case ERR_OK: return;
	case ERR_INVALID:
		statement_problem_why(
		    loader->errors, statement, error.text, "no string can satisfy it");
		return;
	default:
		statement_problem_why(
		    loader->errors, statement, error.text, "its strings cannot be counted");
		return;
	}
}

static struct rule *rule_new(struct loader *loader, const char *name)
{
	struct rule *rule = arena_alloc(&loader->policy->arena, sizeof(*rule));

	rule->name = name;
	STAILQ_INSERT_TAIL(&loader->policy->rules, rule, link);
	return rule;
}

/* Reads a rule's table; one with mistakes has no generator. */
static struct rule *rule_table(struct loader *loader, const struct statement *statement, int index)
{
	struct reader reader = {
	    loader->policy->lua, &loader->policy->arena, loader->errors, statement};
	size_t before = loader->errors->count + loader->errors->more;
	struct rule *rule = rule_new(loader, statement->name);
	struct rule_draft draft;

	if (phrase_wanted(reader.lua, index)) {
		rule->phrase = phrase_read(loader, statement, index);
		return rule;
	}
	draft_init(&draft);
	schema_read(&reader, rule_fields, index, NULL, &draft);
	phrase_refuse(loader, statement, index);
	if (loader->errors->count + loader->errors->more == before)
		rule_make(loader, statement, &draft, rule);
	return rule;
}

struct rule *rule_default(struct loader *loader, const struct statement *statement)
{
	struct rule *rule = rule_new(loader, NULL);
	struct rule_draft draft;

	draft_init(&draft);
	rule_make(loader, statement, &draft, rule);
	return rule;
}

void rule_read(struct loader *loader, const struct statement *statement, int index)
{
	struct rule_decl *decl = arena_alloc(&loader->policy->arena, sizeof(*decl));

	decl->statement = statement;
	decl->rule = rule_table(loader, statement, index);
	STAILQ_INSERT_TAIL(&loader->rules, decl, link);
}

void random_read(struct loader *loader, const struct statement *statement, int index)
{
	lua_State *lua = loader->policy->lua;
	struct secret_use *use;
	size_t len;
	const char *name;

	if (lua_type(lua, index) == LUA_TSTRING) {
		use = arena_alloc(&loader->policy->arena, sizeof(*use));
		name = lua_tolstring(lua, index, &len);
		use->rule_name = arena_text(&loader->policy->arena, name, len);
		lua_pushlightuserdata(lua, use);
	} else if (lua_type(lua, index) == LUA_TTABLE) {
		use = arena_alloc(&loader->policy->arena, sizeof(*use));
		use->rule = rule_table(loader, statement, index);
		lua_pushlightuserdata(lua, use);
	} else {
		statement_problem(loader->errors, statement, NULL, NULL,
		    "needs a rule: random \"name\" or random { … }");
		push_refused(lua);
	}
}

/* ── Looking up ──────────────────────────────────────────────────────────────────────────── */

struct rule *rule_find(struct loader *loader, const char *name)
{
	const struct rule_decl *decl;

	STAILQ_FOREACH (decl, &loader->rules, link)
		if (strcmp(decl->rule->name, name) == 0)
			return decl->rule;
	return NULL;
}

const char *rule_nearest(struct loader *loader, const char *name)
{
	const char *names[NAMED_MAX];
	const struct rule_decl *decl;
	size_t count = 0;

	STAILQ_FOREACH (decl, &loader->rules, link)
		if (count < NAMED_MAX)
			names[count++] = decl->rule->name;
	return text_nearest(name, names, count);
}

void rules_check(struct loader *loader)
{
	const struct rule_decl *decl, *first;

	STAILQ_FOREACH (decl, &loader->rules, link) {
		first = STAILQ_FIRST(&loader->rules);
		while (strcmp(first->rule->name, decl->rule->name) != 0)
			first = STAILQ_NEXT(first, link);
		if (first != decl)
			statement_problem(loader->errors, decl->statement, NULL, NULL,
			    "is declared in %s:%zu already", first->statement->file,
			    first->statement->line);
	}
}

/* A class can occur when it may, and the others leave it room. */
static bool class_occurs(const struct rule_spec *spec, enum char_class class)
{
	uint32_t owed = 0;

	for (size_t i = 0; i < CLASS_COUNT; i++)
		owed += spec->classes[i].min;
	return spec->classes[class].max > 0 &&
	       (spec->classes[class].min > 0 || owed < spec->length);
}

char rule_may_hold(const struct rule *rule, const char *refuse)
{
	if (rule->phrase)
		return phrase_may_hold(rule->phrase, refuse);
	for (size_t i = 0; i < CLASS_COUNT; i++) {
		size_t at = strcspn(rule->spec.classes[i].set, refuse);

		if (rule->spec.classes[i].set[at] && class_occurs(&rule->spec, (enum char_class)i))
			return rule->spec.classes[i].set[at];
	}
	return '\0';
}

void rule_title(const struct rule *rule, char *out, size_t size)
{
	if (rule->name)
		snprintf(out, size, "rule \"%s\"", rule->name);
	else
		snprintf(out, size, "its rule");
}

/* ── The door ────────────────────────────────────────────────────────────────────────────── */

enum err rule_generate(
    const struct rule *rule, const char *account, struct secret **out, struct error *error)
{
	return rule->phrase ? phrase_draw(rule->phrase, out, error)
			    : generator_draw(rule->generator, account, out, error);
}

double rule_entropy_bits(const struct rule *rule)
{
	return rule->phrase ? phrase_bits(rule->phrase) : generator_bits(rule->generator);
}

size_t rule_longest(const struct rule *rule)
{
	return rule->phrase ? phrase_longest(rule->phrase) : rule->spec.length;
}

size_t rule_shortest(const struct rule *rule)
{
	return rule->phrase ? phrase_shortest(rule->phrase) : rule->spec.length;
}

void rule_describe(const struct rule *rule, char *out, size_t size)
{
	/* Rounded down: never more than there is. */
	unsigned bits = (unsigned)rule_entropy_bits(rule);

	if (rule->phrase)
		snprintf(
		    out, size, "passphrase %u words, %u bits", phrase_words(rule->phrase), bits);
	else
		snprintf(out, size, "random %u characters, %u bits", rule->spec.length, bits);
}
