/*
 * One job in work at a wire: which steps each kind of job is made of.
 *
 * Owns what lives as long as the job (a script, an echo, a comparison) and what is said of it in
 * the end. Never waits, and knows no deadline: contact.h does.
 */
#ifndef WIRE_WORK_H
#define WIRE_WORK_H

#include "wire/gateway.h"
#include "wire/hasher.h"
#include "wire/link.h"
#include "wire/script.h"
#include "wire/shell.h"

struct work;

struct work_config {
	struct evdns_base *dns;
	struct hasher *hasher;
	struct scripts *scripts; /* of the job's snapshot; NULL where there are none */
	/* OPEN: through which gateway. NULL = directly; else it may give NULL: there is none. */
	struct gateway *(*gateway)(void *arg);
	struct event_base *base; /* of a gateway to come: */
	struct turns *turns;
	bool slow_lane;
	/* Called from the loop when the job should be stepped though no descriptor says so. */
	void (*wake)(void *arg);
	void *arg;
};

/* What of a session outlives its jobs. */
struct place {
	struct link *link;	 /* NULL until opened, and after it broke */
	struct shell *shell;	 /* NULL until the privileged login */
	struct gateway *gateway; /* NULL until WIRE_LOGIN; then it has the link */
	bool login_made;	 /* on this link: there is one for each, whatever came of it */
	/* Called before the link goes: nothing may be registered for its descriptor then. */
	void (*parting)(void *arg);
	void *arg;
};

void place_clear(struct place *);

/* `target` and `job`, and what they point to, must outlive the work. */
struct work *work_new(const struct work_config *, struct place *, const struct wire_target *,
    const struct wire_job *);
/* Cancels it at any moment. NULL is fine. */
void work_free(struct work *);

/*
 * Goes on until the job is done (ERR_OK, or an error and `outcome`) or must wait (ERR_AGAIN;
 * `*busy`: for nothing, call again from the loop).
 */
enum err work_step(struct work *, bool *busy, struct outcome *) MUST_CHECK;

/*
 * What to say of the job after its last step, or after it was given up with `outcome`. Closes the
 * place where nothing may follow on it.
 */
void work_result(struct work *, const struct outcome *, struct wire_result *);

#endif
