#include "unit.h"

#include "base/clock.h"
#include "base/log.h"
#include "deliver/sending.h"
#include "deliver/shortcomings.h"
#include "session/standing.h"
#include "store/record.h"

enum { HOUR = 3600 * 1000 };
#define DAY ((int64_t)24 * HOUR)

static int64_t now;

static int64_t
read_now(void)
{
	return now;
}

static const struct clock_source source = {.mono = read_now, .wall = read_now, .boot = read_now};

static int
set_up(void **state)
{
	(void)state;
	now = 1000 * DAY;
	clock_set_source(&source);
	log_set_level(LOG_LEVEL_ERROR);
	return 0;
}

static void
what_is_noted_is_known_for_a_month(void **state)
{
	struct record record = {0};

	(void)state;
	assert_int_equal(standing_lacking(&record), 0);
	standing_note_lacking(&record, 0);
	assert_int_equal(record.lacking_since, 0);
	standing_note_lacking(&record, SMTP_SHORT_CHUNKING);
	now += 29 * DAY;
	assert_int_equal(standing_lacking(&record), SMTP_SHORT_CHUNKING);
	standing_note_lacking(&record, SMTP_SHORT_SMTPUTF8);
	now += 2 * DAY;
	assert_int_equal(standing_lacking(&record), SMTP_SHORT_CHUNKING | SMTP_SHORT_SMTPUTF8);
	now += 28 * DAY;
	assert_int_equal(standing_lacking(&record), 0);
	standing_note_lacking(&record, SMTP_SHORT_PIPELINING);
	assert_int_equal(standing_lacking(&record), SMTP_SHORT_PIPELINING);
	now -= DAY; /* the clock was put back: nothing is known */
	assert_int_equal(standing_lacking(&record), 0);
}

/* A line of sessions, and what the last one leads to. */
static void
sessions_are_judged(void **state)
{
	enum { C = SMTP_SHORT_CHUNKING, P = SMTP_SHORT_PIPELINING };
	const struct sending_result breaks_c = {.messages = 1, .broke_on = C},
				    late_c = {.messages = 5, .recipients = 3, .broke_on = C},
				    breaks_p = {.messages = 1, .broke_on = P},
				    gone = {.messages = 1},
				    works = {.messages = 1, .recipients = 1}, absent = {0},
				    stopped = {.messages = 1, .stopped = true};
	const struct {
		struct sending_result results[6];
		size_t count;
		unsigned without, lacking;
	} row[] = {
	    {{breaks_c}, 1, 0, 0},
	    {{breaks_c, breaks_c}, 2, C, 0},
	    {{breaks_c, breaks_c, works}, 3, 0, C},
	    {{breaks_c, breaks_c, gone}, 3, 0, 0},
	    {{breaks_c, breaks_c, absent}, 3, C, 0},
	    {{breaks_c, breaks_c, stopped, works}, 4, 0, C},
	    {{breaks_c, absent, breaks_c}, 3, C, 0},
	    {{breaks_c, works, breaks_c}, 3, 0, 0},
	    {{late_c, late_c}, 2, C, 0},
	    {{late_c, works, late_c}, 3, 0, 0},
	    {{breaks_c, breaks_p}, 2, 0, 0},
	    {{breaks_c, breaks_p, breaks_p, works}, 4, 0, P},
	    {{breaks_c, breaks_c, gone, breaks_c}, 4, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct record record = {0};
		struct shortcomings_trial trial = {0};

		for (size_t j = 0; j < row[i].count; j++)
			shortcomings_judge(&record, &trial, "a", &row[i].results[j]);
		assert_int_equal(trial.without, row[i].without);
		assert_int_equal(standing_lacking(&record), row[i].lacking);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(what_is_noted_is_known_for_a_month, set_up),
	    cmocka_unit_test_setup(sessions_are_judged, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
