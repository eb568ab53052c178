#ifndef POSTRIDER_PROTO_RFC5322_DOMAIN_H
#define POSTRIDER_PROTO_RFC5322_DOMAIN_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * The domains of mail addresses (RFC 5321 section 4.1.2, 4.1.3, RFC 6531 section 3.3), and their
 * internationalized names (RFC 5890, mapped as UTS 46 has it).
 */
enum { RFC5322_DOMAIN_MAX = 255 };
enum { RFC5322_LABEL_MAX = 63 };

/*
 * Appends the domain in the form in which it is kept and compared: lower case, U-labels as
 * Unicode's normal form, no final dot; a literal "[192.0.2.1]" as it is.  Returns NULL, or a static
 * text that says what is wrong: then nothing was appended.
 */
const char *rfc5322_domain_normalize(const char *domain, struct str *out);

/*
 * "bücher.example" to "xn--bcher-kva.example", other domains unchanged.  free(3) it; NULL when the
 * name cannot be converted, which is never so for one that was normalized.
 */
char *rfc5322_domain_to_ascii(const char *domain);

/* The same for "local@domain"; the local part, which may hold an "@" in quotes, stays. */
char *rfc5322_domain_address_to_ascii(const char *address);

/* True when an octet beyond ASCII is among them. */
bool rfc5322_is_8bit(const char *text, size_t len);

#endif
