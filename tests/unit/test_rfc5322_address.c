#include "unit.h"

#include "proto/rfc5322_address.h"
#include "proto/rfc5322_domain.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(row) (sizeof(row) / sizeof((row)[0]))

/*
 * A list as "name|address name|address", "|address" without a name, "|<>" for the null address; the
 * reason behind "!" where the list ends badly.
 */
static void
write_list(const char *text, size_t len, struct str *out)
{
	enum rfc5322_address_result result;
	struct rfc5322_address_list list;
	struct rfc5322_address a;
	struct verdict why;
	char *copy = malloc(len > 0 ? len : 1);

	memcpy(copy, text, len);
	rfc5322_address_begin(&list, copy, len);
	while ((result = rfc5322_address_next(&list, &a, &why)) == RFC5322_ADDRESS_GOT) {
		assert_true(a.local_end <= len && a.name_start <= a.name_end && a.name_end <= len);
		assert_true(a.is_null ? a.domain == NULL : *a.local != '\0');
		str_appendf(out, "%s%s|", out->len > 0 ? " " : "", a.name != NULL ? a.name : "");
		if (a.is_null)
			str_append_text(out, "<>");
		rfc5322_address_append(&a, out);
		rfc5322_address_clear(&a);
	}
	assert_null(a.local);
	if (result == RFC5322_ADDRESS_BAD) {
		assert_int_equal(why.kind, FAIL_LOCAL);
		str_appendf(out, "%s!%s", out->len > 0 ? " " : "", why.text);
	}
	assert_int_equal(rfc5322_address_next(&list, &a, &why), RFC5322_ADDRESS_END);
	free(copy);
}

