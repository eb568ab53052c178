#include "queue/outqueue_internal.h"

#include "base/log.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "queue/outledger.h"

#include <stdlib.h>
#include <string.h>

/*
 * Files that leave the queue, or are revealed: moved and flushed in the spool thread, then the rows
 * follow.  Many at a time, for the sake of the flush.
 */
enum { BATCH_MAX = 500 };

struct end_batch {
	struct job file_job;
	struct state_job state_job;
	struct outlater later;
	struct outqueue *queue; /* a reference */
	struct spool_end_list ends;
	struct outtally tally;
	struct verdict why;
	bool is_retry;
};

static void run_batch(struct end_batch *b);

static void
clear_ends(struct spool_end_list *ends)
{
	struct spool_end *end;

	while ((end = TAILQ_FIRST(ends)) != NULL) {
		TAILQ_REMOVE(ends, end, link);
		spool_end_free(&end);
	}
}

static void
batch_free_ends(struct end_batch *b)
{
	clear_ends(&b->ends);
	outtally_clear(&b->tally);
	b->queue->stuck -= b->is_retry;
	outqueue_unref(&b->queue);
	free(b);
}

static void
start_next(struct outqueue *q)
{
	struct end_batch *b;
	struct spool_end *end;

	if (q->ending || q->closed || TAILQ_EMPTY(&q->ends))
		return;
	b = xcalloc(1, sizeof *b);
	b->queue = outqueue_ref(q);
	TAILQ_INIT(&b->ends);
	for (size_t i = 0; i < BATCH_MAX && (end = TAILQ_FIRST(&q->ends)) != NULL; i++) {
		TAILQ_REMOVE(&q->ends, end, link);
		TAILQ_INSERT_TAIL(&b->ends, end, link);
	}
	q->ending = true;
	run_batch(b);
}

static void
run_again(struct outlater *later)
{
	struct end_batch *b = OUTQUEUE_CONTAINER(later, struct end_batch, later);

	if (b->queue->closed)
		batch_free_ends(b);
	else
		run_batch(b);
}

static void
tell(struct outqueue *q, const struct spool_end *end)
{
	const char *account = end->account != NULL ? end->account : "";

	if (end->kind == SPOOL_END_KEEP)
		q->handler->queued(account, end->id, q->arg);
	else if (end->kind == SPOOL_END_FAIL && end->failed_name[0] != '\0')
		q->handler->failed(account, end->id, end->failed_name, end->reason, q->arg);
	else if (end->kind == SPOOL_END_FAIL)
		log_warning("account=%s message=%s reason=it failed, but its file was taken away "
			    "by hand: %s",
		    account, end->id, end->reason);
}

/* Tells of those that are done and keeps the others. */
static void
tell_done(struct end_batch *b)
{
	struct spool_end *end, *next;

	TAILQ_FOREACH_SAFE (end, &b->ends, link, next) {
		if (!end->is_done)
			continue;
		TAILQ_REMOVE(&b->ends, end, link);
		if (!b->queue->closed)
			tell(b->queue, end);
		spool_end_free(&end);
	}
}

static void
finish_batch(struct end_batch *b)
{
	struct outqueue *q = outqueue_ref(b->queue);

	if (!b->is_retry)
		q->ending = false;
	if (b->why.kind == FAIL_NONE)
		tell_done(b);
	else if (!b->is_retry)
		log_error("spool: %s; tried again", b->why.text);
	if (TAILQ_EMPTY(&b->ends) || q->closed) {
		batch_free_ends(b);
	} else {
		q->stuck += !b->is_retry;
		b->is_retry = true;
		outqueue_try_later(q, &b->later, run_again);
	}
	if (!q->closed) {
		start_next(q);
		outstart_continue(q);
	}
	if (!q->closed)
		outwatch_wake(q);
	outidle_check(q);
	outqueue_unref(&q);
}

static void
on_recorded(struct job *job)
{
	struct end_batch *b = OUTQUEUE_CONTAINER(job, struct end_batch, state_job.job);

	b->why = b->state_job.why;
	if (b->why.kind == FAIL_NONE)
		outqueue_take_tally(b->queue, &b->tally);
	finish_batch(b);
}

static bool
apply_ends(struct state *state, struct state_job *job)
{
	struct end_batch *b = OUTQUEUE_CONTAINER(job, struct end_batch, state_job);
	const struct spool_end *end;

	outtally_clear(&b->tally);
	TAILQ_FOREACH (end, &b->ends, link)
		if (end->is_done && !outledger_end(state, end, &b->tally, &job->why))
			return false;
	return outledger_end_tally(state, &b->tally, &job->why);
}

static bool
has_done(const struct end_batch *b)
{
	const struct spool_end *end;

	TAILQ_FOREACH (end, &b->ends, link)
		if (end->is_done)
			return true;
	return false;
}

static void
on_run(struct job *job)
{
	struct end_batch *b = OUTQUEUE_CONTAINER(job, struct end_batch, file_job);

	if (b->queue->closed || !has_done(b)) {
		finish_batch(b);
		return;
	}
	if (b->why.kind != FAIL_NONE && !b->is_retry)
		log_error("spool: %s; tried again", b->why.text);
	b->state_job.step = "end-commit";
	b->state_job.apply = apply_ends;
	store_submit_state(b->queue->store, &b->state_job, on_recorded);
}

static void
run_ends(struct job *job)
{
	struct end_batch *b = OUTQUEUE_CONTAINER(job, struct end_batch, file_job);
	struct spool *spool = b->queue->spool;
	struct spool_end *end;

	TAILQ_FOREACH (end, &b->ends, link) {
		struct verdict why = VERDICT_OK;

		end->is_done = spool_end_run(spool, end, &why);
		if (!end->is_done && b->why.kind == FAIL_NONE)
			b->why = why;
	}
	if (spool_flush(spool, &b->why))
		return;
	TAILQ_FOREACH (end, &b->ends, link)
		end->is_done = false;
}

static void
run_batch(struct end_batch *b)
{
	b->why = (struct verdict)VERDICT_OK;
	outqueue_submit_spool(b->queue, &b->file_job, run_ends, on_run);
}

void
outend_add(struct outqueue *q, struct spool_end *end)
{
	TAILQ_INSERT_TAIL(&q->ends, end, link);
	start_next(q);
}

bool
outend_is_idle(const struct outqueue *q)
{
	return !q->ending && TAILQ_EMPTY(&q->ends);
}

void
outend_close(struct outqueue *q)
{
	clear_ends(&q->ends);
}
