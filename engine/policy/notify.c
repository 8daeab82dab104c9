/*
 * Who is told, and how: the settings of mail, webhooks and metrics, a task's recipients, and
 * secrets that the vault holds under a name.
 */
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/loader.h"
#include "policy/url.h"

#define SECOND_MS 1000UL
#define MINUTE_MS (60 * SECOND_MS)
#define DAY_MS	  (24 * 60 * MINUTE_MS)

#define RECIPIENTS_MAX 100
#define WEBHOOKS_MAX   32
#define DESCRIBE_OCCASIONS                                                                         \
	"a list of \"finished\", \"failed\", \"stopped\", \"in_doubt\", "                          \
	"\"settled\", \"policy_rejected\" and \"approval\""

static const char *const occasion_words[OCCASION_COUNT] = {
    [OCCASION_FINISHED] = "finished",
    [OCCASION_FAILED] = "failed",
    [OCCASION_STOPPED] = "stopped",
    [OCCASION_IN_DOUBT] = "in_doubt",
    [OCCASION_SETTLED] = "settled",
    [OCCASION_POLICY_REJECTED] = "policy_rejected",
    [OCCASION_APPROVAL] = "approval",
};

const char *occasion_name(enum occasion event)
{
	return occasion_words[event];
}

bool occasion_named(const char *name, enum occasion *event)
{
	for (int i = 0; i < OCCASION_COUNT; i++)
		if (strcmp(occasion_words[i], name) == 0) {
			*event = (enum occasion)i;
			return true;
		}
	return false;
}

/* ── secret "name" ───────────────────────────────────────────────────────────────────────── */

void named_read(struct loader *loader, const struct statement *statement, int index)
{
	lua_State *lua = loader->policy->lua;
	const char *name = lua_type(lua, index) == LUA_TSTRING ? lua_tostring(lua, index) : "";
	size_t len = strlen(name);
	const char *fault = secret_name_fault(name);
	struct named_use *use;

	if (len == 0 || len != lua_rawlen(lua, index)) {
		statement_problem(loader->errors, statement, NULL, NULL,
		    "needs the name of a secret that the vault holds: secret \"name\"");
		push_refused(lua);
	} else if (fault) {
		statement_problem(loader->errors, statement, NULL, NULL, "\"%s\" %s", name, fault);
		push_refused(lua);
	} else {
		use = arena_alloc(&loader->policy->arena, sizeof(*use));
		*use =
		    (struct named_use){VALUE_NAMED, arena_text(&loader->policy->arena, name, len)};
		lua_pushlightuserdata(lua, use);
	}
}

static void named_take(struct reader *reader, const struct field_path *path, const char **out)
{
	const struct named_use *use = NULL;
	char name[128], what[320];

	if (lua_type(reader->lua, -1) == LUA_TLIGHTUSERDATA && !is_refused(reader->lua))
		use = lua_touserdata(reader->lua, -1);
	if (use && use->value == VALUE_NAMED) {
		*out = use->name;
		return;
	}
	if (lua_type(reader->lua, -1) != LUA_TSTRING) {
		field_wrong(reader, path, "secret \"name\"");
		return;
	}
	field_path_text(path, name, sizeof(name));
	snprintf(what, sizeof(what),
	    "field \"%s\" must be secret \"name\": no secret stands in a policy; keep it with "
	    "lockstep secret set NAME",
	    name);
	statement_problem_quiet(reader->errors, reader->statement, path, what);
}

/* ── Events ──────────────────────────────────────────────────────────────────────────────── */

static bool event_take(struct reader *reader, const struct field_path *path, uint32_t *events)
{
	enum occasion occasion;

	if (lua_type(reader->lua, -1) != LUA_TSTRING ||
	    !occasion_named(lua_tostring(reader->lua, -1), &occasion)) {
		field_wrong(reader, path, DESCRIBE_OCCASIONS);
		return false;
	}
	*events |= 1u << occasion;
	return true;
}

