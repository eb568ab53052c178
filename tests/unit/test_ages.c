#include "unit.h"

#include "store/ages.h"

#include <string.h>

struct step {
	const char *name;
	int64_t wall, boot;
	const char *boot_id;
	bool synchronised;
	int64_t passed;
};

static const struct step steps[] = {
    {"start", 1000000, 500, "a", true, 0},
    {"both move", 1001000, 1500, "a", true, 1000},
    {"suspended: boot clock counts", 1101000, 101500, "a", true, 100000},
    {"wall leaps ahead", 9000000, 102500, "a", true, 1000},
    {"wall leaps back", 1200000, 103500, "a", true, 0},
    {"and goes on", 1201000, 104500, "a", true, 1000},
    {"reboot, synchronised", 1301000, 20000, "b", true, 100000},
    {"reboot, wall behind", 1300000, 30000, "c", true, 30000},
    {"reboot, not synchronised", 99000000, 40000, "d", false, 40000},
    {"leap to the right time", 1500000, 41000, "d", true, 0},
    {"within the boot", 1501000, 42000, "d", true, 1000},
    {"not synchronised any more", 1502000, 43000, "d", false, 1000},
    {"reboot after that", 99000000, 5000, "e", true, 5000},
    {"same boot, boot clock behind", 99001000, 4000, "e", true, 4000},
    {"boot unknown", 99002000, 5000, "", true, 1000},
    {"still unknown, not synchronised", 99009000, 6000, "", false, 0},
};

static void
only_certain_time_counts(void **state)
{
	struct ages ages;

	(void)state;
	memset(&ages, 0, sizeof ages);
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		struct ages_reading reading = {.wall = steps[i].wall,
		    .boot = steps[i].boot,
		    .synchronised = steps[i].synchronised};
		int64_t before = i == 0 ? AGES_START : ages.now;

		strcpy(reading.boot_id, steps[i].boot_id);
		ages_advance(&ages, &reading);
		if (ages.now - before != steps[i].passed)
			fail_msg("%s: %lld", steps[i].name, (long long)(ages.now - before));
	}
}

static void
the_system_has_clocks(void **state)
{
	struct ages_reading a, b;
	struct ages ages = {.now = 0};

	(void)state;
	ages_read(&a);
	ages_read(&b);
	assert_string_equal(a.boot_id, b.boot_id);
	assert_true(b.boot >= a.boot);
	ages_advance(&ages, &a);
	ages_advance(&ages, &b);
	assert_true(ages.now >= AGES_START);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(only_certain_time_counts),
	    cmocka_unit_test(the_system_has_clocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
