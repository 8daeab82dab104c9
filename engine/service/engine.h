/*
 * What the handlers share: the engine's parts, one request, and the table of methods.
 *
 * Owns the order in which the parts are opened (policy, vault, wires, rotation) and closed. Never
 * opens more than a request needs.
 */
#ifndef SERVICE_ENGINE_H
#define SERVICE_ENGINE_H

#include <stdbool.h>
#include <sys/queue.h>

#include <jansson.h>

#include "base/err.h"
#include "base/loop.h"
#include "policy.h"
#include "rotation.h"
#include "service.h"
#include "service/keys.h"
#include "service/metrics.h"
#include "service/person.h"
#include "service/retain.h"
#include "vault.h"
#include "vault/audit.h"
#include "wire.h"

/* Whoever made a request: hears of its progress, and once of its end. */
struct listener {
	void (*progress)(void *arg, const json_t *event); /* borrowed for the call; may be NULL */
	/* `result` (NULL unless OK, SOME, or there is more to say of what is wrong) is handed over.
	 * `next`: where a list goes on; NULL = this was all of it. */
	void (*done)(
	    void *arg, enum service_end, json_t *result, const char *next, const struct error *);
	void *arg;
	struct caller caller;
};

/*
 * Who hears what rotation tells: all of one execution, and what is of none. While `starting`, also
 * of the execution that no other watches: its id is known when rotation_run returns.
 */
struct watch {
	LIST_ENTRY(watch) entry;
	struct id execution;
	bool starting;
	void (*event)(void *arg, const struct rotation_event *);
	void *arg;
};

struct courier;
struct daemon;
struct fresh;
struct hashing;
struct later;
struct listening;
struct reloads;
struct scrape;
struct server;
struct session;

/* One load of the policy, for as long as something uses it (snapshot.c). */
struct snapshot {
	TAILQ_ENTRY(snapshot) entry; /* of those that are not the newest */
	struct policy *policy;
	json_t *warnings;
	uint32_t number;    /* of its platforms, at the wires: others may have the same */
	uint32_t uses;	    /* by requests; rotation says of itself */
	uint64_t loaded_ms; /* wall */
};

struct service {
	char *dir;
	char *purpose;
	const struct service_server *elsewhere; /* who is asked; NULL = the engine here */
	uid_t uid; /* who began the process, whatever it runs as by now */
	void (*progress)(void *arg, const json_t *event);
	enum err (*ask_passphrase)(void *arg, struct secret **, struct error *);
	void *arg;
	struct loop *loop;
	struct snapshot *snapshot; /* the newest */
	TAILQ_HEAD(, snapshot) earlier;
	struct policy_files files; /* that the last load has read, good or bad */
	struct timer sweep;
	uint32_t script_loads; /* by the wires, so far */
	uint64_t since_ms;     /* wall */
	struct vault *vault;
	struct wires *wires;
	struct rotation *rotation;
	struct retaining retaining;
	struct resealing resealing;
	struct server *server;
	struct listening *listening; /* the daemon's; NULL = nobody comes by TLS */
	struct daemon *daemon;	     /* NULL in a command's own engine */
	struct reloads *reloads;     /* likewise: that one keeps its policy */
	struct scheduler *scheduler; /* the daemon's; NULL = schedules are not followed */
	struct metrics metrics;
	struct scrape *scrape;	   /* the daemon's; NULL = nobody is to come */
	struct courier *courier;   /* the daemon's; NULL = what is queued stays there */
	LIST_HEAD(, later) laters; /* what is about to be queued (notices.c) */
	bool secure_mode;	   /* of this engine: on stays on */
	bool recovered;
	bool interrupted;
	LIST_HEAD(, watch) watches;
	LIST_HEAD(, fresh) fresh;	/* codes that hold (mfa.c) */
	LIST_HEAD(, session) sessions;	/* of people who logged in (session.c) */
	uint64_t session_count;		/* that there ever were */
	struct hashing *hashing;	/* NULL until there is something to hash */
	TAILQ_HEAD(, request) requests; /* that have not ended */
};

