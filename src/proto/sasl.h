#ifndef POSTRIDER_PROTO_SASL_H
#define POSTRIDER_PROTO_SASL_H

#include "base/verdict.h"
#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Which way to authenticate: SASL mechanisms (RFC 4422) by name, and the choice between what a
 * server offers and what the configuration allows.  The exchange itself is proto/sasl_client.h.
 * Sets of mechanisms are bit sets of 1u << enum auth_mechanism.
 */

/* What a mechanism is like.  One table in sasl.c says it for all of them. */
enum {
	SASL_TRAIT_IMPLEMENTED = 1,   /* this build can do it */
	SASL_TRAIT_SASL = 2,          /* an AUTH mechanism, not a command of its own or nothing */
	SASL_TRAIT_PASSWORD = 4,      /* takes a password */
	SASL_TRAIT_TOKEN = 8,         /* takes an OAuth 2 access token */
	SASL_TRAIT_CERTIFICATE = 16,  /* takes the TLS client certificate */
	SASL_TRAIT_CLEAR = 32,        /* whoever reads the channel learns the secret */
	SASL_TRAIT_CLIENT_FIRST = 64, /* may send an initial response (RFC 4422 section 4.3.a) */
	SASL_TRAIT_DERIVES = 128,     /* steps may answer SASL_DERIVE */
	SASL_TRAIT_BINDING = 256,     /* needs a channel binding */
	SASL_TRAIT_NAMED_ONLY = 512   /* "auto" never takes it */
};

unsigned sasl_mechanism_traits(enum auth_mechanism mechanism);

/*
 * "PLAIN" in any case; false when it is not the name of a mechanism known here.  USER, APOP and
 * none are no SASL mechanisms but have names in the configuration: they are found too.
 */
bool sasl_mechanism_from_name(const char *name, size_t len, enum auth_mechanism *mechanism);

/* The set of SASL mechanisms in a server's list, names parted by blanks; unknown ones are left. */
uint32_t sasl_mechanisms_from_list(const char *list);

/*
 * True when the text of a refusal of AUTH speaks of the mechanism, and not of who asks: that this
 * server does not have it, whatever it lists.
 */
bool sasl_declines_mechanism(const char *text);

/* What there is to choose from.  Zeroed memory allows and offers nothing. */
struct sasl_terms {
	uint32_t offered; /* by the server; the caller adds AUTH_USER and AUTH_APOP for POP3 */
	uint32_t allowed; /* the explicit list, when !automatic */
	bool automatic;   /* auth = "auto" */
	bool has_user;
	bool has_password;
	bool has_token;
	bool has_certificate; /* a client certificate was configured and TLS is up */
	bool is_tls;
	bool is_private;    /* TLS, or a loopback peer, or cleartext_auth: the secret may be sent */
	bool can_bind;      /* the caller can give a channel binding */
	const char *served; /* the last login, by sasl_login_name(); NULL, "": none */
	bool can_derive;    /* the caller handles SASL_DERIVE; else SCRAM is left out */
};

/*
 * Fills what the configuration says: allowed, automatic, has_user, has_password, has_token,
 * is_private for cleartext_auth.  With is_tls the channel is encrypted, with is_loopback the peer
 * is this machine.  The rest is false and the offer empty.
 */
void sasl_terms_init(struct sasl_terms *terms, const struct endpoint_config *endpoint, bool is_tls,
    bool is_loopback);

/*
 * The strongest mechanism that is offered, allowed, implemented and fed by the secret.  AUTH_NONE
 * without a user (unless EXTERNAL is named and there is a certificate, which says who it is), or
 * when "none" is named and nothing else fits.  False with why, stage "mechanism": FAIL_CONFIG when
 * no offer could help, FAIL_AUTH when it is the server's offer that lacks; the text lists what was
 * offered and allowed.  "auto" takes nothing weaker than what has served: FAIL_AUTH with
 * HINT_WEAKER, for whoever sits between us and the server can take the stronger ones out of the
 * offer, to read the password.
 */
bool sasl_choose(
    const struct sasl_terms *terms, enum auth_mechanism *mechanism, struct verdict *why);

/*
 * The gs2-cbind-flag "y" (RFC 5802 section 6) is true of the chosen mechanism: there is TLS, the
 * configuration would have the login bound to it, and the server does not offer this mechanism's
 * -PLUS.  Where the server does, "y" must not be said: such a server refuses it.  Whether there is
 * anything to bind to does not count: somebody between can see to it that there is nothing.
 */
bool sasl_is_unoffered(const struct sasl_terms *terms, enum auth_mechanism mechanism);

/*
 * How a login was done, by name, for the next one to know: the mechanism, and behind a blank
 * tls-server-end-point where it was that, and another binding would have come first.  Static.
 */
const char *sasl_login_name(enum auth_mechanism mechanism, bool is_end_point);

/* Whether a name says so; NULL and "" do not. */
bool sasl_login_was_end_point(const char *name);

struct str;

/* RFC 5801 section 4, a saslname: "," and "=" are written =2C and =3D. */
void sasl_append_saslname(struct str *s, const char *name);

enum { SASL_APOP_DIGEST_SIZE = 33 };

/*
 * RFC 1939 section 7, APOP: MD5 over the greeting's timestamp (with its brackets) and the secret,
 * in lower-case hexadecimal.  False when the cryptographic library refuses MD5.
 */
bool sasl_apop_digest(const char *timestamp, size_t timestamp_len, const char *secret,
    size_t secret_len, char digest[SASL_APOP_DIGEST_SIZE]);

#endif
