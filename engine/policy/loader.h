/*
 * The loader: a load in progress, and what the files declared so far.
 *
 * Owns the declarations as they stand in the files, before nodes are inherited and names resolved.
 * Gone once the snapshot stands.
 */
#ifndef POLICY_LOADER_H
#define POLICY_LOADER_H

#include <lua.h>
#include <sys/queue.h>

#include "policy/intern.h"
#include "policy/report.h"
#include "policy/schema.h"
#include "policy/snapshot.h"
#include "policy/source.h"

#define PLATFORM_DEFAULT	  "linux"
#define GATEWAY_IN_FLIGHT_DEFAULT 100
#define CATCH_UP_DEFAULT_MS	  86400000u

struct wordlist;

struct labels {
	struct label *items;
	size_t count;
};

/* What a node hands down to what is below it. Zero, NULL and -1 mean: not said. */
struct traits {
	const char *platform, *admin;
	const char *gateway; /* GATEWAY_NONE: none, whatever stands above */
	struct names accounts;
	struct labels labels;
	uint64_t lockout_window_ms;
	uint32_t lockout_limit;
	int lockout_by; /* 1: by source */
	int become;	/* enum become */
	uint32_t port;
};

#define TRAITS_NONE                                                                                \
	{                                                                                          \
		.become = -1, .lockout_by = -1                                                     \
	}

#define GATEWAY_NONE ""

/* An asset as it is read. */
struct asset_decl {
	struct traits traits;
	const char *name, *address, *node;
	const struct statement *statement;
};

/* What many assets say in the same words: all but their names, addresses, ports and lines. */
struct asset_class {
	struct traits traits; /* no port */
	const char *node;
	const char *file;
	struct source *source; /* NULL in an inventory */
	/* Not said: what follows by their nodes. */
	const struct asset *asset; /* the first one; NULL = none is built */
	const char *gateway;
	uint16_t port;
	bool platform_inherited;
};

/* An asset as it is kept until the snapshot stands. */
struct asset_row {
	const char *name, *address;
	struct asset_class *class;
	uint32_t line;
	uint32_t port;		   /* 0 = not said */
	const struct asset *asset; /* NULL = not built */
};

struct node_decl {
	struct traits traits;
	const char *path;
	const struct statement *statement;
	STAILQ_ENTRY(node_decl) link;
};

struct rule_decl {
	struct rule *rule;
	const struct statement *statement;
	STAILQ_ENTRY(rule_decl) link;
};

/* Functions give a value to Lua as a pointer, to what begins with its kind. */
enum value { VALUE_SECRET, VALUE_SCHEDULE, VALUE_NAMED };

/* What `random`, `specified` and `ssh_key` give. */
struct secret_use {
	enum value value;
	enum secret_source source;
	const char *rule_name; /* random "name" */
	struct rule *rule;     /* random { … } */
	const char *specified;
	struct ssh_key ssh_key;
};

/* What `cron`, `every` and `at` give. */
struct schedule_use {
	enum value value;
	enum schedule_kind kind;
	const char *text;
	const struct cron *cron;
	uint64_t number; /* every: ms; at: the reading */
};

/* What `secret` gives. */
struct named_use {
	enum value value;
	const char *name;
};

struct task_decl {
	struct task_entry entry;
	struct names recipients;
	const struct secret_use *secret; /* NULL: the default */
	STAILQ_ENTRY(task_decl) link;
};

struct role_decl {
	struct role role;
	struct names nodes, tasks;
	const struct statement *statement;
	STAILQ_ENTRY(role_decl) link;
};

struct user_decl {
	struct user user;
	struct names roles, nodes, tasks, certificates;
	const struct statement *statement;
	STAILQ_ENTRY(user_decl) link;
};

struct platform_decl {
	struct platform_entry entry;
	const char *extends;
	int accounts; /* index in its words; -1 = not said */
	enum { PLATFORM_NEW, PLATFORM_RESOLVING, PLATFORM_RESOLVED } state;
	const struct statement *statement;
	STAILQ_ENTRY(platform_decl) link;
};

