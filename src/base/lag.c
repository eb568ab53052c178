#include "base/lag.h"

#include "base/clock.h"
#include "base/xalloc.h"

#include <event2/event.h>
#include <stdlib.h>

enum { TICK = 50 };

/* One owner: the daemon. */
struct lag {
	struct event *timer;
	bool ticking;
	int64_t due; /* mono */
	int64_t max;
};

static void
lag_arm(struct lag *lag)
{
	static const struct timeval tick = {0, TICK * 1000};

	lag->due = clock_mono() + TICK;
	event_add(lag->timer, &tick);
}

static void
tick_cb(evutil_socket_t fd, short what, void *arg)
{
	struct lag *lag = arg;
	int64_t late = clock_mono() - lag->due;

	(void)fd;
	(void)what;
	if (late > lag->max)
		lag->max = late;
	lag_arm(lag);
}

struct lag *
lag_new(struct event_base *base)
{
	struct lag *lag = xcalloc(1, sizeof *lag);

	lag->timer = event_new(base, -1, 0, tick_cb, lag);
	return lag;
}

void
lag_free(struct lag **lag)
{
	struct lag *l = *lag;

	*lag = NULL;
	if (l == NULL)
		return;
	event_free(l->timer);
	free(l);
}

void
lag_watch(struct lag *lag, bool busy)
{
	if (busy == lag->ticking)
		return;
	lag->ticking = busy;
	if (busy)
		lag_arm(lag);
	else
		event_del(lag->timer);
}

int64_t
lag_max(const struct lag *lag)
{
	return lag->max;
}
