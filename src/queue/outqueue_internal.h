#ifndef POSTRIDER_QUEUE_OUTQUEUE_INTERNAL_H
#define POSTRIDER_QUEUE_OUTQUEUE_INTERNAL_H

#include "base/queue.h"
#include "base/worker.h"
#include "queue/outqueue.h"
#include "queue/outtally.h"
#include "queue/spool.h"
#include "store/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What the files of the queue share; nobody else includes this.  All of it belongs to the loop's
 * thread, save what a job is given.  A piece of work holds a reference while its job is out; when
 * the queue was closed meanwhile it is let go where it stands: what it left on disk, the next start
 * finishes.
 */
struct event;

/* Work that failed for the disk's sake, tried again every few seconds. */
struct outlater {
	TAILQ_ENTRY(outlater) link;
	void (*again)(struct outlater *later); /* frees what it belongs to, once closed */
};
TAILQ_HEAD(outlater_list, outlater);

struct outwatch;
struct outstart;
struct outerrand_pump;
struct outlend;
TAILQ_HEAD(outerrand_pump_list, outerrand_pump);
TAILQ_HEAD(outlend_list, outlend);

struct outqueue {
	struct store *store;
	const struct outqueue_handler *handler;
	void *arg;
	char *path;
	char *local_domain;
	size_t refs;
	bool closed;
	bool ready; /* interrupted work of the last run is under way: messages may be lent */

	struct spool *spool;         /* the spool thread's */
	struct worker *spool_thread; /* NULL while closing */
	struct worker *reader_thread;
	struct outtally totals;
	struct outlater_list later;
	struct event *later_event;

	struct outwatch *watch;    /* outwatch.c */
	struct outstart *start;    /* outstart.c; NULL when it is over */
	struct event *check_event; /* outcheck.c */
	bool checking;
	void *claims;        /* outclaim.c, by ID */
	size_t claim_count;  /* in hand */
	size_t claims_stuck; /* of those: answered, but not to be recorded now */
	void *lent;          /* outlend.c, by ID */
	size_t lent_count;
	struct outlend_list early;  /* asked for before it was ready */
	struct spool_end_list ends; /* outend.c: waiting */
	bool ending;
	size_t stuck;                     /* pieces of work that wait for the disk to be mended */
	struct outerrand_pump_list pumps; /* outerrand.c */

	struct event *idle_event;            /* outidle.c */
	void (*idle)(bool clean, void *arg); /* NULL: nobody waits */
	void *idle_arg;
};

#define OUTQUEUE_CONTAINER(pointer, type, member)                                                  \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

enum { OUTQUEUE_CLAIMS_MAX = 1000 };

struct outqueue *outqueue_ref(struct outqueue *queue);
void outqueue_unref(struct outqueue **queue);

void outqueue_submit_spool(struct outqueue *queue, struct job *job, void (*run)(struct job *job),
    void (*done)(struct job *job));
void outqueue_submit_reader(struct outqueue *queue, struct job *job, void (*run)(struct job *job),
    void (*done)(struct job *job));

/* again() runs some seconds later, or when the queue closes. */
void outqueue_try_later(
    struct outqueue *queue, struct outlater *later, void (*again)(struct outlater *later));

/* Adds up what a committed job has changed, and clears it. */
void outqueue_take_tally(struct outqueue *queue, struct outtally *changes);

/* -- outidle.c ----------------------------------------------------------------------- */

void outidle_open(struct outqueue *queue);
void outidle_close(struct outqueue *queue);

/* Something has come to its end. */
void outidle_check(struct outqueue *queue);

/* -- outwatch.c: what is dropped ------------------------------------------------------ */

void outwatch_open(struct outqueue *queue);
void outwatch_close(struct outqueue *queue);

/* There is room for claims again, or the start is over. */
void outwatch_wake(struct outqueue *queue);

/* The last outqueue_drain() left something, for a fault's sake. */
bool outwatch_is_troubled(const struct outqueue *queue);

/* -- outclaim.c: messages in hand ----------------------------------------------------- */

/* Asks the owner what is to become of it.  Takes the claim. */
void outclaim_begin(struct outqueue *queue, struct spool_claim *claim);
void outclaim_close(struct outqueue *queue);
bool outclaim_has(const struct outqueue *queue, const char *id);

/* -- outend.c: files that leave, or are revealed --------------------------------------- */

/* Takes the end. */
void outend_add(struct outqueue *queue, struct spool_end *end);
void outend_close(struct outqueue *queue);
bool outend_is_idle(const struct outqueue *queue);

/* -- outlend.c ------------------------------------------------------------------------ */

/* What was asked before the queue was ready is answered now. */
void outlend_begin(struct outqueue *queue);

/* The same, when it cannot become ready now. */
void outlend_refuse(struct outqueue *queue, const struct verdict *why);
void outlend_close(struct outqueue *queue);
bool outlend_has(const struct outqueue *queue, const char *id);
void outlend_start(struct outqueue *queue, const char *id);
void outlend_end(struct outqueue *queue, const char *id);

/* -- outstart.c ------------------------------------------------------------------------ */

void outstart_open(struct outqueue *queue);

/* An end or a claim has come to its own. */
void outstart_continue(struct outqueue *queue);

/* It waits for the disk to be mended. */
bool outstart_is_stuck(const struct outqueue *queue);
void outstart_close(struct outqueue *queue);

/* -- outcheck.c: are the files still there? --------------------------------------------- */

void outcheck_open(struct outqueue *queue);
void outcheck_begin(struct outqueue *queue);
void outcheck_close(struct outqueue *queue);

/* The message's file was not there.  Says so in the log. */
void outcheck_miss(struct outqueue *queue, const char *id, const char *name);

#endif
