/*
 * The platform "linux" as it ships. What it runs on an asset is run here by each sh that this
 * machine has, with files of the test in the place of those in /etc.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "wire/dialogue.h"
#include "wire/script.h"

/* Days since 1970 that were long ago, and that are far off. */
#define PAST   "15000"
#define FUTURE "90000"
#define HASH   "$6$salt$hash"

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "app:x:1000:1000:An app:/home/app:/bin/sh\n"
			     "app.x:x:1001:1001::/:/bin/sh\n"
			     "locked:x:1:1::/:/bin/sh\n"
			     "never:x:1:1::/:/bin/sh\n"
			     "star:x:1:1::/:/bin/sh\n"
			     "odd:x:1:1::/:/bin/sh\n"
			     "empty:x:1:1::/:/bin/sh\n"
			     "gone:x:1:1::/:/bin/sh\n"
			     "gone0:x:1:1::/:/bin/sh\n"
			     "later:x:1:1::/:/bin/sh\n"
			     "minus:x:1:1::/:/bin/sh\n"
			     "must:x:1:1::/:/bin/sh\n"
			     "aged:x:1:1::/:/bin/sh\n"
			     "idle:x:1:1::/:/bin/sh\n"
			     "nologin:x:1:1::/:/usr/sbin/nologin\n"
			     "false:x:1:1::/:/bin/false\n"
			     "none:x:1:1::/:/no/such/shell\n"
			     "dir:x:1:1::/:/tmp\n"
			     "default:x:1:1::/:\n"
			     "noshadow:x:1:1::/:/bin/sh\n"
			     "classic:aaaaaaaaaaaaa:1:1::/:/bin/sh\n"
			     "bsd:*:1:1::/:/bin/sh\n"
			     "bsdgone:*:1:1::/:/bin/sh\n"
			     "bsdlocked:*:1:1::/:/bin/sh\n"
			     "last:x:1:1::/:/bin/sh";

/* The BSDs' own, with times in seconds. */
static const char master[] = "bsd:" HASH ":1:1::0:0::/:/bin/sh\n"
			     "bsdgone:" HASH ":1:1::0:1000000000::/:/bin/sh\n"
			     "bsdlocked:*LOCKED*" HASH ":1:1::0:0::/:/bin/sh\n";

static const char shadow[] = "root:" HASH ":" PAST ":0:99999:7:::\n"
			     "app:" HASH ":" PAST ":0:99999:7:::\n"
			     "app.x:!:" PAST ":0:99999:7:::\n"
			     "locked:!" HASH ":" PAST ":0:99999:7:::\n"
			     "never:!:" PAST ":0:99999:7:::\n"
			     "star:*:" PAST ":0:99999:7:::\n"
			     "odd:NP:" PAST ":0:99999:7:::\n"
			     "empty::" PAST ":0:99999:7:::\n"
			     "gone:" HASH ":" PAST ":0:99999:7::" PAST ":\n"
			     "gone0:" HASH ":" PAST ":0:99999:7::0:\n"
			     "later:" HASH ":" PAST ":0:99999:7::" FUTURE ":\n"
			     "minus:" HASH ":" PAST ":0:-1:7:-1:-1:\n"
			     "must:" HASH ":0:0:99999:7:::\n"
			     "aged:" HASH ":" PAST ":0:90:7:::\n"
			     "idle:" HASH ":" PAST ":0:90:7:5::\n"
			     "nologin:" HASH ":" PAST ":0:99999:7:::\n"
			     "false:" HASH ":" PAST ":0:99999:7:::\n"
			     "none:" HASH ":" PAST ":0:99999:7:::\n"
			     "dir:" HASH ":" PAST ":0:99999:7:::\n"
			     "default:" HASH ":" PAST ":0:99999:7:::\n"
			     "last:" HASH ":" PAST ":0:99999:7:::";

struct shell {
	const char *sh; /* runs in the place of `sh` */
	char dir[64];	/* stands for /etc */
	struct scripts *scripts;
	bool targeted;
	int status; /* of chpasswd */
	char line[16384];
	char input[512];
};

/* ── The shell ───────────────────────────────────────────────────────────────────────────── */

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

