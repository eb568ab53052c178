#ifndef POSTRIDER_NET_OUTBOX_H
#define POSTRIDER_NET_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Octets waiting to be sent, in one piece, so that what was given together leaves together.
 * Overwritten as soon as a secret in it has left.  Embedded; zeroed memory begins it.
 */
struct outbox {
	char *data;
	size_t off;
	size_t len; /* end of what waits, counted from data */
	size_t cap;
	bool secret;
};

void outbox_clear(struct outbox *o);
void outbox_append(struct outbox *o, const void *data, size_t len, bool secret);

/* What waits, borrowed until the next change. */
const char *outbox_peek(const struct outbox *o, size_t *len);
void outbox_consume(struct outbox *o, size_t len);
size_t outbox_len(const struct outbox *o);

#endif
