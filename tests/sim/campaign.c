/*
 * Many histories, in several processes. Each takes the next seed that none has, and ends what it
 * has in hand when it is told to stop: so all seeds below the next are done, and a campaign goes on
 * from there.
 */
#define _GNU_SOURCE /* sigaction, MAP_ANONYMOUS */

#include "history.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS	     200
#define PART	     ((uint64_t)10000) /* what is kept so often is all that a kill can cost */
#define CRASHED_MANY 1000

struct worker {
	pid_t pid;
	_Atomic uint64_t seed; /* in hand; 0 = none */
	struct cover cover;
};

/* What the processes of one part share. */
struct part {
	_Atomic uint64_t next;
	uint64_t end;
	const char *task;
	uint32_t jobs;
	double began_s;
	struct worker workers[];
};

static volatile sig_atomic_t stopped;

static void on_stop(int signo)
{
	(void)signo;
	stopped = 1;
}

/* ── Times ── */

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

/* Each stays on a processor of its own: what it unmaps no other has to be told of. */
static void worker_pin(uint32_t index)
{
	cpu_set_t all, one;
	int count, nth;

	if (sched_getaffinity(0, sizeof(all), &all) != 0)
		return;
	count = CPU_COUNT(&all);
	nth = (int)(index % (uint32_t)count);
	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &all) && nth-- == 0)
			CPU_SET(cpu, &one);
	(void)sched_setaffinity(0, sizeof(one), &one);
}

static void worker_run(struct part *part, struct worker *worker)
{
	struct beginning beginning = {.task = part->task};

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	grounds_make();
	while (!stopped) {
		uint64_t seed = atomic_fetch_add(&part->next, 1);

		if (seed >= part->end)
			break;
		atomic_store(&worker->seed, seed);
		beginning.seed = seed;
		(void)histories(&beginning, 1, &worker->cover);
	}
	atomic_store(&worker->seed, 0);
	grounds_clear();
}

static void worker_start(struct part *part, uint32_t index)
{
	struct worker *worker = &part->workers[index];
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		sim_die("no process can be started");
	if (pid == 0) {
		worker_pin(index);
		worker_run(part, worker);
		fflush(stdout);
		_exit(0);
	}
	worker->pid = pid;
}

/* ── A part ── */

static struct part *part_start(
    const struct campaign *campaign, const struct progress *progress, uint64_t count)
{
	struct part *part = mmap(NULL, sizeof(*part) + campaign->jobs * sizeof(struct worker),
	    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (part == MAP_FAILED)
		sim_die("out of memory");
	atomic_store(&part->next, progress->next);
	part->end = progress->next + count;
	part->task = campaign->task;
	part->jobs = campaign->jobs;
	part->began_s = now_s();
	for (uint32_t i = 0; i < part->jobs; i++)
		worker_start(part, i);
	return part;
}

static void part_tell(const struct part *part)
{
	uint64_t done = 0, next = atomic_load(&part->next);

	for (uint32_t i = 0; i < part->jobs; i++)
		done += part->workers[i].cover.histories;
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\rseed %llu, %.0f a second ",
		    (unsigned long long)(next < part->end ? next : part->end),
		    (double)done / (now_s() - part->began_s));
}

/* False where it did not end by itself: then its seed says what it died of. */
static bool worker_ended(struct worker *worker, int status)
{
	worker->pid = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	printf("\na process died in the history of --seed %llu\n",
	    (unsigned long long)atomic_load(&worker->seed));
	return false;
}

static struct worker *worker_of(struct part *part, pid_t pid)
{
	for (uint32_t i = 0; i < part->jobs; i++)
		if (part->workers[i].pid == pid)
			return &part->workers[i];
	sim_die("a process that nobody started has ended");
}

static void part_stop(const struct part *part)
{
	for (uint32_t i = 0; i < part->jobs; i++)
		if (part->workers[i].pid != 0)
			kill(part->workers[i].pid, SIGTERM);
}

/* True when all ended well. */
static bool part_wait(struct part *part)
{
	uint32_t left = part->jobs;
	bool good = true;

	while (left > 0) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);

		if (pid > 0) {
			good = worker_ended(worker_of(part, pid), status) && good;
			left--;
			continue;
		}
		part_tell(part);
		(void)poll(NULL, 0, LOOK_MS);
		if (stopped)
			part_stop(part);
	}
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r%40s\r", "");
	return good;
}

/* At most so many histories, added to what was done. */
static bool part_run(const struct campaign *campaign, struct progress *progress, uint64_t count)
{
	double cpu_before_s = cpu_s();
	struct part *part = part_start(campaign, progress, count);
	bool good = part_wait(part);
	uint64_t next = atomic_load(&part->next);

	for (uint32_t i = 0; i < part->jobs; i++)
		cover_merge(&progress->cover, &part->workers[i].cover);
	progress->next = next < part->end ? next : part->end;
	progress->took_s += now_s() - part->began_s;
	progress->cpu_s += cpu_s() - cpu_before_s;
	munmap(part, sizeof(*part) + campaign->jobs * sizeof(struct worker));
	return good;
}

/* ── The whole ── */

static void totals_print(const struct progress *progress)
{
	const struct cover *cover = &progress->cover;

	printf("\n%llu histories (seeds %llu to %llu), %llu steps, %llu crashes, %llu violations\n"
	       "%.0f s: %.0f histories a second, %.0f a second of CPU\n",
	    (unsigned long long)cover->histories, (unsigned long long)progress->first,
	    (unsigned long long)(progress->next - 1), (unsigned long long)cover->steps,
	    (unsigned long long)cover->crashes, (unsigned long long)cover->violations,
	    progress->took_s, (double)cover->histories / progress->took_s,
	    (double)cover->histories / progress->cpu_s);
}

static void left_print(const struct campaign *campaign, const struct progress *progress)
{
	unsigned long long left = campaign->count - (progress->next - campaign->seed);

	if (campaign->state != NULL)
		printf("stopped: it goes on with --state %s --count %llu\n", campaign->state, left);
	else
		printf("stopped: it goes on with --seed %llu --count %llu\n",
		    (unsigned long long)progress->next, left);
}

static void signals_take(void)
{
	struct sigaction action = {.sa_handler = on_stop};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

int campaign_run(struct campaign *campaign)
{
	struct progress *progress = calloc(1, sizeof(*progress));
	bool good = true;

	progress->first = progress->next = campaign->seed;
	if (campaign->state != NULL)
		state_load(campaign->state, progress);
	campaign->seed = progress->next;
	signals_take();
	while (good && !stopped && progress->next - campaign->seed < campaign->count) {
		uint64_t left = campaign->count - (progress->next - campaign->seed);

		good = part_run(campaign, progress, left < PART ? left : PART);
		if (good && campaign->state != NULL)
			state_save(campaign->state, progress);
	}
	cover_print(&progress->cover, stdout);
	cover_print_few(&progress->cover, CRASHED_MANY, stdout);
	totals_print(progress);
	if (progress->next - campaign->seed < campaign->count)
		left_print(campaign, progress);
	good = good && progress->cover.violations == 0;
	free(progress);
	return good ? 0 : 1;
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
	enum sim_bug first = sim_bug != BUG_NONE ? sim_bug : BUG_NONE + 1;
	bool good = true;

	printf("%3s  %-44s %-52s %6s\n", "", "bug", "caught by", "after");
	grounds_make();
	for (enum sim_bug bug = first; bug < BUG_COUNT; bug++)
		good = bug_catch(bug, campaign) && good;
	grounds_clear();
	return good ? 0 : 1;
}
