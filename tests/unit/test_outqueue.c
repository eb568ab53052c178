#include "outqueue_fixture.h"

#include "store/filename.h"

#include <limits.h>
#include <sys/inotify.h>

static void
dropped_by_rename_is_queued(void **state)
{
	struct fixture *f = *state;
	struct lent l;

	drop(f, "hello.eml", MESSAGE);
	EVENTUALLY(f, f->queued == 1);
	assert_int_equal(f->last_size, strlen(MESSAGE));
	assert_string_equal(f->last_name, "hello.eml");
	assert_false(exists(f, "spool/hello.eml"));
	assert_int_equal(count_files(f, "spool/queue", NULL), 1);
	assert_int_equal(totals(f).messages, 1);
	assert_int_equal(totals(f).octets, strlen(MESSAGE));
	assert_true(totals(f).oldest > 0);

	l = due(f, clock_wall(), false, 10);
	assert_int_equal(l.count, 1);
	assert_string_equal(l.messages[0]->id, f->last_id);
	assert_string_equal(l.messages[0]->sender, "me@example.org");
	assert_int_equal(l.messages[0]->recipient_count, 2);
	assert_string_equal(l.messages[0]->recipients[0].address, "you@example.net");
	assert_string_equal(l.messages[0]->recipients[1].address, "her@example.net");
	outmessage_free(&l.messages[0]);
}

/* Dropped before it watches or after: noticed all the same, but only then is that a promise. */
static void
watching_begins_with_the_first_look(void **state)
{
	struct fixture *f = *state;

	assert_false(outqueue_is_watching(f->queue));
	EVENTUALLY(f, outqueue_is_watching(f->queue));
	assert_true(f->recovered);
	drop(f, "hello.eml", MESSAGE);
	EVENTUALLY(f, f->queued == 1);
}

static void
lent_is_lent_once(void **state)
{
	struct fixture *f = *state;
	struct lent l, second;

	drop(f, "one", MESSAGE);
	drop(f, "two", MESSAGE);
	EVENTUALLY(f, f->queued == 2);
	l = due(f, clock_wall(), false, 1);
	assert_int_equal(l.count, 1);
	second = due(f, clock_wall(), false, 10);
	assert_int_equal(second.count, 1);
	assert_string_not_equal(l.messages[0]->id, second.messages[0]->id);
	outqueue_return(f->queue, &l.messages[0]);
	assert_null(l.messages[0]);
	l = due(f, clock_wall(), false, 10);
	assert_int_equal(l.count, 1);
	outqueue_return(f->queue, &l.messages[0]);
	outqueue_return(f->queue, &second.messages[0]);
}

/* Whatever is done with a page, the next one has those behind it: nobody twice, nobody not at all.
 */
static void
all_that_wait_come_page_by_page(void **state)
{
	struct fixture *f = *state;
	struct outqueue_decision d = {.next_attempt = clock_wall() + 60 * 60 * 1000};
	char after[32] = "";
	struct lent l;

	for (char name[] = "a"; *name < 'f'; ++*name)
		drop(f, name, MESSAGE);
	drop(f, "later", "X-Postrider-Not-Before: 2099-01-01T00:00:00Z\n" MESSAGE);
	EVENTUALLY(f, f->queued == 6);
	for (size_t page = 0; page < 3; page++) {
		l = (struct lent){.arrived = false};
		outqueue_waiting(f->queue, "a", clock_wall(), after, 2, true, on_lent, &l);
		EVENTUALLY(f, l.arrived);
		assert_int_equal(l.count, page < 2 ? 2 : 1);
		assert_int_equal(l.more, page < 2);
		for (size_t i = 0; i < l.count; i++) {
			assert_true(strcmp(l.messages[i]->id, after) > 0);
			memcpy(after, l.messages[i]->id, sizeof after);
			decide(f, &d, &l.messages[i]);
		}
	}
	assert_int_equal(due(f, clock_wall(), false, 10).count, 0);
}

/* A flush gets over that; over a time that its sender asked for it does not. */
static void
a_clock_that_was_ahead_makes_nobody_wait(void **state)
{
	struct fixture *f = *state;
	int64_t earlier = clock_wall() - 24 * 60 * 60 * 1000;
	struct lent l;

	drop(f, "one", MESSAGE);
	EVENTUALLY(f, f->queued == 1);
	assert_int_equal(due(f, earlier, false, 10).count, 0);
	l = due(f, earlier, true, 10);
	assert_int_equal(l.count, 1);
	assert_int_equal(l.messages[0]->not_before, 0);
	outqueue_return(f->queue, &l.messages[0]);
}

static struct lent
wait_for_page(struct fixture *f, bool by_person)
{
	struct lent l = {.arrived = false};

	outqueue_waiting(f->queue, "a", clock_wall(), "", 10, by_person, on_lent, &l);
	EVENTUALLY(f, l.arrived);
	return l;
}

