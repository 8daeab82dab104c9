/* Whether two loads say the same. */
#include <string.h>

#include "policy/phrase.h"
#include "policy/snapshot.h"

static bool text_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool rule_same(const struct rule *a, const struct rule *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	if (a->phrase != NULL || b->phrase != NULL)
		return a->phrase != NULL && b->phrase != NULL && phrase_same(a->phrase, b->phrase);
	return memcmp(&a->spec, &b->spec, sizeof(a->spec)) == 0;
}

static bool accounts_same(const struct asset *a, const struct asset *b)
{
	if (a->account_count != b->account_count)
		return false;
	for (size_t i = 0; i < a->account_count; i++)
		if (strcmp(a->accounts[i], b->accounts[i]) != 0)
			return false;
	return true;
}

static bool labels_same(const struct asset *a, const struct asset *b)
{
	if (a->label_count != b->label_count)
		return false;
	for (size_t i = 0; i < a->label_count; i++)
		if (strcmp(a->labels[i].key, b->labels[i].key) != 0 ||
		    strcmp(a->labels[i].value, b->labels[i].value) != 0)
			return false;
	return true;
}

bool asset_same(const struct asset *a, const struct asset *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->address, b->address) == 0 &&
	       a->port == b->port && strcmp(a->platform, b->platform) == 0 &&
	       strcmp(a->node, b->node) == 0 && text_same(a->admin, b->admin) &&
	       a->become == b->become && text_same(a->gateway, b->gateway) &&
	       a->lockout_limit == b->lockout_limit &&
	       a->lockout_window_ms == b->lockout_window_ms &&
	       a->lockout_by_source == b->lockout_by_source && accounts_same(a, b) &&
	       labels_same(a, b);
}

bool platform_same(const struct platform *a, const struct platform *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->file, b->file) == 0 &&
	       a->source_len == b->source_len && memcmp(a->source, b->source, a->source_len) == 0;
}