struct request {
	TAILQ_ENTRY(request) entry;
	struct service *service;
	const char *method;
	struct person person;	     /* who asks */
	char denied[WHY_SIZE];	     /* what was; "" = nothing */
	enum permission permission;  /* that the method takes; PERMISSION_COUNT = none */
	const json_t *params;	     /* for as long as the request lasts */
	struct snapshot *snapshot;   /* once one is loaded: the one that the request began with */
	const struct policy *policy; /* its */
	bool must_audit;	     /* what it does leaves an entry in the audit log */
	bool audited;		     /* and has */
	json_t *result;		     /* what the handler leaves */
	char *next;		     /* where a list goes on (page.c) */
	struct error *error;
	struct error own_error;
	struct listener listener; /* nothing where nobody listens any more */
	/* Of one that ends later: frees what it has when the engine ends before it. */
	void (*drop)(void *arg);
	void *drop_arg;
};

/* A handler's answer where the request goes on: request_end is called for it, later, from the loop.
 */
#define SERVICE_LATER ((enum service_end)100)

/*
 * Begins a request; `params` becomes ours. The listener may hear of its end before this returns:
 * then it is NULL, as the request is gone.
 */
struct request *request_begin(
    struct service *, const char *method, json_t *params, const struct listener *);
void request_end(struct request *, enum service_end);
/* Nobody listens any more; what it began goes on. */
void request_forget(struct request *);
/* The engine has ended: they are over, unanswered. */
void requests_drop(struct service *);

/* What service_call waits for may have come. */
void service_look(struct service *);
/* That others may ask for. */
bool service_has_method(const char *name);
/* Its answer is about the files as they are now: who asks reads them itself. */
bool service_is_of_files(const char *name);
/* More than one request is in work. */
bool service_is_shared(const struct service *);

void watch_add(struct service *, struct watch *);
void watch_remove(struct watch *);

/*
 * How far the engine must be open; FILES: the policy, as its files are now; DIRECTORY: nothing, for
 * what works on the policy's directory, and is done by whoever asks.
 */
enum needs { NEEDS_DIRECTORY, NEEDS_FILES, NEEDS_POLICY, NEEDS_VAULT, NEEDS_WIRES };

/* Opens what is not open yet. A bad policy leaves its problems in request->result. */
enum service_end engine_open(struct request *, enum needs) MUST_CHECK;
/* ── snapshot.c ── */

/* A load in progress; load_run needs nothing else of the service's, and may be another thread's. */
struct load {
	const char *dir; /* borrowed, as are the drafts */
	const struct policy_draft *drafts;
	size_t draft_count;
	enum err err;
	struct policy *policy;
	struct policy_files files;
	struct problems *problems; /* the errors, then the warnings */
};
void load_init(struct load *, const char *dir, const struct policy_draft *, size_t draft_count);
void load_run(struct load *);
/* As snapshot_load. */
struct snapshot *load_take(struct service *, struct load *, json_t **problems, struct error *error);
void load_clear(struct load *);

/* Loads the policy. Where it is bad: NULL, and `*problems` is {ok, errors, warnings}. */
struct snapshot *snapshot_load(struct service *, json_t **problems, struct error *error);
/* As it would be with other files. */
struct snapshot *snapshot_try(struct service *, const struct policy_draft *, size_t count,
    json_t **problems, struct error *error);
/* Makes it the newest; the one before goes when nothing uses it any more. */
void snapshot_use(struct service *, struct snapshot *);
void snapshot_free(struct snapshot *);
void snapshots_clear(struct service *);
/* Gives them its platforms, where they have none that are the same. */
enum err snapshot_give_to_wires(
    struct service *, struct snapshot *, struct error *error) MUST_CHECK;

