/*
 * The platform "unix" as it ships: the file of keys, changed for real by each set of tools.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "unix_help.h"

#define SSH  "/home/app/.ssh"
#define KEYS SSH "/authorized_keys"
#define TEMP KEYS ".lockstep"

#define MARK  "lockstep:a.b"
#define NEW   "ssh-ed25519 AAAAC3Nz/new+key= " MARK
#define OLD   "ssh-ed25519 AAAAC3Nz/old+key= " MARK
#define OTHER "ssh-rsa AAAAB3Nz/other me@there"

/* All that may stand in such a file, and what is ours or only looks like it. */
#define KEPT                                                                                       \
	"# a comment\n\n" OTHER "\nfrom=\"10.0.0.0/8\",command=\"echo \\\"a b\\\"\" " OTHER "\n"   \
	"ssh-rsa AAAAB3Nz lockstep:aXb\n# " OLD "\nssh-rsa AAAAB3Nz " MARK "2\n"                   \
	"ssh-rsa AAAAB3Nz " MARK " too\nssh-rsa AAAAB3Nz crlf\r\n"
#define OURS OLD "\nfrom=\"10.0.0.0/8\" " OLD " \n" OLD "\r\n"

static struct unix_answer ask(
    struct shell *shell, enum script_call call, enum wire_key_replace replace)
{
	const struct wire_ssh_key key = {
	    .line = call == SCRIPT_CHECK ? NULL : NEW, .mark = MARK, .replace = replace};
	const struct script_config config = {
	    .platform = "unix", .call = call, .account = "app", .key = &key};

	return unix_ask(shell, &config);
}

static void assert_done(struct shell *shell, const struct unix_answer *answer)
{
	char path[96];

	if (answer->err == ERR_OK && answer->outcome.text[0] == '\0')
		return;
	snprintf(path, sizeof(path), "%s/err", shell->dir);
	fail_msg("%s: %s\n%s", shell->sh, answer->outcome.text, unix_text(path));
}

static void add(struct shell *shell)
{
	struct unix_answer answer = ask(shell, SCRIPT_CHANGE_KEY, WIRE_KEY_ADD);

	assert_done(shell, &answer);
}

static void settle(struct shell *shell, enum wire_key_replace replace)
{
	struct unix_answer answer = ask(shell, SCRIPT_PERSIST, replace);

	assert_done(shell, &answer);
}

static void assert_keys(struct shell *shell, const char *path, const char *text)
{
	const char *found = unix_text(path);

	if (found == NULL || strcmp(found, text) != 0)
		fail_msg("%s: %s holds \"%s\" and not \"%s\"", shell->sh, path,
		    found != NULL ? found : "(nothing)", text);
}

static void assert_like(const char *path, const char *mode_owner)
{
	struct stat stat_now;
	char text[64] = "(nothing)";

	if (lstat(path, &stat_now) == 0)
		snprintf(text, sizeof(text), "%o %d:%d", stat_now.st_mode & 07777,
		    (int)stat_now.st_uid, (int)stat_now.st_gid);
	assert_string_equal(text, mode_owner);
}

static void make_dir(const char *path, mode_t mode)
{
	if (mkdir(path, mode) != 0 || chown(path, atoi(UNIX_UID), atoi(UNIX_UID)) != 0)
		fail_msg("%s cannot be made", path);
}

/* A home as it was made; and then what stands in its file of keys. */
static void home(void)
{
	unix_do("rm -rf /home/app /home/elsewhere");
	make_dir("/home/app", 0755);
}

