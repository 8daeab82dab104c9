#include "policy/count.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "policy/natural.h"
#include "policy/tail.h"

/* No alphabet of printable ASCII has more than 2^7 characters. */
#define CHARACTER_BITS 7
#define LIMBS_MAX      (RULE_LENGTH_MAX * CHARACTER_BITS / 32 + 1)

/* How many of a class were used, as far as that matters: one digit of the number that all of them
 * make. */
struct quota {
	uint64_t stride;
	uint32_t top;  /* the highest value of the digit */
	uint32_t need; /* the lowest that satisfies the rule */
	bool capped;   /* no more may be used at `top`; else `top` means that many or more */
};

struct quotas {
	struct quota classes[CLASS_COUNT];
	uint64_t count;
};

/* From a tail, `times` characters of a class lead to one and the same tail. */
struct hop {
	uint16_t to;
	uint16_t times;
};

struct hops {
	struct hop *items;
	size_t *first; /* by tail * CLASS_COUNT + class; one more at the end */
};

/*
 * layers[r] has, for each state (quota * tails + tail), the ways to go on to an allowed secret with
 * r more characters: numbers of limbs_for(r) limbs. The last layer would have one state in use, the
 * start, and is `total`.
 */
struct table {
	const struct rule_spec *spec;
	struct tails tails;
	struct quotas quotas;
	uint32_t *limbs;
	uint32_t *layers[RULE_LENGTH_MAX];
	uint32_t total[LIMBS_MAX];
};

static size_t limbs_for(size_t characters)
{
	return characters * CHARACTER_BITS / 32 + 1;
}

static void quotas_init(struct quotas *quotas, const struct rule_spec *spec)
{
	uint32_t owed = 0;

	for (size_t cls = 0; cls < CLASS_COUNT; cls++)
		owed += spec->classes[cls].min;
	quotas->count = 1;
	for (size_t cls = 0; cls < CLASS_COUNT; cls++) {
		const struct class_spec *limits = &spec->classes[cls];
		struct quota *quota = &quotas->classes[cls];
		/* What the other classes owe bounds this one as well as its own max does. */
		uint32_t most = spec->length - (owed - limits->min);

		quota->need = limits->min;
		quota->capped = limits->set[0] != '\0' && limits->max < most;
		quota->top = quota->capped ? limits->max : limits->min;
		quota->stride = quotas->count;
		quotas->count *= quota->top + 1u;
	}
}

/* Counts one more of the class. False where that would be too many. */
static bool quotas_use(const struct quotas *quotas, size_t *used, size_t cls)
{
	const struct quota *quota = &quotas->classes[cls];

	if (*used / quota->stride % (quota->top + 1u) < quota->top)
		*used += quota->stride;
	else if (quota->capped)
		return false;
	return true;
}

static bool quotas_met(const struct quotas *quotas, size_t used)
{
	for (size_t cls = 0; cls < CLASS_COUNT; cls++) {
		const struct quota *quota = &quotas->classes[cls];

		if (used / quota->stride % (quota->top + 1u) < quota->need)
			return false;
	}
	return true;
}

static bool edge_allows(enum edge edge, size_t cls)
{
	static const unsigned int classes[] = {
	    [EDGE_ANY] =
		1u << CLASS_LOWER | 1u << CLASS_UPPER | 1u << CLASS_DIGIT | 1u << CLASS_SYMBOL,
	    [EDGE_LETTER] = 1u << CLASS_LOWER | 1u << CLASS_UPPER,
	    [EDGE_LOWER] = 1u << CLASS_LOWER,
	    [EDGE_UPPER] = 1u << CLASS_UPPER,
	    [EDGE_DIGIT] = 1u << CLASS_DIGIT,
	    [EDGE_ALNUM] = 1u << CLASS_LOWER | 1u << CLASS_UPPER | 1u << CLASS_DIGIT,
	    [EDGE_SYMBOL] = 1u << CLASS_SYMBOL,
	};

	return (classes[edge] >> cls & 1u) != 0;
}

/* Whether the next of `left` characters may be of the class; counts it in `*used` if so. */
static bool class_may_follow(const struct table *table, size_t left, size_t *used, size_t cls)
{
	const struct rule_spec *spec = table->spec;

	return (left < spec->length || edge_allows(spec->first, cls)) &&
	       (left > 1 || edge_allows(spec->last, cls)) && quotas_use(&table->quotas, used, cls);
}

static const uint32_t *count_at(const struct table *table, size_t left, size_t used, size_t tail)
{
	return table->layers[left] + (used * table->tails.count + tail) * limbs_for(left);
}

/* Appends the hops from a tail by a class: its characters, gathered by where they lead. */
static size_t hops_add(struct hop *hops, const struct tail *tail, const char *set)
{
	size_t count = 0;

	for (const char *c = set; *c != '\0'; c++) {
		uint16_t to = tail_after(tail, tail->last, *c);
		size_t i = 0;

		if (to == TAIL_NONE)
			continue;
		while (i < count && hops[i].to != to)
			i++;
		if (i == count)
			hops[count++] = (struct hop){.to = to};
		hops[i].times++;
	}
	return count;
}

static void hops_init(struct hops *hops, const struct tails *tails, const struct rule_spec *spec)
{
	size_t room = 0, count = 0, list = 0;

	for (size_t cls = 0; cls < CLASS_COUNT; cls++)
		room += strlen(spec->classes[cls].set);
	hops->items = xcalloc(tails->count * room, sizeof(*hops->items));
	hops->first = xcalloc(tails->count * CLASS_COUNT + 1, sizeof(*hops->first));
	for (size_t tail = 0; tail < tails->count; tail++) {
		for (size_t cls = 0; cls < CLASS_COUNT; cls++) {
			hops->first[list++] = count;
			count += hops_add(
			    hops->items + count, &tails->items[tail], spec->classes[cls].set);
		}
	}
	hops->first[list] = count;
}

