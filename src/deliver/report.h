#ifndef POSTRIDER_DELIVER_REPORT_H
#define POSTRIDER_DELIVER_REPORT_H

#include "base/str.h"
#include "proto/dsn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct account_config;
struct outmessage;
struct verdict;

/*
 * What the sender of a message is told: a bounce (RFC 3464), a notice that it waits, a notice that
 * it may have been delivered; one report may be several of these, for different recipients.
 */

enum report_fate {
	REPORT_FAILED,
	REPORT_DELAYED,
	REPORT_PERHAPS, /* may have been delivered; held until a person decides */
	REPORT_FATE_COUNT
};

/* Borrowed for the call. */
struct report_recipient {
	const char *address;
	enum report_fate fate;
	struct smtp_status status; /* {0}: none is known */
	const char *words;         /* what was said, escaped; NULL: nothing */
	const char *stage;         /* as in struct smtp_result; NULL: not tried */
	bool is_local;             /* our own words, not the server's */
	bool gave_up;              /* deferred too long */
	bool perhaps_before;       /* an earlier attempt may have delivered it */
	bool is_tried;             /* in this attempt */
};

struct report {
	const struct outmessage *message;
	const struct account_config *account; /* with smtp */
	const struct report_recipient *recipients;
	size_t recipient_count;        /* at least one */
	const struct verdict *trouble; /* the account's; NULL: none */
	int64_t now;                   /* wall ms */
	int64_t give_up;               /* ms, as configured */
	int64_t retry_until;           /* wall ms; 0: not limited, or not known */
	const char *host;
	const uint8_t *unique; /* DSN_UNIQUE_SIZE random octets */
};

/*
 * Appends a whole message, up to where the original or its header goes in, to `out`, and what comes
 * behind that to `end`.  Returns which of the two goes in: the header, unless the report tells of
 * failure and smtp.dsn.ret is "full", or does not say and the message has no more than
 * REPORT_ORIGINAL_MAX octets (RFC 3461 section 4.3 leaves that open).
 */
enum { REPORT_ORIGINAL_MAX = 50000 };
enum dsn_original report_write(const struct report *report, struct str *out, struct str *end);

/*
 * For failed/NAME.reason: appends who failed and why, from the message's recipients as they are,
 * and what can be done.
 */
void report_append_reason(const struct outmessage *message, struct str *out);

/* "5 days", "90 seconds". */
void report_append_duration(struct str *out, int64_t duration);

#endif
