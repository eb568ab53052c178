#include "queue/outerrand_pump.h"

#include "base/clock.h"
#include "base/xalloc.h"
#include "store/recovery.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As for fetched mail: until then a file that is nowhere was moved on by a reader. */
enum { OLD_MS = 36 * 3600 * 1000 };

/* The Maildir is made on its first use only: one that is gone is not mounted, say. */
static bool
open_maildir(struct outerrand_pump *p, struct maildir *m)
{
	mode_t mode = (mode_t)TAILQ_FIRST(&p->errands)->mode;

	if (!p->is_known && !maildir_create(p->maildir, mode, &p->why))
		return false;
	if (!maildir_open(m, p->maildir, &p->why))
		return false;
	return true;
}

/* Errands whose intent stands: their files are renamed, if they were not. */
static bool
recover(struct outerrand_pump *p, struct maildir *m)
{
	struct recovery recovery = {.count = 0};
	struct outerrand *e;
	size_t i = 0;
	bool ok;

	TAILQ_FOREACH (e, &p->errands, link)
		if (e->file != NULL)
			recovery_add(
			    &recovery, e->id, e->file, clock_wall() - e->intended >= OLD_MS);
	ok = recovery_run(&recovery, m, p->maildir, &p->why);
	TAILQ_FOREACH (e, &p->errands, link) {
		if (e->file == NULL || !ok)
			continue;
		e->is_done = recovery.intents[i].fate == RECOVERY_STORED;
		e->is_lost = !e->is_done;
		i++;
	}
	recovery_clear(&recovery);
	return ok;
}

static int
sink_to_delivery(const char *data, size_t len, void *arg)
{
	struct outerrand_pump *p = arg;
	struct outerrand *e;

	TAILQ_FOREACH (e, &p->errands, link) {
		if (e->delivery.state != DELIVERY_OPEN)
			continue;
		delivery_write(&p->delivery, &e->delivery, data, len);
		return e->delivery.state == DELIVERY_OPEN ? 0 : EIO;
	}
	return EIO;
}

/* A copy whose message was taken away by hand has nothing to be a copy of. */
static void
write_one(struct outerrand_pump *p, struct outerrand *e)
{
	struct verdict why = VERDICT_OK;

	if (p->delivery.mode != (mode_t)e->mode) {
		p->delivery.mode = (mode_t)e->mode;
		p->delivery.mode_known = false;
	}
	delivery_begin(&p->delivery, &e->delivery);
	if (e->delivery.state != DELIVERY_OPEN)
		return;
	if (outerrand_write(e, p->queue->path, sink_to_delivery, p, &why)) {
		delivery_end(&p->delivery, &e->delivery);
		return;
	}
	delivery_remove(&p->delivery, &e->delivery);
	if (p->delivery.why.kind != FAIL_NONE)
		return; /* it says more of what the disk did */
	if (e->part == OUTERRAND_COPY && why.code == ENOENT)
		e->is_done = true;
	else if (p->why.kind == FAIL_NONE) /* the Maildir knows better why it took no more */
		p->why = p->delivery.why.kind != FAIL_NONE ? p->delivery.why : why;
}

/* What keeps one file from being written (there is no room for it, say) need not keep others. */
static void
write_all(struct outerrand_pump *p)
{
	struct outerrand *e;

	TAILQ_FOREACH (e, &p->errands, link) {
		if (e->is_done)
			continue;
		write_one(p, e);
		if (p->why.kind == FAIL_NONE)
			p->why = p->delivery.why;
		p->delivery.why = (struct verdict)VERDICT_OK;
	}
}

static void
remove_written(struct outerrand_pump *p)
{
	struct outerrand *e;

	TAILQ_FOREACH (e, &p->errands, link)
		delivery_remove(&p->delivery, &e->delivery);
}

static void
run_write(struct job *job)
{
	struct outerrand_pump *p = OUTQUEUE_CONTAINER(job, struct outerrand_pump, file_job);
	struct maildir m;

	if (!open_maildir(p, &m))
		return;
	delivery_init(
	    &p->delivery, p->maildir, (mode_t)TAILQ_FIRST(&p->errands)->mode, &m.identity);
	if (recover(p, &m)) {
		write_all(p);
		if (!delivery_flush(&p->delivery))
			remove_written(p);
	}
	maildir_close(&m);
	if (p->why.kind == FAIL_NONE)
		p->why = p->delivery.why;
}

