#include "unit.h"

#include "fetch/stumbles.h"

#include <stdio.h>
#include <string.h>

static bool
add(struct stumbles *s, const char *uid)
{
	return stumbles_add(s, uid, strlen(uid));
}

static enum stumbles_advice
ask(const struct stumbles *s, const char *uid)
{
	return stumbles_ask(s, uid, strlen(uid));
}

static void
once_is_last_and_twice_rests(void **state)
{
	struct stumbles s = {0};

	(void)state;
	assert_int_equal(ask(&s, "a"), STUMBLES_NEVER);
	assert_false(add(&s, "a"));
	assert_int_equal(ask(&s, "a"), STUMBLES_LAST);
	assert_int_equal(ask(&s, "aa"), STUMBLES_NEVER);
	assert_true(add(&s, "a"));
	assert_int_equal(ask(&s, "a"), STUMBLES_REST);
	stumbles_wake(&s);
	assert_int_equal(ask(&s, "a"), STUMBLES_LAST);
	assert_true(add(&s, "a"));
	assert_int_equal(ask(&s, "a"), STUMBLES_REST);
}

static void
the_oldest_gives_way(void **state)
{
	struct stumbles s = {0};
	char uid[8];

	(void)state;
	for (int i = 0; i <= STUMBLES_MOST; i++) {
		snprintf(uid, sizeof uid, "u%d", i);
		add(&s, uid);
	}
	assert_int_equal(ask(&s, "u0"), STUMBLES_NEVER);
	assert_int_equal(ask(&s, "u1"), STUMBLES_LAST);
	assert_int_equal(ask(&s, uid), STUMBLES_LAST);
}

static void
no_uid_is_no_message(void **state)
{
	struct stumbles s = {0};

	(void)state;
	assert_false(add(&s, ""));
	assert_int_equal(ask(&s, ""), STUMBLES_NEVER);
	assert_int_equal(s.next, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(once_is_last_and_twice_rests),
	    cmocka_unit_test(the_oldest_gives_way),
	    cmocka_unit_test(no_uid_is_no_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
