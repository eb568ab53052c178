#include "store/ledger.h"

#include "base/xalloc.h"
#include "store/listing.h"
#include "store/state.h"

#include <string.h>

/* Owned by the function that matches. */
struct matching {
	struct state *state;
	int64_t account;
	struct listing *listing;
	int64_t keep_ms;
	int64_t forget_ms;
	int64_t now;
	bool by_number;
	size_t common;   /* stored rows that are listed */
	size_t listed;   /* stored rows that were listed the last time */
	size_t stored;   /* all rows in that state */
	size_t moved;    /* those that may come under a new uid */
	size_t nameless; /* all rows that were fetched by number, and may come under any */
	struct verdict *why;
};

struct row {
	int64_t id;
	const char *uid;
	size_t uid_len;
	unsigned occurrence;
	uint64_t size;
	enum message_state state;
	int64_t vanished;
	int64_t fetched;
	bool adopted;
	bool moved;
};

static bool
set_vanished(struct matching *m, int64_t row, int64_t vanished)
{
	static const char sql[] = "UPDATE message SET vanished = ?2, moved = moved AND ?2 <> 0"
				  "  WHERE id = ?1";
	sqlite3_stmt *query = state_query(m->state, sql, m->why);

	if (query == NULL)
		return false;
	sqlite3_bind_int64(query, 1, row);
	sqlite3_bind_int64(query, 2, vanished);
	return state_run(m->state, query, m->why);
}

static bool
forget(struct matching *m, int64_t row)
{
	static const char sql[] = "DELETE FROM message WHERE id = ?1";
	sqlite3_stmt *query = state_query(m->state, sql, m->why);

	if (query == NULL)
		return false;
	sqlite3_bind_int64(query, 1, row);
	return state_run(m->state, query, m->why);
}

/* Nothing is to be fetched. */
static bool
is_settled(const struct listing *listing, uint32_t number)
{
	enum listed_match match = listing_match(listing, number);

	return match == LISTED_SEEN || match == LISTED_ADOPTED;
}

static bool
is_forgettable(const struct matching *m, const struct row *row)
{
	return row->vanished != 0 && m->now - row->vanished >= m->forget_ms;
}

/* A listing that was cut cannot tell what is missing. */
static bool
on_unlisted(struct matching *m, const struct row *row)
{
	if (is_forgettable(m, row))
		return forget(m, row->id);
	if (listing_beyond(m->listing) > 0 && !m->by_number)
		return true;
	if (row->state == MESSAGE_EXPUNGED && !m->by_number)
		return forget(m, row->id);
	return row->vanished != 0 || set_vanished(m, row->id, m->now);
}

static bool
on_seen(struct matching *m, const struct row *row, uint32_t number)
{
	bool expired = m->keep_ms >= 0 && !row->adopted && m->now - row->fetched >= m->keep_ms;

	m->common++;
	listing_set_match(
	    m->listing, number, row->adopted ? LISTED_ADOPTED : LISTED_SEEN, row->id, expired);
	return row->vanished == 0 || set_vanished(m, row->id, 0);
}

/*
 * The uid is known and the message is not: deleted by us and listed again, or of another size.
 * With the other size the old message is gone, even when the listing was cut, and yet its octets
 * are what the new one is compared with.
 */
static bool
on_doubtful(struct matching *m, const struct row *row, uint32_t number)
{
	bool same_key = row->size == listing_size(m->listing, number);

	if (!is_settled(m->listing, number)) {
		int64_t replaces = same_key ? row->id : listing_row(m->listing, number);

		listing_set_match(m->listing, number, LISTED_COMPARE, replaces, false);
	}
	if (same_key)
		return row->vanished == 0 || set_vanished(m, row->id, 0);
	if (row->vanished == 0)
		return set_vanished(m, row->id, m->now);
	return !is_forgettable(m, row) || forget(m, row->id);
}

