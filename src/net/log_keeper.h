#ifndef POSTRIDER_NET_LOG_KEEPER_H
#define POSTRIDER_NET_LOG_KEEPER_H

struct event_base;
struct log_config;
struct log_keeper;
struct worker;

/*
 * Keeps the session logs within log.keep, log.keep_idle and log.max_total: prunes them
 * (net/transcript_prune.h) soon after the start, after each change of the settings, once an hour,
 * and whenever an eighth of max_total has been written, though not more than once a second. Trouble
 * is said once in the daemon's log, until a run has gone well or the settings have changed.
 *
 * Loop's thread only, and one at a time: it watches all session logs.
 */

/* The worker is borrowed until it is freed itself; what is needed of log is copied. */
struct log_keeper *log_keeper_new(
    struct event_base *base, struct worker *worker, const struct log_config *log);

/* A run under way is given up: it goes by the old settings. */
void log_keeper_configure(struct log_keeper *keeper, const struct log_config *log);

/*
 * Prunes now.  The callback, one at a time, is called when a run that began after this has ended,
 * and never when the keeper is freed before.
 */
typedef void log_keeper_done(void *arg);
void log_keeper_run(struct log_keeper *keeper, log_keeper_done *done, void *arg);

/* Before its worker, which still frees what is under way.  Sets the pointer to NULL. */
void log_keeper_free(struct log_keeper **keeper);

#endif
