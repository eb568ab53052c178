#include "unit.h"

#include "control_fixture.h"

#include "base/str.h"
#include "base/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char id[] = "0123456789abcdef";

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

static int
watch(struct fixture *f, const char *request)
{
	int fd = fixture_connect(f);

	fixture_expect_ok(f, fd, request);
	return fd;
}

static void
tell_reload(struct fixture *f, size_t accounts)
{
	events_tell(&f->events,
	    &(struct happening){.kind = HAPPENED_CONFIG_RELOADED, .accounts = accounts});
}

static void
tell_start(struct fixture *f, const char *account)
{
	events_tell(&f->events, &(struct happening){.kind = HAPPENED_SESSION_START,
				    .account = account,
				    .session = "000123",
				    .protocol = "pop3",
				    .server = "pop.example.org:995"});
}

/* The next line is this event, its time set aside. */
static void
expect_event(struct fixture *f, int fd, const char *expected)
{
	char *line = fixture_line(f, fd), *text;
	json_t *json;

	assert_non_null(line);
	json = json_loads(line, 0, NULL);
	assert_non_null(json);
	assert_int_equal(strlen(json_string_value(json_object_get(json, "time"))), 24);
	assert_int_equal(strncmp(line, "{\"time\":", 8), 0);
	json_object_del(json, "time");
	text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(12));
	assert_string_equal(text, expected);
	free(text);
	json_decref(json);
	free(line);
}

#define RELOADED(count) "{\"event\":\"config-reloaded\",\"account\":null,\"accounts\":" #count "}"

