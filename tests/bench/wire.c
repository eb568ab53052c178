#include "wire.h"

#include "loopback.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* -- life ------------------------------------------------------------------------------------ */

void
wire_init(struct wire *w, int fd)
{
	*w = (struct wire){.fd = fd};
	if (fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		loopback_die("O_NONBLOCK");
}

void
wire_clear(struct wire *w)
{
	if (w->ssl != NULL && SSL_is_init_finished(w->ssl))
		SSL_shutdown(w->ssl);
	SSL_free(w->ssl);
	w->ssl = NULL;
	ERR_clear_error();
}

/* -- the socket ------------------------------------------------------------------------------ */

static bool
await(const struct wire *w, short events)
{
	struct pollfd fd = {.fd = w->fd, .events = events};

	return poll(&fd, 1, -1) == 1 || errno == EINTR;
}

/* What a call that moved nothing is waiting for; 0 when the peer is gone. */
static short
wanted(const struct wire *w, int result, short otherwise)
{
	int error;

	if (w->ssl == NULL)
		return result < 0 && (errno == EAGAIN || errno == EINTR) ? otherwise : 0;
	error = SSL_get_error(w->ssl, result);
	return error == SSL_ERROR_WANT_READ ? POLLIN : error == SSL_ERROR_WANT_WRITE ? POLLOUT : 0;
}

static int
write_some(const struct wire *w, const char *data, size_t len)
{
	if (w->ssl != NULL)
		return SSL_write(w->ssl, data, (int)len);
	return (int)send(w->fd, data, len, MSG_NOSIGNAL);
}

static int
read_some(struct wire *w)
{
	char *data = w->input + w->input_end;
	size_t room = sizeof w->input - w->input_end;

	if (w->ssl != NULL)
		return SSL_read(w->ssl, data, (int)room);
	return (int)recv(w->fd, data, room, 0);
}

bool
wire_accept_tls(struct wire *w, SSL_CTX *context)
{
	int result;

	wire_flush(w);
	w->input_start = w->input_end = 0; /* what came in clear does not count: RFC 3207 */
	w->ssl = SSL_new(context);
	if (w->ssl == NULL || SSL_set_fd(w->ssl, w->fd) != 1)
		loopback_die_text("no TLS connection to be had");
	while ((result = SSL_accept(w->ssl)) != 1) {
		short events = wanted(w, result, 0);

		if (events == 0 || !await(w, events)) {
			w->ended = true;
			return false;
		}
	}
	return true;
}

/* -- out ------------------------------------------------------------------------------------- */

void
wire_flush(struct wire *w)
{
	size_t sent = 0;

	while (sent < w->output_len && !w->ended) {
		int n = write_some(w, w->output + sent, w->output_len - sent);
		short events;

		if (n > 0) {
			sent += (size_t)n;
			continue;
		}
		events = wanted(w, n, POLLOUT);
		w->ended = events == 0 || !await(w, events);
	}
	w->output_len = 0;
}

void
wire_put(struct wire *w, const char *data, size_t len)
{
	while (len > 0) {
		size_t room = sizeof w->output - w->output_len;
		size_t n = len < room ? len : room;

		memcpy(w->output + w->output_len, data, n);
		w->output_len += n;
		data += n;
		len -= n;
		if (w->output_len == sizeof w->output)
			wire_flush(w);
	}
}

void
wire_reply(struct wire *w, const char *format, ...)
{
	char line[512];
	va_list ap;
	int len;

	va_start(ap, format);
	len = vsnprintf(line, sizeof line - 2, format, ap);
	va_end(ap);
	if (len > (int)sizeof line - 3)
		len = sizeof line - 3;
	memcpy(line + len, "\r\n", 2);
	wire_put(w, line, (size_t)len + 2);
}

/* -- in -------------------------------------------------------------------------------------- */

/* More input; before it is waited for, everything that was answered goes out. */
static bool
fill_input(struct wire *w)
{
	memmove(w->input, w->input + w->input_start, w->input_end - w->input_start);
	w->input_end -= w->input_start;
	w->input_start = 0;
	while (!w->ended) {
		int n = read_some(w);
		short events;

		if (n > 0) {
			w->input_end += (size_t)n;
			return true;
		}
		events = wanted(w, n, POLLIN);
		if (events == POLLIN && w->output_len > 0)
			wire_flush(w);
		else
			w->ended = events == 0 || !await(w, events);
	}
	return false;
}

char *
wire_line(struct wire *w)
{
	for (;;) {
		char *line = w->input + w->input_start;
		size_t len = w->input_end - w->input_start;
		char *end = memchr(line, '\n', len);

		if (end != NULL) {
			w->input_start += (size_t)(end - line) + 1;
			if (end > line && end[-1] == '\r')
				end--;
			*end = '\0';
			return line;
		}
		if (len > WIRE_LINE_MAX || !fill_input(w))
			return NULL;
	}
}

bool
wire_octets(struct wire *w, char *data, size_t len)
{
	while (len > 0) {
		size_t there = w->input_end - w->input_start;
		size_t n = there < len ? there : len;

		memcpy(data, w->input + w->input_start, n);
		w->input_start += n;
		data += n;
		len -= n;
		if (len > 0 && !fill_input(w))
			return false;
	}
	return true;
}
