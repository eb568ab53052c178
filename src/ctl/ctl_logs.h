#ifndef POSTRIDER_CTL_CTL_LOGS_H
#define POSTRIDER_CTL_CTL_LOGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The session logs that lie in a directory, SESSIONS/ACCOUNT/NAME, known by their names alone.
 * Whatever bears another name is somebody else's; symbolic links are not followed.
 */

struct ctl_logs_entry {
	int64_t time; /* wall ms: when the session began */
	char *account;
	char *name;
	char protocol[8];
	const char *id; /* "000123": points into name, and is followed by ".log" */
	size_t id_len;
};

/* Embedded; zeroed memory begins it, ctl_logs_clear() ends it. */
struct ctl_logs {
	char *directory;
	struct ctl_logs_entry *list; /* the newest first */
	size_t count;
};

/*
 * Reads them anew: of one account, or of all (NULL).  False after saying on standard error what
 * cannot be read, with *code set; a directory that is not there holds none and is no trouble.
 */
bool ctl_logs_read(struct ctl_logs *logs, const char *directory, const char *account, int *code);
void ctl_logs_clear(struct ctl_logs *logs);

/*
 * The newest one that the word names: a session's ID with or without leading zeros, or the file's
 * name with or without ".log".  NULL when there is none.
 */
const struct ctl_logs_entry *ctl_logs_find(const struct ctl_logs *logs, const char *word);

/* How many sessions bear the same ID: they begin anew with each start of the daemon. */
size_t ctl_logs_count_id(const struct ctl_logs *logs, const struct ctl_logs_entry *entry);

/* < 0 when a is newer than b, > 0 when it is older, 0 for the same name. */
int ctl_logs_compare(const struct ctl_logs_entry *a, const struct ctl_logs_entry *b);

/* Fills all but the account from a file's name, borrowed; false when it is no session log's. */
bool ctl_logs_parse_name(char *name, struct ctl_logs_entry *entry);

/* Opens for reading; -1 with errno (ELOOP, EINVAL: it is no regular file). */
int ctl_logs_open(const struct ctl_logs *logs, const struct ctl_logs_entry *entry);

#endif
