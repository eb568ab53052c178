#include "unit.h"

#include "control_fixture.h"

#include "base/xalloc.h"

#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* By now the daemon has read what was sent before. */
static void
expect_service(struct fixture *f)
{
	int fd = fixture_connect(f);

	fixture_expect_ok(f, fd, "version");
	close(fd);
}

static void
status_has_every_field(void **state)
{
	static const char *const row[][2] = {
	    {"version", "\"1.2.3\""},
	    {"state", "\"running\""},
	    {"uptime", "0"},
	    {"loop", "{\"lag_max_ms\":17}"},
	    {"queue", "{\"messages\":0,\"octets\":0,\"deferred\":0,\"held\":0,\"failed\":0,"
		      "\"oldest\":null}"},
	    {"accounts.0.name", "\"personal\""},
	    {"accounts.0.pop3",
		"{\"state\":\"idle\",\"server\":\"pop.example.org:995\","
		"\"last_attempt\":\"2025-11-20T10:15:00.000Z\","
		"\"last_success\":\"2025-11-20T10:15:00.000Z\","
		"\"next_attempt\":\"2025-11-20T10:20:00.000Z\",\"failures\":0,\"failing_since\":"
		"null,\"last_error\":null,"
		"\"fetched\":12,\"fetched_octets\":34567,\"on_server\":4,\"skipped_large\":1,"
		"\"expires_after\":7,\"left_out\":[\"CAPA\",\"PIPELINING\"],"
		"\"certificate_expires\":null}"},
	    {"accounts.0.smtp", "{\"state\":\"disabled\",\"server\":null,\"last_attempt\":null,"
				"\"last_success\":null,"
				"\"next_attempt\":null,\"failures\":0,\"failing_since\":null,"
				"\"last_error\":null,\"sent\":"
				"0,\"sent_octets\":"
				"0,"
				"\"queued\":0,\"left_out\":[],\"certificate_expires\":null}"},
	    {"accounts.1.name", "\"work\""},
	    {"accounts.1.pop3.last_error",
		"{\"time\":\"2025-11-20T10:15:00.124Z\",\"kind\":\"network\","
		"\"text\":\"no route to pop.example.com\"}"},
	    {"accounts.1.pop3.last_success", "null"},
	    {"accounts.1.pop3.on_server", "null"},
	    {"accounts.1.pop3.expires_after", "null"},
	    {"accounts.1.pop3.left_out", "[]"},
	    {"accounts.1.pop3.failures", "2"},
	    {"accounts.1.smtp.state", "\"idle\""},
	    {"accounts.1.smtp.server", "\"[2001:db8::25]:587\""},
	    {"accounts.2.pop3.state", "\"disabled\""},
	    {"accounts.2.pop3.server", "null"},
	};
	struct fixture *f = *state;
	json_t *answer;
	int fd;

	fixture_start(f);
	fd = fixture_connect(f);
	answer = fixture_ask(f, fd, "status");
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
		fixture_expect_json(answer, row[i][0], row[i][1]);
	assert_int_equal(json_integer_value(json_object_get(answer, "pid")), getpid());
	assert_int_equal(strlen(json_string_value(json_object_get(answer, "started"))), 24);
	assert_int_equal(json_array_size(json_object_get(answer, "accounts")), 3);
	json_decref(answer);
	close(fd);
}

static void
status_shows_one_account(void **state)
{
	struct fixture *f = *state;
	json_t *answer;
	int fd;

	fixture_start(f);
	fd = fixture_connect(f);
	answer = fixture_ask(f, fd, "\tstatus   work \r");
	assert_int_equal(json_array_size(json_object_get(answer, "accounts")), 1);
	fixture_expect_json(answer, "accounts.0.name", "\"work\"");
	json_decref(answer);
	close(fd);
}

static void
text_that_is_cut_within_a_character_is_still_json(void **state)
{
	struct fixture *f = *state;
	json_t *answer;
	int fd;

	f->views[0].error_text = "caf\xc3";
	fixture_start(f);
	fd = fixture_connect(f);
	answer = fixture_ask(f, fd, "status work");
	fixture_expect_json(answer, "accounts.0.pop3.last_error.text", "\"caf\\\\xc3\"");
	json_decref(answer);
	close(fd);
}