static void home_with(const char *text)
{
	FILE *file;

	home();
	make_dir(SSH, 0700);
	file = fopen(KEYS, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	if (chmod(KEYS, 0600) != 0 || chown(KEYS, atoi(UNIX_UID), atoi(UNIX_UID)) != 0)
		fail_msg("the file of keys cannot be made");
}

/* ── Adding ──────────────────────────────────────────────────────────────────────────────── */

static void add_all(struct shell *shell)
{
	home_with(KEPT OURS);
	add(shell);
	assert_keys(shell, KEYS, KEPT OURS NEW "\n");
	assert_like(KEYS, "600 " UNIX_UID ":" UNIX_UID);
	add(shell);
	assert_keys(shell, KEYS, KEPT OURS NEW "\n");
	home_with(OTHER);
	add(shell);
	assert_keys(shell, KEYS, OTHER "\n" NEW "\n");
	home_with("");
	add(shell);
	assert_keys(shell, KEYS, NEW "\n");
	home_with(OTHER "\r\n" OTHER);
	unix_do("chmod 640 " KEYS);
	add(shell);
	assert_keys(shell, KEYS, OTHER "\r\n" OTHER "\n" NEW "\n");
	assert_like(KEYS, "640 " UNIX_UID ":" UNIX_UID);
	assert_int_not_equal(access(TEMP, F_OK), 0);
}

static void add_first(struct shell *shell)
{
	home();
	add(shell);
	assert_keys(shell, KEYS, NEW "\n");
	assert_like(SSH, "700 " UNIX_UID ":" UNIX_UID);
	assert_like(KEYS, "600 " UNIX_UID ":" UNIX_UID);
	unix_do("rm " KEYS);
	add(shell);
	assert_keys(shell, KEYS, NEW "\n");
	/* The account may not write in its home. */
	home();
	unix_do("chown root:root /home/app");
	add(shell);
	assert_keys(shell, KEYS, NEW "\n");
	assert_like(SSH, "700 " UNIX_UID ":" UNIX_UID);
	assert_like(KEYS, "600 " UNIX_UID ":" UNIX_UID);
}

/* The group has no more rights than others: that root's stands there means nothing. */
static void add_of_group(struct shell *shell)
{
	home_with(OTHER "\n");
	unix_do("chgrp root " KEYS);
	add(shell);
	assert_keys(shell, KEYS, OTHER "\n" NEW "\n");
	assert_like(KEYS, "600 " UNIX_UID ":" UNIX_UID);
}

/* What a run left that was killed is no hindrance. */
static void add_after_kill(struct shell *shell)
{
	home_with(OTHER "\n");
	unix_do("echo half >" TEMP "; chmod 644 " TEMP);
	add(shell);
	assert_keys(shell, KEYS, OTHER "\n" NEW "\n");
	assert_int_not_equal(access(TEMP, F_OK), 0);
}

/* Root's directory: worked in by root, and what is there stays as it is. */
static void add_of_root(struct shell *shell)
{
	home_with(OTHER "\n");
	unix_do("chown -R root:root " SSH "; chmod 755 " SSH "; chmod 644 " KEYS);
	add(shell);
	assert_keys(shell, KEYS, OTHER "\n" NEW "\n");
	assert_like(KEYS, "644 0:0");
	unix_do("rm " KEYS);
	add(shell);
	assert_keys(shell, KEYS, NEW "\n");
	assert_like(KEYS, "644 0:0");
	unix_do("chown app " KEYS);
	settle(shell, WIRE_KEY_ALL);
	assert_like(KEYS, "644 " UNIX_UID ":0");
}

static void add_large(struct shell *shell)
{
	struct stat before, after;

	home_with("");
	unix_do("for i in $(seq 20000); do echo 'ssh-rsa AAAAB3Nz key of another'; done >" KEYS);
	stat(KEYS, &before);
	add(shell);
	stat(KEYS, &after);
	assert_int_equal(after.st_size, before.st_size + (off_t)strlen(NEW "\n"));
	settle(shell, WIRE_KEY_OURS);
	stat(KEYS, &after);
	assert_int_equal(after.st_size, before.st_size + (off_t)strlen(NEW "\n"));
	settle(shell, WIRE_KEY_ALL);
	assert_keys(shell, KEYS, NEW "\n");
}

/* ── Removing ────────────────────────────────────────────────────────────────────────────── */

static void settle_all(struct shell *shell)
{
	home_with(OURS KEPT NEW "\n" OTHER);
	settle(shell, WIRE_KEY_ADD);
	assert_keys(shell, KEYS, OURS KEPT NEW "\n" OTHER);
	settle(shell, WIRE_KEY_OURS);
	assert_keys(shell, KEYS, KEPT NEW "\n" OTHER);
	settle(shell, WIRE_KEY_OURS);
	assert_keys(shell, KEYS, KEPT NEW "\n" OTHER);
	assert_like(KEYS, "600 " UNIX_UID ":" UNIX_UID);
	settle(shell, WIRE_KEY_ALL);
	assert_keys(shell, KEYS, "# a comment\n\n# " OLD "\n" NEW "\n");
	settle(shell, WIRE_KEY_ALL);
	assert_keys(shell, KEYS, "# a comment\n\n# " OLD "\n" NEW "\n");
	assert_int_not_equal(access(TEMP, F_OK), 0);
}

/* Without the new one nothing is removed. */
static void settle_without(struct shell *shell)
{
	struct unix_answer answer;

	home_with(KEPT OURS);
	answer = ask(shell, SCRIPT_PERSIST, WIRE_KEY_ALL);
	assert_int_equal(answer.outcome.fault, FAULT_REFUSED);
	assert_non_null(strstr(answer.outcome.text, "the new key is not there any more"));
	assert_keys(shell, KEYS, KEPT OURS);
}

/* ── Refusing ────────────────────────────────────────────────────────────────────────────── */

/* What stands there says no, before anything is sent and when it is; and is as it was. */
static void assert_no(struct shell *shell, const char *how, const char *reason)
{
	struct unix_answer answer;
	struct stat now;

	home_with(KEPT OURS);
	unix_do("cd /home/app && %s", how);
	answer = ask(shell, SCRIPT_CHECK, WIRE_KEY_OURS);
	if (answer.result.finding != FINDING_NO_PROOF ||
	    strstr(answer.outcome.text, reason) == NULL)
		fail_msg("%s: %s: %s", shell->sh, how, answer.outcome.text);
	answer = ask(shell, SCRIPT_CHANGE_KEY, WIRE_KEY_OURS);
	if (answer.outcome.fault != FAULT_REFUSED || strstr(answer.outcome.text, reason) == NULL)
		fail_msg("%s: %s: %s", shell->sh, how, answer.outcome.text);
	if (lstat(KEYS, &now) == 0 && S_ISREG(now.st_mode))
		assert_keys(shell, KEYS, KEPT OURS);
	assert_int_not_equal(access(TEMP, F_OK), 0);
}

static void refuse_all(struct shell *shell)
{
	assert_no(shell, "mv .ssh/authorized_keys x; ln -s ../x .ssh/authorized_keys",
	    "authorized_keys is a symbolic link");
	assert_no(shell, "ln -sf /nowhere .ssh/authorized_keys", "is a symbolic link");
	assert_no(shell, "mv .ssh x; ln -s x .ssh", SSH " is a symbolic link");
	assert_no(shell, "ln .ssh/authorized_keys x", "has 2 names (hard links)");
	assert_no(shell, "rm .ssh/authorized_keys; mkdir .ssh/authorized_keys", "is not a file");
	assert_no(shell, "chmod 777 .ssh", SSH " may be written by everyone");
	assert_no(shell, "chmod 666 .ssh/authorized_keys", "may be written by everyone");
	assert_no(shell, "chmod o+w .", "/home/app may be written by everyone");
	assert_no(shell, "chmod g+w .; chgrp daemon .", "may be written by group");
	assert_no(shell, "chown daemon .ssh/authorized_keys", "is of uid 1");
	assert_no(shell, "chown root .ssh/authorized_keys", "is of uid 0, in a directory of the");
	assert_no(shell, "chown daemon .ssh", SSH);
	assert_no(shell, "chown root .ssh; chmod 777 .ssh", "others may write in it");
	assert_no(shell, "mv .ssh x; mkdir /home/elsewhere; ln -s /home/elsewhere .ssh",
	    "is a symbolic link");
	assert_no(shell, "chmod 640 .ssh/authorized_keys; chgrp daemon .ssh/authorized_keys",
	    "is of group 1, which");
	assert_no(shell, "mv /home/app /home/elsewhere", "/home/app is not there");
	assert_no(shell, "rm -r .ssh; touch .ssh", "cannot be entered");
}

/* ── Logins ──────────────────────────────────────────────────────────────────────────────── */

static void assert_login(
    struct shell *shell, const char *account, bool key, const char *says, const char *reason)
{
	static const struct wire_ssh_key early = {.mark = MARK, .replace = WIRE_KEY_ADD};
	const struct script_config config = {.platform = "unix",
	    .call = SCRIPT_CHECK,
	    .account = account,
	    .proof = WIRE_PROOF_LOGIN,
	    .key = key ? &early : NULL};
	struct unix_answer answer;

	unix_sshd(shell, says);
	answer = unix_ask(shell, &config);
	unix_sshd(shell, "");
	assert_int_equal(answer.err, ERR_OK);
	if (strstr(answer.outcome.text, reason) == NULL ||
	    (reason[0] == '\0' && answer.outcome.text[0] != '\0'))
		fail_msg("%s: %s: %s", shell->sh, says, answer.outcome.text);
	assert_int_equal(answer.result.finding, reason[0] == '\0' ? FINDING_OK : FINDING_NO_PROOF);
}

static void login_all(struct shell *shell)
{
	static const struct {
		const char *says, *password, *key; /* why not */
	} cases[] = {
	    {"", "", ""},
	    {"port 0\\n", "", ""},
	    {"port 22\\ndenyusers app\\n", "", ""}, /* not the one that serves us */
	    {"port 22\\nport 0\\ndenyusers app\\n", "DenyUsers names it", "DenyUsers names it"},
	    {"port 0\\ndenyusers appx\\ndenyusers ap?\\n", "DenyUsers", "DenyUsers"},
	    {"port 0\\ndenyusers app@192.0.2.1\\n", "", ""},
	    {"port 0\\nallowusers ops\\nallowusers ap\\n", "AllowUsers does not", "AllowUsers"},
	    {"port 0\\nallowusers ops\\nallowusers a*\\n", "", ""},
	    {"port 0\\nallowusers ops@host\\n", "", ""},
	    {"port 0\\ndenygroups app\\n", "DenyGroups names a group", "DenyGroups"},
	    {"port 0\\nallowgroups ssh\\n", "AllowGroups names no group", "AllowGroups"},
	    {"port 0\\nallowgroups ssh\\nallowgroups app\\n", "", ""},
	    {"port 0\\npermitrootlogin no\\n", "", ""},
	    {"port 0\\nforcecommand none\\n", "", ""},
	    {"port 0\\nforcecommand internal-sftp\\n",
		"ForceCommand runs something else: "
		"internal-sftp",
		"ForceCommand"},
	    {"port 0\\npasswordauthentication no\\nkbdinteractiveauthentication no\\n",
		"PasswordAuthentication is no", ""},
	    {"port 0\\npasswordauthentication no\\nkbdinteractiveauthentication yes\\n", "", ""},
	    {"port 0\\npasswordauthentication no\\nkbdinteractiveauthentication yes\\nusepam no"
	     "\\n",
		"PasswordAuthentication is no", ""},
	    {"port 0\\npubkeyauthentication no\\n", "", "PubkeyAuthentication is no"},
	    {"port 0\\nauthenticationmethods any\\n", "", ""},
	    {"port 0\\nauthenticationmethods publickey,password publickey\\n",
		"asks for more than a password", ""},
	    {"port 0\\nauthenticationmethods publickey,keyboard-interactive:pam\\n",
		"asks for more than a password", "asks for more than a key"},
	    {"port 0\\nauthenticationmethods keyboard-interactive:pam\\n", "",
		"asks for more than a key"},
	};

	home();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_login(shell, "app", false, cases[i].says, cases[i].password);
		if (strcmp(shell->sh, "dash") == 0)
			assert_login(shell, "app", true, cases[i].says, cases[i].key);
	}
	assert_login(
	    shell, "root", false, "port 0\\npermitrootlogin no\\n", "PermitRootLogin is no");
	assert_login(shell, "root", false, "port 0\\npermitrootlogin without-password\\n",
	    "PermitRootLogin is without-password");
	assert_login(shell, "root", false, "port 0\\npermitrootlogin yes\\n", "");
}

