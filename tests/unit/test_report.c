#include "unit.h"

#include "base/str.h"
#include "base/verdict.h"
#include "config/config.h"
#include "deliver/report.h"
#include "queue/outqueue.h"

#include <stdlib.h>
#include <string.h>

static const int64_t queued = INT64_C(1795169700000); /* 2026-11-20T10:15:00Z */
static const int64_t hour = 3600 * 1000;

static char host[] = "smtp.example.org", idn_from[] = "me@b\xc3\xbc"
						      "cher.example";
static char *own[] = {"me@example.org", NULL},
	    *idn[] = {"@b\xc3\xbc"
		      "cher.example",
		NULL},
	    *none[] = {NULL}, *literal[] = {"me@[192.0.2.1]", NULL};
static const uint8_t unique[DSN_UNIQUE_SIZE] = {0xab};

struct fixture {
	struct smtp_config smtp;
	struct account_config account;
	struct outmessage message;
	struct outqueue_recipient states[4];
	struct report_recipient recipients[4];
	struct verdict trouble;
	struct report report;
	struct str out, end;
	enum dsn_original original;
};

static void
begin(struct fixture *f, size_t recipients)
{
	static char id[] = "ID1", name[] = "letter.eml", account[] = "personal",
		    sender[] = "me@example.org", first[] = "a@b.example";

	*f = (struct fixture){.smtp = {.endpoint = {.host = host}},
	    .account = {.name = account, .addresses = own},
	    .message = {.name = name,
		.account = account,
		.sender = sender,
		.size = 100,
		.queued = queued,
		.attempts = 2,
		.unknowns = 3,
		.recipient_count = recipients}};
	memcpy(f->message.id, id, sizeof id);
	f->account.smtp = &f->smtp;
	f->message.recipients = f->states;
	for (size_t i = 0; i < 4; i++) {
		f->recipients[i] = (struct report_recipient){.address = first, .is_tried = true};
		f->states[i].address = first;
	}
	f->report = (struct report){.message = &f->message,
	    .account = &f->account,
	    .recipients = f->recipients,
	    .recipient_count = recipients,
	    .now = queued + hour,
	    .give_up = 120 * hour,
	    .host = "host.example.org",
	    .unique = unique};
}

static void
write_report(struct fixture *f)
{
	f->original = report_write(&f->report, &f->out, &f->end);
}

static void
end(struct fixture *f)
{
	str_clear(&f->out);
	str_clear(&f->end);
}

static void
assert_has(const struct fixture *f, const char *text)
{
	if (strstr(str_text(&f->out), text) == NULL)
		fail_msg("\"%s\" is not in:\n%s", text, str_text(&f->out));
}

static void
assert_lacks(const struct fixture *f, const char *text)
{
	if (strstr(str_text(&f->out), text) != NULL)
		fail_msg("\"%s\" is in:\n%s", text, str_text(&f->out));
}

static void
a_bounce(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 1);
	f.message.is_8bit = true;
	f.recipients[0].fate = REPORT_FAILED;
	f.recipients[0].status = (struct smtp_status){5, 1, 1};
	f.recipients[0].words = "550 5.1.1 no such user";
	f.recipients[0].stage = "rcpt";
	write_report(&f);
	assert_int_equal(f.original, DSN_MESSAGE);
	assert_memory_equal(str_text(&f.out), "Return-Path: <>\n", 16);
	assert_has(&f, "From: Mail Delivery System <mailer-daemon@example.org>\n");
	assert_has(&f, "To: <me@example.org>\n");
	assert_has(&f, "Subject: Mail could not be delivered to a@b.example\n");
	assert_has(&f, "Auto-Submitted: auto-replied\n");
	assert_has(&f, "multipart/report; report-type=delivery-status;\n");
	assert_has(&f, "(file \"letter.eml\", queue id ID1)\ncould not be delivered to\n");
	assert_has(&f, "    a@b.example\n        smtp.example.org said: 550 5.1.1 no such user\n"
		       "        Check how the address is written; perhaps it has changed.\n");
	assert_has(&f, "    postriderctl retry NAME\n");
	assert_has(&f, "Reporting-MTA: dns; example.org\n");
	assert_has(&f, "Arrival-Date: Fri, 20 Nov 2026 10:15:00 +0000\n");
	assert_has(&f, "Final-Recipient: rfc822; a@b.example\nAction: failed\nStatus: 5.1.1\n"
		       "Remote-MTA: dns; smtp.example.org\n"
		       "Diagnostic-Code: smtp; 550 5.1.1 no such user\n"
		       "Last-Attempt-Date: Fri, 20 Nov 2026 11:15:00 +0000\n");
	assert_lacks(&f, "Will-Retry-Until");
	/* The part for the original is open: its octets come next. */
	assert_has(&f, "Content-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\n");
	assert_string_equal(str_text(&f.out) + f.out.len - 2, "\n\n");
	assert_memory_equal(str_text(&f.end), "\n--=_dsn_ab", 11);
	assert_string_equal(str_text(&f.end) + f.end.len - 3, "--\n");
	end(&f);
}

