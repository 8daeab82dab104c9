#include "wire/message.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/pack.h"
#include "base/text.h"

#define FAILED_ATTEMPTS_MAX 64

/* Memory of a message: freed with it. */
struct message_block {
	struct message_block *next;
	char bytes[];
};

/* One map of a frame. The first thing that is not as agreed stays in `err`, all after is empty. */
struct reader {
	struct message *message;
	const struct value *map;
	enum err err;
};

static void *message_alloc(struct message *message, size_t size)
{
	struct message_block *block = xcalloc(1, sizeof(*block) + size);

	block->next = message->storage;
	message->storage = block;
	return block->bytes;
}

static void reader_fail(struct reader *reader, enum err err)
{
	if (reader->err == ERR_OK)
		reader->err = err;
}

static uint64_t read_uint(struct reader *reader, const char *key, uint64_t max)
{
	uint64_t value = value_uint(value_get(reader->map, key), UINT64_MAX);

	if (value > max) {
		reader_fail(reader, ERR_PROTOCOL);
		return 0;
	}
	return value;
}

static bool read_bool(struct reader *reader, const char *key)
{
	const struct value *value = value_get(reader->map, key);
	bool is = value_bool(value, false);

	if (is != value_bool(value, true))
		reader_fail(reader, ERR_PROTOCOL);
	return is;
}

/* Bytes that must be there; up to `max`. */
static const void *read_bytes(struct reader *reader, const char *key, size_t max, size_t *len)
{
	const void *bytes = value_bytes(value_get(reader->map, key), len);

	if (bytes == NULL || *len > max) {
		reader_fail(reader, ERR_PROTOCOL);
		*len = 0;
		return "";
	}
	return bytes;
}

/* A copy in memory of the message, with a NUL after it. */
static const char *read_copy(struct reader *reader, const char *key, size_t *len)
{
	const void *bytes = read_bytes(reader, key, MESSAGE_SIZE_MAX, len);
	char *copy = message_alloc(reader->message, *len + 1);

	memcpy(copy, bytes, *len);
	return copy;
}

/* Text in memory of the message; NULL when it is nil and may be. */
static const char *read_text(struct reader *reader, const char *key, bool optional)
{
	const char *text;
	size_t len;

	if (optional && value_is_nil(value_get(reader->map, key)))
		return NULL;
	text = read_copy(reader, key, &len);
	if (strlen(text) != len)
		reader_fail(reader, ERR_PROTOCOL);
	return text;
}

/* Text for people, into an array. */
static void read_shown(struct reader *reader, const char *key, char *out, size_t size)
{
	size_t len;
	const char *bytes = read_bytes(reader, key, size - 1, &len);

	if (!text_is_utf8(bytes, len)) {
		reader_fail(reader, ERR_PROTOCOL);
		len = 0;
	}
	memcpy(out, bytes, len);
	out[len] = '\0';
}

static void read_secret(struct reader *reader, const char *key, struct secret **out)
{
	const void *bytes;
	size_t len;

	if (value_is_nil(value_get(reader->map, key)))
		return;
	bytes = read_bytes(reader, key, SECRET_SIZE_MAX, &len);
	if (reader->err != ERR_OK)
		return;
	*out = secret_from(bytes, len);
	if (*out == NULL)
		reader_fail(reader, ERR_FULL);
}

/* A word of an enumeration or a protocol: printable ASCII without spaces. */
static void read_word(struct reader *reader, const char *key, char *out, size_t size)
{
	read_shown(reader, key, out, size);
	for (const char *at = out; *at != '\0'; at++) {
		if (!isgraph((unsigned char)*at))
			reader_fail(reader, ERR_PROTOCOL);
	}
}

static void read_key(struct reader *outer, const struct value *value, struct wire_key *key)
{
	struct reader reader = {.message = outer->message, .map = value};
	const void *blob;

	read_word(&reader, "type", key->type, sizeof(key->type));
	blob = read_bytes(&reader, "blob", sizeof(key->blob), &key->len);
	memcpy(key->blob, blob, key->len);
	reader_fail(outer, reader.err);
}

static void read_pins(struct reader *reader, struct wire_target *target)
{
	const struct value *pins = value_get(reader->map, "pins");
	size_t count = value_count(pins);
	struct wire_key *keys;

	if (count > MESSAGE_PINS_MAX) {
		reader_fail(reader, ERR_PROTOCOL);
		return;
	}
	if (count == 0)
		return;
	keys = message_alloc(reader->message, count * sizeof(*keys));
	for (size_t i = 0; i < count; i++)
		read_key(reader, value_item(pins, i), &keys[i]);
	target->pins = keys;
	target->pin_count = count;
}

