#include "unit.h"

#include "control_fixture.h"

#include "base/str.h"
#include "base/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The conversation itself, with the real verbs behind it: lines, limits, and how it ends. */

static int
set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);

	fixture_set_up(f);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	fixture_tear_down(*state);
	free(*state);
	return 0;
}

static void
expect_next(struct fixture *f, int fd, const char *error_part)
{
	json_t *answer = fixture_answer(f, fd);

	if (strstr(fixture_error(answer), error_part) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", fixture_error(answer), error_part);
	assert_int_equal(json_is_true(json_object_get(answer, "ok")), *error_part == '\0');
	json_decref(answer);
}

static void
requests_may_be_cut_anywhere(void **state)
{
	static const char text[] = "version\r\nstatus nobody\npoll work\n";
	struct fixture *f = *state;

	fixture_start(f);
	for (size_t cut = 0; cut < sizeof text; cut++) {
		int fd = fixture_connect(f);

		assert_true(fixture_send(f, fd, text, cut));
		assert_true(fixture_send(f, fd, text + cut, sizeof text - 1 - cut));
		expect_next(f, fd, "");
		expect_next(f, fd, "no account");
		expect_next(f, fd, "");
		close(fd);
	}
	assert_int_equal(f->fetcher.polls, sizeof text);
}

static void
octet_by_octet(void **state)
{
	static const char text[] = "version\npoll work\n";
	struct fixture *f = *state;
	int fd;

	fixture_start(f);
	fd = fixture_connect(f);
	for (size_t i = 0; i < sizeof text - 1; i++)
		assert_true(fixture_send(f, fd, text + i, 1));
	expect_next(f, fd, "");
	expect_next(f, fd, "");
	close(fd);
}

static void
a_client_that_has_said_all_gets_every_answer(void **state)
{
	struct fixture *f = *state;
	int fd;

	fixture_start(f);
	fd = fixture_connect(f);
	assert_true(fixture_send_text(f, fd, "version\nxyzzy\nversion\n"));
	shutdown(fd, SHUT_WR);
	expect_next(f, fd, "");
	expect_next(f, fd, "unknown verb");
	expect_next(f, fd, "");
	assert_true(fixture_ended(f, fd));
	close(fd);
}

static void
a_request_that_was_cut_off_is_not_done(void **state)
{
	struct fixture *f = *state;
	int fd;

	fixture_start(f);
	fd = fixture_connect(f);
	assert_true(fixture_send_text(f, fd, "version\npoll work"));
	shutdown(fd, SHUT_WR);
	expect_next(f, fd, "");
	expect_next(f, fd, "no line end");
	assert_true(fixture_ended(f, fd));
	assert_int_equal(f->fetcher.polls, 0);
	close(fd);
}

static void
nul_is_refused_and_the_next_request_served(void **state)
{
	static const char text[] = "poll\0 work\nversion\n";
	struct fixture *f = *state;
	int fd;

	fixture_start(f);
	fd = fixture_connect(f);
	assert_true(fixture_send(f, fd, text, sizeof text - 1));
	expect_next(f, fd, "not UTF-8 text");
	expect_next(f, fd, "");
	assert_int_equal(f->fetcher.polls, 0);
	close(fd);
}

/* "version", blanks, and as many octets in all as wanted. */
static void
send_version(struct fixture *f, int fd, size_t len, const char *end)
{
	char *line = xmalloc(len + 1);

	memset(line, ' ', len);
	memcpy(line, "version", 7);
	line[len] = '\0';
	fixture_send(f, fd, line, len);
	fixture_send_text(f, fd, end);
	free(line);
}

static void
the_longest_line_is_4096_octets(void **state)
{
	static const struct {
		size_t len;
		const char *end;
		const char *error;
	} row[] = {
	    {4095, "\n", ""},
	    {4096, "\n", ""},
	    {4097, "\n", "longer than 4096"},
	    {4097, "", "longer than 4096"},
	    {8192, "\n", "longer than 4096"},
	    {500000, "\nversion\n", "longer than 4096"},
	};
	struct fixture *f = *state;

	fixture_start(f);
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		int fd = fixture_connect(f);

		send_version(f, fd, row[i].len, row[i].end);
		expect_next(f, fd, row[i].error);
		if (*row[i].error != '\0')
			assert_true(fixture_ended(f, fd));
		close(fd);
	}
}

