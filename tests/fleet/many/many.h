/*
 * A simulated fleet: one process that stands for tens of thousands of assets, told apart by the
 * loopback address at which they are called.
 *
 * Owns the sessions (on libssh's server side), the accounts with their passwords (in memory), and
 * the troubles that assets make. Understands what Lockstep's platform "linux" has run, and the few
 * commands of its peers; runs nothing. Never decides whether a test passed: it tells which password
 * each account holds, and which logins it saw.
 *
 * For tests: it keeps passwords in the open, and tells them to whoever reaches its control socket.
 */
#ifndef MANY_H
#define MANY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <event2/event.h>

#include "base/buf.h"

#define NAME_SIZE     64
#define PASSWORD_SIZE 513
#define ASSETS_MAX    (1u << 20)
#define LINE_MAX_SIZE (64 * 1024)

/* ── Troubles ────────────────────────────────────────────────────────────────────────────── */

enum trouble {
	TROUBLE_NONE,
	/* Before any SSH. */
	TROUBLE_RESET,	    /* accepts and resets */
	TROUBLE_SILENT,	    /* never says a word */
	TROUBLE_BANNER,	    /* lines without end before the banner */
	TROUBLE_FLOOD,	    /* ignored messages without end after the banner */
	TROUBLE_DRIP,	    /* one byte a second */
	TROUBLE_DISCONNECT, /* leaves with a reason: 1 to 15, by the asset's number */
	/* On the way in. */
	TROUBLE_HANG,	   /* stops in the middle of the key exchange */
	TROUBLE_WRONG_KEY, /* shows another host key */
	TROUBLE_DH,	   /* offers Diffie-Hellman groups only */
	TROUBLE_LEAVE,	   /* leaves right after a login */
	TROUBLE_STALE,	   /* lets in by the first password too, whatever was set since */
	/* About a change. */
	TROUBLE_DROP_BEFORE, /* drops the link, and changes nothing */
	TROUBLE_DROP_MIDDLE, /* drops the link, and changes it a little later */
	TROUBLE_DROP_AFTER,  /* changes it, and drops the link */
	TROUBLE_PARTIAL,     /* changes it, says half of the answer, and then nothing */
	TROUBLE_MUTE,	     /* changes it, and says nothing */
	TROUBLE_REFUSE,	     /* says no, and changes nothing */
	TROUBLE_LIE,	     /* says yes, and changes nothing */
	TROUBLE_COUNT,
};

/* TROUBLE_COUNT where the word is none. */
enum trouble trouble_by_name(const char *name);

/* ── Accounts ────────────────────────────────────────────────────────────────────────────── */

struct account {
	SLIST_ENTRY(account) entry;
	char name[NAME_SIZE];
	char password[PASSWORD_SIZE];
	uint32_t changes; /* passwords set */
	uint32_t logins, refused;
	bool proven; /* a login by the password that it holds was seen since that was set */
};

struct asset {
	uint32_t number;
	enum trouble trouble;
	SLIST_HEAD(, account) accounts;
};

struct store {
	struct asset **assets; /* by number */
	uint32_t room;
	const char *first_password; /* of accounts that nobody changed yet */
};

/* NULL past ASSETS_MAX. */
struct asset *store_asset(struct store *, uint32_t number);
struct account *store_account(struct store *, struct asset *, const char *name);
bool account_opens(
    const struct account *, const struct store *, const struct asset *, const char *password);
void account_set(struct account *, const char *password, size_t len);
/* Lines of NUMBER ACCOUNT PASSWORD CHANGES LOGINS REFUSED PROVEN, for all that were ever named. */
void store_tell(const struct store *, struct buf *out);
void store_clear(struct store *);

/* ── The fleet ───────────────────────────────────────────────────────────────────────────── */

struct config {
	uint16_t port; /* 0 = any */
	struct in_addr first;
	const char *control; /* the socket's path */
	uint32_t login_ms, command_ms;
	uint32_t middle_ms; /* how long after a drop in the middle the password is set */
	const char *host_key;
	const char *kex; /* NULL = all that libssh has */
};

#define DH_GROUPS "diffie-hellman-group14-sha256,diffie-hellman-group16-sha512"

struct stats {
	uint64_t begun, sessions, most_sessions, logins, refused, changes, unknown;
};

struct keys; /* what libssh shows, by trouble */

struct fleet {
	struct config config;
	struct event_base *base;
	struct store store;
	struct keys *keys;
	struct stats stats;
};

/* NULL, with a word on stderr, where a key cannot be made. */
struct keys *keys_new(const struct config *);
void keys_free(struct keys *);

/* Takes over a connection. */
void guest_new(struct fleet *, int fd, struct asset *);
/* A connection that speaks no SSH worth the name; false where the asset's trouble is another. */
bool raw_new(struct fleet *, int fd, struct asset *);
/*
 * Of one who takes Diffie-Hellman groups alone: nothing is to be read before the guest's lists are
 * there. Where there is none in them it says what it takes, and true: the connection is of no more
 * use. libssh would close it without a word, where the lists come together with the banner.
 */
void raw_await_lists(int fd);
bool raw_decline(int fd);

/* ── What is run ─────────────────────────────────────────────────────────────────────────── */

#define NONCE_MAX 64

enum task_kind {
	TASK_UNKNOWN,
	TASK_SHELL, /* lines follow */
	TASK_LOOK,  /* what the platform asks of the account */
	TASK_RULES, /* what it asks of the server */
	TASK_CHPASSWD,
	TASK_ECHO,
	TASK_TRUE,
};

/* A line for the shell, or an exec's command. */
struct task {
	enum task_kind kind;
	bool go;	/* it tells that it waits for its input */
	size_t lines;	/* of input that it takes */
	bool until_end; /* it takes its input until that ends */
	bool told;	/* its end is told by the nonce, not by an exit status */
	char nonce[NONCE_MAX];
	char word[NAME_SIZE + PASSWORD_SIZE]; /* what follows echo */
};

/* What a command comes to. */
enum ending {
	ENDING_ANSWER,
	ENDING_DROP,
	ENDING_HALF, /* half of the answer */
	ENDING_MUTE,
};

struct answer {
	struct buf out, err;
	int status;
	enum ending ending;
};

void task_read_exec(struct task *, const char *command);
void task_read_line(struct task *, const char *line);
/* Runs it with its input; `answer` is empty before. */
void task_run(
    const struct task *, struct fleet *, struct asset *, const char *input, struct answer *);

#endif