/* Where sshd looks for keys. */
static void files_all(struct shell *shell)
{
	home_with(OTHER "\n");
	unix_sshd(shell, "port 0\\nauthorizedkeysfile /home/keys/%u .ssh/authorized_keys\\n");
	unix_do("rm -rf /home/keys; mkdir /home/keys; echo '" OLD "' >/home/keys/app");
	add(shell);
	assert_keys(shell, "/home/keys/app", OLD "\n" NEW "\n");
	assert_keys(shell, KEYS, OTHER "\n");
	settle(shell, WIRE_KEY_ALL);
	assert_keys(shell, "/home/keys/app", NEW "\n");
	assert_keys(shell, KEYS, "");
	/* The first that is there; else the first. */
	unix_do("rm /home/keys/app; echo '" OTHER "' >" KEYS "; chown app:app " KEYS);
	add(shell);
	assert_keys(shell, KEYS, OTHER "\n" NEW "\n");
	unix_do("rm " KEYS);
	add(shell);
	assert_keys(shell, "/home/keys/app", NEW "\n");
	assert_like("/home/keys/app", "644 0:0");
	unix_sshd(shell, "port 0\\nauthorizedkeysfile %h/keys%%%U\\nstrictmodes no\\n");
	unix_do("chmod 777 /home/app");
	add(shell);
	assert_keys(shell, "/home/app/keys%" UNIX_UID, NEW "\n");
	unix_sshd(shell, "");
	unix_do("rm -r /home/keys");
}

