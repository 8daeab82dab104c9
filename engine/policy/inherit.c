/*
 * From declared nodes and assets to assets as they are: inheritance, defaults, doubles.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "policy/loader.h"

#define PORT_DEFAULT	       22
#define LOCKOUT_LIMIT_DEFAULT  3
#define LOCKOUT_WINDOW_DEFAULT (15 * 60 * 1000UL)
#define NODE_SIZE	       256
#define CHAIN_MAX	       128 /* of "/a/b/…" in NODE_SIZE bytes */

/* What assets are built from. */
struct builder {
	struct loader *loader;
	const struct node_decl **nodes; /* by path */
	size_t node_count;
	struct asset_decl **decls; /* by name, then order */
	size_t decl_count;
};

/* ── Nodes ───────────────────────────────────────────────────────────────────────────────── */

static int node_compare(const void *left, const void *right)
{
	const struct node_decl *const *a = left, *const *b = right;

	return strcmp((*a)->path, (*b)->path);
}

static int node_key_compare(const void *key, const void *item)
{
	const struct node_decl *const *node = item;

	return strcmp(key, (*node)->path);
}

static const struct node_decl *node_find(const struct builder *builder, const char *path)
{
	const struct node_decl **found = NULL;

	if (builder->node_count)
		found = bsearch(path, builder->nodes, builder->node_count,
		    sizeof(builder->nodes[0]), node_key_compare);
	return found ? *found : NULL;
}

/* The traits that apply at `path`, nearest first. */
static size_t node_chain(
    const struct builder *builder, const char *path, const struct traits *chain[CHAIN_MAX])
{
	char at[NODE_SIZE];
	size_t count = 0, len = strlen(path);

	memcpy(at, path, len + 1);
	for (;;) {
		const struct node_decl *node = node_find(builder, at);
		char *slash = strrchr(at, '/');

		if (node)
			chain[count++] = &node->traits;
		if (at[1] == '\0')
			return count;
		slash[slash == at] = '\0';
	}
}

static void report_twice(
    struct loader *loader, const struct statement *second, const struct statement *first)
{
	statement_problem(loader->errors, second, NULL, NULL, "is declared in %s:%zu already",
	    first->file, first->line);
}

static void report_platform(
    struct loader *loader, const struct statement *statement, const char *platform)
{
	static const struct field_path field = {.name = "platform"};

	statement_problem(loader->errors, statement, &field,
	    policy_platform_nearest(loader->policy, platform), "there is no platform \"%s\"",
	    platform);
}

static void check_node(struct loader *loader, const struct node_decl *node)
{
	const char *platform = node->traits.platform;

	if (platform && !policy_platform_entry(loader->policy, platform))
		report_platform(loader, node->statement, platform);
}

static void nodes_sort(struct builder *builder)
{
	const struct node_decl *node;
	size_t count = 0;

	builder->nodes = xcalloc(builder->loader->node_count + 1, sizeof(builder->nodes[0]));
	STAILQ_FOREACH (node, &builder->loader->nodes, link) {
		builder->nodes[count++] = node;
		check_node(builder->loader, node);
	}
	builder->node_count = count;
	qsort(builder->nodes, count, sizeof(builder->nodes[0]), node_compare);
	for (size_t i = 1; i < count; i++)
		if (strcmp(builder->nodes[i]->path, builder->nodes[i - 1]->path) == 0)
			report_twice(builder->loader, builder->nodes[i]->statement,
			    builder->nodes[i - 1]->statement);
}

/* ── What one asset inherits ─────────────────────────────────────────────────────────────── */

/* The nearest word wins; accounts and labels add up in the callers. */
static void traits_inherit(struct traits *own, const struct traits *from)
{
	if (!own->platform)
		own->platform = from->platform;
	if (!own->admin)
		own->admin = from->admin;
	if (own->become < 0)
		own->become = from->become;
	if (!own->port)
		own->port = from->port;
	if (!own->lockout_limit)
		own->lockout_limit = from->lockout_limit;
	if (!own->lockout_window_ms)
		own->lockout_window_ms = from->lockout_window_ms;
	if (own->lockout_by < 0)
		own->lockout_by = from->lockout_by;
}

/* A gateway that stands below its own node is reached as the node is. */
static const char *gateway_inherit(
    const char *name, const struct traits *const *chain, size_t depth)
{
	const char *gateway = chain[0]->gateway;

	for (size_t i = 1; i < depth && !gateway; i++)
		if (chain[i]->gateway && strcmp(chain[i]->gateway, name) != 0)
			gateway = chain[i]->gateway;
	return gateway && strcmp(gateway, GATEWAY_NONE) != 0 ? gateway : NULL;
}

