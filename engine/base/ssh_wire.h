/*
 * Numbers and strings as SSH's keys are written (RFC 4251, 5), into and out of memory of a known
 * size.
 *
 * Never allocates: whoever keeps a private key decides where it stands.
 */
#ifndef BASE_SSH_WIRE_H
#define BASE_SSH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What does not fit makes it failed, for good. */
struct ssh_writer {
	uint8_t *data; /* NULL: only counts */
	size_t len, room;
	bool failed;
};

void ssh_write(struct ssh_writer *, const void *bytes, size_t len);
void ssh_write_u32(struct ssh_writer *, uint32_t);
void ssh_write_string(struct ssh_writer *, const void *bytes, size_t len);
void ssh_write_text(struct ssh_writer *, const char *text);
/* An unsigned number, big-endian; as short as it can be. */
void ssh_write_mpint(struct ssh_writer *, const uint8_t *bytes, size_t len);

struct ssh_reader {
	const uint8_t *at;
	size_t left;
	bool failed;
};

uint32_t ssh_read_u32(struct ssh_reader *);
/* Points into what is read; NULL when it is cut. */
const uint8_t *ssh_read_string(struct ssh_reader *, size_t *len);

/* "TYPE BASE64" of a public key's blob. False when it is none, or does not fit. */
bool ssh_line_of_blob(const uint8_t *blob, size_t len, char *line, size_t size);

#endif
