#include "unit.h"

#include "proto/smtp_outcome.h"

#include <string.h>

#define COUNT(row) (sizeof(row) / sizeof((row)[0]))

/* "step reply" as a line of the server's, and what it leads to. */
static const struct {
	enum smtp_step step;
	const char *reply;
	enum smtp_outcome outcome;
} row[] = {
    {SMTP_STEP_GREETING, "220 hello", SMTP_ACCEPTED},
    {SMTP_STEP_GREETING, "421 4.7.0 too many connections", SMTP_SLOW_DOWN},
    {SMTP_STEP_GREETING, "450 busy", SMTP_ACCOUNT_TROUBLE},
    {SMTP_STEP_GREETING, "554 no SMTP service here", SMTP_ACCOUNT_TROUBLE},
    {SMTP_STEP_GREETING, "521 no mail", SMTP_ACCOUNT_TROUBLE},
    {SMTP_STEP_GREETING, "354 what", SMTP_DISORDER},

    {SMTP_STEP_EHLO, "250 hi", SMTP_ACCEPTED},
    {SMTP_STEP_EHLO, "500 5.5.1 what", SMTP_TRY_HELO},
    {SMTP_STEP_EHLO, "501 what", SMTP_TRY_HELO},
    {SMTP_STEP_EHLO, "502 what", SMTP_TRY_HELO},
    {SMTP_STEP_EHLO, "504 what", SMTP_TRY_HELO},
    {SMTP_STEP_EHLO, "550 what", SMTP_TRY_HELO},
    {SMTP_STEP_EHLO, "554 go away", SMTP_ACCOUNT_TROUBLE},
    {SMTP_STEP_EHLO, "450 later", SMTP_ACCOUNT_TROUBLE},
    {SMTP_STEP_EHLO, "421 later", SMTP_SLOW_DOWN},
    {SMTP_STEP_EHLO, "334 what", SMTP_DISORDER},
    {SMTP_STEP_HELO, "250 hi", SMTP_ACCEPTED},
    {SMTP_STEP_HELO, "502 what", SMTP_ACCOUNT_TROUBLE},

    {SMTP_STEP_STARTTLS, "220 2.0.0 go", SMTP_ACCEPTED},
    {SMTP_STEP_STARTTLS, "250 fine", SMTP_DISORDER},
    {SMTP_STEP_STARTTLS, "454 4.7.0 no TLS now", SMTP_ACCOUNT_TROUBLE},
    {SMTP_STEP_STARTTLS, "502 5.5.1 unknown", SMTP_ACCOUNT_TROUBLE},

    {SMTP_STEP_AUTH, "235 2.7.0 welcome", SMTP_ACCEPTED},
    {SMTP_STEP_AUTH, "334 VXNlcg==", SMTP_CHALLENGE},
    {SMTP_STEP_AUTH, "354 what", SMTP_DISORDER},
    {SMTP_STEP_AUTH, "535 5.7.8 wrong", SMTP_AUTH_REFUSED},
    {SMTP_STEP_AUTH, "535 wrong", SMTP_AUTH_REFUSED},
    {SMTP_STEP_AUTH, "534 5.7.9 application password required", SMTP_AUTH_REFUSED},
    {SMTP_STEP_AUTH, "525 5.7.13 disabled", SMTP_AUTH_REFUSED},
    {SMTP_STEP_AUTH, "554 5.7.8 wrong", SMTP_AUTH_REFUSED},
    {SMTP_STEP_AUTH, "454 4.7.0 later", SMTP_ACCOUNT_TROUBLE},
    {SMTP_STEP_AUTH, "432 4.7.12 transition", SMTP_ACCOUNT_TROUBLE},
    {SMTP_STEP_AUTH, "421 4.7.0 too many", SMTP_SLOW_DOWN},
    {SMTP_STEP_AUTH, "504 5.5.4 unknown mechanism", SMTP_ACCOUNT_TROUBLE},
    {SMTP_STEP_AUTH, "501 5.5.2 base64", SMTP_ACCOUNT_TROUBLE},
    {SMTP_STEP_AUTH, "538 5.7.11 encryption", SMTP_ACCOUNT_TROUBLE},
    {SMTP_STEP_AUTH, "550 no", SMTP_ACCOUNT_TROUBLE},

    {SMTP_STEP_MAIL, "250 2.1.0 Ok", SMTP_ACCEPTED},
    {SMTP_STEP_MAIL, "354 what", SMTP_DISORDER},
    {SMTP_STEP_MAIL, "421 bye", SMTP_SLOW_DOWN},
    {SMTP_STEP_MAIL, "432 4.3.2 concurrent connections", SMTP_SLOW_DOWN},
    {SMTP_STEP_MAIL, "454 throttling", SMTP_SLOW_DOWN},
    {SMTP_STEP_MAIL, "452 4.5.3 too many messages", SMTP_SLOW_DOWN},
    {SMTP_STEP_MAIL, "451 4.3.2 not now", SMTP_SLOW_DOWN},
    {SMTP_STEP_MAIL, "451 4.4.5 congestion", SMTP_SLOW_DOWN},
    {SMTP_STEP_MAIL, "450 4.7.28 flood", SMTP_SLOW_DOWN},
    {SMTP_STEP_MAIL, "452 4.3.1 no space", SMTP_DEFER_MESSAGE},
    {SMTP_STEP_MAIL, "451 later", SMTP_DEFER_MESSAGE},
    {SMTP_STEP_MAIL, "450 4.7.1 greylisted", SMTP_DEFER_MESSAGE},
    {SMTP_STEP_MAIL, "455 parameters", SMTP_DEFER_MESSAGE},
    {SMTP_STEP_MAIL, "530 5.7.0 STARTTLS first", SMTP_ACCOUNT_TROUBLE},
    {SMTP_STEP_MAIL, "535 5.7.8 who", SMTP_ACCOUNT_TROUBLE},
    {SMTP_STEP_MAIL, "538 encryption", SMTP_ACCOUNT_TROUBLE},
    {SMTP_STEP_MAIL, "503 AUTH first", SMTP_ACCOUNT_TROUBLE},
    {SMTP_STEP_MAIL, "502 what", SMTP_ACCOUNT_TROUBLE},
    {SMTP_STEP_MAIL, "552 5.3.4 too large", SMTP_FAIL_MESSAGE},
    {SMTP_STEP_MAIL, "553 5.7.1 not your address", SMTP_FAIL_MESSAGE},
    {SMTP_STEP_MAIL, "550 no", SMTP_FAIL_MESSAGE},
    {SMTP_STEP_MAIL, "501 5.1.7 syntax", SMTP_FAIL_MESSAGE},
    {SMTP_STEP_MAIL, "555 parameters", SMTP_FAIL_MESSAGE},

    {SMTP_STEP_RCPT, "250 2.1.5 Ok", SMTP_ACCEPTED},
    {SMTP_STEP_RCPT, "251 will forward", SMTP_ACCEPTED},
    {SMTP_STEP_RCPT, "252 perhaps", SMTP_ACCEPTED},
    {SMTP_STEP_RCPT, "354 what", SMTP_DISORDER},
    {SMTP_STEP_RCPT, "421 bye", SMTP_SLOW_DOWN},
    {SMTP_STEP_RCPT, "454 4.7.0 throttling", SMTP_SLOW_DOWN},
    {SMTP_STEP_RCPT, "450 4.2.1 greylisted", SMTP_DEFER_RECIPIENT},
    {SMTP_STEP_RCPT, "451 later", SMTP_DEFER_RECIPIENT},
    {SMTP_STEP_RCPT, "452 too many", SMTP_NEXT_TRANSACTION},
    {SMTP_STEP_RCPT, "452 4.5.3 too many", SMTP_NEXT_TRANSACTION},
    {SMTP_STEP_RCPT, "452 4.0.0 something", SMTP_NEXT_TRANSACTION},
    {SMTP_STEP_RCPT, "452 4.2.2 full", SMTP_DEFER_RECIPIENT},
    {SMTP_STEP_RCPT, "452 4.3.1 no space", SMTP_DEFER_RECIPIENT},
    {SMTP_STEP_RCPT, "552 too many", SMTP_NEXT_TRANSACTION},
    {SMTP_STEP_RCPT, "552 5.5.3 too many", SMTP_NEXT_TRANSACTION},
    {SMTP_STEP_RCPT, "552 5.2.2 full", SMTP_FAIL_RECIPIENT},
    {SMTP_STEP_RCPT, "552 5.3.4 too large", SMTP_FAIL_RECIPIENT},
    {SMTP_STEP_RCPT, "550 5.1.1 no such user", SMTP_FAIL_RECIPIENT},
    {SMTP_STEP_RCPT, "550 5.5.3 too many", SMTP_NEXT_TRANSACTION},
    {SMTP_STEP_RCPT, "556 5.1.10 null MX", SMTP_FAIL_RECIPIENT},
    {SMTP_STEP_RCPT, "530 5.7.0 AUTH first", SMTP_ACCOUNT_TROUBLE},

    {SMTP_STEP_DATA, "354 go", SMTP_ACCEPTED},
    {SMTP_STEP_DATA, "250 what", SMTP_DISORDER},
    {SMTP_STEP_DATA, "451 later", SMTP_DEFER_MESSAGE},
    {SMTP_STEP_DATA, "554 no", SMTP_FAIL_MESSAGE},
    {SMTP_STEP_DATA, "421 bye", SMTP_SLOW_DOWN},

    {SMTP_STEP_BODY, "250 2.0.0 queued", SMTP_ACCEPTED},
    {SMTP_STEP_BODY, "354 what", SMTP_DISORDER},
    {SMTP_STEP_BODY, "452 4.3.1 disk full", SMTP_DEFER_MESSAGE},
    {SMTP_STEP_BODY, "421 bye", SMTP_SLOW_DOWN},
    {SMTP_STEP_BODY, "432 4.3.2 sender thread limit", SMTP_SLOW_DOWN},
    {SMTP_STEP_BODY, "552 5.3.4 too large", SMTP_FAIL_MESSAGE},
    {SMTP_STEP_BODY, "554 5.7.1 spam", SMTP_FAIL_MESSAGE},
    {SMTP_STEP_BODY, "500 5.5.2 line too long", SMTP_FAIL_MESSAGE},
};

