/* What the seed says. Each choice is a hash of its own, so that leaving one out moves no other. */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

#define HASH_START 0xcbf29ce484222325
#define HASH_PRIME 0x100000001b3

/* One kind of event in this many is unknown to a history. */
#define KINDS_OFF 4

/* ── Hashing ── */

/* FNV-1a, the NUL included. */
static uint64_t hash_text(uint64_t hash, const char *text)
{
	do
		hash = (hash ^ (uint8_t)*text) * HASH_PRIME;
	while (*text++ != '\0');
	return hash;
}

/* The finalizer of splitmix64. */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

/* How often this was asked before. */
static uint32_t choices_ask(struct choices *choices, uint64_t key)
{
	size_t at = key % CHOICE_SLOTS;

	while (choices->slots[at].asked != 0 && choices->slots[at].key != key)
		at = (at + 1) % CHOICE_SLOTS;
	if (choices->slots[at].asked == 0) {
		if (choices->used_count == CHOICE_SLOTS / 2)
			sim_die("more kinds of choices than a history has room for");
		choices->used[choices->used_count++] = (uint16_t)at;
		choices->slots[at].key = key;
	}
	return choices->slots[at].asked++;
}

static uint64_t hash_asking(const char *what, const char *whose)
{
	return hash_text(hash_text(HASH_START, what), whose);
}

/* What identifies this asking. */
static uint64_t choices_key(struct choices *choices, const char *what, const char *whose)
{
	uint64_t key = hash_asking(what, whose);

	return mix(key + choices_ask(choices, key));
}

uint64_t event_key(const char *name, const char *whose, uint32_t nth)
{
	return mix(hash_asking(name, whose) + nth);
}

void choices_begin(struct choices *choices, uint64_t seed, const uint64_t *only, size_t only_count)
{
	for (size_t i = 0; i < choices->used_count; i++)
		choices->slots[choices->used[i]].asked = 0;
	choices->used_count = 0;
	choices->seed = mix(seed);
	choices->only = only;
	choices->only_count = only_count;
	choices->event_count = 0;
}

void choices_clear(struct choices *choices)
{
	free(choices->events);
	choices->events = NULL;
}

/* ── Choices ── */

uint32_t sim_choose(struct sim *sim, const char *what, const char *whose, uint32_t limit)
{
	struct choices *choices = &sim->choices;

	return (uint32_t)(mix(choices->seed ^ choices_key(choices, what, whose)) % limit);
}

/* ── Events ── */

static bool event_is_asked_for(const struct choices *choices, uint64_t key)
{
	for (size_t i = 0; i < choices->only_count; i++)
		if (choices->only[i] == key)
			return true;
	return false;
}

static void event_add(struct sim *sim, uint64_t key, const char *name, const char *whose)
{
	struct choices *choices = &sim->choices;
	struct event *event;

	if (choices->event_count == choices->event_room) {
		choices->event_room = choices->event_room * 2 + 64;
		choices->events =
		    realloc(choices->events, choices->event_room * sizeof(*choices->events));
		if (choices->events == NULL)
			sim_die("out of memory");
	}
	event = &choices->events[choices->event_count++];
	*event = (struct event){.key = key, .name = name, .at_ms = sim->clock.now_ms};
	snprintf(event->whose, sizeof(event->whose), "%s", whose);
	choices->dice = mix(choices->seed ^ ~key);
	cover_add(sim->cover, COVER_EVENT, name, MOMENT_PASSED);
	sim_trace(sim, "! %s %s", name, whose);
}

/* `chance` of `of` */
static bool event_ask(
    struct sim *sim, const char *name, const char *whose, uint32_t chance, uint32_t of, bool known)
{
	struct choices *choices = &sim->choices;
	uint64_t key;
	bool happens;

	if (sim->calm || sim->dead)
		return false;
	key = choices_key(choices, name, whose);
	if (choices->only != NULL)
		happens = event_is_asked_for(choices, key);
	else
		happens =
		    mix(choices->seed ^ key) % of < chance &&
		    (known || mix(choices->seed + hash_text(HASH_START, name)) % KINDS_OFF != 0);
	if (happens)
		event_add(sim, key, name, whose);
	return happens;
}

bool sim_event(struct sim *sim, const char *name, const char *whose, uint32_t permille)
{
	return event_ask(sim, name, whose, permille, 1000, false);
}

bool sim_rarely(struct sim *sim, const char *name, const char *whose, uint32_t per_million)
{
	return event_ask(sim, name, whose, per_million, 1000000, false);
}

bool sim_event_now(struct sim *sim, const char *name, const char *whose)
{
	return event_ask(sim, name, whose, 1, 1, true);
}

uint32_t sim_amount(struct sim *sim, uint32_t limit)
{
	sim->choices.dice = mix(sim->choices.dice);
	return (uint32_t)(sim->choices.dice % limit);
}
