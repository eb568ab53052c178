#include "net/resolve.h"

#include "base/clock.h"
#include "base/xalloc.h"
#include "net/resolve_pool.h"
#include "net/table.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define REMEMBERED 1024 /* names, by family */

TAILQ_HEAD(lookup_list, lookup);

/* A question under way, or answered and being told.  Owned by its resolver. */
struct flight {
	struct resolve_question *question;
	struct lookup_list lookups;
	bool forgotten;
	TAILQ_ENTRY(flight) link;
};

TAILQ_HEAD(flight_list, flight);

/* One caller.  Owned by the list that it waits in. */
struct lookup {
	struct lookup_list *list;
	struct resolver *resolver;
	resolve_cb *cb;
	void *arg;
	struct resolve_answer answer; /* once it is in the list of those to tell */
	TAILQ_ENTRY(lookup) link;
};

/* Owned by whoever called resolve_new(). */
struct resolver {
	struct resolve_pool *pool;
	struct event *answered_event;
	struct event *tell_event;
	struct flight_list flights;
	struct lookup_list to_tell;
	struct table *memory; /* "family name" to struct remembered */
};

struct remembered {
	int64_t until;
	struct resolve_answer answer;
};

static char *
memory_key(const char *name, int family)
{
	return xasprintf("%d %s", family, name);
}

static void
remember(struct resolver *r, const struct resolve_question *q)
{
	struct remembered *m = xcalloc(1, sizeof *m);
	char *key = memory_key(q->name, q->family);

	m->answer = q->answer;
	m->until = clock_mono() + (q->answer.error == 0 ? RESOLVE_KEEP : RESOLVE_KEEP_FAILURE);
	table_put(r->memory, key, m);
	free(key);
}

static const struct resolve_answer *
recall(struct resolver *r, const char *name, int family)
{
	char *key = memory_key(name, family);
	struct remembered *m = table_get(r->memory, key);

	if (m != NULL && clock_mono() >= m->until) {
		free(table_take(r->memory, key));
		m = NULL;
	}
	free(key);
	return m != NULL ? &m->answer : NULL;
}

static void
lookup_join(struct lookup *l, struct lookup_list *list)
{
	l->list = list;
	TAILQ_INSERT_TAIL(list, l, link);
}

static void
tell_soon(struct lookup *l, const struct resolve_answer *answer)
{
	l->answer = *answer;
	lookup_join(l, &l->resolver->to_tell);
	event_active(l->resolver->tell_event, EV_TIMEOUT, 0);
}

static void
tell_cb(evutil_socket_t fd, short what, void *arg)
{
	struct resolver *r = arg;
	struct lookup *l;

	(void)fd;
	(void)what;
	while ((l = TAILQ_FIRST(&r->to_tell)) != NULL) {
		TAILQ_REMOVE(&r->to_tell, l, link);
		l->cb(&l->answer, l->arg);
		free(l);
	}
}

static struct flight *
flight_of(struct resolver *r, const struct resolve_question *q)
{
	struct flight *f;

	TAILQ_FOREACH (f, &r->flights, link) {
		if (f->question == q)
			return f;
	}
	return NULL;
}

static void
flight_free(struct resolver *r, struct flight *f)
{
	TAILQ_REMOVE(&r->flights, f, link);
	free(f);
}

static void
flight_land(struct resolver *r, struct resolve_question *q)
{
	struct flight *f = flight_of(r, q);
	struct lookup *l;

	while ((l = TAILQ_FIRST(&f->lookups)) != NULL) {
		TAILQ_REMOVE(&f->lookups, l, link);
		tell_soon(l, &q->answer);
	}
	if (!f->forgotten)
		remember(r, q);
	flight_free(r, f);
	resolve_question_free(q);
}

static void
answered_cb(evutil_socket_t fd, short what, void *arg)
{
	struct resolver *r = arg;
	struct resolve_question_list answered = TAILQ_HEAD_INITIALIZER(answered);
	struct resolve_question *q;

	(void)fd;
	(void)what;
	resolve_pool_collect(r->pool, &answered);
	while ((q = TAILQ_FIRST(&answered)) != NULL) {
		TAILQ_REMOVE(&answered, q, link);
		flight_land(r, q);
	}
}

struct resolver *
resolve_new(struct event_base *base)
{
	struct resolver *r = xcalloc(1, sizeof *r);

	r->pool = resolve_pool_new();
	r->memory = table_new(REMEMBERED, free);
	TAILQ_INIT(&r->flights);
	TAILQ_INIT(&r->to_tell);
	r->answered_event =
	    event_new(base, resolve_pool_fd(r->pool), EV_READ | EV_PERSIST, answered_cb, r);
	r->tell_event = event_new(base, -1, 0, tell_cb, r);
	if (r->answered_event == NULL || r->tell_event == NULL)
		exit(EX_OSERR);
	event_add(r->answered_event, NULL);
	return r;
}

static void
lookups_free(struct lookup_list *list)
{
	struct lookup *l;

	while ((l = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, l, link);
		free(l);
	}
}

void
resolve_free(struct resolver **resolver)
{
	struct resolver *r = *resolver;
	struct flight *f;

	*resolver = NULL;
	if (r == NULL)
		return;
	event_free(r->answered_event);
	event_free(r->tell_event);
	while ((f = TAILQ_FIRST(&r->flights)) != NULL) {
		lookups_free(&f->lookups);
		flight_free(r, f); /* its question stays with the threads */
	}
	lookups_free(&r->to_tell);
	table_free(&r->memory);
	resolve_pool_free(&r->pool);
	free(r);
}

void
resolve_forget(struct resolver *r)
{
	struct flight *f;

	table_clear(r->memory);
	TAILQ_FOREACH (f, &r->flights, link)
		f->forgotten = true;
}

static struct flight *
flight_find(struct resolver *r, const char *name, int family)
{
	struct flight *f;

	TAILQ_FOREACH (f, &r->flights, link) {
		if (!f->forgotten && f->question->family == family &&
		    strcmp(f->question->name, name) == 0)
			return f;
	}
	return NULL;
}

static struct flight *
flight_new(struct resolver *r, const char *name, int family)
{
	struct flight *f = xcalloc(1, sizeof *f);

	f->question = xcalloc(1, sizeof *f->question);
	f->question->name = xstrdup(name);
	f->question->family = family;
	TAILQ_INIT(&f->lookups);
	TAILQ_INSERT_TAIL(&r->flights, f, link);
	resolve_pool_ask(r->pool, f->question);
	return f;
}

struct lookup *
resolve_ask(struct resolver *r, const char *name, int family, resolve_cb *cb, void *arg)
{
	const struct resolve_answer *known = recall(r, name, family);
	struct lookup *l = xcalloc(1, sizeof *l);
	struct flight *f;

	l->resolver = r;
	l->cb = cb;
	l->arg = arg;
	if (known != NULL) {
		tell_soon(l, known);
		return l;
	}
	f = flight_find(r, name, family);
	if (f == NULL)
		f = flight_new(r, name, family);
	lookup_join(l, &f->lookups);
	return l;
}

void
resolve_withdraw(struct lookup **lookup)
{
	struct lookup *l = *lookup;

	*lookup = NULL;
	if (l == NULL)
		return;
	TAILQ_REMOVE(l->list, l, link);
	free(l);
}
