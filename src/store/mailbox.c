#include "store/mailbox.h"

#include "base/xalloc.h"
#include "store/account.h"
#include "store/batch.h"
#include "store/ledger.h"
#include "store/listing.h"
#include "store/state.h"
#include "store/store.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static void when_written_cb(evutil_socket_t fd, short what, void *arg);

/* By name, so that an account's file work keeps its order when the mailbox is opened anew. */
static unsigned
pick_writer(const char *account)
{
	unsigned hash = 5381;

	for (const unsigned char *p = (const unsigned char *)account; *p != '\0'; p++)
		hash = hash * 33 + *p;
	return hash % STORE_WRITERS;
}

struct mailbox *
mailbox_open(struct store *store, const struct mailbox_settings *settings)
{
	struct mailbox *m = xcalloc(1, sizeof *m);

	m->store = store;
	m->refs = 1;
	m->account = xstrdup(settings->account);
	m->path = xstrdup(settings->maildir);
	m->mode = settings->mode;
	m->forget_ms = settings->forget_ms;
	m->writer = pick_writer(m->account);
	TAILQ_INIT(&m->waiting);
	TAILQ_INIT(&m->batches);
	m->when_event = event_new(store->base, -1, 0, when_written_cb, m);
	if (m->when_event == NULL)
		exit(EX_OSERR);
	TAILQ_INSERT_TAIL(&store->mailboxes, m, link);
	return m;
}

struct mailbox *
mailbox_ref(struct mailbox *m)
{
	m->refs++;
	return m;
}

void
mailbox_unref(struct mailbox **mailbox)
{
	struct mailbox *m = *mailbox;

	*mailbox = NULL;
	if (--m->refs > 0)
		return;
	TAILQ_REMOVE(&m->store->mailboxes, m, link);
	event_free(m->when_event);
	name_list_clear(&m->doubtful);
	free(m->account);
	free(m->path);
	free(m);
}

void
mailbox_close(struct mailbox **mailbox)
{
	if (*mailbox == NULL)
		return;
	(*mailbox)->closed = true;
	event_del((*mailbox)->when_event);
	mailbox_unref(mailbox);
}

/* One call of this interface that needs the state thread once.  Freed when it is answered. */
struct call {
	struct state_job job;
	struct mailbox *mailbox;
	mailbox_cb *cb;
	void *arg;
	int64_t *rows;
	size_t row_count;
	struct record record;
	mailbox_record_cb *record_cb;
	struct listing *listing;
	int64_t keep_ms;
	struct ledger_matched matched;
	mailbox_matched_cb *matched_cb;
};

static struct call *
call_new(struct mailbox *m, const char *step,
    bool (*apply)(struct state *state, struct state_job *job), void *arg)
{
	struct call *c = xcalloc(1, sizeof *c);

	c->job.step = step;
	c->job.apply = apply;
	c->mailbox = mailbox_ref(m);
	c->arg = arg;
	return c;
}

static void
call_free(struct call **call)
{
	if ((*call)->listing != NULL)
		listing_return(&(*call)->listing);
	mailbox_unref(&(*call)->mailbox);
	free((*call)->rows);
	free(*call);
	*call = NULL;
}

static void
on_call_done(struct job *job)
{
	struct call *c = (struct call *)job;

	if (!c->mailbox->closed && c->cb != NULL)
		c->cb(&c->job.why, c->arg);
	call_free(&c);
}

static bool
apply_load(struct state *state, struct state_job *job)
{
	struct call *c = (struct call *)job;

	return record_load(state, RECORD_POP3, c->mailbox->account, &c->record, &job->why);
}

static void
on_loaded(struct job *job)
{
	struct call *c = (struct call *)job;

	if (!c->mailbox->closed)
		c->record_cb(&c->job.why, &c->record, c->arg);
	call_free(&c);
}

void
mailbox_load(struct mailbox *m, mailbox_record_cb *cb, void *arg)
{
	struct call *c = call_new(m, "load-commit", apply_load, arg);

	c->record_cb = cb;
	store_submit_state(m->store, &c->job, on_loaded);
}

static bool
apply_save(struct state *state, struct state_job *job)
{
	struct call *c = (struct call *)job;

	return record_save(state, RECORD_POP3, c->mailbox->account, &c->record, &job->why);
}

void
mailbox_save(struct mailbox *m, const struct record *record, mailbox_cb *cb, void *arg)
{
	struct call *c = call_new(m, "record-commit", apply_save, arg);

	c->record = *record;
	c->cb = cb;
	store_submit_state(m->store, &c->job, on_call_done);
}

static bool
apply_match(struct state *state, struct state_job *job)
{
	struct call *c = (struct call *)job;
	int64_t account;

	return account_find(state, c->mailbox->account, &account, &job->why) &&
	       ledger_match(state, account, c->listing, c->keep_ms, c->mailbox->forget_ms,
		   &c->matched, &job->why);
}

