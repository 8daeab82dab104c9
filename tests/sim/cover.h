/* What histories went through, counted by name, and what of it was crashed at. */
#ifndef SIM_COVER_H
#define SIM_COVER_H

#include <stdint.h>
#include <stdio.h>

enum cover_group {
	COVER_SEEN,	  /* what histories went through */
	COVER_EVENT,	  /* events that happened */
	COVER_STATE,	  /* states of accounts and records */
	COVER_TRANSITION, /* of a record's life, each in a commit of its own or with others */
	COVER_COMMIT,	  /* what else a commit is made of */
	COVER_POINT,	  /* named points of the engine's way */
	COVER_GROUPS
};

/* Where a crash may stand to what is covered. */
enum cover_moment {
	MOMENT_PASSED,
	MOMENT_BEFORE, /* of a point: there; of a commit: nothing of it is written */
	MOMENT_TORN,   /* its pages are written, not synced */
	MOMENT_SYNCED, /* they are synced, and what points to them is not written */
	MOMENT_AFTER,  /* it is durable, and nobody was told */
	MOMENTS
};

struct cover_row {
	enum cover_group group;
	char name[56];
	uint64_t count[MOMENTS];
};

/* Rows of one process, in memory that its parent sees. */
#define COVER_ROWS 512
struct cover {
	uint64_t histories, steps, crashes, violations;
	struct cover_row rows[COVER_ROWS];
};

void cover_add(struct cover *, enum cover_group, const char *name, enum cover_moment);
uint64_t cover_of(const struct cover *, enum cover_group, const char *name, enum cover_moment);
void cover_merge(struct cover *into, const struct cover *from);
void cover_merge_row(struct cover *, const struct cover_row *);
void cover_print(const struct cover *, FILE *);
/* Which transitions and commits were crashed at fewer times than this, of a moment. */
void cover_print_few(const struct cover *, uint64_t times, FILE *);

#endif
