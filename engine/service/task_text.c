#include "service/task_text.h"

#include <stdio.h>
#include <string.h>

#include "service/names.h"

#define COLUMNS 96 /* a list that needs more has an item a line */
#define WORD	128

/* Parameters of which one at most is given. */
struct choice {
	const char *key;
	const char *option;
	const char *word; /* of the language, in front of its text */
};

static const struct choice secrets[] = {
    {"rule", "rule", "random"},
    {"specified", "specified", "specified"},
    {"ssh_key", "ssh-key", "ssh_key"},
    {0},
};
static const struct choice schedules[] = {
    {"cron", "cron", "cron"}, {"every", "every", "every"}, {"at", "at", "at"}, {0}};

/* ── Values ──────────────────────────────────────────────────────────────────────────────── */

void task_text_quote(struct buf *out, const char *text)
{
	buf_add_text(out, "\"");
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			buf_addf(out, "\\%c", c);
		else if (c == '\n')
			buf_add_text(out, "\\n");
		else if (c < 0x20 || c == 0x7f)
			buf_addf(out, "\\%03u", c);
		else
			buf_add(out, text, 1);
	}
	buf_add_text(out, "\"");
}

/* A number and a truth stand as they are; all else is a text. */
static void put_value(struct buf *out, const char *text)
{
	size_t len = strlen(text);

	if ((len > 0 && len < 16 && strspn(text, "0123456789") == len) ||
	    strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
		buf_add_text(out, text);
	else
		task_text_quote(out, text);
}

/* The parts between commas, each a text of its own. */
static void add_parts(json_t *items, const char *text)
{
	for (;; text++) {
		size_t len = strcspn(text, ",");

		if (len > 0)
			json_array_append_new(items, json_stringn(text, len));
		text += len;
		if (*text == '\0')
			return;
	}
}

/* What was given once or several times, each with one item or with several. */
static json_t *items_of(const json_t *given)
{
	json_t *items = json_array();
	const json_t *one;
	size_t i;

	if (json_is_string(given))
		add_parts(items, json_string_value(given));
	json_array_foreach(given, i, one) add_parts(items, json_string_value(one));
	return items;
}

static void put_items(struct buf *out, const json_t *items, const char *between)
{
	const json_t *item;
	size_t i;

	json_array_foreach(items, i, item)
	{
		buf_add_text(out, i == 0 ? "" : between);
		task_text_quote(out, json_string_value(item));
	}
}

/* `{ "app", "deploy" }` behind `column` others. */
static void put_list(struct buf *out, const json_t *items, size_t column)
{
	size_t before = out->len;

	buf_add_text(out, "{ ");
	put_items(out, items, ", ");
	buf_add_text(out, " }");
	if (column + out->len - before <= COLUMNS || buf_failed(out))
		return;
	out->len = before;
	buf_add_text(out, "{\n\t\t");
	put_items(out, items, ",\n\t\t");
	buf_add_text(out, ",\n\t}");
}

/* ── Fields ──────────────────────────────────────────────────────────────────────────────── */

static void put_field_list(struct buf *out, const json_t *params, const char *name)
{
	json_t *items = items_of(json_object_get(params, name));

	if (json_array_size(items) > 0) {
		buf_addf(out, "\t%s = ", name);
		put_list(out, items, 8 + strlen(name) + 3);
		buf_add_text(out, ",\n");
	}
	json_decref(items);
}

static void put_field(struct buf *out, const json_t *params, const char *name)
{
	const char *text = json_string_value(json_object_get(params, name));

	if (text == NULL)
		return;
	buf_addf(out, "\t%s = ", name);
	put_value(out, text);
	buf_add_text(out, ",\n");
}

/* A person's words, even where they look like a number. */
static void put_field_text(struct buf *out, const json_t *params, const char *name)
{
	const char *text = json_string_value(json_object_get(params, name));

	if (text == NULL)
		return;
	buf_addf(out, "\t%s = ", name);
	task_text_quote(out, text);
	buf_add_text(out, ",\n");
}

/* `exclude = { assets = { … } }`, from "exclude_assets". */
static void put_exclude(struct buf *out, const json_t *params)
{
	static const char *const names[] = {"assets", "nodes", "accounts"};
	bool any = false;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char key[WORD];
		json_t *items;

		snprintf(key, sizeof(key), "exclude_%s", names[i]);
		items = items_of(json_object_get(params, key));
		if (json_array_size(items) > 0) {
			buf_addf(out, "%s%s = ", any ? ", " : "\texclude = { ", names[i]);
			put_list(out, items, 0);
			any = true;
		}
		json_decref(items);
	}
	buf_add_text(out, any ? " },\n" : "");
}

static void put_verify(struct buf *out, const json_t *params)
{
	json_t *items = items_of(json_object_get(params, "verify"));

	if (json_array_size(items) > 1) {
		buf_add_text(out, "\tverify = ");
		put_list(out, items, 0);
		buf_add_text(out, ",\n");
	} else {
		put_field(out, params, "verify");
	}
	json_decref(items);
}

static void put_limits(struct buf *out, const json_t *params)
{
	static const char *const names[] = {"in_flight", "per_second", "per_node", "per_gateway",
	    "canary", "stop_after", "retries"};
	bool any = false;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *text = json_string_value(json_object_get(params, names[i]));

		if (text == NULL)
			continue;
		buf_addf(out, "%s%s = ", any ? ", " : "\tlimits = { ", names[i]);
		put_value(out, text);
		any = true;
	}
	buf_add_text(out, any ? " },\n" : "");
}

