/* The ground of histories: policies, and for each a vault in which its accounts are told. */
#define _GNU_SOURCE /* vasprintf */

#include "sim.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/random.h"
#include "base/ssh_key.h"

/* The policies of each: what is told in the beginning is what the first has. */
static const struct {
	const char *name;
	const char *loads[LOADS_MAX];
} words[] = {{"common", {"common", "other", "common", "other"}}};
#define GROUNDS (sizeof(words) / sizeof(words[0]))

static struct ground grounds[GROUNDS];
static bool made;

size_t ground_count(void)
{
	return GROUNDS;
}

const struct ground *ground(size_t index)
{
	return &grounds[index];
}

static __attribute__((format(printf, 1, 2))) char *text(const char *fmt, ...)
{
	va_list args;
	char *out;

	va_start(args, fmt);
	if (vasprintf(&out, fmt, args) < 0)
		sim_die("out of memory");
	va_end(args);
	return out;
}

/* ── Policies ── */

static void load_select(struct load *load)
{
	size_t count = policy_task_count(load->policy);
	struct error error = {.text = ""};

	load->selections = calloc(count, sizeof(*load->selections));
	for (size_t i = 0; i < count; i++)
		if (policy_select(load->policy, policy_task(load->policy, i), &load->selections[i],
			&error) != ERR_OK)
			sim_die("policy_select: %s", error.text);
}

static void load_make(struct load *load, const char *name)
{
	const char *srcdir = getenv("srcdir");
	char *dir = text("%s/tests/sim/policy/%s", srcdir != NULL ? srcdir : ".", name);
	char *platforms = text("%s/policies/platforms", srcdir != NULL ? srcdir : ".");
	static struct problems errors, warnings;

	if (policy_load(&load->policy,
		&(struct policy_config){.dir = dir, .platforms_dir = platforms}, &errors,
		&warnings) != ERR_OK)
		sim_die("%s", errors.count > 0 ? errors.items[0].text : "policy_load");
	free(dir);
	free(platforms);
	load_select(load);
}

static void load_clear(struct load *load)
{
	for (size_t i = 0; i < policy_task_count(load->policy); i++)
		selection_clear(&load->selections[i]);
	free(load->selections);
	policy_free(load->policy);
}

static void ground_load(size_t index)
{
	struct ground *ground = &grounds[index];

	ground->name = words[index].name;
	for (size_t i = 0; i < LOADS_MAX; i++)
		load_make(&ground->loads[i], words[index].loads[i]);
	ground->policy = ground->loads[0].policy;
}

/*
 * LMDB takes 3 MB at each opening, of which it touches little: from the kernel they are zeros, from
 * malloc's own heap, where it puts them once it has seen such a block freed, they must be cleared.
 */
static void heap_tune(void)
{
	mallopt(M_MMAP_THRESHOLD, 512 * 1024);
	mallopt(M_TRIM_THRESHOLD, 64 * 1024 * 1024);
	mallopt(M_MXFAST, 0); /* each such block is consolidated with the zones of MessagePack */
}

void grounds_load(void)
{
	heap_tune();
	setenv("TZ", "UTC", 1); /* schedules mean the machine's clock */
	log_init(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_LEVEL_ERROR);
	for (size_t i = 0; i < GROUNDS; i++)
		ground_load(i);
}

/* ── Vaults ── */

void ground_secret(const char *asset, const char *account, char out[SIM_SECRET_SIZE])
{
	snprintf(out, SIM_SECRET_SIZE, "first-%s-%s", asset, account);
}

bool ground_is_keyed(const struct asset *asset, const char *account)
{
	return strcmp(asset->name, "keyed") == 0 && strcmp(account, asset->admin) == 0;
}

bool ground_has_password(const struct asset *asset, const char *account)
{
	return strcmp(account, "svc") != 0 && !ground_is_keyed(asset, account);
}

bool ground_has_key(const struct asset *asset, const char *account)
{
	return strcmp(account, "app") == 0 || ground_is_keyed(asset, account);
}

/* As an older release kept it, with its passphrase beside it. */
static enum err tell_sealed_key(
    struct vault_txn *txn, const struct asset *asset, const char *name, struct error *error)
{
	static const char pem[] =
	    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
	    "b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABCHravYPs\n"
	    "d4+2YkVt+7xlrpAAAAAQAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIC3n6WUbkdJD2ug1\n"
	    "XiHHp9HMaQp3chMMCul+/XWuqZI6AAAAkMrDwP63Cqmn3OhOmbkcMYkuMmB+vSFVsWXNsz\n"
	    "NCxgNodb3WORMHWrNgWmJR1UcKXHPAtwxwbQgH88r2U3/cNaJLWfcz8HDu1ydjLggcugVe\n"
	    "YdI0by/7MEC1rtKbwrV52oXF0CkZ1rszbvSHEqOyrX7kc7RLrSrf3GVhGhATZRn39/YRAD\n"
	    "yM8HkD/9ZvwSCRmw==\n"
	    "-----END OPENSSH PRIVATE KEY-----\n";
	struct secret *key = secret_from(pem, strlen(pem));
	struct secret *passphrase = secret_from("sealed", strlen("sealed"));
	struct account account;
	enum err err =
	    account_tell(txn, asset->name, name, SECRET_KEY, key, passphrase, &account, error);

