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
	struct asset_row **rows; /* by name, each once */
	size_t row_count;
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

static bool is_name(const char *text, const char *name)
{
	return text && name && strcmp(text, name) == 0;
}

/* The nearest that is not `name`, which may be NULL. */
static const char *gateway_inherit(
    const struct traits *const *chain, size_t depth, const char *name)
{
	const char *gateway = chain[0]->gateway;

	for (size_t i = 1; i < depth && !gateway; i++)
		if (!is_name(chain[i]->gateway, name))
			gateway = chain[i]->gateway;
	return is_name(gateway, GATEWAY_NONE) ? NULL : gateway;
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
	accounts = arena_alloc(&loader->scratch, room * sizeof(accounts[0]));
	for (size_t i = 0; i < depth; i++)
		for (size_t j = 0; j < chain[i]->accounts.count; j++)
			accounts[count++] = chain[i]->accounts.items[j];
	if (asset->admin)
		accounts[count++] = asset->admin;
	if (asset->become == BECOME_SU)
		accounts[count++] = "root";
	count = unique(accounts, count);
	asset->accounts = intern_list(&loader->texts, accounts, count, sizeof(accounts[0]));
	asset->account_count = (uint32_t)count;
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
	labels.items = arena_alloc(&loader->scratch, room * sizeof(labels.items[0]));
	for (size_t i = 0; i < depth; i++)
		for (size_t j = 0; j < chain[i]->labels.count; j++)
			if (!label_known(&labels, chain[i]->labels.items[j].key))
				labels.items[labels.count++] = chain[i]->labels.items[j];
	qsort(labels.items, labels.count, sizeof(labels.items[0]), label_compare);
	asset->labels =
	    intern_list(&loader->texts, labels.items, labels.count, sizeof(labels.items[0]));
	asset->label_count = (uint16_t)labels.count;
}

static enum become become_default(const char *admin)
{
	return admin && strcmp(admin, "root") == 0 ? BECOME_NONE : BECOME_SUDO;
}

static void asset_fill(
    struct asset *asset, const struct asset_class *class, const struct traits *traits)
{
	*asset = (struct asset){
	    .platform = traits->platform ? traits->platform : PLATFORM_DEFAULT,
	    .node = class->node ? class->node : "/",
	    .admin = traits->admin,
	    .become =
		traits->become < 0 ? become_default(traits->admin) : (enum become)traits->become,
	    .lockout_limit = traits->lockout_limit ? traits->lockout_limit : LOCKOUT_LIMIT_DEFAULT,
	    .lockout_window_ms = (uint32_t)(traits->lockout_window_ms ? traits->lockout_window_ms
								      : LOCKOUT_WINDOW_DEFAULT),
	    .lockout_by_source = traits->lockout_by == 1,
	    .file = class->file,
	};
}

/* The class's traits, then its nodes'. */
static size_t class_chain(const struct builder *builder, const struct asset_class *class,
    const struct traits *chain[CHAIN_MAX + 1])
{
	chain[0] = &class->traits;
	return 1 + node_chain(builder, class->node ? class->node : "/", chain + 1);
}

/* What its assets have alike, into the first of them. */
static void class_build(
    const struct builder *builder, struct asset_class *class, struct asset *asset)
{
	struct loader *loader = builder->loader;
	const struct traits *chain[CHAIN_MAX + 1];
	struct traits traits = class->traits;
	size_t depth = class_chain(builder, class, chain);

	arena_reset(&loader->scratch);
	for (size_t i = 1; i < depth; i++)
		traits_inherit(&traits, chain[i]);
	asset_fill(asset, class, &traits);
	accounts_join(loader, asset, chain, depth);
	labels_join(loader, asset, chain, depth);
	class->asset = asset;
	class->gateway = gateway_inherit(chain, depth, NULL);
	class->port = (uint16_t)(traits.port ? traits.port : PORT_DEFAULT);
	class->platform_inherited = traits.platform && !class->traits.platform;
}

/* A gateway that stands below its own node is reached as the node is. */
static const char *gateway_of(const struct builder *builder, const struct asset_row *row)
{
	const struct traits *chain[CHAIN_MAX + 1];

	if (!is_name(row->class->gateway, row->name))
		return row->class->gateway;
	return gateway_inherit(chain, class_chain(builder, row->class, chain), row->name);
}

static void asset_build(const struct builder *builder, struct asset_row *row, struct asset *asset)
{
	if (row->class->asset)
		*asset = *row->class->asset;
	else
		class_build(builder, row->class, asset);
	asset->name = row->name;
	asset->address = row->address ? row->address : row->name;
	asset->port = row->port ? (uint16_t)row->port : row->class->port;
	asset->gateway = gateway_of(builder, row);
	asset->line = row->line;
	row->asset = asset;
}