/* Nothing more is begun; what is in flight ends. */
void engine_drain(struct service *);
/* Closes all but the policy: others may have the vault. */
void engine_rest(struct service *);
void engine_close(struct service *);

/* Reading what is committed: NULL when the vault has failed, and the request's error says so. */
struct vault_txn *request_read(struct request *);

/* Ends the request: `return request_fail(request, SERVICE_USAGE, "…")`. */
enum service_end request_fail(struct request *, enum service_end, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Tells of progress, where someone listens: to whoever made the request, or to all. `event` becomes
 * ours. */
void request_tell(struct request *, json_t *event);
void service_tell(struct service *, json_t *event);

enum service_end check_run(struct request *);
enum service_end asset_list(struct request *);
enum service_end asset_ping(struct request *);
enum service_end asset_look(struct request *);
enum service_end asset_trust(struct request *);
enum service_end asset_rename_request(struct request *);
enum service_end account_list(struct request *);
enum service_end account_held(struct request *);
enum service_end account_show(struct request *);
enum service_end account_history(struct request *);
enum service_end account_reveal(struct request *);
enum service_end approval_list(struct request *);
enum service_end approval_grant(struct request *);
enum service_end approval_deny(struct request *);
enum service_end account_checkout(struct request *);
enum service_end account_checkin(struct request *);
enum service_end account_import(struct request *);
enum service_end account_add(struct request *);
enum service_end account_verify(struct request *);
enum service_end account_restore(struct request *);
enum service_end task_list(struct request *);
enum service_end task_show(struct request *);
enum service_end task_next_request(struct request *);
enum service_end task_pause(struct request *);
enum service_end task_resume(struct request *);
enum service_end task_rename_request(struct request *);
enum service_end task_file_create(struct request *);
enum service_end task_file_copy(struct request *);
enum service_end task_file_read(struct request *);
enum service_end task_file_write(struct request *);
enum service_end task_file_delete(struct request *);
enum service_end task_file_rename(struct request *);
enum service_end run_task(struct request *);
enum service_end overview_show(struct request *);
enum service_end execution_list(struct request *);
enum service_end execution_show(struct request *);
enum service_end execution_log(struct request *);
enum service_end execution_cancel(struct request *);
enum service_end execution_report(struct request *);
enum service_end record_list(struct request *);
enum service_end record_show(struct request *);
enum service_end record_ignore_request(struct request *);
enum service_end record_unignore_request(struct request *);
enum service_end record_retry(struct request *);
enum service_end record_restore(struct request *);
enum service_end audit_list(struct request *);
enum service_end audit_key(struct request *);
enum service_end audit_export(struct request *);
enum service_end audit_verify(struct request *);
enum service_end record_reveal(struct request *);
enum service_end secret_list(struct request *);
enum service_end secret_set(struct request *);
enum service_end secret_delete(struct request *);
enum service_end notice_list(struct request *);
enum service_end notice_retry(struct request *);
enum service_end notice_drop(struct request *);
enum service_end notice_test(struct request *);
enum service_end vault_rekey(struct request *);
enum service_end vault_backup(struct request *);
enum service_end vault_export_request(struct request *);
enum service_end complete_names(struct request *);
enum service_end status_show(struct request *);
enum service_end reload_request(struct request *);
enum service_end diff_request(struct request *);
enum service_end user_list(struct request *);
enum service_end user_show(struct request *);
enum service_end user_enroll(struct request *);
enum service_end user_confirm(struct request *);
enum service_end user_password(struct request *);
enum service_end login_request(struct request *);
enum service_end logout_request(struct request *);
enum service_end user_reset_mfa(struct request *);
enum service_end token_create(struct request *);
enum service_end token_list(struct request *);
enum service_end token_revoke(struct request *);
enum service_end whoami_show(struct request *);
enum service_end methods_list(struct request *);

#endif
