/*
 * Policy: what is declared. One immutable snapshot of all the Lua and inventory files together.
 *
 * Owns the language: its kinds, fields, defaults, errors with file and line, the selection of
 * accounts by a task and the generation of secrets by a rule. Never knows what is kept or what an
 * asset answered; needs neither vault nor key.
 */
#ifndef POLICY_H
#define POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/secret.h"

struct policy;

/* ── Loading ─────────────────────────────────────────────────────────────────────────────── */

#define POLICY_PROBLEMS_MAX 100

/* One mistake: "file:line: what: why", then perhaps the line, a caret and what was meant. Many
 * lines. */
struct problem {
	char *text;
	char *file;  /* relative to the policy's directory; may be NULL */
	size_t line; /* 0 = none */
};

struct problems {
	struct problem items[POLICY_PROBLEMS_MAX];
	size_t count;
	size_t more; /* found, not kept */
};

void problems_clear(struct problems *);

/* A file as it would be: the policy is loaded as if it were so on disk already. */
struct policy_draft {
	const char *file; /* relative to the policy's directory: "tasks/weekly.lua" */
	const char *text; /* NULL = there would be none */
	size_t len;
};

/* A file that a policy was read from, by its path in the policy's directory. */
struct policy_file {
	char *file;
	uint8_t digest[DIGEST_SIZE]; /* of what was read */
};

struct policy_files {
	struct policy_file *items; /* in order of file, once loaded */
	size_t count, room;
};

void policy_files_clear(struct policy_files *);

struct policy_config {
	const char *dir;	   /* holds lockstep.lua */
	const char *platforms_dir; /* the shipped platforms */
	const char *wordlists_dir; /* the shipped word lists; NULL = none */
	const struct policy_draft *drafts;
	size_t draft_count;
	/* Filled with what was read, however the load ends; NULL = not asked for. The caller's. */
	struct policy_files *files;
};

/*
 * Loads everything or nothing: `*policy` is NULL when `errors` got any. Warnings may come with a
 * good policy. Frees with policy_free. Bounded in time and memory whatever the files say.
 * ERR_NOT_FOUND: there is none, which is the only error; ERR_INVALID: it has errors.
 */
enum err policy_load(struct policy **policy, const struct policy_config *, struct problems *errors,
    struct problems *warnings) MUST_CHECK;
void policy_free(struct policy *);

/*
 * Only what the settings say, for a program that looks for the running engine: reads no inventory,
 * and minds no mistake that does not keep it from reading them. NULL where there is no such
 * directory.
 */
struct policy *policy_load_settings(const struct policy_config *) MUST_CHECK;

/* ── What it says ────────────────────────────────────────────────────────────────────────── */

/* What people and programs may be told of. */
enum occasion {
	OCCASION_FINISHED, /* an execution has ended: none of it failed or is in doubt */
	OCCASION_FAILED,   /* it has ended, and some of it failed, or its engine was killed */
	OCCASION_STOPPED,  /* nothing more of it is begun: a limit, a window, someone */
	OCCASION_IN_DOUBT, /* it has ended, none of it failed, and some is in doubt */
	OCCASION_SETTLED,  /* doubts of earlier executions ended */
	OCCASION_POLICY_REJECTED, /* lockstepd was to load a policy that has errors */
	OCCASION_APPROVAL,	  /* someone asks for another's approval */
};
#define OCCASION_COUNT 7
#define OCCASIONS_ALL  ((1u << OCCASION_COUNT) - 1)
const char *occasion_name(enum occasion); /* "finished", … */
bool occasion_named(const char *name, enum occasion *);

/* What is wrong with an address of mail, in words behind it; NULL = nothing. */
const char *mail_address_fault(const char *address);

