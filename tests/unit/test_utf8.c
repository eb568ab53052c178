#include "unit.h"

#include "base/utf8.h"

#include <string.h>

static void
knows_utf8(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} sample[] = {{"", true}, {"a", true}, {"\xc3\xbc", true}, {"\xc3", false}, {"\xbc", false},
	    {"\xc0\xaf", false}, {"\xe0\x9f\xbf", false}, {"\xe2\x82\xac", true},
	    {"\xed\xa0\x80", false}, {"\xf0\x8f\xbf\xbf", false}, {"\xf0\x9f\x93\xac", true},
	    {"\xf4\x90\x80\x80", false}, {"\xf5\x80\x80\x80", false}, {"\xe2\x82", false},
	    {"a\xff", false}};

	(void)state;
	for (size_t i = 0; i < sizeof sample / sizeof *sample; i++)
		assert_int_equal(
		    utf8_is_valid(sample[i].text, strlen(sample[i].text)), sample[i].good);
}

/* RFC 3629 section 3, the table: the first and the last of each length, and what lies beyond. */
static size_t
encode(uint32_t code, unsigned char *out, size_t n)
{
	static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};

	for (size_t i = n; i-- > 1; code >>= 6)
		out[i] = (unsigned char)(0x80 | (code & 0x3f));
	out[0] = (unsigned char)(lead[n] | code);
	return n;
}

static void
tells_the_character(void **state)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned char text[4];
	uint32_t code;

	(void)state;
	for (size_t n = 1; n <= 4; n++) {
		static const uint32_t most[] = {0, 0x7f, 0x7ff, 0xffff, 0x1fffff};

		for (uint32_t c = 0; c <= most[n]; c += c < 0x11000 ? 1 : 0xff) {
			bool good = c >= least[n] && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);

			encode(c, text, n);
			code = 0xdead;
			assert_int_equal(utf8_sequence(text, n, &code), good ? n : 0);
			assert_int_equal(code, good ? c : 0xdead);
			assert_int_equal(utf8_sequence(text, n - 1, &code), 0);
		}
	}
	assert_int_equal(utf8_sequence("\xc3\xbcx", 3, &code), 2);
	assert_int_equal(utf8_sequence("", 0, &code), 0);
}

static void
begins_anew_behind_a_fault(void **state)
{
	struct utf8_reader r = {0};

	(void)state;
	assert_int_equal(utf8_read(&r, 0xe2), UTF8_MORE);
	assert_int_equal(utf8_read(&r, 'a'), UTF8_BAD);
	assert_int_equal(utf8_read(&r, 0xc3), UTF8_MORE);
	assert_int_equal(utf8_read(&r, 0xbc), UTF8_WHOLE);
	assert_int_equal(r.code, 0xfc);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(knows_utf8),
	    cmocka_unit_test(tells_the_character),
	    cmocka_unit_test(begins_anew_behind_a_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
