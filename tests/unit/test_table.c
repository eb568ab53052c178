#include "unit.h"

#include "net/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t freed;

static void
count_free(void *value)
{
	freed++;
	free(value);
}

static void
a_value_is_found_replaced_and_taken(void **state)
{
	struct table *t = table_new(10, count_free);
	char *taken;

	(void)state;
	freed = 0;
	assert_null(table_get(t, "a"));
	table_put(t, "a", strdup("one"));
	table_put(t, "a", strdup("two"));
	assert_int_equal(freed, 1);
	assert_int_equal(table_count(t), 1);
	assert_string_equal(table_get(t, "a"), "two");
	taken = table_take(t, "a");
	assert_string_equal(taken, "two");
	free(taken);
	assert_null(table_take(t, "a"));
	table_free(&t);
	assert_null(t);
	assert_int_equal(freed, 1);
}

static void
the_longest_unused_makes_room(void **state)
{
	struct table *t = table_new(100, count_free);
	char key[16];

	(void)state;
	freed = 0;
	for (int i = 0; i < 150; i++) {
		snprintf(key, sizeof key, "%d", i);
		table_put(t, key, strdup(key));
		assert_non_null(table_get(t, "0"));
	}
	assert_int_equal(table_count(t), 100);
	assert_int_equal(freed, 50);
	assert_null(table_get(t, "1"));
	assert_null(table_get(t, "50"));
	assert_string_equal(table_get(t, "51"), "51");
	table_clear(t);
	assert_int_equal(table_count(t), 0);
	assert_int_equal(freed, 150);
	table_free(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_value_is_found_replaced_and_taken),
	    cmocka_unit_test(the_longest_unused_makes_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
