#include "net/slots.h"

#include "base/xalloc.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

TAILQ_HEAD(slot_list, slot);

/* One owner: who hands out sessions of a kind. */
struct slots {
	struct slot_list waiting;
	struct slot_list held;
	unsigned sessions, sessions_per_host;
	unsigned held_count;
	struct event *turn;
};

static bool
may_start(const struct slots *s, const struct slot *slot)
{
	unsigned for_failing = s->sessions > 1 ? s->sessions / 2 : 1;
	unsigned failing = 0, on_host = 0;
	const struct slot *other;

	TAILQ_FOREACH (other, &s->held, link) {
		failing += other->failing;
		on_host += strcasecmp(other->host, slot->host) == 0;
	}
	return on_host < s->sessions_per_host && !(slot->failing && failing >= for_failing);
}

static void
turn_cb(evutil_socket_t fd, short what, void *arg)
{
	struct slots *s = arg;
	struct slot *slot, *next;

	(void)fd;
	(void)what;
	TAILQ_FOREACH_SAFE (slot, &s->waiting, link, next) {
		if (s->held_count >= s->sessions)
			return;
		if (!may_start(s, slot))
			continue;
		TAILQ_REMOVE(&s->waiting, slot, link);
		TAILQ_INSERT_TAIL(&s->held, slot, link);
		slot->is_waiting = false;
		slot->is_held = true;
		s->held_count++;
		slot->granted(slot);
		/* Whoever was granted may have changed both lists. */
		event_active(s->turn, EV_TIMEOUT, 0);
		return;
	}
}

struct slots *
slots_new(struct event_base *base)
{
	struct slots *s = xcalloc(1, sizeof *s);

	TAILQ_INIT(&s->waiting);
	TAILQ_INIT(&s->held);
	s->sessions = s->sessions_per_host = 1;
	s->turn = event_new(base, -1, 0, turn_cb, s);
	return s;
}

void
slots_free(struct slots **slots)
{
	struct slots *s = *slots;

	*slots = NULL;
	if (s == NULL)
		return;
	event_free(s->turn);
	free(s);
}

void
slots_configure(struct slots *s, unsigned sessions, unsigned sessions_per_host)
{
	s->sessions = sessions;
	s->sessions_per_host = sessions_per_host;
	event_active(s->turn, EV_TIMEOUT, 0);
}

void
slot_init(struct slot *slot, void (*granted)(struct slot *slot))
{
	*slot = (struct slot){.granted = granted};
}

void
slots_want(struct slots *s, struct slot *slot, const char *host, bool failing, bool urgent)
{
	if (slot->is_held)
		return;
	snprintf(slot->host, sizeof slot->host, "%s", host);
	slot->failing = failing;
	if (slot->is_waiting && !urgent)
		return;
	if (slot->is_waiting)
		TAILQ_REMOVE(&s->waiting, slot, link);
	slot->is_waiting = true;
	if (urgent)
		TAILQ_INSERT_HEAD(&s->waiting, slot, link);
	else
		TAILQ_INSERT_TAIL(&s->waiting, slot, link);
	event_active(s->turn, EV_TIMEOUT, 0);
}

void
slots_leave(struct slots *s, struct slot *slot)
{
	if (slot->is_waiting)
		TAILQ_REMOVE(&s->waiting, slot, link);
	if (slot->is_held) {
		TAILQ_REMOVE(&s->held, slot, link);
		s->held_count--;
	}
	slot->is_waiting = slot->is_held = false;
	event_active(s->turn, EV_TIMEOUT, 0);
}

bool
slot_is_held(const struct slot *slot)
{
	return slot->is_held;
}

bool
slot_is_waiting(const struct slot *slot)
{
	return slot->is_waiting;
}

unsigned
slots_held(const struct slots *s)
{
	return s->held_count;
}