static void events_take(struct reader *reader, const struct field_path *path, uint32_t *out)
{
	lua_State *lua = reader->lua;
	size_t count = lua_type(lua, -1) == LUA_TTABLE ? lua_rawlen(lua, -1) : 0;
	uint32_t events = 0;
	bool good = true;

	if (count == 0 || count > OCCASION_COUNT) {
		field_wrong(reader, path, DESCRIBE_OCCASIONS);
		return;
	}
	for (size_t i = 0; good && i < count; i++) {
		lua_rawgeti(lua, -1, (lua_Integer)i + 1);
		good = event_take(reader, path, &events);
		lua_pop(lua, 1);
	}
	*out = good ? events : *out;
}

const char *mail_address_fault(const char *address)
{
	return mail_fault(address);
}

/* ── Recipients ──────────────────────────────────────────────────────────────────────────── */

/* An address, or a user's name, which is looked up once all is read. */
static const char *recipient_fault(const char *text)
{
	return strchr(text, '@') ? mail_fault(text) : name_fault(text);
}

static void recipients_take(
    struct reader *reader, const struct field_path *path, struct names *names)
{
	static const struct field field = {
	    .type = FIELD_NAMES, .offset = 0, .fault = recipient_fault};
	struct names read = {0};

	field_read(reader, &field, path, &read);
	if (read.count > RECIPIENTS_MAX)
		field_wrong(reader, path, "a list of at most 100 recipients");
	else
		*names = read;
}

void recipients_read(struct reader *reader, const struct field_path *path, void *out)
{
	recipients_take(reader, path, &((struct task_decl *)out)->recipients);
}

/* The address of one who is named: as an address, or as a user who has one. NULL: `*why` not. */
static const char *recipient_address(
    const struct loader *loader, const char *recipient, const char **why)
{
	const struct user_decl *decl;

	if (strchr(recipient, '@'))
		return recipient;
	STAILQ_FOREACH (decl, &loader->users, link) {
		if (strcmp(decl->user.name, recipient) != 0)
			continue;
		*why = "is a user without mail: give the user one";
		return decl->user.mail;
	}
	*why = STAILQ_EMPTY(&loader->users)
		   ? mail_fault(recipient)
		   : "is neither a user nor a mail address such as \"ops@example.com\"";
	return NULL;
}

/* Their addresses, each once. */
static size_t recipients_build(struct loader *loader, const struct statement *statement,
    const struct field_path *path, const struct names *names, const char *const **out)
{
	const char **list =
	    arena_alloc(&loader->policy->arena, (names->count + 1) * sizeof(list[0]));
	size_t count = 0;
	char field[64];

	for (size_t i = 0; i < names->count; i++) {
		const char *why, *address = recipient_address(loader, names->items[i], &why);

		if (!address) {
			field_path_text(path, field, sizeof(field));
			statement_problem(loader->errors, statement, path, NULL,
			    "field \"%s\": \"%s\" %s", field, names->items[i], why);
			continue;
		}
		for (size_t k = 0; k < count && address; k++)
			if (strcmp(list[k], address) == 0)
				address = NULL;
		if (address)
			list[count++] = address;
	}
	*out = list;
	return count;
}

void task_recipients_build(struct loader *loader, struct task_decl *decl)
{
	static const struct field_path path = {.name = "recipients"};
	struct task *task = &decl->entry.task;

	task->recipient_count = recipients_build(
	    loader, decl->entry.statement, &path, &decl->recipients, &task->recipients);
	if (task->recipient_count > 0 && !loader->policy->settings.mail.server)
		statement_problem(loader->warnings, decl->entry.statement, &path, NULL,
		    "has recipients, and no mail is sent: settings { mail = { server = …, from = … "
		    "} } says how");
}

/* ── Places ──────────────────────────────────────────────────────────────────────────────── */

/* Whoever writes a password into it must not find it in the log. */
static void place_take(struct reader *reader, const struct field_path *path,
    const char *(*fault)(const char *), const char **out)
{
	const char *text = field_text(reader, path, "a text");
	const char *wrong = text ? fault(text) : NULL;
	char name[128], what[320];

	if (wrong && strchr(text, '@')) {
		field_path_text(path, name, sizeof(name));
		snprintf(what, sizeof(what), "field \"%s\" %s", name, wrong);
		statement_problem_quiet(reader->errors, reader->statement, path, what);
	} else if (wrong) {
		field_fault(reader, path, wrong);
	} else if (text) {
		*out = text;
	}
}

