#ifndef POSTRIDER_QUEUE_OUTERRAND_PUMP_H
#define POSTRIDER_QUEUE_OUTERRAND_PUMP_H

#include "queue/outerrand.h"
#include "queue/outqueue_internal.h"

/*
 * What outerrand.c (the hops), outerrand_maildir.c and outerrand_mail.c (what the threads do)
 * share.
 *
 * One for each Maildir that was ever owed anything, and one for mail.  It carries out some errands
 * at a time, in hops between the threads, and is its own job in each.
 */
struct outerrand_pump {
	TAILQ_ENTRY(outerrand_pump) link;
	struct state_job state_job;
	struct job file_job;
	struct outqueue *queue; /* a reference while it runs */
	char *maildir;          /* "": mail */
	unsigned writer;
	bool running;
	bool again;    /* something was added meanwhile */
	bool troubled; /* some were left behind */
	bool said;     /* and the log told so */
	int64_t after; /* id of the last one seen; from the first again when it was troubled */

	struct outerrand_list errands;
	bool is_known; /* the Maildir was used before */
	struct outtally tally;
	struct delivery delivery;
	struct name_list doubtful; /* in tmp/: their intents failed to commit, and may come back */
	struct verdict why;        /* the first trouble */
};

/* -- outerrand.c ---------------------------------------------------------------------- */

/* What is done loses its row, what is lost its file's name; then as outerrand_pump_end(). */
void outerrand_pump_settle(struct outerrand_pump *pump);

/* The batch is behind us, the next one begins. */
void outerrand_pump_end(struct outerrand_pump *pump);

/* The queue was closed while a job was out: frees the pump. */
void outerrand_pump_stop(struct outerrand_pump *pump);

/* -- outerrand_maildir.c, outerrand_mail.c: the batch's way -------------------------------- */

void outerrand_maildir_begin(struct outerrand_pump *pump);
void outerrand_mail_begin(struct outerrand_pump *pump);

#endif
