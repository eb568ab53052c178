#include "unit.h"

#include "base/clock.h"
#include "base/str.h"
#include "config/config.h"
#include "fetch/features.h"
#include "fetch/poll.h"
#include "fetch/pop3_session.h"
#include "session/session.h"
#include "store/record.h"

#define DAY (INT64_C(24) * 3600 * 1000)

static int64_t now = 1000 * DAY;

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

static const struct pop3_config deleting = {.keep = KEEP_NO};
static const struct pop3_config keeping = {.keep = KEEP_FOREVER};

static enum features_step
note(struct record *r, const struct pop3_config *config, unsigned *trial, enum fail kind,
    enum fail_hint hint, unsigned suspect)
{
	const struct poll_result result = {.why = {.kind = kind, .hint = hint}, .suspect = suspect};

	return features_note(r, "a", config, trial, &result);
}

static enum features_step
break_on(struct record *r, const struct pop3_config *config, unsigned *trial, unsigned suspect)
{
	return note(r, config, trial, FAIL_NETWORK, HINT_NONE, suspect);
}

static enum features_step
go_well(struct record *r, const struct pop3_config *config, unsigned *trial)
{
	return note(r, config, trial, FAIL_NONE, HINT_NONE, 0);
}

static void
table_of_suspicions(void **state)
{
	static const struct {
		const char *what;
		unsigned suspect, proven, failures;
		bool keeps, tried;
	} row[] = {
	    {"nothing", 0, 0, 0, true, false},
	    {"CAPA never worked", POP3_FEATURE_CAPA, 0, 0, true, true},
	    {"CAPA never worked, nor did the network", POP3_FEATURE_CAPA, 0, 40, true, true},
	    {"CAPA has worked", POP3_FEATURE_CAPA, POP3_FEATURE_CAPA, 0, true, false},
	    {"CAPA works no more", POP3_FEATURE_CAPA, POP3_FEATURE_CAPA, 2, true, false},
	    {"another worked", POP3_FEATURE_UTF8, POP3_FEATURE_CAPA, 0, true, true},
	    {"pipelining has worked", POP3_FEATURE_PIPELINING, POP3_FEATURE_PIPELINING, 0, true,
		false},
	    {"pipelining failed before", POP3_FEATURE_PIPELINING, POP3_FEATURE_PIPELINING, 1, true,
		false},
	    {"pipelining works no more", POP3_FEATURE_PIPELINING, POP3_FEATURE_PIPELINING, 2, true,
		true},
	    {"pipelining works no more since the network does", POP3_FEATURE_PIPELINING,
		POP3_FEATURE_PIPELINING, 40, true, true},
	    {"UIDL never worked", POP3_FEATURE_UIDL, 0, 0, false, true},
	    {"UIDL never worked, mail is kept", POP3_FEATURE_UIDL, 0, 0, true, false},
	    {"UIDL works no more", POP3_FEATURE_UIDL, POP3_FEATURE_UIDL, 2, false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct record r = {.proven = row[i].proven, .failures = row[i].failures};
		unsigned trial = 0;

		break_on(&r, row[i].keeps ? &keeping : &deleting, &trial, row[i].suspect);
		if (trial != (row[i].tried ? row[i].suspect : 0))
			fail_msg("%s: trial %u", row[i].what, trial);
	}
}

static void
a_trial_that_goes_well_is_remembered(void **state)
{
	struct record r = {0};
	unsigned trial = 0;

	(void)state;
	assert_int_equal(break_on(&r, &keeping, &trial, POP3_FEATURE_CAPA), FEATURES_TRIAL);
	assert_int_equal(features_without(&r, &keeping, trial), POP3_FEATURE_CAPA);
	assert_int_equal(r.lacking, 0);
	assert_int_equal(go_well(&r, &keeping, &trial), FEATURES_CHANGED);
	assert_int_equal(trial, 0);
	assert_int_equal(features_without(&r, &keeping, trial), POP3_FEATURE_CAPA);
	assert_int_equal(go_well(&r, &keeping, &trial), FEATURES_SAME);
	now += 29 * DAY;
	assert_int_equal(features_without(&r, &keeping, trial), POP3_FEATURE_CAPA);
	now += DAY;
	assert_int_equal(features_without(&r, &keeping, trial), 0);
	now -= 60 * DAY;
	assert_int_equal(features_without(&r, &keeping, trial), 0);
}

static void
messages_that_stay_behind_say_nothing_of_features(void **state)
{
	struct record r = {0};
	unsigned trial = 0;

	(void)state;
	break_on(&r, &keeping, &trial, POP3_FEATURE_PIPELINED_TRANSFER);
	note(&r, &keeping, &trial, FAIL_NETWORK, HINT_MESSAGES, 0);
	assert_int_equal(r.lacking, 0);
	break_on(&r, &keeping, &trial, POP3_FEATURE_PIPELINED_TRANSFER);
	note(&r, &keeping, &trial, FAIL_SERVER, HINT_MESSAGES, 0);
	assert_int_equal(r.lacking, POP3_FEATURE_PIPELINED_TRANSFER);
}

static void
a_trial_that_fails_is_not(void **state)
{
	struct record r = {0};
	unsigned trial = 0;

	(void)state;
	break_on(&r, &keeping, &trial, POP3_FEATURE_PIPELINING);
	assert_int_equal(break_on(&r, &keeping, &trial, POP3_FEATURE_CAPA), FEATURES_SAME);
	assert_int_equal(features_without(&r, &keeping, trial), 0);
}

static void
a_trial_waits_for_a_maildrop_in_use(void **state)
{
	static const enum fail_hint hints[] = {HINT_IN_USE, HINT_LOGIN_DELAY, HINT_SYS_TEMP};
	struct record r = {0};
	unsigned trial = 0;

	(void)state;
	break_on(&r, &keeping, &trial, POP3_FEATURE_UTF8);
	for (size_t i = 0; i < sizeof hints / sizeof *hints; i++) {
		note(&r, &keeping, &trial, FAIL_SERVER, hints[i], 0);
		assert_int_equal(trial, POP3_FEATURE_UTF8);
	}
	go_well(&r, &keeping, &trial);
	assert_int_equal(r.lacking, POP3_FEATURE_UTF8);
}

static void
a_trial_waits_for_a_session_that_tells(void **state)
{
	static const struct poll_result results[] = {
	    {.stopped = true},
	    {.why = {.kind = FAIL_AUTH}, .stale_token = 7},
	    {.has_rested = true},
	};
	struct record r = {0};
	unsigned trial = 0;

	(void)state;
	break_on(&r, &keeping, &trial, POP3_FEATURE_PIPELINED_TRANSFER);
	for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
		features_note(&r, "a", &keeping, &trial, &results[i]);
		assert_int_equal(trial, POP3_FEATURE_PIPELINED_TRANSFER);
		assert_int_equal(r.lacking, 0);
	}
}

