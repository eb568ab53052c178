#include "unit.h"

#include "net_peer.h"

#include "base/xalloc.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* The server's side is driven by the test itself, so that it decides where the stream is cut. */
struct fixture {
	struct client c;
	int listener;
	int fd;
};

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);
	uint16_t port = 0;

	f->fd = -1;
	f->listener = listen_on("127.0.0.1", &port);
	client_init(&f->c, port);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	client_clear(&f->c);
	close(f->listener);
	if (f->fd >= 0)
		close(f->fd);
	free(f);
	return 0;
}

static void
start(struct fixture *f)
{
	client_start(&f->c);
	if (f->fd >= 0)
		close(f->fd);
	client_run_until(&f->c, "connected ");
	f->fd = accept_one(f->listener);
}

static void
say(struct fixture *f, const void *data, size_t len)
{
	assert_int_equal(send(f->fd, data, len, MSG_NOSIGNAL), len);
}

/* Sends the octets in two pieces of which the client has seen the first before the second goes. */
static void
say_cut(struct fixture *f, const char *data, size_t len, size_t cut)
{
	uint64_t before = conn_octets_in(f->c.conn);

	if (cut > 0)
		say(f, data, cut);
	client_run_until_in(&f->c, before + cut);
	if (cut < len)
		say(f, data + cut, len - cut);
	client_run_until_in(&f->c, before + len);
}

/* The next octets that the client sent. */
static void
assert_sent_octets(struct fixture *f, const char *octets, size_t len)
{
	char got[4096];
	size_t have = 0;

	while (have < len) {
		ssize_t n;

		event_base_loop(f->c.base, EVLOOP_NONBLOCK);
		n = recv(f->fd, got + have, len - have, MSG_DONTWAIT);
		assert_true(n > 0 || (n < 0 && errno == EAGAIN));
		have += n > 0 ? (size_t)n : 0;
	}
	assert_memory_equal(got, octets, len);
}

static void
assert_sent(struct fixture *f, const char *text)
{
	assert_sent_octets(f, text, strlen(text));
}

/* -- lines and octets ------------------------------------------------------------------------- */

static void
lines_cut_at_each_byte(void **state)
{
	static const char stream[] = "one\r\n\r\ntwo\nthr\0ee\r\r\nf\roor\r\n";
	struct fixture *f = *state;
	size_t len = sizeof stream - 1;

	for (size_t cut = 0; cut <= len; cut++) {
		start(f);
		say_cut(f, stream, len, cut);
		assert_string_equal(str_text(&f->c.log),
		    "connecting connected <one> <> <two> <thr\\x00ee\\x0d> <f\\x0door> ");
		assert_int_equal(conn_octets_in(f->c.conn), len);
	}
}

/* "+OK n": n octets follow, then lines again. */
static size_t
count_body(struct client *c, enum conn_event event, const struct conn_info *info)
{
	size_t *left = c->arg, taken;

	if (event == CONN_LINE && strncmp(info->data, "+OK ", 4) == 0) {
		*left = strtoul(info->data + 4, NULL, 10);
		conn_expect_octets(c->conn);
	}
	if (event != CONN_OCTETS)
		return 0;
	taken = info->len < *left ? info->len : *left;
	*left -= taken;
	if (*left == 0)
		conn_expect_lines(c->conn);
	return taken;
}

static void
modes_switch_within_the_stream(void **state)
{
	static const char stream[] = "+OK 9\r\na\r\nb\r\n.\r\r\n+OK 1\r\nx-ERR\r\n";
	struct fixture *f = *state;
	static size_t left;
	size_t len = sizeof stream - 1;

	f->c.hook = count_body;
	f->c.arg = &left;
	for (size_t cut = 0; cut <= len; cut++) {
		start(f);
		say_cut(f, stream, len, cut);
		assert_string_equal(str_text(&f->c.log),
		    "connecting connected <+OK 9> "
		    "[a\\x0d\\x0ab\\x0d\\x0a.\\x0d\\x0d] <> <+OK 1> [x] <-ERR> ");
	}
}

static void
a_line_may_be_as_long_as_allowed(void **state)
{
	struct fixture *f = *state;
	char line[128];

	f->c.settings.line_max = 100;
	memset(line, 'x', sizeof line);
	memcpy(line + 100, "\r\n", 2);
	for (size_t cut = 95; cut <= 102; cut++) {
		start(f);
		say_cut(f, line, 102, cut);
		client_run_until(&f->c, "xx> ");
	}
	memset(line, 'x', sizeof line);
	for (size_t len = 101; len < 104; len++) {
		memcpy(line + len, "\r\n", 2);
		start(f);
		say(f, line, len + 2);
		client_run_until_failed(&f->c);
		assert_string_equal(
		    str_text(&f->c.log), "connecting connected failed(protocol/line) ");
		line[len] = 'x';
	}
	start(f);
	say(f, line, 102); /* no end in sight */
	client_run_until_failed(&f->c);
	assert_non_null(strstr(f->c.why.text, "a line of more than 100 octets"));
}

