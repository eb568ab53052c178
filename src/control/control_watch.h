#ifndef POSTRIDER_CONTROL_CONTROL_WATCH_H
#define POSTRIDER_CONTROL_CONTROL_WATCH_H

struct control;
struct control_client;

/*
 * `watch`: clients that are told what happens, as it happens.  While there is none, nobody listens.
 */

/*
 * Answers {"ok":true}; from then on the client is told.  account: what happens to this one, and
 * what concerns none or all; NULL: everything.  A client that watches already does so for this
 * account.
 */
void control_watch_start(
    struct control *control, struct control_client *client, const char *account);

/* The client is gone. */
void control_watch_forget(struct control *control, const struct control_client *client);

#endif
