#include "unit.h"

#include "base/clock.h"
#include "base/log.h"
#include "session/certificate.h"

#define HOUR (INT64_C(3600) * 1000)
#define DAY  (24 * HOUR)

static int64_t now = 1000 * DAY;

static int64_t
time_here(void)
{
	return now;
}

static const struct clock_source clock_here = {
    .mono = time_here, .wall = time_here, .boot = time_here};

static int
set_clock(void **state)
{
	(void)state;
	clock_set_source(&clock_here);
	return 0;
}

static void
two_weeks_are_soon(void **state)
{
	(void)state;
	assert_false(certificate_ends_soon(0));
	assert_false(certificate_ends_soon(now + 14 * DAY));
	assert_true(certificate_ends_soon(now + 14 * DAY - 1));
	assert_true(certificate_ends_soon(now - DAY));
}

/* True when it was told of. */
static bool
note(struct certificate_watch *w, int64_t ends)
{
	int64_t before = w->told;

	certificate_note(w, "a", "mail.example.org:995", ends);
	return w->told != before && w->told != 0;
}

static void
it_is_told_once_a_day(void **state)
{
	struct certificate_watch w = {0};
	int64_t ends = now + 15 * DAY;

	(void)state;
	assert_false(note(&w, 0));
	assert_false(note(&w, ends));
	assert_int_equal(w.ends, ends);
	now += DAY + 1;
	assert_true(note(&w, ends));
	now += HOUR;
	assert_false(note(&w, ends));
	assert_false(note(&w, 0)); /* a session that did not come so far */
	assert_int_equal(w.ends, ends);
	now += 23 * HOUR;
	assert_true(note(&w, ends));
	now += HOUR;
	assert_true(note(&w, ends + 1)); /* another one, no better */
	now += HOUR;
	assert_false(note(&w, ends + 90 * DAY));
	assert_int_equal(w.ends, ends + 90 * DAY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(two_weeks_are_soon),
	    cmocka_unit_test(it_is_told_once_a_day),
	};

	return cmocka_run_group_tests(tests, set_clock, NULL);
}