static void
every_event_has_its_fields(void **state)
{
	static const struct verdict well = VERDICT_OK,
				    badly = {.kind = FAIL_AUTH, .text = "the server said no"};
	static const struct {
		struct happening happening;
		const char *expected;
	} row[] = {
	    {{.kind = HAPPENED_SESSION_START,
		 .account = "work",
		 .session = "000123",
		 .protocol = "pop3",
		 .server = "[::1]:995"},
		"{\"event\":\"session-start\",\"account\":\"work\",\"session\":\"000123\","
		"\"protocol\":\"pop3\",\"server\":\"[::1]:995\"}"},
	    {{.kind = HAPPENED_SESSION_END,
		 .account = "work",
		 .session = "000123",
		 .protocol = "pop3",
		 .server = "[::1]:995",
		 .why = &well,
		 .fetched = 3,
		 .deleted = 2,
		 .octets_in = 4096,
		 .octets_out = 100,
		 .duration = 880},
		"{\"event\":\"session-end\",\"account\":\"work\",\"session\":\"000123\","
		"\"protocol\":\"pop3\",\"server\":\"[::1]:995\",\"outcome\":\"ok\",\"kind\":null,"
		"\"text\":null,\"fetched\":3,\"deleted\":2,\"octets_in\":4096,\"octets_out\":100,"
		"\"seconds\":0.88}"},
	    {{.kind = HAPPENED_SESSION_END,
		 .account = "work",
		 .session = "000124",
		 .protocol = "smtp",
		 .server = "[::1]:465",
		 .why = &badly,
		 .sent = 1},
		"{\"event\":\"session-end\",\"account\":\"work\",\"session\":\"000124\","
		"\"protocol\":\"smtp\",\"server\":\"[::1]:465\",\"outcome\":\"failed\","
		"\"kind\":\"auth\",\"text\":\"the server said no\",\"sent\":1,\"octets_in\":0,"
		"\"octets_out\":0,\"seconds\":0.0}"},
	    {{.kind = HAPPENED_SESSION_END,
		 .account = "work",
		 .session = "000125",
		 .protocol = "pop3",
		 .server = "[::1]:995",
		 .why = &well,
		 .stopped = true},
		"{\"event\":\"session-end\",\"account\":\"work\",\"session\":\"000125\","
		"\"protocol\":\"pop3\",\"server\":\"[::1]:995\",\"outcome\":\"stopped\","
		"\"kind\":null,\"text\":null,\"fetched\":0,\"deleted\":0,\"octets_in\":0,"
		"\"octets_out\":0,\"seconds\":0.0}"},
	    {{.kind = HAPPENED_MESSAGE_FETCHED,
		 .account = "work",
		 .session = "000123",
		 .uid = "u\\x01",
		 .octets = 3681,
		 .file = "1.M2P3Q4.host,S=3681"},
		"{\"event\":\"message-fetched\",\"account\":\"work\",\"session\":\"000123\","
		"\"uid\":\"u\\\\x01\",\"octets\":3681,\"file\":\"1.M2P3Q4.host,S=3681\"}"},
	    {{.kind = HAPPENED_MESSAGE_QUEUED,
		 .account = "work",
		 .message = id,
		 .name = "a \"letter\"",
		 .sender = "",
		 .recipients = 2,
		 .octets = 700},
		"{\"event\":\"message-queued\",\"account\":\"work\","
		"\"message\":\"0123456789abcdef\",\"name\":\"a \\\"letter\\\"\",\"sender\":\"\","
		"\"recipients\":2,\"octets\":700}"},
	    {{.kind = HAPPENED_MESSAGE_SENT,
		 .account = "work",
		 .session = "000124",
		 .message = id,
		 .name = "letter",
		 .sender = "a@example.org",
		 .recipients = 1,
		 .recipient = "b@example.com",
		 .state = "sent",
		 .reply = "250 2.0.0 ok",
		 .octets = 700,
		 .attempts = 1},
		"{\"event\":\"message-sent\",\"account\":\"work\",\"session\":\"000124\","
		"\"message\":\"0123456789abcdef\",\"name\":\"letter\","
		"\"sender\":\"a@example.org\",\"recipients\":1,\"recipient\":\"b@example.com\","
		"\"reply\":\"250 2.0.0 ok\",\"octets\":700,\"attempts\":1}"},
	    {{.kind = HAPPENED_MESSAGE_DEFERRED,
		 .account = "work",
		 .message = id,
		 .name = "letter",
		 .sender = "a@example.org",
		 .recipients = 2,
		 .state = "pending",
		 .text = "no route",
		 .octets = 700,
		 .next_attempt = 1763633700123},
		"{\"event\":\"message-deferred\",\"account\":\"work\",\"session\":null,"
		"\"message\":\"0123456789abcdef\",\"name\":\"letter\","
		"\"sender\":\"a@example.org\",\"recipients\":2,\"recipient\":null,\"reply\":null,"
		"\"state\":\"pending\",\"text\":\"no route\",\"octets\":700,\"attempts\":0,"
		"\"held\":false,\"next_attempt\":\"2025-11-20T10:15:00.123Z\"}"},
	    {{.kind = HAPPENED_MESSAGE_FAILED, .message = id, .name = "x", .text = "no account"},
		"{\"event\":\"message-failed\",\"account\":null,\"session\":null,"
		"\"message\":\"0123456789abcdef\",\"name\":\"x\",\"sender\":null,"
		"\"recipients\":0,\"recipient\":null,\"reply\":null,\"text\":\"no account\","
		"\"octets\":0,\"attempts\":0}"},
	    {{.kind = HAPPENED_POLL_FAILED,
		 .account = "work",
		 .session = "000123",
		 .server = "[::1]:995",
		 .why = &badly,
		 .state = "blocked",
		 .failures = 3},
		"{\"event\":\"poll-failed\",\"account\":\"work\",\"session\":\"000123\","
		"\"server\":\"[::1]:995\",\"kind\":\"auth\",\"text\":\"the server said no\","
		"\"state\":\"blocked\",\"failures\":3,\"next_attempt\":null}"},
	    {{.kind = HAPPENED_CONFIG_RELOADED, .accounts = 3}, RELOADED(3)},
	};
	struct fixture *f = *state;
	int fd;

	fixture_start(f);
	fd = watch(f, "watch");
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		events_tell(&f->events, &row[i].happening);
		expect_event(f, fd, row[i].expected);
	}
	close(fd);
}

#define STARTED(account)                                                                           \
	"{\"event\":\"session-start\",\"account\":\"" account "\",\"session\":\"000123\","         \
	"\"protocol\":\"pop3\",\"server\":\"pop.example.org:995\"}"

static void
an_account_is_watched_alone(void **state)
{
	struct fixture *f = *state;
	int one, all, none;

	fixture_start(f);
	all = watch(f, "watch");
	one = watch(f, "watch work");
	none = fixture_connect(f);
	fixture_expect_ok(f, none, "version");
	fixture_expect_error(f, none, "watch wrok", "did you mean \"work\"");
	fixture_expect_error(f, none, "watch work personal", "`watch` is used as");
	tell_start(f, "personal");
	tell_start(f, "work");
	tell_reload(f, 1);
	expect_event(f, all, STARTED("personal"));
	expect_event(f, all, STARTED("work"));
	expect_event(f, all, RELOADED(1));
	expect_event(f, one, STARTED("work"));
	expect_event(f, one, RELOADED(1));
	fixture_expect_ok(f, none, "version"); /* and nothing else came */
	close(all);
	close(one);
	close(none);
}

