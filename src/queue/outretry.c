#include "queue/outqueue_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "queue/outledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * A failed message on its way back: which row has this name, the file into queue/, the row queued
 * for those who failed.  Without a row, or with one of a message that was rejected, it is claimed
 * like any file dropped.  Once the file is in queue/ the rest is certain: a start finishes it.
 *
 * A file comes into failed/ before its row has that name.  Who retries what he sees there must not
 * be taken for one who put it there, or the message is sent to all its recipients again: so the row
 * is looked for behind whatever the spool thread has under way, whose rows follow in order.
 */
struct retry {
	struct state_job state_job;
	struct job file_job;
	struct outlater later;
	struct outqueue *queue; /* a reference */
	char *name;
	outqueue_asked_cb *cb; /* NULL once it was called */
	void *arg;

	struct outledger_row row;
	bool known;
	char id[OUTID_SIZE];
	char *base;
	char *local_domain;
	struct spool_claim *claim;
	struct outtally tally;
	struct verdict why;
};

static void
retry_free(struct retry *r)
{
	outledger_row_clear(&r->row);
	outtally_clear(&r->tally);
	spool_claim_free(&r->claim);
	outqueue_unref(&r->queue);
	free(r->local_domain);
	free(r->base);
	free(r->name);
	free(r);
}

static void
answer(struct retry *r, const struct verdict *why)
{
	outqueue_asked_cb *cb = r->cb;

	r->cb = NULL;
	if (cb != NULL)
		cb(why, r->arg);
}

static void
on_claimed(struct job *job)
{
	struct retry *r = OUTQUEUE_CONTAINER(job, struct retry, file_job);

	if (!r->queue->closed) {
		if (r->claim != NULL)
			outclaim_begin(r->queue, r->claim);
		r->claim = NULL;
		if (r->why.kind != FAIL_NONE)
			log_error("message=%s reason=claimed again with the next start: %s", r->id,
			    r->why.text);
		answer(r, &r->why);
	}
	retry_free(r);
}

static void
run_claim(struct job *job)
{
	struct retry *r = OUTQUEUE_CONTAINER(job, struct retry, file_job);
	char file[SPOOL_FILE_SIZE];

	r->claim = spool_claim_found(
	    r->queue->spool, spool_file(file, r->id, r->base), r->local_domain, &r->why);
	if (!spool_flush(r->queue->spool, &r->why))
		spool_claim_free(&r->claim);
}

static void
claim_anew(struct retry *r)
{
	r->local_domain = xstrdup(r->queue->local_domain);
	outqueue_submit_spool(r->queue, &r->file_job, run_claim, on_claimed);
}

static void requeue(struct retry *r);

static void
requeue_again(struct outlater *later)
{
	struct retry *r = OUTQUEUE_CONTAINER(later, struct retry, later);

	if (r->queue->closed)
		retry_free(r);
	else
		requeue(r);
}

static void
on_requeued(struct job *job)
{
	struct retry *r = OUTQUEUE_CONTAINER(job, struct retry, state_job.job);
	struct outqueue *q = r->queue;

	if (q->closed) {
		retry_free(r);
	} else if (r->state_job.why.kind != FAIL_NONE) {
		answer(r, &r->state_job.why);
		outqueue_try_later(q, &r->later, requeue_again);
	} else if (!r->known) {
		outqueue_take_tally(q, &r->tally);
		claim_anew(r);
	} else {
		outqueue_take_tally(q, &r->tally);
		q->handler->queued(r->row.account, r->id, q->arg);
		answer(r, &r->state_job.why);
		retry_free(r);
	}
}

static bool
apply_requeue(struct state *state, struct state_job *job)
{
	struct retry *r = OUTQUEUE_CONTAINER(job, struct retry, state_job);

	outtally_clear(&r->tally);
	return outledger_requeue(
		   state, r->row.row, clock_wall(), &r->known, &r->tally, &job->why) &&
	       outledger_end_tally(state, &r->tally, &job->why);
}

