/* What a rehearsal says: each account's record as it would be, and what to do about it before. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "service/advice.h"
#include "base/format.h"
#include "cli/list.h"
#include "cli/pager.h"
#include "cli/run.h"
#include "cli/terminal.h"

static const char *why_text(char out[LIST_TEXT_SIZE], const json_t *record)
{
	return advice_what(out, LIST_TEXT_SIZE, record);
}

/* Nothing of it is kept, so it is the task that is run when the cause is mended. */
static const char *next_text(char out[LIST_TEXT_SIZE], const json_t *record)
{
	json_t *foreseen;

	if (strcmp(text_of(record, "status"), "success") == 0)
		return "";
	foreseen = json_copy((json_t *)(uintptr_t)record);
	json_object_del(foreseen, "id");
	(void)advice_next(out, LIST_TEXT_SIZE, foreseen);
	json_decref(foreseen);
	return out;
}

static const struct column columns[] = {
    {"asset", "asset", NULL, true},
    {"account", "account", NULL, true},
    {"would be", "status", NULL, false},
    {"by", "method", NULL, false},
    {"why", NULL, why_text, false},
    {"what to do", NULL, next_text, false},
    {0},
};

static void print_summary(FILE *out, const json_t *result)
{
	char elapsed[FORMAT_SIZE], count[FORMAT_SIZE];

	fprintf(out, "rehearsed in %s, nothing was changed: a run would end as ",
	    format_elapsed(elapsed, (uint64_t)number_of(result, "elapsed_ms")));
	fprintf(out, "%s success", format_count(count, (uint64_t)number_of(result, "success")));
	fprintf(out, ", %s failed", format_count(count, (uint64_t)number_of(result, "failed")));
	fprintf(
	    out, ", %s unverified", format_count(count, (uint64_t)number_of(result, "unverified")));
	fprintf(out, ", %s skipped\n", format_count(count, (uint64_t)number_of(result, "skipped")));
}

void foresight_print(const json_t *result)
{
	struct pager pager;
	FILE *out = pager_open(&pager);

	list_write(out, terminal_width(STDOUT_FILENO), json_object_get(result, "records"), columns);
	print_summary(out, result);
	pager_close(&pager);
}
