#ifndef POSTRIDER_BASE_LAG_H
#define POSTRIDER_BASE_LAG_H

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct lag;

/*
 * How long the loop kept others waiting: while there is work a timer ticks, and the lateness of a
 * tick is the lag.  An idle daemon has no timer.
 */
struct lag *lag_new(struct event_base *base);
void lag_free(struct lag **lag);

/* Call after every turn of the loop: busy starts the ticking, idle ends it. */
void lag_watch(struct lag *lag, bool busy);

/* The worst so far, ms. */
int64_t lag_max(const struct lag *lag);

#endif
