#ifndef POSTRIDER_PROTO_RFC5322_READER_H
#define POSTRIDER_PROTO_RFC5322_READER_H

#include "base/str.h"
#include "base/verdict.h"
#include "proto/rfc5322_field.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The header of a message (RFC 5322 section 2.2), field by field as its octets arrive, cut
 * anywhere.  LF ends a line; a CR in any place is not there.  A byte order mark and leading mbox
 * "From " (and ">From ") lines are dropped.  Blanks before the colon (section 4.5), octets beyond
 * ASCII and lines of blanks that continue a field are taken as they come.  The header ends at the
 * first empty line, at a line that is no field, or with the message.
 */
enum { RFC5322_HEADER_MAX = 1024 * 1024 };
enum { RFC5322_FIELD_MAX = 256 * 1024 };
enum { RFC5322_NAME_MAX = 998 };

enum rfc5322_read {
	RFC5322_READ_MORE,  /* feed further octets */
	RFC5322_READ_FIELD, /* reader->field is filled until the next call */
	RFC5322_READ_END,   /* of the header; what was not used is the body */
	RFC5322_READ_BAD    /* a NUL, or a limit: nothing further is read */
};

enum rfc5322_ending {
	RFC5322_ENDING_NONE,       /* not reached */
	RFC5322_ENDING_EMPTY_LINE, /* the separator, which was used */
	RFC5322_ENDING_NO_FIELD,   /* a line that is no field: the body begins with reader->rest */
	RFC5322_ENDING_MESSAGE     /* there is no body */
};

/* Owned by whoever reads; rfc5322_reader_init() or zeroed memory begins it, _clear() ends it. */
struct rfc5322_reader {
	struct rfc5322_field field;
	enum rfc5322_ending ending;
	struct str rest; /* ENDING_NO_FIELD: the octets of that line which were used already */
	unsigned line;   /* lines ended so far */
	unsigned fields; /* fields seen so far */
	/* internal */
	int state;
	bool is_yielded;
	bool is_bom_done;
	uint64_t offset;
	uint64_t field_offset;
	unsigned field_line;
	size_t name_len;
	size_t value_start;
	struct str raw;
};

void rfc5322_reader_init(struct rfc5322_reader *reader);
void rfc5322_reader_clear(struct rfc5322_reader *reader);

/*
 * Takes octets up to the end of a field or of the header: *used says how many.  Unless the answer
 * is RFC5322_READ_MORE, call again with the rest.  RFC5322_READ_BAD fills why (FAIL_LOCAL, stage
 * "header").
 */
enum rfc5322_read rfc5322_reader_feed(
    struct rfc5322_reader *reader, const char *in, size_t len, size_t *used, struct verdict *why);

/* The message ends here.  Call until it is not RFC5322_READ_FIELD any more. */
enum rfc5322_read rfc5322_reader_finish(struct rfc5322_reader *reader);

#endif
