/*
 * Words: how the language names things, and a task's secret and proof as people read them.
 */
#include <stdio.h>

#include "policy/snapshot.h"

const char *become_name(enum become become)
{
	static const char *const names[] = {[BECOME_NONE] = "none",
	    [BECOME_SUDO] = "sudo",
	    [BECOME_SU] = "su",
	    [BECOME_DOAS] = "doas"};

	return names[become];
}

const char *verify_name(enum verify verify)
{
	static const char *const names[] = {[VERIFY_NONE] = "false",
	    [VERIFY_LOGIN] = "login",
	    [VERIFY_SU] = "su",
	    [VERIFY_HASH] = "hash"};

	return names[verify];
}

const char *key_type_name(enum key_type type)
{
	static const char *const names[] = {
	    [KEY_ED25519] = "ed25519", [KEY_ECDSA] = "ecdsa", [KEY_RSA] = "rsa"};

	return names[type];
}

const char *key_replace_name(enum key_replace replace)
{
	static const char *const names[] = {
	    [KEY_ADD] = "add", [KEY_OURS] = "ours", [KEY_ALL] = "all"};

	return names[replace];
}

static void describe_key(const struct ssh_key *key, char *out, size_t size)
{
	static const char *const replaces[] = {
	    [KEY_ADD] = "replaces none", [KEY_OURS] = "replaces ours", [KEY_ALL] = "replaces all"};
	char bits[16] = "";

	if (key->type != KEY_ED25519)
		snprintf(bits, sizeof(bits), " %u bits", key->bits);
	snprintf(
	    out, size, "ssh key %s%s, %s", key_type_name(key->type), bits, replaces[key->replace]);
}

void task_describe_secret(const struct task *task, char *out, size_t size)
{
	if (task->kind == TASK_VERIFY) {
		snprintf(out, size, "verifies only");
		return;
	}
	switch (task->source) {
	case SOURCE_RANDOM: rule_describe(task->rule, out, size); break;
	case SOURCE_SPECIFIED: snprintf(out, size, "specified \"%s\"", task->specified); break;
	case SOURCE_SSH_KEY: describe_key(&task->ssh_key, out, size); break;
	}
}

void task_describe_verify(const struct task *task, char *out, size_t size)
{
	size_t used = 0;

	if (task->verify_count == 0)
		snprintf(out, size, "%s", verify_name(VERIFY_NONE));
	for (size_t i = 0; i < task->verify_count && used < size; i++)
		used += (size_t)snprintf(out + used, size - used, "%s%s", i > 0 ? ", then " : "",
		    verify_name(task->verify[i]));
}