static bool
on_row(struct matching *m, const struct row *row)
{
	uint32_t number = 0;

	if (row->state == MESSAGE_INTENDED)
		return verdict_fail(m->why, FAIL_LOCAL, "state",
		    "a message awaits recovery; the next poll begins with that");
	if (m->by_number && row->adopted && row->vanished == 0)
		return verdict_fail(m->why, FAIL_SERVER, "uidl",
		    "without UIDL the messages that `adopt` has marked as seen cannot be told from "
		    "others: nothing is fetched or deleted");
	if (row->state == MESSAGE_STORED) {
		m->stored++;
		m->listed += row->vanished == 0;
		m->moved += row->moved;
	}
	m->nameless += row->uid_len == 0;
	if (!m->by_number)
		number = listing_find(m->listing, row->uid, row->uid_len, row->occurrence);
	if (number == 0)
		return on_unlisted(m, row);
	if (row->state == MESSAGE_STORED && row->size == listing_size(m->listing, number))
		return on_seen(m, row, number);
	return on_doubtful(m, row, number);
}

static void
read_row(sqlite3_stmt *query, struct row *row)
{
	row->id = sqlite3_column_int64(query, 0);
	row->uid = sqlite3_column_blob(query, 1);
	row->uid_len = (size_t)sqlite3_column_bytes(query, 1);
	row->occurrence = (unsigned)sqlite3_column_int64(query, 2);
	row->size = (uint64_t)sqlite3_column_int64(query, 3);
	row->state = (enum message_state)sqlite3_column_int(query, 4);
	row->vanished = sqlite3_column_int64(query, 5);
	row->fetched = sqlite3_column_int64(query, 6);
	row->adopted = sqlite3_column_int(query, 7) != 0;
	row->moved = sqlite3_column_int(query, 8) != 0;
}

/*
 * Rows change while the statement runs, but never in a column of the index that drives it, and a
 * row that is deleted is the one that it stands on: SQLite allows both.
 */
static bool
match_rows(struct matching *m)
{
	static const char sql[] =
	    "SELECT id, uid, occurrence, size, state, vanished, fetched, digest IS NULL,"
	    "  moved"
	    "  FROM message INDEXED BY message_account WHERE account = ?1";
	sqlite3_stmt *query = state_query(m->state, sql, m->why);
	struct row row;

	if (query == NULL)
		return false;
	sqlite3_bind_int64(query, 1, m->account);
	while (state_next(m->state, query, m->why)) {
		read_row(query, &row);
		if (!on_row(m, &row)) {
			sqlite3_reset(query);
			return false;
		}
	}
	return m->why->kind == FAIL_NONE;
}

/* Turns NEW into COMPARE where octets must decide, and counts what is to be fetched. */
static size_t
finish_matches(struct matching *m, bool compare_all)
{
	struct listing *l = m->listing;
	size_t fresh = 0;

	for (uint32_t n = 1; n <= listing_count(l); n++) {
		size_t uid_len;

		if (!listing_has(l, n) || is_settled(l, n))
			continue;
		fresh++;
		listing_uid(l, n, &uid_len);
		if (listing_match(l, n) == LISTED_NEW && (compare_all || uid_len == 0))
			listing_set_match(l, n, LISTED_COMPARE, 0, false);
	}
	return fresh;
}

static bool
note_moved(struct matching *m)
{
	static const char sql[] = "UPDATE message SET moved = 1 WHERE account = ?1 AND state = 1"
				  "  AND vanished <> 0 AND moved = 0";
	sqlite3_stmt *query = state_query(m->state, sql, m->why);

	if (query == NULL)
		return false;
	sqlite3_bind_int64(query, 1, m->account);
	return state_run(m->state, query, m->why);
}

/*
 * Nothing in common with the last listing means that octets decide, for as long as rows of that
 * time wait to be found again: the session may be cut off half-way.  An empty last listing has
 * nothing in common with any other, too: a maildrop is often shown empty while it is moved.
 */
