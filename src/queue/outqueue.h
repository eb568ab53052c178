#ifndef POSTRIDER_QUEUE_OUTQUEUE_H
#define POSTRIDER_QUEUE_OUTQUEUE_H

#include "base/verdict.h"
#include "store/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct envelope_request; /* proto/rfc5322_envelope.h: what the header asks for */
struct store;
struct outqueue;

/*
 * The spool and the queue on disk: files dropped into SPOOL/, claimed into SPOOL/queue/, failed
 * into SPOOL/failed/, and the rows of the state database that say who is to get what.  Calls for
 * the loop's thread that never block, answered by callbacks in later turns.
 *
 * A message passes through these states; a kill between any two system calls leaves one of them:
 *
 *   dropped   SPOOL/NAME, not ours yet
 *   claimed   queue/ID (renamed, or copied and made durable), no row
 *   queued    a row with its recipients, durable; a copied original is removed only after that,
 *             and a start recognises an original whose copy is queued (device, inode, size, mtime)
 *   decided   every recipient's fate is in the database, durable
 *   gone      queue/ID removed, then the row
 *
 * At start: queue/ files without a row are claimed messages, rows whose file was taken away by hand
 * are dropped with a word in the log, decided ones are finished.
 */

struct outqueue_handler {
	/*
	 * A file was claimed, or found claimed at start, and its header read.  The owner answers,
	 * now or later, with outqueue_admit() or outqueue_reject().  why->kind is FAIL_NONE, or
	 * says why it cannot be a message (unreadable, binary, no header): then only reject makes
	 * sense. All borrowed for the call.
	 */
	void (*claimed)(const char *id, const char *name, uint64_t size,
	    const struct envelope_request *request, const struct verdict *why, void *arg);

	/* The message has come into the queue, durably: the account may have something to do. */
	void (*queued)(const char *account, const char *id, void *arg);

	/* It was there before, and may be lent again: released, or its fate recorded at last. */
	void (*freed)(const char *account, const char *id, void *arg);

	/* What an earlier run left in the queue is known: outqueue_totals() counts. */
	void (*recovered)(void *arg);

	/* A message has come to failed/NAME. */
	void (*failed)(
	    const char *account, const char *id, const char *name, const char *reason, void *arg);
};

struct outqueue_settings {
	struct store *store;      /* borrowed until outqueue_close(), as is the handler */
	const char *spool;        /* copied */
	const char *local_domain; /* copied; completes addresses without a domain; NULL: none */
	const struct outqueue_handler *handler;
	void *arg;
};

/*
 * Makes SPOOL, SPOOL/queue and SPOOL/failed (0700 where it makes them), recovers what an earlier
 * run left, then watches: inotify, a rescan every five minutes and after an overflow, a thousand
 * names at a time.  NULL with why (FAIL_LOCAL) when the directories cannot be had.
 */
struct outqueue *outqueue_open(const struct outqueue_settings *settings, struct verdict *why);

/*
 * Not from inside a callback.  No callback runs any more, and lent messages are the caller's to
 * free.  What was submitted is finished, at the latest by store_close(), which must follow.  Sets
 * the pointer to NULL.
 */
void outqueue_close(struct outqueue **queue);

/* True once the spool has been looked at: from then on what is dropped there is noticed. */
bool outqueue_is_watching(const struct outqueue *queue);

/* After a reload: for what is claimed from now on.  Copied, NULL: none. */
void outqueue_set_local_domain(struct outqueue *queue, const char *local_domain);

/*
 * Claims what is in the spool now, without waiting for files to settle (--once); what somebody has
 * open for writing, and where that cannot be told what changed within a minute, stays.  done() when
 * every message claimed is queued, or failed to be.  One at a time.
 */
void outqueue_drain(struct outqueue *queue, void (*done)(void *arg), void *arg);

/*
 * done() when nothing is on its way any more: no claim without a row, no file that leaves, no copy
 * or report to be written.  clean: nothing had to be left for later, for the disk's sake.  One at a
 * time.
 */
void outqueue_when_idle(struct outqueue *queue, void (*done)(bool clean, void *arg), void *arg);

/* Something is on its way: claims, files that leave, copies and reports.  For who measures. */
bool outqueue_is_busy(const struct outqueue *queue);

/* -- what the owner decides about a claimed message ---------------------------------- */

struct outqueue_admission {
	const char *id;
	const char *account;
	const char *sender;            /* reverse-path, "" is the null sender */
	const char *const *recipients; /* NULL-terminated, at least one */
	int64_t not_before;            /* wall ms, 0: now */
	bool bounce;                   /* a report of ours, which never bounces itself */
};
void outqueue_admit(struct outqueue *queue, const struct outqueue_admission *admission);

