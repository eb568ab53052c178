#include "unit.h"

#include "net/transcript_oldest.h"

#include <stdio.h>
#include <string.h>

static void
nothing_is_nothing(void **state)
{
	struct transcript_oldest o = {.max = 1};

	(void)state;
	transcript_oldest_sort(&o);
	assert_int_equal(o.count, 0);
	assert_false(o.cut);
	transcript_oldest_clear(&o);
}

/* In this order times, then names, then accounts. */
static void
they_are_in_order(void **state)
{
	struct transcript_oldest o = {.max = 8};

	(void)state;
	transcript_oldest_add(&o, 3, 30, "a", "3");
	transcript_oldest_add(&o, 1, 10, "b", "1");
	transcript_oldest_add(&o, 2, 21, "a", "2b");
	transcript_oldest_add(&o, 1, 11, "a", "1");
	transcript_oldest_add(&o, 2, 20, "b", "2a");
	transcript_oldest_sort(&o);
	assert_int_equal(o.count, 5);
	assert_false(o.cut);
	for (size_t i = 0; i < o.count; i++)
		assert_int_equal(o.logs[i].size, ((uint64_t[]){11, 10, 20, 21, 30})[i]);
	assert_string_equal(o.logs[2].account, "b");
	assert_string_equal(o.logs[2].name, "2a");
	transcript_oldest_clear(&o);
	assert_int_equal(o.count, 0);
	assert_int_equal(o.max, 8);
}

/* All of 100 in an order that jumps about; of more than max the oldest stay. */
static void
only_the_oldest_stay(void **state)
{
	(void)state;
	for (size_t max = 1; max <= 110; max++) {
		struct transcript_oldest o = {.max = max};

		for (int i = 0; i < 100; i++) {
			char name[8];

			snprintf(name, sizeof name, "%d", i * 37 % 100);
			transcript_oldest_add(&o, i * 37 % 100, 0, "a", name);
			assert_true(o.count <= 2 * max);
		}
		transcript_oldest_sort(&o);
		assert_int_equal(o.count, max < 100 ? max : 100);
		assert_int_equal(o.cut, max < 100);
		for (size_t i = 0; i < o.count; i++)
			assert_int_equal(o.logs[i].time, i);
		transcript_oldest_clear(&o);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nothing_is_nothing),
	    cmocka_unit_test(they_are_in_order),
	    cmocka_unit_test(only_the_oldest_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
