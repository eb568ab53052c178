#include "queue/outerrand.h"

#include "base/clock.h"
#include "base/xalloc.h"
#include "queue/outledger.h"
#include "store/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
outerrand_free(struct outerrand **errand)
{
	struct outerrand *e = *errand;

	*errand = NULL;
	if (e == NULL)
		return;
	if (e->end != NULL)
		spool_end_free(&e->end);
	spool_claim_free(&e->mail);
	free(e->maildir);
	free(e->text);
	free(e->text_end);
	free(e->account);
	free(e->recipient);
	free(e->add_from);
	free(e->header_from);
	free(e->local_domain);
	free(e->file);
	free(e->name);
	free(e->sender);
	free(e);
}

void
outerrand_list_clear(struct outerrand_list *list)
{
	struct outerrand *e;

	while ((e = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, e, link);
		outerrand_free(&e);
	}
}

static void
bind_text(sqlite3_stmt *query, int index, const char *text)
{
	sqlite3_bind_text(query, index, text, -1, SQLITE_STATIC);
}

bool
outerrand_insert(
    struct state *state, int64_t message, const struct outerrand *e, struct verdict *why)
{
	static const char sql[] =
	    "INSERT INTO outerrand (message, maildir, mode, part, text, text_end, account,"
	    "  recipient, add_from, header_from, local_domain)"
	    "  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
	sqlite3_stmt *query = state_query(state, sql, why);

	if (query == NULL)
		return false;
	sqlite3_bind_int64(query, 1, message);
	bind_text(query, 2, e->maildir);
	sqlite3_bind_int64(query, 3, e->mode);
	sqlite3_bind_int(query, 4, (int)e->part);
	sqlite3_bind_blob64(query, 5, e->text, e->text_len, SQLITE_STATIC);
	bind_text(query, 6, e->text_end);
	bind_text(query, 7, e->account);
	bind_text(query, 8, e->recipient);
	bind_text(query, 9, e->add_from);
	bind_text(query, 10, e->header_from);
	bind_text(query, 11, e->local_domain);
	return state_run(state, query, why);
}

static char *
copy_text(sqlite3_stmt *query, int column)
{
	return xstrdup((const char *)sqlite3_column_text(query, column));
}

static struct outerrand *
read_errand(sqlite3_stmt *query)
{
	struct outerrand *e = xcalloc(1, sizeof *e);
	const void *text = sqlite3_column_blob(query, 4);

	e->id = sqlite3_column_int64(query, 0);
	e->row = sqlite3_column_int64(query, 1);
	e->mode = (unsigned)sqlite3_column_int64(query, 2);
	e->part = (enum outerrand_part)sqlite3_column_int(query, 3);
	e->text_len = (size_t)sqlite3_column_bytes(query, 4);
	e->text = xcalloc(1, e->text_len + 1);
	if (text != NULL)
		memcpy(e->text, text, e->text_len);
	e->text_end = copy_text(query, 5);
	e->account = copy_text(query, 6);
	e->recipient = copy_text(query, 7);
	e->add_from = copy_text(query, 8);
	e->header_from = copy_text(query, 9);
	e->local_domain = copy_text(query, 10);
	e->file = copy_text(query, 11);
	e->intended = sqlite3_column_int64(query, 12);
	snprintf(e->message, sizeof e->message, "%s", (const char *)sqlite3_column_text(query, 13));
	e->name = copy_text(query, 14);
	e->sender = copy_text(query, 15);
	e->queued = sqlite3_column_int64(query, 16);
	return e;
}

bool
outerrand_load(struct state *state, const char *maildir, int64_t *after, size_t limit,
    struct outerrand_list *list, struct verdict *why)
{
	static const char sql[] =
	    "SELECT e.id, e.message, e.mode, e.part, e.text, e.text_end, e.account, e.recipient,"
	    "  e.add_from, e.header_from, e.local_domain, e.file, e.intended, m.id, m.name,"
	    "  m.sender, m.queued FROM outerrand e JOIN outmessage m ON m.row = e.message"
	    "  WHERE e.maildir = ?1 AND e.id > ?2 ORDER BY e.id LIMIT ?3";
	sqlite3_stmt *query = state_query(state, sql, why);

	if (query == NULL)
		return false;
	bind_text(query, 1, maildir);
	sqlite3_bind_int64(query, 2, *after);
	sqlite3_bind_int64(query, 3, (int64_t)limit);
	while (state_next(state, query, why)) {
		struct outerrand *e = read_errand(query);

		e->maildir = xstrdup(maildir);
		*after = e->id;
		TAILQ_INSERT_TAIL(list, e, link);
	}
	return why->kind == FAIL_NONE;
}

/* The fetching side may know it as an account's own. */
bool
outerrand_is_known_maildir(
    struct state *state, const char *maildir, bool *known, struct verdict *why)
{
	static const char sql[] = "SELECT 1 FROM outmaildir WHERE path = ?1"
				  "  UNION ALL SELECT 1 FROM account WHERE maildir = ?1";
	sqlite3_stmt *query = state_query(state, sql, why);

	if (query == NULL)
		return false;
	bind_text(query, 1, maildir);
	*known = state_next(state, query, why);
	if (*known)
		sqlite3_reset(query);
	return why->kind == FAIL_NONE;
}

bool
outerrand_note_maildir(struct state *state, const char *maildir, struct verdict *why)
{
	static const char sql[] = "INSERT OR IGNORE INTO outmaildir (path) VALUES (?1)";
	sqlite3_stmt *query = state_query(state, sql, why);

	if (query == NULL)
		return false;
	bind_text(query, 1, maildir);
	return state_run(state, query, why);
}

bool
outerrand_each_maildir(
    struct state *state, void (*cb)(const char *maildir, void *arg), void *arg, struct verdict *why)
{
	static const char sql[] = "SELECT DISTINCT maildir FROM outerrand";
	sqlite3_stmt *query = state_query(state, sql, why);

	if (query == NULL)
		return false;
	while (state_next(state, query, why))
		cb((const char *)sqlite3_column_text(query, 0), arg);
	return why->kind == FAIL_NONE;
}

bool
outerrand_intend(struct state *state, int64_t id, const char *file, struct verdict *why)
{
	static const char sql[] = "UPDATE outerrand SET file = ?2, intended = ?3 WHERE id = ?1";
	sqlite3_stmt *query = state_query(state, sql, why);

	if (query == NULL)
		return false;
	sqlite3_bind_int64(query, 1, id);
	bind_text(query, 2, file);
	sqlite3_bind_int64(query, 3, clock_wall());
	return state_run(state, query, why);
}

bool
outerrand_settle(struct state *state, struct outerrand *e, struct verdict *why)
{
	static const char sql[] = "DELETE FROM outerrand WHERE id = ?1";
	sqlite3_stmt *query = state_query(state, sql, why);

	if (e->end != NULL)
		spool_end_free(&e->end);
	if (query == NULL)
		return false;
	sqlite3_bind_int64(query, 1, e->id);
	return state_run(state, query, why) && outledger_get_end(state, e->row, &e->end, why);
}

bool
outerrand_complain(
    struct state *state, const struct outerrand *e, const char *text, struct verdict *why)
{
	static const char sql[] =
	    "UPDATE outmessage SET last_error = ?2 WHERE row = ?1 AND state = 1";
	sqlite3_stmt *query = state_query(state, sql, why);

	if (query == NULL)
		return false;
	sqlite3_bind_int64(query, 1, e->row);
	bind_text(query, 2, text);
	return state_run(state, query, why);
}
