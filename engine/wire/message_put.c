#include "wire/message.h"

#include <string.h>

#include "base/pack.h"
#include "base/text.h"

#define LENGTH_SIZE 4

/* Leaves room for the length; returns where the frame begins. */
static size_t frame_begin(struct buf *out, enum message_kind kind, size_t pairs)
{
	size_t start = out->len;

	buf_add(out, "\0\0\0\0", LENGTH_SIZE);
	pack_map(out, pairs + 1);
	pack_kv_uint(out, "kind", kind);
	return start;
}

static void frame_end(struct buf *out, size_t start)
{
	size_t len;

	if (buf_failed(out))
		return;
	len = out->len - start - LENGTH_SIZE;
	if (len > MESSAGE_SIZE_MAX) {
		out->failed = true;
		return;
	}
	for (size_t i = 0; i < LENGTH_SIZE; i++)
		out->data[start + i] = (uint8_t)(len >> (8 * (LENGTH_SIZE - 1 - i)));
}

/* The reader insists on UTF-8: what an asset said otherwise is escaped. */
static void put_shown(struct buf *out, const char *key, const char *text)
{
	char shown[WIRE_TEXT_SIZE];

	if (!text_is_utf8(text, strlen(text)) || strlen(text) >= sizeof(shown))
		text = text_escape(shown, sizeof(shown), text, strlen(text));
	pack_kv_text(out, key, text);
}

static void put_secret(struct buf *out, const char *key, const struct secret *secret)
{
	if (secret == NULL) {
		pack_text(out, key);
		pack_nil(out);
	} else {
		pack_kv_bytes(out, key, secret_data(secret), secret_len(secret));
	}
}

static void put_key(struct buf *out, const struct wire_key *key)
{
	pack_map(out, 2);
	pack_kv_text(out, "type", key->type);
	pack_kv_bytes(out, "blob", key->blob, key->len);
}

static void put_target(struct buf *out, const struct wire_target *target, uint32_t via)
{
	pack_text(out, "target");
	if (target == NULL) {
		pack_nil(out);
		return;
	}
	if (target->pin_count > MESSAGE_PINS_MAX)
		out->failed = true;
	pack_map(out, 7);
	pack_kv_text(out, "asset", target->asset);
	pack_kv_text(out, "address", target->address);
	pack_kv_uint(out, "port", target->port);
	pack_kv_bool(out, "known_only", target->known_only);
	pack_kv_bool(out, "urgent", target->urgent);
	pack_kv_uint(out, "via", via);
	pack_text(out, "pins");
	pack_array(out, target->pin_count);
	for (size_t i = 0; i < target->pin_count; i++)
		put_key(out, &target->pins[i]);
}

static void put_ssh_key(struct buf *out, const struct wire_ssh_key *key)
{
	pack_text(out, "ssh_key");
	if (key == NULL) {
		pack_nil(out);
		return;
	}
	pack_map(out, 3);
	pack_kv_text(out, "line", key->line);
	pack_kv_text(out, "mark", key->mark);
	pack_kv_uint(out, "replace", key->replace);
}

void message_put_start(struct buf *out, bool sandbox, bool slow_lane)
{
	size_t start = frame_begin(out, MESSAGE_START, 2);

	pack_kv_bool(out, "sandbox", sandbox);
	pack_kv_bool(out, "slow_lane", slow_lane);
	frame_end(out, start);
}

void message_put_scripts(
    struct buf *out, uint32_t snapshot, const struct wire_script *scripts, size_t count)
{
	size_t start = frame_begin(out, MESSAGE_SCRIPTS, 2);

	if (count > MESSAGE_SCRIPTS_MAX)
		out->failed = true;
	pack_kv_uint(out, "snapshot", snapshot);
	pack_text(out, "scripts");
	pack_array(out, count);
	for (size_t i = 0; i < count; i++) {
		pack_map(out, 3);
		pack_kv_text(out, "platform", scripts[i].platform);
		pack_kv_text(out, "file", scripts[i].file);
		pack_kv_bytes(out, "source", scripts[i].source, scripts[i].len);
	}
	frame_end(out, start);
}

void message_put_job(struct buf *out, uint32_t session, uint32_t number,
    const struct wire_target *target, uint32_t via, const struct wire_job *job)
{
	uint64_t timeout_ms = job->timeout_ms;
	size_t start = frame_begin(out, MESSAGE_JOB, 17);

	if (timeout_ms > MESSAGE_TIMEOUT_MAX)
		timeout_ms = MESSAGE_TIMEOUT_MAX;
	pack_kv_uint(out, "session", session);
	pack_kv_uint(out, "number", number);
	put_target(out, target, via);
	pack_kv_uint(out, "job", job->kind);
	pack_kv_uint(out, "timeout_ms", timeout_ms);
	pack_kv_uint(out, "snapshot", job->snapshot);
	pack_kv_text(out, "platform", job->platform);
	pack_kv_text(out, "account", job->account);
	put_secret(out, "secret", job->secret);
	pack_kv_bool(out, "is_key", job->secret_is_key);
	put_secret(out, "passphrase", job->passphrase);
	put_secret(out, "old", job->old);
	pack_kv_uint(out, "become", job->become);
	put_secret(out, "become_secret", job->become_secret);
	pack_kv_uint(out, "proof", job->proof);
	put_ssh_key(out, job->ssh_key);
	pack_kv_text(out, "params", job->params);
	frame_end(out, start);
}

/* What tells of a session and no more. */
static void put_session(struct buf *out, enum message_kind kind, uint32_t session)
{
	size_t start = frame_begin(out, kind, 1);

	pack_kv_uint(out, "session", session);
	frame_end(out, start);
}

void message_put_close(struct buf *out, uint32_t session)
{
	put_session(out, MESSAGE_CLOSE, session);
}

void message_put_ready(struct buf *out, const struct error *error)
{
	size_t start = frame_begin(out, MESSAGE_READY, 2);

	pack_kv_uint(out, "code", error->code);
	put_shown(out, "text", error->code == ERR_OK ? "" : error->text);
	frame_end(out, start);
}

void message_put_done(
    struct buf *out, uint32_t session, uint32_t number, const struct wire_result *result)
{
	size_t start = frame_begin(out, MESSAGE_DONE, 16);

	pack_kv_uint(out, "session", session);
	pack_kv_uint(out, "number", number);
	pack_kv_uint(out, "fault", result->fault);
	put_shown(out, "text", result->text);
	pack_text(out, "host_key");
	put_key(out, &result->host_key);
	pack_kv_bool(out, "host_key_new", result->host_key_new);
	pack_kv_text(out, "address", result->address);
	pack_kv_uint(out, "finding", result->finding);
	pack_kv_bool(out, "remembers", result->remembers);
	pack_kv_bool(out, "sent", result->sent);
	pack_kv_bool(out, "ended", result->ended);
	pack_kv_bool(out, "targeted", result->targeted);
	pack_kv_uint(out, "verdict", result->verdict);
	pack_kv_uint(out, "failed_attempts", result->failed_attempts);
	pack_kv_bool(out, "via_lost", result->via_lost);
	pack_kv_bool(out, "slow_lane", result->slow_lane);
	frame_end(out, start);
}

void message_put_begun(struct buf *out, uint32_t session)
{
	put_session(out, MESSAGE_BEGUN, session);
}

void message_put_log(struct buf *out, uint32_t level, const char *text)
{
	size_t start = frame_begin(out, MESSAGE_LOG, 2);

	pack_kv_uint(out, "level", level);
	put_shown(out, "text", text);
	frame_end(out, start);
}
