#define _GNU_SOURCE
#include "unix_help.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "wire/dialogue.h"

#define PLATFORMS_MAX 4
#define TEXT_MAX      (8 * 1024 * 1024)

/* ── Tools ───────────────────────────────────────────────────────────────────────────────── */

void unix_do(const char *fmt, ...)
{
	char line[4096];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (system(line) != 0)
		fail_msg("%s", line);
}

const char *unix_text(const char *path)
{
	static struct buf text;
	struct error error;

	buf_clear(&text);
	buf_init(&text, TEXT_MAX);
	if (access(path, F_OK) != 0)
		return NULL;
	if (file_read(path, &text, &error) != ERR_OK)
		fail_msg("%s", error.text);
	return buf_text(&text);
}

/*
 * Each set of tools is a directory that is the whole PATH. Its sshd says what unix_sshd was told.
 */
static void make_tools(const char *dir)
{
	static const char *const shells[] = {
	    "dash", "bash", "mksh"}; /* with this machine's tools */

	for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++)
		unix_do("s=$(command -v %s) || exit 0; mkdir %s/%s; ln -s $s %s/%s/sh; "
			"for d in /usr/bin /bin /usr/sbin /sbin; do "
			"ln -s $d/* %s/%s/ 2>/dev/null; done; ln -sf %s/sshd %s/%s/sshd",
		    shells[i], dir, shells[i], dir, shells[i], dir, shells[i], dir, dir, shells[i]);
	unix_do("s=$(command -v busybox) || exit 0; mkdir %s/busybox; "
		"for n in $($s --list); do ln -s $s %s/busybox/$n; done; "
		"ln -s %s/sshd %s/busybox/sshd; "
		"[ -e %s/busybox/su ] || ln -s $(command -v su) %s/busybox/su",
	    dir, dir, dir, dir, dir, dir);
}

void unix_sshd(struct shell *shell, const char *says)
{
	char path[96];
	FILE *file;

	snprintf(path, sizeof(path), "%s/sshd", shell->dir);
	unlink(path);
	if (says[0] == '\0')
		return;
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "#!/bin/sh\nprintf '%%b' '%s'\n", says);
	fclose(file);
	assert_int_equal(chmod(path, 0755), 0);
}

void unix_each(struct shell *shell, unsigned count, void (*fn)(struct shell *))
{
	static const char *const all[UNIX_ALL] = {"dash", "busybox", "bash", "mksh"};
	char path[128];

	for (size_t i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/%s", shell->dir, all[i]);
		if (access(path, X_OK) != 0)
			continue;
		snprintf(shell->sh, sizeof(shell->sh), "%s", all[i]);
		fn(shell);
	}
}

/* ── The privileged shell ────────────────────────────────────────────────────────────────── */

static void add_replaced(struct buf *out, const char *text, const char *from, const char *to)
{
	const char *at;

	while ((at = strstr(text, from)) != NULL) {
		buf_add(out, text, (size_t)(at - text));
		buf_add_text(out, to);
		text = at + strlen(from);
	}
	buf_add_text(out, text);
}

static void put(const char *dir, const char *name, struct buf *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fwrite(buf_text(text), 1, text->len, file);
	fclose(file);
}

static void get(const char *dir, const char *name, struct buf *out)
{
	char path[128];
	const char *text;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	text = unix_text(path);
	buf_add_text(out, text != NULL ? text : "");
}

enum err shell_dialogue_step(struct shell *shell, struct command *command,
    struct dialogue *dialogue, struct outcome *outcome)
{
	(void)shell;
	(void)command;
	(void)dialogue;
	return outcome_set(outcome, FAULT_SCRIPT, "nothing here asks");
}

bool shell_targeted(const struct shell *shell)
{
	return shell->targeted;
}

enum err shell_run_step(struct shell *shell, struct command *command, struct outcome *outcome)
{
	struct buf line;
	char proc[128];
	int status;

