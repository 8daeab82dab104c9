#include "policy/hosts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define FILE_SIZE_MAX (128UL * 1024 * 1024)
#define VALUES_MAX    8000000UL /* each takes a hundred bytes and more once it is read */
#define CHUNK_SIZE    65536
#define GROUPS_MAX    10000
#define NONE	      SIZE_MAX

static void file_problem(struct hosts *hosts, const char *what)
{
	problem_add(hosts->loader->errors, hosts->file, 0, "%s", what);
}

/* ── The file ────────────────────────────────────────────────────────────────────────────── */

struct stream {
	int fd;
	char *chunk;	/* CHUNK_SIZE, wiped: it may hold secrets */
	size_t at, end; /* what of it was not handed over yet */
	size_t size, values;
	bool in_text, escaped; /* where the last chunk ended */
	bool broken, too_long;
};

/*
 * Takes the spaces between values out of a chunk, and counts the values: more than half of what
 * ansible-inventory prints is indentation, which the parser reads byte by byte. Lines stay lines.
 */
static size_t strip(struct stream *stream, char *bytes, size_t len)
{
	size_t kept = 0;

	for (size_t i = 0; i < len; i++) {
		char c = bytes[i];

		if (stream->escaped) {
			stream->escaped = false;
		} else if (c == '"') {
			stream->in_text = !stream->in_text;
		} else if (stream->in_text) {
			stream->escaped = c == '\\';
		} else if (c == ' ' || c == '\t') {
			continue;
		} else {
			stream->values += c == ',' || c == '[' || c == '{';
		}
		bytes[kept++] = c;
	}
	return kept;
}

/* False at the end, and where the stream is broken or too long. */
static bool next_chunk(struct stream *stream)
{
	ssize_t got;

	do
		got = read(stream->fd, stream->chunk, CHUNK_SIZE);
	while (got < 0 && errno == EINTR);
	stream->broken = got < 0;
	if (got <= 0)
		return false;
	stream->size += (size_t)got;
	stream->at = 0;
	stream->end = strip(stream, stream->chunk, (size_t)got);
	stream->too_long = stream->size > FILE_SIZE_MAX || stream->values > VALUES_MAX;
	return !stream->too_long;
}

/* The parser asks for a kilobyte at a time. */
static size_t read_some(void *out, size_t size, void *arg)
{
	struct stream *stream = arg;

	while (stream->at == stream->end)
		if (!next_chunk(stream))
			return stream->broken || stream->too_long ? (size_t)-1 : 0;
	if (size > stream->end - stream->at)
		size = stream->end - stream->at;
	memcpy(out, stream->chunk + stream->at, size);
	stream->at += size;
	return size;
}

/* Without what stands there: it may be a secret. */
static void report_syntax(struct hosts *hosts, json_error_t *error)
{
	char *near = strstr(error->text, " near ");

	if (near)
		*near = '\0';
	problem_add(hosts->loader->errors, hosts->file, (size_t)(error->line > 0 ? error->line : 0),
	    "is not JSON as ansible-inventory --list prints it: %s", error->text);
}

/* NULL when it was reported. */
static json_t *parse(struct hosts *hosts, int fd)
{
	struct stream stream = {.fd = fd, .chunk = mem_alloc(CHUNK_SIZE)};
	json_error_t error;
	json_t *root = NULL;

	if (!stream.chunk) {
		file_problem(hosts, "cannot be read: there is no memory");
		return NULL;
	}
	root = json_load_callback(read_some, &stream, JSON_REJECT_DUPLICATES, &error);
	mem_free(stream.chunk);
	if (stream.broken)
		file_problem(hosts, "cannot be read");
	else if (stream.too_long)
		file_problem(hosts, "is larger than 128 MB, or has more than 8 million values");
	else if (!root)
		report_syntax(hosts, &error);
	else if (json_is_object(root))
		return root;
	else
		file_problem(hosts, "is no inventory: it must be a JSON object of groups");
	json_decref(root);
	return NULL;
}

/* ── Hosts ───────────────────────────────────────────────────────────────────────────────── */

static size_t host_find(const struct hosts *hosts, const char *name)
{
	const json_t *index = json_object_get(hosts->by_name, name);

	return index ? (size_t)json_integer_value(index) : NONE;
}

/* `name` is in the JSON. */
static struct asset_decl decl_new(struct hosts *hosts, const char *name)
{
	struct statement *statement = arena_alloc(&hosts->arena, sizeof(*statement));

