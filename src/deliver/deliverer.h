#ifndef POSTRIDER_DELIVER_DELIVERER_H
#define POSTRIDER_DELIVER_DELIVERER_H

#include "base/verdict.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;
struct deliverer;
struct event_base;
struct events;
struct net;
struct outqueue;
struct store;
struct vault;
struct worker;

/*
 * The sending side: the spool is watched, what is dropped there is routed to an account and
 * queued, and every account's queue is drained.  Loop's thread only.
 */
struct deliverer_settings {
	struct event_base *base; /* borrowed until deliverer_free(), as all of these */
	struct net *net;
	struct store *store;
	struct vault *vault;
	struct worker *log_worker;  /* writes session logs */
	struct worker *load_worker; /* reads the aliases */
	struct events *events;      /* is told what happens; NULL: nobody is */
	struct outqueue *queue;     /* filled in by deliverer_new() */
};

/* Opens the spool, recovers what an earlier run left, and watches.  NULL with why (FAIL_LOCAL). */
struct deliverer *deliverer_new(
    const struct deliverer_settings *settings, struct config *config, struct verdict *why);

/* Only after deliverer_stop() has called back.  Sets the pointer to NULL; NULL inside is fine. */
void deliverer_free(struct deliverer **deliverer);

/* Takes these accounts, as fetcher_configure() does. */
void deliverer_configure(struct deliverer *deliverer, struct config *config);

/* Everything that waits is due now.  False: no such account.  NULL: all. */
bool deliverer_flush(struct deliverer *deliverer, const char *account);

/*
 * The same for one queued message of this account; what came of it, the queue and the log tell.
 * False: no such account, or it does not send.
 */
bool deliverer_flush_message(struct deliverer *deliverer, const char *account, const char *id);

/*
 * What failed may work now: accounts that wait after trouble are tried within seconds, spread.  Not
 * those whose password was refused.
 */
void deliverer_wake(struct deliverer *deliverer);

/*
 * Before this message is held or removed: when it is only waiting for its turn it goes back to the
 * queue, unasked; what is on its way goes on.
 */
void deliverer_withdraw(struct deliverer *deliverer, const char *id);

/*
 * --once: claims what is in the spool, sends what is due, waits until every copy and report is
 * where it belongs, then tells how many accounts failed; what had to be left for the disk's sake
 * counts as one more.
 */
typedef void deliverer_once_cb(size_t failed, void *arg);
void deliverer_once(struct deliverer *deliverer, deliverer_once_cb *cb, void *arg);

typedef void deliverer_stopped_cb(void *arg);
void deliverer_stop(struct deliverer *deliverer, deliverer_stopped_cb *cb, void *arg);

/* What an earlier run left is taken up, and the spool is watched. */
bool deliverer_is_watching(const struct deliverer *deliverer);

bool deliverer_is_busy(const struct deliverer *deliverer);

/* A final dot waits for its reply: worth waiting a minute for. */
bool deliverer_awaits_fate(const struct deliverer *deliverer);

/* The minute is over: what waits is recorded as unknown, and deliverer_stop() can call back. */
void deliverer_abandon_fate(struct deliverer *deliverer);

/* For what control asks of the queue itself.  Borrowed. */
struct outqueue *deliverer_queue(struct deliverer *deliverer);

struct deliverer_view {
	const char *account;
	const char *state;
	const char *server;                               /* NULL when disabled */
	int64_t last_attempt, last_success, next_attempt; /* wall ms, 0: none */
	unsigned failures;
	int64_t failing_since; /* wall ms, of the first of those; 0: none */
	int64_t error_time;    /* wall ms, 0: no error */
	enum fail error_kind;
	const char *error_text;
	int64_t certificate_end; /* wall ms, 0: unknown */
	unsigned left_out;       /* a set of enum smtp_shortcoming, see shortcomings_name() */
	uint64_t sent, sent_octets;
	uint64_t queued;
	uint64_t sessions, sessions_failed; /* ended since the start */
};

struct deliverer_session_view {
	const char *id, *account, *server, *state;
	int64_t since;
	uint64_t octets_in, octets_out;
};

/* In the order of the configuration, every account, those without smtp too. */
size_t deliverer_count(const struct deliverer *deliverer);
void deliverer_view(const struct deliverer *deliverer, size_t index, struct deliverer_view *view);

/* Those of accounts that are gone, too, until they end. */
size_t deliverer_session_count(const struct deliverer *deliverer);
void deliverer_session_view(
    const struct deliverer *deliverer, size_t index, struct deliverer_session_view *view);

#endif
