#ifndef POSTRIDER_CTL_CTL_TIME_H
#define POSTRIDER_CTL_CTL_TIME_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* Times for people.  All are ms. */

/* "2026-11-20T10:15:00.123Z" (RFC 3339, UTC, fraction optional).  False when it is anything else.
 */
bool ctl_time_parse(const char *text, int64_t *wall);

/* "45 s", "3 min", "2 h 5 min", "4 d 3 h". */
void ctl_time_append_span(struct str *s, int64_t ms);

/* Before a server's certificate ends, ms: the daemon's log says it from then on, too. */
#define CTL_CERTIFICATE_SOON (INT64_C(14) * 24 * 3600 * 1000)

/* "3 min ago", "just now". */
void ctl_time_append_ago(struct str *s, int64_t now, int64_t then);

/* "in 2 min", "now". */
void ctl_time_append_until(struct str *s, int64_t now, int64_t then);

#endif