/* To failed/NAME, with NAME.reason; a reason is plain text for people. */
void outqueue_reject(struct outqueue *queue, const char *id, const char *reason);

/* -- what is due --------------------------------------------------------------------- */

enum outqueue_state { OUTQUEUE_PENDING, OUTQUEUE_SENT, OUTQUEUE_FAILED, OUTQUEUE_UNKNOWN };

struct outqueue_recipient {
	char *address;
	enum outqueue_state state;
	char *reply; /* the server's last words about it, escaped; NULL: none */
};

/*
 * A message lent to the owner: nobody else is given it until outqueue_decide() or _return().
 * When it is lent because a person wants it now, unknown_until is 0.
 */
struct outmessage {
	char id[32];
	char *name; /* as it was dropped */
	char *account;
	char *sender;
	uint64_t size;
	int64_t queued;        /* wall ms */
	int64_t next_attempt;  /* wall ms */
	int64_t not_before;    /* wall ms; its sender asked for that, 0: does not matter any more */
	int64_t first_tried;   /* wall ms of the first attempt that reached MAIL, 0: none */
	unsigned attempts;     /* that reached MAIL */
	unsigned unknowns;     /* in a row */
	int64_t unknown_until; /* wall ms; whose state is UNKNOWN is not tried before, 0: due */
	int64_t warned;        /* wall ms of the last delay notice, 0: none */
	bool bounce;
	uint64_t wire_size;    /* about, with CRLF as line ends */
	uint64_t longest_line; /* octets (RFC 5322 section 2.1.1) */
	bool is_8bit;          /* octets beyond ASCII: 8BITMIME */
	bool has_utf8_header;  /* SMTPUTF8 (RFC 6532) */
	struct outqueue_recipient *recipients;
	size_t recipient_count;
};

void outmessage_free(struct outmessage **message);

/*
 * Lends up to `limit` messages of the account whose next attempt is due at `now` and that are
 * neither held nor lent, the oldest next attempt first.  more: others may be due as well.
 * earliest: wall ms of the next one not yet due, 0: none.  The array's messages become the
 * callee's.
 */
typedef void outqueue_due_cb(struct outmessage **messages, size_t count, bool more,
    int64_t earliest, const struct verdict *why, void *arg);
void outqueue_due(struct outqueue *queue, const char *account, int64_t now, size_t limit,
    outqueue_due_cb *cb, void *arg);

/*
 * The same whatever they wait for, but for the time that their sender asked for: a page of them, in
 * the order of their IDs, those after the ID `after` ("" for the first page).  Not by_person: whose
 * fate is unknown goes on waiting, and so does a message that has nobody else.
 */
void outqueue_waiting(struct outqueue *queue, const char *account, int64_t now, const char *after,
    size_t limit, bool by_person, outqueue_due_cb *cb, void *arg);

/*
 * The same for one message, due or not; why says so when it is held, lent, or not there, and then
 * count is 0.
 */
void outqueue_lend(struct outqueue *queue, const char *id, outqueue_due_cb *cb, void *arg);

/*
 * Lends, due or not, messages whose senders have waited for long: since `since` or before, and last
 * told so at `told` or before (wall ms; what was never told counts as told in 1970, and so does
 * everything that reports are not written for).  A page; `more` tells that there are others.
 */
void outqueue_overdue(struct outqueue *queue, const char *account, int64_t since, int64_t told,
    size_t limit, outqueue_due_cb *cb, void *arg);

/* Gives a lent message back as it was: nothing was tried, or nothing reached MAIL. */
void outqueue_return(struct outqueue *queue, struct outmessage **message);

/* How a message's header is changed on its way out; see proto/rfc5322_rewrite.h. */
struct outreader_rewrite {
	const char *from;         /* for a message without From: an address; NULL: none */
	const char *header_from;  /* NULL: as it is */
	const char *local_domain; /* completes bare addresses; NULL: they stay */
};

/*
 * What an attempt led to.  Copied.  Recorded together with other decisions in one transaction; the
 * file leaves the queue when no recipient is pending or unknown: to failed/ when one failed,
 * otherwise it is removed.
 *
 * Copy and report are committed together with the fates, as errands; then they are carried out, in
 * the way mailbox.h has it: durable in tmp/, file name committed, renamed.  So no Maildir that is
 * full or gone keeps a fate from being recorded, and each is delivered once.  An errand that fails
 * is tried again for as long as it takes, and its message stays in queue/ until then.
 */