	*statement = (struct statement){.file = hosts->file, .kind = "asset", .name = name};
	return (struct asset_decl){.traits = TRAITS_NONE, .name = name, .statement = statement};
}

static bool is_full(const struct hosts *hosts)
{
	return loader_full(
	    hosts->loader, hosts->arena.total + hosts->count * sizeof(hosts->items[0]));
}

/* The host of that name, made when it is new. NONE when the name is none. */
static size_t host_add(struct hosts *hosts, const char *name)
{
	size_t index = host_find(hosts, name);
	const char *fault;

	if (index != NONE)
		return index;
	fault = name_fault(name);
	if (fault || is_full(hosts)) {
		problem_add(hosts->loader->errors, hosts->file, 0, "host \"%.64s\": the name %s",
		    name, fault ? fault : LOADER_FULL);
		return NONE;
	}
	if (hosts->count == hosts->room) {
		hosts->room = hosts->room ? 2 * hosts->room : 1024;
		hosts->items = xrealloc(hosts->items, hosts->room * sizeof(hosts->items[0]));
	}
	index = hosts->count++;
	hosts->items[index] = (struct host){.decl = decl_new(hosts, name)};
	json_object_set_new(hosts->by_name, name, json_integer((json_int_t)index));
	return index;
}

static void read_vars(struct hosts *hosts, const json_t *root)
{
	json_t *hostvars = json_object_get(json_object_get(root, "_meta"), "hostvars"), *vars;
	const char *name;

	if (!json_is_object(hostvars))
		file_problem(hosts, "has no _meta.hostvars; print it by: ansible-inventory --list");
	json_object_foreach(hostvars, name, vars)
	{
		size_t index = host_add(hosts, name);

		if (!json_is_object(vars))
			problem_add(hosts->loader->errors, hosts->file, 0,
			    "host \"%.64s\": its variables must be an object", name);
		else if (index != NONE)
			host_vars_read(hosts, &hosts->items[index], vars);
	}
}

/* ── Groups ──────────────────────────────────────────────────────────────────────────────── */

struct group {
	const char *name; /* in the JSON */
	const json_t *hosts;
	struct group **parents;
	size_t parent_count, parent_room;
	size_t seen; /* the last walk that came by */
};

struct groups {
	struct group *items;
	size_t count;
	json_t *by_name;
	size_t walk;
};

static struct group *group_find(const struct groups *groups, const json_t *name)
{
	const char *text = json_string_value(name);
	const json_t *index = text ? json_object_get(groups->by_name, text) : NULL;

	return index ? &groups->items[json_integer_value(index)] : NULL;
}

/* NULL, or what is wrong with the group. */
static const char *group_fault(const char *name, const json_t *value)
{
	const json_t *hosts = json_object_get(value, "hosts");
	const json_t *children = json_object_get(value, "children");

	if (strlen(name) > LABEL_LEN_MAX)
		return "has a name of more than 255 bytes";
	if (!json_is_object(value) || (hosts && !json_is_array(hosts)) ||
	    (children && !json_is_array(children)))
		return "must be an object with lists of hosts and children";
	if (json_object_size(json_object_get(value, "vars")) > 0)
		return "has variables of its own; print the inventory without --export, and each "
		       "host has them";
	return NULL;
}

static void group_read(
    struct hosts *hosts, struct groups *groups, const char *name, const json_t *value)
{
	struct group *group = &groups->items[groups->count];
	const char *fault = group_fault(name, value);

	if (fault) {
		problem_add(
		    hosts->loader->errors, hosts->file, 0, "group \"%.64s\" %s", name, fault);
		return;
	}
	group->name = name;
	group->hosts = json_object_get(value, "hosts");
	json_object_set_new(groups->by_name, name, json_integer((json_int_t)groups->count++));
}

static void parent_add(struct group *child, struct group *parent)
{
	if (child->parent_count == child->parent_room) {
		child->parent_room = child->parent_room ? 2 * child->parent_room : 4;
		child->parents =
		    xrealloc(child->parents, child->parent_room * sizeof(child->parents[0]));
	}
	child->parents[child->parent_count++] = parent;
}

