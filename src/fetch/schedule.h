#ifndef POSTRIDER_FETCH_SCHEDULE_H
#define POSTRIDER_FETCH_SCHEDULE_H

#include "base/verdict.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * When an account is polled next: pure arithmetic on what happened, so that it can be read and
 * tested as a table.  All times are milliseconds.
 */
enum { SCHEDULE_AUTH_TRIES = 3 }; /* refused passwords in a row before the account is blocked */

struct schedule_input {
	int64_t interval;          /* of the configuration; 0: only on demand */
	const struct verdict *why; /* of the poll that ended */
	unsigned failures;         /* in a row, this one included */
	unsigned auth_failures;    /* refused passwords in a row, this one included */
	int64_t login_delay;       /* what the server asks for between logins; 0: nothing */
	bool more;                 /* the listing may have been a window: poll again at once */
	double random;             /* 0 <= random < 1 */
};

struct schedule {
	int64_t delay; /* until the next poll; -1: none by itself */
	bool blocked;  /* waits for a person, a changed setting, or the one try a day */
};

struct schedule schedule_next(const struct schedule_input *input);

/* The first poll after start: spread over a span that grows with the number of accounts. */
int64_t schedule_first(int64_t interval, unsigned accounts, double random);

#endif
