#ifndef POSTRIDER_PROTO_SMTP_ADDRESS_H
#define POSTRIDER_PROTO_SMTP_ADDRESS_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

/* Mail addresses as SMTP carries them (RFC 5321 section 4.1.2, RFC 6531), and how DSN encodes them.
 */

enum { SMTP_DOMAIN_MAX = 255 };  /* octets, RFC 5321 section 4.5.3.1.2 */
enum { SMTP_ADDRESS_MAX = 320 }; /* octets, without the angle brackets */

/*
 * NULL when the address, without angle brackets, can stand in a command as it is; else what is
 * wrong with it, static, for people: "is empty", "holds a control character".  UTF-8 is good
 * only with utf8.  The domain may be missing, for "postmaster" and for servers that complete it.
 *
 * RFC 5321 section 4.5.3.1.1 gives a local part 64 octets and asks in the same breath not to insist
 * on such limits: addresses made by programs (VERP, SRS, tickets) are longer every day.  So it is
 * the whole that is limited: 64 octets, "@" and a domain of 255.
 */
const char *smtp_address_fault(const char *address, bool utf8);

bool smtp_is_ascii(const char *text);

/* RFC 3461 section 4: xtext, "+" and two digits for what is not plain printable ASCII. */
void smtp_append_xtext(struct str *out, const char *text);

/*
 * "addr-type;address" as RFC 3461 section 4.2 wants it for ORCPT: "rfc822;" and xtext, or for an
 * address beyond ASCII "utf-8;" and utf-8-addr-xtext (RFC 6533 section 3), which is 7-bit too.
 */
void smtp_append_orcpt(struct str *out, const char *address);

/* "rfc822; a@b" or "utf-8; \x{E9}@b": the same for the fields of a report, where xtext is undone.
 */
void smtp_append_typed_address(struct str *out, const char *address);

#endif