static void
who_never_stops_sending_is_cut_off(void **state)
{
	struct fixture *f = *state;
	char much[8192];
	size_t sent = 0;
	int fd;

	memset(much, 'x', sizeof much);
	f->settings.limits.linger = 20000;
	fixture_start(f);
	fd = fixture_connect(f);
	while (sent < 64 * 1024 * 1024 && fixture_send(f, fd, much, sizeof much))
		sent += sizeof much;
	assert_in_range(sent, 1, 8 * 1024 * 1024);
	close(fd);
}

static void
idle_clients_are_told_so_and_closed(void **state)
{
	struct fixture *f = *state;
	int silent, slow;

	f->settings.limits.idle = 50;
	fixture_start(f);
	silent = fixture_connect(f);
	slow = fixture_connect(f);
	assert_true(fixture_send_text(f, slow, "versi"));
	expect_next(f, silent, "no request for 0.05 s");
	assert_true(fixture_ended(f, silent));
	expect_next(f, slow, "no request for 0.05 s");
	assert_true(fixture_ended(f, slow));
	close(silent);
	close(slow);
}

static void
too_many_clients_are_told_so_and_closed(void **state)
{
	struct fixture *f = *state;
	int fd[4], late[40];

	f->settings.limits.clients = 4;
	fixture_start(f);
	for (size_t i = 0; i < 4; i++) {
		fd[i] = fixture_connect(f);
		json_decref(fixture_ask(f, fd[i], "version"));
	}
	for (size_t i = 0; i < 40; i++)
		late[i] = fixture_connect(f);
	for (size_t i = 0; i < 40; i++) {
		expect_next(f, late[i], "too many clients");
		assert_true(fixture_ended(f, late[i]));
		close(late[i]);
	}
	for (size_t i = 0; i < 4; i++) {
		json_decref(fixture_ask(f, fd[i], "version"));
		close(fd[i]);
	}
	/* The places are free again as soon as the daemon has seen it. */
	for (;;) {
		json_t *answer;
		bool served;

		fd[0] = fixture_connect(f);
		answer = fixture_ask(f, fd[0], "version");
		served = json_is_true(json_object_get(answer, "ok"));
		json_decref(answer);
		close(fd[0]);
		if (served)
			break;
	}
}

static void
pipelined_answers_come_in_order_however_slowly_they_are_read(void **state)
{
	struct fixture *f = *state;
	struct str requests = STR_INIT;
	int fd;

	f->settings.limits.output_high = 4096;
	fixture_start(f);
	fd = fixture_connect(f);
	for (int i = 0; i < 500; i++)
		str_appendf(&requests, "status\nxyzzy%d\n", i);
	assert_true(fixture_send(f, fd, str_text(&requests), requests.len));
	for (int i = 0; i < 500; i++) {
		char part[32];

		snprintf(part, sizeof part, "\"xyzzy%d\"", i);
		expect_next(f, fd, "");
		expect_next(f, fd, part);
	}
	str_clear(&requests);
	close(fd);
}

/* Sends requests and reads no answer, until the daemon has had enough. */
static void
flood(struct fixture *f, int fd)
{
	struct str requests = STR_INIT;

	for (int i = 0; i < 100; i++)
		str_append_text(&requests, "status\n");
	while (fixture_send(f, fd, str_text(&requests), requests.len))
		;
	str_clear(&requests);
}

static void
who_does_not_read_is_dropped_when_stalled(void **state)
{
	struct fixture *f = *state;
	int fd, other;

	f->settings.limits.idle = 200;
	f->settings.limits.output_high = 4096;
	fixture_start(f);
	fd = fixture_connect(f);
	flood(f, fd);
	other = fixture_connect(f);
	json_decref(fixture_ask(f, other, "version"));
	close(fd);
	close(other);
}

static void
who_does_not_read_is_dropped_when_too_much_waits(void **state)
{
	struct fixture *f = *state;
	int fd;

	f->settings.limits.output_high = 1024 * 1024;
	f->settings.limits.output_max = 16 * 1024;
	fixture_start(f);
	fd = fixture_connect(f);
	flood(f, fd);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(requests_may_be_cut_anywhere, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(octet_by_octet, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		a_client_that_has_said_all_gets_every_answer, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		a_request_that_was_cut_off_is_not_done, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		nul_is_refused_and_the_next_request_served, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(the_longest_line_is_4096_octets, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(who_never_stops_sending_is_cut_off, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(idle_clients_are_told_so_and_closed, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		too_many_clients_are_told_so_and_closed, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		pipelined_answers_come_in_order_however_slowly_they_are_read, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		who_does_not_read_is_dropped_when_stalled, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		who_does_not_read_is_dropped_when_too_much_waits, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
