#ifndef POSTRIDER_TESTS_FAKE_DELIVERER_H
#define POSTRIDER_TESTS_FAKE_DELIVERER_H

#include "deliver/deliverer.h"
#include "queue/outqueue.h"

#include <event2/event.h>

/* A queue that answers in the next turn, unless it is told to wait, in place of the real one. */
struct outqueue {
	struct event_base *base;
	const struct outqueue_row *rows; /* in the order of their IDs */
	size_t count;
	struct outqueue_totals totals;
	const char *error; /* of what is asked next; NULL: it works */
	bool waits;        /* answers only by fake_queue_answer() */
	bool short_pages;  /* one message, whatever was asked for */

	/* What was asked of it. */
	char asked[300]; /* "hold ID" ... */
	size_t pages;
	size_t page_most; /* the largest page asked for */
	struct fake_answer *waiting;
};

/* A deliverer that does what the test says. */
struct deliverer {
	struct outqueue queue;
	struct deliverer_view *views;
	size_t count;
	struct deliverer_session_view *sessions;
	size_t session_count;
	bool watching;
	bool awaits_fate;

	char flushed[64]; /* "*" for all, "ID of ACCOUNT" */
	size_t flushes;
	char withdrawn[64]; /* the ID */
};

/* Answers what was kept waiting, which there must be. */
void fake_queue_answer(struct outqueue *queue);

#endif
