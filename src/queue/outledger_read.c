#include "queue/outledger.h"

#include "base/xalloc.h"
#include "store/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_COLUMNS                                                                            \
	"row, id, name, account, sender, size, queued, next_attempt, first_tried, attempts,"       \
	"  unknowns, warned, bounce, wire_size, longest_line, eight_bit, utf8_header, held,"       \
	"  last_error, not_before, unknown_until"

void
outmessage_free(struct outmessage **message)
{
	struct outmessage *m = *message;

	*message = NULL;
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->recipient_count; i++) {
		free(m->recipients[i].address);
		free(m->recipients[i].reply);
	}
	free(m->recipients);
	free(m->name);
	free(m->account);
	free(m->sender);
	free(m);
}

void
outledger_list_clear(struct outledger_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		outmessage_free(&list->items[i].message);
		free(list->items[i].last_error);
	}
	free(list->items);
	*list = (struct outledger_list){NULL, 0};
}

static char *
copy_text(sqlite3_stmt *query, int column)
{
	return xstrdup((const char *)sqlite3_column_text(query, column));
}

static struct outmessage *
read_message(sqlite3_stmt *query)
{
	struct outmessage *m = xcalloc(1, sizeof *m);

	snprintf(m->id, sizeof m->id, "%s", (const char *)sqlite3_column_text(query, 1));
	m->name = copy_text(query, 2);
	m->account = copy_text(query, 3);
	m->sender = copy_text(query, 4);
	m->size = (uint64_t)sqlite3_column_int64(query, 5);
	m->queued = sqlite3_column_int64(query, 6);
	m->next_attempt = sqlite3_column_int64(query, 7);
	m->first_tried = sqlite3_column_int64(query, 8);
	m->attempts = (unsigned)sqlite3_column_int64(query, 9);
	m->unknowns = (unsigned)sqlite3_column_int64(query, 10);
	m->warned = sqlite3_column_int64(query, 11);
	m->bounce = sqlite3_column_int(query, 12) != 0;
	m->wire_size = (uint64_t)sqlite3_column_int64(query, 13);
	m->longest_line = (uint64_t)sqlite3_column_int64(query, 14);
	m->is_8bit = sqlite3_column_int(query, 15) != 0;
	m->has_utf8_header = sqlite3_column_int(query, 16) != 0;
	m->not_before = sqlite3_column_int64(query, 19);
	m->unknown_until = sqlite3_column_int64(query, 20);
	return m;
}

static void
read_item(struct outledger_list *list, sqlite3_stmt *query)
{
	struct outledger_item *item;

	list->items = xreallocarray(list->items, list->count + 1, sizeof *list->items);
	item = &list->items[list->count++];
	*item = (struct outledger_item){.message = read_message(query),
	    .row = sqlite3_column_int64(query, 0),
	    .held = sqlite3_column_int(query, 17) != 0,
	    .last_error = copy_text(query, 18)};
}

static void
read_recipient(struct outmessage *m, sqlite3_stmt *query)
{
	struct outqueue_recipient *r;

	m->recipients = xreallocarray(m->recipients, m->recipient_count + 1, sizeof *m->recipients);
	r = &m->recipients[m->recipient_count++];
	r->address = copy_text(query, 0);
	r->state = (enum outqueue_state)sqlite3_column_int(query, 1);
	r->reply = copy_text(query, 2);
}

static bool
read_recipients(struct state *state, struct outledger_item *item, struct verdict *why)
{
	static const char sql[] = "SELECT address, state, reply FROM outrecipient"
				  "  WHERE message = ?1 ORDER BY number";
	sqlite3_stmt *query = state_query(state, sql, why);

	if (query == NULL)
		return false;
	sqlite3_bind_int64(query, 1, item->row);
	while (state_next(state, query, why))
		read_recipient(item->message, query);
	return why->kind == FAIL_NONE;
}

static bool
read_list(
    struct state *state, sqlite3_stmt *query, struct outledger_list *list, struct verdict *why)
{
	while (state_next(state, query, why))
		read_item(list, query);
	for (size_t i = 0; i < list->count && why->kind == FAIL_NONE; i++)
		read_recipients(state, &list->items[i], why);
	return why->kind == FAIL_NONE;
}

