#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/random.h"
#include "vault/master.h"
#include "vault/place.h"

#define HEX_SIZE ((size_t)MASTER_KEY_SIZE * 2)

static enum err secure_heap_full(struct error *error)
{
	return error_set(error, ERR_FULL, "no room for the master key in the memory for secrets");
}

static enum err file_check(const char *path, int fd, struct error *error)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return error_set(error, ERR_IO, "master key %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return error_set(error, ERR_DENIED, "master key %s is not a regular file", path);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return error_set(error, ERR_DENIED,
		    "master key %s belongs to user id %u, not to us (%u) nor root: chown it", path,
		    (unsigned)st.st_uid, (unsigned)geteuid());
	if ((st.st_mode & 077) != 0)
		return error_set(error, ERR_DENIED,
		    "master key %s is open to others (mode %04o): close it with chmod 400 %s", path,
		    (unsigned)(st.st_mode & 07777), path);
	return ERR_OK;
}

/* O_NONBLOCK: a FIFO in its place must not hang us before it is seen not to be a file. */
static enum err file_open(const char *path, int *fd, struct error *error)
{
	enum err err;

	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (*fd < 0 && errno == ELOOP)
		return error_set(error, ERR_DENIED,
		    "master key %s is a symbolic link: name the file itself", path);
	if (*fd < 0 && errno == ENOENT)
		return error_set(error, ERR_NOT_FOUND,
		    "there is no master key at %s: put back the file that was made with the vault",
		    path);
	if (*fd < 0)
		return error_set(error, place_err(errno), "master key %s cannot be read: %s", path,
		    strerror(errno));
	err = file_check(path, *fd, error);
	if (err != ERR_OK) {
		close(*fd);
		*fd = -1;
	}
	return err;
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool hex_decode(const uint8_t *hex, char *out)
{
	for (size_t i = 0; i < MASTER_KEY_SIZE; i++) {
		int high = hex_digit(hex[2 * i]);
		int low = hex_digit(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (char)(high << 4 | low);
	}
	return true;
}

static enum err key_parse(
    const char *path, const struct buf *text, struct secret **key, struct error *error)
{
	size_t len = text->len;

	if (len == HEX_SIZE + 1 && text->data[HEX_SIZE] == '\n')
		len--;
	*key = secret_new(MASTER_KEY_SIZE);
	if (*key == NULL)
		return secure_heap_full(error);
	if (len == HEX_SIZE && hex_decode(text->data, secret_bytes(*key)))
		return ERR_OK;
	secret_free(*key);
	*key = NULL;
	return error_set(error, ERR_INVALID,
	    "master key %s does not hold a key (%zu hex digits and a newline): put back the file "
	    "that was made with the vault",
	    path, HEX_SIZE);
}

/* One byte more than a key, so that a longer file shows. */
static enum err key_load(const char *path, int fd, struct buf *text, struct error *error)
{
	while (text->len < HEX_SIZE + 2) {
		size_t want = HEX_SIZE + 2 - text->len;
		uint8_t *room = buf_reserve(text, want);
		ssize_t got = room == NULL ? -1 : read(fd, room, want);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_set(error, ERR_IO, "master key %s cannot be read: %s", path,
			    strerror(errno));
		if (got == 0)
			break;
		text->len += (size_t)got;
	}
	return ERR_OK;
}

enum err master_read(const char *path, struct secret **key, struct error *error)
{
	struct buf text;
	int fd;
	enum err err = file_open(path, &fd, error);

	*key = NULL;
	if (err != ERR_OK)
		return err;
	buf_init(&text, HEX_SIZE + 2);
	err = key_load(path, fd, &text, error);
	if (err == ERR_OK)
		err = key_parse(path, &text, key, error);
	buf_clear(&text);
	close(fd);
	return err;
}

static void hex_encode(const struct secret *key, struct buf *out)
{
	static const char digits[] = "0123456789abcdef";
	const char *bytes = secret_data(key);

	for (size_t i = 0; i < MASTER_KEY_SIZE; i++) {
		uint8_t byte = (uint8_t)bytes[i];
		char pair[2] = {digits[byte >> 4], digits[byte & 15]};

		buf_add(out, pair, sizeof(pair));
	}
	buf_add(out, "\n", 1);
}

enum err master_create(const char *path, struct secret **key, struct error *error)
{
	struct buf text;
	enum err err;

	*key = secret_new(MASTER_KEY_SIZE);
	if (*key == NULL)
		return secure_heap_full(error);
	random_bytes(secret_bytes(*key), MASTER_KEY_SIZE);
	buf_init(&text, HEX_SIZE + 1);
	hex_encode(*key, &text);
	err = file_write(path, text.data, text.len, 0400, 0, error);
	buf_clear(&text);
	if (err != ERR_OK) {
		secret_free(*key);
		*key = NULL;
	}
	return err;
}
