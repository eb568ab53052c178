#include "deliver/report.h"

#include "base/clock.h"
#include "base/verdict.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "deliver/report_text.h"
#include "proto/rfc5322_domain.h"
#include "proto/smtp_data.h"
#include "queue/outqueue.h"

#include <stdlib.h>
#include <string.h>

enum { REASON_SHOWN_MAX = 1000 };

void
report_append_duration(struct str *out, int64_t duration)
{
	static const struct {
		int64_t length;
		const char *name;
	} units[] = {{86400 * 1000, "day"}, {3600 * 1000, "hour"}, {60 * 1000, "minute"}};

	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		int64_t n = duration / units[i].length;

		if (n < 1 || duration % units[i].length != 0)
			continue;
		str_appendf(out, "%lld %s%s", (long long)n, units[i].name, n != 1 ? "s" : "");
		return;
	}
	str_appendf(
	    out, "%lld second%s", (long long)(duration / 1000), duration / 1000 != 1 ? "s" : "");
}

/* The name behind the "@", as A-labels; NULL when it is no name. */
static char *
find_domain(const char *address)
{
	const char *at = address != NULL ? strrchr(address, '@') : NULL;

	return at != NULL && at[1] != '[' ? rfc5322_domain_to_ascii(at + 1) : NULL;
}

/* Where mailer-daemon lives: at the account's domain, so that servers take it as the sender's. */
static char *
choose_host(const struct report *report)
{
	char *domain = NULL;

	for (char **p = report->account->addresses; domain == NULL && *p != NULL; p++)
		domain = find_domain(*p);
	if (domain == NULL)
		domain = find_domain(report->account->smtp->from);
	return domain != NULL ? domain : xstrdup(report->host);
}

static bool
has_fate(const struct report *report, enum report_fate fate)
{
	for (size_t i = 0; i < report->recipient_count; i++)
		if (report->recipients[i].fate == fate)
			return true;
	return false;
}

static enum dsn_original
choose_original(const struct report *report)
{
	const char *ret = report->account->smtp->dsn_ret;

	if (!has_fate(report, REPORT_FAILED))
		return DSN_HEADER;
	if (ret == NULL)
		return report->message->size <= REPORT_ORIGINAL_MAX ? DSN_MESSAGE : DSN_HEADER;
	return strcmp(ret, "FULL") == 0 ? DSN_MESSAGE : DSN_HEADER;
}

/* RFC 3463: what is the matter with an account, as seen by its mail. */
static struct smtp_status
status_of_trouble(const struct verdict *trouble)
{
	switch (trouble->kind) {
	case FAIL_NETWORK:
		return (struct smtp_status){4, 4, 1}; /* no answer from host */
	case FAIL_TLS:
	case FAIL_AUTH:
		return (struct smtp_status){4, 7, 0};
	case FAIL_PROTOCOL:
		return (struct smtp_status){4, 5, 0};
	case FAIL_CONFIG:
	case FAIL_LOCAL:
		return (struct smtp_status){4, 3, 5}; /* system incorrectly configured */
	case FAIL_NONE:
	case FAIL_SERVER:
		break;
	}
	return (struct smtp_status){4, 3, 2}; /* system not accepting network messages */
}

static struct smtp_status
choose_status(const struct report *report, const struct report_recipient *recipient)
{
	struct smtp_status status = recipient->status;

	/* Some 5yz is deferred nevertheless (RFC 5321 section 4.5.3.1.10). */
	if (status.class == 5 && recipient->fate != REPORT_FAILED)
		status.class = 4;
	if (status.class != 0)
		return status;
	if (recipient->fate == REPORT_PERHAPS)
		return (struct smtp_status){4, 4, 2}; /* bad connection */
	if (recipient->gave_up)
		return (struct smtp_status){4, 4, 7}; /* delivery time expired */
	if (recipient->fate == REPORT_DELAYED && report->trouble != NULL)
		return status_of_trouble(report->trouble);
	return (struct smtp_status){0};
}