static void groups_read(struct hosts *hosts, struct groups *groups, json_t *root)
{
	const char *name;
	json_t *value;

	json_object_foreach(root, name, value)
	{
		if (strcmp(name, "_meta") != 0)
			group_read(hosts, groups, name, value);
	}
	for (size_t i = 0; i < groups->count; i++) {
		const json_t *children =
		    json_object_get(json_object_get(root, groups->items[i].name), "children");
		const json_t *child;
		size_t j;

		json_array_foreach(children, j, child)
		{
			if (group_find(groups, child))
				parent_add(group_find(groups, child), &groups->items[i]);
		}
	}
}

/* Every host is in one of these, whatever it is. */
static bool group_is_label(const struct group *group)
{
	return strcmp(group->name, "all") != 0 && strcmp(group->name, "ungrouped") != 0;
}

/* The group and all above it, each once: they may meet again, and even go in circles. */
static size_t group_line(struct groups *groups, struct group *group, struct group **line)
{
	size_t count = 0, at = 0;

	groups->walk++;
	group->seen = groups->walk;
	line[count++] = group;
	for (; at < count; at++)
		for (size_t i = 0; i < line[at]->parent_count; i++) {
			struct group *parent = line[at]->parents[i];

			if (parent->seen == groups->walk)
				continue;
			parent->seen = groups->walk;
			line[count++] = parent;
		}
	return count;
}

static void label_host(
    struct hosts *hosts, struct host *host, struct group *const *line, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (group_is_label(line[i]) &&
		    !host_label_add(hosts, host, (struct label){line[i]->name, "true"})) {
			statement_problem(hosts->loader->errors, host->decl.statement, NULL, NULL,
			    "has more than 256 labels and groups");
			return;
		}
}

static void group_label(struct hosts *hosts, struct groups *groups, struct group *group)
{
	struct group **line = xcalloc(groups->count, sizeof(*line));
	size_t count = group_line(groups, group, line), i;
	const json_t *name;

	json_array_foreach(group->hosts, i, name)
	{
		const char *text = json_string_value(name);
		size_t index = text ? host_add(hosts, text) : NONE;

		if (!text)
			problem_add(hosts->loader->errors, hosts->file, 0,
			    "group \"%.64s\": its hosts must be names", group->name);
		if (index != NONE)
			label_host(hosts, &hosts->items[index], line, count);
	}
	free(line);
}

static void read_groups(struct hosts *hosts, json_t *root)
{
	size_t count = json_object_size(root);
	struct groups groups = {.by_name = json_object()};

	if (count > GROUPS_MAX) {
		file_problem(hosts, "has more than 10000 groups");
	} else {
		groups.items = xcalloc(count + 1, sizeof(groups.items[0]));
		groups_read(hosts, &groups, root);
		for (size_t i = 0; i < groups.count; i++)
			group_label(hosts, &groups, &groups.items[i]);
	}
	for (size_t i = 0; i < groups.count; i++)
		free(groups.items[i].parents);
	free(groups.items);
	json_decref(groups.by_name);
}

/* ── Warnings ────────────────────────────────────────────────────────────────────────────── */

static void warn(struct hosts *hosts, const char *host, const char *name, size_t count,
    const char *what, const char *instead)
{
	char more[48] = "";

	if (count > 1)
		snprintf(more, sizeof(more), " and %zu more", count - 1);
	if (count > 0)
		problem_add(hosts->loader->warnings, hosts->file, 0,
		    "asset \"%s\": variable \"%s\" %s, and is not read: %s (this one%s)", host,
		    name, what, instead, more);
}

static void warn_all(struct hosts *hosts)
{
	warn(hosts, hosts->secret_host, hosts->secret_name, hosts->secret_count, "is for a secret",
	    "secrets come in by lockstep account import");
	warn(hosts, hosts->way_host, hosts->way_name, hosts->way_count,
	    "leads through another host", "say which asset: lockstep_gateway");
}

void inventory_json(struct loader *loader, int fd, const char *file)
{
	struct hosts hosts = {.loader = loader,
	    .file = arena_text(&loader->policy->arena, file, strlen(file)),
	    .by_name = json_object()};
	json_t *root = parse(&hosts, fd);

	if (root) {
		read_vars(&hosts, root);
		read_groups(&hosts, root);
		for (size_t i = 0; i < hosts.count; i++)
			asset_declare(loader, &hosts.items[i].decl);
		warn_all(&hosts);
	} else {
		loader->incomplete = true;
	}
	json_decref(root);
	json_decref(hosts.by_name);
	free(hosts.items);
	arena_clear(&hosts.arena);
}
