#include "queue/outerrand_pump.h"

#include "base/clock.h"
#include "base/step.h"
#include "base/xalloc.h"
#include "queue/outledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* The name a report has in the queue, and in failed/ if it should come there. */
static const char report_name[] = "report";

static const char *
hidden_name(char buf[SPOOL_FILE_SIZE + 1], const struct spool_claim *claim)
{
	char file[SPOOL_FILE_SIZE];

	snprintf(buf, SPOOL_FILE_SIZE + 1, ".%s", spool_file(file, claim->id, claim->name));
	return buf;
}

static int
sink_to_fd(const char *data, size_t len, void *arg)
{
	return spool_write(*(int *)arg, data, len);
}

static void
remove_mail(struct spool *s, struct outerrand *e)
{
	char hidden[SPOOL_FILE_SIZE + 1];

	step("report-remove");
	unlinkat(s->queue, hidden_name(hidden, e->mail), 0);
	spool_claim_free(&e->mail);
}

/* Its header is of our making, so whatever is said about it does not matter. */
static bool
describe(int fd, struct spool_claim *claim)
{
	struct stat st;
	int error = spool_header_read(fd, NULL, claim);

	claim->why = (struct verdict)VERDICT_OK;
	if (error == 0 && fstat(fd, &st) < 0)
		error = errno;
	if (error != 0) {
		errno = error;
		return false;
	}
	claim->size = (uint64_t)st.st_size;
	claim->inode = st.st_ino;
	return true;
}

static bool
write_mail(struct spool *s, struct outerrand *e, struct verdict *why)
{
	char hidden[SPOOL_FILE_SIZE + 1];
	int fd;

	e->mail = xcalloc(1, sizeof *e->mail);
	e->mail->name = xstrdup(report_name);
	e->mail->hidden = true;
	outid_make(e->mail->id);
	hidden_name(hidden, e->mail);
	step("report-create");
	fd = openat(s->queue, hidden, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		spool_claim_free(&e->mail);
		return spool_fault(s, why, errno, "create", "queue", hidden);
	}
	s->is_queue_touched = true;
	if (outerrand_write(e, s->path, sink_to_fd, &fd, why) &&
	    (describe(fd, e->mail) || spool_fault(s, why, errno, "read", "queue", hidden)))
		return spool_keep(s, fd, why);
	close(fd);
	return false;
}

static void
remove_written(struct outerrand_pump *p)
{
	struct outerrand *e;

	TAILQ_FOREACH (e, &p->errands, link)
		if (e->mail != NULL)
			remove_mail(p->queue->spool, e);
}

static void
run_write(struct job *job)
{
	struct outerrand_pump *p = OUTQUEUE_CONTAINER(job, struct outerrand_pump, file_job);
	struct spool *s = p->queue->spool;
	struct outerrand *e;

	TAILQ_FOREACH (e, &p->errands, link) {
		struct verdict why = VERDICT_OK;

		if (write_mail(s, e, &why))
			continue;
		if (e->mail != NULL)
			remove_mail(s, e);
		if (p->why.kind == FAIL_NONE)
			p->why = why;
	}
	if (!spool_flush(s, &p->why))
		remove_written(p);
}

/* The report has a row, the errand none: in one transaction. */
static bool
apply_insert(struct state *state, struct state_job *job)
{
	struct outerrand_pump *p = OUTQUEUE_CONTAINER(job, struct outerrand_pump, state_job);
	struct outerrand *e;

	outtally_clear(&p->tally);
	TAILQ_FOREACH (e, &p->errands, link) {
		char *recipients[] = {e->recipient, NULL};
		struct outledger_new row = {.claim = e->mail,
		    .account = e->account != NULL ? e->account : "",
		    .sender = "",
		    .recipients = recipients,
		    .now = clock_wall(),
		    .bounce = true,
		    .state = OUTLEDGER_QUEUED};

		if (e->mail == NULL)
			continue;
		if (!outledger_insert(state, &row, &p->tally, &job->why) ||
		    !outerrand_settle(state, e, &job->why))
			return false;
	}
	return outledger_end_tally(state, &p->tally, &job->why);
}

static void
run_remove(struct job *job)
{
	remove_written(OUTQUEUE_CONTAINER(job, struct outerrand_pump, file_job));
}

static void
on_removed(struct job *job)
{
	struct outerrand_pump *p = OUTQUEUE_CONTAINER(job, struct outerrand_pump, file_job);

	if (p->queue->closed)
		outerrand_pump_stop(p);
	else
		outerrand_pump_end(p);
}

/* A commit that may come back keeps its files; the next start removes those without a row. */
static void
give_up(struct outerrand_pump *p)
{
	struct outerrand *e;

	p->why = p->state_job.why;
	TAILQ_FOREACH (e, &p->errands, link)
		if (e->end != NULL)
			spool_end_free(&e->end);
	if (p->state_job.doubtful)
		outerrand_pump_end(p);
	else
		outqueue_submit_spool(p->queue, &p->file_job, run_remove, on_removed);
}

static void
reveal(struct outerrand_pump *p)
{
	struct outerrand *e;

	TAILQ_FOREACH (e, &p->errands, link) {
		struct spool_end *end;

		if (e->mail == NULL)
			continue;
		e->is_done = true;
		end = spool_end_new(SPOOL_END_KEEP, e->mail->id, e->mail->name);
		end->account = xstrdup(e->account);
		end->inode = e->mail->inode;
		end->hidden = true;
		outend_add(p->queue, end);
	}
}

static void
on_inserted(struct job *job)
{
	struct outerrand_pump *p = OUTQUEUE_CONTAINER(job, struct outerrand_pump, state_job.job);

	if (p->queue->closed) {
		outerrand_pump_stop(p);
	} else if (p->state_job.why.kind != FAIL_NONE) {
		give_up(p);
	} else {
		outqueue_take_tally(p->queue, &p->tally);
		reveal(p);
		outerrand_pump_end(p);
	}
}

static void
on_written(struct job *job)
{
	struct outerrand_pump *p = OUTQUEUE_CONTAINER(job, struct outerrand_pump, file_job);

	if (p->queue->closed) {
		outerrand_pump_stop(p);
		return;
	}
	p->state_job.step = "report-commit";
	p->state_job.apply = apply_insert;
	store_submit_state(p->queue->store, &p->state_job, on_inserted);
}

void
outerrand_mail_begin(struct outerrand_pump *p)
{
	outqueue_submit_spool(p->queue, &p->file_job, run_write, on_written);
}
