#include "fetch/fetcher.h"

#include "base/log.h"
#include "base/queue.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "fetch/maildrop.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A maildrop and its place in the queue for slots. */
struct seat {
	struct maildrop *maildrop;
	bool waiting;                 /* in the queue */
	bool running;                 /* holds a slot */
	bool once;                    /* its --once poll has not ended yet */
	TAILQ_ENTRY(seat) link;       /* seats, in the order of the configuration; or retired */
	TAILQ_ENTRY(seat) queue_link; /* while waiting */
};

TAILQ_HEAD(seat_list, seat);

/* One owner: the daemon. */
struct fetcher {
	struct fetcher_settings settings;
	struct config *config; /* our reference; NULL before the first fetcher_configure() */
	struct seat_list seats;
	struct seat_list retired; /* removed, with a poll still under way */
	struct seat_list queue;
	unsigned running;
	unsigned running_failing;
	unsigned long last_id;
	struct event *turn; /* grants slots and frees the retired, outside everybody's callbacks */

	bool stopping;
	fetcher_stopped_cb *stopped_cb;
	void *stopped_arg;
	fetcher_once_cb *once_cb;
	void *once_arg;
	size_t once_failed;
};

/* -- slots ----------------------------------------------------------------------------------- */

static unsigned
running_on_host(const struct fetcher *f, const char *host)
{
	const struct seat *s;
	unsigned n = 0;

	TAILQ_FOREACH (s, &f->seats, link)
		n += s->running && strcasecmp(maildrop_host(s->maildrop), host) == 0;
	TAILQ_FOREACH (s, &f->retired, link)
		n += s->running && strcasecmp(maildrop_host(s->maildrop), host) == 0;
	return n;
}

/* Accounts that failed last time share half of the slots, so that the others have the rest. */
static bool
may_start(const struct fetcher *f, const struct seat *s)
{
	unsigned for_failing = f->config->sessions > 1 ? f->config->sessions / 2 : 1;

	if (f->running >= f->config->sessions)
		return false;
	if (maildrop_is_failing(s->maildrop) && f->running_failing >= for_failing)
		return false;
	return running_on_host(f, maildrop_host(s->maildrop)) < f->config->sessions_per_host;
}

static void
leave_queue(struct fetcher *f, struct seat *s)
{
	if (!s->waiting)
		return;
	s->waiting = false;
	TAILQ_REMOVE(&f->queue, s, queue_link);
}

static void
count_running(struct fetcher *f)
{
	const struct seat *s;

	f->running = f->running_failing = 0;
	TAILQ_FOREACH (s, &f->seats, link)
		if (s->running) {
			f->running++;
			f->running_failing += maildrop_is_failing(s->maildrop);
		}
	TAILQ_FOREACH (s, &f->retired, link)
		f->running += s->running;
}

static void
grant_slots(struct fetcher *f)
{
	struct seat *s, *next;
	char id[16];

	count_running(f);
	TAILQ_FOREACH_SAFE (s, &f->queue, queue_link, next) {
		if (f->running >= f->config->sessions)
			return;
		if (!may_start(f, s))
			continue;
		leave_queue(f, s);
		s->running = true;
		f->running++;
		f->running_failing += maildrop_is_failing(s->maildrop);
		snprintf(id, sizeof id, "%06lu", ++f->last_id);
		maildrop_start(s->maildrop, id);
	}
}

static void
seat_free(struct seat *s)
{
	maildrop_free(&s->maildrop);
	free(s);
}

static bool
any_busy(const struct fetcher *f)
{
	const struct seat *s;

	TAILQ_FOREACH (s, &f->seats, link)
		if (maildrop_is_busy(s->maildrop))
			return true;
	return !TAILQ_EMPTY(&f->retired);
}

static void
sweep_retired(struct fetcher *f)
{
	struct seat *s, *next;

	TAILQ_FOREACH_SAFE (s, &f->retired, link, next) {
		if (maildrop_is_busy(s->maildrop))
			continue;
		TAILQ_REMOVE(&f->retired, s, link);
		seat_free(s);
	}
}

static bool
once_is_over(const struct fetcher *f)
{
	const struct seat *s;

	TAILQ_FOREACH (s, &f->seats, link)
		if (s->once || maildrop_runs_hooks(s->maildrop))
			return false;
	return f->once_cb != NULL;
}