static void
leave_in_doubt(struct fixture *f, const char *name, int64_t next_attempt, int64_t until)
{
	struct outqueue_decision d = {.next_attempt = next_attempt};
	struct lent l;

	f->queued = 0;
	drop(f, name, MESSAGE);
	EVENTUALLY(f, f->queued == 1);
	l = due(f, clock_wall(), false, 1);
	l.messages[0]->recipients[0].state = OUTQUEUE_UNKNOWN;
	l.messages[0]->unknown_until = until;
	decide(f, &d, &l.messages[0]);
}

/* Their hour is nothing that a network which comes and goes ends: only a person does. */
static void
who_is_in_doubt_waits_unless_a_person_wants_it(void **state)
{
	struct fixture *f = *state;
	int64_t until = clock_wall() + 60 * 60 * 1000;
	struct lent l;

	leave_in_doubt(f, "alone", until, until);
	leave_in_doubt(f, "others", until - 1, until);
	l = wait_for_page(f, false);
	assert_int_equal(l.count, 1);
	assert_string_equal(l.messages[0]->name, "others");
	assert_int_equal(l.messages[0]->unknown_until, until);
	outqueue_return(f->queue, &l.messages[0]);
	l = wait_for_page(f, true);
	assert_int_equal(l.count, 2);
	for (size_t i = 0; i < l.count; i++) {
		assert_int_equal(l.messages[i]->unknown_until, 0);
		outqueue_return(f->queue, &l.messages[i]);
	}
}

static void
one_is_lent_by_id(void **state)
{
	struct fixture *f = *state;
	struct lent l = {.arrived = false}, again = {.arrived = false};

	drop(f, "one", MESSAGE);
	EVENTUALLY(f, f->queued == 1);
	outqueue_lend(f->queue, f->last_id, on_lent, &l);
	EVENTUALLY(f, l.arrived);
	assert_int_equal(l.count, 1);
	outqueue_lend(f->queue, f->last_id, on_lent, &again);
	EVENTUALLY(f, again.arrived);
	assert_int_equal(again.count, 0);
	assert_int_equal(again.why.kind, FAIL_LOCAL);
	assert_non_null(strstr(again.why.text, "delivered right now"));
	outqueue_return(f->queue, &l.messages[0]);
	again.arrived = false;
	outqueue_lend(f->queue, "nonsense", on_lent, &again);
	EVENTUALLY(f, again.arrived);
	assert_int_equal(again.why.kind, FAIL_LOCAL);
}

/*
 * A list that was made while the message was in somebody's hands, and is looked at when its fate
 * has been decided, lends it to nobody.
 */
static void
decided_meanwhile_is_not_lent_from_an_old_list(void **state)
{
	struct fixture *f = *state;
	struct outqueue_decision d = {.next_attempt = 0};
	struct lent first, second = {.arrived = false};
	struct asked decided = {.arrived = false};

	drop(f, "m", MESSAGE);
	EVENTUALLY(f, f->queued == 1);
	first = due(f, clock_wall(), false, 10);
	assert_int_equal(first.count, 1);
	outqueue_due(f->queue, "a", clock_wall(), 10, on_lent, &second);
	set_fates(first.messages[0], OUTQUEUE_SENT, NULL);
	d.message = first.messages[0];
	outqueue_decide(f->queue, &d, &first.messages[0], on_answer, &decided);
	EVENTUALLY(f, second.arrived && decided.arrived);
	assert_int_equal(decided.why.kind, FAIL_NONE);
	assert_int_equal(second.count, 0);
}

static void
idle_when_everything_is_where_it_belongs(void **state)
{
	struct fixture *f = *state;
	struct outqueue_decision d = {.next_attempt = 0, .sent_maildir = NULL};
	char sent[400], file[400];
	struct idle idle = {.arrived = false};
	struct lent l;

	path_of(f, sent, "sent");
	d.sent_maildir = sent;
	drop(f, "m", MESSAGE);
	EVENTUALLY(f, f->queued == 1);
	l = due(f, clock_wall(), false, 10);
	set_fates(l.messages[0], OUTQUEUE_SENT, NULL);
	decide(f, &d, &l.messages[0]);
	outqueue_when_idle(f->queue, on_idle, &idle);
	assert_false(idle.arrived);
	assert_true(outqueue_is_busy(f->queue));
	EVENTUALLY(f, idle.arrived);
	assert_true(idle.clean);
	assert_false(outqueue_is_busy(f->queue));
	assert_int_equal(count_files(f, "spool/queue", file), 0);
	assert_int_equal(count_files(f, "sent/new", file), 1);
}