static void
sessions_are_listed(void **state)
{
	struct fetcher_session_view view = {.id = "000123",
	    .account = "work",
	    .server = "pop.example.com:995",
	    .state = "fetching",
	    .since = 1763633700123,
	    .octets_in = 4000000000,
	    .octets_out = 88};
	struct fixture *f = *state;
	json_t *answer;
	int fd;

	f->fetcher.sessions = &view;
	f->fetcher.session_count = 1;
	fixture_start(f);
	fd = fixture_connect(f);
	answer = fixture_ask(f, fd, "sessions");
	fixture_expect_json(answer, "sessions",
	    "[{\"id\":\"000123\",\"account\":\"work\",\"protocol\":\"pop3\","
	    "\"server\":\"pop.example.com:995\",\"state\":\"fetching\","
	    "\"since\":\"2025-11-20T10:15:00.123Z\",\"octets_in\":4000000000,"
	    "\"octets_out\":88}]");
	json_decref(answer);
	close(fd);
}

static void
requests_that_are_wrong_are_told_so(void **state)
{
	static const char *const row[][2] = {
	    {"", "empty request"},
	    {" \t ", "empty request"},
	    {"stats", "did you mean \"status\"?"},
	    {"STATUS", "did you mean \"status\"?"},
	    {"xyzzy", "`help` lists them"},
	    {"\x1b[31m", "unknown verb \"\\x1b[31m\""},
	    {"status personel", "did you mean \"personal\"?"},
	    {"status nobody-like-that", "`status` names them"},
	    {"status a b", "used as: status [ACCOUNT]"},
	    {"status a b c d e f", "used as: status [ACCOUNT]"},
	    {"poll wrok", "did you mean \"work\"?"},
	    {"poll outgoing", "no pop3"},
	    {"adopt", "used as: adopt ACCOUNT"},
	    {"adopt work all", "not understood"},
	    {"adopt nobody-like-that", "no account"},
	    {"adopt outgoing", "no pop3"},
	    {"queue", "sends nothing"},
	    {"flush", "sends nothing"},
	    {"hold 0123456789abcdef", "sends nothing"},
	    {"hold", "used as: hold ID"},
	    {"hold a b", "used as: hold ID"},
	    {"retry  \t ", "used as: retry NAME"},
	    {"stop now", "takes no arguments"},
	    {"reload x", "takes no arguments"},
	    {"caf\xc3\xa9", "unknown verb \"caf\xc3\xa9\""},
	    {"caf\xc3", "not UTF-8"},
	    {"\xed\xa0\x80", "not UTF-8"},
	};
	struct fixture *f = *state;
	int fd;

	fixture_start(f);
	fd = fixture_connect(f);
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
		fixture_expect_error(f, fd, row[i][0], row[i][1]);
	assert_int_equal(f->fetcher.polls + f->stops + f->reloads, 0);
	fixture_expect_ok(f, fd, "version");
	close(fd);
}

static void
poll_asks_the_fetcher(void **state)
{
	struct fixture *f = *state;
	int fd;

	fixture_start(f);
	fd = fixture_connect(f);
	fixture_expect_ok(f, fd, "poll work");
	assert_string_equal(f->fetcher.polled, "work");
	fixture_expect_ok(f, fd, "poll");
	assert_string_equal(f->fetcher.polled, "*");
	close(fd);
}

static void
help_lists_the_verbs(void **state)
{
	struct fixture *f = *state;
	const json_t *verb;
	json_t *answer;
	size_t i;
	int fd;

	fixture_start(f);
	fd = fixture_connect(f);
	answer = fixture_ask(f, fd, "help");
	assert_int_equal(json_array_size(json_object_get(answer, "verbs")), 16);
	json_array_foreach(json_object_get(answer, "verbs"), i, verb)
	{
		assert_true(json_is_string(json_object_get(verb, "verb")));
		assert_true(json_is_string(json_object_get(verb, "help")));
	}
	fixture_expect_json(answer, "verbs.9.verb", "\"adopt\"");
	fixture_expect_json(answer, "verbs.9.changes", "true");
	json_decref(answer);
	close(fd);
}

