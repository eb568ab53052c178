#include "queue/outledger.h"

#include "base/clock.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "queue/outerrand.h"
#include "store/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
outledger_row_clear(struct outledger_row *row)
{
	free(row->name);
	free(row->account);
	free(row->failed_name);
	memset(row, 0, sizeof *row);
}

static void
bind_text(sqlite3_stmt *query, int index, const char *text)
{
	sqlite3_bind_text(query, index, text, -1, SQLITE_STATIC);
}

static bool
find(struct state *state, sqlite3_stmt *query, const char *key, struct outledger_row *row,
    struct verdict *why)
{
	memset(row, 0, sizeof *row);
	if (query == NULL)
		return false;
	bind_text(query, 1, key);
	if (!state_next(state, query, why))
		return why->kind == FAIL_NONE;
	row->row = sqlite3_column_int64(query, 0);
	row->state = (enum outledger_state)sqlite3_column_int(query, 1);
	row->held = sqlite3_column_int(query, 2) != 0;
	row->hidden = sqlite3_column_int(query, 3) != 0;
	row->is_missing = sqlite3_column_int64(query, 4) != 0;
	snprintf(row->id, sizeof row->id, "%s", (const char *)sqlite3_column_text(query, 5));
	row->name = xstrdup((const char *)sqlite3_column_text(query, 6));
	row->account = xstrdup((const char *)sqlite3_column_text(query, 7));
	row->failed_name = xstrdup((const char *)sqlite3_column_text(query, 8));
	sqlite3_reset(query);
	return true;
}

bool
outledger_find(struct state *state, const char *id, struct outledger_row *row, struct verdict *why)
{
	static const char sql[] = "SELECT row, state, held, hidden, missing, id, name, account,"
				  "  failed_name FROM outmessage WHERE id = ?1";

	return find(state, state_query(state, sql, why), id, row, why);
}

bool
outledger_find_failed(
    struct state *state, const char *failed_name, struct outledger_row *row, struct verdict *why)
{
	static const char sql[] = "SELECT row, state, held, hidden, missing, id, name, account,"
				  "  failed_name FROM outmessage"
				  "  WHERE failed_name = ?1 AND state = 2 ORDER BY row DESC";

	return find(state, state_query(state, sql, why), failed_name, row, why);
}

bool
outledger_count(
    struct state *state, int64_t row, int sign, struct outtally *tally, struct verdict *why)
{
	static const char sql[] =
	    "SELECT account, size, state, held, attempts > 0 OR last_error IS NOT NULL"
	    "  FROM outmessage WHERE row = ?1 AND missing = 0";
	sqlite3_stmt *query = state_query(state, sql, why);
	enum outledger_state is;
	struct outtally_line *line;
	bool held;

	if (query == NULL)
		return false;
	sqlite3_bind_int64(query, 1, row);
	if (!state_next(state, query, why))
		return why->kind == FAIL_NONE;
	line = outtally_line(tally, (const char *)sqlite3_column_text(query, 0));
	is = (enum outledger_state)sqlite3_column_int(query, 2);
	held = sqlite3_column_int(query, 3) != 0;
	if (is == OUTLEDGER_FAILED) {
		line->failed += sign;
	} else if (is != OUTLEDGER_REMOVING) {
		line->messages += sign;
		line->octets += sign * sqlite3_column_int64(query, 1);
		line->held += held ? sign : 0;
		line->deferred += !held && sqlite3_column_int(query, 4) != 0 ? sign : 0;
	}
	sqlite3_reset(query);
	return true;
}

bool
outledger_end_tally(struct state *state, struct outtally *tally, struct verdict *why)
{
	static const char sql[] = "SELECT min(queued) FROM outmessage"
				  "  WHERE account = ?1 AND state < 2 AND missing = 0";

	for (size_t i = 0; i < tally->count; i++) {
		sqlite3_stmt *query = state_query(state, sql, why);

		if (query == NULL)
			return false;
		bind_text(query, 1, tally->lines[i].account);
		if (!state_next(state, query, why))
			return false;
		tally->lines[i].oldest = sqlite3_column_int64(query, 0);
		sqlite3_reset(query);
	}
	return true;
}

