#include "outqueue_fixture.h"

#include <signal.h>
#include <sys/resource.h>

static const char report[] = "From: mailer-daemon\nSubject: failed\n\npart one\n";

static struct outmessage *
queue_one(struct fixture *f, const char *text)
{
	size_t before = f->queued;
	struct lent l;

	drop(f, "letter", text);
	EVENTUALLY(f, f->queued == before + 1);
	l = due(f, clock_wall(), true, 1);
	assert_int_equal(l.count, 1);
	l.messages[0]->attempts = 1;
	return l.messages[0];
}

static void
copy_is_what_went_out(void **state)
{
	struct fixture *f = *state;
	struct outmessage *m =
	    queue_one(f, "From u@host Mon\nTo: you@example.net\nBcc: x@y.example\n"
			 "X-Postrider-Account: a\n\none\r\ntwo\n");
	struct outqueue_decision d = {
	    .maildir_mode = 0640, .sent_rewrite = {.from = "me@example.org"}};
	char path[400], found[300], *text;
	struct stat st;

	path_of(f, path, "sent/mail");
	d.sent_maildir = path;
	set_fates(m, OUTQUEUE_SENT, "250");
	assert_int_equal(decide(f, &d, &m).kind, FAIL_NONE);
	EVENTUALLY(f, totals(f).messages == 0);
	assert_int_equal(count_files(f, "sent/mail/new", found), 1);
	assert_int_equal(count_files(f, "sent/mail/tmp", NULL), 0);
	text = read_text(f, found);
	assert_int_equal(strncmp(text, "To: you@example.net\nDate: ", 26), 0);
	assert_non_null(strstr(text, "\nMessage-ID: <"));
	assert_non_null(strstr(text, "@example.org>\nFrom: me@example.org\n\none\ntwo\n"));
	assert_null(strstr(text, "Bcc"));
	assert_null(strstr(text, "Postrider"));
	assert_null(strchr(text, '\r'));
	free(text);
	path_of(f, path, found);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
}

struct report_case {
	bool original;
	bool header;
	const char *text;
	const char *part;
};

static void
reports_hold_what_they_should(void **state)
{
	static const struct report_case cases[] = {
	    {false, false, "To: a@b.example\n\nbody\n", ""},
	    {true, false, "To: a@b.example\n\nbody\n", "To: a@b.example\n\nbody\n"},
	    {true, false, "From x\r\nTo: a@b.example\r\n\r\nb\rody\r\n",
		"To: a@b.example\n\nb\rody\n"},
	    {false, true, "To: a@b.example\n\nbody\n", "To: a@b.example\n"},
	    {false, true, "To: a@b.example\r\nX: y\r\n\r\nbody\r\n", "To: a@b.example\nX: y\n"},
	    {false, true, "To: a@b.example\n", "To: a@b.example\n"},
	};
	struct fixture *f = *state;
	char path[400], found[300], wanted[400], *text;

	path_of(f, path, "reports");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct outmessage *m = queue_one(f, cases[i].text);
		struct outqueue_decision d = {.report = report,
		    .report_len = sizeof report - 1,
		    .report_has_original = cases[i].original,
		    .report_has_header = cases[i].header,
		    .report_end = "--end--\n",
		    .report_maildir = path};

		set_fates(m, OUTQUEUE_FAILED, "550");
		assert_int_equal(decide(f, &d, &m).kind, FAIL_NONE);
		EVENTUALLY(f, f->failed == i + 1);
		assert_int_equal(count_files(f, "reports/new", found), 1);
		text = read_text(f, found);
		snprintf(wanted, sizeof wanted, "%s%s--end--\n", report, cases[i].part);
		assert_string_equal(text, wanted);
		free(text);
		path_of(f, wanted, found);
		unlink(wanted);
	}
}

