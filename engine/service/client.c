#include "service/client.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "policy.h"
#include "service/http.h"
#include "service/place.h"
#include "service/unix.h"
#include "vault.h"

#define ANSWER_MAX (48UL * 1024 * 1024) /* of one line */
#define SCHEME	   "https://"
#define FIELD_MAX  512 /* of the head's line with a token */
#define CONNECT_S  10L
#define SILENCE_S  60 /* an engine that works says something every 10 s */

struct exchange {
	const struct client_call *call;
	struct policy *policy; /* its settings alone */
	const struct settings *settings;
	int dir_fd;	  /* of a long path */
	int fd;		  /* libcurl's; it closes it */
	curl_off_t moved; /* bytes, both ways */
	time_t moved_s;	  /* when; monotonic */
	bool silent;
	CURL *curl;
	struct curl_slist *headers;
	struct buf body, line;
	json_t *end;		   /* the last line */
	char why[CURL_ERROR_SIZE]; /* libcurl's words; "" = it has none */
	bool broken;		   /* what came is not what an engine says */
	bool impostor;		   /* who listens is neither the vault's owner nor root */
};

/* ── Finding it ──────────────────────────────────────────────────────────────────────────── */

/* So that an engine of another vault, which someone lets listen at the same path, refuses. */
static void say_which_vault(struct exchange *exchange)
{
	char mark[VAULT_MARK_SIZE], *field;

	if (!vault_mark(exchange->settings->vault, mark))
		return;
	field = xasprintf("%s: %s", HTTP_VAULT, mark);
	exchange->headers = curl_slist_append(exchange->headers, field);
	curl_easy_setopt(exchange->curl, CURLOPT_HTTPHEADER, exchange->headers);
	free(field);
}

/* A token goes to nobody before TLS has told who that is. */
static void show_token(struct exchange *exchange, const char *token)
{
	struct buf field;

	buf_init(&field, FIELD_MAX);
	if (token != NULL && buf_addf(&field, "Authorization: Bearer %s", token))
		exchange->headers = curl_slist_append(exchange->headers, buf_text(&field));
	buf_clear(&field);
	curl_easy_setopt(exchange->curl, CURLOPT_HTTPHEADER, exchange->headers);
}

static void reach(struct exchange *exchange, const struct service_server *server)
{
	CURL *curl = exchange->curl;
	size_t host = strcspn(server->url + strlen(SCHEME), "/");
	char *url = xasprintf(
	    "%.*s/v1/%s", (int)(strlen(SCHEME) + host), server->url, exchange->call->method);

	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
	if (server->ca != NULL)
		curl_easy_setopt(curl, CURLOPT_CAINFO, server->ca);
	if (server->identity != NULL) {
		curl_easy_setopt(curl, CURLOPT_SSLCERT, server->identity);
		curl_easy_setopt(curl, CURLOPT_SSLKEY, server->identity);
	}
	show_token(exchange, server->token);
	free(url);
}

static bool find(struct exchange *exchange)
{
	const struct policy_config config = {.dir = exchange->call->dir};
	char path[UNIX_PATH_SIZE];
	bool found;

	exchange->dir_fd = -1;
	exchange->policy = policy_load_settings(&config);
	if (exchange->policy == NULL)
		return false;
	exchange->settings = policy_settings(exchange->policy);
	found = unix_path(exchange->settings->socket, path, &exchange->dir_fd);
	curl_easy_setopt(exchange->curl, CURLOPT_UNIX_SOCKET_PATH, path);
	say_which_vault(exchange);
	return found;
}

/* Before anything is sent: whoever listens is the vault's owner, root, or we. */
static bool is_trusted(const struct exchange *exchange)
{
	struct error error;
	uid_t uid, owner;
	gid_t group;
	pid_t pid;

	if (!unix_peer(exchange->fd, &uid, &pid))
		return false;
	return uid == 0 || uid == geteuid() ||
	       (vault_owner(exchange->settings->vault, &owner, &group, &error) == ERR_OK &&
		   uid == owner);
}

