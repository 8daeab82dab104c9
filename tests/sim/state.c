/*
 * A campaign's state in a file: which seeds are done, and what they came to, so that one is had
 * over as many runs as it takes. It belongs to the program that wrote it: what another would add to
 * its sums was not the same simulation.
 */
#include "history.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAD "campaign of tools/sim"

/* tools/sim says which: a hash of the program. */
static const char *program(void)
{
	const char *name = getenv("SIM_PROGRAM");

	return name != NULL ? name : "unknown";
}

/* ── Reading ── */

static void head_read(const char *path, FILE *in, struct progress *progress)
{
	char name[80];

	if (fscanf(in, HEAD " of program %79s\n", name) != 1)
		sim_die("%s is no campaign's state", path);
	if (strcmp(name, program()) != 0)
		sim_die("%s is of another program (%s, this is %s): what it counted was not this "
			"simulation; name another file, or remove it",
		    path, name, program());
	if (fscanf(in,
		"seeds %" SCNu64 " to %" SCNu64 "\n"
		"%" SCNu64 " histories, %" SCNu64 " steps, %" SCNu64 " crashes, %" SCNu64
		" violations in %lf s, %lf s of CPU\n",
		&progress->first, &progress->next, &progress->cover.histories,
		&progress->cover.steps, &progress->cover.crashes, &progress->cover.violations,
		&progress->took_s, &progress->cpu_s) != 8)
		sim_die("%s cannot be read", path);
	progress->next++;
}

static void rows_read(const char *path, FILE *in, struct cover *cover)
{
	struct cover_row row;
	unsigned group;
	int read;

	while ((read = fscanf(in,
		    "%u %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %55[^\n]\n",
		    &group, &row.count[0], &row.count[1], &row.count[2], &row.count[3],
		    &row.count[4], row.name)) == 7) {
		if (group >= COVER_GROUPS)
			sim_die("%s cannot be read", path);
		row.group = (enum cover_group)group;
		cover_merge_row(cover, &row);
	}
	if (read != EOF)
		sim_die("%s cannot be read", path);
}

void state_load(const char *path, struct progress *progress)
{
	FILE *in = fopen(path, "re");

	if (in == NULL && errno == ENOENT)
		return;
	if (in == NULL)
		sim_die("%s: %s", path, strerror(errno));
	head_read(path, in, progress);
	rows_read(path, in, &progress->cover);
	fclose(in);
}

/* ── Writing ── */

static void state_write(FILE *out, const struct progress *progress)
{
	const struct cover *cover = &progress->cover;

	fprintf(out,
	    HEAD " of program %s\nseeds %" PRIu64 " to %" PRIu64 "\n%" PRIu64 " histories, %" PRIu64
		 " steps, %" PRIu64 " crashes, %" PRIu64 " violations in %.3f s, %.3f s of CPU\n",
	    program(), progress->first, progress->next - 1, cover->histories, cover->steps,
	    cover->crashes, cover->violations, progress->took_s, progress->cpu_s);
	for (size_t i = 0; i < COVER_ROWS; i++) {
		const struct cover_row *row = &cover->rows[i];

		if (row->name[0] == '\0')
			continue;
		fprintf(out, "%u", (unsigned)row->group);
		for (int moment = 0; moment < MOMENTS; moment++)
			fprintf(out, " %" PRIu64, row->count[moment]);
		fprintf(out, " %s\n", row->name);
	}
}

void state_save(const char *path, const struct progress *progress)
{
	char *beside = malloc(strlen(path) + sizeof(".new"));
	bool good;
	FILE *out;

	sprintf(beside, "%s.new", path);
	out = fopen(beside, "we");
	if (out == NULL)
		sim_die("%s: %s", beside, strerror(errno));
	state_write(out, progress);
	good = ferror(out) == 0;
	good = fclose(out) == 0 && good;
	if (!good || rename(beside, path) != 0)
		sim_die("%s cannot be written", path);
	free(beside);
}
