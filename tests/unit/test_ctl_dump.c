#include "unit.h"

#include "ctl/ctl_dump.h"
#include "ctl/ctl_snapshot.h"

#include "base/verdict.h"
#include "base/xalloc.h"
#include "store/state.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

static char *
make_directory(void)
{
	char *directory = xstrdup("/tmp/test_ctl_dump.XXXXXX");

	assert_non_null(mkdtemp(directory));
	return directory;
}

static void
run_command(const char *command)
{
	assert_int_equal(system(command), 0);
}

static void
remove_directory(char *directory)
{
	char *command = xasprintf("rm -rf '%s'", directory);

	run_command(command);
	free(command);
	free(directory);
}

static int64_t
ask(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *query;
	int64_t answer;

	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &query, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(query), SQLITE_ROW);
	answer = sqlite3_column_int64(query, 0);
	sqlite3_finalize(query);
	return answer;
}

static void
writes_a_row_a_line(void **state)
{
	static const char expected[] =
	    "{\"table\":\"a \\\"b\\\"\",\"n\":-1,\"f\":0.5,\"t\":\"x\\u00E9\\u001B\","
	    "\"b\":\"00ff1b\",\"z\":null}\n"
	    "{\"table\":\"a \\\"b\\\"\",\"n\":9007199254740993,\"f\":null,\"t\":\"\\\\xff\","
	    "\"b\":\"\",\"z\":null}\n"
	    "{\"table\":\"c\",\"id\":1}\n";
	sqlite3 *db;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(db,
		"CREATE TABLE c (id INTEGER PRIMARY KEY AUTOINCREMENT);"
		"CREATE TABLE \"a \"\"b\"\"\" (n INTEGER, f REAL, t TEXT, b BLOB, z);"
		"INSERT INTO c VALUES (1);"
		"INSERT INTO \"a \"\"b\"\"\" VALUES (-1, 0.5, 'x' || char(233) || char(27),"
		"  x'00ff1b', NULL);"
		"INSERT INTO \"a \"\"b\"\"\" VALUES (9007199254740993, NULL,"
		"  CAST(x'ff' AS TEXT), x'', NULL);",
		NULL, NULL, NULL),
	    SQLITE_OK);
	assert_true(ctl_dump_write(db, out));
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
	sqlite3_close(db);
}

/* -- a daemon that writes --------------------------------------------------------------------- */

/* The two sums are the same after every transaction; a small log begins anew often. */
static void
write_for_ever(const char *directory, int ready)
{
	struct verdict why;
	struct state *s = state_open(directory, &why);
	sqlite3_stmt *query;

	if (s == NULL)
		_exit(1);
	query = state_query(s, "PRAGMA wal_autocheckpoint = 8", &why);
	(void)state_next(s, query, &why);
	for (int64_t i = 0; i < 50; i++) {
		query = state_query(s, "INSERT INTO account (name, maildir) VALUES (?1, ?2)", &why);
		sqlite3_bind_int64(query, 1, i);
		sqlite3_bind_zeroblob(query, 2, 2000);
		if (!state_run(s, query, &why))
			_exit(2);
	}
	for (int64_t i = 0;; i++) {
		if (!state_begin(s, &why))
			_exit(3);
		query = state_query(s,
		    "UPDATE account SET fetched = fetched + 1,"
		    " failures = failures + 1 WHERE id % 7 = ?1",
		    &why);
		sqlite3_bind_int64(query, 1, i % 7);
		if (!state_run(s, query, &why) || !state_commit(s, &why))
			_exit(4);
		if (i == 20 && write(ready, "", 1) != 1)
			_exit(5);
	}
}

/* Another process: whoever closes a database file gives up its process's locks on it. */
static pid_t
start_writer(const char *directory)
{
	int ready[2];
	pid_t pid;
	char octet;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ready[0]);
		write_for_ever(directory, ready[1]);
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &octet, 1), 1);
	close(ready[0]);
	return pid;
}

