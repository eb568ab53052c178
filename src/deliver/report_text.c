#include "deliver/report_text.h"

#include "config/config.h"
#include "deliver/report.h"
#include "proto/rfc5322_date.h"
#include "queue/outqueue.h"

#include <stdint.h>
#include <string.h>

enum { SHOWN_MAX = 50 }; /* recipients of a kind in the part for people */

static void
append_shown(struct str *out, const char *text)
{
	str_append_escaped(out, text, strlen(text));
}

static void
append_date(struct str *out, int64_t wall)
{
	char date[RFC5322_DATE_SIZE];

	str_append_text(out, rfc5322_date_format(wall, rfc5322_date_local_offset(wall), date));
}

static size_t
count_fate(const struct report *report, enum report_fate fate)
{
	size_t count = 0;

	for (size_t i = 0; i < report->recipient_count; i++)
		count += report->recipients[i].fate == fate;
	return count;
}

/* The only recipient of that fate, or how many there are. */
static void
append_who(const struct report *report, enum report_fate fate, size_t count, struct str *out)
{
	if (count != 1) {
		str_appendf(out, "%zu recipients", count);
		return;
	}
	for (size_t i = 0; i < report->recipient_count; i++)
		if (report->recipients[i].fate == fate)
			append_shown(out, report->recipients[i].address);
}

void
report_text_append_subject(const struct report *report, struct str *out)
{
	static const struct {
		enum report_fate fate;
		const char *title;
	} subjects[] = {
	    {REPORT_FAILED, "Mail could not be delivered to "},
	    {REPORT_PERHAPS, "Mail may have been delivered to "},
	    {REPORT_DELAYED, "Mail is delayed to "},
	};

	for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
		size_t count = count_fate(report, subjects[i].fate);

		if (count == 0)
			continue;
		str_append_text(out, subjects[i].title);
		append_who(report, subjects[i].fate, count, out);
		return;
	}
}

/*
 * What a person can do, by the enhanced status code (RFC 3463; subject and detail).  Detail ANY is
 * for those not named before it.
 */
enum { ANY = 1000 };

static const char *
find_advice(const struct report_recipient *recipient)
{
	static const struct {
		unsigned subject, detail;
		const char *advice;
	} advices[] = {
	    {1, 2, "Check how the domain (the part behind the \"@\") is written."},
	    {1, 7, "The server does not take the sender's address; smtp.from can set another."},
	    {1, 8, "The server does not take the sender's address; smtp.from can set another."},
	    {1, ANY, "Check how the address is written; perhaps it has changed."},
	    {2, 1, "The mailbox is closed; reach its owner in another way."},
	    {2, 2, "The mailbox is full; send again later, or reach its owner in another way."},
	    {2, 3, "The message is too large for the mailbox; send less, or in parts."},
	    {3, 4, "The message is too large for the server; send less, or in parts."},
	    {6, 7, "Ask the recipient for an address in plain ASCII letters."},
	    {7, ANY,
		"The server forbids it; its words should say why, its postmaster can tell more."},
	};
	const struct smtp_status *status = &recipient->status;

	if (recipient->stage != NULL && strcmp(recipient->stage, "mail") == 0 &&
	    status->subject <= 1)
		return "The server does not take the sender's address; smtp.from can set another.";
	for (size_t i = 0; i < sizeof advices / sizeof advices[0]; i++)
		if (status->class != 0 && status->subject == advices[i].subject &&
		    (advices[i].detail == ANY || status->detail == advices[i].detail))
			return advices[i].advice;
	return "When these words do not help, the recipient's postmaster can tell more.";
}

static void
append_recipient(
    const struct report *report, const struct report_recipient *recipient, struct str *out)
{
	static const char indent[] = "\n        ";
	bool is_local = recipient->is_local;

	str_append_text(out, "    ");
	append_shown(out, recipient->address);
	if (!str_empty(recipient->words)) {
		str_append_text(out, indent);
		append_shown(out, is_local ? "reason" : report->account->smtp->endpoint.host);
		str_appendf(out, "%s %s", is_local ? ":" : " said:", recipient->words);
	}
	if (recipient->gave_up) {
		str_appendf(out, "%sGiven up after ", indent);
		report_append_duration(out, report->give_up);
		str_append_text(out, ".");
	}
	if (recipient->perhaps_before && recipient->fate != REPORT_PERHAPS)
		str_appendf(
		    out, "%sAn earlier attempt may have delivered it all the same.", indent);
	if (recipient->fate == REPORT_FAILED)
		str_appendf(out, "%s%s", indent, find_advice(recipient));
	str_append_char(out, '\n');
}

