#include "unit.h"

#include "ctl/ctl_table.h"
#include "ctl/ctl_text.h"

#include <locale.h>
#include <string.h>

#define CAFE "caf\xc3\xa9"
#define WIDE "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e" /* three characters of two columns */

static int
set_up(void **state)
{
	(void)state;
	return setlocale(LC_CTYPE, "C.UTF-8") != NULL ? 0 : -1;
}

static void
terminals_obey_no_text(void **state)
{
	static const struct {
		const char *in;
		const char *utf8;
		const char *ascii;
	} row[] = {
	    {"plain", "plain", "plain"},
	    {"\x1b[2J", "\\x1b[2J", "\\x1b[2J"},
	    {"a\\x1bb", "a\\x1bb", "a\\x1bb"}, /* escaped already */
	    {"\\", "\\", "\\"},
	    {CAFE, CAFE, "caf\\xc3\\xa9"},
	    {"\xc2\x9b", "\\xc2\\x9b", "\\xc2\\x9b"},
	    {"\xe2\x80\xae", "\\xe2\\x80\\xae", "\\xe2\\x80\\xae"},
	    {"two\nlines", "two\\x0alines", "two\\x0alines"},
	    {"", "", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct str s = STR_INIT;

		ctl_text_append(&s, row[i].in, false);
		assert_string_equal(str_text(&s), row[i].utf8);
		str_truncate(&s, 0);
		ctl_text_append(&s, row[i].in, true);
		assert_string_equal(str_text(&s), row[i].ascii);
		str_clear(&s);
	}
}

static void
width_counts_columns(void **state)
{
	(void)state;
	assert_int_equal(ctl_text_width(""), 0);
	assert_int_equal(ctl_text_width("abc"), 3);
	assert_int_equal(ctl_text_width(CAFE), 4);
	assert_int_equal(ctl_text_width(WIDE), 6);
	assert_int_equal(ctl_text_width("e\xcc\x81"), 1); /* combining */
	assert_int_equal(ctl_text_width("\xff\xfe"), 2);
}

static void
cuts_between_characters(void **state)
{
	static const struct {
		const char *in;
		size_t width;
		const char *out;
	} row[] = {
	    {"personal", 8, "personal"},
	    {"personal-mail", 8, "perso..."},
	    {CAFE CAFE, 7, "caf\xc3\xa9..."},
	    {WIDE WIDE, 8, "\xe6\x97\xa5\xe6\x9c\xac..."},
	    {"abcde", 4, "a..."},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		char text[64];

		strcpy(text, row[i].in);
		ctl_text_cut(text, row[i].width);
		assert_string_equal(text, row[i].out);
	}
}

static void
wraps_between_words(void **state)
{
	static const struct {
		const char *in;
		size_t width;
		const char *out;
	} row[] = {
	    {"one two three", 0, "  one two three\n"},
	    {"one two three", 9, "  one two\n  three\n"},
	    {"one two three", 10, "  one two\n  three\n"},
	    {"one two three", 8, "  one\n  two\n  three\n"},
	    {"muchtoolongaword one", 10, "  muchtoolongaword\n  one\n"},
	    {"", 10, "  \n"},
	    {"one  two ", 40, "  one two\n"},
	    {WIDE " " WIDE, 14, "  " WIDE "\n  " WIDE "\n"},
	    {WIDE " " WIDE, 15, "  " WIDE " " WIDE "\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct str s = STR_INIT;

		ctl_text_append_wrapped(&s, row[i].in, "  ", row[i].width);
		assert_string_equal(str_text(&s), row[i].out);
		str_clear(&s);
	}
}

static void
sizes_are_round(void **state)
{
	static const struct {
		uint64_t octets;
		const char *text;
	} row[] = {
	    {0, "0 octets"},
	    {1, "1 octet"},
	    {999, "999 octets"},
	    {1000, "1.0 kB"},
	    {9949, "9.9 kB"},
	    {9950, "10 kB"},
	    {999499, "999 kB"},
	    {999500, "1.0 MB"},
	    {1234567890, "1.2 GB"},
	    {UINT64_MAX, "18 EB"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct str s = STR_INIT;

		ctl_text_append_size(&s, row[i].octets);
		assert_string_equal(str_text(&s), row[i].text);
		str_clear(&s);
	}
}

static const struct ctl_column columns[] = {{"NAME", false}, {"N", true}, {"LAST", false}};

static void
expect_table(const struct ctl_screen *screen, const char *expected)
{
	struct ctl_table *t = ctl_table_new(columns, 3, screen);
	struct str s = STR_INIT;

	ctl_table_add(t, CAFE, CTL_PLAIN);
	ctl_table_add(t, "7", CTL_PLAIN);
	ctl_table_add(t, "x", CTL_BAD);
	ctl_table_note(t, "a note of several words", CTL_WARN);
	ctl_table_add(t, "a-long-account-name", CTL_PLAIN);
	ctl_table_add(t, "1000", CTL_PLAIN);
	ctl_table_add(t, NULL, CTL_PLAIN);
	ctl_table_append(t, &s);
	assert_string_equal(str_text(&s), expected);
	str_clear(&s);
	ctl_table_free(&t);
	assert_null(t);
}

static void
columns_stand_below_one_another(void **state)
{
	static const struct ctl_screen piped = {0, false, false};
	static const struct ctl_screen narrow = {22, false, true};
	static const struct ctl_screen colour = {0, true, false};

	(void)state;
	expect_table(&piped, "NAME                    N  LAST\n" CAFE "                    7  x\n"
			     "    a note of several words\n"
			     "a-long-account-name  1000  -\n");
	expect_table(&narrow, "NAME           N  LAST\n"
			      "caf\\xc3...     7  x\n"
			      "    a note of several\n"
			      "    words\n"
			      "a-long-...  1000  -\n");
	expect_table(&colour,
	    "\x1b[1mNAME\x1b[0m                    \x1b[1mN\x1b[0m  \x1b[1mLAST\x1b[0m\n" CAFE
	    "                    7  \x1b[31mx\x1b[0m\n"
	    "\x1b[33m    a note of several words\x1b[0m\n"
	    "a-long-account-name  1000  -\n");
}

static void
another_column_gives_way(void **state)
{
	static const struct ctl_screen narrow = {22, false, false};
	struct ctl_table *t = ctl_table_new(columns, 3, &narrow);
	struct str s = STR_INIT;

	(void)state;
	ctl_table_give_way(t, 2);
	ctl_table_add(t, "name", CTL_PLAIN);
	ctl_table_add(t, "1000", CTL_PLAIN);
	ctl_table_add(t, "what was said at last", CTL_DIM);
	ctl_table_append(t, &s);
	assert_string_equal(str_text(&s), "NAME     N  LAST\nname  1000  what wa...\n");
	str_clear(&s);
	ctl_table_free(&t);
}

/* Whole characters alone, and never one that is too wide. */
static void
knows_what_fits(void **state)
{
	(void)state;
	assert_int_equal(ctl_text_fitting("abc", 2), 2);
	assert_int_equal(ctl_text_fitting("abc", 9), 3);
	assert_int_equal(ctl_text_fitting(CAFE, 4), 5);
	assert_int_equal(ctl_text_fitting(WIDE, 5), 6);
	assert_int_equal(ctl_text_fitting(WIDE, 1), 0);
	assert_int_equal(ctl_text_fitting("", 1), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(terminals_obey_no_text),
	    cmocka_unit_test(width_counts_columns),
	    cmocka_unit_test(cuts_between_characters),
	    cmocka_unit_test(wraps_between_words),
	    cmocka_unit_test(sizes_are_round),
	    cmocka_unit_test(columns_stand_below_one_another),
	    cmocka_unit_test(another_column_gives_way),
	    cmocka_unit_test(knows_what_fits),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
