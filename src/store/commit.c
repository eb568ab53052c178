#include "store/batch.h"

#include "base/log.h"
#include "base/xalloc.h"
#include "store/account.h"
#include "store/ledger.h"
#include "store/state.h"

#include <stdlib.h>
#include <string.h>

/*
 * A batch's way to stable storage: flush, intend, publish, mark; see store/mailbox.h.  Each hop
 * runs in a thread, run_x or apply_x; the on_x behind it, in the loop, decides what is next.
 *
 * A failure before the intents are committed removes every file.  After that the intents stand:
 * what did not come to its end waits for recovery, and the mailbox takes no batch until then.
 */

static struct batch *
batch_of_file_job(struct job *job)
{
	return (struct batch *)((char *)job - offsetof(struct batch, file_job));
}

static struct batch *
batch_of_state_job(struct job *job)
{
	return (struct batch *)((char *)job - offsetof(struct batch, state_job.job));
}

static void
submit_file(struct batch *b, void (*run)(struct job *job), void (*done)(struct job *job))
{
	store_submit_file(b->mailbox->store, b->mailbox->writer, &b->file_job, run, done);
}

static bool
is_whole(const struct message *m)
{
	return !m->aborted && m->file.state == DELIVERY_WHOLE;
}

static enum batch_fate
fate_of(const struct message *m)
{
	if (m->known && m->row != 0)
		return BATCH_KNOWN;
	return m->row != 0 && m->file.state == DELIVERY_PUBLISHED ? BATCH_STORED : BATCH_LOST;
}

static size_t
fill_items(const struct batch *b, struct batch_item *items)
{
	const struct message *m;
	size_t count = 0;

	TAILQ_FOREACH (m, &b->messages, link) {
		enum batch_fate fate = fate_of(m);

		if (m->aborted)
			continue;
		items[count++] = (struct batch_item){.number = m->number,
		    .fate = fate,
		    .row = fate != BATCH_LOST ? m->row : 0,
		    .octets = m->octets,
		    .file = fate == BATCH_STORED ? m->file.name : NULL};
	}
	return count;
}

static void
finish(struct batch *b)
{
	struct batch_item *items = xcalloc(b->count, sizeof *items);
	struct batch_result result = {.why = &b->why, .items = items};
	struct mailbox *mailbox = b->mailbox;

	result.count = fill_items(b, items);
	if (b->stays)
		mailbox->needs_recovery = true;
	if (!mailbox->closed && b->cb != NULL)
		b->cb(&result, b->arg);
	free(items);
	mailbox_end_commit(mailbox);
	batch_free(&b);
}

/* Nothing counts as stored any more. */
static void
lose_all(struct batch *b)
{
	struct message *m;

	TAILQ_FOREACH (m, &b->messages, link)
		m->row = 0;
}

static bool
apply_mark(struct state *state, struct state_job *job)
{
	struct batch *b = batch_of_state_job(&job->job);
	struct message *m;

	TAILQ_FOREACH (m, &b->messages, link) {
		bool ok = true;

		if (m->withdrawn)
			ok = ledger_withdraw(state, m->row, &job->why);
		else if (fate_of(m) == BATCH_STORED)
			ok = ledger_settle(state, m->row, &job->why);
		if (!ok)
			return false;
	}
	return true;
}

static void
on_marked(struct job *job)
{
	struct batch *b = batch_of_state_job(job);

	if (b->state_job.why.kind != FAIL_NONE) {
		b->why = b->state_job.why;
		b->stays = true;
		lose_all(b);
	}
	finish(b);
}

static void
mark(struct batch *b)
{
	b->state_job.step = "mark-commit";
	b->state_job.apply = apply_mark;
	store_submit_state(b->mailbox->store, &b->state_job, on_marked);
}

static void
run_publish(struct job *job)
{
	struct batch *b = batch_of_file_job(job);
	struct message *m;

	TAILQ_FOREACH (m, &b->messages, link) {
		if (!is_whole(m))
			continue;
		if (m->known)
			delivery_remove(&b->delivery, &m->file);
		else if (!delivery_publish(&b->delivery, &m->file, &m->withdrawn))
			b->stays = b->stays || !m->withdrawn;
	}
	if (!delivery_flush_published(&b->delivery)) {
		b->stays = true;
		TAILQ_FOREACH (m, &b->messages, link)
			if (m->file.state == DELIVERY_PUBLISHED)
				m->file.state = DELIVERY_NONE;
	}
	delivery_close(&b->delivery);
}

