#include "ctl/ctl_ask.h"

#include "base/xalloc.h"
#include "ctl/ctl_text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

/* No daemon says more; what does is no daemon. */
#define ANSWER_MAX (256u * 1024 * 1024)

static void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void
complain(const char *format, ...)
{
	struct str text = STR_INIT, safe = STR_INIT;
	va_list ap;

	va_start(ap, format);
	str_vappendf(&text, format, ap);
	va_end(ap);
	ctl_text_append(&safe, str_text(&text), false);
	fprintf(stderr, "postriderctl: %s\n", str_text(&safe));
	str_clear(&text);
	str_clear(&safe);
}

static void
set_timeout(int fd, int option, int seconds)
{
	struct timeval tv = {.tv_sec = seconds};

	(void)setsockopt(fd, SOL_SOCKET, option, &tv, sizeof tv);
}

/* Returns a connected descriptor, or -1 with errno. */
static int
connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, error;

	if (strlen(path) >= sizeof address.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	set_timeout(fd, SO_SNDTIMEO, CTL_ASK_PATIENCE);
	if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* Why nobody was reached, and what to do about it. */
static int
explain(const struct ctl_places *places, size_t which, int error)
{
	char *start;

	if (error == EACCES || error == EPERM) {
		complain(
		    "may not connect to %s: %s; the daemon's user, root and the socket's group may "
		    "(see control.mode and control.group in postrider.conf(5))",
		    places->path[which], strerror(error));
		return EX_NOPERM;
	}
	for (size_t i = 0; i < places->count; i++) {
		start = ctl_place_start_command(places, places->path[i]);
		complain("no daemon on %s%s%s; to start it: %s", places->path[i],
		    i == which ? ": " : "", i == which ? strerror(error) : "", start);
		free(start);
	}
	if (places->fault != NULL)
		complain("looked in the usual places, because: %s", places->fault);
	return EX_UNAVAILABLE;
}

/* Returns a connected descriptor, or -1 with *code set. */
static int
connect_any(const struct ctl_places *places, int *code)
{
	size_t which = 0;
	int error = 0;

	for (size_t i = 0; i < places->count; i++) {
		int fd = connect_to(places->path[i]);

		if (fd >= 0)
			return fd;
		/* A refusal says more than a place that is empty. */
		if (error == 0 || error == ENOENT) {
			error = errno;
			which = i;
		}
	}
	*code = explain(places, which, error);
	return -1;
}

/* A daemon that refuses at once may close before it has read: its answer is still there. */
static void
send_line(int fd, const char *request)
{
	char *line = xasprintf("%s\n", request);
	size_t len = strlen(line), sent = 0;

	while (sent < len) {
		ssize_t n = send(fd, line + sent, len - sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		sent += (size_t)n;
	}
	free(line);
}

int
ctl_ask_no_answer(void)
{
	complain("the daemon is there but has not answered for %d s; its log may say why",
	    CTL_ASK_PATIENCE);
	return EX_UNAVAILABLE;
}

static int
receive_line(int fd, struct str *answer)
{
	char piece[16384];

	for (;;) {
		ssize_t n = recv(fd, piece, sizeof piece, 0);
		const char *end = n > 0 ? memchr(piece, '\n', (size_t)n) : NULL;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return ctl_ask_no_answer();
		if (n <= 0) {
			complain("the daemon closed the connection without an answer%s%s",
			    n < 0 ? ": " : "", n < 0 ? strerror(errno) : "");
			return EX_UNAVAILABLE;
		}
		str_append(answer, piece, end != NULL ? (size_t)(end - piece) : (size_t)n);
		if (end != NULL)
			return EX_OK;
		if (answer->len > ANSWER_MAX) {
			complain("the answer does not end; is this postriderd's socket?");
			return EX_PROTOCOL;
		}
	}
}

int
ctl_ask(const struct ctl_places *places, const char *request, bool patient, struct str *answer)
{
	int code = EX_OK;
	int fd = connect_any(places, &code);

	if (fd < 0)
		return code;
	if (!patient)
		set_timeout(fd, SO_RCVTIMEO, CTL_ASK_PATIENCE);
	send_line(fd, request);
	(void)shutdown(fd, SHUT_WR);
	code = receive_line(fd, answer);
	close(fd);
	return code;
}

/* The sending side stays open: its end would tell the daemon less than that of the process. */
int
ctl_ask_open(const struct ctl_places *places, const char *request, int *code)
{
	int fd = connect_any(places, code);

	if (fd >= 0)
		send_line(fd, request);
	return fd;
}

void
ctl_ask_print_refusal(const json_t *answer)
{
	const char *error = json_string_value(json_object_get(answer, "error"));
	const json_t *faults = json_object_get(answer, "faults");
	struct str s = STR_INIT;
	const json_t *fault;
	size_t i;

	str_append_text(&s, "postriderctl: ");
	ctl_text_append(
	    &s, error != NULL ? error : "the daemon refuses, and does not say why", false);
	json_array_foreach(faults, i, fault)
	{
		const char *text = json_string_value(fault);

		str_append_text(&s, "\n  ");
		ctl_text_append(&s, text != NULL ? text : "-", false);
	}
	fprintf(stderr, "%s\n", str_text(&s));
	str_clear(&s);
}
