/*
 * The simulator by hand and in campaigns; tools/sim builds and runs it.
 *
 *   sim [--seed N] [--count N] [--jobs N] [--task T]   histories of these seeds
 *       [--state FILE]                                 that many more than FILE says are done
 *   sim --seed N [--only N,…] [--trace]                one history, told step by step
 *   sim --bugs [--bug N]                               each deliberate bug (from that one on):
 *                                                      which check, how soon
 *
 * For one history also --crash-in N (at the n-th point of its first run) and --bug N.
 */
#include "history.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"

#define HEAP_SIZE ((size_t)1 << 20)
#define ONLY_MAX  1024

struct options {
	struct campaign campaign;
	struct beginning beginning;
	size_t only[ONLY_MAX]; /* numbers of events, from 1 */
	size_t only_count;
	bool has_only, bugs;
};

static _Noreturn void usage(void)
{
	fprintf(stderr, "usage: sim [--seed N] [--count N] [--jobs N] [--task T] [--state FILE] "
			"[--only N,…] [--trace] [--bugs] [--bug N] [--crash-in N]\n");
	exit(2);
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t value = strtoull(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0')
		usage();
	return value;
}

static void options_only(struct options *options, const char *text)
{
	options->has_only = true;
	while (*text != '\0') {
		char *end;
		size_t value = strtoull(text, &end, 10);

		if (end == text || (*end != '\0' && *end != ',') || options->only_count == ONLY_MAX)
			usage();
		if (value > 0) /* 0: none */
			options->only[options->only_count++] = value;
		text = *end == ',' ? end + 1 : end;
	}
}

/* With a value; false when there is no such option. */
static bool options_value(struct options *options, const char *name, const char *value)
{
	if (strcmp(name, "--seed") == 0)
		options->campaign.seed = number(value);
	else if (strcmp(name, "--count") == 0)
		options->campaign.count = number(value);
	else if (strcmp(name, "--jobs") == 0)
		options->campaign.jobs = (uint32_t)number(value);
	else if (strcmp(name, "--state") == 0)
		options->campaign.state = value;
	else if (strcmp(name, "--task") == 0)
		options->campaign.task = value;
	else if (strcmp(name, "--only") == 0)
		options_only(options, value);
	else if (strcmp(name, "--bug") == 0)
		sim_bug = (enum sim_bug)(number(value) % BUG_COUNT);
	else if (strcmp(name, "--crash-in") == 0)
		options->beginning.crash_in = (uint32_t)number(value);
	else
		return false;
	return true;
}

static void options_read(struct options *options, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--trace") == 0)
			options->beginning.trace = true;
		else if (strcmp(argv[i], "--bugs") == 0)
			options->bugs = true;
		else if (i + 1 == argc || !options_value(options, argv[i], argv[i + 1]))
			usage();
		else
			i++;
	}
	if (options->campaign.count == 0 || options->campaign.jobs == 0)
		usage();
	if (options->campaign.jobs > options->campaign.count)
		options->campaign.jobs = (uint32_t)options->campaign.count;
	options->beginning.seed = options->campaign.seed;
	options->beginning.task = options->campaign.task;
}

/* Numbers are of the events that the seed alone makes happen. */
static uint64_t *keys_of(const struct options *options, struct cover *cover)
{
	struct beginning beginning = options->beginning;
	uint64_t *keys = calloc(options->only_count + 1, sizeof(*keys));
	struct ending whole;

	beginning.trace = false;
	history(&beginning, cover, &whole);
	for (size_t i = 0; i < options->only_count; i++) {
		if (options->only[i] > whole.event_count)
			sim_die("this history has %zu events", whole.event_count);
		keys[i] = whole.events[options->only[i] - 1].key;
	}
	ending_clear(&whole);
	return keys;
}

/* One, as it is. */
static int replay(struct options *options)
{
	struct cover *cover = calloc(1, sizeof(*cover));
	uint64_t *keys = NULL;
	struct ending ending;
	int status;

	grounds_make();
	if (options->has_only)
		keys = keys_of(options, cover);
	options->beginning.only = keys;
	options->beginning.only_count = options->only_count;
	history(&options->beginning, cover, &ending);
	if (ending.violation != NULL)
		printf("%s: %s\n", ending.violation, ending.detail);
	status = ending.violation != NULL ? 1 : 0;
	ending_clear(&ending);
	grounds_clear();
	free(keys);
	free(cover);
	return status;
}

int main(int argc, char **argv)
{
	static struct options options = {.campaign = {.seed = 1, .count = 1}};
	struct error error;
	bool locked;

	options.campaign.jobs = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
	options_read(&options, argc, argv);
	if (secret_heap_init(HEAP_SIZE, &locked, &error) != ERR_OK)
		sim_die("%s", error.text);
	grounds_load();
	if (options.bugs)
		return campaign_bugs(&options.campaign);
	if (options.has_only || options.beginning.trace || options.beginning.crash_in != 0)
		return replay(&options);
	return campaign_run(&options.campaign);
}