static void
on_published(struct job *job)
{
	struct batch *b = batch_of_file_job(job);

	b->why = b->delivery.why;
	mark(b);
}

static void
run_remove_all(struct job *job)
{
	struct batch *b = batch_of_file_job(job);
	struct message *m;

	TAILQ_FOREACH (m, &b->messages, link)
		delivery_remove(&b->delivery, &m->file);
	delivery_close(&b->delivery);
}

static void
on_removed(struct job *job)
{
	finish(batch_of_file_job(job));
}

/*
 * A commit that failed may have reached the disk all the same, and come back after a crash: then
 * the files must be there.  They are removed once another commit has succeeded.
 */
static void
leave_files(struct batch *b)
{
	struct message *m;

	TAILQ_FOREACH (m, &b->messages, link)
		if (m->file.state == DELIVERY_WHOLE)
			name_list_add(&b->mailbox->doubtful, m->file.name);
	b->stays = true;
}

static void
on_intended(struct job *job)
{
	struct batch *b = batch_of_state_job(job);

	if (b->state_job.why.kind == FAIL_NONE) {
		submit_file(b, run_publish, on_published);
		return;
	}
	b->why = b->state_job.why;
	lose_all(b);
	if (b->state_job.doubtful) {
		leave_files(b);
		finish(b);
	} else {
		submit_file(b, run_remove_all, on_removed);
	}
}

static bool
intend_message(struct state *state, int64_t account, struct message *m, struct verdict *why)
{
	struct ledger_item item = {.uid = m->uid,
	    .uid_len = m->uid_len,
	    .occurrence = m->occurrence,
	    .size = m->size,
	    .octets = m->file.octets - m->file.preface,
	    .digest = m->file.digest,
	    .file = m->file.name,
	    .compare = m->match == LISTED_COMPARE,
	    .replaces = m->replaces};

	return ledger_intend(state, account, &item, &m->row, &m->known, why);
}

static bool
apply_intend(struct state *state, struct state_job *job)
{
	struct batch *b = batch_of_state_job(&job->job);
	struct message *m;
	int64_t account;

	if (!account_find(state, b->mailbox->account, &account, &job->why))
		return false;
	TAILQ_FOREACH (m, &b->messages, link)
		if (is_whole(m) && !intend_message(state, account, m, &job->why))
			return false;
	return true;
}

static bool
has_whole(const struct batch *b)
{
	const struct message *m;

	TAILQ_FOREACH (m, &b->messages, link)
		if (is_whole(m))
			return true;
	return false;
}

/* What failed while it was written is lost; the rest of the batch goes on. */
static void
run_flush(struct job *job)
{
	struct batch *b = batch_of_file_job(job);

	if (!delivery_flush(&b->delivery))
		run_remove_all(job);
}

static void
on_flushed(struct job *job)
{
	struct batch *b = batch_of_file_job(job);

	b->why = b->delivery.why;
	if (!has_whole(b)) {
		finish(b);
		return;
	}
	b->state_job.step = "intend-commit";
	b->state_job.apply = apply_intend;
	store_submit_state(b->mailbox->store, &b->state_job, on_intended);
}

void
batch_commit(struct batch **batch, batch_cb *cb, void *arg)
{
	struct batch *b = *batch;

	*batch = NULL;
	b->cb = cb;
	b->arg = arg;
	batch_seal(b);
	b->mailbox->committing++;
	if (b->mailbox->needs_recovery) {
		verdict_fail(&b->why, FAIL_LOCAL, "commit",
		    "an earlier batch of this session was interrupted; the next poll goes on");
		submit_file(b, run_remove_all, on_removed);
		return;
	}
	submit_file(b, run_flush, on_flushed);
}

static void
on_dropped(struct job *job)
{
	struct batch *b = batch_of_file_job(job);

	batch_free(&b);
}

void
batch_drop(struct batch **batch)
{
	struct batch *b = *batch;

	*batch = NULL;
	if (b == NULL)
		return;
	batch_seal(b);
	submit_file(b, run_remove_all, on_dropped);
}
