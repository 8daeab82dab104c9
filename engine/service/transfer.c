#include "service/transfer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/event.h>

#include "base/loop.h"
#include "base/mem.h"

/* An answer that is longer is given up. */
#define ANSWER_MAX (64L * 1024)

struct transfers {
	struct loop *loop;
	CURLM *multi;
	struct timer timer;
	LIST_HEAD(, transfer) list;
};

/*
 * Passwords pass through libcurl's memory, so it is wiped. It is not mem_alloc's: libcurl looks
 * names up in threads of its own.
 */
static bool curl_is_ready(void)
{
	static bool ready;

	if (!ready)
		ready = curl_global_init_mem(CURL_GLOBAL_NOTHING, wiped_alloc, wiped_free,
			    wiped_realloc, wiped_copy, wiped_zeroed) == CURLE_OK;
	return ready;
}

/* ── The loop ────────────────────────────────────────────────────────────────────────────── */

static void take_ended(struct transfers *transfers)
{
	const CURLMsg *message;
	struct transfer *transfer;
	int left;

	while ((message = curl_multi_info_read(transfers->multi, &left)) != NULL) {
		CURLcode code = message->data.result;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
		transfer->done(transfer->arg, transfer, code);
	}
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct transfers *transfers = arg;
	int running, ready = 0;

	ready |= what & EV_READ ? CURL_CSELECT_IN : 0;
	ready |= what & EV_WRITE ? CURL_CSELECT_OUT : 0;
	curl_multi_socket_action(transfers->multi, fd, ready, &running);
	take_ended(transfers);
}

static void on_timer(void *arg)
{
	struct transfers *transfers = arg;
	int running;

	curl_multi_socket_action(transfers->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	take_ended(transfers);
}

/* Which sockets libcurl waits for, and for what; `known` is the event of one that it had before. */
static int watch_socket(CURL *curl, curl_socket_t fd, int what, void *arg, void *known)
{
	struct transfers *transfers = arg;
	struct event *event = known;
	short flags = EV_PERSIST;

	(void)curl;
	if (event != NULL)
		event_free(event);
	event = NULL;
	if (what != CURL_POLL_REMOVE) {
		flags |= what & CURL_POLL_IN ? EV_READ : 0;
		flags |= what & CURL_POLL_OUT ? EV_WRITE : 0;
		event = event_new(loop_base(transfers->loop), fd, flags, on_socket, transfers);
		if (event == NULL || event_add(event, NULL) != 0)
			return -1;
	}
	curl_multi_assign(transfers->multi, fd, event);
	return 0;
}

static int set_timer(CURLM *multi, long delay_ms, void *arg)
{
	struct transfers *transfers = arg;

	(void)multi;
	if (delay_ms < 0)
		timer_stop(&transfers->timer);
	else
		timer_start(loop_clock(transfers->loop), &transfers->timer, (uint64_t)delay_ms);
	return 0;
}

/* ── All of them ─────────────────────────────────────────────────────────────────────────── */

struct transfers *transfers_new(struct loop *loop)
{
	struct transfers *transfers = xcalloc(1, sizeof(*transfers));

	transfers->loop = loop;
	transfers->timer = (struct timer){.fn = on_timer, .arg = transfers};
	transfers->multi = curl_is_ready() ? curl_multi_init() : NULL;
	if (transfers->multi == NULL) {
		free(transfers);
		return NULL;
	}
	curl_multi_setopt(transfers->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(transfers->multi, CURLMOPT_SOCKETDATA, transfers);
	curl_multi_setopt(transfers->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(transfers->multi, CURLMOPT_TIMERDATA, transfers);
	return transfers;
}

void transfers_free(struct transfers *transfers)
{
	struct transfer *transfer;

	if (transfers == NULL)
		return;
	while ((transfer = LIST_FIRST(&transfers->list)) != NULL)
		transfer_free(transfer);
	curl_multi_cleanup(transfers->multi);
	timer_stop(&transfers->timer);
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

static int on_progress(
    void *arg, curl_off_t expected, curl_off_t came, curl_off_t sends, curl_off_t sent)
{
	(void)arg;
	(void)expected;
	(void)sends;
	(void)sent;
	return came > ANSWER_MAX;
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
	curl_easy_setopt(curl, CURLOPT_PRIVATE, transfer);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, transfer->words);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_line);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_answer);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
#if LIBCURL_VERSION_NUM >= 0x075700
	/* Else it waits at the end for a name that is still looked up, and the loop with it. */
	curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
#endif
	return transfer;
}

enum err transfer_start(struct transfers *transfers, struct transfer *transfer)
{
	if (curl_multi_add_handle(transfers->multi, transfer->curl) != CURLM_OK)
		return ERR_LIMIT;
	transfer->transfers = transfers;
	LIST_INSERT_HEAD(&transfers->list, transfer, entry);
	return ERR_OK;
}

void transfer_free(struct transfer *transfer)
{
	if (transfer == NULL)
		return;
	if (transfer->transfers != NULL) {
		LIST_REMOVE(transfer, entry);
		curl_multi_remove_handle(transfer->transfers->multi, transfer->curl);
	}
	curl_easy_cleanup(transfer->curl);
	curl_mime_free(transfer->mime);
	curl_slist_free_all(transfer->headers);
	curl_slist_free_all(transfer->recipients);
	free(transfer);
}
