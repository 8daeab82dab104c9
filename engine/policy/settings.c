#include <string.h>

#include "base/mem.h"
#include "policy/loader.h"
#include "policy/url.h"

#define SECOND_MS 1000UL
#define MINUTE_MS (60 * SECOND_MS)
#define DAY_MS	  (24 * 60 * MINUTE_MS)

/* Where the system's own policy keeps its vault, apart from what people edit. */
#define SYSTEM_DIR   "/etc/lockstep"
#define SYSTEM_VAULT "/var/lib/lockstep"

/* In the vault's directory, where only its owner comes. */
#define SOCKET_NAME "socket"

#define AT(member) offsetof(struct settings, member)

static const char *const host_keys_words[] = {
    [HOST_KEYS_FIRST_USE] = "first_use", [HOST_KEYS_KNOWN] = "known", NULL};

static const char *const mfa_words[] = {"required", "enrolled", NULL};

static const struct field reveal_fields[] = {
    {.name = "reason", .type = FIELD_FLAG, .offset = AT(reveal_reason)},
    {0},
};

static void exclusive_read(struct reader *reader, const struct field_path *path, void *out)
{
	static const struct field field = {
	    .type = FIELD_NAMES, .offset = 0, .fault = node_pattern_fault};
	struct settings *settings = out;
	struct names nodes = {.count = 0};

	field_read(reader, &field, path, &nodes);
	settings->checkout_exclusive = nodes.items;
	settings->checkout_exclusive_count = nodes.count;
}

static const struct field checkout_fields[] = {
    {.name = "longest",
	.type = FIELD_DURATION,
	.offset = AT(checkout_longest_ms),
	.min = SECOND_MS,
	.max = 90 * DAY_MS},
    {.name = "exclusive", .type = FIELD_OWN, .read = exclusive_read},
    {0},
};

bool settings_checkout_is_exclusive(const struct settings *settings, const char *node)
{
	for (size_t i = 0; i < settings->checkout_exclusive_count; i++)
		if (node_matches(settings->checkout_exclusive[i], node))
			return true;
	return false;
}

static void mfa_read(struct reader *reader, const struct field_path *path, void *out)
{
	static const struct field field = {.type = FIELD_CHOICE, .words = mfa_words};
	struct settings *settings = out;
	int word = settings->mfa_enrolled_only;

	field_read(reader, &field, path, &word);
	settings->mfa_enrolled_only = word == 1;
}

static void mfa_ttl_read(struct reader *reader, const struct field_path *path, void *out)
{
	static const struct field field = {
	    .type = FIELD_DURATION, .offset = AT(mfa_ttl_ms), .min = SECOND_MS, .max = DAY_MS};
	struct settings *settings = out;
	bool none = lua_isinteger(reader->lua, -1) && lua_tointeger(reader->lua, -1) == 0;

	if (none)
		settings->mfa_ttl_ms = 0;
	else
		field_read(reader, &field, path, out);
}

static const struct field retention_fields[] = {
    {.name = "records",
	.type = FIELD_DURATION,
	.offset = AT(retention_records_ms),
	.min = DAY_MS,
	.max = 36500 * DAY_MS},
    {.name = "versions",
	.type = FIELD_COUNT,
	.offset = AT(retention_versions),
	.min = 2,
	.max = 1000},
    {0},
};

static const struct field audit_fields[] = {
    {.name = "syslog", .type = FIELD_FLAG, .offset = AT(audit_syslog)},
    {0},
};

static const struct field listen_fields[] = {
    {.name = "address", .type = FIELD_TEXT, .offset = AT(listen.address), .fault = listen_fault},
    {.name = "certificate", .type = FIELD_TEXT, .offset = AT(listen.certificate)},
    {.name = "key", .type = FIELD_TEXT, .offset = AT(listen.key)},
    {.name = "client_ca", .type = FIELD_TEXT, .offset = AT(listen.client_ca)},
    {0},
};