static void
words_of_our_own(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 1);
	f.recipients[0].fate = REPORT_FAILED;
	f.recipients[0].status = (struct smtp_status){5, 6, 7};
	f.recipients[0].words = "the server lacks SMTPUTF8";
	f.recipients[0].stage = "smtputf8";
	f.recipients[0].is_local = true;
	write_report(&f);
	assert_has(&f, "        reason: the server lacks SMTPUTF8\n");
	assert_has(&f, "Ask the recipient for an address in plain ASCII letters.\n");
	assert_has(&f, "Diagnostic-Code: x-postrider; the server lacks SMTPUTF8\n");
	assert_lacks(&f, "Remote-MTA");
	end(&f);
}

static void
advice_and_status(void **state)
{
	static const struct {
		struct smtp_status status;
		const char *stage;
		bool gave_up;
		const char *advice, *shown;
	} row[] = {
	    {{5, 1, 2}, "rcpt", false, "Check how the domain", "5.1.2"},
	    {{5, 1, 6}, "rcpt", false, "Check how the address", "5.1.6"},
	    {{5, 1, 8}, "rcpt", false, "The server does not take the sender's", "5.1.8"},
	    {{5, 0, 0}, "mail", false, "The server does not take the sender's", "5.0.0"},
	    {{5, 3, 4}, "mail", false, "The message is too large for the server", "5.3.4"},
	    {{5, 7, 1}, "mail", false, "The server forbids it", "5.7.1"},
	    {{5, 2, 1}, "rcpt", false, "The mailbox is closed", "5.2.1"},
	    {{4, 2, 2}, "rcpt", true, "The mailbox is full", "4.2.2"},
	    {{5, 2, 3}, "dot", false, "The message is too large for the mailbox", "5.2.3"},
	    {{5, 0, 0}, "rcpt", false, "When these words do not help", "5.0.0"},
	    {{5, 5, 1}, "data", false, "When these words do not help", "5.5.1"},
	    {{0, 0, 0}, NULL, false, "When these words do not help", "5.0.0"},
	    {{0, 0, 0}, "dot", true, "Given up after 5 days.\n", "4.4.7"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct fixture f;
		char status[32] = "Status: ";

		begin(&f, 1);
		f.recipients[0].status = row[i].status;
		f.recipients[0].stage = row[i].stage;
		f.recipients[0].gave_up = row[i].gave_up;
		write_report(&f);
		assert_has(&f, row[i].advice);
		assert_has(&f, strcat(strcat(status, row[i].shown), "\n"));
		end(&f);
	}
}

static void
a_notice_of_delay(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 2);
	f.recipients[0].fate = f.recipients[1].fate = REPORT_DELAYED;
	f.recipients[0].words = "451 4.3.0 later";
	f.recipients[0].status = (struct smtp_status){4, 3, 0};
	f.recipients[1].is_tried = false;
	f.recipients[1].status = (struct smtp_status){5, 5, 3};
	f.recipients[1].perhaps_before = true;
	f.report.retry_until = queued + 120 * hour;
	write_report(&f);
	assert_int_equal(f.original, DSN_HEADER);
	assert_has(&f, "Subject: Mail is delayed to 2 recipients\n");
	assert_has(&f, "could not be delivered yet to\n");
	assert_has(&f, "    a@b.example\n        An earlier attempt may have delivered it");
	assert_has(&f, "It is tried again by itself, until\n\n    ");
	assert_has(&f, "There is no need to send it again.\n");
	assert_has(&f, "Action: delayed\nStatus: 4.3.0\n");
	assert_has(&f, "Action: delayed\nStatus: 4.5.3\n");
	assert_has(&f, "Will-Retry-Until: Wed, 25 Nov 2026 10:15:00 +0000\n");
	assert_has(&f, "Content-Type: text/rfc822-headers\n");
	assert_lacks(&f, "postriderctl");
	end(&f);
}

