#include "net/net_watch.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"

#include <errno.h>
#include <event2/event.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sysexits.h>
#include <unistd.h>

/* ms */
enum { SETTLE = 1000, SETTLE_MOST = 5000, SLEPT_LEAST = 5000 };
enum { LOOK_SECONDS = 60 };
enum { READ_SIZE = 16 * 1024 };

/* Addresses remembered; a machine with more has some of them told anew now and then. */
enum { KNOWN_MOST = 256 };

struct known {
	unsigned link;
	unsigned char family;
	unsigned char octets[16];
};

/* One owner: the daemon. */
struct net_watch {
	net_watch_cb *cb;
	void *arg;
	int netlink; /* -1: not to be had */
	int clock;   /* the same */
	struct event *netlink_event, *clock_event;
	struct event *settled;
	bool pending;  /* a change is settling */
	bool resumed;  /* it is a resume */
	int64_t first; /* mono ms of its first part */
	int64_t ahead; /* boot clock minus mono clock */
	struct known known[KNOWN_MOST];
	size_t known_count;
};

/* -- settling ---------------------------------------------------------------------------------- */

static void
settled_cb(evutil_socket_t fd, short what, void *arg)
{
	struct net_watch *w = arg;
	bool resumed = w->resumed;

	(void)fd;
	(void)what;
	w->pending = w->resumed = false;
	w->cb(resumed ? NET_WATCH_RESUMED : NET_WATCH_CHANGED, w->arg);
}

static void
note(struct net_watch *w, bool resumed)
{
	int64_t now = clock_mono(), wait = SETTLE;
	struct timeval tv;

	if (!w->pending)
		w->first = now;
	w->pending = true;
	w->resumed |= resumed;
	if (now + wait > w->first + SETTLE_MOST)
		wait = w->first + SETTLE_MOST - now;
	wait = wait > 0 ? wait : 0;
	tv = (struct timeval){wait / 1000, wait % 1000 * 1000};
	event_add(w->settled, &tv);
}

/* -- addresses and routes ---------------------------------------------------------------------- */

static struct known *
find_known(struct net_watch *w, const struct known *address)
{
	for (size_t i = 0; i < w->known_count; i++)
		if (memcmp(&w->known[i], address, sizeof *address) == 0)
			return &w->known[i];
	return NULL;
}

/* False when the message is no whole one of an address. */
static bool
read_address(struct nlmsghdr *header, struct known *address)
{
	struct ifaddrmsg *message = NLMSG_DATA(header);
	int left;

	if (header->nlmsg_len < NLMSG_LENGTH(sizeof *message))
		return false;
	left = (int)(header->nlmsg_len - NLMSG_LENGTH(sizeof *message));
	memset(address, 0, sizeof *address);
	address->link = message->ifa_index;
	address->family = message->ifa_family;
	for (struct rtattr *a = IFA_RTA(message); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		size_t len = RTA_PAYLOAD(a);

		if (a->rta_type != IFA_ADDRESS || len > sizeof address->octets)
			continue;
		memcpy(address->octets, RTA_DATA(a), len);
		return true;
	}
	return false;
}

static bool
add_address(struct net_watch *w, struct nlmsghdr *header)
{
	struct known address;

	if (!read_address(header, &address) || find_known(w, &address) != NULL)
		return false;
	if (w->known_count < KNOWN_MOST)
		w->known[w->known_count++] = address;
	return true;
}

static void
remove_address(struct net_watch *w, struct nlmsghdr *header)
{
	struct known address, *found;

	if (read_address(header, &address) && (found = find_known(w, &address)) != NULL)
		*found = w->known[--w->known_count];
}

static bool
is_default_route(struct nlmsghdr *header)
{
	const struct rtmsg *route = NLMSG_DATA(header);

	return header->nlmsg_len >= NLMSG_LENGTH(sizeof *route) && route->rtm_dst_len == 0 &&
	       route->rtm_type == RTN_UNICAST && (route->rtm_flags & RTM_F_CLONED) == 0;
}

