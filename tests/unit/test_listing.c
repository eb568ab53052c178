#include "unit.h"

#include "store/listing.h"

#include <stdio.h>
#include <string.h>

static const struct {
	uint32_t number;
	uint64_t size;
	bool taken;
} sizes[] = {
    {0, 5, false},
    {1, 5, true},
    {1, 5, true},
    {1, 6, false},
    {3, 0, true},
    {2, UINT64_C(0xffffffffffff), true},
    {4, UINT64_C(1) << 48, false},
    {LISTING_MAX + 1, 5, false},
    {UINT32_MAX, 5, false},
};

static void
sizes_are_kept(void **state)
{
	struct listing *l = listing_new();

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		assert_int_equal(
		    listing_set_size(l, sizes[i].number, sizes[i].size), sizes[i].taken);
	assert_int_equal(listing_count(l), 3);
	assert_int_equal(listing_beyond(l), 2);
	assert_true(listing_size(l, 2) == UINT64_C(0xffffffffffff));
	assert_int_equal(listing_size(l, 1), 5);
	assert_false(listing_has(l, 0));
	assert_false(listing_has(l, 4));
	listing_free(&l);
	assert_null(l);
}

static void
uids_are_kept(void **state)
{
	struct listing *l = listing_new();
	char longest[LISTING_UID_LIMIT + 1], other[LISTING_UID_LIMIT + 1];
	size_t len;

	(void)state;
	memset(longest, 'x', sizeof longest);
	memset(other, 'x', sizeof other);
	other[200] = 'y';
	assert_true(listing_set_uid(l, 5, "abc", 3));
	assert_true(listing_set_uid(l, 5, "abc", 3));
	assert_false(listing_set_uid(l, 5, "abd", 3));
	assert_false(listing_set_uid(l, 5, "ab", 2));
	assert_false(listing_set_uid(l, 4, "", 0));
	assert_true(listing_set_uid(l, 3, longest, LISTING_UID_MAX));
	assert_true(listing_set_uid(l, 2, longest, LISTING_UID_LIMIT));
	assert_false(listing_set_uid(l, 2, other, LISTING_UID_LIMIT));
	assert_true(listing_set_uid(l, 1, other, LISTING_UID_LIMIT));
	assert_false(listing_set_uid(l, 4, longest, LISTING_UID_LIMIT + 1));
	assert_memory_equal(listing_uid(l, 5, &len), "abc", 3);
	assert_int_equal(len, 3);
	listing_uid(l, 3, &len);
	assert_int_equal(len, 70);
	assert_int_equal(listing_uid(l, 2, &len)[0], 1);
	assert_int_equal(len, 33);
	listing_uid(l, 4, &len);
	assert_int_equal(len, 0);
	assert_false(listing_has(l, 4));
	assert_true(listing_index(l));
	listing_free(&l);
}

static void
occurrences_are_numbered(void **state)
{
	static const char *const uids[] = {"a", "b", "a", "a", "b", "c", NULL};
	static const unsigned occurrences[] = {1, 1, 2, 3, 2, 1, 7};
	struct listing *l = listing_new();

	(void)state;
	for (uint32_t n = 7; n >= 1; n--) {
		listing_set_size(l, n, n);
		if (uids[n - 1] != NULL)
			listing_set_uid(l, n, uids[n - 1], strlen(uids[n - 1]));
	}
	for (int twice = 0; twice < 2; twice++) {
		assert_true(listing_index(l));
		for (uint32_t n = 1; n <= 7; n++) {
			assert_int_equal(listing_occurrence(l, n), occurrences[n - 1]);
			assert_int_equal(listing_match(l, n), LISTED_NEW);
			assert_int_equal(listing_row(l, n), 0);
			if (uids[n - 1] != NULL)
				assert_int_equal(
				    listing_find(l, uids[n - 1], 1, occurrences[n - 1]), n);
		}
		assert_int_equal(listing_find(l, "a", 1, 4), 0);
		assert_int_equal(listing_find(l, "d", 1, 1), 0);
		assert_int_equal(listing_find(l, "", 0, 7), 0);
		listing_set_match(l, 2, LISTED_SEEN, INT64_C(0x123456789abcdef), true);
		assert_int_equal(listing_match(l, 2), LISTED_SEEN);
		assert_true(listing_row(l, 2) == INT64_C(0x123456789abcdef));
		assert_true(listing_expired(l, 2));
		assert_int_equal(listing_size(l, 2), 2);
	}
	listing_drop_index(l);
	assert_int_equal(listing_find(l, "a", 1, 1), 0);
	assert_int_equal(listing_occurrence(l, 4), 3);
	listing_free(&l);
}

static void
a_uid_may_repeat_a_hundred_times(void **state)
{
	struct listing *l = listing_new();

	(void)state;
	for (uint32_t n = 1; n <= LISTING_REPEAT_MAX; n++)
		listing_set_uid(l, n, "same", 4);
	assert_true(listing_index(l));
	assert_int_equal(listing_occurrence(l, 100), 100);
	assert_int_equal(listing_find(l, "same", 4, 57), 57);
	listing_set_uid(l, 101, "same", 4);
	assert_false(listing_index(l));
	listing_free(&l);
}

static void
a_million_messages_cost_a_hundred_octets_each(void **state)
{
	struct listing *l = listing_new();
	char uid[71];

	(void)state;
	for (uint32_t n = 1; n <= LISTING_MAX; n++) {
		snprintf(uid, sizeof uid, "%070u", n);
		assert_true(listing_set_size(l, n, n));
		assert_true(listing_set_uid(l, n, uid, 70));
		if (n > 1000 && n % 777 == 0)
			assert_true(listing_memory(l) <= 100 * (size_t)n);
	}
	assert_true(listing_index(l));
	assert_true(listing_memory(l) <= 100 * (size_t)LISTING_MAX);
	for (uint32_t n = 1; n <= LISTING_MAX; n += 997) {
		snprintf(uid, sizeof uid, "%070u", n);
		assert_int_equal(listing_find(l, uid, 70, 1), n);
	}
	listing_free(&l);
}

static void
an_empty_listing_is_fine(void **state)
{
	struct listing *l = listing_new();

	(void)state;
	assert_true(listing_index(l));
	assert_int_equal(listing_count(l), 0);
	assert_int_equal(listing_find(l, "a", 1, 1), 0);
	listing_free(&l);
	listing_free(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sizes_are_kept),
	    cmocka_unit_test(uids_are_kept),
	    cmocka_unit_test(occurrences_are_numbered),
	    cmocka_unit_test(a_uid_may_repeat_a_hundred_times),
	    cmocka_unit_test(a_million_messages_cost_a_hundred_octets_each),
	    cmocka_unit_test(an_empty_listing_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
