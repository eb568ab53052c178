#include "unit.h"

#include "log_files.h"

#include "base/xalloc.h"
#include "net/transcript_prune.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int
setup(void **state)
{
	struct log_files *f = xcalloc(1, sizeof *f);

	log_files_begin(f);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct log_files *f = *state;

	log_files_end(f);
	free(f);
	return 0;
}

static struct transcript_prune_result
prune_some_at_once(const struct log_files *f, size_t at_once)
{
	struct transcript_prune *p = transcript_prune_new(&f->log, LOG_WALL, at_once);
	struct transcript_prune_result result;

	while (transcript_prune_step(p))
		;
	result = *transcript_prune_result(p);
	transcript_prune_free(&p);
	assert_null(p);
	return result;
}

static struct transcript_prune_result
prune(const struct log_files *f)
{
	return prune_some_at_once(f, 4096);
}

/* -- which sessions did nothing --------------------------------------------------------------- */

#define T "2026-11-20T10:15:01.000Z"

static void
idle_sessions_are_known_by_their_last_line(void **state)
{
	static const struct {
		const char *tail;
		bool idle;
	} cases[] = {
	    {"#\n" T " --- closed: ok, 0 fetched, 0 deleted, 3681 octets in, 0.880 s\n", true},
	    {"\n" T " --- closed: ok, 0 sent, 12 octets out, 3 s\n", true},
	    {"\n" T " --- closed: ok, 0 sent, 0 deferred, 0 failed, 5 octets in, 1.000 s\n", true},
	    {"#\n" T " --- closed: ok, 1 fetched, 0 deleted, 3681 octets in, 0.880 s\n", false},
	    {"#\n" T " --- closed: ok, 0 fetched, 1 deleted, 3681 octets in, 0.880 s\n", false},
	    {"#\n" T " --- closed: ok, 0 fetched, 10 deleted, 3681 octets in, 0.880 s\n", false},
	    {"#\n" T " --- closed: ok, 1 sent, 5 octets in, 0.880 s\n", false},
	    {"#\n" T " --- closed: ok, 0 sent, 1 deferred, 5 octets in, 0.880 s\n", false},
	    {"#\n" T " --- closed: network, 0 fetched, 0 deleted, 0 octets in, 0.1 s\n", false},
	    {"#\n" T " --- closed: stopped, 0 fetched, 0 deleted, 0 octets in, 0.1 s\n", false},
	    {"#\n" T " --- closed: okay, 0 fetched, 0 deleted, 0 octets in, 0.1 s\n", false},
	    {"#\n" T " --- closed: ok, 3681 octets in, 0.880 s\n", false},
	    {"#\n" T " --- closed: ok, 00 fetched\n", false},
	    {"#\n" T " --- closed: ok, 0.0 s\n", false},
	    {"#\n" T " --- closed: ok, fetched\n", false},
	    {"#\n" T " --- closed: ok, \n", false},
	    {"#\n" T " --- closed: ok, 0 fetched,\n", false},
	    {"#\n" T " --- closed: ok\n", false},
	    {"#\n" T " --- \n", false},
	    {"#\n" T "\n", false},
	    {"#\n" T " <-- " T " --- closed: ok, 0 fetched, 0 deleted\n", false},
	    {"#\n" T " <-- closed: ok, 0 fetched, 0 deleted\n", false},
	    {"#\n" T " --- closed: ok, 0 fetched, 0 deleted\n" T " --- and on\n", false},
	    {T " --- closed: ok, 0 fetched, 0 deleted\n", false}, /* the middle of a longer line? */
	    {"\n", false},
	    {"\n\n", false},
	    {"", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (transcript_prune_is_idle(cases[i].tail, strlen(cases[i].tail)) != cases[i].idle)
			fail_msg("%s", cases[i].tail);
}

/* In memory of exactly that size; only a line that is whole counts. */
static void
a_line_that_is_cut_says_nothing(void **state)
{
	static const char whole[] =
	    "#\n" T " --- closed: ok, 0 fetched, 0 deleted, 9 octets in, 1 s\n";
	size_t len = sizeof whole - 1;

	(void)state;
	for (size_t cut = 0; cut < len; cut++) {
		char *part = xmalloc(len);

		memcpy(part, whole, cut);
		assert_false(transcript_prune_is_idle(part, cut));
		memcpy(part, whole + cut, len - cut);
		assert_int_equal(transcript_prune_is_idle(part, len - cut), cut < 2);
		free(part);
	}
}

static void
a_line_that_is_too_long_says_nothing(void **state)
{
	struct str line = STR_INIT;

	(void)state;
	str_append_text(&line, "#\n" T " --- closed: ok, 0 fetched");
	for (int i = 0; i < 1000; i++)
		str_append_text(&line, ", 0 x");
	str_append_char(&line, '\n');
	assert_false(transcript_prune_is_idle(line.data, line.len));
	str_clear(&line);
}

/* -- by age ----------------------------------------------------------------------------------- */

static void
logs_go_by_the_date_in_their_names(void **state)
{
	static const struct {
		int64_t age;
		const char *text;
		bool stays;
	} cases[] = {
	    {14 * LOG_DAY + 1, LOG_DONE, false},
	    {14 * LOG_DAY, LOG_DONE, true},
	    {300 * LOG_DAY, LOG_DONE, false},
	    {300 * LOG_DAY, LOG_HEAD, false},
	    {300 * LOG_DAY, "", false},
	    {2 * LOG_DAY, LOG_DONE, true},
	    {2 * LOG_DAY, LOG_IDLE, false},
	    {2 * LOG_DAY, LOG_HEAD, true},
	    {2 * LOG_DAY, LOG_IDLE "T --- more\n", true},
	    {2 * LOG_DAY, "", true},
	    {LOG_DAY + 1, LOG_IDLE, false},
	    {LOG_DAY, LOG_IDLE, true},
	    {0, LOG_IDLE, true},
	    {-30 * LOG_DAY, LOG_IDLE, true},
	};
	struct log_files *f = *state;
	struct transcript_prune_result result;
	size_t stay = 0;

	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
		log_files_make(
		    f, i % 2 ? "a" : "b.c-d_e", log_files_name(cases[i].age, i), cases[i].text);
		stay += cases[i].stays;
	}
	result = prune(f);
	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++)
		if (log_files_has(f, i % 2 ? "a" : "b.c-d_e", log_files_name(cases[i].age, i)) !=
		    cases[i].stays)
			fail_msg("case %u", i);
	assert_string_equal(result.trouble, "");
	assert_int_equal(result.left, stay);
	assert_int_equal(result.removed, sizeof cases / sizeof *cases - stay);
	assert_int_equal(prune(f).removed, 0);
}

