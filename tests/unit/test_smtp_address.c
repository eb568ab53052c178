#include "unit.h"

#include "proto/smtp_address.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(row) (sizeof(row) / sizeof((row)[0]))

static const struct {
	const char *address;
	bool ascii; /* good without SMTPUTF8 */
	bool utf8;  /* good with it */
} row[] = {
    {"a@b", true, true},
    {"me@example.org", true, true},
    {"first.last+tag=x@sub.example.org", true, true},
    {"postmaster", true, true},
    {"two..dots.@example.org", true, true},
    {"!#$%&'*+-/=?^_`{|}~@example.org", true, true},
    {"\"a b\"@example.org", true, true},
    {"\"a\\\"b<>@\"@example.org", true, true},
    {"\"\"@example.org", true, true},
    {"user@[192.0.2.1]", true, true},
    {"user@[IPv6:2001:db8::1]", true, true},
    {"user@under_score.example", true, true},
    {"user@example.org.", true, true},
    {"p\xc3\xa9p\xc3\xa9@example.org", false, true},
    {"me@b\xc3\xbc"
     "cher.example",
	false, true},
    {"\xf0\x9f\x93\xac@example.org", false, true},
    {"", false, false},
    {"@example.org", false, false},
    {"a@", false, false},
    {"a@.b", false, false},
    {"a@b@c", false, false},
    {"a b@c", false, false},
    {"a@b c", false, false},
    {"a>@b", false, false},
    {"<a@b>", false, false},
    {"a@b> NOTIFY=NEVER", false, false},
    {"a@b\r\nDATA", false, false},
    {"a\n@b", false, false},
    {"a\r@b", false, false},
    {"\"a\r\nb\"@c", false, false},
    {"\"a\tb\"@c", false, false},
    {"a\x7f@b", false, false},
    {"a\x01@b", false, false},
    {"a\xc2\x85@b", false, false},
    {"a\xff@b", false, false},
    {"a\xc3", false, false},
    {"a\xed\xa0\x80@b", false, false},
    {"a\xc0\x8a@b", false, false},
    {"\"a@b", false, false},
    {"\"a\\", false, false},
    {"\"a\\\"@b", false, false},
    {"\"a\"b@c", false, false},
    {"a\"b\"@c", false, false},
    {"a@[", false, false},
    {"a@[]", false, false},
    {"a@[1]x", false, false},
    {"a@[1 2]", false, false},
    {"a@b,c@d", false, false},
    {"a@b;c", false, false},
    {"a(comment)@b", false, false},
};

static void
judges_addresses(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		assert_true((smtp_address_fault(row[i].address, false) == NULL) == row[i].ascii);
		assert_true((smtp_address_fault(row[i].address, true) == NULL) == row[i].utf8);
	}
}

static void
judges_addresses_cut_anywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		for (size_t cut = 0; cut < strlen(row[i].address); cut++) {
			char *address = strndup(row[i].address, cut);

			smtp_address_fault(address, true);
			smtp_address_fault(address, false);
			free(address);
		}
	}
}

/* An address with that many octets before and behind the "@". */
static const char *
fault_of_lengths(size_t local, size_t domain)
{
	char *address = malloc(local + domain + 2);
	const char *fault;

	memset(address, 'a', local + domain + 1);
	address[local] = '@';
	address[local + domain + 1] = '\0';
	fault = smtp_address_fault(address, false);
	free(address);
	return fault;
}

static void
limits_lengths(void **state)
{
	(void)state;
	assert_null(fault_of_lengths(64, 255));
	assert_null(fault_of_lengths(200, 100));
	assert_string_equal(fault_of_lengths(65, 255), "is longer than 320 octets");
	assert_string_equal(fault_of_lengths(3000, 10), "is longer than 320 octets");
	assert_string_equal(fault_of_lengths(10, 256), "has a domain longer than 255 octets");
}

static void
encodes_addresses(void **state)
{
	static const struct {
		const char *address, *xtext, *orcpt, *typed;
	} pair[] = {
	    {"a@b", "a@b", "rfc822;a@b", "rfc822; a@b"},
	    {"a+b=c@d", "a+2Bb+3Dc@d", "rfc822;a+2Bb+3Dc@d", "rfc822; a+b=c@d"},
	    {"\"a b\"@c", "\"a+20b\"@c", "rfc822;\"a+20b\"@c", "rfc822; \"a b\"@c"},
	    {"a\r\nb", "a+0D+0Ab", "rfc822;a+0D+0Ab", "rfc822; a\r\nb"},
	    {"\xc3\xa9+x\\=@b", "+C3+A9+2Bx\\+3D@b", "utf-8;\\x{E9}\\x{2B}x\\x{5C}\\x{3D}@b",
		"utf-8; \\x{E9}\\x{2B}x\\x{5C}\\x{3D}@b"},
	    {"\xf0\x9f\x93\xac\n\xff@b", "+F0+9F+93+AC+0A+FF@b", "utf-8;\\x{1F4EC}\\x{0A}\\x{FF}@b",
		"utf-8; \\x{1F4EC}\\x{0A}\\x{FF}@b"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(pair); i++) {
		struct str s = STR_INIT;

		smtp_append_xtext(&s, pair[i].address);
		assert_string_equal(s.data, pair[i].xtext);
		str_truncate(&s, 0);
		smtp_append_orcpt(&s, pair[i].address);
		assert_string_equal(s.data, pair[i].orcpt);
		str_truncate(&s, 0);
		smtp_append_typed_address(&s, pair[i].address);
		assert_string_equal(s.data, pair[i].typed);
		str_clear(&s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(judges_addresses),
	    cmocka_unit_test(judges_addresses_cut_anywhere),
	    cmocka_unit_test(limits_lengths),
	    cmocka_unit_test(encodes_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
