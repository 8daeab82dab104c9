/* What histories went through, counted by name. */
#include "sim.h"

#include <string.h>

static uint32_t name_hash(enum cover_group group, const char *name)
{
	uint32_t hash = 2166136261u ^ (uint32_t)group;

	for (; *name != '\0'; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u;
	return hash;
}

/* Its row, or the free one where it would be. */
static size_t row_of(const struct cover *cover, enum cover_group group, const char *name)
{
	size_t at = name_hash(group, name) % COVER_ROWS;

	for (size_t tried = 0; tried < COVER_ROWS; tried++, at = (at + 1) % COVER_ROWS) {
		const struct cover_row *row = &cover->rows[at];

		if (row->name[0] == '\0' || (row->group == group && strcmp(row->name, name) == 0))
			return at;
	}
	sim_die("more is covered than there are rows for");
}

static struct cover_row *row_take(struct cover *cover, enum cover_group group, const char *name)
{
	struct cover_row *row = &cover->rows[row_of(cover, group, name)];

	row->group = group;
	snprintf(row->name, sizeof(row->name), "%s", name);
	return row;
}

void cover_add(
    struct cover *cover, enum cover_group group, const char *name, enum cover_moment moment)
{
	struct cover_row *row = &cover->rows[row_of(cover, group, name)];

	if (row->name[0] == '\0')
		row = row_take(cover, group, name);
	row->count[moment]++;
}

uint64_t cover_of(
    const struct cover *cover, enum cover_group group, const char *name, enum cover_moment moment)
{
	return cover->rows[row_of(cover, group, name)].count[moment];
}

void cover_merge_row(struct cover *cover, const struct cover_row *row)
{
	struct cover_row *to = row_take(cover, row->group, row->name);

	for (int moment = 0; moment < MOMENTS; moment++)
		to->count[moment] += row->count[moment];
}

void cover_merge(struct cover *into, const struct cover *from)
{
	into->histories += from->histories;
	into->steps += from->steps;
	into->crashes += from->crashes;
	into->violations += from->violations;
	for (size_t i = 0; i < COVER_ROWS; i++)
		if (from->rows[i].name[0] != '\0')
			cover_merge_row(into, &from->rows[i]);
}

/* ── Printing ── */

static const char *const titles[COVER_GROUPS] = {
    [COVER_SEEN] = "Seen",
    [COVER_EVENT] = "Events",
    [COVER_STATE] = "States",
    [COVER_TRANSITION] = "A record's life",
    [COVER_COMMIT] = "Commits",
    [COVER_POINT] = "Points",
};

static bool is_before(const struct cover_row *row, const struct cover_row *other)
{
	return other == NULL || strcmp(row->name, other->name) < 0;
}

/* The first row of a group after this name. */
static const struct cover_row *row_next(
    const struct cover *cover, enum cover_group group, const char *after)
{
	const struct cover_row *next = NULL;

	for (size_t i = 0; i < COVER_ROWS; i++) {
		const struct cover_row *row = &cover->rows[i];

		if (row->group == group && row->name[0] != '\0' && strcmp(row->name, after) > 0 &&
		    is_before(row, next))
			next = row;
	}
	return next;
}

static void head_print(enum cover_group group, FILE *out)
{
	fprintf(out, "\n%-44s %10s", titles[group], "times");
	if (group == COVER_TRANSITION || group == COVER_COMMIT)
		fprintf(out, "  crashed %8s %8s %8s %8s", "before", "torn", "synced", "after");
	else if (group == COVER_POINT)
		fprintf(out, "  crashed %8s", "there");
	fprintf(out, "\n");
}

static void row_print(const struct cover_row *row, FILE *out)
{
	int last = row->group == COVER_POINT ? MOMENT_BEFORE : MOMENT_AFTER;

	fprintf(out, "  %-42s %10llu", row->name, (unsigned long long)row->count[MOMENT_PASSED]);
	if (row->group >= COVER_TRANSITION) {
		fprintf(out, "         ");
		for (int moment = MOMENT_BEFORE; moment <= last; moment++)
			fprintf(out, " %8llu", (unsigned long long)row->count[moment]);
	}
	fprintf(out, "\n");
}

void cover_print(const struct cover *cover, FILE *out)
{
	for (enum cover_group group = 0; group < COVER_GROUPS; group++) {
		const struct cover_row *row = row_next(cover, group, "");

		if (row != NULL)
			head_print(group, out);
		for (; row != NULL; row = row_next(cover, group, row->name))
			row_print(row, out);
	}
}

static bool is_few(const struct cover_row *row, uint64_t times)
{
	for (int moment = MOMENT_BEFORE; moment < MOMENTS; moment++)
		if (row->count[moment] < times)
			return true;
	return false;
}

void cover_print_few(const struct cover *cover, uint64_t times, FILE *out)
{
	size_t few = 0, all = 0;

	for (enum cover_group group = COVER_TRANSITION; group <= COVER_COMMIT; group++) {
		const struct cover_row *row = row_next(cover, group, "");

		for (; row != NULL; row = row_next(cover, group, row->name)) {
			all++;
			if (!is_few(row, times))
				continue;
			fprintf(out, few++ == 0 ? "\nCrashed at less often:" : ",");
			fprintf(out, " %s", row->name);
		}
	}
	fprintf(out,
	    "\n%zu of %zu transitions and commits were crashed at %llu times or more, "
	    "before, torn, synced and after\n",
	    all - few, all, (unsigned long long)times);
}
