/*
 * Many histories, in several processes: each takes every n-th seed, so that all below the least one
 * that is at work are done, and a campaign that was stopped goes on from there.
 */
#define _GNU_SOURCE /* sigaction, MAP_ANONYMOUS */

#include "history.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 200

/* What a process shares with its parent. */
struct worker {
	pid_t pid;
	_Atomic uint64_t next; /* seed: all of its own below are done */
	struct cover cover;
};

static volatile sig_atomic_t stopped;

static void on_stop(int signo)
{
	(void)signo;
	stopped = 1;
}

/* Of processes that were waited for. */
static double cpu_s(void)
{
	struct rusage usage;

	getrusage(RUSAGE_CHILDREN, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ── A process ── */

static void worker_run(const struct campaign *campaign, struct worker *worker, uint32_t number)
{
	struct beginning beginning = {.seed = campaign->seed + number, .task = campaign->task};

	grounds_make();
	while (!stopped && beginning.seed - campaign->seed < campaign->count) {
		(void)histories(&beginning, 1, &worker->cover);
		beginning.seed += campaign->jobs - 1;
		atomic_store(&worker->next, beginning.seed);
	}
	atomic_store(&worker->next, stopped ? beginning.seed : UINT64_MAX);
	grounds_clear();
}

static struct worker *workers_start(const struct campaign *campaign)
{
	struct worker *workers = mmap(NULL, campaign->jobs * sizeof(*workers),
	    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct sigaction action = {.sa_handler = on_stop};

	if (workers == MAP_FAILED)
		sim_die("out of memory");
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	for (uint32_t i = 0; i < campaign->jobs; i++) {
		atomic_store(&workers[i].next, campaign->seed + i);
		fflush(stdout);
		workers[i].pid = fork();
		if (workers[i].pid < 0)
			sim_die("no process can be started");
		if (workers[i].pid == 0) {
			worker_run(campaign, &workers[i], i);
			fflush(stdout);
			_exit(0);
		}
	}
	return workers;
}

/* ── The whole ── */

static uint64_t next_seed(const struct campaign *campaign, struct worker *workers)
{
	uint64_t next = campaign->seed + campaign->count;

	for (uint32_t i = 0; i < campaign->jobs; i++) {
		uint64_t its = atomic_load(&workers[i].next);

		if (its < next)
			next = its;
	}
	return next;
}

static uint64_t done_count(const struct campaign *campaign, const struct worker *workers)
{
	uint64_t done = 0;

	for (uint32_t i = 0; i < campaign->jobs; i++)
		done += workers[i].cover.histories;
	return done;
}

static void progress(const struct campaign *campaign, struct worker *workers, double began_s)
{
	uint64_t next = next_seed(campaign, workers);

	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r%llu of %llu, %.0f a second ",
		    (unsigned long long)(next - campaign->seed),
		    (unsigned long long)campaign->count,
		    (double)done_count(campaign, workers) / (now_s() - began_s));
}

/* True when all ended well. */
static bool workers_wait(const struct campaign *campaign, struct worker *workers, double began_s)
{
	uint32_t left = campaign->jobs;
	bool good = true;

	while (left > 0) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);

		if (pid > 0) {
			good = good && WIFEXITED(status) && WEXITSTATUS(status) == 0;
			left--;
			continue;
		}
		progress(campaign, workers, began_s);
		(void)poll(NULL, 0, LOOK_MS);
		for (uint32_t i = 0; stopped && i < campaign->jobs; i++)
			kill(workers[i].pid, SIGTERM);
	}
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r%40s\r", "");
	return good;
}

static void totals_print(const struct campaign *campaign, const struct cover *cover, double took_s)
{
	printf(
	    "\n%llu histories (of seeds %llu to %llu), %llu steps, %llu crashes, %llu violations\n"
	    "%.0f s in %u processes: %.0f histories a second, %.0f a second of CPU\n",
	    (unsigned long long)cover->histories, (unsigned long long)campaign->seed,
	    (unsigned long long)(campaign->seed + campaign->count - 1),
	    (unsigned long long)cover->steps, (unsigned long long)cover->crashes,
	    (unsigned long long)cover->violations, took_s, campaign->jobs,
	    (double)cover->histories / took_s, (double)cover->histories / cpu_s());
}

int campaign_run(const struct campaign *campaign)
{
	double began_s = now_s();
	struct worker *workers = workers_start(campaign);
	struct cover *cover = calloc(1, sizeof(*cover));
	bool good = workers_wait(campaign, workers, began_s);
	uint64_t next = next_seed(campaign, workers);
	int status;

	for (uint32_t i = 0; i < campaign->jobs; i++)
		cover_merge(cover, &workers[i].cover);
	cover_print(cover, stdout);
	totals_print(campaign, cover, now_s() - began_s);
	if (next < campaign->seed + campaign->count)
		printf("stopped: it goes on with --seed %llu --count %llu\n",
		    (unsigned long long)next,
		    (unsigned long long)(campaign->seed + campaign->count - next));
	status = good && cover->violations == 0 ? 0 : 1;
	munmap(workers, campaign->jobs * sizeof(*workers));
	free(cover);
	return status;
}

/* ── Bugs ── */

/* The first history that catches it, and by which check; false: none does. */
static bool bug_catch(enum sim_bug bug, const struct campaign *campaign)
{
	struct cover *cover = calloc(1, sizeof(*cover));
	struct beginning beginning = {.seed = campaign->seed, .task = sim_bug_task(bug)};
	struct ending ending = {.violation = NULL};

	sim_bug = bug;
	while (ending.violation == NULL && cover->histories < BUG_HISTORIES) {
		history(&beginning, cover, &ending);
		ending_clear(&ending);
		beginning.seed++;
	}
	sim_bug = BUG_NONE;
	printf("%3d  %-44s %-52s %6llu\n", (int)bug, sim_bug_name(bug),
	    ending.violation != NULL ? ending.violation : "NOT CAUGHT",
	    (unsigned long long)cover->histories);
	fflush(stdout);
	free(cover);
	return ending.violation != NULL;
}

int campaign_bugs(const struct campaign *campaign)
{
	bool good = true;

	printf("%3s  %-44s %-52s %6s\n", "", "bug", "caught by", "after");
	grounds_make();
	for (enum sim_bug bug = BUG_NONE + 1; bug < BUG_COUNT; bug++)
		good = bug_catch(bug, campaign) && good;
	grounds_clear();
	return good ? 0 : 1;
}