static void
turn_cb(evutil_socket_t fd, short what, void *arg)
{
	struct fetcher *f = arg;

	(void)fd;
	(void)what;
	sweep_retired(f);
	if (!f->stopping) {
		grant_slots(f);
	} else if (f->stopped_cb != NULL && !any_busy(f)) {
		fetcher_stopped_cb *cb = f->stopped_cb;

		f->stopped_cb = NULL;
		cb(f->stopped_arg);
		return;
	}
	if (once_is_over(f)) {
		fetcher_once_cb *cb = f->once_cb;

		f->once_cb = NULL;
		cb(f->once_failed, f->once_arg);
	}
}

static void
next_turn(struct fetcher *f)
{
	event_active(f->turn, EV_TIMEOUT, 0);
}

/* -- what maildrops tell ---------------------------------------------------------------------- */

static struct seat *
seat_of(struct fetcher *f, const struct maildrop *maildrop)
{
	struct seat *s;

	TAILQ_FOREACH (s, &f->seats, link)
		if (s->maildrop == maildrop)
			return s;
	TAILQ_FOREACH (s, &f->retired, link)
		if (s->maildrop == maildrop)
			return s;
	return NULL;
}

static void
on_ready(struct maildrop *maildrop, bool urgent, void *arg)
{
	struct fetcher *f = arg;
	struct seat *s = seat_of(f, maildrop);

	leave_queue(f, s);
	s->waiting = true;
	if (urgent)
		TAILQ_INSERT_HEAD(&f->queue, s, queue_link);
	else
		TAILQ_INSERT_TAIL(&f->queue, s, queue_link);
	next_turn(f);
}

static void
on_withdrawn(struct maildrop *maildrop, void *arg)
{
	leave_queue(arg, seat_of(arg, maildrop));
}

/* A maildrop that wants to go on at once (more mail, a person) has asked for a slot again. */
static void
on_ended(struct maildrop *maildrop, bool failed, void *arg)
{
	struct fetcher *f = arg;
	struct seat *s = seat_of(f, maildrop);
	bool was_running = s->running;

	s->running = false;
	f->running -= was_running;
	if (was_running && s->once && !s->waiting) {
		s->once = false;
		f->once_failed += failed;
	}
	next_turn(f);
}

/* --once ends after them. */
static void
on_hooks_done(struct maildrop *maildrop, void *arg)
{
	(void)maildrop;
	next_turn(arg);
}

static const struct maildrop_owner owner = {
    .ready = on_ready,
    .withdrawn = on_withdrawn,
    .ended = on_ended,
    .hooks_done = on_hooks_done,
};

/* -- settings -------------------------------------------------------------------------------- */

static struct seat *
find_in(const struct seat_list *list, const char *name)
{
	struct seat *s;

	TAILQ_FOREACH (s, list, link)
		if (strcmp(maildrop_name(s->maildrop), name) == 0)
			return s;
	return NULL;
}

static struct seat *
find_seat(const struct fetcher *f, const char *name)
{
	return find_in(&f->seats, name);
}

static struct seat *
seat_new(struct fetcher *f, const char *name)
{
	struct seat *s = xcalloc(1, sizeof *s);

	s->maildrop = maildrop_new(&f->settings, &owner, f, name);
	return s;
}

/*
 * An account's seat, taken from its list.  A retired one comes back: its last session may still be
 * on the mailbox.
 */
static struct seat *
take_seat(struct fetcher *f, const char *name)
{
	struct seat *s = find_in(&f->seats, name);

	if (s != NULL) {
		TAILQ_REMOVE(&f->seats, s, link);
		return s;
	}
	s = find_in(&f->retired, name);
	if (s == NULL)
		return seat_new(f, name);
	TAILQ_REMOVE(&f->retired, s, link);
	return s;
}

void
fetcher_configure(struct fetcher *f, struct config *config)
{
	struct seat_list before = TAILQ_HEAD_INITIALIZER(before);
	struct config *old = f->config;
	struct seat *s;

	f->config = config_ref(config);
	for (size_t i = 0; i < config->account_count; i++) {
		s = take_seat(f, config->accounts[i].name);
		TAILQ_INSERT_TAIL(&before, s, link);
	}
	TAILQ_CONCAT(&f->retired, &f->seats, link);
	TAILQ_CONCAT(&f->seats, &before, link);
	TAILQ_FOREACH (s, &f->retired, link) {
		leave_queue(f, s);
		maildrop_stop(s->maildrop);
	}
	for (size_t i = 0; i < config->account_count; i++) {
		const struct account_config *account = &config->accounts[i];

		maildrop_configure(find_seat(f, account->name)->maildrop, config, account,
		    (unsigned)config->account_count);
	}
	config_unref(&old);
	next_turn(f);
}

