/* Assets: what the policy and the vault say of them. */
#include "service/engine.h"

#include "service/names.h"
#include "service/shape.h"

enum service_end asset_list(struct request *request)
{
	struct asset_list list;
	struct vault_txn *txn;
	enum service_end end;

	if (!assets_meant(request, &list))
		return SERVICE_USAGE;
	end = engine_open(request, NEEDS_VAULT);
	if (end != SERVICE_OK)
		goto out;
	txn = request_read(request);
	if (txn == NULL) {
		end = SERVICE_NO_ENGINE;
		goto out;
	}
	request->result = json_array();
	for (size_t i = 0; i < list.count; i++)
		json_array_append_new(request->result, shape_asset(list.items[i], txn));
	vault_read_end(txn);
out:
	asset_list_clear(&list);
	return end;
}