static void
what_works_again_is_used_again(void **state)
{
	struct record r = {.lacking = POP3_FEATURE_PIPELINING, .lacking_since = now - 31 * DAY};
	const struct poll_result result = {.proven = POP3_FEATURE_PIPELINING};
	unsigned trial = 0;

	(void)state;
	assert_int_equal(features_note(&r, "a", &keeping, &trial, &result), FEATURES_CHANGED);
	assert_int_equal(r.lacking, 0);
	assert_int_equal(r.proven, POP3_FEATURE_PIPELINING);
}

static void
a_login_that_fails_without_capa_gets_it_back(void **state)
{
	struct record r = {.lacking = POP3_FEATURE_CAPA, .lacking_since = now};
	unsigned trial = 0;

	(void)state;
	assert_int_equal(break_on(&r, &keeping, &trial, 0), FEATURES_SAME);
	assert_int_equal(r.lacking, POP3_FEATURE_CAPA);
	assert_int_equal(note(&r, &keeping, &trial, FAIL_AUTH, HINT_WEAKER, 0), FEATURES_CHANGED);
	assert_int_equal(r.lacking, 0);
}

static void
uidl_is_done_without_only_where_mail_is_deleted(void **state)
{
	struct record r = {.lacking = POP3_FEATURE_UIDL, .lacking_since = now};

	(void)state;
	assert_int_equal(features_without(&r, &deleting, 0), POP3_FEATURE_UIDL);
	assert_int_equal(features_without(&r, &keeping, 0), 0);
}

static void
a_set_has_names(void **state)
{
	struct str s = STR_INIT;

	(void)state;
	session_append_names(&s, 0, features_name);
	assert_string_equal(str_text(&s), "");
	session_append_names(
	    &s, POP3_FEATURE_CAPA | POP3_FEATURE_PIPELINED_TRANSFER, features_name);
	assert_string_equal(str_text(&s), "CAPA, PIPELINING of RETR and DELE");
	str_clear(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(table_of_suspicions),
	    cmocka_unit_test(a_trial_that_goes_well_is_remembered),
	    cmocka_unit_test(a_trial_that_fails_is_not),
	    cmocka_unit_test(messages_that_stay_behind_say_nothing_of_features),
	    cmocka_unit_test(a_trial_waits_for_a_maildrop_in_use),
	    cmocka_unit_test(a_trial_waits_for_a_session_that_tells),
	    cmocka_unit_test(what_works_again_is_used_again),
	    cmocka_unit_test(a_login_that_fails_without_capa_gets_it_back),
	    cmocka_unit_test(a_set_has_names),
	    cmocka_unit_test(uidl_is_done_without_only_where_mail_is_deleted),
	};

	return cmocka_run_group_tests(tests, set_clock, NULL);
}
