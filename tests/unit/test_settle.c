#include "unit.h"

#include "base/verdict.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "deliver/settle.h"
#include "proto/dsn.h"

#include <stdlib.h>
#include <string.h>

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };
static const int64_t queued = INT64_C(1795169700000);

static const struct retry_config retry = {
    .first = MINUTE, .max = HOUR, .warn_after = 4 * HOUR, .give_up = 5LL * DAY};

static char sent_maildir[] = "/mail/.Sent", bounce_maildir[] = "/mail",
	    bounce_to[] = "b@to.example";
static char full[] = "FULL", hdrs[] = "HDRS";
static char *addresses[] = {"me@example.org", NULL};
static struct smtp_config smtp;
static const struct account_config account = {
    .name = "personal", .addresses = addresses, .smtp = &smtp};
static const uint8_t unique[DSN_UNIQUE_SIZE] = {1, 2, 3};

static const struct verdict no_route = {
    .kind = FAIL_NETWORK, .stage = "connect", .text = "smtp.example.org: no route to host"};

static struct settle_context
context_at(int64_t now, const struct verdict *trouble)
{
	return (struct settle_context){.retry = &retry,
	    .account = &account,
	    .trouble = trouble,
	    .now = now,
	    .random = 0.5,
	    .host = "host.example.org",
	    .unique = unique};
}

static void
begin_account(void)
{
	static char host[] = "smtp.example.org";

	smtp = (struct smtp_config){.endpoint = {.host = host},
	    .sent_maildir = sent_maildir,
	    .bounce_maildir = bounce_maildir};
}

/* "p" pending, "s" sent, "f" failed, "u" unknown: one recipient for each letter. */
static struct outmessage *
make_message(const char *states)
{
	struct outmessage *m = xcalloc(1, sizeof *m);

	strcpy(m->id, "ID1");
	m->name = xstrdup("letter.eml");
	m->account = xstrdup("personal");
	m->sender = xstrdup("me@example.org");
	m->size = 3000;
	m->queued = m->next_attempt = queued;
	m->recipient_count = strlen(states);
	m->recipients = xcalloc(m->recipient_count, sizeof *m->recipients);
	for (size_t i = 0; i < m->recipient_count; i++) {
		m->recipients[i].address = xasprintf("r%zu@example.com", i);
		m->recipients[i].state = (enum outqueue_state)(strchr("psfu", states[i]) - "psfu");
	}
	begin_account();
	return m;
}

static void
free_message(struct outmessage *m)
{
	for (size_t i = 0; i < m->recipient_count; i++) {
		free(m->recipients[i].address);
		free(m->recipients[i].reply);
	}
	free(m->recipients);
	free(m->name);
	free(m->account);
	free(m->sender);
	free(m);
}

static const struct smtp_result results[] = {
    [SMTP_SENT] = {.fate = SMTP_SENT,
	.code = 250,
	.status = "2.0.0",
	.stage = "dot",
	.text = "250 2.0.0 taken"},
    [SMTP_DEFERRED] = {.fate = SMTP_DEFERRED,
	.code = 451,
	.status = "4.3.0",
	.stage = "rcpt",
	.text = "451 4.3.0 later"},
    [SMTP_REFUSED] = {.fate = SMTP_REFUSED,
	.code = 550,
	.status = "5.1.1",
	.stage = "rcpt",
	.text = "550 5.1.1 no such user"},
    [SMTP_UNKNOWN] = {.fate = SMTP_UNKNOWN, .stage = "dot", .text = "it was cut off"},
    [SMTP_UNTRIED] = {.fate = SMTP_UNTRIED, .stage = "greeting", .text = "no greeting"},
};

/* "s" sent, "d" deferred, "r" refused, "u" unknown, "x" untried, "a" again, " " nothing at all. */
static void
note_letter(struct settlement *s, size_t recipient, char letter)
{
	struct smtp_result result;
	const char *found = strchr("sdruxa", letter);

	if (letter == ' ' || found == NULL)
		return;
	result = results[letter == 'a' ? SMTP_DEFERRED : (size_t)(found - "sdruxa")];
	result.again = letter == 'a';
	settle_note(s, recipient, &result);
}

