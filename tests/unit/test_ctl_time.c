#include "unit.h"

#include "ctl/ctl_time.h"

#include <string.h>

static void
reads_rfc3339(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		int64_t wall;
	} row[] = {
	    {"1970-01-01T00:00:00Z", true, 0},
	    {"2025-11-20T10:15:00.123Z", true, 1763633700123},
	    {"2025-11-20T10:15:00.5Z", true, 1763633700500},
	    {"2025-11-20T10:15:00.123456789Z", true, 1763633700123},
	    {"2024-02-29T23:59:59.999Z", true, 1709251199999},
	    {"2025-11-20T10:15:00.123+01:00", false, 0},
	    {"2025-11-20T10:15:00.123", false, 0},
	    {"2025-11-20T10:15:00.Z", false, 0},
	    {"2025-13-20T10:15:00Z", false, 0},
	    {"2025-11-20 10:15:00Z", false, 0},
	    {" 025-11-20T10:15:00Z", false, 0},
	    {"2025-11-20T10:15:00Zx", false, 0},
	    {"", false, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		int64_t wall = 0;

		assert_int_equal(ctl_time_parse(row[i].text, &wall), row[i].ok);
		assert_true(wall == row[i].wall);
	}
}

static void
a_time_that_is_cut_is_no_time(void **state)
{
	static const char text[] = "2025-11-20T10:15:00.123Z";
	char cut[sizeof text];

	(void)state;
	for (size_t len = 0; len < sizeof text - 1; len++) {
		int64_t wall;

		memcpy(cut, text, len);
		cut[len] = '\0';
		assert_false(ctl_time_parse(cut, &wall));
	}
}

static void
spans_are_short(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} row[] = {
	    {0, "0 s"},
	    {59999, "59 s"},
	    {60000, "1 min"},
	    {3599999, "59 min"},
	    {3600000, "1 h"},
	    {7500000, "2 h 5 min"},
	    {86400000, "1 d"},
	    {86400000 + 3600000 + 60000, "1 d 1 h"},
	    {INT64_C(400) * 86400000, "400 d"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct str s = STR_INIT;

		ctl_time_append_span(&s, row[i].ms);
		assert_string_equal(str_text(&s), row[i].text);
		str_clear(&s);
	}
}

static void
past_and_future(void **state)
{
	static const struct {
		int64_t then;
		const char *ago;
		const char *until;
	} row[] = {
	    {1000000, "just now", "now"},
	    {1000999, "just now", "now"},
	    {820000, "3 min ago", "now"},
	    {1120000, "just now", "in 2 min"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct str s = STR_INIT;

		ctl_time_append_ago(&s, 1000000, row[i].then);
		assert_string_equal(str_text(&s), row[i].ago);
		str_truncate(&s, 0);
		ctl_time_append_until(&s, 1000000, row[i].then);
		assert_string_equal(str_text(&s), row[i].until);
		str_clear(&s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_rfc3339),
	    cmocka_unit_test(a_time_that_is_cut_is_no_time),
	    cmocka_unit_test(spans_are_short),
	    cmocka_unit_test(past_and_future),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
