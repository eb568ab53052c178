#include "unit.h"

#include "base/clock.h"
#include "config/config.h"
#include "session/standing.h"

#include <string.h>

enum { HOUR = 3600 * 1000, DAY = 24 * HOUR };

static int64_t now = 1000 * INT64_C(24 * 3600 * 1000);

static int64_t
wall(void)
{
	return now;
}

static const struct clock_source clock_here = {.mono = wall, .wall = wall, .boot = wall};

static int
set_clock(void **state)
{
	(void)state;
	clock_set_source(&clock_here);
	return 0;
}

static void
failures_are_counted(void **state)
{
	struct record r = {0};
	struct verdict why;
	int64_t since = now;

	(void)state;
	verdict_fail(&why, FAIL_NETWORK, "connect", "nobody there");
	standing_note_failure(&r, &why);
	assert_int_equal(r.failures, 1);
	assert_int_equal(r.auth_failures, 0);
	now += HOUR;
	verdict_fail(&why, FAIL_AUTH, "pass", "not you");
	standing_note_failure(&r, &why);
	assert_int_equal(r.failures, 2);
	assert_int_equal(r.failing_since, since);
	assert_int_equal(r.auth_failures, 1);
	assert_int_equal(r.error_kind, FAIL_AUTH);
	assert_int_equal(r.error_time, now);
	assert_string_equal(r.error_text, "not you");
	assert_int_equal(r.last_success, 0);
}

static void
a_token_is_renewed_once(void **state)
{
	unsigned long renewed = 0;

	(void)state;
	assert_false(standing_renews_token(&renewed, 0));
	assert_true(standing_renews_token(&renewed, 3));
	assert_true(standing_renews_token(&renewed, 3)); /* another session that had it too */
	assert_false(standing_renews_token(&renewed, 4));
	assert_true(standing_renews_token(&renewed, 5));
	assert_false(standing_renews_token(&renewed, 0)); /* that did */
	assert_true(standing_renews_token(&renewed, 6));
}

static void
a_success_makes_up_for_all(void **state)
{
	struct record r = {.messages = 3, .octets = 4};
	const struct record good = {.last_success = now, .messages = 3, .octets = 4};
	struct verdict why;

	(void)state;
	verdict_fail(&why, FAIL_AUTH, "pass", "no");
	standing_note_failure(&r, &why);
	r.blocked_until = now + HOUR;
	standing_note_success(&r);
	assert_int_equal(r.last_success, good.last_success);
	assert_int_equal(r.failing_since, 0);
	assert_int_equal(r.failures, 0);
	assert_int_equal(r.auth_failures, 0);
	assert_int_equal(r.blocked_until, 0);
	assert_int_equal(r.error_time, 0);
	assert_int_equal(r.error_kind, FAIL_NONE);
	assert_string_equal(r.error_text, "");
	assert_int_equal(r.messages, 3);
	assert_int_equal(r.octets, 4);
}

static void
a_block_lasts_a_day_at_most(void **state)
{
	static const struct {
		int64_t until, wait; /* until: from now; 0: never */
	} row[] = {{-HOUR, 0}, {HOUR, HOUR}, {DAY, DAY}, {3 * (int64_t)DAY, DAY}};
	struct record r = {0};

	(void)state;
	assert_int_equal(standing_blocked_for(&r), 0);
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		r.blocked_until = now + row[i].until;
		assert_int_equal(standing_blocked_for(&r), row[i].wait);
	}
}

static void
what_is_declined_is_known_for_a_day(void **state)
{
	struct standing_declined d = {0};

	(void)state;
	assert_int_equal(standing_declined(&d), 0);
	standing_note_declined(&d, 1u << AUTH_SCRAM_SHA_256);
	now += HOUR;
	standing_note_declined(&d, 0);
	standing_note_declined(&d, 1u << AUTH_PLAIN);
	now += DAY - 1;
	standing_note_declined(&d, 0);
	assert_int_equal(standing_declined(&d), 1u << AUTH_SCRAM_SHA_256 | 1u << AUTH_PLAIN);
	now += 1;
	assert_int_equal(standing_declined(&d), 0);
	standing_note_declined(&d, 1u << AUTH_LOGIN);
	assert_int_equal(standing_declined(&d), 1u << AUTH_LOGIN);
}

static void
other_settings_are_forgiven(void **state)
{
	char host[] = "mail.example.org", other[] = "mx.example.org";
	struct endpoint_config endpoint = {.host = host, .port = 995};
	const struct config config = {0};
	struct record r = {0};

	(void)state;
	assert_true(standing_take_fingerprint(&r, &config, &endpoint));
	r.failures = r.auth_failures = 3;
	r.blocked_until = now + HOUR;
	assert_true(standing_note_login(&r, "SCRAM-SHA-256"));
	assert_false(standing_note_login(&r, "SCRAM-SHA-256"));
	assert_false(standing_note_login(&r, NULL));
	assert_false(standing_take_fingerprint(&r, &config, &endpoint));
	assert_string_equal(r.mechanism, "SCRAM-SHA-256");
	assert_int_equal(r.auth_failures, 3);
	assert_int_equal(r.blocked_until, now + HOUR);
	endpoint.host = other;
	assert_true(standing_take_fingerprint(&r, &config, &endpoint));
	assert_int_equal(r.auth_failures, 0);
	assert_int_equal(r.blocked_until, 0);
	assert_string_equal(r.mechanism, "");
	assert_int_equal(r.failures, 3);
	assert_false(standing_take_fingerprint(&r, &config, &endpoint));
}

static void
a_server_is_left_alone_as_long_as_it_asks(void **state)
{
	struct record r = {.last_login = now - 5 * 60 * 1000, .login_delay = 15 * 60 * 1000};

	(void)state;
	assert_int_equal(standing_login_wait(&r), 10 * 60 * 1000);
	r.last_login = now - HOUR;
	assert_int_equal(standing_login_wait(&r), 0);
	r.last_login = now + 100 * INT64_C(24 * 3600 * 1000); /* the clock leapt back */
	assert_int_equal(standing_login_wait(&r), 15 * 60 * 1000);
	r.login_delay = 0;
	assert_int_equal(standing_login_wait(&r), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(failures_are_counted),
	    cmocka_unit_test(a_token_is_renewed_once),
	    cmocka_unit_test(a_success_makes_up_for_all),
	    cmocka_unit_test(a_block_lasts_a_day_at_most),
	    cmocka_unit_test(what_is_declined_is_known_for_a_day),
	    cmocka_unit_test(other_settings_are_forgiven),
	    cmocka_unit_test(a_server_is_left_alone_as_long_as_it_asks),
	};

	return cmocka_run_group_tests(tests, set_clock, NULL);
}