/* -- sending ---------------------------------------------------------------------------------- */

static size_t
answer_greeting(struct client *c, enum conn_event event, const struct conn_info *info)
{
	if (event == CONN_LINE) {
		conn_send(c->conn, "CAPA");
		conn_sendf(c->conn, "RETR %d", 7);
		conn_send_secret(c->conn, "PASS hunter2", "PASS ****");
		conn_send_octets(c->conn, ".\r\n", 3);
		assert_int_equal(conn_unsent(c->conn), 6 + 8 + 14 + 3);
	}
	return info->len;
}

static void
what_is_sent_in_one_callback_leaves_together(void **state)
{
	struct fixture *f = *state;
	char got[100];

	f->c.hook = answer_greeting;
	start(f);
	say(f, "+OK\r\n", 5);
	client_run_until(&f->c, "<+OK> ");
	assert_int_equal(recv(f->fd, got, sizeof got, 0), 31);
	assert_memory_equal(got, "CAPA\r\nRETR 7\r\nPASS hunter2\r\n.\r\n", 31);
	assert_int_equal(conn_unsent(f->c.conn), 0);
	assert_int_equal(conn_octets_out(f->c.conn), 31);
	conn_send(f->c.conn, "QUIT"); /* outside of a callback */
	assert_sent(f, "QUIT\r\n");
}

static size_t
note_drained(struct client *c, enum conn_event event, const struct conn_info *info)
{
	if (event == CONN_DRAINED)
		str_append_text(&c->log, "drained ");
	return info->len;
}

static void
a_slow_receiver_is_waited_for(void **state)
{
	const size_t size = 8 << 20;
	struct fixture *f = *state;
	char *big = xcalloc(1, size), got[65536];
	size_t total = 0;
	ssize_t n;

	f->c.hook = note_drained;
	start(f);
	conn_send_octets(f->c.conn, big, size);
	for (int i = 0; i < 100; i++)
		event_base_loop(f->c.base, EVLOOP_NONBLOCK);
	assert_in_range(conn_unsent(f->c.conn), 1, size - 1);
	assert_null(strstr(str_text(&f->c.log), "drained"));
	while (total < size) {
		event_base_loop(f->c.base, EVLOOP_NONBLOCK);
		n = recv(f->fd, got, sizeof got, MSG_DONTWAIT);
		total += n > 0 ? (size_t)n : 0;
	}
	client_run_until(&f->c, "drained ");
	assert_int_equal(conn_unsent(f->c.conn), 0);
	free(big);
}

static size_t
answer_to_a_dead_peer(struct client *c, enum conn_event event, const struct conn_info *info)
{
	size_t before = conn_unsent(c->conn);

	if (event == CONN_LINE) {
		conn_send(c->conn, "NOOP");
		assert_in_range(conn_unsent(c->conn), 1 << 20, SIZE_MAX);
		assert_int_equal(conn_unsent(c->conn), before + 6);
	}
	return info->len;
}

