#ifndef POSTRIDER_PROTO_RFC5322_ENVELOPE_H
#define POSTRIDER_PROTO_RFC5322_ENVELOPE_H

#include "base/verdict.h"
#include "proto/rfc5322_address.h"
#include "proto/rfc5322_reader.h"
#include "proto/rfc5322_recipients.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What the header of a dropped message asks for (postrider.conf(5); RFC 5322 sections 3.6.2, 3.6.3,
 * 3.6.6; RFC 6854).  Everything in it is owned; envelope_request_clear() ends it, zeroed memory is
 * empty.  An address that was not found has local == NULL.
 */
struct envelope_request {
	char *account;               /* X-Postrider-Account, not escaped; NULL: choose by from */
	struct rfc5322_address from; /* who writes: From, or Resent-From; chooses the account */
	/* Sender, else From (or their Resent- likes); steered: X-Postrider-Sender, maybe null. */
	struct rfc5322_address sender;
	bool from_is_unreadable; /* From holds no address, and the sender is named elsewhere */
	bool sender_is_steered;  /* wins over smtp.from */
	struct rfc5322_address *recipients; /* at least one, each once, each with a domain */
	size_t recipient_count;
	bool recipients_are_steered; /* named by X-Postrider-Recipient */
	bool is_resent;              /* Resent- fields count */
	int64_t not_before;          /* wall time; 0: at once */
	char *unknown_steering;      /* first X-Postrider- name without a meaning, escaped; NULL */

	bool has_from;
	bool has_date;
	bool has_message_id;
	bool header_is_8bit; /* fields that leave the machine hold octets beyond ASCII */
	bool header_is_utf8; /* and these are UTF-8 (RFC 6532): SMTPUTF8 where the server has it */
	enum rfc5322_ending ending;
	unsigned header_lines; /* of the file, with the separator */

	/* Only of what was fed, for who feeds the body as well. */
	bool body_is_8bit;
	bool body_has_nul;
	size_t longest_line; /* octets without the line end, header included (RFC 5322 2.1.1) */
};

void envelope_request_clear(struct envelope_request *request);

/* A From, Sender or the like: its first address. */
struct rfc5322_envelope_author {
	struct rfc5322_address address;
	struct verdict problem;
};

/*
 * Reads a message for its envelope; owned by whoever reads.  A whole header of 1 MiB with tens of
 * thousands of addresses takes some tenths of a second: not for the loop's thread.
 */
struct rfc5322_envelope {
	bool is_header_over; /* what follows is body: feeding may stop here */
	/* internal */
	struct envelope_request request;
	struct rfc5322_reader reader;
	char *local_domain;
	bool is_below_trace;
	int block;
	uint64_t block_seen;
	enum rfc5322_field_kind block_last;
	struct rfc5322_envelope_author from, sender, resent_from, resent_sender;
	struct rfc5322_recipients header, resent, steered;
	struct verdict problem; /* of a steering field, or of the header as such */
	size_t line_len;
};

/*
 * With local_domain (copied; may be NULL) addresses without a domain get it; else such a recipient
 * is an error, and such a From or Sender counts for nothing.
 */
void rfc5322_envelope_init(struct rfc5322_envelope *envelope, const char *local_domain);
void rfc5322_envelope_clear(struct rfc5322_envelope *envelope);

/* Octets of the file, cut anywhere.  False when it cannot be a message: finish tells why. */
bool rfc5322_envelope_feed(struct rfc5322_envelope *envelope, const char *in, size_t len);

/*
 * The file, or what the caller reads of it beyond the header, ends here.  Fills the request, or
 * returns false with why (FAIL_LOCAL, stage "header") and an empty request.
 */
bool rfc5322_envelope_finish(
    struct rfc5322_envelope *envelope, struct envelope_request *request, struct verdict *why);

#endif
