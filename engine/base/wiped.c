/* Memory from the system's heap that is wiped when it is freed. */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void *wiped_alloc(size_t size)
{
	return malloc(size);
}

void wiped_free(void *ptr)
{
	if (ptr != NULL)
		explicit_bzero(ptr, malloc_usable_size(ptr));
	free(ptr);
}

/* The system's would leave the old block as it was. */
void *wiped_realloc(void *ptr, size_t size)
{
	size_t had = ptr == NULL ? 0 : malloc_usable_size(ptr);
	void *other;

	if (size > 0 && size <= had)
		return ptr;
	other = malloc(size);
	if (other != NULL && ptr != NULL) {
		memcpy(other, ptr, had < size ? had : size);
		wiped_free(ptr);
	}
	return other;
}

void *wiped_zeroed(size_t count, size_t size)
{
	return calloc(count, size);
}

char *wiped_copy(const char *text)
{
	return strdup(text);
}
