#include "unit.h"

#include "proto/rfc5322_reader.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(row)   (sizeof(row) / sizeof((row)[0]))
#define OCTETS(text) text, sizeof(text) - 1

/* What came out: "line[name]value;" for each field, then the ending and what begins the body. */
struct seen {
	struct str fields;
	struct str body;
	enum rfc5322_read result;
	enum rfc5322_ending ending;
	uint64_t end; /* of the last field */
};

static void
seen_clear(struct seen *s)
{
	str_clear(&s->fields);
	str_clear(&s->body);
}

static void
note_field(struct seen *s, const struct rfc5322_field *f)
{
	assert_true(f->raw_len == (size_t)(f->value - f->raw) + f->value_len + 1);
	assert_int_equal(f->raw[f->raw_len - 1], '\n');
	assert_ptr_equal(f->name, f->raw);
	assert_true(f->offset >= s->end && f->length > 0);
	s->end = f->offset + f->length;
	str_appendf(&s->fields, "%u[%.*s]", f->line, (int)f->name_len, f->name);
	str_append(&s->fields, f->value, f->value_len);
	str_append_char(&s->fields, ';');
}

/* From a block of its own size. */
static void
feed(struct rfc5322_reader *r, struct seen *s, const char *in, size_t len)
{
	char *copy = malloc(len > 0 ? len : 1);
	size_t at = 0, used;
	struct verdict why = VERDICT_OK;

	memcpy(copy, in, len);
	while (at < len && s->result != RFC5322_READ_END && s->result != RFC5322_READ_BAD) {
		s->result = rfc5322_reader_feed(r, copy + at, len - at, &used, &why);
		at += used;
		assert_true(at <= len);
		if (s->result == RFC5322_READ_FIELD)
			note_field(s, &r->field);
		else if (s->result == RFC5322_READ_MORE)
			assert_int_equal(at, len);
		assert_int_equal(why.kind == FAIL_LOCAL, s->result == RFC5322_READ_BAD);
	}
	if (s->result != RFC5322_READ_BAD)
		str_append(&s->body, copy + at, len - at);
	free(copy);
}

static void
finish(struct rfc5322_reader *r, struct seen *s)
{
	while (s->result != RFC5322_READ_END && s->result != RFC5322_READ_BAD) {
		s->result = rfc5322_reader_finish(r);
		if (s->result == RFC5322_READ_FIELD)
			note_field(s, &r->field);
	}
	s->ending = r->ending;
	if (r->rest.len > 0) {
		struct str whole = r->rest;

		r->rest = (struct str)STR_INIT;
		str_append(&whole, str_text(&s->body), s->body.len);
		str_clear(&s->body);
		s->body = whole;
	}
}

static struct seen
read_cut(const char *in, size_t len, size_t a, size_t b)
{
	struct seen s = {.result = RFC5322_READ_MORE};
	struct rfc5322_reader r;

	rfc5322_reader_init(&r);
	feed(&r, &s, in, a);
	feed(&r, &s, in + a, b - a);
	feed(&r, &s, in + b, len - b);
	finish(&r, &s);
	rfc5322_reader_clear(&r);
	return s;
}

#define EMPTY   RFC5322_ENDING_EMPTY_LINE
#define NOFIELD RFC5322_ENDING_NO_FIELD
#define MESSAGE RFC5322_ENDING_MESSAGE
#define BAD     RFC5322_ENDING_NONE

