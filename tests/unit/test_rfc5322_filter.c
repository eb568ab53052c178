#include "unit.h"

#include "proto/rfc5322_filter.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(row)   (sizeof(row) / sizeof((row)[0]))
#define OCTETS(text) text, sizeof(text) - 1

/* From a block of its own size. */
static bool
feed(struct rfc5322_filter *f, const char *in, size_t len, struct str *out)
{
	char *copy = malloc(len > 0 ? len : 1);
	struct verdict why = VERDICT_OK;
	bool good;

	memcpy(copy, in, len);
	good = rfc5322_filter_feed(f, copy, len, out, &why);
	assert_int_equal(why.kind, good ? FAIL_NONE : FAIL_LOCAL);
	free(copy);
	return good;
}

static bool
filter(const struct rfc5322_rewrite *rewrite, const char *in, size_t len, size_t a, size_t b,
    struct str *out)
{
	struct rfc5322_filter f;
	bool good;

	rfc5322_filter_init(&f, rewrite);
	good =
	    feed(&f, in, a, out) && feed(&f, in + a, b - a, out) && feed(&f, in + b, len - b, out);
	if (good) {
		rfc5322_filter_finish(&f, out);
		assert_int_equal(f.octets, out->len);
	}
	rfc5322_filter_clear(&f);
	return good;
}

static const struct rfc5322_rewrite plain = {0};
static const struct rfc5322_rewrite complete = {.date = "D", .message_id = "<m@h>"};
static const struct rfc5322_rewrite with_from = {.from = "me@h"};
static const struct rfc5322_rewrite replace = {.header_from = "new@h"};
static const struct rfc5322_rewrite local = {.local_domain = "h"};
static const struct rfc5322_rewrite everything = {.date = "D",
    .message_id = "<m@h>",
    .from = "me@h",
    .header_from = "new@h",
    .local_domain = "h"};

