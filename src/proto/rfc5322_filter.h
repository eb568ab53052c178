#ifndef POSTRIDER_PROTO_RFC5322_FILTER_H
#define POSTRIDER_PROTO_RFC5322_FILTER_H

#include "base/str.h"
#include "base/verdict.h"
#include "proto/rfc5322_reader.h"
#include "proto/rfc5322_rewrite.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The message as it must go out, from the octets of the file as they are read, cut anywhere: what
 * rfc5322_rewrite.h says for the header; behind its last field Date, Message-ID and From where they
 * are missing; an empty line where the body followed without one; every line ended by CRLF, the
 * last one too, and neither CR nor LF anywhere else.  The dots of SMTP's DATA are not its business.
 *
 * Memory: one header field (RFC5322_FIELD_MAX); out grows by at most twice the octets fed, and by
 * what is added to the field that ends there.
 */
struct rfc5322_filter {
	uint64_t octets; /* appended so far */
	/* internal */
	struct rfc5322_reader reader;
	struct rfc5322_rewrite rewrite;
	bool in_body;
	bool is_line_open; /* the last line lacks its end */
	bool has_date;
	bool has_message_id;
	bool has_from;
};

/* The strings of rewrite are borrowed until the filter is cleared. */
void rfc5322_filter_init(struct rfc5322_filter *filter, const struct rfc5322_rewrite *rewrite);
void rfc5322_filter_clear(struct rfc5322_filter *filter);

/*
 * Appends to out.  False with why (FAIL_LOCAL, stage "header") for a header that
 * rfc5322_envelope_feed() refuses as well: what was appended is not to be sent.
 */
bool rfc5322_filter_feed(struct rfc5322_filter *filter, const char *in, size_t len, struct str *out,
    struct verdict *why);

/* The file ends here: appends the rest.  Call it once, after every octet was fed. */
void rfc5322_filter_finish(struct rfc5322_filter *filter, struct str *out);

#endif