bool
net_watch_read(struct net_watch *w, void *data, unsigned len)
{
	bool news = false;

	for (struct nlmsghdr *h = data; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
		if (h->nlmsg_type == RTM_NEWADDR)
			news |= add_address(w, h);
		else if (h->nlmsg_type == RTM_DELADDR)
			remove_address(w, h);
		else if (h->nlmsg_type == RTM_NEWROUTE)
			news |= is_default_route(h);
	}
	return news;
}

/* When the kernel could not tell everything (ENOBUFS), there may have been news. */
static void
netlink_cb(evutil_socket_t fd, short what, void *arg)
{
	_Alignas(struct nlmsghdr) char data[READ_SIZE];
	struct net_watch *w = arg;
	bool news = false;
	ssize_t n;

	(void)what;
	while ((n = recv(fd, data, sizeof data, 0)) > 0 || (n < 0 && errno == ENOBUFS))
		news |= n < 0 || net_watch_read(w, data, (unsigned)n);
	if (news)
		note(w, false);
}

static void
watch_addresses(struct net_watch *w, struct event_base *base)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK,
	    .nl_groups =
		RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE};

	w->netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (w->netlink >= 0 &&
	    bind(w->netlink, (const struct sockaddr *)&address, sizeof address) == 0)
		w->netlink_event = event_new(base, w->netlink, EV_READ | EV_PERSIST, netlink_cb, w);
	if (w->netlink_event == NULL)
		log_warning("changes of the network are not noticed (%s): accounts in trouble wait "
			    "for their next attempt",
		    strerror(errno));
	else
		event_add(w->netlink_event, NULL);
}

/* -- clocks ------------------------------------------------------------------------------------ */

static int64_t
clocks_apart(void)
{
	return clock_boot() - clock_mono();
}

void
net_watch_look_at_clocks(struct net_watch *w)
{
	int64_t ahead = clocks_apart(), slept = ahead - w->ahead;

	w->ahead = ahead;
	if (slept < SLEPT_LEAST)
		return;
	log_info("the machine slept for %lld s", (long long)(slept / 1000));
	note(w, true);
}

static void
clock_cb(evutil_socket_t fd, short what, void *arg)
{
	uint64_t times;

	(void)what;
	if (read(fd, &times, sizeof times) == (ssize_t)sizeof times)
		net_watch_look_at_clocks(arg);
}

/* A timer on this clock goes off right after a suspend that went beyond its time. */
static void
watch_clocks(struct net_watch *w, struct event_base *base)
{
	const struct itimerspec every = {{LOOK_SECONDS, 0}, {LOOK_SECONDS, 0}};

	w->ahead = clocks_apart();
	w->clock = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (w->clock < 0 || timerfd_settime(w->clock, 0, &every, NULL) < 0) {
		log_warning("a suspend of the machine is not noticed: %s", strerror(errno));
		return;
	}
	w->clock_event = event_new(base, w->clock, EV_READ | EV_PERSIST, clock_cb, w);
	if (w->clock_event == NULL)
		exit(EX_OSERR);
	event_add(w->clock_event, NULL);
}

/* -- life -------------------------------------------------------------------------------------- */

struct net_watch *
net_watch_new(struct event_base *base, net_watch_cb *cb, void *arg)
{
	struct net_watch *w = xcalloc(1, sizeof *w);

	w->cb = cb;
	w->arg = arg;
	w->settled = event_new(base, -1, 0, settled_cb, w);
	if (w->settled == NULL)
		exit(EX_OSERR);
	watch_addresses(w, base);
	watch_clocks(w, base);
	return w;
}

static void
end(struct event *event, int fd)
{
	if (event != NULL)
		event_free(event);
	if (fd >= 0)
		close(fd);
}

void
net_watch_free(struct net_watch **watch)
{
	struct net_watch *w = *watch;

	*watch = NULL;
	if (w == NULL)
		return;
	end(w->netlink_event, w->netlink);
	end(w->clock_event, w->clock);
	event_free(w->settled);
	free(w);
}
