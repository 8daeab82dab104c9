#include "wire/hasher.h"

#include <crypt.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include <event2/event.h>
#include <openssl/crypto.h>

#include "base/mem.h"

#define QUEUE_MAX 256

/* An asset chooses how dear its hash is: what would hold the thread for seconds is not computed. */
#define ROUNDS_MAX	1000000
#define BCRYPT_COST_MAX 14

/*
 * The thread owns nothing: it reads a job's secrets and writes its verdict between the two queues.
 * All is made and freed by the loop's thread.
 */
struct hash_job {
	TAILQ_ENTRY(hash_job) entry;
	struct hasher *hasher;
	struct secret *password, *hash;
	hasher_done_fn done; /* NULL: cancelled */
	void *arg;
	bool waiting; /* in `todo` still; under the lock */
	enum wire_verdict verdict;
};

TAILQ_HEAD(hash_jobs, hash_job);

struct hasher {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct hash_jobs todo, done; /* under the lock */
	bool ending;		     /* under the lock */
	size_t count;		     /* the loop's alone: jobs not yet freed */
	int wake_fd;
	struct event *wake;
	struct crypt_data *data; /* the thread's alone */
};

/* ── The thread ──────────────────────────────────────────────────────────────────────────── */

/* Where it stands among crypt(3)'s 64 digits; past them when it is none. */
static size_t digit(char c)
{
	static const char digits[] =
	    "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (size_t)(at - digits) : sizeof(digits);
}

/* "$y$jNR$": 2^(N+1) blocks of (R+1) * 128 bytes; up to the 32 MB of cost 8, no other parameters.
 */
static bool yescrypt_affordable(const char *params)
{
	size_t n = digit(params[0] == 'j' ? params[1] : '\0');

	return n <= digit('C') && digit(params[2]) <= digit('T') && params[3] == '$';
}

static bool rounds_affordable(const char *params)
{
	static const char word[] = "rounds=";

	if (strncmp(params, word, strlen(word)) != 0)
		return true;
	return strtoul(params + strlen(word), NULL, 10) <= ROUNDS_MAX;
}

static bool hash_affordable(const char *hash)
{
	static const struct {
		const char *prefix;
		bool (*affordable)(const char *params);
	} costly[] = {
	    {"$y$", yescrypt_affordable},
	    {"$gy$", yescrypt_affordable},
	    {"$5$", rounds_affordable},
	    {"$6$", rounds_affordable},
	};

	for (size_t i = 0; i < sizeof(costly) / sizeof(costly[0]); i++) {
		size_t len = strlen(costly[i].prefix);

		if (strncmp(hash, costly[i].prefix, len) == 0)
			return costly[i].affordable(hash + len);
	}
	if (strncmp(hash, "$2", 2) == 0)
		return strlen(hash) > 6 && strtoul(hash + 4, NULL, 10) <= BCRYPT_COST_MAX;
	/* MD5 has a fixed cost. The rest is rare, and may be as dear as it likes. */
	return strncmp(hash, "$1$", 3) == 0;
}

static bool has_nul(const struct secret *secret)
{
	return memchr(secret_data(secret), '\0', secret_len(secret)) != NULL;
}

static enum wire_verdict compare(struct crypt_data *data, const struct hash_job *job)
{
	const char *hash = secret_data(job->hash);
	enum wire_verdict verdict = VERDICT_UNKNOWN;
	const char *made;

	if (has_nul(job->password) || has_nul(job->hash) || !hash_affordable(hash))
		return VERDICT_UNKNOWN;
	made = crypt_r(secret_data(job->password), hash, data);
	/* A failure token begins with a star, as no hash does. */
	if (made != NULL && made[0] != '*') {
		bool same = strlen(made) == secret_len(job->hash) &&
			    CRYPTO_memcmp(made, hash, strlen(made)) == 0;

		verdict = same ? VERDICT_MATCH : VERDICT_MISMATCH;
	}
	OPENSSL_cleanse(data, sizeof(*data));
	return verdict;
}

/* The next job; NULL when the thread is to end. */
static struct hash_job *hasher_next(struct hasher *hasher)
{
	struct hash_job *job = NULL;

	pthread_mutex_lock(&hasher->lock);
	while (!hasher->ending && TAILQ_EMPTY(&hasher->todo))
		pthread_cond_wait(&hasher->more, &hasher->lock);
	if (!hasher->ending) {
		job = TAILQ_FIRST(&hasher->todo);
		TAILQ_REMOVE(&hasher->todo, job, entry);
		job->waiting = false;
	}
	pthread_mutex_unlock(&hasher->lock);
	return job;
}

