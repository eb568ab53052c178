#include "unit.h"

#include "ctl/ctl_log_list.h"
#include "ctl/ctl_table.h"

#include "base/xalloc.h"

#include <math.h>
#include <string.h>

static void
tells_what_came_of_a_session(void **state)
{
	static const struct {
		const char *end; /* NULL: it was not written */
		bool running;
		const char *outcome;
		enum ctl_tone tone;
		double took;
	} row[] = {
	    {"ok, 3 fetched, 2 deleted, 3681 octets in, 0.880 s", false, "3 fetched", CTL_PLAIN,
		0.88},
	    {"ok, 0 fetched, 2 deleted, 3681 octets in, 61.5 s", false, "2 deleted", CTL_PLAIN,
		61.5},
	    {"ok, 0 fetched, 0 deleted, 672 octets in, 0.072 s", false, "nothing new", CTL_PLAIN,
		0.072},
	    {"ok, 1 sent, 1173 octets out, 0.1 s", false, "1 sent", CTL_PLAIN, 0.1},
	    {"network, 1 fetched, 0 deleted, 0 octets in, 0.5 s", false, "network trouble", CTL_BAD,
		0.5},
	    {"stopped, 1 fetched, 0 deleted, 0 octets in, 0.5 s", false, "stopped", CTL_WARN, 0.5},
	    {"ok", false, "nothing new", CTL_PLAIN, 0},
	    {"", false, " trouble", CTL_BAD, 0},
	    {"ok,,x, 7, -3 fetched, nan s", false, "7", CTL_PLAIN, 0},
	    {NULL, true, "running", CTL_GOOD, 0},
	    {NULL, false, "broken off", CTL_WARN, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct ctl_log_summary summary = {.running = row[i].running};
		struct str s = STR_INIT;
		double took;

		summary.end = xstrdup(row[i].end);
		assert_int_equal(ctl_log_outcome(&summary, &s, &took), row[i].tone);
		assert_string_equal(str_text(&s), row[i].outcome);
		assert_true(fabs(took - row[i].took) < 1e-9);
		ctl_log_summary_clear(&summary);
		str_clear(&s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(tells_what_came_of_a_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