static void
adopt_holds_the_later_requests(void **state)
{
	struct fixture *f = *state;
	struct verdict fine = VERDICT_OK, why;
	json_t *answer;
	int fd, other;

	fixture_start(f);
	fd = fixture_connect(f);
	other = fixture_connect(f);
	fixture_send_text(f, fd, "adopt work *\nversion\nadopt work\n");
	while (f->fetcher.adopt_cb == NULL)
		fixture_turn(f);
	assert_true(f->fetcher.adopted_all);
	fixture_expect_ok(f, other, "version"); /* others are not held */
	f->fetcher.adopt_cb(&fine, 7, f->fetcher.adopt_arg);
	f->fetcher.adopt_cb = NULL;
	answer = fixture_answer(f, fd);
	fixture_expect_json(answer, "marked", "7");
	json_decref(answer);
	answer = fixture_answer(f, fd);
	fixture_expect_json(answer, "version", "\"1.2.3\"");
	json_decref(answer);

	while (f->fetcher.adopt_cb == NULL)
		fixture_turn(f);
	assert_false(f->fetcher.adopted_all);
	verdict_fail(&why, FAIL_LOCAL, "adopt", "no such Maildir");
	f->fetcher.adopt_cb(&why, 0, f->fetcher.adopt_arg);
	answer = fixture_answer(f, fd);
	assert_string_equal(fixture_error(answer), "no such Maildir");
	fixture_expect_json(answer, "kind", "\"local\"");
	json_decref(answer);
	close(fd);
	close(other);
}

static void
a_client_may_leave_before_its_answer(void **state)
{
	struct fixture *f = *state;
	struct verdict fine = VERDICT_OK;
	int fd;

	fixture_start(f);
	fd = fixture_connect(f);
	fixture_send_text(f, fd, "adopt work\n");
	while (f->fetcher.adopt_cb == NULL)
		fixture_turn(f);
	close(fd);
	fd = fixture_connect(f);
	fixture_expect_ok(f, fd, "version");
	f->fetcher.adopt_cb(&fine, 0, f->fetcher.adopt_arg);
	fixture_expect_ok(f, fd, "version");
	close(fd);
}

static void
what_is_under_way_survives_the_control_socket(void **state)
{
	struct fixture *f = *state;
	struct verdict fine = VERDICT_OK;
	json_t *answer;
	int adopter, reloader, late;

	fixture_start(f);
	adopter = fixture_connect(f);
	reloader = fixture_connect(f);
	late = fixture_connect(f);
	fixture_send_text(f, adopter, "adopt work\n");
	fixture_send_text(f, reloader, "reload\n");
	while (f->fetcher.adopt_cb == NULL || f->reload_done == NULL)
		fixture_turn(f);
	fixture_send_text(f, late, "reload\n");
	expect_service(f);
	control_free(&f->control);
	answer = fixture_answer(f, adopter);
	assert_string_equal(fixture_error(answer), "the daemon is stopping");
	json_decref(answer);
	answer = fixture_answer(f, reloader);
	assert_string_equal(fixture_error(answer), "the daemon is stopping");
	json_decref(answer);
	f->fetcher.adopt_cb(&fine, 0, f->fetcher.adopt_arg);
	f->reload_done(NULL, f->reload_arg);
	close(adopter);
	close(reloader);
	close(late);
}

static void
reload_reports_every_fault(void **state)
{
	char one[] = "f:1: unknown key \"foo\"", two[] = "f:2: bad";
	char *texts[] = {one, two};
	struct config_faults faults = {texts, 2};
	struct fixture *f = *state;
	json_t *answer;
	int fd;

	fixture_start(f);
	fd = fixture_connect(f);
	fixture_send_text(f, fd, "reload\n");
	while (f->reload_done == NULL)
		fixture_turn(f);
	f->reload_done(&faults, f->reload_arg);
	answer = fixture_answer(f, fd);
	assert_non_null(strstr(fixture_error(answer), "2 faults"));
	fixture_expect_json(answer, "faults", "[\"f:1: unknown key \\\"foo\\\"\",\"f:2: bad\"]");
	json_decref(answer);
	close(fd);
}

static void
who_asks_while_reading_shares_the_next_reading(void **state)
{
	struct fixture *f = *state;
	json_t *answer;
	int first, second, third;

	fixture_start(f);
	first = fixture_connect(f);
	second = fixture_connect(f);
	third = fixture_connect(f);
	fixture_send_text(f, first, "reload\n");
	while (f->reloads == 0)
		fixture_turn(f);
	fixture_send_text(f, second, "reload\n");
	fixture_send_text(f, third, "reload\n");
	expect_service(f);
	assert_int_equal(f->reloads, 1);
	f->reload_done(NULL, f->reload_arg);
	answer = fixture_answer(f, first);
	assert_string_equal(fixture_error(answer), "");
	json_decref(answer);
	assert_int_equal(f->reloads, 2);
	f->reload_done(NULL, f->reload_arg);
	json_decref(fixture_answer(f, second));
	json_decref(fixture_answer(f, third));
	assert_int_equal(f->reloads, 2);
	close(first);
	close(second);
	close(third);
}

