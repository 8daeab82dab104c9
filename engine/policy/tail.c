#include "policy/tail.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* What is needed only while the tails are being found. */
struct finder {
	struct tails *tails;
	const struct rule_spec *spec;
	uint32_t run_max; /* 0 = no limit */
	const char *name;
	size_t name_len;
	/* By characters matched - 1: the longest shorter match. */
	uint16_t fallback[RULE_LENGTH_MAX];
	uint16_t *found; /* by run, class, matched: the tail + 1, or 0 */
	bool overflow;
};

char ascii_lower(char character)
{
	return character >= 'A' && character <= 'Z' ? (char)(character - 'A' + 'a') : character;
}

/* The step of Knuth, Morris and Pratt. */
static size_t match_after(const struct finder *finder, size_t matched, char character)
{
	char lower = ascii_lower(character);

	while (matched > 0 && finder->name[matched] != lower)
		matched = finder->fallback[matched - 1];
	return finder->name_len > 0 && finder->name[matched] == lower ? matched + 1 : 0;
}

static void find_fallbacks(struct finder *finder)
{
	for (size_t i = 1; i < finder->name_len; i++)
		finder->fallback[i] =
		    (uint16_t)match_after(finder, finder->fallback[i - 1], finder->name[i]);
}

static uint16_t tail_add(struct tails *tails, size_t matched, uint32_t run, char last)
{
	if (tails->count == tails->room) {
		tails->room = tails->room ? tails->room * 2 : 32;
		tails->items = xrealloc(tails->items, tails->room * sizeof(*tails->items));
	}
	tails->items[tails->count] = (struct tail){
	    .matched = (uint16_t)matched, .run = (uint16_t)run, .last = last, .same = TAIL_NONE};
	memset(tails->items[tails->count].next, 0xff, sizeof(tails->items->next));
	return (uint16_t)tails->count++;
}

/*
 * The tail after `character` made `run` of itself; found before, or a new one. The class stands for
 * the character. With some of the name matched, that leaves its two cases at most; with none, those
 * that do not begin the name. To swap two such characters, up to where the name begins, turns what
 * may follow one into what may follow the other.
 */
static uint16_t tail_find(
    struct finder *finder, size_t matched, size_t cls, uint32_t run, char character)
{
	uint16_t *found;

	matched = match_after(finder, matched, character);
	if ((finder->name_len > 0 && matched == finder->name_len) ||
	    (finder->run_max > 0 && run > finder->run_max))
		return TAIL_NONE;
	if (finder->run_max == 0) {
		cls = 0;
		run = 0;
		character = '\0';
	}
	found = &finder->found[(run * CLASS_COUNT + cls) * (finder->name_len + 1) + matched];
	if (*found == 0) {
		if (finder->tails->count == TAILS_MAX) {
			finder->overflow = true;
			return TAIL_NONE;
		}
		*found = (uint16_t)(tail_add(finder->tails, matched, run, character) + 1);
	}
	return (uint16_t)(*found - 1);
}

/* Fills in where `id` leads to. Adding tails moves them: hence no pointer to this one is kept. */
static void find_next(struct finder *finder, size_t id)
{
	struct tail tail = finder->tails->items[id];

	for (size_t cls = 0; cls < CLASS_COUNT; cls++) {
		for (const char *c = finder->spec->classes[cls].set; *c != '\0'; c++) {
			tail.next[(unsigned char)*c] = tail_find(finder, tail.matched, cls, 1, *c);
			if (*c == tail.last)
				tail.same = tail_find(finder, tail.matched, cls, tail.run + 1u, *c);
		}
	}
	finder->tails->items[id] = tail;
}

bool tails_init(struct tails *tails, const struct rule_spec *spec, const char *name)
{
	struct finder finder = {
	    .tails = tails, .spec = spec, .name = name, .name_len = strlen(name)};

	*tails = (struct tails){0};
	if (spec->longest_run < spec->length)
		finder.run_max = spec->longest_run;
	finder.found = xcalloc(
	    (finder.run_max + 1u) * CLASS_COUNT * (finder.name_len + 1), sizeof(*finder.found));
	find_fallbacks(&finder);

	/* Where runs don't matter, nothing written yet is the same as nothing matched. */
	finder.found[0] = (uint16_t)(tail_add(tails, 0, 0, '\0') + 1);
	for (size_t id = 0; id < tails->count; id++)
		find_next(&finder, id);
	free(finder.found);
	return !finder.overflow;
}

void tails_clear(struct tails *tails)
{
	free(tails->items);
	*tails = (struct tails){0};
}

uint16_t tail_after(const struct tail *tail, char last, char character)
{
	if (tail->run > 0 && character == last)
		return tail->same;
	return tail->next[(unsigned char)character];
}
