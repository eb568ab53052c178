#include "ctl/sendmail_input.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { PIECE_SIZE = 65536 };

/* What of a line was read; of those that may yet be a single "." nothing was given out. */
enum { AT_LINE, AFTER_DOT, AFTER_DOT_CR, IN_LINE };

static const int deadly[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
static volatile sig_atomic_t caught;

void
sendmail_input_init(struct sendmail_input *input, int fd, bool ignore_dots)
{
	*input = (struct sendmail_input){
	    .fd = fd, .ignore_dots = ignore_dots, .state = ignore_dots ? IN_LINE : AT_LINE};
}

/* Up to the line's end, with it. */
static const char *
pass_line(struct sendmail_input *i, const char *p, const char *end, struct str *out)
{
	const char *lf = memchr(p, '\n', (size_t)(end - p));
	const char *stop = lf != NULL ? lf + 1 : end;

	str_append(out, p, (size_t)(stop - p));
	if (lf != NULL)
		i->state = AT_LINE;
	return stop;
}

/* It is more than a dot: what was held back belongs to the message, and *p is looked at again. */
static void
release_dot(struct sendmail_input *i, struct str *out)
{
	str_append(out, ".\r", i->state == AFTER_DOT_CR ? 2 : 1);
	i->state = IN_LINE;
}

static const char *
judge_dot(struct sendmail_input *i, const char *p, struct str *out)
{
	if (*p == '\n')
		i->is_over = true;
	else if (*p == '\r' && i->state == AFTER_DOT)
		i->state = AFTER_DOT_CR;
	else {
		release_dot(i, out);
		return p;
	}
	return p + 1;
}

void
sendmail_input_scan(struct sendmail_input *i, const char *in, size_t len, struct str *out)
{
	const char *p = in, *end = in + len;

	if (i->ignore_dots) {
		str_append(out, in, len);
		return;
	}
	while (p < end && !i->is_over) {
		if (i->state == AFTER_DOT || i->state == AFTER_DOT_CR) {
			p = judge_dot(i, p, out);
		} else if (i->state == AT_LINE && *p == '.') {
			i->state = AFTER_DOT;
			p++;
		} else {
			i->state = IN_LINE;
			p = pass_line(i, p, end, out);
		}
	}
}

/*
 * False when a signal came.  It may come at any time, also between a look at the flag and the wait,
 * and then must end the wait: so it is let in only there.
 */
static bool
wait_readable(const struct sendmail_input *i)
{
	struct pollfd pollfd = {.fd = i->fd, .events = POLLIN};
	sigset_t blocked, before;

	sigemptyset(&blocked);
	for (size_t n = 0; n < sizeof deadly / sizeof *deadly; n++)
		sigaddset(&blocked, deadly[n]);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	while (!caught && ppoll(&pollfd, 1, NULL, &before) < 0 && errno == EINTR)
		continue;
	sigprocmask(SIG_SETMASK, &before, NULL);
	return !caught;
}

enum sendmail_read
sendmail_input_read(struct sendmail_input *i, struct str *out)
{
	static char piece[PIECE_SIZE];
	ssize_t n = -1;

	do {
		if (!wait_readable(i))
			return SENDMAIL_READ_INTERRUPTED;
		n = read(i->fd, piece, sizeof piece);
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	if (n < 0)
		return SENDMAIL_READ_FAILED;
	if (n == 0)
		i->is_over = true;
	else
		sendmail_input_scan(i, piece, (size_t)n, out);
	return i->is_over ? SENDMAIL_READ_OVER : SENDMAIL_READ_SOME;
}

static void
on_signal(int number)
{
	caught = number;
}

void
sendmail_input_catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, was;

	sigemptyset(&action.sa_mask);
	for (size_t n = 0; n < sizeof deadly / sizeof *deadly; n++)
		if (sigaction(deadly[n], NULL, &was) == 0 && was.sa_handler != SIG_IGN)
			sigaction(deadly[n], &action, NULL);
	signal(SIGXFSZ, SIG_IGN);
}

void
sendmail_input_die(void)
{
	signal(caught, SIG_DFL);
	raise(caught);
	exit(EX_TEMPFAIL);
}
