#include "unit.h"

#include "fake_deliverer.h"
#include "fake_fetcher.h"
#include "service.h"
#include "service_sentence.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { ACCOUNTS = 5 };

/* A service with a manager that listens, and the two sides as the test has them. */
struct fixture {
	char directory[64];
	char path[96];
	int manager;
	struct event_base *base;
	struct fetcher_view fetching[ACCOUNTS];
	struct deliverer_view sending[ACCOUNTS];
	struct fetcher fetcher;
	struct deliverer deliverer;
	struct service *service;
	char heard[4096]; /* since forget(), one line a message's line */
};

static struct fixture f;

static void
set_accounts(size_t count)
{
	static const char *const names[ACCOUNTS] = {"one", "two", "three", "four", "five"};

	for (size_t i = 0; i < count; i++) {
		f.fetching[i] = (struct fetcher_view){.account = names[i], .state = "idle"};
		f.sending[i] = (struct deliverer_view){.account = names[i], .state = "idle"};
	}
	f.fetcher.views = f.fetching;
	f.deliverer.views = f.sending;
	f.fetcher.count = f.deliverer.count = count;
}

static int
set_up(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	(void)state;
	memset(&f, 0, sizeof f);
	snprintf(f.directory, sizeof f.directory, "/tmp/test_service.XXXXXX");
	if (mkdtemp(f.directory) == NULL)
		return -1;
	snprintf(f.path, sizeof f.path, "%s/notify", f.directory);
	snprintf(address.sun_path, sizeof address.sun_path, "%s", f.path);
	f.manager = socket(AF_UNIX, SOCK_DGRAM, 0);
	if (bind(f.manager, (const struct sockaddr *)&address, sizeof address) != 0)
		return -1;
	setenv("NOTIFY_SOCKET", f.path, 1);
	unsetenv("WATCHDOG_USEC");
	f.base = event_base_new();
	set_accounts(1);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	service_free(&f.service);
	event_base_free(f.base);
	close(f.manager);
	unlink(f.path);
	return rmdir(f.directory);
}

static void
hear(void)
{
	size_t used = strlen(f.heard);
	ssize_t n;

	while ((n = recv(f.manager, f.heard + used, sizeof f.heard - used - 2, MSG_DONTWAIT)) > 0) {
		used += (size_t)n;
		f.heard[used++] = '\n';
		f.heard[used] = '\0';
	}
}

static void
forget(void)
{
	hear();
	f.heard[0] = '\0';
}

static size_t
count_heard(const char *text)
{
	size_t count = 0;

	hear();
	for (const char *p = f.heard; (p = strstr(p, text)) != NULL; p++)
		count++;
	return count;
}

static void
begin(void)
{
	f.service = service_new(f.base, &f.fetcher, &f.deliverer);
}

static void
turn(void)
{
	event_base_loop(f.base, EVLOOP_NONBLOCK);
	service_turn(f.service);
}

static void
begin_ready(void)
{
	begin();
	f.deliverer.watching = true;
	turn();
	forget();
}

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void
needs_systemd(void)
{
#ifndef HAVE_SYSTEMD
	skip();
#endif
}

static void
ready_when_the_spool_is_watched(void **state)
{
	(void)state;
	needs_systemd();
	begin();
	turn();
	assert_int_equal(count_heard("READY=1"), 0);
	assert_int_equal(count_heard("STATUS=Starting"), 1);
	assert_int_equal(count_heard("EXTEND_TIMEOUT_USEC=30000000"), 1);
	f.deliverer.watching = true;
	turn();
	turn();
	assert_int_equal(count_heard("READY=1"), 1);
	assert_int_equal(count_heard("STATUS=1 account: idle; queue empty"), 1);
}

static void
a_reload_before_that_does_not_say_ready(void **state)
{
	(void)state;
	needs_systemd();
	begin();
	service_begin_reload(f.service);
	service_end_reload(f.service, 0);
	assert_int_equal(count_heard("READY=1") + count_heard("RELOADING=1"), 0);
	f.deliverer.watching = true;
	turn();
	service_begin_reload(f.service);
	assert_int_equal(count_heard("RELOADING=1\nMONOTONIC_USEC="), 1);
	service_end_reload(f.service, 2);
	assert_int_equal(count_heard("READY=1"), 2);
}

/* However much happens; and the last word is what is so at last. */
static void
one_sentence_a_second(void **state)
{
	double began = seconds();

	(void)state;
	needs_systemd();
	begin_ready();
	for (int i = 0; seconds() - began < 0.9; i++) {
		f.fetching[0].state = i % 2 == 0 ? "fetching" : "idle";
		turn();
	}
	assert_int_equal(count_heard("STATUS="), 0);
	f.fetching[0].state = "blocked";
	f.fetching[0].error_kind = FAIL_AUTH;
	while (count_heard("STATUS=") == 0) {
		event_base_loop(f.base, EVLOOP_ONCE);
		service_turn(f.service);
	}
	assert_int_equal(count_heard("STATUS="), 1);
	assert_int_equal(count_heard("STATUS=1 account: 1 in trouble (one: auth); queue empty"), 1);
	assert_true(seconds() - began >= 0.99);
}

