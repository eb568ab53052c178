#include "control/control_client.h"

#include "base/str.h"
#include "base/xalloc.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sysexits.h>
#include <unistd.h>

/* What a refused client may still send before it is cut off, octets. */
#define DISCARD_MAX 1048576

/*
 * READING waits for a line; HELD waits for the answer to one, or its next part; FLUSHING takes no
 * more requests and waits for the last answer to leave; LINGERING has sent everything and reads to
 * the end, so that the peer meets our answer and not a reset.
 */
enum client_state { CLIENT_READING, CLIENT_HELD, CLIENT_FLUSHING, CLIENT_LINGERING, CLIENT_OVER };

/* Owned by struct control; freed by it when closed() is called, or with it. */
struct control_client {
	enum client_state state;
	const struct control_limits *limits;
	const struct control_client_calls *calls;
	void *arg;
	struct bufferevent *bev;
	struct event *serve; /* a zero timer: the next turn of the loop */
	struct event *timer; /* idle while READING, the end while LINGERING */
	size_t discarded;
	bool eof;                /* the peer sends no more; it may still read */
	void (*more)(void *arg); /* the answer's next part; NULL: none is waited for */
	void *more_arg;
	bool watching;           /* control_client_watch() */
	struct evbuffer *pushed; /* waits for the end of an answer in parts; NULL: none is */
};

json_t *
control_client_text(const char *text)
{
	struct str escaped = STR_INIT;
	json_t *json;

	if (text == NULL)
		return json_null();
	json = json_string(text);
	if (json != NULL)
		return json;
	str_append_escaped(&escaped, text, strlen(text));
	json = json_string(str_text(&escaped));
	str_clear(&escaped);
	return json;
}

json_t *
control_client_error(const char *text)
{
	return json_pack("{s:b, s:o}", "ok", 0, "error", control_client_text(text));
}

json_t *
control_client_ok(void)
{
	return json_pack("{s:b}", "ok", 1);
}

static void
arm(struct event *timer, int64_t ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	event_add(timer, &tv);
}

/* One request each turn: a client that sends many ahead keeps nobody else waiting. */
static void
serve_later(struct control_client *c)
{
	if (!event_pending(c->serve, EV_TIMEOUT, NULL))
		arm(c->serve, 0);
}

/*
 * Not a read watermark: libevent 2.1 calls the read callback again and again, without end, while
 * the input stays at its high watermark.
 */
static void
limit_input(struct control_client *c)
{
	if (evbuffer_get_length(bufferevent_get_input(c->bev)) > c->limits->line + 1)
		bufferevent_disable(c->bev, EV_READ);
}

static void
read_more(struct control_client *c)
{
	if (!c->eof)
		bufferevent_enable(c->bev, EV_READ);
}

static size_t
unread_output(const struct control_client *c)
{
	return evbuffer_get_length(bufferevent_get_output(c->bev));
}

/* Ends in a later turn: callers up the stack still stand on c. */
static void
end_later(struct control_client *c)
{
	c->state = CLIENT_OVER;
	serve_later(c);
}

static void
on_flushed(struct control_client *c)
{
	if (c->eof) {
		end_later(c);
		return;
	}
	c->state = CLIENT_LINGERING;
	shutdown(control_client_fd(c), SHUT_WR);
	arm(c->timer, c->limits->linger);
}

/* Takes no more requests; what was sent ahead is thrown away. */
static void
finish(struct control_client *c)
{
	struct evbuffer *input = bufferevent_get_input(c->bev);

	evbuffer_drain(input, evbuffer_get_length(input));
	read_more(c);
	event_del(c->timer);
	c->state = CLIENT_FLUSHING;
	if (unread_output(c) == 0)
		on_flushed(c);
}

static void
write_answer(struct control_client *c, json_t *answer)
{
	struct evbuffer *output = bufferevent_get_output(c->bev);
	size_t unread = unread_output(c);
	char *text = answer != NULL ? json_dumps(answer, JSON_COMPACT) : NULL;

	json_decref(answer);
	if (text == NULL)
		text = xstrdup("{\"ok\":false,\"error\":\"the answer cannot be written as JSON\"}");
	if (evbuffer_add_printf(output, "%s\n", text) < 0)
		exit(EX_OSERR);
	free(text);
	if (unread > 0 && unread_output(c) > c->limits->output_max)
		end_later(c); /* does not read */
}

void
control_client_answer(struct control_client *c, json_t *answer)
{
	if (c->state != CLIENT_HELD) {
		json_decref(answer);
		return;
	}
	c->state = CLIENT_READING;
	write_answer(c, answer);
	serve_later(c);
}

static void
write_text(struct control_client *c, const char *text, size_t len)
{
	if (evbuffer_add(bufferevent_get_output(c->bev), text, len) < 0)
		exit(EX_OSERR);
}

