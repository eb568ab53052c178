#include "unit.h"

#include "base/clock.h"
#include "proto/rfc5322_envelope.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(row) (sizeof(row) / sizeof((row)[0]))

static void
write_address(const char *label, const struct rfc5322_address *a, struct str *out)
{
	if (a->local == NULL)
		return;
	str_appendf(out, "%s=%s", label, a->is_null ? "<>" : "");
	rfc5322_address_append(a, out);
	str_append_char(out, ' ');
}

/* "account=… from=… sender=… to=a,b …" with what is there. */
static void
write_request(const struct envelope_request *r, struct str *out)
{
	char date[CLOCK_RFC3339_SIZE];

	if (r->account != NULL)
		str_appendf(out, "account=%s ", r->account);
	write_address("from", &r->from, out);
	write_address(r->sender_is_steered ? "SENDER" : "sender", &r->sender, out);
	str_append_text(out, r->recipients_are_steered ? "TO" : r->is_resent ? "resent" : "to");
	for (size_t i = 0; i < r->recipient_count; i++) {
		str_append_char(out, i == 0 ? '=' : ',');
		rfc5322_address_append(&r->recipients[i], out);
	}
	if (r->not_before != 0)
		str_appendf(out, " at=%s", clock_rfc3339(r->not_before, date));
	if (r->unknown_steering != NULL)
		str_appendf(out, " unknown=%s", r->unknown_steering);
}

/* Fed in three pieces, each from a block of its own size. */
static bool
scan(const char *text, size_t len, size_t a, size_t b, const char *local,
    struct envelope_request *request, struct verdict *why)
{
	size_t cuts[] = {0, a, b, len};
	struct rfc5322_envelope e;
	bool good;

	rfc5322_envelope_init(&e, local);
	for (int i = 0; i < 3; i++) {
		size_t n = cuts[i + 1] - cuts[i];
		char *piece = malloc(n > 0 ? n : 1);

		memcpy(piece, text + cuts[i], n);
		rfc5322_envelope_feed(&e, piece, n);
		free(piece);
	}
	good = rfc5322_envelope_finish(&e, request, why);
	rfc5322_envelope_clear(&e);
	return good;
}

static void
scan_text(const char *text, size_t len, size_t a, size_t b, const char *local, struct str *out)
{
	struct envelope_request request;
	struct verdict why = VERDICT_OK;

	if (scan(text, len, a, b, local, &request, &why)) {
		assert_true(request.recipient_count > 0);
		write_request(&request, out);
	} else {
		assert_int_equal(why.kind, FAIL_LOCAL);
		assert_null(request.recipients);
		str_appendf(out, "!%s", why.text);
	}
	envelope_request_clear(&request);
}