static int text_compare(const void *left, const void *right)
{
	const char *const *a = left, *const *b = right;

	return strcmp(*a, *b);
}

static size_t unique(const char **items, size_t count)
{
	size_t kept = 0;

	qsort(items, count, sizeof(items[0]), text_compare);
	for (size_t i = 0; i < count; i++)
		if (kept == 0 || strcmp(items[i], items[kept - 1]) != 0)
			items[kept++] = items[i];
	return kept;
}

static void accounts_join(
    struct loader *loader, struct asset *asset, const struct traits **chain, size_t depth)
{
	size_t count = 0, room = 2;
	const char **accounts;

	for (size_t i = 0; i < depth; i++)
		room += chain[i]->accounts.count;
	accounts = arena_alloc(&loader->policy->arena, room * sizeof(accounts[0]));
	for (size_t i = 0; i < depth; i++)
		for (size_t j = 0; j < chain[i]->accounts.count; j++)
			accounts[count++] = chain[i]->accounts.items[j];
	if (asset->admin)
		accounts[count++] = asset->admin;
	if (asset->become == BECOME_SU)
		accounts[count++] = "root";
	asset->accounts = accounts;
	asset->account_count = unique(accounts, count);
}

static int label_compare(const void *left, const void *right)
{
	const struct label *a = left, *b = right;

	return strcmp(a->key, b->key);
}

/* The nearest value of a key wins. */
static void labels_join(
    struct loader *loader, struct asset *asset, const struct traits **chain, size_t depth)
{
	struct labels labels = {0};
	size_t room = 0;

	for (size_t i = 0; i < depth; i++)
		room += chain[i]->labels.count;
	if (room == 0)
		return;
	labels.items = arena_alloc(&loader->policy->arena, room * sizeof(labels.items[0]));
	for (size_t i = 0; i < depth; i++)
		for (size_t j = 0; j < chain[i]->labels.count; j++)
			if (!label_known(&labels, chain[i]->labels.items[j].key))
				labels.items[labels.count++] = chain[i]->labels.items[j];
	qsort(labels.items, labels.count, sizeof(labels.items[0]), label_compare);
	asset->labels = labels.items;
	asset->label_count = labels.count;
}

static enum become become_default(const char *admin)
{
	return admin && strcmp(admin, "root") == 0 ? BECOME_NONE : BECOME_SUDO;
}

static void asset_fill(
    struct asset *asset, const struct asset_decl *decl, const struct traits *traits)
{
	*asset = (struct asset){
	    .name = decl->name,
	    .address = decl->address ? decl->address : decl->name,
	    .port = (uint16_t)(traits->port ? traits->port : PORT_DEFAULT),
	    .platform = traits->platform ? traits->platform : PLATFORM_DEFAULT,
	    .node = decl->node ? decl->node : "/",
	    .admin = traits->admin,
	    .become =
		traits->become < 0 ? become_default(traits->admin) : (enum become)traits->become,
	    .lockout_limit = traits->lockout_limit ? traits->lockout_limit : LOCKOUT_LIMIT_DEFAULT,
	    .lockout_window_ms =
		traits->lockout_window_ms ? traits->lockout_window_ms : LOCKOUT_WINDOW_DEFAULT,
	    .lockout_by_source = traits->lockout_by == 1,
	    .file = decl->statement->file,
	    .line = decl->statement->line,
	};
}

/* ── What an asset must be ───────────────────────────────────────────────────────────────── */

/* One that a node names is reported there, once. */
static void check_platform(
    struct loader *loader, const struct asset *asset, const struct asset_decl *decl, bool inherited)
{
	const struct platform_entry *platform =
	    policy_platform_entry(loader->policy, asset->platform);

	if (!platform && !inherited)
		report_platform(loader, decl->statement, asset->platform);
	for (size_t i = 0; platform && platform->posix_accounts && i < asset->account_count; i++) {
		const char *fault = account_posix_fault(asset->accounts[i]);

		if (fault)
			statement_problem(loader->errors, decl->statement, NULL, NULL,
			    "account \"%s\" %s on platform \"%s\"", asset->accounts[i], fault,
			    asset->platform);
	}
}

static void check_address(
    struct loader *loader, const struct asset *asset, const struct asset_decl *decl)
{
	const char *fault = decl->address ? NULL : address_fault(asset->name);

