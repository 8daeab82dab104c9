#include "service/patch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

#define CONTEXT	   3
#define PATCH_SIZE (16UL * 1024 * 1024)

struct lines {
	const char **at; /* where each begins, and where the last one ends */
	size_t count;
};

static struct lines lines_of(const char *text)
{
	struct lines lines = {.count = 0};
	size_t room = 0;

	for (;;) {
		if (lines.count + 1 >= room) {
			room = 2 * room + 16;
			lines.at = xrealloc(lines.at, room * sizeof(*lines.at));
		}
		lines.at[lines.count] = text;
		if (*text == '\0')
			return lines;
		lines.count++;
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
}

static bool line_is(const struct lines *a, size_t i, const struct lines *b, size_t k)
{
	size_t len = (size_t)(a->at[i + 1] - a->at[i]);

	return len == (size_t)(b->at[k + 1] - b->at[k]) && memcmp(a->at[i], b->at[k], len) == 0;
}

static void put_lines(struct buf *out, char mark, const struct lines *lines, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		size_t len = (size_t)(lines->at[i + 1] - lines->at[i]);

		buf_add(out, &mark, 1);
		buf_add(out, lines->at[i], len);
		if (lines->at[i][len - 1] != '\n')
			buf_add_text(out, "\n\\ No newline at end of file\n");
	}
}

/* An empty range begins at the line before it. */
static void put_range(struct buf *out, char mark, size_t from, size_t to)
{
	buf_addf(out, " %c%zu,%zu", mark, from + (to > from), to - from);
}

char *patch_of(const char *file, const char *was, const char *is)
{
	struct lines old = lines_of(was), new = lines_of(is);
	size_t same = 0, tail = 0, from, old_to, new_to, more;
	struct buf out;
	char *text;

	while (same < old.count && same < new.count &&line_is(&old, same, &new, same))
		same++;
	while (tail < old.count - same &&
	       tail < new.count -
			  same &&line_is(&old, old.count - tail - 1, &new, new.count - tail - 1))
		tail++;
	from = same > CONTEXT ? same - CONTEXT : 0;
	more = tail > CONTEXT ? CONTEXT : tail;
	old_to = old.count - tail;
	new_to = new.count - tail;
	buf_init(&out, PATCH_SIZE);
	buf_addf(&out, "--- a/%s\n+++ b/%s\n@@", file, file);
	put_range(&out, '-', from, old_to + more);
	put_range(&out, '+', from, new_to + more);
	buf_add_text(&out, " @@\n");
	put_lines(&out, ' ', &old, from, same);
	put_lines(&out, '-', &old, same, old_to);
	put_lines(&out, '+', &new, same, new_to);
	put_lines(&out, ' ', &old, old_to, old_to + more);
	text = xstrdup(buf_text(&out));
	buf_clear(&out);
	free(old.at);
	free(new.at);
	return text;
}
