#include "service/bearer.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "service/engine.h"
#include "service/scope.h"
#include "service/session.h"

static bool token_find_shown(
    struct service *service, const char *text, size_t len, struct token *token, char why[WHY_SIZE])
{
	struct vault_txn *txn = vault_read(service->vault);
	enum err err;

	if (txn == NULL) {
		snprintf(why, WHY_SIZE, "tokens cannot be looked up now: the vault cannot be read");
		return false;
	}
	err = token_get(txn, text, len, token);
	vault_read_end(txn);
	if (err == ERR_OK)
		return true;
	if (token_is_whole(text, len))
		snprintf(why, WHY_SIZE,
		    "that token is not known here: it was revoked, or is of another vault "
		    "(lockstep token list)");
	else
		snprintf(why, WHY_SIZE,
		    "that is no token, or a part of one: give the whole of it, %d characters, of "
		    "which the first are \"lst_\"",
		    TOKEN_TEXT_SIZE - 1);
	return false;
}

static bool token_is_good(struct service *service, const struct token *token, char why[WHY_SIZE])
{
	char at[32];

	if (clock_wall_ms(loop_clock(service->loop)) >= token->until_ms)
		snprintf(why, WHY_SIZE,
		    "token \"%s\" expired at %s: lockstep token create makes another", token->name,
		    text_rfc3339(at, token->until_ms));
	else if (policy_user_find(service->snapshot->policy, token->user) == NULL)
		snprintf(why, WHY_SIZE,
		    "token \"%s\" acts for user \"%s\", whom the policy does not declare",
		    token->name, token->user);
	else
		return true;
	return false;
}

bool bearer_identify(struct service *service, const char *text, size_t len, struct caller *caller,
    char why[WHY_SIZE])
{
	struct token token;

	if (session_is_meant(text, len)) {
		snprintf(why, WHY_SIZE,
		    "that login has ended, or its user is declared no more: lockstep login");
		return session_identify(service, text, len, caller) &&
		       policy_user_find(service->snapshot->policy, caller->user) != NULL;
	}
	if (!token_find_shown(service, text, len, &token, why) ||
	    !token_is_good(service, &token, why))
		return false;
	snprintf(caller->user, sizeof(caller->user), "%s", token.user);
	caller->scope = scope_new(&token);
	return true;
}
