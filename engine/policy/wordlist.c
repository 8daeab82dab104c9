#include "policy/wordlist.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

#define FILE_SIZE_MAX (4UL * 1024 * 1024)
#define SHIPPED_MAX   64
#define SUFFIX	      ".txt"

/* A word as it stands in its file. */
struct entry {
	const char *word;
	size_t line;
};

struct reading {
	struct loader *loader;
	const char *file;
	struct entry *entries;
	size_t count, room;
};

/* ── Lines ───────────────────────────────────────────────────────────────────────────────── */

/* What is wrong with a word, or NULL. */
static const char *word_fault(const char *word, size_t len)
{
	if (len > WORD_LEN_MAX)
		return "is longer than 64 characters";
	for (size_t i = 0; i < len; i++)
		if (word[i] <= ' ' || word[i] > '~')
			return "holds characters other than printable ASCII";
	return NULL;
}

/* "11111	abacus": lists for dice have numbers before their words. */
static size_t dice_len(const char *line, size_t len)
{
	size_t at = 0;

	while (at < len && isdigit((unsigned char)line[at]))
		at++;
	return at > 0 && at < len && (line[at] == '\t' || line[at] == ' ') ? at : 0;
}

static void read_line(struct reading *reading, const char *line, size_t len, size_t number)
{
	size_t skip = dice_len(line, len);
	char shown[80];
	const char *fault;

	while (skip < len && (line[skip] == ' ' || line[skip] == '\t'))
		skip++;
	while (len > skip && strchr(" \t\r", line[len - 1]))
		len--;
	if (len == skip || line[skip] == '#')
		return;
	fault = word_fault(line + skip, len - skip);
	if (fault) {
		problem_add(reading->loader->errors, reading->file, number, "word \"%s\" %s",
		    text_escape(shown, sizeof(shown), line + skip, len - skip), fault);
		return;
	}
	if (reading->count == reading->room) {
		reading->room = reading->room ? 2 * reading->room : 1024;
		reading->entries =
		    xrealloc(reading->entries, reading->room * sizeof(reading->entries[0]));
	}
	reading->entries[reading->count++] = (struct entry){
	    arena_text(&reading->loader->policy->arena, line + skip, len - skip), number};
}

static void read_lines(struct reading *reading, const char *text, size_t len)
{
	size_t number = 0;

	while (len > 0) {
		const char *end = memchr(text, '\n', len);
		size_t line = end ? (size_t)(end - text) : len;

		read_line(reading, text, line, ++number);
		line += end != NULL;
		text += line;
		len -= line;
	}
}

/* ── Lists ───────────────────────────────────────────────────────────────────────────────── */

static int entry_compare(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;
	int order = strcasecmp(a->word, b->word);

	return order ? order : (a->line > b->line) - (a->line < b->line);
}

/* A word that stands there twice would be drawn more often than others. */
static void check_doubles(const struct reading *reading)
{
	for (size_t i = 1; i < reading->count; i++) {
		const struct entry *first = &reading->entries[i - 1], *word = &reading->entries[i];

		if (strcasecmp(first->word, word->word) == 0)
			problem_add(reading->loader->errors, reading->file, word->line,
			    "word \"%s\" stands in line %zu already", word->word, first->line);
	}
}

static void fill(const struct reading *reading, struct wordlist *list)
{
	list->words = arena_alloc(
	    &reading->loader->policy->arena, (reading->count + 1) * sizeof(list->words[0]));
	for (size_t i = 0; i < reading->count; i++)
		list->words[i] = reading->entries[i].word;
	list->count = reading->count;
}

static void parse(
    struct loader *loader, struct wordlist *list, const char *file, const struct buf *text)
{
	struct reading reading = {.loader = loader, .file = file};
	size_t before = loader->errors->count + loader->errors->more;

	read_lines(&reading, (const char *)text->data, text->len);
	if (reading.count > 0)
		qsort(reading.entries, reading.count, sizeof(reading.entries[0]), entry_compare);
	check_doubles(&reading);
	if (reading.count < 2)
		problem_add(loader->errors, file, 0, "has fewer than two words; a word a line");
	if (loader->errors->count + loader->errors->more == before)
		fill(&reading, list);
	free(reading.entries);
}

static void read_file(
    struct loader *loader, struct wordlist *list, const char *path, const char *file)
{
	struct error error;
	struct buf text;

	buf_init(&text, FILE_SIZE_MAX);
	if (file_read(path, &text, &error) != ERR_OK)
		problem_add(loader->errors, file, 0, "%s", error.text);
	else
		parse(loader, list, file, &text);
	digest_text_file(loader, file, &text);
	buf_clear(&text);
}

/* ── Finding ─────────────────────────────────────────────────────────────────────────────── */

/* A name ends where its suffix begins; what is left over is not a list. */
static const char *shipped_nearest(struct loader *loader, const char *name)
{
	const char *names[SHIPPED_MAX];
	size_t count = 0;
	struct dirent *entry;
	DIR *dir = loader->config->wordlists_dir ? opendir(loader->config->wordlists_dir) : NULL;

	while (dir && count < SHIPPED_MAX && (entry = readdir(dir)))
		if (text_glob("*" SUFFIX, entry->d_name) && entry->d_name[0] != '.')
			names[count++] = arena_text(&loader->policy->arena, entry->d_name,
			    strlen(entry->d_name) - strlen(SUFFIX));
	if (dir)
		closedir(dir);
	return text_nearest(name, names, count);
}

static void read_shipped(struct loader *loader, const struct statement *statement,
    const struct field_path *field, struct wordlist *list)
{
	const char *dir = loader->config->wordlists_dir;
	char *path = xasprintf("%s/%s" SUFFIX, dir ? dir : "", list->name);
	char *file = xasprintf("wordlists/%s" SUFFIX, list->name);
	struct error error;
	enum err err = dir ? file_trusted(path, &error) : ERR_NOT_FOUND;

	if (err == ERR_OK)
		read_file(loader, list, path, file);
	else if (err == ERR_NOT_FOUND)
		statement_problem(loader->errors, statement, field,
		    shipped_nearest(loader, list->name),
		    "there is no word list \"%s\"; a list of your own is a file of the policy: "
		    "list = \"words/mine.txt\"",
		    list->name);
	else
		problem_add(loader->errors, file, 0, "%s", error.text);
	free(path);
	free(file);
}

static void read_own(struct loader *loader, const struct statement *statement,
    const struct field_path *field, struct wordlist *list)
{
	char *path = xasprintf("%s/%s", loader->dir, list->name);

	if (!path_stays_inside(list->name))
		statement_problem(loader->errors, statement, field, NULL,
		    "a word list is a file below the policy's directory, without \"..\" or a "
		    "leading \"/\"");
	else if (path_trusted(loader, statement, path, list->name))
		read_file(loader, list, path, list->name);
	free(path);
}

const struct wordlist *wordlist_get(struct loader *loader, const struct statement *statement,
    const struct field_path *field, const char *name)
{
	struct wordlist *list;

	STAILQ_FOREACH (list, &loader->wordlists, link)
		if (strcmp(list->name, name) == 0)
			return list->count > 0 ? list : NULL;
	list = arena_alloc(&loader->policy->arena, sizeof(*list));
	list->name = arena_text(&loader->policy->arena, name, strlen(name));
	STAILQ_INSERT_TAIL(&loader->wordlists, list, link);
	if (strchr(name, '/') || text_glob("*" SUFFIX, name))
		read_own(loader, statement, field, list);
	else
		read_shipped(loader, statement, field, list);
	return list->count > 0 ? list : NULL;
}
