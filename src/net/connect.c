#include "net/connect.h"

#include "base/clock.h"
#include "base/queue.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "net/connect_attempt.h"
#include "net/table.h"

#include <event2/event.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define WINNERS     1024
#define REASONS_MAX 240 /* octets of "address: reason" in a failure's text */

/* One family's question. */
struct half {
	struct connector *connector;
	bool asked;
	bool answered;
	int error; /* EAI_..., 0 with addresses */
	int code;
	struct lookup *lookup;
};

/* Owned by whoever called connect_new(). */
struct connector {
	struct connector_settings settings;
	connector_cb *cb;
	void *arg;
	char *name;   /* what is asked for, in A-labels */
	char *server; /* what it is called in texts */
	struct half v6;
	struct half v4;
	bool started;
	bool bound;
	bool literal;
	int64_t asked_at, started_at, ended_at;
	struct address local;
	struct attempt candidates[CONNECT_ADDRESSES];
	size_t count;
	int last_family; /* of the latest attempt */
	struct event *budget_timer;
	struct event *stagger_timer;
	struct event *resolution_timer;
	struct event *failed_event; /* carries a failure out of connect_new() */
	int fd;                     /* the winner */
	struct address peer;
	struct verdict why;
};

static connect_attempt_cb on_attempt;

struct table *
connect_winners_new(void)
{
	return table_new(WINNERS, free);
}

static void
arm(struct event *timer, int64_t ms)
{
	const struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	event_add(timer, &tv);
}

/* -- the end ---------------------------------------------------------------------------------- */

static void
stop_all(struct connector *c)
{
	c->ended_at = clock_mono();
	for (size_t i = 0; i < c->count; i++)
		connect_attempt_stop(&c->candidates[i]);
	resolve_withdraw(&c->v6.lookup);
	resolve_withdraw(&c->v4.lookup);
	event_del(c->budget_timer);
	event_del(c->stagger_timer);
	event_del(c->resolution_timer);
}

/* Ends with the verdict that is already in c->why. */
static void
finish_failed(struct connector *c)
{
	stop_all(c);
	c->cb(c, CONNECTOR_FAILED, c->arg);
}

static void
failed_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	finish_failed(arg);
}

/* "[2001:db8::5]: Connection refused; 192.0.2.1: timed out; and 7 more". */
static void
list_reasons(const struct connector *c, struct str *s)
{
	for (size_t i = 0; i < c->count; i++) {
		if (s->len > REASONS_MAX) {
			str_appendf(s, "; and %zu more", c->count - i);
			return;
		}
		if (i > 0)
			str_append_text(s, "; ");
		connect_attempt_describe(&c->candidates[i], s);
	}
}

static void
fail_connect(struct connector *c)
{
	struct str reasons = STR_INIT;
	bool local = c->count > 0;

	for (size_t i = 0; i < c->count; i++)
		local = local && connect_attempt_is_local(&c->candidates[i]);
	list_reasons(c, &reasons);
	verdict_fail(&c->why, local ? FAIL_LOCAL : FAIL_NETWORK, "connect", "%.120s: %s; %s",
	    c->server, str_text(&reasons),
	    local ? "this machine is out of descriptors or memory"
		  : "check host, port and the network");
	c->why.code = c->count > 0 ? c->candidates[0].error : 0;
	str_clear(&reasons);
	finish_failed(c);
}

static const char *
half_reason(const struct half *h)
{
	return h->error == EAI_SYSTEM ? strerror(h->code) : gai_strerror(h->error);
}

static void
fail_resolve(struct connector *c)
{
	const struct half *h = c->v4.asked ? &c->v4 : &c->v6;
	const char *kind = !c->v6.asked ? " to IPv4" : !c->v4.asked ? " to IPv6" : "";

	/* Of two reasons the temporary one is what the other would be without it. */
	if (c->v6.asked && c->v4.asked && c->v6.error == EAI_AGAIN)
		h = &c->v6;
	verdict_fail(&c->why, FAIL_NETWORK, "resolve",
	    "%.120s: %.120s does not resolve%s (%s); check the name and the network", c->server,
	    c->settings.host, kind, half_reason(h));
	finish_failed(c);
}

static void
budget_cb(evutil_socket_t fd, short what, void *arg)
{
	struct connector *c = arg;

	(void)fd;
	(void)what;
	if (c->count > 0) {
		fail_connect(c);
		return;
	}
	verdict_fail(&c->why, FAIL_NETWORK, "resolve",
	    "%.200s: no answer from the name service for %g s; check the network", c->server,
	    (double)c->settings.budget / 1000);
	finish_failed(c);
}

