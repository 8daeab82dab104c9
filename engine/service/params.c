#include "service/params.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "service/engine.h"

#define NAME_SIZE  24
#define COUNT_MAX  16
#define LIST_SIZE  (32 + COUNT_MAX * (NAME_SIZE + 2))
#define SHOWN_SIZE 64

enum value_type { VALUE_TEXT, VALUE_FLAG, VALUE_ARRAY };

struct expected {
	char name[NAME_SIZE];
	enum value_type type;
};

void params_to_text(json_t *params)
{
	json_t *value;
	const char *key;
	char digits[24];

	json_object_foreach(params, key, value)
	{
		if (!json_is_integer(value))
			continue;
		snprintf(digits, sizeof(digits), "%lld", (long long)json_integer_value(value));
		json_object_set_new(params, key, json_string(digits));
	}
}

/* The next one of a list; false behind the last. */
static bool param_next(const char **list, struct expected *param)
{
	const char *word = *list + strspn(*list, " ");
	size_t len = strcspn(word, " ");
	char last = len > 0 ? word[len - 1] : '\0';
	bool marked = last == '?' || last == '*';

	*list = word + len;
	snprintf(param->name, sizeof(param->name), "%.*s", (int)(len - marked), word);
	param->type = last == '?' ? VALUE_FLAG : last == '*' ? VALUE_ARRAY : VALUE_TEXT;
	return len > 0;
}

static bool param_find(const char *list, const char *name, struct expected *param)
{
	while (param_next(&list, param))
		if (strcmp(param->name, name) == 0)
			return true;
	return false;
}

bool params_have(const char *list, const char *name)
{
	struct expected param;

	return param_find(list, name, &param);
}

static void refuse_unknown(struct request *request, const char *list, const char *name)
{
	struct expected params[COUNT_MAX];
	const char *names[COUNT_MAX], *nearest;
	char shown[SHOWN_SIZE], all[LIST_SIZE] = "there are none";
	size_t count = 0, used = 0;

	while (count < COUNT_MAX && param_next(&list, &params[count])) {
		names[count] = params[count].name;
		used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s",
		    count > 0 ? ", " : "there are: ", names[count]);
		count++;
	}
	text_escape(shown, sizeof(shown), name, strlen(name));
	nearest = text_nearest(name, names, count);
	if (nearest != NULL)
		snprintf(all, sizeof(all), "did you mean \"%s\"?", nearest);
	request_fail(
	    request, SERVICE_USAGE, "%s has no parameter \"%s\": %s", request->method, shown, all);
}

static bool type_fits(const json_t *value, enum value_type type)
{
	switch (type) {
	case VALUE_FLAG: return json_is_boolean(value);
	case VALUE_ARRAY: return json_is_array(value);
	case VALUE_TEXT: break;
	}
	return json_is_string(value);
}

static void refuse_type(struct request *request, const struct expected *param)
{
	static const char *const types[] = {
	    [VALUE_TEXT] = "a text or a whole number",
	    [VALUE_FLAG] = "true or false",
	    [VALUE_ARRAY] = "an array",
	};

	request_fail(request, SERVICE_USAGE,
	    "the parameter \"%s\" of %s is of another type: give %s", param->name, request->method,
	    types[param->type]);
}

bool params_fit(struct request *request, const char *list)
{
	json_t *params = (json_t *)(uintptr_t)request->params; /* is only read */
	const json_t *value;
	struct expected param;
	const char *key;

	json_object_foreach(params, key, value)
	{
		if (!param_find(list, key, &param)) {
			refuse_unknown(request, list, key);
			return false;
		}
		if (!json_is_null(value) && !type_fits(value, param.type)) {
			refuse_type(request, &param);
			return false;
		}
	}
	return true;
}

json_t *params_shape(const char *list)
{
	static const char *const types[] = {
	    [VALUE_TEXT] = "text", [VALUE_FLAG] = "flag", [VALUE_ARRAY] = "array"};
	json_t *shape = json_object();
	struct expected param;

	while (param_next(&list, &param))
		json_object_set_new(shape, param.name, json_string(types[param.type]));
	return shape;
}