static void
report_goes_by_mail(void **state)
{
	struct fixture *f = *state;
	struct outmessage *m = queue_one(f, MESSAGE);
	struct outqueue_decision d = {.report = report,
	    .report_len = sizeof report - 1,
	    .report_has_original = true,
	    .report_account = "a",
	    .report_recipient = "me@example.org"};
	/* It leaves the machine, so the Bcc of MESSAGE is not in it. */
	static const char original[] = "From: me@example.org\nTo: you@example.net\n\ntext\n";
	char found[300], *text;
	struct lent l;

	set_fates(m, OUTQUEUE_FAILED, "550");
	decide(f, &d, &m);
	EVENTUALLY(f, f->queued == 2 && f->failed == 1);
	l = due(f, clock_wall(), false, 2);
	assert_int_equal(l.count, 1);
	assert_true(l.messages[0]->bounce);
	assert_string_equal(l.messages[0]->sender, "");
	assert_int_equal(l.messages[0]->recipient_count, 1);
	assert_string_equal(l.messages[0]->recipients[0].address, "me@example.org");
	assert_int_equal(l.messages[0]->size, sizeof report - 1 + sizeof original - 1);
	outqueue_return(f->queue, &l.messages[0]);
	assert_int_equal(count_files(f, "spool/queue", found), 1);
	text = read_text(f, found);
	assert_int_equal(strncmp(text, report, sizeof report - 1), 0);
	assert_string_equal(text + sizeof report - 1, original);
	free(text);
	assert_int_equal(totals(f).messages, 1);
	fixture_restart(f);
	EVENTUALLY(f, totals(f).messages == 1);
}

static void
report_for_nobody_is_none(void **state)
{
	struct fixture *f = *state;
	struct outmessage *m = queue_one(f, MESSAGE);
	struct outqueue_decision d = {.report = report, .report_len = sizeof report - 1};

	set_fates(m, OUTQUEUE_FAILED, "550");
	decide(f, &d, &m);
	EVENTUALLY(f, f->failed == 1);
	assert_int_equal(totals(f).messages, 0);
}

/* A notice about a message that stays. */
static void
notice_leaves_its_message(void **state)
{
	struct fixture *f = *state;
	struct outmessage *m = queue_one(f, MESSAGE);
	struct outqueue_decision d = {
	    .report = report, .report_len = sizeof report - 1, .last_error = "451"};
	char path[400];

	path_of(f, path, "reports");
	d.report_maildir = path;
	decide(f, &d, &m);
	EVENTUALLY(f, count_files(f, "reports/new", NULL) == 1);
	assert_int_equal(totals(f).messages, 1);
	fixture_restart(f);
	EVENTUALLY(f, totals(f).messages == 1);
	assert_int_equal(count_files(f, "reports/new", NULL), 1);
}

struct page {
	bool arrived;
	size_t count;
	bool has_error;
	char error[400]; /* the first one's */
};

static void
on_page(const struct outqueue_row *rows, size_t count, const struct verdict *why, void *arg)
{
	struct page *p = arg;

	(void)why;
	p->count = count;
	p->has_error = count > 0 && rows[0].last_error != NULL;
	snprintf(p->error, sizeof p->error, "%s", p->has_error ? rows[0].last_error : "");
	p->arrived = true;
}

static struct page
get_page(struct fixture *f)
{
	struct page p = {.arrived = false};

	outqueue_page(f->queue, "", 10, on_page, &p);
	EVENTUALLY(f, p.arrived);
	return p;
}

/* The fate is recorded whatever becomes of the copy, and the copy comes in the end. */
static void
copy_waits_for_its_maildir(void **state)
{
	struct fixture *f = *state;
	struct outmessage *m = queue_one(f, MESSAGE);
	struct outqueue_decision d = {.next_attempt = 0};
	char path[400], blocked[400];

	log_set_level((enum log_level) - 1);
	write_text(f, "blocked", "");
	path_of(f, blocked, "blocked");
	path_of(f, path, "blocked/sent");
	d.sent_maildir = path;
	set_fates(m, OUTQUEUE_SENT, "250");
	assert_int_equal(decide(f, &d, &m).kind, FAIL_NONE);
	EVENTUALLY(f, get_page(f).has_error);
	assert_int_equal(get_page(f).count, 1);
	assert_int_equal(due(f, clock_wall(), true, 1).count, 0);
	unlink(blocked);
	fixture_restart(f);
	EVENTUALLY(f, count_files(f, "blocked/sent/new", NULL) == 1);
	EVENTUALLY(f, totals(f).messages == 0);
	assert_int_equal(count_files(f, "spool/queue", NULL), 0);
}

