#define _GNU_SOURCE /* memmem */
#include "service/http.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <event2/buffer.h>

#define POST	    "POST "
#define GET	    "GET "
#define METHODS	    "only POST is taken: POST /v1/METHOD; and GET " HTTP_METRICS
#define STREAM_TYPE "application/x-ndjson"
#define LENGTH_SIZE 16

/* A part of the head that stands in the bytes; not ended by a NUL. */
struct span {
	const char *at;
	size_t len;
};

static bool span_is(const struct span *span, const char *word)
{
	return span->len == strlen(word) && strncasecmp(span->at, word, span->len) == 0;
}

static bool span_holds(const struct span *span, const char *word)
{
	return memmem(span->at, span->len, word, strlen(word)) != NULL;
}

static void span_trim(struct span *span)
{
	while (span->len > 0 && (*span->at == ' ' || *span->at == '\t')) {
		span->at++;
		span->len--;
	}
	while (span->len > 0 && (span->at[span->len - 1] == ' ' || span->at[span->len - 1] == '\t'))
		span->len--;
}

/* ── The first line ──────────────────────────────────────────────────────────────────────── */

static int refuse(int status, const char *words, const char **why)
{
	*why = words;
	return status;
}

static int read_first(struct http_head *head, const struct span *line, const char **why)
{
	bool gets = strncmp(line->at, GET, strlen(GET)) == 0;
	const char *path = line->at + strlen(gets ? GET : POST);
	const char *space = memrchr(line->at, ' ', line->len);
	size_t version, len;

	if (space == NULL || space == line->at)
		return refuse(HTTP_BAD, "this is no HTTP", why);
	version = line->len - (size_t)(space + 1 - line->at);
	if (version != 8 || strncmp(space + 1, "HTTP/1.", 7) != 0)
		return refuse(505, "only HTTP/1 is spoken here", why);
	if (!gets && strncmp(line->at, POST, strlen(POST)) != 0)
		return refuse(405, METHODS, why);
	if (space < path)
		return refuse(HTTP_BAD, "the request names no path", why);
	len = (size_t)(space - path);
	if (len >= sizeof(head->path))
		return refuse(414, "the path is too long", why);
	memcpy(head->path, path, len);
	head->path[len] = '\0';
	head->gets = gets;
	if (gets && strcmp(head->path, HTTP_METRICS) != 0)
		return refuse(405, METHODS, why);
	return HTTP_OK;
}

/* ── The fields ──────────────────────────────────────────────────────────────────────────── */

static int read_length(
    struct http_head *head, const struct span *value, bool *given, const char **why)
{
	char digits[LENGTH_SIZE];
	size_t before = head->body_len;

	if (value->len == 0)
		return refuse(HTTP_BAD, "Content-Length is no number", why);
	for (size_t i = 0; i < value->len; i++)
		if (!isdigit((unsigned char)value->at[i]))
			return refuse(HTTP_BAD, "Content-Length is no number", why);
	if (value->len >= sizeof(digits))
		return refuse(HTTP_TOO_LARGE, "the body is larger than 32 MB", why);
	memcpy(digits, value->at, value->len);
	digits[value->len] = '\0';
	head->body_len = strtoul(digits, NULL, 10);
	if (head->body_len > HTTP_BODY_MAX)
		return refuse(HTTP_TOO_LARGE, "the body is larger than 32 MB", why);
	if (*given && head->body_len != before)
		return refuse(HTTP_BAD, "Content-Length is there twice", why);
	*given = true;
	return HTTP_OK;
}

static int read_vault(struct http_head *head, const struct span *value, const char **why)
{
	if (value->len >= sizeof(head->vault))
		return refuse(HTTP_BAD, HTTP_VAULT " is too long", why);
	memcpy(head->vault, value->at, value->len);
	head->vault[value->len] = '\0';
	return HTTP_OK;
}

/* Another scheme than Bearer says nothing that is known here. */
static int read_authorization(struct http_head *head, struct span value, const char **why)
{
	const struct span scheme = {value.at, value.len < 7 ? value.len : 7};

	if (!span_is(&scheme, "Bearer "))
		return HTTP_OK;
	if (head->bearer != NULL)
		return refuse(HTTP_BAD, "Authorization is there twice", why);
	value.at += scheme.len;
	value.len -= scheme.len;
	span_trim(&value);
	head->bearer = value.at;
	head->bearer_len = value.len;
	return HTTP_OK;
}

