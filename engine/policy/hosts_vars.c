#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "policy/hosts.h"

#define LIST_SEPARATOR ";"
#define LABELS_START   8

/* A variable of a host, with what is known about where it stands. */
struct var {
	struct hosts *hosts;
	struct host *host;
	const char *name;
	const json_t *value;
};

static struct arena *var_arena(const struct var *var)
{
	return &var->hosts->arena;
}

/* "asset "web1": variable "ansible_port": …" */
static void var_problem(const struct var *var, const char *shown, const char *fault)
{
	statement_problem(var->hosts->loader->errors, var->host->decl.statement, NULL, NULL,
	    "variable \"%s\": %s%.64s%s %s", var->name, shown ? "\"" : "", shown ? shown : "it",
	    shown ? "\"" : "", fault);
}

/* ── Values ──────────────────────────────────────────────────────────────────────────────── */

/* NULL when the text may be used, else what is wrong with it. */
static const char *text_fault(const char *text, const char *(*fault)(const char *))
{
	if (strstr(text, "{{"))
		return "is a template, which only Ansible can fill in";
	return fault(text);
}

/* The value as a text that `fault` accepts; NULL and reported otherwise. */
static const char *var_text(const struct var *var, const char *(*fault)(const char *))
{
	const char *text = json_string_value(var->value), *wrong;

	if (!text) {
		var_problem(var, NULL, "must be a text");
		return NULL;
	}
	wrong = text_fault(text, fault);
	if (wrong) {
		var_problem(var, text, wrong);
		return NULL;
	}
	return text;
}

/* True or false, as JSON or as one of YAML's words. False (and reported) when it is neither. */
static bool var_flag(const struct var *var, bool *flag)
{
	static const char *const yes[] = {"true", "True", "yes", "1"};
	static const char *const no[] = {"false", "False", "no", "0"};
	const char *text = json_string_value(var->value);

	if (json_is_boolean(var->value)) {
		*flag = json_is_true(var->value);
		return true;
	}
	for (size_t i = 0; text && i < sizeof(yes) / sizeof(yes[0]); i++)
		if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
			*flag = strcmp(text, yes[i]) == 0;
			return true;
		}
	var_problem(var, text, "must be true or false");
	return false;
}

/* Calls `fn` for each text of a list, or of a text whose parts ";" separates. */
static void each_text(const struct var *var, void (*fn)(const struct var *, const char *text))
{
	const json_t *item;
	size_t i;

	if (json_is_string(var->value)) {
		const char *text = json_string_value(var->value);
		char *rest = arena_text(var_arena(var), text, strlen(text)), *part;

		while ((part = strtok_r(rest, LIST_SEPARATOR, &rest)))
			fn(var, part);
		return;
	}
	if (!json_is_array(var->value)) {
		var_problem(var, NULL, "must be a list of texts");
		return;
	}
	json_array_foreach(var->value, i, item)
	{
		if (json_is_string(item))
			fn(var, json_string_value(item));
		else
			var_problem(var, NULL, "must be a list of texts");
	}
}

/* ── Labels ──────────────────────────────────────────────────────────────────────────────── */

bool host_label_add(struct hosts *hosts, struct host *host, struct label label)
{
	struct labels *labels = &host->decl.traits.labels;
	struct label *items;

	if (label_known(labels, label.key))
		return true;
	if (labels->count == LABELS_MAX)
		return false;
	if (labels->count == host->label_room) {
		host->label_room = host->label_room ? 2 * host->label_room : LABELS_START;
		items = arena_alloc(&hosts->arena, host->label_room * sizeof(items[0]));
		if (labels->count > 0)
			memcpy(items, labels->items, labels->count * sizeof(items[0]));
		labels->items = items;
	}
	labels->items[labels->count++] = label;
	return true;
}

static void add_label(const struct var *var, const char *text, struct label label)
{
	if (label_known(&var->host->decl.traits.labels, label.key))
		var_problem(var, text, "gives a label twice");
	else if (!host_label_add(var->hosts, var->host, label))
		var_problem(var, NULL, "has more than 256 labels");
}

static void read_label(const struct var *var, const char *text)
{
	struct label label;
	const char *fault = label_parse(var_arena(var), text, &label);

	if (fault)
		var_problem(var, text, fault);
	else
		add_label(var, text, label);
}

/* { "nginx": true, "tier": 1 } */
static void read_label_pairs(const struct var *var)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)var->value, key, value)
	{
		struct label label = {key, "true"};
		char number[32];

		if (strlen(key) + json_string_length(value) > LABEL_LEN_MAX) {
			var_problem(var, key, "is longer than 255 bytes");
			continue;
		}

		if (json_is_string(value)) {
			label.value = json_string_value(value);
		} else if (json_is_integer(value)) {
			snprintf(
			    number, sizeof(number), "%lld", (long long)json_integer_value(value));
			label.value = arena_text(var_arena(var), number, strlen(number));
		} else if (!json_is_true(value)) {
			var_problem(var, key, "must be a text, a whole number or true");
			continue;
		}
		add_label(var, key, label);
	}
}

static void read_labels(const struct var *var)
{
	if (json_is_object(var->value))
		read_label_pairs(var);
	else
		each_text(var, read_label);
}

/* ── Fields ──────────────────────────────────────────────────────────────────────────────── */

static void read_address(const struct var *var)
{
	var->host->decl.address = var_text(var, address_fault);
}

static void read_port(const struct var *var)
{
	json_int_t port = json_integer_value(var->value);
	const char *text = json_string_value(var->value);
	char *end;

	if (text && text[0] >= '0' && text[0] <= '9')
		port = strtol(text, &end, 10);
	if (port < 1 || port > 65535 || (text && *end))
		var_problem(var, text, "must be a whole number from 1 to 65535");
	else
		var->host->decl.traits.port = (uint32_t)port;
}

