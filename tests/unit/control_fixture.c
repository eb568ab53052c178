#include "unit.h"

#include "control_fixture.h"

#include "base/clock.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "deliver/smtp_session.h"
#include "fetch/pop3_session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE 30000

static int64_t waiting_since;

static void
note_reload(control_reload_done *done, void *done_arg, void *arg)
{
	struct fixture *f = arg;

	f->reloads++;
	f->reload_done = done;
	f->reload_arg = done_arg;
}

static void
note_stop(void *arg)
{
	((struct fixture *)arg)->stops++;
}

static int64_t
lag(void *arg)
{
	(void)arg;
	return 17;
}

static const struct control_calls calls = {note_reload, note_stop, lag};

static char personal[] = "personal", work[] = "work", outgoing[] = "outgoing";
static char smtp_host[] = "2001:db8::25";

static void
set_accounts(struct fixture *f)
{
	f->smtp.endpoint.host = smtp_host;
	f->smtp.endpoint.port = 587;
	f->accounts[0] = (struct account_config){.name = personal, .pop3 = &f->pop3};
	f->accounts[1] = (struct account_config){.name = work, .pop3 = &f->pop3, .smtp = &f->smtp};
	f->accounts[2] = (struct account_config){.name = outgoing, .smtp = &f->smtp};
	f->views[0] = (struct fetcher_view){.account = "work",
	    .state = "backoff",
	    .server = "pop.example.com:995",
	    .last_attempt = 1763633700123,
	    .next_attempt = 1763633760000,
	    .failures = 2,
	    .error_time = 1763633700124,
	    .error_kind = FAIL_NETWORK,
	    .error_text = "no route to pop.example.com",
	    .on_server = -1,
	    .expires_after = -1};
	f->views[1] = (struct fetcher_view){.account = "personal",
	    .state = "idle",
	    .server = "pop.example.org:995",
	    .last_attempt = 1763633700000,
	    .last_success = 1763633700000,
	    .next_attempt = 1763634000000,
	    .fetched = 12,
	    .fetched_octets = 34567,
	    .on_server = 4,
	    .skipped_large = 1,
	    .expires_after = 7,
	    .left_out = POP3_FEATURE_CAPA | POP3_FEATURE_PIPELINING};
	f->views[2] = (struct fetcher_view){
	    .account = "outgoing", .state = "disabled", .on_server = -1, .expires_after = -1};
	f->fetcher = (struct fetcher){.views = f->views, .count = 3};
	f->sending[0] = (struct deliverer_view){.account = "personal", .state = "disabled"};
	f->sending[1] = (struct deliverer_view){.account = "work",
	    .state = "backoff",
	    .server = "smtp.example.com:465",
	    .last_attempt = 1763633700123,
	    .next_attempt = 1763633760000,
	    .failures = 1,
	    .failing_since = 1763633700120,
	    .error_time = 1763633700124,
	    .error_kind = FAIL_TLS,
	    .error_text = "the certificate has expired",
	    .sent = 7,
	    .sent_octets = 7000,
	    .left_out = SMTP_SHORT_CHUNKING | SMTP_SHORT_SMTPUTF8,
	    .queued = 3};
	f->sending[2] = (struct deliverer_view){.account = "outgoing",
	    .state = "sending",
	    .server = "smtp.example.org:465",
	    .last_attempt = 1763633700000,
	    .last_success = 1763633700001};
	f->deliverer =
	    (struct deliverer){.queue = {.base = f->base}, .views = f->sending, .count = 3};
}

void
fixture_set_up(struct fixture *f)
{
	*f = (struct fixture){0};
	signal(SIGPIPE, SIG_IGN);
	f->base = event_base_new();
	snprintf(f->directory, sizeof f->directory, "/tmp/test_control.XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	snprintf(f->socket, sizeof f->socket, "%s/run/control", f->directory);
	set_accounts(f);
	f->config = (struct config){.refs = 1,
	    .accounts = f->accounts,
	    .account_count = 3,
	    .control = {.socket = f->socket, .mode = 0660}};
	f->settings = (struct control_settings){.base = f->base,
	    .fetcher = &f->fetcher,
	    .events = &f->events,
	    .config = &f->config,
	    .listen_fd = -1,
	    .version = "1.2.3",
	    .started = clock_wall(),
	    .calls = &calls,
	    .arg = f};
}

void
fixture_start(struct fixture *f)
{
	struct verdict why = VERDICT_OK;

	f->control = control_new(&f->settings, &why);
	if (f->control == NULL)
		fail_msg("%s", why.text);
}

void
fixture_tear_down(struct fixture *f)
{
	char run[80];

	control_free(&f->control);
	assert_int_equal(f->config.refs, 1);
	event_base_free(f->base);
	snprintf(run, sizeof run, "%s/run", f->directory);
	rmdir(run);
	assert_int_equal(rmdir(f->directory), 0);
}

void
fixture_turn(struct fixture *f)
{
	event_base_loop(f->base, EVLOOP_NONBLOCK);
	poll(NULL, 0, 1);
	if (clock_mono() - waiting_since > PATIENCE)
		fail_msg("nothing came of it in half a minute");
}

int
fixture_connect(const struct fixture *f)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", f->config.control.socket);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

bool
fixture_send(struct fixture *f, int fd, const void *data, size_t len)
{
	const char *p = data;

	waiting_since = clock_mono();
	while (len > 0) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			return false;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
		fixture_turn(f);
	}
	return true;
}

