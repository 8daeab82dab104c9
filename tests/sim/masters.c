/*
 * Someone changes the master key, as `vault rekey` does: the vault is to open by another key too;
 * then the settings name that one, and the older is dropped; meanwhile all is sealed anew, a few
 * values a commit. Whenever the engine dies, what the settings name opens the vault.
 */
#include "sim.h"

#include "vault/key_ring.h"
#include "vault/keys.h"
#include "vault/master.h"

static struct key_source source_of(const struct sim *sim, uint32_t number)
{
	return (struct key_source){.file = sim->ground->key_paths[number]};
}

const char *masters_path(const struct sim *sim)
{
	return sim->ground->key_paths[sim->masters.named];
}

void masters_make(const struct ground *ground)
{
	struct error error = {.text = ""};
	struct secret *key;

	for (size_t i = 1; i < MASTER_KEYS; i++) { /* the first is the vault's own */
		if (master_create(ground->key_paths[i], false, &key, &error) != ERR_OK)
			sim_die("a master key cannot be made: %s", error.text);
		secret_free(key);
	}
}

/* ── Bugs ── */

static enum err shed_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	return key_ring_shed(arg, txn, error);
}

/* What comes after the settings, or after all is sealed anew: here at once. */
static void bugs_hurry(struct sim *sim)
{
	struct error error;

	if (sim_bug == BUG_KEY_DROPPED)
		(void)(vault_key_take_newest(sim->vault, &error) == ERR_OK);
	if (sim_bug == BUG_SHED_EARLY &&
	    vault_write(sim->vault, shed_apply, sim->vault, &error) == ERR_OK)
		key_ring_shed_done(sim->vault);
}

/* ── A change ── */

static void masters_failed(
    struct sim *sim, const char *what, enum err err, const struct error *error)
{
	if (err != ERR_OK && err != ERR_BUSY)
		core_failed(sim, what, error);
}

/* Whoever is not told that it was done begins anew. */
static void masters_change(struct sim *sim)
{
	uint32_t next = (sim->masters.named + 1 + sim_amount(sim, MASTER_KEYS - 1)) % MASTER_KEYS;
	struct key_source source = source_of(sim, next);
	struct error error = {.text = ""};
	struct secret *material;
	struct rekey *rekey = NULL;
	enum err err = key_read(&source, &material, &error);

	if (err != ERR_OK)
		sim_die("a master key cannot be read: %s", error.text);
	err = rekey_new(&rekey, sim->vault, material, false, &error);
	secret_free(material);
	sim->masters.doing = "master key changed";
	if (err == ERR_OK)
		err = vault_write(sim->vault, rekey_apply, rekey, &error);
	sim->masters.doing = NULL;
	if (err == ERR_OK) {
		rekey_done(rekey);
		bugs_hurry(sim);
	}
	rekey_free(rekey);
	masters_failed(sim, "the master key cannot be changed", err, &error);
	if (err != ERR_OK || sim->dead || sim->broke)
		return;
	sim->masters.made = next;
	sim_seen(sim, "a master key changed");
}

static void masters_follow(struct sim *sim)
{
	struct key_source source = source_of(sim, sim->masters.made);
	struct error error = {.text = ""};
	enum err err;

	sim->masters.named = sim->masters.made;
	sim->masters.doing = "master key confirmed";
	err = vault_key_confirm(sim->vault, &source, &error);
	sim->masters.doing = NULL;
	masters_failed(sim, "a master key is not confirmed", err, &error);
	if (err == ERR_OK && !sim->dead)
		sim_seen(sim, "a master key confirmed");
}

static void masters_seal(struct sim *sim)
{
	struct error error = {.text = ""};
	enum err err;
	bool more;

	sim->masters.doing = "values sealed anew";
	err = vault_reseal(sim->vault, &more, &error);
	sim->masters.doing = NULL;
	masters_failed(sim, "what is kept cannot be sealed anew", err, &error);
	if (err == ERR_OK && !more && !sim->dead)
		sim_seen(sim, "all sealed anew");
}

void masters_meddle(struct sim *sim)
{
	struct key_facts facts;

	vault_key_facts(sim->vault, &facts);
	if (sim->masters.made != sim->masters.named) {
		if (sim_event(sim, "the settings name the new master key", "", 100))
			masters_follow(sim);
	} else if (sim_rarely(sim, "the master key changed", "", 1500)) {
		masters_change(sim);
	}
	if (!check_is_blind(sim) && facts.data_keys > 1 &&
	    sim_event(sim, "some values sealed anew", "", 100))
		masters_seal(sim);
}
