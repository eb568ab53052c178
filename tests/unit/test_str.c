#include "unit.h"

#include "base/str.h"

#include <stdlib.h>
#include <string.h>

static void
escapes_what_a_terminal_obeys(void **state)
{
	static const struct {
		const char *in;
		const char *out;
	} row[] = {
	    {"plain text", "plain text"},
	    {"a\\b", "a\\\\b"},
	    {"\x1b[31mred", "\\x1b[31mred"},
	    {"tab\there", "tab\\x09here"},
	    {"\x7f", "\\x7f"},
	    {"caf\xc3\xa9", "caf\xc3\xa9"},
	    {"c1 \xc2\x9b", "c1 \\xc2\\x9b"},             /* CSI as UTF-8 */
	    {"\x9b", "\\x9b"},                            /* CSI as one octet */
	    {"\xe2\x80\xae", "\\xe2\\x80\\xae"},          /* right-to-left override */
	    {"\xc0\xaf", "\\xc0\\xaf"},                   /* overlong */
	    {"\xed\xa0\x80", "\\xed\\xa0\\x80"},          /* surrogate */
	    {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* beyond U+10FFFF */
	    {"\xe2\x82", "\\xe2\\x82"},                   /* cut short */
	    {"\xf0\x9f\x93\xac", "\xf0\x9f\x93\xac"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct str s = STR_INIT;

		str_append_escaped(&s, row[i].in, strlen(row[i].in));
		assert_string_equal(str_text(&s), row[i].out);
		str_clear(&s);
	}
}

static void
escapes_nul_octets(void **state)
{
	struct str s = STR_INIT;

	(void)state;
	str_append_escaped(&s, "a\0b", 3);
	assert_string_equal(str_text(&s), "a\\x00b");
	str_clear(&s);
}

static void
fixed_buffer_is_cut_visibly(void **state)
{
	char buf[8];

	(void)state;
	assert_string_equal(str_escape(buf, sizeof buf, "1234567", 7), "1234567");
	assert_string_equal(str_escape(buf, sizeof buf, "123456789", 9), "1234...");
}

static void
cutting_leaves_whole_characters(void **state)
{
	char buf[9];
	char cut[] = "ab\xe2\x82";
	char whole[] = "ab\xe2\x82\xac";
	char latin[] = "ab\xe9";

	(void)state;
	/* five two-octet letters do not fit into eight octets */
	assert_string_equal(
	    str_escape(buf, sizeof buf, "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 10),
	    "\xc3\xa9\xc3\xa9...");
	str_trim_partial(cut);
	assert_string_equal(cut, "ab");
	str_trim_partial(whole);
	assert_string_equal(whole, "ab\xe2\x82\xac");
	str_trim_partial(latin);
	assert_string_equal(latin, "ab");
}

static void
grows_and_is_taken(void **state)
{
	struct str s = STR_INIT;
	char *taken;

	(void)state;
	assert_string_equal(str_text(&s), "");
	for (int i = 0; i < 1000; i++)
		str_appendf(&s, "%d,", i);
	assert_int_equal(s.len, 3890);
	str_truncate(&s, 4);
	assert_string_equal(str_text(&s), "0,1,");
	taken = str_take(&s);
	assert_string_equal(taken, "0,1,");
	assert_string_equal(str_text(&s), "");
	free(taken);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(escapes_what_a_terminal_obeys),
	    cmocka_unit_test(escapes_nul_octets),
	    cmocka_unit_test(fixed_buffer_is_cut_visibly),
	    cmocka_unit_test(cutting_leaves_whole_characters),
	    cmocka_unit_test(grows_and_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
