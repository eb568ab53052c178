#ifndef POSTRIDER_DELIVER_SMTP_SESSION_H
#define POSTRIDER_DELIVER_SMTP_SESSION_H

#include "base/verdict.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn_watch;
struct deriver;
struct event_base;
struct net;
struct secret;
struct smtp_config;
struct smtp_session;
struct transcript;

/*
 * The SMTP conversation (RFC 5321, 3207, 4954, 2920, 3030, 1870, 6152, 6531, 3461): from the
 * greeting to QUIT, many messages a connection.  It knows no files, no queue and no retries.
 */

/* What a server offers and cannot do. */
enum smtp_shortcoming {
	SMTP_SHORT_CHUNKING = 1,
	SMTP_SHORT_PIPELINING = 2,
	SMTP_SHORT_PARAMETERS = 4, /* SIZE, BODY, and those of DSN */
	SMTP_SHORT_SMTPUTF8 = 8
};

/* One message for one session; everything is borrowed until its done() or the session's closed().
 */
struct smtp_message {
	const char *sender;            /* reverse-path, "" is null */
	const char *const *recipients; /* at most max_recipients */
	size_t recipient_count;
	uint64_t size;     /* octets on the wire, as far as known; for SIZE */
	bool eight_bit;    /* has octets above 127: BODY=8BITMIME where offered */
	bool smtputf8;     /* header or addresses need RFC 6531 */
	const char *envid; /* for DSN; NULL: none */
	unsigned without;  /* enum smtp_shortcoming: as the result of an earlier try has it */
	void *tag;         /* the owner's */
};

/* What became of a recipient. */
enum smtp_fate {
	SMTP_SENT,     /* accepted: the message is the server's */
	SMTP_DEFERRED, /* 4yz, or trouble that passes */
	SMTP_REFUSED,  /* 5yz */
	SMTP_UNKNOWN,  /* the final dot was sent and never answered */
	SMTP_UNTRIED /* ended before MAIL, or with trouble of the account's: nothing was said of it
		      */
};

struct smtp_result {
	enum smtp_fate fate;
	/*
	 * DEFERRED only because the server wants fewer recipients at a time, and the others had
	 * their turn: to be tried at once, in a transaction without them.
	 */
	bool again;
	unsigned
	    without;     /* again, and without these: the server may offer them and not know them */
	int code;        /* reply code, 0: none */
	char status[12]; /* enhanced status code "5.1.1", "" when there is none */
	const char *stage; /* static: "mail", "rcpt", "data", "dot", "size", "smtputf8" */
	/*
	 * The reply in one line, "550 5.1.1 No such user", escaped; when code is 0, a sentence of
	 * our own.  For people and for the report.
	 */
	char text[512];
};

struct smtp_handler {
	/* Greeting, TLS and authentication are behind: messages may come. */
	void (*ready)(void *arg);

	/*
	 * The next message; false when there is none at the moment.  Asked, too, while those before
	 * wait for their replies, and their done() comes first then, unless there is nothing to be
	 * sent for the new one.
	 */
	bool (*next)(const struct smtp_message **message, void *arg);

	/*
	 * The body of this message is wanted now: answered, from inside or later, with one
	 * smtp_session_body() or smtp_session_body_failed(); asked again when little of what was
	 * given still waits for the kernel.
	 */
	void (*body)(const struct smtp_message *message, void *arg);

	/* Each recipient's fate, in their order; for every message given, exactly once. */
	void (*done)(
	    const struct smtp_message *message, const struct smtp_result *results, void *arg);

	/*
	 * The server cannot do what it offers, as this result says.  It is not used any more, and
	 * is to be left alone in later sessions, too.
	 */
	void (*falls_short)(
	    enum smtp_shortcoming what, const struct smtp_result *result, void *arg);

	/* Nothing under way and next() had nothing: go on, or quit. */
	void (*idle)(void *arg);

