/* Tasks that have a file: changing it, renaming it, taking it away. */
#include "service/task_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "service/client.h"
#include "service/names.h"
#include "service/patch.h"
#include "service/task_text.h"

void task_file_clear(struct task_file *file)
{
	free(file->name);
	free(file->path);
	buf_clear(&file->text);
}

char *policy_path(const struct request *request, const char *name)
{
	return xasprintf("%s/%s", request->service->dir, name);
}

bool path_is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

/* Where a task of this name is written. */
char *task_file_name(const char *task)
{
	static const char good[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	char *name = xasprintf(TASKS_DIR "/%s.lua", task);

	for (char *c = name + strlen(TASKS_DIR) + 1; *c != '\0'; c++)
		if (strchr(good, *c) == NULL || (*c == '.' && c[-1] == '/'))
			*c = '-';
	return name;
}

/* ── Reading ─────────────────────────────────────────────────────────────────────────────── */

static enum service_end task_file_read_text(
    struct request *request, const char *task, struct task_file *file)
{
	const char *text;

	file->path = policy_path(request, file->name);
	buf_init(&file->text, TASK_TEXT_SIZE);
	if (file_read(file->path, &file->text, request->error) != ERR_OK)
		return SERVICE_USAGE;
	text = buf_text(&file->text);
	file->plain = task_span_find(text, file->text.len, task, &file->span);
	return SERVICE_OK;
}

/*
 * The file that declares the task. Where the policy cannot be loaded, the one where such a task
 * would be written: to mend it may be what is wanted.
 */
enum service_end task_file_find(struct request *request, const char *task, struct task_file *file)
{
	struct snapshot *snapshot =
	    snapshot_load(request->service, &request->result, request->error);
	const struct task *declared = NULL;
	char *path;

	*file = (struct task_file){.name = NULL};
	if (snapshot != NULL) {
		request->policy = snapshot->policy;
		declared = need_task(request, task);
		file->name = declared == NULL ? NULL : xstrdup(declared->file);
		request->policy = NULL;
		snapshot_free(snapshot);
	} else {
		file->name = task_file_name(task);
		path = policy_path(request, file->name);
		if (!path_is_there(path)) {
			free(file->name);
			file->name = NULL;
		}
		free(path);
	}
	if (file->name == NULL)
		return SERVICE_USAGE;
	json_decref(request->result);
	request->result = NULL;
	return task_file_read_text(request, task, file);
}

enum service_end task_file_refuse(struct request *request, const char *task, const char *file)
{
	return request_fail(request, SERVICE_USAGE,
	    "task \"%s\" is declared in %s, but not written there as  task \"%s\" { … }: change "
	    "that file by hand; nothing was changed",
	    task, file, task);
}

/* ── What came of it ─────────────────────────────────────────────────────────────────────── */

/* The purpose of the engine that runs elsewhere and goes by the policy from before; null = none. */
json_t *engine_elsewhere(const struct request *request)
{
	json_t *none = json_object(), *status, *purpose = NULL;
	struct client_call call = {
	    .dir = request->service->dir, .method = "status", .params = none};
	struct error error;
	enum service_end end;
	char *next;

	if (client_call(&call, &end, &status, &next, &error) == CLIENT_ANSWERED) {
		purpose = json_incref(json_object_get(status, "purpose"));
		free(next);
		json_decref(status);
	}
	json_decref(none);
	return purpose == NULL ? json_null() : purpose;
}

json_t *task_file_warnings(const json_t *warnings, const char *file, const char *task)
{
	json_t *own = json_array(), *warning;
	char *quoted = xasprintf("\"%s\"", task);
	size_t i;

	json_array_foreach(warnings, i, warning)
	{
		const char *name = json_string_value(json_object_get(warning, "file"));
		const char *text = json_string_value(json_object_get(warning, "text"));

		if ((name != NULL && strcmp(name, file) == 0) || strstr(text, quoted) != NULL)
			json_array_append(own, warning);
	}
	free(quoted);
	return own;
}

/* `patch`: what to change by hand, where nothing was written; becomes ours. NULL = it was. */
static json_t *shape_change(
    struct request *request, const char *task, const char *file, char *patch)
{
	json_t *shape = json_pack("{s:o, s:o, s:b, s:s?, s:o}", "task", json_text(task), "file",
	    json_text(file), "written", patch == NULL, "patch", patch, "engine",
	    engine_elsewhere(request));

	free(patch);
	return shape;
}

static enum service_end end_of(enum err err)
{
	return err == ERR_OK ? SERVICE_OK : SERVICE_USAGE;
}

/* ── Changing ────────────────────────────────────────────────────────────────────────────── */

enum service_end task_file_read(struct request *request)
{
	const char *task = param_need(request, "task");
	struct task_file file;
	enum service_end end;

	if (task == NULL)
		return SERVICE_USAGE;
	end = task_file_find(request, task, &file);
	if (end == SERVICE_OK && !text_is_utf8(buf_text(&file.text), file.text.len))
		end = request_fail(request, SERVICE_USAGE,
		    "%s is no UTF-8 text without NUL: change it by hand", file.name);
	if (end == SERVICE_OK)
		request->result = json_pack("{s:o, s:o, s:s}", "task", json_text(task), "file",
		    json_text(file.name), "text", buf_text(&file.text));
	task_file_clear(&file);
	return end;
}

/* The policy as it would be with these; NULL, and the request fails, where it does not load. */
static struct snapshot *try_change(
    struct request *request, const struct policy_draft *drafts, size_t count)
{
	return snapshot_try(request->service, drafts, count, &request->result, request->error);
}

/* What is said of the file then is `*warnings`. */
static enum service_end write_text(struct request *request, const char *task,
    const struct task_file *file, const char *text, json_t **warnings)
{
	struct policy_draft draft = {.file = file->name, .text = text, .len = strlen(text)};
	struct snapshot *snapshot = try_change(request, &draft, 1);

	if (snapshot == NULL)
		return SERVICE_USAGE;
	*warnings = task_file_warnings(snapshot->warnings, file->name, task);
	snapshot_free(snapshot);
	return end_of(
	    file_write_like(file->path, file->path, text, strlen(text), 1, request->error));
}

/* "was" is the text that was read: whoever else changed the file meanwhile keeps that. */
enum service_end task_file_write(struct request *request)
{
	const char *task = param_need(request, "task"), *was = param_need(request, "was");
	const char *text = param_need(request, "text");
	json_t *warnings = NULL;
	struct task_file file;
	enum service_end end;

	if (task == NULL || was == NULL || text == NULL)
		return SERVICE_USAGE;
	end = task_file_find(request, task, &file);
	if (end == SERVICE_OK && strcmp(buf_text(&file.text), was) != 0)
		end = request_fail(request, SERVICE_USAGE,
		    "%s was changed by someone else meanwhile: lockstep task edit %s again; "
		    "nothing was changed",
		    file.name, task);
	if (end == SERVICE_OK)
		end = write_text(request, task, &file, text, &warnings);
	if (end == SERVICE_OK) {
		request->result = shape_change(request, task, file.name, NULL);
		json_object_set(request->result, "warnings", warnings);
	}
	json_decref(warnings);
	task_file_clear(&file);
	return end;
}

/* The text without the statement, and without the lines that it leaves empty. */
static char *text_without(struct task_file *file)
{
	const char *text = buf_text(&file->text);
	size_t begin = file->span.begin, end = file->span.end;

	while (begin > 0 && strchr(" \t", text[begin - 1]) != NULL)
		begin--;
	end += strspn(text + end, " \t;");
	if ((begin == 0 || text[begin - 1] == '\n') && text[end] == '\n')
		end++;
	if (begin > 1 && text[begin - 2] == '\n' && text[end] == '\n')
		end++;
	return xasprintf("%.*s%s", (int)begin, text, text + end);
}

static bool is_ours(const struct task_file *file)
{
	return file->plain && file->span.alone && strcmp(file->name, "lockstep.lua") != 0;
}

static enum service_end show_patch(
    struct request *request, const char *task, struct task_file *file, char *text)
{
	char *patch = patch_of(file->name, buf_text(&file->text), text);

	request->result = shape_change(request, task, file->name, patch);
	free(text);
	return SERVICE_SOME;
}

static enum service_end delete_file(
    struct request *request, const char *task, const struct task_file *file)
{
	struct policy_draft draft = {.file = file->name};
	struct snapshot *snapshot = try_change(request, &draft, 1);

	if (snapshot == NULL)
		return SERVICE_USAGE;
	snapshot_free(snapshot);
	if (file_remove(file->path, request->error) != ERR_OK)
		return SERVICE_USAGE;
	request->result = shape_change(request, task, file->name, NULL);
	return SERVICE_OK;
}

enum service_end task_file_delete(struct request *request)
{
	const char *task = param_need(request, "task");
	struct task_file file;
	enum service_end end;

	if (task == NULL)
		return SERVICE_USAGE;
	end = task_file_find(request, task, &file);
	if (end == SERVICE_OK && !file.plain)
		end = task_file_refuse(request, task, file.name);
	if (end == SERVICE_OK)
		end = is_ours(&file) ? delete_file(request, task, &file)
				     : show_patch(request, task, &file, text_without(&file));
	task_file_clear(&file);
	return end;
}

/* ── Another name ────────────────────────────────────────────────────────────────────────── */

/* The file is called as its task is, and no other one is called so. */
static bool follows_name(
    const struct request *request, const struct task_file *file, const char *task, const char *to)
{
	char *own = task_file_name(task), *new = task_file_name(to),
	     *path = policy_path(request, new);
	bool follows =
	    strcmp(own, file->name) == 0 && strcmp(own, new) != 0 && !path_is_there(path);

	free(own);
	free(new);
	free(path);
	return follows;
}

/* In two steps, each of which leaves a policy that loads: what it says, then what it is called. */
static enum service_end rename_file(struct request *request, const char *task, const char *to,
    struct task_file *file, const char *text)
{
	bool follows = follows_name(request, file, task, to);
	char *name = follows ? task_file_name(to) : xstrdup(file->name),
	     *path = policy_path(request, name);
	struct policy_draft drafts[] = {
	    {.file = name, .text = text, .len = strlen(text)}, {.file = file->name}};
	struct snapshot *snapshot = try_change(request, drafts, follows ? 2 : 1);
	enum service_end end = snapshot == NULL ? SERVICE_USAGE : SERVICE_OK;

	if (end == SERVICE_OK)
		end = end_of(
		    file_write_like(file->path, file->path, text, strlen(text), 1, request->error));
	if (end == SERVICE_OK && follows)
		end = end_of(file_rename(file->path, path, request->error));
	if (end == SERVICE_OK)
		request->result = shape_change(request, to, name, NULL);
	snapshot_free(snapshot);
	free(name);
	free(path);
	return end;
}

static char *text_renamed(struct task_file *file, const char *to)
{
	struct task_span span = file->span;
	struct buf text;
	char *out;

	buf_init(&text, 2 * TASK_TEXT_SIZE);
	buf_add(&text, file->text.data, span.name_begin);
	task_text_quote(&text, to);
	buf_add_text(&text, buf_text(&file->text) + span.name_end);
	out = xstrdup(buf_text(&text));
	buf_clear(&text);
	return out;
}

/* Someone renamed it already. */
static bool is_renamed(struct request *request, const char *task, const char *to, json_t **result)
{
	struct error error;
	json_t *problems = NULL;
	struct snapshot *snapshot = snapshot_load(request->service, &problems, &error);
	const struct task *there;
	bool is = false;

	json_decref(problems);
	if (snapshot == NULL)
		return false;
	there = policy_task_find(snapshot->policy, to);
	if (there != NULL && policy_task_find(snapshot->policy, task) == NULL) {
		is = true;
		*result = shape_change(request, to, there->file, NULL);
		json_object_set_new(*result, "written", json_false());
	}
	snapshot_free(snapshot);
	return is;
}

enum service_end task_file_rename(struct request *request)
{
	const char *task = param_need(request, "task"), *to = param_need(request, "to");
	struct task_file file;
	enum service_end end;
	char *text;

	if (task == NULL || to == NULL)
		return SERVICE_USAGE;
	if (is_renamed(request, task, to, &request->result))
		return SERVICE_OK;
	end = task_file_find(request, task, &file);
	if (end == SERVICE_OK && !file.plain)
		end = task_file_refuse(request, task, file.name);
	if (end == SERVICE_OK) {
		text = text_renamed(&file, to);
		if (!is_ours(&file)) {
			end = show_patch(request, task, &file, text);
		} else {
			end = rename_file(request, task, to, &file, text);
			free(text);
		}
	}
	task_file_clear(&file);
	return end;
}
