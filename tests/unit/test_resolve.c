#include "unit.h"

#include "base/clock.h"
#include "net/resolve.h"

#include <event2/event.h>
#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A name service of our own: "hang..." waits until it is let go, "none" does not exist. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static size_t asked, hanging;
static bool let_go;

static int
fake_get(
    const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
	struct addrinfo *a;
	struct sockaddr_in *in;

	(void)service;
	pthread_mutex_lock(&mutex);
	asked += strncmp(name, "hang", 4) != 0; /* one may still start after its test */
	hanging += strncmp(name, "hang", 4) == 0;
	pthread_cond_broadcast(&changed);
	while (strncmp(name, "hang", 4) == 0 && !let_go)
		pthread_cond_wait(&changed, &mutex);
	hanging -= strncmp(name, "hang", 4) == 0;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&mutex);
	if (strcmp(name, "none") == 0)
		return EAI_NONAME;
	if (hints->ai_family != AF_INET)
		return EAI_AGAIN;
	a = calloc(1, sizeof *a + sizeof *in);
	in = (struct sockaddr_in *)(a + 1);
	*in = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
	a->ai_family = AF_INET;
	a->ai_addr = (struct sockaddr *)in;
	a->ai_addrlen = sizeof *in;
	*found = a;
	return 0;
}

static void
fake_release(struct addrinfo *found)
{
	free(found);
}

static const struct resolve_source fake = {fake_get, fake_release};

static int64_t now;

static int64_t
fake_now(void)
{
	return now;
}

static const struct clock_source fake_clock = {fake_now, fake_now, fake_now};

struct asker {
	struct lookup *lookup;
	int answers;
	int error;
	size_t count;
};

static void
on_answer(const struct resolve_answer *answer, void *arg)
{
	struct asker *a = arg;

	a->lookup = NULL;
	a->answers++;
	a->error = answer->error;
	a->count = answer->count;
}

struct fixture {
	struct event_base *base;
	struct resolver *resolver;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	f->base = event_base_new();
	f->resolver = resolve_new(f->base);
	asked = 0;
	hanging = 0;
	let_go = false;
	now = 1000000;
	resolve_set_source(&fake);
	clock_set_source(&fake_clock);
	*state = f;
	return 0;
}

/* Lets the threads that hang come to their end before the next test counts. */
static int
teardown(void **state)
{
	struct fixture *f = *state;

	resolve_free(&f->resolver);
	event_base_free(f->base);
	free(f);
	pthread_mutex_lock(&mutex);
	let_go = true;
	pthread_cond_broadcast(&changed);
	while (hanging > 0)
		pthread_cond_wait(&changed, &mutex);
	pthread_mutex_unlock(&mutex);
	clock_set_source(NULL);
	return 0;
}

static void
ask(struct fixture *f, struct asker *a, const char *name, int family)
{
	a->lookup = resolve_ask(f->resolver, name, family, on_answer, a);
}

static void
wait_for(struct fixture *f, const struct asker *a, int answers)
{
	while (a->answers < answers)
		event_base_loop(f->base, EVLOOP_ONCE);
}

static void
answers_come_from_the_loop_and_are_shared(void **state)
{
	struct fixture *f = *state;
	struct asker a[10] = {0};

	for (size_t i = 0; i < 10; i++)
		ask(f, &a[i], "pop.example.org", AF_INET);
	assert_int_equal(a[0].answers, 0);
	for (size_t i = 0; i < 10; i++) {
		wait_for(f, &a[i], 1);
		assert_int_equal(a[i].error, 0);
		assert_int_equal(a[i].count, 1);
	}
	assert_int_equal(asked, 1);
	ask(f, &a[0], "pop.example.org", AF_INET6);
	wait_for(f, &a[0], 2);
	assert_int_equal(a[0].error, EAI_AGAIN);
	assert_int_equal(asked, 2);
}

