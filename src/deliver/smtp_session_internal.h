#ifndef POSTRIDER_DELIVER_SMTP_SESSION_INTERNAL_H
#define POSTRIDER_DELIVER_SMTP_SESSION_INTERNAL_H

#include "base/queue.h"
#include "base/str.h"
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
 * smtp_body.c (the text, the final dot), smtp_chunks.c (the text by BDAT, RFC 3030).  smtp_flight.c
 * keeps the transactions under way, smtp_envelope.c writes the commands of one, smtp_fate.c fills
 * what the owner is told of each recipient, smtp_verdict.c why the session ended.  A handler of a
 * reply returns the next state.
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
	SMTP_STATE_ENVELOPE,  /* RSET, MAIL, RCPT and DATA, one by one or together */
	SMTP_STATE_BODY,      /* until the final dot has left */
	SMTP_STATE_DOT,       /* its reply decides the message's fate */
	SMTP_STATE_EMPTY_DOT, /* 354 without a recipient: an empty message was ended */
	SMTP_STATE_CHUNKS,    /* BDAT: texts leave while answers come */
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

/* One command of a transaction, ready to be sent, or sent. */
struct smtp_envelope_command {
	enum smtp_step step; /* RSET, MAIL, RCPT or DATA; BODY is a chunk */
	size_t recipient;    /* RCPT: which */
	bool is_last;        /* BODY: the message ends with it */
	char *line;          /* NULL for a chunk: it is written as it leaves */
	uint64_t end;        /* once sent: octets out on this connection when all of it has left */
};

enum smtp_stand {
	SMTP_STAND_OPEN,
	SMTP_STAND_ACCEPTED, /* 250 to RCPT */
	SMTP_STAND_DECIDED   /* its result is filled */
};

/* A message under way.  Owned by the session's flight. */
struct smtp_transaction {
	TAILQ_ENTRY(smtp_transaction) link;
	const struct smtp_message *message;
	struct smtp_result *results;
	enum smtp_stand *stands;
	struct smtp_envelope_command *commands;
	size_t command_count, command_cap, sent, answered;
	size_t accepted;                  /* recipients */
	unsigned number;                  /* on this connection, from 1 */
	const char *stage;                /* for what ends it from outside */
	struct smtp_capabilities offered; /* of which this transaction makes use */
	bool utf8;                        /* goes with SMTPUTF8 */
	bool has_options;                 /* MAIL has other parameters, which could be left out */
	bool asks_reports;                /* RCPT has some, and MAIL too */
	bool is_ahead; /* its envelope left before the one in front of it had its fate */
	bool mail_refused;
	bool text_refused; /* a chunk was: what is said of others does not matter */
	bool dot_sent;

	struct smtp_data data;
	bool body_wanted; /* the owner was asked for a piece */
	bool body_given;  /* the last piece is there, the end behind it */
};

TAILQ_HEAD(smtp_flight, smtp_transaction);

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

	struct smtp_flight flight; /* in their order: answers are about the first */
	size_t flight_count;
	struct smtp_transaction *writing; /* whose text leaves; NULL: none */
	bool ahead_withdrawn;             /* its envelope has left: nothing else can follow */
	unsigned transactions;            /* on this connection */
	bool rset_needed;
	bool server_closing; /* 421: what was not answered was not looked at */
	bool draining;       /* the session ends with the answers that are awaited */

	bool has_taken;           /* a message, on this connection */
	unsigned broke_on;        /* enum smtp_shortcoming: what was under way at the end */
	struct smtp_result doubt; /* the last refusal that may be about parameters */
	unsigned shortcomings;    /* enum smtp_shortcoming: of the server, as far as is known */

	bool chunks_served; /* the server took a chunk on this connection */
	struct str held;    /* of the first text, until that is known */
	bool held_is_last;

	struct event *turn; /* what the owner asked for, in the next turn */
	bool seek;          /* ask next() */
	bool ask_body;
	const char *served;      /* borrowed */
	const char *mechanism;   /* the login, by its name, static; NULL: none */
	uint32_t known_declined; /* mechanisms, by earlier sessions */
	uint32_t declined;       /* by this one */
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

/* The server cannot do what it offers, says this result: the owner is told. */
void smtp_falls_short(
    struct smtp_session *s, enum smtp_shortcoming what, const struct smtp_result *result);

/* Time without an octet from now on, unless the configuration has another, ms. */
void smtp_set_silence(struct smtp_session *s, int64_t standard);

