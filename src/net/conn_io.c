#include "net/conn_internal.h"

#include "base/clock.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "net/tls.h"
#include "net/transcript.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>

#define INBOX_SIZE (64 * 1024)
#define TURN_MAX   (256 * 1024) /* octets either way before the others have their turn */

enum io_result { IO_MOVED, IO_AGAIN, IO_ENDED };

/* -- the socket ------------------------------------------------------------------------------- */

static enum io_result
ended(struct conn *c, const char *stage, int error)
{
	if (error == 0)
		verdict_fail(
		    &c->end_why, FAIL_NETWORK, "closed", "%.200s closed the connection", c->server);
	else
		verdict_fail(
		    &c->end_why, FAIL_NETWORK, stage, "%.200s: %s", c->server, strerror(error));
	c->end_why.code = error;
	return IO_ENDED;
}

static bool
is_again(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

static enum io_result
read_tls(struct conn *c, char *data, size_t size, size_t *got)
{
	enum tls_result result = tls_read(c->tls, data, size, got, &c->end_why);

	c->read_wants_write = result == TLS_WANT_WRITE;
	switch (result) {
	case TLS_DONE:
		return IO_MOVED;
	case TLS_WANT_READ:
	case TLS_WANT_WRITE:
		return IO_AGAIN;
	case TLS_CLOSED:
		return ended(c, "closed", 0);
	case TLS_FAILED:
		break;
	}
	return IO_ENDED;
}

static enum io_result
read_some(struct conn *c, char *data, size_t size, size_t *got)
{
	ssize_t n;

	if (c->tls != NULL)
		return read_tls(c, data, size, got);
	n = recv(c->fd, data, size, 0);
	if (n < 0)
		return is_again(errno) ? IO_AGAIN : ended(c, "read", errno);
	*got = (size_t)n;
	return n > 0 ? IO_MOVED : ended(c, "closed", 0);
}

static enum io_result
write_tls(struct conn *c, const char *data, size_t len, size_t *put, struct verdict *why)
{
	enum tls_result result = tls_write(c->tls, data, len, put, why);

	c->write_wants_read = result == TLS_WANT_READ;
	if (result == TLS_CLOSED)
		verdict_fail(
		    why, FAIL_NETWORK, "closed", "%.200s closed the connection", c->server);
	return result == TLS_DONE                                    ? IO_MOVED
	       : result == TLS_WANT_READ || result == TLS_WANT_WRITE ? IO_AGAIN
								     : IO_ENDED;
}

static enum io_result
write_some(struct conn *c, const char *data, size_t len, size_t *put, struct verdict *why)
{
	ssize_t n;

	if (c->tls != NULL)
		return write_tls(c, data, len, put, why);
	n = send(c->fd, data, len, MSG_NOSIGNAL);
	if (n < 0 && is_again(errno))
		return IO_AGAIN;
	if (n < 0) {
		verdict_fail(why, FAIL_NETWORK, "write", "%.200s: %s", c->server, strerror(errno));
		why->code = errno;
		return IO_ENDED;
	}
	*put = (size_t)n;
	return IO_MOVED;
}

/* -- sending ---------------------------------------------------------------------------------- */

/*
 * What was sent cannot leave any more.  The server may have said why before it closed: that is
 * still read and told, and counts more.
 */
static void
on_write_ended(struct conn *c, const struct verdict *why)
{
	c->write_ended = true;
	if (!c->read_ended)
		c->end_why = *why;
	c->lost += sendbuf_len(&c->out);
	sendbuf_clear(&c->out);
}

static void
on_sent(struct conn *c, size_t put)
{
	sendbuf_consume(&c->out, put);
	if (c->phase == PHASE_PROXY)
		return; /* not the session's */
	c->octets_out += put;
	conn_count_moved(c, put);
}

/* False when the owner freed the conn. */
static bool
flush(struct conn *c)
{
	struct verdict why;
	size_t left = TURN_MAX, put, len;
	const char *data;

	/* Behind the agreement to TLS nothing leaves in clear. */
	if (sendbuf_len(&c->out) == 0 || c->write_ended || c->starttls_wanted)
		return true;
	while (sendbuf_len(&c->out) > 0 && left > 0) {
		data = sendbuf_peek(&c->out, &len);
		switch (write_some(c, data, len < left ? len : left, &put, &why)) {
		case IO_MOVED:
			on_sent(c, put);
			left -= put;
			break;
		case IO_AGAIN:
			return true;
		case IO_ENDED:
			on_write_ended(c, &why);
			return true;
		}
	}
	if (sendbuf_len(&c->out) > 0 || c->phase != PHASE_OPEN)
		return true;
	return conn_tell(c, CONN_DRAINED);
}

/* -- receiving -------------------------------------------------------------------------------- */

static bool
may_deliver(const struct conn *c)
{
	return !c->dead && c->phase == PHASE_OPEN && !c->tell_connected && !c->paused &&
	       !c->starttls_wanted;
}

/* With detail = "full" a slice ends with a line, so that the log has what was taken, in order. */
static size_t
slice_len(const struct conn *c, const char *data, size_t len)
{
	const char *lf = transcript_is_full(c->transcript) ? memchr(data, '\n', len) : NULL;

	return lf != NULL ? (size_t)(lf - data) + 1 : len;
}

/* False when the owner took nothing. */
static bool
deliver_octets(struct conn *c)
{
	const char *data = c->in.data + c->in.off;
	size_t len = slice_len(c, data, c->in.len - c->in.off);
	size_t used;

	transcript_octets(c->transcript, false, data, len);
	used = conn_tell_data(c, CONN_OCTETS, data, len);
	c->in.off += used < len ? used : len;
	c->in.scanned = c->in.off;
	return used > 0;
}

static void
fail_line(struct conn *c)
{
	conn_failf(c, FAIL_PROTOCOL, "line",
	    "%.200s sent a line of more than %zu octets; check host and port", c->server,
	    c->line_max);
}

/* False when no whole line is there. */
static bool
deliver_line(struct conn *c)
{
	char *line = c->in.data + c->in.off;
	char *lf = memchr(c->in.data + c->in.scanned, '\n', c->in.len - c->in.scanned);
	size_t len;

	if (lf == NULL) {
		c->in.scanned = c->in.len;
		if (c->in.len - c->in.off > c->line_max + 1)
			fail_line(c);
		return false;
	}
	len = (size_t)(lf - line);
	if (len > 0 && line[len - 1] == '\r')
		len--;
	if (len > c->line_max) {
		fail_line(c);
		return false;
	}
	line[len] = '\0';
	c->in.off = (size_t)(lf - c->in.data) + 1;
	c->in.scanned = c->in.off;
	transcript_received(c->transcript, line, len);
	conn_tell_data(c, CONN_LINE, line, len);
	return true;
}

/* Everything that can be told is told. */
static void
deliver(struct conn *c)
{
	bool more = true;

	while (more && may_deliver(c) && c->in.off < c->in.len)
		more = c->octet_mode ? deliver_octets(c) : deliver_line(c);
}

static void
make_room(struct conn_inbox *in)
{
	if (in->off == 0)
		return;
	memmove(in->data, in->data + in->off, in->len - in->off);
	in->scanned -= in->off;
	in->len -= in->off;
	in->off = 0;
}

static void
on_read_ended(struct conn *c)
{
	if (!may_deliver(c) && c->phase == PHASE_OPEN)
		return; /* paused: the rest first */
	if (c->in.off < c->in.len && c->phase == PHASE_OPEN && c->end_why.code == 0 &&
	    !c->octet_mode)
		conn_failf(c, c->end_why.kind, c->end_why.stage, "%.300s in the middle of a line",
		    c->end_why.text);
	else if (c->phase == PHASE_PROXY)
		conn_failf(
		    c, FAIL_NETWORK, "proxy", "%.200s: the proxy closed the connection", c->server);
	else
		conn_fail(c, &c->end_why);
}

static void
on_received(struct conn *c, size_t got)
{
	c->in.len += got;
	if (c->phase == PHASE_PROXY) {
		c->active_at = clock_mono();
		conn_phase_on_proxy(c);
		return;
	}
	c->octets_in += got;
	conn_count_moved(c, got);
	deliver(c);
}

static bool
may_read(const struct conn *c)
{
	return !c->dead && !c->read_ended && c->in.len - c->in.off < c->in.cap &&
	       (c->phase == PHASE_PROXY || may_deliver(c));
}

/* tcp(7): this does not last, so it is said before each reading. */
static void
acknowledge(const struct conn *c)
{
	int on = 1;

	if (c->ack_at_once)
		setsockopt(c->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

/* Reads until there is nothing, nobody wants more, or the others should have their turn. */
static void
receive(struct conn *c)
{
	size_t left = TURN_MAX, got;

	acknowledge(c);
	deliver(c);
	while (may_read(c)) {
		make_room(&c->in);
		switch (read_some(c, c->in.data + c->in.len, c->in.cap - c->in.len, &got)) {
		case IO_MOVED:
			on_received(c, got);
			break;
		case IO_AGAIN:
			if (c->write_ended)
				conn_fail(c, &c->end_why);
			return;
		case IO_ENDED:
			c->read_ended = true;
			return;
		}
		if (got >= left) {
			conn_next_turn(c);
			return;
		}
		left -= got;
	}
}

/* -- the loop --------------------------------------------------------------------------------- */

static void
set_interest(struct event *event, bool wanted)
{
	bool pending = event_pending(event, EV_READ | EV_WRITE, NULL) != 0;

	if (wanted && !pending)
		event_add(event, NULL);
	else if (!wanted && pending)
		event_del(event);
}

void
conn_io_await(struct conn *c, bool read, bool write)
{
	set_interest(c->read_event, read);
	set_interest(c->write_event, write);
}

/* One turn's work: everything that can be done now in either direction. */
static void
work(struct conn *c)
{
	if (!flush(c))
		return;
	receive(c);
	if (c->dead || !flush(c))
		return;
	if (c->read_ended && c->phase != PHASE_OVER)
		on_read_ended(c);
	if (c->starttls_wanted && c->phase == PHASE_OPEN) {
		conn_phase_begin_tls(c);
		return;
	}
	if (c->phase == PHASE_OPEN || c->phase == PHASE_PROXY)
		conn_io_await(c, may_read(c) || c->write_wants_read,
		    (sendbuf_len(&c->out) > 0 && !c->write_wants_read) || c->read_wants_write);
}

void
conn_io_turn_cb(int fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	(void)what;
	if (!conn_phase_advance(c))
		return;
	c->working = true;
	work(c);
	c->working = false;
}

static void
socket_cb(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	if (c->phase == PHASE_HANDSHAKE) {
		conn_io_await(c, false, false);
		net_queue_step(c->net, &c->step);
		return;
	}
	conn_io_turn_cb(fd, what, arg);
}

void
conn_io_start(struct conn *c)
{
	struct event_base *base = c->net->base;

	c->in.cap = c->line_max + 2 > INBOX_SIZE / 2 ? c->line_max + 2 + INBOX_SIZE : INBOX_SIZE;
	c->in.data = xmalloc(c->in.cap);
	c->read_event = event_new(base, c->fd, EV_READ | EV_PERSIST, socket_cb, c);
	c->write_event = event_new(base, c->fd, EV_WRITE | EV_PERSIST, socket_cb, c);
	if (c->read_event == NULL || c->write_event == NULL)
		exit(EX_OSERR);
}

void
conn_io_stop(struct conn *c)
{
	if (c->read_event != NULL)
		event_free(c->read_event);
	if (c->write_event != NULL)
		event_free(c->write_event);
	c->read_event = NULL;
	c->write_event = NULL;
}