static const struct {
	const char *in;
	const char *out;
} row[] = {
    {"", ""},
    {"a@b.example", "|a@b.example"},
    {" a@B.Example \n ", "|a@b.example"},
    {"A.B+c@X.Y", "|A.B+c@x.y"},
    {"a@b,c@d", "|a@b |c@d"},
    {",,a@b, ,\n ,c@d,,", "|a@b |c@d"},
    {"John Q. Public <jqp@x.example>", "John Q. Public|jqp@x.example"},
    {"\"Smith, John\" <j@x.example>, k@y.example", "Smith, John|j@x.example |k@y.example"},
    {"\"a \\\"b\\\\ c\" <j@x>", "a \"b\\ c|j@x"},
    {"\"folded\n name\" <j@x>", "folded name|j@x"},
    {"<a@b>", "|a@b"},
    {"<>", "|<>"},
    {"MAILER-DAEMON <>", "MAILER-DAEMON|<>"},
    {"(a (nested \\) comment)) a (x) . (y) b (z) @ (u) c (v) . d (w)", "|a.b@c.d"},
    {"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", "Pete|pete@silly.test"},
    {"A Group(Some people):Chris Jones <c@(Chris's host.)public.example>,joe@example.org,\n "
     "John <jdoe@one.test> (my dear friend); (the end of the group)",
	"Chris Jones|c@public.example |joe@example.org John|jdoe@one.test"},
    {"Undisclosed recipients:;", ""},
    {"(Empty list)(start)Hidden recipients :(nobody(that I know)) ;", ""},
    {"Joe Q. Public <john.q.public@example.com>, Mary Smith <@node.test:mary@example.net>,\n "
     ", jdoe@test . example",
	"Joe Q. Public|john.q.public@example.com Mary Smith|mary@example.net |jdoe@test.example"},
    {"<@a.example,@b.example:c@d.example>", "|c@d.example"},
    {"<@a.example,,@[192.0.2.1]:c@d.example>", "|c@d.example"},
    {"G1: a@b; G2: c@d, e@f; g@h", "|a@b |c@d |e@f |g@h"},
    {"G1: a@b", "|a@b"},
    {"G1: a@b; c@d", "|a@b |c@d"},
    {"a@b; c@d;", "|a@b |c@d"},
    {"\"john doe\"@x.example", "|\"john doe\"@x.example"},
    {"\"john.doe\"@x.example", "|john.doe@x.example"},
    {"\"john\".doe@x.example", "|john.doe@x.example"},
    {"\"a@b\"@x", "|\"a@b\"@x"},
    {"\"a\\\"\\\\b\"@x", "|\"a\\\"\\\\b\"@x"},
    {"\"\"@x", "|\"\"@x"},
    {"a..b.@docomo.example", "|\"a..b.\"@docomo.example"},
    {".a@x", "|\".a\"@x"},
    {"a@[192.0.2.1]", "|a@[192.0.2.1]"},
    {"a@[IPv6:2001:DB8::1]", "|a@[IPv6:2001:DB8::1]"},
    {"a@[ 192.0.2.1\n ]", "|a@[192.0.2.1]"},
    {"a@b.example.", "|a@b.example"},
    {"user%host@relay, a!b@c, o'brien@x, {x}=y/z@x", "|user%host@relay |a!b@c |o'brien@x "
						     "|{x}=y/z@x"},
    {"under_score@a_b.example", "|under_score@a_b.example"},
    {"root", "|root"},
    {"root (Charlie Root), Cron Daemon <daemon>", "|root Cron Daemon|daemon"},
    {"\"john doe\"", "|\"john doe\""},
    {"me@x.example <me@x.example>", "me@x.example|me@x.example"},
    {"Sales @ Acme <s@x.example>", "Sales @ Acme|s@x.example"},
    {"Dr. Who [TARDIS] <w@x>", "Dr. Who [TARDIS]|w@x"},
    {"a@b c@d", "|a@b |c@d"},
    {"a@b\n <c@d>", "a@b|c@d"},
    {"<a@b> <c@d>", "|a@b |c@d"},
    {"<a@b>c@d", "|a@b |c@d"},
    {"A <a@b> B C <c@d>", "A|a@b B C|c@d"},
    {"<a@b> G: c@d;", "|a@b |c@d"},
    {"=?utf-8?Q?J=C3=BCrgen?= <j@x>", "=?utf-8?Q?J=C3=BCrgen?=|j@x"},
    {"=?utf-8?Q?a?= =?utf-8?Q?b?= <j@x>", "=?utf-8?Q?a?= =?utf-8?Q?b?=|j@x"},
    {"=?utf-8?Q?Smith,_J_(x)_<y>?= <j@x>, k@x", "=?utf-8?Q?Smith,_J_(x)_<y>?=|j@x |k@x"},
    {"=?utf-8?Q?Name?=<j@x>", "=?utf-8?Q?Name?=|j@x"},
    {"J\xc3\xbcrgen <j@x>", "J\xc3\xbcrgen|j@x"},
    {"J\xfcrgen <j@x>", "J\xfcrgen|j@x"},
    {"j\xc3\xbcrgen@x.example", "|j\xc3\xbcrgen@x.example"},
    {"j@B\xc3\x9c"
     "cher.example",
	"|j@b\xc3\xbc"
	"cher.example"},
    {"j@xn--bcher-kva.example", "|j@xn--bcher-kva.example"},
    {"j@bu\xcc\x88"
     "cher\xe3\x80\x82"
     "example",
	"|j@b\xc3\xbc"
	"cher.example"},
    {"j@x (unclosed", "!j@x (unclosed: a comment \"(\" without its \")\""},
    {"a@b, \"j@x", "|a@b !\"j@x: a quotation mark without its partner"},
    {"a@b, <c@d, e@f", "|a@b !<c@d: no \">\" where it should end"},
    {"<c@d e@f>", "!<c@d e@f>: no \">\" where it should end"},
    {"a@b>", "!a@b>: a \">\" without its \"<\""},
    {"<<a@b>>", "!<<a@b>>: no local part"},
    {"John Smith", "!John Smith: no address, or a comma is missing"},
    {"John Smith, a@b", "!John Smith: no address, or a comma is missing"},
    {"Dr. Smith, a@b", "!Dr. Smith: no address, or a comma is missing"},
    {"<a . b>", "!<a . b>: no address, or a comma is missing"},
    {"a@b root", "|a@b !root: neither a comma before it nor a domain"},
    {"a@b c@d <e@f>", "!a@b c@d <e@f>: a comma seems to be missing"},
    {"@x", "!@x: no local part"},
    {"...", "!...: no local part"},
    {"a@", "!a@: no domain behind its \"@\""},
    {"a@, b@c", "!a@: no domain behind its \"@\""},
    {"a@b@c", "!a@b@c: more than one \"@\""},
    {"a@b..c", "!a@b..c: its domain has an empty label"},
    {"a@.b", "!a@.b: its domain has an empty label"},
    {"a@b!c", "!a@b!c: its domain holds a character that no domain has"},
    {"a@[]", "!a@[]: its domain literal is empty"},
    {"a@[1\\]2]", "!a@[1\\\\]2]: its domain literal holds a character that none may have"},
    {"a@\xff", "!a@\\xff: its domain is not in UTF-8"},
    {"\xff@a", "!\\xff@a: its local part is not in UTF-8"},
    {"a@x\xef\xbf\xbd.example", "!a@x\xef\xbf\xbd.example: its domain is no valid "
				"internationalized name"},
    {"a@\xe2\x80\x8b.example", "!a@\\xe2\\x80\\x8b.example: its domain has an empty label"},
    {"a\x01@b", "!a\\x01@b: a control character"},
    {"\"a\x01\"@b", "!\"a\\x01\"@b: its local part holds a control character"},
    {"a\\@b", "!a\\\\@b: a backslash outside of quotation marks"},
    {"a)@b", "!a)@b: a closing bracket that was not opened"},
    {"G: H: a@b;;", "!H: a@b;;: a group within a group"},
    {": a@b", "!: a@b: a \":\" in a place where none may be"},
    {"a@b: c@d", "!a@b: c@d: a \":\" in a place where none may be"},
    {"<@a.example c@d>", "!<@a.example c@d>: a route without its \":\""},
    {"\"a\"b@c", "!\"a\"b@c: no address, or a comma is missing"},
};

