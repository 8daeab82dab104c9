/*
 * Messages between core and wire: length-prefixed MessagePack frames that assume nothing about a
 * shared machine.
 *
 * Owns the wording of every frame and its caps. Never does I/O (frame.h does). Frames that carry
 * secrets live in struct buf, which is wiped and not dumped. Whoever decodes trusts nothing: a
 * frame that is not as agreed is ERR_PROTOCOL.
 *
 * Down: start, scripts, job, close.   Up: ready, begun, done, log.
 */
#ifndef WIRE_MESSAGE_H
#define WIRE_MESSAGE_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "wire.h"

#define MESSAGE_SIZE_MAX (4 * 1024 * 1024) /* scripts are the largest */

enum message_kind {
	MESSAGE_SCRIPTS = 1, /* core → wire */
	MESSAGE_JOB,
	MESSAGE_CLOSE,
	MESSAGE_READY, /* wire → core: sandboxed, scripts are welcome; or the answer to scripts */
	MESSAGE_DONE,
	MESSAGE_LOG,
	MESSAGE_START, /* core → wire: the first frame */
	MESSAGE_BEGUN, /* wire → core: an OPEN that is not urgent */
};

/* Caps that the encoder keeps to and the decoder insists on. */
#define MESSAGE_UP_SIZE_MAX (16 * 1024) /* a frame from a wire: a result is the largest */
#define MESSAGE_SCRIPTS_MAX 1024
#define MESSAGE_PINS_MAX    64
#define MESSAGE_TIMEOUT_MAX (24u * 3600 * 1000)

/*
 * A decoded frame. Texts, keys and targets point into memory of the message itself, and live until
 * message_clear; secrets are struct secret, owned by the message unless taken (set to NULL).
 */
struct message {
	enum message_kind kind;
	uint32_t session; /* JOB, CLOSE, DONE: the core's number, unique for the wire's life */
	uint32_t number;  /* JOB, DONE */
	/* SCRIPTS */
	uint32_t snapshot;
	struct wire_script *scripts;
	size_t script_count;
	/* JOB: the target comes with each OPEN. */
	struct wire_target target; /* `via` is always NULL here: */
	uint32_t via;		   /* the gateway's session; 0 = directly */
	struct wire_job job;
	struct secret *secret, *passphrase, *old, *become_secret; /* what job points to */
	/* DONE; of the message's own, as these are large and most messages have none */
	struct wire_result *result;
	/* READY, LOG: text; READY with code ERR_OK, or what is wrong */
	struct error *error;
	uint32_t level;
	/* START */
	bool sandbox;
	bool slow_lane;
	/* private: where the above points */
	struct message_block *storage;
};

/*
 * Each appends one whole frame, length first (4 bytes, big-endian), to `out`; where it does not
 * fit, or would pass a cap above, `out` has failed.
 */
void message_put_start(struct buf *out, bool sandbox, bool slow_lane);
void message_put_scripts(
    struct buf *out, uint32_t snapshot, const struct wire_script *, size_t count);
/* `via` goes with a target. */
void message_put_job(struct buf *out, uint32_t session, uint32_t number, const struct wire_target *,
    uint32_t via, const struct wire_job *);
void message_put_close(struct buf *out, uint32_t session);
void message_put_ready(struct buf *out, const struct error *);
void message_put_done(
    struct buf *out, uint32_t session, uint32_t number, const struct wire_result *);
void message_put_begun(struct buf *out, uint32_t session);
void message_put_log(struct buf *out, uint32_t level, const char *text);

/*
 * Decodes one frame without its length. ERR_PROTOCOL; or ERR_FULL when the secure heap is full:
 * then kind, session and number are set. Clear it in any case.
 */
enum err message_get(struct message *, const void *frame, size_t len) MUST_CHECK;
void message_clear(struct message *);
/* The pins of its target, when no host key is to be checked any more. */
void message_drop_pins(struct message *);

#endif
