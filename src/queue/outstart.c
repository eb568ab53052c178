#include "queue/outqueue_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/step.h"
#include "base/xalloc.h"
#include "queue/outerrand.h"
#include "queue/outledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * What an earlier run left, in this order; only then is the spool looked at, so that the original
 * of a copy that is queued is never taken for another message:
 *
 *   ends     rows whose file was on its way are brought to where they belong
 *   files    what is in queue/ and has no row is claimed; copies without a row are removed
 *   errands  Maildirs that are owed something
 */
enum { PAGE = 500 };
enum phase { PHASE_ENDS, PHASE_FILES, PHASE_ERRANDS };

enum fate {
	FATE_KNOWN,  /* has a row: nothing to do */
	FATE_CLAIM,  /* has none */
	FATE_REMOVE, /* a copy that came to nothing */
	FATE_QUEUED  /* a retry that was interrupted: it is queued now */
};

struct found {
	char *file;
	enum fate fate;
	char *account; /* FATE_QUEUED */
	char id[OUTID_SIZE];
};

struct outstart {
	struct state_job state_job;
	struct job file_job;
	struct outlater later;
	struct outqueue *queue; /* a reference */
	enum phase phase;
	bool waiting; /* for ends or claims */
	bool stuck;   /* some of it failed, and is tried again */
	bool said;
	struct outtally tally;

	int64_t after;
	bool tallied;
	struct spool_end_list ends;
	size_t end_count;

	DIR *dir; /* the spool thread's */
	bool is_over;
	struct found found[PAGE];
	size_t found_count;
	char *local_domain;
	struct spool_claim_list claims;
	struct verdict why;

	struct name_list maildirs;
};

static void next(struct outstart *s);

static void
clear_page(struct outstart *s)
{
	struct spool_end *end;
	struct spool_claim *claim;

	while ((end = TAILQ_FIRST(&s->ends)) != NULL) {
		TAILQ_REMOVE(&s->ends, end, link);
		spool_end_free(&end);
	}
	while ((claim = TAILQ_FIRST(&s->claims)) != NULL) {
		TAILQ_REMOVE(&s->claims, claim, link);
		spool_claim_free(&claim);
	}
	for (size_t i = 0; i < s->found_count; i++) {
		free(s->found[i].file);
		free(s->found[i].account);
	}
	memset(s->found, 0, sizeof s->found);
	s->found_count = 0;
	outtally_clear(&s->tally);
	name_list_clear(&s->maildirs);
}

static void
start_free(struct outstart *s)
{
	if (s->queue->start == s)
		s->queue->start = NULL;
	clear_page(s);
	if (s->dir != NULL)
		closedir(s->dir);
	free(s->local_domain);
	outqueue_unref(&s->queue);
	free(s);
}

static void
try_again(struct outlater *later)
{
	struct outstart *s = OUTQUEUE_CONTAINER(later, struct outstart, later);

	if (s->queue->closed)
		start_free(s);
	else
		next(s);
}

/* From the phase's beginning: what was done is recognised. */
static void
fail(struct outstart *s, const struct verdict *why)
{
	if (!s->said)
		log_error("spool: interrupted work waits: %s", why->text);
	s->said = true;
	clear_page(s);
	s->after = 0;
	if (s->dir != NULL)
		closedir(s->dir);
	s->dir = NULL;
	s->is_over = false;
	s->stuck = true;
	outqueue_try_later(s->queue, &s->later, try_again);
	outwatch_wake(s->queue);
	outidle_check(s->queue);
	if (!s->queue->ready)
		outlend_refuse(s->queue, why);
}

/* True when it is over with this job. */
static bool
is_stopped(struct outstart *s, const struct verdict *why)
{
	if (s->queue->closed)
		start_free(s);
	else if (why->kind != FAIL_NONE)
		fail(s, why);
	else
		return false;
	return true;
}

static void
submit_state(struct outstart *s, const char *step,
    bool (*apply)(struct state *state, struct state_job *job), void (*done)(struct job *job))
{
	s->state_job.step = step;
	s->state_job.apply = apply;
	store_submit_state(s->queue->store, &s->state_job, done);
}

/* ---- ends ---- */

static bool
apply_ends(struct state *state, struct state_job *job)
{
	struct outstart *s = OUTQUEUE_CONTAINER(job, struct outstart, state_job);

	outtally_clear(&s->tally);
	return (s->tallied || outledger_load_tally(state, &s->tally, &job->why)) &&
	       outledger_list_unfinished(
		   state, &s->after, PAGE, &s->ends, &s->end_count, &job->why);
}

