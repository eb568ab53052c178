#ifndef POSTRIDER_NET_NET_WATCH_H
#define POSTRIDER_NET_NET_WATCH_H

#include <stdbool.h>

struct event_base;
struct net_watch;

/*
 * Tells when what failed a moment ago may work now: the machine got an address or a default route
 * (rtnetlink(7)), or woke from suspend (CLOCK_BOOTTIME ran on while the timers' clock stood still).
 * Loop's thread only.
 */
enum net_watch_news {
	NET_WATCH_CHANGED, /* a new address or default route */
	NET_WATCH_RESUMED  /* timers are late by the time that the machine slept */
};

/* Once a change has settled: a second after its last part, five after its first. */
typedef void net_watch_cb(enum net_watch_news news, void *arg);

/* What the kernel refuses to tell (no netlink in a sandbox) is said once in the log. */
struct net_watch *net_watch_new(struct event_base *base, net_watch_cb *cb, void *arg);

/* Not from inside the callback.  Sets the pointer to NULL; NULL inside is fine. */
void net_watch_free(struct net_watch **watch);

/* Compares the clocks now; the watch does it itself every minute, and right after a suspend. */
void net_watch_look_at_clocks(struct net_watch *watch);

/*
 * Reads rtnetlink messages.  True when there is a new address or default route among them; an
 * address that is only confirmed, as IPv6 routers do it all the time, is none.
 */
bool net_watch_read(struct net_watch *watch, void *data, unsigned len);

#endif
