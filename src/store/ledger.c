#include "store/ledger.h"

#include "base/clock.h"
#include "base/xalloc.h"
#include "store/listing.h"
#include "store/recovery.h"
#include "store/state.h"

#include <openssl/sha.h>

enum { INTENT_OLD_MS = 36 * 3600 * 1000 };

/*
 * A row to claim for the item, 0 when its octets are not known.  A row of the same uid and
 * occurrence is among the claimable ones: had it its old size and not been deleted by us, it would
 * be SEEN; else the match found it vanished.
 */
static bool
find_known(struct state *state, int64_t account, const struct ledger_item *item, int64_t *row,
    struct verdict *why)
{
	static const char sql[] = "SELECT id FROM message INDEXED BY message_claimable"
				  "  WHERE account = ?1 AND digest = ?2 AND octets = ?3"
				  "  AND (vanished <> 0 OR state > 1) LIMIT 1";
	sqlite3_stmt *query = state_query(state, sql, why);

	*row = 0;
	if (query == NULL)
		return false;
	sqlite3_bind_int64(query, 1, account);
	sqlite3_bind_blob(query, 2, item->digest, SHA256_DIGEST_LENGTH, SQLITE_STATIC);
	sqlite3_bind_int64(query, 3, (int64_t)item->octets);
	if (state_next(state, query, why)) {
		*row = sqlite3_column_int64(query, 0);
		sqlite3_reset(query);
	}
	return why->kind == FAIL_NONE;
}

static bool
claim(struct state *state, const struct ledger_item *item, int64_t row, struct verdict *why)
{
	static const char sql[] = "UPDATE message SET uid = ?2, occurrence = ?3, size = ?4,"
				  "  state = 1, vanished = 0, moved = 0 WHERE id = ?1";
	sqlite3_stmt *query = state_query(state, sql, why);

	if (query == NULL)
		return false;
	sqlite3_bind_int64(query, 1, row);
	sqlite3_bind_blob64(query, 2, item->uid, item->uid_len, SQLITE_STATIC);
	sqlite3_bind_int64(query, 3, item->occurrence);
	sqlite3_bind_int64(query, 4, (int64_t)item->size);
	return state_run(state, query, why);
}

static bool
insert_intent(struct state *state, int64_t account, const struct ledger_item *item, int64_t *row,
    struct verdict *why)
{
	static const char sql[] =
	    "INSERT INTO message (account, uid, occurrence, size, octets, digest, file, intended,"
	    "  fetched, state) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0)";
	sqlite3_stmt *query = state_query(state, sql, why);

	if (query == NULL)
		return false;
	sqlite3_bind_int64(query, 1, account);
	sqlite3_bind_blob64(query, 2, item->uid, item->uid_len, SQLITE_STATIC);
	sqlite3_bind_int64(query, 3, item->occurrence);
	sqlite3_bind_int64(query, 4, (int64_t)item->size);
	sqlite3_bind_int64(query, 5, (int64_t)item->octets);
	sqlite3_bind_blob(query, 6, item->digest, SHA256_DIGEST_LENGTH, SQLITE_STATIC);
	sqlite3_bind_text(query, 7, item->file, -1, SQLITE_STATIC);
	sqlite3_bind_int64(query, 8, clock_wall());
	sqlite3_bind_int64(query, 9, state_now(state));
	if (!state_run(state, query, why))
		return false;
	*row = state_inserted_row(state);
	return true;
}

/* The old row of the same key gives way, unless it has been claimed for another key meanwhile. */
static bool
remove_replaced(
    struct state *state, const struct ledger_item *item, int64_t keep, struct verdict *why)
{
	static const char sql[] = "DELETE FROM message WHERE id = ?1 AND uid = ?2 AND"
				  "  occurrence = ?3 AND size = ?4 AND state <> 0";
	sqlite3_stmt *query;

	if (item->replaces == 0 || item->replaces == keep || item->uid_len == 0)
		return true;
	if ((query = state_query(state, sql, why)) == NULL)
		return false;
	sqlite3_bind_int64(query, 1, item->replaces);
	sqlite3_bind_blob64(query, 2, item->uid, item->uid_len, SQLITE_STATIC);
	sqlite3_bind_int64(query, 3, item->occurrence);
	sqlite3_bind_int64(query, 4, (int64_t)item->size);
	return state_run(state, query, why);
}

