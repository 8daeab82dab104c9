/* Which files a policy was read from, and what stood in them. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "policy/loader.h"

static uint8_t *file_add(struct loader *loader, const char *file)
{
	struct policy_files *files = loader->config->files;

	if (files->count == files->room) {
		files->room = files->room * 2 + 32;
		files->items = xrealloc(files->items, files->room * sizeof(*files->items));
	}
	files->items[files->count].file = xstrdup(file);
	return files->items[files->count++].digest;
}

void digest_text_file(struct loader *loader, const char *file, const struct buf *text)
{
	if (loader->config->files != NULL)
		digest_of(text->len == 0 ? "" : (const char *)text->data, text->len,
		    file_add(loader, file));
}

void digest_open_file(struct loader *loader, const char *file, int fd)
{
	if (loader->config->files == NULL)
		return;
	if (digest_of_file(fd, file_add(loader, file)) != ERR_OK)
		problem_add(loader->errors, file, 0, "cannot be read to its end");
}

static int by_name(const void *left, const void *right)
{
	const struct policy_file *a = left, *b = right;
	int order = strcmp(a->file, b->file);

	return order != 0 ? order : memcmp(a->digest, b->digest, DIGEST_SIZE);
}

void digests_sort(struct loader *loader)
{
	struct policy_files *files = loader->config->files;

	if (files != NULL && files->count > 0)
		qsort(files->items, files->count, sizeof(*files->items), by_name);
}

void policy_files_clear(struct policy_files *files)
{
	for (size_t i = 0; i < files->count; i++)
		free(files->items[i].file);
	free(files->items);
	*files = (struct policy_files){.count = 0};
}
