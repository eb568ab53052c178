#include "deliver/advice.h"

#include "deliver/smtp_session.h"
#include "proto/smtp_reply.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum { ANY = -1, NONE = -2 }; /* enhanced status code: whatever it is or is not; there is none */

/*
 * The first row that fits.  Subjects and details are those of RFC 3463 section 3 and the registry
 * of RFC 5248; greylisting (RFC 6647) has no code of its own: section 2.1 there names 421, 450 and
 * 451, servers add X.7.1 or X.2.0, or say it in words.
 */
static const struct {
	int low, high; /* reply codes */
	int subject, detail;
	const char *advice;
} rows[] = {
    {400, 499, 2, 2,
	"the mailbox is full: it is tried again; if that lasts, tell the recipient another way"},
    {500, 599, 2, 2,
	"the mailbox is full: tell the recipient another way, and send it again later"},
    {400, 499, 3, ANY, "the server is short of space or closed: it is tried again"},
    {500, 599, 3, 4, "the message is too large for this server: send less at a time"},
    {450, 451, 7, ANY,
	"the server puts off whom it does not know yet (greylisting): it is tried again, and there "
	"is nothing to do"},
    {400, 499, 7, ANY, "the server wants less mail, or later: it is tried again"},
    {500, 599, 7, ANY,
	"the server does not want this mail: what it says may tell why, else ask its "
	"administrator"},
    {500, 599, 1, ANY, "check the address"},
    {452, 452, NONE, NONE, "the mailbox or the server is full: it is tried again"},
    {552, 552, NONE, NONE,
	"the mailbox is full or the message too large: send less, or tell the recipient another "
	"way"},
    {450, 451, NONE, NONE,
	"busy, or the server puts off whom it does not know yet (greylisting): it is tried again, "
	"and there is nothing to do"},
    {400, 499, ANY, ANY, "it is tried again"},
};

static const char greylisting[] =
    "the server puts off whom it does not know yet (greylisting): it is tried again, and there is "
    "nothing to do";

static bool
says_greylisting(const char *text)
{
	return strcasestr(text, "greylist") != NULL || strcasestr(text, "graylist") != NULL ||
	       strcasestr(text, "grey-list") != NULL || strcasestr(text, "gray-list") != NULL;
}

static bool
fits(int wanted, unsigned has, bool known)
{
	return wanted == ANY || (wanted == NONE ? !known : known && (unsigned)wanted == has);
}

const char *
advice_on_result(const struct smtp_result *result)
{
	struct smtp_status status = {0};
	bool known = smtp_status_parse(result->status, strlen(result->status), &status) > 0 &&
		     (status.subject != 0 || status.detail != 0);

	if (result->code / 100 == 4 && says_greylisting(result->text))
		return greylisting;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (result->code >= rows[i].low && result->code <= rows[i].high &&
		    fits(rows[i].subject, status.subject, known) &&
		    fits(rows[i].detail, status.detail, known))
			return rows[i].advice;
	return "mend what the server says, or ask its administrator, and send it again";
}