static void *hasher_run(void *arg)
{
	struct hasher *hasher = arg;
	struct hash_job *job;
	uint64_t one = 1;

	while ((job = hasher_next(hasher)) != NULL) {
		job->verdict = compare(hasher->data, job);
		pthread_mutex_lock(&hasher->lock);
		TAILQ_INSERT_TAIL(&hasher->done, job, entry);
		pthread_mutex_unlock(&hasher->lock);
		while (write(hasher->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
			;
	}
	return NULL;
}

/* ── The loop ────────────────────────────────────────────────────────────────────────────── */

static void hash_job_free(struct hash_job *job)
{
	job->hasher->count--;
	secret_free(job->password);
	secret_free(job->hash);
	free(job);
}

static struct hash_job *hasher_take_done(struct hasher *hasher)
{
	struct hash_job *job;

	pthread_mutex_lock(&hasher->lock);
	job = TAILQ_FIRST(&hasher->done);
	if (job != NULL)
		TAILQ_REMOVE(&hasher->done, job, entry);
	pthread_mutex_unlock(&hasher->lock);
	return job;
}

static void hasher_on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct hasher *hasher = arg;
	struct hash_job *job;
	uint64_t count;

	(void)what;
	if (read((int)fd, &count, sizeof(count)) < 0)
		return;
	while ((job = hasher_take_done(hasher)) != NULL) {
		hasher_done_fn done = job->done;
		enum wire_verdict verdict = job->verdict;
		void *done_arg = job->arg;

		hash_job_free(job);
		if (done != NULL)
			done(done_arg, verdict);
	}
}

/* Signals are for the loop's thread. */
static int thread_start(struct hasher *hasher)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&hasher->thread, NULL, hasher_run, hasher);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

static void hasher_destroy(struct hasher *hasher)
{
	if (hasher->wake != NULL)
		event_free(hasher->wake);
	if (hasher->wake_fd >= 0)
		close(hasher->wake_fd);
	mem_free(hasher->data);
	pthread_cond_destroy(&hasher->more);
	pthread_mutex_destroy(&hasher->lock);
	free(hasher);
}

enum err hasher_new(struct hasher **out, struct event_base *base, struct error *error)
{
	struct hasher *hasher = xcalloc(1, sizeof(*hasher));
	int rc;

	*out = NULL;
	TAILQ_INIT(&hasher->todo);
	TAILQ_INIT(&hasher->done);
	pthread_mutex_init(&hasher->lock, NULL);
	pthread_cond_init(&hasher->more, NULL);
	hasher->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	hasher->data = mem_alloc(sizeof(*hasher->data));
	if (hasher->wake_fd >= 0)
		hasher->wake =
		    event_new(base, hasher->wake_fd, EV_READ | EV_PERSIST, hasher_on_wake, hasher);
	rc = hasher->wake == NULL || hasher->data == NULL ? ENOMEM : 0;
	if (rc == 0) {
		memset(hasher->data, 0, sizeof(*hasher->data));
		event_add(hasher->wake, NULL);
		rc = thread_start(hasher);
	}
	if (rc != 0) {
		hasher_destroy(hasher);
		return error_set(error, ERR_IO, "no thread for hashes: %s", strerror(rc));
	}
	*out = hasher; /* transferred */
	return ERR_OK;
}

static void jobs_free(struct hash_jobs *jobs)
{
	struct hash_job *job;

	while ((job = TAILQ_FIRST(jobs)) != NULL) {
		TAILQ_REMOVE(jobs, job, entry);
		hash_job_free(job);
	}
}

void hasher_free(struct hasher *hasher)
{
	if (hasher == NULL)
		return;
	pthread_mutex_lock(&hasher->lock);
	hasher->ending = true;
	pthread_cond_signal(&hasher->more);
	pthread_mutex_unlock(&hasher->lock);
	pthread_join(hasher->thread, NULL);
	jobs_free(&hasher->todo);
	jobs_free(&hasher->done);
	hasher_destroy(hasher);
}

struct hash_job *hasher_compare(struct hasher *hasher, const struct secret *password,
    const struct secret *hash, hasher_done_fn done, void *arg)
{
	struct hash_job *job;

	if (hasher->count >= QUEUE_MAX)
		return NULL;
	hasher->count++;
	job = xcalloc(1, sizeof(*job));
	job->hasher = hasher;
	job->password = secret_copy(password);
	job->hash = secret_copy(hash);
	job->done = done;
	job->arg = arg;
	job->waiting = true;
	if (job->password == NULL || job->hash == NULL) {
		hash_job_free(job);
		return NULL;
	}
	pthread_mutex_lock(&hasher->lock);
	TAILQ_INSERT_TAIL(&hasher->todo, job, entry);
	pthread_cond_signal(&hasher->more);
	pthread_mutex_unlock(&hasher->lock);
	return job;
}

void hash_job_cancel(struct hash_job *job)
{
	struct hasher *hasher = job->hasher;
	bool waiting;

	job->done = NULL;
	pthread_mutex_lock(&hasher->lock);
	waiting = job->waiting;
	if (waiting)
		TAILQ_REMOVE(&hasher->todo, job, entry);
	pthread_mutex_unlock(&hasher->lock);
	/* Else the thread has it: it is freed when it comes back. */
	if (waiting)
		hash_job_free(job);
}
