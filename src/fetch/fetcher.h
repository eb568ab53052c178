#ifndef POSTRIDER_FETCH_FETCHER_H
#define POSTRIDER_FETCH_FETCHER_H

#include "base/verdict.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;
struct event_base;
struct events;
struct net;
struct store;
struct vault;
struct worker;
struct fetcher;

/*
 * All accounts' POP3 sides: who polls when, within `limits`.  Loop's thread only.
 */
struct fetcher_settings {
	struct event_base *base;
	struct net *net;
	struct store *store;
	struct vault *vault;
	struct worker *log_worker; /* writes session logs */
	struct events *events;     /* is told what happens; NULL: nobody is */
};

/* The settings' objects are borrowed until fetcher_free(). */
struct fetcher *fetcher_new(const struct fetcher_settings *settings);

/* Only after fetcher_stop() has called back.  Sets the pointer to NULL. */
void fetcher_free(struct fetcher **fetcher);

/*
 * Takes these accounts (a reference of config is held): new ones are scheduled, changed ones take
 * their new settings with the next poll, removed ones end after the session under way; the others
 * are not disturbed.
 */
void fetcher_configure(struct fetcher *fetcher, struct config *config);

enum fetcher_answer {
	FETCHER_STARTED, /* starts now, or is running, or waits for a slot */
	FETCHER_NO_SUCH_ACCOUNT,
	FETCHER_DISABLED /* has no pop3 */
};

/* A person asks: polls now, whatever back-off or block says.  NULL: every account. */
enum fetcher_answer fetcher_poll(struct fetcher *fetcher, const char *account);

/*
 * What failed may work now: accounts that wait after trouble are polled within seconds, spread, and
 * after a suspend all those whose timers stood still.  Not those whose password was refused.
 */
void fetcher_wake(struct fetcher *fetcher, bool resumed);

/* The Maildir is accepted as it is; with all, the server's messages are marked seen unfetched. */
typedef void fetcher_adopt_cb(const struct verdict *why, size_t marked, void *arg);
enum fetcher_answer fetcher_adopt(
    struct fetcher *fetcher, const char *account, bool all, fetcher_adopt_cb *cb, void *arg);

/*
 * --once: polls every account once, those with interval 0 too.  The callback tells, when all have
 * ended, how many failed.  No timers are armed.
 */
typedef void fetcher_once_cb(size_t failed, void *arg);
void fetcher_once(struct fetcher *fetcher, fetcher_once_cb *cb, void *arg);

/*
 * Stops: no new sessions; running ones commit what is whole and close.  The callback runs when the
 * last is gone; a process that cannot wait may end: nothing is lost, it is fetched again.
 */
typedef void fetcher_stopped_cb(void *arg);
void fetcher_stop(struct fetcher *fetcher, fetcher_stopped_cb *cb, void *arg);

/* A read-only copy for status; strings are borrowed until the next turn of the loop. */
struct fetcher_view {
	const char *account;
	const char *state;  /* "idle", "connecting", ... as the control socket names them */
	const char *server; /* "host:port", NULL when disabled */
	int64_t last_attempt, last_success, next_attempt; /* wall ms, 0: none */
	unsigned failures;
	int64_t failing_since; /* wall ms, of the first of those; 0: none */
	int64_t error_time;    /* wall ms, 0: no error */
	enum fail error_kind;
	const char *error_text;
	uint64_t fetched, fetched_octets;
	int64_t certificate_end; /* wall ms, 0: unknown */
	int64_t on_server;       /* -1: unknown */
	uint64_t skipped_large;
	int64_t expires_after;        /* days, where that is sooner than keep says; -1: it is not */
	unsigned left_out;            /* a set of enum pop3_feature, see features_name() */
	uint64_t polls, polls_failed; /* ended since the start */
};

size_t fetcher_count(const struct fetcher *fetcher);
void fetcher_view(const struct fetcher *fetcher, size_t index, struct fetcher_view *view);

/* Polls are under way. */
bool fetcher_is_busy(const struct fetcher *fetcher);

/* The sessions under way. */
struct fetcher_session_view {
	const char *id, *account, *server, *state;
	int64_t since; /* wall ms */
	uint64_t octets_in, octets_out;
};
size_t fetcher_session_count(const struct fetcher *fetcher);
void fetcher_session_view(
    const struct fetcher *fetcher, size_t index, struct fetcher_session_view *view);

#endif
