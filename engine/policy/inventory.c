#include <fcntl.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/csv.h"
#include "base/text.h"
#include "policy/loader.h"

#define LIST_SEPARATOR ';'
#define PORT_DIGITS    5

/* ── Columns ─────────────────────────────────────────────────────────────────────────────── */

struct csv {
	struct loader *loader;
	const char *file;
	const struct column *columns[CSV_FIELDS_MAX];
	size_t column_count;
	bool broken; /* the header has mistakes: rows would only repeat them */
};

/* A cell that is not empty. */
struct cell {
	struct csv *csv;
	struct asset_decl *decl;
	const char *text;
	size_t len;
};

struct column {
	const char *name;
	void (*read)(struct cell *);
};

static void cell_problem(const struct cell *cell, const char *column, const char *fault)
{
	statement_problem(cell->csv->loader->errors, cell->decl->statement, NULL, NULL,
	    "%s \"%.64s\" %s", column, cell->text, fault);
}

static struct arena *cell_arena(const struct cell *cell)
{
	return &cell->csv->loader->scratch;
}

/* The cell where `fault` accepts it; NULL and reported otherwise. */
static const char *cell_text(
    const struct cell *cell, const char *column, const char *(*fault)(const char *))
{
	const char *wrong = fault(cell->text);

	if (wrong) {
		cell_problem(cell, column, wrong);
		return NULL;
	}
	return cell->text;
}

static void read_address(struct cell *cell)
{
	cell->decl->address = cell_text(cell, "address", address_fault);
}

static void read_port(struct cell *cell)
{
	char *end;
	unsigned long port = strtoul(cell->text, &end, 10);

	if (strspn(cell->text, "0123456789") != cell->len || cell->len > PORT_DIGITS || port < 1 ||
	    port > 65535)
		cell_problem(cell, "port", "is not a whole number from 1 to 65535");
	else
		cell->decl->traits.port = (uint32_t)port;
}

static void read_platform(struct cell *cell)
{
	cell->decl->traits.platform = cell_text(cell, "platform", name_fault);
}

static void read_node(struct cell *cell)
{
	cell->decl->node = cell_text(cell, "node", node_fault);
}

static void read_admin(struct cell *cell)
{
	cell->decl->traits.admin = cell_text(cell, "admin", account_fault);
}

static void read_become(struct cell *cell)
{
	for (int become = BECOME_NONE; become <= BECOME_DOAS; become++)
		if (strcmp(cell->text, become_name((enum become)become)) == 0) {
			cell->decl->traits.become = become;
			return;
		}
	cell_problem(cell, "become", "is not \"none\", \"sudo\", \"su\" or \"doas\"");
}

/* Takes the next item off a list, without the spaces around it. NULL at the end. */
static const char *next_item(const struct cell *cell, size_t *at)
{
	const char *item = cell->text + *at;
	size_t len;

	if (*at >= cell->len)
		return NULL;
	len = strcspn(item, ";");
	*at += len + 1;
	for (; len > 0 && *item == ' '; len--)
		item++;
	while (len > 0 && item[len - 1] == ' ')
		len--;
	return arena_text(cell_arena(cell), item, len);
}

static size_t item_count(const struct cell *cell)
{
	size_t count = 1;

	for (size_t i = 0; i < cell->len; i++)
		count += cell->text[i] == LIST_SEPARATOR;
	return count;
}

static void item_problem(
    const struct cell *cell, const char *what, const char *item, const char *fault)
{
	statement_problem(cell->csv->loader->errors, cell->decl->statement, NULL, NULL,
	    "%s \"%.64s\" %s", what, item, fault);
}

static void read_accounts(struct cell *cell)
{
	struct names *names = &cell->decl->traits.accounts;
	const char *item;
	size_t at = 0;

	names->items = arena_alloc(cell_arena(cell), item_count(cell) * sizeof(names->items[0]));
	while ((item = next_item(cell, &at))) {
		const char *fault = account_fault(item);

		if (fault)
			item_problem(cell, "account", item, fault);
		else
			names->items[names->count++] = item;
	}
}

static void read_labels(struct cell *cell)
{
	struct labels *labels = &cell->decl->traits.labels;
	const char *item;
	size_t at = 0;

	if (item_count(cell) > LABELS_MAX) {
		cell_problem(cell, "labels", "are more than 256");
		return;
	}
	labels->items = arena_alloc(cell_arena(cell), item_count(cell) * sizeof(labels->items[0]));
	while ((item = next_item(cell, &at))) {
		struct label label;
		const char *fault = label_parse(cell_arena(cell), item, &label);

		if (!fault && label_known(labels, label.key))
			fault = "gives a label twice";
		if (fault)
			item_problem(cell, "label", item, fault);
		else
			labels->items[labels->count++] = label;
	}
}

static void read_gateway(struct cell *cell)
{
	cell->decl->traits.gateway = cell_text(cell, "gateway", name_fault);
}

/* The name is read before all others. */
static void read_name(struct cell *cell)
{
	(void)cell;
}

static const struct column columns[] = {
    {"name", read_name},
    {"address", read_address},
    {"port", read_port},
    {"platform", read_platform},
    {"node", read_node},
    {"admin", read_admin},
    {"become", read_become},
    {"accounts", read_accounts},
    {"labels", read_labels},
    {"gateway", read_gateway},
};

#define COLUMN_COUNT (sizeof(columns) / sizeof(columns[0]))

/* ── Rows ────────────────────────────────────────────────────────────────────────────────── */

static const struct column *column_find(const char *name)
{
	for (size_t i = 0; i < COLUMN_COUNT; i++)
		if (strcmp(columns[i].name, name) == 0)
			return &columns[i];
	return NULL;
}