static const struct {
	const char *in;
	const char *out;
	const char *local;
} row[] = {
    {"From: a@x\nTo: b@y\n\nbody", "from=a@x sender=a@x to=b@y", NULL},
    {"From: A <a@x>, c@x\nSender: s@x\nTo: b@y\nCc: c@y, B <b@Y>\nBcc: d@y\n\n",
	"from=a@x sender=s@x to=b@y,c@y,d@y", NULL},
    {"To: b@y\nTo: c@y\nTo: b@Y\n\n", "to=b@y,c@y", NULL},
    {"To: b@y, B@y\n\n", "to=b@y,B@y", NULL},
    {"To: \"b\"@y, b@y\n\n", "to=b@y", NULL},
    {"To: u@b\xc3\xbc"
     "cher.example, u@xn--bcher-kva.example, u@XN--Bcher-kva.example\n\n",
	"to=u@b\xc3\xbc"
	"cher.example",
	NULL},
    {"Bcc: only@y\n\n", "to=only@y", NULL},
    {"From: a@x\nTo: friends: b@y, c@y;\nCc: nobody:;\n\n", "from=a@x sender=a@x to=b@y,c@y", NULL},
    {"From: <>\nFrom: a@x\nTo: b@y\n\n", "from=a@x sender=a@x to=b@y", NULL},
    {"From: <>\nTo: b@y\n\n", "to=b@y", NULL},
    {"From: group: a@x;\nTo: b@y\n\n", "from=a@x sender=a@x to=b@y", NULL},
    {"From: nobody:;\nTo: b@y\n\n", "to=b@y", NULL},
    {"From: a@x, broken(\nTo: b@y\n\n", "from=a@x sender=a@x to=b@y", NULL},
    {"From: a@x broken(\nTo: b@y\n\n",
	"!line 1, From: a@x broken(: a comment \"(\" without its \")\"", NULL},
    {"From: a@x, bro ken\nTo: b@y\n\n", "from=a@x sender=a@x to=b@y", NULL},
    {"From: broken name\nSender: s@x\nTo: b@y\n\n",
	"!line 1, From: broken name: no address, or a comma is missing", NULL},
    {"From: broken name\nX-Postrider-Account: p\nSender: s@x\nTo: b@y\n\n",
	"account=p sender=s@x to=b@y", NULL},
    {"From: My Site\nX-Postrider-Sender: s@x\nTo: b@y\n\n", "SENDER=s@x to=b@y", NULL},
    {"From: a@x\nSender: broken name\nTo: b@y\n\n",
	"!line 2, Sender: broken name: no address, or a comma is missing", NULL},
    {"X-Postrider-Sender: <>\nFrom: a@x\nSender: broken name\nTo: b@y\n\n",
	"from=a@x SENDER=<> to=b@y", NULL},
    {"From: root\nTo: b@y\n\n", "to=b@y", NULL},
    {"From: root (Cron)\nTo: ops, b@y\n\n",
	"from=root@h.example sender=root@h.example "
	"to=ops@h.example,b@y",
	"H.Example"},
    {"From: a@x\nTo: root\n\n", "!line 2, To: root: has no domain", NULL},
    {"To: root, root@h.example, ROOT@H.example\n\n", "to=root@h.example,ROOT@h.example",
	"h.example"},
    {"From: a@x\nTo: b@y, <>\n\n", "!line 2, To: <> is nobody's address", NULL},
    {"From: a@x\nTo: b@y\nCc: b@ y z\n\n", "!line 3, Cc: z: neither a comma before it nor a domain",
	NULL},
    {"From: a@x\n\nTo: b@y\n", "!no recipients in To, Cc or Bcc", NULL},
    {"From: a@x\nTo: nobody:;\n\n", "!no recipients in To, Cc or Bcc", NULL},
    {"", "!no header: this is no message", NULL},
    {"\n\nbody", "!no header: this is no message", NULL},
    {"hello\n", "!line 1: begins no header field: this is no message", NULL},
    {"From me\nhello\n", "!line 2: begins no header field: this is no message", NULL},
    {"From me Fri Nov 20 10:15:00 2026\r\nFrom: a@x\r\nTo: b@y\r\n\r\n",
	"from=a@x sender=a@x to=b@y", NULL},
    {"Bcc : b@y\nBcc\t:c@y\n\n", "to=b@y,c@y", NULL},
    {"To: b@y\nno field here\nBcc: c@y\n\n", "to=b@y", NULL},
    /* Steering. */
    {"X-Postrider-Account:  work \nFrom: a@x\nTo: b@y\n\n",
	"account=work from=a@x sender=a@x to=b@y", NULL},
    {"X-Postrider-Account:\n one\nX-Postrider-Account: two\nTo: b@y\n\n", "account=one to=b@y",
	NULL},
    {"From: a@x\nX-Postrider-Sender: Me <v@z>\nX-Postrider-Sender: w@z\nTo: b@y\n\n",
	"from=a@x SENDER=v@z to=b@y", NULL},
    {"From: a@x\nx-postrider-sender: <>\nTo: b@y\n\n", "from=a@x SENDER=<> to=b@y", NULL},
    {"X-Postrider-Sender: root\nTo: b@y\n\n", "SENDER=root@h to=b@y", "h"},
    {"X-Postrider-Sender: root\nTo: b@y\n\n",
	"!line 1, X-Postrider-Sender: an address without a domain", NULL},
    {"X-Postrider-Sender:\nTo: b@y\n\n",
	"!line 1, X-Postrider-Sender: no address; the null sender is <>", NULL},
    {"X-Postrider-Sender: a@x, b@x\nTo: b@y\n\n",
	"!line 1, X-Postrider-Sender: more than one address", NULL},
    {"X-Postrider-Sender: a b\nTo: b@y\n\n",
	"!line 1, X-Postrider-Sender: a b: no address, or a comma is missing", NULL},
    {"From: a@x\nTo: broken name\nX-Postrider-Recipient: r@z\nX-Postrider-Recipient: s@z, r@Z\n\n",
	"from=a@x sender=a@x TO=r@z,s@z", NULL},
    {"To: b@y\nX-Postrider-Recipient:\n\n", "!no recipients in X-Postrider-Recipient", NULL},
    {"To: b@y\nX-Postrider-Not-Before: Fri, 20 Nov 2026 11:15:00 +0100\n\n",
	"to=b@y at=2026-11-20T10:15:00.000Z", NULL},
    {"To: b@y\nX-Postrider-Not-Before: 2026-11-20T10:15:00.5Z\n\n",
	"to=b@y at=2026-11-20T10:15:00.500Z", NULL},
    {"To: b@y\nX-Postrider-Not-Before: tomorrow\n\n",
	"!line 2, X-Postrider-Not-Before: no date of RFC 5322 or RFC 3339, with a zone", NULL},
    {"X-Postrider-Recipients: r@z\nTo: b@y\nX-Postrider-Foo: 1\n\n",
	"to=b@y unknown=X-Postrider-Recipients", NULL},
    {"Received: x\nX-Postrider-Sender: <>\nX-Postrider-Account: a\nX-Postrider-Recipient: r@z\n"
     "X-Postrider-Not-Before: never\nX-Postrider-Foo: 1\nFrom: a@x\nTo: b@y\n\n",
	"from=a@x sender=a@x to=b@y", NULL},
    {"X-Postrider-Account: p\nReturn-Path: <r@z>\nX-Postrider-Sender: <>\nFrom: a@x\nTo: b@y\n\n",
	"account=p from=a@x sender=a@x to=b@y", NULL},
    /* Resent blocks. */
    {"Resent-From: r@x\nResent-To: t@y\nReceived: x\nFrom: a@z\nTo: b@z\nBcc: c@z\n\n",
	"from=r@x sender=r@x resent=t@y", NULL},
    {"Resent-From: r@x\nResent-Sender: s@x\nResent-To: t@y\nResent-Cc: u@y\nResent-Bcc: v@y, T@y\n"
     "Sender: no@z\nFrom: a@z\nTo: b@z\n\n",
	"from=r@x sender=s@x resent=t@y,u@y,v@y,T@y", NULL},
    {"Received: x\nResent-From: r@x\nResent-To: t@y\nFrom: a@z\nTo: b@z\n\n",
	"from=a@z sender=a@z to=b@z", NULL},
    {"Return-Path: <x@y>\nResent-To: t@y\nFrom: a@z\nTo: b@z\n\n", "from=a@z sender=a@z to=b@z",
	NULL},
    {"Resent-From: r@x\nResent-To: t@y\nResent-Date: d\nResent-From: old@x\nResent-To: older@y\n"
     "Resent-Cc: oldest@y\nFrom: a@z\nTo: b@z\n\n",
	"from=r@x sender=r@x resent=t@y", NULL},
    {"Resent-From: r@x\nResent-To: t@y\nResent-To: u@y\nResent-Foo: 1\nFrom: a@z\nTo: b@z\n\n",
	"from=r@x sender=r@x resent=t@y,u@y", NULL},
    {"Resent-To: t@y\nX-Postrider-Account: p\nResent-Cc: u@y\nSubject: s\nResent-Bcc: no@y\n"
     "From: a@z\nTo: b@z\n\n",
	"account=p resent=t@y,u@y", NULL},
    {"Subject: s\nFrom: a@z\nResent-To: t@y\nTo: b@z\n\n", "resent=t@y", NULL},
    {"Resent-From: r@x\nFrom: a@z\nTo: b@z\n\n",
	"!no recipients in Resent-To, Resent-Cc or Resent-Bcc", NULL},
    {"Resent-From: r@x\nResent-To: t@y\nX-Postrider-Recipient: s@y\nFrom: a@z\nTo: b@z\n\n",
	"from=r@x sender=r@x TO=s@y", NULL},
    {"Resent-From: r@x\nReceived: x\nResent-To: t@y\nFrom: a@z\nTo: b@z\n\n",
	"!no recipients in Resent-To, Resent-Cc or Resent-Bcc", NULL},
};