struct mail {
	const char *server;   /* "smtps://HOST" or "smtp://HOST:PORT"; NULL = no mail is sent */
	const char *from;     /* an address */
	const char *user;     /* NULL = no login */
	const char *password; /* the name of a secret in the vault; NULL = no login */
	bool tls;	      /* of smtp://: nothing is sent before STARTTLS; default true */
	const char *ca;	      /* a file of certificates, absolute; NULL = those of the system */
	uint32_t events;      /* a bit each: of which there is mail; default all */
	/* Who hears of what is no task's, and of tasks that name nobody: addresses, each once. */
	const char *const *recipients;
	size_t recipient_count;
};

/* Who is told by an HTTP request. */
struct webhook {
	const char *name;
	const char *url;
	const char *secret; /* the name of one in the vault, which signs what is posted */
	const char *ca;	    /* as of mail */
	uint32_t events;    /* default all */
};

/* How the queue of what is to be told is worked off. */
struct notify {
	uint64_t first_pause_ms; /* after the first failure; default 30 s. They double up to 1 h */
	uint64_t give_up_ms;	 /* after it was queued; default 3 d */
	uint64_t timeout_ms;	 /* of one attempt; default 1 min */
};

enum host_keys { HOST_KEYS_FIRST_USE, HOST_KEYS_KNOWN };

/* Where the vault's master key comes from: one of these ways. */
struct master_key {
	const char *file;	    /* resolved; NULL = another way, or (of the next) none is set */
	const char *credential;	    /* systemd's; NULL = none */
	const char *const *command; /* that prints it; ended by NULL */
	uint64_t timeout_ms;	    /* the command's */
	bool passphrase;	    /* it is made of one: asked for, or the credential's text */
};

/* False where none is set. */
bool master_key_is_set(const struct master_key *);
/* In words, for people: the file's path, "credential NAME", "command PROGRAM", "passphrase". */
const char *master_key_describe(const struct master_key *, char *out, size_t size);
bool master_key_same(const struct master_key *, const struct master_key *);

/* Where the API of the socket is served over TLS too. */
struct listen {
	const char *address;	 /* "0.0.0.0:8443"; NULL = nowhere, and so are the others */
	const char *certificate; /* a file: the engine's, then those between it and its CA */
	const char *key;	 /* a file: its private key */
	const char *client_ca; /* a file: who vouches for clients; NULL = they are asked for none */
};

struct settings {
	bool secure_mode;	     /* default true */
	uint32_t in_flight;	     /* accounts at once; default 2000, at most 20000 */
	uint64_t change_deadline_ms; /* default 30 s; 100 ms to 10 min */
	uint64_t drain_ms;	     /* for what is in flight, at the end; default 5 min */
	uint64_t connect_timeout_ms; /* default 10 s */
	uint64_t login_timeout_ms;   /* handshake, login and elevation each; default 20 s */
	enum host_keys host_keys;
	uint64_t retention_records_ms; /* default 400 d */
	uint32_t retention_versions;   /* default 10, at least 2 */
	const char *vault; /* absolute, or relative to the policy's directory: resolved here */
	struct master_key master_key;
	struct master_key next_master_key; /* that lockstep vault rekey changes to */
	const char *socket;	      /* where the engine listens; default: "socket" in the vault */
	uint32_t wires;		      /* processes; 0 = one a core */
	uint32_t gateway_in_flight;   /* assets at once through one gateway; default 100 */
	bool sandbox;		      /* default true */
	bool audit_syslog;	      /* each entry of the audit log goes to syslog too */
	bool mfa_enrolled_only;	      /* who has no second factor needs no code to see a secret */
	uint64_t mfa_ttl_ms;	      /* a code holds so long; 0 = for one request; default 5 min */
	bool reveal_reason;	      /* whoever sees a secret has to say why */
	uint64_t checkout_longest_ms; /* that someone may have a secret out; default 1 d */
	/* Patterns of nodes: whose accounts only one person has out, and nobody else sees then. */
	const char *const *checkout_exclusive;
	size_t checkout_exclusive_count;
	struct mail mail;
	struct notify notify;
	struct webhook *webhooks; /* in order of name */
	size_t webhook_count;
	const char *metrics; /* "127.0.0.1:9464": they are served there too; NULL = nowhere */
	struct listen listen;
};

