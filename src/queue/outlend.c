#include "queue/outqueue_internal.h"

#include "base/str.h"
#include "base/xalloc.h"
#include "queue/outledger.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * A question for messages: rows from the state thread, then a look whether the files are there.
 *
 * A row that was listed is lent in the very turn that brings the list.  The state thread hands back
 * what it did in order, so until then whatever is decided later than the list was made still counts
 * as lent; once another thread has had the list in hand, that is not so any more.
 */
struct outlend {
	struct state_job state_job;
	struct job file_job;
	TAILQ_ENTRY(outlend) link; /* of those who asked early */
	struct outqueue *queue;    /* a reference */
	char *account;             /* or */
	char *id;
	int64_t now;
	char *after;         /* NULL: only those due */
	bool by_person;      /* who is in doubt is not to wait */
	bool overdue;        /* those whose senders wait to be told */
	int64_t since, told; /* of them */
	size_t limit;
	size_t lent; /* so many of the rows may be lent already */
	outqueue_due_cb *cb;
	void *arg;

	struct outledger_list list;
	size_t chosen; /* so many of the list's are lent: its first ones */
	bool more;     /* others are due as well */
	int64_t earliest;
	struct verdict why;
};

static int
compare_ids(const void *a, const void *b)
{
	return strcmp(a, b);
}

bool
outlend_has(const struct outqueue *q, const char *id)
{
	return tfind(id, &q->lent, compare_ids) != NULL;
}

void
outlend_start(struct outqueue *q, const char *id)
{
	char *key = xstrdup(id);

	if (tsearch(key, &q->lent, compare_ids) == NULL)
		abort(); /* malloc(3) failed: as xalloc.h has it */
	q->lent_count++;
}

void
outlend_end(struct outqueue *q, const char *id)
{
	void *found = tfind(id, &q->lent, compare_ids);
	char *key;

	if (found == NULL)
		return;
	key = *(char **)found;
	tdelete(id, &q->lent, compare_ids);
	free(key);
	q->lent_count--;
}

static void
lend_free(struct outlend *l)
{
	outledger_list_clear(&l->list);
	outqueue_unref(&l->queue);
	free(l->account);
	free(l->after);
	free(l->id);
	free(l);
}

void
outlend_close(struct outqueue *q)
{
	struct outlend *l;

	while ((l = TAILQ_FIRST(&q->early)) != NULL) {
		TAILQ_REMOVE(&q->early, l, link);
		lend_free(l);
	}
	while (q->lent != NULL)
		outlend_end(q, *(char **)q->lent);
}

/* Why the one message that was asked for cannot be had. */
static void
explain(struct outlend *l)
{
	const struct outledger_item *item = l->list.count > 0 ? &l->list.items[0] : NULL;

	if (item == NULL || item->is_missing) {
		verdict_fail(
		    &l->why, FAIL_LOCAL, "queue", "message %s is not waiting in the queue", l->id);
		l->why.code = ENOENT;
	} else if (item->held) {
		verdict_fail(
		    &l->why, FAIL_LOCAL, "queue", "message %s is held; release it first", l->id);
		l->why.code = EPERM;
	} else {
		verdict_fail(
		    &l->why, FAIL_LOCAL, "queue", "message %s is being delivered right now", l->id);
		l->why.code = EBUSY;
	}
}

/* Lends of the rows those that may be, up to the limit, and forgets the others. */
static void
choose(struct outlend *l)
{
	struct outledger_list *list = &l->list;
	struct outqueue *q = l->queue;

	l->more = l->id == NULL && list->count == l->limit + l->lent;
	for (size_t i = 0; i < list->count; i++) {
		struct outledger_item *item = &list->items[i];

		if (item->held || outlend_has(q, item->message->id))
			continue;
		if (l->chosen == l->limit) {
			l->more = true;
			break;
		}
		outlend_start(q, item->message->id);
		if (i != l->chosen) {
			struct outledger_item other = list->items[l->chosen];

			list->items[l->chosen] = *item;
			*item = other;
		}
		l->chosen++;
	}
}

static void
answer(struct outlend *l)
{
	struct outmessage **messages = xcalloc(l->chosen + 1, sizeof *messages);
	struct outqueue *q = l->queue;
	size_t count = 0;

	for (size_t i = 0; i < l->chosen; i++) {
		struct outledger_item *item = &l->list.items[i];

		if (item->is_missing) {
			outcheck_miss(q, item->message->id, item->message->name);
			outlend_end(q, item->message->id);
			continue;
		}
		if (l->by_person)
			item->message->unknown_until = 0;
		messages[count++] = item->message;
		item->message = NULL;
	}
	if (l->id != NULL && count == 0 && l->why.kind == FAIL_NONE)
		explain(l);
	l->cb(messages, count, l->more, l->earliest, &l->why, l->arg);
	free(messages);
}

