/* What a rehearsal says: each account's record as it would be, and what to do about it before. */
#include <stdio.h>
#include <unistd.h>

#include "cli/advice.h"
#include "cli/format.h"
#include "cli/run.h"
#include "cli/sheet.h"
#include "cli/terminal.h"

static void print_records(const json_t *records)
{
	static const char *const titles[] = {"asset", "account", "would be", "by", "why", NULL};
	struct sheet *sheet = sheet_new(titles);
	const json_t *record;
	size_t i;

	json_array_foreach(records, i, record)
	{
		sheet_add(sheet, (const char *const[]){
				     text_of(record, "asset"),
				     text_of(record, "account"),
				     text_of(record, "status"),
				     text_of(record, "method"),
				     advice_what(record),
				 });
	}
	sheet_print(sheet, stdout, terminal_width(STDOUT_FILENO));
	sheet_free(sheet);
}

void foresight_print(const json_t *result)
{
	char elapsed[FORMAT_SIZE], count[FORMAT_SIZE];

	print_records(json_object_get(result, "records"));
	printf("rehearsed in %s, nothing was changed: a run would end as ",
	    format_elapsed(elapsed, (uint64_t)number_of(result, "elapsed_ms")));
	printf("%s success", format_count(count, (uint64_t)number_of(result, "success")));
	printf(", %s failed", format_count(count, (uint64_t)number_of(result, "failed")));
	printf(", %s unverified", format_count(count, (uint64_t)number_of(result, "unverified")));
	printf(", %s skipped\n", format_count(count, (uint64_t)number_of(result, "skipped")));
}