static void files_refused(struct shell *shell)
{
	unix_sshd(shell, "port 0\\nauthorizedkeysfile none\\n");
	assert_no(shell, "true", "AuthorizedKeysFile is none");
	unix_sshd(shell, "port 0\\nauthorizedkeysfile .ssh/%q\\n");
	assert_no(shell, "true", "AuthorizedKeysFile .ssh/%q is not understood");
	unix_sshd(shell, "port 0\\nauthorizedkeysfile /home/keys/%u\\n");
	assert_no(shell, "true", "the directory /home/keys is not there");
	/* The account could have put anything there. */
	assert_no(shell, "chown root .ssh; mv .ssh x; mkdir -p y/keys; ln -s app/y/keys /home/keys",
	    "/home/keys is a symbolic link");
	unix_do("rm /home/keys");
	unix_sshd(shell, "port 0\\nauthorizedkeysfile /home/app/a/b/keys\\n");
	assert_no(shell, "mkdir -p /home/elsewhere/b; ln -s /home/elsewhere a",
	    "/home/app/a/b is of root, and others may change the way to it");
	unix_sshd(shell, "");
}

/* ── Accidents ───────────────────────────────────────────────────────────────────────────── */

/*
 * Each tool that changes something, and some beside, can be called through a wrapper that counts,
 * and kills all at the count told.
 */
