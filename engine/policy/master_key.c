/* Where the master key comes from: a file's path, or a table that says another way. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "policy/loader.h"

#define TIMEOUT_MS     10000
#define TIMEOUT_MIN_MS 100
#define TIMEOUT_MAX_MS 60000
#define COMMAND_MAX    64 /* words */

struct written {
	const char *file;
	const char *credential;
	struct names command;
	uint64_t timeout_ms;
	bool passphrase;
};

#define AT(member) offsetof(struct written, member)

/* A name in a directory, and no way out of it. */
static const char *credential_fault(const char *name)
{
	return name[0] == '\0' || name[0] == '.' || strchr(name, '/') != NULL
		   ? "is no credential's name: give one without a directory"
		   : NULL;
}

static const struct field written_fields[] = {
    {.name = "file", .type = FIELD_TEXT, .offset = AT(file)},
    {.name = "credential", .type = FIELD_TEXT, .offset = AT(credential), .fault = credential_fault},
    {.name = "command", .type = FIELD_NAMES, .offset = AT(command)},
    {.name = "timeout",
	.type = FIELD_DURATION,
	.offset = AT(timeout_ms),
	.min = TIMEOUT_MIN_MS,
	.max = TIMEOUT_MAX_MS},
    {.name = "passphrase", .type = FIELD_FLAG, .offset = AT(passphrase)},
    {0},
};

static const char *ways_fault(const struct written *written)
{
	size_t ways = (written->file != NULL) + (written->credential != NULL) +
		      (written->command.count > 0) + written->passphrase;

	if (ways == 0)
		return "says no way: give file, credential, command or passphrase";
	if (written->command.count > COMMAND_MAX)
		return "has a command of more than 64 words";
	if (ways > 1 && !(ways == 2 && written->passphrase && written->credential != NULL))
		return "says more than one way: give one of file, credential, command and "
		       "passphrase (a passphrase may stand in a credential)";
	return NULL;
}

/* argv, ended by NULL. */
static const char *const *command_of(struct reader *reader, const struct names *words)
{
	const char **argv = arena_alloc(reader->arena, (words->count + 1) * sizeof(*argv));

	for (size_t i = 0; i < words->count; i++)
		argv[i] = words->items[i];
	argv[words->count] = NULL;
	return argv;
}

static void table_read(struct reader *reader, const struct field_path *path, struct master_key *out)
{
	struct written written = {.timeout_ms = TIMEOUT_MS};
	const char *fault;

	schema_read(reader, written_fields, lua_gettop(reader->lua), path, &written);
	fault = ways_fault(&written);
	if (fault != NULL) {
		field_fault(reader, path, fault);
		return;
	}
	*out = (struct master_key){
	    .file = written.file,
	    .credential = written.credential,
	    .command = written.command.count > 0 ? command_of(reader, &written.command) : NULL,
	    .timeout_ms = written.timeout_ms,
	    .passphrase = written.passphrase,
	};
}

static void key_read(struct reader *reader, const struct field_path *path, struct master_key *out)
{
	const char *file;

	if (lua_type(reader->lua, -1) == LUA_TTABLE) {
		table_read(reader, path, out);
		return;
	}
	file = field_text(reader, path, "a file's path, or a table that says another way");
	if (file != NULL)
		*out = (struct master_key){.file = file};
}

void master_key_read(struct reader *reader, const struct field_path *path, void *out)
{
	struct settings *settings = out;

	key_read(reader, path, &settings->master_key);
}

void next_master_key_read(struct reader *reader, const struct field_path *path, void *out)
{
	struct settings *settings = out;

	key_read(reader, path, &settings->next_master_key);
}

const char *master_key_describe(const struct master_key *key, char *out, size_t size)
{
	const char *name = key->file != NULL	     ? key->file
			   : key->credential != NULL ? key->credential
			   : key->command != NULL    ? key->command[0]
						     : "";

	snprintf(out, size, "%s%s%s%s", key->passphrase ? "passphrase" : "",
	    key->passphrase && key->credential != NULL ? ", " : "",
	    key->credential != NULL ? "credential "
	    : key->command != NULL  ? "command "
				    : "",
	    name);
	return out;
}

/* ── Comparing ───────────────────────────────────────────────────────────────────────────── */

bool master_key_is_set(const struct master_key *key)
{
	return key->file != NULL || key->credential != NULL || key->command != NULL ||
	       key->passphrase;
}

static bool same_text(const char *a, const char *b)
{
	return (a == NULL) == (b == NULL) && (a == NULL || strcmp(a, b) == 0);
}

static bool same_command(const char *const *a, const char *const *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	for (; *a != NULL && *b != NULL; a++, b++)
		if (strcmp(*a, *b) != 0)
			return false;
	return *a == *b;
}

bool master_key_same(const struct master_key *a, const struct master_key *b)
{
	return same_text(a->file, b->file) && same_text(a->credential, b->credential) &&
	       same_command(a->command, b->command) && a->passphrase == b->passphrase;
}
