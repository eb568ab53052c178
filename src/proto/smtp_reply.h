#ifndef POSTRIDER_PROTO_SMTP_REPLY_H
#define POSTRIDER_PROTO_SMTP_REPLY_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Replies of an SMTP server (RFC 5321 section 4.2) and the enhanced status codes in them (RFC 2034,
 * RFC 3463), line by line, without I/O.
 */

enum { SMTP_LINE_MAX = 12288 };      /* RFC 4954 section 4, for challenges; else 512 */
enum { SMTP_REPLY_LINES_MAX = 512 }; /* lines in one reply */
enum { SMTP_REPLY_OCTETS_MAX = 64 * 1024 };
/* Of the text that is kept: a long secret in it is to be recognised, which it is not when cut. */
enum { SMTP_REPLY_TEXT_MAX = 32 * 1024 };

/* "5.1.1": class 2, 4 or 5, subject and detail 0 to 999.  Class 0: there is none. */
struct smtp_status {
	unsigned class;
	unsigned subject;
	unsigned detail;
};

/*
 * RFC 3463 section 2: reads "5.1.1", followed by a blank or the end.  Returns how many octets it
 * is long, without the blank; 0 when there is none.
 */
size_t smtp_status_parse(const char *text, size_t len, struct smtp_status *status);

bool smtp_status_equal(const struct smtp_status *a, const struct smtp_status *b);

enum smtp_reply_result {
	SMTP_REPLY_MORE, /* more lines follow */
	SMTP_REPLY_DONE, /* the reply is whole; the next line begins another */
	SMTP_REPLY_BAD   /* no SMTP, or beyond the limits: reading on makes no sense */
};

/* Embedded in its owner; zeroed memory begins it, smtp_reply_clear() ends it. */
struct smtp_reply {
	int code;                  /* 200 to 599 */
	struct smtp_status status; /* of the first line that has one that fits the code */
	unsigned lines;
	/*
	 * Without codes, lines joined by a blank, at most SMTP_REPLY_TEXT_MAX octets: as the peer
	 * sent them, so to be escaped before anybody sees them.
	 */
	struct str text;
	const char *line; /* behind the code in the line just fed; borrowed from its caller */
	size_t line_len;
	const char *fault; /* why it is BAD, static; NULL as long as it is not */
	size_t octets;     /* internal */
	bool ended;        /* internal */
};

void smtp_reply_clear(struct smtp_reply *reply);

/*
 * Takes one line without its line end.  After DONE, the next line begins a new reply; after BAD,
 * every line is BAD until smtp_reply_clear().
 */
enum smtp_reply_result smtp_reply_feed(struct smtp_reply *reply, const char *line, size_t len);

/*
 * Appends the reply as one line, "550 5.1.1 No such user", as RFC 3464 section 2.3.6 wants it for
 * Diagnostic-Code.  As the peer sent it: the caller escapes.
 */
void smtp_reply_describe(const struct smtp_reply *reply, struct str *out);

#endif
