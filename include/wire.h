/*
 * Wires: all that speaks to assets, and the processes that do.
 *
 * Owns sessions with assets, the logins on them, the platform scripts, and the processes in which
 * these run. A wire holds no vault and no master key; it is given the secrets of a job with that
 * job. Never decides what an outcome means for an account: it reports what it saw.
 *
 * A session is one SSH connection to one asset. Jobs on it go one after the other; each is answered
 * once, from the loop, never from inside wire_submit. When a wire's process dies, or does not
 * answer in time and is killed, it has been waited for before its jobs are answered: what is
 * answered can no longer send.
 *
 * An asset with which Diffie-Hellman alone is in common has its sessions on a wire of its own kind,
 * one for all of these: to others that would be a stall.
 *
 * `struct wires` is a door: wires_start makes the real one, a test makes its own from struct
 * wires_ops.
 */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/secret.h"

struct wires;
struct wire_session;

#define WIRE_TEXT_SIZE	   1024 /* text of an asset, cut */
#define WIRE_ADDRESS_SIZE  64
#define WIRE_KEY_SIZE	   2304 /* RSA of 16,384 bits, the most that OpenSSH takes, is 2,071 */
#define WIRE_KEY_TYPE_SIZE 32

/* ── What can go wrong ───────────────────────────────────────────────────────────────────── */

enum fault {
	FAULT_NONE,
	/* Reaching it. */
	FAULT_RESOLVE,	    /* its name has no address */
	FAULT_CONNECT,	    /* refused, or no route */
	FAULT_TIMEOUT,	    /* no answer within the phase's deadline */
	FAULT_LOST,	    /* the link broke */
	FAULT_BANNER,	    /* what answers is not an SSH server, or never comes to the point */
	FAULT_ALGORITHM,    /* no common algorithm; the text names both lists */
	FAULT_HOST_KEY,	    /* not the pinned one; the text has both fingerprints */
	FAULT_HOST_UNKNOWN, /* none pinned, and only known ones are allowed */
	/* Its gateway cannot be opened, or carries no connection to it. One word, two classes: */
	FAULT_GATEWAY,	    /* as long as nobody changes something there */
	FAULT_GATEWAY_AWAY, /* it may go another time */
	/* Logging in. */
	FAULT_AUTH,	 /* the secret was refused */
	FAULT_NO_METHOD, /* the asset offers no way to log in that fits the secret */
	FAULT_EXPIRED,	 /* it logs in and must change its password first, or may do nothing */
	FAULT_KEY,	 /* the private key cannot be used: its type, its passphrase */
	FAULT_NO_SHELL,	 /* it logs in and does not run what it is told */
	/* Elevation. */
	FAULT_BECOME_PASSWORD, /* the password was refused */
	FAULT_BECOME_DENIED,   /* not allowed to */
	/* Working. */
	FAULT_REFUSED, /* the asset refused the change; its end was seen */
	FAULT_OUTPUT,  /* output that matches nothing expected */
	FAULT_SCRIPT,  /* an error of the platform's Lua; the text has file and line */
	FAULT_LIMIT,   /* a cap of ours */
	FAULT_WIRE,    /* the wire's process died or was killed */
};

/* The stable word, as in records: "host_key". "" for none. */
const char *fault_name(enum fault);

/* What to do about a fault when nothing that holds the new secret was sent. */
enum fault_class { FAULT_CLASS_NONE, FAULT_CLASS_RETRY, FAULT_CLASS_PERMANENT };
enum fault_class fault_class(enum fault);

/* ── Jobs ────────────────────────────────────────────────────────────────────────────────── */

struct wire_key {
	char type[WIRE_KEY_TYPE_SIZE]; /* "ssh-ed25519" */
	uint8_t blob[WIRE_KEY_SIZE];
	size_t len;
};

#define WIRE_FINGERPRINT_SIZE 52

/* "SHA256:" and 43 characters, as OpenSSH shows a key; returns `out`. */
char *wire_key_fingerprint(const struct wire_key *, char out[WIRE_FINGERPRINT_SIZE]);

struct wire_target {
	const char *asset;   /* its name, for messages and logs */
	const char *address; /* name, IPv4 or IPv6 */
	uint16_t port;
	const struct wire_key *pins; /* only these host keys; none = any, and it is reported */
	size_t pin_count;
	bool known_only; /* refuse when nothing is pinned */
	/* Someone waits for it, or the asset is at work already: its OPEN is not held back as long
	 * as the wire has all that it can do, as others are. */
	bool urgent;
	/*
	 * Through which gateway: a session of the same door on which WIRE_LOGIN was answered well;
	 * NULL = directly. The gateway resolves `address` and connects. It should outlive this
	 * session; where it ends or breaks, so does this one.
	 */
	struct wire_session *via;
};

