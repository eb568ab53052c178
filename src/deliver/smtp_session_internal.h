#ifndef POSTRIDER_DELIVER_SMTP_SESSION_INTERNAL_H
#define POSTRIDER_DELIVER_SMTP_SESSION_INTERNAL_H

#include "deliver/smtp_session.h"
#include "proto/smtp_capability.h"
#include "proto/smtp_data.h"
#include "proto/smtp_outcome.h"
#include "proto/smtp_reply.h"
#include "session/session.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn;
struct event;
struct sasl_exchange;

/*
 * What the files of the conversation share; nobody else includes this.  smtp_session.c has the
 * table of states and the events, the others the states of one part each: smtp_opening.c (greeting,
 * EHLO, STARTTLS), smtp_login.c (AUTH, RFC 4954), smtp_transaction.c (RSET, MAIL, RCPT, DATA),
 * smtp_body.c (the text, the final dot).  smtp_envelope.c writes the commands of a transaction,
 * smtp_fate.c fills what the owner is told of each recipient.  A handler of a reply returns the
 * next state.
 */
enum smtp_state {
	SMTP_STATE_RESOLVING,
	SMTP_STATE_CONNECTING,
	SMTP_STATE_HANDSHAKE,
	SMTP_STATE_GREETING,
	SMTP_STATE_EHLO,
	SMTP_STATE_HELO,
	SMTP_STATE_STARTTLS,
	SMTP_STATE_STARTTLS_HANDSHAKE,
	SMTP_STATE_LOGIN,
	SMTP_STATE_READY,     /* nothing under way */
	SMTP_STATE_RSET,      /* before MAIL, when the last transaction is still open */
	SMTP_STATE_ENVELOPE,  /* MAIL, RCPT and DATA, one by one or together */
	SMTP_STATE_BODY,      /* until the final dot has left */
	SMTP_STATE_DOT,       /* its reply decides the message's fate */
	SMTP_STATE_EMPTY_DOT, /* 354 without a recipient: an empty message was ended */
	SMTP_STATE_QUIT,
	SMTP_STATE_CLOSED, /* final */
	SMTP_STATE_COUNT
};

/* Silence that is no fault yet, ms: RFC 5321 section 4.5.3.2, and our own for what it leaves out.
 */
enum {
	SMTP_SILENCE_HANDSHAKE = 60 * 1000,
	SMTP_SILENCE_COMMAND = 5 * 60 * 1000,
	SMTP_SILENCE_LOGIN = 10 * 60 * 1000,
	SMTP_SILENCE_DATA = 2 * 60 * 1000,
	SMTP_SILENCE_BLOCK = 3 * 60 * 1000,
	SMTP_SILENCE_DOT = 10 * 60 * 1000, /* whatever the configuration says */
	SMTP_SILENCE_QUIT = 30 * 1000      /* nothing depends on the answer */
};

/* One command of a transaction, ready to be sent. */
struct smtp_envelope_command {
	enum smtp_step step; /* MAIL, RCPT or DATA */
	size_t recipient;    /* RCPT: which */
	char *line;
};

enum smtp_stand {
	SMTP_STAND_OPEN,
	SMTP_STAND_ACCEPTED, /* 250 to RCPT */
	SMTP_STAND_DECIDED   /* its result is filled */
};

/* The message under way.  Zeroed memory is none. */
struct smtp_transaction {
	const struct smtp_message *message;
	struct smtp_result *results;
	enum smtp_stand *stands;
	struct smtp_envelope_command *commands;
	size_t command_count, sent, answered;
	size_t accepted;        /* recipients */
	uint64_t octets_before; /* out on this connection */
	const char *stage;      /* for what ends it from outside */
	bool utf8;              /* goes with SMTPUTF8 */
	bool is_ahead;          /* its envelope left behind the dot of the one before */
	bool mail_sent;
	bool mail_refused;
	bool dot_sent;

	struct smtp_data data;
	bool body_wanted; /* the owner was asked for a piece */
	bool body_given;  /* the last piece is there, the dot behind it */
};

/* One owner: whoever delivers.  The secret is a reference of ours. */
struct smtp_session {
	const struct smtp_config *config;
	struct transcript *transcript;
	struct secret *secret;
	struct deriver *deriver;
	const struct smtp_handler *handler;
	void *arg;
	char *helo;

	struct conn *conn;
	enum smtp_state state;
	struct verdict why;
	bool slow;
	bool account_trouble; /* what ended a transaction is none of the message's */
	char server[320];     /* "host:port" */
	struct smtp_reply reply;
	struct smtp_capabilities capabilities;
	struct sasl_exchange *login;

	struct smtp_transaction transaction;
	struct smtp_transaction ahead; /* what is said of it comes behind the reply to the dot */
	bool ahead_withdrawn;          /* its envelope has left: nothing else can follow */
	unsigned transactions;         /* on this connection */
	bool rset_needed;

	struct event *turn; /* what the owner asked for, in the next turn */
	bool seek;          /* ask next() */
	bool ask_body;
	const char *served;      /* borrowed */
	const char *mechanism;   /* that logged in, static; NULL: none */
	int64_t certificate_end; /* wall ms, 0: unknown */
	bool quit_wanted;
	bool failing;               /* smtp_session_fail() */
	bool is_ready;              /* ready() was told */
	bool over;                  /* closed() was told, or is about to be */
	struct session_octets gone; /* of the connection */
};

/* The one place that assigns the state; runs what its entry does. */
void smtp_set_state(struct smtp_session *s, enum smtp_state state);

