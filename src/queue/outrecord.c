#include "queue/outqueue_internal.h"

#include "base/log.h"
#include "base/xalloc.h"

#include <stdlib.h>

/* An account's record on its way from or to the database. */
struct outrecord {
	struct state_job job;
	struct outqueue *queue; /* a reference */
	char *account;
	struct record record;
	outqueue_record_cb *cb;
	void *arg;
};

static struct outrecord *
outrecord_new(struct outqueue *q, const char *account, const char *step,
    bool (*apply)(struct state *state, struct state_job *job))
{
	struct outrecord *r = xcalloc(1, sizeof *r);

	r->job.step = step;
	r->job.apply = apply;
	r->queue = outqueue_ref(q);
	r->account = xstrdup(account);
	return r;
}

static void
outrecord_free(struct outrecord *r)
{
	outqueue_unref(&r->queue);
	free(r->account);
	free(r);
}

static bool
apply_load(struct state *state, struct state_job *job)
{
	struct outrecord *r = (struct outrecord *)job;

	return record_load(state, RECORD_SMTP, r->account, &r->record, &job->why);
}

static void
on_loaded(struct job *job)
{
	struct outrecord *r = (struct outrecord *)job;

	if (!r->queue->closed)
		r->cb(&r->job.why, &r->record, r->arg);
	outrecord_free(r);
}

void
outqueue_load_record(struct outqueue *q, const char *account, outqueue_record_cb *cb, void *arg)
{
	struct outrecord *r = outrecord_new(q, account, "load-commit", apply_load);

	r->cb = cb;
	r->arg = arg;
	store_submit_state(q->store, &r->job, on_loaded);
}

static bool
apply_save(struct state *state, struct state_job *job)
{
	struct outrecord *r = (struct outrecord *)job;

	return record_save(state, RECORD_SMTP, r->account, &r->record, &job->why);
}

static void
on_saved(struct job *job)
{
	struct outrecord *r = (struct outrecord *)job;

	if (r->job.why.kind != FAIL_NONE)
		log_error("account=%s reason=what its last session came to is not recorded: %s",
		    r->account, r->job.why.text);
	outrecord_free(r);
}

void
outqueue_save_record(struct outqueue *q, const char *account, const struct record *record)
{
	struct outrecord *r = outrecord_new(q, account, "record-commit", apply_save);

	r->record = *record;
	store_submit_state(q->store, &r->job, on_saved);
}