bool
outledger_load_tally(struct state *state, struct outtally *tally, struct verdict *why)
{
	static const char sql[] =
	    "SELECT account, sum(state < 2), sum(iif(state < 2, size, 0)),"
	    "  sum(state < 2 AND NOT held AND (attempts > 0 OR last_error IS NOT NULL)),"
	    "  sum(state < 2 AND held), sum(state = 2)"
	    "  FROM outmessage WHERE missing = 0 GROUP BY account";
	sqlite3_stmt *query = state_query(state, sql, why);

	if (query == NULL)
		return false;
	while (state_next(state, query, why)) {
		struct outtally_line *line =
		    outtally_line(tally, (const char *)sqlite3_column_text(query, 0));

		line->messages = sqlite3_column_int64(query, 1);
		line->octets = sqlite3_column_int64(query, 2);
		line->deferred = sqlite3_column_int64(query, 3);
		line->held = sqlite3_column_int64(query, 4);
		line->failed = sqlite3_column_int64(query, 5);
	}
	return why->kind == FAIL_NONE && outledger_end_tally(state, tally, why);
}

static bool
insert_recipients(struct state *state, int64_t row, char *const *recipients, struct verdict *why)
{
	static const char sql[] =
	    "INSERT INTO outrecipient (message, number, address) VALUES (?1, ?2, ?3)";

	for (int i = 0; recipients != NULL && recipients[i] != NULL; i++) {
		sqlite3_stmt *query = state_query(state, sql, why);

		if (query == NULL)
			return false;
		sqlite3_bind_int64(query, 1, row);
		sqlite3_bind_int(query, 2, i);
		bind_text(query, 3, recipients[i]);
		if (!state_run(state, query, why))
			return false;
	}
	return true;
}

static void
bind_claim(sqlite3_stmt *query, const struct spool_claim *claim)
{
	bind_text(query, 1, claim->id);
	bind_text(query, 2, claim->name);
	sqlite3_bind_int64(query, 3, (int64_t)claim->size);
	sqlite3_bind_int64(query, 4, (int64_t)claim->inode);
	sqlite3_bind_int64(query, 5, (int64_t)claim->content.wire_size);
	sqlite3_bind_int64(query, 6, (int64_t)claim->content.longest_line);
	sqlite3_bind_int(query, 7, claim->content.is_8bit);
	sqlite3_bind_int(query, 8, claim->content.has_utf8_header);
	sqlite3_bind_int(query, 9, claim->hidden);
	if (claim->source.name == NULL)
		return;
	bind_text(query, 10, claim->source.name);
	sqlite3_bind_int64(query, 11, (int64_t)claim->source.inode);
	sqlite3_bind_int64(query, 12, (int64_t)claim->source.size);
	sqlite3_bind_int64(query, 13, claim->source.mtime);
}

bool
outledger_insert(
    struct state *state, const struct outledger_new *m, struct outtally *tally, struct verdict *why)
{
	static const char sql[] =
	    "INSERT INTO outmessage (id, name, size, inode, wire_size, longest_line, eight_bit,"
	    "  utf8_header, hidden, source, source_inode, source_size, source_mtime, account,"
	    "  sender, bounce, state, reason, queued, not_before, next_attempt) VALUES (?1, ?2,"
	    "  ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20,"
	    "  max(?19, ?20))";
	sqlite3_stmt *query = state_query(state, sql, why);
	int64_t row;

	if (query == NULL)
		return false;
	bind_claim(query, m->claim);
	bind_text(query, 14, m->account);
	bind_text(query, 15, m->sender);
	sqlite3_bind_int(query, 16, m->bounce);
	sqlite3_bind_int(query, 17, (int)m->state);
	bind_text(query, 18, m->reason);
	sqlite3_bind_int64(query, 19, m->now);
	sqlite3_bind_int64(query, 20, m->not_before);
	if (!state_run(state, query, why))
		return false;
	row = state_inserted_row(state);
	return insert_recipients(state, row, m->recipients, why) &&
	       outledger_count(state, row, 1, tally, why);
}