#define GATEWAYS_MAX 4 /* one behind the other */

enum become { BECOME_NONE, BECOME_SUDO, BECOME_SU, BECOME_DOAS };
const char *become_name(enum become);

struct label {
	const char *key;
	const char *value; /* "true" for a bare key */
};

/*
 * An asset with what it inherits from its nodes already applied. There may be a million of them:
 * what equal ones point to is kept once, and its members stand so that none leaves a gap.
 */
struct asset {
	const char *name;
	const char *address; /* default: the name */
	const char *platform;
	const char *node;  /* "/" or "/prod/web" */
	const char *admin; /* NULL = none */
	/*
	 * The asset that connections to this one go through; NULL = none. It is there, and the way
	 * through it and its own gateways has no loop and at most GATEWAYS_MAX of them.
	 */
	const char *gateway;
	const char *const
	    *accounts; /* declared, sorted, no doubles; with admin, and root where su needs it */
	const struct label *labels;
	const char *file; /* where declared */
	uint32_t line;
	uint32_t account_count;
	uint32_t lockout_limit;	    /* default 3, at least 2 */
	uint32_t lockout_window_ms; /* default 15 min, at most a week */
	uint16_t label_count;
	uint16_t port; /* default 22 */
	enum become become : 8;
	bool lockout_by_source;
};

enum verify { VERIFY_NONE, VERIFY_LOGIN, VERIFY_SU, VERIFY_HASH };
#define VERIFY_MAX 3
const char *verify_name(enum verify); /* "false", "login", "su", "hash" */

struct rule; /* opaque: how a new password is made */

enum secret_source { SOURCE_RANDOM, SOURCE_SPECIFIED, SOURCE_SSH_KEY };

enum key_type { KEY_ED25519, KEY_ECDSA, KEY_RSA };
const char *key_type_name(enum key_type); /* "ed25519", "ecdsa", "rsa" */

/* Which keys of the account the new one replaces: none, those that Lockstep set, every one. */
enum key_replace { KEY_ADD, KEY_OURS, KEY_ALL };
const char *key_replace_name(enum key_replace); /* "add", "ours", "all" */

struct ssh_key {
	enum key_type type;
	uint32_t bits; /* 256; of ecdsa 256, 384 or 521; of rsa 2048 to 8192 */
	enum key_replace replace;
};

/* What a task does to its accounts: it sets a new secret, or only sees whether the current one
 * works. */
enum task_kind { TASK_CHANGE, TASK_VERIFY };
const char *task_kind_name(enum task_kind); /* "change", "verify" */

enum priority { PRIORITY_LOW, PRIORITY_NORMAL, PRIORITY_HIGH };
const char *priority_name(enum priority); /* "low", "normal", "high" */

/* Some of a task's accounts: a number of them, or a part. Both 0 = not said. */
struct portion {
	uint32_t count;
	uint32_t per_10000;
};

/* How many of `total` that is at most, and at least 1 where there are any. */
size_t portion_of(const struct portion *, size_t total);

struct limits {
	uint32_t in_flight;    /* accounts at once; 0 = the settings' */
	uint32_t per_second;   /* assets begun with; 0 = no limit, as in the next two */
	uint32_t per_node;     /* assets at once that have the same node */
	uint32_t per_gateway;  /* assets at once through the same gateway */
	uint32_t retries;      /* of errors of class retry, within one run; default 2, at most 10 */
	struct portion canary; /* is tried first */
	struct portion stop_after; /* so many that failed or are unverified end a run */
};

struct cron; /* opaque: which minutes of the calendar */

enum schedule_kind { SCHEDULE_NONE, SCHEDULE_CRON, SCHEDULE_EVERY, SCHEDULE_AT };

