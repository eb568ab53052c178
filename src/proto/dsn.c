#include "proto/dsn.h"

#include "proto/dsn_text.h"
#include "proto/smtp_address.h"

#include <string.h>

enum encoding { SEVEN_BIT, EIGHT_BIT, BINARY };

static const char *const encoding_names[] = {"7bit", "8bit", "binary"};

/* A name that can stand behind "@" and in a Message-ID. */
static bool
is_host(const char *name)
{
	size_t len =
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_");

	return len > 0 && len <= SMTP_DOMAIN_MAX && name[len] == '\0' && *name != '.' &&
	       name[len - 1] != '.' && strstr(name, "..") == NULL;
}

static const char *
host_of(const struct dsn_report *report)
{
	return is_host(report->host) ? report->host : "localhost";
}

/* "<a@b>": printable ASCII without blanks and other angle brackets, and no longer than a line. */
static bool
is_message_id(const char *id)
{
	size_t len = strlen(id);

	if (len < 3 || len > 900 || id[0] != '<' || id[len - 1] != '>')
		return false;
	for (size_t i = 1; i < len - 1; i++)
		if (id[i] <= ' ' || id[i] >= 0x7f || id[i] == '<' || id[i] == '>')
			return false;
	return true;
}

static void
append_hex(struct str *out, const uint8_t *octets, size_t len)
{
	for (size_t i = 0; i < len; i++)
		str_appendf(out, "%02x", octets[i]);
}

/* "=_" cannot stand in quoted-printable or base64 (RFC 2045 section 6.7), and the rest is random.
 */
static void
make_boundary(struct dsn *dsn)
{
	struct str boundary = STR_INIT;

	str_append_text(&boundary, "=_dsn_");
	append_hex(&boundary, dsn->report->unique, DSN_UNIQUE_SIZE);
	memcpy(dsn->boundary, boundary.data, boundary.len + 1);
	str_clear(&boundary);
}

/* An address that a header cannot carry is better left out than made up. */
static void
append_to(struct str *out, const char *to)
{
	if (to != NULL && smtp_address_fault(to, true) == NULL)
		str_appendf(out, "To: <%s>\n", to);
	else
		str_append_text(out, "To: undisclosed-recipients:;\n");
}

static const char *
subject_of(const struct dsn_report *report)
{
	if (!str_empty(report->subject))
		return report->subject;
	switch (report->action) {
	case DSN_FAILED:
		return "Undelivered mail returned to sender";
	case DSN_DELAYED:
		return "Delayed mail, still being tried";
	case DSN_EXPANDED:
		break;
	}
	return "Mail was handed on";
}

static void
append_envelope_fields(const struct dsn_report *r, struct str *out)
{
	str_append_text(out, "Return-Path: <>\n");
	dsn_text_append_date(out, "Date", r->date);
	str_appendf(out, "From: Mail Delivery System <mailer-daemon@%s>\n", host_of(r));
	append_to(out, r->to);
	dsn_text_append_encoded(out, "Subject", subject_of(r));
	str_append_text(out, "Message-ID: <");
	append_hex(out, r->unique, DSN_UNIQUE_SIZE / 2);
	str_appendf(out, ".dsn@%s>\n", host_of(r));
	if (r->message_id != NULL && is_message_id(r->message_id)) {
		str_appendf(out, "In-Reply-To: %s\n", r->message_id);
		str_appendf(out, "References: %s\n", r->message_id);
	}
	str_append_text(out, "Auto-Submitted: auto-replied\n");
}

static enum encoding
encoding_of_original(const struct dsn_report *r)
{
	const struct dsn_content *c = &r->content;
	bool whole = r->original == DSN_MESSAGE;

	if (r->original == DSN_NOTHING)
		return SEVEN_BIT;
	if (c->header_binary || (whole && c->body_binary))
		return BINARY;
	return c->header_8bit || (whole && c->body_8bit) ? EIGHT_BIT : SEVEN_BIT;
}

/* RFC 2045 section 6.4: a multipart is what the widest of its parts is. */
static void
append_mime_fields(const struct dsn *dsn, bool text_is_ascii, struct str *out)
{
	enum encoding encoding = encoding_of_original(dsn->report);

	if (encoding == SEVEN_BIT && !text_is_ascii)
		encoding = EIGHT_BIT;
	str_append_text(out, "MIME-Version: 1.0\n"
			     "Content-Type: multipart/report; report-type=delivery-status;\n");
	str_appendf(out, "\tboundary=\"%s\"\n", dsn->boundary);
	str_appendf(out, "Content-Transfer-Encoding: %s\n\n", encoding_names[encoding]);
}

static void
append_text_part(const struct dsn *dsn, const struct str *text, bool is_ascii, struct str *out)
{
	str_append_text(out, "This is a report in MIME format about mail that was sent.\n");
	str_appendf(out, "\n--%s\n", dsn->boundary);
	str_append_text(out, "Content-Description: Notification\n");
	str_appendf(out, "Content-Type: text/plain; charset=%s\n", is_ascii ? "us-ascii" : "utf-8");
	str_appendf(out, "Content-Transfer-Encoding: %s\n\n",
	    encoding_names[is_ascii ? SEVEN_BIT : EIGHT_BIT]);
	str_append(out, text->data, text->len);
}

