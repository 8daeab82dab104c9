/* Assets: what the policy and the vault say of them. */
#include "service/engine.h"

#include <string.h>

#include "service/names.h"
#include "service/page.h"
#include "service/shape.h"

/* They are in order of name. */
static void list_assets(struct request *request, const struct asset_list *list,
    struct vault_txn *txn, struct page *page)
{
	size_t i = 0;

	while (i < list->count && strcmp(list->items[i]->name, page->after) <= 0)
		i++;
	for (; i < list->count; i++) {
		json_array_append_new(request->result, shape_asset(list->items[i], txn));
		if (page_take(page, true))
			continue;
		page_end(request, page, list->items[i]->name);
		return;
	}
}

enum service_end asset_list(struct request *request)
{
	struct asset_list list;
	struct vault_txn *txn;
	struct page page;
	enum service_end end;

	if (!page_read(request, UINT64_MAX, &page) || !assets_meant(request, &list))
		return SERVICE_USAGE;
	end = engine_open(request, NEEDS_VAULT);
	txn = end == SERVICE_OK ? request_read(request) : NULL;
	if (txn != NULL) {
		request->result = json_array();
		list_assets(request, &list, txn, &page);
		vault_read_end(txn);
	} else {
		end = SERVICE_NO_ENGINE;
	}
	asset_list_clear(&list);
	return end;
}