static void
stop_is_answered_and_starts_nothing_more(void **state)
{
	struct fixture *f = *state;
	json_t *answer;
	int fd;

	fixture_start(f);
	fd = fixture_connect(f);
	fixture_expect_ok(f, fd, "stop");
	fixture_expect_ok(f, fd, "stop");
	assert_int_equal(f->stops, 1);
	answer = fixture_ask(f, fd, "status");
	fixture_expect_json(answer, "state", "\"stopping\"");
	json_decref(answer);
	fixture_expect_error(f, fd, "poll", "stopping");
	fixture_expect_error(f, fd, "adopt work", "stopping");
	fixture_expect_error(f, fd, "reload", "stopping");
	close(fd);
}

static void
a_new_configuration_is_followed(void **state)
{
	struct fixture *f = *state;
	struct config next = f->config;
	char moved[128];
	struct stat st;
	int fd;

	fixture_start(f);
	snprintf(moved, sizeof moved, "%s/run/other", f->directory);
	next.refs = 1;
	next.account_count = 1;
	next.control.mode = 0600;
	control_configure(f->control, &next);
	assert_int_equal(stat(f->socket, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	fd = fixture_connect(f);
	fixture_expect_error(f, fd, "status work", "no account");

	f->config.control.socket = moved;
	control_configure(f->control, &f->config);
	assert_int_equal(next.refs, 1);
	assert_int_not_equal(stat(f->socket, &st), 0);
	fixture_expect_ok(f, fd, "status work"); /* who was there stays */
	close(fd);
	expect_service(f);

	/* Somebody has tidied up. */
	assert_int_equal(unlink(moved), 0);
	control_configure(f->control, &f->config);
	expect_service(f);

	/* A place that is not to be had changes nothing. */
	next.control.socket = f->directory;
	control_configure(f->control, &next);
	expect_service(f);
	f->config.control.socket = f->socket;
	control_configure(f->control, &f->config);
}

/* As another user, with one group: the error that the daemon answers to the request. */
static void
ask_as(struct fixture *f, gid_t group, const char *request, char *error, size_t size)
{
	int ends[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	pid = fork();
	if (pid == 0) {
		char text[512];
		int fd;

		if (setgroups(1, &group) != 0 || setgid(65534) != 0 || setuid(65534) != 0)
			_exit(1);
		fd = fixture_connect(f);
		if (send(fd, request, strlen(request), 0) < 0)
			_exit(2);
		while ((n = recv(fd, text, sizeof text, 0)) < 0)
			;
		_exit(send(ends[1], text, (size_t)n, 0) == n ? 0 : 3);
	}
	while (waitpid(pid, &status, WNOHANG) == 0)
		event_base_loop(f->base, EVLOOP_NONBLOCK);
	assert_int_equal(status, 0);
	n = recv(ends[0], error, size - 1, 0);
	assert_true(n > 0);
	error[n] = '\0';
	close(ends[0]);
	close(ends[1]);
}

static void
strangers_may_look_and_members_may_change(void **state)
{
	static char group[] = "54321";
	struct fixture *f = *state;
	char text[512];

	if (geteuid() != 0)
		skip(); /* only root can be somebody else */
	f->config.control.group = group;
	f->config.control.gid = 54321;
	f->config.control.mode = 0666;
	assert_int_equal(chmod(f->directory, 0755), 0);
	fixture_start(f);
	ask_as(f, 54322, "version\n", text, sizeof text);
	assert_non_null(strstr(text, "\"ok\":true"));
	ask_as(f, 54322, "stop\n", text, sizeof text);
	assert_non_null(strstr(text, "only root"));
	assert_int_equal(f->stops, 0);
	ask_as(f, 54321, "stop\n", text, sizeof text);
	assert_non_null(strstr(text, "\"ok\":true"));
	assert_int_equal(f->stops, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(status_has_every_field, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(status_shows_one_account, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		text_that_is_cut_within_a_character_is_still_json, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(sessions_are_listed, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(requests_that_are_wrong_are_told_so, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(poll_asks_the_fetcher, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(help_lists_the_verbs, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(adopt_holds_the_later_requests, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		a_client_may_leave_before_its_answer, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		what_is_under_way_survives_the_control_socket, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(reload_reports_every_fault, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		who_asks_while_reading_shares_the_next_reading, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		stop_is_answered_and_starts_nothing_more, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_new_configuration_is_followed, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		strangers_may_look_and_members_may_change, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
