/*
 * What the tests of links and of the shells on them share: the asset, and a session that is driven
 * step by step and can be cut after any of them.
 */
#ifndef TESTS_WIRE_LINK_HELP_H
#define TESTS_WIRE_LINK_HELP_H

#include "base/secret.h"
#include "wire/link.h"
#include "wire/shell.h"
#include "wire_asset.h"

#if defined(__SANITIZE_ADDRESS__)
#define LEAKS_SEEN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LEAKS_SEEN 1
#endif
#endif
#ifdef LEAKS_SEEN
#include <sanitizer/lsan_interface.h>
#else
#define __lsan_disable() ((void)0)
#define __lsan_enable()	 ((void)0)
#endif

/* Of the whole group of tests, from asset_begin on. */
extern struct asset asset;
extern bool asset_there;

#define NEED_ASSET()                                                                               \
	do {                                                                                       \
		if (!asset_there)                                                                  \
			skip();                                                                    \
	} while (0)

/* A group's setup and teardown. */
int asset_begin(void **state);
int asset_end(void **state);

struct session {
	struct link *link;
	struct shell *shell;
	struct outcome outcome;
	struct secret *secret;
	int steps_left; /* cut when none is left */
};

uint64_t mono_ms(void);

/* Waits as the link says; false when the deadline has passed or the steps are used up. */
bool session_wait(struct session *, uint64_t deadline_ms);

#define CUT ERR_CANCELED

/* Steps to the end, or until it is CUT. */
#define DRIVE(session, timeout_ms, step)                                                           \
	({                                                                                         \
		uint64_t deadline_ms_ = mono_ms() + (timeout_ms);                                  \
		enum err err_;                                                                     \
		while ((err_ = (step)) == ERR_AGAIN) {                                             \
			if (!session_wait(session, deadline_ms_)) {                                \
				err_ = CUT;                                                        \
				break;                                                             \
			}                                                                          \
		}                                                                                  \
		err_;                                                                              \
	})

/* With steps enough for anything; a test that wants fewer sets them after. */
void session_begin(struct session *, uint16_t port, const struct wire_key *pins, size_t pin_count,
    bool known_only);
enum err session_open(struct session *);
enum err session_login(struct session *, const char *user, const char *secret, bool is_key);
enum err session_become(struct session *, enum wire_become, const char *user, const char *password);
enum err session_run(struct session *, struct command *);
void session_end(struct session *);

/* These begin a session, and fail the test when it does not come so far. */
void expect_open(struct session *, uint16_t port);
void expect_login(
    struct session *, uint16_t port, const char *user, const char *secret, bool is_key);

void expect_fault(const struct session *, enum fault);

/* A command of these words, up to a NULL. */
void words(struct command *, const char *const *list);

#endif
