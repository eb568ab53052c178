#include "unit.h"

#include "net_peer.h"

#include "base/clock.h"
#include "base/xalloc.h"
#include "net/connect.h"
#include "net/resolve.h"
#include "net/table.h"

#include <errno.h>
#include <event2/event.h>
#include <netdb.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A name service of our own: what it says for each family; NULL: no such name; "-": nothing yet. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static const char *v4[4], *v6[4];
static bool let_go;
static size_t asking;

static int
look_up(const char **list, struct addrinfo **end)
{
	const struct addrinfo literal = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};

	while (list[0] != NULL && *list[0] == '-' && !let_go)
		pthread_cond_wait(&changed, &mutex);
	if (list[0] == NULL || *list[0] == '-')
		return EAI_NONAME;
	for (size_t i = 0; list[i] != NULL; i++) {
		if (getaddrinfo(list[i], NULL, &literal, end) != 0)
			abort();
		end = &(*end)->ai_next;
	}
	return 0;
}

static int
fake_get(
    const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
	int error;

	(void)name;
	(void)service;
	pthread_mutex_lock(&mutex);
	asking++;
	error = look_up(hints->ai_family == AF_INET ? v4 : v6, found);
	asking--;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&mutex);
	return error;
}

static const struct resolve_source fake = {fake_get, freeaddrinfo};

struct fixture {
	struct event_base *base;
	struct connector_settings settings;
	struct resolver *resolver;
	struct connector *connector;
	int started;
	int done;
	int failed;
	struct address peer;
};

static void
on_connector(struct connector *c, enum connector_event event, void *arg)
{
	struct fixture *f = arg;

	assert_ptr_equal(c, f->connector);
	f->started += event == CONNECTOR_STARTED;
	f->done += event == CONNECTOR_DONE;
	f->failed += event == CONNECTOR_FAILED;
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	pthread_mutex_lock(&mutex);
	memset(v4, 0, sizeof v4);
	memset(v6, 0, sizeof v6);
	let_go = false;
	pthread_mutex_unlock(&mutex);
	resolve_set_source(&fake);
	f->base = event_base_new();
	f->resolver = resolve_new(f->base);
	f->settings = (struct connector_settings){
	    .base = f->base,
	    .resolver = f->resolver,
	    .winners = connect_winners_new(),
	    .host = "pop.example.org",
	};
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	pthread_mutex_lock(&mutex);
	let_go = true;
	pthread_cond_broadcast(&changed);
	while (asking > 0)
		pthread_cond_wait(&changed, &mutex);
	pthread_mutex_unlock(&mutex);
	connect_free(&f->connector);
	resolve_free(&f->resolver);
	table_free(&f->settings.winners);
	event_base_free(f->base);
	free(f);
	return 0;
}

static void
count_answer(const struct resolve_answer *answer, void *arg)
{
	(void)answer;
	(*(int *)arg)++;
}

/* Both answers lie ready, so that they come in the order of the questions. */
static void
warm(struct fixture *f)
{
	int answers = 0;

	resolve_ask(f->resolver, f->settings.host, AF_INET6, count_answer, &answers);
	resolve_ask(f->resolver, f->settings.host, AF_INET, count_answer, &answers);
	while (answers < 2)
		event_base_loop(f->base, EVLOOP_ONCE);
}

static void
run(struct fixture *f)
{
	f->started = f->done = f->failed = 0;
	connect_free(&f->connector);
	f->connector = connect_new(&f->settings, on_connector, f);
	assert_int_equal(f->done + f->failed, 0);
	while (f->done + f->failed == 0)
		event_base_loop(f->base, EVLOOP_ONCE);
}

/* Connects and returns the address that won. */
static const char *
winner(struct fixture *f)
{
	static char text[ADDRESS_TEXT_SIZE];

	run(f);
	if (f->failed > 0)
		fail_msg("%s", connect_why(f->connector)->text);
	assert_int_equal(f->started, 1);
	close(connect_take(f->connector, &f->peer));
	return address_format(&f->peer, false, text);
}

