#include "fake_deliverer.h"

#include "base/xalloc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What was asked and not yet answered. */
struct fake_answer {
	struct outqueue *queue;
	char after[32];
	size_t limit;
	outqueue_page_cb *page; /* or */
	outqueue_asked_cb *asked;
	void *arg;
	struct verdict why;
};

struct outqueue *
deliverer_queue(struct deliverer *deliverer)
{
	return &deliverer->queue;
}

bool
deliverer_flush(struct deliverer *deliverer, const char *account)
{
	bool found = account == NULL;

	for (size_t i = 0; i < deliverer->count && !found; i++)
		found = strcmp(deliverer->views[i].account, account) == 0;
	if (found) {
		snprintf(deliverer->flushed, sizeof deliverer->flushed, "%s",
		    account != NULL ? account : "*");
		deliverer->flushes++;
	}
	return found;
}

bool
deliverer_flush_message(struct deliverer *deliverer, const char *account, const char *id)
{
	for (size_t i = 0; i < deliverer->count; i++) {
		if (strcmp(deliverer->views[i].account, account) != 0)
			continue;
		snprintf(deliverer->flushed, sizeof deliverer->flushed, "%s of %s", id, account);
		deliverer->flushes++;
		return true;
	}
	return false;
}

void
deliverer_withdraw(struct deliverer *deliverer, const char *id)
{
	snprintf(deliverer->withdrawn, sizeof deliverer->withdrawn, "%s", id);
}

bool
deliverer_is_watching(const struct deliverer *deliverer)
{
	return deliverer->watching;
}

bool
deliverer_awaits_fate(const struct deliverer *deliverer)
{
	return deliverer->awaits_fate;
}

size_t
deliverer_count(const struct deliverer *deliverer)
{
	return deliverer->count;
}

void
deliverer_view(const struct deliverer *deliverer, size_t index, struct deliverer_view *view)
{
	*view = deliverer->views[index];
}

size_t
deliverer_session_count(const struct deliverer *deliverer)
{
	return deliverer->session_count;
}

void
deliverer_session_view(
    const struct deliverer *deliverer, size_t index, struct deliverer_session_view *view)
{
	*view = deliverer->sessions[index];
}

static void
answer_page(const struct fake_answer *a)
{
	const struct outqueue *q = a->queue;
	size_t first = 0, count;

	while (first < q->count && strcmp(q->rows[first].message->id, a->after) <= 0)
		first++;
	count = q->count - first < a->limit ? q->count - first : a->limit;
	if (count > 1 && q->short_pages)
		count = 1;
	if (a->why.kind != FAIL_NONE)
		count = 0;
	a->page(q->rows + first, count, &a->why, a->arg);
}

static void
answer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct fake_answer *a = arg;

	(void)fd;
	(void)what;
	if (a->page != NULL)
		answer_page(a);
	else
		a->asked(&a->why, a->arg);
	free(a);
}

void
fake_queue_answer(struct outqueue *queue)
{
	struct fake_answer *a = queue->waiting;

	queue->waiting = NULL;
	answer_cb(-1, 0, a);
}

static struct fake_answer *
answer_new(struct outqueue *queue, void *arg)
{
	struct fake_answer *a = xcalloc(1, sizeof *a);

	a->queue = queue;
	a->arg = arg;
	if (queue->error != NULL) {
		verdict_fail(&a->why, FAIL_LOCAL, "queue", "%s", queue->error);
		a->why.code = ENOENT;
	}
	queue->error = NULL;
	return a;
}

static void
answer_later(struct fake_answer *a)
{
	if (a->queue->waits)
		a->queue->waiting = a;
	else if (event_base_once(a->queue->base, -1, EV_TIMEOUT, answer_cb, a, NULL) < 0)
		abort();
}

void
outqueue_page(
    struct outqueue *queue, const char *after, size_t limit, outqueue_page_cb *cb, void *arg)
{
	struct fake_answer *a = answer_new(queue, arg);

	snprintf(a->after, sizeof a->after, "%s", after);
	a->limit = limit;
	a->page = cb;
	queue->pages++;
	queue->page_most = limit > queue->page_most ? limit : queue->page_most;
	answer_later(a);
}

static void
note(struct outqueue *queue, const char *verb, const char *word, outqueue_asked_cb *cb, void *arg)
{
	struct fake_answer *a = answer_new(queue, arg);

	snprintf(queue->asked, sizeof queue->asked, "%s %s", verb, word);
	a->asked = cb;
	answer_later(a);
}

void
outqueue_hold(struct outqueue *queue, const char *id, outqueue_asked_cb *cb, void *arg)
{
	note(queue, "hold", id, cb, arg);
}

void
outqueue_release(struct outqueue *queue, const char *id, outqueue_asked_cb *cb, void *arg)
{
	note(queue, "release", id, cb, arg);
}

void
outqueue_remove(struct outqueue *queue, const char *id, outqueue_asked_cb *cb, void *arg)
{
	note(queue, "remove", id, cb, arg);
}

void
outqueue_retry(struct outqueue *queue, const char *name, outqueue_asked_cb *cb, void *arg)
{
	note(queue, "retry", name, cb, arg);
}

void
outqueue_totals(const struct outqueue *queue, const char *account, struct outqueue_totals *totals)
{
	(void)account;
	*totals = queue->totals;
}
