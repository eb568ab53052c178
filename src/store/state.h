#ifndef POSTRIDER_STORE_STATE_H
#define POSTRIDER_STORE_STATE_H

#include "base/verdict.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The state database: SQLite in DIRECTORY/state.db.  Everything here blocks and belongs to one
 * thread at a time, the state thread once the store is open.  FAIL_LOCAL in every failure.
 *
 * A message's row lives through these states; the numbers are in the database, never change them.
 */
enum message_state {
	MESSAGE_INTENDED = 0,  /* durable in tmp/; whether it is in new/ only recovery tells */
	MESSAGE_STORED = 1,    /* durable in the Maildir, or adopted: digest is NULL then */
	MESSAGE_EXPUNGING = 2, /* DELE sent, QUIT not answered */
	MESSAGE_EXPUNGED = 3   /* deleted on the server by us, QUIT answered +OK */
};

struct state;

/* Opens or creates the database and brings its schema up to date.  NULL on failure. */
struct state *state_open(const char *directory, struct verdict *why);
void state_close(struct state **state);

/* One transaction at a time; inside it, one savepoint at a time. */
bool state_begin(struct state *state, struct verdict *why);

/* After a failure nothing of it is visible, but a crash right now may still bring it back. */
bool state_commit(struct state *state, struct verdict *why);
void state_rollback(struct state *state);
bool state_mark(struct state *state, struct verdict *why);
void state_keep(struct state *state);
bool state_undo(struct state *state); /* false: the whole transaction must be rolled back */

/* False when SQLite has dropped the whole transaction for an error (full disk, I/O error). */
bool state_in_transaction(const struct state *state);

/*
 * The compiled statement for sql, which must be a string literal: it is compiled once and found
 * again by its address.  Reset, bindings cleared.  NULL with why filled on failure.
 */
sqlite3_stmt *state_query(struct state *state, const char *sql, struct verdict *why);

/* Runs a statement that returns no row. */
bool state_run(struct state *state, sqlite3_stmt *query, struct verdict *why);

/* True for a row; false at the end or, with why->kind set, on failure: reset in both cases. */
bool state_next(struct state *state, sqlite3_stmt *query, struct verdict *why);

/* Of the last statement that ran. */
int64_t state_inserted_row(const struct state *state);
int state_changed_rows(const struct state *state);

/* Fills why from the last error of the database.  Returns false. */
bool state_fault(struct state *state, struct verdict *why);

/* The age clock, advanced to this moment; see store/ages.h. */
int64_t state_now(struct state *state);

/* Advances the age clock and writes it down, in the transaction. */
bool state_save_now(struct state *state, struct verdict *why);

#endif