static void make_wrappers(struct shell *shell)
{
	unix_do("cd %s && rm -rf wrap && mkdir wrap && for t in cp mv rm mkdir sync chown chmod "
		"chcon grep tail wc setpriv su; do [ -x %s/$t ] || continue; printf "
		"'%%s\\n' '#!/bin/sh' 'read n at <%s/count; n=$((n+1)); echo $n $at >%s/count' "
		"'[ $n != $at ] || kill -9 0' \"exec %s/%s/$t \\\"\\$@\\\"\" >wrap/$t; done && "
		"chmod 755 wrap/*",
	    shell->dir, shell->sh, shell->dir, shell->dir, shell->dir, shell->sh);
}

/* Killed at each step, the file is what it was or what it shall be; then it is brought to its end.
 */
static void kill_each(
    struct shell *shell, enum script_call call, const char *before, const char *after)
{
	char wrap[128], counter[128];
	unsigned at = 0;

	snprintf(wrap, sizeof(wrap), "%s/wrap:", shell->dir);
	snprintf(counter, sizeof(counter), "%s/count", shell->dir);
	make_wrappers(shell);
	do {
		const char *found;
		struct unix_answer answer;

		home_with(before);
		unix_do("echo 0 %u >%s; chmod 666 %s", ++at, counter, counter);
		shell->before = wrap;
		(void)ask(shell, call, WIRE_KEY_OURS);
		shell->before = "";
		found = unix_text(KEYS);
		if (found == NULL || (strcmp(found, before) != 0 && strcmp(found, after) != 0))
			fail_msg("%s: killed at %u: \"%s\"", shell->sh, at, found);
		assert_like(KEYS, "600 " UNIX_UID ":" UNIX_UID);
		answer = ask(shell, call, WIRE_KEY_OURS);
		assert_done(shell, &answer);
		assert_keys(shell, KEYS, after);
	} while ((unsigned)atoi(unix_text(counter)) >= at);
	assert_in_range(at, 8, 100);
}

