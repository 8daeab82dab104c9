#include "service/loading.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/mem.h"

struct loading {
	struct service *service;
	loading_fn done;
	void *arg;
	pthread_t thread;
	struct load load; /* the thread's until it has ended */
	int wake_fd;
	struct event *wake;
};

static void *loading_run(void *arg)
{
	struct loading *loading = arg;
	uint64_t one = 1;

	load_run(&loading->load);
	while (write(loading->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	return NULL;
}

static void loading_free(struct loading *loading)
{
	if (loading->wake != NULL)
		event_free(loading->wake);
	if (loading->wake_fd >= 0)
		close(loading->wake_fd);
	load_clear(&loading->load);
	free(loading);
}

static void loading_on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct loading *loading = arg;
	loading_fn done = loading->done;
	struct error error = {.code = ERR_OK};
	void *done_arg = loading->arg;
	struct snapshot *snapshot;
	json_t *problems = NULL;

	(void)fd;
	(void)what;
	pthread_join(loading->thread, NULL);
	snapshot = load_take(loading->service, &loading->load, &problems, &error);
	loading_free(loading);
	done(done_arg, snapshot, problems, &error);
}

/* Signals are for the loop's thread. */
static int thread_start(struct loading *loading)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&loading->thread, NULL, loading_run, loading);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

struct loading *loading_start(
    struct service *service, loading_fn done, void *arg, struct error *error)
{
	struct loading *loading = xcalloc(1, sizeof(*loading));
	int rc = ENOMEM;

	loading->service = service;
	loading->done = done;
	loading->arg = arg;
	load_init(&loading->load, service->dir, NULL, 0);
	loading->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (loading->wake_fd >= 0)
		loading->wake = event_new(
		    loop_base(service->loop), loading->wake_fd, EV_READ, loading_on_wake, loading);
	if (loading->wake != NULL && event_add(loading->wake, NULL) == 0)
		rc = thread_start(loading);
	if (rc == 0)
		return loading;
	error_set(error, ERR_IO,
	    "the policy was not loaded anew, for want of a thread (%s): try again when the machine "
	    "has room",
	    strerror(rc));
	loading_free(loading);
	return NULL;
}

void loading_stop(struct loading *loading)
{
	if (loading == NULL)
		return;
	pthread_join(loading->thread, NULL);
	loading_free(loading);
}
