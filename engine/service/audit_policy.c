/* Policies in the audit log: which files were loaded, and which of them are others than before. */
#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "service/audit.h"

/* Of a larger one only the digest is kept, and what changed in it is not told. */
#define LISTING_MAX (256UL * 1024)

struct noting {
	struct request *request; /* NULL: a signal */
	struct buf listing;	 /* as sha256sum prints the files */
	struct audit_event event;
	char digest[DIGEST_TEXT_SIZE];
	bool always;
	char detail[MESSAGE_SIZE];
};

static void noting_list(struct noting *noting, const struct policy_files *files)
{
	char text[DIGEST_TEXT_SIZE];
	uint8_t digest[DIGEST_SIZE];

	buf_init(&noting->listing, 16 * LISTING_MAX);
	for (size_t i = 0; i < files->count; i++)
		buf_addf(&noting->listing, "%s  %s\n", digest_text(files->items[i].digest, text),
		    files->items[i].file);
	digest_of(buf_text(&noting->listing), noting->listing.len, digest);
	digest_text(digest, noting->digest);
}

/* ── What changed ────────────────────────────────────────────────────────────────────────── */

static const char *name_of(const char *line)
{
	return line + DIGEST_TEXT_SIZE + 1;
}

static size_t name_len(const char *line)
{
	return strcspn(name_of(line), "\n");
}

/* Listings end; what has ended comes behind every name. */
static int order(const char *a, const char *b)
{
	size_t least;
	int difference;

	if (*a == '\0' || *b == '\0')
		return (*a == '\0') - (*b == '\0');
	least = name_len(a) < name_len(b) ? name_len(a) : name_len(b);
	difference = memcmp(name_of(a), name_of(b), least);
	return difference != 0 ? difference : (name_len(a) > least) - (name_len(b) > least);
}

static const char *next_line(const char *line)
{
	return name_of(line) + name_len(line) + 1;
}

static void say(struct noting *noting, const char *word, const char *line, bool digest)
{
	size_t used = strlen(noting->detail), room = sizeof(noting->detail) - used;

	snprintf(noting->detail + used, room, "%s%s %.*s%s%.*s", used > 0 ? ", " : "", word,
	    (int)name_len(line), name_of(line), digest ? " " : "",
	    digest ? DIGEST_TEXT_SIZE - 1 : 0, line);
}

/* Both are in order of name. */
static void compare(struct noting *noting, const char *before, const char *now)
{
	while (*before != '\0' || *now != '\0') {
		int which = order(before, now);

		if (which < 0)
			say(noting, "gone", before, false);
		else if (which > 0)
			say(noting, "new", now, true);
		else if (memcmp(before, now, DIGEST_TEXT_SIZE - 1) != 0)
			say(noting, "changed", now, true);
		before = which <= 0 ? next_line(before) : before;
		now = which >= 0 ? next_line(now) : now;
	}
}

static void noting_compare(struct noting *noting, struct buf *before)
{
	noting->detail[0] = '\0';
	if (before->len == 0 || noting->listing.len > LISTING_MAX)
		return;
	compare(noting, buf_text(before), buf_text(&noting->listing));
}

/* ── The entry ───────────────────────────────────────────────────────────────────────────── */

static enum err noting_append(struct noting *noting, struct vault_txn *txn, struct error *error)
{
	struct audit_event *event = &noting->event;

	if (event->detail == NULL)
		event->detail = noting->detail;
	if (noting->request != NULL)
		return request_audit(noting->request, txn, event, error);
	return audit_append(txn, event, error);
}

static enum err noting_apply(struct vault_txn *txn, void *arg, struct error *error)
{
	struct noting *noting = arg;
	size_t kept = noting->listing.len > LISTING_MAX ? 0 : noting->listing.len;
	struct buf before;
	enum err err;

	buf_init(&before, LISTING_MAX + 1);
	err = audit_policy_get(txn, noting->digest, &before);
	if (err == ERR_OK && !noting->always)
		goto out; /* the same as last time */
	if (err != ERR_OK && err != ERR_EXISTS && err != ERR_NOT_FOUND)
		goto out;
	noting_compare(noting, &before);
	err = noting_append(noting, txn, error);
	if (err == ERR_OK && noting->event.outcome == AUDIT_DONE)
		err = audit_policy_put(txn, noting->digest, noting->listing.data, kept);
out:
	buf_clear(&before);
	return err;
}

enum err audit_policy(struct service *service, struct request *request,
    const struct policy_files *files, const char *why, bool always, struct error *error)
{
	struct noting noting = {
	    .request = request,
	    .always = always,
	    .event =
		{
		    .what = AUDIT_POLICY,
		    .outcome = why == NULL ? AUDIT_DONE : AUDIT_REFUSED,
		    .detail = why,
		},
	};
	enum err err;

	noting_list(&noting, files);
	noting.event.object = noting.digest;
	err = vault_write(service->vault, noting_apply, &noting, error);
	buf_clear(&noting.listing);
	return err;
}
