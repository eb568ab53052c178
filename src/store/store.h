#ifndef POSTRIDER_STORE_STORE_H
#define POSTRIDER_STORE_STORE_H

#include "base/queue.h"
#include "base/verdict.h"
#include "base/worker.h"
#include "store/mailbox.h"
#include "store/maildir.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event;
struct event_base;
struct state;

/*
 * What store.c, mailbox.c, prepare.c and batch.c share; nobody else includes this.
 *
 * All of it belongs to the loop's thread, save what a job is given.  A job that is submitted
 * belongs to its thread until done() brings it back.
 */
enum { STORE_WRITERS = 4 };

struct mailbox;
TAILQ_HEAD(mailbox_list, mailbox);

struct store {
	struct event_base *base;
	struct state *state;         /* the state thread's, once it runs */
	struct worker *state_thread; /* NULL while closing: its jobs run at once, as the writers' */
	struct worker *writers[STORE_WRITERS];
	int lock_fd;
	struct mailbox_list mailboxes;
};

/*
 * A job of the state thread.  Everything that waits runs in one transaction, each job in a
 * savepoint of its own; a job succeeds only when the transaction does.
 */
struct state_job {
	struct job job;
	const char *step; /* the kill point before its commit */
	bool (*apply)(struct state *state, struct state_job *job); /* false: fills why */
	struct verdict why;
	bool doubtful; /* COMMIT failed: a crash right now may still bring it back */
};

void store_submit_state(struct store *store, struct state_job *job, void (*done)(struct job *job));
void store_submit_file(struct store *store, unsigned writer, struct job *job,
    void (*run)(struct job *job), void (*done)(struct job *job));

struct prepare;
TAILQ_HEAD(prepare_list, prepare);
TAILQ_HEAD(batch_list, batch);

/* Names of files in tmp/ whose intents failed to commit; see struct state_job's doubtful. */
struct name_list {
	char **names;
	size_t count;
};

void name_list_add(struct name_list *list, const char *name);
void name_list_clear(struct name_list *list);

/* Counted references: the caller's until mailbox_close(), and one of each open piece of work. */
struct mailbox {
	struct store *store;
	TAILQ_ENTRY(mailbox) link;
	size_t refs;
	bool closed; /* no callback any more */
	char *account;
	char *path;
	mode_t mode;
	int64_t forget_ms;
	unsigned writer;

	bool prepared; /* identity is valid */
	bool swept;    /* tmp/ was looked through since the start */
	struct maildir_identity identity;
	bool needs_recovery;         /* an intent of this run did not reach its end */
	size_t committing;           /* batches on their way */
	struct prepare_list waiting; /* prepares that wait for those */
	struct name_list doubtful;
	struct batch_list batches; /* still being filled */

	size_t unwritten;
	size_t when_below;
	mailbox_cb *when_cb;
	void *when_arg;
	struct event *when_event;
};

struct mailbox *mailbox_ref(struct mailbox *mailbox);
void mailbox_unref(struct mailbox **mailbox);

/* Octets handed to the writer, and back. */
void mailbox_add_unwritten(struct mailbox *mailbox, size_t octets);
void mailbox_sub_unwritten(struct mailbox *mailbox, size_t octets);

/* A batch has come to its end: prepares that waited for it go on. */
void mailbox_end_commit(struct mailbox *mailbox);

/* Any batch of the account on its way, through another mailbox of the same name as well. */
bool mailbox_is_committing(const struct mailbox *mailbox);

/* Hands over what a batch has in its buffer. */
void batch_push(struct batch *batch);

#endif
