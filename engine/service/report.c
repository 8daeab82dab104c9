/* A report of one execution: what came of it, why, and which accounts ask for something. */
#include "service/engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "service/names.h"
#include "service/shape.h"

#define PROBLEMS_MOST 1000 /* that the command tells one by one; all are counted */
#define CAUSES_MOST   100  /* words that are told apart */

struct cause {
	enum status status;
	char word[WORD_SIZE];
	json_int_t count;
};

struct reporting {
	const struct request *request;
	struct vault_txn *txn;
	json_t *problems;
	size_t problems_most;
	json_int_t problem_total;
	struct cause causes[CAUSES_MOST];
	size_t cause_count;
};

/* A reason says more than the error on the way to it. */
static const char *word_of(const struct record *record)
{
	return record->reason[0] != '\0' ? record->reason : record->error_code;
}

static void count_cause(struct reporting *reporting, const struct record *record)
{
	const char *word = word_of(record);
	size_t at = 0;

	while (at < reporting->cause_count && (reporting->causes[at].status != record->status ||
						  strcmp(reporting->causes[at].word, word) != 0))
		at++;
	if (at == CAUSES_MOST)
		return;
	if (at == reporting->cause_count) {
		reporting->causes[at] = (struct cause){.status = record->status};
		memcpy(reporting->causes[at].word, word, strlen(word) + 1);
		reporting->cause_count++;
	}
	reporting->causes[at].count++;
}

static bool report_record(void *arg, const struct record *record)
{
	struct reporting *reporting = arg;

	if (reporting->request != NULL && !request_sees_record(reporting->request, record))
		return true;
	count_cause(reporting, record);
	if (record_is_fine(record))
		return true;
	reporting->problem_total++;
	if (json_array_size(reporting->problems) < reporting->problems_most)
		json_array_append_new(reporting->problems, shape_record(record, reporting->txn));
	return true;
}

static int most_first(const void *left, const void *right)
{
	const struct cause *a = left, *b = right;

	if (a->status != b->status)
		return (a->status > b->status) - (a->status < b->status);
	return (a->count < b->count) - (a->count > b->count);
}

static json_t *shape_causes(struct reporting *reporting)
{
	json_t *array = json_array();

	qsort(reporting->causes, reporting->cause_count, sizeof(*reporting->causes), most_first);
	for (size_t i = 0; i < reporting->cause_count; i++) {
		const struct cause *cause = &reporting->causes[i];

		json_array_append_new(
		    array, json_pack("{s:s, s:o, s:I}", "status", status_name(cause->status),
			       "cause", shape_word(cause->word), "count", cause->count));
	}
	return array;
}

json_t *report_of(const struct service *service, const struct request *request,
    struct vault_txn *txn, const struct execution *execution, size_t problems_most)
{
	static const enum status bad[] = {STATUS_FAILED, STATUS_UNVERIFIED, STATUS_SKIPPED};
	struct reporting reporting = {.request = request,
	    .txn = txn,
	    .problems = json_array(),
	    .problems_most = problems_most};
	const struct id none = {{0}};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		record_each_with(txn, &execution->id, bad[i], &none, report_record, &reporting);
	return json_pack("{s:o, s:o, s:{s:I, s:o}}", "execution",
	    shape_execution(execution, txn, service), "causes", shape_causes(&reporting),
	    "problems", "total", reporting.problem_total, "records", reporting.problems);
}

static json_t *report(
    struct request *request, const struct execution *execution, struct vault_txn *txn)
{
	return report_of(request->service, request, txn, execution, PROBLEMS_MOST);
}

enum service_end execution_report(struct request *request)
{
	struct execution execution;

	return execution_meant(request, &execution, report);
}
