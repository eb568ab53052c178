#ifndef POSTRIDER_PROTO_SCRAM_MESSAGE_H
#define POSTRIDER_PROTO_SCRAM_MESSAGE_H

#include "base/verdict.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What a server says in a SCRAM exchange (RFC 5802 section 7), read strictly: in this order, with
 * nothing between and nothing empty, in UTF-8.
 *
 *	server-first-message = [reserved-mext ","] nonce "," salt "," iteration-count
 *	                       ["," extensions]
 *	server-final-message = (server-error / verifier) ["," extensions]
 *	reserved-mext = "m=" 1*(value-char)
 *	nonce = "r=" c-nonce [s-nonce]           ; printable, without ","
 *	salt = "s=" base64
 *	iteration-count = "i=" posit-number
 *	server-error = "e=" server-error-value
 *	verifier = "v=" base64
 *	extensions = attr-val *("," attr-val)
 *	attr-val = ALPHA "=" value
 *
 * An extension with the letter m is mandatory, and none is known here: it is refused wherever it
 * stands.  Others are passed over.
 */
enum { SCRAM_MESSAGE_MAX = 8192 }; /* octets of what a server may say at once */
enum { SCRAM_SALT_MAX = 1024 };
enum { SCRAM_HASH_MAX = 32 };

struct scram_server_first {
	const char *nonce; /* borrowed from the message, not NUL-terminated */
	size_t nonce_len;
	uint8_t salt[SCRAM_SALT_MAX];
	size_t salt_len;     /* not 0 */
	uint32_t iterations; /* 1 .. SASL_ITERATIONS_MAX */
};

/*
 * A low iteration count is taken, though RFC 7677 section 4 wants 4096 of servers: it is how theirs
 * keeps the password, and another count would make another key.
 *
 * False with why: FAIL_PROTOCOL when it cannot be read or asks for too much; as
 * scram_parse_server_final() says when it is a server-error, which some servers send this early.
 */
bool scram_parse_server_first(
    const char *message, size_t len, struct scram_server_first *first, struct verdict *why);

struct scram_server_final {
	uint8_t verifier[SCRAM_HASH_MAX];
	size_t verifier_len;
};

/*
 * False with why: FAIL_PROTOCOL when it cannot be read; with a server-error FAIL_AUTH, or
 * FAIL_SERVER where it speaks of the server's own trouble.
 */
bool scram_parse_server_final(
    const char *message, size_t len, struct scram_server_final *final, struct verdict *why);

/* The server-error that refuses this kind of channel binding, and leaves the others. */
bool scram_is_binding_refusal(const char *message, size_t len);

#endif
