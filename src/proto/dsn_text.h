#ifndef POSTRIDER_PROTO_DSN_TEXT_H
#define POSTRIDER_PROTO_DSN_TEXT_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Text from anywhere made fit for a report: every function takes any octets and appends whole lines
 * that end in LF, within the 998 octets of RFC 5322 section 2.1.1.
 */

enum { DSN_SUBJECT_MAX = 1000 }; /* octets of UTF-8; the rest is cut */

/*
 * "Name: text" in ASCII, folded (RFC 5322 section 2.2.3), for the fields of RFC 3464: other octets
 * become \xHH.  An empty text appends nothing.
 */
void dsn_text_append_field(struct str *out, const char *name, const char *text);

/*
 * The same for an unstructured field of the header: text beyond ASCII goes as encoded words of
 * UTF-8 (RFC 2047), control characters become blanks, and what is no UTF-8 U+FFFD.
 */
void dsn_text_append_encoded(struct str *out, const char *name, const char *text);

/*
 * A body for people, ends with a line end: control characters but LF and tab are dropped, what is
 * no UTF-8 becomes U+FFFD, and lines beyond 900 octets are broken.
 */
void dsn_text_append_body(struct str *out, const char *text);

/* "Name: Fri, 20 Nov 2026 10:15:00 +0000" (RFC 5322 section 3.3); 0 appends nothing. */
void dsn_text_append_date(struct str *out, const char *name, int64_t wall);

#endif
