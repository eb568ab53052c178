#ifndef POSTRIDER_PROTO_SMTP_COMMAND_H
#define POSTRIDER_PROTO_SMTP_COMMAND_H

#include "base/str.h"
#include "proto/smtp_capability.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Commands whose arguments come from elsewhere, appended to out as one line without its CRLF.  An
 * argument that could say more than it should (CR, LF and other control characters, a blank, an
 * angle bracket) or is over-long is refused: false, out as it was, and *why (may be NULL) a static
 * text for people that goes on from the argument's name: "the sender is empty".  A parameter goes
 * out only to a server that offers its extension.
 */

enum { SMTP_ENVID_MAX = 100 }; /* characters as xtext, RFC 3461 section 4.4 */
enum { SMTP_ORCPT_MAX = 500 }; /* characters with its type, RFC 3461 section 4.2 */

/*
 * RFC 5321 section 4.1.1.1.  The name is a domain in ASCII (A-labels, RFC 6531 section 3.7.1) or an
 * address literal.
 */
bool smtp_command_ehlo(struct str *out, const char *name, const char **why);
bool smtp_command_helo(struct str *out, const char *name, const char **why);

struct smtp_mail {
	const char *sender; /* without angle brackets; "" is the null reverse-path */
	uint64_t size;  /* RFC 1870: octets with CRLF line ends, before dot-stuffing; 0: not said */
	bool eight_bit; /* the message has octets above 127: BODY=8BITMIME, RFC 6152 */
	bool utf8;      /* an address or the header needs SMTPUTF8, RFC 6531 */
	const char *ret;   /* "FULL" or "HDRS", RFC 3461 section 4.3; NULL: not said */
	const char *envid; /* as plain text, RFC 3461 section 4.4; NULL: not said */
};

/* RFC 5321 section 4.1.1.2.  A message that needs SMTPUTF8 is refused when the server lacks it. */
bool smtp_command_mail(struct str *out, const struct smtp_mail *mail,
    const struct smtp_capabilities *capabilities, const char **why);

struct smtp_rcpt {
	const char *recipient; /* without angle brackets */
	bool utf8;             /* as in this transaction's struct smtp_mail */
	const char *notify; /* "NEVER" or of SUCCESS,FAILURE,DELAY, RFC 3461 section 4.1; or NULL */
	const char *original; /* address for ORCPT, left out when over-long; NULL: not said */
};

/* RFC 5321 section 4.1.1.3. */
bool smtp_command_rcpt(struct str *out, const struct smtp_rcpt *rcpt,
    const struct smtp_capabilities *capabilities, const char **why);

/* RFC 3030 section 2: the size of the chunk that follows the command. */
void smtp_command_bdat(struct str *out, uint64_t size, bool last);

#endif
