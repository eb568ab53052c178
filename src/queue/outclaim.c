#include "queue/outqueue_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "queue/outledger.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

/*
 * A message in hand: its file is in queue/, durably, and it has no row yet.  The ID comes first: it
 * is the key of the tree.  In the tree until its row is committed.
 */
struct outclaim {
	char id[OUTID_SIZE];
	struct outqueue *queue; /* a reference */
	struct spool_claim *claim;
	bool answered;
	bool stuck;

	/* The answer. */
	struct state_job job;
	struct outlater later;
	struct outledger_new row;
	char *account, *sender, *reason;
	char **recipients;
	struct outtally tally;
};

static int
compare_ids(const void *a, const void *b)
{
	return strcmp(a, b);
}

static struct outclaim *
find_claim(const struct outqueue *q, const char *id)
{
	void *found = tfind(id, &q->claims, compare_ids);

	return found != NULL ? *(struct outclaim **)found : NULL;
}

bool
outclaim_has(const struct outqueue *q, const char *id)
{
	return find_claim(q, id) != NULL;
}

static void
claim_free(struct outclaim *c)
{
	for (size_t i = 0; c->recipients != NULL && c->recipients[i] != NULL; i++)
		free(c->recipients[i]);
	free(c->recipients);
	free(c->account);
	free(c->sender);
	free(c->reason);
	outtally_clear(&c->tally);
	spool_claim_free(&c->claim);
	outqueue_unref(&c->queue);
	free(c);
}

static void
set_stuck(struct outclaim *c, bool stuck)
{
	if (c->stuck && !stuck)
		c->queue->claims_stuck--;
	if (!c->stuck && stuck)
		c->queue->claims_stuck++;
	c->stuck = stuck;
}

static void
remove_claim(struct outclaim *c)
{
	set_stuck(c, false);
	tdelete(c->id, &c->queue->claims, compare_ids);
	c->queue->claim_count--;
}

void
outclaim_begin(struct outqueue *q, struct spool_claim *claim)
{
	struct outclaim *c = xcalloc(1, sizeof *c);

	memcpy(c->id, claim->id, sizeof c->id);
	c->queue = outqueue_ref(q);
	c->claim = claim;
	if (tsearch(c, &q->claims, compare_ids) == NULL)
		abort(); /* malloc(3) failed: as xalloc.h has it */
	q->claim_count++;
	/* Answered from inside the call, it is freed by a later turn at the earliest. */
	q->handler->claimed(
	    claim->id, claim->name, claim->size, &claim->request, &claim->why, q->arg);
	envelope_request_clear(&claim->request);
}

/* Those that wait for the owner's answer; the next start finds their files. */
void
outclaim_close(struct outqueue *q)
{
	while (q->claims != NULL) {
		struct outclaim *c = *(struct outclaim **)q->claims;

		remove_claim(c);
		if (!c->answered)
			claim_free(c);
	}
}

static bool
apply_insert(struct state *state, struct state_job *job)
{
	struct outclaim *c = OUTQUEUE_CONTAINER(job, struct outclaim, job);

	outtally_clear(&c->tally);
	return outledger_insert(state, &c->row, &c->tally, &job->why) &&
	       outledger_end_tally(state, &c->tally, &job->why);
}

/* A copy has to be revealed first, a rejected message goes to failed/. */
static void
go_on(struct outclaim *c)
{
	struct spool_claim *claim = c->claim;
	struct outqueue *q = c->queue;
	struct spool_end *end;

	if (c->reason == NULL && !claim->hidden) {
		q->handler->queued(c->account, c->id, q->arg);
		return;
	}
	end = spool_end_new(
	    c->reason != NULL ? SPOOL_END_FAIL : SPOOL_END_KEEP, claim->id, claim->name);
	end->account = xstrdup(c->account);
	end->reason = xstrdup(c->reason);
	end->inode = claim->inode;
	end->hidden = claim->hidden;
	end->source = claim->source;
	claim->source.name = NULL;
	outend_add(q, end);
}

static void insert_again(struct outlater *later);

static void
on_inserted(struct job *job)
{
	struct outclaim *c = OUTQUEUE_CONTAINER(job, struct outclaim, job.job);
	struct outqueue *q = c->queue;

	if (q->closed) {
		claim_free(c);
		return;
	}
	if (c->job.why.kind != FAIL_NONE) {
		if (!c->stuck)
			log_error("message=%s reason=not queued yet: %s", c->id, c->job.why.text);
		set_stuck(c, true);
		outqueue_try_later(q, &c->later, insert_again);
		outwatch_wake(q);
		outidle_check(q);
		return;
	}
	outqueue_ref(q);
	remove_claim(c);
	outqueue_take_tally(q, &c->tally);
	go_on(c);
	claim_free(c);
	if (!q->closed) {
		outstart_continue(q);
		outwatch_wake(q);
		outidle_check(q);
	}
	outqueue_unref(&q);
}

static void
insert(struct outclaim *c)
{
	c->job.step = "admit-commit";
	c->job.apply = apply_insert;
	store_submit_state(c->queue->store, &c->job, on_inserted);
}

static void
insert_again(struct outlater *later)
{
	struct outclaim *c = OUTQUEUE_CONTAINER(later, struct outclaim, later);

	if (c->queue->closed) {
		remove_claim(c);
		claim_free(c);
	} else {
		insert(c);
	}
}

static void
copy_recipients(struct outclaim *c, const char *const *recipients)
{
	size_t count = 0;

	while (recipients[count] != NULL)
		count++;
	c->recipients = xcalloc(count + 1, sizeof *c->recipients);
	for (size_t i = 0; i < count; i++)
		c->recipients[i] = xstrdup(recipients[i]);
}

static void
answer(struct outclaim *c, const char *account, const char *sender)
{
	c->answered = true;
	c->account = xstrdup(account);
	c->sender = xstrdup(sender);
	c->row.claim = c->claim;
	c->row.account = c->account;
	c->row.sender = c->sender;
	c->row.recipients = c->recipients;
	c->row.now = clock_wall();
	insert(c);
}

void
outqueue_admit(struct outqueue *q, const struct outqueue_admission *a)
{
	struct outclaim *c = find_claim(q, a->id);

	if (c == NULL || c->answered)
		return;
	copy_recipients(c, a->recipients);
	c->row.not_before = a->not_before;
	c->row.bounce = a->bounce;
	c->row.state = OUTLEDGER_QUEUED;
	answer(c, a->account, a->sender);
}

void
outqueue_reject(struct outqueue *q, const char *id, const char *reason)
{
	struct outclaim *c = find_claim(q, id);

	if (c == NULL || c->answered)
		return;
	c->reason = xstrdup(reason);
	c->row.reason = c->reason;
	c->row.state = OUTLEDGER_DECIDED;
	answer(c, "", "");
}
