#ifndef POSTRIDER_CONTROL_CONTROL_STATUS_H
#define POSTRIDER_CONTROL_CONTROL_STATUS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;
struct deliverer;
struct deliverer_view;
struct fetcher;
struct fetcher_view;
struct outqueue_row;

/*
 * The read-only views as the control socket's JSON.  Every function returns a new reference.  The
 * deliverer may be NULL.
 */

/* "2026-11-20T10:15:00.123Z", or null for 0 (never). */
json_t *control_status_time(int64_t wall);

/* All of them, or only the named one. */
json_t *control_status_accounts(const struct fetcher *fetcher, const struct deliverer *deliverer,
    const struct config *config, const char *only);

/*
 * The side's view of the account; false when it has none there, and then *view says nothing.
 * near: where the room is likely to list it.
 */
bool control_status_fetching(
    const struct fetcher *fetcher, const char *name, size_t near, struct fetcher_view *view);
bool control_status_sending(
    const struct deliverer *deliverer, const char *name, size_t near, struct deliverer_view *view);

json_t *control_status_queue(struct deliverer *deliverer);

/* The sessions running now, of all accounts or only the named one. */
json_t *control_status_sessions(
    const struct fetcher *fetcher, const struct deliverer *deliverer, const char *only);

/* A queued message, as `queue` tells it: trouble of its account is its own. */
json_t *control_status_message(
    const struct outqueue_row *row, const struct deliverer *deliverer, const struct config *config);

#endif
