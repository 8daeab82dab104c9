#include "service/viewed.h"

#include "service/filter.h"
#include "service/names.h"
#include "vault/seen.h"

static bool viewer_is_known(struct request *request, const char *who)
{
	struct vault_txn *txn = request_read(request);
	bool known = txn != NULL && seen_knows(txn, who);

	if (txn == NULL)
		return false;
	vault_read_end(txn);
	if (!known)
		request_fail(request, SERVICE_USAGE,
		    "--revealed-to: nobody called \"%.63s\" has seen or told a secret: give a name "
		    "as lockstep audit list --what reveal shows it",
		    who);
	return known;
}

bool viewed_read(struct request *request, struct viewed *viewed)
{
	bool since = param_text(request, "since") != NULL;

	*viewed = (struct viewed){.who = param_text(request, "revealed_to")};
	if (viewed->who == NULL && !since)
		return true;
	if (viewed->who == NULL) {
		request_fail(request, SERVICE_USAGE,
		    "--since: that says since when someone has seen secrets: give --revealed-to "
		    "USER with it");
		return false;
	}
	return param_since(request, &viewed->since_ms) && viewer_is_known(request, viewed->who);
}

bool viewed_may_open(const struct viewed *viewed, struct vault_txn *txn, const char *asset,
    const char *name, enum secret_kind kind)
{
	struct account account;

	return account_get(txn, asset, name, kind, &account) == ERR_OK &&
	       seen_may_open(txn, &account, viewed->who, viewed->since_ms);
}