static void
nothing_happens_where_nothing_happens(void **state)
{
	(void)state;
	needs_systemd();
	begin_ready();
	while (event_base_get_num_events(f.base, EVENT_BASE_COUNT_ADDED) > 0) {
		event_base_loop(f.base, EVLOOP_ONCE);
		service_turn(f.service);
	}
	assert_int_equal(count_heard("="), 0);
}

static void
a_loop_that_turns_is_alive(void **state)
{
	double began = seconds();

	(void)state;
	needs_systemd();
	setenv("WATCHDOG_USEC", "100000", 1);
	begin_ready();
	while (count_heard("WATCHDOG=1") < 4)
		event_base_loop(f.base, EVLOOP_ONCE);
	assert_true(seconds() - began >= 0.19);
	forget();
	usleep(200000); /* it hangs */
	assert_int_equal(count_heard("WATCHDOG=1"), 0);
}

static void
stopping_asks_for_time(void **state)
{
	(void)state;
	needs_systemd();
	begin_ready();
	service_stop(f.service, 10000);
	assert_int_equal(count_heard("STOPPING=1"), 1);
	assert_int_equal(count_heard("EXTEND_TIMEOUT_USEC=15000000"), 1);
	service_stop(f.service, 50000);
	assert_int_equal(count_heard("STOPPING=1"), 1);
	assert_int_equal(count_heard("EXTEND_TIMEOUT_USEC=55000000"), 1);
	service_begin_reload(f.service);
	service_end_reload(f.service, 0);
	assert_int_equal(count_heard("READY=1") + count_heard("RELOADING=1"), 0);
}

static void
without_a_manager_there_is_no_timer(void **state)
{
	(void)state;
	unsetenv("NOTIFY_SOCKET");
	begin();
	f.deliverer.watching = true;
	turn();
	service_stop(f.service, 1000);
	assert_int_equal(event_base_get_num_events(f.base, EVENT_BASE_COUNT_ADDED), 0);
	assert_int_equal(count_heard("="), 0);
}

static void
says(enum service_phase phase, size_t faults, const char *text)
{
	char *sentence = service_sentence(&f.fetcher, &f.deliverer, phase, faults);

	assert_string_equal(sentence, text);
	free(sentence);
}

static void
sentences(void **state)
{
	static struct fetcher_session_view fetching[1];

	(void)state;
	says(SERVICE_RUNS, 0, "1 account: idle; queue empty");
	says(SERVICE_RUNS, 1,
	    "1 account: idle; queue empty; not reloaded: the configuration has 1 fault");
	says(SERVICE_STARTS, 0,
	    "Starting, taking up what the last run left: 1 account: idle; queue empty");
	set_accounts(5);
	f.fetching[0].state = "disabled";
	f.fetching[1].state = "fetching";
	f.sending[2].state = "connecting";
	f.sending[3].state = "sending";
	f.deliverer.queue.totals.messages = 1;
	says(SERVICE_RUNS, 0, "5 accounts: 1 fetching, 2 sending; 1 message in the queue");
	f.fetching[4].state = "backoff";
	f.fetching[4].error_kind = FAIL_NETWORK;
	f.sending[4].state = "blocked"; /* one account in trouble all the same */
	f.deliverer.queue.totals.messages = 3;
	f.deliverer.queue.totals.deferred = 2;
	f.deliverer.queue.totals.held = 1;
	says(SERVICE_RUNS, 0,
	    "5 accounts: 1 fetching, 2 sending, 1 in trouble (five: network); 3 messages in the "
	    "queue, 2 deferred, 1 held");
	for (size_t i = 0; i < 5; i++) {
		f.fetching[i].state = "disabled";
		f.sending[i].state = "backoff";
		f.sending[i].error_kind = FAIL_TLS;
	}
	f.deliverer.queue.totals.messages = 0;
	says(SERVICE_RUNS, 0,
	    "5 accounts: 5 in trouble (one: tls, two: tls, three: tls ...); queue empty");
	says(SERVICE_STOPS, 1, "Stopping");
	f.fetcher.sessions = fetching;
	f.fetcher.session_count = 1;
	says(SERVICE_STOPS, 0, "Stopping: 1 session to be ended");
	f.deliverer.awaits_fate = true;
	says(SERVICE_STOPS, 0, "Stopping: waiting to hear whether a message was accepted");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(ready_when_the_spool_is_watched),
	    TEST(a_reload_before_that_does_not_say_ready),
	    TEST(one_sentence_a_second),
	    TEST(nothing_happens_where_nothing_happens),
	    TEST(a_loop_that_turns_is_alive),
	    TEST(stopping_asks_for_time),
	    TEST(without_a_manager_there_is_no_timer),
	    TEST(sentences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
