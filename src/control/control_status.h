#ifndef POSTRIDER_CONTROL_CONTROL_STATUS_H
#define POSTRIDER_CONTROL_CONTROL_STATUS_H

#include <jansson.h>
#include <stdint.h>

struct config;
struct fetcher;

/* The read-only views as the control socket's JSON.  Every function returns a new reference. */

/* "2026-11-20T10:15:00.123Z", or null for 0 (never). */
json_t *control_status_time(int64_t wall);

/* All of them, or only the named one. */
json_t *control_status_accounts(
    const struct fetcher *fetcher, const struct config *config, const char *only);

json_t *control_status_queue(void);
json_t *control_status_sessions(const struct fetcher *fetcher);

#endif
