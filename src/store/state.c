#include "store/state.h"

#include "base/log.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "store/ages.h"
#include "store/disk.h"
#include "store/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STATEMENT_MAX = 192 };

/* Owned by struct store; used by one thread at a time. */
struct state {
	sqlite3 *db;
	char *path;
	struct ages ages;
	struct {
		const char *sql;
		sqlite3_stmt *compiled;
	} statements[STATEMENT_MAX];
	size_t statement_count;
};

/* schema[n] brings version n to n + 1.  Never change one that was released: append. */
static const char *const schema[] = {
    "CREATE TABLE age (id INTEGER PRIMARY KEY CHECK (id = 1), now INTEGER NOT NULL,"
    "  wall INTEGER NOT NULL, boot INTEGER NOT NULL, boot_id TEXT NOT NULL,"
    "  synchronised INTEGER NOT NULL);"
    "CREATE TABLE account (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    "  maildir TEXT, dev INTEGER NOT NULL DEFAULT 0, ino INTEGER NOT NULL DEFAULT 0,"
    "  born INTEGER NOT NULL DEFAULT 0, fsid INTEGER NOT NULL DEFAULT 0,"
    "  fstype INTEGER NOT NULL DEFAULT 0,"
    "  last_attempt INTEGER NOT NULL DEFAULT 0, last_success INTEGER NOT NULL DEFAULT 0,"
    "  fetched INTEGER NOT NULL DEFAULT 0, fetched_octets INTEGER NOT NULL DEFAULT 0,"
    "  failures INTEGER NOT NULL DEFAULT 0, auth_failures INTEGER NOT NULL DEFAULT 0,"
    "  blocked_until INTEGER NOT NULL DEFAULT 0, fingerprint TEXT NOT NULL DEFAULT '',"
    "  error_time INTEGER NOT NULL DEFAULT 0, error_kind TEXT NOT NULL DEFAULT 'ok',"
    "  error_text TEXT NOT NULL DEFAULT '');"
    /*
     * size is what LIST said, octets what the digest is of; fetched and vanished are on the age
     * clock; moved: it vanished from a listing that had nothing known in it, and may come under a
     * new uid.
     */
    "CREATE TABLE message (id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,"
    "  uid BLOB NOT NULL, occurrence INTEGER NOT NULL, size INTEGER NOT NULL,"
    "  octets INTEGER, digest BLOB, file TEXT, intended INTEGER,"
    "  fetched INTEGER NOT NULL, vanished INTEGER NOT NULL DEFAULT 0,"
    "  moved INTEGER NOT NULL DEFAULT 0, state INTEGER NOT NULL);"
    "CREATE INDEX message_account ON message (account);"
    "CREATE INDEX message_claimable ON message (account, digest)"
    "  WHERE digest IS NOT NULL AND (vanished <> 0 OR state > 1);"
    "CREATE INDEX message_intent ON message (account) WHERE state = 0;",
    /*
     * The queue, see outledger.h.  All times are wall ms.  A message is hidden while it is a copy
     * whose original (source) is not removed yet; missing: since when its file is not there.
     */
    "CREATE TABLE outmessage (row INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    "  name TEXT NOT NULL, account TEXT NOT NULL, sender TEXT NOT NULL, bounce INTEGER NOT NULL,"
    "  size INTEGER NOT NULL, inode INTEGER NOT NULL, wire_size INTEGER NOT NULL,"
    "  longest_line INTEGER NOT NULL, eight_bit INTEGER NOT NULL, utf8_header INTEGER NOT NULL,"
    "  state INTEGER NOT NULL, held INTEGER NOT NULL DEFAULT 0, queued INTEGER NOT NULL,"
    "  next_attempt INTEGER NOT NULL, first_tried INTEGER NOT NULL DEFAULT 0,"
    "  attempts INTEGER NOT NULL DEFAULT 0, unknowns INTEGER NOT NULL DEFAULT 0,"
    "  warned INTEGER NOT NULL DEFAULT 0, last_error TEXT, reason TEXT, failed_name TEXT,"
    "  missing INTEGER NOT NULL DEFAULT 0, hidden INTEGER NOT NULL DEFAULT 0, source TEXT,"
    "  source_inode INTEGER, source_size INTEGER, source_mtime INTEGER);"
    "CREATE INDEX outmessage_due ON outmessage (account, next_attempt)"
    "  WHERE state = 0 AND held = 0 AND hidden = 0 AND missing = 0;"
    "CREATE INDEX outmessage_oldest ON outmessage (account, queued)"
    "  WHERE state < 2 AND missing = 0;"
    "CREATE INDEX outmessage_failed ON outmessage (failed_name) WHERE failed_name IS NOT NULL;"
    "CREATE INDEX outmessage_unfinished ON outmessage (row)"
    "  WHERE state = 1 OR state = 3 OR hidden = 1;"
    "CREATE TABLE outrecipient (message INTEGER NOT NULL"
    "  REFERENCES outmessage (row) ON DELETE CASCADE, number INTEGER NOT NULL,"
    "  address TEXT NOT NULL, state INTEGER NOT NULL DEFAULT 0, reply TEXT,"
    "  PRIMARY KEY (message, number)) WITHOUT ROWID;"
    /* A copy or a report that is owed.  maildir '': by mail; file: its name in tmp/, then new/. */
    "CREATE TABLE outerrand (id INTEGER PRIMARY KEY AUTOINCREMENT, message INTEGER NOT NULL"
    "  REFERENCES outmessage (row) ON DELETE CASCADE, maildir TEXT NOT NULL,"
    "  mode INTEGER NOT NULL, part INTEGER NOT NULL, text BLOB, text_end TEXT, account TEXT,"
    "  recipient TEXT, add_from TEXT, header_from TEXT, local_domain TEXT, file TEXT,"
    "  intended INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX outerrand_message ON outerrand (message);"
    "CREATE INDEX outerrand_maildir ON outerrand (maildir, id);"
    "CREATE TABLE outmaildir (path TEXT PRIMARY KEY) WITHOUT ROWID;",
    /* What survives a restart of each account's SMTP side, see record.h. */
    "CREATE TABLE outaccount (name TEXT PRIMARY KEY,"
    "  last_attempt INTEGER NOT NULL DEFAULT 0, last_success INTEGER NOT NULL DEFAULT 0,"
    "  sent INTEGER NOT NULL DEFAULT 0, sent_octets INTEGER NOT NULL DEFAULT 0,"
    "  failures INTEGER NOT NULL DEFAULT 0, auth_failures INTEGER NOT NULL DEFAULT 0,"
    "  blocked_until INTEGER NOT NULL DEFAULT 0, fingerprint TEXT NOT NULL DEFAULT '',"
    "  error_time INTEGER NOT NULL DEFAULT 0, error_kind TEXT NOT NULL DEFAULT 'ok',"
    "  error_text TEXT NOT NULL DEFAULT '') WITHOUT ROWID;",
    /* How each side logged in last. */
    ("ALTER TABLE account ADD COLUMN mechanism TEXT NOT NULL DEFAULT '';"
     "ALTER TABLE outaccount ADD COLUMN mechanism TEXT NOT NULL DEFAULT '';"),
    /* What each SMTP server offers and cannot do. */
    ("ALTER TABLE outaccount ADD COLUMN lacking INTEGER NOT NULL DEFAULT 0;"
     "ALTER TABLE outaccount ADD COLUMN lacking_since INTEGER NOT NULL DEFAULT 0;"),
    /* X-Postrider-Not-Before, apart from the back-off of what was put off before any attempt. */
    ("ALTER TABLE outmessage ADD COLUMN not_before INTEGER NOT NULL DEFAULT 0;"
     "UPDATE outmessage SET not_before = next_attempt WHERE attempts = 0;"),
    /* Whose fate is unknown waits longer than the others of its message. */
    "ALTER TABLE outmessage ADD COLUMN unknown_until INTEGER NOT NULL DEFAULT 0;",
    /* The first of the failures in a row. */
    ("ALTER TABLE account ADD COLUMN failing_since INTEGER NOT NULL DEFAULT 0;"
     "ALTER TABLE outaccount ADD COLUMN failing_since INTEGER NOT NULL DEFAULT 0;"),
    /* What each POP3 server asks for, and what was told of it. */
    ("ALTER TABLE account ADD COLUMN last_login INTEGER NOT NULL DEFAULT 0;"
     "ALTER TABLE account ADD COLUMN login_delay INTEGER NOT NULL DEFAULT 0;"
     "ALTER TABLE account ADD COLUMN expire_told INTEGER NOT NULL DEFAULT 0;"),
    /* What each POP3 server can do, and what it cannot although it says so. */
    ("ALTER TABLE account ADD COLUMN proven INTEGER NOT NULL DEFAULT 0;"
     "ALTER TABLE account ADD COLUMN lacking INTEGER NOT NULL DEFAULT 0;"
     "ALTER TABLE account ADD COLUMN lacking_since INTEGER NOT NULL DEFAULT 0;"),
};