static void hops_clear(struct hops *hops)
{
	free(hops->items);
	free(hops->first);
}

/* Sums what every allowed next character leads to, for all tails at once, into `counts`. */
static void count_from(const struct table *table, const struct hops *hops, size_t left, size_t used,
    size_t tails, uint32_t *counts)
{
	size_t limbs = limbs_for(left), limbs_below = limbs_for(left - 1);

	for (size_t cls = 0; cls < CLASS_COUNT; cls++) {
		size_t used_then = used;

		if (!class_may_follow(table, left, &used_then, cls))
			continue;
		for (size_t tail = 0; tail < tails; tail++) {
			const size_t *first = &hops->first[tail * CLASS_COUNT + cls];

			for (size_t i = first[0]; i < first[1]; i++)
				natural_add_product(counts + tail * limbs, limbs,
				    count_at(table, left - 1, used_then, hops->items[i].to),
				    limbs_below, hops->items[i].times);
		}
	}
}

static void count_all(struct table *table)
{
	size_t tails = table->tails.count, length = table->spec->length;
	struct hops hops;

	for (size_t used = 0; used < table->quotas.count; used++) {
		for (size_t tail = 0; tail < tails; tail++)
			table->layers[0][used * tails + tail] = quotas_met(&table->quotas, used);
	}
	hops_init(&hops, &table->tails, table->spec);
	for (size_t left = 1; left < length; left++) {
		for (size_t used = 0; used < table->quotas.count; used++)
			count_from(table, &hops, left, used, tails,
			    table->layers[left] + used * tails * limbs_for(left));
	}
	count_from(table, &hops, length, 0, TAIL_START + 1, table->total);
	hops_clear(&hops);
}

/* The limbs of all layers. Does not overflow: at most 257^4 quotas, 2^12 tails and 2^13 limbs for a
 * state. */
static uint64_t limbs_of_layers(
    const struct rule_spec *spec, const struct quotas *quotas, const struct tails *tails)
{
	uint64_t limbs = 0;

	for (size_t left = 0; left < spec->length; left++)
		limbs += limbs_for(left);
	return limbs * quotas->count * tails->count;
}

uint64_t table_size(const struct rule_spec *spec, const char *name)
{
	uint64_t size = UINT64_MAX;
	struct quotas quotas;
	struct tails tails;

	quotas_init(&quotas, spec);
	if (tails_init(&tails, spec, name))
		size = limbs_of_layers(spec, &quotas, &tails) * sizeof(uint32_t);
	tails_clear(&tails);
	return size;
}

struct table *table_new(const struct rule_spec *spec, const char *name)
{
	struct table *table = xcalloc(1, sizeof(*table));
	uint32_t *layer;

	table->spec = spec;
	quotas_init(&table->quotas, spec);
	if (tails_init(&table->tails, spec, name))
		table->limbs = calloc(
		    limbs_of_layers(spec, &table->quotas, &table->tails), sizeof(*table->limbs));
	if (table->limbs == NULL) {
		table_free(table);
		return NULL;
	}
	layer = table->limbs;
	for (size_t left = 0; left < spec->length; left++) {
		table->layers[left] = layer;
		layer += table->quotas.count * table->tails.count * limbs_for(left);
	}
	count_all(table);
	return table;
}

void table_free(struct table *table)
{
	if (table == NULL)
		return;
	tails_clear(&table->tails);
	free(table->limbs);
	free(table);
}

bool table_is_empty(const struct table *table)
{
	return natural_is_zero(table->total, LIMBS_MAX);
}

double table_bits(const struct table *table)
{
	return natural_log2(table->total, LIMBS_MAX);
}

/* Where a secret being written stands. */
struct place {
	size_t left, used, tail;
	char last;
};

/*
 * Writes the next character of the secret that stands at `index` among all that may follow, in the
 * order of classes and their characters, and lessens the index to that among what may follow then.
 */
static char place_step(struct place *place, const struct table *table, uint32_t *index)
{
	const struct tail *tail = &table->tails.items[place->tail];
	size_t limbs = limbs_for(place->left), limbs_below = limbs_for(place->left - 1);

	for (size_t cls = 0; cls < CLASS_COUNT; cls++) {
		size_t used = place->used;

		if (!class_may_follow(table, place->left, &used, cls))
			continue;
		for (const char *c = table->spec->classes[cls].set; *c != '\0'; c++) {
			uint16_t next = tail_after(tail, place->last, *c);

			if (next == TAIL_NONE)
				continue;
			if (natural_take(index, limbs, count_at(table, place->left - 1, used, next),
				limbs_below))
				continue;
			*place = (struct place){place->left - 1, used, next, *c};
			return *c;
		}
	}
	abort(); /* the index was below the count of what may follow */
}

enum err table_draw(const struct table *table, char *out, struct error *error)
{
	struct place place = {.left = table->spec->length, .tail = TAIL_START};
	uint32_t *index = mem_alloc(LIMBS_MAX * sizeof(*index));
	enum err err = ERR_OK;

	if (index == NULL)
		return error_set(error, ERR_FULL, "no memory to draw a secret in");
	if (natural_draw_below(index, table->total, LIMBS_MAX)) {
		while (place.left > 0)
			*out++ = place_step(&place, table, index);
	} else {
		err = error_set(error, ERR_IO,
		    "the source of randomness is broken: 256 numbers in "
		    "a row were too large");
	}
	mem_free(index);
	return err;
}
