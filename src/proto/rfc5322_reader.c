#include "proto/rfc5322_reader.h"

#include "proto/rfc5322_token.h"

#include <string.h>

/*
 *	field       = field-name *WSP ":" value *(LF WSP value) LF      field-name = 1*ftext
 *
 * Where the reader stands between two octets.
 */
enum reader_state {
	AT_LINE,    /* at the start of a line; a field in raw may go on here */
	IN_NAME,    /* of a field, perhaps */
	AFTER_NAME, /* in blanks before the colon, perhaps */
	IN_VALUE,
	IN_MBOX, /* a line to be dropped */
	AT_END,
	FAILED
};

void
rfc5322_reader_init(struct rfc5322_reader *reader)
{
	*reader = (struct rfc5322_reader){.state = AT_LINE};
}

void
rfc5322_reader_clear(struct rfc5322_reader *reader)
{
	str_clear(&reader->rest);
	str_clear(&reader->raw);
	rfc5322_reader_init(reader);
}

/* ftext of RFC 5322 section 3.6.8, and octets beyond ASCII, which end no header here. */
static bool
is_ftext(char c)
{
	return (unsigned char)c > ' ' && c != 0x7f && c != ':';
}

static enum rfc5322_read
fail(struct rfc5322_reader *r, struct verdict *why, const char *reason)
{
	r->state = FAILED;
	verdict_fail(why, FAIL_LOCAL, "header", "line %u: %s", r->line + 1, reason);
	return RFC5322_READ_BAD;
}

static enum rfc5322_read
end_header(struct rfc5322_reader *r, enum rfc5322_ending ending)
{
	r->state = AT_END;
	r->ending = ending;
	if (ending == RFC5322_ENDING_NO_FIELD)
		str_append(&r->rest, str_text(&r->raw), r->raw.len);
	str_truncate(&r->raw, 0);
	return RFC5322_READ_END;
}

static bool
is_mbox_line(const struct str *raw)
{
	const char *p = str_text(raw);

	while (*p == '>')
		p++;
	return strncmp(p, "From ", 5) == 0;
}

/* What stands in raw cannot become a field any more. */
static enum rfc5322_read
refuse_field(struct rfc5322_reader *r)
{
	if (r->fields > 0 || !is_mbox_line(&r->raw))
		return end_header(r, RFC5322_ENDING_NO_FIELD);
	str_truncate(&r->raw, 0);
	r->state = IN_MBOX;
	return RFC5322_READ_MORE;
}

static enum rfc5322_read
yield_field(struct rfc5322_reader *r)
{
	const char *raw = str_text(&r->raw);

	r->field = (struct rfc5322_field){
	    .kind = rfc5322_field_kind(raw, r->name_len),
	    .name = raw,
	    .name_len = r->name_len,
	    .value = raw + r->value_start,
	    .value_len = r->raw.len - 1 - r->value_start,
	    .raw = raw,
	    .raw_len = r->raw.len,
	    .offset = r->field_offset,
	    .length = r->offset - r->field_offset,
	    .line = r->field_line,
	};
	r->fields++;
	r->is_yielded = true;
	return RFC5322_READ_FIELD;
}

static enum rfc5322_read
begin_line(struct rfc5322_reader *r, const char **p)
{
	char c = **p;

	if (c == '\r') {
		(*p)++;
		return RFC5322_READ_MORE;
	}
	if (r->raw.len > 0 && rfc5322_is_wsp(c)) {
		r->state = IN_VALUE;
		return RFC5322_READ_MORE;
	}
	if (r->raw.len > 0)
		return yield_field(r);
	if (c == '\n') {
		(*p)++;
		r->line++;
		return end_header(r, RFC5322_ENDING_EMPTY_LINE);
	}
	r->field_offset = r->offset;
	r->field_line = r->line + 1;
	r->state = IN_NAME;
	return RFC5322_READ_MORE;
}

/* A message that begins with U+FEFF was saved by an editor that meant well. */
static void
drop_byte_order_mark(struct rfc5322_reader *r)
{
	if (r->line > 0 || r->is_bom_done || r->raw.len < 3)
		return;
	r->is_bom_done = true;
	if (memcmp(r->raw.data, "\xef\xbb\xbf", 3) == 0) {
		str_truncate(&r->raw, 0);
		r->state = AT_LINE;
	}
}