enum { SCHEMA_VERSION = sizeof schema / sizeof *schema };

static const char *
advice_for(int code)
{
	switch (code & 0xff) {
	case SQLITE_FULL:
		return "free space on its file system";
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return "give the daemon's user write access to it";
	case SQLITE_CANTOPEN:
		return "look at the directory's permissions";
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return "another program holds it open: close that";
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return "it is damaged: restore it from a backup, or move it away (then all mail on "
		       "the "
		       "servers counts as new)";
	default:
		return "check the disk and the kernel's log";
	}
}

bool
state_fault(struct state *s, struct verdict *why)
{
	int code = sqlite3_extended_errcode(s->db);
	char shown[200];

	str_escape(shown, sizeof shown, s->path, strlen(s->path));
	verdict_fail(why, FAIL_LOCAL, "state", "state database %s: %s; %s", shown,
	    sqlite3_errmsg(s->db), advice_for(code));
	why->code = sqlite3_system_errno(s->db);
	return false;
}

static bool
execute(struct state *s, const char *sql, struct verdict *why)
{
	if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return state_fault(s, why);
	return true;
}

static bool
set_journal_mode(struct state *s, const char *mode, struct verdict *why)
{
	char sql[64];
	sqlite3_stmt *query;
	bool ok, done;

	snprintf(sql, sizeof sql, "PRAGMA journal_mode = %s", mode);
	ok = sqlite3_prepare_v2(s->db, sql, -1, &query, NULL) == SQLITE_OK &&
	     sqlite3_step(query) == SQLITE_ROW;
	done = ok && sqlite3_stricmp((const char *)sqlite3_column_text(query, 0), mode) == 0;
	if (!ok)
		state_fault(s, why);
	sqlite3_finalize(query);
	return done;
}

