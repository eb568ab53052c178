#include "store_fixture.h"

#include "store/ages.h"
#include "store/state.h"

#include <fcntl.h>

static char directory[64];

static int
make_directory(void **state)
{
	snprintf(directory, sizeof directory, "/tmp/postrider-test-XXXXXX");
	assert_non_null(mkdtemp(directory));
	*state = directory;
	return 0;
}

static int
remove_directory(void **state)
{
	remove_tree(*state);
	return 0;
}

static struct state *
open_state(void)
{
	struct verdict why;
	struct state *s = state_open(directory, &why);

	assert_non_null(s);
	return s;
}

static int64_t
get_number(struct state *s, const char *sql)
{
	struct verdict why = VERDICT_OK;
	sqlite3_stmt *query = state_query(s, sql, &why);
	int64_t number;

	assert_non_null(query);
	assert_true(state_next(s, query, &why));
	number = sqlite3_column_int64(query, 0);
	sqlite3_reset(query);
	return number;
}

static void
run(struct state *s, const char *sql)
{
	struct verdict why = VERDICT_OK;
	sqlite3_stmt *query = state_query(s, sql, &why);

	assert_non_null(query);
	assert_true(state_run(s, query, &why));
}

static const char count_accounts[] = "SELECT count(*) FROM account";

static void
pragmas_are_those_promised(void **state)
{
	struct verdict why = VERDICT_OK;
	struct state *s = open_state();
	sqlite3_stmt *query = state_query(s, "PRAGMA journal_mode", &why);

	(void)state;
	assert_true(state_next(s, query, &why));
	assert_string_equal((const char *)sqlite3_column_text(query, 0), "wal");
	sqlite3_reset(query);
	assert_int_equal(get_number(s, "PRAGMA synchronous"), 2);
	assert_int_equal(get_number(s, "PRAGMA foreign_keys"), 1);
	assert_int_equal(get_number(s, "PRAGMA user_version"), 10);
	state_close(&s);
	assert_null(s);
}

static void
committed_is_kept_and_rolled_back_is_not(void **state)
{
	struct verdict why = VERDICT_OK;
	struct state *s = open_state();

	(void)state;
	assert_true(state_begin(s, &why));
	assert_true(state_mark(s, &why));
	run(s, "INSERT INTO account (name) VALUES ('kept')");
	state_keep(s);
	assert_true(state_mark(s, &why));
	run(s, "INSERT INTO account (name) VALUES ('undone')");
	state_undo(s);
	assert_true(state_in_transaction(s));
	assert_true(state_commit(s, &why));
	assert_true(state_begin(s, &why));
	run(s, "INSERT INTO account (name) VALUES ('rolled back')");
	state_rollback(s);
	state_close(&s);
	s = open_state();
	assert_int_equal(get_number(s, count_accounts), 1);
	state_close(&s);
}

static void
age_goes_on_after_reopening(void **state)
{
	static const struct clock_source source = {moved_mono, moved_wall, moved_boot};
	struct verdict why = VERDICT_OK;
	struct state *s;
	int64_t before;

	(void)state;
	clock_set_source(&source);
	s = open_state();
	before = state_now(s);
	assert_true(before >= AGES_START);
	assert_true(state_save_now(s, &why));
	state_close(&s);
	move_clocks(DAY_MS);
	s = open_state();
	assert_in_range(state_now(s) - before, DAY_MS, 2 * DAY_MS);
	state_close(&s);
	clock_set_source(NULL);
}

static void
newer_schema_is_refused(void **state)
{
	struct state *s = open_state();
	struct verdict why;

	(void)state;
	run(s, "PRAGMA user_version = 99");
	state_close(&s);
	assert_null(state_open(directory, &why));
	assert_int_equal(why.kind, FAIL_LOCAL);
	assert_non_null(strstr(why.text, "newer"));
}

static void
damaged_database_is_refused(void **state)
{
	struct verdict why;
	char path[100];
	FILE *file;

	(void)state;
	snprintf(path, sizeof path, "%s/state.db", directory);
	file = fopen(path, "w");
	for (int i = 0; i < 10000; i++)
		fputs("not a database ", file);
	fclose(file);
	assert_null(state_open(directory, &why));
	assert_int_equal(why.kind, FAIL_LOCAL);
	assert_non_null(strstr(why.text, path));
}

static void
missing_directory_is_refused(void **state)
{
	struct verdict why;

	(void)state;
	assert_null(state_open("/nonexistent/postrider", &why));
	assert_int_equal(why.kind, FAIL_LOCAL);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_directory, remove_directory)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(pragmas_are_those_promised),
	    TEST(committed_is_kept_and_rolled_back_is_not),
	    TEST(age_goes_on_after_reopening),
	    TEST(newer_schema_is_refused),
	    TEST(damaged_database_is_refused),
	    TEST(missing_directory_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
