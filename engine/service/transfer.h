/*
 * Transfers to the world outside, by libcurl, each in a thread of its own: the loop never waits for
 * one.
 *
 * libcurl's multi interface would do without threads, but waits within itself for a mail server's
 * last answer, and for its answer to QUIT: a server that looks through what it was sent would hold
 * up everything else. The threads run libcurl and nothing of ours but the few callbacks here.
 *
 * Owns the threads, and the memory that libcurl works in. Never knows what is sent, nor what an
 * answer means.
 */
#ifndef SERVICE_TRANSFER_H
#define SERVICE_TRANSFER_H

#include <pthread.h>
#include <stdatomic.h>
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
	CURL *curl;
	struct curl_slist *headers, *recipients;
	curl_mime *mime;
	char words[CURL_ERROR_SIZE];   /* libcurl's, of what went wrong */
	char said[TRANSFER_SAID_SIZE]; /* the server's last refusal; hostile */
	void (*done)(void *arg, struct transfer *, CURLcode);
	void *arg;
	/* The thread's. */
	pthread_t thread;
	int ready_fd;
	CURLcode code;
	atomic_bool stop;
};

/* NULL where libcurl cannot be had. */
struct transfers *transfers_new(struct loop *);
/* Cuts off what is under way, which takes a second at most: `done` is not called for it. */
void transfers_free(struct transfers *);

/* With a handle that has the settings that all share; NULL where there is no memory. */
struct transfer *transfer_new(uint64_t timeout_ms);
/* Takes it; `done` is called once, from the loop, and frees it. ERR_LIMIT. */
enum err transfer_start(struct transfers *, struct transfer *) MUST_CHECK;
/* Of one that was not started, or is done. NULL is fine. */
void transfer_free(struct transfer *);

#endif
