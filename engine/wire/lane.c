#define _GNU_SOURCE
#include "wire/lane.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static int name_compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

void lane_clear(struct lane *lane)
{
	tdestroy(lane->names, free);
	lane->names = NULL;
}

void lane_add(struct lane *lane, const char *asset)
{
	if (lane_has(lane, asset))
		return;
	if (tsearch(xstrdup(asset), &lane->names, name_compare) == NULL)
		abort();
}

void lane_drop(struct lane *lane, const char *asset)
{
	char *const *name = tfind(asset, &lane->names, name_compare);
	char *text = name != NULL ? *name : NULL;

	if (text != NULL)
		tdelete(asset, &lane->names, name_compare);
	free(text);
}

bool lane_has(const struct lane *lane, const char *asset)
{
	return tfind(asset, &lane->names, name_compare) != NULL;
}