	(void)outcome;
	snprintf(proc, sizeof(proc), "%s/proc/", shell->dir);
	buf_init(&line, 256 * 1024);
	buf_addf(&line, "cd /; LC_ALL=C PATH=%s%s/%s; export LC_ALL PATH; ", shell->before,
	    shell->dir, shell->sh);
	add_replaced(&line, buf_text(&command->line), "/proc/", proc);
	put(shell->dir, "line", &line);
	put(shell->dir, "in", &command->input);
	snprintf(proc, sizeof(proc), "cd %s && exec setsid sh line <in >out 2>err", shell->dir);
	status = system(proc);
	command->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	get(shell->dir, "out", &command->out);
	get(shell->dir, "err", &command->err);
	command->sent = command->input.len > 0;
	command->ended = true;
	buf_clear(&line);
	return ERR_OK;
}

struct unix_answer unix_ask(struct shell *shell, const struct script_config *config)
{
	struct script_config whole = *config;
	struct unix_answer answer;
	struct script *script;
	bool busy;

	whole.asset = "web1";
	whole.shell = shell;
	script = script_new(shell->scripts, &whole);
	do
		answer.err = script_step(script, &answer.result, &busy, &answer.outcome);
	while (answer.err == ERR_AGAIN);
	script_free(script);
	return answer;
}

/* ── Accounts ────────────────────────────────────────────────────────────────────────────── */

static void make_accounts(const char *dir)
{
	unix_do(
	    "cd %s && { grep -v '^app:' /etc/passwd; "
	    "echo 'app:x:" UNIX_UID ":" UNIX_UID "::/home/app:/bin/sh'; } >passwd && "
	    "{ grep -v '^app:' /etc/group; echo 'app:x:" UNIX_UID ":'; } >group && "
	    "{ grep -v '^app:' /etc/shadow; echo 'app:$6$salt$hash:19000:0:99999:7:::'; } >shadow "
	    "&& chmod 600 shadow && for f in passwd group shadow; do "
	    "mount --bind $f /etc/$f || exit 1; done",
	    dir);
}

/* Nothing that the tests do is seen outside. */
static bool unshare_all(void)
{
	return geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
	       mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("home", "/home", "tmpfs", 0, "mode=755") == 0;
}

static void load(struct shell *shell, const char *const *platforms)
{
	const char *top = getenv("srcdir");
	struct wire_script files[PLATFORMS_MAX];
	struct buf sources[PLATFORMS_MAX];
	struct error error;
	char path[4096];
	size_t count = 0;

	for (; platforms[count] != NULL; count++) {
		snprintf(path, sizeof(path), "%s/policies/platforms/%s.lua",
		    top != NULL ? top : ".", platforms[count]);
		buf_init(&sources[count], 1024 * 1024);
		if (file_read(path, &sources[count], &error) != ERR_OK)
			fail_msg("%s", error.text);
		files[count] = (struct wire_script){.platform = platforms[count],
		    .file = platforms[count],
		    .source = buf_text(&sources[count]),
		    .len = sources[count].len};
	}
	if (scripts_new(&shell->scripts, files, count, &error) != ERR_OK)
		fail_msg("%s", error.text);
	while (count > 0)
		buf_clear(&sources[--count]);
}

struct shell *unix_new(const char *const *platforms)
{
	static struct shell shell = {.dir = "/tmp/test_unix.XXXXXX", .before = ""};
	struct error error;
	bool locked;

	if (!unshare_all()) {
		print_error("needs root, and namespaces of its own\n");
		return NULL;
	}
	if (secret_heap_init(64 * 1024, &locked, &error) != ERR_OK || mkdtemp(shell.dir) == NULL)
		abort();
	unix_do("mount -t tmpfs -o mode=755 tools %s && mkdir %s/proc", shell.dir, shell.dir);
	make_accounts(shell.dir);
	make_tools(shell.dir);
	load(&shell, platforms);
	return &shell;
}

void unix_free(struct shell *shell)
{
	if (shell == NULL)
		return;
	scripts_free(shell->scripts);
	unix_do("umount /etc/passwd /etc/group /etc/shadow; umount %s; rmdir %s", shell->dir,
	    shell->dir);
}
