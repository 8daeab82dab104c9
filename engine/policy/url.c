#include "policy/url.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "policy/names.h"

#define URL_LEN_MAX 512
#define HOST_SIZE   254

/* Reads "host", "host:port" or "[address]:port" up to `end`; the host without its brackets. */
static bool host_read(const char *text, const char *end, char host[HOST_SIZE], bool *port)
{
	const char *from = text, *to = end, *colon = NULL;
	char *rest;
	unsigned long number;

	if (text < end && *text == '[') {
		from++;
		to = memchr(text, ']', (size_t)(end - text));
		if (!to || (to + 1 < end && to[1] != ':'))
			return false;
		colon = to + 1 < end ? to + 1 : NULL;
	} else {
		colon = memchr(text, ':', (size_t)(end - text));
		to = colon ? colon : end;
	}
	if ((size_t)(to - from) >= HOST_SIZE)
		return false;
	memcpy(host, from, (size_t)(to - from));
	host[to - from] = '\0';
	*port = colon != NULL;
	if (colon) {
		number = strtoul(colon + 1, &rest, 10);
		if (colon[1] < '0' || colon[1] > '9' || rest != end || number == 0 ||
		    number > 65535)
			return false;
	}
	return address_fault(host) == NULL;
}

/* What stands behind the scheme, up to a path; NULL = no such scheme. */
const char *url_after(const char *url, const char *scheme)
{
	size_t len = strlen(scheme);

	return strncmp(url, scheme, len) == 0 ? url + len : NULL;
}

const char *server_fault(const char *server)
{
	const char *at = url_after(server, "smtps://");
	char host[HOST_SIZE];
	bool port;

	if (!at)
		at = url_after(server, "smtp://");
	if (!at || strlen(server) > URL_LEN_MAX || !host_read(at, at + strlen(at), host, &port))
		return "must be \"smtps://HOST\" or \"smtp://HOST\", perhaps with a port "
		       "(\"smtp://HOST:587\")";
	return NULL;
}

static bool is_plain(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text >= 0x7f || strchr("\"<>\\^`{|}", *text))
			return false;
	return true;
}

static bool is_this_machine(const char *host)
{
	struct in_addr four;

	if (strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0)
		return true;
	return inet_pton(AF_INET, host, &four) == 1 && ntohl(four.s_addr) >> 24 == 127;
}

const char *url_fault(const char *url)
{
	const char *at = url_after(url, "https://"), *plain = url_after(url, "http://");
	char host[HOST_SIZE];
	bool port;

	if (!at)
		at = plain;
	if (!at || strlen(url) > URL_LEN_MAX || !is_plain(url) || strchr(at, '#') ||
	    !host_read(at, at + strcspn(at, "/?"), host, &port))
		return "must be \"https://HOST/PATH\", without a user or a password in it";
	if (plain && !is_this_machine(host))
		return "must be https://: without TLS nothing is sent to another machine";
	return NULL;
}

const char *listen_fault(const char *text)
{
	unsigned char address[sizeof(struct in6_addr)];
	char host[HOST_SIZE];
	bool port;

	if (!host_read(text, text + strlen(text), host, &port) || !port ||
	    (inet_pton(AF_INET, host, address) != 1 && inet_pton(AF_INET6, host, address) != 1))
		return "must be an IP address and a port, such as \"127.0.0.1:9464\"";
	return NULL;
}