static void
on_looked_at(struct job *job)
{
	struct outlend *l = OUTQUEUE_CONTAINER(job, struct outlend, file_job);

	if (!l->queue->closed)
		answer(l);
	lend_free(l);
}

static void
run_look_at(struct job *job)
{
	struct outlend *l = OUTQUEUE_CONTAINER(job, struct outlend, file_job);
	char file[SPOOL_FILE_SIZE];

	for (size_t i = 0; i < l->chosen; i++) {
		struct outledger_item *item = &l->list.items[i];
		char *path = xasprintf("%s/queue/%s", l->queue->path,
		    spool_file(file, item->message->id, item->message->name));

		item->is_missing =
		    faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
		free(path);
	}
}

static void
on_listed(struct job *job)
{
	struct outlend *l = OUTQUEUE_CONTAINER(job, struct outlend, state_job.job);

	l->why = l->state_job.why;
	if (l->queue->closed) {
		lend_free(l);
		return;
	}
	if (l->why.kind != FAIL_NONE)
		outledger_list_clear(&l->list);
	choose(l);
	outqueue_submit_reader(l->queue, &l->file_job, run_look_at, on_looked_at);
}

static bool
apply_list(struct state *state, struct state_job *job)
{
	struct outlend *l = OUTQUEUE_CONTAINER(job, struct outlend, state_job);

	if (l->id != NULL)
		return outledger_list_one(state, l->id, &l->list, &job->why);
	if (l->overdue)
		return outledger_list_overdue(
		    state, l->account, l->since, l->told, l->limit + l->lent, &l->list, &job->why);
	if (l->after != NULL)
		return outledger_list_waiting(state, l->account, l->now, l->after, l->by_person,
		    l->limit + l->lent, &l->list, &l->earliest, &job->why);
	return outledger_list_due(
	    state, l->account, l->now, l->limit + l->lent, &l->list, &l->earliest, &job->why);
}

static void
start(struct outlend *l)
{
	if (!l->queue->ready) {
		TAILQ_INSERT_TAIL(&l->queue->early, l, link);
		return;
	}
	l->lent = l->queue->lent_count;
	l->state_job.step = "list-commit";
	l->state_job.apply = apply_list;
	store_submit_state(l->queue->store, &l->state_job, on_listed);
}

void
outlend_begin(struct outqueue *q)
{
	struct outlend *l;

	while ((l = TAILQ_FIRST(&q->early)) != NULL) {
		TAILQ_REMOVE(&q->early, l, link);
		start(l);
	}
}

void
outlend_refuse(struct outqueue *q, const struct verdict *why)
{
	struct outlend_list asked = TAILQ_HEAD_INITIALIZER(asked);
	struct outlend *l;

	TAILQ_CONCAT(
	    &asked, &q->early, link); /* whoever asks again is answered with the next try */
	while ((l = TAILQ_FIRST(&asked)) != NULL) {
		TAILQ_REMOVE(&asked, l, link);
		l->why = *why;
		if (!q->closed)
			answer(l);
		lend_free(l);
	}
}

static struct outlend *
lend_new(struct outqueue *q, size_t limit, outqueue_due_cb *cb, void *arg)
{
	struct outlend *l = xcalloc(1, sizeof *l);

	l->queue = outqueue_ref(q);
	l->limit = limit;
	l->cb = cb;
	l->arg = arg;
	return l;
}

void
outqueue_due(struct outqueue *q, const char *account, int64_t now, size_t limit,
    outqueue_due_cb *cb, void *arg)
{
	struct outlend *l = lend_new(q, limit, cb, arg);

	l->account = xstrdup(account);
	l->now = now;
	start(l);
}

void
outqueue_waiting(struct outqueue *q, const char *account, int64_t now, const char *after,
    size_t limit, bool by_person, outqueue_due_cb *cb, void *arg)
{
	struct outlend *l = lend_new(q, limit, cb, arg);

	l->account = xstrdup(account);
	l->now = now;
	l->after = xstrdup(after);
	l->by_person = by_person;
	start(l);
}

void
outqueue_lend(struct outqueue *q, const char *id, outqueue_due_cb *cb, void *arg)
{
	struct outlend *l = lend_new(q, 1, cb, arg);

	l->id = xstrdup(id);
	l->by_person = true;
	start(l);
}

void
outqueue_overdue(struct outqueue *q, const char *account, int64_t since, int64_t told, size_t limit,
    outqueue_due_cb *cb, void *arg)
{
	struct outlend *l = lend_new(q, limit, cb, arg);

	l->account = xstrdup(account);
	l->overdue = true;
	l->since = since;
	l->told = told;
	start(l);
}

void
outqueue_return(struct outqueue *q, struct outmessage **message)
{
	outlend_end(q, (*message)->id);
	outmessage_free(message);
}
