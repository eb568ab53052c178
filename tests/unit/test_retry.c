#include "unit.h"

#include "config/config.h"
#include "deliver/retry.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

static const struct retry_config usual = {
    .first = MINUTE, .max = HOUR, .warn_after = 4 * HOUR, .give_up = 5LL * DAY};

static void
delays_double_up_to_the_most(void **state)
{
	static const struct {
		unsigned failures;
		int64_t delay;
	} row[] = {{0, MINUTE}, {1, MINUTE}, {2, 2 * MINUTE}, {3, 4 * MINUTE}, {6, 32 * MINUTE},
	    {7, HOUR}, {8, HOUR}, {1000, HOUR}, {4294967295u, HOUR}};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		int64_t delay = row[i].delay;

		assert_int_equal(retry_delay(&usual, row[i].failures, 0.5), delay);
		assert_int_equal(retry_delay(&usual, row[i].failures, 0), delay - delay / 10);
		assert_true(retry_delay(&usual, row[i].failures, 0.999) > delay);
		assert_true(retry_delay(&usual, row[i].failures, 1) <= delay + delay / 10);
	}
}

static void
delays_of_odd_settings(void **state)
{
	struct retry_config equal = {.first = HOUR, .max = HOUR};
	struct retry_config reversed = {.first = HOUR, .max = MINUTE};
	struct retry_config smallest = {.first = 1, .max = 3};

	(void)state;
	assert_int_equal(retry_delay(&equal, 9, 0.5), HOUR);
	assert_int_equal(retry_delay(&reversed, 1, 0.5), MINUTE);
	assert_int_equal(retry_delay(&smallest, 1, 0.5), 1);
	assert_int_equal(retry_delay(&smallest, 5, 0.5), 3);
}

static void
an_unknown_fate_waits_twice(void **state)
{
	int64_t delay = -1;

	(void)state;
	assert_true(retry_unknown_delay(1, 0.5, &delay));
	assert_int_equal(delay, HOUR);
	assert_true(retry_unknown_delay(2, 0.5, &delay));
	assert_int_equal(delay, 6 * HOUR);
	assert_true(retry_unknown_delay(2, 0, &delay));
	assert_int_equal(delay, 6 * HOUR - 6 * HOUR / 10);
	assert_false(retry_unknown_delay(3, 0.5, &delay));
	assert_false(retry_unknown_delay(4, 0.5, &delay));
}

static void
giving_up(void **state)
{
	(void)state;
	assert_false(retry_gives_up(&usual, 1000, 1, 1000));
	assert_false(retry_gives_up(&usual, 1000, 9, 1000 + 5LL * DAY - 1));
	assert_true(retry_gives_up(&usual, 1000, 1, 1000 + 5LL * DAY));
	assert_false(retry_gives_up(&usual, 1000, 0, 1000 + 50LL * DAY));
}

static void
warning(void **state)
{
	static const struct {
		int64_t age, since_warned; /* since_warned -1: never warned */
		bool trouble, warns;
	} row[] = {
	    {4LL * HOUR - 1, -1, false, false},
	    {4LL * HOUR, -1, false, true},
	    {4LL * HOUR, -1, true, true},
	    {9LL * HOUR, 5LL * HOUR, false, false},
	    {9LL * HOUR, 5LL * HOUR, true, false},
	    {30LL * HOUR, DAY, false, false},
	    {30LL * HOUR, DAY - 1, true, false},
	    {30LL * HOUR, DAY, true, true},
	};
	struct retry_config never = usual;
	int64_t queued = 1000;

	(void)state;
	never.warn_after = 0;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		int64_t now = queued + row[i].age;
		int64_t warned = row[i].since_warned < 0 ? 0 : now - row[i].since_warned;

		assert_int_equal(
		    retry_warns(&usual, queued, warned, row[i].trouble, now), row[i].warns);
		assert_false(retry_warns(&never, queued, warned, row[i].trouble, now));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(delays_double_up_to_the_most),
	    cmocka_unit_test(delays_of_odd_settings),
	    cmocka_unit_test(an_unknown_fate_waits_twice),
	    cmocka_unit_test(giving_up),
	    cmocka_unit_test(warning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
