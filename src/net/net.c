#include "net/net.h"

#include "base/xalloc.h"
#include "net/connect.h"
#include "net/net_internal.h"
#include "net/resolve.h"
#include "net/table.h"
#include "net/tls_pool.h"
#include "net/tls_sessions.h"

#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <sysexits.h>

static const struct timeval next_turn = {0, 0};

static void
steps_cb(evutil_socket_t fd, short what, void *arg)
{
	struct net *n = arg;
	struct net_step *step;

	(void)fd;
	(void)what;
	for (int i = 0; i < NET_STEPS && (step = TAILQ_FIRST(&n->steps)) != NULL; i++) {
		net_drop_step(n, step);
		step->run(step);
	}
	if (!TAILQ_EMPTY(&n->steps))
		event_add(n->step_timer, &next_turn);
}

void
net_queue_step(struct net *n, struct net_step *step)
{
	if (step->queued)
		return;
	step->queued = true;
	TAILQ_INSERT_TAIL(&n->steps, step, link);
	event_add(n->step_timer, &next_turn);
}

void
net_drop_step(struct net *n, struct net_step *step)
{
	if (!step->queued)
		return;
	step->queued = false;
	TAILQ_REMOVE(&n->steps, step, link);
}

static void
bury_all(struct net *n)
{
	struct net_corpse *corpse;

	while ((corpse = TAILQ_FIRST(&n->corpses)) != NULL) {
		TAILQ_REMOVE(&n->corpses, corpse, link);
		corpse->bury(corpse);
	}
}

static void
reaper_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	bury_all(arg);
}

void
net_bury_later(struct net *n, struct net_corpse *corpse)
{
	TAILQ_INSERT_TAIL(&n->corpses, corpse, link);
	event_active(n->reaper, EV_TIMEOUT, 0);
}

struct net *
net_new(struct event_base *base)
{
	struct net *n = xcalloc(1, sizeof *n);

	signal(SIGPIPE, SIG_IGN);
	n->base = base;
	n->resolver = resolve_new(base);
	n->winners = connect_winners_new();
	n->tls = tls_pool_new(base);
	n->sessions = tls_sessions_new();
	TAILQ_INIT(&n->steps);
	TAILQ_INIT(&n->corpses);
	n->step_timer = evtimer_new(base, steps_cb, n);
	n->reaper = event_new(base, -1, 0, reaper_cb, n);
	if (n->step_timer == NULL || n->reaper == NULL)
		exit(EX_OSERR);
	return n;
}

void
net_free(struct net **net)
{
	struct net *n = *net;

	*net = NULL;
	if (n == NULL)
		return;
	bury_all(n);
	event_free(n->reaper);
	event_free(n->step_timer);
	resolve_free(&n->resolver);
	table_free(&n->winners);
	tls_pool_free(&n->tls);
	tls_sessions_free(&n->sessions);
	free(n);
}

void
net_forget(struct net *n)
{
	resolve_forget(n->resolver);
	table_clear(n->winners);
	tls_pool_forget(n->tls);
	tls_sessions_forget(n->sessions);
}