static void kill_all(struct shell *shell)
{
	kill_each(shell, SCRIPT_CHANGE_KEY, KEPT OURS, KEPT OURS NEW "\n");
	if (strcmp(shell->sh, "dash") == 0)
		kill_each(shell, SCRIPT_PERSIST, OURS KEPT NEW "\n", KEPT NEW "\n");
}

/* All but `free_kb` of 64 KB is used, 12 of these by a file to which not one line can be added. */
static void home_full(const char *line, unsigned free_kb)
{
	home();
	unix_do("mount -t tmpfs -o size=64k,mode=755 size /home/app && chown app:app /home/app && "
		"mkdir -m 700 " SSH
		" && { head -c %zu /dev/zero | tr '\\0' '#'; printf '\\n%%s\\n' "
		"'%s'; } >" KEYS " && chmod 600 " KEYS " && chown -R app:app " SSH
		" && head -c %uk /dev/zero >/home/app/x",
	    12280 - strlen(line), line, 64 - 12 - free_kb);
}

/* With less and less room, the file is as it was or as it shall be, and nothing is left over. */
static void full_each(struct shell *shell, enum script_call call, const char *line)
{
	unsigned refused = 0;

	for (unsigned free_kb = 4; free_kb <= 16; free_kb += 4) {
		struct stat before, after;
		struct unix_answer answer;

		home_full(line, free_kb);
		stat(KEYS, &before);
		answer = ask(shell, call, WIRE_KEY_OURS);
		stat(KEYS, &after);
		assert_int_equal(after.st_size == before.st_size, answer.err != ERR_OK);
		assert_int_equal(after.st_ino == before.st_ino, answer.err != ERR_OK);
		assert_int_not_equal(access(TEMP, F_OK), 0);
		refused += answer.err != ERR_OK;
		if (answer.err != ERR_OK &&
		    strstr(answer.outcome.text, "is the disk full?") == NULL)
			fail_msg("%s: %s", shell->sh, answer.outcome.text);
		unix_do("umount /home/app");
	}
	assert_int_equal(refused, call == SCRIPT_PERSIST ? 2 : 3);
}

static void full_all(struct shell *shell)
{
	full_each(shell, SCRIPT_CHANGE_KEY, OLD);
	full_each(shell, SCRIPT_PERSIST, OLD "\n" NEW);
}

/* ── Tests ───────────────────────────────────────────────────────────────────────────────── */

#define EACH(name, count, fn)                                                                      \
	static void name(void **state)                                                             \
	{                                                                                          \
		if (*state == NULL)                                                                \
			skip();                                                                    \
		unix_each(*state, count, fn);                                                      \
	}

EACH(test_add, UNIX_ALL, add_all)
EACH(test_add_first, UNIX_TOOLS, add_first)
EACH(test_add_of_group, UNIX_TOOLS, add_of_group)
EACH(test_add_after_kill, UNIX_TOOLS, add_after_kill)
EACH(test_add_of_root, UNIX_TOOLS, add_of_root)
EACH(test_add_large, UNIX_TOOLS, add_large)
EACH(test_settle, UNIX_ALL, settle_all)
EACH(test_settle_without, UNIX_TOOLS, settle_without)
EACH(test_refuse, UNIX_TOOLS, refuse_all)
EACH(test_login, UNIX_TOOLS, login_all)
EACH(test_files, UNIX_TOOLS, files_all)
EACH(test_files_refused, UNIX_TOOLS, files_refused)
EACH(test_kill, UNIX_TOOLS, kill_all)
EACH(test_full, UNIX_TOOLS, full_all)

static int setup(void **state)
{
	static const char *const platforms[] = {"unix", NULL};

	*state = unix_new(platforms);
	return 0;
}

static int teardown(void **state)
{
	unix_free(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_add),
	    cmocka_unit_test(test_add_first),
	    cmocka_unit_test(test_add_of_group),
	    cmocka_unit_test(test_add_after_kill),
	    cmocka_unit_test(test_add_of_root),
	    cmocka_unit_test(test_add_large),
	    cmocka_unit_test(test_settle),
	    cmocka_unit_test(test_settle_without),
	    cmocka_unit_test(test_refuse),
	    cmocka_unit_test(test_login),
	    cmocka_unit_test(test_files),
	    cmocka_unit_test(test_files_refused),
	    cmocka_unit_test(test_kill),
	    cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
