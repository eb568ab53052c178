#include "unit.h"

#include "net/slots.h"

#include <event2/event.h>
#include <string.h>

enum { SLOTS = 10 };

struct fixture {
	struct event_base *base;
	struct slots *slots;
	struct slot slot[SLOTS];
};

static size_t granted_order[SLOTS];
static size_t granted_count;
static struct fixture *current;

static void
on_granted(struct slot *slot)
{
	granted_order[granted_count++] = (size_t)(slot - current->slot);
}

static int
begin(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof f);
	f.base = event_base_new();
	f.slots = slots_new(f.base);
	for (size_t i = 0; i < SLOTS; i++)
		slot_init(&f.slot[i], on_granted);
	granted_count = 0;
	current = &f;
	*state = &f;
	return 0;
}

static int
end(void **state)
{
	struct fixture *f = *state;

	slots_free(&f->slots);
	event_base_free(f->base);
	return 0;
}

static void
turn(struct fixture *f)
{
	event_base_loop(f->base, EVLOOP_NONBLOCK);
}

static void
so_many_in_all(void **state)
{
	struct fixture *f = *state;

	slots_configure(f->slots, 3, 10);
	for (size_t i = 0; i < 5; i++)
		slots_want(f->slots, &f->slot[i], "host", false, false);
	assert_int_equal(granted_count, 0); /* never from inside */
	turn(f);
	assert_int_equal(granted_count, 3);
	assert_int_equal(slots_held(f->slots), 3);
	slots_leave(f->slots, &f->slot[1]);
	turn(f);
	assert_int_equal(granted_count, 4);
	assert_int_equal(granted_order[3], 3);
	for (size_t i = 0; i < 5; i++)
		slots_leave(f->slots, &f->slot[i]);
}

static void
so_many_to_one_host(void **state)
{
	struct fixture *f = *state;

	slots_configure(f->slots, 10, 2);
	for (size_t i = 0; i < 4; i++)
		slots_want(f->slots, &f->slot[i], i % 2 ? "pop.example.org" : "POP.example.org",
		    false, false);
	slots_want(f->slots, &f->slot[4], "other.example.org", false, false);
	turn(f);
	assert_int_equal(granted_count, 3);
	assert_int_equal(granted_order[2], 4);
	for (size_t i = 0; i < 5; i++)
		slots_leave(f->slots, &f->slot[i]);
}

static void
failing_ones_share_half(void **state)
{
	struct fixture *f = *state;

	slots_configure(f->slots, 4, 10);
	for (size_t i = 0; i < 4; i++)
		slots_want(f->slots, &f->slot[i], "dead", true, false);
	slots_want(f->slots, &f->slot[4], "alive", false, false);
	turn(f);
	assert_int_equal(granted_count, 3);
	assert_int_equal(granted_order[0], 0);
	assert_int_equal(granted_order[1], 1);
	assert_int_equal(granted_order[2], 4);
	for (size_t i = 0; i < 5; i++)
		slots_leave(f->slots, &f->slot[i]);
}

static void
one_slot_serves_failing_ones_too(void **state)
{
	struct fixture *f = *state;

	slots_configure(f->slots, 1, 1);
	slots_want(f->slots, &f->slot[0], "dead", true, false);
	turn(f);
	assert_int_equal(granted_count, 1);
	slots_leave(f->slots, &f->slot[0]);
}

static void
urgent_ones_come_first(void **state)
{
	struct fixture *f = *state;

	slots_configure(f->slots, 1, 1);
	for (size_t i = 0; i < 3; i++)
		slots_want(f->slots, &f->slot[i], "host", false, false);
	slots_want(f->slots, &f->slot[2], "host", false, true);
	slots_want(f->slots, &f->slot[2], "host", false, false); /* stays where it is */
	turn(f);
	assert_int_equal(granted_order[0], 2);
	assert_true(slot_is_held(&f->slot[2]));
	assert_true(slot_is_waiting(&f->slot[0]));
	slots_want(f->slots, &f->slot[2], "host", false, true); /* held: nothing happens */
	assert_false(slot_is_waiting(&f->slot[2]));
	for (size_t i = 0; i < 3; i++)
		slots_leave(f->slots, &f->slot[i]);
	turn(f);
	assert_int_equal(granted_count, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(so_many_in_all, begin, end),
	    cmocka_unit_test_setup_teardown(so_many_to_one_host, begin, end),
	    cmocka_unit_test_setup_teardown(failing_ones_share_half, begin, end),
	    cmocka_unit_test_setup_teardown(one_slot_serves_failing_ones_too, begin, end),
	    cmocka_unit_test_setup_teardown(urgent_ones_come_first, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
