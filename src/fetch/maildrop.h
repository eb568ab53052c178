#ifndef POSTRIDER_FETCH_MAILDROP_H
#define POSTRIDER_FETCH_MAILDROP_H

#include "fetch/fetcher.h"

#include <stdbool.h>
#include <stdint.h>

struct maildrop;
struct account_config;
struct config;

/*
 * The policy of one account's POP3 side: when it is polled, what a verdict leads to, what is
 * remembered.  At most one poll is under way, so there are never two sessions on one mailbox.
 * The fetcher owns it and grants it slots.
 */
struct maildrop_owner {
	/* The maildrop wants a slot: maildrop_start() may be called now or later. */
	void (*ready)(struct maildrop *maildrop, bool urgent, void *arg);

	/* The slot that ready() asked for is not wanted any more. */
	void (*withdrawn)(struct maildrop *maildrop, void *arg);

	/* What was under way has ended: a poll (its slot is free), or a call of the store. */
	void (*ended)(struct maildrop *maildrop, bool failed, void *arg);

	/* maildrop_runs_hooks() is false again. */
	void (*hooks_done)(struct maildrop *maildrop, void *arg);
};

struct maildrop *maildrop_new(const struct fetcher_settings *settings,
    const struct maildrop_owner *owner, void *arg, const char *name);

/* Only while maildrop_is_busy() is false.  Sets the pointer to NULL. */
void maildrop_free(struct maildrop **maildrop);

/*
 * New settings: taken at once, or when the poll under way has ended.  A reference of config is
 * held.  accounts: how many there are, to spread the first polls.  One that was stopped goes on.
 */
void maildrop_configure(struct maildrop *maildrop, struct config *config,
    const struct account_config *settings, unsigned accounts);

/* Removed from the configuration, or the daemon stops: no more polls; the one under way ends. */
void maildrop_stop(struct maildrop *maildrop);

/* A poll or a call of the store is under way, or its callback is due. */
bool maildrop_is_busy(const struct maildrop *maildrop);

/* Children of on_fetch or on_failure are under way; maildrop_free() kills them. */
bool maildrop_runs_hooks(const struct maildrop *maildrop);

/* --once: polls are only made on demand, and no timer is armed. */
void maildrop_set_once(struct maildrop *maildrop);

enum fetcher_answer maildrop_poll(struct maildrop *maildrop);

/* What failed may work now, see fetcher_wake(). */
void maildrop_wake(struct maildrop *maildrop, bool resumed);
enum fetcher_answer maildrop_adopt(
    struct maildrop *maildrop, bool all, fetcher_adopt_cb *cb, void *arg);

/* The slot is granted. */
void maildrop_start(struct maildrop *maildrop, const char *id);

const char *maildrop_name(const struct maildrop *maildrop);
const char *maildrop_host(const struct maildrop *maildrop);

/* The last poll failed. */
bool maildrop_is_failing(const struct maildrop *maildrop);

void maildrop_view(const struct maildrop *maildrop, struct fetcher_view *view);

/* False when no poll is under way. */
bool maildrop_session_view(const struct maildrop *maildrop, struct fetcher_session_view *view);

#endif
