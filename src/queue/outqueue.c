#include "queue/outqueue_internal.h"

#include "base/xalloc.h"
#include "queue/lease.h"
#include "queue/outerrand.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum { LATER_SECONDS = 15 };

/* While closing, something that comes back may be put there once more: it sees that it is over. */
static void
run_later(struct outqueue *q)
{
	struct outlater_list list = TAILQ_HEAD_INITIALIZER(list);
	struct outlater *later;

	TAILQ_CONCAT(&list, &q->later, link);
	while ((later = TAILQ_FIRST(&list)) != NULL) {
		TAILQ_REMOVE(&list, later, link);
		later->again(later);
	}
}

static void
later_cb(evutil_socket_t fd, short what, void *arg)
{
	struct outqueue *q = arg;
	struct timeval interval = {.tv_sec = LATER_SECONDS};

	(void)fd;
	(void)what;
	event_add(q->later_event, &interval);
	run_later(q);
	outerrand_tick(q);
}

static struct outqueue *
queue_new(const struct outqueue_settings *settings)
{
	struct outqueue *q = xcalloc(1, sizeof *q);

	q->store = settings->store;
	q->handler = settings->handler;
	q->arg = settings->arg;
	q->path = xstrdup(settings->spool);
	q->local_domain = xstrdup(settings->local_domain);
	q->refs = 1;
	TAILQ_INIT(&q->later);
	TAILQ_INIT(&q->early);
	TAILQ_INIT(&q->ends);
	TAILQ_INIT(&q->pumps);
	return q;
}

struct outqueue *
outqueue_open(const struct outqueue_settings *settings, struct verdict *why)
{
	struct spool *spool = spool_open(settings->spool, why);
	struct timeval interval = {.tv_sec = LATER_SECONDS};
	struct outqueue *q;

	if (spool == NULL)
		return NULL;
	lease_ignore_signal();
	q = queue_new(settings);
	q->spool = spool;
	q->spool_thread = worker_new(q->store->base, "spool", NULL, NULL);
	q->reader_thread = worker_new(q->store->base, "reader", NULL, NULL);
	q->later_event = event_new(q->store->base, -1, 0, later_cb, q);
	if (q->later_event == NULL)
		exit(EX_OSERR);
	event_add(q->later_event, &interval);
	outidle_open(q);
	outwatch_open(q);
	outcheck_open(q);
	outstart_open(q);
	return q;
}

struct outqueue *
outqueue_ref(struct outqueue *q)
{
	q->refs++;
	return q;
}

void
outqueue_unref(struct outqueue **queue)
{
	struct outqueue *q = *queue;

	*queue = NULL;
	if (--q->refs > 0)
		return;
	outtally_clear(&q->totals);
	free(q->path);
	free(q->local_domain);
	free(q);
}

static void
end_thread(struct worker **thread)
{
	struct worker *ending = *thread;

	*thread = NULL;
	worker_free(&ending);
}

void
outqueue_close(struct outqueue **queue)
{
	struct outqueue *q = *queue;

	*queue = NULL;
	if (q == NULL)
		return;
	q->closed = true;
	event_free(q->later_event);
	outidle_close(q);
	outwatch_close(q);
	outcheck_close(q);
	end_thread(&q->spool_thread);
	end_thread(&q->reader_thread);
	while (!TAILQ_EMPTY(&q->later))
		run_later(q);
	outclaim_close(q);
	outend_close(q);
	outlend_close(q);
	outerrand_close(q);
	outstart_close(q);
	spool_close(&q->spool); /* nothing closed goes on there */
	outqueue_unref(&q);
}

void
outqueue_set_local_domain(struct outqueue *q, const char *local_domain)
{
	free(q->local_domain);
	q->local_domain = xstrdup(local_domain);
}

static void
submit(struct worker *worker, struct job *job, void (*run)(struct job *job),
    void (*done)(struct job *job))
{
	job->run = run;
	job->done = done;
	if (worker != NULL) {
		worker_submit(worker, job);
		return;
	}
	run(job);
	done(job);
}

void
outqueue_submit_spool(struct outqueue *q, struct job *job, void (*run)(struct job *job),
    void (*done)(struct job *job))
{
	submit(q->spool_thread, job, run, done);
}

void
outqueue_submit_reader(struct outqueue *q, struct job *job, void (*run)(struct job *job),
    void (*done)(struct job *job))
{
	submit(q->reader_thread, job, run, done);
}

void
outqueue_try_later(
    struct outqueue *q, struct outlater *later, void (*again)(struct outlater *later))
{
	later->again = again;
	TAILQ_INSERT_TAIL(&q->later, later, link);
}

void
outqueue_take_tally(struct outqueue *q, struct outtally *changes)
{
	outtally_add(&q->totals, changes);
	outtally_clear(changes);
}

void
outqueue_totals(const struct outqueue *q, const char *account, struct outqueue_totals *totals)
{
	memset(totals, 0, sizeof *totals);
	for (size_t i = 0; i < q->totals.count; i++) {
		const struct outtally_line *line = &q->totals.lines[i];

		if (account != NULL && strcmp(account, line->account) != 0)
			continue;
		totals->messages += (uint64_t)line->messages;
		totals->octets += (uint64_t)line->octets;
		totals->deferred += (uint64_t)line->deferred;
		totals->held += (uint64_t)line->held;
		totals->failed += (uint64_t)line->failed;
		if (line->oldest != 0 && (totals->oldest == 0 || line->oldest < totals->oldest))
			totals->oldest = line->oldest;
	}
}

void
outqueue_each_account(
    const struct outqueue *q, void (*cb)(const char *account, void *arg), void *arg)
{
	for (size_t i = 0; i < q->totals.count; i++)
		cb(q->totals.lines[i].account, arg);
}
