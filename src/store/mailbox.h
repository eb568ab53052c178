#ifndef POSTRIDER_STORE_MAILBOX_H
#define POSTRIDER_STORE_MAILBOX_H

#include "base/verdict.h"
#include "store/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct event_base;
struct listing;

/*
 * What is on disk for fetched mail: the state database and the Maildirs, behind calls for the
 * loop's thread that never block.  Each call hands work to a thread and is answered by its
 * callback, in the loop's thread, never from inside the call.
 *
 * A batch becomes durable in this order, so that a kill or power cut between any two steps loses
 * no message and stores none twice:
 *
 *   write   each message into tmp/NAME (O_EXCL), digest taken on the way      writer thread
 *   flush   files and the entries in tmp/ onto stable storage                 writer thread
 *   intend  rows (uid, occurrence, size, digest, NAME), one transaction       state thread
 *   publish rename tmp/NAME to new/NAME, flush new/                           writer thread
 *   mark    the rows are stored                                              state thread
 *
 * Recovery (in mailbox_prepare(), before every session): for each row still intended, tmp/NAME
 * there means rename it; gone means it was renamed and is stored, wherever a reader has moved it
 * since; only when the intent is older than 36 hours and the file is in neither new/ nor cur/ is
 * the row dropped, so that the message is fetched again, which the log says.
 */
struct store;

/*
 * Creates the state directory (0700), takes its lock (a second holder is FAIL_LOCAL, code
 * EWOULDBLOCK, the text names the holder's pid), opens the database.  Blocks: at start only.
 * NULL with why filled on failure.
 */
struct store *store_open(struct event_base *base, const char *directory, struct verdict *why);

/* After every mailbox is closed.  Finishes what was submitted.  Sets the pointer to NULL. */
void store_close(struct store **store);

struct mailbox;
struct mailbox_settings {
	const char *account;
	const char *maildir;
	mode_t mode;       /* of message files; directories get x where there is r */
	int64_t forget_ms; /* how long a vanished uid is remembered: 90 days, or keep if longer */
};

/* Strings are copied.  Does no I/O yet. */
struct mailbox *mailbox_open(struct store *store, const struct mailbox_settings *settings);

/* No callback of this mailbox runs after this; open work is finished in the threads. */
void mailbox_close(struct mailbox **mailbox);

/* why->kind is FAIL_NONE for success in every callback; borrowed for the call. */
typedef void mailbox_cb(const struct verdict *why, void *arg);

/* The account's record; zeroes when it has none. */
typedef void mailbox_record_cb(const struct verdict *why, const struct record *record, void *arg);
void mailbox_load(struct mailbox *mailbox, mailbox_record_cb *cb, void *arg);

/* Saves the record.  With a NULL callback nobody waits. */
void mailbox_save(struct mailbox *mailbox, const struct record *record, mailbox_cb *cb, void *arg);

/*
 * Before a session: creates the Maildir on the account's very first use (tmp new cur, 0700 or as
 * the mode says; parents 0700), else checks that it is the directory the state knows (device and
 * inode; tmp, new, cur there), then recovers intents, once batches on their way have ended.
 * FAIL_LOCAL with hint HINT_SYS_PERM and a text naming `postriderctl adopt` when it is gone or
 * another.
 */
void mailbox_prepare(struct mailbox *mailbox, mailbox_cb *cb, void *arg);

/* Accepts the Maildir as it is now (creating it when it is gone); then as mailbox_prepare(). */
void mailbox_adopt(struct mailbox *mailbox, mailbox_cb *cb, void *arg);

struct mailbox_matched {
	const struct verdict *why;
	size_t fresh;  /* LISTED_NEW and LISTED_COMPARE */
	bool migrated; /* nothing in common with the last listing, which was not empty */
};
typedef void mailbox_matched_cb(const struct mailbox_matched *matched, void *arg);

/*
 * Matches the listing against what is known and notes what vanished and what came back:
 *   row (uid, occurrence, size) stored             -> LISTED_SEEN, LISTED_ADOPTED
 *   such a row that we deleted, or whose QUIT went
 *   unanswered; or a row with another size          -> LISTED_COMPARE
 *   nothing known                                   -> LISTED_NEW
 * When there are stored rows and none of them is listed (a moved maildrop; migrated says whether
 * any was listed the last time, or it was empty), every new message is LISTED_COMPARE; and so with
 * each listing until all rows of that time have been found again or forgotten.
 * Rows of our own answered deletions that are not listed are forgotten; other vanished rows after
 * forget_ms.  keep_ms >= 0 sets `expired` for seen messages fetched at least that long ago, by the
 * age clock.  A listing that was cut (listing_beyond()) lets nothing vanish.  The listing stays the
 * caller's, untouched by it until the callback; freeing it earlier is allowed.
 */