static const struct {
	const char *in;
	size_t len;
	const char *fields;
	enum rfc5322_ending ending;
	const char *body;
} row[] = {
    {OCTETS("To: a\n\nbody\n"), "1[To] a;", EMPTY, "body\n"},
    {OCTETS("To: a\r\n\r\nbody\r\n"), "1[To] a;", EMPTY, "body\r\n"},
    {OCTETS("To: a\nCc: b\n c\n\td\nX: y\n\n"), "1[To] a;2[Cc] b\n c\n\td;5[X] y;", EMPTY, ""},
    {OCTETS("To: a\r\n b\r\nCc:\r\n"), "1[To] a\n b;3[Cc];", MESSAGE, ""},
    {OCTETS("To: a\r\r\n b\rc\r\n\r\r\n\rx"), "1[To] a\n bc;", EMPTY, "\rx"},
    {OCTETS("T\ro\r:\r a\n\r b\n\r\n"), "1[To] a\n b;", EMPTY, ""},
    {OCTETS("To: a"), "1[To] a;", MESSAGE, ""},
    {OCTETS("To:"), "1[To];", MESSAGE, ""},
    {OCTETS("To"), "", NOFIELD, "To"},
    {OCTETS("To \t"), "", NOFIELD, "To \t"},
    {OCTETS("To: a\nTo"), "1[To] a;", NOFIELD, "To"},
    {OCTETS("To: a\nTo\n"), "1[To] a;", NOFIELD, "To\n"},
    {OCTETS("Bcc : a\nBcc\t \t:b\n\n"), "1[Bcc] a;2[Bcc]b;", EMPTY, ""},
    {OCTETS("To: a\n \n b\n\n"), "1[To] a\n \n b;", EMPTY, ""},
    {OCTETS("To: a\n \n\n"), "1[To] a\n ;", EMPTY, ""},
    {OCTETS("From me Fri Nov 20 10:15:00 2026\nTo: a\n\n"), "2[To] a;", EMPTY, ""},
    {OCTETS("From me\n>From you\nTo: a\n\n"), "3[To] a;", EMPTY, ""},
    {OCTETS("From \nTo: a\n\n"), "2[To] a;", EMPTY, ""},
    {OCTETS("From me"), "", MESSAGE, ""},
    {OCTETS("From : me\n\n"), "1[From] me;", EMPTY, ""},
    {OCTETS("From\n\n"), "", NOFIELD, "From\n\n"},
    {OCTETS("To: a\nFrom me\nBcc: b\n\n"), "1[To] a;", NOFIELD, "From me\nBcc: b\n\n"},
    {OCTETS("\xef\xbb\xbfTo: a\n\n"), "1[To] a;", EMPTY, ""},
    {OCTETS("\xef\xbb\xbf"
	    "From me\nTo: a\n\n"),
	"2[To] a;", EMPTY, ""},
    {OCTETS("\xef\xbb\xbf\n"), "", EMPTY, ""},
    {OCTETS("Gr\xc3\xb6\xc3\x9f"
	    "e: 1\nBcc: b\n\n"),
	"1[Gr\xc3\xb6\xc3\x9f"
	"e] 1;2[Bcc] b;",
	EMPTY, ""},
    {OCTETS("To: \xff\x01\n\n"), "1[To] \xff\x01;", EMPTY, ""},
    {OCTETS("X\x01: a\n\n"), "", NOFIELD, "X\x01: a\n\n"},
    {OCTETS(""), "", MESSAGE, ""},
    {OCTETS("\n"), "", EMPTY, ""},
    {OCTETS("\r\nTo: a\n"), "", EMPTY, "To: a\n"},
    {OCTETS(" To: a\n"), "", NOFIELD, " To: a\n"},
    {OCTETS(": a\n"), "", NOFIELD, ": a\n"},
    {OCTETS("hello world\n"), "", NOFIELD, "hello world\n"},
    {OCTETS("To: a\nhello world\n"), "1[To] a;", NOFIELD, "hello world\n"},
    {OCTETS("To: a\nhello: world\nyes\n"), "1[To] a;2[hello] world;", NOFIELD, "yes\n"},
    {OCTETS("To: a\0\n\n"), "", BAD, ""},
    {OCTETS("To\0: a\n\n"), "", BAD, ""},
    {OCTETS("To: a\n\0\n"), "1[To] a;", BAD, ""},
    {OCTETS("From \0\nTo: a\n"), "", BAD, ""},
    {OCTETS("To: a\n\n\0"), "1[To] a;", EMPTY, ""},
};

static void
reads_headers_cut_anywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		for (size_t a = 0; a <= row[i].len; a++) {
			for (size_t b = a; b <= row[i].len; b++) {
				struct seen s = read_cut(row[i].in, row[i].len, a, b);

				assert_string_equal(str_text(&s.fields), row[i].fields);
				assert_int_equal(s.ending, row[i].ending);
				assert_int_equal(
				    s.result == RFC5322_READ_BAD, row[i].ending == BAD);
				if (row[i].ending != BAD)
					assert_string_equal(str_text(&s.body), row[i].body);
				seen_clear(&s);
			}
		}
	}
}

static void
reads_headers_octet_by_octet(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct seen s = {.result = RFC5322_READ_MORE};
		struct rfc5322_reader r;

		rfc5322_reader_init(&r);
		for (size_t n = 0; n < row[i].len; n++)
			feed(&r, &s, row[i].in + n, 1);
		finish(&r, &s);
		assert_string_equal(str_text(&s.fields), row[i].fields);
		rfc5322_reader_clear(&r);
		seen_clear(&s);
	}
}