/* Until the answer's end, what is pushed has to wait. */
static void
begin_parts(struct control_client *c)
{
	if (c->pushed == NULL)
		c->pushed = evbuffer_new();
	if (c->pushed == NULL)
		exit(EX_OSERR);
}

static void
end_parts(struct control_client *c)
{
	if (c->pushed == NULL)
		return;
	if (evbuffer_add_buffer(bufferevent_get_output(c->bev), c->pushed) < 0)
		exit(EX_OSERR);
	evbuffer_free(c->pushed);
	c->pushed = NULL;
}

void
control_client_answer_part(
    struct control_client *c, const char *text, size_t len, void (*more)(void *arg), void *arg)
{
	if (c->state != CLIENT_HELD)
		return;
	begin_parts(c);
	write_text(c, text, len);
	c->more = more;
	c->more_arg = arg;
	serve_later(c);
}

void
control_client_answer_end(struct control_client *c, const char *text, size_t len)
{
	if (c->state != CLIENT_HELD)
		return;
	write_text(c, text, len);
	write_text(c, "\n", 1);
	end_parts(c);
	c->more = NULL;
	c->state = CLIENT_READING;
	serve_later(c);
}

void
control_client_refuse(struct control_client *c, const char *text)
{
	if (c->state != CLIENT_OVER)
		write_answer(c, control_client_error(text));
	if (c->state != CLIENT_OVER)
		finish(c);
}

void
control_client_watch(struct control_client *c)
{
	c->watching = true;
}

bool
control_client_is_watching(const struct control_client *c)
{
	return c->watching;
}

/* What waits to be read is still sent, unless the client reads nothing any more. */
static void
drop_watcher(struct control_client *c)
{
	static const char text[] =
	    "{\"ok\":false,\"error\":\"events come faster than they are read; closing\"}\n";

	if (c->pushed != NULL) {
		end_later(c); /* in the middle of an answer there is no saying it */
		return;
	}
	write_text(c, text, sizeof text - 1);
	finish(c);
}

static size_t
pushed_unread(const struct control_client *c)
{
	return unread_output(c) + (c->pushed != NULL ? evbuffer_get_length(c->pushed) : 0);
}

void
control_client_push(struct control_client *c, const char *line, size_t len)
{
	struct evbuffer *to = c->pushed != NULL ? c->pushed : bufferevent_get_output(c->bev);

	if (c->state != CLIENT_READING && c->state != CLIENT_HELD)
		return;
	if (pushed_unread(c) + len > c->limits->output_max)
		drop_watcher(c);
	else if (evbuffer_add(to, line, len) < 0 || evbuffer_add(to, "\n", 1) < 0)
		exit(EX_OSERR);
}

/* Valid UTF-8 as jansson judges it, and no NUL. */
static bool
is_text(const char *line, size_t len)
{
	json_t *json = memchr(line, '\0', len) == NULL ? json_stringn(line, len) : NULL;

	json_decref(json);
	return json != NULL;
}

static void
refuse_long(struct control_client *c)
{
	char text[96];

	snprintf(text, sizeof text, "the request is longer than %zu octets", c->limits->line);
	control_client_refuse(c, text);
}

static void
serve_line(struct control_client *c, char *line, size_t len)
{
	event_del(c->timer);
	c->state = CLIENT_HELD;
	if (len > 0 && line[len - 1] == '\r')
		line[--len] = '\0';
	if (!is_text(line, len))
		control_client_answer(c, control_client_error("the request is not UTF-8 text"));
	else
		c->calls->request(c, line, c->arg);
}