static void
idle_is_not_clean_with_a_copy_that_waits(void **state)
{
	struct fixture *f = *state;
	struct outqueue_decision d = {.next_attempt = 0};
	struct idle idle = {.arrived = false};
	char sent[400], file[400];
	struct lent l;

	write_text(f, "sent", "a file where a Maildir should be\n");
	path_of(f, sent, "sent");
	d.sent_maildir = sent;
	drop(f, "m", MESSAGE);
	EVENTUALLY(f, f->queued == 1);
	l = due(f, clock_wall(), false, 10);
	set_fates(l.messages[0], OUTQUEUE_SENT, NULL);
	decide(f, &d, &l.messages[0]);
	outqueue_when_idle(f->queue, on_idle, &idle);
	EVENTUALLY(f, idle.arrived);
	assert_false(idle.clean);
	assert_int_equal(count_files(f, "spool/queue", file), 1);
}

static void
overdue_are_lent_before_their_time(void **state)
{
	struct fixture *f = *state;
	struct outqueue_decision d = {.next_attempt = 0};
	struct lent l = {.arrived = false};
	int64_t now = clock_wall();

	drop(f, "m", MESSAGE);
	EVENTUALLY(f, f->queued == 1);
	l = overdue(f, now - 1000, 0);
	assert_int_equal(l.count, 0);
	l = overdue(f, now + 60000, 0);
	assert_int_equal(l.count, 1);
	l.messages[0]->warned = now;
	d.next_attempt = now + 3600 * 1000;
	d.message = l.messages[0];
	assert_int_equal(decide(f, &d, &l.messages[0]).kind, FAIL_NONE);
	l = overdue(f, now + 7200 * 1000, now - 1);
	assert_int_equal(l.count, 0);
	l = overdue(f, now + 7200 * 1000, now);
	assert_int_equal(l.count, 1);
	outqueue_return(f->queue, &l.messages[0]);
}

static void
record_survives(void **state)
{
	struct fixture *f = *state;
	struct record r = {.last_attempt = 5,
	    .messages = 7,
	    .octets = UINT64_C(1) << 40,
	    .auth_failures = 2,
	    .blocked_until = 9,
	    .fingerprint = "abc",
	    .mechanism = "SCRAM-SHA-256-PLUS",
	    .error_time = 3,
	    .error_kind = FAIL_AUTH,
	    .error_text = "it said \"no\""};
	struct recorded recorded = {.arrived = false};

	outqueue_save_record(f->queue, "a", &r);
	fixture_restart(f);
	outqueue_load_record(f->queue, "a", on_record, &recorded);
	EVENTUALLY(f, recorded.arrived);
	assert_memory_equal(&recorded.record, &r, sizeof r);
	recorded.arrived = false;
	outqueue_load_record(f->queue, "b", on_record, &recorded);
	EVENTUALLY(f, recorded.arrived);
	assert_int_equal(recorded.record.last_attempt, 0);
}

static void
written_in_place_is_taken_when_settled(void **state)
{
	struct fixture *f = *state;
	char path[400];
	int fd;

	path_of(f, path, "spool/slow");
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, MESSAGE, 10), 10);
	drop(f, "whole", MESSAGE);
	EVENTUALLY(f, f->queued == 1);
	assert_string_equal(f->last_name, "whole");
	assert_true(exists(f, "spool/slow"));
	assert_int_equal(
	    write(fd, &MESSAGE[10], strlen(MESSAGE) - 10), (ssize_t)strlen(MESSAGE) - 10);
	close(fd);
	EVENTUALLY(f, f->queued == 2);
	assert_string_equal(f->last_name, "slow");
	assert_int_equal(f->last_size, strlen(MESSAGE));
}

static void
link_is_copied_and_its_original_goes(void **state)
{
	struct fixture *f = *state;
	char from[400], to[400];

	write_text(f, "draft", MESSAGE);
	path_of(f, from, "draft");
	path_of(f, to, "spool/draft");
	assert_int_equal(link(from, to), 0);
	EVENTUALLY(f, f->queued == 1);
	assert_true(exists(f, "draft"));
	assert_false(exists(f, "spool/draft"));
	assert_int_equal(count_files(f, "spool/queue", from), 1);
	assert_null(strstr(from, "/."));
}

static void
others_are_left_alone(void **state)
{
	struct fixture *f = *state;
	char path[400];

	path_of(f, path, "spool/link");
	assert_int_equal(symlink("/etc/passwd", path), 0);
	path_of(f, path, "spool/fifo");
	assert_int_equal(mkfifo(path, 0600), 0);
	path_of(f, path, "spool/directory");
	assert_int_equal(mkdir(path, 0700), 0);
	drop(f, ".hidden", MESSAGE);
	drop(f, "message", MESSAGE);
	EVENTUALLY(f, f->queued == 1);
	assert_int_equal(f->claimed, 1);
	assert_true(exists(f, "spool/link"));
	assert_true(exists(f, "spool/fifo"));
	assert_true(exists(f, "spool/directory"));
	assert_true(exists(f, "spool/.hidden"));
}

