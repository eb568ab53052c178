#include "unit.h"

#include "proto/dsn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(row) (sizeof(row) / sizeof((row)[0]))

enum { NOON = 1795169700 }; /* Fri, 20 Nov 2026 10:15:00 UTC, in seconds */

static const char original[] = "From: <me@a>\r\nSubject: x\r\n\r\nbody\r\n.\r\nend";

static const struct dsn_report plain = {
    .host = "host.example.org",
    .to = "me@example.org",
    .text = "It could not be delivered.\n",
    .message_id = "<1@example.org>",
    .envid = "QQ314159",
    .date = NOON * INT64_C(1000),
    .arrival = (NOON - 60) * INT64_C(1000),
    .original = DSN_MESSAGE,
    .unique = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
};

static const struct dsn_recipient lost = {
    .original = "You+x@example.net",
    .recipient = "you@example.net",
    .action = DSN_FAILED,
    .status = {5, 1, 1},
    .remote = "mx.example.net",
    .diagnostic = "550 5.1.1 No such user",
    .last_attempt = NOON * INT64_C(1000),
    .retry_until = NOON * INT64_C(1000),
};

#define BOUNDARY "=_dsn_000102030405060708090a0b0c0d0e0f"

/* The text of a whole report, to be freed; the original in two pieces, cut there. */
static char *
write_report(const struct dsn_report *report, const struct dsn_recipient *recipient,
    const char *text, size_t len, size_t cut)
{
	struct dsn_report r = *report;
	struct str out = STR_INIT;
	struct dsn dsn;

	dsn_content_scan(&r.content, text, cut);
	dsn_content_scan(&r.content, text + cut, len - cut);
	dsn_begin(&dsn, &r, &out);
	dsn_add_recipient(recipient, &out);
	if (dsn_add_original(&dsn, text, cut, &out))
		dsn_add_original(&dsn, text + cut, len - cut, &out);
	dsn_end(&dsn, &out);
	return str_take(&out);
}

static void
writes_a_bounce(void **state)
{
	static const char expected[] =
	    "Return-Path: <>\n"
	    "Date: Fri, 20 Nov 2026 10:15:00 +0000\n"
	    "From: Mail Delivery System <mailer-daemon@host.example.org>\n"
	    "To: <me@example.org>\n"
	    "Subject: Undelivered mail returned to sender\n"
	    "Message-ID: <0001020304050607.dsn@host.example.org>\n"
	    "In-Reply-To: <1@example.org>\n"
	    "References: <1@example.org>\n"
	    "Auto-Submitted: auto-replied\n"
	    "MIME-Version: 1.0\n"
	    "Content-Type: multipart/report; report-type=delivery-status;\n"
	    "\tboundary=\"" BOUNDARY "\"\n"
	    "Content-Transfer-Encoding: 7bit\n"
	    "\n"
	    "This is a report in MIME format about mail that was sent.\n"
	    "\n--" BOUNDARY "\n"
	    "Content-Description: Notification\n"
	    "Content-Type: text/plain; charset=us-ascii\n"
	    "Content-Transfer-Encoding: 7bit\n"
	    "\n"
	    "It could not be delivered.\n"
	    "\n--" BOUNDARY "\n"
	    "Content-Description: Delivery report\n"
	    "Content-Type: message/delivery-status\n"
	    "\n"
	    "Original-Envelope-Id: QQ314159\n"
	    "Reporting-MTA: dns; host.example.org\n"
	    "Arrival-Date: Fri, 20 Nov 2026 10:14:00 +0000\n"
	    "\n"
	    "Original-Recipient: rfc822; You+x@example.net\n"
	    "Final-Recipient: rfc822; you@example.net\n"
	    "Action: failed\n"
	    "Status: 5.1.1\n"
	    "Remote-MTA: dns; mx.example.net\n"
	    "Diagnostic-Code: smtp; 550 5.1.1 No such user\n"
	    "Last-Attempt-Date: Fri, 20 Nov 2026 10:15:00 +0000\n"
	    "\n--" BOUNDARY "\n"
	    "Content-Description: Original message\n"
	    "Content-Type: message/rfc822\n"
	    "Content-Transfer-Encoding: 7bit\n"
	    "\n"
	    "From: <me@a>\nSubject: x\n\nbody\n.\nend\n"
	    "\n--" BOUNDARY "--\n";

	(void)state;
	for (size_t cut = 0; cut < sizeof original; cut++) {
		char *text = write_report(&plain, &lost, original, sizeof original - 1, cut);

		assert_string_equal(text, expected);
		free(text);
	}
}

static void
expect_tail(const char *text, const char *tail)
{
	assert_true(strlen(text) >= strlen(tail));
	assert_string_equal(text + strlen(text) - strlen(tail), tail);
}

