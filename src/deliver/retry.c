#include "deliver/retry.h"

#include "config/config.h"

enum { MINUTE = 60 * 1000, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

static int64_t
jitter(int64_t delay, double random)
{
	return delay - delay / 10 + (int64_t)((double)(delay / 5) * random);
}

int64_t
retry_delay(const struct retry_config *retry, unsigned failures, double random)
{
	int64_t delay = retry->first;

	for (unsigned i = 1; i < failures && delay < retry->max; i++)
		delay *= 2;
	return jitter(delay < retry->max ? delay : retry->max, random);
}

int64_t
retry_bounded(const struct retry_config *retry, int64_t delay)
{
	if (delay > retry->max)
		return retry->max;
	return delay > retry->first ? delay : retry->first;
}

bool
retry_unknown_delay(unsigned unknowns, double random, int64_t *delay)
{
	if (unknowns > 2)
		return false;
	*delay = jitter(unknowns <= 1 ? HOUR : 6 * HOUR, random);
	return true;
}

bool
retry_gives_up(const struct retry_config *retry, int64_t queued, unsigned attempts, int64_t now)
{
	return attempts > 0 && now - queued >= retry->give_up;
}

bool
retry_warns(const struct retry_config *retry, int64_t queued, int64_t warned, bool account_trouble,
    int64_t now)
{
	if (retry->warn_after == 0 || now - queued < retry->warn_after)
		return false;
	return warned == 0 || (account_trouble && now - warned >= DAY);
}
