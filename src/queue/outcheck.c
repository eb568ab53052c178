#include "queue/outqueue_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "queue/outledger.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

/*
 * People move files of queue/ and failed/ about.  A message whose file is gone is not sent any
 * more, and so counts for nothing; what is known of its recipients is kept, in case the file comes
 * back (a file system that was not mounted).
 */
enum { CHECK_SECONDS = 3600, PAGE = 1000 };
#define FORGET_MS ((int64_t)30 * 86400 * 1000)

struct check {
	struct state_job state_job;
	struct job file_job;
	struct outqueue *queue; /* a reference */
	int64_t after;
	struct outledger_check rows[PAGE];
	size_t count;
	bool is_blind; /* there is no queue/ at all: nothing can be told */
	struct outtally tally;
};

static void list(struct check *c);

static void
clear_rows(struct check *c)
{
	for (size_t i = 0; i < c->count; i++) {
		free(c->rows[i].name);
		free(c->rows[i].failed_name);
	}
	memset(c->rows, 0, sizeof c->rows);
	c->count = 0;
}

static void
check_free(struct check *c)
{
	clear_rows(c);
	outtally_clear(&c->tally);
	c->queue->checking = false;
	outqueue_unref(&c->queue);
	free(c);
}

static void
log_missing(const char *id, const char *name)
{
	char shown[256];

	log_warning("message=%s name=%s reason=its file was taken out of queue/ by hand: not sent "
		    "until it is put back",
	    id, str_escape(shown, sizeof shown, name, strlen(name)));
}

/* ---- a page of rows ---- */

static void
on_changed(struct job *job)
{
	struct check *c = OUTQUEUE_CONTAINER(job, struct check, state_job.job);
	struct outqueue *q = c->queue;

	if (q->closed || c->state_job.why.kind != FAIL_NONE) {
		check_free(c);
		return;
	}
	outqueue_take_tally(q, &c->tally);
	for (size_t i = 0; i < c->count && !q->closed; i++) {
		const struct outledger_check *row = &c->rows[i];

		if (row->state == OUTLEDGER_QUEUED && !row->is_there && row->missing == 0)
			log_missing(row->id, row->name);
	}
	clear_rows(c);
	list(c);
}

static bool
change_row(struct state *state, const struct outledger_check *c, int64_t row,
    struct outtally *tally, struct verdict *why)
{
	int64_t now = clock_wall();

	if (c->is_there && c->state == OUTLEDGER_DECIDED)
		return true; /* the next start removes it */
	if (c->is_there)
		return c->missing == 0 || outledger_set_missing(state, row, 0, tally, why);
	if (c->missing == 0)
		return outledger_set_missing(state, row, now, tally, why);
	return now - c->missing < FORGET_MS || outledger_forget(state, row, tally, why);
}

/* Only rows that are still what they were when their files were looked for. */
static bool
apply_changes(struct state *state, struct state_job *job)
{
	struct check *c = OUTQUEUE_CONTAINER(job, struct check, state_job);
	bool ok = true;

	outtally_clear(&c->tally);
	for (size_t i = 0; i < c->count && ok; i++) {
		struct outledger_row row;

		if (c->rows[i].is_there && c->rows[i].missing == 0)
			continue;
		if (!outledger_find(state, c->rows[i].id, &row, &job->why))
			return false;
		if (row.row != 0 && row.state == c->rows[i].state && !row.hidden)
			ok = change_row(state, &c->rows[i], row.row, &c->tally, &job->why);
		outledger_row_clear(&row);
	}
	return ok && outledger_end_tally(state, &c->tally, &job->why);
}

static bool
needs_change(const struct check *c)
{
	for (size_t i = 0; i < c->count; i++)
		if (!c->rows[i].is_there || c->rows[i].missing != 0)
			return true;
	return false;
}

static void
on_looked_at(struct job *job)
{
	struct check *c = OUTQUEUE_CONTAINER(job, struct check, file_job);

	if (c->queue->closed || c->is_blind) {
		check_free(c);
	} else if (!needs_change(c)) {
		clear_rows(c);
		list(c);
	} else {
		c->state_job.step = "check-commit";
		c->state_job.apply = apply_changes;
		store_submit_state(c->queue->store, &c->state_job, on_changed);
	}
}

