#ifndef POSTRIDER_BASE_UTF8_H
#define POSTRIDER_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Well-formed UTF-8 (RFC 3629 section 4), ASCII included: nothing longer than it must be, no
 * surrogates, nothing beyond U+10FFFF.
 */

/* An octet at a time, for text that comes in pieces.  Zeroed memory begins it. */
struct utf8_reader {
	uint32_t code;     /* of the character, once it is whole */
	unsigned await;    /* octets that it still wants: 0 when nothing is cut off */
	uint8_t low, high; /* internal: bounds of the next one */
};

enum utf8_result {
	UTF8_WHOLE,
	UTF8_MORE,
	UTF8_BAD /* the octet does not belong there; what follows begins anew */
};

enum utf8_result utf8_read(struct utf8_reader *reader, uint8_t octet);

/* Octets of the character at p, which is *code; 0, and *code untouched, when there is none. */
size_t utf8_sequence(const void *p, size_t len, uint32_t *code);

bool utf8_is_valid(const void *text, size_t len);

#endif