static curl_socket_t make_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct exchange *exchange = arg;

	(void)purpose;
	exchange->fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	return exchange->fd;
}

static int on_connected(void *arg, char *to, char *from, int to_port, int from_port)
{
	struct exchange *exchange = arg;

	(void)to;
	(void)from;
	(void)to_port;
	(void)from_port;
	exchange->impostor = !is_trusted(exchange);
	return exchange->impostor ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

/* ── What comes back ─────────────────────────────────────────────────────────────────────── */

static void take_line(struct exchange *exchange, const char *line, size_t len)
{
	json_error_t error;
	json_t *json = len == 0 ? NULL : json_loadb(line, len, JSON_DECODE_ANY, &error);
	const char *event = json_string_value(json_object_get(json, "event"));

	if (len > 0 && !json_is_object(json))
		exchange->broken = true;
	if (event == NULL || strcmp(event, "end") == 0) {
		if (json != NULL) {
			json_decref(exchange->end);
			exchange->end = json; /* transferred */
		}
		return;
	}
	if (exchange->call->progress != NULL)
		exchange->call->progress(exchange->call->arg, json);
	json_decref(json);
}

static size_t on_bytes(char *bytes, size_t size, size_t count, void *arg)
{
	struct exchange *exchange = arg;
	size_t len = size * count, done = 0;

	while (done < len) {
		const char *from = bytes + done, *end = memchr(from, '\n', len - done);
		size_t part = end == NULL ? len - done : (size_t)(end - from);

		if (!buf_add(&exchange->line, from, part))
			return 0;
		done += part + (end != NULL);
		if (end == NULL)
			break;
		take_line(exchange, (const char *)exchange->line.data, exchange->line.len);
		buf_reset(&exchange->line);
	}
	return len;
}

/* ── Interrupts ──────────────────────────────────────────────────────────────────────────── */

static volatile sig_atomic_t interrupt;

static void on_signal(int signo)
{
	interrupt = signo;
}

/*
 * At least once a second. libcurl's own measure is an average in whole bytes a second, to which a
 * sign of life every ten seconds is nothing.
 */
static int on_turn(
    void *arg, curl_off_t down_all, curl_off_t down, curl_off_t up_all, curl_off_t up)
{
	struct exchange *exchange = arg;
	struct timespec now;

	(void)down_all;
	(void)up_all;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (exchange->moved_s == 0 || down + up != exchange->moved)
		exchange->moved_s = now.tv_sec;
	exchange->moved = down + up;
	exchange->silent = now.tv_sec - exchange->moved_s >= SILENCE_S;
	return interrupt != 0 || exchange->silent;
}

/* Only the view ends: says so, and lets the signal do what it does. */
static void leave(const struct exchange *exchange)
{
	json_t *event = json_pack("{s:s}", "event", "left");
	int signo = interrupt;

	if (exchange->call->progress != NULL)
		exchange->call->progress(exchange->call->arg, event);
	json_decref(event);
	raise(signo);
}

static CURLcode perform(struct exchange *exchange)
{
	struct sigaction action = {.sa_handler = on_signal}, old_int, old_term;
	CURLcode code;

	interrupt = 0;
	sigaction(SIGINT, &action, &old_int);
	sigaction(SIGTERM, &action, &old_term);
	code = curl_easy_perform(exchange->curl);
	sigaction(SIGINT, &old_int, NULL);
	sigaction(SIGTERM, &old_term, NULL);
	if (interrupt != 0)
		leave(exchange);
	return code;
}

/* ── The exchange ────────────────────────────────────────────────────────────────────────── */

static void *zeroed(size_t count, size_t size)
{
	void *block;

	if (size != 0 && count > SIZE_MAX / size)
		return NULL;
	block = mem_alloc(count * size);
	return block == NULL ? NULL : memset(block, 0, count * size);
}

static char *copied(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = mem_alloc(size);

	return copy == NULL ? NULL : memcpy(copy, text, size);
}

/* libcurl keeps what it carries in memory that is wiped and not dumped. */
static bool curl_is_ready(bool over_tls)
{
	static bool ready;

	if (!ready)
		ready = curl_global_init_mem(over_tls ? CURL_GLOBAL_SSL : CURL_GLOBAL_NOTHING,
			    mem_alloc, mem_free, mem_realloc, copied, zeroed) == CURLE_OK;
	return ready;
}

static int add_bytes(const char *bytes, size_t len, void *buf)
{
	return buf_add(buf, bytes, len) ? 0 : -1;
}

static bool exchange_init(
    struct exchange *exchange, const struct client_call *call, struct error *error)
{
	*exchange = (struct exchange){.call = call, .dir_fd = -1};
	buf_init(&exchange->body, HTTP_BODY_MAX);
	buf_init(&exchange->line, ANSWER_MAX);
	if (json_dump_callback(call->params, add_bytes, &exchange->body, JSON_COMPACT) != 0) {
		error_set(error, ERR_LIMIT,
		    "the request is larger than %lu MB: make it in parts; nothing was sent",
		    HTTP_BODY_MAX / 1024 / 1024);
		return false;
	}
	exchange->curl = curl_is_ready(call->server != NULL) ? curl_easy_init() : NULL;
	if (exchange->curl == NULL) {
		error_set(error, ERR_LIMIT, "there is no memory to ask the engine that runs");
		return false;
	}
	return true;
}

static void exchange_clear(struct exchange *exchange)
{
	curl_easy_cleanup(exchange->curl);
	curl_slist_free_all(exchange->headers);
	buf_clear(&exchange->body);
	buf_clear(&exchange->line);
	json_decref(exchange->end);
	policy_free(exchange->policy);
	if (exchange->dir_fd >= 0)
		close(exchange->dir_fd);
}

static void exchange_prepare(struct exchange *exchange)
{
	CURL *curl = exchange->curl;
	char *url = xasprintf("http://localhost/v1/%s", exchange->call->method);

	exchange->headers = curl_slist_append(exchange->headers, "Accept: application/x-ndjson");
	exchange->headers = curl_slist_append(exchange->headers, "Content-Type: application/json");
	exchange->headers = curl_slist_append(exchange->headers, "Expect:");
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, exchange->why);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, exchange->headers);
	curl_easy_setopt(curl, CURLOPT_POST, 1L);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, exchange->body.data);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)exchange->body.len);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_turn);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, exchange);
	free(url);
}