static bool
update_recipients(struct state *state, int64_t row, const struct outmessage *m, struct verdict *why)
{
	static const char sql[] = "UPDATE outrecipient SET state = ?3, reply = ?4"
				  "  WHERE message = ?1 AND number = ?2"
				  "  AND (state <> ?3 OR reply IS NOT ?4)";

	for (size_t i = 0; i < m->recipient_count; i++) {
		sqlite3_stmt *query = state_query(state, sql, why);

		if (query == NULL)
			return false;
		sqlite3_bind_int64(query, 1, row);
		sqlite3_bind_int64(query, 2, (int64_t)i);
		sqlite3_bind_int(query, 3, (int)m->recipients[i].state);
		bind_text(query, 4, m->recipients[i].reply);
		if (!state_run(state, query, why))
			return false;
	}
	return true;
}

static bool
has_recipient(const struct outmessage *m, enum outqueue_state wanted)
{
	for (size_t i = 0; i < m->recipient_count; i++)
		if (m->recipients[i].state == wanted)
			return true;
	return false;
}

static char *
make_reason(const struct outmessage *m)
{
	struct str s = STR_INIT;

	for (size_t i = 0; i < m->recipient_count; i++) {
		const struct outqueue_recipient *r = &m->recipients[i];

		if (r->state == OUTQUEUE_FAILED)
			str_appendf(&s, "%s: %s\n", r->address,
			    r->reply != NULL ? r->reply : "not delivered");
	}
	return str_take(&s);
}

static bool
update_message(struct state *state, int64_t row, const struct outledger_decision *d, bool decided,
    const char *reason, struct verdict *why)
{
	static const char sql[] =
	    "UPDATE outmessage SET next_attempt = ?2, held = max(held, ?3), last_error = ?4,"
	    "  first_tried = ?5, attempts = ?6, unknowns = ?7, warned = ?8, reason = ?9,"
	    "  state = ?10, not_before = ?11, unknown_until = ?12 WHERE row = ?1";
	sqlite3_stmt *query = state_query(state, sql, why);
	const struct outmessage *m = d->message;

	if (query == NULL)
		return false;
	sqlite3_bind_int64(query, 1, row);
	sqlite3_bind_int64(query, 2, d->next_attempt);
	sqlite3_bind_int(query, 3, d->held && !decided);
	bind_text(query, 4, d->last_error);
	sqlite3_bind_int64(query, 5, m->first_tried);
	sqlite3_bind_int64(query, 6, m->attempts);
	sqlite3_bind_int64(query, 7, m->unknowns);
	sqlite3_bind_int64(query, 8, m->warned);
	bind_text(query, 9, reason);
	sqlite3_bind_int(query, 10, decided ? OUTLEDGER_DECIDED : OUTLEDGER_QUEUED);
	sqlite3_bind_int64(query, 11, m->not_before);
	sqlite3_bind_int64(query, 12, m->unknown_until);
	return state_run(state, query, why);
}

/* reason NULL for who stays in the queue, or leaves it sent. */
static bool
record_fates(
    struct state *state, int64_t row, const struct outledger_decision *d, struct verdict *why)
{
	const struct outmessage *m = d->message;
	bool decided = !has_recipient(m, OUTQUEUE_PENDING) && !has_recipient(m, OUTQUEUE_UNKNOWN);
	char *made = NULL;
	const char *reason = NULL;
	bool ok;

	if (decided && has_recipient(m, OUTQUEUE_FAILED))
		reason = d->reason != NULL ? d->reason : (made = make_reason(m));
	ok = update_recipients(state, row, m, why) &&
	     update_message(state, row, d, decided, reason, why);
	for (size_t i = 0; ok && d->errands[i] != NULL; i++)
		ok = outerrand_insert(state, row, d->errands[i], why);
	free(made);
	return ok;
}

/* A row that somebody removed meanwhile, with the file, takes no decision any more. */
bool
outledger_decide(struct state *state, const struct outledger_decision *d, struct spool_end **end,
    struct outtally *tally, struct verdict *why)
{
	struct outledger_row row;
	bool ok;

	*end = NULL;
	if (!outledger_find(state, d->message->id, &row, why))
		return false;
	ok = row.row == 0 || row.state != OUTLEDGER_QUEUED ||
	     (outledger_count(state, row.row, -1, tally, why) &&
		 record_fates(state, row.row, d, why) &&
		 outledger_count(state, row.row, 1, tally, why) &&
		 outledger_get_end(state, row.row, end, why));
	outledger_row_clear(&row);
	return ok;
}