/* Both are of one batch, and the first one is more than there is room for. */
static void
copy_without_room_keeps_no_other_back(void **state)
{
	struct rlimit limit, none;
	struct fixture *f = *state;
	struct outqueue_decision d = {.next_attempt = 0};
	struct str big = STR_INIT;
	char path[400], blocked[400];
	struct outmessage *m;

	log_set_level((enum log_level) - 1);
	write_text(f, "blocked", "");
	path_of(f, blocked, "blocked");
	path_of(f, path, "blocked/sent");
	d.sent_maildir = path;
	str_append_text(&big, MESSAGE);
	while (big.len < 2 << 20)
		str_append_text(&big, "a line of many that all are the same\n");
	m = queue_one(f, str_text(&big));
	str_clear(&big);
	set_fates(m, OUTQUEUE_SENT, "250");
	decide(f, &d, &m);
	m = queue_one(f, MESSAGE);
	set_fates(m, OUTQUEUE_SENT, "250");
	decide(f, &d, &m);
	fixture_stop(f);
	unlink(blocked);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &none), 0);
	limit = (struct rlimit){.rlim_cur = 1 << 20, .rlim_max = none.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	fixture_start(f);
	EVENTUALLY(f, totals(f).messages == 1);
	assert_int_equal(count_files(f, "blocked/sent/new", NULL), 1);
	assert_int_equal(count_files(f, "blocked/sent/tmp", NULL), 0);
	EVENTUALLY(f, strstr(get_page(f).error, "limit of file sizes") != NULL);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	fixture_restart(f);
	EVENTUALLY(f, count_files(f, "blocked/sent/new", NULL) == 2);
}

static void
known_maildir_is_not_made_again(void **state)
{
	struct fixture *f = *state;
	struct outqueue_decision d = {.next_attempt = 0};
	struct outmessage *m = queue_one(f, MESSAGE);
	char path[400], away[400];

	log_set_level((enum log_level) - 1);
	path_of(f, path, "sent");
	path_of(f, away, "unmounted");
	d.sent_maildir = path;
	set_fates(m, OUTQUEUE_SENT, "250");
	decide(f, &d, &m);
	EVENTUALLY(f, totals(f).messages == 0);
	assert_int_equal(rename(path, away), 0);
	m = queue_one(f, MESSAGE);
	set_fates(m, OUTQUEUE_SENT, "250");
	decide(f, &d, &m);
	EVENTUALLY(f, get_page(f).has_error);
	assert_false(exists(f, "sent"));
	assert_int_equal(rename(away, path), 0);
	fixture_restart(f);
	EVENTUALLY(f, count_files(f, "sent/new", NULL) == 2);
}

static void
what_is_owed_is_dropped_by_remove(void **state)
{
	struct fixture *f = *state;
	struct outmessage *m = queue_one(f, MESSAGE);
	struct outqueue_decision d = {.next_attempt = 0};
	char path[400], id[32];

	log_set_level((enum log_level) - 1);
	memcpy(id, m->id, sizeof id);
	write_text(f, "blocked", "");
	path_of(f, path, "blocked/sent");
	d.sent_maildir = path;
	set_fates(m, OUTQUEUE_SENT, "250");
	decide(f, &d, &m);
	EVENTUALLY(f, get_page(f).has_error);
	assert_int_equal(ask(f, outqueue_remove, id).kind, FAIL_NONE);
	EVENTUALLY(f, count_files(f, "spool/queue", NULL) == 0);
	assert_int_equal(totals(f).messages, 0);
}

static void
many_copies_arrive_once(void **state)
{
	enum { COUNT = 100 };
	struct fixture *f = *state;
	struct outqueue_decision d = {.next_attempt = 0};
	char path[400], name[32];
	size_t sent = 0;

	path_of(f, path, "sent");
	d.sent_maildir = path;
	for (int i = 0; i < COUNT; i++) {
		snprintf(name, sizeof name, "m%d", i);
		drop(f, name, MESSAGE);
	}
	EVENTUALLY(f, f->queued == COUNT);
	while (sent < COUNT) {
		struct lent l = due(f, clock_wall(), false, 16);

		for (size_t i = 0; i < l.count; i++, sent++) {
			set_fates(l.messages[i], OUTQUEUE_SENT, "250");
			d.message = l.messages[i];
			outqueue_decide(f->queue, &d, &l.messages[i], NULL, NULL);
		}
	}
	EVENTUALLY(f, totals(f).messages == 0);
	assert_int_equal(count_files(f, "sent/new", NULL), COUNT);
	assert_int_equal(count_files(f, "sent/tmp", NULL), 0);
	assert_int_equal(count_files(f, "spool/queue", NULL), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(copy_is_what_went_out),
	    TEST(reports_hold_what_they_should),
	    TEST(report_goes_by_mail),
	    TEST(report_for_nobody_is_none),
	    TEST(notice_leaves_its_message),
	    TEST(copy_waits_for_its_maildir),
	    TEST(copy_without_room_keeps_no_other_back),
	    TEST(known_maildir_is_not_made_again),
	    TEST(what_is_owed_is_dropped_by_remove),
	    TEST(many_copies_arrive_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