static void
finds_envelopes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct str out = STR_INIT;
		size_t len = strlen(row[i].in);

		scan_text(row[i].in, len, len, len, row[i].local, &out);
		assert_string_equal(str_text(&out), row[i].out);
		str_clear(&out);
	}
}

static void
finds_envelopes_cut_anywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		size_t len = strlen(row[i].in);

		for (size_t a = 0; a <= len; a++) {
			struct str out = STR_INIT;

			scan_text(row[i].in, len, a, a + (len - a) / 3, row[i].local, &out);
			assert_string_equal(str_text(&out), row[i].out);
			str_clear(&out);
		}
	}
}

/* Whatever a file ends with, it is read without a step beyond its end. */
static void
reads_beginnings(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		for (size_t len = 0; len < strlen(row[i].in); len++) {
			struct str out = STR_INIT;

			scan_text(row[i].in, len, len / 2, len, row[i].local, &out);
			str_clear(&out);
		}
	}
}

enum fact {
	DATE = 1,
	ID = 2,
	FROM = 4,
	HEADER_8BIT = 8,
	HEADER_UTF8 = 16,
	BODY_8BIT = 32,
	BODY_NUL = 64
};

static const struct {
	const char *in;
	size_t len;
	unsigned facts;
	size_t longest;
	enum rfc5322_ending ending;
	unsigned lines;
} facts[] = {
#define OCTETS(text) text, sizeof(text) - 1
    {OCTETS("To: b@y\n\nbody\n"), 0, 7, RFC5322_ENDING_EMPTY_LINE, 2},
    {OCTETS("Date: d\r\nMessage-ID: <i@x>\r\nFrom: a@x\r\nTo: b@y\r\n\r\nx"), DATE | ID | FROM, 17,
	RFC5322_ENDING_EMPTY_LINE, 5},
    {OCTETS("To: b@y"), 0, 7, RFC5322_ENDING_MESSAGE, 1},
    {OCTETS("To: b@y\nno field\nmore"), 0, 8, RFC5322_ENDING_NO_FIELD, 1},
    {OCTETS("To: b@y\nGr\xc3\xbc\xc3\x9f"
	    "e\n"),
	BODY_8BIT, 7, RFC5322_ENDING_NO_FIELD, 1},
    {OCTETS("To: b@y\nSubject: \xc3\xbc\n\n"), HEADER_8BIT | HEADER_UTF8, 11,
	RFC5322_ENDING_EMPTY_LINE, 3},
    {OCTETS("To: b@y\nSubject: \xc3\xbc\nX: \xff\nY: \xc3\xbc\n\n"), HEADER_8BIT, 11,
	RFC5322_ENDING_EMPTY_LINE, 5},
    {OCTETS("To: b@y\nBcc: \xc3\xbc@a.very.long.domain\n\n"), 0, 7, RFC5322_ENDING_EMPTY_LINE, 3},
    {OCTETS("To: b@y\n\n\xfc\0"), BODY_8BIT | BODY_NUL, 7, RFC5322_ENDING_EMPTY_LINE, 2},
    {OCTETS("To: b@y\n\n\r\r12345678\r9\r\n\r\n"), 0, 9, RFC5322_ENDING_EMPTY_LINE, 2},
#undef OCTETS
};

