/*
 * HTTP/1.1 as far as a program beside the engine needs it: one POST, or GET, a connection.
 *
 * Owns how a request's head reads, its caps, and the heads of answers. Never reads a socket. What
 * is not in this small part of the protocol is refused with its own status, never guessed at.
 */
#ifndef SERVICE_HTTP_H
#define SERVICE_HTTP_H

#include <stdbool.h>
#include <stddef.h>

struct evbuffer;

#define HTTP_HEAD_MAX  (8UL * 1024)
#define HTTP_BODY_MAX  (32UL * 1024 * 1024)
#define HTTP_PATH_SIZE 128

#define HTTP_OK		 200
#define HTTP_BAD	 400
#define HTTP_UNKNOWN	 401 /* it was not said who asks */
#define HTTP_FORBIDDEN	 403
#define HTTP_NOT_FOUND	 404
#define HTTP_TIMEOUT	 408
#define HTTP_TOO_LARGE	 413
#define HTTP_MISDIRECTED 421
#define HTTP_UNAVAILABLE 503

/* What may be got, without a body. */
#define HTTP_METRICS "/metrics"

/* What someone may ask who has not said yet who they are. */
#define HTTP_LOGIN "/v1/login"

/* In the "code" of an answer: nothing was begun, and asking again may find another engine. */
#define HTTP_CODE_AGAIN "again"

/* The field by which a client says whose engine it means: without it, whoever listens is meant. */
#define HTTP_VAULT	"Lockstep-Vault"
#define HTTP_VAULT_SIZE 48

struct http_head {
	char path[HTTP_PATH_SIZE];
	size_t len; /* of the head, its empty line included */
	size_t body_len;
	bool gets;    /* GET of HTTP_METRICS, the one that there is; else POST */
	bool streams; /* asks for a line of JSON an event */
	bool expects; /* sends its body only when it was told to go on */
	char vault[HTTP_VAULT_SIZE];
	/* What stands behind "Authorization: Bearer", in the bytes that were read; NULL = nothing.
	 */
	const char *bearer;
	size_t bearer_len;
};

/*
 * Reads the head that `bytes` begin with: 0 while it is not whole, HTTP_OK, or the status of its
 * refusal, and `*why` in words.
 */
int http_head_read(struct http_head *, const char *bytes, size_t len, const char **why);

/* The head of an answer; `more` are lines of its own, each with its end, or "". */
void http_answer_head(struct evbuffer *, int status, const char *type, const char *more);

#endif
