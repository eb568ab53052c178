#include "net/connect_attempt.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

void
connect_attempt_init(struct attempt *a, const struct address *address)
{
	*a = (struct attempt){.address = *address, .fd = -1};
}

void
connect_attempt_stop(struct attempt *a)
{
	if (a->event != NULL)
		event_free(a->event);
	a->event = NULL;
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
	if (a->error != 0)
		a->state = ATTEMPT_FAILED;
	else if (a->state == ATTEMPT_TRYING)
		a->state = ATTEMPT_LEFT;
}

int
connect_attempt_take(struct attempt *a)
{
	int fd = a->fd;

	a->fd = -1;
	connect_attempt_stop(a);
	a->state = ATTEMPT_WON;
	return fd;
}

/* A dead port in the ephemeral range of this machine may be connected to itself. */
static bool
is_self_connected(int fd)
{
	struct address ours = {.len = sizeof ours.in6}, theirs = {.len = sizeof theirs.in6};

	if (getsockname(fd, &ours.any, &ours.len) != 0 ||
	    getpeername(fd, &theirs.any, &theirs.len) != 0)
		return false;
	return ours.len == theirs.len && memcmp(&ours.any, &theirs.any, ours.len) == 0;
}

static void
writable_cb(evutil_socket_t fd, short what, void *arg)
{
	struct attempt *a = arg;
	socklen_t len = sizeof a->error;

	(void)what;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &a->error, &len) != 0)
		a->error = errno;
	if (a->error == 0 && is_self_connected(fd))
		a->error = ECONNREFUSED;
	a->cb(a, a->arg);
}

static bool
failed(struct attempt *a, const char *action)
{
	a->error = errno;
	a->action = action;
	return false;
}

static bool
bind_local(struct attempt *a, const struct address *local)
{
	const int on = 1;

	if (local == NULL)
		return true;
	/* The port is picked at connect(2), so that many may share one local address. */
	setsockopt(a->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
	return bind(a->fd, &local->any, local->len) == 0 || failed(a, "bind");
}

bool
connect_attempt_start(struct attempt *a, struct event_base *base, const struct address *local,
    connect_attempt_cb *cb, void *arg)
{
	const int on = 1;

	a->cb = cb;
	a->arg = arg;
	a->fd = socket(a->address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (a->fd < 0)
		return failed(a, "socket");
	setsockopt(a->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(a->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	if (!bind_local(a, local))
		return false;
	if (connect(a->fd, &a->address.any, a->address.len) != 0 && errno != EINPROGRESS)
		return failed(a, NULL);
	a->event = event_new(base, a->fd, EV_WRITE, writable_cb, a);
	if (a->event == NULL)
		exit(EX_OSERR);
	event_add(a->event, NULL);
	a->state = ATTEMPT_TRYING;
	return true;
}

static const char *
reason(const struct attempt *a)
{
	if (a->state == ATTEMPT_TRYING)
		return "timed out";
	if (a->state == ATTEMPT_UNTRIED)
		return "not tried any more";
	return strerror(a->error);
}

void
connect_attempt_describe(const struct attempt *a, struct str *text)
{
	char address[ADDRESS_TEXT_SIZE];

	str_appendf(text, "%s: ", address_format(&a->address, false, address));
	if (a->action != NULL)
		str_appendf(text, "%s: ", a->action);
	str_append_text(text, reason(a));
}

bool
connect_attempt_is_local(const struct attempt *a)
{
	return a->error == EMFILE || a->error == ENFILE || a->error == ENOBUFS ||
	       a->error == ENOMEM;
}