/* -- smtp_opening.c ---------------------------------------------------------------------------- */

enum smtp_state smtp_on_greeting(struct smtp_session *s, const struct smtp_reply *reply);
void smtp_enter_ehlo(struct smtp_session *s);
enum smtp_state smtp_on_ehlo(struct smtp_session *s, const struct smtp_reply *reply);
void smtp_enter_helo(struct smtp_session *s);
enum smtp_state smtp_on_helo(struct smtp_session *s, const struct smtp_reply *reply);
void smtp_enter_starttls(struct smtp_session *s);
enum smtp_state smtp_on_starttls(struct smtp_session *s, const struct smtp_reply *reply);

/* -- smtp_login.c ------------------------------------------------------------------------------ */

void smtp_enter_login(struct smtp_session *s);
enum smtp_state smtp_on_login(struct smtp_session *s, const struct smtp_reply *reply);

/* -- smtp_verdict.c: why a session ends -------------------------------------------------------- */

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

/*
 * What a server may break on that offers it in vain, enum smtp_shortcoming: it is under way as the
 * session ends.  0: nothing is suspected.
 */
unsigned smtp_suspect(const struct smtp_session *s);

/* The connection was lost, and that says nothing about the account or a message. */
bool smtp_is_mere_end(const struct smtp_session *s, const struct verdict *why);

/* -- smtp_flight.c: the transactions under way ------------------------------------------------- */

/* The one that answers are about; NULL: nothing is under way. */
struct smtp_transaction *smtp_flight_first(const struct smtp_session *s);

/*
 * A new one behind the others, its commands written.  NULL when nothing is to be sent for it: the
 * owner was told.
 */
struct smtp_transaction *smtp_flight_add(
    struct smtp_session *s, const struct smtp_message *message);

/* Sends the next command of its envelope. */
void smtp_flight_send(struct smtp_session *s, struct smtp_transaction *t);

/* What was given to the connection up to now ends there. */
uint64_t smtp_flight_position(const struct smtp_session *s);

/* True when that command has left, all of it: nothing earlier can be an answer to it. */
bool smtp_flight_has_left(
    const struct smtp_session *s, const struct smtp_transaction *t, size_t command);

/* Nothing that was sent waits for an answer, so this can be none. */
bool smtp_flight_is_unasked(const struct smtp_session *s);

/*
 * False as long as what ends the session says nothing of this message: its envelope has not left,
 * or it left ahead and what comes may still be about the message before.
 */
bool smtp_flight_was_tried(const struct smtp_session *s, const struct smtp_transaction *t);

/* The text has left with its end: the server may have taken the message. */
bool smtp_flight_may_be_taken(const struct smtp_session *s, const struct smtp_transaction *t);

/*
 * Every recipient of the first is decided: tells the owner.  Returns the state to go on in: that of
 * those behind it, READY when there are none, or CLOSED when that ended the session.
 */
enum smtp_state smtp_flight_end(struct smtp_session *s);

/* The session is over: the owner is told of whatever is under way. */
void smtp_flight_end_all(struct smtp_session *s);
void smtp_flight_drop(struct smtp_session *s, struct smtp_transaction *t);
void smtp_flight_clear(struct smtp_session *s);

/* True when no further message goes over this connection. */
bool smtp_flight_was_last(const struct smtp_session *s);

/* What ends the session in place of an answer; the recipients that are open get their fates. */
enum smtp_state smtp_flight_abort(
    struct smtp_session *s, enum smtp_outcome outcome, const struct smtp_reply *reply);

/* The same, with nothing said of any recipient: for SLOW_DOWN, or the account's trouble. */
enum smtp_state smtp_flight_refuse(struct smtp_session *s, enum smtp_outcome outcome);

/*
 * RFC 2920 section 3.1: whether the next message may follow before the one in front has its fate.
 * With DATA its envelope may, behind the final dot: as long as that has not left, an answer is an
 * early one that ends the session, and nothing else is under way.  With BDAT all of it may.
 */
bool smtp_flight_may_follow(const struct smtp_session *s);
void smtp_flight_follow(struct smtp_session *s, const struct smtp_message *message);

/* -- smtp_transaction.c ------------------------------------------------------------------------ */

bool smtp_is_pipelining(const struct smtp_session *s);

