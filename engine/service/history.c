/* History: every version of an account that is kept, with what made it and how it ended. */
#include "service/account_rows.h"

#include "base/json.h"
#include "service/shape.h"

/* What made it: the record and its execution, as far as they are kept; nothing where it was told.
 */
static json_t *shape_maker(struct vault_txn *txn, const char *id)
{
	struct execution execution;
	struct record record;
	struct error error;
	bool known;

	if (id == NULL || record_find(txn, id, &record, &error) != ERR_OK)
		return json_null();
	known = execution_get(txn, &record.execution, &execution) == ERR_OK;
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o}", "record", json_id(&record.id),
	    "execution", json_id(&record.execution), "task", json_text(record.task), "trigger",
	    known ? shape_word(execution.trigger) : json_null(), "asset", json_text(record.asset),
	    "status", status_name(record.status), "reason", shape_word(record.reason), "error",
	    shape_error(record.error_class, record.error_code, record.error_message));
}

enum service_end account_history(struct request *request)
{
	struct vault_txn *txn;
	struct account_rows rows;
	bool declared;
	json_t *versions;
	enum service_end end = account_find(request, &txn, &rows, &declared);

	if (end != SERVICE_OK)
		return end;
	versions = account_versions(txn, &rows);
	for (size_t i = 0; i < json_array_size(versions); i++) {
		json_t *version = json_array_get(versions, i);

		json_object_set_new(version, "made_by",
		    shape_maker(txn, json_string_value(json_object_get(version, "record"))));
	}
	vault_read_end(txn);
	request->result = json_pack("{s:o, s:o, s:b, s:o}", "asset", json_text(rows.items[0].asset),
	    "account", json_text(rows.items[0].name), "declared", declared, "versions", versions);
	return SERVICE_OK;
}
