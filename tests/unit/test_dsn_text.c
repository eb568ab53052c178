#include "unit.h"

#include "proto/dsn_text.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(row) (sizeof(row) / sizeof((row)[0]))

#define TEN   "0123456789"
#define FIFTY TEN TEN TEN TEN TEN
#define E_10  "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"

static void
writes_fields(void **state)
{
	static const struct {
		const char *text, *field;
	} row[] = {
	    {"text", "Name: text\n"},
	    {"", ""},
	    {"  ", ""},
	    {"\t\n", ""},
	    {"  a  b ", "Name: a  b\n"},
	    {"a\tb\nc", "Name: a b c\n"},
	    {"a\r\nBcc: x", "Name: a\\x0d Bcc: x\n"},
	    {"caf\xc3\xa9\x1b[31m", "Name: caf\\xc3\\xa9\\x1b[31m\n"},
	    {FIFTY " " TEN " " TEN, "Name: " FIFTY " " TEN " " TEN "\n"},
	    {FIFTY " " TEN " " TEN "1 b", "Name: " FIFTY " " TEN "\n"
					  " " TEN "1 b\n"},
	    {FIFTY " " TEN "   " TEN, "Name: " FIFTY " " TEN "  \n"
				      " " TEN "\n"},
	    {FIFTY FIFTY, "Name:\n " FIFTY FIFTY "\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct str out = STR_INIT;

		dsn_text_append_field(&out, "Name", row[i].text);
		assert_string_equal(str_text(&out), row[i].field);
		str_clear(&out);
	}
}

static void
writes_encoded_fields(void **state)
{
	static const struct {
		const char *text, *field;
	} row[] = {
	    {"Plain words", "Subject: Plain words\n"},
	    {"", ""},
	    {" ", ""},
	    {"a\r\nBcc: x", "Subject: a  Bcc: x\n"},
	    {"a =?b", "Subject: =?UTF-8?B?YSA9P2I=?=\n"},
	    {"caf\xc3\xa9", "Subject: =?UTF-8?B?Y2Fmw6k=?=\n"},
	    {"caf\xc3", "Subject: =?UTF-8?B?Y2Fm77+9?=\n"},
	    {"a\xc2\x85\x1b", "Subject: a\n"},
	    {E_10 E_10, "Subject: =?UTF-8?B?"
			"w6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6nDqcOpw6k=?=\n"
			" =?UTF-8?B?w6k=?=\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct str out = STR_INIT;

		dsn_text_append_encoded(&out, "Subject", row[i].text);
		assert_string_equal(str_text(&out), row[i].field);
		str_clear(&out);
	}
}

static void
writes_bodies(void **state)
{
	static const struct {
		const char *text, *body;
	} row[] = {
	    {"", "\n"},
	    {"one", "one\n"},
	    {"one\n", "one\n"},
	    {"one\r\ntwo\r\n", "one\ntwo\n"},
	    {"one\n\n\ttwo", "one\n\n\ttwo\n"},
	    {"\x1b[31mred\x07", "[31mred\n"},
	    {"caf\xc3\xa9 \xff\xc3", "caf\xc3\xa9 \xef\xbf\xbd\xef\xbf\xbd\n"},
	    {"\xe0\x80\x8a", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\n"},
	    {"\xc2\x9b", "\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct str out = STR_INIT;

		dsn_text_append_body(&out, row[i].text);
		assert_string_equal(out.data, row[i].body);
		str_clear(&out);
	}
}

/* No line is longer than a mail may have, whatever comes in. */
static void
check_lines(const struct str *out)
{
	const char *p = str_text(out);

	assert_true(out->len == 0 || out->data[out->len - 1] == '\n');
	for (; *p != '\0'; p += strcspn(p, "\n") + 1) {
		assert_true(strcspn(p, "\n") <= 998);
		assert_null(memchr(p, '\r', strcspn(p, "\n")));
	}
}

static void
check_field_lines(const struct str *out)
{
	const char *p = str_text(out);

	check_lines(out);
	for (p += strcspn(p, "\n"); *p != '\0' && p[1] != '\0'; p += 1 + strcspn(p + 1, "\n")) {
		assert_int_equal(p[1], ' ');
		assert_true(strspn(p + 1, " ") < strcspn(p + 1, "\n"));
	}
}

/* Octets that favour what is special. */
static void
fill(char *text, size_t len, unsigned *seed)
{
	static const char special[] = " \t\r\n=?\"\\<>\xc3\xa9\xe2\x82\xac\xff";
	unsigned blanks = (unsigned)rand_r(seed) % 4;

	for (size_t i = 0; i < len; i++) {
		unsigned n = (unsigned)rand_r(seed);

		text[i] = n % 8 < blanks ? special[n / 8 % (sizeof special - 1)]
					 : (char)(n / 8 % 255 + 1);
		if (blanks == 0)
			text[i] = n % 997 == 0 ? ' ' : 'x';
	}
	text[len] = '\0';
}

static void
keeps_lines_short(void **state)
{
	unsigned seed = 1;
	char text[4001];

	(void)state;
	for (int round = 0; round < 2000; round++) {
		struct str out = STR_INIT;

		fill(text, (size_t)rand_r(&seed) % sizeof text, &seed);
		dsn_text_append_field(&out, "Diagnostic-Code", text);
		check_field_lines(&out);
		str_truncate(&out, 0);
		dsn_text_append_encoded(&out, "Subject", text);
		check_field_lines(&out);
		str_truncate(&out, 0);
		dsn_text_append_body(&out, text);
		check_lines(&out);
		str_clear(&out);
	}
}

static void
writes_dates(void **state)
{
	struct str out = STR_INIT;

	(void)state;
	dsn_text_append_date(&out, "Date", 0);
	assert_string_equal(str_text(&out), "");
	dsn_text_append_date(&out, "Date", 1795169700123);
	assert_string_equal(str_text(&out), "Date: Fri, 20 Nov 2026 10:15:00 +0000\n");
	str_clear(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(writes_fields),
	    cmocka_unit_test(writes_encoded_fields),
	    cmocka_unit_test(writes_bodies),
	    cmocka_unit_test(keeps_lines_short),
	    cmocka_unit_test(writes_dates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