static void
answers_are_kept_for_their_time(void **state)
{
	static const struct {
		const char *name;
		int64_t keep;
	} cases[] = {{"pop.example.org", RESOLVE_KEEP}, {"none", RESOLVE_KEEP_FAILURE}};
	struct fixture *f = *state;

	for (size_t i = 0; i < 2; i++) {
		struct asker a = {0};

		asked = 0;
		ask(f, &a, cases[i].name, AF_INET);
		wait_for(f, &a, 1);
		now += cases[i].keep - 1;
		ask(f, &a, cases[i].name, AF_INET);
		assert_int_equal(a.answers, 1);
		wait_for(f, &a, 2);
		assert_int_equal(asked, 1);
		now += 1;
		ask(f, &a, cases[i].name, AF_INET);
		wait_for(f, &a, 3);
		assert_int_equal(asked, 2);
		resolve_forget(f->resolver);
		ask(f, &a, cases[i].name, AF_INET);
		wait_for(f, &a, 4);
		assert_int_equal(asked, 3);
	}
}

static void
hanging_lookups_delay_no_other(void **state)
{
	struct fixture *f = *state;
	struct asker stuck[RESOLVE_THREADS - 1] = {0}, a = {0};
	char name[16];

	for (size_t i = 0; i < RESOLVE_THREADS - 1; i++) {
		snprintf(name, sizeof name, "hang%zu", i);
		ask(f, &stuck[i], name, AF_INET);
	}
	ask(f, &a, "pop.example.org", AF_INET);
	wait_for(f, &a, 1);
	for (size_t i = 0; i < RESOLVE_THREADS - 1; i++)
		assert_int_equal(stuck[i].answers, 0);
}

static void
a_withdrawn_lookup_is_silent_and_its_answer_kept(void **state)
{
	struct fixture *f = *state;
	struct asker a = {0}, b = {0};

	ask(f, &a, "pop.example.org", AF_INET);
	ask(f, &b, "pop.example.org", AF_INET);
	resolve_withdraw(&a.lookup);
	assert_null(a.lookup);
	resolve_withdraw(&a.lookup);
	wait_for(f, &b, 1);
	assert_int_equal(a.answers, 0);
	ask(f, &a, "pop.example.org", AF_INET);
	resolve_withdraw(&a.lookup); /* this one would be told from memory */
	ask(f, &b, "pop.example.org", AF_INET);
	wait_for(f, &b, 2);
	assert_int_equal(a.answers, 0);
	assert_int_equal(asked, 1);
}

static void
freeing_does_not_wait_for_what_hangs(void **state)
{
	struct fixture *f = *state;
	struct asker a = {0}, b[RESOLVE_THREADS + 3] = {0};
	char name[16];

	ask(f, &a, "pop.example.org", AF_INET);
	wait_for(f, &a, 1);
	for (size_t i = 0; i < RESOLVE_THREADS + 3; i++) {
		snprintf(name, sizeof name, "hang%zu", i);
		ask(f, &b[i], name, AF_INET);
	}
	pthread_mutex_lock(&mutex);
	while (hanging < RESOLVE_THREADS)
		pthread_cond_wait(&changed, &mutex);
	pthread_mutex_unlock(&mutex);
	resolve_free(&f->resolver);
	assert_null(f->resolver);
}

static void
the_real_one_knows_localhost(void **state)
{
	struct fixture *f = *state;
	struct asker a = {0};

	resolve_set_source(NULL);
	ask(f, &a, "localhost", AF_INET);
	wait_for(f, &a, 1);
	assert_int_equal(a.error, 0);
	assert_true(a.count > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		answers_come_from_the_loop_and_are_shared, setup, teardown),
	    cmocka_unit_test_setup_teardown(answers_are_kept_for_their_time, setup, teardown),
	    cmocka_unit_test_setup_teardown(hanging_lookups_delay_no_other, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		a_withdrawn_lookup_is_silent_and_its_answer_kept, setup, teardown),
	    cmocka_unit_test_setup_teardown(freeing_does_not_wait_for_what_hangs, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_real_one_knows_localhost, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
