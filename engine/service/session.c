#include "service/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/mem.h"
#include "base/random.h"
#include "service/engine.h"

#define PREFIX	     "lss_"
#define PREFIX_LEN   4
#define RANDOM_BYTES 32
#define OF_USER_MAX  8

struct session {
	LIST_ENTRY(session) entry; /* the newest first */
	uint8_t digest[DIGEST_SIZE];
	char user[USER_NAME_SIZE];
	char name[SESSION_SIZE];
	uint64_t until_ms; /* monotonic: who sets the clock back lengthens none */
};

static uint64_t now_ms(const struct service *service)
{
	return clock_mono_ms(loop_clock(service->loop));
}

static void session_free(struct session *session)
{
	LIST_REMOVE(session, entry);
	explicit_bzero(session, sizeof(*session));
	free(session);
}

/* Takes away what has ended, and of one user what is too many. */
static void sweep(struct service *service, const char *user)
{
	struct session *session = LIST_FIRST(&service->sessions), *next;
	size_t count = 0;

	for (; session != NULL; session = next) {
		next = LIST_NEXT(session, entry);
		if (strcmp(session->user, user) == 0)
			count++;
		if (now_ms(service) >= session->until_ms ||
		    (count >= OF_USER_MAX && strcmp(session->user, user) == 0))
			session_free(session);
	}
}

static void make_text(char text[SESSION_TEXT_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t bytes[RANDOM_BYTES];

	random_bytes(bytes, sizeof(bytes));
	memcpy(text, PREFIX, PREFIX_LEN);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		text[PREFIX_LEN + 2 * i] = digits[bytes[i] >> 4];
		text[PREFIX_LEN + 2 * i + 1] = digits[bytes[i] & 15];
	}
	text[SESSION_TEXT_SIZE - 1] = '\0';
	explicit_bzero(bytes, sizeof(bytes));
}

void session_begin(struct service *service, const char *user, char text[SESSION_TEXT_SIZE],
    char name[SESSION_SIZE])
{
	struct session *session = xcalloc(1, sizeof(*session));

	sweep(service, user);
	make_text(text);
	digest_of(text, SESSION_TEXT_SIZE - 1, session->digest);
	snprintf(session->user, sizeof(session->user), "%s", user);
	snprintf(session->name, sizeof(session->name), "login %llu",
	    (unsigned long long)++service->session_count);
	session->until_ms = now_ms(service) + SESSION_LASTS_MS;
	LIST_INSERT_HEAD(&service->sessions, session, entry);
	memcpy(name, session->name, sizeof(session->name));
}

bool session_is_meant(const char *text, size_t len)
{
	return len >= PREFIX_LEN && memcmp(text, PREFIX, PREFIX_LEN) == 0;
}

bool session_identify(struct service *service, const char *text, size_t len, struct caller *caller)
{
	const struct session *session;
	uint8_t digest[DIGEST_SIZE];

	digest_of(text, len, digest);
	LIST_FOREACH (session, &service->sessions, entry) {
		if (!bytes_equal(session->digest, digest, DIGEST_SIZE) ||
		    now_ms(service) >= session->until_ms)
			continue;
		memcpy(caller->user, session->user, sizeof(caller->user));
		memcpy(caller->session, session->name, sizeof(caller->session));
		return true;
	}
	return false;
}

bool session_end(struct service *service, const char *name)
{
	struct session *session;

	LIST_FOREACH (session, &service->sessions, entry) {
		if (strcmp(session->name, name) == 0) {
			session_free(session);
			return true;
		}
	}
	return false;
}

void sessions_forget(struct service *service, const char *user)
{
	struct session *session = LIST_FIRST(&service->sessions), *next;

	for (; session != NULL; session = next) {
		next = LIST_NEXT(session, entry);
		if (user == NULL || strcmp(session->user, user) == 0)
			session_free(session);
	}
}
