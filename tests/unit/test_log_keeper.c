#include "unit.h"

#include "log_files.h"

#include "base/clock.h"
#include "base/worker.h"
#include "base/xalloc.h"
#include "net/log_keeper.h"
#include "net/transcript.h"

#include <event2/event.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fixture {
	struct log_files files;
	struct event_base *base;
	struct worker *worker;
	struct log_keeper *keeper;
	struct transcript *t;
	char *name; /* of an old log */
	int done;
};

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);

	log_files_begin(&f->files);
	f->base = event_base_new();
	f->worker = worker_new(f->base, "test", NULL, NULL);
	f->keeper = log_keeper_new(f->base, f->worker, &f->files.log);
	f->name = xstrdup(log_files_name(30 * LOG_DAY, 1));
	log_files_make(&f->files, "a", f->name, LOG_DONE);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	transcript_close(&f->t);
	log_keeper_free(&f->keeper);
	worker_free(&f->worker);
	event_base_free(f->base);
	log_files_end(&f->files);
	free(f->name);
	free(f);
	return 0;
}

static bool
has_old(const struct fixture *f)
{
	return log_files_has(&f->files, "a", f->name);
}

static void
on_done(void *arg)
{
	struct fixture *f = arg;

	f->done++;
}

static void
run_now(struct fixture *f)
{
	f->done = 0;
	log_keeper_run(f->keeper, on_done, f);
	assert_int_equal(f->done, 0);
	while (f->done == 0)
		event_base_loop(f->base, EVLOOP_ONCE);
}

static void
it_runs_soon_after_the_start(void **state)
{
	struct fixture *f = *state;

	while (has_old(f))
		event_base_loop(f->base, EVLOOP_ONCE);
}

static void
it_runs_when_asked(void **state)
{
	struct fixture *f = *state;

	run_now(f);
	assert_false(has_old(f));
	log_files_make(&f->files, "a", f->name, LOG_DONE);
	run_now(f);
	assert_false(has_old(f));
}

static void
it_runs_again_with_new_settings(void **state)
{
	struct fixture *f = *state;

	f->files.log.keep = 365 * LOG_DAY;
	f->files.log.keep_idle = 365 * LOG_DAY;
	log_keeper_configure(f->keeper, &f->files.log);
	run_now(f);
	assert_true(has_old(f));
	f->files.log.keep = LOG_DAY;
	log_keeper_configure(f->keeper, &f->files.log);
	while (has_old(f))
		event_base_loop(f->base, EVLOOP_ONCE);
}

/* The settings change, and it is asked again, at every turn of the loop of a run. */
static void
a_run_under_way_gives_way(void **state)
{
	struct fixture *f = *state;
	const struct timeval now = {0, 0};

	for (unsigned i = 0; i < 700; i++)
		log_files_make(&f->files, "b", log_files_name(0, i), "");
	for (int turns = 0; turns < 12; turns++) {
		f->done = 0;
		log_files_make(&f->files, "a", f->name, LOG_DONE);
		log_keeper_run(f->keeper, on_done, f);
		for (int i = 0; i < turns && f->done == 0; i++) {
			event_base_loopexit(f->base, &now);
			event_base_loop(f->base, EVLOOP_ONCE);
		}
		log_keeper_configure(f->keeper, &f->files.log);
		run_now(f);
		assert_false(has_old(f));
	}
}

static void
without_session_logs_it_is_done_at_once(void **state)
{
	struct fixture *f = *state;
	struct log_config none = f->files.log;

	none.sessions = NULL;
	log_keeper_configure(f->keeper, &none);
	run_now(f);
	assert_true(has_old(f));
}