	if (fault)
		statement_problem(loader->errors, decl->statement, NULL, NULL,
		    "has no address, and its name is none: an address %s", fault);
}

static void asset_build(
    const struct builder *builder, const struct asset_decl *decl, struct asset *asset)
{
	const struct traits *chain[CHAIN_MAX + 1] = {&decl->traits};
	struct traits traits = decl->traits;
	size_t depth = 1 + node_chain(builder, decl->node ? decl->node : "/", chain + 1);

	for (size_t i = 1; i < depth; i++)
		traits_inherit(&traits, chain[i]);
	asset_fill(asset, decl, &traits);
	asset->gateway = gateway_inherit(decl->name, chain, depth);
	accounts_join(builder->loader, asset, chain, depth);
	labels_join(builder->loader, asset, chain, depth);
	check_address(builder->loader, asset, decl);
	check_platform(builder->loader, asset, decl, traits.platform && !decl->traits.platform);
}

/* ── Doubles ─────────────────────────────────────────────────────────────────────────────── */

static int decl_compare(const void *left, const void *right)
{
	const struct asset_decl *const *a = left, *const *b = right;
	int order = strcmp((*a)->name, (*b)->name);

	if (order)
		return order;
	return (*a)->order < (*b)->order ? -1 : 1;
}

/* Sorted and each name once. */
static void decls_sort(struct builder *builder)
{
	struct loader *loader = builder->loader;
	struct asset_decl *decl;
	size_t count = 0, kept = 0;

	builder->decls = xcalloc(loader->asset_count + 1, sizeof(builder->decls[0]));
	STAILQ_FOREACH (decl, &loader->assets, link)
		builder->decls[count++] = decl;
	qsort(builder->decls, count, sizeof(builder->decls[0]), decl_compare);
	for (size_t i = 0; i < count; i++) {
		decl = builder->decls[i];
		if (kept > 0 && strcmp(decl->name, builder->decls[kept - 1]->name) == 0)
			report_twice(loader, decl->statement, builder->decls[kept - 1]->statement);
		else
			builder->decls[kept++] = decl;
	}
	builder->decl_count = kept;
}

struct place {
	const struct asset *asset;
	const struct asset_decl *decl;
};

static int way_compare(const struct asset *a, const struct asset *b)
{
	int order = strcasecmp(a->address, b->address);

	if (order)
		return order;
	if (a->port != b->port)
		return a->port < b->port ? -1 : 1;
	return strcmp(a->gateway ? a->gateway : "", b->gateway ? b->gateway : "");
}

static int place_compare(const void *left, const void *right)
{
	const struct place *a = left, *b = right;
	int order = way_compare(a->asset, b->asset);

	if (order)
		return order;
	return a->decl->order < b->decl->order ? -1 : 1;
}

static void report_place(
    struct loader *loader, const struct place *first, const struct place *second)
{
	const char *gateway = second->asset->gateway;

	if (way_compare(first->asset, second->asset) != 0)
		return;
	statement_problem(loader->errors, second->decl->statement, NULL, NULL,
	    "has the address %s port %u%s%s of asset \"%s\" (%s:%zu)", second->asset->address,
	    second->asset->port, gateway ? " behind gateway " : "", gateway ? gateway : "",
	    first->asset->name, first->asset->file, first->asset->line);
}

static void check_places(const struct builder *builder)
{
	struct policy *policy = builder->loader->policy;
	struct place *places = xcalloc(policy->asset_count + 1, sizeof(*places));

	for (size_t i = 0; i < policy->asset_count; i++)
		places[i] = (struct place){&policy->assets[i], builder->decls[i]};
	qsort(places, policy->asset_count, sizeof(*places), place_compare);
	for (size_t i = 1; i < policy->asset_count; i++)
		report_place(builder->loader, &places[i - 1], &places[i]);
	free(places);
}

void assets_build(struct loader *loader)
{
	struct policy *policy = loader->policy;
	struct builder builder = {.loader = loader};

	nodes_sort(&builder);
	decls_sort(&builder);
	policy->asset_count = builder.decl_count;
	policy->assets =
	    arena_alloc(&policy->arena, (builder.decl_count + 1) * sizeof(policy->assets[0]));
	for (size_t i = 0; i < builder.decl_count; i++)
		asset_build(&builder, builder.decls[i], &policy->assets[i]);
	check_places(&builder);
	gateways_check(loader, builder.decls);
	free(builder.nodes);
	free(builder.decls);
}
