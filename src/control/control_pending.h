#ifndef POSTRIDER_CONTROL_CONTROL_PENDING_H
#define POSTRIDER_CONTROL_CONTROL_PENDING_H

#include "control/control_private.h"
#include "fetch/fetcher.h"

#include <stdbool.h>

/*
 * Verbs that are answered later.  What waits survives its client, and struct control too: the
 * callback that was promised to it still comes, and frees it.
 */

/* FETCHER_STARTED: the client is answered when it is done.  Else nothing was begun or answered. */
enum fetcher_answer control_pending_adopt(
    struct control *control, struct control_client *client, const char *account, bool all);

/*
 * Has the configuration read, and answers the client with the outcome.  Who asks while a reading
 * is under way shares the next one, which sees the file as it is now.
 */
void control_pending_reload(struct control *control, struct control_client *client);

/* The client is gone: its answers go nowhere. */
void control_pending_forget(struct control *control, const struct control_client *client);

/* Answers everybody that the daemon is stopping.  For control_free(). */
void control_pending_abandon(struct control *control);

#endif
