#include "unit.h"

#include "base/clock.h"
#include "proto/rfc5322_date.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COUNT(row) (sizeof(row) / sizeof((row)[0]))

static const struct {
	const char *in;
	const char *out; /* RFC 3339 in UTC; NULL: refused */
} row[] = {
    {"Fri, 20 Nov 2026 10:15:00 +0000", "2026-11-20T10:15:00.000Z"},
    {"Fri, 21 Nov 1997 09:55:06 -0600", "1997-11-21T15:55:06.000Z"},
    {"20 Nov 2026 10:15 +0100", "2026-11-20T09:15:00.000Z"},
    {"  Thu,\n      13\n        Feb\n          1969\n      23:32\n               -0330 "
     "(Newfoundland Time)",
	"1969-02-14T03:02:00.000Z"},
    {"21 Nov 97 09:55:06 GMT", "1997-11-21T09:55:06.000Z"},
    {"Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", "1997-11-21T15:55:06.000Z"},
    {"1 Jan 49 00:00:00 UT", "2049-01-01T00:00:00.000Z"},
    {"1 Jan 50 00:00:00 UT", "1950-01-01T00:00:00.000Z"},
    {"1 Jan 126 00:00:00 UT", "2026-01-01T00:00:00.000Z"},
    {"1 jan 2026 00:00:00 EST", "2026-01-01T05:00:00.000Z"},
    {"1 JAN 2026 00:00:00 pdt", "2026-01-01T07:00:00.000Z"},
    {"1 Jan 2026 00:00:00 CST", "2026-01-01T06:00:00.000Z"},
    {"1 Jan 2026 00:00:00 A", "2026-01-01T00:00:00.000Z"},
    {"1 Jan 2026 00:00:00 z", "2026-01-01T00:00:00.000Z"},
    {"1 Jan 2026 00:00:00 CEST", "2026-01-01T00:00:00.000Z"},
    {"1 Jan 2026 00:00:00 -0000", "2026-01-01T00:00:00.000Z"},
    {"Mon, 29 Feb 2024 12:00:00 +0000", "2024-02-29T12:00:00.000Z"},
    {"Friday, 20 November 2026 10:15:00 +0000", "2026-11-20T10:15:00.000Z"},
    {"Fri 20 Nov 2026 10:15:00 +0000", "2026-11-20T10:15:00.000Z"},
    {"30 Jun 2015 23:59:60 +0000", "2015-07-01T00:00:00.000Z"},
    {"31 Dec 9999 23:59:59 +0000", "9999-12-31T23:59:59.000Z"},
    {"29 Feb 2100 00:00:00 +0000", NULL},
    {"29 Feb 2023 00:00:00 +0000", NULL},
    {"31 Apr 2026 00:00:00 +0000", NULL},
    {"0 Jan 2026 00:00:00 +0000", NULL},
    {"1 Jan 2026 24:00:00 +0000", NULL},
    {"1 Jan 2026 00:60:00 +0000", NULL},
    {"1 Jan 2026 00:00:61 +0000", NULL},
    {"1 Jan 2026 00:00:00 +0060", NULL},
    {"1 Jan 2026 00:00:00 +100", NULL},
    {"1 Jan 2026 00:00:00", NULL},
    {"1 Jan 2026 00:00:00 +", NULL},
    {"1 Jan 2026 00:00:00 +0000 junk", NULL},
    {"1 Jan 2026 00:00:00 +0000 (open", NULL},
    {"1 Foo 2026 00:00:00 +0000", NULL},
    {"Foo, 1 Jan 2026 00:00:00 +0000", NULL},
    {"1 Jan 12026 00:00:00 +0000", NULL},
    {"111 Jan 2026 00:00:00 +0000", NULL},
    {"1 Jan 2 00:00:00 +0000", NULL},
    {"tomorrow", NULL},
    {"", NULL},
    {"2026-11-20T10:15:00Z", "2026-11-20T10:15:00.000Z"},
    {" 2026-11-20t10:15:00.5z ", "2026-11-20T10:15:00.500Z"},
    {"2026-11-20 10:15:00.123999+01:30", "2026-11-20T08:45:00.123Z"},
    {"2026-11-20T10:15:00-00:00", "2026-11-20T10:15:00.000Z"},
    {"1985-04-12T23:20:50.52Z", "1985-04-12T23:20:50.520Z"},
    {"1937-01-01T12:00:27.87+00:20", "1937-01-01T11:40:27.870Z"},
    {"2026-11-20T10:15:00", NULL},
    {"2026-11-20T10:15Z", NULL},
    {"2026-11-20", NULL},
    {"2026-11-20T10:15:00.Z", NULL},
    {"2026-11-20T10:15:00+0100", NULL},
    {"2026-11-20T10:15:00+24:00", NULL},
    {"2026-13-20T10:15:00Z", NULL},
    {"2026-02-29T10:15:00Z", NULL},
    {"0000-01-01T00:00:00Z", NULL},
    {"2026-11-20T10:15:00Z junk", NULL},
};

