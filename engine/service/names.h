/* Names in requests: parameters, and which assets, accounts and executions they mean. */
#ifndef SERVICE_NAMES_H
#define SERVICE_NAMES_H

#include <stdbool.h>

#include "service/engine.h"

/* A parameter; NULL where it is not given. */
const char *param_text(const struct request *, const char *key);
/* Fails the request where it is not given. */
const char *param_need(struct request *, const char *key);
bool param_flag(const struct request *, const char *key);
/* A whole number above 0; `otherwise` where it is not given. False, and fails, for anything else.
 */
bool param_count(struct request *, const char *key, uint64_t otherwise, uint64_t *out);

/* One name of the policy, or NULL and the request fails with the nearest one. */
const struct task *need_task(struct request *, const char *name);
const struct task *need_active_task(struct request *, const char *name);
const struct asset *need_asset(struct request *, const char *name);
bool need_account(struct request *, const struct asset *, const char *account);

/* Words for what is not there: `there is no asset "web9"; did you mean "web1"?` */
void unknown_asset(const struct request *, const char *name, char *out, size_t size);
void unknown_account(const struct asset *, const char *account, char *out, size_t size);

/* True when a name, a glob or a node ("/prod": all at or below it) means the asset. */
bool asset_meant(const struct asset *, const char *pattern);
bool pattern_is_name(const char *pattern);

/* The assets that the parameter "assets" (an array of patterns; none = all) means, each once. */
struct asset_list {
	const struct asset **items;
	size_t count;
};
bool assets_meant(struct request *, struct asset_list *);
void asset_list_clear(struct asset_list *);

/* What the request's result is to be, of the execution that its parameter "execution" means. */
typedef json_t *(*execution_fn)(struct request *, const struct execution *, struct vault_txn *);
enum service_end execution_meant(struct request *, struct execution *, execution_fn);

#endif