static const struct field settings_fields[] = {
    {.name = "secure_mode", .type = FIELD_FLAG, .offset = AT(secure_mode)},
    {.name = "in_flight", .type = FIELD_COUNT, .offset = AT(in_flight), .min = 1, .max = 20000},
    {.name = "change_deadline",
	.type = FIELD_DURATION,
	.offset = AT(change_deadline_ms),
	.min = 100,
	.max = 10 * MINUTE_MS},
    {.name = "drain",
	.type = FIELD_DURATION,
	.offset = AT(drain_ms),
	.min = SECOND_MS,
	.max = DAY_MS},
    {.name = "connect_timeout",
	.type = FIELD_DURATION,
	.offset = AT(connect_timeout_ms),
	.min = 100,
	.max = 10 * MINUTE_MS},
    {.name = "login_timeout",
	.type = FIELD_DURATION,
	.offset = AT(login_timeout_ms),
	.min = 100,
	.max = 10 * MINUTE_MS},
    {.name = "host_keys", .type = FIELD_CHOICE, .offset = AT(host_keys), .words = host_keys_words},
    {.name = "retention", .type = FIELD_TABLE, .fields = retention_fields},
    {.name = "vault", .type = FIELD_TEXT, .offset = AT(vault)},
    {.name = "master_key", .type = FIELD_OWN, .read = master_key_read},
    {.name = "next_master_key", .type = FIELD_OWN, .read = next_master_key_read},
    {.name = "socket", .type = FIELD_TEXT, .offset = AT(socket)},
    {.name = "wires", .type = FIELD_COUNT, .offset = AT(wires), .min = 0, .max = 256},
    {.name = "gateway_in_flight",
	.type = FIELD_COUNT,
	.offset = AT(gateway_in_flight),
	.min = 1,
	.max = 20000},
    {.name = "sandbox", .type = FIELD_FLAG, .offset = AT(sandbox)},
    {.name = "audit", .type = FIELD_TABLE, .fields = audit_fields},
    {.name = "mfa", .type = FIELD_OWN, .read = mfa_read},
    {.name = "mfa_ttl", .type = FIELD_OWN, .read = mfa_ttl_read},
    {.name = "reveal", .type = FIELD_TABLE, .fields = reveal_fields},
    {.name = "checkout", .type = FIELD_TABLE, .fields = checkout_fields},
    {.name = "mail", .type = FIELD_TABLE, .fields = mail_fields},
    {.name = "notify", .type = FIELD_TABLE, .fields = notify_fields},
    {.name = "webhooks", .type = FIELD_OWN, .read = webhooks_read},
    {.name = "metrics", .type = FIELD_TEXT, .offset = AT(metrics), .fault = listen_fault},
    {.name = "listen", .type = FIELD_TABLE, .fields = listen_fields},
    {0},
};

void settings_defaults(struct loader *loader)
{
	loader->policy->settings = (struct settings){
	    .secure_mode = true,
	    .in_flight = 2000,
	    .change_deadline_ms = 30 * SECOND_MS,
	    .drain_ms = 5 * MINUTE_MS,
	    .checkout_longest_ms = DAY_MS,
	    .connect_timeout_ms = 10 * SECOND_MS,
	    .login_timeout_ms = 20 * SECOND_MS,
	    .host_keys = HOST_KEYS_FIRST_USE,
	    .retention_records_ms = 400 * DAY_MS,
	    .retention_versions = 10,
	    .vault = strcmp(loader->dir, SYSTEM_DIR) == 0 ? SYSTEM_VAULT : "vault",
	    .master_key = {.file = "master.key"},
	    .gateway_in_flight = GATEWAY_IN_FLIGHT_DEFAULT,
	    .sandbox = true,
	    .mfa_ttl_ms = 5 * MINUTE_MS,
	};
	notify_defaults(&loader->policy->settings);
}

void settings_read(struct loader *loader, const struct statement *statement, int index)
{
	struct reader reader = {
	    loader->policy->lua, &loader->policy->arena, loader->errors, statement};

	if (loader->settings) {
		statement_problem(loader->errors, statement, NULL, NULL,
		    "stands in %s:%zu already; there is one for a policy", loader->settings->file,
		    loader->settings->line);
		return;
	}
	loader->settings = statement;
	schema_read(&reader, settings_fields, index, NULL, &loader->policy->settings);
}

static const char *join(struct arena *arena, const char *dir, const char *name)
{
	size_t dir_len = strlen(dir), len = strlen(name);
	char *whole = arena_alloc(arena, dir_len + len + 2);

	memcpy(whole, dir, dir_len);
	whole[dir_len] = '/';
	memcpy(whole + dir_len + 1, name, len);
	return whole;
}

const char *path_resolve(struct loader *loader, const char *path)
{
	return path[0] == '/' ? path : join(&loader->policy->arena, loader->dir, path);
}

static void listen_check(struct loader *loader)
{
	static const struct field_path path = {.name = "listen"};
	const struct listen *listen = &loader->policy->settings.listen;
	const char *missing = listen->address == NULL	    ? "address"
			      : listen->certificate == NULL ? "certificate"
			      : listen->key == NULL	    ? "key"
							    : NULL;

	if (missing != NULL &&
	    (listen->address || listen->certificate || listen->key || listen->client_ca))
		statement_problem(loader->errors, loader->settings, &path, NULL,
		    "listen: field \"%s\" is missing: it takes an address, a certificate and its "
		    "key",
		    missing);
}

static void listen_build(struct loader *loader)
{
	struct listen *listen = &loader->policy->settings.listen;

	if (loader->errors->count == 0)
		listen_check(loader);
	if (listen->certificate != NULL)
		listen->certificate = path_resolve(loader, listen->certificate);
	if (listen->key != NULL)
		listen->key = path_resolve(loader, listen->key);
	if (listen->client_ca != NULL)
		listen->client_ca = path_resolve(loader, listen->client_ca);
}

void settings_build(struct loader *loader)
{
	struct settings *settings = &loader->policy->settings;

	settings->vault = path_resolve(loader, settings->vault);
	if (settings->master_key.file != NULL)
		settings->master_key.file = path_resolve(loader, settings->master_key.file);
	if (settings->next_master_key.file != NULL)
		settings->next_master_key.file =
		    path_resolve(loader, settings->next_master_key.file);
	if (settings->socket != NULL)
		settings->socket = path_resolve(loader, settings->socket);
	else
		settings->socket = join(&loader->policy->arena, settings->vault, SOCKET_NAME);
	listen_build(loader);
	notify_build(loader);
}
