#ifndef POSTRIDER_NET_SENDBUF_H
#define POSTRIDER_NET_SENDBUF_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Octets waiting to be sent, in one piece, so that what was given together leaves together.
 * Overwritten as soon as a secret in it has left.  Embedded; zeroed memory begins it.
 */
struct sendbuf {
	char *data;
	size_t off;
	size_t len; /* end of what waits, counted from data */
	size_t cap;
	bool secret;
};

void sendbuf_clear(struct sendbuf *o);
void sendbuf_append(struct sendbuf *o, const void *data, size_t len, bool secret);

/* What waits, borrowed until the next change. */
const char *sendbuf_peek(const struct sendbuf *o, size_t *len);
void sendbuf_consume(struct sendbuf *o, size_t len);
size_t sendbuf_len(const struct sendbuf *o);

#endif
