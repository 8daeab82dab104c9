/*
 * Who makes a request, and what they may do.
 *
 * Owns the one place where a person is told from what the kernel or a login says, and the one where
 * they are refused. Never knows what a method does: the table in service.c says which permission it
 * takes.
 */
#ifndef SERVICE_PERSON_H
#define SERVICE_PERSON_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy.h"

struct request;
struct record;
struct scope;
enum service_end;

#define ORIGIN_SIZE	    64
#define SESSION_SIZE	    64
#define CALLER_ADDRESS_SIZE 64

/* Where a request comes from. */
struct caller {
	uid_t uid; /* as the kernel says */
	bool tls;  /* over TLS: of whom the kernel says nothing, and who is never the owner */
	bool certificate; /* over TLS: it showed one, and neither a token nor a login */
	bool nobody;	  /* over TLS: has not said who it is, and may only log in */
	bool here;	  /* a command with an engine of its own: the files' modes let it */
	bool engine;	  /* here too: nobody asks, the engine does it by itself */
	bool owner;	  /* runs as the vault's owner or root */
	/* One sitting of theirs: the session of processes, which is a terminal's; "" = not known.
	 */
	char session[SESSION_SIZE];
	/* Over TLS: where from, who it was proven to be, and what the token that they showed lets
	 * them do; NULL = they showed none. */
	char address[CALLER_ADDRESS_SIZE];
	char user[USER_NAME_SIZE];
	struct scope *scope;
};

struct person {
	char name[USER_NAME_SIZE];	   /* the policy's; else the system's; else "uid 1000" */
	char origin[ORIGIN_SIZE];	   /* "here", "socket", "tls" */
	char address[CALLER_ADDRESS_SIZE]; /* over TLS: where from; else "" */
	struct scope *scope;		   /* of the token that was shown; NULL = none was */
	char session[SESSION_SIZE];	   /* for as long as a code holds; "" = for no longer */
	uid_t uid;			   /* not over TLS */
	bool tls;
	bool certificate; /* over TLS: known by that alone */
	bool here;	  /* asks an engine of their own */
	bool engine;
	/* Who can read vault and key needs no permission from the engine, nor could be refused it.
	 */
	bool owner;
	const struct user *user; /* of the request's policy; NULL = it declares none */
};

/* Whether the socket lets them in at all: the vault's owner, root, and whom the policy declares. */
bool caller_is_known(const struct caller *, const struct policy *);

/* Whether they may do something everywhere, of what is no method. */
bool caller_may(const struct caller *, const struct policy *, enum permission);

/* Fills request->person from the caller and the request's policy. */
void request_identify(struct request *, const struct caller *);
/* What it was filled with goes. */
void person_clear(struct person *);

/*
 * Whether the person may do what the request's method takes, at this node and for this task; NULL
 * and "" as of user_may. `request_sees_*`: the same of an asset by its name, which the policy may
 * have no more, and of a record.
 */
bool request_may(const struct request *, const char *node, const char *task);
/* Likewise, whatever the method takes: by their roles and by the token that they showed. */
bool person_may(const struct person *, enum permission, const char *node, const char *task);
bool request_sees_asset(const struct request *, const char *asset);
bool request_sees_record(const struct request *, const struct record *);

/* At which node an asset is; "" where the policy has it no more. */
const char *request_node_of(const struct request *, const char *asset);

/* Fails the request. `what`: the thing, `asset "web1"`; NULL = the method. */
enum service_end request_deny(struct request *, const char *what);
/* Fails the request where a token or a certificate was shown, which a program may have, for what
 * only its user does: `what` is that. */
bool request_is_in_person(struct request *, const char *what);
/* Once its handler is done: what was denied is in the audit log before it is answered. */
enum service_end request_note_denial(struct request *, enum service_end);

#endif
