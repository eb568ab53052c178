#ifndef POSTRIDER_NET_TRANSCRIPT_PRUNE_H
#define POSTRIDER_NET_TRANSCRIPT_PRUNE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log_config;
struct transcript_prune;

/*
 * One walk through the session logs, SESSIONS/ACCOUNT/NAME, that removes
 *
 *   - what is older than log.keep by the date in its name,
 *   - what is older than log.keep_idle and moved nothing and failed at nothing,
 *   - the oldest of the rest while all together are larger than log.max_total.
 *
 * Nothing else is touched: only regular files that bear a session log's name, in real directories
 * that bear an account's, and never one that is still being written, by this process or another
 * (net/transcript_file.h).  Directories stay.
 *
 * It may block on the disk: made anywhere, then stepped in a worker's thread.
 */

/*
 * log.sessions must not be NULL; what is needed of log is copied.  now is the wall time in ms.  The
 * oldest logs are gathered this many at once (at least one), more of them with another walk.
 */
struct transcript_prune *transcript_prune_new(
    const struct log_config *log, int64_t now, size_t at_once);

/* Does a small piece, so that others are not kept waiting; false when nothing is left to do. */
bool transcript_prune_step(struct transcript_prune *prune);

struct transcript_prune_result {
	size_t removed;
	size_t left;
	uint64_t left_octets;
	char trouble[512]; /* the first thing that went wrong, for people; "" for nothing */
};

/* Of the steps so far; borrowed until the next one. */
const struct transcript_prune_result *transcript_prune_result(const struct transcript_prune *prune);

/* Sets the pointer to NULL. */
void transcript_prune_free(struct transcript_prune **prune);

/*
 * Whether the end of a session log tells of a session that moved nothing and failed at nothing:
 * its last line, which is whole, is "TIME --- closed: ok, " with all counts 0.
 */
bool transcript_prune_is_idle(const char *tail, size_t len);

#endif