static void
reads_lists(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct str out = STR_INIT;

		write_list(row[i].in, strlen(row[i].in), &out);
		assert_string_equal(str_text(&out), row[i].out);
		str_clear(&out);
	}
}

/* A list that is cut anywhere is read without a step beyond its end. */
static void
reads_lists_cut_anywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		for (size_t len = 0; len < strlen(row[i].in); len++) {
			struct str out = STR_INIT;

			write_list(row[i].in, len, &out);
			str_clear(&out);
		}
	}
}

static void
tells_what_an_address_needs(void **state)
{
	static const char text[] = "plain@x, J <j\xc3\xbc@x>, root (x), <>";
	static const struct {
		bool is_utf8, is_null, is_bare;
		size_t local_end;
	} want[] = {{false, false, false, 5}, {true, false, false, 15}, {false, false, true, 24},
	    {false, true, false, 0}};
	struct rfc5322_address_list list;
	struct rfc5322_address a;
	struct verdict why;

	(void)state;
	rfc5322_address_begin(&list, text, strlen(text));
	for (size_t i = 0; i < COUNT(want); i++) {
		assert_int_equal(rfc5322_address_next(&list, &a, &why), RFC5322_ADDRESS_GOT);
		assert_int_equal(a.is_utf8, want[i].is_utf8);
		assert_int_equal(a.is_null, want[i].is_null);
		assert_int_equal(a.domain == NULL && !a.is_null, want[i].is_bare);
		assert_int_equal(a.local_end, want[i].local_end);
		rfc5322_address_clear(&a);
	}
}

static void
fill(struct str *out, const char *text, size_t times)
{
	while (times-- > 0)
		str_append_text(out, text);
}