/* RFC 3464 section 2.2: the fields that stand once. */
static void
append_message_fields(const struct dsn *dsn, struct str *out)
{
	const struct dsn_report *r = dsn->report;

	str_appendf(out, "\n--%s\n", dsn->boundary);
	str_append_text(out, "Content-Description: Delivery report\n"
			     "Content-Type: message/delivery-status\n\n");
	if (r->envid != NULL)
		dsn_text_append_field(out, "Original-Envelope-Id", r->envid);
	str_appendf(out, "Reporting-MTA: dns; %s\n", host_of(r));
	dsn_text_append_date(out, "Arrival-Date", r->arrival);
}

void
dsn_begin(struct dsn *dsn, const struct dsn_report *report, struct str *out)
{
	struct str text = STR_INIT;
	bool is_ascii;

	*dsn = (struct dsn){.report = report};
	make_boundary(dsn);
	dsn_text_append_body(&text, report->text);
	is_ascii = smtp_is_ascii(str_text(&text));
	append_envelope_fields(report, out);
	append_mime_fields(dsn, is_ascii, out);
	append_text_part(dsn, &text, is_ascii, out);
	append_message_fields(dsn, out);
	str_clear(&text);
}

static void
append_address(struct str *out, const char *name, const char *address)
{
	struct str typed = STR_INIT;

	smtp_append_typed_address(&typed, address);
	dsn_text_append_field(out, name, str_text(&typed));
	str_clear(&typed);
}

/* "type; text", nothing without a text. */
static void
append_typed(struct str *out, const char *name, const char *type, const char *text)
{
	struct str typed = STR_INIT;

	if (str_empty(text))
		return;
	str_appendf(&typed, "%s; %s", type, text);
	dsn_text_append_field(out, name, str_text(&typed));
	str_clear(&typed);
}

/* RFC 3464 sections 2.3.3 and 2.3.4. */
static void
append_action(struct str *out, const struct dsn_recipient *recipient)
{
	static const struct {
		const char *name;
		unsigned class;
	} actions[] = {
	    [DSN_FAILED] = {"failed", 5},
	    [DSN_DELAYED] = {"delayed", 4},
	    [DSN_EXPANDED] = {"expanded", 2},
	};
	struct smtp_status status = recipient->status;

	if (status.class == 0)
		status.class = actions[recipient->action].class;
	str_appendf(out, "Action: %s\n", actions[recipient->action].name);
	str_appendf(out, "Status: %u.%u.%u\n", status.class, status.subject, status.detail);
}

void
dsn_add_recipient(const struct dsn_recipient *recipient, struct str *out)
{
	str_append_char(out, '\n');
	if (!str_empty(recipient->original))
		append_address(out, "Original-Recipient", recipient->original);
	append_address(out, "Final-Recipient", recipient->recipient);
	append_action(out, recipient);
	append_typed(out, "Remote-MTA", "dns", recipient->remote);
	append_typed(out, "Diagnostic-Code", recipient->is_local ? "x-postrider" : "smtp",
	    recipient->diagnostic);
	dsn_text_append_date(out, "Last-Attempt-Date", recipient->last_attempt);
	if (recipient->action == DSN_DELAYED)
		dsn_text_append_date(out, "Will-Retry-Until", recipient->retry_until);
}

static const char *
type_of_original(const struct dsn_report *r)
{
	const struct dsn_content *c = &r->content;
	bool is_utf8 = c->header_8bit && !c->header_not_utf8 && c->utf8.await == 0;

	if (r->original == DSN_MESSAGE)
		return is_utf8 ? "message/global" : "message/rfc822";
	return is_utf8 ? "message/global-headers" : "text/rfc822-headers";
}

static void
begin_original(struct dsn *dsn, struct str *out)
{
	const struct dsn_report *r = dsn->report;

	dsn->in_original = true;
	str_appendf(out, "\n--%s\n", dsn->boundary);
	str_appendf(out, "Content-Description: %s\n",
	    r->original == DSN_MESSAGE ? "Original message" : "Header of the original message");
	str_appendf(out, "Content-Type: %s\n", type_of_original(r));
	str_appendf(
	    out, "Content-Transfer-Encoding: %s\n\n", encoding_names[encoding_of_original(r)]);
}

/* How much of data belongs to the header, up to the empty line that ends it. */
static size_t
measure_header(struct dsn *dsn, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\n' && dsn->line == 0) {
			dsn->header_ended = true;
			return i;
		}
		if (data[i] == '\n')
			dsn->line = 0;
		else if (data[i] != '\r')
			dsn->line++;
	}
	return len;
}

static void
append_octets(struct dsn *dsn, const char *data, size_t len, struct str *out)
{
	if (len == 0)
		return;
	str_append(out, data, len);
	dsn->line_open = data[len - 1] != '\n';
}

bool
dsn_add_original(struct dsn *dsn, const char *data, size_t len, struct str *out)
{
	const char *p = data, *end;

	if (dsn->report->original == DSN_NOTHING || dsn->header_ended)
		return false;
	if (!dsn->in_original)
		begin_original(dsn, out);
	if (dsn->report->original == DSN_HEADER)
		len = measure_header(dsn, data, len);
	end = data + len;
	while (p < end) {
		const char *cr = memchr(p, '\r', (size_t)(end - p));

		append_octets(dsn, p, (size_t)((cr != NULL ? cr : end) - p), out);
		p = cr != NULL ? cr + 1 : end;
	}
	return !dsn->header_ended;
}

void
dsn_end(struct dsn *dsn, struct str *out)
{
	if (dsn->line_open)
		str_append_char(out, '\n');
	str_appendf(out, "\n--%s--\n", dsn->boundary);
}
