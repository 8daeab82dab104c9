#include "keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static int key_make(const char *name, ssh_key *key)
{
	if (strcmp(name, "ed25519") == 0)
		return ssh_pki_generate(SSH_KEYTYPE_ED25519, 0, key);
	if (strcmp(name, "ecdsa") == 0)
		return ssh_pki_generate(SSH_KEYTYPE_ECDSA_P256, 256, key);
	if (strcmp(name, "rsa") == 0)
		return ssh_pki_generate(SSH_KEYTYPE_RSA, 3072, key);
	return SSH_ERROR;
}

/* A door of libssh's that never listens: it hands its settings to sessions. */
static ssh_bind door_new(ssh_key key, const char *kex)
{
	ssh_bind door = ssh_bind_new();
	bool process_config = false;
	int rc = door == NULL ? SSH_ERROR : SSH_OK;

	if (rc == SSH_OK)
		rc = ssh_bind_options_set(door, SSH_BIND_OPTIONS_PROCESS_CONFIG, &process_config);
	if (rc == SSH_OK)
		rc = ssh_bind_options_set(door, SSH_BIND_OPTIONS_BANNER, "OpenSSH_9.2p1-many");
	/* The key is the door's from then on. */
	if (rc == SSH_OK)
		rc = ssh_bind_options_set(door, SSH_BIND_OPTIONS_IMPORT_KEY, ssh_key_dup(key));
	if (rc == SSH_OK && kex != NULL)
		rc = ssh_bind_options_set(door, SSH_BIND_OPTIONS_KEY_EXCHANGE, kex);
	if (rc == SSH_OK)
		return door;
	fprintf(stderr, "many: libssh does not take %s: %s\n", kex != NULL ? kex : "a host key",
	    door != NULL ? ssh_get_error(door) : "no memory");
	ssh_bind_free(door);
	return NULL;
}

struct keys *keys_new(const struct config *config)
{
	struct keys *keys = xcalloc(1, sizeof(*keys));
	ssh_key key = NULL, other = NULL;

	if (key_make(config->host_key, &key) == SSH_OK &&
	    key_make(config->host_key, &other) == SSH_OK) {
		keys->usual = door_new(key, config->kex);
		keys->other = door_new(other, config->kex);
		keys->dh = door_new(key, DH_GROUPS);
	} else {
		fprintf(stderr, "many: no host key of type %s\n", config->host_key);
	}
	ssh_key_free(key);
	ssh_key_free(other);
	if (keys->usual != NULL && keys->other != NULL && keys->dh != NULL)
		return keys;
	keys_free(keys);
	return NULL;
}

void keys_free(struct keys *keys)
{
	if (keys == NULL)
		return;
	ssh_bind_free(keys->usual);
	ssh_bind_free(keys->other);
	ssh_bind_free(keys->dh);
	free(keys);
}

ssh_bind keys_door(const struct keys *keys, enum trouble trouble)
{
	switch (trouble) {
	case TROUBLE_WRONG_KEY: return keys->other;
	case TROUBLE_DH: return keys->dh;
	default: return keys->usual;
	}
}
