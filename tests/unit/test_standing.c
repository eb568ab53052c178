#include "unit.h"

#include "base/clock.h"
#include "config/config.h"
#include "session/standing.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
failures_of_an_older_record_begin_now(void **state)
{
	struct record r = {.failures = 7};
	struct verdict why;

	(void)state;
	verdict_fail(&why, FAIL_NETWORK, "connect", "nobody there");
	standing_note_failure(&r, &why);
	assert_int_equal(r.failures, 8);
	assert_int_equal(r.failing_since, now);
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
what_is_declined_is_doubted_behind_a_refusal(void **state)
{
	struct standing_declined d = {0};
	struct verdict why;

	(void)state;
	standing_note_declined(&d, 1u << AUTH_SCRAM_SHA_256_PLUS);
	verdict_fail(&why, FAIL_SERVER, "pass", "later");
	standing_doubt_declined(&d, &why);
	assert_int_equal(standing_declined(&d), 1u << AUTH_SCRAM_SHA_256_PLUS);
	verdict_fail(&why, FAIL_AUTH, "pass", "no");
	standing_doubt_declined(&d, &why);
	assert_int_equal(standing_declined(&d), 0);
}

/* A record that three passwords were refused in, and SCRAM served before. */
static struct record
make_blocked(const struct endpoint_config *endpoint)
{
	struct record r = {0};

	assert_true(standing_take_settings(&r, endpoint, NULL));
	r.failures = r.auth_failures = 3;
	r.blocked_until = now + HOUR;
	assert_true(standing_note_login(&r, "SCRAM-SHA-256"));
	return r;
}

static void
check(const struct record *r, bool forgiven, bool forgotten)
{
	assert_int_equal(r->auth_failures, forgiven ? 0 : 3);
	assert_int_equal(r->blocked_until, forgiven ? 0 : now + HOUR);
	assert_string_equal(r->mechanism, forgotten ? "" : "SCRAM-SHA-256");
	assert_int_equal(r->failures, 3);
}

static void
another_server_is_another_story(void **state)
{
	char host[] = "mail.example.org", other[] = "mx.example.org";
	struct endpoint_config endpoint = {.host = host, .port = 995};
	struct record r = make_blocked(&endpoint);

	(void)state;
	assert_false(standing_note_login(&r, "SCRAM-SHA-256"));
	assert_false(standing_note_login(&r, NULL));
	assert_false(standing_take_settings(&r, &endpoint, NULL));
	assert_false(standing_take_settings(&r, &endpoint, &endpoint));
	check(&r, false, false);
	endpoint.host = other;
	assert_true(standing_take_settings(&r, &endpoint, NULL));
	check(&r, true, true);
	assert_false(standing_take_settings(&r, &endpoint, NULL));
}

/* An offer that shrinks is as suspicious with a new password, or by another way there. */
static void
another_way_to_the_same_is_forgiven(void **state)
{
	char host[] = "mail.example.org", bind[] = "192.0.2.1";
	char pass[] = "pass", show[] = "show", *argv[] = {pass, NULL, NULL};
	struct endpoint_config endpoint = {
	    .host = host, .secret = {.kind = SECRET_PASSWORD_COMMAND, .argv = argv}};
	struct record r = make_blocked(&endpoint);

	(void)state;
	argv[1] = show;
	assert_true(standing_take_settings(&r, &endpoint, NULL));
	check(&r, true, false);
	r = make_blocked(&endpoint);
	endpoint.bind = bind;
	assert_true(standing_take_settings(&r, &endpoint, NULL));
	check(&r, true, false);
	r = make_blocked(&endpoint);
	endpoint.secret.kind = SECRET_TOKEN_COMMAND;
	assert_true(standing_take_settings(&r, &endpoint, NULL));
	check(&r, true, true);
	endpoint.secret.kind = SECRET_NONE; /* what is left is the client certificate */
	r = make_blocked(&endpoint);
	endpoint.secret.kind = SECRET_PASSWORD_COMMAND;
	assert_true(standing_take_settings(&r, &endpoint, NULL));
	check(&r, true, true);
}

/* A password in the configuration: the file's time tells, where the password cannot be compared. */
static void
a_password_is_compared_where_it_can_be(void **state)
{
	char host[] = "mail.example.org", password[] = "one", other[] = "two";
	char place[] = "/tmp/test-standing-XXXXXX";
	struct endpoint_config before = {
	    .host = host, .secret = {.kind = SECRET_PASSWORD, .value = password, .place = place}};
	struct endpoint_config after = before;
	int fd = mkstemp(place);
	struct record r = make_blocked(&before);

	(void)state;
	assert_int_equal(write(fd, "#", 1), 1);
	assert_false(standing_take_settings(&r, &after, &before));
	check(&r, false, false);
	after.secret.value = other;
	assert_true(standing_take_settings(&r, &after, &before));
	check(&r, true, false);
	r = make_blocked(&after);
	assert_false(standing_take_settings(&r, &after, NULL));
	assert_int_equal(write(fd, "#", 1), 1);
	assert_true(standing_take_settings(&r, &after, NULL));
	check(&r, true, false);
	close(fd);
	unlink(place);
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
	    cmocka_unit_test(failures_of_an_older_record_begin_now),
	    cmocka_unit_test(a_token_is_renewed_once),
	    cmocka_unit_test(a_success_makes_up_for_all),
	    cmocka_unit_test(a_block_lasts_a_day_at_most),
	    cmocka_unit_test(what_is_declined_is_known_for_a_day),
	    cmocka_unit_test(what_is_declined_is_doubted_behind_a_refusal),
	    cmocka_unit_test(another_server_is_another_story),
	    cmocka_unit_test(another_way_to_the_same_is_forgiven),
	    cmocka_unit_test(a_password_is_compared_where_it_can_be),
	    cmocka_unit_test(a_server_is_left_alone_as_long_as_it_asks),
	};

	return cmocka_run_group_tests(tests, set_clock, NULL);
}