/* When a task is run by itself: see task_next. */
struct schedule {
	enum schedule_kind kind;
	const char *text; /* what stands behind cron, every or at; NULL = there is none */
	const struct cron *cron;
	uint64_t every_ms;
	int64_t at;		/* what the clock of its zone shows then */
	const char *zone;	/* NULL = the machine's */
	const char *window;	/* "02:00-05:00"; NULL = always open */
	uint32_t window_from_s; /* since midnight */
	uint32_t window_to_s;
	uint64_t jitter_ms;
	uint64_t catch_up_ms; /* default 1 d; 0 = what was missed stays missed */
};

struct task {
	const char *name;
	enum task_kind kind;
	enum priority priority;
	/* TASK_CHANGE: */
	enum secret_source source;
	const struct rule *rule; /* SOURCE_RANDOM; else NULL. NULL too where none is set */
	const char *specified;	 /* SOURCE_SPECIFIED: the name in the vault; else NULL */
	struct ssh_key ssh_key;	 /* SOURCE_SSH_KEY */

	/* How the new secret is seen to work: tried in this order, each once. None = not at all. */
	enum verify verify[VERIFY_MAX];
	size_t verify_count;

	/* A JSON object, as the platforms of all selected assets take it; NULL = none. */
	const char *params;

	struct limits limits;
	struct schedule schedule;
	uint64_t max_age_ms; /* a secret that is older is overdue; 0 = none is */
	bool active;
	bool rotate_checked_out;       /* also what someone has out; else that is skipped */
	const char *const *recipients; /* addresses, each once: who is told of its executions */
	size_t recipient_count;
	const char *comment; /* NULL = none */
	const char *file;
	size_t line;
};

/* A parameter that a platform takes from tasks. */
enum param_type {
	PARAM_TEXT,   /* a JSON string, one line */
	PARAM_FLAG,   /* true or false */
	PARAM_NUMBER, /* a whole number, not negative, below 2^53 */
	PARAM_LIST,   /* an array of strings, one line each */
};

struct param {
	const char *name;
	enum param_type type;
};

/* What rotation and wires need to know of a platform; the script itself is text for the wires. */
struct platform {
	const char *name;
	uint32_t password_longest, password_shortest;
	const char
	    *password_refuse; /* bytes that its secrets may not hold (besides NUL and newline) */
	const char *source;   /* the file's text */
	size_t source_len;
	const char *file;   /* for messages of the script: "platforms/linux.lua" */
	bool answers_early; /* its answer is no seen end */

	/* Which functions it has. */
	bool change_password, change_key, read_hash, persist;
	bool persist_keys_only; /* a password needs no persist: it is permanent at once */

	const struct param *params; /* in order of name */
	size_t param_count;
};

/* ── People ──────────────────────────────────────────────────────────────────────────────── */

/* What someone may do: each command and method asks for one of these (docs/security.md). */
enum permission {
	PERMIT_VIEW,	/* see what there is and what was done; no secret */
	PERMIT_RUN,	/* change accounts by tasks, as they are declared */
	PERMIT_EDIT,	/* change what is declared, and what the vault holds */
	PERMIT_REVEAL,	/* see secrets */
	PERMIT_APPROVE, /* let someone else see one */
	PERMIT_AUDIT,	/* read what people did */
	PERMIT_ADMIN,	/* people's second factors and tokens, the vault's keys and copies */
};
#define PERMISSION_COUNT 7
const char *permission_name(enum permission); /* "view", … */
/* PERMISSION_COUNT where there is none of that name. */
enum permission permission_named(const char *name);
/* The name nearest to a word, or NULL. */
const char *permission_nearest(const char *word);

/* Where a role, or a user with all of theirs, may do something. None of a kind = everywhere. */
struct reach {
	const char *const *nodes; /* patterns; what is below a node belongs to it */
	size_t node_count;
	const char *const *tasks; /* patterns */
	size_t task_count;
};

