#include "unit.h"

#include "deliver/advice.h"
#include "deliver/smtp_session.h"

#include <stdio.h>
#include <string.h>

static void
every_reply_has_a_next_step(void **state)
{
	static const struct {
		int code;
		const char *status;
		const char *text;
		const char *advice; /* within it */
	} row[] = {
	    {450, "", "450 try later", "greylisting"},
	    {451, "", "451 temporarily rejected", "greylisting"},
	    {451, "4.7.1", "451 4.7.1 please wait", "greylisting"},
	    {450, "4.2.0", "450 4.2.0 <a@b>: Greylisted, see http://x", "greylisting"},
	    {421, "4.7.0", "421 4.7.0 Gray-listing in action", "greylisting"},
	    {450, "4.2.1", "450 4.2.1 mailbox busy", "it is tried again"},
	    {452, "4.2.2", "452 4.2.2 over quota", "the mailbox is full: it is tried again"},
	    {552, "5.2.2", "552 5.2.2 over quota", "the mailbox is full: tell the recipient"},
	    {452, "", "452 insufficient storage", "full: it is tried again"},
	    {452, "4.3.1", "452 4.3.1 insufficient storage", "short of space"},
	    {552, "", "552 exceeded storage", "the mailbox is full or the message too large"},
	    {552, "5.3.4", "552 5.3.4 too big", "too large"},
	    {550, "5.1.1", "550 5.1.1 no such user", "check the address"},
	    {550, "5.7.1", "550 5.7.1 blocked", "does not want this mail"},
	    {550, "5.0.0", "550 5.0.0 no", "mend what the server says"},
	    {451, "4.0.0", "451 4.0.0 no", "busy, or the server puts off"},
	    {554, "", "554 no", "mend what the server says"},
	    {454, "", "454 no", "it is tried again"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct smtp_result result = {.code = row[i].code};

		snprintf(result.status, sizeof result.status, "%s", row[i].status);
		snprintf(result.text, sizeof result.text, "%s", row[i].text);
		if (strstr(advice_on_result(&result), row[i].advice) == NULL)
			fail_msg("%s: \"%s\" lacks \"%s\"", row[i].text, advice_on_result(&result),
			    row[i].advice);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_reply_has_a_next_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
