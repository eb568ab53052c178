#ifndef POSTRIDER_CTL_CTL_ASK_H
#define POSTRIDER_CTL_CTL_ASK_H

#include "base/str.h"
#include "ctl/ctl_place.h"

#include <stdbool.h>

/*
 * Connects to the first of the places where a daemon listens, sends the request (one line, without
 * its end) and appends the daemon's answer (one line, without its end).  With patient the answer
 * may take as long as it takes, else 30 s.  Returns EX_OK, or an exit code after saying on
 * standard error what is wrong: EX_UNAVAILABLE, EX_NOPERM, EX_IOERR, EX_PROTOCOL.
 */
int ctl_ask(const struct ctl_places *places, const char *request, bool patient, struct str *answer);

#endif
