#ifndef POSTRIDER_NET_SLOTS_H
#define POSTRIDER_NET_SLOTS_H

#include "base/queue.h"

#include <stdbool.h>

struct event_base;
struct slots;

/*
 * Places for sessions (`limits`): so many in all, so many to one host, and no more than half of
 * them for those whose last session failed, so that the others have the rest.  First come, first
 * served among those that may start; what a person asked for comes first.
 */
struct slot {
	void (*granted)(struct slot *slot); /* it is held now; in a turn of its own */
	/* internal */
	char host[256];
	bool failing;
	bool is_waiting, is_held;
	TAILQ_ENTRY(slot) link;
};

struct slots *slots_new(struct event_base *base);

/* Nobody may wait for a slot any more.  Sets the pointer to NULL; NULL inside is fine. */
void slots_free(struct slots **slots);

void slots_configure(struct slots *slots, unsigned sessions, unsigned sessions_per_host);

/* Embedded in its owner; the owner's to keep until it is neither waiting nor held. */
void slot_init(struct slot *slot, void (*granted)(struct slot *slot));

/*
 * Wants a place for a session with this host (copied).  failing: the last one failed.  Nothing
 * happens when the slot is held already; one that waits is moved to the front when urgent.
 */
void slots_want(
    struct slots *slots, struct slot *slot, const char *host, bool failing, bool urgent);

/* Wants it no more, or gives it back. */
void slots_leave(struct slots *slots, struct slot *slot);

bool slot_is_held(const struct slot *slot);
bool slot_is_waiting(const struct slot *slot);

/* How many are held. */
unsigned slots_held(const struct slots *slots);

#endif