void mailbox_match(struct mailbox *mailbox, struct listing *listing, int64_t keep_ms,
    mailbox_matched_cb *cb, void *arg);

/*
 * Without UIDL: every message is LISTED_COMPARE, by number within this session.  FAIL_SERVER when
 * adopted messages were listed the last time, for they might be fetched and deleted.
 */
void mailbox_match_by_number(
    struct mailbox *mailbox, struct listing *listing, mailbox_matched_cb *cb, void *arg);

/*
 * `adopt ACCOUNT *`: every listed message that is not known becomes seen without being fetched.
 * Such a row has no digest and matches as LISTED_ADOPTED.
 */
void mailbox_mark_seen(struct mailbox *mailbox, struct listing *listing, mailbox_cb *cb, void *arg);

/*
 * Incoming messages.  A batch collects them in order; octets given to it are copied and written by
 * the writer thread.  One message of a batch is open at a time; many batches may be under way.
 */
struct batch;

struct batch *batch_new(struct mailbox *mailbox);

/* Begins message `number` of the listing (uid, occurrence, size and match are taken from it). */
void batch_begin(struct batch *batch, const struct listing *listing, uint32_t number);
void batch_append(struct batch *batch, const void *data, size_t len);

/*
 * Right after batch_begin(): octets of our own (a Received field) that are stored and counted in
 * S= but not in the digest, so that the server's octets are recognised when they are fetched again.
 */
void batch_preface(struct batch *batch, const void *data, size_t len);

/*
 * A buffer of at least `room` octets to decode straight into, then how many were put there: spares
 * the copy of batch_append().
 */
char *batch_reserve(struct batch *batch, size_t room);
void batch_added(struct batch *batch, size_t len);

/* The message is whole; or it is not and its file goes. */
void batch_end(struct batch *batch);
void batch_abort(struct batch *batch);

size_t batch_count(const struct batch *batch);    /* whole messages */
uint64_t batch_octets(const struct batch *batch); /* of whole messages, as stored */

/* Octets that the writer has not written yet, over all batches of the mailbox. */
size_t mailbox_unwritten(const struct mailbox *mailbox);

/* Called once, when mailbox_unwritten() has fallen below `below`.  Replaces an earlier wish. */
void mailbox_when_written(struct mailbox *mailbox, size_t below, mailbox_cb *cb, void *arg);

enum batch_fate {
	BATCH_STORED, /* durable in the Maildir: DELE is allowed */
	BATCH_KNOWN,  /* the same octets are stored already: DELE is allowed */
	BATCH_LOST    /* not stored, as far as known: fetch it again after mailbox_prepare() */
};

struct batch_item {
	uint32_t number;
	enum batch_fate fate;
	int64_t row; /* of the state database, when not lost */
	uint64_t octets;
	const char *file; /* name below new/, for hooks and the log; NULL when not STORED */
};

struct batch_result {
	const struct verdict *why; /* FAIL_NONE, or the reason of every BATCH_LOST */
	const struct batch_item *items;
	size_t count;
};
typedef void batch_cb(const struct batch_result *result, void *arg);

/*
 * Makes the whole messages durable and frees the batch (the pointer is set to NULL); an open
 * message is aborted.  A flush that failed is never retried: the batch is dropped.  After a
 * failure behind the intents every further batch is refused until mailbox_prepare().
 */
void batch_commit(struct batch **batch, batch_cb *cb, void *arg);

/* Drops everything: files are removed, nothing is recorded. */
void batch_drop(struct batch **batch);

/*
 * Deletion on the server.  Before QUIT: the rows are `expunging`, durably, so that an unanswered
 * QUIT is known after a crash.  After +OK to QUIT: `expunged`.  Rows are copied.
 */
void mailbox_expunging(
    struct mailbox *mailbox, const int64_t *rows, size_t count, mailbox_cb *cb, void *arg);
void mailbox_expunged(
    struct mailbox *mailbox, const int64_t *rows, size_t count, mailbox_cb *cb, void *arg);

#endif