enum wire_become { WIRE_BECOME_NONE, WIRE_BECOME_SUDO, WIRE_BECOME_SU, WIRE_BECOME_DOAS };

/* What a check or a proof is asked for. */
enum wire_proof { WIRE_PROOF_NONE, WIRE_PROOF_LOGIN, WIRE_PROOF_SU, WIRE_PROOF_HASH };

enum wire_job_kind {
	WIRE_OPEN,    /* connect, exchange keys, check the host key; sends no secret */
	WIRE_METHODS, /* which ways the asset offers `account` to log in (no attempt); finding
			 NO_PROOF where none fits a password */
	WIRE_ADMIN,  /* log in as `account` with `secret`, elevate, and be ready for the three below
		      */
	WIRE_CHECK,  /* is `account` there, not locked, not expired, the proof possible? */
	WIRE_CHANGE, /* set `secret` as the account's */
	WIRE_HASH,  /* does `secret` match the account's entry, read through the privileged session?
		     */
	WIRE_PROVE, /* log in as `account` with `secret` on this session, run an echo, nothing else
		     */
	WIRE_PERSIST, /* make the change permanent, after it was seen to work; a key's: remove what
			 it replaces. May be repeated */
	WIRE_SU, /* after ADMIN, on its session: become `account` with `secret` by su, run an echo,
		    nothing else */
	WIRE_LOGIN, /* log in as `account` with `secret`, no shell: the session is a gateway from
		       then on, and others may name it (`via`); no job but OPEN may follow */
};
#define WIRE_JOB_LAST WIRE_LOGIN

/* What becomes of the keys that an account has, once the new one was seen to work. */
enum wire_key_replace {
	WIRE_KEY_ADD,  /* all stay */
	WIRE_KEY_OURS, /* those with our mark go */
	WIRE_KEY_ALL,  /* every other goes */
};

/* The public part: all that the asset is given of a key. */
struct wire_ssh_key {
	const char *line; /* "ssh-ed25519 AAAA… MARK"; NULL in CHECK, before it is made */
	const char *mark; /* one word: the comment of ours */
	enum wire_key_replace replace;
};

#define WIRE_KEY_LINE_SIZE 8192
#define WIRE_PARAMS_SIZE   (16 * 1024)

struct wire_job {
	enum wire_job_kind kind;
	uint64_t timeout_ms;	     /* absolute for the whole job, from its submission; an OPEN's
					from when it is not held back any more */
	uint32_t snapshot;	     /* whose scripts: CHECK, CHANGE, HASH, PERSIST */
	const char *platform;	     /* CHECK, CHANGE, HASH, PERSIST */
	const char *account;	     /* all but OPEN */
	const struct secret *secret; /* ADMIN, CHANGE, HASH, PROVE, SU, LOGIN: a password, or for
					ADMIN and LOGIN a private key in PEM */
	bool secret_is_key;
	const struct secret *passphrase; /* of a private key; NULL = none */
	const struct secret *old;	 /* CHANGE: the current one; NULL = unknown */
	enum wire_become become;	 /* ADMIN */
	/* ADMIN: what the elevation may ask for: the account's password for sudo and doas, root's
	 * for su; NULL = none to give. */
	const struct secret *become_secret;
	enum wire_proof proof; /* CHECK */
	/* CHECK, CHANGE, PERSIST: it is about a key and not about a password. CHANGE then needs no
	 * `secret`. */
	const struct wire_ssh_key *ssh_key;
	const char *params; /* CHECK, CHANGE: the task's, a JSON object; NULL = none */
};

enum wire_finding { FINDING_OK, FINDING_ABSENT, FINDING_LOCKED, FINDING_EXPIRED, FINDING_NO_PROOF };
const char *finding_name(enum wire_finding); /* "absent", …; "" for OK */

enum wire_verdict {
	VERDICT_UNKNOWN,  /* nothing can be said: broken link, odd behaviour, expired account … */
	VERDICT_MATCH,	  /* it works */
	VERDICT_MISMATCH, /* it was refused */
};

