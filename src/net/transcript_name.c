#include "net/transcript_name.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define STAMP_LEN 20 /* of "20261120T101500.123Z" */
#define DIGITS    "0123456789"
#define ALNUM     DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

/* Whether the date exists shows when it is written again. */
static bool
parse_stamp(const char *name, int64_t *time)
{
	char again[CLOCK_RFC3339_SIZE];
	struct tm tm = {0};
	int ms, end = 0;

	if (strspn(name, DIGITS) != 8 ||
	    sscanf(name, "%4d%2d%2dT%2d%2d%2d.%3dZ%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
		&tm.tm_hour, &tm.tm_min, &tm.tm_sec, &ms, &end) != 7 ||
	    end != STAMP_LEN)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	*time = (int64_t)timegm(&tm) * 1000 + ms;
	return strncmp(clock_compact(*time, again), name, STAMP_LEN) == 0;
}

bool
transcript_name_parse(const char *name, int64_t *time)
{
	const char *id;
	size_t len;

	if (!parse_stamp(name, time))
		return false;
	id = name + STAMP_LEN;
	if (strncmp(id, "-pop3-", 6) != 0 && strncmp(id, "-smtp-", 6) != 0)
		return false;
	id += 6;
	len = strspn(id, ALNUM);
	return len > 0 && strcmp(id + len, ".log") == 0;
}