static void
assert_fails(struct fixture *f, enum fail kind, const char *stage, const char *text)
{
	const struct verdict *why;

	run(f);
	assert_int_equal(f->failed, 1);
	why = connect_why(f->connector);
	assert_int_equal(why->kind, kind);
	assert_string_equal(why->stage, stage);
	if (strstr(why->text, text) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", text, why->text);
}

static void
assert_course(const struct fixture *f, size_t count, ...)
{
	struct connect_course course;
	va_list ap;

	connect_describe_course(f->connector, &course);
	assert_int_equal(course.count, count);
	assert_true(course.resolved >= 0 && course.tried >= 0);
	va_start(ap, count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(course.list[i].outcome, va_arg(ap, enum connect_outcome));
	va_end(ap);
}

static void
ipv6_is_preferred(void **state)
{
	struct fixture *f = *state;
	int one = listen_on("::1", &f->settings.port), two;

	two = listen_on("127.0.0.1", &f->settings.port);
	v6[0] = "::1";
	v4[0] = "127.0.0.1";
	warm(f);
	assert_string_equal(winner(f), "[::1]");
	f->settings.family = FAMILY_IPV4;
	assert_string_equal(winner(f), "127.0.0.1");
	f->settings.family = FAMILY_IPV6;
	assert_string_equal(winner(f), "[::1]");
	close(one);
	close(two);
}

static void
what_refuses_gives_way_and_the_winner_is_remembered(void **state)
{
	struct fixture *f = *state;
	int one = listen_on("127.0.0.2", &f->settings.port), two;

	v6[0] = "::1";
	v4[0] = "127.0.0.1";
	v4[1] = "127.0.0.2";
	warm(f);
	assert_string_equal(winner(f), "127.0.0.2");
	two = listen_on("::1", &f->settings.port);
	assert_string_equal(winner(f), "127.0.0.2");
	close(one);
	assert_string_equal(winner(f), "[::1]");
	close(two);
}

/* A listener with more than it can hold: what comes next is not answered. */
static int
fill(const char *host, uint16_t *port, int fillers[4])
{
	int full = listen_on(host, port);
	struct address a;

	assert_int_equal(listen(full, 0), 0);
	assert_true(address_parse(host, *port, &a));
	for (size_t i = 0; i < 4; i++) {
		fillers[i] = socket(a.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(fillers[i], &a.any, a.len);
	}
	return full;
}

/* The address after it wins. */
static void
what_hangs_gives_way(void **state)
{
	struct fixture *f = *state;
	int fillers[4], full = fill("127.0.0.1", &f->settings.port, fillers), good;

	good = listen_on("127.0.0.2", &f->settings.port);
	v4[0] = "127.0.0.1";
	v4[1] = "127.0.0.2";
	assert_string_equal(winner(f), "127.0.0.2");
	assert_course(f, 2, CONNECT_SILENT, CONNECT_WON);
	close(good);
	table_clear(f->settings.winners);
	f->settings.budget = 1500;
	assert_fails(f, FAIL_NETWORK, "connect",
	    ": 127.0.0.1: timed out; 127.0.0.2: Connection refused; check");
	assert_course(f, 2, CONNECT_SILENT, CONNECT_REFUSED);
	close(full);
	for (size_t i = 0; i < 4; i++)
		close(fillers[i]);
}

static void
broken_ipv6_costs_little_and_that_once(void **state)
{
	struct fixture *f = *state;
	int fillers[4], full = fill("::1", &f->settings.port, fillers);
	int good = listen_on("127.0.0.1", &f->settings.port);
	int64_t began = clock_mono(), first;

	v6[0] = "::1";
	v4[0] = "127.0.0.1";
	assert_string_equal(winner(f), "127.0.0.1");
	first = clock_mono() - began;
	assert_in_range(first, 100, 5000); /* it was tried, and not until it timed out */
	began = clock_mono();
	assert_string_equal(winner(f), "127.0.0.1");
	assert_true(clock_mono() - began < first);
	close(good);
	close(full);
	for (size_t i = 0; i < 4; i++)
		close(fillers[i]);
}

static void
a_slow_name_service_is_not_waited_for(void **state)
{
	struct fixture *f = *state;
	int one = listen_on("127.0.0.1", &f->settings.port);

	v6[0] = "-";
	v4[0] = "127.0.0.1";
	assert_string_equal(winner(f), "127.0.0.1");
	close(one);
}

static void
failures_say_what_and_where(void **state)
{
	struct fixture *f = *state;
	char *where;

	f->settings.port = dead_port();
	assert_fails(f, FAIL_NETWORK, "resolve",
	    "pop.example.org does not resolve (Name or service not known); check the name");
	where = xasprintf("pop.example.org:%u: ", f->settings.port);
	assert_int_equal(strncmp(connect_why(f->connector)->text, where, strlen(where)), 0);
	free(where);
	resolve_forget(f->resolver);
	v6[0] = "::1";
	v4[0] = "127.0.0.1";
	warm(f);
	assert_fails(f, FAIL_NETWORK, "connect",
	    ": [::1]: Connection refused; 127.0.0.1: Connection refused; check host");
	f->settings.host = "127.0.0.1";
	assert_fails(f, FAIL_NETWORK, "connect", ": 127.0.0.1: Connection refused; check host");
	f->settings.family = FAMILY_IPV6;
	assert_fails(f, FAIL_CONFIG, "connect", "exclude");
	f->settings.host = ".bad";
	assert_fails(f, FAIL_CONFIG, "connect", "not a possible name");
}

static void
an_unanswered_name_costs_the_budget_only(void **state)
{
	struct fixture *f = *state;

	v4[0] = v6[0] = "-";
	f->settings.budget = 50;
	assert_fails(f, FAIL_NETWORK, "resolve", "no answer from the name service for 0.05 s");
}

static void
bind_is_obeyed_and_excludes_the_other_family(void **state)
{
	struct fixture *f = *state;
	int one = listen_on("::1", &f->settings.port), two, fd;
	struct address a = {.len = sizeof a.in6};
	char text[ADDRESS_TEXT_SIZE];

	two = listen_on("127.0.0.1", &f->settings.port);
	v6[0] = "::1";
	v4[0] = "127.0.0.1";
	f->settings.bind = "127.0.0.9";
	assert_string_equal(winner(f), "127.0.0.1");
	fd = accept4(two, &a.any, &a.len, SOCK_CLOEXEC);
	assert_string_equal(address_format(&a, false, text), "127.0.0.9");
	close(fd);
	f->settings.family = FAMILY_IPV6;
	assert_fails(f, FAIL_CONFIG, "connect", "bind is not an address of the wanted family");
	f->settings.bind = "eth0";
	assert_fails(f, FAIL_CONFIG, "connect", "bind is not an address");
	f->settings.bind = "2001:db8::1";
	assert_fails(f, FAIL_NETWORK, "connect", "[::1]: bind: ");
	close(one);
	close(two);
}

static void
many_addresses_are_bounded_in_the_text(void **state)
{
	struct fixture *f = *state;

	f->settings.port = dead_port();
	f->settings.budget = 5000;
	v4[0] = "127.0.0.1";
	v4[1] = "127.0.0.2";
	v4[2] = "127.0.0.3";
	assert_fails(f, FAIL_NETWORK, "connect", "127.0.0.3: Connection refused; check");
	assert_true(strlen(connect_why(f->connector)->text) < 511);
}

/* A machine whose IPv6 leads nowhere must be told apart from one that has none. */
static void
the_course_tells_every_address(void **state)
{
	struct fixture *f = *state;
	struct connect_course course;
	int good = listen_on("127.0.0.2", &f->settings.port);

	assert_fails(f, FAIL_NETWORK, "resolve", "does not resolve");
	assert_course(f, 0);
	resolve_forget(f->resolver);
	v6[0] = "::1";
	v4[0] = "127.0.0.2";
	v4[1] = "127.0.0.3";
	warm(f);
	assert_string_equal(winner(f), "127.0.0.2");
	assert_course(f, 3, CONNECT_REFUSED, CONNECT_WON, CONNECT_UNTRIED);
	connect_describe_course(f->connector, &course);
	assert_false(course.literal);
	assert_int_equal(course.list[0].error, ECONNREFUSED);
	assert_int_equal(course.list[0].address.any.sa_family, AF_INET6);
	close(good);
	assert_fails(f, FAIL_NETWORK, "connect", "refused");
	assert_course(f, 3, CONNECT_REFUSED, CONNECT_REFUSED, CONNECT_REFUSED);
	f->settings.host = "127.0.0.1";
	assert_fails(f, FAIL_NETWORK, "connect", "refused");
	connect_describe_course(f->connector, &course);
	assert_true(course.literal);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(ipv6_is_preferred, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		what_refuses_gives_way_and_the_winner_is_remembered, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_hangs_gives_way, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		broken_ipv6_costs_little_and_that_once, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_slow_name_service_is_not_waited_for, setup, teardown),
	    cmocka_unit_test_setup_teardown(failures_say_what_and_where, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		an_unanswered_name_costs_the_budget_only, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		bind_is_obeyed_and_excludes_the_other_family, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		many_addresses_are_bounded_in_the_text, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_course_tells_every_address, setup, teardown),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