struct wire_result {
	enum fault fault;	   /* FAULT_NONE: the job did what it was asked */
	char text[WIRE_TEXT_SIZE]; /* more about the fault or finding; may hold hostile asset text;
				      UTF-8 */
	/* OPEN: */
	struct wire_key host_key;
	bool host_key_new; /* nothing was pinned */
	/* Numeric: further sessions of the same record use it. Through a gateway: as given. */
	char address[WIRE_ADDRESS_SIZE];
	/* METHODS, CHECK: */
	enum wire_finding finding;
	/* METHODS: its server keeps what it has read of the account for as long as the session
	 * lasts, so that one from before a change proves nothing after it (dropbear). */
	bool remembers;
	/* CHANGE: a part that holds the secret, or the key's line, may have left this machine. */
	bool sent;
	/* CHANGE, PERSIST: the end was seen; with fault NONE it was accepted, with FAULT_REFUSED
	 * refused. */
	bool ended;
	/* ADMIN: the asset elevates single commands only: there is no shell with privileges. */
	bool targeted;
	/* HASH, PROVE, SU: */
	enum wire_verdict verdict;
	/*
	 * Attempts by password that the asset may have counted as failed logins of the account:
	 * ADMIN, LOGIN, PROVE, SU. (`password` then keyboard-interactive, both refused, is two; the
	 * refusal of an elevation one: of root's password, where that is by su.)
	 */
	uint32_t failed_attempts;
	/* The fault is the gateway's: its session broke, and all that go through it with it; or it
	 * has to be opened anew, in the slow lane. */
	bool via_lost;
	bool slow_lane; /* what a wire says to the real door, which never tells it */
	uint32_t wire;	/* who attests it: number of the process, never used again */
};

typedef void (*wire_done_fn)(void *arg, const struct wire_result *);

/* ── The door ────────────────────────────────────────────────────────────────────────────── */

struct wires_ops {
	struct wire_session *(*session_new)(struct wires *, const struct wire_target *);
	void (*submit)(struct wire_session *, const struct wire_job *, wire_done_fn, void *arg);
	void (*session_free)(struct wire_session *);
};

struct wires {
	const struct wires_ops *ops;
};

/* What every door's sessions begin with. */
struct wire_session {
	struct wires *wires;
};

/*
 * A session, not connected yet; on the wire with the fewest. Strings and keys of `target` are
 * copied. Never NULL: where no wire can be had, its jobs are answered with FAULT_WIRE.
 */
struct wire_session *wire_session_new(struct wires *, const struct wire_target *);

/*
 * Hands over a job; only after the one before on this session was answered. What `job` points to
 * need live only during the call. `done` is called once, later, from the loop.
 *
 * After a fault, FAULT_REFUSED whose end was seen apart, the connection is closed: later jobs are
 * answered with FAULT_LOST until another OPEN. One ADMIN or PROVE for each OPEN. The session that
 * SU shares with others outlives what su says: match and mismatch come with FAULT_NONE, and after
 * FAULT_EXPIRED, _NO_SHELL, _BECOME_DENIED, _OUTPUT or _LIMIT (UNKNOWN, all of them) it goes on.
 */
void wire_submit(struct wire_session *, const struct wire_job *, wire_done_fn done, void *arg);

/* Closes it (a job in work is ended, unanswered: only for jobs that hold no new secret). NULL is
 * fine. */
void wire_session_free(struct wire_session *);

/* ── The real ones ───────────────────────────────────────────────────────────────────────── */

struct loop;

struct wire_script {
	const char *platform;
	const char *file; /* for messages */
	const char *source;
	size_t len;
};

struct wires_config {
	struct loop *loop;
	uint32_t processes; /* 0 = one a core; one more for Diffie-Hellman, when it is needed */
	int lock_fd;	    /* the vault's flock, inherited; -1 = none (tests) */
	bool sandbox;
	const char *exe; /* NULL = /proc/self/exe; started with the one argument WIRE_ARGUMENT */
	/* Called when a wire died; its jobs are answered right after. May be NULL. */
	void (*died)(void *arg, uint32_t wire, const char *how);
	void *arg;
};

/* The argument that makes `lockstep` a wire: the first and only one. main hands over to wire_main
 * then. */
#define WIRE_ARGUMENT "--wire"

/* Starts the processes. One that dies is replaced, with growing pauses. */
enum err wires_start(struct wires **, const struct wires_config *, struct error *error) MUST_CHECK;

/*
 * Gives every wire, also those to come, the scripts of a snapshot, after a wire of its own has
 * tried them (waits for that one, some 50 ms). ERR_INVALID when a platform does not load there. The
 * newest WIRE_SNAPSHOTS_MAX are kept: a job of an older one fails with FAULT_LIMIT.
 */
#define WIRE_SNAPSHOTS_MAX 8
enum err wires_load(struct wires *, uint32_t snapshot, const struct wire_script *scripts,
    size_t count, struct error *error) MUST_CHECK;

/* How many of its processes there are now; of those that died some are yet to be started anew. */
uint32_t wires_alive(const struct wires *);

/* Ends the processes and waits for them; jobs in work are not answered, and sessions that are left
 * are freed. Fine from a job's `done`, as its last act. NULL is fine. */
void wires_stop(struct wires *);

/* The life of a wire process; returns its exit status. */
int wire_main(void);

#endif
