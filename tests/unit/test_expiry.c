#include "unit.h"

#include "config/config.h"
#include "fetch/expiry.h"
#include "proto/pop3.h"
#include "store/record.h"

#define DAY (INT64_C(24) * 3600 * 1000)

static void
table_of_policies(void **state)
{
	static const struct {
		enum keep_kind keep;
		int64_t keep_for;
		int64_t days;
		bool cuts;
	} row[] = {
	    {KEEP_NO, 0, 0, false},
	    {KEEP_NO, 0, 7, false},
	    {KEEP_FOREVER, 0, -1, false},
	    {KEEP_FOREVER, 0, POP3_EXPIRE_NEVER, false},
	    {KEEP_FOREVER, 0, 0, true},
	    {KEEP_FOREVER, 0, INT64_MAX - 1, true},
	    {KEEP_FOR, 14 * DAY, -1, false},
	    {KEEP_FOR, 14 * DAY, POP3_EXPIRE_NEVER, false},
	    {KEEP_FOR, 14 * DAY, INT64_MAX - 1, false},
	    {KEEP_FOR, 14 * DAY, 14, false},
	    {KEEP_FOR, 14 * DAY, 13, true},
	    {KEEP_FOR, 14 * DAY + 1, 14, true},
	    {KEEP_FOR, 1000, 0, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct pop3_config config = {.keep = row[i].keep, .keep_for = row[i].keep_for};

		assert_int_equal(expiry_cuts_keep(&config, row[i].days), row[i].cuts);
	}
}

static void
each_change_is_told_once(void **state)
{
	struct pop3_config config = {.keep = KEEP_FOREVER};
	struct record r = {0};

	(void)state;
	assert_false(expiry_note(&r, "a", &config, -1));
	assert_true(expiry_note(&r, "a", &config, 0));
	assert_false(expiry_note(&r, "a", &config, 0));
	assert_false(expiry_note(&r, "a", &config, -1)); /* a session that was cut off */
	assert_false(expiry_note(&r, "a", &config, 0));
	assert_true(expiry_note(&r, "a", &config, 7));
	assert_true(expiry_note(&r, "a", &config, POP3_EXPIRE_NEVER));
	assert_false(expiry_note(&r, "a", &config, POP3_EXPIRE_NEVER));
	assert_true(expiry_note(&r, "a", &config, 7));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(table_of_policies),
	    cmocka_unit_test(each_change_is_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
