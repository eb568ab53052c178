#ifndef POSTRIDER_FETCH_POP3_SESSION_H
#define POSTRIDER_FETCH_POP3_SESSION_H

#include "base/verdict.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn_watch;
struct deriver;
struct event_base;
struct listing;
struct net;
struct pop3_config;
struct pop3_session;
struct secret;
struct transcript;

/*
 * The POP3 conversation (RFC 1939, 2449, 2595, 5034): from the greeting to the answer to QUIT.  It
 * knows no files, no schedule and no retries: it tells its owner what happened and is told what to
 * retrieve and delete.  When the server has PIPELINING, many commands are under way at once.
 */
struct pop3_handler {
	/*
	 * The maildrop is listed (once a session).  The listing is the session's; it may be lent to
	 * the store until pop3_session_free().  The owner answers later, not from inside, with
	 * pop3_session_go() or pop3_session_quit().
	 */
	void (*listed)(struct listing *listing, bool by_uid, void *arg);

	/* The next message to retrieve; false when there is none at the moment. */
	bool (*next)(uint32_t *number, void *arg);

	/* One message after the other, in the order of next(): begin, (reserve, added)*, end. */
	void (*begin)(uint32_t number, void *arg);
	char *(*reserve)(size_t room, void *arg); /* a buffer of at least `room` octets */
	void (*added)(size_t len, void *arg);     /* so much of it was filled */
	void (*end)(uint32_t number, void *arg);

	/* -ERR to RETR or DELE; the text is escaped. */
	void (*refused)(uint32_t number, bool retr, const char *text, void *arg);
	void (*deleted)(uint32_t number, void *arg); /* +OK to DELE: takes effect at QUIT */

	/* Nothing is under way and next() had nothing: go on, or quit. */
	void (*idle)(void *arg);

	/*
	 * The session is over: the last call, in which the session may be freed.  quit_ok: QUIT was
	 * answered +OK, so the deletions have taken effect.
	 */
	void (*closed)(const struct verdict *why, bool quit_ok, void *arg);
};

/*
 * What not every server can do although it says so, or cannot even bear to be asked: a session
 * tells which of them worked, and which was under way when it broke; it goes without those that it
 * is told to.
 */
enum pop3_feature {
	POP3_FEATURE_CAPA = 1 << 0,
	POP3_FEATURE_UTF8 = 1 << 1,
	POP3_FEATURE_UIDL = 1 << 2,
	POP3_FEATURE_PIPELINING = 1 << 3,         /* STAT, UIDL and LIST together */
	POP3_FEATURE_PIPELINED_TRANSFER = 1 << 4, /* RETR and DELE, many at a time */
	POP3_FEATURE_USER_CAPA = 1 << 5,          /* CAPA again, where it says "USER" */
};

struct pop3_session_settings {
	struct event_base *base; /* borrowed for the session's life, as all of these */
	struct net *net;
	const struct pop3_config *config;
	struct transcript *transcript;
	struct secret *secret;   /* a reference is taken; NULL when the account has no user */
	struct deriver *deriver; /* for SCRAM; NULL leaves it out */
	const char *served;      /* the last login, by its name; NULL, "": none */
	unsigned without;        /* a set of enum pop3_feature */
	uint32_t declined;       /* standing_declined() */

	/* For a look at the server: STAT and then QUIT; listed() is never called. */
	bool count_only;
	const struct conn_watch *watch; /* NULL: nobody looks */
};

/* Starts connecting; no handler runs inside this or any other call. */
struct pop3_session *pop3_session_new(
    const struct pop3_session_settings *settings, const struct pop3_handler *handler, void *arg);

/* Closes at once, without QUIT: the server keeps every message.  Sets the pointer to NULL. */
void pop3_session_free(struct pop3_session **session);

/* There may be something in next() again, or deletions were added: sends what the window allows. */
void pop3_session_go(struct pop3_session *session);

/* Adds a DELE; it is sent by the next pop3_session_go(). */
void pop3_session_delete(struct pop3_session *session, uint32_t number);

/* Sends QUIT; only when idle. */
void pop3_session_quit(struct pop3_session *session);

/* Ends the session with this verdict (a fault on our side): closed() runs in the next turn. */
void pop3_session_fail(struct pop3_session *session, const struct verdict *why);

/* Back-pressure: nothing more is read until resumed. */
void pop3_session_pause(struct pop3_session *session);
void pop3_session_resume(struct pop3_session *session);

/* True when the maildrop is listed and no command is under way. */
bool pop3_session_is_idle(const struct pop3_session *session);

/* The number of messages by STAT. */
uint64_t pop3_session_message_count(const struct pop3_session *session);

/* "resolving", "connecting", "handshake", "authenticating", "listing", "fetching"; static. */
const char *pop3_session_state(const struct pop3_session *session);

uint64_t pop3_session_octets_in(const struct pop3_session *session);
uint64_t pop3_session_octets_out(const struct pop3_session *session);

/* When the server's certificate ends, wall ms; 0: none was seen, or its date does not matter. */
int64_t pop3_session_certificate_end(const struct pop3_session *session);

/* The name of the login (session/sasl_exchange.h), static; NULL: there was none, or not yet. */
const char *pop3_session_mechanism(const struct pop3_session *session);

/* A set of enum pop3_feature: those that have worked. */
unsigned pop3_session_proven(const struct pop3_session *session);

/*
 * Of a session that the server broke: the enum pop3_feature that it may have broken on; else 0.
 * Pipelining that is a setting, and not the server's word, is not suspected.
 */
unsigned pop3_session_suspect(const struct pop3_session *session);

/* The message whose RETR was being answered when the server broke the session; 0: none. */
uint32_t pop3_session_stumbled(const struct pop3_session *session);

/* Mechanisms that the server listed and declined before that one, a set. */
uint32_t pop3_session_declined(const struct pop3_session *session);

/* What CAPA asks for between logins (RFC 2449 LOGIN-DELAY), ms, a day at most; 0: nothing. */
int64_t pop3_session_login_delay(const struct pop3_session *session);

/*
 * After how many days the server deletes mail (RFC 2449 EXPIRE); 0: once it was retrieved;
 * POP3_EXPIRE_NEVER; -1: it does not say.
 */
int64_t pop3_session_expire(const struct pop3_session *session);

#endif