/* -- what people ask for --------------------------------------------------------------------- */

enum fetcher_answer
fetcher_poll(struct fetcher *f, const char *name)
{
	struct seat *s;

	if (name != NULL) {
		s = find_seat(f, name);
		return s != NULL ? maildrop_poll(s->maildrop) : FETCHER_NO_SUCH_ACCOUNT;
	}
	TAILQ_FOREACH (s, &f->seats, link)
		maildrop_poll(s->maildrop);
	return FETCHER_STARTED;
}

enum fetcher_answer
fetcher_adopt(struct fetcher *f, const char *name, bool all, fetcher_adopt_cb *cb, void *arg)
{
	struct seat *s = find_seat(f, name);

	return s != NULL ? maildrop_adopt(s->maildrop, all, cb, arg) : FETCHER_NO_SUCH_ACCOUNT;
}

void
fetcher_once(struct fetcher *f, fetcher_once_cb *cb, void *arg)
{
	struct seat *s;

	f->once_cb = cb;
	f->once_arg = arg;
	TAILQ_FOREACH (s, &f->seats, link) {
		maildrop_set_once(s->maildrop);
		s->once = maildrop_poll(s->maildrop) == FETCHER_STARTED;
	}
	next_turn(f);
}

void
fetcher_stop(struct fetcher *f, fetcher_stopped_cb *cb, void *arg)
{
	struct seat *s;

	f->stopping = true;
	f->stopped_cb = cb;
	f->stopped_arg = arg;
	while ((s = TAILQ_FIRST(&f->queue)) != NULL)
		leave_queue(f, s);
	TAILQ_FOREACH (s, &f->seats, link)
		maildrop_stop(s->maildrop);
	next_turn(f);
}

/* -- life ------------------------------------------------------------------------------------ */

struct fetcher *
fetcher_new(const struct fetcher_settings *settings)
{
	struct fetcher *f = xcalloc(1, sizeof *f);

	f->settings = *settings;
	TAILQ_INIT(&f->seats);
	TAILQ_INIT(&f->retired);
	TAILQ_INIT(&f->queue);
	f->turn = event_new(settings->base, -1, 0, turn_cb, f);
	return f;
}

void
fetcher_free(struct fetcher **fetcher)
{
	struct fetcher *f = *fetcher;
	struct seat *s;

	*fetcher = NULL;
	if (f == NULL)
		return;
	while ((s = TAILQ_FIRST(&f->seats)) != NULL) {
		TAILQ_REMOVE(&f->seats, s, link);
		seat_free(s);
	}
	event_free(f->turn);
	config_unref(&f->config);
	free(f);
}

/* -- views ----------------------------------------------------------------------------------- */

size_t
fetcher_count(const struct fetcher *f)
{
	return f->config != NULL ? f->config->account_count : 0;
}

void
fetcher_view(const struct fetcher *f, size_t index, struct fetcher_view *view)
{
	const struct seat *s = TAILQ_FIRST(&f->seats);

	while (index-- > 0)
		s = TAILQ_NEXT(s, link);
	maildrop_view(s->maildrop, view);
}

bool
fetcher_is_busy(const struct fetcher *f)
{
	return f->running > 0;
}

size_t
fetcher_session_count(const struct fetcher *f)
{
	struct fetcher_session_view view;
	const struct seat *s;
	size_t n = 0;

	TAILQ_FOREACH (s, &f->seats, link)
		n += maildrop_session_view(s->maildrop, &view);
	TAILQ_FOREACH (s, &f->retired, link)
		n += maildrop_session_view(s->maildrop, &view);
	return n;
}

void
fetcher_session_view(const struct fetcher *f, size_t index, struct fetcher_session_view *view)
{
	const struct seat *s;

	TAILQ_FOREACH (s, &f->seats, link)
		if (maildrop_session_view(s->maildrop, view) && index-- == 0)
			return;
	TAILQ_FOREACH (s, &f->retired, link)
		if (maildrop_session_view(s->maildrop, view) && index-- == 0)
			return;
}
