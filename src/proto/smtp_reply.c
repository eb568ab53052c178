#include "proto/smtp_reply.h"

/*
 *	Reply-line  = *( Reply-code "-" [ textstring ] CRLF )
 *	                 Reply-code [ SP textstring ] CRLF       (RFC 5321 section 4.2)
 *	Reply-code  = %x32-35 %x30-35 %x30-39
 *	status-code = class "." subject "." detail               (RFC 3463 section 2)
 *
 * Servers use second digits above 5 as well (571), and a tab for the blank.
 */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* One to three digits at *p; moves *p behind them. */
static bool
parse_number(const char **p, const char *end, unsigned *number)
{
	const char *digit = *p;

	*number = 0;
	for (; digit < end && is_digit(*digit); digit++) {
		if (digit - *p == 3)
			return false;
		*number = *number * 10 + (unsigned)(*digit - '0');
	}
	if (digit == *p)
		return false;
	*p = digit;
	return true;
}

static bool
parse_dot(const char **p, const char *end)
{
	if (*p == end || **p != '.')
		return false;
	(*p)++;
	return true;
}

size_t
smtp_status_parse(const char *text, size_t len, struct smtp_status *status)
{
	const char *p = text, *end = text + len;
	struct smtp_status s;

	if (!parse_number(&p, end, &s.class) || p != text + 1 || !parse_dot(&p, end) ||
	    !parse_number(&p, end, &s.subject) || !parse_dot(&p, end) ||
	    !parse_number(&p, end, &s.detail))
		return 0;
	if ((s.class != 2 && s.class != 4 && s.class != 5) || (p < end && !is_blank(*p)))
		return 0;
	*status = s;
	return (size_t)(p - text);
}

bool
smtp_status_equal(const struct smtp_status *a, const struct smtp_status *b)
{
	return a->class == b->class && a->subject == b->subject && a->detail == b->detail;
}

void
smtp_reply_clear(struct smtp_reply *reply)
{
	str_clear(&reply->text);
	*reply = (struct smtp_reply){0};
}

/* Makes ready for the next reply and keeps the buffer. */
static void
begin_reply(struct smtp_reply *reply)
{
	struct str text = reply->text;

	str_truncate(&text, 0);
	*reply = (struct smtp_reply){.text = text};
}

static enum smtp_reply_result
refuse(struct smtp_reply *reply, const char *fault)
{
	reply->fault = fault;
	return SMTP_REPLY_BAD;
}

/* The code and what parts it from the text; 0 when the line is none of a reply. */
static int
parse_code(const char *line, size_t len, bool *last)
{
	if (len < 3 || line[0] < '2' || line[0] > '5' || !is_digit(line[1]) || !is_digit(line[2]))
		return 0;
	if (len > 3 && line[3] != '-' && !is_blank(line[3]))
		return 0;
	*last = len == 3 || line[3] != '-';
	return (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
}

/* Keeps what fits, cut where a UTF-8 sequence begins. */
static void
keep_text(struct smtp_reply *reply, const char *text, size_t len)
{
	size_t room = SMTP_REPLY_TEXT_MAX - reply->text.len;

	if (len == 0 || room <= 1)
		return;
	if (reply->text.len > 0) {
		str_append_char(&reply->text, ' ');
		room--;
	}
	if (len > room)
		for (len = room; len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80;)
			len--;
	str_append(&reply->text, text, len);
}

/*
 * RFC 2034 section 4: every line of a reply carries the status code, and its class is the first
 * digit of the reply code; another class is text.
 */
static void
take_text(struct smtp_reply *reply, const char *text, size_t len)
{
	struct smtp_status status;
	size_t n = smtp_status_parse(text, len, &status);

	if (n > 0 && status.class == (unsigned)reply->code / 100) {
		if (reply->status.class == 0)
			reply->status = status;
		if (smtp_status_equal(&status, &reply->status)) {
			text += n;
			len -= n;
		}
	}
	while (len > 0 && is_blank(*text)) {
		text++;
		len--;
	}
	while (len > 0 && is_blank(text[len - 1]))
		len--;
	keep_text(reply, text, len);
}

enum smtp_reply_result
smtp_reply_feed(struct smtp_reply *reply, const char *line, size_t len)
{
	bool last = false;
	int code = parse_code(line, len, &last);

	if (reply->fault != NULL)
		return SMTP_REPLY_BAD;
	if (reply->ended)
		begin_reply(reply);
	if (code == 0)
		return refuse(reply, "a line that is no SMTP reply");
	if (reply->lines > 0 && code != reply->code)
		return refuse(reply, "a reply whose lines have different codes");
	if (reply->lines == SMTP_REPLY_LINES_MAX || len > SMTP_REPLY_OCTETS_MAX - reply->octets)
		return refuse(reply, "a reply that is too long");
	reply->code = code;
	reply->lines++;
	reply->octets += len;
	reply->line = len > 3 ? line + 4 : line + 3;
	reply->line_len = len > 3 ? len - 4 : 0;
	take_text(reply, reply->line, reply->line_len);
	reply->ended = last;
	return last ? SMTP_REPLY_DONE : SMTP_REPLY_MORE;
}

void
smtp_reply_describe(const struct smtp_reply *reply, struct str *out)
{
	const struct smtp_status *s = &reply->status;

	str_appendf(out, "%d", reply->code);
	if (s->class != 0)
		str_appendf(out, " %u.%u.%u", s->class, s->subject, s->detail);
	if (reply->text.len == 0)
		return;
	str_append_char(out, ' ');
	str_append(out, reply->text.data, reply->text.len);
}
