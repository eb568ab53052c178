#ifndef POSTRIDER_CONTROL_CONTROL_PRIVATE_H
#define POSTRIDER_CONTROL_CONTROL_PRIVATE_H

#include "base/queue.h"
#include "control/control.h"
#include "control/control_client.h"
#include "control/control_socket.h"

#include <stdbool.h>

/* What control.c and the files of the verbs share; no other file includes this. */

struct evconnlistener;

/*
 * A request whose answer comes later.  Lives until then: its client is NULL once that one is
 * gone, and control is NULL after control_free().
 */
struct control_pending {
	struct control *control;
	struct control_client *client;
	TAILQ_ENTRY(control_pending) link;
};

TAILQ_HEAD(control_pending_list, control_pending);

/* What was asked about the queue; control_queue.c has it. */
struct control_question;
TAILQ_HEAD(control_question_list, control_question);

/* A client that is told what happens; control_watch.c has it. */
struct control_watcher;
TAILQ_HEAD(control_watcher_list, control_watcher);

/* A reading of the configuration under way; outlives struct control when it must. */
struct control_reload {
	struct control *control;
};

struct client_entry {
	struct control_client *client;
	bool refused; /* is only being told that there are too many */
	TAILQ_ENTRY(client_entry) link;
};

/* Owned by the daemon. */
struct control {
	struct control_settings settings;
	struct config *config;
	struct control_socket socket;
	struct evconnlistener *listener;
	struct event *accept_again; /* after the machine ran out of descriptors */
	TAILQ_HEAD(, client_entry) clients;
	size_t client_count;
	size_t refused_count;
	struct control_pending_list adopting;
	struct control_pending_list reloading;   /* answered when the reading under way ends */
	struct control_pending_list reload_next; /* asked since: need a reading of their own */
	struct control_reload *reload;           /* NULL: none under way */
	struct control_question_list questions;
	struct control_watcher_list watchers;
	int64_t mono_started;
	bool stopping;
};

#endif
