#ifndef POSTRIDER_PROTO_RFC5322_REWRITE_H
#define POSTRIDER_PROTO_RFC5322_REWRITE_H

#include "base/str.h"
#include "proto/rfc5322_field.h"

#include <stddef.h>
#include <stdint.h>

/*
 * What is changed in a header on its way out.  Zeroed memory changes nothing but what must never
 * leave the machine.  The strings are single lines without CR and LF.
 */
struct rfc5322_rewrite {
	const char *date;         /* for a message without Date (rfc5322_date_format); NULL: none */
	const char *message_id;   /* for one without Message-ID, with its "<>"; NULL: none */
	const char *from;         /* for one without From: an address; NULL: none */
	const char *header_from;  /* an address in place of the one in From; NULL: it stays */
	const char *local_domain; /* completes addresses without a domain; NULL: they stay */
};

/*
 * Appends the field as it must go out, lines ended by CRLF: nothing for a private one.  A field
 * whose addresses cannot be read stays as it is, save From with header_from.
 */
void rfc5322_rewrite_field(
    const struct rfc5322_rewrite *rewrite, const struct rfc5322_field *field, struct str *out);

/* Appends octets of a message with every CR left out and every LF as CRLF. */
void rfc5322_rewrite_lines(const char *in, size_t len, struct str *out);

/*
 * A Message-ID that is unique when random is: "<20261120101500.0123456789abcdef@host>" (RFC 5322
 * section 3.6.4).  A host that is no domain name becomes "localhost".  free(3) it.
 */
char *rfc5322_rewrite_message_id(int64_t wall, uint64_t random, const char *host);

#endif
