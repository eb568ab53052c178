#ifndef POSTRIDER_CTL_CTL_LOG_H
#define POSTRIDER_CTL_CTL_LOG_H

#include "ctl/ctl_logs.h"
#include "ctl/ctl_text.h"

struct config;
struct ctl_call;
struct ctl_logfile;

/* The command "log": lists session logs, shows one, follows them. */
#define CTL_LOG_OPERANDS "[SESSION|ACCOUNT] [--follow]"
int ctl_log_run(const struct ctl_call *call, int argc, char **argv);

/*
 * Reads the logs, and finds the one that the word names: an account's newest, or a session.  NULL
 * with *code set after saying what is wrong; *code is EX_OK when the word is an account without a
 * log, which is said only when `must`.
 */
const struct ctl_logs_entry *ctl_log_find(
    struct ctl_logs *logs, const struct config *config, const char *word, bool must, int *code);

/* True for a configured account, and for one of whom there are logs. */
bool ctl_log_is_account(const struct ctl_logs *logs, const struct config *config, const char *word);

/* Where the logs are: NULL with *code set after saying that none are written. */
const char *ctl_log_directory(const struct config *config, int *code);

/* Says that this log could not be read; errno says why.  Returns the exit code. */
int ctl_log_complain(const struct ctl_logs *logs, const struct ctl_logs_entry *entry);

/*
 * Prints the lines that can be read now, escaped; `rest`: the last one, too, though it has no end.
 * screen: NULL for JSON, an object a line.
 */
void ctl_log_print(struct ctl_logfile *file, bool rest, const struct ctl_screen *screen);

/* Prints a whole log.  Returns the exit code, after saying what is wrong. */
int ctl_log_show(const struct ctl_logs *logs, const struct ctl_logs_entry *entry, bool json);

#endif
