#ifndef POSTRIDER_DELIVER_OUTBOX_INTERNAL_H
#define POSTRIDER_DELIVER_OUTBOX_INTERNAL_H

#include "base/queue.h"
#include "base/verdict.h"
#include "deliver/outbox.h"
#include "deliver/shortcomings.h"
#include "net/slots.h"
#include "session/certificate.h"
#include "session/standing.h"
#include "store/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event;
struct hook;
struct outmessage;
struct sending;
struct sending_result;
struct smtp_config;
struct vault_request;

/*
 * What the files of one account's policy share; nobody else includes this.  outbox.c has the timer
 * and the sessions; outbox_ready.c the messages that are lent and what became of them;
 * outbox_record.c what is remembered and what a session's outcome leads to; outbox_events.c what
 * those who watch are told.
 */

/* A session of this outbox, or the wish for one. */
struct line {
	struct slot slot; /* first: it is what is granted */
	TAILQ_ENTRY(line) link;
	struct outbox *outbox;
	struct sending *sending; /* NULL while the slot is waited for */
	unsigned refusals;       /* of the outbox, when the session began */
};

TAILQ_HEAD(line_list, line);

/* One owner: the deliverer. */
struct outbox {
	struct outbox_settings settings;
	char *name;
	char *server;          /* "host:port"; NULL without smtp */
	struct config *config; /* our reference */
	const struct account_config *account;
	bool stopped;
	bool once;
	bool on_hold; /* --once: the spool is still being claimed */

	struct line_list lines;
	size_t line_count;
	struct event *timer;

	/* outbox_ready.c */
	struct outmessage **ready; /* lent, not yet taken */
	size_t ready_count, ready_capacity;
	bool asking;       /* outqueue_due() is under way */
	bool ask_again;    /* something came meanwhile */
	bool more;         /* the last answer was not all */
	bool flush_wanted; /* all that waits, page by page from its beginning */
	bool by_person;    /* and those in doubt, too */
	bool flushing;     /* there are more pages */
	bool asked_page;   /* the question under way is for one */
	char page_end[32]; /* the last message of the page before */
	bool recalled;     /* what is being lent goes back: a message of it may not be wanted */
	size_t lending;    /* outqueue_lend() is under way, so many times */
	bool telling;      /* outqueue_overdue() is under way */
	size_t deciding;   /* decisions whose callback is due */
	int64_t earliest;  /* wall ms of the next message not yet due, 0: none */

	/* outbox_record.c */
	bool loading;
	bool blocked;
	bool failed;            /* a session or a message, since outbox_begin_once() */
	int64_t wait_until;     /* mono ms; no session before, for the account is in trouble */
	struct verdict trouble; /* of the last session that failed; FAIL_NONE: none */
	struct record record;
	uint64_t sessions, sessions_failed; /* ended since the start */
	unsigned long refused_generation;   /* of the secret */
	unsigned refusals;                  /* of a login, noted since the start */
	struct shortcomings_trial trial;
	bool weaker; /* refused to log in: HINT_WEAKER */
	struct certificate_watch certificate;
	unsigned long renewed; /* standing_renews_token() */
	struct standing_declined declined;
	struct hook *hook;           /* on_failure */
	struct vault_request *probe; /* has a blocked account's secret changed? */
};

/* outbox.c */

/* Asks, opens sessions, waits: whatever is to be done next. */
void outbox_go(struct outbox *o);
bool outbox_must_wait(const struct outbox *o);

/* 0 <= random < 1, for jitter. */
double outbox_random(void);

/* outbox_ready.c */

/* What is due, or flushed, if there is room for it. */
void outbox_ask(struct outbox *o);

/* The next message for a session; NULL: none. */
struct outmessage *outbox_take(struct outbox *o);

/* What was lent and not tried goes back, and ends a flush of an account at rest; their senders may
 * be owed a notice meanwhile. */
void outbox_return_ready(struct outbox *o);

/* The same for one of them, which nobody is told of. */
void outbox_withdraw_ready(struct outbox *o, const char *id);

/* The senders of what waits with the account are told, those who are owed it. */
void outbox_tell_overdue(struct outbox *o);

/*
 * A message comes back from this session: struct sending_handler's settled().  It is settled with
 * the account of the session's configuration; the present one may have no smtp any more.
 */
void outbox_settle(struct outbox *o, const struct sending *sending, struct outmessage *message,
    struct settlement *settlement, const struct verdict *trouble);

/* outbox_events.c */

/* Tells those who watch what became of the message in a session. */
void outbox_tell_fates(
    const struct outbox *o, const struct settlement *settlement, const char *session);

/* It waits with its account. */
void outbox_tell_waiting(
    const struct outbox *o, const struct outmessage *message, const struct verdict *trouble);

/* outbox_record.c */

/* Reads what was remembered; nothing is sent before. */
void outbox_load(struct outbox *o);

/* The configuration was read again: what was refused under another one says nothing about now. */
void outbox_check_settings(struct outbox *o, const struct smtp_config *before);

/* A person was told that the server offers less than it did, and wants it all the same. */
void outbox_accept_weaker(struct outbox *o);

/*
 * The session began at `since`, with so many refusals noted.  A refused login is one failure for
 * all sessions that were under way with it.
 */
void outbox_note_result(
    struct outbox *o, const struct sending_result *result, int64_t since, unsigned refusals);

#endif