/* Has the turn's event run. */
void smtp_wake(struct smtp_session *s);

/* Fill the verdict and return SMTP_STATE_CLOSED. */
enum smtp_state smtp_fail(struct smtp_session *s, enum fail kind, const char *stage,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* What is wanted next of the server is of no use: `what` says it for people. */
enum smtp_state smtp_disorder(struct smtp_session *s, const char *stage, const char *what);

/* The server said no to `what` ("EHLO"); the reply code decides the advice. */
enum smtp_state smtp_refused(
    struct smtp_session *s, enum fail kind, const char *stage, const char *what);

/* The server wants to be left alone for a while. */
enum smtp_state smtp_slowed(struct smtp_session *s, const char *stage);

/* Time without an octet from now on, unless the configuration has another, ms. */
void smtp_set_silence(struct smtp_session *s, int64_t standard);

/* smtp_opening.c */
enum smtp_state smtp_on_greeting(struct smtp_session *s, const struct smtp_reply *reply);
void smtp_enter_ehlo(struct smtp_session *s);
enum smtp_state smtp_on_ehlo(struct smtp_session *s, const struct smtp_reply *reply);
void smtp_enter_helo(struct smtp_session *s);
enum smtp_state smtp_on_helo(struct smtp_session *s, const struct smtp_reply *reply);
void smtp_enter_starttls(struct smtp_session *s);
enum smtp_state smtp_on_starttls(struct smtp_session *s, const struct smtp_reply *reply);

/* smtp_login.c */
void smtp_enter_login(struct smtp_session *s);
enum smtp_state smtp_on_login(struct smtp_session *s, const struct smtp_reply *reply);

/* smtp_transaction.c */

/* Begins with a message of the owner's: RSET, ENVELOPE, or READY when nothing was to be sent. */
enum smtp_state smtp_transaction_begin(struct smtp_session *s, const struct smtp_message *message);

/*
 * RFC 2920 section 3.1: the envelope of the next message may leave behind the final dot, whose
 * reply is not waited for.  Not before the dot: as long as that has not left, an answer is an early
 * one that ends the session, and nothing else is under way.
 */
bool smtp_transaction_may_go_ahead(const struct smtp_session *s);
void smtp_transaction_go_ahead(struct smtp_session *s, const struct smtp_message *message);

/* False as long as no octet of its commands is under way: nothing can be an answer to them. */
bool smtp_transaction_has_left(const struct smtp_session *s);

/*
 * False as long as what ends the session says nothing of this message: its envelope has not left,
 * or it left ahead and what comes may still be about the message before.
 */
bool smtp_transaction_was_tried(const struct smtp_session *s);

/* Every recipient is decided: tells the owner.  READY, or CLOSED when that ended the session. */
enum smtp_state smtp_transaction_end(struct smtp_session *s);

/* The same behind the final dot: the message whose envelope has left already is the next. */
enum smtp_state smtp_transaction_advance(struct smtp_session *s);

/* The session is over: the owner is told of what is under way. */
void smtp_transaction_end_all(struct smtp_session *s);
void smtp_transaction_clear(struct smtp_transaction *t);

/* True when no further message goes over this connection. */
bool smtp_transaction_was_last(const struct smtp_session *s);

/* What ends the session in place of an answer; the recipients that are open get their fates. */
enum smtp_state smtp_transaction_abort(
    struct smtp_session *s, enum smtp_outcome outcome, const struct smtp_reply *reply);

void smtp_enter_rset(struct smtp_session *s);
enum smtp_state smtp_on_rset(struct smtp_session *s, const struct smtp_reply *reply);
void smtp_enter_envelope(struct smtp_session *s);
enum smtp_state smtp_on_envelope(struct smtp_session *s, const struct smtp_reply *reply);

/*
 * smtp_envelope.c: writes the commands and decides who cannot be asked about at all.  False when
 * nobody is left.
 */
bool smtp_envelope_prepare(struct smtp_session *s);

/* smtp_body.c */
void smtp_enter_body(struct smtp_session *s);
void smtp_ask_body(struct smtp_session *s);
void smtp_on_drained(struct smtp_session *s);
enum smtp_state smtp_on_early_reply(struct smtp_session *s, const struct smtp_reply *reply);
void smtp_enter_dot(struct smtp_session *s);
enum smtp_state smtp_on_dot(struct smtp_session *s, const struct smtp_reply *reply);
void smtp_enter_empty_dot(struct smtp_session *s);
enum smtp_state smtp_on_empty_dot(struct smtp_session *s, const struct smtp_reply *reply);

/* smtp_fate.c */
void smtp_fate_from_reply(struct smtp_session *s, struct smtp_result *result, enum smtp_fate fate,
    const char *stage, const struct smtp_reply *reply);
void smtp_fate_from_text(struct smtp_result *result, enum smtp_fate fate, const char *stage,
    const char *status, const char *format, ...) __attribute__((format(printf, 5, 6)));
void smtp_fate_decide(struct smtp_session *s, size_t recipient, const struct smtp_result *result);
void smtp_fate_decide_open(struct smtp_session *s, const struct smtp_result *result);

/* What the server said of the recipients does not count: they are open again. */
void smtp_fate_reopen(struct smtp_session *s);

/* The session ended: whoever is not decided is so by how far the transaction came, and why. */
void smtp_fate_decide_by_verdict(struct smtp_session *s);

/* Takes back the "again" of results for whom it would lead nowhere. */
void smtp_fate_settle_again(const struct smtp_session *s, struct smtp_transaction *t);

#endif
