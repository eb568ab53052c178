/*
 * What people do to the spool by hand, and disks that fail: unlinkat, fsync, fdatasync and syncfs
 * are this file's, and fail when they are told to.
 */
#include "outqueue_fixture.h"

#include <dlfcn.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <time.h>

static atomic_bool flush_fails, record_fails, unlink_fails;

static bool
refused(const atomic_bool *when)
{
	if (!atomic_load(when))
		return false;
	errno = EIO;
	return true;
}

int
fsync(int fd)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");

	return refused(&flush_fails) ? -1 : real(fd);
}

/* SQLite's. */
int
fdatasync(int fd)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");

	return refused(&record_fails) ? -1 : real(fd);
}

int
syncfs(int fd)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "syncfs");

	return refused(&flush_fails) ? -1 : real(fd);
}

int
unlinkat(int dir, const char *name, int flags)
{
	int (*real)(int, const char *, int) =
	    (int (*)(int, const char *, int))dlsym(RTLD_NEXT, "unlinkat");

	return refused(&unlink_fails) ? -1 : real(dir, name, flags);
}

static void
remove_directory(struct fixture *f, const char *name)
{
	char path[400];

	path_of(f, path, name);
	assert_int_equal(nftw(path, remove_cb, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void
removed_queue_is_made_again(void **state)
{
	struct fixture *f = *state;

	drop(f, "one", MESSAGE);
	EVENTUALLY(f, f->queued == 1);
	remove_directory(f, "spool/queue");
	drop(f, "two", MESSAGE);
	EVENTUALLY(f, f->queued == 2);
	assert_int_equal(count_files(f, "spool/queue", NULL), 1);
	assert_int_equal(count_files(f, "spool", NULL), 0);
}

/* Its only recipient, or its last one, is refused. */
static void
fail_one(struct fixture *f, struct outmessage **m)
{
	struct outqueue_decision d = {.next_attempt = 0};
	size_t failed = f->failed;

	(*m)->recipients[(*m)->recipient_count - 1].state = OUTQUEUE_FAILED;
	for (size_t i = 0; i + 1 < (*m)->recipient_count; i++)
		(*m)->recipients[i].state = OUTQUEUE_SENT;
	decide(f, &d, m);
	EVENTUALLY(f, f->failed == failed + 1);
}

static void
removed_failed_is_made_again(void **state)
{
	struct fixture *f = *state;
	struct lent l;

	drop(f, "letter", MESSAGE);
	EVENTUALLY(f, f->queued == 1);
	l = due(f, clock_wall(), false, 1);
	remove_directory(f, "spool/failed");
	fail_one(f, &l.messages[0]);
	assert_true(exists(f, "spool/failed/letter"));
	assert_true(exists(f, "spool/failed/letter.reason"));
	assert_int_equal(count_files(f, "spool/queue", NULL), 0);
}

static void
remove_file(struct fixture *f, const char *name)
{
	char path[400];

	path_of(f, path, name);
	assert_int_equal(unlink(path), 0);
}

/* The row of a failed message whose file is gone has no claim to the next one of its name. */
static void
retry_is_of_the_message_that_is_there(void **state)
{
	struct fixture *f = *state;
	struct lent l;

	drop(f, "letter", "From: me@example.org\nTo: first@example.net\n\ntext\n");
	EVENTUALLY(f, f->queued == 1);
	drop(f, "letter", "From: me@example.org\nTo: second@example.net\n\ntext\n");
	EVENTUALLY(f, f->queued == 2);
	l = due(f, clock_wall(), false, 2);
	assert_int_equal(l.count, 2);
	assert_string_equal(l.messages[1]->recipients[0].address, "second@example.net");
	fail_one(f, &l.messages[1]);
	remove_file(f, "spool/failed/letter");
	remove_file(f, "spool/failed/letter.reason");
	fail_one(f, &l.messages[0]);
	assert_true(exists(f, "spool/failed/letter"));
	assert_int_equal(totals(f).failed, 1);
	assert_int_equal(ask(f, outqueue_retry, "letter").kind, FAIL_NONE);
	l = due(f, clock_wall(), false, 2);
	assert_int_equal(l.count, 1);
	assert_string_equal(l.messages[0]->recipients[0].address, "first@example.net");
	outqueue_return(f->queue, &l.messages[0]);
}

static void
on_drained(void *arg)
{
	*(bool *)arg = true;
}

static void
drain(struct fixture *f)
{
	bool drained = false;

	outqueue_drain(f->queue, on_drained, &drained);
	EVENTUALLY(f, drained);
}

static bool
is_left_clean(struct fixture *f)
{
	struct idle idle = {.arrived = false};

	outqueue_when_idle(f->queue, on_idle, &idle);
	EVENTUALLY(f, idle.arrived);
	return idle.clean;
}

/* Its copy has a row, also when that is all that a new start knows. */
static void
original_that_stays_is_not_claimed_again(void **state)
{
	struct fixture *f = *state;
	char from[400], to[400];

	atomic_store(&unlink_fails, true);
	write_text(f, "elsewhere", MESSAGE);
	path_of(f, from, "elsewhere");
	path_of(f, to, "spool/linked");
	assert_int_equal(link(from, to), 0);
	EVENTUALLY(f, f->claimed == 1 && totals(f).messages == 1);
	fixture_restart(f);
	drain(f);
	atomic_store(&unlink_fails, false);
	assert_int_equal(f->claimed, 0);
	assert_int_equal(totals(f).messages, 1);
	fixture_restart(f);
	EVENTUALLY(f, f->queued == 1);
	drain(f);
	assert_int_equal(f->claimed, 0);
	assert_false(exists(f, "spool/linked"));
}

/* As with a spool that was not mounted when the daemon began. */
static void
failed_put_back_is_retried_for_those_who_failed(void **state)
{
	struct fixture *f = *state;
	char there[400], away[400];
	struct verdict why;
	struct lent l;

	drop(f, "letter", MESSAGE);
	EVENTUALLY(f, f->queued == 1);
	l = due(f, clock_wall(), false, 1);
	fail_one(f, &l.messages[0]);
	path_of(f, there, "spool");
	path_of(f, away, "elsewhere");
	fixture_stop(f);
	assert_int_equal(rename(there, away), 0);
	fixture_start(f);
	EVENTUALLY(f, totals(f).failed == 1);
	EVENTUALLY(f, totals(f).failed == 0);
	fixture_stop(f);
	remove_directory(f, "spool");
	assert_int_equal(rename(away, there), 0);
	fixture_start(f);
	EVENTUALLY(f, totals(f).failed == 1);
	while ((why = ask(f, outqueue_retry, "letter")).code == EBUSY)
		continue;
	assert_int_equal(why.kind, FAIL_NONE);
	l = due(f, clock_wall(), false, 1);
	assert_int_equal(l.count, 1);
	assert_int_equal(l.messages[0]->recipients[0].state, OUTQUEUE_SENT);
	assert_int_equal(l.messages[0]->recipients[1].state, OUTQUEUE_PENDING);
	outqueue_return(f->queue, &l.messages[0]);
	assert_int_equal(totals(f).failed, 0);
	assert_int_equal(totals(f).messages, 1);
}

/* Its copy could not be written, and then the spool was not mounted. */
static void
sent_is_not_sent_again_when_the_spool_is_back(void **state)
{
	struct fixture *f = *state;
	struct outqueue_decision d = {.next_attempt = 0};
	char there[400], away[400], sent[400], blocked[400];
	struct lent l;

	write_text(f, "blocked", "");
	path_of(f, blocked, "blocked");
	path_of(f, sent, "blocked/sent");
	path_of(f, there, "spool");
	path_of(f, away, "elsewhere");
	d.sent_maildir = sent;
	drop(f, "letter", MESSAGE);
	EVENTUALLY(f, f->queued == 1);
	l = due(f, clock_wall(), false, 1);
	set_fates(l.messages[0], OUTQUEUE_SENT, "250");
	decide(f, &d, &l.messages[0]);
	fixture_stop(f);
	assert_int_equal(unlink(blocked), 0);
	assert_int_equal(rename(there, away), 0);
	fixture_start(f);
	drain(f);
	assert_true(is_left_clean(f));
	assert_int_equal(totals(f).messages, 0);
	fixture_stop(f);
	remove_directory(f, "spool");
	assert_int_equal(rename(away, there), 0);
	f->claimed = 0;
	fixture_start(f);
	drain(f);
	assert_int_equal(f->claimed, 0);
	assert_int_equal(count_files(f, "spool/queue", NULL), 0);
}

/* NAME.ID is longer than what a name is cut to, here inside a character. */
static void
long_name_is_claimed_anew_by_retry(void **state)
{
	struct fixture *f = *state;
	char name[300] = "a", full[320];

	while (strlen(name) < 220)
		strcat(name, "\xc3\xa9");
	snprintf(full, sizeof full, "spool/failed/%s", name);
	write_text(f, full, MESSAGE);
	drain(f);
	assert_int_equal(ask(f, outqueue_retry, name).kind, FAIL_NONE);
	assert_int_equal(f->claimed, 1);
}

static void
retry_that_the_disk_refuses_can_be_asked_again(void **state)
{
	struct fixture *f = *state;
	struct lent l;

	drop(f, "letter", MESSAGE);
	EVENTUALLY(f, f->queued == 1);
	l = due(f, clock_wall(), false, 1);
	fail_one(f, &l.messages[0]);
	write_text(f, "spool/failed/unknown", MESSAGE);
	atomic_store(&flush_fails, true);
	assert_int_equal(ask(f, outqueue_retry, "letter").code, EIO);
	assert_int_equal(ask(f, outqueue_retry, "unknown").code, EIO);
	atomic_store(&flush_fails, false);
	assert_int_equal(ask(f, outqueue_retry, "letter").kind, FAIL_NONE);
	assert_int_equal(f->queued, 2);
	assert_int_equal(ask(f, outqueue_retry, "unknown").kind, FAIL_NONE);
	EVENTUALLY(f, f->queued == 3);
}

/* A reading that was under way when it began was not for it. */
static void
drain_takes_what_came_during_a_look(void **state)
{
	struct fixture *f = *state;

	drain(f);
	remove_directory(f, "spool/queue"); /* makes the next look read it all */
	write_text(f, "spool/.hidden", "");
	event_base_loop(f->base, EVLOOP_ONCE);
	write_text(f, "spool/m", MESSAGE);
	drain(f);
	assert_int_equal(f->claimed, 1);
}

/* The spool's disk. */
static void
drain_tells_what_could_not_be_claimed(void **state)
{
	struct fixture *f = *state;

	drain(f);
	assert_true(is_left_clean(f));
	atomic_store(&flush_fails, true);
	write_text(f, "spool/m", MESSAGE);
	drain(f);
	atomic_store(&flush_fails, false);
	assert_int_equal(f->claimed, 0);
	assert_false(is_left_clean(f));
	drain(f);
	assert_int_equal(f->claimed, 1);
	assert_true(is_left_clean(f));
}

/* What an earlier run left cannot be made durable. */
static void
drain_ends_when_the_start_cannot(void **state)
{
	struct fixture *f = *state;

	write_text(f, "spool/queue/by hand", MESSAGE);
	atomic_store(&flush_fails, true);
	fixture_restart(f);
	drain(f);
	assert_false(is_left_clean(f));
	atomic_store(&flush_fails, false);
	fixture_restart(f);
	drain(f);
	assert_int_equal(f->claimed, 1);
	assert_true(is_left_clean(f));
}

static void
change_state(struct fixture *f, const char *sql)
{
	char path[400];
	sqlite3 *db;

	path_of(f, path, "state/state.db");
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* Nor read: whoever asks is told so, with the first try or the next one. */
static void
question_is_answered_when_the_start_cannot(void **state)
{
	struct fixture *f = *state;
	struct lent l;

	drop(f, "one", MESSAGE);
	EVENTUALLY(f, f->queued == 1);
	fixture_stop(f);
	change_state(f, "ALTER TABLE outmessage RENAME TO elsewhere");
	fixture_start(f);
	assert_int_equal(due(f, clock_wall(), false, 1).why.kind, FAIL_LOCAL);
	assert_int_equal(due(f, clock_wall(), false, 1).why.kind, FAIL_LOCAL);
	fixture_stop(f);
	change_state(f, "ALTER TABLE elsewhere RENAME TO outmessage");
	fixture_start(f);
	l = due(f, clock_wall(), false, 1);
	assert_int_equal(l.count, 1);
	outqueue_return(f->queue, &l.messages[0]);
}

/* The state's disk, and more than are taken in hand at a time. */
static void
drain_ends_when_nothing_can_be_recorded(void **state)
{
	struct fixture *f = *state;
	char name[64];

	drain(f);
	atomic_store(&record_fails, true);
	for (int i = 0; i < 1100; i++) {
		snprintf(name, sizeof name, "spool/m%d", i);
		write_text(f, name, MESSAGE);
	}
	drain(f);
	assert_false(is_left_clean(f));
	atomic_store(&record_fails, false);
	fixture_stop(f);
	fixture_start(f);
	/* Nor does the next one, whose start has them in hand. */
	atomic_store(&record_fails, true);
	drain(f);
	assert_false(is_left_clean(f));
	atomic_store(&record_fails, false);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(removed_queue_is_made_again),
	    TEST(removed_failed_is_made_again),
	    TEST(retry_is_of_the_message_that_is_there),
	    TEST(original_that_stays_is_not_claimed_again),
	    TEST(failed_put_back_is_retried_for_those_who_failed),
	    TEST(sent_is_not_sent_again_when_the_spool_is_back),
	    TEST(long_name_is_claimed_anew_by_retry),
	    TEST(retry_that_the_disk_refuses_can_be_asked_again),
	    TEST(drain_takes_what_came_during_a_look),
	    TEST(drain_tells_what_could_not_be_claimed),
	    TEST(drain_ends_when_the_start_cannot),
	    TEST(question_is_answered_when_the_start_cannot),
	    TEST(drain_ends_when_nothing_can_be_recorded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
