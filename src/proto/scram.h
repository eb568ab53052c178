#ifndef POSTRIDER_PROTO_SCRAM_H
#define POSTRIDER_PROTO_SCRAM_H

#include "base/str.h"
#include "base/verdict.h"
#include "proto/sasl_client.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct secret;
struct scram;

/*
 * The client's side of SCRAM (RFC 5802, RFC 7677): messages in, messages out, without the base64
 * around them.  One owner: the SASL client.
 *
 *	scram_step(NULL)        client-first-message: SASL_MORE
 *	scram_step(message)     of server-first-message: SASL_DERIVE; scram_derivation() is to be
 *	                        computed, and
 *	scram_resume(salted)    gives client-final-message: SASL_MORE
 *	scram_step(message)     of server-final-message: SASL_DONE, and nothing to say
 *
 * Anything else, at any time, is SASL_FAIL with why, from then on.
 */
struct scram_settings {
	bool is_sha256; /* else SHA-1 */
	const char *user;
	struct secret *secret; /* a reference is taken */
	const char *nonce;     /* printable, without ","; NULL: a random one */

	/*
	 * gs2-cbind-flag (RFC 5802 section 6).  With a name, "tls-exporter": "p", bound to the
	 * data.  Else "y", we could bind but the server does not seem to, or "n".
	 */
	const char *binding_name;
	const void *binding_data;
	size_t binding_len;
	bool is_unoffered;
};

/*
 * Strings and data are borrowed for the call.  User and secret are prepared by SASLprep (RFC 4013);
 * a secret that it refuses is used as it is, as servers store it.  NULL with why: FAIL_CONFIG for a
 * user that cannot be prepared, FAIL_LOCAL when there are no random numbers.
 */
struct scram *scram_new(const struct scram_settings *settings, struct verdict *why);

/* Overwrites what it knew, sets the pointer to NULL; NULL inside is fine. */
void scram_free(struct scram **scram);

/* The message is NUL-terminated; the response must be empty. */
enum sasl_result scram_step(
    struct scram *scram, const char *message, struct str *response, struct verdict *why);

/* Valid between SASL_DERIVE and scram_resume(). */
const struct sasl_derivation *scram_derivation(const struct scram *scram);

enum sasl_result scram_resume(
    struct scram *scram, const uint8_t *salted, struct str *response, struct verdict *why);

/* The server has shown that it knows the secret, too. */
bool scram_is_proved(const struct scram *scram);

/*
 * The server refuses, and it may be the kind of channel binding that it refuses: the first message
 * was all that we said, so nobody has seen a proof, and what the server said names nothing else.
 */
bool scram_may_rebind(const struct scram *scram);

#endif