/* Another commit has succeeded since: these are nobody's. */
static void
remove_doubtful(struct outerrand_pump *p)
{
	for (size_t i = 0; i < p->doubtful.count; i++)
		unlinkat(p->delivery.maildir.tmp, p->doubtful.names[i], 0);
	name_list_clear(&p->doubtful);
}

static void
run_publish(struct job *job)
{
	struct outerrand_pump *p = OUTQUEUE_CONTAINER(job, struct outerrand_pump, file_job);
	struct outerrand *e;
	bool gone;

	remove_doubtful(p);
	TAILQ_FOREACH (e, &p->errands, link) {
		if (e->delivery.state != DELIVERY_WHOLE)
			continue;
		e->is_lost = false;
		e->is_done = delivery_publish(&p->delivery, &e->delivery, &gone);
		e->is_lost = !e->is_done && gone;
	}
	if (!delivery_flush_published(&p->delivery))
		TAILQ_FOREACH (e, &p->errands, link)
			e->is_done = e->is_done && e->delivery.state != DELIVERY_PUBLISHED;
	if (p->why.kind == FAIL_NONE)
		p->why = p->delivery.why;
}

static void
run_remove(struct job *job)
{
	remove_written(OUTQUEUE_CONTAINER(job, struct outerrand_pump, file_job));
}

static void
on_file_done(struct job *job)
{
	struct outerrand_pump *p = OUTQUEUE_CONTAINER(job, struct outerrand_pump, file_job);

	if (p->queue->closed)
		outerrand_pump_stop(p);
	else
		outerrand_pump_settle(p);
}

/* See commit.c: files of a commit that may come back must stay. */
static void
leave_files(struct outerrand_pump *p)
{
	struct outerrand *e;

	TAILQ_FOREACH (e, &p->errands, link)
		if (e->delivery.state == DELIVERY_WHOLE)
			name_list_add(&p->doubtful, e->delivery.name);
}

static void
on_intended(struct job *job)
{
	struct outerrand_pump *p = OUTQUEUE_CONTAINER(job, struct outerrand_pump, state_job.job);
	struct store *store = p->queue->store;

	if (p->queue->closed) {
		outerrand_pump_stop(p);
	} else if (p->state_job.why.kind == FAIL_NONE) {
		store_submit_file(store, p->writer, &p->file_job, run_publish, on_file_done);
	} else {
		p->why = p->state_job.why;
		if (p->state_job.doubtful) {
			leave_files(p);
			outerrand_pump_settle(p);
		} else {
			store_submit_file(store, p->writer, &p->file_job, run_remove, on_file_done);
		}
	}
}

static bool
apply_intend(struct state *state, struct state_job *job)
{
	struct outerrand_pump *p = OUTQUEUE_CONTAINER(job, struct outerrand_pump, state_job);
	struct outerrand *e;

	if (!outerrand_note_maildir(state, p->maildir, &job->why))
		return false;
	TAILQ_FOREACH (e, &p->errands, link)
		if (e->delivery.state == DELIVERY_WHOLE &&
		    !outerrand_intend(state, e->id, e->delivery.name, &job->why))
			return false;
	return true;
}

static bool
has_whole(const struct outerrand_pump *p)
{
	const struct outerrand *e;

	TAILQ_FOREACH (e, &p->errands, link)
		if (e->delivery.state == DELIVERY_WHOLE)
			return true;
	return false;
}

static void
on_written(struct job *job)
{
	struct outerrand_pump *p = OUTQUEUE_CONTAINER(job, struct outerrand_pump, file_job);

	if (p->queue->closed) {
		outerrand_pump_stop(p);
	} else if (!has_whole(p)) {
		outerrand_pump_settle(p);
	} else {
		p->state_job.step = "errand-intend-commit";
		p->state_job.apply = apply_intend;
		store_submit_state(p->queue->store, &p->state_job, on_intended);
	}
}

void
outerrand_maildir_begin(struct outerrand_pump *p)
{
	store_submit_file(p->queue->store, p->writer, &p->file_job, run_write, on_written);
}