static void read_target(struct reader *outer, struct message *message)
{
	struct reader reader = {.message = message};
	struct wire_target *target = &message->target;

	reader.map = value_get(outer->map, "target");
	target->asset = read_text(&reader, "asset", false);
	target->address = read_text(&reader, "address", false);
	target->port = (uint16_t)read_uint(&reader, "port", UINT16_MAX);
	target->known_only = read_bool(&reader, "known_only");
	target->urgent = read_bool(&reader, "urgent");
	message->via = (uint32_t)read_uint(&reader, "via", UINT32_MAX);
	read_pins(&reader, target);
	reader_fail(outer, reader.err);
}

static void read_start(struct reader *reader, struct message *message)
{
	message->sandbox = read_bool(reader, "sandbox");
	message->slow_lane = read_bool(reader, "slow_lane");
}

static void read_scripts(struct reader *reader, struct message *message)
{
	const struct value *scripts = value_get(reader->map, "scripts");
	size_t count = value_count(scripts);

	message->snapshot = (uint32_t)read_uint(reader, "snapshot", UINT32_MAX);
	if (count > MESSAGE_SCRIPTS_MAX) {
		reader_fail(reader, ERR_PROTOCOL);
		return;
	}
	message->scripts = message_alloc(message, count * sizeof(*message->scripts));
	message->script_count = count;
	for (size_t i = 0; i < count; i++) {
		struct reader one = {.message = message, .map = value_item(scripts, i)};
		struct wire_script *script = &message->scripts[i];

		script->platform = read_text(&one, "platform", false);
		script->file = read_text(&one, "file", false);
		script->source = read_copy(&one, "source", &script->len);
		reader_fail(reader, one.err);
	}
}

static void read_ssh_key(struct reader *outer, struct message *message)
{
	struct reader reader = {.message = message};
	struct wire_ssh_key *key;

	reader.map = value_get(outer->map, "ssh_key");
	if (value_is_nil(reader.map))
		return;
	key = message_alloc(message, sizeof(*key));
	key->line = read_text(&reader, "line", true);
	key->mark = read_text(&reader, "mark", false);
	key->replace = (enum wire_key_replace)read_uint(&reader, "replace", WIRE_KEY_ALL);
	if (key->line != NULL && strlen(key->line) >= WIRE_KEY_LINE_SIZE)
		reader_fail(&reader, ERR_PROTOCOL);
	reader_fail(outer, reader.err);
	message->job.ssh_key = key;
}

/* A change is of a password or of a key. */
static bool change_is_whole(const struct wire_job *job)
{
	if (job->ssh_key == NULL)
		return job->secret != NULL;
	return job->secret == NULL && job->ssh_key->line != NULL;
}

/* What a kind of job cannot be done without. */
static bool job_is_whole(const struct wire_job *job)
{
	switch (job->kind) {
	case WIRE_OPEN: return true;
	case WIRE_METHODS: return job->account != NULL;
	case WIRE_CHECK: return job->account != NULL && job->platform != NULL;
	case WIRE_PERSIST:
		return job->account != NULL && job->platform != NULL &&
		       (job->ssh_key == NULL || job->ssh_key->line != NULL);
	case WIRE_CHANGE:
		return job->account != NULL && job->platform != NULL && change_is_whole(job);
	case WIRE_HASH: return job->account != NULL && job->platform != NULL && job->secret != NULL;
	case WIRE_ADMIN:
	case WIRE_LOGIN:
	case WIRE_PROVE:
	case WIRE_SU: return job->account != NULL && job->secret != NULL;
	}
	return false;
}

static void read_job(struct reader *reader, struct message *message)
{
	struct wire_job *job = &message->job;

	message->session = (uint32_t)read_uint(reader, "session", UINT32_MAX);
	message->number = (uint32_t)read_uint(reader, "number", UINT32_MAX);
	job->kind = (enum wire_job_kind)read_uint(reader, "job", WIRE_JOB_LAST);
	if (job->kind == WIRE_OPEN)
		read_target(reader, message);
	job->timeout_ms = read_uint(reader, "timeout_ms", MESSAGE_TIMEOUT_MAX);
	job->snapshot = (uint32_t)read_uint(reader, "snapshot", UINT32_MAX);
	job->platform = read_text(reader, "platform", true);
	job->account = read_text(reader, "account", true);
	job->secret_is_key = read_bool(reader, "is_key");
	job->become = (enum wire_become)read_uint(reader, "become", WIRE_BECOME_DOAS);
	job->proof = (enum wire_proof)read_uint(reader, "proof", WIRE_PROOF_HASH);
	read_ssh_key(reader, message);
	job->params = read_text(reader, "params", true);
	if (job->params != NULL && strlen(job->params) >= WIRE_PARAMS_SIZE)
		reader_fail(reader, ERR_PROTOCOL);
	/* Last, so that a full heap is told only of a job that is as agreed otherwise. */
	read_secret(reader, "secret", &message->secret);
	read_secret(reader, "passphrase", &message->passphrase);
	read_secret(reader, "old", &message->old);
	read_secret(reader, "become_secret", &message->become_secret);
	job->secret = message->secret;
	job->passphrase = message->passphrase;
	job->old = message->old;
	job->become_secret = message->become_secret;
	if (!job_is_whole(job))
		reader_fail(reader, ERR_PROTOCOL);
}

