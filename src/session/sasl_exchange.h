#ifndef POSTRIDER_SESSION_SASL_EXCHANGE_H
#define POSTRIDER_SESSION_SASL_EXCHANGE_H

#include "base/verdict.h"
#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn;
struct deriver;
struct secret;
struct transcript;
struct sasl_exchange;

/*
 * A login by SASL over a connection, the same in POP3 (RFC 5034) and SMTP (RFC 4954): chooses the
 * mechanism, binds it to the channel, sends AUTH and the responses, has SCRAM's key derived off the
 * loop, cancels with "*".  Whatever is secret is hidden in the transcript before it is sent, and
 * overwritten behind it.  What a reply means is for the caller to say.
 *
 *	sasl_exchange_choose    the caller speaks what is no SASL mechanism: none, USER, APOP
 *	sasl_exchange_start     sends "AUTH NAME", with the initial response where it fits
 *	a challenge             sasl_exchange_challenge(), while not is_deriving()
 *	a yes                   sasl_exchange_accepted(), while not is_deriving()
 *	a no                    sasl_exchange_rebind(): the exchange may begin anew
 *	the reply behind "*"    sasl_exchange_was_cancelled()
 *	any other refusal       sasl_exchange_is_declined()?  sasl_exchange_choose_next(), and start
 */
struct sasl_dialect {
	const char *service;   /* "pop", "smtp" (the GSSAPI service names of RFC 5034, RFC 4954) */
	const char *challenge; /* what a line with a challenge begins with: "+ ", "334 " */
	size_t line_max; /* longest AUTH command, octets before CRLF; what does not fit follows */
};

struct sasl_exchange_settings {
	struct conn *conn;             /* borrowed for the exchange's life, as all of these */
	struct transcript *transcript; /* may be NULL */
	const struct endpoint_config *endpoint;
	struct secret *secret;
	const char *served;      /* the last login, by its name; NULL, "": none */
	uint32_t declined;       /* what this server lists and does not have, as far as is known */
	struct deriver *deriver; /* for SCRAM; NULL leaves it out */
};

/* The dialect is static. */
struct sasl_exchange *sasl_exchange_new(
    const struct sasl_exchange_settings *settings, const struct sasl_dialect *dialect);

/*
 * A derivation under way does not answer any more.  To be freed before the connection is.  Sets the
 * pointer to NULL; NULL inside is fine.
 */
void sasl_exchange_free(struct sasl_exchange **exchange);

/*
 * The mechanism for what the server offers, a bit set (proto/sasl.h); false with why when there is
 * none.  What the server was found not to have is asked for again only when nothing else is left.
 */
bool sasl_exchange_choose(struct sasl_exchange *exchange, uint32_t offered,
    enum auth_mechanism *mechanism, struct verdict *why);

/*
 * True when a refusal with this text is about the mechanism itself: the server lists it, and does
 * not have it.  says_so: its code says the same.  Never once a challenge was answered.
 */
bool sasl_exchange_is_declined(
    const struct sasl_exchange *exchange, bool says_so, const char *text);

/*
 * Another mechanism in place of the one that `server` ("host:port") declined with this text, by the
 * same rules: nothing weaker than what has served.  False with why when there is none: the exchange
 * is over.
 */
bool sasl_exchange_choose_next(struct sasl_exchange *exchange, const char *server, const char *text,
    enum auth_mechanism *mechanism, struct verdict *why);

/* Those that were declined until the server said yes; for sasl_exchange_settings.declined. */
uint32_t sasl_exchange_declined(const struct sasl_exchange *exchange);

/* The one that was chosen. */
enum auth_mechanism sasl_exchange_mechanism(const struct sasl_exchange *exchange);

/* How the login was done, by name, for `served` of the next one.  Static. */
const char *sasl_exchange_login_name(const struct sasl_exchange *exchange);

/* Sends AUTH for the chosen mechanism; false with why, and nothing was sent. */
bool sasl_exchange_start(struct sasl_exchange *exchange, struct verdict *why);

/* Answers a challenge (base64), now or once the key is derived, or cancels. */
void sasl_exchange_challenge(struct sasl_exchange *exchange, const char *challenge);

/* True while the key is derived: the server has no turn. */
bool sasl_exchange_is_deriving(const struct sasl_exchange *exchange);

/*
 * The server said no, for good.  True when AUTH was sent once more, bound to the channel in another
 * way: tls-server-end-point is what many a server knows only, and no password was guessed at so
 * far.  Nothing weaker is tried, ever.
 */
bool sasl_exchange_rebind(struct sasl_exchange *exchange);

/* True, with our reason in why, when the exchange was cancelled: whatever the reply is, it failed.
 */
bool sasl_exchange_was_cancelled(const struct sasl_exchange *exchange, struct verdict *why);

/*
 * What the server has refused, for people: "AUTH", with the ways to bind it where it may be those,
 * or "the token (...)" with what it said of that inside the exchange.
 */
void sasl_exchange_refused_name(const struct sasl_exchange *exchange, char *name, size_t size);

/*
 * The connection ended while the login was under way.  When it was refused once already, and went
 * on bound in another way, that is what it is about: some servers close behind a refusal.
 */
void sasl_exchange_explain_end(const struct sasl_exchange *exchange, struct verdict *why);

/* No way to bind the login was taken, before the server had seen any proof; NULL inside is fine. */
bool sasl_exchange_is_binding_refused(const struct sasl_exchange *exchange);

/*
 * What a person is to look at when a secret from this source was refused, by this exchange, which
 * may be NULL; static.
 */
const char *sasl_exchange_advice(
    const struct endpoint_config *endpoint, const struct sasl_exchange *exchange);

/* The server says yes; false with why when it was not its turn to, or its own proof is missing. */
bool sasl_exchange_accepted(struct sasl_exchange *exchange, struct verdict *why);

/*
 * Has the transcript hide the secret from the first line on, for a server may say it in its
 * greeting; in the form of SASL PLAIN (RFC 4616), too, whatever the mechanism will be.
 */
void sasl_exchange_hide_secret(
    struct transcript *transcript, const char *user, const struct secret *secret);

#endif
