/*
 * Transfers to the world outside, by libcurl, driven by the loop: nothing of them ever waits.
 *
 * Owns libcurl's multi handle, its sockets and its timer, and the memory that libcurl works in.
 * Never knows what is sent, nor what an answer means.
 */
#ifndef SERVICE_TRANSFER_H
#define SERVICE_TRANSFER_H

#include <stdint.h>
#include <sys/queue.h>

#include <curl/curl.h>

#include "base/err.h"

#define TRANSFER_SAID_SIZE 200

struct loop;
struct transfers;

/* One of them; what whoever makes it puts in is given back with transfer_free. */
struct transfer {
	LIST_ENTRY(transfer) entry;
	struct transfers *transfers;
	CURL *curl;
	struct curl_slist *headers, *recipients;
	curl_mime *mime;
	char words[CURL_ERROR_SIZE];   /* libcurl's, of what went wrong */
	char said[TRANSFER_SAID_SIZE]; /* the server's last refusal; hostile */
	void (*done)(void *arg, struct transfer *, CURLcode);
	void *arg;
};

/* NULL where libcurl cannot be had. */
struct transfers *transfers_new(struct loop *);
/* Cuts off what is under way: `done` is not called for it. */
void transfers_free(struct transfers *);

/* With a handle that has the settings that all share; NULL where there is no memory. */
struct transfer *transfer_new(uint64_t timeout_ms);
/* Takes it; `done` is called once, from the loop, and frees it. ERR_LIMIT. */
enum err transfer_start(struct transfers *, struct transfer *) MUST_CHECK;
/* NULL is fine. */
void transfer_free(struct transfer *);

#endif
