#include "service/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "base/buf.h"
#include "base/mem.h"

#define PEM_MAX	    (1024UL * 1024)
#define WARN_DAYS   7
#define CIPHERS_1_2 "ECDHE+AESGCM:ECDHE+CHACHA20"
#define CHAIN_MAX   10

struct tls {
	SSL_CTX *ctx;
};

/* ── Files ───────────────────────────────────────────────────────────────────────────────── */

static enum err no_file(const char *what, const char *path, int number, struct error *error)
{
	enum err err = number == ENOENT ? ERR_NOT_FOUND : number == EACCES ? ERR_DENIED : ERR_IO;

	return error_set(error, err,
	    "listen: the %s %s cannot be read (%s): name a file that the engine's user may read",
	    what, path, strerror(number));
}

/* Of a link the file that it leads to: programs that renew certificates keep them so. */
static enum err file_check(
    int fd, const char *what, const char *path, bool is_secret, struct error *error)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return no_file(what, path, errno, error);
	if (!S_ISREG(st.st_mode))
		return error_set(error, ERR_DENIED,
		    "listen: the %s %s is no regular file: name one", what, path);
	if (is_secret && st.st_uid != geteuid() && st.st_uid != 0)
		return error_set(error, ERR_DENIED,
		    "listen: the %s %s belongs to user id %u, not to us (%u) nor root: chown it",
		    what, path, (unsigned)st.st_uid, (unsigned)geteuid());
	if (is_secret && (st.st_mode & 077) != 0)
		return error_set(error, ERR_DENIED,
		    "listen: the %s %s is open to others (mode %04o): close it with chmod 400 %s",
		    what, path, (unsigned)(st.st_mode & 07777), path);
	return ERR_OK;
}

static enum err fd_read(
    int fd, const char *what, const char *path, struct buf *buf, struct error *error)
{
	for (;;) {
		uint8_t *room = buf_reserve(buf, 16UL * 1024);
		ssize_t got = room == NULL ? 0 : read(fd, room, 16UL * 1024);

		if (room == NULL)
			return error_set(error, ERR_LIMIT,
			    "listen: the %s %s is larger than 1 MB: name another file", what, path);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return no_file(what, path, errno, error);
		if (got == 0)
			return ERR_OK;
		buf->len += (size_t)got;
	}
}

/* O_NONBLOCK: what is no file is not waited for. */
static enum err file_bytes(
    const char *what, const char *path, bool is_secret, struct buf *buf, struct error *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	enum err err;

	if (fd < 0)
		return no_file(what, path, errno, error);
	err = file_check(fd, what, path, is_secret, error);
	if (err == ERR_OK)
		err = fd_read(fd, what, path, buf, error);
	close(fd);
	return err;
}

/* What OpenSSL said first, and nothing of it is kept. `next`: what to do. */
static enum err wrong(
    const char *what, const char *path, const char *but, const char *next, struct error *error)
{
	unsigned long code = ERR_peek_error();
	const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);

	ERR_clear_error();
	return error_set(error, ERR_INVALID, "listen: the %s %s %s%s%s%s: %s", what, path, but,
	    reason == NULL ? "" : " (", reason == NULL ? "" : reason, reason == NULL ? "" : ")",
	    next);
}

/* ── What the engine shows ───────────────────────────────────────────────────────────────── */

/* Where a key has a passphrase, nobody is asked. */
static int no_passphrase(char *out, int size, int writes, void *arg)
{
	(void)out;
	(void)size;
	(void)writes;
	(void)arg;
	return -1;
}

/* Calls `take` with each certificate; -1: one of them is no certificate, or was not taken. */
static int each_certificate(
    const struct buf *pem, SSL_CTX *ctx, bool (*take)(SSL_CTX *, X509 *, int number))
{
	BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->len);
	bool good = bio != NULL;
	X509 *certificate;
	int count = 0;

	while (good && (certificate = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL) {
		good = take(ctx, certificate, count++);
		X509_free(certificate);
	}
	BIO_free(bio);
	if (good && count > 0 && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
		ERR_clear_error();
	else
		good = false;
	return good ? count : -1;
}

static bool take_own(SSL_CTX *ctx, X509 *certificate, int number)
{
	if (number == 0)
		return SSL_CTX_use_certificate(ctx, certificate) == 1;
	return number <= CHAIN_MAX && SSL_CTX_add1_chain_cert(ctx, certificate) == 1;
}

static enum err use_certificate(SSL_CTX *ctx, const char *path, struct error *error)
{
	static const char what[] = "certificate";
	struct buf pem;
	enum err err;

	buf_init(&pem, PEM_MAX);
	err = file_bytes(what, path, false, &pem, error);
	if (err == ERR_OK && each_certificate(&pem, ctx, take_own) < 0)
		err = wrong(what, path, "holds no certificate in PEM that can be used",
		    "give one that begins with \"-----BEGIN CERTIFICATE-----\"", error);
	buf_clear(&pem);
	return err;
}

static enum err use_key(SSL_CTX *ctx, const struct listen *listen, struct error *error)
{
	static const char what[] = "key";
	EVP_PKEY *key = NULL;
	struct buf pem;
	enum err err;
	BIO *bio;

	buf_init(&pem, PEM_MAX);
	err = file_bytes(what, listen->key, true, &pem, error);
	bio = err == ERR_OK ? BIO_new_mem_buf(pem.data, (int)pem.len) : NULL;
	if (bio != NULL)
		key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	if (err == ERR_OK && key == NULL)
		err = wrong(what, listen->key, "holds no private key in PEM that can be used",
		    "give one without a passphrase", error);
	else if (err == ERR_OK &&
		 (SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1))
		err = wrong(what, listen->key, "is not that of the certificate, or cannot be used",
		    "give the one that it was made with, without a passphrase", error);
	EVP_PKEY_free(key);
	BIO_free(bio);
	buf_clear(&pem);
	return err;
}

/* ── Whom it asks for ────────────────────────────────────────────────────────────────────── */

static bool take_ca(SSL_CTX *ctx, X509 *certificate, int number)
{
	(void)number;
	return X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), certificate) == 1 &&
	       SSL_CTX_add_client_CA(ctx, certificate) == 1;
}