bool
fixture_send_text(struct fixture *f, int fd, const char *text)
{
	return fixture_send(f, fd, text, strlen(text));
}

/* Takes what has come of the line, its end too: true once that is there; n is recv(2)'s. */
static bool
take_piece(int fd, struct str *line, ssize_t *n)
{
	char piece[65536];
	const char *end;
	bool whole;

	*n = recv(fd, piece, sizeof piece, MSG_PEEK);
	if (*n <= 0)
		return false;
	end = memchr(piece, '\n', (size_t)*n);
	whole = end != NULL;
	*n = recv(fd, piece, whole ? (size_t)(end - piece) + 1 : (size_t)*n, 0);
	str_append(line, piece, (size_t)*n - whole);
	waiting_since = clock_mono();
	return whole;
}

char *
fixture_line(struct fixture *f, int fd)
{
	struct str line = STR_INIT;
	ssize_t n;

	waiting_since = clock_mono();
	while (!take_piece(fd, &line, &n)) {
		if (n == 0 || (n < 0 && errno != EAGAIN)) {
			str_clear(&line);
			return NULL;
		}
		if (n < 0)
			fixture_turn(f);
	}
	return str_take(&line);
}

json_t *
fixture_answer(struct fixture *f, int fd)
{
	char *line = fixture_line(f, fd);
	json_error_t error;
	json_t *answer;

	assert_non_null(line);
	answer = json_loads(line, 0, &error);
	if (answer == NULL)
		fail_msg("%s in %s", error.text, line);
	free(line);
	assert_true(json_is_boolean(json_object_get(answer, "ok")));
	return answer;
}

json_t *
fixture_ask(struct fixture *f, int fd, const char *line)
{
	assert_true(fixture_send_text(f, fd, line));
	assert_true(fixture_send_text(f, fd, "\n"));
	return fixture_answer(f, fd);
}

bool
fixture_ended(struct fixture *f, int fd)
{
	char *line = fixture_line(f, fd);
	bool ended = line == NULL;

	free(line);
	return ended;
}

const char *
fixture_error(const json_t *answer)
{
	const char *error = json_string_value(json_object_get(answer, "error"));

	return json_is_true(json_object_get(answer, "ok")) || error == NULL ? "" : error;
}

void
fixture_expect_error(struct fixture *f, int fd, const char *request, const char *part)
{
	json_t *answer = fixture_ask(f, fd, request);

	if (strstr(fixture_error(answer), part) == NULL)
		fail_msg("\"%s\": \"%s\" lacks \"%s\"", request, fixture_error(answer), part);
	json_decref(answer);
}

void
fixture_expect_ok(struct fixture *f, int fd, const char *request)
{
	json_t *answer = fixture_ask(f, fd, request);

	assert_string_equal(fixture_error(answer), "");
	assert_true(json_is_true(json_object_get(answer, "ok")));
	json_decref(answer);
}

void
fixture_expect_json(const json_t *json, const char *path, const char *expected)
{
	char *steps = xstrdup(path), *rest = NULL, *text;

	for (char *step = strtok_r(steps, ".", &rest); step != NULL;
	     step = strtok_r(NULL, ".", &rest)) {
		if (json_is_array(json))
			json = json_array_get(json, strtoul(step, NULL, 10));
		else
			json = json_object_get(json, step);
	}
	if (json == NULL)
		fail_msg("no %s", path);
	text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
	if (strcmp(text, expected) != 0)
		fail_msg("%s: %s, not %s", path, text, expected);
	free(text);
	free(steps);
}