static void
kill_writer(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

static bool
is_whole(sqlite3 *db)
{
	sqlite3_stmt *query;
	bool good;

	assert_int_equal(
	    sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &query, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(query), SQLITE_ROW);
	good = strcmp((const char *)sqlite3_column_text(query, 0), "ok") == 0;
	sqlite3_finalize(query);
	return good;
}

static void
reads_beside_a_writer(void **state)
{
	char *directory = make_directory();
	pid_t writer = start_writer(directory);
	int64_t before = 0;
	int opened = 0;

	(void)state;
	for (int i = 0; i < 40; i++) {
		int code = EX_OK;
		sqlite3 *db = ctl_snapshot_open(directory, &code);
		int64_t now;

		if (db == NULL) {
			assert_int_equal(code, EX_TEMPFAIL);
			continue;
		}
		opened++;
		assert_true(is_whole(db));
		now = ask(db, "SELECT sum(fetched) FROM account");
		assert_true(now >= before);
		assert_int_equal(ask(db, "SELECT count(DISTINCT fetched) FROM account"
					 " GROUP BY id % 7 ORDER BY 1 DESC LIMIT 1"),
		    1);
		assert_int_equal(ask(db, "SELECT sum(fetched = failures) FROM account"), 50);
		before = now;
		sqlite3_close(db);
	}
	assert_true(opened > 0);
	kill_writer(writer);
	remove_directory(directory);
}

/* The log of a daemon that was killed is read as well, and stays as it is. */
static void
reads_what_a_kill_left(void **state)
{
	char *directory = make_directory();
	char *command = xasprintf(
	    "test -s '%s/state.db-wal' && test ! -e '%s/state.db-shm'", directory, directory);
	int code = EX_OK;
	sqlite3 *db;

	(void)state;
	kill_writer(start_writer(directory));
	run_command(command);
	db = ctl_snapshot_open(directory, &code);
	assert_non_null(db);
	assert_true(is_whole(db));
	assert_int_equal(ask(db, "SELECT count(*) FROM account"), 50);
	sqlite3_close(db);
	run_command(command);
	free(command);
	remove_directory(directory);
}

static void
leaves_nothing_behind(void **state)
{
	char *directory = make_directory();
	char *command = xasprintf("test -z \"$(ls -A '%s/tmp')\"", directory);
	char *tmp = xasprintf("%s/tmp", directory);
	struct verdict why;
	struct state *s = state_open(directory, &why);
	int code = EX_OK;
	sqlite3 *db;

	(void)state;
	assert_non_null(s);
	state_close(&s);
	assert_int_equal(mkdir(tmp, 0700), 0);
	assert_int_equal(setenv("TMPDIR", tmp, 1), 0);
	db = ctl_snapshot_open(directory, &code);
	assert_non_null(db);
	run_command(command);
	assert_int_equal(ask(db, "SELECT count(*) FROM account"), 0);
	sqlite3_close(db);
	run_command(command);
	unsetenv("TMPDIR");
	free(command);
	free(tmp);
	remove_directory(directory);
}

/* -- without a write-ahead log ---------------------------------------------------------------- */

/* In the midst of a transaction that is in the file already, when it is torn. */
static sqlite3 *
open_without_log(const char *path, bool is_torn)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db,
			     "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE;"
			     "CREATE TABLE IF NOT EXISTS t (n); INSERT INTO t VALUES (7);",
			     NULL, NULL, NULL),
	    SQLITE_OK);
	if (is_torn)
		assert_int_equal(sqlite3_exec(db,
				     "PRAGMA cache_size = 1; BEGIN;"
				     "UPDATE t SET n = zeroblob(100000);"
				     "CREATE TABLE u AS SELECT * FROM t;",
				     NULL, NULL, NULL),
		    SQLITE_OK);
	return db;
}

/* Locks of one process are none to itself: the daemon's part is another's. */
static pid_t
start_holder(const char *path, bool is_torn)
{
	int ready[2];
	pid_t pid;
	char octet;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)open_without_log(path, is_torn);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &octet, 1), 1);
	close(ready[0]);
	return pid;
}

static void
without_a_log_the_daemon_must_be_stopped(void **state)
{
	char *directory = make_directory();
	char *path = xasprintf("%s/state.db", directory);
	pid_t holder = start_holder(path, false);
	int code = EX_OK;
	sqlite3 *db;

	(void)state;
	assert_null(ctl_snapshot_open(directory, &code));
	assert_int_equal(code, EX_TEMPFAIL);
	kill_writer(holder);
	code = EX_OK;
	db = ctl_snapshot_open(directory, &code);
	assert_non_null(db);
	assert_int_equal(ask(db, "SELECT n FROM t"), 7);
	sqlite3_close(db);
	free(path);
	remove_directory(directory);
}

/* Reading it in place would have to change it first. */
static void
without_a_log_a_crash_is_the_daemons(void **state)
{
	char *directory = make_directory();
	char *path = xasprintf("%s/state.db", directory);
	char *command = xasprintf("test -s '%s-journal'", path);
	int code = EX_OK;

	(void)state;
	kill_writer(start_holder(path, true));
	run_command(command);
	assert_null(ctl_snapshot_open(directory, &code));
	assert_int_equal(code, EX_TEMPFAIL);
	run_command(command);
	free(command);
	free(path);
	remove_directory(directory);
}

static void
says_what_is_no_database(void **state)
{
	char *directory = make_directory();
	char *command = xasprintf("echo 'This is no database, but it is long enough to be "
				  "one, is it not?' >'%s/state.db'",
	    directory);
	int code = EX_OK;

	(void)state;
	assert_null(ctl_snapshot_open(directory, &code));
	assert_int_equal(code, EX_NOINPUT);
	run_command(command);
	assert_null(ctl_snapshot_open(directory, &code));
	assert_int_equal(code, EX_DATAERR);
	free(command);
	remove_directory(directory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(writes_a_row_a_line),
	    cmocka_unit_test(reads_beside_a_writer),
	    cmocka_unit_test(reads_what_a_kill_left),
	    cmocka_unit_test(leaves_nothing_behind),
	    cmocka_unit_test(without_a_log_the_daemon_must_be_stopped),
	    cmocka_unit_test(without_a_log_a_crash_is_the_daemons),
	    cmocka_unit_test(says_what_is_no_database),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