	secret_free(key);
	secret_free(passphrase);
	return err;
}

/* A key that is ours already, so that the first rotation has one to replace. */
static enum err tell_key(struct vault_txn *txn, const struct asset *asset, const char *name,
    char line[SIM_SECRET_SIZE], struct error *error)
{
	char mark[ID_TEXT_SIZE];
	struct account account;
	struct secret *key;
	enum err err = ssh_key_make(SSH_KEY_ED25519, &key, error);

	if (err == ERR_OK)
		err = account_tell(txn, asset->name, name, SECRET_KEY, key, NULL, &account, error);
	if (err == ERR_OK) {
		keys_line_of(key, line);
		snprintf(line + strlen(line), SIM_SECRET_SIZE - strlen(line), " lockstep:%s",
		    id_text(&account.id, mark));
	}
	secret_free(key);
	return err;
}

static enum err tell_password(
    struct vault_txn *txn, const struct asset *asset, const char *name, struct error *error)
{
	char first[SIM_SECRET_SIZE];
	struct account account;
	struct secret *secret;
	enum err err;

	ground_secret(asset->name, name, first);
	secret = secret_from(first, strlen(first));
	err = account_tell(txn, asset->name, name, SECRET_PASSWORD, secret, NULL, &account, error);
	secret_free(secret);
	return err;
}

static enum err tell_asset(struct vault_txn *txn, const struct asset *asset,
    char lines[GROUND_ACCOUNTS][SIM_SECRET_SIZE], struct error *error)
{
	enum err err = ERR_OK;

	/* What is not told is unmanaged: its first rotation takes it over. */
	for (size_t i = 0; err == ERR_OK && i < asset->account_count; i++) {
		const char *name = asset->accounts[i];

		if (ground_has_password(asset, name))
			err = tell_password(txn, asset, name, error);
		if (err == ERR_OK && ground_is_keyed(asset, name))
			err = tell_sealed_key(txn, asset, name, error);
		if (err == ERR_OK && ground_has_key(asset, name))
			err = tell_key(txn, asset, name, lines[i], error);
	}
	return err;
}

static enum err tell_all(struct vault_txn *txn, void *arg, struct error *error)
{
	struct ground *ground = arg;
	enum err err = ERR_OK;

	for (size_t i = 0; err == ERR_OK && i < policy_asset_count(ground->policy); i++)
		err = tell_asset(txn, policy_asset(ground->policy, i), ground->lines[i], error);
	return err;
}

static void ground_make(struct ground *ground, const char *scratch)
{
	struct error error = {.text = ""};
	struct sim_clock clock;
	struct vault *vault;
	char *path;

	sim_clock_init(&clock);
	clock.now_ms = 0; /* before any history */
	ground->dir = text("%s/%s", scratch, ground->name);
	for (size_t i = 0; i < MASTER_KEYS; i++)
		ground->key_paths[i] = text("%s.%zu.key", ground->dir, i);
	ground->lines = calloc(policy_asset_count(ground->policy), sizeof(*ground->lines));
	struct vault_config config = {
	    .dir = ground->dir,
	    .key_path = ground->key_paths[0],
	    .purpose = "simulation",
	    .clock = &clock.clock,
	};
	if (vault_create(&config, &error) != ERR_OK ||
	    vault_open(&vault, &config, &error) != ERR_OK ||
	    vault_write(vault, tell_all, ground, &error) != ERR_OK)
		sim_die("a vault cannot be made: %s", error.text);
	vault_close(vault);
	masters_make(ground);
	sim_clock_clear(&clock);
	path = text("%s/data.mdb", ground->dir);
	ground->disk = disk_new(path);
	free(path);
}

void grounds_make(void)
{
	const char *scratch = scratch_make();

	random_seed(0); /* the same ids and keys in every process */
	for (size_t i = 0; i < GROUNDS; i++)
		ground_make(&grounds[i], scratch);
	random_unseed();
	made = true;
}

/* ── Clearing ── */

static void ground_unmake(struct ground *ground)
{
	disk_free(ground->disk);
	free(ground->dir);
	for (size_t i = 0; i < MASTER_KEYS; i++)
		free(ground->key_paths[i]);
	free(ground->lines);
}

void grounds_clear(void)
{
	for (size_t i = 0; i < GROUNDS; i++) {
		struct ground *ground = &grounds[i];

		if (made)
			ground_unmake(ground);
		for (size_t k = 0; k < LOADS_MAX; k++)
			load_clear(&ground->loads[k]);
	}
	made = false;
	scratch_clear();
}