struct role {
	const char *name;
	uint32_t permissions; /* a bit for each, 1 << PERMIT_… */
	struct reach reach;
	bool reason;	  /* to see a secret, one has to say why */
	bool approval;	  /* and to have another let them */
	const char *file; /* NULL: it comes with the program */
	size_t line;
};

#define USER_NAME_SIZE 64

struct user {
	const char *name;
	const struct role *const *roles; /* at least one */
	size_t role_count;
	struct reach reach;		 /* narrows that of all roles */
	int64_t uid;			 /* who the kernel says it is; -1 = nobody */
	const char *mail;		 /* NULL = none */
	const char *const *certificates; /* by which they are known over TLS: "SHA256:AB:CD:…" */
	size_t certificate_count;
	const char *file;
	size_t line;
};

size_t policy_user_count(const struct policy *);
const struct user *policy_user(const struct policy *, size_t index); /* in order of name */
const struct user *policy_user_find(const struct policy *, const char *name);
const struct user *policy_user_of_uid(const struct policy *, uint32_t uid);
/* By the digest of the certificate that they showed. */
const struct user *policy_user_of_certificate(
    const struct policy *, const uint8_t digest[DIGEST_SIZE]);
const char *policy_user_nearest(const struct policy *, const char *name);
size_t policy_role_count(const struct policy *);
const struct role *policy_role(const struct policy *, size_t index); /* in order of name */

/*
 * Whether a role of theirs permits it at this node and for this task. NULL = wherever it may be;
 * "" = everywhere, or where nobody can say where it is: no limit of that kind may stand in the way.
 */
bool user_may(const struct user *, enum permission, const char *node, const char *task);

/* Likewise of a reach alone. */
bool reach_has(const struct reach *, const char *node, const char *task);

/* Whether each of their roles that lets them see a secret at this node asks for a reason. */
bool user_needs_reason(const struct user *, const char *node);
/* Likewise, another's approval. */
bool user_needs_approval(const struct user *, const char *node);

/* Whether only one person may have secrets of this node out. */
bool settings_checkout_is_exclusive(const struct settings *, const char *node);

/* ── Finding ─────────────────────────────────────────────────────────────────────────────── */

const struct settings *policy_settings(const struct policy *);
size_t policy_asset_count(const struct policy *);
const struct asset *policy_asset(const struct policy *, size_t index); /* in order of name */
const struct asset *policy_asset_find(const struct policy *, const char *name);
size_t policy_task_count(const struct policy *);
const struct task *policy_task(const struct policy *, size_t index); /* in order of name */
const struct task *policy_task_find(const struct policy *, const char *name);
/* The task's name nearest to `name`, or NULL: for "did you mean". Likewise for assets. */
const char *policy_task_nearest(const struct policy *, const char *name);
const char *policy_asset_nearest(const struct policy *, const char *name);
size_t policy_platform_count(const struct policy *);
const struct platform *policy_platform(const struct policy *, size_t index);
const struct platform *policy_platform_find(const struct policy *, const char *name);

/* True when the asset declares the account. */
bool asset_has_account(const struct asset *, const char *account);
/* True for the asset's admin, `root` and `administrator` (any case): what secure mode leaves alone.
 */
bool asset_account_privileged(const struct asset *, const char *account);

/* ── Selecting ───────────────────────────────────────────────────────────────────────────── */

struct selected {
	const struct asset *asset;
	const char *account;
};

struct selection {
	struct selected *items; /* in order of asset, account; each once */
	size_t count;
	size_t asset_count;
};

/*
 * The accounts that the task means, by its accounts, assets, nodes, where and exclude. An error of
 * a `where` function is ERR_INVALID with file and line. Clear with selection_clear.
 */
enum err policy_select(
    const struct policy *, const struct task *, struct selection *, struct error *error) MUST_CHECK;
void selection_clear(struct selection *);