static const struct {
	const struct rfc5322_rewrite *rewrite;
	const char *in;
	size_t len;
	const char *out; /* NULL: refused */
	size_t out_len;
} row[] = {
    /* Line ends. */
    {&plain, OCTETS("A: b\n\nx\ny\n"), OCTETS("A: b\r\n\r\nx\r\ny\r\n")},
    {&plain, OCTETS("A: b\r\n\r\nx\r\ny\r\n"), OCTETS("A: b\r\n\r\nx\r\ny\r\n")},
    {&plain, OCTETS("A: b\n\nx"), OCTETS("A: b\r\n\r\nx\r\n")},
    {&plain, OCTETS("A: b\n\nx\r"), OCTETS("A: b\r\n\r\nx\r\n")},
    {&plain, OCTETS("A: b\n\nx\n\r"), OCTETS("A: b\r\n\r\nx\r\n")},
    {&plain, OCTETS("A: b\n\n\r"), OCTETS("A: b\r\n\r\n")},
    {&plain, OCTETS("A: \rb\r\r\n\r\n\r\rx\ry\r\r\n"), OCTETS("A: b\r\n\r\nxy\r\n")},
    {&plain, OCTETS("A: b\n\n\n\n.\n"), OCTETS("A: b\r\n\r\n\r\n\r\n.\r\n")},
    {&plain, OCTETS("A: b\n\n\0\xff\n"), OCTETS("A: b\r\n\r\n\0\xff\r\n")},
    {&plain, OCTETS("A: b"), OCTETS("A: b\r\n")},
    {&plain, OCTETS("A: b\n"), OCTETS("A: b\r\n")},
    {&plain, OCTETS("A: b\n\n"), OCTETS("A: b\r\n\r\n")},
    {&plain, OCTETS(""), OCTETS("")},
    {&plain, OCTETS("\n"), OCTETS("\r\n")},
    {&plain, OCTETS("A: b\0\n\n"), NULL, 0},
    /* Nothing else of a field is touched. */
    {&plain, OCTETS("a :  \t b \n\tc  \n \nD:\n\n"),
	OCTETS("a :  \t b \r\n\tc  \r\n \r\nD:\r\n\r\n")},
    {&plain, OCTETS("To: root, a@b\nFrom: x\n\n"), OCTETS("To: root, a@b\r\nFrom: x\r\n\r\n")},
    /* What never leaves the machine. */
    {&plain, OCTETS("A: b\nBcc: c@d,\n e@f\n\tg@h\nC: d\n\nBcc: x\n"),
	OCTETS("A: b\r\nC: d\r\n\r\nBcc: x\r\n")},
    {&plain,
	OCTETS("bCC : x\nResent-Bcc: x\nReturn-Path: <x>\nX-Postrider-Foo: 1\n 2\n"
	       "Received: y\nBcc:x\nx-postrider-sender: z\nResent-BCC\t:\n\nx"),
	OCTETS("Received: y\r\n\r\nx\r\n")},
    {&plain, OCTETS("B\rcc: c@d\n\rBcc: x\nA: b\n\n"), OCTETS("A: b\r\n\r\n")},
    {&plain, OCTETS("Bccc: x\nX-Postrider: 1\n\n"), OCTETS("Bccc: x\r\nX-Postrider: 1\r\n\r\n")},
    {&plain, OCTETS("From me Fri\n>From you\nA: b\n\nFrom me\n"),
	OCTETS("A: b\r\n\r\nFrom me\r\n")},
    {&plain,
	OCTETS("\xef\xbb\xbf"
	       "Bcc: x\nA: b\n\n"),
	OCTETS("A: b\r\n\r\n")},
    {&plain, OCTETS("Bcc: x"), OCTETS("")},
    /* Where the header ends without an empty line. */
    {&plain, OCTETS("A: b\nhello\nBcc: x\n"), OCTETS("A: b\r\n\r\nhello\r\nBcc: x\r\n")},
    {&plain, OCTETS("A: b\nhel\rlo"), OCTETS("A: b\r\n\r\nhello\r\n")},
    {&plain, OCTETS("hello world\n"), OCTETS("\r\nhello world\r\n")},
    {&plain, OCTETS(" hello\n"), OCTETS("\r\n hello\r\n")},
    /* What is added. */
    {&complete, OCTETS("A: b\n\nx\n"), OCTETS("A: b\r\nDate: D\r\nMessage-ID: <m@h>\r\n\r\nx\r\n")},
    {&complete, OCTETS("A: b\nx\n"), OCTETS("A: b\r\nDate: D\r\nMessage-ID: <m@h>\r\n\r\nx\r\n")},
    {&complete, OCTETS("A: b"), OCTETS("A: b\r\nDate: D\r\nMessage-ID: <m@h>\r\n")},
    {&complete, OCTETS("date: E\nA: b\n\n"),
	OCTETS("date: E\r\nA: b\r\nMessage-ID: <m@h>\r\n\r\n")},
    {&complete, OCTETS("MESSAGE-ID : i\n\n"), OCTETS("MESSAGE-ID : i\r\nDate: D\r\n\r\n")},
    {&complete, OCTETS("Resent-Date: E\nResent-Message-ID: i\n\n"),
	OCTETS("Resent-Date: E\r\nResent-Message-ID: i\r\nDate: D\r\nMessage-ID: <m@h>\r\n\r\n")},
    {&with_from, OCTETS("A: b\n\n"), OCTETS("A: b\r\nFrom: me@h\r\n\r\n")},
    {&with_from, OCTETS("from: b\n\n"), OCTETS("from: b\r\n\r\n")},
    /* header_from. */
    {&replace, OCTETS("From: old@x\n\n"), OCTETS("From: new@h\r\n\r\n")},
    {&replace, OCTETS("From: A B <old@x>\n\n"), OCTETS("From: A B <new@h>\r\n\r\n")},
    {&replace, OCTETS("From : \"A,\n B\" (x) <old@x> (y)\n\n"),
	OCTETS("From : \"A,\r\n B\" <new@h>\r\n\r\n")},
    {&replace, OCTETS("From: =?utf-8?Q?a?=\n =?utf-8?Q?b?= <old@x>\n\n"),
	OCTETS("From: =?utf-8?Q?a?=\r\n =?utf-8?Q?b?= <new@h>\r\n\r\n")},
    {&replace, OCTETS("From: A <old@x>, B <c@d>\n\n"), OCTETS("From: A <new@h>\r\n\r\n")},
    {&replace, OCTETS("From: A <New@H> (same)\n\n"), OCTETS("From: A <New@H> (same)\r\n\r\n")},
    {&replace, OCTETS("From: A <new@h>, b@c\n\n"), OCTETS("From: A <new@h>\r\n\r\n")},
    {&replace, OCTETS("From: un readable\n\n"), OCTETS("From: new@h\r\n\r\n")},
    {&replace, OCTETS("From:\n\n"), OCTETS("From: new@h\r\n\r\n")},
    {&replace, OCTETS("A: b\n\n"), OCTETS("A: b\r\nFrom: new@h\r\n\r\n")},
    {&replace, OCTETS("Resent-From: a@b\nSender: c@d\nFrom: e@f\n\n"),
	OCTETS("Resent-From: a@b\r\nSender: c@d\r\nFrom: new@h\r\n\r\n")},
    /* A local domain. */
    {&local, OCTETS("From: root (Charlie Root)\n\n"),
	OCTETS("From: root@h (Charlie Root)\r\n\r\n")},
    {&local, OCTETS("To: a,b@c , \"d e\"\n\t,F <g>,(x)i.j(y)\n\n"),
	OCTETS("To: a@h,b@c , \"d e\"@h\r\n\t,F <g@h>,(x)i.j@h(y)\r\n\r\n")},
    {&local, OCTETS("To: G: a, b@c;, d\nCc: nobody:;\n\n"),
	OCTETS("To: G: a@h, b@c;, d@h\r\nCc: nobody:;\r\n\r\n")},
    {&local, OCTETS("To: a, un readable\n\n"), OCTETS("To: a, un readable\r\n\r\n")},
    {&local,
	OCTETS("Sender: a\nReply-To: b\nCc: c\nResent-To: d\nResent-From: e\nBcc: f\n"
	       "Subject: g\n\n"),
	OCTETS("Sender: a@h\r\nReply-To: b@h\r\nCc: c@h\r\nResent-To: d@h\r\nResent-From: e@h\r\n"
	       "Subject: g\r\n\r\n")},
    {&local, OCTETS("From: <>\n\n"), OCTETS("From: <>\r\n\r\n")},
    {&everything, OCTETS("To: a\n\n"),
	OCTETS("To: a@h\r\nDate: D\r\nMessage-ID: <m@h>\r\nFrom: new@h\r\n\r\n")},
};