/* Freed at every turn of the loop of a run; the worker ends what is under way. */
static void
it_may_be_freed_at_any_time(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 700; i++)
		log_files_make(&f->files, "b", log_files_name(0, i), "");
	for (int turns = 0; turns < 12; turns++) {
		f->done = 0;
		log_keeper_run(f->keeper, on_done, f);
		for (int i = 0; i < turns && f->done == 0; i++)
			event_base_loop(f->base, EVLOOP_ONCE);
		log_keeper_free(&f->keeper);
		assert_null(f->keeper);
		worker_free(&f->worker);
		f->worker = worker_new(f->base, "test", NULL, NULL);
		f->keeper = log_keeper_new(f->base, f->worker, &f->files.log);
	}
	log_keeper_free(&f->keeper);
	log_keeper_free(&f->keeper); /* none is fine */
}

/* -- together with those who write ------------------------------------------------------------ */

static void
open_transcript(struct fixture *f, const char *id)
{
	const struct transcript_settings settings = {
	    .directory = f->files.log.sessions,
	    .account = "a",
	    .protocol = "pop3",
	    .server = "pop.example.org:995",
	    .id = id,
	    .full = true,
	};

	f->t = transcript_open(f->base, f->worker, &settings);
}

static size_t
count_logs(const struct fixture *f)
{
	DIR *directory = opendir(log_files_path(&f->files, "a"));
	size_t count = 0;

	assert_non_null(directory);
	for (const struct dirent *e; (e = readdir(directory)) != NULL;)
		count += e->d_name[0] != '.';
	closedir(directory);
	return count;
}

/* The clock stands still, so the log that is being written is as old as it is. */
static void
a_session_under_way_keeps_its_log(void **state)
{
	struct fixture *f = *state;
	const char *name = log_files_name(0, 7);

	open_transcript(f, "000007");
	transcript_note(f->t, "connected");
	while (!log_files_has(&f->files, "a", name))
		event_base_loop(f->base, EVLOOP_ONCE);
	f->files.log.max_total = 1;
	log_keeper_configure(f->keeper, &f->files.log);
	run_now(f);
	assert_false(has_old(f));
	assert_true(log_files_has(&f->files, "a", name));
	transcript_close(&f->t);
	run_now(f);
	assert_false(log_files_has(&f->files, "a", name));
}

/* Nobody asks: what is written makes it run. */
static void
it_runs_when_enough_was_written(void **state)
{
	struct fixture *f = *state;
	char line[1000], id[16];

	memset(line, 'x', sizeof line);
	f->files.log.max_total = 100000;
	log_keeper_configure(f->keeper, &f->files.log);
	run_now(f);
	for (int i = 0; i < 20; i++) {
		snprintf(id, sizeof id, "%06d", i);
		open_transcript(f, id);
		for (int n = 0; n < 20; n++)
			transcript_sent(f->t, line, sizeof line);
		transcript_close(&f->t);
	}
	/* While they are being written there are four of them, too, for a moment. */
	do
		event_base_loop(f->base, EVLOOP_ONCE);
	while (!log_files_has(&f->files, "a", log_files_name(0, 19)) ||
	       count_logs(f) != 4); /* of 20 KB and a little each */
}

static void
trouble_is_no_end(void **state)
{
	struct fixture *f = *state;
	struct log_config other = f->files.log;

	log_files_make(&f->files, ".", "file", "");
	other.sessions = xstrdup(log_files_path(&f->files, "file"));
	log_keeper_configure(f->keeper, &other);
	run_now(f);
	run_now(f);
	log_keeper_configure(f->keeper, &f->files.log);
	run_now(f);
	assert_false(has_old(f));
	free(other.sessions);
}

#define KEEPER_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    KEEPER_TEST(it_runs_soon_after_the_start),
	    KEEPER_TEST(it_runs_when_asked),
	    KEEPER_TEST(it_runs_again_with_new_settings),
	    KEEPER_TEST(a_run_under_way_gives_way),
	    KEEPER_TEST(without_session_logs_it_is_done_at_once),
	    KEEPER_TEST(it_may_be_freed_at_any_time),
	    KEEPER_TEST(a_session_under_way_keeps_its_log),
	    KEEPER_TEST(it_runs_when_enough_was_written),
	    KEEPER_TEST(trouble_is_no_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
