#ifndef POSTRIDER_CTL_CTL_STATUS_H
#define POSTRIDER_CTL_CTL_STATUS_H

#include "base/str.h"
#include "ctl/ctl_text.h"

#include <jansson.h>
#include <stdint.h>

/*
 * The answers to `status` and `sessions` as text for people.  The answer is the daemon's: fields
 * that lack or have the wrong type are shown as "-".  now: wall ms.
 */
void ctl_status_append(
    struct str *s, const json_t *answer, const struct ctl_screen *screen, int64_t now);
void ctl_status_append_sessions(
    struct str *s, const json_t *answer, const struct ctl_screen *screen, int64_t now);

#endif
