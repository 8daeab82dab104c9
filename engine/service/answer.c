#include "service/answer.h"

#include <event2/buffer.h>

#include "service/http.h"

static int add_bytes(const char *bytes, size_t len, void *out)
{
	return evbuffer_add(out, bytes, len);
}

void answer_add(struct evbuffer *out, const json_t *json)
{
	json_dump_callback(json, add_bytes, out, JSON_COMPACT | JSON_ENCODE_ANY);
	evbuffer_add(out, "\n", 1);
}

bool answer_is_good(enum service_end end)
{
	return end == SERVICE_OK || end == SERVICE_SOME;
}

json_t *answer_failure(enum service_end end, json_t *result, const struct error *error)
{
	json_int_t exit_status = end;
	json_t *json = json_pack("{s:I, s:s, s:s}", "exit", exit_status, "code",
	    err_name(error->code), "error", error->text);

	if (result != NULL)
		json_object_set_new(json, "result", result);
	return json;
}

int answer_status(enum service_end end, const struct error *error)
{
	if (end != SERVICE_USAGE)
		return HTTP_UNAVAILABLE;
	return error->code == ERR_DENIED ? HTTP_FORBIDDEN : HTTP_BAD;
}
