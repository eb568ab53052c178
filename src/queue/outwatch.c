#include "queue/outqueue_internal.h"

#include "base/clock.h"
#include "base/xalloc.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sysexits.h>

/*
 * Turns of the spool thread, one at a time: when inotify has something to read, when files have
 * settled, when the directory is due to be read again.  At most OUTQUEUE_CLAIMS_MAX messages are in
 * hand, so what is not claimed yet waits in the directory, and nowhere else.
 */
enum { LONGEST = 3600 * 1000 }; /* ms */

struct outwatch {
	struct job job;
	struct outqueue *queue;
	struct spool_look look;
	bool looking;
	bool wanted; /* another turn at once */
	bool looked; /* once, at least */
	struct event *inotify_event;
	struct event *timer;

	bool draining, rescan,
	    read_over; /* outqueue_drain(), and its reading has come to its end */
	bool troubled; /* it left something, for a fault's sake */
	void (*drained)(void *arg);
	void *drained_arg;
};

static void look(struct outqueue *q);

static void
look_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	look(arg);
}

void
outwatch_open(struct outqueue *q)
{
	struct outwatch *w = xcalloc(1, sizeof *w);

	q->watch = w;
	w->queue = q;
	w->wanted = true;
	w->timer = event_new(q->store->base, -1, 0, look_cb, q);
	if (w->timer == NULL)
		exit(EX_OSERR);
	if (q->spool->inotify < 0)
		return;
	w->inotify_event = event_new(q->store->base, q->spool->inotify, EV_READ, look_cb, q);
	if (w->inotify_event == NULL)
		exit(EX_OSERR);
}

static void
watch_free(struct outwatch *w)
{
	free(w->look.local_domain);
	free(w);
}

/* A turn that is still out frees it when it comes back. */
void
outwatch_close(struct outqueue *q)
{
	struct outwatch *w = q->watch;

	if (w->inotify_event != NULL)
		event_free(w->inotify_event);
	event_free(w->timer);
	w->inotify_event = w->timer = NULL;
	if (!w->looking)
		watch_free(w);
	q->watch = NULL;
}

/* Or nothing more can be claimed now: the start is not over, or as many are in hand as may be. */
static bool
is_read(const struct outqueue *q)
{
	return outstart_is_stuck(q) || q->claims_stuck >= OUTQUEUE_CLAIMS_MAX ||
	       (q->watch->read_over && !q->watch->wanted);
}

/* The rest is in the owner's hands, or on its way to the disk. */
static void
end_drain(struct outqueue *q)
{
	struct outwatch *w = q->watch;

	if (!w->draining || !is_read(q) || w->looking || q->claim_count > q->claims_stuck ||
	    !outend_is_idle(q))
		return;
	w->draining = false;
	w->drained(w->drained_arg);
}

static void
wait_for_more(struct outwatch *w)
{
	int64_t ms = w->look.due - clock_mono();
	struct timeval tv;

	if (w->look.more || w->wanted) {
		look(w->queue);
		return;
	}
	ms = ms < 1 ? 1 : ms < LONGEST ? ms : LONGEST;
	tv = (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	if (w->inotify_event != NULL)
		event_add(w->inotify_event, NULL);
	event_add(w->timer, &tv);
}

static void
on_looked(struct job *job)
{
	struct outwatch *w = (struct outwatch *)job;
	struct outqueue *q = w->queue;
	struct spool_claim *claim;

	while ((claim = TAILQ_FIRST(&w->look.claims)) != NULL) {
		TAILQ_REMOVE(&w->look.claims, claim, link);
		if (q->closed)
			spool_claim_free(&claim);
		else
			outclaim_begin(q, claim);
	}
	w->looking = false;
	w->looked = true;
	if (q->closed) {
		watch_free(w);
	} else {
		w->troubled = w->troubled || (w->look.impatient && w->look.is_troubled);
		w->read_over = w->read_over || (w->look.impatient && w->look.is_over);
		wait_for_more(w);
		end_drain(q);
	}
	outqueue_unref(&q);
}

static void
run_look(struct job *job)
{
	struct outwatch *w = (struct outwatch *)job;

	spool_watch_look(w->queue->spool, &w->look);
}

static void
look(struct outqueue *q)
{
	struct outwatch *w = q->watch;

	w->wanted = true;
	if (w->looking || q->start != NULL || q->claim_count >= OUTQUEUE_CLAIMS_MAX)
		return;
	w->wanted = false;
	w->looking = true;
	event_del(w->timer);
	if (w->inotify_event != NULL)
		event_del(w->inotify_event);
	free(w->look.local_domain);
	w->look.local_domain = xstrdup(q->local_domain);
	w->look.room = OUTQUEUE_CLAIMS_MAX - q->claim_count;
	w->look.impatient = w->draining && !w->read_over;
	w->look.rescan = w->rescan;
	w->rescan = false;
	outqueue_ref(q);
	outqueue_submit_spool(q, &w->job, run_look, on_looked);
}

bool
outqueue_is_watching(const struct outqueue *q)
{
	return q->watch->looked;
}

void
outwatch_wake(struct outqueue *q)
{
	if (q->closed)
		return;
	if (q->watch->wanted)
		look(q);
	end_drain(q);
}

bool
outwatch_is_troubled(const struct outqueue *q)
{
	return q->watch->troubled;
}

void
outqueue_drain(struct outqueue *q, void (*done)(void *arg), void *arg)
{
	struct outwatch *w = q->watch;

	w->draining = true;
	w->rescan = true;
	w->read_over = false;
	w->troubled = false;
	w->drained = done;
	w->drained_arg = arg;
	look(q);
}