/* The peer has closed, and not only said that it sends no more. */
static bool
is_gone(const struct control_client *c)
{
	struct pollfd p = {.fd = control_client_fd(c)};

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

/* No whole line is there.  A watcher that has said all may stay, and is looked after. */
static void
wait_for_line(struct control_client *c, size_t waiting)
{
	if (c->eof && waiting > 0)
		control_client_refuse(c, "the request has no line end; nothing was done");
	else if (c->eof && !(c->watching && !is_gone(c)))
		finish(c);
	else if ((c->eof || !c->watching) && !event_pending(c->timer, EV_TIMEOUT, NULL))
		arm(c->timer, c->limits->idle);
	read_more(c);
}

static void
serve_next(struct control_client *c)
{
	struct evbuffer *input = bufferevent_get_input(c->bev);
	size_t waiting = evbuffer_get_length(input);
	struct evbuffer_ptr end = evbuffer_search(input, "\n", 1, NULL);
	char *line;

	if (unread_output(c) > c->limits->output_high)
		return; /* write_cb() goes on */
	if (end.pos < 0 ? waiting > c->limits->line : (size_t)end.pos > c->limits->line) {
		refuse_long(c);
		return;
	}
	if (end.pos < 0) {
		wait_for_line(c, waiting);
		return;
	}
	line = xmalloc((size_t)end.pos + 1);
	evbuffer_remove(input, line, (size_t)end.pos + 1);
	line[end.pos] = '\0';
	serve_line(c, line, (size_t)end.pos);
	free(line);
}

/* The answer under way goes on, unless its client has not read enough: then write_cb() comes back.
 */
static void
continue_answer(struct control_client *c)
{
	void (*more)(void *arg) = c->more;

	if (more == NULL || unread_output(c) > c->limits->output_high)
		return;
	c->more = NULL;
	more(c->more_arg);
}

static void
serve_cb(evutil_socket_t fd, short what, void *arg)
{
	struct control_client *c = arg;

	(void)fd;
	(void)what;
	if (c->state == CLIENT_READING)
		serve_next(c);
	else if (c->state == CLIENT_HELD)
		continue_answer(c);
	else if (c->state == CLIENT_OVER)
		c->calls->closed(c, c->arg);
}

static void
on_idle(struct control_client *c)
{
	char text[96];

	if (unread_output(c) > 0) {
		arm(c->timer, c->limits->idle); /* busy reading; a stall has its own limit */
		return;
	}
	snprintf(text, sizeof text, "no request for %g s; closing", (double)c->limits->idle / 1000);
	control_client_refuse(c, text);
}

static void
timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct control_client *c = arg;

	(void)fd;
	(void)what;
	if (c->state == CLIENT_READING && c->watching)
		serve_later(c);
	else if (c->state == CLIENT_READING)
		on_idle(c);
	else if (c->state == CLIENT_LINGERING)
		end_later(c);
}

static void
discard_input(struct control_client *c)
{
	struct evbuffer *input = bufferevent_get_input(c->bev);

	c->discarded += evbuffer_get_length(input);
	evbuffer_drain(input, evbuffer_get_length(input));
	if (c->discarded > DISCARD_MAX)
		end_later(c);
}

static void
read_cb(struct bufferevent *bev, void *arg)
{
	struct control_client *c = arg;

	(void)bev;
	if (c->state == CLIENT_FLUSHING || c->state == CLIENT_LINGERING) {
		discard_input(c);
		return;
	}
	limit_input(c);
	if (c->state == CLIENT_READING)
		serve_later(c);
}

/* Everything so far has left. */
static void
write_cb(struct bufferevent *bev, void *arg)
{
	struct control_client *c = arg;

	(void)bev;
	if (c->state == CLIENT_READING || c->state == CLIENT_HELD)
		serve_later(c);
	else if (c->state == CLIENT_FLUSHING)
		on_flushed(c);
}

static void
on_eof(struct control_client *c)
{
	c->eof = true;
	if (c->state == CLIENT_READING)
		serve_later(c);
	else if (c->state == CLIENT_LINGERING)
		end_later(c);
}

static void
event_cb(struct bufferevent *bev, short what, void *arg)
{
	struct control_client *c = arg;

	(void)bev;
	if ((what & BEV_EVENT_EOF) != 0)
		on_eof(c);
	else if ((what & (BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT)) != 0)
		end_later(c);
}

struct control_client *
control_client_new(struct event_base *base, int fd, const struct control_limits *limits,
    const struct control_client_calls *calls, void *arg)
{
	struct control_client *c = xcalloc(1, sizeof *c);
	struct timeval stalled = {
	    .tv_sec = limits->idle / 1000, .tv_usec = limits->idle % 1000 * 1000};

	c->limits = limits;
	c->calls = calls;
	c->arg = arg;
	c->bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	c->serve = evtimer_new(base, serve_cb, c);
	c->timer = evtimer_new(base, timer_cb, c);
	if (c->bev == NULL || c->serve == NULL || c->timer == NULL)
		exit(EX_OSERR);
	bufferevent_setcb(c->bev, read_cb, write_cb, event_cb, c);
	bufferevent_set_timeouts(c->bev, NULL, &stalled);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	arm(c->timer, limits->idle);
	return c;
}

/* A last try for answers still waiting, without waiting. */
static void
flush_now(struct control_client *c)
{
	struct evbuffer_iovec piece[16];
	int n = evbuffer_peek(bufferevent_get_output(c->bev), -1, NULL, piece, 16);
	struct msghdr message = {
	    .msg_iov = (struct iovec *)piece, .msg_iovlen = (size_t)(n < 16 ? n : 16)};

	if (n > 0)
		(void)sendmsg(control_client_fd(c), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void
control_client_free(struct control_client **client)
{
	struct control_client *c = *client;

	*client = NULL;
	if (c == NULL)
		return;
	flush_now(c);
	if (c->pushed != NULL)
		evbuffer_free(c->pushed);
	bufferevent_free(c->bev);
	event_free(c->serve);
	event_free(c->timer);
	free(c);
}

int
control_client_fd(const struct control_client *c)
{
	return bufferevent_getfd(c->bev);
}
