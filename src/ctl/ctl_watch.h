#ifndef POSTRIDER_CTL_CTL_WATCH_H
#define POSTRIDER_CTL_CTL_WATCH_H

#include "ctl/ctl_place.h"

#include <stdbool.h>

/*
 * Sends the request ("watch ...") and prints a line for each event as it comes, with json the
 * daemon's lines as they are, until the daemon ends or nobody reads any more.  Returns an exit
 * code, after saying on standard error what is wrong: 0 when nobody reads, EX_UNAVAILABLE when the
 * daemon has ended.
 */
int ctl_watch(const struct ctl_places *places, const char *request, bool json);

#endif
