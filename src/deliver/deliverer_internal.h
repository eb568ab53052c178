#ifndef POSTRIDER_DELIVER_DELIVERER_INTERNAL_H
#define POSTRIDER_DELIVER_DELIVERER_INTERNAL_H

#include "base/queue.h"
#include "deliver/deliverer.h"
#include "queue/outqueue.h"

#include <stdbool.h>
#include <stddef.h>

struct alias_keeper;
struct event;
struct outbox;
struct slots;

/*
 * What the files of the deliverer share; nobody else includes this.  deliverer.c has the accounts
 * and the end of things, deliverer_intake.c what the queue tells of claimed messages,
 * deliverer_view.c what is shown.
 */

/* An account's outbox, in the order of the configuration; or retired, with sessions to end. */
struct desk {
	struct outbox *outbox;
	TAILQ_ENTRY(desk) link;
};

TAILQ_HEAD(desk_list, desk);

/* One owner: the daemon. */
struct deliverer {
	struct deliverer_settings settings;
	struct config *config; /* our reference */
	struct slots *slots;
	struct desk_list desks;
	struct desk_list retired;
	struct alias_keeper *aliases;
	struct event *turn; /* frees the retired, tells of the end */
	char host[256];

	bool stopping;
	deliverer_stopped_cb *stopped_cb;
	void *stopped_arg;
	size_t rejected; /* messages that were none */
	bool draining;   /* --once: the spool is still being claimed */
	bool settling;   /* --once: copies, reports and files are on their way */
	deliverer_once_cb *once_cb;
	void *once_arg;
};

/* NULL: none. */
struct desk *deliverer_find_desk(const struct desk_list *list, const char *account);

/* deliverer_intake.c */
extern const struct outqueue_handler deliverer_queue_handler;

/* Mail of accounts that cannot send, because the configuration has them no more, is named. */
void deliverer_warn_of_stranded(struct deliverer *deliverer);

#endif