static void
a_notice_of_trouble(void **state)
{
	static const struct {
		enum fail kind;
		const char *status;
	} row[] = {
	    {FAIL_NETWORK, "Status: 4.4.1\n"},
	    {FAIL_TLS, "Status: 4.7.0\n"},
	    {FAIL_AUTH, "Status: 4.7.0\n"},
	    {FAIL_PROTOCOL, "Status: 4.5.0\n"},
	    {FAIL_SERVER, "Status: 4.3.2\n"},
	    {FAIL_LOCAL, "Status: 4.3.5\n"},
	    {FAIL_CONFIG, "Status: 4.3.5\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct fixture f;

		begin(&f, 1);
		f.recipients[0].fate = REPORT_DELAYED;
		f.recipients[0].is_tried = false;
		f.report.trouble = &f.trouble;
		verdict_fail(&f.trouble, row[i].kind, "connect", "the password was refused");
		write_report(&f);
		assert_has(&f, "The account \"personal\" cannot send at the moment:\n\n"
			       "    the password was refused\n");
		assert_has(&f, row[i].status);
		assert_has(&f, "Diagnostic-Code: x-postrider; the password was refused\n");
		assert_lacks(&f, "Will-Retry-Until");
		assert_lacks(&f, "Last-Attempt-Date");
		end(&f);
	}
}

static void
a_notice_of_perhaps(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 1);
	f.recipients[0].fate = REPORT_PERHAPS;
	f.recipients[0].perhaps_before = true;
	f.recipients[0].words = "it was cut off";
	f.recipients[0].is_local = true;
	write_report(&f);
	assert_has(&f, "Subject: Mail may have been delivered to a@b.example\n");
	assert_has(&f, "The connection was lost 3 times in a row");
	assert_has(&f, "    postriderctl remove ID1 ");
	assert_has(&f, "    postriderctl release ID1 ");
	assert_has(&f, "Action: delayed\nStatus: 4.4.2\n");
	assert_lacks(&f, "An earlier attempt");
	assert_lacks(&f, "failed");
	end(&f);
}

static void
where_it_comes_from(void **state)
{
	static const struct {
		char **addresses;
		char *from;
		const char *host;
	} row[] = {
	    {own, idn_from, "<mailer-daemon@example.org>"},
	    {idn, NULL, "<mailer-daemon@xn--bcher-kva.example>"},
	    {none, idn_from, "<mailer-daemon@xn--bcher-kva.example>"},
	    {none, NULL, "<mailer-daemon@host.example.org>"},
	    {literal, NULL, "<mailer-daemon@host.example.org>"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct fixture f;

		begin(&f, 1);
		f.account.addresses = row[i].addresses;
		f.smtp.from = row[i].from;
		write_report(&f);
		assert_has(&f, row[i].host);
		end(&f);
	}
}

static void
to_whom_it_is_addressed(void **state)
{
	static char elsewhere[] = "postmaster@else.example";
	struct fixture f;

	(void)state;
	begin(&f, 1);
	f.smtp.bounce_to = elsewhere;
	write_report(&f);
	assert_has(&f, "To: <postmaster@else.example>\n");
	end(&f);
}

static void
nothing_breaks_out(void **state)
{
	struct fixture f;
	char name[] = "x\n--=_dsn_ab\n\x1b[2J\xe2\x80\xae",
	     address[] = "\"a\xe2\x80\xae b\"@b.example";

	(void)state;
	begin(&f, 1);
	f.message.name = name;
	f.recipients[0].address = address;
	write_report(&f);
	assert_has(&f, "(file \"x\\x0a--=_dsn_ab\\x0a\\x1b[2J\\xe2\\x80\\xae\", queue");
	assert_lacks(&f, "\n--=_dsn_ab\n");
	assert_lacks(&f, "\x1b");
	end(&f);
}

static void
many_recipients(void **state)
{
	enum { COUNT = 120 };
	struct fixture f;
	struct report_recipient *many = calloc(COUNT, sizeof *many);
	size_t parts = 0;

	(void)state;
	begin(&f, 1);
	for (size_t i = 0; i < COUNT; i++)
		many[i] = f.recipients[0];
	f.report.recipients = many;
	f.report.recipient_count = COUNT;
	write_report(&f);
	assert_has(&f, "Subject: Mail could not be delivered to 120 recipients\n");
	assert_has(&f, "    and 70 more, whom the next part of this report names\n");
	for (const char *p = str_text(&f.out); (p = strstr(p, "Final-Recipient: ")) != NULL; p++)
		parts++;
	assert_int_equal(parts, COUNT);
	end(&f);
	free(many);
}

static void
known_content_is_declared(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 1);
	write_report(&f);
	assert_lacks(&f, "8bit");
	assert_has(&f, "Content-Type: message/rfc822\nContent-Transfer-Encoding: 7bit\n\n");
	end(&f);
	begin(&f, 1);
	f.message.is_8bit = true;
	write_report(&f);
	assert_has(&f, "Content-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\n");
	end(&f);
	begin(&f, 1);
	f.message.is_8bit = f.message.has_utf8_header = true;
	write_report(&f);
	assert_has(&f, "Content-Type: message/global\n");
	end(&f);
}