bool
ledger_intend(struct state *state, int64_t account, const struct ledger_item *item, int64_t *row,
    bool *known, struct verdict *why)
{
	*row = 0;
	if (item->compare && !find_known(state, account, item, row, why))
		return false;
	*known = *row != 0;
	if (*known)
		return claim(state, item, *row, why) && remove_replaced(state, item, *row, why);
	return remove_replaced(state, item, 0, why) &&
	       insert_intent(state, account, item, row, why);
}

static bool
run_on_row(struct state *state, const char *sql, int64_t row, struct verdict *why)
{
	sqlite3_stmt *query = state_query(state, sql, why);

	if (query == NULL)
		return false;
	sqlite3_bind_int64(query, 1, row);
	return state_run(state, query, why);
}

bool
ledger_settle(struct state *state, int64_t row, struct verdict *why)
{
	static const char sql[] = "UPDATE message SET state = 1, file = NULL, intended = NULL"
				  "  WHERE id = ?1 AND state = 0";

	return run_on_row(state, sql, row, why);
}

bool
ledger_withdraw(struct state *state, int64_t row, struct verdict *why)
{
	static const char sql[] = "DELETE FROM message WHERE id = ?1 AND state = 0";

	return run_on_row(state, sql, row, why);
}

/*
 * Whoever cleans tmp/ of files older than 36 hours goes by the wall clock, so a leap of it makes
 * an intent old as well: a message too many is better than one too few.
 */
static bool
is_old(int64_t intended, int64_t fetched, int64_t wall, int64_t now)
{
	return wall - intended >= INTENT_OLD_MS || now - fetched >= INTENT_OLD_MS;
}

bool
ledger_load_intents(
    struct state *state, int64_t account, struct recovery *recovery, struct verdict *why)
{
	static const char sql[] = "SELECT id, file, intended, fetched FROM message"
				  "  WHERE state = 0 AND ?1 IN (account, 0)";
	sqlite3_stmt *query = state_query(state, sql, why);
	int64_t now = state_now(state), wall = clock_wall();

	if (query == NULL)
		return false;
	sqlite3_bind_int64(query, 1, account);
	while (state_next(state, query, why)) {
		const char *file = (const char *)sqlite3_column_text(query, 1);

		recovery_add(recovery, sqlite3_column_int64(query, 0), file != NULL ? file : "",
		    is_old(
			sqlite3_column_int64(query, 2), sqlite3_column_int64(query, 3), wall, now));
	}
	return why->kind == FAIL_NONE;
}

static bool
update_one(struct state *state, const char *sql, int64_t account, int64_t row, bool *changed,
    struct verdict *why)
{
	sqlite3_stmt *query = state_query(state, sql, why);

	if (query == NULL)
		return false;
	sqlite3_bind_int64(query, 1, row);
	sqlite3_bind_int64(query, 2, account);
	if (!state_run(state, query, why))
		return false;
	*changed = state_changed_rows(state) > 0;
	return true;
}

bool
ledger_set_expunging(struct state *state, int64_t account, int64_t row, struct verdict *why)
{
	static const char sql[] = "UPDATE message SET state = 2 WHERE id = ?1 AND account = ?2"
				  "  AND state IN (1, 2) AND digest IS NOT NULL";
	bool changed;

	if (!update_one(state, sql, account, row, &changed, why))
		return false;
	if (!changed)
		return verdict_fail(why, FAIL_LOCAL, "expunge",
		    "a message that is not stored here was about to be deleted on the server; "
		    "nothing was deleted");
	return true;
}

bool
ledger_set_expunged(struct state *state, int64_t account, int64_t row, struct verdict *why)
{
	static const char forget[] = "DELETE FROM message WHERE id = ?1 AND account = ?2"
				     "  AND state = 2 AND length(uid) = 0";
	static const char keep[] = "UPDATE message SET state = 3 WHERE id = ?1 AND account = ?2"
				   "  AND state = 2";
	bool changed;

	return update_one(state, forget, account, row, &changed, why) &&
	       (changed || update_one(state, keep, account, row, &changed, why));
}
