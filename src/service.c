#include "service.h"

#include "base/clock.h"
#include "base/notify.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "deliver/deliverer.h"
#include "service_sentence.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* ms */
enum {
	BETWEEN_SENTENCES = 1000,
	LOOK_SHARE =
	    100, /* where looking at all accounts takes long: at most so much of the time */
	START_PULSE = 10 * 1000,    /* while it starts: how often more time is asked for... */
	START_PATIENCE = 30 * 1000, /* ... and how much */
	SLACK = 5 * 1000 /* between the end of our patience and the end of the manager's */
};

struct service {
	struct event_base *base;
	const struct fetcher *fetcher;
	struct deliverer *deliverer;
	struct event *pulse;    /* NULL: the manager has no watchdog */
	struct event *starting; /* until it is ready */
	struct event *later;    /* the sentence may be said again */
	enum service_phase phase;
	size_t faults;     /* of the last reload */
	bool is_due;       /* later has fired in this turn */
	int64_t next_look; /* mono ms: the sentence is not made before */
	char *said;
};

static struct event *
add_timer(struct service *s, short what, event_callback_fn cb, int64_t ms)
{
	const struct timeval tv = {ms / 1000, ms % 1000 * 1000};
	struct event *timer = event_new(s->base, -1, what, cb, s);

	if (timer == NULL)
		exit(EX_OSERR);
	if (ms > 0)
		event_add(timer, &tv);
	return timer;
}

/* That this runs at all is the news: a loop that hangs somewhere does not come here. */
static void
pulse_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	notify_alive();
}

static void
starting_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	notify_extend(START_PATIENCE);
}

static void
later_cb(evutil_socket_t fd, short what, void *arg)
{
	struct service *s = arg;

	(void)fd;
	(void)what;
	s->is_due = true;
}

struct service *
service_new(struct event_base *base, const struct fetcher *fetcher, struct deliverer *deliverer)
{
	struct service *s = xcalloc(1, sizeof *s);
	int64_t watchdog = notify_watchdog();

	s->base = base;
	s->fetcher = fetcher;
	s->deliverer = deliverer;
	s->phase = SERVICE_STARTS;
	if (!notify_is_wanted())
		return s;
	s->later = add_timer(s, 0, later_cb, 0);
	notify_extend(START_PATIENCE);
	s->starting = add_timer(s, EV_PERSIST, starting_cb, START_PULSE);
	if (watchdog > 0)
		s->pulse = add_timer(s, EV_PERSIST, pulse_cb, watchdog > 2 ? watchdog / 2 : 1);
	return s;
}

static void
end_timer(struct event **timer)
{
	if (*timer != NULL)
		event_free(*timer);
	*timer = NULL;
}

void
service_free(struct service **service)
{
	struct service *s = *service;

	*service = NULL;
	if (s == NULL)
		return;
	end_timer(&s->pulse);
	end_timer(&s->starting);
	end_timer(&s->later);
	free(s->said);
	free(s);
}

static void
say(struct service *s)
{
	int64_t before = clock_mono();
	char *sentence = service_sentence(s->fetcher, s->deliverer, s->phase, s->faults);
	int64_t now = clock_mono(), between = (now - before) * LOOK_SHARE;

	s->next_look = now + (between > BETWEEN_SENTENCES ? between : BETWEEN_SENTENCES);
	if (s->said != NULL && strcmp(s->said, sentence) == 0) {
		free(sentence);
		return;
	}
	free(s->said);
	s->said = sentence;
	notify_status(sentence);
}

/* Now, or as soon as it may be.  The turn in which it is said is none that anything happened in. */
static void
say_soon(struct service *s)
{
	int64_t wait = s->said == NULL ? 0 : s->next_look - clock_mono();
	const struct timeval tv = {wait / 1000, wait % 1000 * 1000};

	if (s->is_due || wait <= 0) {
		s->is_due = false;
		event_del(s->later);
		say(s);
	} else if (!event_pending(s->later, EV_TIMEOUT, NULL)) {
		event_add(s->later, &tv);
	}
}

void
service_turn(struct service *s)
{
	if (s->later == NULL)
		return;
	if (s->phase == SERVICE_STARTS && deliverer_is_watching(s->deliverer)) {
		s->phase = SERVICE_RUNS;
		end_timer(&s->starting);
		say(s);
		notify_ready();
	}
	say_soon(s);
}

void
service_begin_reload(struct service *s)
{
	if (s->phase == SERVICE_RUNS)
		notify_reloading();
}

void
service_end_reload(struct service *s, size_t faults)
{
	s->faults = faults;
	if (s->phase == SERVICE_RUNS)
		notify_ready();
}

void
service_stop(struct service *s, int64_t ms)
{
	if (s->phase != SERVICE_STOPS)
		notify_stopping();
	s->phase = SERVICE_STOPS;
	end_timer(&s->starting);
	notify_extend(ms + SLACK);
}
