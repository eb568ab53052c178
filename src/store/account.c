#include "store/account.h"

#include "base/xalloc.h"
#include "store/mailbox.h"
#include "store/state.h"

#include <stdio.h>
#include <string.h>

bool
account_find(struct state *state, const char *name, int64_t *account, struct verdict *why)
{
	static const char insert[] = "INSERT OR IGNORE INTO account (name) VALUES (?1)";
	static const char find[] = "SELECT id FROM account WHERE name = ?1";
	sqlite3_stmt *query = state_query(state, find, why);
	bool found;

	if (query == NULL)
		return false;
	sqlite3_bind_text(query, 1, name, -1, SQLITE_STATIC);
	found = state_next(state, query, why);
	if (!found && why->kind == FAIL_NONE) {
		sqlite3_stmt *make = state_query(state, insert, why);

		if (make == NULL)
			return false;
		sqlite3_bind_text(make, 1, name, -1, SQLITE_STATIC);
		found = state_run(state, make, why) && state_next(state, query, why);
	}
	if (!found)
		return why->kind != FAIL_NONE
			   ? false
			   : verdict_fail(why, FAIL_LOCAL, "state", "account row is missing");
	*account = sqlite3_column_int64(query, 0);
	sqlite3_reset(query);
	return true;
}

static void
copy_column(char *to, size_t size, sqlite3_stmt *query, int column)
{
	const char *text = (const char *)sqlite3_column_text(query, column);

	snprintf(to, size, "%s", text != NULL ? text : "");
}

/* Kinds are stored by name, so that the enum may change. */
static enum fail
kind_from_name(const char *name)
{
	for (enum fail kind = FAIL_NONE; kind <= FAIL_LOCAL; kind++)
		if (name != NULL && strcmp(name, verdict_kind_name(kind)) == 0)
			return kind;
	return FAIL_LOCAL;
}

static void
read_record(sqlite3_stmt *query, struct mailbox_record *r)
{
	r->last_attempt = sqlite3_column_int64(query, 0);
	r->last_success = sqlite3_column_int64(query, 1);
	r->fetched = (uint64_t)sqlite3_column_int64(query, 2);
	r->fetched_octets = (uint64_t)sqlite3_column_int64(query, 3);
	r->failures = (unsigned)sqlite3_column_int64(query, 4);
	r->auth_failures = (unsigned)sqlite3_column_int64(query, 5);
	r->blocked_until = sqlite3_column_int64(query, 6);
	copy_column(r->fingerprint, sizeof r->fingerprint, query, 7);
	r->error_time = sqlite3_column_int64(query, 8);
	r->error_kind = kind_from_name((const char *)sqlite3_column_text(query, 9));
	copy_column(r->error_text, sizeof r->error_text, query, 10);
}

bool
account_load(
    struct state *state, const char *name, struct mailbox_record *record, struct verdict *why)
{
	static const char sql[] =
	    "SELECT last_attempt, last_success, fetched, fetched_octets, failures, auth_failures,"
	    "  blocked_until, fingerprint, error_time, error_kind, error_text"
	    "  FROM account WHERE name = ?1";
	sqlite3_stmt *query = state_query(state, sql, why);

	memset(record, 0, sizeof *record);
	if (query == NULL)
		return false;
	sqlite3_bind_text(query, 1, name, -1, SQLITE_STATIC);
	if (state_next(state, query, why)) {
		read_record(query, record);
		sqlite3_reset(query);
	}
	return why->kind == FAIL_NONE;
}

bool
account_save(
    struct state *state, const char *name, const struct mailbox_record *r, struct verdict *why)
{
	static const char sql[] =
	    "UPDATE account SET last_attempt = ?2, last_success = ?3, fetched = ?4,"
	    "  fetched_octets = ?5, failures = ?6, auth_failures = ?7, blocked_until = ?8,"
	    "  fingerprint = ?9, error_time = ?10, error_kind = ?11, error_text = ?12"
	    "  WHERE id = ?1";
	sqlite3_stmt *query;
	int64_t account;

	if (!account_find(state, name, &account, why) ||
	    (query = state_query(state, sql, why)) == NULL)
		return false;
	sqlite3_bind_int64(query, 1, account);
	sqlite3_bind_int64(query, 2, r->last_attempt);
	sqlite3_bind_int64(query, 3, r->last_success);
	sqlite3_bind_int64(query, 4, (int64_t)r->fetched);
	sqlite3_bind_int64(query, 5, (int64_t)r->fetched_octets);
	sqlite3_bind_int64(query, 6, r->failures);
	sqlite3_bind_int64(query, 7, r->auth_failures);
	sqlite3_bind_int64(query, 8, r->blocked_until);
	sqlite3_bind_text(query, 9, r->fingerprint, -1, SQLITE_STATIC);
	sqlite3_bind_int64(query, 10, r->error_time);
	sqlite3_bind_text(query, 11, verdict_kind_name(r->error_kind), -1, SQLITE_STATIC);
	sqlite3_bind_text(query, 12, r->error_text, -1, SQLITE_STATIC);
	return state_run(state, query, why);
}

bool
account_load_maildir(struct state *state, int64_t account, char **path,
    struct maildir_identity *identity, struct verdict *why)
{
	static const char sql[] =
	    "SELECT maildir, dev, ino, born, fsid, fstype FROM account WHERE id = ?1";
	sqlite3_stmt *query = state_query(state, sql, why);

	*path = NULL;
	memset(identity, 0, sizeof *identity);
	if (query == NULL)
		return false;
	sqlite3_bind_int64(query, 1, account);
	if (state_next(state, query, why)) {
		*path = xstrdup((const char *)sqlite3_column_text(query, 0));
		identity->dev = (uint64_t)sqlite3_column_int64(query, 1);
		identity->ino = (uint64_t)sqlite3_column_int64(query, 2);
		identity->born = (uint64_t)sqlite3_column_int64(query, 3);
		identity->fsid = (uint64_t)sqlite3_column_int64(query, 4);
		identity->fstype = (uint64_t)sqlite3_column_int64(query, 5);
		sqlite3_reset(query);
	}
	return why->kind == FAIL_NONE;
}

bool
account_save_maildir(struct state *state, int64_t account, const char *path,
    const struct maildir_identity *identity, struct verdict *why)
{
	static const char sql[] = "UPDATE account SET maildir = ?2, dev = ?3, ino = ?4, born = ?5,"
				  "  fsid = ?6, fstype = ?7 WHERE id = ?1";
	sqlite3_stmt *query = state_query(state, sql, why);

	if (query == NULL)
		return false;
	sqlite3_bind_int64(query, 1, account);
	sqlite3_bind_text(query, 2, path, -1, SQLITE_STATIC);
	sqlite3_bind_int64(query, 3, (int64_t)identity->dev);
	sqlite3_bind_int64(query, 4, (int64_t)identity->ino);
	sqlite3_bind_int64(query, 5, (int64_t)identity->born);
	sqlite3_bind_int64(query, 6, (int64_t)identity->fsid);
	sqlite3_bind_int64(query, 7, (int64_t)identity->fstype);
	return state_run(state, query, why);
}
