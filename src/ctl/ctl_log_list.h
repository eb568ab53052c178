#ifndef POSTRIDER_CTL_CTL_LOG_LIST_H
#define POSTRIDER_CTL_CTL_LOG_LIST_H

#include "base/str.h"
#include "ctl/ctl_logs.h"
#include "ctl/ctl_text.h"

#include <jansson.h>

/* The newest of the logs as a table, or as one line of JSON.  Returns the exit code. */
int ctl_log_list(const struct ctl_logs *logs, bool json);

/* What a list knows of a session.  The strings are its owner's. */
struct ctl_log_summary {
	char *server;
	char *trouble; /* NULL: none */
	char *end;     /* behind "closed: "; NULL: it runs, or its end was not written */
	bool running;
};

/* Reads the first and the last lines of a log.  False with errno. */
bool ctl_log_summarize(const struct ctl_logs *logs, const struct ctl_logs_entry *entry,
    struct ctl_log_summary *summary);
void ctl_log_summary_clear(struct ctl_log_summary *summary);

/*
 * "3 fetched", "nothing new", "network trouble", "running", "broken off"; *took gets the
 * seconds at the end, or 0.
 */
enum ctl_tone ctl_log_outcome(const struct ctl_log_summary *summary, struct str *s, double *took);

#endif
