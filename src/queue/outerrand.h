#ifndef POSTRIDER_QUEUE_OUTERRAND_H
#define POSTRIDER_QUEUE_OUTERRAND_H

#include "base/queue.h"
#include "base/verdict.h"
#include "queue/outid.h"
#include "queue/spool.h"
#include "store/delivery.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outqueue;
struct state;
struct outtally;

/*
 * What is owed for a message: a copy of it, or a report about it, into a Maildir or by mail.  The
 * numbers are in the database, never change them.
 */
enum outerrand_part {
	OUTERRAND_COPY = 0,     /* the message as it went out */
	OUTERRAND_TEXT = 1,     /* a report alone */
	OUTERRAND_ORIGINAL = 2, /* a report with the original before text_end */
	OUTERRAND_HEADER = 3    /* with its header */
};

/* One owner, outerrand_free().  Strings may be NULL unless said. */
struct outerrand {
	TAILQ_ENTRY(outerrand) link;
	int64_t id;
	int64_t row;   /* of its message */
	char *maildir; /* "": by mail */
	unsigned mode;
	enum outerrand_part part;
	char *text;
	size_t text_len;
	char *text_end;
	char *account; /* by mail: who sends it to whom */
	char *recipient;
	char *add_from; /* struct outreader_rewrite's */
	char *header_from;
	char *local_domain;
	char *file; /* committed: in tmp/, or published; NULL: nothing yet */
	int64_t intended;

	/* Of its message. */
	char message[OUTID_SIZE];
	char *name;
	char *sender;
	int64_t queued;

	/* While it is carried out. */
	struct delivery_file delivery;
	struct spool_claim *mail; /* by mail: what it became */
	bool is_done;             /* where it belongs, durably */
	bool is_lost;             /* its file was nowhere: it is written again */
	struct spool_end *end;    /* it was the last that was owed */
};
TAILQ_HEAD(outerrand_list, outerrand);

void outerrand_free(struct outerrand **errand);
void outerrand_list_clear(struct outerrand_list *list);

/* -- outerrand_ledger.c: state thread ------------------------------------------------- */

bool outerrand_insert(
    struct state *state, int64_t message, const struct outerrand *errand, struct verdict *why);

/* Those of a Maildir behind *after, which becomes the last one's id. */
bool outerrand_load(struct state *state, const char *maildir, int64_t *after, size_t limit,
    struct outerrand_list *list, struct verdict *why);

/* The Maildir was used before: it is not made again when it is gone. */
bool outerrand_is_known_maildir(
    struct state *state, const char *maildir, bool *known, struct verdict *why);
bool outerrand_note_maildir(struct state *state, const char *maildir, struct verdict *why);

/* Which Maildirs are owed anything: calls cb for each. */
bool outerrand_each_maildir(struct state *state, void (*cb)(const char *maildir, void *arg),
    void *arg, struct verdict *why);

/* file NULL: it has to be written again. */
bool outerrand_intend(struct state *state, int64_t id, const char *file, struct verdict *why);

/* Done.  errand->end is filled when its message may leave now. */
bool outerrand_settle(struct state *state, struct outerrand *errand, struct verdict *why);

/* Shown in the queue while it cannot be done. */
bool outerrand_complain(
    struct state *state, const struct outerrand *errand, const char *text, struct verdict *why);

/* -- outerrand_write.c: blocks, any thread -------------------------------------------- */

/*
 * Writes the errand's octets, LF as line ends, piece by piece to sink, which returns 0 or an
 * errno.  A message whose file is gone is left out of a report, with a word in its place, and fails
 * a copy (code ENOENT).
 */
typedef int outerrand_sink(const char *data, size_t len, void *arg);
bool outerrand_write(const struct outerrand *errand, const char *spool_path, outerrand_sink *sink,
    void *arg, struct verdict *why);

/* -- outerrand.c: loop ---------------------------------------------------------------- */

/* There is something to do for this Maildir, "" for mail. */
void outerrand_go(struct outqueue *queue, const char *maildir);

/* Some are being carried out. */
bool outerrand_is_running(const struct outqueue *queue);

/* Some failed, and wait to be tried again. */
bool outerrand_is_troubled(const struct outqueue *queue);

/* Errands that failed are tried again. */
void outerrand_tick(struct outqueue *queue);
void outerrand_close(struct outqueue *queue);

#endif
