#ifndef POSTRIDER_QUEUE_OUTLEDGER_H
#define POSTRIDER_QUEUE_OUTLEDGER_H

#include "base/verdict.h"
#include "queue/outqueue.h"
#include "queue/outtally.h"
#include "queue/spool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outerrand;
struct state;

/*
 * The queue in the state database: messages, their recipients, what is owed for them.  State thread
 * only, inside a transaction.  False with why filled (FAIL_LOCAL) on failure; the transaction, or
 * the job's part of it, is to be undone then.  What changes the totals says so in a tally, which
 * outledger_end_tally() completes as the job's last act.
 *
 * The numbers are in the database, never change them.
 */
enum outledger_state {
	OUTLEDGER_QUEUED = 0,  /* queue/ID.NAME, recipients pending or unknown */
	OUTLEDGER_DECIDED = 1, /* every fate known: with a reason it goes to failed/, else away */
	OUTLEDGER_FAILED = 2,  /* failed/failed_name */
	OUTLEDGER_REMOVING = 3 /* a person wants it away */
};

/* A row as far as decisions about it go.  outledger_row_clear() ends it. */
struct outledger_row {
	int64_t row;
	enum outledger_state state;
	bool held;
	bool hidden;
	bool is_missing;
	char id[OUTID_SIZE];
	char *name;
	char *account;
	char *failed_name; /* NULL: none */
};
void outledger_row_clear(struct outledger_row *row);

/* By ID, or by the name in failed/.  A row that is not there is row 0, which is no failure. */
bool outledger_find(
    struct state *state, const char *id, struct outledger_row *row, struct verdict *why);
bool outledger_find_failed(
    struct state *state, const char *failed_name, struct outledger_row *row, struct verdict *why);

struct outledger_new {
	const struct spool_claim *claim;
	const char *account;
	const char *sender;
	char *const *recipients; /* NULL-terminated */
	int64_t now;
	int64_t not_before;
	bool bounce;
	enum outledger_state state;
	const char *reason;
};
bool outledger_insert(struct state *state, const struct outledger_new *message,
    struct outtally *tally, struct verdict *why);

/* What an attempt led to; the errands are NULL-terminated. */
struct outledger_decision {
	const struct outmessage *message;
	int64_t next_attempt;
	bool held;
	const char *last_error;
	const char *reason;
	struct outerrand *const *errands;
};

/* *end, when nothing is owed and the file may leave; else NULL. */
bool outledger_decide(struct state *state, const struct outledger_decision *decision,
    struct spool_end **end, struct outtally *tally, struct verdict *why);

/* The same question, asked once an errand of the message is done. */
bool outledger_get_end(
    struct state *state, int64_t row, struct spool_end **end, struct verdict *why);

/* The file is where spool_end_run() has put it. */
bool outledger_end(
    struct state *state, const struct spool_end *end, struct outtally *tally, struct verdict *why);

/* -- outledger_ask.c ----------------------------------------------------------------- */

/* `postriderctl hold, release`: a release makes it due, but for what is to wait. */
bool outledger_set_held(struct state *state, int64_t row, bool held, int64_t now,
    struct outtally *tally, struct verdict *why);

/* `postriderctl remove`: what is owed for it is dropped. */
bool outledger_set_removing(
    struct state *state, int64_t row, struct outtally *tally, struct verdict *why);

/*
 * `postriderctl retry`, its file is in queue/ again: those who failed are pending.  *known is false
 * when nobody failed, for it never was a message: the row is gone then.
 */
bool outledger_requeue(struct state *state, int64_t row, int64_t now, bool *known,
    struct outtally *tally, struct verdict *why);

/* since: wall ms, 0: it is there again. */
bool outledger_set_missing(
    struct state *state, int64_t row, int64_t since, struct outtally *tally, struct verdict *why);

/* -- outledger.c, again --------------------------------------------------------------- */

bool outledger_forget(
    struct state *state, int64_t row, struct outtally *tally, struct verdict *why);

/* All of it, at the start. */
bool outledger_load_tally(struct state *state, struct outtally *tally, struct verdict *why);
bool outledger_end_tally(struct state *state, struct outtally *tally, struct verdict *why);

/* What the row counts for now, added (sign 1) or taken away (sign -1): for around a change. */
bool outledger_count(
    struct state *state, int64_t row, int sign, struct outtally *tally, struct verdict *why);

/* -- outledger_read.c ---------------------------------------------------------------- */

/* Messages as they are lent and listed. */
struct outledger_item {
	struct outmessage *message; /* NULL once somebody took it */
	int64_t row;
	bool held;
	bool is_missing; /* filled by who looks at the disk */
	char *last_error;
};
struct outledger_list {
	struct outledger_item *items;
	size_t count;
};
void outledger_list_clear(struct outledger_list *list);

bool outledger_list_due(struct state *state, const char *account, int64_t now, size_t limit,
    struct outledger_list *list, int64_t *earliest, struct verdict *why);

/*
 * Due or not, by ID; but for those who are not to be sent before their time, and, when no person
 * wants it, those that only wait because a fate is unknown.
 */
bool outledger_list_waiting(struct state *state, const char *account, int64_t now,
    const char *after, bool by_person, size_t limit, struct outledger_list *list, int64_t *earliest,
    struct verdict *why);

/* Waiting since `since` or before, told so at `told` or before; in no order. */
bool outledger_list_overdue(struct state *state, const char *account, int64_t since, int64_t told,
    size_t limit, struct outledger_list *list, struct verdict *why);
bool outledger_list_one(
    struct state *state, const char *id, struct outledger_list *list, struct verdict *why);
bool outledger_list_page(struct state *state, const char *after, size_t limit,
    struct outledger_list *list, struct verdict *why);

/* Files whose way was interrupted, by row; *after becomes the last one. */
bool outledger_list_unfinished(struct state *state, int64_t *after, size_t limit,
    struct spool_end_list *ends, size_t *count, struct verdict *why);

/* Rows whose file should lie still, by row; *after becomes the last one. */
struct outledger_check {
	int64_t row;
	int64_t missing; /* since when, wall ms; 0: it was there */
	enum outledger_state state;
	bool is_there; /* filled by who looks at the disk */
	char id[OUTID_SIZE];
	char *name;
	char *failed_name;
};
bool outledger_list_checks(struct state *state, int64_t *after, size_t limit,
    struct outledger_check *checks, size_t *count, struct verdict *why);

#endif
