#include "service/hashing.h"

#include <crypt.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/mem.h"
#include "base/random.h"
#include "service/engine.h"

#define AT_WORK_MAX 1
#define JOBS_MAX    16
#define NICE	    10 /* who guesses from elsewhere takes no core that rotations need */
#define SALT_BYTES  32
#define METHOD	    "$y$" /* yescrypt, with the cost that libcrypt has by default: 16 MB */

/* The thread owns nothing: it reads the password and writes the hash, until it has ended. */
struct hashing_job {
	TAILQ_ENTRY(hashing_job) entry;
	struct hashing *hashing;
	struct secret *password;
	char setting[PASSWORD_HASH_SIZE], hash[PASSWORD_HASH_SIZE];
	struct crypt_data *data;
	hashing_fn done; /* NULL: cancelled */
	void *arg;
	pthread_t thread;
	bool at_work;
	int wake_fd;
	struct event *wake;
};

struct hashing {
	struct service *service;
	TAILQ_HEAD(, hashing_job) jobs; /* those at work first */
	size_t count, at_work;
};

bool hashing_setting(char out[PASSWORD_HASH_SIZE])
{
	char salt[SALT_BYTES];

	random_bytes(salt, sizeof(salt));
	return crypt_gensalt_rn(METHOD, 0, salt, sizeof(salt), out, PASSWORD_HASH_SIZE) != NULL;
}

bool hashing_same(const char *a, const char *b)
{
	return strlen(a) == strlen(b) && bytes_equal(a, b, strlen(a));
}

/* ── The thread ──────────────────────────────────────────────────────────────────────────── */

static void *job_run(void *arg)
{
	struct hashing_job *job = arg;
	uint64_t one = 1;
	const char *made;

	(void)setpriority(PRIO_PROCESS, 0, NICE); /* of this thread alone, on Linux */
	made = crypt_rn(secret_data(job->password), job->setting, job->data, sizeof(*job->data));
	/* A failure begins with a star, as no hash does. */
	if (made != NULL && made[0] != '*' && strlen(made) < sizeof(job->hash))
		memcpy(job->hash, made, strlen(made) + 1);
	while (write(job->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	return NULL;
}

/* Signals are for the loop's thread. */
static bool job_begin(struct hashing_job *job)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&job->thread, NULL, job_run, job);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	job->at_work = rc == 0;
	job->hashing->at_work += job->at_work;
	return job->at_work;
}

/* ── Jobs ────────────────────────────────────────────────────────────────────────────────── */

static void job_free(struct hashing_job *job)
{
	struct hashing *hashing = job->hashing;

	TAILQ_REMOVE(&hashing->jobs, job, entry);
	hashing->count--;
	hashing->at_work -= job->at_work;
	if (job->wake != NULL)
		event_free(job->wake);
	if (job->wake_fd >= 0)
		close(job->wake_fd);
	secret_free(job->password);
	mem_free(job->data);
	explicit_bzero(job, sizeof(*job));
	free(job);
}

static void job_end(struct hashing_job *job)
{
	char hash[PASSWORD_HASH_SIZE];
	hashing_fn done = job->done;
	void *arg = job->arg;

	memcpy(hash, job->hash, sizeof(hash));
	job_free(job);
	if (done != NULL)
		done(arg, hash[0] == '\0' ? NULL : hash);
	explicit_bzero(hash, sizeof(hash));
}

static void begin_more(struct hashing *hashing)
{
	struct hashing_job *job = TAILQ_FIRST(&hashing->jobs), *next;

	for (; job != NULL && hashing->at_work < AT_WORK_MAX; job = next) {
		next = TAILQ_NEXT(job, entry);
		if (job->at_work || job_begin(job))
			continue;
		if (hashing->at_work == 0) /* else it is tried again after those */
			event_active(job->wake, EV_READ, 0);
		return;
	}
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct hashing_job *job = arg;
	struct hashing *hashing = job->hashing;

	(void)fd;
	(void)what;
	if (job->at_work)
		pthread_join(job->thread, NULL);
	job_end(job);
	begin_more(hashing);
}

static struct hashing *hashing_of(struct service *service)
{
	if (service->hashing != NULL)
		return service->hashing;
	service->hashing = xcalloc(1, sizeof(*service->hashing));
	service->hashing->service = service;
	TAILQ_INIT(&service->hashing->jobs);
	return service->hashing;
}

static bool job_fill(struct hashing_job *job, const struct secret *password, const char *setting)
{
	struct event_base *base = loop_base(job->hashing->service->loop);

	snprintf(job->setting, sizeof(job->setting), "%s", setting);
	job->password = secret_copy(password);
	job->data = mem_alloc(sizeof(*job->data));
	job->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (job->password == NULL || job->data == NULL || job->wake_fd < 0)
		return false;
	memset(job->data, 0, sizeof(*job->data));
	job->wake = event_new(base, job->wake_fd, EV_READ, on_wake, job);
	return job->wake != NULL && event_add(job->wake, NULL) == 0;
}

struct hashing_job *hashing_start(struct service *service, const struct secret *password,
    const char *setting, hashing_fn done, void *arg)
{
	struct hashing *hashing = hashing_of(service);
	struct hashing_job *job;

	if (hashing->count >= JOBS_MAX || strlen(setting) >= PASSWORD_HASH_SIZE)
		return NULL;
	job = xcalloc(1, sizeof(*job));
	job->hashing = hashing;
	job->done = done;
	job->arg = arg;
	TAILQ_INSERT_TAIL(&hashing->jobs, job, entry);
	hashing->count++;
	if (!job_fill(job, password, setting)) {
		job_free(job);
		return NULL;
	}
	begin_more(hashing);
	return job;
}

void hashing_cancel(struct hashing_job *job)
{
	if (job != NULL)
		job->done = NULL;
}

void hashing_free(struct hashing *hashing)
{
	struct hashing_job *job;

	if (hashing == NULL)
		return;
	while ((job = TAILQ_FIRST(&hashing->jobs)) != NULL) {
		if (job->at_work)
			pthread_join(job->thread, NULL);
		job_free(job);
	}
	free(hashing);
}