static void
on_ends(struct job *job)
{
	struct outstart *s = OUTQUEUE_CONTAINER(job, struct outstart, state_job.job);
	struct spool_end *end;

	if (is_stopped(s, &s->state_job.why))
		return;
	if (!s->tallied)
		outtally_clear(&s->queue->totals);
	outqueue_take_tally(s->queue, &s->tally);
	if (!s->tallied)
		s->queue->handler->recovered(s->queue->arg);
	s->tallied = true;
	if (s->end_count == 0) {
		s->phase = PHASE_FILES;
		s->queue->ready = true;
		outlend_begin(s->queue);
	}
	while ((end = TAILQ_FIRST(&s->ends)) != NULL) {
		TAILQ_REMOVE(&s->ends, end, link);
		outend_add(s->queue, end);
	}
	next(s);
}

/* ---- files ---- */

static void
add_found(struct outstart *s, const char *file)
{
	s->found[s->found_count++].file = xstrdup(file);
}

/* A file that somebody put there by hand gets a name of ours. */
static void
take_stranger(struct outstart *s, const char *name)
{
	int queue = s->queue->spool->queue;
	char id[OUTID_SIZE], cut[SPOOL_NAME_SIZE], file[SPOOL_FILE_SIZE];
	struct stat st;

	if (name[0] == '.' || fstatat(queue, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISREG(st.st_mode))
		return;
	spool_file(file, outid_make(id), spool_cut_name(cut, name));
	step("start-rename");
	if (spool_move(queue, name, queue, file) == 0)
		add_found(s, file);
}

static bool
open_queue(struct outstart *s)
{
	struct spool *spool = s->queue->spool;
	int fd;

	if (s->dir != NULL)
		return true;
	fd = openat(spool->queue, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && (s->dir = fdopendir(fd)) != NULL)
		return true;
	spool_fault(spool, &s->why, errno, "read directory", "queue", "");
	if (fd >= 0)
		close(fd);
	return false;
}

static void
run_read(struct job *job)
{
	struct outstart *s = OUTQUEUE_CONTAINER(job, struct outstart, file_job);
	char id[OUTID_SIZE];
	struct dirent *entry;
	const char *name;

	if (!open_queue(s))
		return;
	while (s->found_count < PAGE) {
		if ((entry = readdir(s->dir)) == NULL) {
			s->is_over = true;
			return;
		}
		if (spool_split(entry->d_name + (entry->d_name[0] == '.'), id, &name))
			add_found(s, entry->d_name);
		else
			take_stranger(s, entry->d_name);
	}
}

static bool
judge_row(struct state *state, struct outstart *s, struct found *f, const struct outledger_row *row,
    struct verdict *why)
{
	bool known = false;

	f->fate = FATE_KNOWN;
	if (row->row == 0) {
		f->fate = f->file[0] == '.' ? FATE_REMOVE : FATE_CLAIM;
		return true;
	}
	if (row->state == OUTLEDGER_QUEUED && row->is_missing && f->file[0] != '.')
		return outledger_set_missing(state, row->row, 0, &s->tally, why);
	if (row->state != OUTLEDGER_FAILED || f->file[0] == '.')
		return true;
	f->account = xstrdup(row->account);
	if (!outledger_requeue(state, row->row, clock_wall(), &known, &s->tally, why))
		return false;
	f->fate = known ? FATE_QUEUED : FATE_CLAIM;
	return true;
}

static bool
apply_judge(struct state *state, struct state_job *job)
{
	struct outstart *s = OUTQUEUE_CONTAINER(job, struct outstart, state_job);
	bool ok = true;

	outtally_clear(&s->tally);
	for (size_t i = 0; i < s->found_count && ok; i++) {
		struct found *f = &s->found[i];
		struct outledger_row row;
		const char *name;

		free(f->account);
		f->account = NULL;
		spool_split(f->file + (f->file[0] == '.'), f->id, &name);
		ok = outledger_find(state, f->id, &row, &job->why) &&
		     judge_row(state, s, f, &row, &job->why);
		outledger_row_clear(&row);
	}
	return ok && outledger_end_tally(state, &s->tally, &job->why);
}

static void
run_take(struct job *job)
{
	struct outstart *s = OUTQUEUE_CONTAINER(job, struct outstart, file_job);
	struct spool *spool = s->queue->spool;

	for (size_t i = 0; i < s->found_count && s->why.kind == FAIL_NONE; i++) {
		struct found *f = &s->found[i];
		struct spool_claim *claim;

		if (f->fate == FATE_REMOVE) {
			step("start-remove");
			unlinkat(spool->queue, f->file, 0);
		}
		if (f->fate != FATE_CLAIM)
			continue;
		claim = spool_claim_found(spool, f->file, s->local_domain, &s->why);
		if (claim != NULL)
			TAILQ_INSERT_TAIL(&s->claims, claim, link);
	}
	spool_flush(spool, &s->why);
}

static void
on_taken(struct job *job)
{
	struct outstart *s = OUTQUEUE_CONTAINER(job, struct outstart, file_job);
	struct outqueue *q = s->queue;
	struct spool_claim *claim;

	if (is_stopped(s, &s->why))
		return;
	while ((claim = TAILQ_FIRST(&s->claims)) != NULL) {
		TAILQ_REMOVE(&s->claims, claim, link);
		if (outclaim_has(q, claim->id))
			spool_claim_free(&claim);
		else
			outclaim_begin(q, claim);
	}
	for (size_t i = 0; i < s->found_count; i++)
		if (s->found[i].fate == FATE_QUEUED)
			q->handler->queued(s->found[i].account, s->found[i].id, q->arg);
	clear_page(s);
	if (s->is_over)
		s->phase = PHASE_ERRANDS;
	next(s);
}

static void
on_judged(struct job *job)
{
	struct outstart *s = OUTQUEUE_CONTAINER(job, struct outstart, state_job.job);

	if (is_stopped(s, &s->state_job.why))
		return;
	outqueue_take_tally(s->queue, &s->tally);
	free(s->local_domain);
	s->local_domain = xstrdup(s->queue->local_domain);
	outqueue_submit_spool(s->queue, &s->file_job, run_take, on_taken);
}

static void
on_read(struct job *job)
{
	struct outstart *s = OUTQUEUE_CONTAINER(job, struct outstart, file_job);

	if (!is_stopped(s, &s->why))
		submit_state(s, "start-judge-commit", apply_judge, on_judged);
}

/* ---- errands ---- */

static void
note_maildir(const char *maildir, void *arg)
{
	name_list_add(arg, maildir);
}

static bool
apply_errands(struct state *state, struct state_job *job)
{
	struct outstart *s = OUTQUEUE_CONTAINER(job, struct outstart, state_job);

	name_list_clear(&s->maildirs);
	return outerrand_each_maildir(state, note_maildir, &s->maildirs, &job->why);
}

static void
on_errands(struct job *job)
{
	struct outstart *s = OUTQUEUE_CONTAINER(job, struct outstart, state_job.job);
	struct outqueue *q = s->queue;

	if (is_stopped(s, &s->state_job.why))
		return;
	for (size_t i = 0; i < s->maildirs.count; i++)
		outerrand_go(q, s->maildirs.names[i]);
	outqueue_ref(q);
	start_free(s);
	outcheck_begin(q);
	outwatch_wake(q);
	outidle_check(q);
	outqueue_unref(&q);
}

/* ---- */

static void
next(struct outstart *s)
{
	struct outqueue *q = s->queue;

	s->waiting = !outend_is_idle(q) || q->claim_count > OUTQUEUE_CLAIMS_MAX - PAGE;
	if (s->waiting)
		return;
	s->why = (struct verdict)VERDICT_OK;
	switch (s->phase) {
	case PHASE_ENDS:
		submit_state(s, "start-list-commit", apply_ends, on_ends);
		break;
	case PHASE_FILES:
		outqueue_submit_spool(q, &s->file_job, run_read, on_read);
		break;
	case PHASE_ERRANDS:
		submit_state(s, "start-errands-commit", apply_errands, on_errands);
		break;
	}
}

void
outstart_open(struct outqueue *q)
{
	struct outstart *s = xcalloc(1, sizeof *s);

	s->queue = outqueue_ref(q);
	TAILQ_INIT(&s->ends);
	TAILQ_INIT(&s->claims);
	q->start = s;
	next(s);
}

void
outstart_continue(struct outqueue *q)
{
	if (q->start != NULL && q->start->waiting)
		next(q->start);
}

bool
outstart_is_stuck(const struct outqueue *q)
{
	return q->start != NULL &&
	       (q->start->stuck || (q->start->waiting && q->claim_count > 0 &&
				       q->claim_count == q->claims_stuck && outend_is_idle(q)));
}

/* Unless a job or the list of later work has it. */
void
outstart_close(struct outqueue *q)
{
	if (q->start != NULL && q->start->waiting)
		start_free(q->start);
}
