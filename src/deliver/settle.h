#ifndef POSTRIDER_DELIVER_SETTLE_H
#define POSTRIDER_DELIVER_SETTLE_H

#include "base/str.h"
#include "deliver/smtp_session.h"
#include "proto/smtp_reply.h"
#include "queue/outqueue.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct account_config;
struct retry_config;

/*
 * What an attempt to deliver a message leads to: the fates of its recipients, when it is tried
 * again, whether it is held, and what is to be stored or said to its sender.  No I/O.
 *
 *	settle_begin(&settlement, message);
 *	settle_note(&settlement, i, &result);		for each recipient, as its fate is told
 *	settle_put_off(&settlement, &why);		when it cannot be read here
 *	settle_finish(&settlement, &context);		settlement.decision is ready
 *	outqueue_decide(queue, &settlement.decision, &message, ...), or outqueue_return()
 *	settle_clear(&settlement);
 *
 * The lent message is changed in place, by every call; the settlement borrows it until it is
 * cleared.
 *
 * A state means: PENDING, never accepted and still to be tried; UNKNOWN, the same, but an attempt
 * may have delivered it, whatever later attempts were told; SENT and FAILED are final, and SENT is
 * also what remembers that the copy for sent_maildir was made: whoever queues a message again for
 * those who failed keeps the others' states.
 */

/* What was said of one recipient in this attempt. */
struct settle_mark {
	enum smtp_fate fate;
	bool is_noted;
	bool again;       /* as in struct smtp_result */
	bool was_unknown; /* before this attempt */
	bool gave_up;     /* deferred, and failed for its age */
	bool is_local;    /* our own words, the server was not asked */
	struct smtp_status status;
	const char *stage;
	const char *advice; /* static; for a server's reply, else NULL */
	size_t words;       /* where in the recipient's reply those words begin */
};

struct settlement {
	struct outqueue_decision decision; /* borrows from what follows, context and message */
	/*
	 * False: nothing reached MAIL, nothing was put off and nobody is to be told.  Then the
	 * message is as it was, and outqueue_return() does as well.
	 */
	bool is_needed;

	/* Recipients in this attempt, for the log, events and counters. */
	size_t sent, deferred, refused, unknown, gave_up;
	bool is_over;       /* every recipient's fate is known: the message leaves the queue */
	bool is_held;       /* a third unknown in a row, in this attempt */
	bool is_warned;     /* the report tells of delay */
	bool is_first_sent; /* somebody has the message, for the first time */
	bool is_put_off;    /* settle_put_off() */
	/* Why those wait of whom nothing was said: the account's trouble, or ours; NULL: none. */
	const struct verdict *trouble;

	/* internal */
	struct outmessage *message;
	struct settle_mark *marks; /* by recipient */
	bool had_sent;             /* before this attempt */
	struct verdict *put_off;   /* NULL: it was not */
	char *last_error;
	struct str reason;
	struct str report;
	struct str report_end;
};

/* All borrowed until settle_clear(). */
struct settle_context {
	const struct retry_config *retry;
	const struct account_config *account; /* with smtp */
	const char *local_domain;             /* what bare addresses got; NULL: nothing */
	/*
	 * Trouble of the account's, before MAIL or instead of an answer to it; NULL or FAIL_NONE:
	 * none.  It is not held against the message.
	 */
	const struct verdict *trouble;
	int64_t now;           /* wall ms */
	double random;         /* 0 to 1, for the jitter */
	const char *host;      /* this machine's name, for accounts without a domain */
	const uint8_t *unique; /* DSN_UNIQUE_SIZE random octets */
};

void settle_begin(struct settlement *settlement, struct outmessage *message);

/*
 * The last word about a recipient counts; one that was SENT or FAILED before is not touched, and
 * SMTP_UNTRIED says nothing.
 */
void settle_note(struct settlement *settlement, size_t recipient, const struct smtp_result *result);

/*
 * The message cannot be read on this machine, so that nothing of it went to whoever is open: it
 * waits as long as it has waited already, within the bounds of retry, and no attempt is counted.
 */
void settle_put_off(struct settlement *settlement, const struct verdict *why);

void settle_finish(struct settlement *settlement, const struct settle_context *context);
void settle_clear(struct settlement *settlement);

/*
 * True when the sender is to hear that the message waits, were it settled now with this trouble (or
 * NULL): lets a message be lent just for that, while its account waits.
 */
bool settle_owes_notice(const struct outmessage *message, const struct settle_context *context);

/* The recipient's fate was told in this attempt. */
bool settle_is_noted(const struct settlement *settlement, size_t recipient);

/* The recipient is still to be tried. */
bool settle_is_open(const struct outqueue_recipient *recipient);

/* And that in the attempt which the message, one of the queue's, is lent for. */
bool settle_is_due(const struct outmessage *message, const struct outqueue_recipient *recipient);

#endif