static void read_session(struct reader *reader, struct message *message)
{
	message->session = (uint32_t)read_uint(reader, "session", UINT32_MAX);
}

static void read_ready(struct reader *reader, struct message *message)
{
	message->error = message_alloc(message, sizeof(*message->error));
	message->error->code = (enum err)read_uint(reader, "code", ERR_CANCELED);
	read_shown(reader, "text", message->error->text, sizeof(message->error->text));
}

static void read_done(struct reader *reader, struct message *message)
{
	struct wire_result *result = message_alloc(message, sizeof(*result));

	message->result = result;
	message->session = (uint32_t)read_uint(reader, "session", UINT32_MAX);
	message->number = (uint32_t)read_uint(reader, "number", UINT32_MAX);
	/* That it is dead is not for a wire to say. */
	result->fault = (enum fault)read_uint(reader, "fault", FAULT_WIRE - 1);
	read_shown(reader, "text", result->text, sizeof(result->text));
	read_key(reader, value_get(reader->map, "host_key"), &result->host_key);
	result->host_key_new = read_bool(reader, "host_key_new");
	read_word(reader, "address", result->address, sizeof(result->address));
	result->finding = (enum wire_finding)read_uint(reader, "finding", FINDING_NO_PROOF);
	result->remembers = read_bool(reader, "remembers");
	result->sent = read_bool(reader, "sent");
	result->ended = read_bool(reader, "ended");
	result->targeted = read_bool(reader, "targeted");
	result->verdict = (enum wire_verdict)read_uint(reader, "verdict", VERDICT_MISMATCH);
	result->failed_attempts =
	    (uint32_t)read_uint(reader, "failed_attempts", FAILED_ATTEMPTS_MAX);
	result->via_lost = read_bool(reader, "via_lost");
	result->slow_lane = read_bool(reader, "slow_lane");
}

static void read_log(struct reader *reader, struct message *message)
{
	message->error = message_alloc(message, sizeof(*message->error));
	message->level = (uint32_t)read_uint(reader, "level", UINT32_MAX);
	read_shown(reader, "text", message->error->text, sizeof(message->error->text));
}

enum err message_get(struct message *message, const void *frame, size_t len)
{
	static void (*const readers[])(struct reader *, struct message *) = {
	    [MESSAGE_SCRIPTS] = read_scripts,
	    [MESSAGE_JOB] = read_job,
	    [MESSAGE_CLOSE] = read_session,
	    [MESSAGE_READY] = read_ready,
	    [MESSAGE_DONE] = read_done,
	    [MESSAGE_LOG] = read_log,
	    [MESSAGE_START] = read_start,
	    [MESSAGE_BEGUN] = read_session,
	};
	struct reader reader = {.message = message};
	struct unpack *unpack;

	memset(message, 0, sizeof(*message));
	if (len > MESSAGE_SIZE_MAX || unpack_new(&unpack, frame, len) != ERR_OK)
		return ERR_PROTOCOL;
	reader.map = unpack_root(unpack);
	message->kind = (enum message_kind)read_uint(&reader, "kind", MESSAGE_BEGUN);
	if (reader.err == ERR_OK && readers[message->kind] == NULL)
		reader.err = ERR_PROTOCOL;
	if (reader.err == ERR_OK)
		readers[message->kind](&reader, message);
	unpack_free(unpack);
	return reader.err;
}

void message_drop_pins(struct message *message)
{
	struct wire_target *target = &message->target;
	struct message_block **at = &message->storage;

	while (*at != NULL && (const void *)(*at)->bytes != target->pins)
		at = &(*at)->next;
	if (*at != NULL) {
		struct message_block *block = *at;

		*at = block->next;
		free(block);
	}
	target->pins = NULL;
	target->pin_count = 0;
}

void message_clear(struct message *message)
{
	secret_free(message->secret);
	secret_free(message->passphrase);
	secret_free(message->old);
	secret_free(message->become_secret);
	while (message->storage != NULL) {
		struct message_block *block = message->storage;

		message->storage = block->next;
		free(block);
	}
	memset(message, 0, sizeof(*message));
}