/* Of the socket the kernel says who listens, before anything is sent. */
static void exchange_look(struct exchange *exchange)
{
	CURL *curl = exchange->curl;

	curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, make_socket);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, exchange);
	curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, on_connected);
	curl_easy_setopt(curl, CURLOPT_PREREQDATA, exchange);
}

/* ── What it means ───────────────────────────────────────────────────────────────────────── */

static enum err err_named(const char *name)
{
	for (int code = ERR_OK + 1; code <= ERR_CANCELED; code++)
		if (name != NULL && strcmp(err_name((enum err)code), name) == 0)
			return (enum err)code;
	return ERR_IO;
}

static enum service_end take_end(
    const struct exchange *exchange, json_t **result, char **next, struct error *error)
{
	json_int_t end = json_integer_value(json_object_get(exchange->end, "exit"));
	const char *text = json_string_value(json_object_get(exchange->end, "error"));
	const char *goes_on = json_string_value(json_object_get(exchange->end, "next"));
	json_t *given = json_object_get(exchange->end, "result");

	*next = goes_on == NULL ? NULL : xstrdup(goes_on);
	*result = json_is_null(given) ? NULL : json_incref(given);
	if (end == SERVICE_OK || end == SERVICE_SOME)
		return (enum service_end)end;
	error_set(error, err_named(json_string_value(json_object_get(exchange->end, "code"))), "%s",
	    text == NULL ? "" : text);
	return end == SERVICE_USAGE ? SERVICE_USAGE : SERVICE_NO_ENGINE;
}