static void
add_recipient(
    const struct report *report, const struct report_recipient *recipient, struct str *out)
{
	bool has_words = !str_empty(recipient->words);
	bool of_account =
	    !has_words && recipient->fate == REPORT_DELAYED && report->trouble != NULL;
	struct dsn_recipient fields = {
	    .recipient = recipient->address,
	    .action = recipient->fate == REPORT_FAILED ? DSN_FAILED : DSN_DELAYED,
	    .status = choose_status(report, recipient),
	    .remote =
		has_words && !recipient->is_local ? report->account->smtp->endpoint.host : NULL,
	    .diagnostic = of_account ? report->trouble->text : recipient->words,
	    .is_local = of_account || recipient->is_local,
	    .last_attempt = recipient->is_tried ? report->now : 0,
	    .retry_until = recipient->fate == REPORT_DELAYED ? report->retry_until : 0,
	};

	dsn_add_recipient(&fields, out);
}

/* What is known of its octets; where header and text are not told apart, of both. */
static struct dsn_content
describe_content(const struct outmessage *message)
{
	bool is_long = message->longest_line > SMTP_TEXT_LINE_MAX;

	return (struct dsn_content){
	    .header_8bit = message->is_8bit,
	    .header_not_utf8 = message->is_8bit && !message->has_utf8_header,
	    .body_8bit = message->is_8bit,
	    .header_binary = is_long,
	    .body_binary = is_long,
	};
}

enum dsn_original
report_write(const struct report *report, struct str *out, struct str *end)
{
	const struct smtp_config *smtp = report->account->smtp;
	struct str subject = STR_INIT, text = STR_INIT;
	char *host = choose_host(report);
	struct dsn_report fields = {
	    .host = host,
	    .to = smtp->bounce_to != NULL ? smtp->bounce_to : report->message->sender,
	    .action = has_fate(report, REPORT_FAILED) ? DSN_FAILED : DSN_DELAYED,
	    .date = report->now,
	    .arrival = report->message->queued,
	    .original = choose_original(report),
	    .content = describe_content(report->message),
	};
	struct dsn dsn;

	memcpy(fields.unique, report->unique, sizeof fields.unique);
	report_text_append_subject(report, &subject);
	report_text_append_body(report, &text);
	fields.subject = str_text(&subject);
	fields.text = str_text(&text);
	dsn_begin(&dsn, &fields, out);
	for (size_t i = 0; i < report->recipient_count; i++)
		add_recipient(report, &report->recipients[i], out);
	dsn_add_original(&dsn, "", 0, out);
	dsn_end(&dsn, end);
	str_clear(&subject);
	str_clear(&text);
	free(host);
	return fields.original;
}

static size_t
count_state(const struct outmessage *message, enum outqueue_state state)
{
	size_t count = 0;

	for (size_t i = 0; i < message->recipient_count; i++)
		count += message->recipients[i].state == state;
	return count;
}

static void
append_state(
    const struct outmessage *message, enum outqueue_state state, const char *title, struct str *out)
{
	size_t shown = 0, count = count_state(message, state);

	if (count == 0)
		return;
	str_appendf(out, "\n%s\n", title);
	for (size_t i = 0; i < message->recipient_count && shown < REASON_SHOWN_MAX; i++) {
		const struct outqueue_recipient *recipient = &message->recipients[i];

		if (recipient->state != state)
			continue;
		str_append_text(out, "    ");
		str_append_escaped(out, recipient->address, strlen(recipient->address));
		if (!str_empty(recipient->reply))
			str_appendf(out, ": %s", recipient->reply);
		str_append_char(out, '\n');
		shown++;
	}
	if (shown < count)
		str_appendf(out, "    and %zu more\n", count - shown);
}

static void
append_label(struct str *out, const char *label, const char *text)
{
	str_appendf(out, "%s ", label);
	str_append_escaped(out, text, strlen(text));
	str_append_char(out, '\n');
}

void
report_append_reason(const struct outmessage *message, struct str *out)
{
	bool some = count_state(message, OUTQUEUE_SENT) > 0;
	char time[CLOCK_RFC3339_SIZE];

	str_appendf(out, "This message could not be delivered%s.\n\n",
	    some ? " to all of its recipients" : "");
	append_label(out, "account:", message->account);
	append_label(out, "sender:", *message->sender != '\0' ? message->sender : "<>");
	append_label(out, "queued:", clock_rfc3339(message->queued, time));
	str_appendf(out, "attempts: %u\n", message->attempts);
	append_state(message, OUTQUEUE_FAILED, "failed", out);
	append_state(message, OUTQUEUE_SENT, "delivered", out);
	str_append_text(out,
	    "\n`postriderctl retry NAME`, with the name of this file without its .reason,\n"
	    "sends it again, only to those who failed.\n");
}
