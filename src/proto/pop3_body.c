#include "proto/pop3.h"

#include <string.h>

/*
 *	multi-line reply = *( line CRLF ) "." CRLF      a line that begins with "." carries one more
 *
 * Where the decoder stands between two slices.  A "." at the start of a line is taken at once, for
 * it is never content there; a CR waits until the next octet tells whether a line has ended.
 */
enum body_state {
	AT_START,     /* of a line */
	IN_LINE,      /* behind its first octet */
	AFTER_CR,     /* IN_LINE, and a CR waits */
	AFTER_DOT,    /* "." was the first octet */
	AFTER_DOT_CR, /* "." CR were the first, and the CR waits */
	AT_END
};

void
pop3_body_init(struct pop3_body *body)
{
	*body = (struct pop3_body){.state = AT_START};
}

/*
 * Copies up to the next CR, and the line end when the LF is at hand.  memchr() and memcpy() are
 * what makes this as fast as memory.
 */
static enum body_state
copy_line(const char **in, const char *end, char **out)
{
	const char *p = *in;
	const char *cr = memchr(p, '\r', (size_t)(end - p));
	size_t n = (size_t)((cr != NULL ? cr : end) - p);

	memcpy(*out, p, n);
	*out += n;
	if (cr == NULL) {
		*in = end;
		return IN_LINE;
	}
	if (cr + 1 == end || cr[1] != '\n') {
		*in = cr + 1;
		return AFTER_CR;
	}
	*(*out)++ = '\n';
	*in = cr + 2;
	return AT_START;
}

/* One octet behind a waiting CR; *in stays where it is when the octet is to be looked at again. */
static enum body_state
end_line(enum body_state state, const char **in, char **out)
{
	if (**in != '\n') {
		*(*out)++ = '\r';
		return IN_LINE;
	}
	(*in)++;
	if (state == AFTER_DOT_CR)
		return AT_END;
	*(*out)++ = '\n';
	return AT_START;
}

static enum body_state
decode_some(enum body_state state, const char **in, const char *end, char **out)
{
	switch (state) {
	case AT_START:
		if (**in != '.')
			return copy_line(in, end, out);
		(*in)++;
		return AFTER_DOT;
	case AFTER_DOT:
		if (**in != '\r')
			return copy_line(in, end, out);
		(*in)++;
		return AFTER_DOT_CR;
	case AFTER_CR:
	case AFTER_DOT_CR:
		return end_line(state, in, out);
	case IN_LINE:
	case AT_END:
		break;
	}
	return copy_line(in, end, out);
}

enum pop3_body_result
pop3_body_decode(
    struct pop3_body *body, const char *in, size_t len, size_t *used, char *out, size_t *out_len)
{
	enum body_state state = (enum body_state)body->state;
	const char *p = in, *end = in + len;
	char *o = out;

	while (p < end && state != AT_END)
		state = decode_some(state, &p, end, &o);
	body->state = (int)state;
	*used = (size_t)(p - in);
	*out_len = (size_t)(o - out);
	body->octets += *out_len;
	return state == AT_END ? POP3_BODY_END : POP3_BODY_MORE;
}
