#include "unit.h"

#include "control/control_suggest.h"

static void
the_nearest_word_is_meant(void **state)
{
	static const char *const candidates[] = {
	    "status", "sessions", "poll", "adopt", "reload", "stop", "version", "help"};
	static const struct {
		const char *word;
		const char *meant; /* NULL: none of them */
	} row[] = {
	    {"stats", "status"},
	    {"satus", "status"},
	    {"sttaus", "status"},
	    {"statuss", "status"},
	    {"STOP", "stop"},
	    {"stpo", "stop"},
	    {"pol", "poll"},
	    {"session", "sessions"},
	    {"relaod", "reload"},
	    {"hlep", "help"},
	    {"h", NULL},
	    {"", NULL},
	    {"quit", NULL},
	    {"exterminate", NULL},
	    {"sssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss",
		NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct control_suggest suggest = CONTROL_SUGGEST(row[i].word);

		for (size_t j = 0; j < sizeof candidates / sizeof candidates[0]; j++)
			control_suggest_offer(&suggest, candidates[j]);
		if (row[i].meant == NULL)
			assert_null(suggest.best);
		else
			assert_string_equal(suggest.best, row[i].meant);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_nearest_word_is_meant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