/* Begins with a message of the owner's; READY when nothing was to be sent. */
enum smtp_state smtp_transaction_begin(struct smtp_session *s, const struct smtp_message *message);
void smtp_enter_envelope(struct smtp_session *s);
enum smtp_state smtp_on_envelope(struct smtp_session *s, const struct smtp_reply *reply);

/*
 * What the first open command of the first transaction was answered with, RSET, MAIL or RCPT.
 * CLOSED: the session is over; else the state as it is.
 */
enum smtp_state smtp_transaction_note(struct smtp_session *s, const struct smtp_reply *reply);

/* Nobody is left whom the text could be for. */
bool smtp_transaction_is_refused(const struct smtp_transaction *t);

/*
 * smtp_envelope.c: writes the commands and decides who cannot be asked about at all.  False when
 * nobody is left.
 */
bool smtp_envelope_prepare(struct smtp_session *s, struct smtp_transaction *t);
struct smtp_envelope_command *smtp_envelope_add(struct smtp_transaction *t, enum smtp_step step);

/* -- smtp_body.c ------------------------------------------------------------------------------- */

/* The next piece is asked for when less than this waits to leave, octets. */
enum { SMTP_BODY_AHEAD = 256 * 1024 };

void smtp_enter_body(struct smtp_session *s);
void smtp_ask_body(struct smtp_session *s);
void smtp_note_body(struct smtp_session *s, const struct smtp_transaction *t);
void smtp_on_drained(struct smtp_session *s);

/* What the end of the text was answered with: READY, or CLOSED when that ends the session. */
enum smtp_state smtp_take_verdict(struct smtp_session *s, const struct smtp_reply *reply);
enum smtp_state smtp_on_early_reply(struct smtp_session *s, const struct smtp_reply *reply);
void smtp_enter_dot(struct smtp_session *s);
enum smtp_state smtp_on_dot(struct smtp_session *s, const struct smtp_reply *reply);
void smtp_enter_empty_dot(struct smtp_session *s);
enum smtp_state smtp_on_empty_dot(struct smtp_session *s, const struct smtp_reply *reply);

/* -- smtp_chunks.c ----------------------------------------------------------------------------- */

/* Whether texts go by BDAT on this connection. */
bool smtp_chunks_are_used(const struct smtp_session *s);
void smtp_enter_chunks(struct smtp_session *s);
enum smtp_state smtp_on_chunks(struct smtp_session *s, const struct smtp_reply *reply);

/* All of a message, behind those under way. */
void smtp_chunks_follow(struct smtp_session *s, const struct smtp_message *message);
bool smtp_chunks_may_follow(const struct smtp_session *s);
void smtp_chunks_write(struct smtp_session *s, const char *data, size_t len, bool last);

/* The first one of a connection has left, and nothing follows before its answer. */
bool smtp_chunks_wait(const struct smtp_session *s);

/* A refusal of a chunk that is leaving. */
bool smtp_chunks_is_early(const struct smtp_session *s, const struct smtp_reply *reply);
enum smtp_state smtp_on_early_chunk(struct smtp_session *s, const struct smtp_reply *reply);

/* The text under way cannot be read on: that message waits, and the others go on. */
void smtp_chunks_give_up(struct smtp_session *s, const struct verdict *why);
void smtp_chunks_advance(struct smtp_session *s);

/* -- smtp_fate.c ------------------------------------------------------------------------------- */

void smtp_fate_from_reply(struct smtp_session *s, struct smtp_result *result, enum smtp_fate fate,
    const char *stage, const struct smtp_reply *reply);
void smtp_fate_from_text(struct smtp_result *result, enum smtp_fate fate, const char *stage,
    const char *status, const char *format, ...) __attribute__((format(printf, 5, 6)));
void smtp_fate_decide(
    struct smtp_transaction *t, size_t recipient, const struct smtp_result *result);
void smtp_fate_decide_open(struct smtp_transaction *t, const struct smtp_result *result);

/* There is a recipient whose result is not filled. */
bool smtp_fate_is_anybody_open(const struct smtp_transaction *t);

/* What the server said of the recipients does not count: they are open again. */
void smtp_fate_reopen(struct smtp_transaction *t);

/* The session ended: whoever is not decided is so by how far the transaction came, and why. */
void smtp_fate_decide_by_verdict(struct smtp_session *s, struct smtp_transaction *t);

/* Takes back the "again" of results for whom it would lead nowhere. */
void smtp_fate_settle_again(const struct smtp_session *s, struct smtp_transaction *t);

#endif
