#include "unit.h"

#include "base/clock.h"

static int64_t
fixed(void)
{
	return 1795169700123;
}

static void
formats_as_the_interfaces_say(void **state)
{
	char buf[CLOCK_RFC3339_SIZE];

	(void)state;
	assert_string_equal(clock_rfc3339(1795169700123, buf), "2026-11-20T10:15:00.123Z");
	assert_string_equal(clock_compact(1795169700123, buf), "20261120T101500.123Z");
	assert_string_equal(clock_rfc3339(0, buf), "1970-01-01T00:00:00.000Z");
	assert_string_equal(clock_rfc3339(-1, buf), "1969-12-31T23:59:59.999Z");
}

static void
can_be_replaced(void **state)
{
	static const struct clock_source source = {fixed, fixed, fixed};

	(void)state;
	clock_set_source(&source);
	assert_int_equal(clock_wall(), 1795169700123);
	clock_set_source(NULL);
	assert_true(clock_mono() <= clock_boot() + 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(formats_as_the_interfaces_say),
	    cmocka_unit_test(can_be_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