static bool
apply_match_by_number(struct state *state, struct state_job *job)
{
	struct call *c = (struct call *)job;
	int64_t account;

	return account_find(state, c->mailbox->account, &account, &job->why) &&
	       ledger_match_by_number(
		   state, account, c->listing, c->mailbox->forget_ms, &c->matched, &job->why);
}

static void
on_matched(struct job *job)
{
	struct call *c = (struct call *)job;
	struct mailbox_matched matched = {
	    .why = &c->job.why, .fresh = c->matched.fresh, .migrated = c->matched.migrated};

	if (!c->mailbox->closed)
		c->matched_cb(&matched, c->arg);
	call_free(&c);
}

void
mailbox_match(
    struct mailbox *m, struct listing *listing, int64_t keep_ms, mailbox_matched_cb *cb, void *arg)
{
	struct call *c = call_new(m, "match-commit", apply_match, arg);

	c->listing = listing;
	listing_lend(listing);
	c->keep_ms = keep_ms;
	c->matched_cb = cb;
	store_submit_state(m->store, &c->job, on_matched);
}

void
mailbox_match_by_number(
    struct mailbox *m, struct listing *listing, mailbox_matched_cb *cb, void *arg)
{
	struct call *c = call_new(m, "match-commit", apply_match_by_number, arg);

	c->listing = listing;
	listing_lend(listing);
	c->matched_cb = cb;
	store_submit_state(m->store, &c->job, on_matched);
}

static bool
apply_mark_seen(struct state *state, struct state_job *job)
{
	struct call *c = (struct call *)job;
	int64_t account;

	return account_find(state, c->mailbox->account, &account, &job->why) &&
	       ledger_match(
		   state, account, c->listing, -1, c->mailbox->forget_ms, &c->matched, &job->why) &&
	       ledger_adopt(state, account, c->listing, &job->why);
}

void
mailbox_mark_seen(struct mailbox *m, struct listing *listing, mailbox_cb *cb, void *arg)
{
	struct call *c = call_new(m, "adopt-commit", apply_mark_seen, arg);

	c->listing = listing;
	listing_lend(listing);
	c->cb = cb;
	store_submit_state(m->store, &c->job, on_call_done);
}

typedef bool row_function(struct state *state, int64_t account, int64_t row, struct verdict *why);

static bool
apply_to_rows(struct state *state, struct state_job *job, row_function *function)
{
	struct call *c = (struct call *)job;
	int64_t account;

	if (!account_find(state, c->mailbox->account, &account, &job->why))
		return false;
	for (size_t i = 0; i < c->row_count; i++)
		if (!function(state, account, c->rows[i], &job->why))
			return false;
	return true;
}

static bool
apply_expunging(struct state *state, struct state_job *job)
{
	return apply_to_rows(state, job, ledger_set_expunging);
}

static bool
apply_expunged(struct state *state, struct state_job *job)
{
	return apply_to_rows(state, job, ledger_set_expunged);
}

static void
submit_rows(struct mailbox *m, struct call *c, const int64_t *rows, size_t count, mailbox_cb *cb)
{
	c->cb = cb;
	c->rows = xreallocarray(NULL, count, sizeof *rows);
	c->row_count = count;
	if (count > 0)
		memcpy(c->rows, rows, count * sizeof *rows);
	store_submit_state(m->store, &c->job, on_call_done);
}

void
mailbox_expunging(struct mailbox *m, const int64_t *rows, size_t count, mailbox_cb *cb, void *arg)
{
	submit_rows(m, call_new(m, "expunging-commit", apply_expunging, arg), rows, count, cb);
}

void
mailbox_expunged(struct mailbox *m, const int64_t *rows, size_t count, mailbox_cb *cb, void *arg)
{
	submit_rows(m, call_new(m, "expunged-commit", apply_expunged, arg), rows, count, cb);
}

size_t
mailbox_unwritten(const struct mailbox *m)
{
	return m->unwritten;
}

static void
when_written_cb(evutil_socket_t fd, short what, void *arg)
{
	static const struct verdict ok = VERDICT_OK;
	struct mailbox *m = arg;
	mailbox_cb *cb = m->when_cb;

	(void)fd;
	(void)what;
	m->when_cb = NULL;
	if (cb != NULL && !m->closed)
		cb(&ok, m->when_arg);
}

void
mailbox_when_written(struct mailbox *m, size_t below, mailbox_cb *cb, void *arg)
{
	struct batch *batch;

	event_del(m->when_event);
	m->when_cb = cb;
	m->when_arg = arg;
	m->when_below = below;
	if (m->unwritten < below) {
		event_active(m->when_event, EV_TIMEOUT, 0);
		return;
	}
	TAILQ_FOREACH (batch, &m->batches, link)
		batch_push(batch);
}

void
mailbox_add_unwritten(struct mailbox *m, size_t octets)
{
	m->unwritten += octets;
}

void
mailbox_sub_unwritten(struct mailbox *m, size_t octets)
{
	m->unwritten -= octets;
	if (m->when_cb != NULL && !m->closed && m->unwritten < m->when_below)
		event_active(m->when_event, EV_TIMEOUT, 0);
}