/* ── Parameters ──────────────────────────────────────────────────────────────────────────── */

/* As the first platform that knows it takes it; where none does, loading says so. */
static enum param_type type_of(const struct policy *policy, const char *name)
{
	for (size_t i = 0; policy != NULL && i < policy_platform_count(policy); i++) {
		const struct platform *platform = policy_platform(policy, i);

		for (size_t k = 0; k < platform->param_count; k++)
			if (strcmp(platform->params[k].name, name) == 0)
				return platform->params[k].type;
	}
	return PARAM_TEXT;
}

static void put_param(struct buf *out, const struct policy *policy, const char *given)
{
	char name[WORD];
	const char *text = strchr(given, '=');
	enum param_type type;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(given, "="), given);
	type = type_of(policy, name);
	buf_addf(out, "%s = ", name);
	text = text == NULL ? "true" : text + 1;
	if (type == PARAM_LIST) {
		json_t *items = json_array();

		add_parts(items, text);
		put_list(out, items, 0);
		json_decref(items);
	} else if (type == PARAM_TEXT && strchr(given, '=') != NULL) {
		task_text_quote(out, text);
	} else {
		put_value(out, text);
	}
}

static bool param_name_good(const char *given)
{
	size_t len = strcspn(given, "=");

	return len > 0 && len < WORD && given[0] != '_' && (given[0] < '0' || given[0] > '9') &&
	       strspn(given, "abcdefghijklmnopqrstuvwxyz0123456789_") >= len;
}

/* `params = { shell = "/bin/bash" }`, from what was given as "shell=/bin/bash". */
static bool put_params(struct request *request, struct buf *out)
{
	const json_t *given = json_object_get(request->params, "param"), *one;
	size_t i;

	json_array_foreach(given, i, one)
	{
		if (!param_name_good(json_string_value(one))) {
			request_fail(request, SERVICE_USAGE,
			    "--param: \"%.64s\" is no NAME=VALUE: give a parameter of the "
			    "platform, such as shell=/bin/bash; nothing was written",
			    json_string_value(one));
			return false;
		}
		buf_add_text(out, i == 0 ? "\tparams = { " : ", ");
		put_param(out, request->policy, json_string_value(one));
	}
	buf_add_text(out, i == 0 ? "" : " },\n");
	return true;
}

/* ── Secret, schedule ────────────────────────────────────────────────────────────────────── */

/* The one that is given; NULL = none. False, and fails, where there are two. */
static bool chosen(
    struct request *request, const struct choice *choices, const struct choice **chosen)
{
	*chosen = NULL;
	for (; choices->key != NULL; choices++) {
		if (param_text(request, choices->key) == NULL)
			continue;
		if (*chosen != NULL) {
			request_fail(request, SERVICE_USAGE,
			    "--%s and --%s exclude one another: give one of them; nothing was "
			    "written",
			    (*chosen)->option, choices->option);
			return false;
		}
		*chosen = choices;
	}
	return true;
}

static void put_ssh_key(struct buf *out, const json_t *params)
{
	const char *replace = json_string_value(json_object_get(params, "replace"));

	buf_add_text(out, "\tsecret = ssh_key { type = ");
	task_text_quote(out, json_string_value(json_object_get(params, "ssh_key")));
	if (replace != NULL) {
		buf_add_text(out, ", replace = ");
		task_text_quote(out, replace);
	}
	buf_add_text(out, " },\n");
}

static bool put_secret(struct request *request, struct buf *out)
{
	const struct choice *choice;

	if (!chosen(request, secrets, &choice))
		return false;
	if (choice != NULL && strcmp(choice->key, "ssh_key") == 0) {
		put_ssh_key(out, request->params);
	} else if (choice != NULL) {
		buf_addf(out, "\tsecret = %s ", choice->word);
		task_text_quote(out, param_text(request, choice->key));
		buf_add_text(out, ",\n");
	}
	return true;
}

static bool put_schedule(struct request *request, struct buf *out)
{
	const struct choice *choice;

	if (!chosen(request, schedules, &choice))
		return false;
	if (choice != NULL) {
		buf_addf(out, "\tschedule = %s ", choice->word);
		task_text_quote(out, param_text(request, choice->key));
		buf_add_text(out, ",\n");
	}
	return true;
}

/* ── All ─────────────────────────────────────────────────────────────────────────────────── */

bool task_text_write(struct request *request, const char *name, struct buf *out)
{
	const json_t *params = request->params;

	buf_add_text(out, "task ");
	task_text_quote(out, name);
	buf_add_text(out, " {\n");
	put_field(out, params, "kind");
	put_field_list(out, params, "accounts");
	put_field_list(out, params, "assets");
	put_field_list(out, params, "nodes");
	put_exclude(out, params);
	if (!put_secret(request, out))
		return false;
	put_verify(out, params);
	if (!put_params(request, out))
		return false;
	put_limits(out, params);
	put_field(out, params, "priority");
	if (!put_schedule(request, out))
		return false;
	put_field_text(out, params, "zone");
	put_field(out, params, "window");
	put_field(out, params, "jitter");
	put_field(out, params, "catch_up");
	put_field(out, params, "max_age");
	put_field_list(out, params, "recipients");
	if (param_flag(request, "inactive"))
		buf_add_text(out, "\tactive = false,\n");
	put_field_text(out, params, "comment");
	buf_add_text(out, "}\n");
	return !buf_failed(out);
}
