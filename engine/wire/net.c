#include "wire/net.h"

#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/dns.h>
#include <event2/util.h>

#include "base/mem.h"

/* More addresses of one name than this are not tried. */
#define ADDRESSES_MAX 8

/* Lives until the resolver has answered, which may be after the link is gone. */
struct lookup {
	struct net *net; /* NULL: nobody waits any more */
	const struct link_config *config;
	struct evdns_getaddrinfo_request *request;
};

static void net_answer(struct net *net, int error, struct evutil_addrinfo *found)
{
	net->resolved = true;
	net->lookup_error = error;
	net->found = found; /* transferred */
	net->next = found;
}

static void lookup_done(int error, struct evutil_addrinfo *found, void *arg)
{
	struct lookup *lookup = arg;
	struct net *net = lookup->net;

	if (net == NULL) {
		if (found != NULL)
			evutil_freeaddrinfo(found);
		free(lookup);
		return;
	}
	net_answer(net, error, found);
	net->lookup = NULL;
	/* The resolver may answer from inside the question: then nobody waits yet. */
	if (lookup->request != NULL)
		lookup->config->wake(lookup->config->arg);
	free(lookup);
}

static void net_lookup(struct net *net, const struct link_config *config, const char *address,
    const char *port, const struct evutil_addrinfo *hints)
{
	struct lookup *lookup = xcalloc(1, sizeof(*lookup));
	struct evdns_getaddrinfo_request *request;

	*lookup = (struct lookup){.net = net, .config = config};
	net->lookup = lookup;
	request = evdns_getaddrinfo(config->dns, address, port, hints, lookup_done, lookup);
	if (net->lookup != NULL)
		lookup->request = request;
}

char *net_address(const char *address)
{
	const char *interface = strchr(address, '%');
	unsigned number = interface == NULL ? 0 : if_nametoindex(interface + 1);

	if (number == 0)
		return xstrdup(address);
	return xasprintf("%.*s%%%u", (int)(interface - address), address, number);
}

/* An IPv6 address with the number of an interface; the library would ask for its name. */
static int net_scoped(const char *address, const char *service, struct evutil_addrinfo *hints,
    struct evutil_addrinfo **found)
{
	const char *interface = strchr(address, '%');
	char *end, *bare = xstrndup(address, (size_t)(interface - address));
	unsigned long number = strtoul(interface + 1, &end, 10);
	int error = EVUTIL_EAI_NONAME;

	hints->ai_family = AF_INET6;
	if (isdigit((unsigned char)interface[1]) && *end == '\0' && number <= UINT32_MAX)
		error = evutil_getaddrinfo(bare, service, hints, found);
	if (error == 0)
		((struct sockaddr_in6 *)(void *)(*found)->ai_addr)->sin6_scope_id =
		    (uint32_t)number;
	free(bare);
	return error;
}

static void net_resolve(
    struct net *net, const struct link_config *config, const char *address, uint16_t port)
{
	struct evutil_addrinfo hints = {
	    .ai_family = AF_UNSPEC,
	    .ai_socktype = SOCK_STREAM,
	    .ai_protocol = IPPROTO_TCP,
	    .ai_flags = EVUTIL_AI_NUMERICHOST | EVUTIL_AI_NUMERICSERV,
	};
	struct evutil_addrinfo *found = NULL;
	char service[8];
	int error;

	snprintf(service, sizeof(service), "%u", port);
	if (strchr(address, '%') != NULL)
		error = net_scoped(address, service, &hints, &found);
	else
		error = evutil_getaddrinfo(address, service, &hints, &found);
	if (error == 0 || config->dns == NULL || strchr(address, '%') != NULL) {
		net_answer(net, error, found);
		return;
	}
	hints.ai_flags = EVUTIL_AI_NUMERICSERV;
	net_lookup(net, config, address, service, &hints);
}

static void net_close(struct net *net)
{
	if (net->fd >= 0)
		close(net->fd);
	net->fd = -1;
	net->connecting = false;
}

