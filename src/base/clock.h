#ifndef POSTRIDER_BASE_CLOCK_H
#define POSTRIDER_BASE_CLOCK_H

#include <stdint.h>

/*
 * Times are int64_t milliseconds everywhere.  Monotonic time is for timers, wall time (Unix time)
 * for names, dates and ages, boot time (CLOCK_BOOTTIME, counts suspend) to judge the wall clock.
 */
int64_t clock_mono(void);
int64_t clock_wall(void);
int64_t clock_boot(void);

struct clock_source {
	int64_t (*mono)(void);
	int64_t (*wall)(void);
	int64_t (*boot)(void);
};

/* Tests put their own clock here; NULL brings the real one back.  The pointer is borrowed. */
void clock_set_source(const struct clock_source *source);

#define CLOCK_RFC3339_SIZE 32

/* "2026-11-20T10:15:00.123Z" for a wall time.  Returns buf. */
const char *clock_rfc3339(int64_t wall, char buf[CLOCK_RFC3339_SIZE]);

/* "20261120T101500.123Z", the form used in file names.  Returns buf. */
const char *clock_compact(int64_t wall, char buf[CLOCK_RFC3339_SIZE]);

#endif