static void
filters_cut_anywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		for (size_t a = 0; a <= row[i].len; a++) {
			for (size_t b = a; b <= row[i].len; b++) {
				struct str out = STR_INIT;
				bool good =
				    filter(row[i].rewrite, row[i].in, row[i].len, a, b, &out);

				assert_int_equal(good, row[i].out != NULL);
				if (good) {
					assert_string_equal(str_text(&out), row[i].out);
					assert_int_equal(out.len, row[i].out_len);
					assert_memory_equal(str_text(&out), row[i].out, out.len);
				}
				str_clear(&out);
			}
		}
	}
}

static void
filters_octet_by_octet(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct str out = STR_INIT;
		struct rfc5322_filter f;
		bool good = true;

		rfc5322_filter_init(&f, row[i].rewrite);
		for (size_t n = 0; good && n < row[i].len; n++)
			good = feed(&f, row[i].in + n, 1, &out);
		if (good) {
			rfc5322_filter_finish(&f, &out);
			assert_string_equal(str_text(&out), row[i].out);
		}
		assert_int_equal(good, row[i].out != NULL);
		rfc5322_filter_clear(&f);
		str_clear(&out);
	}
}

/* What went out once goes out again unchanged: a message that was taken from a Sent folder. */
static void
leaves_its_own_output_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct str once = STR_INIT, twice = STR_INIT;

		if (row[i].out != NULL &&
		    filter(row[i].rewrite, row[i].out, row[i].out_len, 0, 0, &once)) {
			filter(row[i].rewrite, str_text(&once), once.len, 0, 0, &twice);
			assert_int_equal(twice.len, once.len);
			assert_memory_equal(str_text(&twice), str_text(&once), once.len);
		}
		str_clear(&once);
		str_clear(&twice);
	}
}

/* A field of bare addresses does not grow beyond what a header may be. */
static void
bounds_completion(void **state)
{
	static const struct rfc5322_rewrite far = {.local_domain = "a.rather.long.domain.example"};
	struct str in = STR_INIT, out = STR_INIT;

	(void)state;
	str_append_text(&in, "Reply-To: x");
	while (in.len < RFC5322_FIELD_MAX - 1000)
		str_append_text(&in, ",x");
	str_append_text(&in, "\n\n");
	assert_true(filter(&far, str_text(&in), in.len, 5, 70000, &out));
	assert_int_equal(out.len, in.len + 2);
	str_clear(&in);
	str_clear(&out);
}

/* The memory of the filter is that of one field, whatever the message's size. */
static void
keeps_no_body(void **state)
{
	struct rfc5322_filter f;
	struct str out = STR_INIT;
	char piece[65536];
	uint64_t total = 0;

	(void)state;
	memset(piece, 'x', sizeof piece);
	rfc5322_filter_init(&f, &plain);
	assert_true(feed(&f, "A: b\n\n", 6, &out));
	for (int i = 0; i < 200; i++) {
		str_truncate(&out, 0);
		piece[i] = '\n';
		assert_true(feed(&f, piece, sizeof piece, &out));
		total += out.len;
	}
	assert_true(f.reader.raw.cap < 1024 && f.reader.rest.cap < 1024);
	assert_int_equal(f.octets, total + 8);
	rfc5322_filter_clear(&f);
	str_clear(&out);
}

static void
writes_message_ids(void **state)
{
	static const struct {
		const char *host, *out;
	} sample[] = {
	    {"Host.Example", "<20261120101500.00000000deadbeef@host.example>"},
	    {"b\xc3\xbc"
	     "cher.example",
		"<20261120101500.00000000deadbeef@xn--bcher-kva.example>"},
	    {"a host", "<20261120101500.00000000deadbeef@localhost>"},
	    {"", "<20261120101500.00000000deadbeef@localhost>"},
	    {NULL, "<20261120101500.00000000deadbeef@localhost>"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(sample); i++) {
		char *id =
		    rfc5322_rewrite_message_id(INT64_C(1795169700123), 0xdeadbeef, sample[i].host);

		assert_string_equal(id, sample[i].out);
		free(id);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(filters_cut_anywhere),
	    cmocka_unit_test(filters_octet_by_octet),
	    cmocka_unit_test(leaves_its_own_output_alone),
	    cmocka_unit_test(bounds_completion),
	    cmocka_unit_test(keeps_no_body),
	    cmocka_unit_test(writes_message_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