/*
 * locking_mode comes first, so that WAL needs no shared memory.  Without WAL it takes EXTRA: with
 * FULL a power cut may bring back the journal of a transaction that was committed.
 */
static bool
set_pragmas(struct state *s, const char *directory, struct verdict *why)
{
	bool network = disk_is_network(directory);
	bool wal;

	if (!execute(s, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA foreign_keys = ON;", why))
		return false;
	wal = !network && set_journal_mode(s, "WAL", why);
	if (why->kind != FAIL_NONE)
		return false;
	if (!wal) {
		log_warning(
		    "state directory %s is on a network file system or one like it: slower, "
		    "and only as safe as its locks and flushes are",
		    directory);
		if (!set_journal_mode(s, "DELETE", why) && why->kind != FAIL_NONE)
			return false;
	}
	return execute(
		   s, wal ? "PRAGMA synchronous = FULL;" : "PRAGMA synchronous = EXTRA;", why) &&
	       execute(s,
		   "PRAGMA cache_size = -4096; PRAGMA temp_store = MEMORY;"
		   "PRAGMA journal_size_limit = 16777216;",
		   why);
}

static int
read_version(struct state *s, struct verdict *why)
{
	sqlite3_stmt *query;
	int version = -1;

	if (sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &query, NULL) == SQLITE_OK &&
	    sqlite3_step(query) == SQLITE_ROW)
		version = sqlite3_column_int(query, 0);
	else
		state_fault(s, why);
	sqlite3_finalize(query);
	return version;
}

static bool
migrate_one(struct state *s, int version, struct verdict *why)
{
	char *sql = xasprintf(
	    "BEGIN IMMEDIATE; %s PRAGMA user_version = %d; COMMIT;", schema[version], version + 1);
	bool ok = execute(s, sql, why);

	free(sql);
	if (!ok)
		state_rollback(s);
	return ok;
}

static bool
migrate(struct state *s, struct verdict *why)
{
	int version = read_version(s, why);

	if (version < 0)
		return false;
	if (version > SCHEMA_VERSION)
		return verdict_fail(why, FAIL_LOCAL, "state",
		    "state database %s was written by a newer postrider (schema %d, this one "
		    "knows %d); install that version again",
		    s->path, version, SCHEMA_VERSION);
	for (; version < SCHEMA_VERSION; version++)
		if (!migrate_one(s, version, why))
			return false;
	return true;
}

static bool
load_ages(struct state *s, struct verdict *why)
{
	static const char sql[] = "SELECT now, wall, boot, boot_id, synchronised FROM age";
	sqlite3_stmt *query = state_query(s, sql, why);
	struct ages *a = &s->ages;

	if (query == NULL)
		return false;
	if (state_next(s, query, why)) {
		const char *boot_id = (const char *)sqlite3_column_text(query, 3);

		a->now = sqlite3_column_int64(query, 0);
		a->last.wall = sqlite3_column_int64(query, 1);
		a->last.boot = sqlite3_column_int64(query, 2);
		strncpy(
		    a->last.boot_id, boot_id != NULL ? boot_id : "", sizeof a->last.boot_id - 1);
		a->last.synchronised = sqlite3_column_int(query, 4) != 0;
		sqlite3_reset(query);
	}
	return why->kind == FAIL_NONE;
}

/* SQLite makes its files with the mode of the database, and that one with the umask's. */
static bool
make_private(const char *path, struct verdict *why)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool ok = fd >= 0 && fchmod(fd, 0600) == 0;

	if (!ok)
		fault_errno(why, "state", errno, "make private", path);
	if (fd >= 0)
		close(fd);
	return ok;
}

