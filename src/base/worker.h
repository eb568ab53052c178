#ifndef POSTRIDER_BASE_WORKER_H
#define POSTRIDER_BASE_WORKER_H

#include "base/queue.h"

struct event_base;

/*
 * A thread that does what may block, in order.  A job is embedded in what it works on; while it
 * is submitted the worker owns it, and hands it back whole through done(), in the loop's thread.
 */
struct job {
	void (*run)(struct job *job);  /* in the worker's thread */
	void (*done)(struct job *job); /* in the loop's thread, in order; may free the job */
	TAILQ_ENTRY(job) link;
};

TAILQ_HEAD(job_list, job);

/* Runs every job that was waiting, in one go: lets a worker share one flush among many jobs. */
typedef void worker_run_all(struct job_list *jobs, void *arg);

struct worker;

/*
 * Starts a thread with all signals blocked.  run_all may be NULL: then each job's run() is called.
 * The name (at most 15 octets, static) is shown by ps -L.
 */
struct worker *worker_new(
    struct event_base *base, const char *name, worker_run_all *run_all, void *arg);

/* Loop's thread only.  The job must stay valid until done() is called, which is never from here. */
void worker_submit(struct worker *worker, struct job *job);

/*
 * Lets the queue run empty, joins the thread, calls the done() still due (which must not submit to
 * this worker any more), and sets the pointer to NULL.
 */
void worker_free(struct worker **worker);

#endif
