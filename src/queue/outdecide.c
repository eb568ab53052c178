#include "queue/outqueue_internal.h"

#include "base/log.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "queue/outerrand.h"
#include "queue/outledger.h"

#include <stdlib.h>
#include <string.h>

enum { ERRANDS_MAX = 2 };

/*
 * A decision on its way to the database.  Its message is lent until it is there, so that nobody who
 * got it is tried again meanwhile.
 */
struct decide {
	struct state_job job;
	struct outlater later;
	struct outqueue *queue; /* a reference */
	struct outmessage *message;
	struct outledger_decision decision;
	char *last_error, *reason;
	struct outerrand *errands[ERRANDS_MAX + 1];
	size_t errand_count;
	bool late;               /* failed before: the owner was told */
	outqueue_decided_cb *cb; /* NULL once it was called */
	void *arg;
	struct spool_end *end;
	struct outtally tally;
};

static void
drop_results(struct decide *d)
{
	outtally_clear(&d->tally);
	if (d->end != NULL)
		spool_end_free(&d->end);
}

static void
decide_free(struct decide *d)
{
	drop_results(d);
	for (size_t i = 0; i < d->errand_count; i++)
		outerrand_free(&d->errands[i]);
	outmessage_free(&d->message);
	outqueue_unref(&d->queue);
	free(d->last_error);
	free(d->reason);
	free(d);
}

static bool
apply_decide(struct state *state, struct state_job *job)
{
	struct decide *d = OUTQUEUE_CONTAINER(job, struct decide, job);

	drop_results(d);
	return outledger_decide(state, &d->decision, &d->end, &d->tally, &job->why) &&
	       outledger_end_tally(state, &d->tally, &job->why);
}

static void
answer(struct decide *d)
{
	outqueue_decided_cb *cb = d->cb;

	d->cb = NULL;
	if (cb != NULL)
		cb(&d->job.why, d->arg);
}

static void decide_again(struct outlater *later);

static void
go_on(struct decide *d)
{
	struct outqueue *q = d->queue;

	outlend_end(q, d->message->id);
	outqueue_take_tally(q, &d->tally);
	if (d->end != NULL)
		outend_add(q, d->end);
	d->end = NULL;
	for (size_t i = 0; i < d->errand_count; i++)
		outerrand_go(q, d->errands[i]->maildir);
	if (d->late)
		q->handler->freed(d->message->account, d->message->id, q->arg);
	answer(d);
}

static void
on_decided(struct job *job)
{
	struct decide *d = OUTQUEUE_CONTAINER(job, struct decide, job.job);

	if (d->queue->closed) {
		if (d->job.why.kind != FAIL_NONE)
			log_error("message=%s reason=its fate was not recorded: %s", d->message->id,
			    d->job.why.text);
		decide_free(d);
	} else if (d->job.why.kind != FAIL_NONE) {
		if (!d->late)
			log_error("message=%s reason=its fate is not recorded yet: %s",
			    d->message->id, d->job.why.text);
		d->late = true;
		outqueue_try_later(d->queue, &d->later, decide_again);
		answer(d);
	} else {
		go_on(d);
		decide_free(d);
	}
}

static void
submit(struct decide *d)
{
	d->job.step = "decide-commit";
	d->job.apply = apply_decide;
	store_submit_state(d->queue->store, &d->job, on_decided);
}

/* Closing or not: a fate that is known is worth another try. */
static void
decide_again(struct outlater *later)
{
	submit(OUTQUEUE_CONTAINER(later, struct decide, later));
}

static struct outerrand *
add_errand(struct decide *d, const char *maildir, unsigned mode)
{
	struct outerrand *e = xcalloc(1, sizeof *e);

	e->maildir = xstrdup(maildir != NULL ? maildir : "");
	e->mode = mode != 0 ? mode : 0600;
	d->errands[d->errand_count++] = e;
	return e;
}

static void
add_copy(struct decide *d, const struct outqueue_decision *wish)
{
	struct outerrand *e = add_errand(d, wish->sent_maildir, wish->maildir_mode);

	e->part = OUTERRAND_COPY;
	e->add_from = xstrdup(wish->sent_rewrite.from);
	e->header_from = xstrdup(wish->sent_rewrite.header_from);
	e->local_domain = xstrdup(wish->sent_rewrite.local_domain);
}

/* A report without a Maildir and without a recipient is nobody's. */
static bool
has_reader(const struct outqueue_decision *wish)
{
	return !str_empty(wish->report_maildir) || !str_empty(wish->report_recipient);
}

static void
add_report(struct decide *d, const struct outqueue_decision *wish)
{
	struct outerrand *e = add_errand(d, wish->report_maildir, wish->maildir_mode);

	e->part = wish->report_has_original ? OUTERRAND_ORIGINAL
		  : wish->report_has_header ? OUTERRAND_HEADER
					    : OUTERRAND_TEXT;
	e->text = xmalloc(wish->report_len + 1);
	memcpy(e->text, wish->report, wish->report_len);
	e->text[wish->report_len] = '\0';
	e->text_len = wish->report_len;
	e->text_end = xstrdup(wish->report_end);
	e->account = xstrdup(wish->report_account);
	e->recipient = xstrdup(wish->report_recipient);
}

void
outqueue_decide(struct outqueue *q, const struct outqueue_decision *wish,
    struct outmessage **message, outqueue_decided_cb *cb, void *arg)
{
	struct decide *d = xcalloc(1, sizeof *d);

	d->queue = outqueue_ref(q);
	d->message = *message;
	*message = NULL;
	d->cb = cb;
	d->arg = arg;
	d->last_error = xstrdup(wish->last_error);
	d->reason = xstrdup(wish->reason);
	if (!str_empty(wish->sent_maildir))
		add_copy(d, wish);
	if (wish->report != NULL && has_reader(wish))
		add_report(d, wish);
	d->decision = (struct outledger_decision){.message = d->message,
	    .next_attempt = wish->next_attempt,
	    .held = wish->held,
	    .last_error = d->last_error,
	    .reason = d->reason,
	    .errands = d->errands};
	submit(d);
}