static enum rfc5322_read
read_name(struct rfc5322_reader *r, const char **p, struct verdict *why)
{
	char c = **p;

	if (c == '\0')
		return fail(r, why, "a NUL: this is binary data, not a message");
	if (c == '\r') {
		(*p)++;
		return RFC5322_READ_MORE;
	}
	if (r->state == IN_NAME && !is_ftext(c))
		r->name_len = r->raw.len;
	if (r->raw.len == RFC5322_NAME_MAX || (r->raw.len == 0 && !is_ftext(c)) ||
	    (!is_ftext(c) && c != ':' && !rfc5322_is_wsp(c)) ||
	    (r->state == AFTER_NAME && is_ftext(c)))
		return refuse_field(r);
	str_append_char(&r->raw, c);
	(*p)++;
	r->state = c == ':' ? IN_VALUE : is_ftext(c) ? IN_NAME : AFTER_NAME;
	r->value_start = r->raw.len;
	drop_byte_order_mark(r);
	return RFC5322_READ_MORE;
}

/* The octets from *p to end, a part of one line, without CR. */
static void
append_without_cr(struct str *out, const char *p, const char *end)
{
	while (p < end) {
		const char *cr = memchr(p, '\r', (size_t)(end - p));
		const char *stop = cr != NULL ? cr : end;

		str_append(out, p, (size_t)(stop - p));
		p = cr != NULL ? cr + 1 : end;
	}
}

/* Up to the line's end, with it, or to the end of the piece. */
static enum rfc5322_read
read_value(struct rfc5322_reader *r, const char **p, const char *end, struct verdict *why)
{
	const char *lf = memchr(*p, '\n', (size_t)(end - *p));
	const char *stop = lf != NULL ? lf + 1 : end;
	size_t n = (size_t)(stop - *p);

	if (memchr(*p, '\0', n) != NULL)
		return fail(r, why, "a NUL: this is binary data, not a message");
	if (r->offset - r->field_offset + n > RFC5322_FIELD_MAX)
		return fail(r, why, "a header field of more than 256 KiB");
	append_without_cr(&r->raw, *p, stop);
	*p = stop;
	if (lf != NULL) {
		r->line++;
		r->state = AT_LINE;
	}
	return RFC5322_READ_MORE;
}

static enum rfc5322_read
skip_mbox_line(struct rfc5322_reader *r, const char **p, const char *end, struct verdict *why)
{
	const char *lf = memchr(*p, '\n', (size_t)(end - *p));
	const char *stop = lf != NULL ? lf + 1 : end;

	if (memchr(*p, '\0', (size_t)(stop - *p)) != NULL)
		return fail(r, why, "a NUL: this is binary data, not a message");
	*p = stop;
	if (lf != NULL) {
		r->line++;
		r->state = AT_LINE;
	}
	return RFC5322_READ_MORE;
}

static enum rfc5322_read
read_some(struct rfc5322_reader *r, const char **p, const char *end, struct verdict *why)
{
	switch ((enum reader_state)r->state) {
	case AT_LINE:
		return begin_line(r, p);
	case IN_NAME:
	case AFTER_NAME:
		return read_name(r, p, why);
	case IN_VALUE:
		return read_value(r, p, end, why);
	case IN_MBOX:
		return skip_mbox_line(r, p, end, why);
	case AT_END:
		return RFC5322_READ_END;
	case FAILED:
		break;
	}
	return fail(r, why, "this is no message");
}

static void
drop_yielded(struct rfc5322_reader *r)
{
	if (r->is_yielded)
		str_truncate(&r->raw, 0);
	r->is_yielded = false;
}

enum rfc5322_read
rfc5322_reader_feed(
    struct rfc5322_reader *reader, const char *in, size_t len, size_t *used, struct verdict *why)
{
	enum rfc5322_read result = RFC5322_READ_MORE;
	const char *p = in, *end = in + len;

	drop_yielded(reader);
	while (result == RFC5322_READ_MORE && p < end) {
		const char *before = p;

		result = read_some(reader, &p, end, why);
		reader->offset += (uint64_t)(p - before);
		if (result == RFC5322_READ_MORE && reader->offset > RFC5322_HEADER_MAX)
			result = fail(reader, why, "a header of more than 1 MiB");
	}
	*used = (size_t)(p - in);
	return result;
}

enum rfc5322_read
rfc5322_reader_finish(struct rfc5322_reader *reader)
{
	drop_yielded(reader);
	switch ((enum reader_state)reader->state) {
	case IN_NAME:
	case AFTER_NAME:
		reader->name_len = reader->raw.len;
		if (refuse_field(reader) == RFC5322_READ_END)
			return RFC5322_READ_END;
		break;
	case IN_VALUE:
		str_append_char(&reader->raw, '\n');
		reader->line++;
		reader->state = AT_LINE;
		return yield_field(reader);
	case AT_LINE:
		if (reader->raw.len > 0)
			return yield_field(reader);
		break;
	case FAILED:
		return RFC5322_READ_BAD;
	case IN_MBOX:
	case AT_END:
		break;
	}
	return reader->state == AT_END ? RFC5322_READ_END
				       : end_header(reader, RFC5322_ENDING_MESSAGE);
}
