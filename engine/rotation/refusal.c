/*
 * Refused logins of privileged accounts. One name with one secret is often let in on thousands of
 * assets: where a few of them refuse it, the secret is wrong, and to go on would lock the account
 * on all of them. Kept for as long as the engine runs.
 */
#include "rotation/engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define REFUSALS_MAX 64 /* secrets; more are not told apart, and none is stopped for them */

static struct refusal *refusal_find(
    const struct rotation *rotation, const char *account, const struct secret *secret)
{
	struct refusal *refusal;

	LIST_FOREACH (refusal, &rotation->refusals, entry)
		if (strcmp(refusal->account, account) == 0 && secret_equal(refusal->secret, secret))
			return refusal;
	return NULL;
}

static void refusal_add(struct rotation *rotation, const char *account, const struct secret *secret,
    const struct site *site)
{
	struct secret *copy = secret_copy(secret);
	struct refusal *refusal;

	if (copy == NULL || rotation->refusal_count == REFUSALS_MAX) {
		secret_free(copy);
		return;
	}
	refusal = xcalloc(1, sizeof(*refusal));
	refusal->account = xstrdup(account);
	refusal->secret = copy; /* transferred */
	refusal->sites[refusal->count++] = site;
	LIST_INSERT_HEAD(&rotation->refusals, refusal, entry);
	rotation->refusal_count++;
}

void refusal_note(struct site *site, const char *account, const struct secret *secret)
{
	struct refusal *refusal = refusal_find(site->rotation, account, secret);

	if (refusal == NULL) {
		refusal_add(site->rotation, account, secret, site);
		return;
	}
	for (size_t i = 0; i < refusal->count; i++)
		if (refusal->sites[i] == site)
			return;
	if (refusal->count < REFUSALS_STOP)
		refusal->sites[refusal->count++] = site;
}

bool refusal_stops(
    const struct rotation *rotation, const char *account, const struct secret *secret)
{
	const struct refusal *refusal = refusal_find(rotation, account, secret);

	return refusal != NULL && refusal->count >= REFUSALS_STOP;
}

void refusals_clear(struct rotation *rotation)
{
	struct refusal *refusal;

	while ((refusal = LIST_FIRST(&rotation->refusals)) != NULL) {
		LIST_REMOVE(refusal, entry);
		secret_free(refusal->secret);
		free(refusal->account);
		free(refusal);
	}
	rotation->refusal_count = 0;
}
