#include "queue/outqueue_internal.h"

#include "queue/outerrand.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sysexits.h>

/* Whether anything is on its way; what waits for the disk to be mended is not. */
static bool
is_idle(const struct outqueue *q)
{
	return (q->start == NULL || outstart_is_stuck(q)) && q->claim_count <= q->claims_stuck &&
	       outend_is_idle(q) && !outerrand_is_running(q);
}

bool
outqueue_is_busy(const struct outqueue *q)
{
	return !is_idle(q);
}

static void
idle_cb(evutil_socket_t fd, short what, void *arg)
{
	struct outqueue *q = arg;
	void (*done)(bool clean, void *arg) = q->idle;

	(void)fd;
	(void)what;
	if (done == NULL || !is_idle(q))
		return;
	q->idle = NULL;
	done(!outstart_is_stuck(q) && q->claims_stuck == 0 && q->stuck == 0 &&
		 !outerrand_is_troubled(q) && !outwatch_is_troubled(q),
	    q->idle_arg);
}

void
outidle_check(struct outqueue *q)
{
	if (q->idle != NULL && !q->closed && is_idle(q))
		event_active(q->idle_event, EV_TIMEOUT, 0);
}

void
outqueue_when_idle(struct outqueue *q, void (*done)(bool clean, void *arg), void *arg)
{
	q->idle = done;
	q->idle_arg = arg;
	outidle_check(q);
}

void
outidle_open(struct outqueue *q)
{
	q->idle_event = event_new(q->store->base, -1, 0, idle_cb, q);
	if (q->idle_event == NULL)
		exit(EX_OSERR);
}

void
outidle_close(struct outqueue *q)
{
	event_free(q->idle_event);
	q->idle_event = NULL;
}
