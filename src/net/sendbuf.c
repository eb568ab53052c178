#include "net/sendbuf.h"

#include "base/secret.h"
#include "base/xalloc.h"

#include <stdlib.h>
#include <string.h>

#define KEPT (64 * 1024) /* a larger buffer is given back once it is empty */

static void
release(struct sendbuf *o)
{
	if (o->secret)
		secret_wipe(o->data, o->cap);
	free(o->data);
}

void
sendbuf_clear(struct sendbuf *o)
{
	release(o);
	*o = (struct sendbuf){0};
}

/* Makes room behind what waits; never by realloc(3), which would leave a copy of secrets. */
static void
reserve(struct sendbuf *o, size_t more)
{
	size_t waiting = o->len - o->off;
	size_t cap = o->cap != 0 ? o->cap : 1024;
	char *data;

	if (o->cap - o->len >= more)
		return;
	if (o->off >= waiting && o->cap - waiting >= more) {
		memcpy(o->data, o->data + o->off, waiting);
	} else {
		while (cap - waiting < more)
			cap *= 2;
		data = xmalloc(cap);
		if (waiting > 0)
			memcpy(data, o->data + o->off, waiting);
		release(o);
		o->data = data;
		o->cap = cap;
	}
	o->off = 0;
	o->len = waiting;
}

void
sendbuf_append(struct sendbuf *o, const void *data, size_t len, bool secret)
{
	if (len == 0)
		return;
	reserve(o, len);
	memcpy(o->data + o->len, data, len);
	o->len += len;
	o->secret = o->secret || secret;
}

const char *
sendbuf_peek(const struct sendbuf *o, size_t *len)
{
	*len = o->len - o->off;
	return o->data + o->off;
}

void
sendbuf_consume(struct sendbuf *o, size_t len)
{
	o->off += len;
	if (o->off < o->len)
		return;
	if (o->cap > KEPT) {
		sendbuf_clear(o);
		return;
	}
	if (o->secret)
		secret_wipe(o->data, o->cap);
	o->secret = false;
	o->off = 0;
	o->len = 0;
}

size_t
sendbuf_len(const struct sendbuf *o)
{
	return o->len - o->off;
}
