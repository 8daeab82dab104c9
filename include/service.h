/*
 * Service: requests in, results out. Each command is a handler from a JSON request to a JSON
 * result; what prints, and one day what listens, stands on top of it.
 *
 * Owns the meaning of each request, its checks, the shape of its result, and the engine (policy,
 * vault, wires, rotation) that lives as long as a request needs it. Never prints, never asks, never
 * reads a terminal.
 */
#ifndef SERVICE_H
#define SERVICE_H

#include <stdbool.h>

#include <jansson.h>

#include "base/err.h"
#include "base/secret.h"

struct service;

/* An engine on another machine, over TLS. */
struct service_server {
	const char *url;      /* "https://HOST:PORT" */
	const char *ca;	      /* a file of certificates that are trusted; NULL = the system's */
	const char *identity; /* a PEM file: the client's certificate and its key; NULL = none */
	const char *token;    /* NULL = none */
};

struct service_config {
	const char *dir; /* the policy's directory */
	/* Whom all is asked of, in place of the engine here; NULL = that one. Borrowed. */
	const struct service_server *server;
	const char *purpose; /* for whoever finds the vault in use: "run weekly" */
	/*
	 * Progress of a long request: {"event": "started" | "record" | "settled" | "waiting" |
	 * "paused" | "resumed" | "others" | "left", …}. Borrowed for the call. May be NULL.
	 */
	void (*progress)(void *arg, const json_t *event);
	/* Asks a person for the vault's passphrase, where the settings want one; NULL = there is
	 * nobody to ask. */
	enum err (*ask_passphrase)(void *arg, struct secret **, struct error *);
	void *arg;
};

struct service *service_new(const struct service_config *);
void service_free(struct service *);

/* How a request ended, which is the exit status of the command that made it. */
enum service_end {
	SERVICE_OK =
	    0, /* done; all succeeded or were skipped by secure mode, or asked for no proof */
	SERVICE_SOME = 1,     /* done; some did not succeed */
	SERVICE_USAGE = 2,    /* the request or the policy is wrong; nothing was done */
	SERVICE_NO_ENGINE = 3 /* the engine could not start: vault, key, another engine, wires */
};

/*
 * Carries out one request and waits for its end: by the engine that runs, through its socket, where
 * one does; else by an engine of its own, which takes up what others ask meanwhile. `method` is
 * "check", "asset.list", "run" …; `params` an object. On OK and SOME `*result` is a new reference,
 * else NULL or more of what is wrong, and `error` says it. SIGINT and SIGTERM end an engine of its
 * own in order; of one that runs elsewhere only the view ends.
 */
enum service_end service_call(struct service *, const char *method, const json_t *params,
    json_t **result, struct error *error);
/* False where the method is known, and what it takes, and the parameter is not of it. */
bool service_takes(const char *method, const char *param);

struct service_daemon {
	void (*reopen_log)(void *arg); /* SIGUSR1; NULL = nothing to do */
	void *arg;
};

/*
 * lockstepd's life: holds the vault, serves the socket, settles doubts, until it is told to end.
 * SIGHUP loads the policy anew; SIGTERM and SIGINT let what is in flight end, the second one does
 * not. OK once it was told to end; else what kept it from starting or going on, as from
 * service_call.
 */
enum service_end service_serve(
    struct service *, const struct service_daemon *, json_t **result, struct error *error);

/* Checks an export of the audit log ("-": stdin) by the public key, without any vault. SOME, and
 * `error` says what and where: it is not as it was written. */
enum service_end service_audit_verify(
    const char *path, const char *key, json_t **result, struct error *error);

/*
 * Copies of the vault. The engine that has it, or one for the moment, records what is done; then
 * this process reads the vault beside it, as the vault's owner. `path` may be a directory, in which
 * the file gets the time's name.
 */
enum service_end service_vault_backup(
    struct service *, const char *path, json_t **result, struct error *error);
enum service_end service_vault_restore(
    struct service *, const char *file, json_t **result, struct error *error);
/* `file` NULL: the vault itself. */
enum service_end service_vault_check(
    struct service *, const char *file, json_t **result, struct error *error);
/* `certificate`: a file in PEM. */
enum service_end service_vault_export(struct service *, const char *certificate, const char *path,
    json_t **result, struct error *error);

/* Makes the directory that `lockstep init` makes: policy, inventory, rules, tasks, vault, master
 * key, .gitignore. */
enum service_end service_init(const char *dir, json_t **result, struct error *error);

#endif
