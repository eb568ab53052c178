#include "store/record.h"

#include "store/state.h"

#include <stdio.h>
#include <string.h>

#define LOAD(table, messages, octets, more)                                                        \
	"SELECT last_attempt, last_success, " messages ", " octets ", failures, auth_failures,"    \
	"  blocked_until, fingerprint, error_time, error_kind, error_text,"                        \
	"  mechanism, failing_since, lacking, lacking_since" more "  FROM " table                  \
	" WHERE name = ?1"

#define SAVE(table, messages, octets, more, more_values, more_updates)                             \
	"INSERT INTO " table " (name, last_attempt, last_success, " messages ", " octets ","       \
	"  failures, auth_failures, blocked_until, fingerprint, error_time, error_kind,"           \
	"  error_text, mechanism, failing_since, lacking, lacking_since" more ")"                  \
	"  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, "             \
	"?16" more_values ")"                                                                      \
	"  ON CONFLICT (name) DO UPDATE SET last_attempt = ?2, last_success = ?3, " messages       \
	" = ?4, " octets " = ?5, failures = ?6, auth_failures = ?7, blocked_until = ?8,"           \
	"  fingerprint = ?9, error_time = ?10, error_kind = ?11, error_text = ?12,"                \
	"  mechanism = ?13, failing_since = ?14, lacking = ?15, lacking_since = ?16" more_updates

static const char *const load_sql[] = {
    [RECORD_POP3] = LOAD(
	"account", "fetched", "fetched_octets", ", last_login, login_delay, expire_told, proven"),
    [RECORD_SMTP] = LOAD("outaccount", "sent", "sent_octets", ""),
};
static const char *const save_sql[] = {
    [RECORD_POP3] = SAVE("account", "fetched", "fetched_octets",
	", last_login, login_delay, expire_told, proven", ", ?17, ?18, ?19, ?20",
	", last_login = ?17, login_delay = ?18, expire_told = ?19, proven = ?20"),
    [RECORD_SMTP] = SAVE("outaccount", "sent", "sent_octets", "", "", ""),
};

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
read_record(sqlite3_stmt *query, struct record *r)
{
	r->last_attempt = sqlite3_column_int64(query, 0);
	r->last_success = sqlite3_column_int64(query, 1);
	r->messages = (uint64_t)sqlite3_column_int64(query, 2);
	r->octets = (uint64_t)sqlite3_column_int64(query, 3);
	r->failures = (unsigned)sqlite3_column_int64(query, 4);
	r->auth_failures = (unsigned)sqlite3_column_int64(query, 5);
	r->blocked_until = sqlite3_column_int64(query, 6);
	copy_column(r->fingerprint, sizeof r->fingerprint, query, 7);
	r->error_time = sqlite3_column_int64(query, 8);
	r->error_kind = kind_from_name((const char *)sqlite3_column_text(query, 9));
	copy_column(r->error_text, sizeof r->error_text, query, 10);
	copy_column(r->mechanism, sizeof r->mechanism, query, 11);
	r->failing_since = sqlite3_column_int64(query, 12);
	r->lacking = (unsigned)sqlite3_column_int64(query, 13);
	r->lacking_since = sqlite3_column_int64(query, 14);
}

/* What only a POP3 server tells. */
static void
read_pop3(sqlite3_stmt *query, struct record *r)
{
	r->last_login = sqlite3_column_int64(query, 15);
	r->login_delay = sqlite3_column_int64(query, 16);
	r->expire_told = sqlite3_column_int64(query, 17);
	r->proven = (unsigned)sqlite3_column_int64(query, 18);
}

enum log_level
record_level_of(const struct record *before, const struct verdict *why)
{
	unsigned times = before->failures + 1;
	bool is_same = before->failures > 0 && before->error_kind == why->kind &&
		       strcmp(before->error_text, why->text) == 0;

	return !is_same || (times & (times - 1)) == 0 ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG;
}

bool
record_load(struct state *state, enum record_side side, const char *account, struct record *record,
    struct verdict *why)
{
	sqlite3_stmt *query = state_query(state, load_sql[side], why);

	memset(record, 0, sizeof *record);
	if (query == NULL)
		return false;
	sqlite3_bind_text(query, 1, account, -1, SQLITE_STATIC);
	if (state_next(state, query, why)) {
		read_record(query, record);
		if (side == RECORD_POP3)
			read_pop3(query, record);
		sqlite3_reset(query);
	}
	return why->kind == FAIL_NONE;
}

bool
record_save(struct state *state, enum record_side side, const char *account, const struct record *r,
    struct verdict *why)
{
	sqlite3_stmt *query = state_query(state, save_sql[side], why);

	if (query == NULL)
		return false;
	sqlite3_bind_text(query, 1, account, -1, SQLITE_STATIC);
	sqlite3_bind_int64(query, 2, r->last_attempt);
	sqlite3_bind_int64(query, 3, r->last_success);
	sqlite3_bind_int64(query, 4, (int64_t)r->messages);
	sqlite3_bind_int64(query, 5, (int64_t)r->octets);
	sqlite3_bind_int64(query, 6, r->failures);
	sqlite3_bind_int64(query, 7, r->auth_failures);
	sqlite3_bind_int64(query, 8, r->blocked_until);
	sqlite3_bind_text(query, 9, r->fingerprint, -1, SQLITE_STATIC);
	sqlite3_bind_int64(query, 10, r->error_time);
	sqlite3_bind_text(query, 11, verdict_kind_name(r->error_kind), -1, SQLITE_STATIC);
	sqlite3_bind_text(query, 12, r->error_text, -1, SQLITE_STATIC);
	sqlite3_bind_text(query, 13, r->mechanism, -1, SQLITE_STATIC);
	sqlite3_bind_int64(query, 14, r->failing_since);
	sqlite3_bind_int64(query, 15, r->lacking);
	sqlite3_bind_int64(query, 16, r->lacking_since);
	if (side == RECORD_POP3) {
		sqlite3_bind_int64(query, 17, r->last_login);
		sqlite3_bind_int64(query, 18, r->login_delay);
		sqlite3_bind_int64(query, 19, r->expire_told);
		sqlite3_bind_int64(query, 20, r->proven);
	}
	return state_run(state, query, why);
}