/* The end of a long log is what counts, not what a server wrote in its midst. */
static void
the_tail_of_a_long_log_is_read(void **state)
{
	struct log_files *f = *state;
	struct str text = STR_INIT;

	str_append_text(&text, LOG_HEAD);
	for (int i = 0; i < 5000; i++)
		str_appendf(&text, "T <-- %d T --- closed: ok, 1 fetched\n", i);
	log_files_make(f, "a", log_files_name(2 * LOG_DAY, 1), str_text(&text));
	str_append_text(&text, "T --- closed: ok, 0 fetched, 0 deleted, 9 octets in, 0.1 s\n");
	log_files_make(f, "a", log_files_name(2 * LOG_DAY, 2), str_text(&text));
	str_clear(&text);
	assert_int_equal(prune(f).removed, 1);
	assert_true(log_files_has(f, "a", log_files_name(2 * LOG_DAY, 1)));
	assert_false(log_files_has(f, "a", log_files_name(2 * LOG_DAY, 2)));
}

/* -- what is not ours ------------------------------------------------------------------------- */

static void
make_link(const struct log_files *f, const char *target, const char *path)
{
	char *whole = xstrdup(log_files_path(f, target));

	assert_int_equal(symlink(whole, log_files_path(f, path)), 0);
	free(whole);
}

static void
strangers_are_left_alone(void **state)
{
	struct log_files *f = *state;
	char *old = xstrdup(log_files_name(30 * LOG_DAY, 1));
	char *other = xstrdup(log_files_name(30 * LOG_DAY, 2));
	char *third = xstrdup(log_files_name(30 * LOG_DAY, 3));
	char *path;

	f->log.max_total = 1;
	log_files_make(f, ".", old, LOG_DONE);
	log_files_make(f, "a", "notes.log", LOG_DONE);
	log_files_make(f, ".hidden", old, LOG_DONE);
	log_files_make(f, "no account", old, LOG_DONE);
	log_files_make(f, ".hidden/real", old, LOG_DONE);
	make_link(f, ".hidden/real", "link"); /* a directory, but no real one */
	path = xasprintf("a/%s", old);
	make_link(f, "a/notes.log", path);
	free(path);
	path = xasprintf("a/%s", other);
	assert_int_equal(mkdir(log_files_path(f, path), 0700), 0);
	free(path);
	path = xasprintf("a/%s", third);
	assert_int_equal(mkfifo(log_files_path(f, path), 0600), 0);
	free(path);
	log_files_make(f, "a/deeper", old, LOG_DONE);

	assert_int_equal(prune(f).removed, 0);
	assert_string_equal(prune(f).trouble, "");
	assert_true(log_files_has(f, ".", old));
	assert_true(log_files_has(f, "a", "notes.log"));
	assert_true(log_files_has(f, ".hidden", old));
	assert_true(log_files_has(f, "no account", old));
	assert_true(log_files_has(f, ".hidden/real", old));
	assert_true(log_files_has(f, "a", old));
	assert_true(log_files_has(f, "a", other));
	assert_true(log_files_has(f, "a", third));
	assert_true(log_files_has(f, "a/deeper", old));
	free(old);
	free(other);
	free(third);
}

