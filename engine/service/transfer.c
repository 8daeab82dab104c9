#define _GNU_SOURCE /* pipe2 */
#include "service/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/loop.h"
#include "base/mem.h"

/* An answer that is longer is given up. */
#define ANSWER_MAX (64L * 1024)

struct transfers {
	struct event *ready;
	int fds[2]; /* a thread says through it that its transfer is over */
	LIST_HEAD(, transfer) list;
};

/*
 * Passwords pass through libcurl's memory, so it is wiped. It is not mem_alloc's, which is not for
 * threads.
 */
static bool curl_is_ready(void)
{
	static bool ready;

	if (!ready)
		ready = curl_global_init_mem(CURL_GLOBAL_NOTHING, wiped_alloc, wiped_free,
			    wiped_realloc, wiped_copy, wiped_zeroed) == CURLE_OK;
	return ready;
}

/* ── The threads ─────────────────────────────────────────────────────────────────────────── */

/* A pointer is written whole or not at all, and the pipe has room for thousands. */
static void *thread_main(void *arg)
{
	struct transfer *transfer = arg;
	ssize_t written;

	transfer->code = curl_easy_perform(transfer->curl);
	do
		written = write(transfer->ready_fd, &transfer, sizeof(transfer));
	while (written < 0 && errno == EINTR);
	return NULL;
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct transfer *transfer;

	(void)what;
	(void)arg;
	while (read(fd, &transfer, sizeof(transfer)) == sizeof(transfer)) {
		pthread_join(transfer->thread, NULL);
		LIST_REMOVE(transfer, entry);
		transfer->done(transfer->arg, transfer, transfer->code);
	}
}

/* Signals are the loop's. */
static int thread_start(struct transfer *transfer)
{
	sigset_t all, before;
	int failed;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&transfer->thread, NULL, thread_main, transfer);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failed;
}

/* ── All of them ─────────────────────────────────────────────────────────────────────────── */

struct transfers *transfers_new(struct loop *loop)
{
	struct transfers *transfers = xcalloc(1, sizeof(*transfers));

	if (!curl_is_ready() || pipe2(transfers->fds, O_CLOEXEC | O_NONBLOCK) != 0) {
		free(transfers);
		return NULL;
	}
	transfers->ready =
	    event_new(loop_base(loop), transfers->fds[0], EV_READ | EV_PERSIST, on_ready, NULL);
	if (transfers->ready == NULL || event_add(transfers->ready, NULL) != 0) {
		transfers_free(transfers);
		return NULL;
	}
	return transfers;
}

void transfers_free(struct transfers *transfers)
{
	struct transfer *transfer;

	if (transfers == NULL)
		return;
	LIST_FOREACH (transfer, &transfers->list, entry)
		atomic_store(&transfer->stop, true);
	while ((transfer = LIST_FIRST(&transfers->list)) != NULL) {
		pthread_join(transfer->thread, NULL);
		LIST_REMOVE(transfer, entry);
		transfer_free(transfer);
	}
	if (transfers->ready != NULL)
		event_free(transfers->ready);
	close(transfers->fds[0]);
	close(transfers->fds[1]);
	free(transfers);
}

/* ── One of them ─────────────────────────────────────────────────────────────────────────── */

/* Of a conversation only a refusal is of use to people; but for that of a login (535), where a
 * server may say again what it was told. */
static size_t on_line(char *bytes, size_t size, size_t count, void *arg)
{
	struct transfer *transfer = arg;
	size_t len = size * count, keep = len;

	while (keep > 0 && (bytes[keep - 1] == '\r' || bytes[keep - 1] == '\n'))
		keep--;
	if (keep >= sizeof(transfer->said))
		keep = sizeof(transfer->said) - 1;
	if (keep > 3 && (bytes[0] == '4' || bytes[0] == '5') && memcmp(bytes, "535", 3) != 0) {
		memcpy(transfer->said, bytes, keep);
		transfer->said[keep] = '\0';
	}
	return len;
}

/* What it says beyond its status is nobody's business. */
static size_t on_answer(char *bytes, size_t size, size_t count, void *arg)
{
	(void)bytes;
	(void)arg;
	return size * count;
}

/* Asked about once a second, whatever libcurl waits for. */
static int on_progress(
    void *arg, curl_off_t expected, curl_off_t came, curl_off_t sends, curl_off_t sent)
{
	struct transfer *transfer = arg;

	(void)expected;
	(void)sends;
	(void)sent;
	return came > ANSWER_MAX || atomic_load(&transfer->stop);
}

/* Not for the wires to inherit. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	(void)arg;
	(void)purpose;
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

struct transfer *transfer_new(uint64_t timeout_ms)
{
	struct transfer *transfer = xcalloc(1, sizeof(*transfer));
	CURL *curl = curl_is_ready() ? curl_easy_init() : NULL;

	if (curl == NULL) {
		free(transfer);
		return NULL;
	}
	transfer->curl = curl;
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, transfer->words);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	curl_easy_setopt(curl, CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)(timeout_ms / 1000 + 1));
	curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_line);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_answer);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, transfer);
#if LIBCURL_VERSION_NUM >= 0x075700
	/* Else it waits at the end for a name that is still looked up. */
	curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
#endif
	return transfer;
}

enum err transfer_start(struct transfers *transfers, struct transfer *transfer)
{
	transfer->ready_fd = transfers->fds[1];
	if (thread_start(transfer) != 0)
		return ERR_LIMIT;
	LIST_INSERT_HEAD(&transfers->list, transfer, entry);
	return ERR_OK;
}

void transfer_free(struct transfer *transfer)
{
	if (transfer == NULL)
		return;
	curl_easy_cleanup(transfer->curl);
	curl_mime_free(transfer->mime);
	curl_slist_free_all(transfer->headers);
	curl_slist_free_all(transfer->recipients);
	free(transfer);
}
