/*
 * Hosts: an inventory as `ansible-inventory --list` prints it.
 *
 * Owns what its JSON means: hosts become assets, groups become labels, some variables become
 * fields. Secrets among the variables are never read; that they stand there is warned of.
 */
#ifndef POLICY_HOSTS_H
#define POLICY_HOSTS_H

#include <jansson.h>

#include "policy/loader.h"

/* A file being read. */
struct hosts {
	struct loader *loader;
	struct arena arena; /* goes with it */
	const char *file;
	json_t *by_name; /* name → index in items */
	struct host *items;
	size_t count, room;

	/* What is warned of once, with the first host that has it. */
	const char *secret_name, *secret_host;
	size_t secret_count;
	const char *way_name, *way_host;
	size_t way_count;
};

/* A host: its declaration, and labels that it may get still. */
struct host {
	struct asset_decl decl;
	size_t label_room;
};

/* Reads the host's variables into its declaration. */
void host_vars_read(struct hosts *, struct host *, const json_t *vars);

/* Adds a label that the host does not have yet. False when it has 256 already. */
bool host_label_add(struct hosts *, struct host *, struct label);

#endif