/* An empty directory stays too. */
static void
directories_stay(void **state)
{
	struct log_files *f = *state;

	log_files_make(f, "gone", log_files_name(30 * LOG_DAY, 1), LOG_DONE);
	assert_int_equal(prune(f).removed, 1);
	assert_true(log_files_has(f, ".", "gone"));
}

/* -- what is being written -------------------------------------------------------------------- */

static void
a_log_that_is_being_written_stays(void **state)
{
	struct log_files *f = *state;
	char *name = xstrdup(log_files_name(30 * LOG_DAY, 1));
	char *path = xasprintf("a/%s", name);
	int fd;

	f->log.max_total = 1;
	log_files_make(f, "a", name, LOG_DONE);
	fd = open(log_files_path(f, path), O_WRONLY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(prune(f).removed, 0);
	assert_int_equal(prune(f).left, 1);
	assert_string_equal(prune(f).trouble, "");
	close(fd);
	assert_int_equal(prune(f).removed, 1);
	free(name);
	free(path);
}

/* -- by size ---------------------------------------------------------------------------------- */

/* 40 logs of 1,000 octets in four accounts, the one with id 1 the oldest. */
static void
make_many(const struct log_files *f)
{
	for (unsigned i = 0; i < 40; i++) {
		char account[] = {(char)('a' + i % 4), '\0'};
		const char *name = log_files_name((40 - i) * 1000, i);

		log_files_make(f, account, name, LOG_DONE);
		log_files_grow(f, account, name, 1000);
	}
}

static bool
has_one_of_many(const struct log_files *f, unsigned i)
{
	char account[] = {(char)('a' + i % 4), '\0'};

	return log_files_has(f, account, log_files_name((40 - i) * 1000, i));
}

static void
the_oldest_of_all_accounts_go_first(void **state)
{
	static const struct {
		uint64_t max_total;
		unsigned left;
	} cases[] = {{40000, 40}, {39999, 39}, {39000, 39}, {20500, 20}, {1000, 1}, {999, 0}};
	static const size_t at_once[] = {1, 3, 7, 4096};
	struct log_files *f = *state;
	struct transcript_prune_result result;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (size_t k = 0; k < sizeof at_once / sizeof *at_once; k++) {
			make_many(f);
			f->log.max_total = cases[i].max_total;
			result = prune_some_at_once(f, at_once[k]);
			assert_string_equal(result.trouble, "");
			assert_int_equal(result.left, cases[i].left);
			assert_int_equal(result.left_octets, cases[i].left * 1000);
			assert_int_equal(result.removed, 40 - cases[i].left);
			for (unsigned n = 0; n < 40; n++)
				assert_int_equal(has_one_of_many(f, n), n >= 40 - cases[i].left);
		}
}

/* The oldest is in use: younger ones go in its place, however few are gathered at once. */
static void
what_is_being_written_counts_but_stays(void **state)
{
	struct log_files *f = *state;
	struct transcript_prune_result result;
	char *path = xasprintf("a/%s", log_files_name(40 * 1000, 0));
	int fd;

	make_many(f);
	f->log.max_total = 10000;
	fd = open(log_files_path(f, path), O_WRONLY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	result = prune_some_at_once(f, 2);
	assert_int_equal(result.left, 10);
	assert_true(has_one_of_many(f, 0));
	assert_false(has_one_of_many(f, 30));
	assert_true(has_one_of_many(f, 31));
	assert_int_equal(prune_some_at_once(f, 1).removed, 0);
	f->log.max_total = 9000;
	assert_int_equal(prune_some_at_once(f, 1).left, 10); /* leads nowhere: ends all the same */
	close(fd);
	free(path);
}

/* One that is removed by hand between the walk and its turn has made room as well. */
static void
logs_that_vanish_count_no_more(void **state)
{
	struct log_files *f = *state;
	struct transcript_prune *p;
	char *path = xasprintf("a/%s", log_files_name(300 - 199, 199));
	bool more;

	for (unsigned i = 0; i < 300; i++) {
		log_files_make(f, "a", log_files_name(300 - i, i), LOG_DONE);
		log_files_grow(f, "a", log_files_name(300 - i, i), 1000);
	}
	f->log.max_total = 100000;
	p = transcript_prune_new(&f->log, LOG_WALL, 4096);
	do
		more = transcript_prune_step(p);
	while (transcript_prune_result(p)->removed == 0);
	assert_true(more);
	assert_int_equal(unlink(log_files_path(f, path)), 0);
	while (transcript_prune_step(p))
		;
	assert_int_equal(transcript_prune_result(p)->removed, 199);
	assert_int_equal(transcript_prune_result(p)->left, 100);
	assert_true(log_files_has(f, "a", log_files_name(300 - 200, 200)));
	transcript_prune_free(&p);
	free(path);
}

/* -- trouble ---------------------------------------------------------------------------------- */

static void
no_directory_is_no_trouble(void **state)
{
	struct log_files *f = *state;

	assert_int_equal(rmdir(f->log.sessions), 0);
	assert_string_equal(prune(f).trouble, "");
}

static void
a_file_in_the_way_is_trouble(void **state)
{
	struct log_files *f = *state;
	char *expected = xasprintf("cannot open %s: Not a directory", f->log.sessions);
	FILE *file;

	assert_int_equal(rmdir(f->log.sessions), 0);
	file = fopen(f->log.sessions, "w");
	assert_non_null(file);
	fclose(file);
	assert_string_equal(prune(f).trouble, expected);
	free(expected);
}

/* Root may do everything, so there it is not tried. */
static void
what_cannot_be_removed_is_said_and_ends(void **state)
{
	struct log_files *f = *state;
	char *name = xstrdup(log_files_name(30 * LOG_DAY, 1));
	char *expected =
	    xasprintf("cannot remove %s/a/%s: Permission denied", f->log.sessions, name);

	if (geteuid() == 0) {
		free(name);
		free(expected);
		skip();
	}
	f->log.max_total = 1;
	log_files_make(f, "a", name, LOG_DONE);
	assert_int_equal(chmod(log_files_path(f, "a"), 0500), 0);
	assert_string_equal(prune(f).trouble, expected);
	assert_true(log_files_has(f, "a", name));
	assert_int_equal(chmod(log_files_path(f, "a"), 0700), 0);
	free(name);
	free(expected);
}

/* Freed at any step, nothing is left open or allocated. */
static void
a_walk_may_be_given_up(void **state)
{
	struct log_files *f = *state;
	int before, after;

	make_many(f);
	for (unsigned i = 0; i < 300; i++)
		log_files_make(f, "e", log_files_name(0, 100 + i), "");
	f->log.max_total = 1;
	before = dup(0);
	close(before);
	for (int steps = 0; steps < 4; steps++) {
		struct transcript_prune *p = transcript_prune_new(&f->log, LOG_WALL, 1);

		for (int i = 0; i < steps; i++)
			transcript_prune_step(p);
		transcript_prune_free(&p);
	}
	after = dup(0);
	close(after);
	assert_int_equal(before, after);
}

#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(idle_sessions_are_known_by_their_last_line),
	    cmocka_unit_test(a_line_that_is_cut_says_nothing),
	    cmocka_unit_test(a_line_that_is_too_long_says_nothing),
	    LOG_TEST(logs_go_by_the_date_in_their_names),
	    LOG_TEST(the_tail_of_a_long_log_is_read),
	    LOG_TEST(strangers_are_left_alone),
	    LOG_TEST(directories_stay),
	    LOG_TEST(a_log_that_is_being_written_stays),
	    LOG_TEST(the_oldest_of_all_accounts_go_first),
	    LOG_TEST(what_is_being_written_counts_but_stays),
	    LOG_TEST(logs_that_vanish_count_no_more),
	    LOG_TEST(no_directory_is_no_trouble),
	    LOG_TEST(a_file_in_the_way_is_trouble),
	    LOG_TEST(what_cannot_be_removed_is_said_and_ends),
	    LOG_TEST(a_walk_may_be_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
