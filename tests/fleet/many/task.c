/*
 * What Lockstep has run is known by marks in it, as engine/wire/command.c and the platform "linux"
 * write it: nothing is run, and what is not known is told as such.
 */
#include "many.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Of the scripts of policies/platforms: what stands in this one alone. */
#define MARK_SHELL " $p $t; "
#define MARK_LOOK  "\"place=$place\""
#define MARK_RULES "rule=deny%s"

static const char looks[] = "place=local\nstate=set\nchanged=19000\nlongest=99999\ninactive=\n"
			    "expires=\ntoday=20000\nshell=/bin/sh\nruns=yes\nsu=yes\n";
static const char rules[] = "uid=1000\npermitrootlogin=yes\npubkeyauthentication=yes\n"
			    "passwordauthentication=yes\nusepam=yes\n";

/* ── Reading ─────────────────────────────────────────────────────────────────────────────── */

/* The word that follows `before` in the text; "" where that does not stand there. */
static void word_after(const char *text, const char *before, char *out, size_t size)
{
	const char *at = strstr(text, before);

	out[0] = '\0';
	if (at == NULL)
		return;
	at += strlen(before);
	at += strspn(at, "'\"");
	snprintf(out, size, "%.*s", (int)strcspn(at, " ;\n'\""), at);
}

/* The word that ends where `mark` begins. */
static void word_before(const char *text, const char *mark, char *out, size_t size)
{
	const char *end = strstr(text, mark);
	const char *from = end;

	while (from > text && from[-1] != ' ')
		from--;
	snprintf(out, size, "%.*s", (int)(end - from), from);
}

static enum task_kind kind_of(const char *text)
{
	static const struct {
		const char *mark;
		enum task_kind kind;
	} marks[] = {
	    {MARK_SHELL, TASK_SHELL},
	    {MARK_LOOK, TASK_LOOK},
	    {MARK_RULES, TASK_RULES},
	    {"chpasswd", TASK_CHPASSWD},
	    {"echo ", TASK_ECHO},
	    {"true", TASK_TRUE},
	};

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (strstr(text, marks[i].mark) != NULL)
			return marks[i].kind;
	return TASK_UNKNOWN;
}

void task_read_line(struct task *task, const char *line)
{
	const char *input = strstr(line, "i=; n=");
	const char *run = strstr(line, "( exec ");

	*task = (struct task){.told = true, .kind = kind_of(run != NULL ? run : line)};
	task->go = strncmp(line, "d=$(date", 8) == 0;
	if (input != NULL && run != NULL && input < run)
		task->lines = strtoul(input + 6, NULL, 10);
	word_after(line, "printf \"%s %s\\n\" ", task->nonce, sizeof(task->nonce));
}

void task_read_exec(struct task *task, const char *command)
{
	*task = (struct task){.kind = kind_of(command)};
	if (task->kind == TASK_SHELL)
		word_before(command, MARK_SHELL, task->word, sizeof(task->word));
	else
		word_after(command, "echo ", task->word, sizeof(task->word));
	task->until_end = task->kind == TASK_CHPASSWD && task->word[0] == '\0';
}

/* ── Running ─────────────────────────────────────────────────────────────────────────────── */

struct late {
	struct account *account;
	struct event *event;
	char password[PASSWORD_SIZE];
};

static void late_on_time(evutil_socket_t fd, short what, void *arg)
{
	struct late *late = arg;

	(void)fd;
	(void)what;
	account_set(late->account, late->password, strlen(late->password));
	event_free(late->event);
	free(late);
}

static void set_later(
    struct fleet *fleet, struct account *account, const char *password, size_t len)
{
	struct late *late = xcalloc(1, sizeof(*late));
	struct timeval in = {
	    .tv_sec = fleet->config.middle_ms / 1000,
	    .tv_usec = fleet->config.middle_ms % 1000 * 1000,
	};

	late->account = account;
	snprintf(late->password, sizeof(late->password), "%.*s", (int)len, password);
	late->event = evtimer_new(fleet->base, late_on_time, late);
	evtimer_add(late->event, &in);
}

static void change(struct fleet *fleet, struct asset *asset, struct account *account,
    const char *password, size_t len, struct answer *answer)
{
	fleet->stats.changes++;
	switch (asset->trouble) {
	case TROUBLE_DROP_BEFORE: answer->ending = ENDING_DROP; return;
	case TROUBLE_DROP_MIDDLE:
		set_later(fleet, account, password, len);
		answer->ending = ENDING_DROP;
		return;
	case TROUBLE_REFUSE:
		buf_add_text(&answer->err, "chpasswd: Authentication token manipulation error\n");
		answer->status = 1;
		return;
	case TROUBLE_LIE: return;
	case TROUBLE_DROP_AFTER: answer->ending = ENDING_DROP; break;
	case TROUBLE_PARTIAL: answer->ending = ENDING_HALF; break;
	case TROUBLE_MUTE: answer->ending = ENDING_MUTE; break;
	default: break;
	}
	account_set(account, password, len);
}

/* Lines of ACCOUNT:PASSWORD. */
static void chpasswd(
    struct fleet *fleet, struct asset *asset, const char *lines, struct answer *answer)
{
	while (*lines != '\0') {
		size_t len = strcspn(lines, "\n"), name_len = strcspn(lines, ":\n");
		char name[NAME_SIZE];

		if (name_len >= len || name_len >= sizeof(name)) {
			buf_add_text(&answer->err, "chpasswd: missing new password\n");
			answer->status = 1;
			return;
		}
		memcpy(name, lines, name_len);
		name[name_len] = '\0';
		change(fleet, asset, store_account(&fleet->store, asset, name),
		    lines + name_len + 1, len - name_len - 1, answer);
		lines += len + (lines[len] == '\n');
	}
}

void task_run(const struct task *task, struct fleet *fleet, struct asset *asset, const char *input,
    struct answer *answer)
{
	switch (task->kind) {
	case TASK_SHELL: buf_addf(&answer->out, "%s yes yes\n", task->word); break;
	case TASK_LOOK: buf_add_text(&answer->out, looks); break;
	case TASK_RULES: buf_add_text(&answer->out, rules); break;
	case TASK_CHPASSWD:
		chpasswd(fleet, asset, task->word[0] != '\0' ? task->word : input, answer);
		break;
	case TASK_ECHO: buf_addf(&answer->out, "%s\n", task->word); break;
	case TASK_TRUE: break;
	case TASK_UNKNOWN:
		fleet->stats.unknown++;
		buf_add_text(&answer->err, "many: not understood\n");
		answer->status = 127;
		break;
	}
	if (!task->told)
		return;
	buf_addf(&answer->out, "%s %d\n", task->nonce, answer->status);
	buf_addf(&answer->err, "%s\n", task->nonce);
}
