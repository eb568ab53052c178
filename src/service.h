#ifndef POSTRIDER_SERVICE_H
#define POSTRIDER_SERVICE_H

#include <stddef.h>
#include <stdint.h>

struct deliverer;
struct event_base;
struct fetcher;
struct service;

/*
 * The daemon as its service manager sees it: when it is ready, a sentence of how it is doing, that
 * its loop lives, and how much patience it asks for.  Where no manager listens nothing is done.
 * Loop's thread only; one owner, the daemon.
 */
struct service *service_new(
    struct event_base *base, const struct fetcher *fetcher, struct deliverer *deliverer);

/*
 * When no reload is under way any more; the fetcher and the deliverer may be gone.  Sets the
 * pointer to NULL; NULL inside is fine.
 */
void service_free(struct service **service);

/*
 * Call after every turn of the loop.  READY is said once the spool is watched; the sentence follows
 * what happens, at most once a second, and no timer runs where nothing happens.
 */
void service_turn(struct service *service);

/* The configuration is read again; and was, with so many faults. */
void service_begin_reload(struct service *service);
void service_end_reload(struct service *service, size_t faults);

/* The daemon stops, which may take so many ms from now on; called again when it takes longer. */
void service_stop(struct service *service, int64_t ms);

#endif