static void read_admin(const struct var *var)
{
	var->host->decl.traits.admin = var_text(var, account_fault);
}

static void read_method(const struct var *var)
{
	const char *text = json_string_value(var->value);

	for (int become = BECOME_NONE; text && become <= BECOME_DOAS; become++)
		if (strcmp(text, become_name((enum become)become)) == 0) {
			var->host->decl.traits.become = become;
			return;
		}
	var_problem(var, text, "must be \"none\", \"sudo\", \"su\" or \"doas\"");
}

/* True says no more than what is the default here. */
static void read_become(const struct var *var)
{
	bool flag;

	if (var_flag(var, &flag) && !flag)
		var->host->decl.traits.become = BECOME_NONE;
}

static void read_platform(const struct var *var)
{
	var->host->decl.traits.platform = var_text(var, name_fault);
}

static void read_node(const struct var *var)
{
	var->host->decl.node = var_text(var, node_fault);
}

static void read_gateway(const struct var *var)
{
	if (json_is_false(var->value))
		var->host->decl.traits.gateway = GATEWAY_NONE;
	else
		var->host->decl.traits.gateway = var_text(var, name_fault);
}

static void read_account(const struct var *var, const char *text)
{
	struct names *names = &var->host->decl.traits.accounts;
	const char *fault = text_fault(text, account_fault);

	if (fault)
		var_problem(var, text, fault);
	else
		names->items[names->count++] = text;
}

static size_t account_room(const json_t *value)
{
	const char *text = json_string_value(value);
	size_t room = 1 + json_array_size(value);

	for (; text && *text; text++)
		room += *text == LIST_SEPARATOR[0];
	return room;
}

static void read_accounts(const struct var *var)
{
	struct names *names = &var->host->decl.traits.accounts;

	names->items =
	    arena_alloc(var_arena(var), account_room(var->value) * sizeof(names->items[0]));
	each_text(var, read_account);
}

/* In the order of reading: what stands below wins. */
static const struct variable {
	const char *name;
	void (*read)(const struct var *);
} variables[] = {
    {"ansible_ssh_host", read_address},
    {"ansible_host", read_address},
    {"ansible_ssh_port", read_port},
    {"ansible_port", read_port},
    {"ansible_ssh_user", read_admin},
    {"ansible_user", read_admin},
    {"ansible_become_method", read_method},
    {"ansible_become", read_become},
    {"lockstep_address", read_address},
    {"lockstep_port", read_port},
    {"lockstep_platform", read_platform},
    {"lockstep_node", read_node},
    {"lockstep_admin", read_admin},
    {"lockstep_become", read_method},
    {"lockstep_accounts", read_accounts},
    {"lockstep_labels", read_labels},
    {"lockstep_gateway", read_gateway},
};

#define VARIABLE_COUNT (sizeof(variables) / sizeof(variables[0]))

/* ── All of a host ───────────────────────────────────────────────────────────────────────── */

static bool begins(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

static bool ends(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* ansible_password, ansible_ssh_pass, ansible_become_pass and their kin. */
static bool is_secret(const char *name)
{
	return begins(name, "ansible_") && (ends(name, "_pass") || ends(name, "_password") ||
					       ends(name, "_passphrase") || ends(name, "_secret"));
}

/* Arguments of ssh that lead through another host. */
static bool is_way(const char *name, const json_t *value)
{
	const char *text = json_string_value(value);

	return begins(name, "ansible_ssh_") && ends(name, "_args") && text &&
	       strstr(text, "Proxy") != NULL;
}

static void note(const struct host *host, const char *name, const char **first_name,
    const char **first_host, size_t *count)
{
	if ((*count)++ > 0)
		return;
	*first_name = name;
	*first_host = host->decl.name;
}

static void report_unknown(const struct hosts *hosts, const struct host *host, const char *name)
{
	const char *names[VARIABLE_COUNT];
	size_t count = 0;

	for (size_t i = 0; i < VARIABLE_COUNT; i++)
		if (begins(variables[i].name, "lockstep_"))
			names[count++] = variables[i].name;
	statement_problem(hosts->loader->errors, host->decl.statement, NULL,
	    text_nearest(name, names, count), "unknown variable \"%.64s\"", name);
}

static size_t variable_find(const char *name)
{
	size_t i = 0;

	while (i < VARIABLE_COUNT && strcmp(variables[i].name, name) != 0)
		i++;
	return i;
}

/* All that Ansible's own modules and plays use is theirs. */
static void sort_out(struct hosts *hosts, struct host *host, const char *name, const json_t *value,
    const json_t *found[VARIABLE_COUNT])
{
	size_t i;

	if (!begins(name, "ansible_") && !begins(name, "lockstep_"))
		return;
	i = variable_find(name);
	if (i < VARIABLE_COUNT)
		found[i] = value;
	else if (begins(name, "lockstep_"))
		report_unknown(hosts, host, name);
	else if (is_secret(name))
		note(host, name, &hosts->secret_name, &hosts->secret_host, &hosts->secret_count);
	else if (is_way(name, value))
		note(host, name, &hosts->way_name, &hosts->way_host, &hosts->way_count);
}

void host_vars_read(struct hosts *hosts, struct host *host, const json_t *vars)
{
	const json_t *found[VARIABLE_COUNT] = {NULL};
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)vars, name, value)
	{
		sort_out(hosts, host, name, value, found);
	}
	for (size_t i = 0; i < VARIABLE_COUNT; i++)
		if (found[i])
			variables[i].read(&(struct var){hosts, host, variables[i].name, found[i]});
}
