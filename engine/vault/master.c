#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"
#include "vault/key_command.h"
#include "vault/master.h"
#include "vault/place.h"

#define HEX_SIZE	 ((size_t)MASTER_KEY_SIZE * 2)
#define KEY_TEXT_MAX	 (HEX_SIZE + 2) /* a byte more than a key, so that a longer one shows */
#define PASSPHRASE_MAX	 1024
#define PASSPHRASE_LEAST 12

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

/* `what` names where it stands. */
static enum err key_parse(
    const char *what, const struct buf *text, struct secret **key, struct error *error)
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
	    "%s does not hold a key (%zu hex digits and a newline): put back the one "
	    "that was made with the vault",
	    what, HEX_SIZE);
}

static enum err fd_load(const char *path, int fd, struct buf *text, struct error *error)
{
	while (text->len < text->size_max) {
		size_t want = text->size_max - text->len;
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

static enum err file_load(const char *path, struct buf *text, struct error *error)
{
	int fd;
	enum err err = file_open(path, &fd, error);

	if (err != ERR_OK)
		return err;
	err = fd_load(path, fd, text, error);
	close(fd);
	return err;
}

/* ── Credentials ─────────────────────────────────────────────────────────────────────────── */

/* systemd gives them to the service alone, so that a command cannot have them. */
static enum err credential_load(const char *name, struct buf *text, struct error *error)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	char *path;
	int fd;
	enum err err;

	if (dir == NULL || dir[0] != '/')
		return error_set(error, ERR_NOT_FOUND,
		    "the master key is the credential \"%s\", and there are no credentials here: "
		    "let systemd start this with LoadCredential=%s:FILE",
		    name, name);
	path = xasprintf("%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		err = error_set(error, ERR_NOT_FOUND,
		    "the credential \"%s\", which is the master key, cannot be read (%s): name it "
		    "in the unit, by LoadCredential=%s:FILE",
		    name, strerror(errno), name);
	else
		err = fd_load(path, fd, text, error);
	if (fd >= 0)
		close(fd);
	free(path);
	return err;
}

/* ── Any of them ─────────────────────────────────────────────────────────────────────────── */

const char *key_source_text(const struct key_source *source, char *out, size_t size)
{
	if (source->file != NULL)
		snprintf(out, size, "master key %s", source->file);
	else if (source->credential != NULL)
		snprintf(out, size, "credential \"%s\"", source->credential);
	else if (source->command != NULL)
		snprintf(out, size, "what \"%s\" prints", source->command[0]);
	else
		snprintf(out, size, "the passphrase");
	return out;
}

static enum err source_load(const struct key_source *source, struct buf *text, struct error *error)
{
	uint64_t timeout_ms = source->timeout_ms != 0 ? source->timeout_ms : KEY_COMMAND_TIMEOUT_MS;

	if (source->file != NULL)
		return file_load(source->file, text, error);
	if (source->credential != NULL)
		return credential_load(source->credential, text, error);
	return key_command_run(source->command, timeout_ms, text, error);
}

static enum err passphrase_ask(
    const struct key_source *source, struct secret **passphrase, struct error *error)
{
	if (source->ask != NULL)
		return source->ask(source->arg, passphrase, error);
	return error_set(error, ERR_NOT_FOUND,
	    "the vault opens by a passphrase, and there is nobody here to ask: name a credential "
	    "that has it, in settings { master_key = { passphrase = true, credential = … } }");
}

/* Without the line's end that an editor leaves. */
static enum err passphrase_take(
    const struct buf *text, struct secret **passphrase, struct error *error)
{
	size_t len = text->len;

	if (len > 0 && text->data[len - 1] == '\n')
		len--;
	*passphrase = secret_from(text->data, len);
	return *passphrase == NULL ? secure_heap_full(error) : ERR_OK;
}

static enum err passphrase_read(
    const struct key_source *source, struct secret **passphrase, struct error *error)
{
	struct buf text;
	enum err err;

	if (source->credential == NULL)
		return passphrase_ask(source, passphrase, error);
	buf_init(&text, PASSPHRASE_MAX);
	err = credential_load(source->credential, &text, error);
	if (err == ERR_OK)
		err = passphrase_take(&text, passphrase, error);
	buf_clear(&text);
	return err;
}

static enum err passphrase_check(struct secret **passphrase, struct error *error)
{
	if (secret_len(*passphrase) >= PASSPHRASE_LEAST)
		return ERR_OK;
	secret_free(*passphrase);
	*passphrase = NULL;
	return error_set(error, ERR_INVALID,
	    "a passphrase of fewer than %d characters is soon guessed by whoever has a backup: "
	    "give a longer one",
	    PASSPHRASE_LEAST);
}

enum err key_read(const struct key_source *source, struct secret **material, struct error *error)
{
	char what[512];
	struct buf text;
	enum err err;

	*material = NULL;
	if (source->passphrase) {
		err = passphrase_read(source, material, error);
		return err == ERR_OK ? passphrase_check(material, error) : err;
	}
	buf_init(&text, KEY_TEXT_MAX);
	err = source_load(source, &text, error);
	if (err == ERR_OK)
		err =
		    key_parse(key_source_text(source, what, sizeof(what)), &text, material, error);
	buf_clear(&text);
	return err;
}

/* ── Making one ──────────────────────────────────────────────────────────────────────────── */

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

enum err master_create(const char *path, bool replace, struct secret **key, struct error *error)
{
	struct buf text;
	enum err err;

	*key = secret_new(MASTER_KEY_SIZE);
	if (*key == NULL)
		return secure_heap_full(error);
	random_bytes(secret_bytes(*key), MASTER_KEY_SIZE);
	buf_init(&text, HEX_SIZE + 1);
	hex_encode(*key, &text);
	err = file_write(path, text.data, text.len, 0400, replace, error);
	buf_clear(&text);
	if (err != ERR_OK) {
		secret_free(*key);
		*key = NULL;
	}
	return err;
}
