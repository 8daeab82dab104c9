/*
 * An asset for tests: a real sshd with accounts, passwords and sudoers of its own, in a mount
 * namespace that leaves the machine as it is; and small servers that misbehave.
 *
 * Needs root, sshd, unshare and mount; asset_start says false where it cannot be had.
 */
#ifndef WIRE_ASSET_H
#define WIRE_ASSET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Accounts: root, admin (sudo and doas with its password), free (both without), plain (neither),
 * old (its password must be changed), none (nologin); and by sudo with its password: term (from a
 * terminal alone), ptys (use_pty), other (which asks for root's password), some (id and cat alone),
 * brief (the same, and no ticket is kept), few (id and cat alone, without its password). Each has
 * ASSET_PASSWORD, root another, and the key.
 */
#define ASSET_PASSWORD "Start-Pw.1"
#define ROOT_PASSWORD  "Root-Pw.2"

struct asset {
	pid_t pid;
	char dir[64];
	uint16_t port;	      /* password and keyboard-interactive */
	uint16_t prompt_port; /* keyboard-interactive only, one attempt */
	uint16_t key_port;    /* publickey only */
	uint16_t two_port;    /* password, then keyboard-interactive */
	uint16_t old_port;    /* Diffie-Hellman and no elliptic curve; as `port` else */
	char *key;	      /* ed25519, OpenSSH's form */
	char *key_ecdsa;
};

bool asset_start(struct asset *);
void asset_stop(struct asset *);

/* A server of one connection at a time, in a child. */
enum rogue {
	ROGUE_SILENT,  /* accepts, says nothing */
	ROGUE_BANNER,  /* lines before the banner, without end */
	ROGUE_IGNORE,  /* a banner, then SSH_MSG_IGNORE without end */
	ROGUE_GARBAGE, /* a banner, then noise */
	ROGUE_HTTP,    /* another protocol */
	ROGUE_CLOSE,   /* closes at once */
	ROGUE_LEAVE,   /* reads our lists and closes, without its own */
	ROGUE_PART,    /* the same, and says that it goes */
	ROGUE_ODD,     /* offers algorithms that nobody has */
};

struct rogue_server {
	pid_t pid;
	uint16_t port;
};

void rogue_start(struct rogue_server *, enum rogue);

/* Hands bytes on to and from a local port; what comes back, 16 bytes at a time. */
void rogue_relay(struct rogue_server *, uint16_t to);

void rogue_stop(struct rogue_server *);

#endif