static void net_name(struct net *net, const struct evutil_addrinfo *address)
{
	const struct sockaddr_in6 *six = (const void *)address->ai_addr;
	const struct sockaddr_in *four = (const void *)address->ai_addr;
	bool is_six = address->ai_family == AF_INET6;
	const void *raw = is_six ? (const void *)&six->sin6_addr : (const void *)&four->sin_addr;
	size_t len;

	if (evutil_inet_ntop(address->ai_family, raw, net->numeric, sizeof(net->numeric)) == NULL)
		net->numeric[0] = '\0';
	len = strlen(net->numeric);
	if (is_six && six->sin6_scope_id != 0)
		snprintf(net->numeric + len, sizeof(net->numeric) - len, "%%%u",
		    (unsigned)six->sin6_scope_id);
}

/* Begins to connect; false when this address is of no use. */
static bool net_dial(struct net *net, const struct evutil_addrinfo *address)
{
	int one = 1;

	if (address->ai_family != AF_INET && address->ai_family != AF_INET6)
		return false;
	net_name(net, address);
	net->fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (net->fd < 0) {
		net->last_errno = errno;
		return false;
	}
	/* A whole packet is handed over at once; to hold it back would only cost time. */
	(void)setsockopt(net->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(net->fd, address->ai_addr, (socklen_t)address->ai_addrlen) == 0 ||
	    errno == EINPROGRESS) {
		net->connecting = true;
		return true;
	}
	net->last_errno = errno;
	net_close(net);
	return false;
}

/* ERR_AGAIN while the kernel is at it; else connected or not. */
static enum err net_dialled(struct net *net)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer), error_len = sizeof(int);
	int error = 0;

	if (getpeername(net->fd, (struct sockaddr *)&peer, &len) == 0) {
		net->connecting = false;
		net->connected = true;
		return ERR_OK;
	}
	if (getsockopt(net->fd, SOL_SOCKET, SO_ERROR, &error, &error_len) == 0 && error == 0)
		return ERR_AGAIN;
	net->last_errno = error;
	net_close(net);
	return ERR_LINK;
}

static enum err net_connect(struct net *net, struct outcome *outcome)
{
	for (int tried = 0;; tried++) {
		const struct evutil_addrinfo *address = net->next;

		if (net->connecting) {
			enum err err = net_dialled(net);

			if (err != ERR_LINK)
				return err;
		}
		if (address == NULL || tried == ADDRESSES_MAX)
			break;
		net->next = address->ai_next;
		/* Most likely it is not there yet: look again when the socket says so. */
		if (net_dial(net, address))
			return ERR_AGAIN;
	}
	return outcome_set(outcome, FAULT_CONNECT, "cannot connect to %s: %s", net->numeric,
	    net->last_errno != 0 ? strerror(net->last_errno) : "no address that can be used");
}

enum err net_step(struct net *net, const struct link_config *config, const char *address,
    uint16_t port, struct outcome *outcome)
{
	if (net->connected)
		return ERR_OK;
	if (!net->resolved && net->lookup == NULL)
		net_resolve(net, config, address, port);
	if (!net->resolved)
		return ERR_AGAIN;
	if (net->found == NULL)
		return outcome_set(outcome, FAULT_RESOLVE, "%s has no address: %s", address,
		    evutil_gai_strerror(net->lookup_error));
	return net_connect(net, outcome);
}

void net_hold(struct net *net, bool on)
{
	struct linger linger = {.l_onoff = on, .l_linger = 0};

	if (net->fd >= 0)
		(void)setsockopt(net->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

size_t net_waiting(const struct net *net)
{
	int waiting = 0;

	if (net->fd < 0 || ioctl(net->fd, SIOCOUTQ, &waiting) != 0)
		return 0;
	return (size_t)waiting;
}

void net_clear(struct net *net)
{
	if (net->lookup != NULL) {
		struct lookup *lookup = net->lookup;

		/* Its end is told later, from the loop. */
		lookup->net = NULL;
		evdns_getaddrinfo_cancel(lookup->request);
	}
	if (net->found != NULL)
		evutil_freeaddrinfo(net->found);
	net_close(net);
	*net = (struct net){.fd = -1};
}