static int run_here(struct shell *shell, struct command *command)
{
	static const char word[] = "'sh' ";
	struct buf line;
	char chunk[1024];
	FILE *pipe;
	size_t len;

	assert_memory_equal(shell->line, word, strlen(word));
	buf_init(&line, sizeof(shell->line) * 2);
	buf_addf(&line, "PATH=%s:$PATH; %s ", shell->dir, shell->sh);
	snprintf(chunk, sizeof(chunk), "%s/", shell->dir);
	add_replaced(&line, shell->line + strlen(word), "/etc/", chunk);
	buf_addf(&line, " 2>%s/err <<'END'\n%sEND", shell->dir, shell->input);
	pipe = popen(buf_text(&line), "r");
	assert_non_null(pipe);
	while ((len = fread(chunk, 1, sizeof(chunk), pipe)) > 0)
		buf_add(&command->out, chunk, len);
	buf_clear(&line);
	return WEXITSTATUS(pclose(pipe));
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

/* As getent does it: 2 where there is no such entry. */
static int show_entry(struct shell *shell, struct command *command)
{
	static const char words[] = "'getent' 'shadow' '";
	const char *name = shell->line + strlen(words);
	struct buf line;
	char chunk[1024];
	FILE *pipe;
	size_t len;

	assert_memory_equal(shell->line, words, strlen(words));
	buf_init(&line, 4096);
	buf_addf(
	    &line, "grep '^%.*s:' %s/shadow || exit 2", (int)strlen(name) - 1, name, shell->dir);
	pipe = popen(buf_text(&line), "r");
	assert_non_null(pipe);
	len = fread(chunk, 1, sizeof(chunk), pipe);
	buf_add(&command->out, chunk, len);
	buf_clear(&line);
	return WEXITSTATUS(pclose(pipe));
}

enum err shell_run_step(struct shell *shell, struct command *command, struct outcome *outcome)
{
	(void)outcome;
	snprintf(shell->line, sizeof(shell->line), "%s", buf_text(&command->line));
	snprintf(shell->input, sizeof(shell->input), "%s", buf_text(&command->input));
	command->sent = command->input.len > 0;
	command->ended = true;
	if (shell->targeted && !command->plain && strcmp(shell->line, "'chpasswd'") != 0) {
		command->status = show_entry(shell, command);
	} else if (strcmp(shell->line, "'chpasswd'") != 0) {
		command->status = run_here(shell, command);
	} else {
		command->status = shell->status;
		buf_add_text(&command->err, "BAD PASSWORD: it is too short");
	}
	return ERR_OK;
}

/* ── What the tests ask ──────────────────────────────────────────────────────────────────── */

struct answer {
	enum err err;
	struct script_result result;
	struct outcome outcome;
};

static struct answer ask(struct shell *shell, enum script_call call, const char *account,
    enum wire_proof proof, const struct secret *new)
{
	const struct script_config config = {
	    .platform = "linux",
	    .call = call,
	    .asset = "web1",
	    .account = account,
	    .proof = proof,
	    .new_secret = new,
	    .shell = shell,
	};
	struct script *script = script_new(shell->scripts, &config);
	struct answer answer;
	bool busy;

	do
		answer.err = script_step(script, &answer.result, &busy, &answer.outcome);
	while (answer.err == ERR_AGAIN);
	script_free(script);
	return answer;
}

static void assert_found(struct shell *shell, const char *account, enum wire_proof proof,
    enum wire_finding finding, const char *text)
{
	struct answer answer = ask(shell, SCRIPT_CHECK, account, proof, NULL);

	if (answer.err != ERR_OK || answer.result.finding != finding ||
	    strstr(answer.outcome.text, text) == NULL)
		fail_msg("%s, %s: %s: %s", shell->sh, account, finding_name(answer.result.finding),
		    answer.outcome.text);
}

static void check_all(struct shell *shell)
{
	static const struct {
		const char *account;
		enum wire_finding login, hash;
		const char *text; /* for login */
	} cases[] = {
	    {"root", FINDING_OK, FINDING_OK, ""},
	    {"app", FINDING_OK, FINDING_OK, ""},
	    {"app.x", FINDING_LOCKED, FINDING_LOCKED, "locked"},
	    {"appx", FINDING_ABSENT, FINDING_ABSENT, "no such account"},
	    {"ap", FINDING_ABSENT, FINDING_ABSENT, "no such account"},
	    {"0", FINDING_ABSENT, FINDING_ABSENT, "can have this name"},
	    {"-x", FINDING_ABSENT, FINDING_ABSENT, "can have this name"},
	    {"app:x", FINDING_ABSENT, FINDING_ABSENT, "can have this name"},
	    {"directory", FINDING_NO_PROOF, FINDING_NO_PROOF, "not in /etc/passwd"},
	    {"locked", FINDING_LOCKED, FINDING_LOCKED, "locked"},
	    {"never", FINDING_LOCKED, FINDING_LOCKED, "locked"},
	    {"star", FINDING_LOCKED, FINDING_LOCKED, "locked"},
	    {"odd", FINDING_LOCKED, FINDING_LOCKED, "has no password"},
	    {"noshadow", FINDING_LOCKED, FINDING_LOCKED, "has no password"},
	    {"empty", FINDING_OK, FINDING_OK, ""},
	    {"gone", FINDING_EXPIRED, FINDING_EXPIRED, "the account has expired"},
	    {"gone0", FINDING_EXPIRED, FINDING_EXPIRED, "the account has expired"},
	    {"later", FINDING_OK, FINDING_OK, ""},
	    {"minus", FINDING_OK, FINDING_OK, ""},
	    {"must", FINDING_EXPIRED, FINDING_OK, "at the next login"},
	    {"aged", FINDING_OK, FINDING_OK, ""},
	    {"idle", FINDING_EXPIRED, FINDING_EXPIRED, "inactive"},
	    {"nologin", FINDING_NO_PROOF, FINDING_OK, "/usr/sbin/nologin"},
	    {"false", FINDING_NO_PROOF, FINDING_OK, "/bin/false"},
	    {"none", FINDING_NO_PROOF, FINDING_OK, "/no/such/shell"},
	    {"dir", FINDING_NO_PROOF, FINDING_OK, "cannot be run"},
	    {"default", FINDING_OK, FINDING_OK, ""},
	    {"classic", FINDING_OK, FINDING_OK, ""},
	    {"bsd", FINDING_OK, FINDING_OK, ""},
	    {"bsdgone", FINDING_EXPIRED, FINDING_EXPIRED, "the account has expired"},
	    {"bsdlocked", FINDING_LOCKED, FINDING_LOCKED, "locked"},
	    {"last", FINDING_OK, FINDING_OK, ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_found(
		    shell, cases[i].account, WIRE_PROOF_LOGIN, cases[i].login, cases[i].text);
		assert_found(shell, cases[i].account, WIRE_PROOF_SU,
		    cases[i].login == FINDING_EXPIRED ? cases[i].hash : cases[i].login, "");
		assert_found(shell, cases[i].account, WIRE_PROOF_HASH, cases[i].hash, "");
	}
}

static void read_all(struct shell *shell)
{
	static const struct {
		const char *account, *hash;
	} cases[] = {
	    {"app", HASH},
	    {"last", HASH},
	    {"bsd", HASH},
	    {"bsdlocked", NULL},
	    {"classic", "aaaaaaaaaaaaa"},
	    {"locked", NULL},
	    {"empty", NULL},
	    {"noshadow", NULL},
	    {"nobody", NULL},
	    {"directory", NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct answer answer =
		    ask(shell, SCRIPT_READ_HASH, cases[i].account, WIRE_PROOF_NONE, NULL);

		assert_int_equal(answer.err, ERR_OK);
		if (cases[i].hash == NULL)
			assert_null(answer.result.hash);
		else
			assert_string_equal(secret_data(answer.result.hash), cases[i].hash);
		secret_free(answer.result.hash);
	}
}

/* ── Tests ───────────────────────────────────────────────────────────────────────────────── */

static void each_sh(struct shell *shell, void (*fn)(struct shell *))
{
	static const char *const all[][2] = {{"sh", "sh"}, {"dash", "dash"}, {"bash", "bash"},
	    {"busybox", "busybox ash"}, {"mksh", "mksh"}};
	char probe[64];

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		snprintf(probe, sizeof(probe), "command -v %s >/dev/null", all[i][0]);
		if (system(probe) != 0)
			continue;
		shell->sh = all[i][1];
		fn(shell);
	}
}

static void test_check(void **state)
{
	each_sh(*state, check_all);
}

static void test_read_hash(void **state)
{
	each_sh(*state, read_all);
}

/* Where sudoers allow getent and no sh. */
static void test_single_commands(void **state)
{
	struct shell *shell = *state;

	shell->targeted = true;
	each_sh(shell, check_all);
	each_sh(shell, read_all);
	shell->targeted = false;
}

static void test_su(void **state)
{
	struct shell *shell = *state;
	char *path = xasprintf("mkdir -p %s/pam.d", shell->dir);

	shell->sh = "sh";
	assert_int_equal(system(path), 0);
	free(path);
	path = xasprintf("echo '# auth required pam_wheel.so' >%s/pam.d/su", shell->dir);
	assert_int_equal(system(path), 0);
	assert_found(shell, "app", WIRE_PROOF_SU, FINDING_OK, "");
	free(path);
	path = xasprintf("echo 'auth required pam_wheel.so' >%s/pam.d/su", shell->dir);
	assert_int_equal(system(path), 0);
	assert_found(shell, "app", WIRE_PROOF_SU, FINDING_NO_PROOF, "pam_wheel");
	assert_found(shell, "app", WIRE_PROOF_LOGIN, FINDING_OK, "");
	free(path);
	path = xasprintf("rm -r %s/pam.d", shell->dir);
	assert_int_equal(system(path), 0);
	free(path);
}

static void test_change(void **state)
{
	struct shell *shell = *state;
	struct secret *new = secret_from("New+secret.1", 12);
	struct answer answer = ask(shell, SCRIPT_CHANGE, "app", WIRE_PROOF_NONE, new);

	assert_int_equal(answer.err, ERR_OK);
	assert_true(answer.result.sent);
	assert_string_equal(shell->line, "'chpasswd'");
	assert_string_equal(shell->input, "app:New+secret.1\n");
	shell->status = 1;
	answer = ask(shell, SCRIPT_CHANGE, "app", WIRE_PROOF_NONE, new);
	assert_int_equal(answer.outcome.fault, FAULT_REFUSED);
	assert_non_null(strstr(answer.outcome.text, "BAD PASSWORD: it is too short"));
	answer = ask(shell, SCRIPT_CHANGE, "root:x", WIRE_PROOF_NONE, new);
	assert_int_equal(answer.outcome.fault, FAULT_REFUSED);
	assert_false(answer.result.sent);
	secret_free(new);
}

static void put(const char *dir, const char *name, const char *text, mode_t mode)
{
	char path[128];
	struct error error;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (file_write(path, text, strlen(text), mode, false, &error) != ERR_OK)
		fail_msg("%s", error.text);
}

/* "linux" and what it extends. */
static void load(struct shell *shell)
{
	static const char *const names[] = {"unix", "linux"};
	const char *top = getenv("srcdir");
	struct wire_script files[2];
	struct buf sources[2];
	struct error error;
	char path[4096];

	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/policies/platforms/%s.lua",
		    top != NULL ? top : ".", names[i]);
		buf_init(&sources[i], 1024 * 1024);
		if (file_read(path, &sources[i], &error) != ERR_OK)
			fail_msg("%s", error.text);
		files[i] = (struct wire_script){.platform = names[i],
		    .file = names[i],
		    .source = buf_text(&sources[i]),
		    .len = sources[i].len};
	}
	if (scripts_new(&shell->scripts, files, 2, &error) != ERR_OK)
		fail_msg("%s", error.text);
	buf_clear(&sources[0]);
	buf_clear(&sources[1]);
}

static int setup(void **state)
{
	static struct shell shell = {.dir = "/tmp/test_platform_linux.XXXXXX"};
	struct error error;
	bool locked;

	if (secret_heap_init(64 * 1024, &locked, &error) != ERR_OK || mkdtemp(shell.dir) == NULL)
		return -1;
	put(shell.dir, "passwd", passwd, 0644);
	put(shell.dir, "shadow", shadow, 0600);
	put(shell.dir, "master.passwd", master, 0600);
	put(shell.dir, "getent",
	    "#!/bin/sh\n[ \"$1 $2\" = 'passwd directory' ] && echo "
	    "'directory:x:9000:9000::/:/bin/sh'\n",
	    0755);
	load(&shell);
	*state = &shell;
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = {"passwd", "shadow", "master.passwd", "getent", "err"};
	struct shell *shell = *state;
	char path[128];

	scripts_free(shell->scripts);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", shell->dir, names[i]);
		unlink(path);
	}
	return rmdir(shell->dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_check),
	    cmocka_unit_test(test_read_hash),
	    cmocka_unit_test(test_single_commands),
	    cmocka_unit_test(test_su),
	    cmocka_unit_test(test_change),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