static void
returns_the_header_alone(void **state)
{
	struct dsn_report report = plain;

	(void)state;
	report.original = DSN_HEADER;
	for (size_t cut = 0; cut < sizeof original; cut++) {
		char *text = write_report(&report, &lost, original, sizeof original - 1, cut);

		expect_tail(text, "\nContent-Type: text/rfc822-headers\n"
				  "Content-Transfer-Encoding: 7bit\n\n"
				  "From: <me@a>\nSubject: x\n"
				  "\n--" BOUNDARY "--\n");
		free(text);
	}
}

static void
returns_nothing_when_told(void **state)
{
	struct dsn_report report = plain;
	char *text;

	(void)state;
	report.original = DSN_NOTHING;
	text = write_report(&report, &lost, original, sizeof original - 1, 5);
	expect_tail(text, "10:15:00 +0000\n\n--" BOUNDARY "--\n");
	free(text);
	report.original = DSN_MESSAGE;
	text = write_report(&report, &lost, "", 0, 0);
	expect_tail(text, "Content-Type: message/rfc822\n"
			  "Content-Transfer-Encoding: 7bit\n\n\n--" BOUNDARY "--\n");
	free(text);
}

static void
tells_of_delay(void **state)
{
	struct dsn_report report = plain;
	struct dsn_recipient late = {.recipient = "you@example.net",
	    .action = DSN_DELAYED,
	    .diagnostic = "no route to host",
	    .is_local = true,
	    .retry_until = NOON * INT64_C(1000)};
	char *text;

	(void)state;
	report.action = DSN_DELAYED;
	report.original = DSN_HEADER;
	text = write_report(&report, &late, original, sizeof original - 1, 0);
	assert_non_null(strstr(text, "\nSubject: Delayed mail, still being tried\n"));
	assert_non_null(strstr(text, "\n\nFinal-Recipient: rfc822; you@example.net\n"
				     "Action: delayed\n"
				     "Status: 4.0.0\n"
				     "Diagnostic-Code: x-postrider; no route to host\n"
				     "Will-Retry-Until: Fri, 20 Nov 2026 10:15:00 +0000\n"
				     "\n--"));
	free(text);
}

