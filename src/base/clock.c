#include "base/clock.h"

#include <stddef.h>
#include <stdio.h>
#include <time.h>

static int64_t
read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int64_t
real_mono(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

static int64_t
real_wall(void)
{
	return read_clock(CLOCK_REALTIME);
}

static int64_t
real_boot(void)
{
	return read_clock(CLOCK_BOOTTIME);
}

static const struct clock_source real = {real_mono, real_wall, real_boot};
static const struct clock_source *current = &real;

void
clock_set_source(const struct clock_source *source)
{
	current = source != NULL ? source : &real;
}

int64_t
clock_mono(void)
{
	return current->mono();
}

int64_t
clock_wall(void)
{
	return current->wall();
}

int64_t
clock_boot(void)
{
	return current->boot();
}

/* Splits wall time into UTC calendar fields and milliseconds, before 1970 as well. */
static int
split_wall(int64_t wall, struct tm *tm)
{
	int ms = (int)((wall % 1000 + 1000) % 1000);
	time_t seconds = (time_t)((wall - ms) / 1000);

	gmtime_r(&seconds, tm);
	return ms;
}

const char *
clock_rfc3339(int64_t wall, char buf[CLOCK_RFC3339_SIZE])
{
	struct tm tm;
	int ms = split_wall(wall, &tm);
	size_t n = strftime(buf, CLOCK_RFC3339_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);

	snprintf(buf + n, CLOCK_RFC3339_SIZE - n, ".%03dZ", ms);
	return buf;
}

const char *
clock_compact(int64_t wall, char buf[CLOCK_RFC3339_SIZE])
{
	struct tm tm;
	int ms = split_wall(wall, &tm);
	size_t n = strftime(buf, CLOCK_RFC3339_SIZE, "%Y%m%dT%H%M%S", &tm);

	snprintf(buf + n, CLOCK_RFC3339_SIZE - n, ".%03dZ", ms);
	return buf;
}
