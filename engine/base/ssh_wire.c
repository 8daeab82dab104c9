#include "base/ssh_wire.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/ssh_key.h"

void ssh_write(struct ssh_writer *writer, const void *bytes, size_t len)
{
	if (writer->data != NULL && len > writer->room - writer->len)
		writer->failed = true;
	if (writer->failed)
		return;
	if (writer->data != NULL && len > 0)
		memcpy(writer->data + writer->len, bytes, len);
	writer->len += len;
}

void ssh_write_u32(struct ssh_writer *writer, uint32_t value)
{
	uint8_t bytes[4] = {
	    (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};

	ssh_write(writer, bytes, sizeof(bytes));
}

void ssh_write_string(struct ssh_writer *writer, const void *bytes, size_t len)
{
	ssh_write_u32(writer, (uint32_t)len);
	ssh_write(writer, bytes, len);
}

void ssh_write_text(struct ssh_writer *writer, const char *text)
{
	ssh_write_string(writer, text, strlen(text));
}

void ssh_write_mpint(struct ssh_writer *writer, const uint8_t *bytes, size_t len)
{
	while (len > 0 && bytes[0] == 0) {
		bytes++;
		len--;
	}
	/* A set top bit would make it negative. */
	if (len > 0 && (bytes[0] & 0x80) != 0) {
		ssh_write_u32(writer, (uint32_t)len + 1);
		ssh_write(writer, "", 1);
		ssh_write(writer, bytes, len);
	} else {
		ssh_write_string(writer, bytes, len);
	}
}

uint32_t ssh_read_u32(struct ssh_reader *reader)
{
	uint32_t value = 0;

	if (reader->left < 4)
		reader->failed = true;
	if (reader->failed)
		return 0;
	for (int i = 0; i < 4; i++)
		value = value << 8 | reader->at[i];
	reader->at += 4;
	reader->left -= 4;
	return value;
}

const uint8_t *ssh_read_string(struct ssh_reader *reader, size_t *len)
{
	const uint8_t *at;

	*len = ssh_read_u32(reader);
	if (*len > reader->left)
		reader->failed = true;
	if (reader->failed) {
		*len = 0;
		return NULL;
	}
	at = reader->at;
	reader->at += *len;
	reader->left -= *len;
	return at;
}

/* A type is one word: it stands in a line of its own before the key. */
static bool is_type(const uint8_t *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~')
			return false;
	return len > 0 && len < SSH_KEY_TYPE_SIZE;
}

bool ssh_line_of_blob(const uint8_t *blob, size_t len, char *line, size_t size)
{
	struct ssh_reader reader = {.at = blob, .left = len};
	size_t type_len;
	const uint8_t *type = ssh_read_string(&reader, &type_len);

	if (type == NULL || !is_type(type, type_len) || type_len + 1 + (len + 2) / 3 * 4 + 1 > size)
		return false;
	memcpy(line, type, type_len);
	line[type_len] = ' ';
	EVP_EncodeBlock((unsigned char *)line + type_len + 1, blob, (int)len);
	return true;
}