static bool
find_earliest(
    struct state *state, const char *account, int64_t now, int64_t *earliest, struct verdict *why)
{
	static const char sql[] =
	    "SELECT min(next_attempt) FROM outmessage WHERE account = ?1 AND next_attempt > ?2"
	    "  AND state = 0 AND held = 0 AND hidden = 0 AND missing = 0";
	sqlite3_stmt *query = state_query(state, sql, why);

	if (query == NULL)
		return false;
	sqlite3_bind_text(query, 1, account, -1, SQLITE_STATIC);
	sqlite3_bind_int64(query, 2, now);
	if (!state_next(state, query, why))
		return false;
	*earliest = sqlite3_column_int64(query, 0);
	sqlite3_reset(query);
	return true;
}

bool
outledger_list_due(struct state *state, const char *account, int64_t now, size_t limit,
    struct outledger_list *list, int64_t *earliest, struct verdict *why)
{
	static const char sql[] = "SELECT " MESSAGE_COLUMNS " FROM outmessage"
				  "  WHERE account = ?1 AND next_attempt <= ?2 AND state = 0"
				  "  AND held = 0 AND hidden = 0 AND missing = 0"
				  "  ORDER BY next_attempt, row LIMIT ?3";
	sqlite3_stmt *query = state_query(state, sql, why);

	if (query == NULL)
		return false;
	sqlite3_bind_text(query, 1, account, -1, SQLITE_STATIC);
	sqlite3_bind_int64(query, 2, now);
	sqlite3_bind_int64(query, 3, (int64_t)limit);
	return read_list(state, query, list, why) &&
	       find_earliest(state, account, now, earliest, why);
}

/* The ID's index, and no other: the next page goes on where this one ended. */
bool
outledger_list_waiting(struct state *state, const char *account, int64_t now, const char *after,
    bool by_person, size_t limit, struct outledger_list *list, int64_t *earliest,
    struct verdict *why)
{
	static const char sql[] =
	    "SELECT " MESSAGE_COLUMNS " FROM outmessage"
	    "  WHERE id > ?1 AND +account = ?2 AND not_before <= ?3"
	    "  AND (?5 OR unknown_until <= ?3 OR next_attempt < unknown_until)"
	    "  AND state = 0 AND held = 0 AND hidden = 0 AND missing = 0"
	    "  ORDER BY id LIMIT ?4";
	sqlite3_stmt *query = state_query(state, sql, why);

	if (query == NULL)
		return false;
	sqlite3_bind_text(query, 1, after, -1, SQLITE_STATIC);
	sqlite3_bind_text(query, 2, account, -1, SQLITE_STATIC);
	sqlite3_bind_int64(query, 3, now);
	sqlite3_bind_int64(query, 4, (int64_t)limit);
	sqlite3_bind_int(query, 5, by_person);
	return read_list(state, query, list, why) &&
	       find_earliest(state, account, now, earliest, why);
}

/* Since when it waits: as settle.h has it. */
bool
outledger_list_overdue(struct state *state, const char *account, int64_t since, int64_t told,
    size_t limit, struct outledger_list *list, struct verdict *why)
{
	static const char sql[] =
	    "SELECT " MESSAGE_COLUMNS " FROM outmessage"
	    "  WHERE account = ?1 AND state = 0 AND held = 0 AND hidden = 0 AND missing = 0"
	    "  AND iif(first_tried <> 0, first_tried, max(not_before, queued)) <= ?2"
	    "  AND warned <= ?3 AND sender <> '' AND NOT bounce LIMIT ?4";
	sqlite3_stmt *query = state_query(state, sql, why);

	if (query == NULL)
		return false;
	sqlite3_bind_text(query, 1, account, -1, SQLITE_STATIC);
	sqlite3_bind_int64(query, 2, since);
	sqlite3_bind_int64(query, 3, told);
	sqlite3_bind_int64(query, 4, (int64_t)limit);
	return read_list(state, query, list, why);
}

bool
outledger_list_one(
    struct state *state, const char *id, struct outledger_list *list, struct verdict *why)
{
	static const char sql[] = "SELECT " MESSAGE_COLUMNS " FROM outmessage"
				  "  WHERE id = ?1 AND state = 0 AND hidden = 0 AND missing = 0";
	sqlite3_stmt *query = state_query(state, sql, why);

	if (query == NULL)
		return false;
	sqlite3_bind_text(query, 1, id, -1, SQLITE_STATIC);
	return read_list(state, query, list, why);
}

