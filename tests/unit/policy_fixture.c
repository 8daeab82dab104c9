#define _GNU_SOURCE /* nftw */

#include "policy_fixture.h"

#include <dirent.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"

char *fixture_path(const char *name)
{
	const char *srcdir = getenv("srcdir");

	return xasprintf("%s/tests/fixtures/policy/%s", srcdir ? srcdir : ".", name);
}

static void copy_file(const char *from, const char *to)
{
	struct buf text;
	struct error error;

	buf_init(&text, 16 * 1024 * 1024);
	assert_int_equal(file_read(from, &text, &error), ERR_OK);
	assert_int_equal(file_write(to, buf_text(&text), text.len, 0600, 1, &error), ERR_OK);
	buf_clear(&text);
}

static void copy_entry(const char *from, const char *to)
{
	struct stat status;

	assert_int_equal(stat(from, &status), 0);
	if (S_ISDIR(status.st_mode))
		fixture_copy(from, to);
	else
		copy_file(from, to);
}

void fixture_copy(const char *from, const char *to)
{
	DIR *dir = opendir(from);
	const struct dirent *entry;

	assert_non_null(dir);
	mkdir(to, 0700);
	while ((entry = readdir(dir))) {
		char *source = xasprintf("%s/%s", from, entry->d_name);
		char *target = xasprintf("%s/%s", to, entry->d_name);

		if (entry->d_name[0] != '.')
			copy_entry(source, target);
		free(source);
		free(target);
	}
	closedir(dir);
}

void fixture_init(struct fixture *fixture, const char *name)
{
	char *from = fixture_path(name ? name : "");
	char *platforms = fixture_path("platforms");

	*fixture = (struct fixture){0};
	snprintf(fixture->root, sizeof(fixture->root), "/tmp/policy-test-XXXXXX");
	assert_non_null(mkdtemp(fixture->root));
	snprintf(fixture->dir, sizeof(fixture->dir), "%s/policy", fixture->root);
	snprintf(fixture->platforms, sizeof(fixture->platforms), "%s/platforms", fixture->root);
	assert_int_equal(mkdir(fixture->dir, 0700), 0);
	if (name)
		fixture_copy(from, fixture->dir);
	fixture_copy(platforms, fixture->platforms);
	free(from);
	free(platforms);
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

static void unload(struct fixture *fixture)
{
	policy_free(fixture->policy);
	fixture->policy = NULL;
	problems_clear(&fixture->errors);
	problems_clear(&fixture->warnings);
}

void fixture_clear(struct fixture *fixture)
{
	unload(fixture);
	nftw(fixture->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

void fixture_write(const struct fixture *fixture, const char *file, const char *text)
{
	char *path = xasprintf("%s/%s", fixture->dir, file);
	char *dir = xstrndup(path, (size_t)(strrchr(path, '/') - path));
	struct error error;

	mkdir(dir, 0700);
	assert_int_equal(file_write(path, text, strlen(text), 0600, 1, &error), ERR_OK);
	free(dir);
	free(path);
}

enum err fixture_load(struct fixture *fixture)
{
	const char *srcdir = getenv("srcdir");
	char *wordlists = xasprintf("%s/policies/wordlists", srcdir ? srcdir : ".");
	const struct policy_config config = {
	    .dir = fixture->dir, .platforms_dir = fixture->platforms, .wordlists_dir = wordlists};
	enum err err;

	unload(fixture);
	err = policy_load(&fixture->policy, &config, &fixture->errors, &fixture->warnings);
	free(wordlists);
	return err;
}

void fixture_load_good(struct fixture *fixture)
{
	char *text;

	if (fixture_load(fixture) == ERR_OK)
		return;
	text = problems_text(&fixture->errors);
	print_error("%s", text);
	free(text);
	fail();
}

char *problems_text(const struct problems *problems)
{
	char *text = xstrdup("");

	for (size_t i = 0; i < problems->count; i++) {
		char *longer = xasprintf("%s%s\n", text, problems->items[i].text);

		free(text);
		text = longer;
	}
	return text;
}

void fixture_check_bad(const char *name)
{
	struct fixture fixture;
	struct buf expected;
	struct error error;
	char *path, *came;

	fixture_init(&fixture, name);
	path = xasprintf("%s/expected", fixture.dir);
	buf_init(&expected, 1024 * 1024);
	assert_int_equal(file_read(path, &expected, &error), ERR_OK);
	assert_int_equal(fixture_load(&fixture), ERR_INVALID);
	assert_null(fixture.policy);
	came = problems_text(&fixture.errors);
	if (strcmp(came, buf_text(&expected)) != 0)
		print_error("in %s\n", name);
	assert_string_equal(came, buf_text(&expected));
	free(came);
	buf_clear(&expected);
	free(path);
	fixture_clear(&fixture);
}