static void
make_old(struct fixture *f, const char *name, int hours)
{
	struct timespec times[2] = {{.tv_sec = time(NULL) - hours * 3600}};
	char path[400], full[300];

	snprintf(full, sizeof full, "spool/%s", name);
	write_text(f, full, "From: me@example.org\n");
	path_of(f, path, full);
	times[1] = times[0];
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* Of a postrider-sendmail that was killed; and of nobody else, and not while it may be at work. */
static void
leftovers_go_after_36_hours(void **state)
{
	struct fixture *f = *state;
	char made[FILENAME_SIZE], old[300], young[200], foreign[200], open_one[200], path[400];
	const char *host = strchr(strchr(filename_make(made), 'Q'), '.');
	int writer;

	snprintf(old, sizeof old, ".1795169700.M5P1Q1%s", host);
	snprintf(young, sizeof young, ".1795169700.M5P1Q2%s", host);
	snprintf(foreign, sizeof foreign, ".1795169700.M5P1Q3%s.elsewhere", host);
	make_old(f, old, 37);
	make_old(f, young, 35);
	make_old(f, foreign, 37);
	make_old(f, ".hidden", 37);
	snprintf(open_one, sizeof open_one, ".1795169700.M5P1Q4%s", host);
	make_old(f, open_one, 37);
	path_of(f, path, "spool");
	snprintf(path + strlen(path), sizeof path - strlen(path), "/%s", open_one);
	writer = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(writer >= 0);
	fixture_restart(f);
	EVENTUALLY(f, outqueue_is_watching(f->queue));
	close(writer);
	assert_int_equal(count_files(f, "spool", NULL), 4);
	snprintf(old, sizeof old, "spool/.1795169700.M5P1Q1%s", host);
	assert_false(exists(f, old));
	assert_int_equal(f->claimed, 0);
}

static void
what_is_no_message_fails(void **state)
{
	struct fixture *f = *state;
	char *reason;

	drop(f, "garbage", "this is no header at all\n");
	EVENTUALLY(f, f->failed == 1);
	assert_string_equal(f->last_name, "garbage");
	assert_true(exists(f, "spool/failed/garbage"));
	reason = read_text(f, "spool/failed/garbage.reason");
	assert_string_equal(reason, "line 1: begins no header field: this is no message\n");
	free(reason);
	assert_int_equal(count_files(f, "spool/queue", NULL), 0);
	assert_int_equal(totals(f).failed, 1);
	assert_int_equal(totals(f).messages, 0);

	drop(f, "garbage", "again\n");
	EVENTUALLY(f, f->failed == 2);
	assert_int_equal(strncmp(f->last_name, "garbage.", 8), 0);
	assert_int_equal(count_files(f, "spool/failed", NULL), 4);
	drop(f, "garbage.reason", "again\n");
	EVENTUALLY(f, f->failed == 3);
	assert_int_equal(strncmp(f->last_name, "garbage.reason.", 15), 0);
}

/* What came to be seen in a directory, in order: "a b ". */
static void
read_arrivals(int fd, char seen[400])
{
	static char buf[64 * (sizeof(struct inotify_event) + NAME_MAX + 1)]
	    __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n = read(fd, buf, sizeof buf);
	const struct inotify_event *e;

	seen[0] = '\0';
	for (const char *at = buf; n > 0 && at < buf + n; at += sizeof *e + e->len) {
		e = (const void *)at;
		if (e->name[0] != '.')
			snprintf(seen + strlen(seen), 400 - strlen(seen), "%s%s ",
			    e->mask & IN_MOVED_TO ? "" : "unfinished ", e->name);
	}
}

/* Who waits for reasons finds each of them whole, and its message there. */
static void
a_reason_comes_whole_behind_its_message(void **state)
{
	struct fixture *f = *state;
	char path[400], seen[400];
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	path_of(f, path, "spool/failed");
	assert_true(inotify_add_watch(fd, path, IN_CREATE | IN_MOVED_TO) >= 0);
	drop(f, "garbage", "this is no header at all\n");
	EVENTUALLY(f, f->failed == 1);
	read_arrivals(fd, seen);
	assert_string_equal(seen, "garbage garbage.reason ");
	close(fd);
}

static void
long_names_are_cut(void **state)
{
	struct fixture *f = *state;
	char name[256];

	memset(name, 'n', 255);
	name[255] = '\0';
	memcpy(name + 199, "\xc3\xa9", 2);
	drop(f, name, "no message\n");
	EVENTUALLY(f, f->failed == 1);
	assert_int_equal(strlen(f->last_name), 199);
	drop(f, name, "no message\n");
	EVENTUALLY(f, f->failed == 2);
	assert_int_equal(strlen(f->last_name), 199 + 17);
}

static void
sent_leaves_the_queue(void **state)
{
	struct fixture *f = *state;
	struct outqueue_decision d = {.next_attempt = 0};
	struct lent l;

	drop(f, "one", MESSAGE);
	EVENTUALLY(f, f->queued == 1);
	l = due(f, clock_wall(), false, 1);
	l.messages[0]->attempts++;
	set_fates(l.messages[0], OUTQUEUE_SENT, "250 2.0.0 accepted");
	assert_int_equal(decide(f, &d, &l.messages[0]).kind, FAIL_NONE);
	EVENTUALLY(f, totals(f).messages == 0);
	assert_int_equal(count_files(f, "spool/queue", NULL), 0);
	assert_int_equal(count_files(f, "spool/failed", NULL), 0);
	fixture_restart(f);
	assert_int_equal(due(f, clock_wall(), true, 1).count, 0);
	assert_int_equal(totals(f).messages, 0);
}

static void
deferred_stays_and_is_remembered(void **state)
{
	struct fixture *f = *state;
	struct outqueue_decision d = {
	    .next_attempt = clock_wall() + 3600000, .last_error = "451 later"};
	struct lent l;

	drop(f, "one", MESSAGE);
	EVENTUALLY(f, f->queued == 1);
	l = due(f, clock_wall(), false, 1);
	l.messages[0]->attempts = 3;
	l.messages[0]->first_tried = 5;
	l.messages[0]->unknowns = 2;
	l.messages[0]->warned = 7;
	l.messages[0]->recipients[0].state = OUTQUEUE_SENT;
	l.messages[0]->recipients[1].reply = xstrdup("451 later");
	decide(f, &d, &l.messages[0]);
	assert_int_equal(totals(f).deferred, 1);
	fixture_restart(f);
	l = due(f, clock_wall(), false, 1);
	assert_int_equal(l.count, 0);
	assert_int_equal(l.earliest, d.next_attempt);
	assert_int_equal(totals(f).deferred, 1);
	l = due(f, clock_wall(), true, 1);
	assert_int_equal(l.count, 1);
	assert_int_equal(l.messages[0]->attempts, 3);
	assert_int_equal(l.messages[0]->first_tried, 5);
	assert_int_equal(l.messages[0]->unknowns, 2);
	assert_int_equal(l.messages[0]->warned, 7);
	assert_int_equal(l.messages[0]->recipients[0].state, OUTQUEUE_SENT);
	assert_int_equal(l.messages[0]->recipients[1].state, OUTQUEUE_PENDING);
	assert_string_equal(l.messages[0]->recipients[1].reply, "451 later");
	outqueue_return(f->queue, &l.messages[0]);
}

static void
decide_second_failed(struct fixture *f, const char *name)
{
	struct outqueue_decision d = {.next_attempt = 0};
	struct lent l;

	drop(f, name, MESSAGE);
	EVENTUALLY(f, f->queued == 1);
	l = due(f, clock_wall(), false, 1);
	l.messages[0]->attempts = 1;
	l.messages[0]->recipients[0].state = OUTQUEUE_SENT;
	l.messages[0]->recipients[1].state = OUTQUEUE_FAILED;
	l.messages[0]->recipients[1].reply = xstrdup("550 5.1.1 no such user");
	decide(f, &d, &l.messages[0]);
}

static void
fail_second(struct fixture *f, const char *name)
{
	decide_second_failed(f, name);
	EVENTUALLY(f, f->failed == 1);
}

static void
failed_is_retried_for_those_who_failed(void **state)
{
	struct fixture *f = *state;
	struct verdict why;
	struct lent l;
	char *text;

	fail_second(f, "letter");
	assert_true(exists(f, "spool/failed/letter"));
	text = read_text(f, "spool/failed/letter.reason");
	assert_string_equal(text, "her@example.net: 550 5.1.1 no such user\n");
	free(text);
	fixture_restart(f);
	EVENTUALLY(f, totals(f).failed == 1);
	while ((why = ask(f, outqueue_retry, "letter")).code == EBUSY)
		continue;
	assert_int_equal(why.kind, FAIL_NONE);
	assert_int_equal(f->queued, 1);
	assert_int_equal(count_files(f, "spool/failed", NULL), 0);
	l = due(f, clock_wall(), false, 1);
	assert_int_equal(l.count, 1);
	assert_string_equal(l.messages[0]->name, "letter");
	assert_int_equal(l.messages[0]->attempts, 0);
	assert_int_equal(l.messages[0]->recipients[0].state, OUTQUEUE_SENT);
	assert_int_equal(l.messages[0]->recipients[1].state, OUTQUEUE_PENDING);
	assert_int_equal(totals(f).failed, 0);
	assert_int_equal(totals(f).messages, 1);
	outqueue_return(f->queue, &l.messages[0]);
}

/* The file is seen in failed/ before its row says so: then, too, it has its row. */
static void
failed_is_retried_as_soon_as_it_is_seen(void **state)
{
	struct fixture *f = *state;
	struct lent l;

	decide_second_failed(f, "letter");
	while (!exists(f, "spool/failed/letter"))
		event_base_loop(f->base, EVLOOP_NONBLOCK);
	assert_int_equal(f->failed, 0);
	assert_int_equal(ask(f, outqueue_retry, "letter").kind, FAIL_NONE);
	EVENTUALLY(f, totals(f).messages == 1 && count_files(f, "spool/failed", NULL) == 0);
	l = due(f, clock_wall(), false, 1);
	assert_int_equal(l.count, 1);
	assert_int_equal(l.messages[0]->recipients[0].state, OUTQUEUE_SENT);
	assert_int_equal(l.messages[0]->recipients[1].state, OUTQUEUE_PENDING);
	outqueue_return(f->queue, &l.messages[0]);
}

static void
rejected_is_claimed_anew_by_retry(void **state)
{
	struct fixture *f = *state;

	drop(f, "letter", "From: me@example.org\n\nnobody\n");
	EVENTUALLY(f, f->failed == 1);
	write_text(f, "spool/failed/letter", MESSAGE);
	assert_int_equal(ask(f, outqueue_retry, "letter").kind, FAIL_NONE);
	EVENTUALLY(f, f->queued == 1);
	assert_int_equal(f->claimed, 2);
	assert_int_equal(totals(f).failed, 0);
	write_text(f, "spool/failed/unheard of", MESSAGE);
	write_text(f, "spool/failed/unheard of.reason", "?");
	assert_int_equal(ask(f, outqueue_retry, "unheard of").kind, FAIL_NONE);
	EVENTUALLY(f, f->queued == 2);
	assert_int_equal(count_files(f, "spool/failed", NULL), 0);
	assert_int_equal(ask(f, outqueue_retry, "unheard of").code, ENOENT);
	assert_int_equal(ask(f, outqueue_retry, "../queue/x").kind, FAIL_LOCAL);
	assert_int_equal(ask(f, outqueue_retry, ".").kind, FAIL_LOCAL);
	assert_int_equal(ask(f, outqueue_retry, "").kind, FAIL_LOCAL);
}

static void
held_waits_until_released(void **state)
{
	struct fixture *f = *state;
	char id[32];
	struct lent l;

	drop(f, "one", MESSAGE);
	EVENTUALLY(f, f->queued == 1);
	memcpy(id, f->last_id, sizeof id);
	assert_int_equal(ask(f, outqueue_hold, id).kind, FAIL_NONE);
	assert_int_equal(totals(f).held, 1);
	assert_int_equal(due(f, clock_wall(), true, 1).count, 0);
	assert_int_equal(ask(f, outqueue_release, id).kind, FAIL_NONE);
	assert_int_equal(totals(f).held, 0);
	assert_int_equal(f->queued, 2);
	l = due(f, clock_wall(), false, 1);
	assert_int_equal(l.count, 1);
	assert_int_equal(ask(f, outqueue_remove, id).code, EBUSY);
	outqueue_return(f->queue, &l.messages[0]);
	assert_int_equal(ask(f, outqueue_hold, "nonsense").code, ENOENT);
}

/* A release gets over what the daemon made it wait for, and not over its sender's word. */
static void
released_still_waits_for_its_time(void **state)
{
	struct fixture *f = *state;
	char id[32];
	struct lent l;

	drop(f, "one", "X-Postrider-Not-Before: 2099-01-01T00:00:00Z\n" MESSAGE);
	EVENTUALLY(f, f->queued == 1);
	memcpy(id, f->last_id, sizeof id);
	assert_int_equal(ask(f, outqueue_hold, id).kind, FAIL_NONE);
	assert_int_equal(ask(f, outqueue_release, id).kind, FAIL_NONE);
	l = due(f, clock_wall(), false, 1);
	assert_int_equal(l.count, 0);
	assert_true(l.earliest > clock_wall() + 1000);
}

static void
held_during_an_attempt_stays_held(void **state)
{
	struct fixture *f = *state;
	struct outqueue_decision d = {.next_attempt = 1, .last_error = "451"};
	struct lent l;

	drop(f, "one", MESSAGE);
	EVENTUALLY(f, f->queued == 1);
	l = due(f, clock_wall(), true, 1);
	assert_int_equal(ask(f, outqueue_hold, f->last_id).kind, FAIL_NONE);
	decide(f, &d, &l.messages[0]);
	assert_int_equal(totals(f).held, 1);
	assert_int_equal(due(f, clock_wall(), true, 1).count, 0);
}

static void
removed_is_gone(void **state)
{
	struct fixture *f = *state;

	drop(f, "one", MESSAGE);
	EVENTUALLY(f, f->queued == 1);
	assert_int_equal(ask(f, outqueue_remove, f->last_id).kind, FAIL_NONE);
	EVENTUALLY(f, count_files(f, "spool/queue", NULL) == 0);
	assert_int_equal(totals(f).messages, 0);
	f->queued = 0;
	fail_second(f, "two");
	assert_int_equal(totals(f).failed, 1);
	assert_int_equal(ask(f, outqueue_remove, f->last_id).kind, FAIL_NONE);
	EVENTUALLY(f, count_files(f, "spool/failed", NULL) == 0);
	assert_int_equal(totals(f).failed, 0);
}

struct page {
	bool arrived;
	size_t count;
	char ids[16][32];
};

static void
on_page(const struct outqueue_row *rows, size_t count, const struct verdict *why, void *arg)
{
	struct page *p = arg;

	assert_int_equal(why->kind, FAIL_NONE);
	p->count = count;
	for (size_t i = 0; i < count; i++)
		memcpy(p->ids[i], rows[i].message->id, sizeof p->ids[i]);
	p->arrived = true;
}

static void
pages_follow_each_other(void **state)
{
	struct fixture *f = *state;
	struct page one = {.arrived = false}, two = {.arrived = false};
	char name[32];

	for (int i = 0; i < 5; i++) {
		snprintf(name, sizeof name, "m%d", i);
		drop(f, name, MESSAGE);
	}
	EVENTUALLY(f, f->queued == 5);
	outqueue_page(f->queue, "", 3, on_page, &one);
	EVENTUALLY(f, one.arrived);
	assert_int_equal(one.count, 3);
	outqueue_page(f->queue, one.ids[2], 3, on_page, &two);
	EVENTUALLY(f, two.arrived);
	assert_int_equal(two.count, 2);
	assert_true(strcmp(one.ids[2], two.ids[0]) < 0);
}

static void
unanswered_is_claimed_again(void **state)
{
	struct fixture *f = *state;

	f->idle_owner = true;
	drop(f, "one", MESSAGE);
	EVENTUALLY(f, f->claimed == 1);
	f->idle_owner = false;
	fixture_restart(f);
	EVENTUALLY(f, f->queued == 1);
	assert_string_equal(f->last_name, "one");
	assert_int_equal(count_files(f, "spool/queue", NULL), 1);
}

static void
taken_away_is_not_sent_until_put_back(void **state)
{
	struct fixture *f = *state;
	char file[300], from[400], to[400];
	struct lent l;

	drop(f, "one", MESSAGE);
	EVENTUALLY(f, f->queued == 1);
	assert_int_equal(count_files(f, "spool/queue", file), 1);
	path_of(f, from, file);
	path_of(f, to, "elsewhere");
	assert_int_equal(rename(from, to), 0);
	assert_int_equal(due(f, clock_wall(), true, 1).count, 0);
	EVENTUALLY(f, totals(f).messages == 0);
	fixture_restart(f);
	assert_int_equal(due(f, clock_wall(), true, 1).count, 0);
	assert_int_equal(rename(to, from), 0);
	fixture_restart(f);
	EVENTUALLY(f, totals(f).messages == 1);
	l = due(f, clock_wall(), true, 1);
	assert_int_equal(l.count, 1);
	outqueue_return(f->queue, &l.messages[0]);
}

static void
stranger_in_queue_is_taken_at_start(void **state)
{
	struct fixture *f = *state;

	write_text(f, "spool/queue/by hand.eml", MESSAGE);
	write_text(f, "spool/queue/.0123456789abcdef.half", "To: no");
	fixture_restart(f);
	EVENTUALLY(f, f->queued == 1);
	assert_string_equal(f->last_name, "by hand.eml");
	assert_int_equal(count_files(f, "spool/queue", NULL), 1);
}

static void
failed_taken_away_is_forgotten(void **state)
{
	struct fixture *f = *state;
	char path[400];

	fail_second(f, "letter");
	path_of(f, path, "spool/failed/letter");
	unlink(path);
	fixture_restart(f);
	EVENTUALLY(f, totals(f).failed == 1);
	EVENTUALLY(f, totals(f).failed == 0);
}

static void
replaced_spool_is_noticed(void **state)
{
	struct fixture *f = *state;
	char from[400], to[400];

	drop(f, "one", MESSAGE);
	EVENTUALLY(f, f->queued == 1);
	path_of(f, from, "spool");
	path_of(f, to, "spool.old");
	assert_int_equal(rename(from, to), 0);
	EVENTUALLY(f, exists(f, "spool/failed"));
	drop(f, "two", MESSAGE);
	EVENTUALLY(f, f->queued == 2);
}

static void
on_drained(void *arg)
{
	*(bool *)arg = true;
}

static void
drain_takes_what_is_closed(void **state)
{
	struct fixture *f = *state;
	bool drained = false;
	char path[400];
	int fd;

	path_of(f, path, "spool/open");
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	write_text(f, "spool/closed", MESSAGE);
	write_text(f, "spool/bad", "no header here\n");
	outqueue_drain(f->queue, on_drained, &drained);
	EVENTUALLY(f, drained);
	assert_int_equal(f->queued, 1);
	assert_int_equal(f->failed, 1);
	assert_true(exists(f, "spool/open"));
	close(fd);
	drained = false;
	outqueue_drain(f->queue, on_drained, &drained);
	EVENTUALLY(f, drained);
	assert_int_equal(f->failed, 2);
	drained = false;
	outqueue_drain(f->queue, on_drained, &drained);
	EVENTUALLY(f, drained);
}

static void
thousands_are_claimed(void **state)
{
	enum { COUNT = 2000, BIG = 4096 };
	struct fixture *f = *state;
	char name[300], path[400], *text = xcalloc(1, BIG + 1);
	int64_t start;

	memset(text, 'x', BIG);
	memcpy(text, MESSAGE, strlen(MESSAGE) - 1);
	fixture_stop(f);
	for (int i = 0; i < COUNT; i++) {
		snprintf(name, sizeof name, "spool/.m%d", i);
		write_text(f, name, text);
	}
	fixture_start(f);
	start = clock_mono();
	for (int i = 0; i < COUNT; i++) {
		char to[400];

		snprintf(name, sizeof name, "spool/.m%d", i);
		path_of(f, path, name);
		snprintf(name, sizeof name, "spool/m%d", i);
		path_of(f, to, name);
		assert_int_equal(rename(path, to), 0);
	}
	EVENTUALLY(f, f->queued == COUNT);
	print_message("  %d messages queued in %d ms\n", COUNT, (int)(clock_mono() - start));
	assert_int_equal(totals(f).messages, COUNT);
	assert_int_equal(count_files(f, "spool", NULL), 0);
	free(text);
}

static void
closing_in_the_middle_loses_nothing(void **state)
{
	struct fixture *f = *state;
	char name[32];

	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof name, "m%d", i);
		drop(f, name, MESSAGE);
	}
	EVENTUALLY(f, f->claimed > 10);
	fixture_restart(f);
	EVENTUALLY(f, totals(f).messages == 300);
	assert_int_equal(count_files(f, "spool/queue", NULL), 300);
	fixture_restart(f);
	EVENTUALLY(f, totals(f).messages == 300);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(dropped_by_rename_is_queued),
	    TEST(watching_begins_with_the_first_look),
	    TEST(lent_is_lent_once),
	    TEST(all_that_wait_come_page_by_page),
	    TEST(a_clock_that_was_ahead_makes_nobody_wait),
	    TEST(who_is_in_doubt_waits_unless_a_person_wants_it),
	    TEST(one_is_lent_by_id),
	    TEST(decided_meanwhile_is_not_lent_from_an_old_list),
	    TEST(idle_when_everything_is_where_it_belongs),
	    TEST(idle_is_not_clean_with_a_copy_that_waits),
	    TEST(overdue_are_lent_before_their_time),
	    TEST(record_survives),
	    TEST(written_in_place_is_taken_when_settled),
	    TEST(link_is_copied_and_its_original_goes),
	    TEST(others_are_left_alone),
	    TEST(leftovers_go_after_36_hours),
	    TEST(what_is_no_message_fails),
	    TEST(a_reason_comes_whole_behind_its_message),
	    TEST(long_names_are_cut),
	    TEST(sent_leaves_the_queue),
	    TEST(deferred_stays_and_is_remembered),
	    TEST(failed_is_retried_for_those_who_failed),
	    TEST(failed_is_retried_as_soon_as_it_is_seen),
	    TEST(rejected_is_claimed_anew_by_retry),
	    TEST(held_waits_until_released),
	    TEST(released_still_waits_for_its_time),
	    TEST(held_during_an_attempt_stays_held),
	    TEST(removed_is_gone),
	    TEST(pages_follow_each_other),
	    TEST(unanswered_is_claimed_again),
	    TEST(taken_away_is_not_sent_until_put_back),
	    TEST(stranger_in_queue_is_taken_at_start),
	    TEST(failed_taken_away_is_forgotten),
	    TEST(replaced_spool_is_noticed),
	    TEST(drain_takes_what_is_closed),
	    TEST(thousands_are_claimed),
	    TEST(closing_in_the_middle_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