static void
a_watcher_may_ask_and_watch_another_account(void **state)
{
	struct fixture *f = *state;
	json_t *answer;
	int fd;

	fixture_start(f);
	fd = watch(f, "watch work");
	tell_start(f, "work");
	expect_event(f, fd, STARTED("work"));
	answer = fixture_ask(f, fd, "status work");
	fixture_expect_json(answer, "accounts.0.name", "\"work\"");
	json_decref(answer);
	fixture_expect_ok(f, fd, "watch personal");
	tell_start(f, "work");
	tell_start(f, "personal");
	expect_event(f, fd, STARTED("personal"));
	close(fd);
}

static void
nobody_listens_when_nobody_watches(void **state)
{
	struct fixture *f = *state;
	int fd, other;

	fixture_start(f);
	assert_false(events_are_heard(&f->events));
	tell_reload(f, 1);
	fd = watch(f, "watch");
	other = watch(f, "watch work");
	assert_true(events_are_heard(&f->events));
	close(fd);
	close(other);
	while (events_are_heard(&f->events))
		fixture_turn(f);
	fd = watch(f, "watch");
	assert_true(events_are_heard(&f->events));
	control_free(&f->control);
	assert_false(events_are_heard(&f->events));
	assert_true(fixture_ended(f, fd));
	close(fd);
}

static void
a_watcher_may_be_silent_for_as_long_as_it_likes(void **state)
{
	struct fixture *f = *state;
	int fd, idle;

	f->settings.limits.idle = 30;
	fixture_start(f);
	fd = watch(f, "watch");
	for (int i = 0; i < 3; i++) {
		idle = fixture_connect(f);
		json_decref(fixture_answer(f, idle)); /* no request for 0.03 s */
		assert_true(fixture_ended(f, idle));
		close(idle);
	}
	tell_reload(f, 2);
	expect_event(f, fd, RELOADED(2));
	fixture_expect_ok(f, fd, "version");
	close(fd);
}

static void
a_watcher_that_has_said_all_stays_until_it_is_gone(void **state)
{
	struct fixture *f = *state;
	int fd;

	f->settings.limits.idle = 30;
	fixture_start(f);
	fd = watch(f, "watch");
	shutdown(fd, SHUT_WR);
	for (int i = 0; i < 100; i++)
		fixture_turn(f);
	tell_reload(f, 2);
	expect_event(f, fd, RELOADED(2));
	close(fd);
	while (events_are_heard(&f->events))
		fixture_turn(f);
}

static void
a_request_without_an_end_ends_the_watch(void **state)
{
	struct fixture *f = *state;
	json_t *answer;
	int fd;

	fixture_start(f);
	fd = watch(f, "watch");
	assert_true(fixture_send_text(f, fd, "versi"));
	shutdown(fd, SHUT_WR);
	answer = fixture_answer(f, fd);
	assert_non_null(strstr(fixture_error(answer), "no line end"));
	json_decref(answer);
	assert_true(fixture_ended(f, fd));
	close(fd);
}

static void
who_does_not_read_is_told_so_and_closed(void **state)
{
	struct fixture *f = *state;
	int slow, quick;
	size_t told = 0, read = 0;
	char *line;

	f->settings.limits.output_max = 64 * 1024;
	fixture_start(f);
	slow = watch(f, "watch");
	quick = watch(f, "watch");
	/* Both sockets take something; the quick one takes all. */
	for (; told < 20000; told += 100) {
		for (int i = 0; i < 100; i++)
			tell_reload(f, 1);
		for (int i = 0; i < 100; i++)
			expect_event(f, quick, RELOADED(1));
	}
	for (;;) {
		line = fixture_line(f, slow);
		assert_non_null(line);
		if (strstr(line, "\"ok\":false") != NULL)
			break;
		assert_non_null(strstr(line, "config-reloaded"));
		free(line);
		read++;
	}
	assert_non_null(strstr(line, "faster than they are read"));
	free(line);
	assert_true(fixture_ended(f, slow));
	assert_in_range(read, 64 * 1024 / 100, told - 1);
	tell_reload(f, 2);
	expect_event(f, quick, RELOADED(2));
	close(slow);
	close(quick);
}

static void
who_reads_nothing_at_all_is_dropped(void **state)
{
	struct fixture *f = *state;
	int fd;

	f->settings.limits.idle = 100;
	fixture_start(f);
	fd = watch(f, "watch");
	for (int i = 0; i < 20000; i++)
		tell_reload(f, 1);
	while (events_are_heard(&f->events))
		fixture_turn(f);
	close(fd);
}

