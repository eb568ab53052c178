#ifndef POSTRIDER_NET_NET_INTERNAL_H
#define POSTRIDER_NET_NET_INTERNAL_H

#include "base/queue.h"
#include "net/net.h"

#include <stdbool.h>

/* For the files of this room only. */

struct event;
struct resolver;
struct table;
struct tls_pool;
struct tls_sessions;

/*
 * A step of a TLS handshake that waits for its turn: at most NET_STEPS of them, half a millisecond
 * each, are made a turn of the loop, however many servers answer at once.  Embedded in its owner.
 */
#define NET_STEPS 4

struct net_step {
	void (*run)(struct net_step *step); /* may free the step's owner */
	bool queued;
	TAILQ_ENTRY(net_step) link;
};

/* What is to be freed when no function that works on it is on the stack any more. */
struct net_corpse {
	void (*bury)(struct net_corpse *corpse);
	TAILQ_ENTRY(net_corpse) link;
};

TAILQ_HEAD(net_step_list, net_step);
TAILQ_HEAD(net_corpse_list, net_corpse);

/* Owned by whoever called net_new(). */
struct net {
	struct event_base *base;
	struct resolver *resolver;
	struct table *winners;
	struct tls_pool *tls;
	struct tls_sessions *sessions;
	struct net_step_list steps;
	struct event *step_timer;
	struct net_corpse_list corpses;
	struct event *reaper;
};

void net_queue_step(struct net *net, struct net_step *step);
void net_drop_step(struct net *net, struct net_step *step);
void net_bury_later(struct net *net, struct net_corpse *corpse);

#endif
