#include "store/account.h"

#include "base/xalloc.h"
#include "store/state.h"

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
