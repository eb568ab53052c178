#include "unit.h"

#include "fetch/pop3_window.h"

static void
one_at_a_time_without_pipelining(void **state)
{
	struct pop3_window *w = pop3_window_new();

	(void)state;
	assert_true(pop3_window_has_room(w));
	pop3_window_add_retr(w, 1, 100);
	assert_false(pop3_window_has_room(w));
	pop3_window_done(w);
	assert_true(pop3_window_empty(w));
	pop3_window_free(&w);
}

static void
bounded_by_count_and_octets(void **state)
{
	struct pop3_window *w = pop3_window_new();
	uint32_t n = 0;

	(void)state;
	pop3_window_allow_pipelining(w, true);
	while (pop3_window_has_room(w))
		pop3_window_add_retr(w, ++n, 1);
	assert_int_equal(n, 16);
	while (!pop3_window_empty(w))
		pop3_window_done(w);
	n = 0;
	while (pop3_window_has_room(w))
		pop3_window_add_retr(w, ++n, 1);
	assert_int_equal(n, 1024);
	while (!pop3_window_empty(w))
		pop3_window_done(w);
	n = 0;
	while (pop3_window_has_room(w))
		pop3_window_add_retr(w, ++n, 5 * 1024 * 1024);
	assert_int_equal(n, 2);
	pop3_window_done(w);
	assert_true(pop3_window_has_room(w));
	pop3_window_free(&w);
}

static void
answers_come_in_the_order_of_commands(void **state)
{
	struct pop3_window *w = pop3_window_new();
	struct pop3_command command;
	uint32_t number;

	(void)state;
	pop3_window_allow_pipelining(w, true);
	assert_false(pop3_window_first(w, &command));
	for (uint32_t n = 1; n <= 3000; n++)
		pop3_window_want_delete(w, n);
	for (uint32_t n = 1; n <= 3000; n++) {
		pop3_window_add_retr(w, n, 10);
		assert_true(pop3_window_next_delete(w, &number));
		assert_int_equal(number, n);
		assert_true(pop3_window_first(w, &command));
		assert_true(command.retr);
		assert_int_equal(command.number, n);
		pop3_window_done(w);
		assert_true(pop3_window_first(w, &command));
		assert_false(command.retr);
		assert_int_equal(command.number, n);
		pop3_window_done(w);
	}
	assert_false(pop3_window_next_delete(w, &number));
	pop3_window_free(&w);
}

/* What leaves behind a command that was lost would be answered in its place. */
static void
nothing_follows_until_the_first_are_answered(void **state)
{
	struct pop3_window *w = pop3_window_new();

	(void)state;
	pop3_window_allow_pipelining(w, true);
	pop3_window_add_retr(w, 1, 10);
	pop3_window_done(w);
	assert_false(pop3_window_is_pipelined(w));
	for (uint32_t n = 2; n <= 4; n++)
		pop3_window_add_retr(w, n, 10);
	assert_true(pop3_window_has_room(w));
	pop3_window_done(w);
	pop3_window_done(w);
	assert_true(pop3_window_is_pipelined(w));
	assert_false(pop3_window_is_proven(w));
	assert_false(pop3_window_has_room(w));
	pop3_window_done(w);
	assert_true(pop3_window_is_proven(w));
	pop3_window_add_retr(w, 5, 10);
	pop3_window_add_retr(w, 6, 10);
	pop3_window_done(w);
	assert_true(pop3_window_has_room(w));
	pop3_window_free(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_at_a_time_without_pipelining),
	    cmocka_unit_test(bounded_by_count_and_octets),
	    cmocka_unit_test(answers_come_in_the_order_of_commands),
	    cmocka_unit_test(nothing_follows_until_the_first_are_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
