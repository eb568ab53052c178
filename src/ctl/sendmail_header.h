#ifndef POSTRIDER_CTL_SENDMAIL_HEADER_H
#define POSTRIDER_CTL_SENDMAIL_HEADER_H

#include "base/str.h"
#include "base/verdict.h"
#include "proto/rfc5322_reader.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * The header of a message on its way into the spool: steering fields for what the command line
 * said (postrider-spool(7)) on top, the message's own fields, and a From where that is missing.
 *
 * The command line wins: with a sender the message's own X-Postrider-Sender is left out, with
 * recipients its X-Postrider-Recipient.  Other fields steer as they would in a dropped file.
 *
 * Memory: the header, RFC5322_HEADER_MAX at most, and what is added.
 */

/* Who hands the message over, and to whom.  Everything is borrowed for sendmail_header_begin(). */
struct sendmail_origin {
	const char *sender;       /* -f; NULL: not given, "" or "<>": the null sender */
	const char *name;         /* -F, or NULL */
	const char *login;        /* of the caller */
	const char *login_name;   /* the caller's full name, or NULL */
	const char *local_domain; /* completes addresses without a domain; NULL: none is known */
	const char *own_address;  /* of the default account, for who has no domain; or NULL */
	char *const *operands;    /* each a list of addresses */
	size_t operand_count;     /* 0: the header says who receives it */
};

/* Embedded; sendmail_header_begin() begins it, _clear() ends it, whatever the first returned. */
struct sendmail_header {
	struct str text; /* whole when is_over: with the empty line, and with body that was read */
	bool is_over;
	/* internal */
	struct rfc5322_reader reader;
	struct str from;
	bool has_from;
	bool has_sender;
	bool has_recipients;
	bool is_below_trace;
};

/* False with why (code 0): the sender, or a recipient, is no address. */
bool sendmail_header_begin(
    struct sendmail_header *header, const struct sendmail_origin *origin, struct verdict *why);
void sendmail_header_clear(struct sendmail_header *header);

/*
 * Octets of the message, cut anywhere, as long as the header is not over; *used says how many
 * belong to it.  False with why when this cannot be a message.
 */
bool sendmail_header_feed(
    struct sendmail_header *header, const char *in, size_t len, size_t *used, struct verdict *why);

/* The message ends here.  May be called when the header is over. */
bool sendmail_header_finish(struct sendmail_header *header, struct verdict *why);

/*
 * Judges the whole header as the daemon will, but for addresses without a domain: those may become
 * deliverable.  False with why: no recipients, or addresses that cannot be read.
 */
bool sendmail_header_check(const struct sendmail_header *header, struct verdict *why);

#endif
