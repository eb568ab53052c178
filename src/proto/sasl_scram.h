#ifndef POSTRIDER_PROTO_SASL_SCRAM_H
#define POSTRIDER_PROTO_SASL_SCRAM_H

#include "base/verdict.h"
#include "proto/sasl_client.h"

/*
 * What SCRAM needs besides the library: the server's first message read before the library sees
 * it, so that the costly part can be bounded and done elsewhere.
 *
 *	server-first-message = [reserved-mext ","] nonce "," salt "," iteration-count [","
 *extensions] nonce = "r=" c-nonce [s-nonce]   salt = "s=" base64   iteration-count = "i="
 *posit-number
 */

/*
 * Reads the message (NUL-terminated) and fills a derivation that owns its salt and its password;
 * false with why, FAIL_PROTOCOL, when it cannot be read or asks for too many iterations; FAIL_AUTH
 * when it is a server-error (RFC 5802 section 7).  The secret's text is prepared (RFC 4013) where
 * it can be, and used as it is where it cannot.
 */
bool sasl_scram_prepare(struct sasl_derivation *derivation, const char *message,
    const char *password, size_t password_len, struct verdict *why);

/* Overwrites and releases what sasl_scram_prepare() filled; zeroed memory is fine. */
void sasl_scram_clear(struct sasl_derivation *derivation);

/* "e=..." (RFC 5802 section 7): fills why with FAIL_AUTH and returns true. */
bool sasl_scram_is_error(const char *message, struct verdict *why);

#endif
