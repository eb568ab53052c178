#ifndef POSTRIDER_CTL_CTL_LOG_FOLLOW_H
#define POSTRIDER_CTL_CTL_LOG_FOLLOW_H

#include "ctl/ctl_logs.h"

/*
 * Prints a session's log as it is written, and then those of the sessions after it: of its account,
 * or of all accounts when the word is NULL.  first: NULL when the account that the word names has
 * none yet.  Ends when standard output does, or by a signal; returns the exit code.
 */
int ctl_log_follow(
    struct ctl_logs *logs, const char *word, const struct ctl_logs_entry *first, bool json);

#endif
