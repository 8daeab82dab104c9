/*
 * A failing history with the fewest events: they are switched off by halves, then ever fewer at
 * once, as long as the same violation remains (delta debugging).
 */
#include "history.h"

#include <stdlib.h>
#include <string.h>

/* Numbers are of the events that happened by the seed alone: they mean the same in every replay. */
struct shrink {
	struct beginning beginning;
	const struct ending *whole;
	const char *violation; /* that is to remain */
	size_t *left;	       /* numbers from 0 */
	size_t count;
	struct cover *cover; /* of no interest */
	uint32_t tried;
};

#define TRIES_MAX 2000

static void ending_of(
    struct shrink *shrink, const size_t *numbers, size_t count, bool trace, struct ending *ending)
{
	uint64_t *only = calloc(count + 1, sizeof(*only));
	struct beginning beginning = shrink->beginning;

	for (size_t i = 0; i < count; i++)
		only[i] = shrink->whole->events[numbers[i]].key;
	beginning.only = only;
	beginning.only_count = count;
	beginning.trace = trace;
	history(&beginning, shrink->cover, ending);
	free(only);
}

static bool fails_with(struct shrink *shrink, const size_t *numbers, size_t count)
{
	struct ending ending;
	bool same;

	shrink->tried++;
	ending_of(shrink, numbers, count, false, &ending);
	same = ending.violation != NULL && strcmp(ending.violation, shrink->violation) == 0;
	ending_clear(&ending);
	return same;
}

/* Without `size` of them from `at` on; true when that still fails. */
static bool shrink_without(struct shrink *shrink, size_t at, size_t size)
{
	size_t *numbers = calloc(shrink->count + 1, sizeof(*numbers));
	size_t count = 0;
	bool fails;

	for (size_t i = 0; i < shrink->count; i++)
		if (i < at || i >= at + size)
			numbers[count++] = shrink->left[i];
	fails = fails_with(shrink, numbers, count);
	if (fails) {
		memcpy(shrink->left, numbers, count * sizeof(*numbers));
		shrink->count = count;
	}
	free(numbers);
	return fails;
}

static void shrink_run(struct shrink *shrink)
{
	for (size_t size = shrink->count; size > 0; size = size > 1 ? (size + 1) / 2 : 0) {
		bool fewer;

		do {
			fewer = false;
			for (size_t at = 0; at < shrink->count && shrink->tried < TRIES_MAX;)
				if (shrink_without(shrink, at, size))
					fewer = true;
				else
					at += size;
		} while (fewer && size == 1 && shrink->tried < TRIES_MAX);
	}
}

static void shrink_tell(const struct shrink *shrink)
{
	const struct beginning *beginning = &shrink->beginning;

	printf("\nseed %llu: %s\n  replay: tools/sim --seed %llu",
	    (unsigned long long)beginning->seed, shrink->violation,
	    (unsigned long long)beginning->seed);
	if (beginning->task != NULL)
		printf(" --task %s", beginning->task);
	if (beginning->crash_in != 0)
		printf(" --crash-in %u", beginning->crash_in);
	if (sim_bug != BUG_NONE)
		printf(" --bug %d", (int)sim_bug);
	printf(" --only ");
	for (size_t i = 0; i < shrink->count; i++)
		printf("%s%zu", i > 0 ? "," : "", shrink->left[i] + 1);
	printf("%s --trace\n  %zu of %zu events are left:\n", shrink->count == 0 ? "0" : "",
	    shrink->count, shrink->whole->event_count);
	for (size_t i = 0; i < shrink->count; i++) {
		const struct event *event = &shrink->whole->events[shrink->left[i]];

		printf("  %4zu  %s %s\n", shrink->left[i] + 1, event->name, event->whose);
	}
}

void shrink_print(const struct beginning *beginning, const struct ending *whole)
{
	struct shrink shrink = {
	    .beginning = *beginning,
	    .whole = whole,
	    .violation = whole->violation,
	    .left = calloc(whole->event_count + 1, sizeof(size_t)),
	    .count = whole->event_count,
	    .cover = calloc(1, sizeof(struct cover)),
	};
	struct ending ending;

	for (size_t i = 0; i < shrink.count; i++)
		shrink.left[i] = i;
	shrink_run(&shrink);
	shrink_tell(&shrink);
	ending_of(&shrink, shrink.left, shrink.count, true, &ending);
	fflush(stdout);
	ending_clear(&ending);
	free(shrink.left);
	free(shrink.cover);
}

bool histories(struct beginning *beginning, uint64_t count, struct cover *cover)
{
	bool good = true;

	for (; count > 0; count--, beginning->seed++) {
		struct ending ending;

		history(beginning, cover, &ending);
		if (ending.violation != NULL)
			shrink_print(beginning, &ending);
		good = good && ending.violation == NULL;
		ending_clear(&ending);
	}
	return good;
}