static void
judges_replies(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct smtp_reply reply = {0};
		enum smtp_outcome outcome;

		assert_int_equal(
		    smtp_reply_feed(&reply, row[i].reply, strlen(row[i].reply)), SMTP_REPLY_DONE);
		outcome = smtp_outcome_judge(row[i].step, reply.code, &reply.status);
		if (outcome != row[i].outcome)
			print_error("%s: %s\n", smtp_step_name(row[i].step), row[i].reply);
		assert_string_equal(smtp_outcome_name(outcome), smtp_outcome_name(row[i].outcome));
		smtp_reply_clear(&reply);
	}
}

static bool
is_for_session(enum smtp_outcome outcome)
{
	return outcome == SMTP_ACCEPTED || outcome == SMTP_CHALLENGE || outcome == SMTP_TRY_HELO ||
	       outcome == SMTP_AUTH_REFUSED || outcome == SMTP_ACCOUNT_TROUBLE ||
	       outcome == SMTP_SLOW_DOWN || outcome == SMTP_DISORDER;
}

/* What holds for every code, whatever the table says. */
static void
check_promises(enum smtp_step step, int code, enum smtp_outcome outcome)
{
	bool final = outcome == SMTP_FAIL_MESSAGE || outcome == SMTP_FAIL_RECIPIENT;

	assert_true(step >= SMTP_STEP_MAIL || is_for_session(outcome));
	assert_true(!final || code / 100 == 5);
	assert_true(outcome != SMTP_ACCEPTED || code / 100 == (step == SMTP_STEP_DATA ? 3 : 2));
	assert_true(code != 421 || outcome == SMTP_SLOW_DOWN);
	assert_true(code != 454 || outcome != SMTP_AUTH_REFUSED);
	assert_true((step == SMTP_STEP_RCPT) ||
		    (outcome != SMTP_DEFER_RECIPIENT && outcome != SMTP_FAIL_RECIPIENT &&
			outcome != SMTP_NEXT_TRANSACTION));
	assert_true(step != SMTP_STEP_RCPT ||
		    (outcome != SMTP_DEFER_MESSAGE && outcome != SMTP_FAIL_MESSAGE));
	assert_true(code / 100 < 4 || outcome != SMTP_DISORDER);
}

static void
keeps_promises_for_every_code(void **state)
{
	(void)state;
	for (int step = SMTP_STEP_GREETING; step <= SMTP_STEP_BODY; step++) {
		for (int code = 200; code < 600; code++) {
			for (unsigned n = 0; n < 100; n++) {
				struct smtp_status status = {
				    n > 0 ? (unsigned)code / 100 : 0, n / 10, n % 10};

				check_promises((enum smtp_step)step, code,
				    smtp_outcome_judge((enum smtp_step)step, code, &status));
			}
		}
	}
}

static void
knows_no_other_codes(void **state)
{
	static const int codes[] = {-1, 0, 100, 199, 600, 999};
	struct smtp_status none = {0};

	(void)state;
	for (int step = SMTP_STEP_GREETING; step <= SMTP_STEP_BODY; step++)
		for (size_t i = 0; i < COUNT(codes); i++)
			assert_int_equal(smtp_outcome_judge((enum smtp_step)step, codes[i], &none),
			    SMTP_DISORDER);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(judges_replies),
	    cmocka_unit_test(keeps_promises_for_every_code),
	    cmocka_unit_test(knows_no_other_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
