#ifndef POSTRIDER_DELIVER_OUTBOX_H
#define POSTRIDER_DELIVER_OUTBOX_H

#include "deliver/deliverer.h"

#include <stdbool.h>
#include <stdint.h>

struct account_config;
struct config;
struct outbox;
struct settlement;
struct slots;

/*
 * The policy of one account's SMTP side: what is due, when the server is tried, what a session
 * that failed leads to.  A server in trouble costs one attempt, not one for each message: the
 * others wait with it, and what arrives meanwhile joins them.
 */
struct outbox_settings {
	const struct deliverer_settings *deliverer; /* borrowed for the outbox's life */
	struct slots *slots;
	const char *helo;
	void (*changed)(void *arg); /* outbox_is_busy() may be false now */
	void *arg;
};

struct outbox *outbox_new(const struct outbox_settings *settings, const char *name);

/* Only while outbox_is_busy() is false.  Sets the pointer to NULL. */
void outbox_free(struct outbox **outbox);

/* A reference of config is held; sessions under way end with the settings they began with. */
void outbox_configure(
    struct outbox *outbox, struct config *config, const struct account_config *account);

/* Something was queued, or released. */
void outbox_wake(struct outbox *outbox);

/*
 * Everything that waits is due now, whatever back-off or block says; but for messages that are not
 * to be sent before their time.
 */
void outbox_flush(struct outbox *outbox);

/* The same for one message; those that wait for their own time go on waiting. */
void outbox_flush_message(struct outbox *outbox, const char *id);

/*
 * Waits after trouble no longer than seconds, and its messages with it, but for those who are in
 * doubt; the network is another one.
 */
void outbox_retry_soon(struct outbox *outbox);

/* A message that only waits for its turn goes back. */
void outbox_withdraw(struct outbox *outbox, const char *id);

/*
 * --once: nothing is sent before outbox_begin_once(), so that all that is claimed by then goes over
 * as few connections as may be; what an earlier run came to is no reason to wait.
 */
void outbox_hold_once(struct outbox *outbox);
void outbox_begin_once(struct outbox *outbox);

/* No more sessions; those under way are ended, a final dot is waited for. */
void outbox_stop(struct outbox *outbox);

bool outbox_is_busy(const struct outbox *outbox);

/* Nothing is under way and nothing is due: for --once. */
bool outbox_is_drained(const struct outbox *outbox);
bool outbox_has_failed(const struct outbox *outbox);

bool outbox_awaits_fate(const struct outbox *outbox);
void outbox_abandon_fate(struct outbox *outbox);

const char *outbox_name(const struct outbox *outbox);
void outbox_view(const struct outbox *outbox, struct deliverer_view *view);
size_t outbox_session_count(const struct outbox *outbox);
void outbox_session_view(
    const struct outbox *outbox, size_t index, struct deliverer_session_view *view);

#endif
