#ifndef POSTRIDER_PROTO_DSN_H
#define POSTRIDER_PROTO_DSN_H

#include "base/str.h"
#include "base/utf8.h"
#include "proto/smtp_reply.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Delivery status notifications (RFC 3464 in RFC 6522's multipart/report), written piece by piece
 * without I/O: dsn_begin(), dsn_add_recipient() for each, dsn_add_original() with the pieces of the
 * original, dsn_end().  Each appends to out, which the caller empties as it likes.  Lines end in
 * LF, as in a Maildir and in the spool.
 *
 * Nothing that stands in a report can break it: each value is checked, encoded or escaped here.
 * Times are wall times in ms (base/clock.h), 0: not known.
 */

enum { DSN_UNIQUE_SIZE = 16 };

/* What the octets of an original are like; it decides how they may be declared (RFC 2045, 6532). */
struct dsn_content {
	bool header_8bit;     /* octets above 127 in the header */
	bool header_not_utf8; /* some of them are no UTF-8 */
	bool body_8bit;
	bool header_binary; /* a NUL, or a line over 998 octets */
	bool body_binary;
	bool in_body;            /* internal: the empty line was there */
	uint64_t line;           /* internal: octets in this line */
	struct utf8_reader utf8; /* internal */
};

/*
 * Reads the same octets that dsn_add_original() will be given, before dsn_begin(), in pieces cut
 * anywhere; zeroed memory begins it.  For DSN_HEADER the header is enough.
 */
void dsn_content_scan(struct dsn_content *content, const char *data, size_t len);

enum dsn_original {
	DSN_NOTHING, /* no third part */
	DSN_HEADER,  /* text/rfc822-headers, or message/global-headers (RFC 6533) */
	DSN_MESSAGE  /* message/rfc822, or message/global (RFC 6532) */
};

enum dsn_action { DSN_FAILED, DSN_DELAYED, DSN_EXPANDED };

/* What is said once.  Borrowed until dsn_end(); any text may be NULL unless it says otherwise. */
struct dsn_report {
	const char *host; /* this machine: Reporting-MTA, and behind mailer-daemon@; not NULL */
	const char *to;   /* who is told: the envelope sender, as it stands in a command */
	enum dsn_action action; /* what the report is about */
	const char *subject;    /* UTF-8; NULL: a plain one by the action */
	const char *text;       /* UTF-8, lines of any end: what people read; not NULL */
	const char *message_id; /* the original's, with its brackets: In-Reply-To and References */
	const char *envid;      /* Original-Envelope-Id, as plain text */
	int64_t date;           /* of this report */
	int64_t arrival;        /* when the original came here */
	enum dsn_original original;
	struct dsn_content content;      /* of the original */
	uint8_t unique[DSN_UNIQUE_SIZE]; /* random octets, for Message-ID and boundary */
};

/* RFC 3464 section 2.3.  Borrowed for the call; any text but recipient may be NULL. */
struct dsn_recipient {
	const char *original;  /* as the sender wrote it (ORCPT, or before an alias) */
	const char *recipient; /* as it was used last */
	enum dsn_action action;
	struct smtp_status status; /* {0}: X.0.0 with the class that fits the action */
	const char *remote;        /* the server that said so */
	/*
	 * Its reply as smtp_reply_describe() has it, or with is_local a reason of this machine's
	 * own; as it came, not escaped.
	 */
	const char *diagnostic;
	bool is_local;
	int64_t last_attempt;
	int64_t retry_until; /* only told with DSN_DELAYED */
};

/* Where a report stands.  A plain value but for the borrowed report; nothing to be freed. */
struct dsn {
	const struct dsn_report *report;
	char boundary[2 * DSN_UNIQUE_SIZE + 8];
	bool in_original;
	bool header_ended;
	bool line_open; /* the last octet written was no line end */
	uint64_t line;  /* octets in the original's line */
};

/*
 * The header, with an empty Return-Path and Auto-Submitted (RFC 3834 section 5), the part for
 * people and the beginning of the part for programs.
 */
void dsn_begin(struct dsn *dsn, const struct dsn_report *report, struct str *out);

/* One or more, between dsn_begin() and the original. */
void dsn_add_recipient(const struct dsn_recipient *recipient, struct str *out);

/*
 * A piece of the original, as it was or would be sent (without Bcc and the like: a report may leave
 * the machine): a CR is removed, the rest is copied.  False when no more of it is wanted, because
 * the report shows nothing or the header has ended; true else.
 */
bool dsn_add_original(struct dsn *dsn, const char *data, size_t len, struct str *out);

void dsn_end(struct dsn *dsn, struct str *out);

#endif
