#include "unit.h"

#include "config/config.h"
#include "fetch/plan.h"
#include "store/listing.h"

static enum plan_action
plan_of(enum keep_kind keep, enum listed_match match, bool expired, uint64_t max_size)
{
	struct pop3_config config = {.keep = keep, .max_size = max_size};
	struct listing *listing = listing_new();
	enum plan_action action;

	listing_set_size(listing, 1, 1000);
	listing_set_uid(listing, 1, "uid", 3);
	listing_set_match(listing, 1, match, 7, expired);
	action = plan_message(&config, listing, 1, true);
	listing_free(&listing);
	return action;
}

static void
table_of_messages(void **state)
{
	static const struct {
		enum keep_kind keep;
		enum listed_match match;
		bool expired;
		uint64_t max_size;
		enum plan_action action;
	} row[] = {
	    {KEEP_NO, LISTED_NEW, false, 0, PLAN_FETCH},
	    {KEEP_NO, LISTED_COMPARE, false, 0, PLAN_FETCH},
	    {KEEP_NO, LISTED_SEEN, false, 0, PLAN_DELETE},
	    {KEEP_NO, LISTED_ADOPTED, false, 0, PLAN_LEAVE},
	    {KEEP_FOREVER, LISTED_NEW, false, 0, PLAN_FETCH},
	    {KEEP_FOREVER, LISTED_SEEN, true, 0, PLAN_LEAVE},
	    {KEEP_FOREVER, LISTED_ADOPTED, true, 0, PLAN_LEAVE},
	    {KEEP_FOR, LISTED_SEEN, false, 0, PLAN_LEAVE},
	    {KEEP_FOR, LISTED_SEEN, true, 0, PLAN_DELETE},
	    {KEEP_FOR, LISTED_ADOPTED, true, 0, PLAN_LEAVE},
	    {KEEP_NO, LISTED_NEW, false, 1000, PLAN_FETCH},
	    {KEEP_NO, LISTED_NEW, false, 999, PLAN_TOO_LARGE},
	    {KEEP_NO, LISTED_SEEN, false, 999, PLAN_DELETE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
		assert_int_equal(
		    plan_of(row[i].keep, row[i].match, row[i].expired, row[i].max_size),
		    row[i].action);
}

static void
a_message_without_uid_is_left_alone(void **state)
{
	struct pop3_config config = {.keep = KEEP_NO};
	struct listing *listing = listing_new();

	(void)state;
	listing_set_size(listing, 1, 1000);
	listing_set_size(listing, 3, 1000);
	listing_set_match(listing, 1, LISTED_NEW, 0, false);
	assert_int_equal(plan_message(&config, listing, 1, true), PLAN_NAMELESS);
	assert_int_equal(plan_message(&config, listing, 1, false), PLAN_FETCH);
	assert_int_equal(plan_message(&config, listing, 2, false), PLAN_LEAVE);
	listing_free(&listing);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(table_of_messages),
	    cmocka_unit_test(a_message_without_uid_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
