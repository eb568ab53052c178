#ifndef POSTRIDER_PROTO_SASL_CLIENT_H
#define POSTRIDER_PROTO_SASL_CLIENT_H

#include "base/str.h"
#include "base/verdict.h"
#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct secret;
struct sasl_client;

/*
 * The client's side of one SASL exchange (RFC 4422), over GNU SASL; SCRAM (proto/scram.h),
 * OAUTHBEARER (RFC 7628) and XOAUTH2 are our own.  Owned by the session that authenticates.
 *
 *	sasl_client_new
 *	SASL_TRAIT_CLIENT_FIRST?  step(NULL) gives the initial response: send "AUTH NAME RESPONSE"
 *	    ("=" for an empty one, RFC 5034 section 4), or, where the line would be too long,
 *	    "AUTH NAME" and the response on its own after the server's empty challenge.
 *	otherwise  send "AUTH NAME"
 *	"+ challenge"  step(challenge): send the response, or give up with why
 *	"+OK"  sasl_client_accepted(): false with why when the server left out its own proof
 *
 * Whatever a step writes into the response is secret, and so is the secret itself in clear: give
 * both to transcript_hide() before the line is sent.
 */
enum sasl_binding {
	SASL_BINDING_NONE,
	SASL_BINDING_TLS_UNIQUE,
	SASL_BINDING_TLS_EXPORTER,
	SASL_BINDING_TLS_SERVER_END_POINT
};

/* "tls-exporter", as the registry of RFC 5056 has it; NULL for NONE.  Static. */
const char *sasl_binding_name(enum sasl_binding binding);

struct sasl_settings {
	enum auth_mechanism mechanism; /* with SASL_TRAIT_SASL and SASL_TRAIT_IMPLEMENTED */
	const char *user;
	struct secret *secret; /* a reference is taken; NULL for EXTERNAL */
	const char *service;   /* "pop", "smtp" (the GSSAPI service names of RFC 5034, RFC 4954) */
	const char *host;
	uint16_t port;
	/* RFC 5929, RFC 9266, the octets of it; for a mechanism that does not bind it is unused. */
	enum sasl_binding binding;
	const void *binding_data;
	size_t binding_len;
	bool is_unoffered; /* sasl_is_unoffered() */
};

/* Strings and the binding are borrowed for the call.  NULL with why: FAIL_CONFIG or FAIL_LOCAL. */
struct sasl_client *sasl_client_new(const struct sasl_settings *settings, struct verdict *why);

/* Overwrites what it knew, sets the pointer to NULL; NULL inside is fine. */
void sasl_client_free(struct sasl_client **client);

enum sasl_result {
	SASL_MORE,   /* send the response; another challenge follows */
	SASL_DONE,   /* send the response, the last one: the server's verdict follows */
	SASL_DERIVE, /* run sasl_client_derivation() in a thread, then sasl_client_resume() */
	SASL_FAIL    /* send "*" (RFC 5034 section 4) and give up; why says what */
};

/*
 * Takes the server's challenge (base64, behind "+ "; NULL to ask for the initial response) and puts
 * the answer, in base64, into response, which must be empty and is to be cleared with
 * sasl_response_clear().  An empty response is a line without octets.
 */
enum sasl_result sasl_client_step(
    struct sasl_client *client, const char *challenge, struct str *response, struct verdict *why);

/*
 * SCRAM's PBKDF2 (RFC 5802 section 2.2, Hi) takes up to a second and does not belong in the loop's
 * thread.  Everything is borrowed from the client, until it is resumed or freed.
 */
enum { SASL_ITERATIONS_MAX = 1000000 };
enum { SASL_SALTED_MAX = 32 };

struct sasl_derivation {
	bool is_sha256; /* else SHA-1 */
	const char *password;
	size_t password_len;
	const uint8_t *salt;
	size_t salt_len;
	uint32_t iterations; /* 1 .. SASL_ITERATIONS_MAX */
};

const struct sasl_derivation *sasl_client_derivation(const struct sasl_client *client);

/* Octets of a salted password: 32 or 20. */
size_t sasl_derivation_size(const struct sasl_derivation *derivation);

/* Blocks: computes the salted password.  False when the cryptographic library refuses. */
bool sasl_derive(const struct sasl_derivation *derivation, uint8_t salted[SASL_SALTED_MAX]);

/* Goes on behind SASL_DERIVE; salted has sasl_derivation_size() octets, borrowed for the call. */
enum sasl_result sasl_client_resume(
    struct sasl_client *client, const uint8_t *salted, struct str *response, struct verdict *why);

/*
 * The server says that we are authenticated.  False with why (FAIL_PROTOCOL) when the mechanism
 * lets the server prove that it knows the secret too, and it did not (RFC 5802 section 5).
 */
bool sasl_client_accepted(const struct sasl_client *client, struct verdict *why);

/*
 * The server has refused, and may take another binding to the channel: it has seen no proof of the
 * secret yet, and did not say that it is about anything else.
 */
bool sasl_client_may_rebind(const struct sasl_client *client);

/* What the server told inside the exchange about a refusal, escaped; NULL when nothing. */
const char *sasl_client_remark(const struct sasl_client *client);

void sasl_response_clear(struct str *response);

#endif