static int read_field(
    struct http_head *head, const struct span *line, bool *given, const char **why)
{
	const char *colon = memchr(line->at, ':', line->len);
	struct span name = {line->at, colon == NULL ? 0 : (size_t)(colon - line->at)};
	struct span value;

	if (name.len == 0 || memchr(name.at, ' ', name.len) != NULL ||
	    memchr(name.at, '\t', name.len) != NULL)
		return refuse(HTTP_BAD, "a line of the head is no field", why);
	value = (struct span){colon + 1, line->len - name.len - 1};
	span_trim(&value);
	if (span_is(&name, "Content-Length"))
		return read_length(head, &value, given, why);
	if (span_is(&name, HTTP_VAULT))
		return read_vault(head, &value, why);
	if (span_is(&name, "Authorization"))
		return read_authorization(head, value, why);
	if (span_is(&name, "Transfer-Encoding"))
		return refuse(501, "Transfer-Encoding is not taken: give Content-Length", why);
	if (span_is(&name, "Expect") && !span_is(&value, "100-continue"))
		return refuse(417, "only 100-continue may be expected", why);
	if (span_is(&name, "Expect"))
		head->expects = true;
	if (span_is(&name, "Accept") && span_holds(&value, STREAM_TYPE))
		head->streams = true;
	return HTTP_OK;
}

/* ── All of it ───────────────────────────────────────────────────────────────────────────── */

/* Takes the next line off; without its end. */
static bool next_line(struct span *rest, struct span *line)
{
	const char *end = memmem(rest->at, rest->len, "\r\n", 2);

	if (end == NULL || end == rest->at)
		return false;
	*line = (struct span){rest->at, (size_t)(end - rest->at)};
	rest->len -= line->len + 2;
	rest->at = end + 2;
	return true;
}

static bool has_controls(const struct span *line)
{
	for (size_t i = 0; i < line->len; i++)
		if ((line->at[i] >= 0 && line->at[i] < ' ' && line->at[i] != '\t') ||
		    line->at[i] == 0x7f)
			return true;
	return false;
}

static int read_lines(struct http_head *head, struct span rest, const char **why)
{
	bool first = true, given = false;
	int status = HTTP_OK;
	struct span line;

	while (status == HTTP_OK && next_line(&rest, &line)) {
		if (has_controls(&line))
			return refuse(HTTP_BAD, "the head has control characters", why);
		status =
		    first ? read_first(head, &line, why) : read_field(head, &line, &given, why);
		first = false;
	}
	return first ? refuse(HTTP_BAD, "this is no HTTP", why) : status;
}

int http_head_read(struct http_head *head, const char *bytes, size_t len, const char **why)
{
	size_t looked = len < HTTP_HEAD_MAX ? len : HTTP_HEAD_MAX;
	const char *end = memmem(bytes, looked, "\r\n\r\n", 4);

	*head = (struct http_head){.len = 0};
	if (end == NULL && len < HTTP_HEAD_MAX)
		return 0;
	if (end == NULL)
		return refuse(431, "the head is larger than 8 KB", why);
	head->len = (size_t)(end - bytes) + 4;
	return read_lines(head, (struct span){bytes, head->len}, why);
}

static const char *status_word(int status)
{
	switch (status) {
	case HTTP_OK: return "OK";
	case HTTP_UNKNOWN: return "Unauthorized";
	case HTTP_FORBIDDEN: return "Forbidden";
	case HTTP_NOT_FOUND: return "Not Found";
	case HTTP_TIMEOUT: return "Request Timeout";
	case HTTP_TOO_LARGE: return "Content Too Large";
	case HTTP_MISDIRECTED: return "Misdirected Request";
	case HTTP_UNAVAILABLE: return "Service Unavailable";
	default: return "Refused";
	}
}

void http_answer_head(struct evbuffer *out, int status, const char *type, const char *more)
{
	evbuffer_add_printf(out,
	    "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nCache-Control: no-store\r\n"
	    "Connection: close\r\n%s\r\n",
	    status, status_word(status), type, more);
}