static bool is_told_to_ask_again(const struct exchange *exchange)
{
	const char *code = json_string_value(json_object_get(exchange->end, "code"));

	return code != NULL && strcmp(code, HTTP_CODE_AGAIN) == 0;
}

/* Nothing was sent to whom TLS does not vouch for. */
static void say_unreached(const struct exchange *exchange, CURLcode code, struct error *error)
{
	const struct service_server *server = exchange->call->server;
	const char *why = exchange->why[0] != '\0' ? exchange->why : curl_easy_strerror(code);
	const char *next = "see that it is right and that its lockstepd listens (lockstep status "
			   "there)";

	if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
		next = server->ca == NULL
			   ? "name the file of the CA that signed its certificate: "
			     "--ca=FILE"
			   : "see that --ca names the CA that signed its certificate";
	else if (code == CURLE_SSL_CERTPROBLEM || code == CURLE_SSL_CONNECT_ERROR)
		next = "see that --identity names a certificate and its key that it takes";
	error_set(error, ERR_LINK, "%s: %s; nothing was asked: %s", server->url, why, next);
}

static bool is_unreached(CURLcode code)
{
	return code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST ||
	       code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CONNECT_ERROR ||
	       code == CURLE_SSL_CERTPROBLEM || code == CURLE_SSL_CACERT_BADFILE ||
	       code == CURLE_OPERATION_TIMEDOUT || code == CURLE_URL_MALFORMAT;
}

static void say_lost(const struct exchange *exchange, CURLcode code, struct error *error)
{
	if (exchange->impostor)
		error_set(error, ERR_DENIED,
		    "who listens at %s is neither the vault's owner nor root, and nothing was sent "
		    "there: let only the owner write to the socket's directory, and end that "
		    "process",
		    exchange->settings->socket);
	else if (code == CURLE_WRITE_ERROR)
		error_set(error, ERR_LIMIT,
		    "the engine's answer has a line of more than %lu MB: ask for less",
		    ANSWER_MAX / 1024 / 1024);
	else
		error_set(error, ERR_LINK,
		    "the engine that this was asked of is gone (%s); what it began is in the "
		    "vault: lockstep execution list",
		    exchange->broken   ? "what it said is no answer"
		    : exchange->silent ? "it has said nothing for a minute"
		    : code == CURLE_OK ? "it ended before it had answered"
				       : curl_easy_strerror(code));
}

static enum client_end exchange_run(struct exchange *exchange, enum service_end *end,
    json_t **result, char **next, struct error *error)
{
	const struct service_server *server = exchange->call->server;
	CURLcode code;

	exchange_prepare(exchange);
	if (server != NULL)
		reach(exchange, server);
	else
		exchange_look(exchange);
	if (server == NULL && !find(exchange))
		return CLIENT_NOBODY;
	code = perform(exchange);
	if (server == NULL && code == CURLE_COULDNT_CONNECT)
		return CLIENT_NOBODY;
	if (code == CURLE_OK && exchange->end != NULL && !exchange->broken) {
		if (is_told_to_ask_again(exchange))
			return CLIENT_AGAIN;
		*end = take_end(exchange, result, next, error);
		return CLIENT_ANSWERED;
	}
	*end = SERVICE_NO_ENGINE;
	if (server != NULL && is_unreached(code))
		say_unreached(exchange, code, error);
	else
		say_lost(exchange, code, error);
	return CLIENT_ANSWERED;
}

enum client_end client_call(const struct client_call *call, enum service_end *end, json_t **result,
    char **next, struct error *error)
{
	enum client_end told = CLIENT_ANSWERED;
	struct exchange exchange;

	*result = NULL;
	*next = NULL;
	*end = SERVICE_USAGE;
	if (exchange_init(&exchange, call, error))
		told = exchange_run(&exchange, end, result, next, error);
	exchange_clear(&exchange);
	return told;
}