static void unknown_column(struct csv *csv, size_t line, const char *name)
{
	const char *names[COLUMN_COUNT], *meant;
	char there[160] = "there are";
	size_t used = strlen(there);

	for (size_t i = 0; i < COLUMN_COUNT; i++) {
		names[i] = columns[i].name;
		used += (size_t)snprintf(there + used, sizeof(there) - used, "%s %s",
		    i == 0		   ? ""
		    : i + 1 < COLUMN_COUNT ? ","
					   : " and",
		    names[i]);
	}
	meant = text_nearest(name, names, COLUMN_COUNT);
	if (meant != NULL)
		problem_add(csv->loader->errors, csv->file, line,
		    "column \"%.64s\" is not known; did you mean \"%s\"?", name, meant);
	else
		problem_add(csv->loader->errors, csv->file, line,
		    "column \"%.64s\" is not known; %s", name, there);
}

/* There is one in a header without mistakes. */
static size_t name_column(const struct csv *csv)
{
	size_t i = 0;

	while (csv->columns[i] != &columns[0])
		i++;
	return i;
}

static bool has_column(const struct csv *csv, const struct column *column)
{
	for (size_t i = 0; i < csv->column_count; i++)
		if (csv->columns[i] == column)
			return true;
	return false;
}

static void read_header(struct csv *csv, size_t line, const struct csv_field *fields, size_t count)
{
	size_t before = csv->loader->errors->count + csv->loader->errors->more;

	for (size_t i = 0; i < count; i++) {
		const struct column *column = column_find(fields[i].text);

		if (!column)
			unknown_column(csv, line, fields[i].text);
		else if (has_column(csv, column))
			problem_add(csv->loader->errors, csv->file, line,
			    "column \"%s\" stands there twice", column->name);
		csv->columns[csv->column_count++] = column;
	}
	if (!has_column(csv, &columns[0]))
		problem_add(csv->loader->errors, csv->file, line,
		    "there is no column \"name\"; the first row names the columns");
	csv->broken = csv->loader->errors->count + csv->loader->errors->more > before;
}

static void declare_row(
    struct csv *csv, size_t line, const struct csv_field *fields, const char *name)
{
	const struct statement statement = {
	    .file = csv->file, .line = line, .kind = "asset", .name = name};
	struct asset_decl decl = {.traits = TRAITS_NONE, .name = name, .statement = &statement};

	arena_reset(&csv->loader->scratch);
	for (size_t i = 0; i < csv->column_count; i++)
		if (fields[i].len > 0)
			csv->columns[i]->read(
			    &(struct cell){csv, &decl, fields[i].text, fields[i].len});
	asset_declare(csv->loader, &decl);
}

static enum err read_row(
    void *arg, size_t line, const struct csv_field *fields, size_t count, struct error *error)
{
	struct csv *csv = arg;
	const char *name, *fault;

	if (csv->column_count == 0) {
		read_header(csv, line, fields, count);
		return ERR_OK;
	}
	if (csv->broken)
		return ERR_OK;
	if (count != csv->column_count) {
		problem_add(csv->loader->errors, csv->file, line,
		    "this row has %zu fields, the header has %zu", count, csv->column_count);
		return ERR_OK;
	}
	if (loader_full(csv->loader, 0))
		return error_set(error, ERR_LIMIT, "%s:%zu: %s", csv->file, line, LOADER_FULL);
	name = fields[name_column(csv)].text;
	fault = name_fault(name);
	if (fault)
		problem_add(csv->loader->errors, csv->file, line, "name \"%.64s\" %s", name, fault);
	else
		declare_row(csv, line, fields, name);
	return ERR_OK;
}

/* ── Files ───────────────────────────────────────────────────────────────────────────────── */

void inventory_csv(struct loader *loader, int fd, const char *file)
{
	struct csv csv = {
	    .loader = loader, .file = arena_text(&loader->policy->arena, file, strlen(file))};
	struct error error;

	if (csv_read(fd, csv.file, read_row, &csv, &error) != ERR_OK) {
		problem_add(loader->errors, NULL, 0, "%s", error.text);
		csv.broken = true;
	} else if (csv.column_count == 0) {
		problem_add(loader->errors, file, 0, "is empty; the first row names the columns");
	}
	loader->incomplete = loader->incomplete || csv.broken;
}

static int open_regular(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat status;

	if (fd >= 0 && (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))) {
		close(fd);
		return -1;
	}
	return fd;
}

static void read_file(struct loader *loader, const char *path, const char *file,
    void (*read)(struct loader *, int fd, const char *file))
{
	int fd = open_regular(path);

	if (fd < 0) {
		problem_add(loader->errors, file, 0, "cannot be read as a file");
		loader->incomplete = true;
		return;
	}
	digest_open_file(loader, file, fd);
	read(loader, fd, file);
	close(fd);
}

static void inventory_file(
    struct loader *loader, const struct statement *statement, const char *path, const char *file)
{
	if (text_glob("*.csv", file))
		read_file(loader, path, file, inventory_csv);
	else if (text_glob("*.json", file))
		read_file(loader, path, file, inventory_json);
	else if (text_glob("*.lua", file))
		include_inventory(loader, statement, path, file);
	else
		statement_problem(loader->errors, statement, NULL, NULL,
		    "%s is no inventory: its name ends in .csv, .json or .lua", file);
}

void inventory_read(struct loader *loader, const struct statement *statement, const char *pattern)
{
	if (!loader->brief && !pattern_each(loader, statement, pattern, inventory_file))
		loader->incomplete = true;
}
