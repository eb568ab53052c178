#include "unit.h"

#include "fetch/schedule.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

/* Without jitter: 0.5 is the middle of the tenth on either side. */
static struct schedule
next_of(struct schedule_input in, enum fail kind, enum fail_hint hint)
{
	struct verdict why = {.kind = kind, .hint = hint};

	in.why = &why;
	in.random = 0.5;
	return schedule_next(&in);
}

static void
table_of_outcomes(void **state)
{
	static const struct {
		const char *what;
		struct schedule_input in;
		enum fail kind;
		enum fail_hint hint;
		int64_t delay;
		bool blocked;
	} row[] = {
	    {"success", {.interval = 5 * MINUTE}, FAIL_NONE, HINT_NONE, 5 * MINUTE, false},
	    {"on demand", {.interval = 0}, FAIL_NONE, HINT_NONE, -1, false},
	    {"on demand, failed", {.interval = 0, .failures = 1}, FAIL_NETWORK, HINT_NONE, -1,
		false},
	    {"a window", {.interval = 5 * MINUTE, .more = true}, FAIL_NONE, HINT_NONE, 0, false},
	    {"a window, but the server wants rest",
		{.interval = 5 * MINUTE, .more = true, .login_delay = 10 * MINUTE}, FAIL_NONE,
		HINT_NONE, 10 * MINUTE, false},
	    {"login delay beats interval", {.interval = MINUTE, .login_delay = 10 * MINUTE},
		FAIL_NONE, HINT_NONE, 10 * MINUTE, false},
	    {"first failure", {.interval = 5 * MINUTE, .failures = 1}, FAIL_NETWORK, HINT_NONE,
		MINUTE, false},
	    {"third failure", {.interval = 5 * MINUTE, .failures = 3}, FAIL_TLS, HINT_NONE,
		4 * MINUTE, false},
	    {"many failures", {.interval = 5 * MINUTE, .failures = 4000}, FAIL_PROTOCOL, HINT_NONE,
		HOUR, false},
	    {"many failures of a slow account", {.interval = DAY, .failures = 40}, FAIL_SERVER,
		HINT_NONE, DAY, false},
	    {"short interval is not stretched at first", {.interval = 10 * SECOND, .failures = 1},
		FAIL_NETWORK, HINT_NONE, 10 * SECOND, false},
	    {"refused once", {.interval = 5 * MINUTE, .failures = 1, .auth_failures = 1}, FAIL_AUTH,
		HINT_NONE, 10 * MINUTE, false},
	    {"refused twice", {.interval = 5 * MINUTE, .failures = 2, .auth_failures = 2},
		FAIL_AUTH, HINT_NONE, 20 * MINUTE, false},
	    {"refused three times", {.interval = 5 * MINUTE, .failures = 3, .auth_failures = 3},
		FAIL_AUTH, HINT_NONE, DAY, true},
	    {"in use", {.interval = 5 * MINUTE, .failures = 1}, FAIL_SERVER, HINT_IN_USE, MINUTE,
		false},
	    {"a message that cannot be had", {.interval = 5 * MINUTE, .failures = 40}, FAIL_SERVER,
		HINT_MESSAGES, 5 * MINUTE, false},
	    {"permanent trouble", {.interval = 5 * MINUTE, .failures = 1}, FAIL_SERVER,
		HINT_SYS_PERM, HOUR, false},
	    {"impossible configuration", {.interval = 5 * MINUTE, .failures = 1}, FAIL_CONFIG,
		HINT_NONE, DAY, true},
	    {"Maildir gone", {.interval = 5 * MINUTE, .failures = 9}, FAIL_LOCAL, HINT_SYS_PERM,
		5 * MINUTE, true},
	    {"disk full", {.interval = 5 * MINUTE, .failures = 1}, FAIL_LOCAL, HINT_NONE, MINUTE,
		false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct schedule next = next_of(row[i].in, row[i].kind, row[i].hint);

		if (next.delay != row[i].delay || next.blocked != row[i].blocked)
			fail_msg("%s: delay %lld, blocked %d", row[i].what, (long long)next.delay,
			    next.blocked);
	}
}

static void
jitter_is_a_tenth_either_way(void **state)
{
	struct verdict why = VERDICT_OK;
	struct schedule_input in = {.interval = 100 * SECOND, .why = &why};

	(void)state;
	assert_int_equal(schedule_next(&in).delay, 90 * SECOND);
	in.random = 0.999999;
	assert_in_range(schedule_next(&in).delay, 109 * SECOND, 110 * SECOND);
}

static void
first_polls_are_spread(void **state)
{
	(void)state;
	assert_int_equal(schedule_first(5 * MINUTE, 1, 0.9), 0);
	assert_in_range(schedule_first(5 * MINUTE, 1000, 0.9), 224 * SECOND, 225 * SECOND);
	assert_in_range(schedule_first(MINUTE, 1000, 0.9), 53 * SECOND, 54 * SECOND);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(table_of_outcomes),
	    cmocka_unit_test(jitter_is_a_tenth_either_way),
	    cmocka_unit_test(first_polls_are_spread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