	/*
	 * Over: the last call; the session may be freed inside.  Messages under way had their
	 * done() before.  A server that took a message and closes before it says anything of the
	 * next is no failure: another session may follow at once.  slow: the server asked for
	 * restraint (421, 432, 454).
	 */
	void (*closed)(const struct verdict *why, bool slow, void *arg);
};

struct smtp_session_settings {
	struct event_base *base; /* borrowed for the session's life, as all of these */
	struct net *net;
	const struct smtp_config *config;
	struct transcript *transcript;
	struct secret *secret;          /* a reference is taken; NULL without user */
	struct deriver *deriver;        /* for SCRAM */
	const char *helo;               /* what to say in EHLO */
	const struct conn_watch *watch; /* NULL: nobody looks */
	const char *served;             /* the last login, by its name; NULL, "": none */
	unsigned shortcomings;          /* enum smtp_shortcoming: known from earlier sessions */
	uint32_t declined;              /* standing_declined() */
};

/* Starts connecting; no handler runs inside this or any other call: all come from the loop. */
struct smtp_session *smtp_session_new(
    const struct smtp_session_settings *settings, const struct smtp_handler *handler, void *arg);

/* Closes at once; a message under way has no done() then.  Sets the pointer to NULL. */
void smtp_session_free(struct smtp_session **session);

/* There may be something in next() again: it is asked in the next turn. */
void smtp_session_go(struct smtp_session *session);

/*
 * The next octets of this message, copied, cut anywhere, at most some 256 KiB; last: the final dot
 * follows.  Dots are stuffed here, and line ends other than CRLF never leave.  Without effect when
 * no body of this message is wanted: since it was asked for, the session may have ended, or the
 * server refused the message and that of another is wanted.
 */
void smtp_session_body(struct smtp_session *session, const struct smtp_message *message,
    const char *data, size_t len, bool last);

/*
 * The body cannot be read: the message is deferred with this text.  Behind DATA the connection ends
 * with this verdict, for nothing else keeps the server from taking half a message.
 */
void smtp_session_body_failed(
    struct smtp_session *session, const struct smtp_message *message, const struct verdict *why);

/* Sends QUIT, instead of asking for another message. */
void smtp_session_quit(struct smtp_session *session);

/*
 * Ends the session with this verdict (a fault on our side): done() for a message under way, and
 * closed(), run in the next turn.
 */
void smtp_session_fail(struct smtp_session *session, const struct verdict *why);

/*
 * The same for no fault of anybody's: nothing is said of the recipients of a message under way. Not
 * while a final dot waits for its reply.
 */
void smtp_session_stop(struct smtp_session *session);

/*
 * Takes back a message whose envelope follows a final dot that waits for its reply: no done() comes
 * for it.  The server may be about to want its text, so the session ends with that reply.  False
 * when the message is not there, but under way.
 */
bool smtp_session_withdraw(struct smtp_session *session, const struct smtp_message *message);

/* True while the end of a text waits for its reply. */
bool smtp_session_awaits_fate(const struct smtp_session *session);

/* When the server's certificate ends, wall ms; 0: none was seen, or its date does not matter. */
int64_t smtp_session_certificate_end(const struct smtp_session *session);

/* The name of the login (session/sasl_exchange.h), static; NULL: there was none, or not yet. */
const char *smtp_session_mechanism(const struct smtp_session *session);

/*
 * Once closed: what the session may have broken on, enum smtp_shortcoming.  It was under way when
 * the connection was lost, or the two sides were out of step.
 */
unsigned smtp_session_broke_on(const struct smtp_session *session);

/* Mechanisms that the server listed and declined before that one, a set. */
uint32_t smtp_session_declined(const struct smtp_session *session);

/* "resolving", "connecting", "handshake", "authenticating", "sending"; static. */
const char *smtp_session_state(const struct smtp_session *session);
uint64_t smtp_session_octets_in(const struct smtp_session *session);
uint64_t smtp_session_octets_out(const struct smtp_session *session);

#endif
