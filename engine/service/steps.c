/* The log of an execution: what its records keep of their steps, of each page in order of time. */
#include "service/engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "service/names.h"
#include "service/page.h"
#include "service/shape.h"

enum step { STEP_PLANNED, STEP_STAGED, STEP_SENT, STEP_PROVED, STEP_ENDED };

static const char *const step_names[] = {"planned", "staged", "sent", "proved", "ended"};

struct entry {
	uint64_t at_ms;
	size_t order; /* of two at the same time, the one that was met first */
	json_t *shape;
};

struct steps {
	const struct request *request;
	const char *asset; /* a pattern; NULL = all */
	struct page page;  /* of records */
	struct id last;
	struct entry *entries;
	size_t count, room;
};

static json_t *shape_step(const struct record *record, enum step step)
{
	return json_pack("{s:o, s:o, s:o, s:o}", "record", json_id(&record->id), "asset",
	    json_text(record->asset), "account", json_text(record->account), "step",
	    json_string(step_names[step]));
}

static void steps_add(struct steps *steps, uint64_t at_ms, json_t *shape)
{
	if (steps->count == steps->room) {
		steps->room = steps->room * 2 + 256;
		steps->entries = xrealloc(steps->entries, steps->room * sizeof(*steps->entries));
	}
	json_object_set_new(shape, "time", json_time(at_ms));
	steps->entries[steps->count] = (struct entry){at_ms, steps->count, shape};
	steps->count++;
}

static void set_number(json_t *shape, const char *key, uint64_t number)
{
	json_object_set_new(shape, key, json_integer((json_int_t)number));
}

static void steps_add_staged(struct steps *steps, const struct record *record)
{
	json_t *shape;

	if (record->staged_ms == 0)
		return;
	shape = shape_step(record, STEP_STAGED);
	set_number(shape, "version", record->new_version);
	steps_add(steps, record->staged_ms, shape);
}

/* Of several sends the record keeps when the last one was, and how many there were. */
static void steps_add_sent(struct steps *steps, const struct record *record)
{
	json_t *shape;

	if (record->sent_ms == 0)
		return;
	shape = shape_step(record, STEP_SENT);
	set_number(shape, "sends", record->sends);
	steps_add(steps, record->sent_ms, shape);
}

static void steps_add_proved(struct steps *steps, const struct record *record)
{
	json_t *shape;

	if (record->proved_ms == 0)
		return;
	shape = shape_step(record, STEP_PROVED);
	json_object_set_new(shape, "proof", shape_word(proof_name(record->proof)));
	steps_add(steps, record->proved_ms, shape);
}

static void steps_add_ended(struct steps *steps, const struct record *record)
{
	json_t *shape;

	if (record->ended_ms == 0)
		return;
	shape = shape_step(record, STEP_ENDED);
	json_object_set_new(shape, "status", json_string(status_name(record->status)));
	json_object_set_new(shape, "reason", shape_word(record->reason));
	json_object_set_new(shape, "error",
	    shape_error(record->error_class, record->error_code, record->error_message));
	set_number(shape, "attempts", record->attempts);
	set_number(shape, "sends", record->sends);
	steps_add(steps, record->ended_ms, shape);
}

static bool steps_add_record(void *arg, const struct record *record)
{
	struct steps *steps = arg;

	steps->last = record->id;
	if ((steps->asset != NULL && !text_glob(steps->asset, record->asset)) ||
	    !request_sees_record(steps->request, record))
		return page_take(&steps->page, false);
	steps_add(steps, record->planned_ms, shape_step(record, STEP_PLANNED));
	steps_add_staged(steps, record);
	steps_add_sent(steps, record);
	steps_add_proved(steps, record);
	steps_add_ended(steps, record);
	return page_take(&steps->page, true);
}

static int entry_order(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;

	if (a->at_ms != b->at_ms)
		return a->at_ms < b->at_ms ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

static json_t *steps_array(struct steps *steps)
{
	json_t *array = json_array();

	if (steps->count > 1)
		qsort(steps->entries, steps->count, sizeof(*steps->entries), entry_order);
	for (size_t i = 0; i < steps->count; i++)
		json_array_append_new(array, steps->entries[i].shape);
	free(steps->entries);
	return array;
}

/* Where the page before ended; none = this is the first. False, and fails, where that is no id. */
static bool steps_begin(struct request *request, struct steps *steps)
{
	steps->asset = param_text(request, "asset");
	return page_read(request, UINT64_MAX, &steps->page) &&
	       (steps->page.after[0] == '\0' ||
		   page_read_id(request, steps->page.after, &steps->last));
}

static json_t *shape_steps(
    struct request *request, const struct execution *execution, struct vault_txn *txn)
{
	struct steps steps = {.request = request};
	char at[ID_TEXT_SIZE];
	struct id after;

	(void)steps_begin(request, &steps);
	after = steps.last;
	record_each(txn, &execution->id, &after, steps_add_record, &steps);
	page_end(request, &steps.page, id_text(&steps.last, at));
	return json_pack("{s:o, s:o}", "execution",
	    shape_execution(execution, txn, request->service), "steps", steps_array(&steps));
}

enum service_end execution_log(struct request *request)
{
	struct steps steps = {.asset = NULL};
	struct execution execution;

	if (!steps_begin(request, &steps))
		return SERVICE_USAGE;
	return execution_meant(request, &execution, shape_steps);
}