/* ── settings { mail = … } ───────────────────────────────────────────────────────────────── */

static void mail_server_read(struct reader *reader, const struct field_path *path, void *out)
{
	place_take(reader, path, server_fault, &((struct settings *)out)->mail.server);
}

static void mail_password_read(struct reader *reader, const struct field_path *path, void *out)
{
	named_take(reader, path, &((struct settings *)out)->mail.password);
}

static void mail_events_read(struct reader *reader, const struct field_path *path, void *out)
{
	events_take(reader, path, &((struct settings *)out)->mail.events);
}

static void mail_recipients_read(struct reader *reader, const struct field_path *path, void *out)
{
	struct mail *mail = &((struct settings *)out)->mail;
	struct names names = {0};

	recipients_take(reader, path, &names);
	mail->recipients = (const char *const *)names.items;
	mail->recipient_count = names.count;
}

#define MAIL(member) offsetof(struct settings, mail.member)

const struct field mail_fields[] = {
    {.name = "server", .type = FIELD_OWN, .read = mail_server_read},
    {.name = "from", .type = FIELD_TEXT, .offset = MAIL(from), .fault = mail_fault},
    {.name = "user", .type = FIELD_TEXT, .offset = MAIL(user)},
    {.name = "password", .type = FIELD_OWN, .read = mail_password_read},
    {.name = "tls", .type = FIELD_FLAG, .offset = MAIL(tls)},
    {.name = "ca", .type = FIELD_TEXT, .offset = MAIL(ca)},
    {.name = "events", .type = FIELD_OWN, .read = mail_events_read},
    {.name = "recipients", .type = FIELD_OWN, .read = mail_recipients_read},
    {0},
};

static void mail_problem(struct loader *loader, const char *field, const char *text)
{
	const struct field_path up = {.name = "mail"}, path = {.up = &up, .name = field};

	statement_problem(
	    loader->errors, loader->settings, field ? &path : &up, NULL, "mail: %s", text);
}

static void mail_check(struct loader *loader)
{
	const struct mail *mail = &loader->policy->settings.mail;
	bool any = mail->from || mail->user || mail->password || mail->ca || mail->recipient_count;

	if (!mail->server) {
		if (any)
			mail_problem(loader, NULL, "field \"server\" is missing");
		return;
	}
	if (!mail->from)
		mail_problem(loader, NULL, "field \"from\" is missing: who the mail is from");
	if (!mail->user != !mail->password)
		mail_problem(loader, mail->user ? "user" : "password",
		    "user and password belong together: a login needs both");
	if (!mail->tls && url_after(mail->server, "smtps://"))
		mail_problem(loader, "tls", "smtps:// is TLS: for none, take smtp://");
	if (!mail->tls && mail->password)
		mail_problem(loader, "tls",
		    "without TLS the password would be readable on the way: nothing logs in so");
}

/* ── settings { webhooks = … } ───────────────────────────────────────────────────────────── */

#define WEBHOOK(member) offsetof(struct webhook, member)

static void webhook_url_read(struct reader *reader, const struct field_path *path, void *out)
{
	place_take(reader, path, url_fault, &((struct webhook *)out)->url);
}

static void webhook_secret_read(struct reader *reader, const struct field_path *path, void *out)
{
	named_take(reader, path, &((struct webhook *)out)->secret);
}

static void webhook_events_read(struct reader *reader, const struct field_path *path, void *out)
{
	events_take(reader, path, &((struct webhook *)out)->events);
}

static const struct field webhook_fields[] = {
    {.name = "url", .type = FIELD_OWN, .read = webhook_url_read},
    {.name = "secret", .type = FIELD_OWN, .read = webhook_secret_read},
    {.name = "events", .type = FIELD_OWN, .read = webhook_events_read},
    {.name = "ca", .type = FIELD_TEXT, .offset = WEBHOOK(ca)},
    {0},
};

/* Its table is at the top. */
static void webhook_read(
    struct reader *reader, const struct field_path *path, struct webhook *webhook)
{
	size_t before = reader->errors->count + reader->errors->more;
	const char *fault = secret_name_fault(path->name);