static unsigned
collect_facts(const struct envelope_request *r)
{
	return (r->has_date ? DATE : 0u) | (r->has_message_id ? ID : 0u) |
	       (r->has_from ? FROM : 0u) | (r->header_is_8bit ? HEADER_8BIT : 0u) |
	       (r->header_is_utf8 ? HEADER_UTF8 : 0u) | (r->body_is_8bit ? BODY_8BIT : 0u) |
	       (r->body_has_nul ? BODY_NUL : 0u);
}

static void
tells_facts(void **state)
{
	struct envelope_request r;
	struct verdict why;

	(void)state;
	for (size_t i = 0; i < COUNT(facts); i++) {
		for (size_t a = 0; a <= facts[i].len; a++) {
			assert_true(
			    scan(facts[i].in, facts[i].len, a, facts[i].len, NULL, &r, &why));
			assert_int_equal(collect_facts(&r), facts[i].facts);
			assert_int_equal(r.longest_line, facts[i].longest);
			assert_int_equal(r.ending, facts[i].ending);
			assert_int_equal(r.header_lines, facts[i].lines);
			envelope_request_clear(&r);
		}
	}
}

/* Many recipients, some of them twice, in lines of a decent length. */
static void
write_many(struct str *text, unsigned count)
{
	str_append_text(text, "From: a@x\n");
	for (unsigned i = 0; i < count; i++) {
		if (i > 0)
			str_append_text(text, i % 1000 == 0 ? "\n" : ",\n");
		str_appendf(text, "%s u%u@b", i % 1000 == 0 ? "To:" : "", i);
	}
	str_append_text(text, "\nCc: u1@b\n\n");
}

