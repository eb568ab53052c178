#include "queue/outerrand_pump.h"

#include "base/log.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "queue/outledger.h"

#include <stdlib.h>
#include <string.h>

/*
 * Errands carried out, some at a time, each hop in a thread; what was done before a stop is
 * recognised by what the database has of it:
 *
 *   load     rows, by Maildir                                              state thread
 *   write    tmp/NAME, durable (mail: queue/.ID.report)                    writer, spool thread
 *   intend   the row has NAME (mail: the report has a row, the errand none) state thread
 *   publish  rename into new/, flush                                       writer thread
 *   settle   the errand's row goes                                         state thread
 */
enum { BATCH_MAX = 32 };

static unsigned
pick_writer(const char *maildir)
{
	unsigned hash = 5381;

	for (const unsigned char *c = (const unsigned char *)maildir; *c != '\0'; c++)
		hash = hash * 33 + *c;
	return hash % STORE_WRITERS;
}

static bool
is_mail(const struct outerrand_pump *p)
{
	return p->maildir[0] == '\0';
}

static void
pump_free(struct outerrand_pump *p)
{
	outerrand_list_clear(&p->errands);
	if (p->delivery.path != NULL)
		delivery_clear(&p->delivery);
	name_list_clear(&p->doubtful);
	free(p->maildir);
	free(p);
}

static void
clear_batch(struct outerrand_pump *p)
{
	outerrand_list_clear(&p->errands);
	if (p->delivery.path != NULL)
		delivery_clear(&p->delivery);
	outtally_clear(&p->tally);
}

void
outerrand_pump_stop(struct outerrand_pump *p)
{
	struct outqueue *q = p->queue;

	p->queue = NULL;
	pump_free(p);
	outqueue_unref(&q);
}

static void
rest(struct outerrand_pump *p)
{
	struct outqueue *q = p->queue;

	p->running = false;
	p->queue = NULL;
	if (p->again)
		outerrand_go(q, p->maildir);
	outidle_check(q);
	outqueue_unref(&q);
}

static void
note_trouble(struct outerrand_pump *p)
{
	char shown[256];

	p->troubled = true;
	if (p->why.kind == FAIL_NONE)
		verdict_fail(&p->why, FAIL_LOCAL, "maildir",
		    "somebody took it from tmp/; it is written again");
	if (!p->said)
		log_error("%s%s reason=a copy or a report waits: %s",
		    is_mail(p) ? "queue" : "maildir=",
		    str_escape(shown, sizeof shown, p->maildir, strlen(p->maildir)), p->why.text);
	p->said = true;
}

static void
on_loaded(struct job *job)
{
	struct outerrand_pump *p = OUTQUEUE_CONTAINER(job, struct outerrand_pump, state_job.job);

	p->why = p->state_job.why;
	if (p->queue->closed) {
		outerrand_pump_stop(p);
	} else if (p->why.kind != FAIL_NONE) {
		note_trouble(p);
		clear_batch(p);
		rest(p);
	} else if (TAILQ_EMPTY(&p->errands)) {
		p->said = p->said && p->troubled;
		rest(p);
	} else if (is_mail(p)) {
		outerrand_mail_begin(p);
	} else {
		outerrand_maildir_begin(p);
	}
}

static bool
apply_load(struct state *state, struct state_job *job)
{
	struct outerrand_pump *p = OUTQUEUE_CONTAINER(job, struct outerrand_pump, state_job);

	return outerrand_load(state, p->maildir, &p->after, BATCH_MAX, &p->errands, &job->why) &&
	       outerrand_is_known_maildir(state, p->maildir, &p->is_known, &job->why);
}

static void
load(struct outerrand_pump *p)
{
	p->state_job.step = "errand-load-commit";
	p->state_job.apply = apply_load;
	store_submit_state(p->queue->store, &p->state_job, on_loaded);
}

