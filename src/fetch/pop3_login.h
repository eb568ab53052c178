#ifndef POSTRIDER_FETCH_POP3_LOGIN_H
#define POSTRIDER_FETCH_POP3_LOGIN_H

#include "base/verdict.h"
#include "proto/pop3.h"
#include "session/sasl_exchange.h"

struct transcript;

/*
 * The AUTHORIZATION state (RFC 1939 section 4, RFC 5034): chooses the mechanism and speaks it.
 */
enum pop3_login_step {
	POP3_LOGIN_MORE, /* a command was sent: its reply is awaited */
	POP3_LOGIN_DONE, /* the maildrop is open */
	POP3_LOGIN_FAILED
};

struct pop3_login_settings {
	struct sasl_exchange_settings exchange;       /* what USER and APOP need, too */
	const struct pop3_capabilities *capabilities; /* borrowed for the login's life, as these */
	const char *greeting;                         /* for the timestamp of APOP */
	const char *server;                           /* "host:port" */
};

struct pop3_login;

struct pop3_login *pop3_login_new(const struct pop3_login_settings *settings);

/* Sets the pointer to NULL; NULL inside is fine. */
void pop3_login_free(struct pop3_login **login);

/* Sends the first command, or says why no mechanism fits. */
enum pop3_login_step pop3_login_start(struct pop3_login *login, struct verdict *why);

/* One reply line of the server. */
enum pop3_login_step pop3_login_reply(
    struct pop3_login *login, const char *line, struct verdict *why);

/* The connection ended during the login: sasl_exchange_explain_end(). */
void pop3_login_explain_end(const struct pop3_login *login, struct verdict *why);

/* sasl_exchange_login_name(), static; NULL: there was no login, or not yet. */
const char *pop3_login_mechanism(const struct pop3_login *login);

/* Mechanisms that the server listed and declined before that one, a set; 0 until it has. */
uint32_t pop3_login_declined(const struct pop3_login *login);

/*
 * Fills a verdict from -ERR: the response code (RFC 2449 section 8, RFC 3206) decides the kind and
 * the hint, otherwise the kind is `plain`.  `what` is the command for people ("PASS"); what the
 * transcript hides is hidden in the text, too.  `advice` is the next step where the secret is it.
 */
void pop3_refusal(struct verdict *why, const struct transcript *transcript, enum fail plain,
    const char *stage, const char *server, const char *what, const struct pop3_reply *reply,
    const char *advice);

#endif
