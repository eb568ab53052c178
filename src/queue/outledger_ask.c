#include "queue/outledger.h"

#include "store/state.h"

#include <stdlib.h>

/* Runs a statement on ?1, and on ?2 where it has one, and counts the row anew. */
static bool
change(struct state *state, sqlite3_stmt *query, int64_t row, const int64_t *value,
    struct outtally *tally, struct verdict *why)
{
	if (query == NULL || !outledger_count(state, row, -1, tally, why))
		return false;
	sqlite3_bind_int64(query, 1, row);
	if (value != NULL)
		sqlite3_bind_int64(query, 2, *value);
	return state_run(state, query, why) && outledger_count(state, row, 1, tally, why);
}

bool
outledger_set_held(struct state *state, int64_t row, bool held, int64_t now, struct outtally *tally,
    struct verdict *why)
{
	static const char hold[] = "UPDATE outmessage SET held = 1 WHERE row = ?1";
	static const char release[] =
	    "UPDATE outmessage SET held = 0, unknowns = 0, unknown_until = 0,"
	    "  next_attempt = max(not_before, ?2) WHERE row = ?1";

	if (held)
		return change(state, state_query(state, hold, why), row, NULL, tally, why);
	return change(state, state_query(state, release, why), row, &now, tally, why);
}

bool
outledger_set_removing(
    struct state *state, int64_t row, struct outtally *tally, struct verdict *why)
{
	static const char sql[] = "UPDATE outmessage SET state = 3 WHERE row = ?1";
	static const char drop[] = "DELETE FROM outerrand WHERE message = ?1";
	sqlite3_stmt *query = state_query(state, drop, why);

	if (query == NULL)
		return false;
	sqlite3_bind_int64(query, 1, row);
	return state_run(state, query, why) &&
	       change(state, state_query(state, sql, why), row, NULL, tally, why);
}

/* How many of the message's recipients became pending. */
static bool
retry_recipients(struct state *state, int64_t row, int *count, struct verdict *why)
{
	static const char sql[] =
	    "UPDATE outrecipient SET state = 0 WHERE message = ?1 AND state = 2";
	sqlite3_stmt *query = state_query(state, sql, why);

	if (query == NULL)
		return false;
	sqlite3_bind_int64(query, 1, row);
	if (!state_run(state, query, why))
		return false;
	*count = state_changed_rows(state);
	return true;
}

bool
outledger_requeue(struct state *state, int64_t row, int64_t now, bool *known,
    struct outtally *tally, struct verdict *why)
{
	static const char sql[] =
	    "UPDATE outmessage SET state = 0, held = 0, queued = ?2, next_attempt = ?2,"
	    "  not_before = 0, first_tried = 0, attempts = 0, unknowns = 0, unknown_until = 0,"
	    "  warned = 0, last_error = NULL, reason = NULL, failed_name = NULL, missing = 0"
	    "  WHERE row = ?1";
	int count;

	if (!retry_recipients(state, row, &count, why))
		return false;
	*known = count > 0;
	if (count == 0)
		return outledger_forget(state, row, tally, why);
	return change(state, state_query(state, sql, why), row, &now, tally, why);
}

bool
outledger_set_missing(
    struct state *state, int64_t row, int64_t since, struct outtally *tally, struct verdict *why)
{
	static const char sql[] = "UPDATE outmessage SET missing = ?2 WHERE row = ?1";

	return change(state, state_query(state, sql, why), row, &since, tally, why);
}