/*
 * The first active task, in order of name, that sets this account's key, or its password: with
 * `fresh` one that makes a new secret, and does not specify it. NULL when none does. `*item` is
 * filled as policy_select does.
 */
const struct task *policy_task_for(const struct policy *, const char *asset, const char *account,
    bool key, bool fresh, struct selected *item);

/* ── Generating ──────────────────────────────────────────────────────────────────────────── */

/*
 * A new secret, uniformly among all that satisfy the rule (for this account's name, where the rule
 * forbids it inside). ERR_FULL when the secure heap has no room; ERR_INVALID when nothing satisfies
 * it for this name.
 */
enum err rule_generate(
    const struct rule *, const char *account, struct secret **out, struct error *error) MUST_CHECK;

/* The logarithm (base 2) of how many secrets satisfy the rule. */
double rule_entropy_bits(const struct rule *);

/* In bytes: of the longest and the shortest that may come. */
size_t rule_longest(const struct rule *);
size_t rule_shortest(const struct rule *);

/* "random 24 characters, 139 bits" or "passphrase 6 words, 77 bits" into `out`. */
void rule_describe(const struct rule *, char *out, size_t size);

/*
 * ERR_INVALID when the platform's limits refuse the password, with the limit but nothing of the
 * password in the text. For one that no rule of the policy made.
 */
enum err platform_takes(
    const struct platform *, const struct secret *password, struct error *error) MUST_CHECK;

/* ── When ────────────────────────────────────────────────────────────────────────────────── */

/*
 * A task's clock is the wall clock of its zone, but it never goes back: in an hour that is repeated
 * it stands still once it has shown that hour, and an hour that is left out passes at once. So a
 * time of day comes once on each day; what is left out comes where the clock jumps.
 */
struct moment {
	uint64_t due_ms;   /* wall, as all of them: what the schedule says; with a window that is
			      closed then, where it opens */
	uint64_t start_ms; /* with jitter, which is the same each time it is asked for */
	uint64_t until_ms; /* the window closes; UINT64_MAX = never */
};

/* Its first moment that is due after `after_ms`. False when none comes any more. */
bool task_next(const struct task *, uint64_t after_ms, struct moment *);

/* The first time from `from_ms` on at which its window is open; `*until_ms` as above. */
uint64_t task_opens(const struct task *, uint64_t from_ms, uint64_t *until_ms);

/* Differs where two schedules do. */
uint64_t task_schedule_mark(const struct task *);

/* ── Two loads ───────────────────────────────────────────────────────────────────────────── */

/* Whether they make the same secrets; NULL = none. */
bool rule_same(const struct rule *, const struct rule *);

/* Whether they are the same, wherever they are declared. */
bool asset_same(const struct asset *, const struct asset *);
bool platform_same(const struct platform *, const struct platform *);

/* ── In words ────────────────────────────────────────────────────────────────────────────── */

/* What becomes of the secret: as rule_describe, "specified "name"", "ssh key ed25519, replaces
 * ours". */
void task_describe_secret(const struct task *, char *out, size_t size);

/* "cron "0 3 * * sun" in 02:00-05:00, Europe/Berlin", or "" for none. */
void task_describe_schedule(const struct task *, char *out, size_t size);

/* "Sun 2026-11-29 03:00 CET": a time as the task's zone shows it. */
void task_describe_time(const struct task *, uint64_t wall_ms, char *out, size_t size);

/* "login, then su", or "false". */
void task_describe_verify(const struct task *, char *out, size_t size);

/* ── As text ─────────────────────────────────────────────────────────────────────────────── */

/* Where a file's text says `task "name" { … }`, in bytes; ends are behind the last one. */
struct task_span {
	size_t begin, end;
	size_t name_begin, name_end; /* with its quotes */
	bool alone;		     /* beside it are only space and comments */
};

/* False where it is not written so, plainly: Lua that declares tasks in a loop, for one. */
bool task_span_find(const char *text, size_t len, const char *name, struct task_span *);

#endif