/* Anything but "no such file" says nothing. */
static bool
is_there(const char *spool, const char *part, const char *name)
{
	char *path = xasprintf("%s/%s/%s", spool, part, name);
	bool there = faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;

	free(path);
	return there;
}

/* A failed message may be on its way back into the queue. */
static void
run_look_at(struct job *job)
{
	struct check *c = OUTQUEUE_CONTAINER(job, struct check, file_job);
	const char *spool = c->queue->path;
	char file[SPOOL_FILE_SIZE];

	c->is_blind = !is_there(spool, "queue", "") || !is_there(spool, "failed", "");
	for (size_t i = 0; i < c->count && !c->is_blind; i++) {
		struct outledger_check *row = &c->rows[i];

		spool_file(file, row->id, row->name);
		row->is_there =
		    (row->failed_name != NULL && is_there(spool, "failed", row->failed_name)) ||
		    is_there(spool, "queue", file);
	}
}

static void
on_listed(struct job *job)
{
	struct check *c = OUTQUEUE_CONTAINER(job, struct check, state_job.job);

	if (c->queue->closed || c->state_job.why.kind != FAIL_NONE || c->count == 0)
		check_free(c);
	else
		outqueue_submit_reader(c->queue, &c->file_job, run_look_at, on_looked_at);
}

static bool
apply_list(struct state *state, struct state_job *job)
{
	struct check *c = OUTQUEUE_CONTAINER(job, struct check, state_job);

	return outledger_list_checks(state, &c->after, PAGE, c->rows, &c->count, &job->why);
}

static void
list(struct check *c)
{
	c->state_job.step = "check-list-commit";
	c->state_job.apply = apply_list;
	store_submit_state(c->queue->store, &c->state_job, on_listed);
}

void
outcheck_begin(struct outqueue *q)
{
	struct check *c;

	if (q->checking || q->closed)
		return;
	q->checking = true;
	c = xcalloc(1, sizeof *c);
	c->queue = outqueue_ref(q);
	list(c);
}

static void
check_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	outcheck_begin(arg);
}

void
outcheck_open(struct outqueue *q)
{
	struct timeval interval = {.tv_sec = CHECK_SECONDS};

	q->check_event = event_new(q->store->base, -1, EV_PERSIST, check_cb, q);
	if (q->check_event == NULL)
		exit(EX_OSERR);
	event_add(q->check_event, &interval);
}

void
outcheck_close(struct outqueue *q)
{
	event_free(q->check_event);
}

/* ---- one row ---- */

struct miss {
	struct state_job job;
	struct outqueue *queue; /* a reference */
	char id[OUTID_SIZE];
	char *name;
	bool is_new;
	struct outtally tally;
};

static void
on_missed(struct job *job)
{
	struct miss *m = (struct miss *)job;

	if (m->job.why.kind == FAIL_NONE && m->is_new) {
		outqueue_take_tally(m->queue, &m->tally);
		log_missing(m->id, m->name);
	}
	outtally_clear(&m->tally);
	outqueue_unref(&m->queue);
	free(m->name);
	free(m);
}

static bool
apply_miss(struct state *state, struct state_job *job)
{
	struct miss *m = (struct miss *)job;
	struct outledger_row row;
	bool ok = true;

	if (!outledger_find(state, m->id, &row, &job->why))
		return false;
	m->is_new = row.row != 0 && row.state == OUTLEDGER_QUEUED && !row.hidden && !row.is_missing;
	if (m->is_new)
		ok = outledger_set_missing(state, row.row, clock_wall(), &m->tally, &job->why) &&
		     outledger_end_tally(state, &m->tally, &job->why);
	outledger_row_clear(&row);
	return ok;
}

void
outcheck_miss(struct outqueue *q, const char *id, const char *name)
{
	struct miss *m = xcalloc(1, sizeof *m);

	m->queue = outqueue_ref(q);
	memcpy(m->id, id, sizeof m->id);
	m->name = xstrdup(name);
	m->job.step = "miss-commit";
	m->job.apply = apply_miss;
	store_submit_state(q->store, &m->job, on_missed);
}
