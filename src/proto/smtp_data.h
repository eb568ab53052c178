#ifndef POSTRIDER_PROTO_SMTP_DATA_H
#define POSTRIDER_PROTO_SMTP_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A message on its way out, in pieces cut anywhere.  Whatever comes in, CR and LF leave as CRLF and
 * in no other way (RFC 5321 section 2.3.8: smuggling lives on the rest): a LF ends a line, alone or
 * behind a CR, and every other CR is removed.  For DATA, lines that begin with a dot get another
 * (section 4.5.2) and the end is marked; for BDAT they do not.
 *
 * A plain value.  How large a message is must be known before MAIL: run it once with room to throw
 * away, or keep octets from the first time.
 */
struct smtp_data {
	uint64_t octets;  /* of the message as RFC 1870 counts: with CRLF, without the added dots */
	uint64_t longest; /* octets of the longest line, without CRLF and added dot */
	uint64_t line;    /* internal: octets in the line that has not ended */
	bool stuffs;      /* internal */
};

enum { SMTP_TEXT_LINE_MAX = 998 }; /* RFC 5321 section 4.5.3.1.6, without CRLF */
enum { SMTP_DATA_END_SIZE = 5 };

/* stuffs: for DATA; false for BDAT. */
void smtp_data_init(struct smtp_data *data, bool stuffs);

/*
 * Appends what in[0..len) becomes to out, which must have room for 2 * len octets.  Returns how
 * many it is.  in and out do not overlap.
 */
size_t smtp_data_encode(struct smtp_data *data, const char *in, size_t len, char *out);

/* Ends a last line that has no end, and for DATA writes the dot alone.  Returns how many octets. */
size_t smtp_data_end(struct smtp_data *data, char out[SMTP_DATA_END_SIZE]);

#endif