/* What is sent behind the end of writing has not left. */
static void
what_cannot_leave_is_unsent(void **state)
{
	const struct linger at_once = {.l_onoff = 1};
	const size_t size = 8 << 20;
	struct fixture *f = *state;
	char *big = xcalloc(1, size);

	f->c.hook = answer_to_a_dead_peer;
	start(f);
	conn_send_octets(f->c.conn, big, size);
	for (int i = 0; i < 100; i++)
		event_base_loop(f->c.base, EVLOOP_NONBLOCK);
	say(f, "+OK\r\n", 5);
	assert_int_equal(setsockopt(f->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
	close(f->fd);
	f->fd = -1;
	client_run_until_failed(&f->c);
	assert_non_null(strstr(str_text(&f->c.log), "<+OK> "));
	free(big);
}

/* -- back-pressure ---------------------------------------------------------------------------- */

static size_t
pause_on_line(struct client *c, enum conn_event event, const struct conn_info *info)
{
	if (event == CONN_LINE)
		conn_pause(c->conn);
	return info->len;
}

static void
nothing_comes_while_paused(void **state)
{
	struct fixture *f = *state;
	char filler[20000];

	memset(filler, '\n', sizeof filler);
	f->c.hook = pause_on_line;
	start(f);
	say(f, "one\r\ntwo\r\nthree", 15);
	client_run_until(&f->c, "<one> ");
	for (int i = 0; i < 100; i++) {
		(void)!send(f->fd, filler, sizeof filler, MSG_DONTWAIT);
		event_base_loop(f->c.base, EVLOOP_NONBLOCK);
	}
	assert_string_equal(str_text(&f->c.log), "connecting connected <one> ");
	assert_in_range(conn_octets_in(f->c.conn), 15, 1 << 20);
	shutdown(f->fd, SHUT_WR);
	conn_resume(f->c.conn);
	client_run_until(&f->c, "<two> ");
	conn_resume(f->c.conn);
	client_run_until(&f->c, "<three> ");
	f->c.hook = NULL;
	conn_resume(f->c.conn);
	client_run_until_failed(&f->c);
}

static size_t
pause_in_octets(struct client *c, enum conn_event event, const struct conn_info *info)
{
	if (event == CONN_LINE)
		conn_expect_octets(c->conn);
	if (event == CONN_OCTETS)
		conn_pause(c->conn);
	return info->len > 2 ? 2 : info->len;
}

static void
a_part_of_a_slice_may_be_taken(void **state)
{
	struct fixture *f = *state;

	f->c.hook = pause_in_octets;
	start(f);
	say(f, "\r\nabcde", 7);
	client_run_until(&f->c, "[ab] ");
	conn_resume(f->c.conn);
	client_run_until(&f->c, "[abcd] ");
	conn_resume(f->c.conn);
	client_run_until(&f->c, "[abcde] ");
	assert_int_equal(f->c.octets, 5);
}

/* -- ends ------------------------------------------------------------------------------------- */

static void
what_came_before_a_close_is_told(void **state)
{
	struct fixture *f = *state;

	f->c.hook = pause_on_line;
	start(f);
	say(f, "-ERR full\r\n-ERR bye\r\nrest", 25);
	close(f->fd);
	f->fd = -1;
	client_run_until(&f->c, "<-ERR full> ");
	conn_resume(f->c.conn);
	client_run_until(&f->c, "<-ERR bye> ");
	conn_resume(f->c.conn);
	client_run_until_failed(&f->c);
	assert_string_equal(str_text(&f->c.log),
	    "connecting connected <-ERR full> <-ERR bye> failed(network/closed) ");
	assert_non_null(strstr(f->c.why.text, "closed the connection in the middle of a line"));
	for (int i = 0; i < 10; i++)
		event_base_loop(f->c.base, EVLOOP_NONBLOCK);
	conn_send(f->c.conn, "NOOP"); /* does no harm */
	conn_resume(f->c.conn);
	event_base_loop(f->c.base, EVLOOP_NONBLOCK);
	assert_null(strstr(strstr(str_text(&f->c.log), "failed") + 1, "failed"));
}

static void
a_reset_is_told(void **state)
{
	struct fixture *f = *state;
	const struct linger at_once = {.l_onoff = 1};

	start(f);
	setsockopt(f->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	close(f->fd);
	f->fd = -1;
	client_run_until_failed(&f->c);
	assert_int_equal(f->c.why.kind, FAIL_NETWORK);
	assert_non_null(strstr(f->c.why.text, "Connection reset by peer"));
}

/* The server says why, closes, and our next command meets a reset: the reason still counts. */
static void
a_reason_outlives_the_reset_of_the_next_command(void **state)
{
	struct fixture *f = *state;

	f->c.hook = pause_on_line;
	start(f);
	say(f, "+OK\r\n-ERR maintenance\r\n", 23);
	client_run_until(&f->c, "<+OK> ");
	close(f->fd);
	f->fd = -1;
	for (int i = 0; i < 3; i++) {
		conn_send(f->c.conn, "NOOP");
		for (int turn = 0; turn < 10; turn++)
			event_base_loop(f->c.base, EVLOOP_NONBLOCK);
	}
	f->c.hook = NULL;
	conn_resume(f->c.conn);
	client_run_until_failed(&f->c);
	assert_non_null(strstr(str_text(&f->c.log), "<-ERR maintenance> failed(network/"));
}

static void
a_dead_port_is_named(void **state)
{
	struct fixture *f = *state;
	char *text;

	f->c.endpoint.port = dead_port();
	client_start(&f->c);
	client_run_until_failed(&f->c);
	assert_string_equal(str_text(&f->c.log), "connecting failed(network/connect) ");
	text = xasprintf("127.0.0.1:%u: 127.0.0.1: Connection refused", f->c.endpoint.port);
	assert_non_null(strstr(f->c.why.text, text));
	free(text);
}

static void
a_silent_server_is_given_up(void **state)
{
	struct fixture *f = *state;

	f->c.settings.silence = 50;
	start(f);
	client_run_until_failed(&f->c);
	assert_string_equal(f->c.why.stage, "timeout");
	assert_non_null(strstr(f->c.why.text, ": no answer for 0.05 s; "));
}

static void
silence_counts_only_while_something_is_awaited(void **state)
{
	struct fixture *f = *state;

	f->c.settings.silence = 20;
	f->c.settings.deadline = 200;
	f->c.hook = pause_on_line;
	start(f);
	say(f, "+OK\r\n", 5);
	client_run_until(&f->c, "<+OK> ");
	client_run_until_failed(&f->c); /* paused: only the deadline is left */
	assert_string_equal(f->c.why.stage, "deadline");
	f->c.hook = NULL;
	start(f);
	conn_set_silence(f->c.conn, 0);
	client_run_until_failed(&f->c);
	assert_string_equal(f->c.why.stage, "deadline");
	start(f);
	conn_pause(f->c.conn);
	conn_resume(f->c.conn);
	client_run_until_failed(&f->c);
	assert_string_equal(f->c.why.stage, "timeout");
}

static void
a_dripping_server_is_given_up(void **state)
{
	struct fixture *f = *state;

	f->c.settings.silence = 100000;
	f->c.settings.deadline = 100;
	start(f);
	while (f->c.why.kind == FAIL_NONE) {
		if (conn_octets_in(f->c.conn) < 30000)
			(void)!send(f->fd, "x\r\n", 3, MSG_NOSIGNAL | MSG_DONTWAIT);
		event_base_loop(f->c.base, EVLOOP_ONCE);
	}
	assert_string_equal(f->c.why.stage, "deadline");
	assert_non_null(strstr(f->c.why.text, "no command completed and less than 64 KiB moved"));
}

/* -- freeing ---------------------------------------------------------------------------------- */

static size_t
free_on_event(struct client *c, enum conn_event event, const struct conn_info *info)
{
	if (event == *(enum conn_event *)c->arg) {
		conn_free(&c->conn);
		assert_null(c->conn);
		str_append_text(&c->log, "freed ");
	} else if (event == CONN_LINE) {
		conn_expect_octets(c->conn);
		conn_send(c->conn, "x");
	}
	return info->len;
}

static void
a_conn_may_be_freed_on_every_event(void **state)
{
	static enum conn_event events[] = {
	    CONN_CONNECTING, CONN_CONNECTED, CONN_LINE, CONN_OCTETS, CONN_DRAINED, CONN_FAILED};
	struct fixture *f = *state;

	f->c.hook = free_on_event;
	for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
		size_t end;

		f->c.arg = &events[i];
		f->fd = -1;
		f->c.endpoint.port = 0;
		close(f->listener); /* with the connections of the round before */
		f->listener = listen_on("127.0.0.1", &f->c.endpoint.port);
		client_start(&f->c);
		if (events[i] > CONN_CONNECTED) {
			client_run_until(&f->c, "connected ");
			f->fd = accept_one(f->listener);
			say(f, "a\r\nb\r\nc\r\n", 9);
		}
		if (events[i] == CONN_FAILED)
			shutdown(f->fd, SHUT_WR);
		while (strstr(str_text(&f->c.log), "freed ") == NULL)
			event_base_loop(f->c.base, EVLOOP_ONCE);
		end = f->c.log.len;
		for (int turn = 0; turn < 5; turn++)
			event_base_loop(f->c.base, EVLOOP_NONBLOCK);
		assert_true(f->c.log.len <= end + 2); /* "] " of the slice itself */
		if (f->fd >= 0)
			close(f->fd);
	}
	f->fd = -1;
}

static void
a_conn_may_be_freed_at_any_time(void **state)
{
	struct fixture *f = *state;

	for (int turns = 0; turns < 12; turns++) {
		client_start(&f->c);
		for (int i = 0; i < turns; i++)
			event_base_loop(f->c.base, EVLOOP_NONBLOCK);
		conn_free(&f->c.conn);
	}
	conn_free(&f->c.conn);
}

/* -- loopback, proxy -------------------------------------------------------------------------- */

static void
loopback_is_known(void **state)
{
	struct fixture *f = *state;

	start(f);
	assert_true(conn_is_loopback(f->c.conn));
	assert_false(conn_is_secured(f->c.conn));
	assert_null(conn_ssl(f->c.conn));
}

static void
start_proxied(struct fixture *f, struct proxy_config *proxy, const char *host)
{
	static char local[] = "127.0.0.1";

	*proxy = (struct proxy_config){
	    .host = local, .port = f->c.endpoint.port, .user = "me", .password = "secret"};
	f->c.endpoint.proxy = proxy;
	free(f->c.endpoint.host);
	f->c.endpoint.host = strdup(host);
	f->c.endpoint.port = 110;
	client_start(&f->c);
	client_run_until(&f->c, "connecting ");
	f->fd = accept_one(f->listener);
}

static void
a_proxy_is_gone_through(void **state)
{
	struct fixture *f = *state;
	struct proxy_config proxy;

	start_proxied(f, &proxy, "127.0.0.1");
	assert_sent_octets(f, "\5\2\0\2", 4);
	say(f, "\5\2", 2);
	assert_sent_octets(f, "\1\2me\6secret", 11);
	say(f, "\1\0", 2);
	assert_sent_octets(f, "\5\1\0\1\177\0\0\1\0\156", 10);
	assert_null(strstr(str_text(&f->c.log), "connected"));
	say(f, "\5\0\0\1\1\2\3\4\0\5+OK ready\r\n", 21);
	client_run_until(&f->c, "<+OK ready> ");
	assert_string_equal(str_text(&f->c.log), "connecting connected <+OK ready> ");
	assert_false(conn_is_loopback(f->c.conn));
	conn_send(f->c.conn, "QUIT");
	assert_sent(f, "QUIT\r\n");
	assert_int_equal(conn_octets_in(f->c.conn), 11);
	assert_int_equal(conn_octets_out(f->c.conn), 6);
}

static void
a_proxy_gets_names_in_a_labels(void **state)
{
	struct fixture *f = *state;
	struct proxy_config proxy;

	start_proxied(f, &proxy,
	    "b\xc3\xbc"
	    "cher.example");
	assert_sent_octets(f, "\5\2\0\2", 4);
	say(f, "\5\0", 2);
	assert_sent_octets(f, "\5\1\0\3\25xn--bcher-kva.example\0\156", 28);
}

static void
a_proxy_that_refuses_is_named(void **state)
{
	struct fixture *f = *state;
	struct proxy_config proxy;

	start_proxied(f, &proxy, "127.0.0.1");
	say(f, "\5\377", 2);
	client_run_until_failed(&f->c);
	assert_string_equal(str_text(&f->c.log), "connecting failed(network/proxy) ");
	assert_non_null(strstr(f->c.why.text, "127.0.0.1:110: the proxy"));
}

/* Else the password for the proxy would be the first that the server gets. */
static void
a_proxy_that_answers_before_it_is_asked_is_refused(void **state)
{
	struct fixture *f = *state;
	struct proxy_config proxy;

	start_proxied(f, &proxy, "127.0.0.1");
	say(f, "\5\2\1\0\5\0\0\1\1\2\3\4\0\5", 14);
	client_run_until_failed(&f->c);
	assert_string_equal(str_text(&f->c.log), "connecting failed(protocol/proxy) ");
}

static void
a_proxy_that_hangs_costs_the_budget_only(void **state)
{
	struct fixture *f = *state;
	struct proxy_config proxy;

	f->c.settings.connect_budget = 100;
	start_proxied(f, &proxy, "127.0.0.1");
	client_run_until_failed(&f->c);
	assert_string_equal(f->c.why.stage, "proxy");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(lines_cut_at_each_byte),
	    TEST(modes_switch_within_the_stream),
	    TEST(a_line_may_be_as_long_as_allowed),
	    TEST(what_is_sent_in_one_callback_leaves_together),
	    TEST(a_slow_receiver_is_waited_for),
	    TEST(what_cannot_leave_is_unsent),
	    TEST(nothing_comes_while_paused),
	    TEST(a_part_of_a_slice_may_be_taken),
	    TEST(what_came_before_a_close_is_told),
	    TEST(a_reset_is_told),
	    TEST(a_reason_outlives_the_reset_of_the_next_command),
	    TEST(a_dead_port_is_named),
	    TEST(a_silent_server_is_given_up),
	    TEST(silence_counts_only_while_something_is_awaited),
	    TEST(a_dripping_server_is_given_up),
	    TEST(a_conn_may_be_freed_on_every_event),
	    TEST(a_conn_may_be_freed_at_any_time),
	    TEST(loopback_is_known),
	    TEST(a_proxy_is_gone_through),
	    TEST(a_proxy_gets_names_in_a_labels),
	    TEST(a_proxy_that_refuses_is_named),
	    TEST(a_proxy_that_answers_before_it_is_asked_is_refused),
	    TEST(a_proxy_that_hangs_costs_the_budget_only),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
