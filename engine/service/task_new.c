/* Tasks that get a file: by what a request says of them, or as a copy of another. */
#include "service/task_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "service/names.h"
#include "service/task.h"
#include "service/task_text.h"

/* ── A new one ───────────────────────────────────────────────────────────────────────────── */

/* Its readers are those of the policy's directory. */
static enum service_end make_tasks_dir(struct request *request, bool *made)
{
	char *path = policy_path(request, TASKS_DIR);
	enum service_end end = SERVICE_OK;
	struct stat st;

	*made = false;
	if (!path_is_there(path)) {
		*made =
		    stat(request->service->dir, &st) == 0 && mkdir(path, st.st_mode & 0755) == 0;
		if (!*made)
			end = request_fail(
			    request, SERVICE_USAGE, "%s cannot be made: %s", path, strerror(errno));
	}
	free(path);
	return end;
}

static enum service_end check_free(struct request *request, const char *name, const char *path)
{
	if (!path_is_there(path))
		return SERVICE_OK;
	return request_fail(request, SERVICE_USAGE,
	    "%s is there already, and nothing was changed: give another name, or lockstep task "
	    "edit",
	    name);
}

/* It must be read, too: an include has to mean it. */
static enum service_end check_is_read(
    struct request *request, const struct policy *policy, const char *task, const char *name)
{
	const struct task *declared = policy_task_find(policy, task);

	if (declared != NULL && strcmp(declared->file, name) == 0)
		return SERVICE_OK;
	return request_fail(request, SERVICE_USAGE,
	    "lockstep.lua does not read %s: add  include \"" TASKS_DIR
	    "/*.lua\"  to it; nothing was changed",
	    name);
}

/* Loads the policy with the new file, and says what the task would be. */
static enum service_end try_new(
    struct request *request, const char *task, const char *name, const struct buf *text)
{
	struct policy_draft draft = {
	    .file = name, .text = (const char *)text->data, .len = text->len};
	struct snapshot *snapshot =
	    snapshot_try(request->service, &draft, 1, &request->result, request->error);
	enum service_end end;
	json_t *checked;

	if (snapshot == NULL)
		return SERVICE_USAGE;
	end = check_is_read(request, snapshot->policy, task, name);
	request->policy = snapshot->policy;
	checked = end != SERVICE_OK
		      ? NULL
		      : task_shape_checked(request, policy_task_find(request->policy, task));
	request->policy = NULL;
	if (checked != NULL)
		request->result = json_pack("{s:o, s:o, s:b, s:o, s:o}", "task", json_text(task),
		    "file", json_text(name), "written", 0, "checked", checked, "warnings",
		    task_file_warnings(snapshot->warnings, name, task));
	snapshot_free(snapshot);
	return checked == NULL ? SERVICE_USAGE : SERVICE_OK;
}

static enum service_end write_new(struct request *request, const char *path, const struct buf *text)
{
	char *dir = policy_path(request, TASKS_DIR);
	enum err err = file_write_like(path, dir, text->data, text->len, 0, request->error);

	free(dir);
	if (err != ERR_OK)
		return SERVICE_USAGE;
	json_object_set_new(request->result, "written", json_true());
	json_object_set_new(request->result, "engine", engine_elsewhere(request));
	return SERVICE_OK;
}

/* "print": the text, and nothing is written. */
static enum service_end show_new(struct request *request, struct buf *text)
{
	json_object_set_new(request->result, "text", json_string(buf_text(text)));
	return SERVICE_OK;
}

static enum service_end add_task(struct request *request, const char *task, struct buf *text)
{
	char *name = task_file_name(task), *path = policy_path(request, name);
	bool made = false;
	enum service_end end = check_free(request, name, path);

	if (end == SERVICE_OK)
		end = make_tasks_dir(request, &made);
	if (end == SERVICE_OK)
		end = try_new(request, task, name, text);
	if (end == SERVICE_OK)
		end = param_flag(request, "print") ? show_new(request, text)
						   : write_new(request, path, text);
	if (made && (end != SERVICE_OK || param_flag(request, "print"))) {
		char *dir = policy_path(request, TASKS_DIR);

		(void)rmdir(dir);
		free(dir);
	}
	free(name);
	free(path);
	return end;
}

/* For what the text needs to know of platforms. Where it cannot be loaded, trying says why. */
static struct snapshot *policy_for_params(struct request *request)
{
	struct error error;
	json_t *problems = NULL;
	struct snapshot *snapshot;

	if (json_object_get(request->params, "param") == NULL)
		return NULL;
	snapshot = snapshot_load(request->service, &problems, &error);
	json_decref(problems);
	return snapshot;
}

enum service_end task_file_create(struct request *request)
{
	const char *task = param_need(request, "task");
	struct snapshot *snapshot;
	enum service_end end = SERVICE_USAGE;
	struct buf text;
	bool good;

	if (task == NULL)
		return SERVICE_USAGE;
	buf_init(&text, TASK_TEXT_SIZE);
	snapshot = policy_for_params(request);
	request->policy = snapshot == NULL ? NULL : snapshot->policy;
	good = task_text_write(request, task, &text);
	request->policy = NULL;
	snapshot_free(snapshot);
	if (good)
		end = add_task(request, task, &text);
	buf_clear(&text);
	return end;
}

/* ── A copy ──────────────────────────────────────────────────────────────────────────────── */

/* The task as another one: its file's text where it has one of its own, else its statement. */
static void text_of_copy(struct task_file *file, const char *to, struct buf *out)
{
	const char *text = buf_text(&file->text);
	const struct task_span *span = &file->span;
	size_t begin = span->alone ? 0 : span->begin;
	size_t end = span->alone ? file->text.len : span->end;

	buf_add(out, text + begin, span->name_begin - begin);
	task_text_quote(out, to);
	buf_add(out, text + span->name_end, end - span->name_end);
	if (!span->alone)
		buf_add_text(out, "\n");
}

enum service_end task_file_copy(struct request *request)
{
	const char *task = param_need(request, "task"), *to = param_need(request, "to");
	struct task_file file;
	enum service_end end;
	struct buf text;

	if (task == NULL || to == NULL)
		return SERVICE_USAGE;
	buf_init(&text, TASK_TEXT_SIZE);
	end = task_file_find(request, task, &file);
	if (end == SERVICE_OK && !file.plain)
		end = task_file_refuse(request, task, file.name);
	if (end == SERVICE_OK) {
		text_of_copy(&file, to, &text);
		end = add_task(request, to, &text);
	}
	buf_clear(&text);
	task_file_clear(&file);
	return end;
}