static enum err use_client_ca(SSL_CTX *ctx, const char *path, struct error *error)
{
	static const char what[] = "client_ca";
	struct buf pem;
	enum err err;

	buf_init(&pem, PEM_MAX);
	err = file_bytes(what, path, false, &pem, error);
	if (err == ERR_OK && each_certificate(&pem, ctx, take_ca) < 0)
		err = wrong(what, path, "holds no certificate in PEM that can be used",
		    "give one that begins with \"-----BEGIN CERTIFICATE-----\"", error);
	buf_clear(&pem);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_verify_depth(ctx, CHAIN_MAX);
	return err;
}

/* ── All ─────────────────────────────────────────────────────────────────────────────────── */

/* Each connection is one request: a session to go on with would outlive what it was good for. */
static bool set_terms(SSL_CTX *ctx)
{
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
				     SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
				     SSL_OP_CLEANSE_PLAINTEXT);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	/* Else one read goes on for as long as records come that have no data, such as updates of
	 * keys, and nothing else has its turn (SSL_CTX_set_mode(3)). */
	SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
	return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_num_tickets(ctx, 0) == 1 &&
	       SSL_CTX_set_cipher_list(ctx, CIPHERS_1_2) == 1;
}

enum err tls_new(struct tls **out, const struct listen *listen, struct error *error)
{
	struct tls *tls = xcalloc(1, sizeof(*tls));
	enum err err = ERR_OK;

	*out = NULL;
	ERR_clear_error();
	tls->ctx = SSL_CTX_new(TLS_server_method());
	if (tls->ctx == NULL || !set_terms(tls->ctx))
		err = error_set(error, ERR_IO, "listen: OpenSSL has no TLS 1.2 to offer here");
	if (err == ERR_OK)
		err = use_certificate(tls->ctx, listen->certificate, error);
	if (err == ERR_OK)
		err = use_key(tls->ctx, listen, error);
	if (err == ERR_OK && listen->client_ca != NULL)
		err = use_client_ca(tls->ctx, listen->client_ca, error);
	ERR_clear_error();
	if (err == ERR_OK)
		*out = tls; /* transferred */
	else
		tls_free(tls);
	return err;
}

void tls_free(struct tls *tls)
{
	if (tls == NULL)
		return;
	SSL_CTX_free(tls->ctx);
	free(tls);
}

void tls_warning(const struct tls *tls, char *out, size_t size)
{
	const ASN1_TIME *end = X509_get0_notAfter(SSL_CTX_get0_certificate(tls->ctx));
	time_t soon = time(NULL) + (time_t)WARN_DAYS * 24 * 60 * 60;
	struct tm tm = {.tm_mday = 1};
	char when[32] = "";

	out[0] = '\0';
	if (X509_cmp_time(end, &soon) >= 0 || ASN1_TIME_to_tm(end, &tm) != 1)
		return;
	strftime(when, sizeof(when), "%Y-%m-%d %H:%M UTC", &tm);
	snprintf(out, size,
	    "listen: the certificate %s on %s: put a new one in its place, and reload",
	    X509_cmp_current_time(end) < 0 ? "ended" : "ends", when);
}

/* ── Connections ─────────────────────────────────────────────────────────────────────────── */

struct bufferevent *tls_take(struct tls *tls, struct event_base *base, int fd)
{
	SSL *ssl = SSL_new(tls->ctx);
	struct bufferevent *bev = NULL;

	if (ssl != NULL)
		bev = bufferevent_openssl_socket_new(
		    base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	if (bev != NULL)
		return bev;
	SSL_free(ssl);
	close(fd);
	return NULL;
}

static SSL *ssl_of(const struct bufferevent *bev)
{
	return bufferevent_openssl_get_ssl((struct bufferevent *)(uintptr_t)bev);
}

bool tls_is(const struct bufferevent *bev)
{
	return ssl_of(bev) != NULL;
}

bool tls_certificate(const struct bufferevent *bev, uint8_t digest[DIGEST_SIZE])
{
	const SSL *ssl = ssl_of(bev);
	const X509 *shown = SSL_get0_peer_certificate(ssl);
	unsigned len = DIGEST_SIZE;

	return shown != NULL && SSL_get_verify_result(ssl) == X509_V_OK &&
	       X509_digest(shown, EVP_sha256(), digest, &len) == 1 && len == DIGEST_SIZE;
}

/* The last part of the handshake is acknowledged at once: many clients send nothing before. */
void tls_begun(struct bufferevent *bev)
{
	int fd = bufferevent_getfd(bev), on = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

void tls_end(struct bufferevent *bev)
{
	SSL *ssl = ssl_of(bev);

	if (ssl != NULL && SSL_is_init_finished(ssl))
		(void)SSL_shutdown(ssl);
	ERR_clear_error();
}