static void
refuses_what_is_too_much(void **state)
{
	static const struct {
		const char *before, *again, *after;
		size_t times;
		bool good;
	} much[] = {
	    {"", "x", "@x", RFC5322_LOCAL_PART_MAX, true},
	    {"", "x", "@x", RFC5322_LOCAL_PART_MAX + 1, false},
	    {"a@", "x", "", RFC5322_LABEL_MAX, true},
	    {"a@", "x", "", RFC5322_LABEL_MAX + 1, false},
	    {"a@", "x.", "x", RFC5322_DOMAIN_MAX / 2, true},
	    {"a@", "x.", "x", RFC5322_DOMAIN_MAX / 2 + 1, false},
	    {"a@", "\xc3\xbc.", "x", 1000, false},
	    {"a@[", "1", "]", RFC5322_DOMAIN_MAX - 2, true},
	    {"a@[", "1", "]", RFC5322_DOMAIN_MAX - 1, false},
	    {"", "(", "", RFC5322_COMMENT_DEPTH + 1, false},
	    {"", "(", "", 200000, false},
	    {"", "a@b ", "c@d", 60000, true},
	    {"", "a b ", "c@d", 60000, false},
	    {"", "<a@b>", "", 50000, true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(much); i++) {
		struct str in = STR_INIT, out = STR_INIT;

		str_append_text(&in, much[i].before);
		fill(&in, much[i].again, much[i].times);
		str_append_text(&in, much[i].after);
		write_list(str_text(&in), in.len, &out);
		assert_int_equal(strchr(str_text(&out), '!') == NULL, much[i].good);
		str_clear(&in);
		str_clear(&out);
	}
}

static void
reads_nested_comments(void **state)
{
	struct str in = STR_INIT, out = STR_INIT;

	(void)state;
	fill(&in, "(", RFC5322_COMMENT_DEPTH);
	fill(&in, ")", RFC5322_COMMENT_DEPTH);
	str_append_text(&in, "a@b");
	write_list(str_text(&in), in.len, &out);
	assert_string_equal(str_text(&out), "|a@b");
	str_clear(&in);
	str_clear(&out);
}

static struct rfc5322_address
parse_one(const char *text)
{
	struct rfc5322_address_list list;
	struct rfc5322_address a;
	struct verdict why;

	rfc5322_address_begin(&list, text, strlen(text));
	rfc5322_address_next(&list, &a, &why);
	return a;
}

static void
compares_addresses(void **state)
{
	static const struct {
		const char *a, *b;
		bool equal;
	} pair[] = {
	    {"a@b", "A <a@B>", true},
	    {"a@b", "A@b", false},
	    {"a@b", "a@c", false},
	    {"a@b", "a", false},
	    {"a", "a", true},
	    {"", "", true},
	    {"", "a", false},
	    {"\"a.b\"@c", "a.b@c", true},
	    {"a@b\xc3\xbc"
	     "cher.example",
		"a@XN--bcher-kva.example", true},
	    {"a@[IPv6:ABCD::1]", "a@[ipv6:abcd::1]", true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(pair); i++) {
		struct rfc5322_address a = parse_one(pair[i].a), b = parse_one(pair[i].b);

		assert_int_equal(rfc5322_address_equal(&a, &b), pair[i].equal);
		rfc5322_address_clear(&a);
		rfc5322_address_clear(&b);
	}
}

static void
converts_to_ascii(void **state)
{
	static const struct {
		const char *in, *out;
	} pair[] = {
	    {"a@b", "a@b"},
	    {"a@b\xc3\xbc"
	     "cher.example",
		"a@xn--bcher-kva.example"},
	    {"\xc3\xbc@b\xc3\xbc"
	     "cher.example",
		"\xc3\xbc@xn--bcher-kva.example"},
	    {"\"x@\xc3\xbc\"@fa\xc3\x9f.example", "\"x@\xc3\xbc\"@xn--fa-hia.example"},
	    {"\"x@\xc3\xbc\"", "\"x@\xc3\xbc\""},
	    {"bare", "bare"},
	    {"a@[192.0.2.1]", "a@[192.0.2.1]"},
	    {"a@x\xef\xbf\xbd", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(pair); i++) {
		char *ascii = rfc5322_domain_address_to_ascii(pair[i].in);

		if (pair[i].out == NULL)
			assert_null(ascii);
		else
			assert_string_equal(ascii, pair[i].out);
		free(ascii);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_lists),
	    cmocka_unit_test(reads_lists_cut_anywhere),
	    cmocka_unit_test(tells_what_an_address_needs),
	    cmocka_unit_test(refuses_what_is_too_much),
	    cmocka_unit_test(reads_nested_comments),
	    cmocka_unit_test(compares_addresses),
	    cmocka_unit_test(converts_to_ascii),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