struct outqueue_decision {
	const struct outmessage *message; /* recipients and counts as they are now */
	int64_t next_attempt;
	bool held;              /* false leaves it as a person has put it meanwhile */
	const char *last_error; /* NULL: none */
	const char *reason;     /* for failed/NAME.reason; NULL: made from the replies */

	unsigned maildir_mode;    /* of files in both Maildirs; 0: 0600 */
	const char *sent_maildir; /* a copy of the message as it went out; NULL or "": none */
	struct outreader_rewrite sent_rewrite;

	const char *report; /* a whole message (a bounce, a notice) with LF; NULL: none */
	size_t report_len;
	const char *report_maildir; /* it goes there; NULL or "": it is queued as mail */
	bool report_has_original;   /* the original, or */
	bool report_has_header;     /* its header, is put in before report_end */
	const char *report_end;
	const char *report_account; /* by mail: account, null sender, and this recipient */
	const char *report_recipient;
};

/*
 * The fates are on stable storage; or why not: then it is tried again until it works, the message
 * is lent to nobody before, and freed() tells that it may be.
 */
typedef void outqueue_decided_cb(const struct verdict *why, void *arg);

/* Takes the message back (the pointer is set to NULL).  cb may be NULL. */
void outqueue_decide(struct outqueue *queue, const struct outqueue_decision *decision,
    struct outmessage **message, outqueue_decided_cb *cb, void *arg);

/* -- the octets ---------------------------------------------------------------------- */

/*
 * Reads a message for the wire in a thread: header rewritten (proto/rfc5322: Bcc and steering
 * fields out, Date and Message-ID in), every line end CRLF, not dot-stuffed; in pieces of at most
 * 256 KiB, the next one only when asked.
 */
struct outreader;

/* Data is borrowed for the call.  After an end, or a failure, there is nothing more to ask for. */
typedef void outreader_cb(
    const char *data, size_t len, bool end, const struct verdict *why, void *arg);

/* Strings are copied.  Added Date and Message-ID are the same each time the message is read. */
struct outreader *outreader_open(struct outqueue *queue, const struct outmessage *message,
    const struct outreader_rewrite *rewrite);
void outreader_next(struct outreader *reader, outreader_cb *cb, void *arg);
void outreader_close(struct outreader **reader); /* the callback does not run any more */

/* -- what is known of an account ----------------------------------------------------- */

typedef void outqueue_record_cb(const struct verdict *why, const struct record *record, void *arg);
void outqueue_load_record(
    struct outqueue *queue, const char *account, outqueue_record_cb *cb, void *arg);

/* Copied; nobody waits. */
void outqueue_save_record(struct outqueue *queue, const char *account, const struct record *record);

/* -- what people ask for ------------------------------------------------------------- */

typedef void outqueue_asked_cb(const struct verdict *why, void *arg);

/* An ID that is not there is FAIL_LOCAL with code ENOENT, one that is lent EBUSY. */
void outqueue_hold(struct outqueue *queue, const char *id, outqueue_asked_cb *cb, void *arg);
void outqueue_release(struct outqueue *queue, const char *id, outqueue_asked_cb *cb, void *arg);
void outqueue_remove(struct outqueue *queue, const char *id, outqueue_asked_cb *cb, void *arg);

/*
 * failed/NAME is queued again, for those recipients only that failed; when nothing is known of it,
 * or it was rejected, it is claimed anew.
 */
void outqueue_retry(struct outqueue *queue, const char *name, outqueue_asked_cb *cb, void *arg);

/*
 * One page of the queue, oldest first: rows after the ID `after` ("" for the first page).  The
 * messages are borrowed for the call.
 */
struct outqueue_row {
	const struct outmessage *message;
	bool held;
	const char *last_error;
};
typedef void outqueue_page_cb(
    const struct outqueue_row *rows, size_t count, const struct verdict *why, void *arg);
void outqueue_page(
    struct outqueue *queue, const char *after, size_t limit, outqueue_page_cb *cb, void *arg);

/* The row of one message that waits to be sent; none when it is not there. */
void outqueue_find(struct outqueue *queue, const char *id, outqueue_page_cb *cb, void *arg);

struct outqueue_totals {
	uint64_t messages, octets; /* in queue/ */
	uint64_t deferred;         /* of those: tried before, and not held */
	uint64_t held;
	uint64_t failed; /* in failed/ */
	int64_t oldest;  /* wall ms when the oldest in queue/ was queued, 0: none */
};
/* Kept in memory, always at hand.  account NULL: of all. */
void outqueue_totals(
    const struct outqueue *queue, const char *account, struct outqueue_totals *totals);

/* Calls cb for every account that ever had a message there since the start. */
void outqueue_each_account(
    const struct outqueue *queue, void (*cb)(const char *account, void *arg), void *arg);

#endif
