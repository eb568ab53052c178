#ifndef POSTRIDER_NET_TRANSCRIPT_HIDDEN_H
#define POSTRIDER_NET_TRANSCRIPT_HIDDEN_H

#include "base/str.h"

#include <stddef.h>

struct secret;

/* Strings that no log may show.  Embedded in its owner; zeroed memory begins it. */
struct transcript_hidden {
	struct secret **list; /* the longest first */
	size_t count;
};

void transcript_hidden_clear(struct transcript_hidden *hidden);

/*
 * Adds the octets, their base64 (RFC 4648 section 4), and the form that escaping gives them.  One
 * that is empty or known is no fault.
 */
void transcript_hidden_add(struct transcript_hidden *hidden, const char *octets, size_t len);

/* Appends the line to out with "****" in place of every hidden string, not escaped. */
void transcript_hidden_apply(
    const struct transcript_hidden *hidden, const char *line, size_t len, struct str *out);

/* True when the line holds none of them: the common case, without a copy. */
bool transcript_hidden_is_clean(
    const struct transcript_hidden *hidden, const char *line, size_t len);

#endif
