#include "queue/outqueue_internal.h"

#include "base/clock.h"
#include "base/xalloc.h"
#include "queue/outledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What people ask for about one message of the queue, and the listing of all. */
enum ask_kind { ASK_HOLD, ASK_RELEASE, ASK_REMOVE };

struct ask {
	struct state_job job;
	struct outqueue *queue; /* a reference */
	enum ask_kind kind;
	char *id;
	outqueue_asked_cb *cb;
	void *arg;
	bool lends; /* nobody is lent it meanwhile */
	char *account;
	struct spool_end *end;
	struct outtally tally;
};

static bool
refuse(struct verdict *why, int code, const char *id, const char *text)
{
	verdict_fail(why, FAIL_LOCAL, "queue", "message %s %s", id, text);
	why->code = code;
	return false;
}

static void
ask_free(struct ask *a)
{
	if (a->end != NULL)
		spool_end_free(&a->end);
	outtally_clear(&a->tally);
	if (a->lends)
		outlend_end(a->queue, a->id);
	outqueue_unref(&a->queue);
	free(a->account);
	free(a->id);
	free(a);
}

static void
on_asked(struct job *job)
{
	struct ask *a = (struct ask *)job;
	struct outqueue *q = a->queue;

	if (q->closed) {
		a->lends = false;
		ask_free(a);
		return;
	}
	if (a->job.why.kind == FAIL_NONE) {
		outqueue_take_tally(q, &a->tally);
		if (a->end != NULL)
			outend_add(q, a->end);
		a->end = NULL;
		if (a->kind == ASK_RELEASE)
			q->handler->freed(a->account, a->id, q->arg);
	}
	a->cb(&a->job.why, a->arg);
	ask_free(a);
}

/* What leaves by itself is let go; what only waits for a copy or a report may be removed. */
static bool
remove_row(struct state *state, struct ask *a, const struct outledger_row *row)
{
	struct verdict *why = &a->job.why;
	struct spool_end *leaving = NULL;

	if (row->hidden || !outledger_get_end(state, row->row, &leaving, why))
		return row->hidden ? refuse(why, EBUSY, a->id, "is just being queued; try again")
				   : false;
	if (leaving != NULL) {
		spool_end_free(&leaving);
		return refuse(why, EBUSY, a->id, "is just leaving the queue");
	}
	if (!outledger_set_removing(state, row->row, &a->tally, why))
		return false;
	a->end = spool_end_new(SPOOL_END_REMOVE, row->id, row->name);
	a->end->account = xstrdup(row->account);
	if (row->failed_name != NULL)
		strncpy(a->end->failed_name, row->failed_name, SPOOL_FILE_SIZE - 1);
	return true;
}

static bool
apply_to_row(struct state *state, struct ask *a, const struct outledger_row *row)
{
	struct verdict *why = &a->job.why;

	if (row->row == 0 || row->is_missing || row->state == OUTLEDGER_REMOVING)
		return refuse(why, ENOENT, a->id, "is not in the queue");
	if (a->kind == ASK_REMOVE)
		return remove_row(state, a, row);
	if (row->state == OUTLEDGER_FAILED)
		return refuse(
		    why, EINVAL, a->id, "has failed; `postriderctl retry NAME` sends it again");
	if (row->state != OUTLEDGER_QUEUED)
		return refuse(why, EBUSY, a->id, "is just leaving the queue");
	a->account = xstrdup(row->account);
	return outledger_set_held(
	    state, row->row, a->kind == ASK_HOLD, clock_wall(), &a->tally, why);
}

static bool
apply_ask(struct state *state, struct state_job *job)
{
	struct ask *a = (struct ask *)job;
	struct outledger_row row;
	bool ok;

	if (!outledger_find(state, a->id, &row, &job->why))
		return false;
	ok = apply_to_row(state, a, &row) && outledger_end_tally(state, &a->tally, &job->why);
	outledger_row_clear(&row);
	return ok;
}

static struct ask *
ask_new(struct outqueue *q, enum ask_kind kind, const char *id, outqueue_asked_cb *cb, void *arg)
{
	struct ask *a = xcalloc(1, sizeof *a);

	a->queue = outqueue_ref(q);
	a->kind = kind;
	a->id = xstrdup(id);
	a->cb = cb;
	a->arg = arg;
	a->job.step = "ask-commit";
	a->job.apply = apply_ask;
	return a;
}

void
outqueue_hold(struct outqueue *q, const char *id, outqueue_asked_cb *cb, void *arg)
{
	store_submit_state(q->store, &ask_new(q, ASK_HOLD, id, cb, arg)->job, on_asked);
}

void
outqueue_release(struct outqueue *q, const char *id, outqueue_asked_cb *cb, void *arg)
{
	store_submit_state(q->store, &ask_new(q, ASK_RELEASE, id, cb, arg)->job, on_asked);
}

static bool
apply_refusal(struct state *state, struct state_job *job)
{
	(void)state;
	return refuse(&job->why, EBUSY, ((struct ask *)job)->id,
	    "is being delivered right now; hold it, or try again");
}

void
outqueue_remove(struct outqueue *q, const char *id, outqueue_asked_cb *cb, void *arg)
{
	struct ask *a = ask_new(q, ASK_REMOVE, id, cb, arg);

	a->lends = !outlend_has(q, id);
	if (a->lends)
		outlend_start(q, id);
	else
		a->job.apply = apply_refusal;
	store_submit_state(q->store, &a->job, on_asked);
}

/* ---- rows ---- */

struct page {
	struct state_job job;
	struct outqueue *queue; /* a reference */
	char *id;               /* of this one, or */
	char *after;
	size_t limit;
	outqueue_page_cb *cb;
	void *arg;
	struct outledger_list list;
};

static void
on_page(struct job *job)
{
	struct page *p = (struct page *)job;
	struct outqueue_row *rows;

	if (p->job.why.kind != FAIL_NONE)
		outledger_list_clear(&p->list);
	rows = xcalloc(p->list.count + 1, sizeof *rows);
	for (size_t i = 0; i < p->list.count; i++)
		rows[i] = (struct outqueue_row){.message = p->list.items[i].message,
		    .held = p->list.items[i].held,
		    .last_error = p->list.items[i].last_error};
	if (!p->queue->closed)
		p->cb(rows, p->list.count, &p->job.why, p->arg);
	free(rows);
	outledger_list_clear(&p->list);
	outqueue_unref(&p->queue);
	free(p->after);
	free(p->id);
	free(p);
}

static bool
apply_page(struct state *state, struct state_job *job)
{
	struct page *p = (struct page *)job;

	if (p->id != NULL)
		return outledger_list_one(state, p->id, &p->list, &job->why);
	return outledger_list_page(state, p->after, p->limit, &p->list, &job->why);
}

static struct page *
page_new(struct outqueue *q, outqueue_page_cb *cb, void *arg)
{
	struct page *p = xcalloc(1, sizeof *p);

	p->queue = outqueue_ref(q);
	p->cb = cb;
	p->arg = arg;
	p->job.step = "page-commit";
	p->job.apply = apply_page;
	return p;
}

void
outqueue_page(struct outqueue *q, const char *after, size_t limit, outqueue_page_cb *cb, void *arg)
{
	struct page *p = page_new(q, cb, arg);

	p->after = xstrdup(after);
	p->limit = limit;
	store_submit_state(q->store, &p->job, on_page);
}

void
outqueue_find(struct outqueue *q, const char *id, outqueue_page_cb *cb, void *arg)
{
	struct page *p = page_new(q, cb, arg);

	p->id = xstrdup(id);
	store_submit_state(q->store, &p->job, on_page);
}
