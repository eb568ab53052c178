#ifndef POSTRIDER_CTL_CTL_QUEUE_H
#define POSTRIDER_CTL_CTL_QUEUE_H

#include "base/str.h"
#include "ctl/ctl_text.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The answer to `queue` as text for people: a row for each message, and below it who is to get it
 * and what was said.  With `whole` every recipient, else the first few.  now: wall ms.
 */
void ctl_queue_append(
    struct str *s, const json_t *answer, bool whole, const struct ctl_screen *screen, int64_t now);

#endif
