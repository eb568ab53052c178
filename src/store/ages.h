#ifndef POSTRIDER_STORE_AGES_H
#define POSTRIDER_STORE_AGES_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The clock by which mail ages: it counts only time that has certainly passed, so that a wall
 * clock that leaps makes mail stay longer, never shorter.  Milliseconds, starting at AGES_START,
 * never 0.
 */
enum { AGES_START = 1000 };
enum { AGES_BOOT_ID_SIZE = 37 };

struct ages_reading {
	int64_t wall;
	int64_t boot;                    /* CLOCK_BOOTTIME */
	char boot_id[AGES_BOOT_ID_SIZE]; /* "" when the kernel does not tell */
	bool synchronised;               /* the kernel says that the wall clock is disciplined */
};

struct ages {
	int64_t now;              /* the clock */
	struct ages_reading last; /* when it was advanced */
};

/* What the system's clocks say (clock_wall(), clock_boot(), boot_id, adjtimex(2)). */
void ages_read(struct ages_reading *reading);

/*
 * Advances the clock to the reading.  Within one boot by what wall clock and boot clock both saw
 * pass.  Across a boot by the time since that boot, or by the wall clock when it was synchronised
 * at both readings.
 */
void ages_advance(struct ages *ages, const struct ages_reading *reading);

#endif
