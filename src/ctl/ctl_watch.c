#include "ctl/ctl_watch.h"

#include "ctl/ctl_ask.h"
#include "ctl/ctl_event.h"
#include "ctl/ctl_json.h"
#include "ctl/ctl_text.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

/* No event is longer. */
#define LINE_MAX_OCTETS (1024u * 1024)

/* Goes on; every other code ends it. */
#define GO_ON (-1)

struct watch {
	struct ctl_screen screen;
	bool json;
	bool answered; /* with {"ok":true} */
	struct str input;
};

/* Not by stdio: each line goes out at once, and nobody reading it is no fault. */
static int
write_out(const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(STDOUT_FILENO, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EPIPE)
			return EX_OK;
		if (n < 0) {
			fprintf(stderr, "postriderctl: cannot write: %s\n", strerror(errno));
			return EX_IOERR;
		}
		text += n;
		len -= (size_t)n;
	}
	return GO_ON;
}

static int
complain(const char *text, int code)
{
	fprintf(stderr, "postriderctl: %s\n", text);
	return code;
}

static int
print_event(const struct watch *w, const json_t *event)
{
	struct str line = STR_INIT;
	int code;

	ctl_event_append(&line, event, &w->screen);
	code = write_out(str_text(&line), line.len);
	str_clear(&line);
	return code;
}

/* A line of the daemon: the answer to the request, an event, or why there are no more. */
static int
take_json(struct watch *w, const json_t *json)
{
	const json_t *ok = json_object_get(json, "ok");

	if (json_is_false(ok)) {
		if (!w->json)
			ctl_ask_print_refusal(json);
		return CTL_EXIT_REFUSED;
	}
	if (json_is_true(ok) && !w->answered) {
		w->answered = true;
		return GO_ON;
	}
	if (!w->answered || ctl_json_text(json, "event") == NULL)
		return complain(
		    "the answer is not understood; is this postriderd's socket?", EX_PROTOCOL);
	return w->json ? GO_ON : print_event(w, json);
}

/* len: with its end. */
static int
take_line(struct watch *w, const char *line, size_t len)
{
	json_t *json = json_loadb(line, len, 0, NULL);
	int code = GO_ON;

	if (w->json && json != NULL)
		code = write_out(line, len);
	if (code == GO_ON)
		code = take_json(w, json);
	json_decref(json);
	return code;
}

static int
take_lines(struct watch *w)
{
	const char *text = str_text(&w->input), *end;
	size_t taken = 0, left;
	int code = GO_ON;

	while (code == GO_ON && (end = memchr(text + taken, '\n', w->input.len - taken)) != NULL) {
		size_t len = (size_t)(end + 1 - text) - taken;

		code = take_line(w, text + taken, len);
		taken += len;
	}
	left = w->input.len - taken;
	if (taken > 0 && left > 0)
		memmove(w->input.data, w->input.data + taken, left);
	str_truncate(&w->input, left);
	if (code == GO_ON && left > LINE_MAX_OCTETS)
		return complain("a line does not end; is this postriderd's socket?", EX_PROTOCOL);
	return code;
}

static int
take_input(struct watch *w, int fd)
{
	char piece[16384];
	ssize_t n = recv(fd, piece, sizeof piece, 0);

	if (n < 0 && errno == EINTR)
		return GO_ON;
	if (n <= 0 && w->answered)
		return complain("the daemon has ended", EX_UNAVAILABLE);
	if (n <= 0)
		return complain(
		    "the daemon closed the connection without an answer", EX_UNAVAILABLE);
	str_append(&w->input, piece, (size_t)n);
	return take_lines(w);
}

/* Standard output is watched too: whoever read it may be gone long before the next event. */
static int
wait_and_take(struct watch *w, int fd)
{
	struct pollfd p[] = {{.fd = fd, .events = POLLIN}, {.fd = STDOUT_FILENO}};
	int n = poll(p, 2, w->answered ? -1 : CTL_ASK_PATIENCE * 1000);

	if (n < 0 && errno != EINTR)
		return complain(strerror(errno), EX_OSERR);
	if (n == 0)
		return ctl_ask_no_answer();
	if (n > 0 && (p[1].revents & (POLLERR | POLLHUP)) != 0)
		return EX_OK;
	return n > 0 && p[0].revents != 0 ? take_input(w, fd) : GO_ON;
}

int
ctl_watch(const struct ctl_places *places, const char *request, bool json)
{
	struct watch w = {.json = json};
	int code = GO_ON;
	int fd = ctl_ask_open(places, request, &code);

	if (fd < 0)
		return code;
	signal(SIGPIPE, SIG_IGN);
	ctl_text_init_screen(&w.screen);
	while (code == GO_ON)
		code = wait_and_take(&w, fd);
	close(fd);
	str_clear(&w.input);
	return code;
}