struct state *
state_open(const char *directory, struct verdict *why)
{
	struct state *s = xcalloc(1, sizeof *s);

	*why = (struct verdict)VERDICT_OK;
	s->path = xasprintf("%s/state.db", directory);
	if (!make_private(s->path, why)) {
		state_close(&s);
		return NULL;
	}
	if (sqlite3_open_v2(s->path, &s->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
		NULL) != SQLITE_OK)
		state_fault(s, why);
	else if (set_pragmas(s, directory, why) && migrate(s, why) && load_ages(s, why))
		return s;
	state_close(&s);
	return NULL;
}

void
state_close(struct state **state)
{
	struct state *s = *state;

	*state = NULL;
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->statement_count; i++)
		sqlite3_finalize(s->statements[i].compiled);
	sqlite3_close(s->db);
	free(s->path);
	free(s);
}

sqlite3_stmt *
state_query(struct state *s, const char *sql, struct verdict *why)
{
	sqlite3_stmt *compiled;

	for (size_t i = 0; i < s->statement_count; i++) {
		if (s->statements[i].sql != sql)
			continue;
		compiled = s->statements[i].compiled;
		sqlite3_reset(compiled);
		sqlite3_clear_bindings(compiled);
		return compiled;
	}
	if (s->statement_count == STATEMENT_MAX)
		abort(); /* every statement is a literal of this program: a bug */
	if (sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &compiled, NULL) !=
	    SQLITE_OK) {
		state_fault(s, why);
		return NULL;
	}
	s->statements[s->statement_count].sql = sql;
	s->statements[s->statement_count++].compiled = compiled;
	return compiled;
}

bool
state_next(struct state *s, sqlite3_stmt *query, struct verdict *why)
{
	int result = sqlite3_step(query);

	if (result == SQLITE_ROW)
		return true;
	if (result != SQLITE_DONE)
		state_fault(s, why);
	sqlite3_reset(query);
	return false;
}

bool
state_run(struct state *s, sqlite3_stmt *query, struct verdict *why)
{
	int result = sqlite3_step(query);

	if (result != SQLITE_DONE)
		state_fault(s, why);
	sqlite3_reset(query);
	return result == SQLITE_DONE;
}

int64_t
state_inserted_row(const struct state *s)
{
	return sqlite3_last_insert_rowid(s->db);
}

int
state_changed_rows(const struct state *s)
{
	return sqlite3_changes(s->db);
}

static bool
run_literal(struct state *s, const char *sql, struct verdict *why)
{
	sqlite3_stmt *query = state_query(s, sql, why);

	return query != NULL && state_run(s, query, why);
}

bool
state_begin(struct state *s, struct verdict *why)
{
	return run_literal(s, "BEGIN IMMEDIATE", why);
}

bool
state_commit(struct state *s, struct verdict *why)
{
	return run_literal(s, "COMMIT", why);
}

void
state_rollback(struct state *s)
{
	struct verdict ignored = VERDICT_OK;

	if (state_in_transaction(s))
		run_literal(s, "ROLLBACK", &ignored);
}

bool
state_mark(struct state *s, struct verdict *why)
{
	return run_literal(s, "SAVEPOINT job", why);
}

void
state_keep(struct state *s)
{
	struct verdict ignored = VERDICT_OK;

	run_literal(s, "RELEASE job", &ignored);
}

bool
state_undo(struct state *s)
{
	struct verdict ignored = VERDICT_OK;

	return state_in_transaction(s) && run_literal(s, "ROLLBACK TO job", &ignored) &&
	       run_literal(s, "RELEASE job", &ignored);
}

bool
state_in_transaction(const struct state *s)
{
	return sqlite3_get_autocommit(s->db) == 0;
}

int64_t
state_now(struct state *s)
{
	struct ages_reading reading;

	ages_read(&reading);
	ages_advance(&s->ages, &reading);
	return s->ages.now;
}

bool
state_save_now(struct state *s, struct verdict *why)
{
	static const char sql[] = "INSERT OR REPLACE INTO age (id, now, wall, boot, boot_id,"
				  "  synchronised) VALUES (1, ?1, ?2, ?3, ?4, ?5)";
	sqlite3_stmt *query = state_query(s, sql, why);

	if (query == NULL)
		return false;
	sqlite3_bind_int64(query, 1, state_now(s));
	sqlite3_bind_int64(query, 2, s->ages.last.wall);
	sqlite3_bind_int64(query, 3, s->ages.last.boot);
	sqlite3_bind_text(query, 4, s->ages.last.boot_id, -1, SQLITE_STATIC);
	sqlite3_bind_int(query, 5, s->ages.last.synchronised);
	return state_run(s, query, why);
}