/* A whole batch is told of in one turn: that is no slowness of the watcher's. */
static void
much_at_once_is_not_too_much(void **state)
{
	struct fixture *f = *state;
	int fd;

	fixture_start(f);
	fd = watch(f, "watch");
	for (int i = 0; i < 10000; i++)
		tell_start(f, "work");
	for (int i = 0; i < 10000; i++)
		expect_event(f, fd, STARTED("work"));
	fixture_expect_ok(f, fd, "version");
	close(fd);
}

static void
watchers_count_as_clients(void **state)
{
	struct fixture *f = *state;
	json_t *answer;
	int a, b, late;

	f->settings.limits.clients = 2;
	fixture_start(f);
	a = watch(f, "watch");
	b = watch(f, "watch");
	late = fixture_connect(f);
	answer = fixture_answer(f, late);
	assert_non_null(strstr(fixture_error(answer), "too many clients"));
	json_decref(answer);
	tell_reload(f, 1);
	expect_event(f, a, RELOADED(1));
	expect_event(f, b, RELOADED(1));
	close(a);
	close(b);
	close(late);
}

/* -- events and the parts of a long answer ------------------------------------------------------
 */

struct messages {
	struct outmessage message[3];
	struct outqueue_row row[3];
};

/* A queue that gives one message a page, and that only when it is told to. */
static void
fill_queue(struct fixture *f, struct messages *m)
{
	static char text[] = "work";

	*m = (struct messages){0};
	for (size_t i = 0; i < 3; i++) {
		struct outmessage *message = &m->message[i];

		snprintf(message->id, sizeof message->id, "0000000000000%03zu", i);
		message->account = message->sender = message->name = text;
		m->row[i] = (struct outqueue_row){.message = message};
	}
	f->settings.deliverer = &f->deliverer;
	f->deliverer.queue.rows = m->row;
	f->deliverer.queue.count = 3;
	f->deliverer.queue.waits = f->deliverer.queue.short_pages = true;
}

static void
wait_for_page(struct fixture *f)
{
	while (f->deliverer.queue.waiting == NULL)
		fixture_turn(f);
}

static void
who_does_not_read_is_cut_off_in_the_middle_of_an_answer(void **state)
{
	struct fixture *f = *state;
	struct messages m;
	int fd;

	f->settings.limits.output_max = 64 * 1024;
	fill_queue(f, &m);
	fixture_start(f);
	fd = watch(f, "watch");
	assert_true(fixture_send_text(f, fd, "queue\n"));
	wait_for_page(f);
	fake_queue_answer(&f->deliverer.queue);
	wait_for_page(f);
	for (int i = 0; i < 2000; i++)
		tell_reload(f, 1);
	assert_true(fixture_ended(f, fd));
	fake_queue_answer(&f->deliverer.queue);
	assert_false(events_are_heard(&f->events));
	close(fd);
}

static void
no_event_breaks_an_answer(void **state)
{
	struct fixture *f = *state;
	struct messages m;
	json_t *answer;
	int fd;

	fill_queue(f, &m);
	fixture_start(f);
	fd = watch(f, "watch");
	assert_true(fixture_send_text(f, fd, "queue\nversion\n"));
	for (size_t page = 0; page < 4; page++) {
		wait_for_page(f);
		tell_reload(f, page + 1);
		fake_queue_answer(&f->deliverer.queue);
		tell_reload(f, page + 1);
	}
	/* Before the first part they come first. */
	expect_event(f, fd, RELOADED(1));
	answer = fixture_answer(f, fd);
	assert_int_equal(json_array_size(json_object_get(answer, "messages")), 3);
	json_decref(answer);
	expect_event(f, fd, RELOADED(1));
	expect_event(f, fd, RELOADED(2));
	expect_event(f, fd, RELOADED(2));
	expect_event(f, fd, RELOADED(3));
	expect_event(f, fd, RELOADED(3));
	expect_event(f, fd, RELOADED(4));
	expect_event(f, fd, RELOADED(4));
	answer = fixture_answer(f, fd);
	fixture_expect_json(answer, "version", "\"1.2.3\"");
	json_decref(answer);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(every_event_has_its_fields, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(an_account_is_watched_alone, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		a_watcher_may_ask_and_watch_another_account, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(nobody_listens_when_nobody_watches, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		a_watcher_may_be_silent_for_as_long_as_it_likes, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		a_watcher_that_has_said_all_stays_until_it_is_gone, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		a_request_without_an_end_ends_the_watch, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		who_does_not_read_is_told_so_and_closed, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(who_reads_nothing_at_all_is_dropped, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(much_at_once_is_not_too_much, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(watchers_count_as_clients, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(no_event_breaks_an_answer, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		who_does_not_read_is_cut_off_in_the_middle_of_an_answer, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