/* ── What an asset must be ───────────────────────────────────────────────────────────────── */

/* One that a node names is reported there, once. */
static void check_platform(
    struct loader *loader, const struct asset *asset, const struct asset_row *row)
{
	const struct platform_entry *platform =
	    policy_platform_entry(loader->policy, asset->platform);
	const struct statement statement = row_statement(row);

	if (!platform && !row->class->platform_inherited)
		report_platform(loader, &statement, asset->platform);
	for (size_t i = 0; platform && platform->posix_accounts && i < asset->account_count; i++) {
		const char *fault = account_posix_fault(asset->accounts[i]);

		if (fault)
			statement_problem(loader->errors, &statement, NULL, NULL,
			    "account \"%s\" %s on platform \"%s\"", asset->accounts[i], fault,
			    asset->platform);
	}
}

static void check_address(
    struct loader *loader, const struct asset *asset, const struct asset_row *row)
{
	const char *fault = row->address ? NULL : address_fault(asset->name);
	const struct statement statement = row_statement(row);

	if (fault)
		statement_problem(loader->errors, &statement, NULL, NULL,
		    "has no address, and its name is none: an address %s", fault);
}

/* ── Doubles ─────────────────────────────────────────────────────────────────────────────── */

/* Of equal ones, what is declared first comes first: so they stand in memory. */
static int row_compare(const void *left, const void *right)
{
	const struct asset_row *const *a = left, *const *b = right;
	int order = strcmp((*a)->name, (*b)->name);

	if (order)
		return order;
	return *a < *b ? -1 : 1;
}

static void report_row_twice(
    struct loader *loader, const struct asset_row *second, const struct asset_row *first)
{
	const struct statement there = row_statement(second), here = row_statement(first);

	report_twice(loader, &there, &here);
}

/* Sorted and each name once. */
static void rows_sort(struct builder *builder)
{
	struct loader *loader = builder->loader;
	size_t kept = 0;

	builder->rows = xcalloc(loader->asset_count + 1, sizeof(builder->rows[0]));
	for (size_t i = 0; i < loader->asset_count; i++)
		builder->rows[i] = &loader->assets[i];
	qsort(builder->rows, loader->asset_count, sizeof(builder->rows[0]), row_compare);
	for (size_t i = 0; i < loader->asset_count; i++) {
		struct asset_row *row = builder->rows[i];

		if (kept > 0 && strcmp(row->name, builder->rows[kept - 1]->name) == 0)
			report_row_twice(loader, row, builder->rows[kept - 1]);
		else
			builder->rows[kept++] = row;
	}
	builder->row_count = kept;
}

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
	const struct asset_row *const *a = left, *const *b = right;
	int order = way_compare((*a)->asset, (*b)->asset);

	if (order)
		return order;
	return *a < *b ? -1 : 1;
}

static void report_place(
    struct loader *loader, const struct asset_row *first, const struct asset_row *second)
{
	const struct asset *asset = second->asset, *other = first->asset;
	const struct statement statement = row_statement(second);

	if (way_compare(other, asset) != 0)
		return;
	statement_problem(loader->errors, &statement, NULL, NULL,
	    "has the address %s port %u%s%s of asset \"%s\" (%s:%u)", asset->address, asset->port,
	    asset->gateway ? " behind gateway " : "", asset->gateway ? asset->gateway : "",
	    other->name, other->file, other->line);
}

/* Sorts the rows by where the assets are. */
static void check_places(struct builder *builder)
{
	qsort(builder->rows, builder->row_count, sizeof(builder->rows[0]), place_compare);
	for (size_t i = 1; i < builder->row_count; i++)
		report_place(builder->loader, builder->rows[i - 1], builder->rows[i]);
}

void assets_build(struct loader *loader)
{
	struct policy *policy = loader->policy;
	struct builder builder = {.loader = loader};

	intern_clear(&loader->classes);
	nodes_sort(&builder);
	rows_sort(&builder);
	policy->asset_count = builder.row_count;
	policy->assets =
	    arena_alloc(&policy->arena, (builder.row_count + 1) * sizeof(policy->assets[0]));
	for (size_t i = 0; i < builder.row_count; i++) {
		asset_build(&builder, builder.rows[i], &policy->assets[i]);
		check_address(loader, &policy->assets[i], builder.rows[i]);
		check_platform(loader, &policy->assets[i], builder.rows[i]);
	}
	gateways_check(loader, builder.rows);
	check_places(&builder);
	free(builder.nodes);
	free(builder.rows);
	assets_forget(loader);
}