static void
a_reason(void **state)
{
	static char refused[] = "550 5.1.1 no such user", taken[] = "250 taken", empty[] = "",
		    odd[] = "x\ny@z";
	struct fixture f;

	(void)state;
	begin(&f, 2);
	f.states[0] = (struct outqueue_recipient){odd, OUTQUEUE_FAILED, refused};
	f.states[1].state = OUTQUEUE_FAILED;
	report_append_reason(&f.message, &f.out);
	assert_has(&f, "This message could not be delivered.\n\naccount: personal\n"
		       "sender: me@example.org\nqueued: 2026-11-20T10:15:00.000Z\nattempts: 2\n\n"
		       "failed\n    x\\x0ay@z: 550 5.1.1 no such user\n    a@b.example\n\n"
		       "`postriderctl retry NAME`");
	assert_lacks(&f, "\ndelivered\n");
	str_clear(&f.out);
	f.states[1] = (struct outqueue_recipient){f.states[1].address, OUTQUEUE_SENT, taken};
	f.message.sender = empty;
	report_append_reason(&f.message, &f.out);
	assert_has(&f, "could not be delivered to all of its recipients.\n");
	assert_has(&f, "sender: <>\n");
	assert_has(&f, "\ndelivered\n    a@b.example: 250 taken\n");
	end(&f);
}

static void
durations(void **state)
{
	static const struct {
		int64_t duration;
		const char *text;
	} row[] = {
	    {0, "0 seconds"},
	    {500, "0 seconds"},
	    {1000, "1 second"},
	    {90 * 1000, "90 seconds"},
	    {60 * 1000, "1 minute"},
	    {90 * 60 * 1000, "90 minutes"},
	    {3600 * 1000, "1 hour"},
	    {24 * 3600 * 1000, "1 day"},
	    {INT64_C(120) * 3600 * 1000, "5 days"},
	    {INT64_C(121) * 3600 * 1000, "121 hours"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct str out = STR_INIT;

		report_append_duration(&out, row[i].duration);
		assert_string_equal(str_text(&out), row[i].text);
		str_clear(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_bounce),
	    cmocka_unit_test(words_of_our_own),
	    cmocka_unit_test(advice_and_status),
	    cmocka_unit_test(a_notice_of_delay),
	    cmocka_unit_test(a_notice_of_trouble),
	    cmocka_unit_test(a_notice_of_perhaps),
	    cmocka_unit_test(where_it_comes_from),
	    cmocka_unit_test(to_whom_it_is_addressed),
	    cmocka_unit_test(nothing_breaks_out),
	    cmocka_unit_test(many_recipients),
	    cmocka_unit_test(known_content_is_declared),
	    cmocka_unit_test(a_reason),
	    cmocka_unit_test(durations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