struct loader {
	struct policy *policy;
	const struct policy_config *config;
	const char *dir; /* real path */
	struct problems *errors, *warnings;

	STAILQ_HEAD(, source) sources; /* in order of loading; new ones are added at the end */
	size_t source_count;
	size_t source_bytes;
	struct source *current;		     /* the file that runs */
	STAILQ_HEAD(, statement) statements; /* of the file that runs */
	bool incomplete; /* a file could not be read to its end: what is missing may stand there */
	bool exhausted;	 /* a cap was reached: nothing more is run */
	bool brief;	 /* only the settings are asked for */

	const struct statement *settings;
	struct asset_row *assets; /* in order of declaration */
	STAILQ_HEAD(, node_decl) nodes;
	STAILQ_HEAD(, rule_decl) rules;
	STAILQ_HEAD(, task_decl) tasks;
	STAILQ_HEAD(, platform_decl) platforms;
	STAILQ_HEAD(, role_decl) roles;
	STAILQ_HEAD(, user_decl) users;
	size_t asset_count, asset_room;
	size_t node_count, task_count, platform_count, role_count, user_count;
	size_t generator_count;
	STAILQ_HEAD(, wordlist) wordlists;

	struct arena arena;    /* goes with the loader */
	struct arena scratch;  /* of the asset that is read or built: whoever begins resets it */
	struct intern texts;   /* of assets, in the policy's arena; and their lists */
	struct intern classes; /* in the loader's */
};

/* ── master_key.c: FIELD_OWN of the settings ── */

void master_key_read(struct reader *, const struct field_path *, void *settings);
void next_master_key_read(struct reader *, const struct field_path *, void *settings);

/* ── digest.c: files that were read, for whoever asked ── */

void digest_text_file(struct loader *, const char *file, const struct buf *text);
void digest_open_file(struct loader *, const char *file, int fd);
void digests_sort(struct loader *);

/* ── Statements: each reads the table at `index` ─────────────────────────────────────────── */

void settings_read(struct loader *, const struct statement *, int index);
void asset_read(struct loader *, const struct statement *, int index);
void node_read(struct loader *, const struct statement *, int index);
void rule_read(struct loader *, const struct statement *, int index);
void task_read(struct loader *, const struct statement *, int index);
void platform_read(struct loader *, const struct statement *, int index);
void role_read(struct loader *, const struct statement *, int index);
void user_read(struct loader *, const struct statement *, int index);

/*
 * `random "name"` or `random { … }`, `specified "name"`, `ssh_key { … }`: the argument is at
 * `index`. Pushes what stands for it.
 */
void random_read(struct loader *, const struct statement *, int index);
void specified_read(struct loader *, const struct statement *, int index);
void ssh_key_read(struct loader *, const struct statement *, int index);

/* `secret "name"`: what the vault holds under it, for the fields that ask for such. */
void named_read(struct loader *, const struct statement *, int index);

/* `cron "0 3 * * sun"`, `every "6h"`, `at "2027-01-01 03:00"`: likewise. */
void cron_read(struct loader *, const struct statement *, int index);
void every_read(struct loader *, const struct statement *, int index);
void at_read(struct loader *, const struct statement *, int index);

/* Defines the statements and seals the globals. */
void statements_define(struct loader *);

/* Complains about `kind "name"` without a table in the file that ran. */
void statements_finish(struct loader *);

/*
 * True when the declarations, with `more_bytes` that are not declared yet, hold more memory than a
 * policy may; the caller then says LOADER_FULL.
 */
bool loader_full(const struct loader *, size_t more_bytes);
#define LOADER_FULL "the policy declares more than fits into 512 MB"

/* The nearest word of the language, or NULL. */
const char *statement_nearest(const char *word);

/* ── Files ───────────────────────────────────────────────────────────────────────────────── */

/* `include "pattern"` and `inventory "pattern"`. */
void include_read(struct loader *, const struct statement *, const char *pattern);
void inventory_read(struct loader *, const struct statement *, const char *pattern);