static void
finish_done(struct connector *c, struct attempt *winner)
{
	struct address *remembered = xmalloc(sizeof *remembered);

	c->fd = connect_attempt_take(winner);
	c->peer = winner->address;
	*remembered = winner->address;
	table_put(c->settings.winners, c->server, remembered);
	stop_all(c);
	c->cb(c, CONNECTOR_DONE, c->arg);
}

/* -- whom to try, and when -------------------------------------------------------------------- */

static bool
is_trying(const struct connector *c)
{
	for (size_t i = 0; i < c->count; i++) {
		if (c->candidates[i].state == ATTEMPT_TRYING)
			return true;
	}
	return false;
}

static struct attempt *
first_untried(struct connector *c, int family)
{
	for (size_t i = 0; i < c->count; i++) {
		struct attempt *a = &c->candidates[i];

		if (a->state == ATTEMPT_UNTRIED &&
		    (family == AF_UNSPEC || a->address.any.sa_family == family))
			return a;
	}
	return NULL;
}

static struct attempt *
last_winner(struct connector *c)
{
	const struct address *winner = table_get(c->settings.winners, c->server);

	for (size_t i = 0; winner != NULL && i < c->count; i++) {
		if (c->candidates[i].state == ATTEMPT_UNTRIED &&
		    address_same_host(&c->candidates[i].address, winner))
			return &c->candidates[i];
	}
	return NULL;
}

/* RFC 8305 section 4: the families alternate, IPv6 first. */
static struct attempt *
next_candidate(struct connector *c)
{
	struct attempt *a = c->last_family == AF_UNSPEC ? last_winner(c) : NULL;

	if (a == NULL)
		a = first_untried(c, c->last_family == AF_INET6 ? AF_INET : AF_INET6);
	return a != NULL ? a : first_untried(c, AF_UNSPEC);
}

static bool
is_resolving(const struct connector *c)
{
	return (c->v6.asked && !c->v6.answered) || (c->v4.asked && !c->v4.answered);
}

static void
try_next(struct connector *c)
{
	struct attempt *a;

	while ((a = next_candidate(c)) != NULL) {
		c->last_family = a->address.any.sa_family;
		if (connect_attempt_start(
			a, c->settings.base, c->bound ? &c->local : NULL, on_attempt, c)) {
			arm(c->stagger_timer, CONNECT_STAGGER);
			return;
		}
		connect_attempt_stop(a);
	}
	if (!is_trying(c) && !is_resolving(c))
		fail_connect(c);
}

static void
on_attempt(struct attempt *a, void *arg)
{
	struct connector *c = arg;

	if (a->error == 0) {
		finish_done(c, a);
		return;
	}
	connect_attempt_stop(a);
	try_next(c);
}

static void
stagger_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	try_next(arg);
}

static void
start(struct connector *c)
{
	if (c->started)
		return;
	c->started = true;
	c->started_at = clock_mono();
	event_del(c->resolution_timer);
	c->cb(c, CONNECTOR_STARTED, c->arg);
	try_next(c);
}

static void
resolution_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	start(arg);
}

/* -- names ------------------------------------------------------------------------------------ */

static void
add_candidate(struct connector *c, const struct address *address)
{
	struct attempt *a = &c->candidates[c->count];

	if (c->count == CONNECT_ADDRESSES)
		return;
	c->count++;
	connect_attempt_init(a, address);
	address_set_port(&a->address, c->settings.port);
}

/* Late addresses join the others; at once, when no attempt is under way. */
static void
on_more_addresses(struct connector *c)
{
	if (!is_trying(c))
		try_next(c);
	else if (first_untried(c, AF_UNSPEC) != NULL &&
		 !event_pending(c->stagger_timer, EV_TIMEOUT, NULL))
		arm(c->stagger_timer, CONNECT_STAGGER);
}

/*
 * RFC 8305 section 3: with AAAA there is nothing to wait for, and without A that won the last time
 * there is.
 */
static bool
is_ready(const struct connector *c)
{
	const struct address *winner = table_get(c->settings.winners, c->server);

	if (c->v6.asked && !c->v6.answered)
		return false;
	return winner == NULL || winner->any.sa_family != AF_INET || !c->v4.asked || c->v4.answered;
}

/* The first addresses wait for better ones, but not long. */
static void
on_answer(struct connector *c)
{
	if (c->started)
		on_more_addresses(c);
	else if (c->count == 0 && !is_resolving(c))
		fail_resolve(c);
	else if (c->count > 0 && is_ready(c))
		start(c);
	else if (c->count > 0)
		arm(c->resolution_timer, CONNECT_RESOLUTION_DELAY);
}

static void
half_cb(const struct resolve_answer *answer, void *arg)
{
	struct half *h = arg;

	h->lookup = NULL;
	h->answered = true;
	h->error = answer->error;
	h->code = answer->code;
	for (size_t i = 0; i < answer->count; i++)
		add_candidate(h->connector, &answer->list[i]);
	on_answer(h->connector);
}