/* From a block of its own size, so that a step beyond it is seen. */
static bool
parse(const char *text, size_t len, int64_t *wall)
{
	char *copy = malloc(len > 0 ? len : 1);
	bool parsed;

	memcpy(copy, text, len);
	parsed = rfc5322_date_parse_any(copy, len, wall);
	free(copy);
	return parsed;
}

static void
reads_dates(void **state)
{
	char shown[CLOCK_RFC3339_SIZE];
	int64_t wall = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		bool parsed = parse(row[i].in, strlen(row[i].in), &wall);

		if (parsed != (row[i].out != NULL))
			fail_msg("%s: %s", row[i].in, parsed ? "read" : "refused");
		if (parsed)
			assert_string_equal(clock_rfc3339(wall, shown), row[i].out);
	}
}

static void
reads_dates_cut_anywhere(void **state)
{
	int64_t wall;

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		for (size_t len = 0; len < strlen(row[i].in); len++)
			parse(row[i].in, len, &wall);
	}
}

static void
writes_dates(void **state)
{
	static const struct {
		int64_t wall;
		int offset;
		const char *out;
	} sample[] = {
	    {0, 0, "Thu, 1 Jan 1970 00:00:00 +0000"},
	    {INT64_C(1795169700123), 0, "Fri, 20 Nov 2026 10:15:00 +0000"},
	    {INT64_C(1795169700999), 90, "Fri, 20 Nov 2026 11:45:00 +0130"},
	    {INT64_C(1795169700123), -210, "Fri, 20 Nov 2026 06:45:00 -0330"},
	    {INT64_C(1795169700123), 14 * 60, "Sat, 21 Nov 2026 00:15:00 +1400"},
	    {INT64_C(951782400000), 0, "Tue, 29 Feb 2000 00:00:00 +0000"},
	    {-1, 0, "Wed, 31 Dec 1969 23:59:59 +0000"},
	    {INT64_MAX, 0, "Thu, 30 Dec 9999 23:59:59 +0000"},
	    {INT64_MIN, 0, "Tue, 2 Jan 0001 00:00:00 +0000"},
	};
	char buf[RFC5322_DATE_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT(sample); i++)
		assert_string_equal(
		    rfc5322_date_format(sample[i].wall, sample[i].offset, buf), sample[i].out);
}

static void
reads_what_it_writes(void **state)
{
	char buf[RFC5322_DATE_SIZE];

	(void)state;
	for (int64_t wall = INT64_C(-30000000000000); wall < INT64_C(200000000000000);
	     wall += INT64_C(98765432100)) {
		int offset = (int)(wall / 1000 % 840);
		int64_t whole = wall - ((wall % 1000) + 1000) % 1000, back;

		rfc5322_date_format(wall, offset, buf);
		assert_true(rfc5322_date_parse(buf, strlen(buf), &back));
		assert_int_equal(back, whole);
	}
}

static void
knows_the_local_zone(void **state)
{
	(void)state;
	setenv("TZ", "XYZ-5:30", 1);
	tzset();
	assert_int_equal(rfc5322_date_local_offset(0), 330);
	setenv("TZ", "XYZ3", 1);
	tzset();
	assert_int_equal(rfc5322_date_local_offset(0), -180);
	unsetenv("TZ");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_dates),
	    cmocka_unit_test(reads_dates_cut_anywhere),
	    cmocka_unit_test(writes_dates),
	    cmocka_unit_test(reads_what_it_writes),
	    cmocka_unit_test(knows_the_local_zone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