/* Queues lockstep.lua, and the platforms that come with the program. */
void include_entry(struct loader *);
void include_shipped(struct loader *);

/* What a file would be, rather than what it is; NULL = it is as it is. */
const struct policy_draft *draft_of(const struct loader *, const char *file);

/* False (and reported) when the file or directory is not there, or others may change it. */
bool path_trusted(struct loader *, const struct statement *, const char *path, const char *file);

/*
 * Calls `fn` for each file below the policy's directory that the pattern means, in order of name.
 * False (and reported) when the pattern is not allowed, or names one file that is not there.
 */
bool pattern_each(struct loader *, const struct statement *, const char *pattern,
    void (*fn)(struct loader *, const struct statement *, const char *path, const char *file));

/* Reads one file of assets. */
void inventory_csv(struct loader *, int fd, const char *file);
void inventory_json(struct loader *, int fd, const char *file);

/* Queues a Lua file that declares nothing but assets and nodes. */
void include_inventory(
    struct loader *, const struct statement *, const char *path, const char *file);

/* ── Declarations ────────────────────────────────────────────────────────────────────────── */

#define LABELS_MAX    256
#define LABEL_LEN_MAX 255

/* Keeps the declaration, which then points to what is kept: before, it may be in `scratch`. */
void asset_declare(struct loader *, struct asset_decl *);

/* Where the asset was declared, for what is reported about it. */
struct statement row_statement(const struct asset_row *);

/* Forgets all declarations: the snapshot has its assets, or never will. */
void assets_forget(struct loader *);

/* "key" or "key=value" as a label. NULL, or what is wrong with it. */
const char *label_parse(struct arena *, const char *text, struct label *);

bool label_known(const struct labels *, const char *key);

/* A statement of its own in the arena. */
struct statement *statement_new(struct loader *, const char *kind, const char *name, size_t line);

/*
 * The asset that was probably meant, or NULL; NULL too behind the first problems: to look through
 * all names takes a while.
 */
const char *meant_asset(const struct policy *, const struct problems *, const char *name);

/* A field of a task: the values of parameters, as JSON into its task. */
void params_read(struct reader *, const struct field_path *, void *task_decl);

/* Fields of a task: when it is run. */
void schedule_read(struct reader *, const struct field_path *, void *task_decl);
void zone_read(struct reader *, const struct field_path *, void *task_decl);
void window_read(struct reader *, const struct field_path *, void *task_decl);
void catch_up_read(struct reader *, const struct field_path *, void *task_decl);

/* What of them does not belong together. */
void schedule_check(struct loader *, const struct task_entry *);

/* A field of a task: who is told of its executions; and once all is read, their addresses. */
void recipients_read(struct reader *, const struct field_path *, void *task_decl);
void task_recipients_build(struct loader *, struct task_decl *);

/* A field of a platform: which parameters it takes. */
void params_declare(struct reader *, const struct field_path *, void *platform_decl);

/* Those of both, in order of name; `own` wins. */
void params_inherit(struct arena *, struct platform *own, const struct platform *from);

/* ── From declarations to the snapshot ───────────────────────────────────────────────────── */

/* Before anything is read. */
void settings_defaults(struct loader *);

void settings_build(struct loader *);
/* A path of the settings: absolute, or from the policy's directory on. */
const char *path_resolve(struct loader *, const char *path);

/* What the settings say of who is told, and how: its fields, defaults, and what does not fit. */
extern const struct field mail_fields[], notify_fields[];
void webhooks_read(struct reader *, const struct field_path *, void *settings);
void notify_defaults(struct settings *);
void notify_build(struct loader *);

void platforms_build(struct loader *);
void assets_build(struct loader *);
void tasks_build(struct loader *);
void people_build(struct loader *);

/* `rows` are those of the snapshot's assets, one by one. */
void gateways_check(struct loader *, struct asset_row *const *rows);

/* Complains about params that the platform does not take. */
void params_check(struct loader *, const struct task_entry *, const struct asset *);

/* Selects for every task: what platforms refuse, and what deserves a warning. */
void policy_check(struct loader *);

#endif