static void
keeps_to_its_limits(void **state)
{
	static const struct {
		unsigned count;
		bool good;
	} many[] = {
	    {10000, true}, {RFC5322_RECIPIENTS_MAX - 1, true}, {RFC5322_RECIPIENTS_MAX, false}};
	struct envelope_request r;
	struct verdict why;

	(void)state;
	for (size_t i = 0; i < COUNT(many); i++) {
		struct str text = STR_INIT;

		write_many(&text, many[i].count);
		assert_int_equal(
		    scan(str_text(&text), text.len, 65536, text.len, NULL, &r, &why), many[i].good);
		assert_int_equal(r.recipient_count, many[i].good ? many[i].count : 0);
		envelope_request_clear(&r);
		str_clear(&text);
	}
}

static void
refuses_binary_data(void **state)
{
	static const char text[] = "To: b@y\nX: \0\n\n";
	struct envelope_request r;
	struct verdict why;
	struct rfc5322_envelope e;

	(void)state;
	rfc5322_envelope_init(&e, NULL);
	assert_false(rfc5322_envelope_feed(&e, text, sizeof text - 1));
	assert_false(rfc5322_envelope_feed(&e, text, sizeof text - 1));
	assert_false(rfc5322_envelope_finish(&e, &r, &why));
	assert_string_equal(why.text, "line 2: a NUL: this is binary data, not a message");
	rfc5322_envelope_clear(&e);
}

/* Who stops reading behind the header has all of the envelope. */
static void
may_stop_behind_the_header(void **state)
{
	static const char text[] = "From: a@x\nTo: b@y\n\n";
	struct envelope_request r;
	struct verdict why;
	struct rfc5322_envelope e;

	(void)state;
	rfc5322_envelope_init(&e, NULL);
	assert_true(rfc5322_envelope_feed(&e, text, sizeof text - 2));
	assert_false(e.is_header_over);
	assert_true(rfc5322_envelope_feed(&e, "\n", 1));
	assert_true(e.is_header_over);
	assert_true(rfc5322_envelope_finish(&e, &r, &why));
	assert_int_equal(r.recipient_count, 1);
	envelope_request_clear(&r);
	rfc5322_envelope_clear(&e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(finds_envelopes),
	    cmocka_unit_test(finds_envelopes_cut_anywhere),
	    cmocka_unit_test(reads_beginnings),
	    cmocka_unit_test(tells_facts),
	    cmocka_unit_test(keeps_to_its_limits),
	    cmocka_unit_test(refuses_binary_data),
	    cmocka_unit_test(may_stop_behind_the_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
