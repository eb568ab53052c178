#include "fetch/fetcher.h"

#include "base/queue.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "fetch/maildrop.h"
#include "net/session_id.h"
#include "net/slots.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A maildrop and its slot. */
struct seat {
	struct slot slot; /* first, for seat_of_slot() */
	struct fetcher *fetcher;
	struct maildrop *maildrop;
	bool wants;             /* asked for a slot again while it holds one */
	bool once;              /* its --once poll has not ended yet */
	TAILQ_ENTRY(seat) link; /* seats, in the order of the configuration; or retired */
};

TAILQ_HEAD(seat_list, seat);

/* One owner: the daemon. */
struct fetcher {
	struct fetcher_settings settings;
	struct config *config; /* our reference; NULL before the first fetcher_configure() */
	struct seat_list seats;
	struct seat_list retired; /* removed, with a poll still under way */
	struct slots *slots;
	struct event *turn; /* frees the retired and tells of the end, outside all callbacks */

	bool stopping;
	fetcher_stopped_cb *stopped_cb;
	void *stopped_arg;
	fetcher_once_cb *once_cb;
	void *once_arg;
	size_t once_failed;
};

static struct seat *
seat_of_slot(struct slot *slot)
{
	return (struct seat *)slot; /* its first member */
}

static void
on_granted(struct slot *slot)
{
	struct seat *s = seat_of_slot(slot);
	char id[SESSION_ID_SIZE];

	maildrop_start(s->maildrop, session_id_next(id));
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
	if (f->stopping && f->stopped_cb != NULL && !any_busy(f)) {
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
want_slot(struct seat *s, bool urgent)
{
	slots_want(s->fetcher->slots, &s->slot, maildrop_host(s->maildrop),
	    maildrop_is_failing(s->maildrop), urgent);
}

static void
on_ready(struct maildrop *maildrop, bool urgent, void *arg)
{
	struct fetcher *f = arg;
	struct seat *s = seat_of(f, maildrop);

	if (slot_is_held(&s->slot))
		s->wants = true;
	else
		want_slot(s, urgent);
}

static void
leave_queue(struct seat *s)
{
	s->wants = false;
	if (slot_is_waiting(&s->slot))
		slots_leave(s->fetcher->slots, &s->slot);
}

static void
on_withdrawn(struct maildrop *maildrop, void *arg)
{
	leave_queue(seat_of(arg, maildrop));
}

/* A maildrop that wants to go on at once (more mail, a person) has asked for a slot again. */
static void
on_ended(struct maildrop *maildrop, bool failed, void *arg)
{
	struct fetcher *f = arg;
	struct seat *s = seat_of(f, maildrop);
	bool was_held = slot_is_held(&s->slot);

	if (was_held)
		slots_leave(f->slots, &s->slot);
	if (was_held && s->once && !s->wants) {
		s->once = false;
		f->once_failed += failed;
	}
	if (was_held && s->wants)
		want_slot(s, true);
	s->wants = false;
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

	slot_init(&s->slot, on_granted);
	s->fetcher = f;
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
	slots_configure(f->slots, config->sessions, config->sessions_per_host);
	for (size_t i = 0; i < config->account_count; i++) {
		s = take_seat(f, config->accounts[i].name);
		TAILQ_INSERT_TAIL(&before, s, link);
	}
	TAILQ_CONCAT(&f->retired, &f->seats, link);
	TAILQ_CONCAT(&f->seats, &before, link);
	TAILQ_FOREACH (s, &f->retired, link) {
		leave_queue(s);
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

void
fetcher_wake(struct fetcher *f, bool resumed)
{
	struct seat *s;

	TAILQ_FOREACH (s, &f->seats, link)
		maildrop_wake(s->maildrop, resumed);
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
	TAILQ_FOREACH (s, &f->seats, link) {
		leave_queue(s);
		maildrop_stop(s->maildrop);
	}
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
	f->slots = slots_new(settings->base);
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
	slots_free(&f->slots);
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
	return slots_held(f->slots) > 0;
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