static void
append_list(const struct report *report, enum report_fate fate, struct str *out)
{
	size_t shown = 0, count = count_fate(report, fate);

	str_append_char(out, '\n');
	for (size_t i = 0; i < report->recipient_count && shown < SHOWN_MAX; i++) {
		if (report->recipients[i].fate != fate)
			continue;
		append_recipient(report, &report->recipients[i], out);
		shown++;
	}
	if (shown < count)
		str_appendf(out, "    and %zu more, whom the next part of this report names\n",
		    count - shown);
	str_append_char(out, '\n');
}

static void
append_failed(const struct report *report, struct str *out)
{
	str_append_text(out, "could not be delivered to\n");
	append_list(report, REPORT_FAILED, out);
	str_append_text(out,
	    "No further attempt is made for them.  The message is not lost: once nobody of\n"
	    "its recipients waits any more, it lies in the spool's directory failed/,\n"
	    "under the name that it had or one that begins with it, and\n"
	    "\n"
	    "    postriderctl retry NAME\n"
	    "\n"
	    "sends it again, only to those who failed.\n");
}

static void
append_perhaps(const struct report *report, struct str *out)
{
	const struct outmessage *message = report->message;

	str_append_text(out, "may have been delivered to\n");
	append_list(report, REPORT_PERHAPS, out);
	str_appendf(out,
	    "The connection was lost %u times in a row when the whole message had been\n"
	    "sent and the server had not yet said whether it has it.  So that nobody gets\n"
	    "it over and over, it is held in the queue now.  Ask whether it arrived, then\n"
	    "\n"
	    "    postriderctl remove %s     if it did,\n"
	    "    postriderctl release %s    to send it again.\n",
	    message->unknowns, message->id, message->id);
}

static void
append_trouble(const struct report *report, struct str *out)
{
	str_append_text(out, "The account \"");
	append_shown(out, report->account->name);
	str_appendf(out,
	    "\" cannot send at the moment:\n"
	    "\n"
	    "    %s\n"
	    "\n"
	    "Its mail waits until it can; nothing is returned or lost meanwhile, and this\n"
	    "notice comes once a day.  There is no need to send the message again.\n",
	    report->trouble->text);
}

static void
append_delayed(const struct report *report, struct str *out)
{
	str_append_text(out, "could not be delivered yet to\n");
	append_list(report, REPORT_DELAYED, out);
	if (count_fate(report, REPORT_PERHAPS) > 0) {
		str_append_text(out, "They wait until the message, which is held, is released.\n");
		return;
	}
	if (report->trouble != NULL) {
		append_trouble(report, out);
		return;
	}
	str_append_text(out, "It is tried again by itself");
	if (report->retry_until != 0) {
		str_append_text(out, ", until\n\n    ");
		append_date(out, report->retry_until);
		str_append_text(out, "\n\n");
	} else {
		str_append_text(out, ".\n");
	}
	str_append_text(out, "There is no need to send it again.\n");
}

/* One section for each kind of fate that occurs, each reading on from the first sentence. */
void
report_text_append_body(const struct report *report, struct str *out)
{
	static void (*const sections[])(const struct report *, struct str *) = {
	    [REPORT_FAILED] = append_failed,
	    [REPORT_DELAYED] = append_delayed,
	    [REPORT_PERHAPS] = append_perhaps,
	};
	static const enum report_fate order[] = {REPORT_FAILED, REPORT_PERHAPS, REPORT_DELAYED};
	const struct outmessage *message = report->message;
	bool first = true;

	str_append_text(
	    out, "This is postrider, the program that sends mail from this machine.\n\n");
	str_append_text(out, "Your message of ");
	append_date(out, message->queued);
	str_append_text(out, "\n(file \"");
	append_shown(out, message->name != NULL ? message->name : "");
	str_appendf(out, "\", queue id %s)\n", message->id);
	for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
		if (count_fate(report, order[i]) == 0)
			continue;
		if (!first)
			str_append_text(out, "\nThe message ");
		sections[order[i]](report, out);
		first = false;
	}
}
