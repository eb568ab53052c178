#include "fetch/schedule.h"

enum {
	SECOND = 1000,
	MINUTE = 60 * SECOND,
	HOUR = 60 * MINUTE,
	DAY = 24 * HOUR,
};

static int64_t
min64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t
max64(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Plus or minus a tenth, so that accounts which failed together do not come back together. */
static int64_t
jitter(int64_t delay, double random)
{
	return delay - delay / 10 + (int64_t)((double)(delay / 5) * random);
}

/* Doubles from a minute (or the interval, when that is shorter) up to an hour (or the interval). */
static int64_t
back_off(int64_t interval, unsigned failures)
{
	int64_t delay = min64(interval, MINUTE);
	int64_t most = max64(interval, HOUR);

	for (unsigned i = 1; i < failures && delay < most; i++)
		delay *= 2;
	return min64(delay, most);
}

/* Refusals are tried again after two, then four intervals: guesses look like an attack. */
static int64_t
auth_back_off(int64_t interval, unsigned auth_failures)
{
	return interval << (auth_failures < SCHEDULE_AUTH_TRIES ? auth_failures
								: SCHEDULE_AUTH_TRIES);
}

static struct schedule
schedule_failed(const struct schedule_input *in)
{
	struct schedule next = {.delay = back_off(in->interval, in->failures)};

	switch (in->why->kind) {
	case FAIL_NONE:
	case FAIL_NETWORK:
	case FAIL_TLS:
	case FAIL_PROTOCOL:
	case FAIL_SERVER:
		break;
	case FAIL_AUTH:
		next.blocked = in->auth_failures >= SCHEDULE_AUTH_TRIES;
		next.delay = next.blocked ? DAY : auth_back_off(in->interval, in->auth_failures);
		break;
	case FAIL_CONFIG:
		next.blocked = true;
		next.delay = DAY;
		break;
	case FAIL_LOCAL:
		/* A missing Maildir may be mounted any moment, and looking costs nothing. */
		next.blocked = in->why->hint == HINT_SYS_PERM;
		next.delay = next.blocked ? in->interval : next.delay;
		break;
	}
	if (in->why->hint == HINT_SYS_PERM && !next.blocked)
		next.delay = max64(in->interval, HOUR);
	/* New mail does not wait for what the server cannot deliver. */
	if (in->why->hint == HINT_MESSAGES)
		next.delay = in->interval;
	if (in->why->hint == HINT_LOGIN_DELAY)
		next.delay = max64(next.delay, in->login_delay);
	return next;
}

struct schedule
schedule_next(const struct schedule_input *in)
{
	struct schedule next = {.delay = in->interval};

	if (in->why->kind != FAIL_NONE)
		next = schedule_failed(in);
	if (in->interval == 0) {
		next.delay = -1;
		return next;
	}
	next.delay = jitter(next.delay, in->random);
	if (in->why->kind == FAIL_NONE && in->more)
		next.delay = 0;
	next.delay = max64(next.delay, in->login_delay);
	return next;
}

int64_t
schedule_first(int64_t interval, unsigned accounts, double random)
{
	int64_t span = min64(interval, (int64_t)(accounts > 0 ? accounts - 1 : 0) * SECOND / 4);

	return (int64_t)((double)span * random);
}
