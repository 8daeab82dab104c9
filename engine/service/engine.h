/*
 * What the handlers share: the engine's parts, one request, and the table of methods.
 *
 * Owns the order in which the parts are opened (policy, vault, wires, rotation) and closed. Never
 * opens more than a request needs.
 */
#ifndef SERVICE_ENGINE_H
#define SERVICE_ENGINE_H

#include <stdbool.h>

#include <jansson.h>

#include "base/err.h"
#include "base/loop.h"
#include "policy.h"
#include "rotation.h"
#include "service.h"
#include "vault.h"
#include "wire.h"

struct service {
	char *dir;
	char *purpose;
	void (*progress)(void *arg, const json_t *event);
	void *arg;
	struct loop *loop;
	struct policy *policy;
	json_t *warnings; /* of the policy */
	struct vault *vault;
	struct wires *wires;
	struct rotation *rotation;
	bool interrupted;
	/* Of the request in work; may be NULL. */
	void (*event)(void *arg, const struct rotation_event *);
	void *event_arg;
};

struct request {
	struct service *service;
	const json_t *params;
	json_t *result; /* what the handler leaves */
	struct error *error;
};

/* How far the engine must be open. */
enum needs { NEEDS_POLICY, NEEDS_VAULT, NEEDS_WIRES };

/* Opens what is not open yet. A bad policy leaves its problems in request->result. */
enum service_end engine_open(struct request *, enum needs) MUST_CHECK;
void engine_close(struct service *);

/* Reading what is committed: NULL when the vault has failed, and the request's error says so. */
struct vault_txn *request_read(struct request *);

/* Ends the request: `return request_fail(request, SERVICE_USAGE, "…")`. */
enum service_end request_fail(struct request *, enum service_end, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Tells of progress, where someone listens. `event` becomes ours. */
void service_tell(struct service *, json_t *event);

enum service_end check_run(struct request *);
enum service_end asset_list(struct request *);
enum service_end asset_ping(struct request *);
enum service_end asset_look(struct request *);
enum service_end asset_trust(struct request *);
enum service_end asset_rename_request(struct request *);
enum service_end account_list(struct request *);
enum service_end account_show(struct request *);
enum service_end account_history(struct request *);
enum service_end account_reveal(struct request *);
enum service_end account_import(struct request *);
enum service_end account_add(struct request *);
enum service_end account_verify(struct request *);
enum service_end account_restore(struct request *);
enum service_end run_task(struct request *);
enum service_end execution_list(struct request *);
enum service_end execution_show(struct request *);
enum service_end execution_log(struct request *);
enum service_end record_list(struct request *);
enum service_end record_show(struct request *);
enum service_end record_retry(struct request *);
enum service_end record_restore(struct request *);
enum service_end secret_list(struct request *);
enum service_end secret_set(struct request *);
enum service_end secret_delete(struct request *);
enum service_end complete_names(struct request *);

#endif