void
outerrand_pump_end(struct outerrand_pump *p)
{
	struct outerrand *e;
	bool left = false;

	TAILQ_FOREACH (e, &p->errands, link) {
		left = left || !e->is_done;
		if (e->end == NULL)
			continue;
		outend_add(p->queue, e->end);
		e->end = NULL;
	}
	if (left || p->why.kind != FAIL_NONE)
		note_trouble(p);
	clear_batch(p);
	load(p);
}

static bool
apply_settle(struct state *state, struct state_job *job)
{
	struct outerrand_pump *p = OUTQUEUE_CONTAINER(job, struct outerrand_pump, state_job);
	struct outerrand *e;

	TAILQ_FOREACH (e, &p->errands, link) {
		bool ok = true;

		if (e->is_done)
			ok = outerrand_settle(state, e, &job->why);
		else if (e->is_lost)
			ok = outerrand_intend(state, e->id, NULL, &job->why);
		if (ok && !e->is_done && p->why.kind != FAIL_NONE)
			ok = outerrand_complain(state, e, p->why.text, &job->why);
		if (!ok)
			return false;
	}
	return true;
}

static void
on_settled(struct job *job)
{
	struct outerrand_pump *p = OUTQUEUE_CONTAINER(job, struct outerrand_pump, state_job.job);
	struct outerrand *e;

	if (p->queue->closed) {
		outerrand_pump_stop(p);
		return;
	}
	if (p->state_job.why.kind != FAIL_NONE) {
		p->why = p->state_job.why;
		TAILQ_FOREACH (e, &p->errands, link)
			if (e->end != NULL)
				spool_end_free(&e->end);
	}
	outerrand_pump_end(p);
}

void
outerrand_pump_settle(struct outerrand_pump *p)
{
	p->state_job.step = "errand-settle-commit";
	p->state_job.apply = apply_settle;
	store_submit_state(p->queue->store, &p->state_job, on_settled);
}

static void
start(struct outqueue *q, struct outerrand_pump *p)
{
	p->running = true;
	p->again = false;
	p->queue = outqueue_ref(q);
	load(p);
}

static struct outerrand_pump *
find_pump(struct outqueue *q, const char *maildir)
{
	struct outerrand_pump *p;

	TAILQ_FOREACH (p, &q->pumps, link)
		if (strcmp(p->maildir, maildir) == 0)
			return p;
	p = xcalloc(1, sizeof *p);
	p->maildir = xstrdup(maildir);
	p->writer = pick_writer(maildir);
	TAILQ_INIT(&p->errands);
	TAILQ_INSERT_TAIL(&q->pumps, p, link);
	return p;
}

void
outerrand_go(struct outqueue *q, const char *maildir)
{
	struct outerrand_pump *p;

	if (q->closed)
		return;
	p = find_pump(q, maildir);
	if (p->running)
		p->again = true;
	else
		start(q, p);
}

bool
outerrand_is_running(const struct outqueue *q)
{
	const struct outerrand_pump *p;

	TAILQ_FOREACH (p, &q->pumps, link)
		if (p->running)
			return true;
	return false;
}

bool
outerrand_is_troubled(const struct outqueue *q)
{
	const struct outerrand_pump *p;

	TAILQ_FOREACH (p, &q->pumps, link)
		if (p->troubled)
			return true;
	return false;
}

void
outerrand_tick(struct outqueue *q)
{
	struct outerrand_pump *p;

	TAILQ_FOREACH (p, &q->pumps, link) {
		if (!p->troubled || p->running)
			continue;
		p->troubled = false;
		p->after = 0;
		start(q, p);
	}
}

/* Those that run are let go when their job comes back. */
void
outerrand_close(struct outqueue *q)
{
	struct outerrand_pump *p;

	while ((p = TAILQ_FIRST(&q->pumps)) != NULL) {
		TAILQ_REMOVE(&q->pumps, p, link);
		if (!p->running)
			pump_free(p);
	}
}
