#include "service/page.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "service/names.h"

/* "LEFT:AT", with the bytes of AT in hexadecimal: it stands in a header too. */
static bool read_after(struct page *page, const char *text)
{
	char *end;
	size_t len;

	page->left = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != ':')
		return false;
	text = end + 1;
	len = strlen(text) / 2;
	if (strlen(text) % 2 != 0 || len == 0 || len >= sizeof(page->after))
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned byte;

		if (sscanf(text + 2 * i, "%2x", &byte) != 1 || byte == 0)
			return false;
		page->after[i] = (char)byte;
	}
	page->after[len] = '\0';
	return true;
}

static bool page_refuse(struct request *request)
{
	request_fail(request, SERVICE_USAGE,
	    "the parameter \"after\" is not what an answer gave: take it from the page before");
	return false;
}

bool page_read(struct request *request, uint64_t otherwise, struct page *page)
{
	const char *after = param_text(request, "after");

	*page = (struct page){.rows = PAGE_ROWS};
	if (after == NULL)
		return param_count(request, "limit", otherwise, &page->left);
	return read_after(page, after) || page_refuse(request);
}

bool page_read_id(struct request *request, const char *text, struct id *id)
{
	struct id high;

	return (id_range(text, id, &high) && id_equal(id, &high)) || page_refuse(request);
}

bool page_take(struct page *page, bool listed)
{
	page->left -= listed && page->left > 0;
	page->rows -= page->rows > 0;
	return page->left > 0 && page->rows > 0;
}

void page_end(struct request *request, const struct page *page, const char *at)
{
	char hex[2 * PAGE_AT_SIZE] = "";

	if (page->rows > 0 || page->left == 0)
		return;
	for (size_t i = 0; at[i] != '\0' && 2 * i + 2 < sizeof(hex); i++)
		snprintf(hex + 2 * i, 3, "%02x", (unsigned char)at[i]);
	free(request->next);
	request->next = xasprintf("%" PRIu64 ":%s", page->left, hex);
}
