#ifndef POSTRIDER_CTL_CTL_FLOW_H
#define POSTRIDER_CTL_CTL_FLOW_H

#include "base/str.h"
#include "ctl/ctl_logfile.h"
#include "ctl/ctl_text.h"

#include <stdbool.h>

struct ctl_call;

/* The command "flow": a session's log as a sequence chart. */
#define CTL_FLOW_OPERANDS "SESSION|ACCOUNT"
int ctl_flow_run(const struct ctl_call *call, int argc, char **argv);

/*
 * Appends the chart of the log, which is read to its end: the screen must have a width.  False when
 * it is no session log.
 */
bool ctl_flow_append(struct str *s, struct ctl_logfile *file, const struct ctl_screen *screen);

#endif