/* How the original is declared, and the whole. */
static void
declares_what_is_there(void **state)
{
	static const struct {
		const char *original;
		enum dsn_original kind;
		const char *type, *encoding;
	} row[] = {
	    {"A: b\n\nbody\n", DSN_MESSAGE, "message/rfc822", "7bit"},
	    {"A: b\n\nb\xc3\xb6"
	     "dy\n",
		DSN_MESSAGE, "message/rfc822", "8bit"},
	    {"A: b\n\nb\xf6"
	     "dy\n",
		DSN_HEADER, "text/rfc822-headers", "7bit"},
	    {"A: \xc3\xb6\n\nbody\n", DSN_MESSAGE, "message/global", "8bit"},
	    {"A: \xc3\xb6\n\nbody\n", DSN_HEADER, "message/global-headers", "8bit"},
	    {"A: \xf6\n\nbody\n", DSN_MESSAGE, "message/rfc822", "8bit"},
	    {"A: \xf6\n\nbody\n", DSN_HEADER, "text/rfc822-headers", "8bit"},
	    {"A: \xc3\n\nbody\n", DSN_HEADER, "text/rfc822-headers", "8bit"},
	    {"A: \xc3", DSN_HEADER, "text/rfc822-headers", "8bit"},
	    {"A: \xed\xa0\x80\n", DSN_HEADER, "text/rfc822-headers", "8bit"},
	    {"A: \xe0\x80\x8a\n", DSN_HEADER, "text/rfc822-headers", "8bit"},
	    {"A: \xf4\x90\x80\x80\n", DSN_HEADER, "text/rfc822-headers", "8bit"},
	    {"A: \xf5\x80\x80\x80\n", DSN_HEADER, "text/rfc822-headers", "8bit"},
	    {"A: \xf4\x8f\xbf\xbf\xf0\x90\x80\x80\xed\x9f\xbf\xe0\xa0\x80\n", DSN_HEADER,
		"message/global-headers", "8bit"},
	    {"A: b\r\n\r\n\xc3\r\n", DSN_HEADER, "text/rfc822-headers", "7bit"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		size_t len = strlen(row[i].original);
		struct dsn_report report = plain;

		report.original = row[i].kind;
		for (size_t cut = 0; cut <= len; cut++) {
			char *text = write_report(&report, &lost, row[i].original, len, cut);
			char *part = strstr(text, "\nContent-Description: ");
			char part_says[128], whole_says[128];

			snprintf(part_says, sizeof part_says,
			    "\nContent-Type: %s\nContent-Transfer-Encoding: %s\n\n", row[i].type,
			    row[i].encoding);
			snprintf(whole_says, sizeof whole_says,
			    "\"\nContent-Transfer-Encoding: %s\n\n", row[i].encoding);
			assert_non_null(strstr(part, part_says));
			assert_non_null(strstr(text, whole_says));
			free(text);
		}
	}
}

static void
declares_binary(void **state)
{
	struct dsn_report report = plain;
	char line[1010] = "A: b\n\n";
	char *text;

	(void)state;
	memset(line + 6, 'x', sizeof line - 6);
	text = write_report(&report, &lost, line, 6 + 998, 100);
	assert_null(strstr(text, "Content-Transfer-Encoding: binary\n"));
	free(text);
	text = write_report(&report, &lost, line, 6 + 999, 100);
	assert_non_null(strstr(text, "\"\nContent-Transfer-Encoding: binary\n"));
	assert_non_null(strstr(text, "message/rfc822\nContent-Transfer-Encoding: binary\n"));
	free(text);
	report.original = DSN_HEADER;
	text = write_report(&report, &lost, line, 6 + 999, 100);
	assert_null(strstr(text, "binary"));
	free(text);
	report.original = DSN_MESSAGE;
	text = write_report(&report, &lost, "A: b\n\n\0", 7, 3);
	assert_non_null(strstr(text, "\"\nContent-Transfer-Encoding: binary\n"));
	free(text);
}

/* What others chose must not become structure. */
static void
refuses_injection(void **state)
{
	struct dsn_report report = plain;
	struct dsn_recipient recipient = {
	    .original = "a\nAction: delivered\n\n--x",
	    .recipient = "b\xc3\xa9\r\nStatus: 2.0.0",
	    .status = {5, 0, 0},
	    .remote = "mx\nAction: relayed",
	    .diagnostic = "550 x\r\n\r\n--" BOUNDARY "--",
	};
	char *text;

	(void)state;
	report.host = "evil\nBcc: x";
	report.to = "a@b>\nBcc: <c@d";
	report.subject = "x\r\nBcc: x\r\n\r\nbody";
	report.message_id = "<a@b>\nBcc: x>";
	report.envid = "1\nAction: delivered";
	text = write_report(&report, &recipient, "", 0, 0);
	assert_null(strstr(text, "\nBcc:"));
	assert_null(strstr(text, "\nAction: delivered"));
	assert_null(strstr(text, "\nAction: relayed"));
	assert_null(strstr(text, "\nStatus: 2"));
	assert_null(strchr(text, '\r'));
	assert_null(strstr(text, "In-Reply-To"));
	assert_non_null(strstr(text, "<mailer-daemon@localhost>\nTo: undisclosed-recipients:;\n"));
	assert_non_null(strstr(text, "\nSubject: x  Bcc: x    body\n"));
	assert_non_null(
	    strstr(text, "\nFinal-Recipient: utf-8; b\\x{E9}\\x{0D}\\x{0A}Status:\\x{20}2.0.0\n"));
	free(text);
}

static void
takes_utf8_for_people(void **state)
{
	struct dsn_report report = plain;
	char *text;

	(void)state;
	report.to = "p\xc3\xa9p\xc3\xa9@example.org";
	report.subject = "caf\xc3\xa9";
	report.text = "caf\xc3\xa9\r\n";
	text = write_report(&report, &lost, "A: b\n", 5, 0);
	assert_non_null(strstr(text, "\nTo: <p\xc3\xa9p\xc3\xa9@example.org>\n"));
	assert_non_null(strstr(text, "\nSubject: =?UTF-8?B?Y2Fmw6k=?=\n"));
	assert_non_null(strstr(text, "text/plain; charset=utf-8\n"
				     "Content-Transfer-Encoding: 8bit\n\ncaf\xc3\xa9\n\n--"));
	assert_non_null(strstr(text, "\"\nContent-Transfer-Encoding: 8bit\n\n"));
	free(text);
}

/* A report of nobody, at no time, about nothing. */
static void
needs_little(void **state)
{
	struct dsn_report report = {.host = "", .text = ""};
	struct dsn_recipient recipient = {.recipient = ""};
	char *text = write_report(&report, &recipient, "A: b\n", 5, 0);

	(void)state;
	assert_null(strstr(text, "Date"));
	assert_non_null(strstr(text, "\nTo: undisclosed-recipients:;\n"));
	assert_non_null(
	    strstr(text, "\nFinal-Recipient: rfc822;\nAction: failed\nStatus: 5.0.0\n"));
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(writes_a_bounce),
	    cmocka_unit_test(returns_the_header_alone),
	    cmocka_unit_test(returns_nothing_when_told),
	    cmocka_unit_test(tells_of_delay),
	    cmocka_unit_test(declares_what_is_there),
	    cmocka_unit_test(declares_binary),
	    cmocka_unit_test(refuses_injection),
	    cmocka_unit_test(takes_utf8_for_people),
	    cmocka_unit_test(needs_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
