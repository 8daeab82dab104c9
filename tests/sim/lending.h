/* People who have a secret out for a time. */
#ifndef SIM_LENDING_H
#define SIM_LENDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vault.h"

#define LENT_MAX 8

struct sim;
struct sim_account;

struct lent {
	const struct sim_account *at; /* NULL = none */
	enum secret_kind kind;
	uint64_t mono_ms, wall_ms; /* it is over when one of the clocks says so */
};

struct lending {
	struct lent list[LENT_MAX];
	size_t next;
};

/* Someone checks a secret out, or gives one back, if the seed says so. */
void lending_meddle(struct sim *);
/* A change of the account is begun: of what someone has out none is. */
void lending_staged(struct sim *, const struct record *);

#endif
