#ifndef POSTRIDER_PROTO_SMTP_CAPABILITY_H
#define POSTRIDER_PROTO_SMTP_CAPABILITY_H

#include "proto/smtp_reply.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * What a server says it can do in its answer to EHLO (RFC 5321 section 4.1.1.1).  A plain value;
 * zeroed memory is a server without extensions.  After STARTTLS a client forgets what it learned
 * before and asks again (RFC 3207 section 4.2).
 */
struct smtp_capabilities {
	bool size;                /* RFC 1870 */
	bool eight_bit;           /* 8BITMIME, RFC 6152 */
	bool utf8;                /* SMTPUTF8, RFC 6531 */
	bool enhanced;            /* ENHANCEDSTATUSCODES, RFC 2034 */
	bool dsn;                 /* RFC 3461 */
	bool pipelining;          /* RFC 2920 */
	bool starttls;            /* RFC 3207 */
	bool chunking;            /* RFC 3030 */
	bool require_tls;         /* REQUIRETLS, RFC 8689; noted only */
	bool auth;                /* RFC 4954, also with no mechanism that is known here */
	uint64_t size_limit;      /* octets of one message, 0: none, or not said */
	uint32_t mechanisms;      /* 1u << enum auth_mechanism of config.h, see proto/sasl.h */
	uint32_t rcpt_max;        /* LIMITS, RFC 9422: recipients of one message, 0: not said */
	uint32_t mail_max;        /* messages in one session */
	uint32_t rcpt_domain_max; /* domains among the recipients of one message */
};

/*
 * One line of the answer behind the first, without code and separator, NUL-terminated: "SIZE 1000".
 * Unknown keywords are ignored, as is an argument that cannot be read.
 */
void smtp_capability_parse(struct smtp_capabilities *capabilities, const char *line);

/*
 * To be called after each line of the answer that smtp_reply_feed() took: reads it unless it is the
 * first, which names the server, or the server refused.  The line must be NUL-terminated.
 */
void smtp_capability_take(struct smtp_capabilities *capabilities, const struct smtp_reply *reply);

#endif