bool
outledger_get_end(struct state *state, int64_t row, struct spool_end **end, struct verdict *why)
{
	static const char sql[] = "SELECT id, name, account, reason, inode FROM outmessage"
				  "  WHERE row = ?1 AND state = 1"
				  "  AND NOT EXISTS (SELECT 1 FROM outerrand WHERE message = ?1)";
	sqlite3_stmt *query = state_query(state, sql, why);
	const char *reason;

	*end = NULL;
	if (query == NULL)
		return false;
	sqlite3_bind_int64(query, 1, row);
	if (!state_next(state, query, why))
		return why->kind == FAIL_NONE;
	reason = (const char *)sqlite3_column_text(query, 3);
	*end = spool_end_new(reason != NULL ? SPOOL_END_FAIL : SPOOL_END_REMOVE,
	    (const char *)sqlite3_column_text(query, 0),
	    (const char *)sqlite3_column_text(query, 1));
	(*end)->account = xstrdup((const char *)sqlite3_column_text(query, 2));
	(*end)->reason = xstrdup(reason);
	(*end)->inode = (uint64_t)sqlite3_column_int64(query, 4);
	sqlite3_reset(query);
	return true;
}

static bool
run_on_row(struct state *state, sqlite3_stmt *query, int64_t row, struct verdict *why)
{
	if (query == NULL)
		return false;
	sqlite3_bind_int64(query, 1, row);
	return state_run(state, query, why);
}

static bool
set_failed(struct state *state, int64_t row, const char *failed_name, struct verdict *why)
{
	static const char sql[] = "UPDATE outmessage SET state = 2, failed_name = ?2, hidden = 0,"
				  "  held = 0, source = NULL WHERE row = ?1";
	sqlite3_stmt *query = state_query(state, sql, why);

	if (query == NULL)
		return false;
	bind_text(query, 2, failed_name);
	return run_on_row(state, query, row, why);
}

static bool
set_revealed(struct state *state, int64_t row, struct verdict *why)
{
	static const char sql[] = "UPDATE outmessage SET hidden = 0, source = NULL WHERE row = ?1";

	return run_on_row(state, state_query(state, sql, why), row, why);
}

static bool
delete_row(struct state *state, int64_t row, struct verdict *why)
{
	static const char sql[] = "DELETE FROM outmessage WHERE row = ?1";

	return run_on_row(state, state_query(state, sql, why), row, why);
}

bool
outledger_forget(struct state *state, int64_t row, struct outtally *tally, struct verdict *why)
{
	return outledger_count(state, row, -1, tally, why) && delete_row(state, row, why);
}

/* Others that had this name in failed/ had their files taken away, or the name would be taken. */
static bool
forget_namesakes(
    struct state *state, const char *failed_name, struct outtally *tally, struct verdict *why)
{
	struct outledger_row row = {.row = 0};
	bool ok = true;

	do {
		outledger_row_clear(&row);
		ok = outledger_find_failed(state, failed_name, &row, why) &&
		     (row.row == 0 || outledger_forget(state, row.row, tally, why));
	} while (ok && row.row != 0);
	outledger_row_clear(&row);
	return ok;
}

/*
 * A file that is not there may come back, with the file system it is on: a message without a row
 * would be sent again.
 */
static bool
keep_missing(struct state *state, const struct outledger_row *row, struct outtally *tally,
    struct verdict *why)
{
	return row->is_missing || outledger_set_missing(state, row->row, clock_wall(), tally, why);
}

bool
outledger_end(
    struct state *state, const struct spool_end *end, struct outtally *tally, struct verdict *why)
{
	struct outledger_row row;
	bool ok;

	if (!outledger_find(state, end->id, &row, why))
		return false;
	if (row.row == 0)
		ok = true;
	else if (end->kind == SPOOL_END_KEEP)
		ok = set_revealed(state, row.row, why);
	else if (end->kind == SPOOL_END_FAIL && end->failed_name[0] != '\0')
		ok = forget_namesakes(state, end->failed_name, tally, why) &&
		     outledger_count(state, row.row, -1, tally, why) &&
		     set_failed(state, row.row, end->failed_name, why) &&
		     outledger_count(state, row.row, 1, tally, why);
	else if (end->is_missing && row.state == OUTLEDGER_DECIDED)
		ok = keep_missing(state, &row, tally, why);
	else
		ok = outledger_forget(state, row.row, tally, why);
	outledger_row_clear(&row);
	return ok;
}