static void
tells_where_fields_are(void **state)
{
	static const char text[] = "From me\r\nTo: a\r\n b\r\nCc: c\r\n\r\nbody";
	struct verdict why;
	struct rfc5322_reader r;
	size_t used;

	(void)state;
	rfc5322_reader_init(&r);
	assert_int_equal(
	    rfc5322_reader_feed(&r, text, strlen(text), &used, &why), RFC5322_READ_FIELD);
	assert_int_equal(r.field.offset, 9);
	assert_int_equal(r.field.length, 11);
	assert_int_equal(r.field.kind, RFC5322_TO);
	assert_int_equal(used, 20);
	rfc5322_reader_clear(&r);
}

/* One field of the given size, and how much of the header came before it. */
static enum rfc5322_read
read_large(size_t before, size_t size, size_t piece)
{
	struct seen s = {.result = RFC5322_READ_MORE};
	struct rfc5322_reader r;
	struct str text = STR_INIT;
	enum rfc5322_read result;

	while (text.len < before)
		str_append_text(&text, "X: 12345\n");
	str_append_text(&text, "Y:\n");
	for (size_t i = 3; i < size; i++)
		str_append_char(&text, i % 64 == 63 ? '\n' : ' ');
	str_append_text(&text, "\n");
	rfc5322_reader_init(&r);
	for (size_t at = 0; at < text.len; at += piece)
		feed(&r, &s, text.data + at, at + piece < text.len ? piece : text.len - at);
	finish(&r, &s);
	result = s.result;
	rfc5322_reader_clear(&r);
	seen_clear(&s);
	str_clear(&text);
	return result;
}

static void
refuses_what_is_too_large(void **state)
{
	static const size_t pieces[] = {1000, 65536, 4 * 1024 * 1024};

	(void)state;
	for (size_t i = 0; i < COUNT(pieces); i++) {
		assert_int_equal(read_large(0, RFC5322_FIELD_MAX - 2, pieces[i]), RFC5322_READ_END);
		assert_int_equal(
		    read_large(0, RFC5322_FIELD_MAX + 64, pieces[i]), RFC5322_READ_BAD);
		assert_int_equal(
		    read_large(RFC5322_HEADER_MAX - 70000, 65536, pieces[i]), RFC5322_READ_END);
		assert_int_equal(
		    read_large(RFC5322_HEADER_MAX - 60000, 65536, pieces[i]), RFC5322_READ_BAD);
	}
}

/* A line without a colon is body long before it ends. */
static void
knows_early_what_is_no_field(void **state)
{
	struct rfc5322_reader r;
	struct verdict why;
	char line[RFC5322_NAME_MAX + 10];
	size_t used;

	(void)state;
	memset(line, 'x', sizeof line);
	rfc5322_reader_init(&r);
	assert_int_equal(rfc5322_reader_feed(&r, line, sizeof line, &used, &why), RFC5322_READ_END);
	assert_int_equal(r.ending, RFC5322_ENDING_NO_FIELD);
	assert_int_equal(r.rest.len, used);
	assert_int_equal(used, RFC5322_NAME_MAX);
	rfc5322_reader_clear(&r);
}

static void
knows_names(void **state)
{
	static const struct {
		const char *name;
		enum rfc5322_field_kind kind;
	} name[] = {{"from", RFC5322_FROM}, {"BCC", RFC5322_BCC}, {"Bc", RFC5322_OTHER},
	    {"Bccc", RFC5322_OTHER}, {"message-id", RFC5322_MESSAGE_ID},
	    {"Resent-Bcc", RFC5322_RESENT_BCC}, {"resent-foo", RFC5322_RESENT_OTHER},
	    {"Resent", RFC5322_OTHER}, {"x-POSTRIDER-sender", RFC5322_STEER_SENDER},
	    {"X-Postrider-", RFC5322_STEER_OTHER}, {"X-Postrider", RFC5322_OTHER},
	    {"X-Postrider-Senders", RFC5322_STEER_OTHER}, {"", RFC5322_OTHER}};

	(void)state;
	for (size_t i = 0; i < COUNT(name); i++)
		assert_int_equal(
		    rfc5322_field_kind(name[i].name, strlen(name[i].name)), name[i].kind);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_headers_cut_anywhere),
	    cmocka_unit_test(reads_headers_octet_by_octet),
	    cmocka_unit_test(tells_where_fields_are),
	    cmocka_unit_test(refuses_what_is_too_large),
	    cmocka_unit_test(knows_early_what_is_no_field),
	    cmocka_unit_test(knows_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
