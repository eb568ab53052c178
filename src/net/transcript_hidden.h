#ifndef POSTRIDER_NET_TRANSCRIPT_HIDDEN_H
#define POSTRIDER_NET_TRANSCRIPT_HIDDEN_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

enum { TRANSCRIPT_PIECE_MIN = 12 };

struct secret;

struct transcript_hidden_string {
	struct secret *text;
	bool has_pieces; /* one of them gives something away; not so of a response with a name in it
			  */
};

/* Strings that no log may show.  Embedded in its owner; zeroed memory begins it. */
struct transcript_hidden {
	struct transcript_hidden_string *list; /* the longest first */
	size_t count;
	bool
	    whole_only; /* pieces are not looked for, which costs time with every octet of a line */
};

void transcript_hidden_clear(struct transcript_hidden *hidden);

/*
 * Adds the octets, their base64 (RFC 4648 section 4), and the form that escaping gives them.  One
 * that is empty or known is no fault.
 */
void transcript_hidden_add(struct transcript_hidden *hidden, const char *octets, size_t len);

/*
 * Appends the line to out with "****" in place of every hidden string, not escaped; and of every
 * piece of one with TRANSCRIPT_PIECE_MIN octets or more, for a server that repeats a long one wraps
 * it over several lines.
 */
void transcript_hidden_apply(
    const struct transcript_hidden *hidden, const char *line, size_t len, struct str *out);

/* True when the line is known to hold none of them: the common case, without a copy. */
bool transcript_hidden_is_clean(
    const struct transcript_hidden *hidden, const char *line, size_t len);

#endif
