#ifndef POSTRIDER_DELIVER_SENDING_H
#define POSTRIDER_DELIVER_SENDING_H

#include "base/verdict.h"

#include <stdbool.h>
#include <stdint.h>

struct account_config;
struct config;
struct event_base;
struct events;
struct net;
struct outmessage;
struct outqueue;
struct record;
struct sending;
struct settlement;
struct vault;
struct worker;

/*
 * One SMTP session of one account: the secret is fetched, the session held, and as many messages
 * sent as the owner has.  The next messages are read while one is on its way; one with more
 * recipients than a transaction takes goes in several.
 */
struct sending_handler {
	/* The next message to send, lent by the queue; NULL when there is none at the moment. */
	struct outmessage *(*take)(void *arg);

	/*
	 * The message comes back, with what was said of its recipients noted: the owner finishes
	 * the settlement and clears it.  trouble: what ended the session, when that is why; else
	 * NULL.
	 */
	void (*settled)(struct outmessage *message, struct settlement *settlement,
	    const struct verdict *trouble, void *arg);
};

struct sending_settings {
	struct event_base *base; /* borrowed for the sending's life, as the next five */
	struct net *net;
	struct vault *vault;
	struct worker *log_worker;
	struct events *events;
	struct outqueue *queue;
	struct config *config;                /* a reference is taken */
	const struct account_config *account; /* of that configuration, with smtp */
	const char *helo;
	const struct record *record; /* what earlier sessions came to; borrowed for its life */
	unsigned without;            /* enum smtp_shortcoming */
	uint32_t declined;           /* standing_declined() */
	const char *id;              /* "000123" */
};

struct sending_result {
	struct verdict why;
	const char *mechanism;     /* the login, by its name, static; NULL: none */
	uint32_t declined;         /* mechanisms that were declined before that one, a set */
	int64_t certificate_end;   /* wall ms, 0: unknown */
	bool stopped;              /* ended by sending_stop() */
	unsigned long stale_token; /* of a token held from before, which is refused now; 0: none */
	bool slow;                 /* the server asked for restraint */
	unsigned lacking;          /* enum smtp_shortcoming, found out now */
	unsigned broke_on;         /* the same, as smtp_session_broke_on() has it */
	unsigned messages;         /* that were offered to the server */
	uint64_t recipients;       /* accepted */
	uint64_t octets;           /* of messages with an accepted recipient */
};

/* Over, in a turn of its own, every message settled before: free it, now or later. */
typedef void sending_cb(const struct sending_result *result, void *arg);

struct sending *sending_new(const struct sending_settings *settings,
    const struct sending_handler *handler, sending_cb *cb, void *arg);

/* There may be something to take again. */
void sending_go(struct sending *sending);

/*
 * Gives the message back, as settled() has it, when none of it was given to the server yet, or no
 * more than the envelope, behind a final dot that waits.
 */
void sending_withdraw(struct sending *sending, const char *id);

/* No more messages; a final dot that was sent is waited for, anything else is cut off. */
void sending_stop(struct sending *sending);

/* A final dot is not waited for any longer: what it was sent for is unknown. */
void sending_abandon_fate(struct sending *sending);
void sending_free(struct sending **sending);

/* A final dot waits for its reply. */
bool sending_awaits_fate(const struct sending *sending);

/* Of the configuration that it began with; borrowed for the sending's life. */
const struct account_config *sending_account(const struct sending *sending);

const char *sending_state(const struct sending *sending);
const char *sending_id(const struct sending *sending);
int64_t sending_since(const struct sending *sending);
uint64_t sending_octets_in(const struct sending *sending);
uint64_t sending_octets_out(const struct sending *sending);

#endif