static struct settlement
settle(struct outmessage *m, const char *letters, const struct settle_context *context)
{
	struct settlement s;

	settle_begin(&s, m);
	for (size_t i = 0; letters[i] != '\0'; i++)
		note_letter(&s, i, letters[i]);
	settle_finish(&s, context);
	assert_ptr_equal(s.decision.message, m);
	assert_int_equal(s.decision.next_attempt, m->next_attempt);
	assert_int_equal(s.decision.held, s.is_held);
	return s;
}

static void
assert_states(const struct outmessage *m, const char *states)
{
	char found[16] = "";

	for (size_t i = 0; i < m->recipient_count; i++)
		found[i] = "psfu"[m->recipients[i].state];
	assert_string_equal(found, states);
}

static void
table_of_fates(void **state)
{
	static const struct {
		const char *before, *letters, *after;
		int64_t wait; /* from now; -1: not changed */
		unsigned attempts;
		bool needed, over, copy, report, reason;
	} row[] = {
	    {"p", "s", "s", 0, 1, true, true, true, false, false},
	    {"p", "d", "p", MINUTE, 1, true, false, false, false, false},
	    {"p", "r", "f", 0, 1, true, true, false, true, true},
	    {"p", "u", "u", HOUR, 1, true, false, false, false, false},
	    {"p", "x", "p", -1, 0, false, false, false, false, false},
	    {"p", " ", "p", -1, 0, false, false, false, false, false},
	    {"ppp", "sdr", "spf", MINUTE, 1, true, false, true, true, false},
	    {"ppp", "sxx", "spp", 0, 1, true, false, true, false, false},
	    {"ppp", "saa", "spp", 0, 1, true, false, true, false, false},
	    {"ppp", "sad", "spp", MINUTE, 1, true, false, true, false, false},
	    {"pp", "ud", "up", MINUTE, 1, true, false, false, false, false},
	    {"pp", "ux", "up", 0, 1, true, false, false, false, false},
	    {"pp", "ua", "up", 0, 1, true, false, false, false, false},
	    {"pp", "ur", "uf", HOUR, 1, true, false, false, true, false},
	    {"pp", "su", "su", HOUR, 1, true, false, true, false, false},
	    /* Accepted before: the copy was made. */
	    {"sp", " s", "ss", 0, 1, true, true, false, false, false},
	    {"sp", " d", "sp", MINUTE, 1, true, false, false, false, false},
	    {"sp", " r", "sf", 0, 1, true, true, false, true, true},
	    /* Failed before: reported then, told of in the reason. */
	    {"fp", " s", "fs", 0, 1, true, true, true, false, true},
	    {"fp", " d", "fp", MINUTE, 1, true, false, false, false, false},
	    /* What is final stays, whatever is said of it. */
	    {"sf", "rs", "sf", -1, 0, false, true, false, false, true},
	    {"ss", "dd", "ss", -1, 0, false, true, false, false, false},
	    /* That it may have been delivered is not forgotten. */
	    {"u", "d", "u", MINUTE, 1, true, false, false, false, false},
	    {"u", "s", "s", 0, 1, true, true, true, false, false},
	    {"u", "r", "f", 0, 1, true, true, false, true, true},
	    {"u", "x", "u", -1, 0, false, false, false, false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct outmessage *m = make_message(row[i].before);
		int64_t now = queued + 5 * SECOND;
		struct settle_context context = context_at(now, NULL);
		struct settlement s = settle(m, row[i].letters, &context);

		assert_states(m, row[i].after);
		assert_int_equal(m->next_attempt, row[i].wait < 0 ? queued : now + row[i].wait);
		assert_int_equal(m->attempts, row[i].attempts);
		assert_int_equal(m->first_tried, row[i].attempts > 0 ? now : 0);
		assert_int_equal(s.is_needed, row[i].needed);
		assert_int_equal(s.is_over, row[i].over);
		assert_string_equal(s.decision.sent_maildir, row[i].copy ? sent_maildir : "");
		assert_int_equal(s.decision.report != NULL, row[i].report);
		assert_int_equal(s.decision.reason != NULL, row[i].reason);
		assert_false(s.is_held);
		assert_false(s.is_warned);
		settle_clear(&s);
		free_message(m);
	}
}

static void
the_last_word_of_an_attempt_counts(void **state)
{
	static const struct {
		const char *letters, *after;
		size_t sent, deferred, refused, unknown;
	} row[] = {
	    {"as", "s", 1, 0, 0, 0},
	    {"ad", "p", 0, 1, 0, 0},
	    {"ar", "f", 0, 0, 1, 0},
	    {"dx", "p", 0, 1, 0, 0},
	    {"sd", "s", 1, 0, 0, 0},
	    {"sr", "s", 1, 0, 0, 0},
	    {"rs", "f", 0, 0, 1, 0},
	    {"ud", "u", 0, 0, 0, 1},
	    {"us", "s", 1, 0, 0, 0},
	    {"du", "u", 0, 0, 0, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct outmessage *m = make_message("p");
		struct settle_context context = context_at(queued, NULL);
		struct settlement s;

		settle_begin(&s, m);
		note_letter(&s, 0, row[i].letters[0]);
		note_letter(&s, 0, row[i].letters[1]);
		settle_finish(&s, &context);
		assert_states(m, row[i].after);
		assert_int_equal(s.sent, row[i].sent);
		assert_int_equal(s.deferred, row[i].deferred);
		assert_int_equal(s.refused, row[i].refused);
		assert_int_equal(s.unknown, row[i].unknown);
		settle_clear(&s);
		free_message(m);
	}
}

static void
attempt(struct outmessage *m, const char *letters, int64_t now, bool held, bool report)
{
	struct settle_context context = context_at(now, NULL);
	struct settlement s = settle(m, letters, &context);

	assert_int_equal(s.is_held, held);
	assert_int_equal(s.decision.report != NULL, report);
	settle_clear(&s);
}

static const struct verdict no_file = {
    .kind = FAIL_LOCAL, .stage = "read", .text = "cannot open message queue/ID1: no permission"};

static struct settlement
settle_unread(struct outmessage *m, char letter, int64_t now)
{
	struct settle_context context = context_at(now, NULL);
	struct settlement s;

	settle_begin(&s, m);
	note_letter(&s, 0, letter);
	settle_put_off(&s, &no_file);
	settle_finish(&s, &context);
	return s;
}

static void
a_third_unknown_holds(void **state)
{
	struct outmessage *m = make_message("pp");
	int64_t now = queued;
	struct settle_context context;
	struct settlement s;

	(void)state;
	attempt(m, "ud", now, false, false);
	assert_int_equal(m->unknowns, 1);
	assert_int_equal(m->unknown_until, now + HOUR);
	now += HOUR;
	attempt(m, "us", now, false, false);
	assert_int_equal(m->unknowns, 2);
	assert_int_equal(m->next_attempt, now + 6 * HOUR);
	m->warned = now;
	now += 6 * HOUR;
	context = context_at(now, NULL);
	s = settle(m, "u ", &context);
	assert_int_equal(m->unknowns, 3);
	assert_true(s.is_held);
	assert_false(s.is_over);
	assert_states(m, "us");
	assert_non_null(strstr(s.decision.report, "Subject: Mail may have been delivered to r0@"));
	assert_non_null(strstr(s.decision.report, "postriderctl release ID1"));
	assert_non_null(strstr(s.decision.report, "Action: delayed\n"));
	assert_null(strstr(s.decision.report, "Action: failed\n"));
	assert_null(strstr(s.decision.report, "r1@"));
	assert_true(s.decision.report_has_header);
	assert_null(s.decision.reason);
	assert_string_equal(s.decision.last_error, "it was cut off");
	settle_clear(&s);
	free_message(m);
}

/* Who is in doubt waits; the others are tried meanwhile, at their own pace. */
static void
an_unknown_fate_delays_nobody_else(void **state)
{
	struct outmessage *m = make_message("ppp");
	int64_t now = queued, until = queued + HOUR;

	(void)state;
	attempt(m, "uxx", now, false, false);
	assert_int_equal(m->next_attempt, now);
	assert_false(settle_is_due(m, &m->recipients[0]));
	assert_true(settle_is_due(m, &m->recipients[1]));
	attempt(m, " xx", now, false, false);
	assert_int_equal(m->next_attempt, now);
	attempt(m, " sd", now, false, false);
	assert_int_equal(m->next_attempt, now + 2 * MINUTE);
	assert_int_equal(m->unknowns, 1);
	now += 2 * MINUTE;
	attempt(m, "  s", now, false, false);
	assert_int_equal(m->next_attempt, until);
	assert_true(settle_is_due(m, &m->recipients[0]));
	attempt(m, "u  ", until, false, false);
	assert_int_equal(m->unknowns, 2);
	assert_int_equal(m->next_attempt, until + 6 * HOUR);
	free_message(m);
}

/* Put off while others of its message are in doubt again: none is left who could be tried before.
 */
static void
who_is_in_doubt_waits_together(void **state)
{
	struct outmessage *m = make_message("ppp");
	int64_t now = queued + HOUR;

	(void)state;
	attempt(m, "uus", queued, false, false);
	attempt(m, "du ", now, false, false);
	assert_states(m, "uus");
	assert_int_equal(m->unknowns, 2);
	assert_int_equal(m->next_attempt, now + 6 * HOUR);
	assert_true(settle_is_due(m, &m->recipients[0]));
	assert_true(settle_is_due(m, &m->recipients[1]));
	free_message(m);
}

/* Their hour is over: what the others wait for counts, and a file that cannot be read. */
static void
an_unknown_fate_that_was_waited_for_hurries_nobody(void **state)
{
	struct outmessage *m = make_message("pp");
	int64_t now = queued + 2 * HOUR;
	struct settlement s;

	(void)state;
	attempt(m, "ux", queued, false, false);
	attempt(m, " d", queued, false, false);
	assert_int_equal(m->unknown_until, queued + HOUR);
	attempt(m, "xd", now, false, false);
	assert_int_equal(m->next_attempt, now + 4 * MINUTE);
	assert_true(settle_is_due(m, &m->recipients[0]));
	s = settle_unread(m, ' ', now + MINUTE);
	assert_int_equal(m->next_attempt, now + MINUTE + HOUR);
	settle_clear(&s);
	now += HOUR + MINUTE;
	attempt(m, " s", now, false, false);
	assert_int_equal(m->next_attempt, now);
	free_message(m);
}

/* Others whose fate becomes unknown, too, are in doubt for the first time. */
static void
unknowns_of_others_are_not_in_a_row(void **state)
{
	struct outmessage *m = make_message("ppp");

	(void)state;
	attempt(m, "uxx", queued, false, false);
	attempt(m, " ux", queued + MINUTE, false, false);
	attempt(m, "  u", queued + 2 * MINUTE, false, false);
	assert_int_equal(m->unknowns, 1);
	assert_int_equal(m->next_attempt, queued + 2 * MINUTE + HOUR);
	for (size_t i = 0; i < 3; i++)
		assert_true(settle_is_due(m, &m->recipients[i]));
	free_message(m);
}

static void
another_answer_ends_the_row_of_unknowns(void **state)
{
	struct outmessage *m = make_message("p");

	(void)state;
	attempt(m, "u", queued, false, false);
	attempt(m, "u", queued + HOUR, false, false);
	attempt(m, "d", queued + 2 * HOUR, false, false);
	assert_int_equal(m->unknowns, 0);
	attempt(m, "u", queued + 3 * HOUR, false, false);
	assert_int_equal(m->unknowns, 1);
	attempt(m, "x", queued + 3 * HOUR, false, false);
	assert_int_equal(m->unknowns, 1);
	assert_int_equal(m->attempts, 4);
	assert_int_equal(m->first_tried, queued);
	free_message(m);
}

static void
giving_up_counts_from_the_first_mail(void **state)
{
	struct outmessage *m = make_message("pppp");
	int64_t first = queued + 9LL * DAY;
	struct settle_context context = context_at(first + 5LL * DAY, NULL);
	struct settlement s;

	(void)state;
	/* Nine days without a server: the first that one says is not the last. */
	m->warned = queued;
	attempt(m, "ddds", first, false, false);
	attempt(m, "dddx", first + 5LL * DAY - 1, false, false);
	assert_states(m, "ppps");
	s = settle(m, "dxu ", &context);
	assert_states(m, "fpus");
	assert_int_equal(s.gave_up, 1);
	assert_int_equal(s.deferred, 0);
	assert_int_equal(s.unknown, 1);
	assert_false(s.is_over);
	assert_string_equal(m->recipients[0].reply, "given up after 5 days: 451 4.3.0 later");
	assert_non_null(strstr(s.decision.report, "Diagnostic-Code: smtp; 451 4.3.0 later\n"));
	assert_non_null(strstr(s.decision.report, "Status: 4.3.0\n"));
	assert_null(strstr(s.decision.report, "r1@"));
	settle_clear(&s);

	/* Reported once: the next attempt's report is about the others. */
	context = context_at(first + 6LL * DAY, NULL);
	s = settle(m, " dd ", &context);
	assert_states(m, "fffs");
	assert_true(s.is_over);
	assert_null(strstr(s.decision.report, "r0@"));
	assert_non_null(strstr(s.decision.report, "r1@"));
	assert_non_null(strstr(s.decision.report, "An earlier attempt may have delivered it"));
	assert_non_null(strstr(s.decision.reason, "r0@example.com: given up after 5 days: 451"));
	assert_non_null(strstr(s.decision.reason, "r3@example.com: 250 2.0.0 taken"));
	settle_clear(&s);
	free_message(m);
}

static void
too_many_at_a_time_is_no_deferral(void **state)
{
	struct outmessage *m = make_message("pp");

	(void)state;
	m->first_tried = queued;
	m->warned = queued;
	m->attempts = 3;
	attempt(m, "sa", queued + 9LL * DAY, false, false);
	assert_states(m, "sp");
	assert_int_equal(m->next_attempt, queued + 9LL * DAY);
	free_message(m);
}

static void
delays_grow_with_attempts(void **state)
{
	struct outmessage *m = make_message("p");
	static const int64_t waits[] = {1, 2, 4, 8, 16, 32, 60, 60};

	(void)state;
	for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
		attempt(m, "d", queued, false, false);
		assert_int_equal(m->next_attempt, queued + waits[i] * MINUTE);
	}
	free_message(m);
}

static void
a_notice_comes_once(void **state)
{
	struct outmessage *m = make_message("pp");
	int64_t now = queued + 4 * HOUR;
	struct settle_context context = context_at(now, NULL);
	struct settlement s;

	(void)state;
	attempt(m, "ds", queued, false, false);
	assert_true(settle_owes_notice(m, &context));
	s = settle(m, "d ", &context);
	assert_true(s.is_warned);
	assert_int_equal(m->warned, now);
	assert_non_null(strstr(s.decision.report, "Subject: Mail is delayed to r0@"));
	assert_non_null(strstr(s.decision.report, "Will-Retry-Until: "));
	assert_null(strstr(s.decision.report, "r1@"));
	assert_false(s.decision.report_has_original);
	assert_true(s.decision.report_has_header);
	assert_string_equal(s.decision.report_maildir, bounce_maildir);
	settle_clear(&s);
	attempt(m, "d ", now + 3LL * DAY, false, false);
	free_message(m);
}

static void
trouble_warns_daily_and_never_fails(void **state)
{
	struct outmessage *m = make_message("p");
	int64_t now = queued + 4 * HOUR;
	struct settle_context early = context_at(now - 1, &no_route);
	struct settle_context context = context_at(now, &no_route);
	struct settlement s = settle(m, "x", &early);

	(void)state;
	assert_false(s.is_needed);
	assert_string_equal(s.decision.last_error, no_route.text);
	settle_clear(&s);
	for (int day = 0; day < 30; day++) {
		context.now = now + (int64_t)day * DAY;
		assert_true(settle_owes_notice(m, &context));
		s = settle(m, "x", &context);
		assert_true(s.is_needed);
		assert_true(s.is_warned);
		assert_states(m, "p");
		assert_int_equal(m->attempts, 0);
		assert_int_equal(m->next_attempt, queued);
		assert_non_null(strstr(s.decision.report, no_route.text));
		assert_non_null(strstr(s.decision.report, "Status: 4.4.1\n"));
		assert_null(strstr(s.decision.report, "Will-Retry-Until: "));
		settle_clear(&s);
		context.now += DAY - 1;
		assert_false(settle_owes_notice(m, &context));
	}
	free_message(m);
}

static void
a_notice_by_mail_waits_with_the_rest(void **state)
{
	struct outmessage *m = make_message("p");
	struct settle_context context = context_at(queued + DAY, &no_route);
	struct settlement s;

	(void)state;
	smtp.bounce_maildir = NULL;
	s = settle(m, "x", &context);
	assert_true(s.is_warned);
	settle_clear(&s);
	context.now += 9LL * DAY;
	assert_false(settle_owes_notice(m, &context));
	free_message(m);
}

static void
time_that_was_asked_for_is_no_delay(void **state)
{
	struct outmessage *m = make_message("p");
	int64_t asked = queued + 3LL * DAY;
	struct settle_context context = context_at(asked, &no_route);

	(void)state;
	m->next_attempt = m->not_before = asked;
	assert_false(settle_owes_notice(m, &context));
	attempt(m, "d", asked, false, false);
	context = context_at(asked + 4 * HOUR, NULL);
	assert_true(settle_owes_notice(m, &context));
	free_message(m);
}

static void
some_are_never_told(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct outmessage *m = make_message("pu");
		struct settle_context context = context_at(queued + 30LL * DAY, NULL);
		struct settlement s;

		if (i == 0)
			m->sender[0] = '\0';
		else
			m->bounce = true;
		m->unknowns = 2;
		assert_false(settle_owes_notice(m, &context));
		s = settle(m, "ru", &context);
		assert_true(s.is_held);
		assert_null(s.decision.report);
		settle_clear(&s);
		s = settle(m, " r", &context);
		assert_true(s.is_over);
		assert_null(s.decision.report);
		assert_non_null(s.decision.reason);
		settle_clear(&s);
		free_message(m);
	}
}