bool
outledger_list_page(struct state *state, const char *after, size_t limit,
    struct outledger_list *list, struct verdict *why)
{
	static const char sql[] = "SELECT " MESSAGE_COLUMNS " FROM outmessage"
				  "  WHERE id > ?1 AND state < 2 AND missing = 0"
				  "  ORDER BY id LIMIT ?2";
	sqlite3_stmt *query = state_query(state, sql, why);

	if (query == NULL)
		return false;
	sqlite3_bind_text(query, 1, after, -1, SQLITE_STATIC);
	sqlite3_bind_int64(query, 2, (int64_t)limit);
	return read_list(state, query, list, why);
}

/* A message that still owes something stays, but a copy is revealed. */
static enum spool_end_kind
end_kind(enum outledger_state is, bool owes, bool has_reason)
{
	if (is == OUTLEDGER_REMOVING)
		return SPOOL_END_REMOVE;
	if (is != OUTLEDGER_DECIDED || owes)
		return SPOOL_END_KEEP;
	return has_reason ? SPOOL_END_FAIL : SPOOL_END_REMOVE;
}

static struct spool_end *
read_end(sqlite3_stmt *query)
{
	struct spool_end *end = spool_end_new(
	    end_kind((enum outledger_state)sqlite3_column_int(query, 6),
		sqlite3_column_int(query, 7) != 0, sqlite3_column_type(query, 4) != SQLITE_NULL),
	    (const char *)sqlite3_column_text(query, 1),
	    (const char *)sqlite3_column_text(query, 2));
	const char *failed_name = (const char *)sqlite3_column_text(query, 12);

	end->account = copy_text(query, 3);
	end->reason = copy_text(query, 4);
	end->inode = (uint64_t)sqlite3_column_int64(query, 5);
	end->hidden = sqlite3_column_int(query, 8) != 0;
	end->source.name = copy_text(query, 9);
	end->source.inode = (uint64_t)sqlite3_column_int64(query, 10);
	end->source.size = (uint64_t)sqlite3_column_int64(query, 11);
	end->source.mtime = sqlite3_column_int64(query, 13);
	if (failed_name != NULL)
		snprintf(end->failed_name, sizeof end->failed_name, "%s", failed_name);
	return end;
}

bool
outledger_list_unfinished(struct state *state, int64_t *after, size_t limit,
    struct spool_end_list *ends, size_t *count, struct verdict *why)
{
	static const char sql[] =
	    "SELECT row, id, name, account, reason, inode, state,"
	    "  EXISTS (SELECT 1 FROM outerrand WHERE message = row), hidden, source,"
	    "  source_inode, source_size, failed_name, source_mtime FROM outmessage"
	    "  WHERE row > ?1 AND (state = 1 OR state = 3 OR hidden = 1) ORDER BY row LIMIT ?2";
	sqlite3_stmt *query = state_query(state, sql, why);

	*count = 0;
	if (query == NULL)
		return false;
	sqlite3_bind_int64(query, 1, *after);
	sqlite3_bind_int64(query, 2, (int64_t)limit);
	while (state_next(state, query, why)) {
		struct spool_end *end = read_end(query);

		*after = sqlite3_column_int64(query, 0);
		TAILQ_INSERT_TAIL(ends, end, link);
		(*count)++;
	}
	return why->kind == FAIL_NONE;
}

bool
outledger_list_checks(struct state *state, int64_t *after, size_t limit,
    struct outledger_check *checks, size_t *count, struct verdict *why)
{
	static const char sql[] = "SELECT row, missing, state, id, name, failed_name"
				  "  FROM outmessage WHERE row > ?1"
				  "  AND (state = 0 OR state = 2 OR (state = 1 AND missing <> 0))"
				  "  AND hidden = 0 ORDER BY row LIMIT ?2";
	sqlite3_stmt *query = state_query(state, sql, why);

	*count = 0;
	if (query == NULL)
		return false;
	sqlite3_bind_int64(query, 1, *after);
	sqlite3_bind_int64(query, 2, (int64_t)limit);
	while (state_next(state, query, why)) {
		struct outledger_check *c = &checks[(*count)++];

		*after = c->row = sqlite3_column_int64(query, 0);
		c->missing = sqlite3_column_int64(query, 1);
		c->state = (enum outledger_state)sqlite3_column_int(query, 2);
		snprintf(c->id, sizeof c->id, "%s", (const char *)sqlite3_column_text(query, 3));
		c->name = copy_text(query, 4);
		c->failed_name = copy_text(query, 5);
	}
	return why->kind == FAIL_NONE;
}