static void
requeue(struct retry *r)
{
	r->state_job.step = "retry-commit";
	r->state_job.apply = apply_requeue;
	store_submit_state(r->queue->store, &r->state_job, on_requeued);
}

static void
on_taken_back(struct job *job)
{
	struct retry *r = OUTQUEUE_CONTAINER(job, struct retry, file_job);

	if (r->queue->closed) {
		retry_free(r);
	} else if (r->why.kind != FAIL_NONE) {
		answer(r, &r->why);
		retry_free(r);
	} else if (r->row.row != 0) {
		requeue(r);
	} else {
		claim_anew(r);
	}
}

static void
run_take_back(struct job *job)
{
	struct retry *r = OUTQUEUE_CONTAINER(job, struct retry, file_job);
	struct spool *spool = r->queue->spool;

	if (spool_reopen_changed(spool, &r->why) &&
	    spool_end_take_back(spool, r->name, r->id, r->base, &r->why) &&
	    !spool_flush(spool, &r->why))
		spool_end_undo_take_back(spool, r->name, r->id, r->base);
}

static bool
is_reason(const char *name)
{
	static const char suffix[] = ".reason";
	size_t len = strlen(name);

	return len >= sizeof suffix && strcmp(name + len - (sizeof suffix - 1), suffix) == 0;
}

static bool
apply_find(struct state *state, struct state_job *job)
{
	struct retry *r = OUTQUEUE_CONTAINER(job, struct retry, state_job);

	outledger_row_clear(&r->row);
	if (!outledger_find_failed(state, r->name, &r->row, &job->why))
		return false;
	if (r->name[0] == '.' || r->name[0] == '\0' || strchr(r->name, '/') != NULL ||
	    (r->row.row == 0 && is_reason(r->name))) {
		verdict_fail(&job->why, FAIL_LOCAL, "queue",
		    "a name of a message in failed/ is wanted, not of anything else");
		job->why.code = ENOENT;
		return false;
	}
	return true;
}

static void
refuse(struct retry *r, const char *text)
{
	struct verdict *why = &r->state_job.why;

	verdict_fail(why, FAIL_LOCAL, "queue", "%s; try again", text);
	why->code = EBUSY;
	answer(r, why);
	retry_free(r);
}

static void
on_found(struct job *job)
{
	struct retry *r = OUTQUEUE_CONTAINER(job, struct retry, state_job.job);
	char cut[SPOOL_NAME_SIZE];

	if (r->queue->closed || r->state_job.why.kind != FAIL_NONE) {
		if (!r->queue->closed)
			answer(r, &r->state_job.why);
		retry_free(r);
		return;
	}
	if (r->row.row == 0 && r->queue->stuck > 0) {
		refuse(r, "what failed cannot be recorded now");
		return;
	}
	if (r->row.row != 0)
		memcpy(r->id, r->row.id, sizeof r->id);
	r->base = xstrdup(spool_cut_name(cut, r->row.row != 0 ? r->row.name : r->name));
	outqueue_submit_spool(r->queue, &r->file_job, run_take_back, on_taken_back);
}

static void
run_nothing(struct job *job)
{
	(void)job;
}

static void
find(struct job *job)
{
	struct retry *r = OUTQUEUE_CONTAINER(job, struct retry, file_job);

	if (r->queue->closed) {
		retry_free(r);
	} else if (r->queue->start != NULL) { /* it has its own eyes on queue/ */
		refuse(r, "the queue is just being read");
	} else {
		r->state_job.step = "retry-find-commit";
		r->state_job.apply = apply_find;
		store_submit_state(r->queue->store, &r->state_job, on_found);
	}
}

void
outqueue_retry(struct outqueue *q, const char *name, outqueue_asked_cb *cb, void *arg)
{
	struct retry *r = xcalloc(1, sizeof *r);

	r->queue = outqueue_ref(q);
	r->name = xstrdup(name);
	r->cb = cb;
	r->arg = arg;
	outqueue_submit_spool(q, &r->file_job, run_nothing, find);
}