static void
a_report_of_ours_leaves_no_copy(void **state)
{
	struct outmessage *m = make_message("p");
	struct settle_context context = context_at(queued, NULL);
	struct settlement s;

	(void)state;
	m->bounce = true;
	s = settle(m, "s", &context);
	assert_string_equal(s.decision.sent_maildir, "");
	settle_clear(&s);
	free_message(m);
}

static void
where_a_report_goes(void **state)
{
	static const struct {
		char *maildir, *to;
		const char *recipient;
	} row[] = {
	    {bounce_maildir, NULL, "me@example.org"},
	    {NULL, bounce_to, "b@to.example"},
	    {NULL, NULL, "me@example.org"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct outmessage *m = make_message("p");
		struct settle_context context = context_at(queued, NULL);
		struct settlement s;

		smtp.bounce_maildir = row[i].maildir;
		smtp.bounce_to = row[i].to;
		s = settle(m, "r", &context);
		assert_true(s.decision.report_maildir == row[i].maildir);
		assert_string_equal(s.decision.report_account, "personal");
		assert_string_equal(s.decision.report_recipient, row[i].recipient);
		assert_int_equal(s.decision.report_len, strlen(s.decision.report));
		settle_clear(&s);
		free_message(m);
	}
}

static void
what_is_put_into_a_report(void **state)
{
	static const struct {
		char *ret;
		uint64_t size;
		bool original;
	} row[] = {
	    {NULL, 50000, true},
	    {NULL, 50001, false},
	    {full, 50001, true},
	    {hdrs, 1, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct outmessage *m = make_message("p");
		struct settle_context context = context_at(queued, NULL);
		struct settlement s;

		m->size = row[i].size;
		smtp.dsn_ret = row[i].ret;
		s = settle(m, "r", &context);
		assert_int_equal(s.decision.report_has_original, row[i].original);
		assert_int_equal(s.decision.report_has_header, !row[i].original);
		settle_clear(&s);
		free_message(m);
	}
}

static void
a_code_stands_in_for_a_status(void **state)
{
	static const struct {
		int code;
		const char *status, *shown;
	} row[] = {
	    {550, "5.7.1", "Status: 5.7.1\n"},
	    {550, "", "Status: 5.0.0\n"},
	    {450, "nonsense", "Status: 4.0.0\n"},
	    {0, "", "Status: 5.0.0\n"},
	    {0, "5.3.4", "Status: 5.3.4\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct outmessage *m = make_message("p");
		struct settle_context context = context_at(queued, NULL);
		struct smtp_result result = {.fate = SMTP_REFUSED, .code = row[i].code};
		struct settlement s;

		strcpy(result.status, row[i].status);
		settle_begin(&s, m);
		settle_note(&s, 0, &result);
		settle_finish(&s, &context);
		assert_null(m->recipients[0].reply);
		assert_non_null(strstr(s.decision.report, row[i].shown));
		settle_clear(&s);
		free_message(m);
	}
}

static void
last_errors(void **state)
{
	static const struct {
		const char *letters;
		bool trouble;
		const char *text;
	} row[] = {
	    {"ss", false, NULL},
	    {"sd", false,
		"smtp.example.org:0, of r1@example.com: \"451 4.3.0 later\"; the server is short "
		"of space or closed: it is tried again"},
	    {"rd", false,
		"smtp.example.org:0, of r1@example.com: \"451 4.3.0 later\"; the server is short "
		"of space or closed: it is tried again"},
	    {"du", false, "it was cut off"},
	    {"sr", false,
		"smtp.example.org:0, of r1@example.com: \"550 5.1.1 no such user\"; check the "
		"address"},
	    {"sd", true, "smtp.example.org: no route to host"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct outmessage *m = make_message("pp");
		struct settle_context context =
		    context_at(queued, row[i].trouble ? &no_route : NULL);
		struct settlement s = settle(m, row[i].letters, &context);

		if (row[i].text == NULL)
			assert_null(s.decision.last_error);
		else
			assert_string_equal(s.decision.last_error, row[i].text);
		settle_clear(&s);
		free_message(m);
	}
}

/* Nothing reached the server: that is no attempt, however often it comes. */
static void
what_cannot_be_read_waits(void **state)
{
	static const int64_t ages[] = {0, 1, 2, 4, 8, 16, 32, 64, 124, INT64_C(10) * 24 * 60};
	static const int64_t waits[] = {1, 1, 2, 4, 8, 16, 32, 60, 60, 60};
	struct outmessage *m = make_message("p");

	(void)state;
	m->sender[0] = '\0';
	for (size_t i = 0; i < sizeof ages / sizeof ages[0]; i++) {
		int64_t now = queued + ages[i] * MINUTE;
		struct settlement s = settle_unread(m, ' ', now);

		assert_true(s.is_needed);
		assert_true(s.is_put_off);
		assert_false(s.is_over);
		assert_states(m, "p");
		assert_int_equal(m->attempts, 0);
		assert_int_equal(m->first_tried, 0);
		assert_int_equal(s.decision.next_attempt, now + waits[i] * MINUTE);
		assert_string_equal(s.decision.last_error, no_file.text);
		assert_string_equal(s.trouble->text, no_file.text);
		settle_clear(&s);
	}
	free_message(m);
}

/* It was tried before its time, for a person wished so. */
static void
what_cannot_be_read_keeps_its_time(void **state)
{
	struct outmessage *m = make_message("p");
	struct settlement s;

	(void)state;
	m->not_before = queued + DAY;
	s = settle_unread(m, ' ', queued + HOUR);
	assert_int_equal(s.decision.next_attempt, queued + DAY);
	settle_clear(&s);
	free_message(m);
}

/* The sender hears that it waits, and why. */
static void
what_cannot_be_read_is_told_of(void **state)
{
	struct outmessage *m = make_message("p");
	struct settlement s = settle_unread(m, ' ', queued + 4 * HOUR - 1);

	(void)state;
	assert_false(s.is_warned);
	settle_clear(&s);
	s = settle_unread(m, ' ', queued + 4 * HOUR);
	assert_true(s.is_warned);
	assert_non_null(strstr(s.decision.report, no_file.text));
	assert_non_null(strstr(s.decision.report, "Status: 4.3.0\n"));
	assert_non_null(strstr(s.decision.report, "It is tried again by itself.\n"));
	assert_null(strstr(s.decision.report, "The account"));
	assert_null(strstr(s.decision.report, "Will-Retry-Until: "));
	settle_clear(&s);
	free_message(m);
}

/* The first transaction went well, the next one's text could not be read. */
static void
what_cannot_be_read_again_waits(void **state)
{
	struct outmessage *m = make_message("pp");
	struct settlement s = settle_unread(m, 's', queued + HOUR);

	(void)state;
	assert_states(m, "sp");
	assert_int_equal(m->attempts, 1);
	assert_int_equal(m->next_attempt, queued + HOUR + MINUTE);
	assert_string_equal(s.decision.last_error, no_file.text);
	settle_clear(&s);
	free_message(m);
}

static void
several_kinds_in_one_report(void **state)
{
	struct outmessage *m = make_message("pups");
	struct settle_context context = context_at(queued + 9 * HOUR, NULL);
	struct settlement s;
	const char *report;

	(void)state;
	m->unknowns = 2;
	s = settle(m, "rud ", &context);
	report = s.decision.report;
	assert_true(s.is_held);
	assert_false(s.is_warned);
	assert_non_null(strstr(report, "Subject: Mail could not be delivered to r0@"));
	assert_non_null(strstr(report, "could not be delivered to\n"));
	assert_non_null(strstr(report, "The message may have been delivered to\n"));
	assert_non_null(strstr(report, "The message could not be delivered yet to\n"));
	assert_non_null(strstr(report, "They wait until the message, which is held, is released."));
	assert_null(strstr(report, "r3@"));
	settle_clear(&s);
	free_message(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(table_of_fates),
	    cmocka_unit_test(the_last_word_of_an_attempt_counts),
	    cmocka_unit_test(a_third_unknown_holds),
	    cmocka_unit_test(an_unknown_fate_delays_nobody_else),
	    cmocka_unit_test(who_is_in_doubt_waits_together),
	    cmocka_unit_test(an_unknown_fate_that_was_waited_for_hurries_nobody),
	    cmocka_unit_test(unknowns_of_others_are_not_in_a_row),
	    cmocka_unit_test(another_answer_ends_the_row_of_unknowns),
	    cmocka_unit_test(giving_up_counts_from_the_first_mail),
	    cmocka_unit_test(too_many_at_a_time_is_no_deferral),
	    cmocka_unit_test(delays_grow_with_attempts),
	    cmocka_unit_test(a_notice_comes_once),
	    cmocka_unit_test(trouble_warns_daily_and_never_fails),
	    cmocka_unit_test(a_notice_by_mail_waits_with_the_rest),
	    cmocka_unit_test(time_that_was_asked_for_is_no_delay),
	    cmocka_unit_test(some_are_never_told),
	    cmocka_unit_test(a_report_of_ours_leaves_no_copy),
	    cmocka_unit_test(where_a_report_goes),
	    cmocka_unit_test(what_is_put_into_a_report),
	    cmocka_unit_test(a_code_stands_in_for_a_status),
	    cmocka_unit_test(last_errors),
	    cmocka_unit_test(what_cannot_be_read_waits),
	    cmocka_unit_test(what_cannot_be_read_keeps_its_time),
	    cmocka_unit_test(what_cannot_be_read_is_told_of),
	    cmocka_unit_test(what_cannot_be_read_again_waits),
	    cmocka_unit_test(several_kinds_in_one_report),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
