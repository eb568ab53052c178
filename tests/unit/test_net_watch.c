#include "unit.h"

#include "base/clock.h"
#include "net/net_watch.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>

struct fixture {
	struct event_base *base;
	struct net_watch *watch;
	size_t changed, resumed;
};

/* Clocks that stand still until told. */
static int64_t mono, boot;

static int64_t
fake_mono(void)
{
	return mono;
}

static int64_t
fake_boot(void)
{
	return boot;
}

static const struct clock_source fakes = {.mono = fake_mono, .wall = fake_mono, .boot = fake_boot};

static void
on_news(enum net_watch_news news, void *arg)
{
	struct fixture *f = arg;

	f->changed += news == NET_WATCH_CHANGED;
	f->resumed += news == NET_WATCH_RESUMED;
}

static int
set_up(void **state)
{
	static struct fixture f;

	mono = 1000;
	boot = 5000;
	clock_set_source(&fakes);
	f = (struct fixture){.base = event_base_new()};
	f.watch = net_watch_new(f.base, on_news, &f);
	*state = &f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	net_watch_free(&f->watch);
	assert_null(f->watch);
	event_base_free(f->base);
	clock_set_source(NULL);
	return 0;
}

struct message {
	struct nlmsghdr header;
	char data[64];
};

static size_t
make_address(struct message *m, unsigned type, unsigned link, const char *text)
{
	struct ifaddrmsg *body = (void *)m->data;
	struct rtattr *attribute = (void *)(m->data + NLMSG_ALIGN(sizeof *body));
	bool six = strchr(text, ':') != NULL;

	memset(m, 0, sizeof *m);
	body->ifa_family = six ? AF_INET6 : AF_INET;
	body->ifa_index = link;
	attribute->rta_type = IFA_ADDRESS;
	attribute->rta_len = RTA_LENGTH(six ? 16 : 4);
	assert_int_equal(inet_pton(body->ifa_family, text, RTA_DATA(attribute)), 1);
	m->header.nlmsg_type = (unsigned short)type;
	m->header.nlmsg_len = NLMSG_LENGTH(sizeof *body) + RTA_SPACE(six ? 16 : 4);
	return m->header.nlmsg_len;
}

static bool
address(struct fixture *f, unsigned type, unsigned link, const char *text)
{
	struct message m;
	size_t len = make_address(&m, type, link, text);

	return net_watch_read(f->watch, &m, (unsigned)len);
}

static bool
route(struct fixture *f, unsigned char len, unsigned char type, unsigned flags)
{
	struct message m = {.header.nlmsg_type = RTM_NEWROUTE};
	struct rtmsg *body = (void *)m.data;

	*body = (struct rtmsg){.rtm_dst_len = len, .rtm_type = type, .rtm_flags = flags};
	m.header.nlmsg_len = NLMSG_LENGTH(sizeof *body);
	return net_watch_read(f->watch, &m, m.header.nlmsg_len);
}

static void
new_addresses_are_news_once(void **state)
{
	struct fixture *f = *state;

	assert_true(address(f, RTM_NEWADDR, 2, "192.0.2.1"));
	assert_false(address(f, RTM_NEWADDR, 2, "192.0.2.1"));
	assert_true(address(f, RTM_NEWADDR, 3, "192.0.2.1"));
	assert_true(address(f, RTM_NEWADDR, 2, "2001:db8::1"));
	assert_false(address(f, RTM_NEWADDR, 2, "2001:db8::1"));
	assert_false(address(f, RTM_DELADDR, 2, "192.0.2.1"));
	assert_false(address(f, RTM_DELADDR, 2, "192.0.2.1"));
	assert_true(address(f, RTM_NEWADDR, 2, "192.0.2.1"));
	assert_false(address(f, RTM_NEWADDR, 3, "192.0.2.1"));
}

static void
default_routes_are_news(void **state)
{
	struct fixture *f = *state;

	assert_true(route(f, 0, RTN_UNICAST, 0));
	assert_false(route(f, 24, RTN_UNICAST, 0));
	assert_false(route(f, 0, RTN_LOCAL, 0));
	assert_false(route(f, 0, RTN_UNICAST, RTM_F_CLONED));
}

/* Whatever is cut off or filled with nonsense is passed over. */
static void
odd_messages_are_no_news(void **state)
{
	struct fixture *f = *state;
	struct message m;
	size_t len = make_address(&m, RTM_NEWADDR, 9, "192.0.2.9");

	for (size_t cut = 0; cut < len; cut++)
		assert_false(net_watch_read(f->watch, &m, (unsigned)cut));
	m.header.nlmsg_len = NLMSG_LENGTH(2);
	assert_false(net_watch_read(f->watch, &m, m.header.nlmsg_len));
	make_address(&m, RTM_NEWADDR, 9, "192.0.2.9");
	((struct rtattr *)(void *)(m.data + NLMSG_ALIGN(sizeof(struct ifaddrmsg))))->rta_len =
	    60000;
	assert_false(net_watch_read(f->watch, &m, (unsigned)len));
}

/* More than are remembered: the rest is told anew, and nothing is written beyond the end. */
static void
many_addresses(void **state)
{
	struct fixture *f = *state;

	for (unsigned link = 1; link <= 1000; link++)
		assert_true(address(f, RTM_NEWADDR, link, "192.0.2.1"));
	assert_false(address(f, RTM_NEWADDR, 1, "192.0.2.1"));
	assert_true(address(f, RTM_NEWADDR, 1000, "192.0.2.1"));
}

static void
a_suspend_is_noticed(void **state)
{
	struct fixture *f = *state;

	mono += 60000;
	boot += 60000 + 4000;
	net_watch_look_at_clocks(f->watch);
	assert_int_equal(event_base_get_num_events(f->base, EVENT_BASE_COUNT_ADDED), 2);
	mono += 100;
	boot += 3600 * 1000;
	net_watch_look_at_clocks(f->watch);
	assert_int_equal(f->resumed, 0);
	while (f->resumed == 0)
		event_base_loop(f->base, EVLOOP_ONCE);
	net_watch_look_at_clocks(f->watch);
	assert_int_equal(f->resumed, 1);
	assert_int_equal(f->changed, 0);
}

int
main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(new_addresses_are_news_once),
	    TEST(default_routes_are_news),
	    TEST(odd_messages_are_no_news),
	    TEST(many_addresses),
	    TEST(a_suspend_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
