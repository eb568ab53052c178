#include "base/worker.h"

#include "base/xalloc.h"

#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sysexits.h>
#include <unistd.h>

/* Owned by whoever called worker_new().  Everything below the mutex is guarded by it. */
struct worker {
	worker_run_all *run_all;
	void *arg;
	pthread_t thread;
	struct event *finished_event;
	int finished_fd; /* eventfd: the thread has put jobs into finished */

	pthread_mutex_t mutex;
	pthread_cond_t work;
	struct job_list waiting;
	struct job_list finished;
	bool stopping;
};

static void
run_each(struct job_list *jobs, void *arg)
{
	struct job *job;

	(void)arg;
	TAILQ_FOREACH (job, jobs, link)
		job->run(job);
}

static void
hand_back(struct worker *w, struct job_list *jobs)
{
	uint64_t one = 1;
	bool wake;

	pthread_mutex_lock(&w->mutex);
	wake = TAILQ_EMPTY(&w->finished);
	TAILQ_CONCAT(&w->finished, jobs, link);
	pthread_mutex_unlock(&w->mutex);
	if (wake && write(w->finished_fd, &one, sizeof one) < 0)
		abort(); /* an eventfd of ours: only a bug closes it */
}

static void *
worker_main(void *arg)
{
	struct worker *w = arg;
	struct job_list jobs = TAILQ_HEAD_INITIALIZER(jobs);

	for (;;) {
		pthread_mutex_lock(&w->mutex);
		while (TAILQ_EMPTY(&w->waiting) && !w->stopping)
			pthread_cond_wait(&w->work, &w->mutex);
		TAILQ_CONCAT(&jobs, &w->waiting, link);
		pthread_mutex_unlock(&w->mutex);
		if (TAILQ_EMPTY(&jobs))
			return NULL;
		w->run_all(&jobs, w->arg);
		hand_back(w, &jobs);
	}
}

static void
deliver_finished(struct worker *w)
{
	struct job_list jobs = TAILQ_HEAD_INITIALIZER(jobs);
	struct job *job;

	pthread_mutex_lock(&w->mutex);
	TAILQ_CONCAT(&jobs, &w->finished, link);
	pthread_mutex_unlock(&w->mutex);
	while ((job = TAILQ_FIRST(&jobs)) != NULL) {
		TAILQ_REMOVE(&jobs, job, link);
		job->done(job);
	}
}

static void
finished_cb(evutil_socket_t fd, short what, void *arg)
{
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof count) < 0)
		return; /* EAGAIN: nothing new */
	deliver_finished(arg);
}

struct worker *
worker_new(struct event_base *base, const char *name, worker_run_all *run_all, void *arg)
{
	struct worker *w = xcalloc(1, sizeof *w);
	sigset_t all, before;

	w->run_all = run_all != NULL ? run_all : run_each;
	w->arg = arg;
	TAILQ_INIT(&w->waiting);
	TAILQ_INIT(&w->finished);
	pthread_mutex_init(&w->mutex, NULL);
	pthread_cond_init(&w->work, NULL);
	w->finished_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->finished_event = event_new(base, w->finished_fd, EV_READ | EV_PERSIST, finished_cb, w);
	if (w->finished_fd < 0 || w->finished_event == NULL)
		exit(EX_OSERR);
	event_add(w->finished_event, NULL);

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&w->thread, NULL, worker_main, w) != 0)
		exit(EX_OSERR);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_setname_np(w->thread, name);
	return w;
}

void
worker_submit(struct worker *w, struct job *job)
{
	pthread_mutex_lock(&w->mutex);
	TAILQ_INSERT_TAIL(&w->waiting, job, link);
	pthread_cond_signal(&w->work);
	pthread_mutex_unlock(&w->mutex);
}

void
worker_free(struct worker **worker)
{
	struct worker *w = *worker;

	*worker = NULL;
	if (w == NULL)
		return;
	pthread_mutex_lock(&w->mutex);
	w->stopping = true;
	pthread_cond_signal(&w->work);
	pthread_mutex_unlock(&w->mutex);
	pthread_join(w->thread, NULL);
	deliver_finished(w);
	event_free(w->finished_event);
	close(w->finished_fd);
	pthread_cond_destroy(&w->work);
	pthread_mutex_destroy(&w->mutex);
	free(w);
}