static bool
judge_migration(struct matching *m, struct ledger_matched *matched)
{
	bool whole = listing_beyond(m->listing) == 0 && listing_count(m->listing) > 0;
	bool strange = whole && m->common == 0 && m->stored > 0;

	matched->migrated = strange && m->listed > 0 && !m->by_number;
	matched->fresh =
	    finish_matches(m, strange || m->moved > 0 || m->nameless > 0 || m->by_number);
	return !strange || note_moved(m);
}

bool
ledger_match(struct state *state, int64_t account, struct listing *listing, int64_t keep_ms,
    int64_t forget_ms, struct ledger_matched *matched, struct verdict *why)
{
	struct matching m = {.state = state,
	    .account = account,
	    .listing = listing,
	    .keep_ms = keep_ms,
	    .forget_ms = forget_ms,
	    .now = state_now(state),
	    .why = why};
	bool ok;

	memset(matched, 0, sizeof *matched);
	if (!listing_index(listing)) {
		listing_drop_index(listing);
		return verdict_fail(why, FAIL_PROTOCOL, "uidl",
		    "the server gives the same unique-id to more than %d messages",
		    LISTING_REPEAT_MAX);
	}
	ok = state_save_now(state, why) && match_rows(&m);
	listing_drop_index(listing);
	return ok && judge_migration(&m, matched);
}

bool
ledger_match_by_number(struct state *state, int64_t account, struct listing *listing,
    int64_t forget_ms, struct ledger_matched *matched, struct verdict *why)
{
	struct matching m = {.state = state,
	    .account = account,
	    .listing = listing,
	    .keep_ms = -1,
	    .forget_ms = forget_ms,
	    .now = state_now(state),
	    .by_number = true,
	    .why = why};

	memset(matched, 0, sizeof *matched);
	listing_clear_matches(listing);
	return state_save_now(state, why) && match_rows(&m) && judge_migration(&m, matched);
}

/* What is listed under the key now need not be what was stored: the digest no longer holds. */
static bool
adopt_known(struct matching *m, int64_t row)
{
	static const char sql[] =
	    "UPDATE message SET state = 1, vanished = 0, moved = 0, digest = NULL,"
	    "  octets = NULL, fetched = ?2 WHERE id = ?1";
	sqlite3_stmt *query = state_query(m->state, sql, m->why);

	if (query == NULL)
		return false;
	sqlite3_bind_int64(query, 1, row);
	sqlite3_bind_int64(query, 2, m->now);
	return state_run(m->state, query, m->why);
}

static bool
adopt_unknown(struct matching *m, uint32_t number)
{
	static const char sql[] = "INSERT INTO message (account, uid, occurrence, size, fetched,"
				  "  state) VALUES (?1, ?2, ?3, ?4, ?5, 1)";
	sqlite3_stmt *query = state_query(m->state, sql, m->why);
	size_t uid_len;
	const char *uid = listing_uid(m->listing, number, &uid_len);

	if (query == NULL)
		return false;
	sqlite3_bind_int64(query, 1, m->account);
	sqlite3_bind_blob64(query, 2, uid, uid_len, SQLITE_STATIC);
	sqlite3_bind_int64(query, 3, listing_occurrence(m->listing, number));
	sqlite3_bind_int64(query, 4, (int64_t)listing_size(m->listing, number));
	sqlite3_bind_int64(query, 5, m->now);
	return state_run(m->state, query, m->why);
}

bool
ledger_adopt(struct state *state, int64_t account, struct listing *listing, struct verdict *why)
{
	struct matching m = {.state = state,
	    .account = account,
	    .listing = listing,
	    .now = state_now(state),
	    .why = why};
	bool ok = true;

	for (uint32_t n = 1; n <= listing_count(listing) && ok; n++) {
		size_t uid_len;

		if (!listing_has(listing, n) || is_settled(listing, n))
			continue;
		listing_uid(listing, n, &uid_len);
		if (uid_len == 0)
			return verdict_fail(why, FAIL_SERVER, "uidl",
			    "the server tells no unique-ids, so nothing can be marked as seen");
		if (listing_row(listing, n) != 0)
			ok = adopt_known(&m, listing_row(listing, n));
		else
			ok = adopt_unknown(&m, n);
	}
	return ok;
}
