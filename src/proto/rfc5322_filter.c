#include "proto/rfc5322_filter.h"

void
rfc5322_filter_init(struct rfc5322_filter *filter, const struct rfc5322_rewrite *rewrite)
{
	*filter = (struct rfc5322_filter){.rewrite = *rewrite};
	rfc5322_reader_init(&filter->reader);
}

void
rfc5322_filter_clear(struct rfc5322_filter *filter)
{
	rfc5322_reader_clear(&filter->reader);
	*filter = (struct rfc5322_filter){0};
}

static void
pass_field(struct rfc5322_filter *f, struct str *out)
{
	const struct rfc5322_field *field = &f->reader.field;

	f->has_date |= field->kind == RFC5322_DATE;
	f->has_message_id |= field->kind == RFC5322_MESSAGE_ID;
	f->has_from |= field->kind == RFC5322_FROM;
	rfc5322_rewrite_field(&f->rewrite, field, out);
}

static void
add_field(const char *name, const char *value, struct str *out)
{
	if (value != NULL)
		str_appendf(out, "%s: %s\r\n", name, value);
}

static void
pass_body(struct rfc5322_filter *f, const char *in, size_t len, struct str *out)
{
	size_t before = out->len;

	rfc5322_rewrite_lines(in, len, out);
	if (out->len > before)
		f->is_line_open = out->data[out->len - 1] != '\n';
}

/* What the header lacks, and its separator, unless the message ends with its header. */
static void
end_header(struct rfc5322_filter *f, struct str *out)
{
	const struct rfc5322_rewrite *r = &f->rewrite;

	f->in_body = true;
	add_field("Date", f->has_date ? NULL : r->date, out);
	add_field("Message-ID", f->has_message_id ? NULL : r->message_id, out);
	add_field("From",
	    f->has_from              ? NULL
	    : r->header_from != NULL ? r->header_from
				     : r->from,
	    out);
	if (f->reader.ending != RFC5322_ENDING_MESSAGE)
		str_append(out, "\r\n", 2);
	pass_body(f, str_text(&f->reader.rest), f->reader.rest.len, out);
}

bool
rfc5322_filter_feed(
    struct rfc5322_filter *filter, const char *in, size_t len, struct str *out, struct verdict *why)
{
	size_t before = out->len;

	while (len > 0 && !filter->in_body) {
		size_t used;
		enum rfc5322_read result =
		    rfc5322_reader_feed(&filter->reader, in, len, &used, why);

		in += used;
		len -= used;
		if (result == RFC5322_READ_FIELD)
			pass_field(filter, out);
		else if (result == RFC5322_READ_END)
			end_header(filter, out);
		else if (result == RFC5322_READ_BAD)
			return false;
	}
	pass_body(filter, in, len, out);
	filter->octets += out->len - before;
	return true;
}

void
rfc5322_filter_finish(struct rfc5322_filter *filter, struct str *out)
{
	enum rfc5322_read result = RFC5322_READ_FIELD;
	size_t before = out->len;

	while (!filter->in_body && result == RFC5322_READ_FIELD) {
		result = rfc5322_reader_finish(&filter->reader);
		if (result == RFC5322_READ_FIELD)
			pass_field(filter, out);
		else if (result == RFC5322_READ_END)
			end_header(filter, out);
	}
	if (filter->is_line_open)
		str_append(out, "\r\n", 2);
	filter->is_line_open = false;
	filter->octets += out->len - before;
}