static void
half_ask(struct connector *c, struct half *h, int family)
{
	h->connector = c;
	h->asked = true;
	h->lookup = resolve_ask(c->settings.resolver, c->name, family, half_cb, h);
}

/* -- settings --------------------------------------------------------------------------------- */

static void
fail_settings(struct connector *c, const char *reason)
{
	verdict_fail(&c->why, FAIL_CONFIG, "connect", "%.200s: %s", c->server, reason);
	event_active(c->failed_event, EV_TIMEOUT, 0);
}

static bool
allows(const struct connector *c, int family)
{
	if (c->bound && c->local.any.sa_family != family)
		return false;
	return c->settings.family == FAMILY_ANY ||
	       (c->settings.family == FAMILY_IPV6) == (family == AF_INET6);
}

static void
ask(struct connector *c)
{
	struct address literal;

	if (!allows(c, AF_INET6) && !allows(c, AF_INET)) {
		fail_settings(c, "bind is not an address of the wanted family");
	} else if (address_parse(c->name, c->settings.port, &literal)) {
		if (!allows(c, literal.any.sa_family)) {
			fail_settings(
			    c, "host is an address of the family that family or bind exclude");
			return;
		}
		c->literal = true;
		add_candidate(c, &literal);
		arm(c->resolution_timer, 0);
	} else {
		if (allows(c, AF_INET6))
			half_ask(c, &c->v6, AF_INET6);
		if (allows(c, AF_INET))
			half_ask(c, &c->v4, AF_INET);
	}
}

static void
make_events(struct connector *c)
{
	struct event_base *base = c->settings.base;

	c->budget_timer = evtimer_new(base, budget_cb, c);
	c->stagger_timer = evtimer_new(base, stagger_cb, c);
	c->resolution_timer = evtimer_new(base, resolution_cb, c);
	c->failed_event = event_new(base, -1, 0, failed_cb, c);
	if (c->budget_timer == NULL || c->stagger_timer == NULL || c->resolution_timer == NULL ||
	    c->failed_event == NULL)
		exit(EX_OSERR);
}

struct connector *
connect_new(const struct connector_settings *settings, connector_cb *cb, void *arg)
{
	struct connector *c = xcalloc(1, sizeof *c);

	c->settings = *settings;
	c->cb = cb;
	c->arg = arg;
	c->fd = -1;
	c->last_family = AF_UNSPEC;
	c->asked_at = clock_mono();
	c->server = address_server_name(settings->host, settings->port);
	c->name = address_ascii_host(settings->host);
	make_events(c);
	if (settings->budget > 0)
		arm(c->budget_timer, settings->budget);
	if (c->name == NULL) {
		fail_settings(c, "host is not a possible name");
	} else if (settings->bind != NULL && !address_parse(settings->bind, 0, &c->local)) {
		fail_settings(c, "bind is not an address");
	} else {
		c->bound = settings->bind != NULL;
		ask(c);
	}
	return c;
}

void
connect_free(struct connector **connector)
{
	struct connector *c = *connector;

	*connector = NULL;
	if (c == NULL)
		return;
	stop_all(c);
	event_free(c->budget_timer);
	event_free(c->stagger_timer);
	event_free(c->resolution_timer);
	event_free(c->failed_event);
	if (c->fd >= 0)
		close(c->fd);
	free(c->name);
	free(c->server);
	free(c);
}

int
connect_take(struct connector *c, struct address *peer)
{
	int fd = c->fd;

	c->fd = -1;
	*peer = c->peer;
	return fd;
}

const struct verdict *
connect_why(const struct connector *c)
{
	return &c->why;
}

static enum connect_outcome
outcome_of(const struct attempt *a)
{
	switch (a->state) {
	case ATTEMPT_FAILED:
		return CONNECT_REFUSED;
	case ATTEMPT_WON:
		return CONNECT_WON;
	case ATTEMPT_TRYING:
	case ATTEMPT_LEFT:
		return CONNECT_SILENT;
	case ATTEMPT_UNTRIED:
		break;
	}
	return CONNECT_UNTRIED;
}

void
connect_describe_course(const struct connector *c, struct connect_course *course)
{
	int64_t resolved_at = c->started ? c->started_at : c->ended_at;

	*course = (struct connect_course){.literal = c->literal,
	    .resolved = resolved_at - c->asked_at,
	    .tried = c->ended_at - resolved_at,
	    .count = c->count};
	for (size_t i = 0; i < c->count; i++)
		course->list[i] = (struct connect_course_item){c->candidates[i].address,
		    outcome_of(&c->candidates[i]), c->candidates[i].error};
}