	*webhook = (struct webhook){.events = OCCASIONS_ALL};
	webhook->name = arena_text(reader->arena, path->name, strlen(path->name));
	if (fault) {
		statement_problem(reader->errors, reader->statement, path, NULL,
		    "the webhook's name \"%s\" %s", path->name, fault);
		return;
	}
	if (lua_type(reader->lua, -1) != LUA_TTABLE) {
		field_wrong(reader, path, "a table: { url = …, secret = secret \"name\" }");
		return;
	}
	schema_read(reader, webhook_fields, lua_gettop(reader->lua), path, webhook);
	if (reader->errors->count + reader->errors->more == before &&
	    (!webhook->url || !webhook->secret))
		statement_problem(reader->errors, reader->statement, path, NULL,
		    "webhook \"%s\" needs url and secret: by the secret its receiver knows who "
		    "sends",
		    webhook->name);
}

static int webhook_order(const void *left, const void *right)
{
	const struct webhook *a = left, *b = right;

	return strcmp(a->name, b->name);
}

void webhooks_read(struct reader *reader, const struct field_path *path, void *out)
{
	struct settings *settings = out;
	lua_State *lua = reader->lua;
	struct webhook *list = arena_alloc(reader->arena, WEBHOOKS_MAX * sizeof(list[0]));
	size_t count = 0;

	if (lua_type(lua, -1) != LUA_TTABLE) {
		field_wrong(reader, path, "a table: { NAME = { url = …, secret = … } }");
		return;
	}
	luaL_checkstack(lua, 8, NULL);
	for (lua_pushnil(lua); lua_next(lua, -2); lua_pop(lua, 1)) {
		struct field_path inner = {.up = path};

		if (lua_type(lua, -2) != LUA_TSTRING || count == WEBHOOKS_MAX) {
			lua_pop(lua, 2);
			field_wrong(
			    reader, path, "a table of at most 32 webhooks, each with a name");
			return;
		}
		inner.name = lua_tostring(lua, -2);
		webhook_read(reader, &inner, &list[count++]);
	}
	qsort(list, count, sizeof(list[0]), webhook_order);
	settings->webhooks = list;
	settings->webhook_count = count;
}

/* ── settings { notify = … } ─────────────────────────────────────────────────────────────── */

#define NOTIFY(member) offsetof(struct settings, notify.member)

const struct field notify_fields[] = {
    {.name = "first_pause",
	.type = FIELD_DURATION,
	.offset = NOTIFY(first_pause_ms),
	.min = 100,
	.max = 60 * MINUTE_MS},
    {.name = "give_up",
	.type = FIELD_DURATION,
	.offset = NOTIFY(give_up_ms),
	.min = SECOND_MS,
	.max = 30 * DAY_MS},
    {.name = "timeout",
	.type = FIELD_DURATION,
	.offset = NOTIFY(timeout_ms),
	.min = SECOND_MS,
	.max = 10 * MINUTE_MS},
    {0},
};

void notify_defaults(struct settings *settings)
{
	settings->mail = (struct mail){.tls = true, .events = OCCASIONS_ALL};
	settings->notify = (struct notify){
	    .first_pause_ms = 30 * SECOND_MS,
	    .give_up_ms = 3 * DAY_MS,
	    .timeout_ms = MINUTE_MS,
	};
}

void notify_build(struct loader *loader)
{
	static const struct field_path up = {.name = "mail"};
	static const struct field_path path = {.up = &up, .name = "recipients"};
	struct settings *settings = &loader->policy->settings;
	struct mail *mail = &settings->mail;
	const struct names names = {
	    (const char **)(uintptr_t)mail->recipients, mail->recipient_count};

	if (loader->errors->count == 0)
		mail_check(loader);
	if (names.count > 0)
		mail->recipient_count =
		    recipients_build(loader, loader->settings, &path, &names, &mail->recipients);
	if (mail->ca)
		mail->ca = path_resolve(loader, mail->ca);
	for (size_t i = 0; i < settings->webhook_count; i++)
		if (settings->webhooks[i].ca)
			settings->webhooks[i].ca = path_resolve(loader, settings->webhooks[i].ca);
}
