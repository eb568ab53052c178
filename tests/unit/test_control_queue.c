#include "unit.h"

#include "control_fixture.h"

#include "base/xalloc.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The verbs about queued messages, with a queue that the test plays. */

static char sender[] = "me@example.org", one[] = "bob@example.com", two[] = "eve@\xff";
static char reply[] = "450 4.2.0 try later", name[] = "draft 1.eml", work[] = "work";
static char gone[] = "gone";

static struct outqueue_recipient recipients[] = {{one, OUTQUEUE_PENDING, reply},
    {two, OUTQUEUE_SENT, NULL}, {one, OUTQUEUE_FAILED, NULL}, {one, OUTQUEUE_UNKNOWN, NULL}};

static struct outmessage messages[] = {
    {.id = "0123456789abcdef",
	.name = name,
	.account = work,
	.sender = sender,
	.size = 4321,
	.queued = 1763633700123,
	.next_attempt = 1763633760000,
	.attempts = 2,
	.recipients = recipients,
	.recipient_count = 4},
    {.id = "0123456789abcdeg",
	.name = name,
	.account = work,
	.sender = sender,
	.queued = 1763633700123,
	.next_attempt = 1763633760000,
	.recipients = recipients,
	.recipient_count = 1},
    {.id = "0123456789abcdf0",
	.name = name,
	.account = gone,
	.sender = sender,
	.queued = 1763633700123,
	.next_attempt = 1763633760000,
	.recipients = recipients + 1,
	.recipient_count = 2},
};

static const struct outqueue_row rows[] = {{&messages[0], false, "450 4.2.0 try later"},
    {&messages[1], true, NULL}, {&messages[2], false, NULL}};

static int
set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);

	fixture_set_up(f);
	f->settings.deliverer = &f->deliverer;
	f->deliverer.queue.rows = rows;
	f->deliverer.queue.count = sizeof rows / sizeof rows[0];
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
status_shows_the_sending_side(void **state)
{
	static const char *const row[][2] = {
	    {"queue", "{\"messages\":3,\"octets\":4321,\"deferred\":1,\"held\":1,\"failed\":2,"
		      "\"oldest\":\"2025-11-20T10:15:00.123Z\"}"},
	    {"accounts.0.smtp",
		"{\"state\":\"disabled\",\"server\":null,\"last_attempt\":null,"
		"\"last_success\":null,\"next_attempt\":null,\"failures\":0,\"failing_since\":null,"
		"\"last_error\":null,"
		"\"sent\":0,\"sent_octets\":0,\"queued\":0,\"left_out\":[],\"certificate_expires\":"
		"null}"},
	    {"accounts.1.smtp",
		"{\"state\":\"backoff\",\"server\":\"smtp.example.com:465\","
		"\"last_attempt\":\"2025-11-20T10:15:00.123Z\",\"last_success\":null,"
		"\"next_attempt\":\"2025-11-20T10:16:00.000Z\",\"failures\":1,"
		"\"failing_since\":\"2025-11-20T10:15:00.120Z\",\"last_error\":{\"time\":\"2025-11-"
		"20T10:15:00.124Z\",\"kind\":\"tls\","
		"\"text\":\"the certificate has expired\"},"
		"\"sent\":7,\"sent_octets\":7000,\"queued\":3,\"left_out\":[\"CHUNKING\","
		"\"SMTPUTF8\"],\"certificate_expires\":null}"},
	    {"accounts.2.smtp.state", "\"sending\""},
	    {"accounts.2.smtp.last_error", "null"},
	};
	struct fixture *f = *state;
	json_t *answer;
	int fd;

	f->deliverer.queue.totals = (struct outqueue_totals){.messages = 3,
	    .octets = 4321,
	    .deferred = 1,
	    .held = 1,
	    .failed = 2,
	    .oldest = 1763633700123};
	fixture_start(f);
	fd = fixture_connect(f);
	answer = fixture_ask(f, fd, "status");
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
		fixture_expect_json(answer, row[i][0], row[i][1]);
	json_decref(answer);
	close(fd);
}

static void
sessions_of_both_sides_are_listed(void **state)
{
	struct fetcher_session_view fetching = {
	    .id = "000001", .account = "work", .server = "pop:995", .state = "fetching"};
	struct deliverer_session_view sending = {.id = "000002",
	    .account = "outgoing",
	    .server = "smtp:465",
	    .state = "sending",
	    .since = 1763633700123,
	    .octets_in = 88,
	    .octets_out = 4000000000};
	struct fixture *f = *state;
	json_t *answer;
	int fd;

	f->fetcher.sessions = &fetching;
	f->fetcher.session_count = 1;
	f->deliverer.sessions = &sending;
	f->deliverer.session_count = 1;
	fixture_start(f);
	fd = fixture_connect(f);
	answer = fixture_ask(f, fd, "sessions");
	fixture_expect_json(answer, "sessions.0.protocol", "\"pop3\"");
	fixture_expect_json(answer, "sessions.1",
	    "{\"id\":\"000002\",\"account\":\"outgoing\",\"protocol\":\"smtp\","
	    "\"server\":\"smtp:465\",\"state\":\"sending\","
	    "\"since\":\"2025-11-20T10:15:00.123Z\",\"octets_in\":88,"
	    "\"octets_out\":4000000000}");
	json_decref(answer);
	close(fd);
}

static void
the_queue_is_listed(void **state)
{
	struct fixture *f = *state;
	json_t *answer;
	int fd;

	fixture_start(f);
	fd = fixture_connect(f);
	for (size_t i = 0; i < 2; i++) {
		f->deliverer.queue.short_pages = i == 1;
		answer = fixture_ask(f, fd, "queue");
		assert_string_equal(fixture_error(answer), "");
		fixture_expect_json(answer, "messages.0",
		    "{\"id\":\"0123456789abcdef\",\"name\":\"draft 1.eml\","
		    "\"account\":\"work\",\"sender\":\"me@example.org\",\"size\":4321,"
		    "\"queued\":\"2025-11-20T10:15:00.123Z\",\"attempts\":2,"
		    "\"next_attempt\":\"2025-11-20T10:16:00.000Z\",\"held\":false,"
		    "\"last_error\":\"450 4.2.0 try later\",\"recipients\":["
		    "{\"address\":\"bob@example.com\",\"state\":\"pending\","
		    "\"reply\":\"450 4.2.0 try later\"},"
		    "{\"address\":\"eve@\\\\xff\",\"state\":\"sent\",\"reply\":null},"
		    "{\"address\":\"bob@example.com\",\"state\":\"failed\",\"reply\":null},"
		    "{\"address\":\"bob@example.com\",\"state\":\"unknown\",\"reply\":null}]}");
		fixture_expect_json(answer, "messages.1.held", "true");
		fixture_expect_json(answer, "messages.1.next_attempt", "null");
		fixture_expect_json(answer, "messages.1.last_error", "null");
		fixture_expect_json(answer, "messages.2.next_attempt", "null"); /* leaving */
		assert_int_equal(json_array_size(json_object_get(answer, "messages")), 3);
		json_decref(answer);
	}
	f->deliverer.queue.count = 0;
	answer = fixture_ask(f, fd, "queue");
	fixture_expect_json(answer, "ok", "true");
	fixture_expect_json(answer, "messages", "[]");
	json_decref(answer);
	close(fd);
}

/* What waits with its account is told when that one is tried, and why not now. */
static void
trouble_of_the_account_is_told(void **state)
{
	static const struct {
		const char *state;
		int64_t next;
		unsigned failures;
		const char *error, *when;
	} row[] = {
	    {"backoff", 1763633820000, 1, "\"expired\"", "\"2025-11-20T10:17:00.000Z\""},
	    {"blocked", 1763633820000, 1, "\"expired\"", "\"2025-11-20T10:17:00.000Z\""},
	    {"backoff", 1763633700000, 1, "\"expired\"", "\"2025-11-20T10:16:00.000Z\""},
	    {"connecting", 1763633820000, 1, "null", "\"2025-11-20T10:16:00.000Z\""},
	    {"idle", 1763633820000, 0, "null", "\"2025-11-20T10:16:00.000Z\""},
	};
	struct outqueue_row rest = {&messages[0], false, NULL};
	struct fixture *f = *state;
	json_t *answer;
	int fd;

	f->deliverer.queue.rows = &rest;
	f->deliverer.queue.count = 1;
	f->sending[1].error_text = "expired";
	fixture_start(f);
	fd = fixture_connect(f);
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		f->sending[1].state = row[i].state;
		f->sending[1].next_attempt = row[i].next;
		f->sending[1].failures = row[i].failures;
		answer = fixture_ask(f, fd, "queue");
		fixture_expect_json(answer, "messages.0.last_error", row[i].error);
		fixture_expect_json(answer, "messages.0.next_attempt", row[i].when);
		json_decref(answer);
	}
	close(fd);
}

static void
one_message_is_listed(void **state)
{
	static const char *const missing[] = {"queue 0123456789abcdee", "queue 0123456789abcdeh",
	    "queue 0000000000000000", "queue vvvvvvvvvvvvvvvv", "queue x", "queue 0123456789abcde",
	    "queue 0123456789abcdefg", "queue \xc3\xa9", "queue \x7f"};
	struct fixture *f = *state;
	json_t *answer;
	int fd;

	fixture_start(f);
	fd = fixture_connect(f);
	for (size_t i = 0; i < 3; i++) {
		char request[64], id[64];

		snprintf(request, sizeof request, "queue %.31s", messages[i].id);
		snprintf(id, sizeof id, "\"%.31s\"", messages[i].id);
		answer = fixture_ask(f, fd, request);
		fixture_expect_json(answer, "ok", "true");
		fixture_expect_json(answer, "messages.0.id", id);
		assert_int_equal(json_array_size(json_object_get(answer, "messages")), 1);
		json_decref(answer);
	}
	for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++)
		fixture_expect_error(f, fd, missing[i], "no message \"");
	f->deliverer.queue.error = "the disk is ill";
	fixture_expect_error(f, fd, "queue 0123456789abcdef", "the disk is ill");
	close(fd);
}

/* Many messages, each with this many recipients. */
static struct outqueue_row *
make_rows(struct fixture *f, size_t count, size_t recipient_count)
{
	struct outqueue_recipient *list = xcalloc(recipient_count, sizeof *list);
	struct outmessage *message = xcalloc(count, sizeof *message);
	struct outqueue_row *row = xcalloc(count, sizeof *row);

	for (size_t i = 0; i < recipient_count; i++)
		list[i] = recipients[0];
	for (size_t i = 0; i < count; i++) {
		message[i] = messages[0];
		snprintf(message[i].id, sizeof message[i].id, "%016zu", i);
		message[i].recipients = list;
		message[i].recipient_count = recipient_count;
		row[i].message = &message[i];
	}
	f->deliverer.queue.rows = row;
	f->deliverer.queue.count = count;
	return row;
}

static void
free_rows(struct outqueue_row *row)
{
	union {
		const struct outmessage *borrowed;
		struct outmessage *owned;
	} message = {row->message};

	free(message.owned->recipients);
	free(message.owned);
	free(row);
}

static void
a_long_queue_comes_as_it_is_read(void **state)
{
	struct fixture *f = *state;
	struct outqueue *queue = &f->deliverer.queue;
	struct outqueue_row *row;
	size_t pages, still;
	json_t *answer;
	int fd, other;

	row = make_rows(f, 20000, 4);
	fixture_start(f);
	fd = fixture_connect(f);
	other = fixture_connect(f);
	assert_true(fixture_send_text(f, fd, "queue\nversion\n"));

	/* Nobody reads: it comes to a rest long before the end, and others are served. */
	pages = still = 0;
	while (still < 10) {
		fixture_expect_ok(f, other, "version");
		still = pages == queue->pages && pages > 1 ? still + 1 : 0;
		pages = queue->pages;
	}
	assert_true(pages < 50);
	assert_int_equal(queue->page_most, 100);
	answer = fixture_answer(f, fd);
	fixture_expect_json(answer, "ok", "true");
	assert_int_equal(json_array_size(json_object_get(answer, "messages")), 20000);
	fixture_expect_json(answer, "messages.19999.id", "\"0000000000019999\"");
	json_decref(answer);
	answer = fixture_answer(f, fd); /* the later request had to wait */
	fixture_expect_json(answer, "version", "\"1.2.3\"");
	json_decref(answer);
	free_rows(row);
	close(fd);
	close(other);
}

static void
messages_for_many_come_in_shorter_pages(void **state)
{
	struct fixture *f = *state;
	struct outqueue_row *row;
	json_t *answer;
	int fd;

	row = make_rows(f, 30, 700);
	fixture_start(f);
	fd = fixture_connect(f);
	answer = fixture_ask(f, fd, "queue");
	assert_int_equal(json_array_size(json_object_get(answer, "messages")), 30);
	assert_int_equal(f->deliverer.queue.page_most, 10);
	assert_true(f->deliverer.queue.pages > 10);
	json_decref(answer);
	free_rows(row);
	close(fd);
}

static void
a_list_that_breaks_off_says_so(void **state)
{
	struct fixture *f = *state;
	struct outqueue *queue = &f->deliverer.queue;
	json_t *answer;
	int fd;

	fixture_start(f);
	fd = fixture_connect(f);
	queue->error = "the disk is \"ill\"";
	answer = fixture_ask(f, fd, "queue");
	assert_string_equal(fixture_error(answer), "the disk is \"ill\"");
	json_decref(answer);

	queue->waits = true;
	queue->short_pages = true;
	assert_true(fixture_send_text(f, fd, "queue\n"));
	while (queue->waiting == NULL)
		fixture_turn(f);
	fake_queue_answer(queue);
	queue->error = "gone";
	while (queue->waiting == NULL)
		fixture_turn(f);
	fake_queue_answer(queue);
	answer = fixture_answer(f, fd);
	assert_string_equal(fixture_error(answer), "gone");
	assert_int_equal(json_array_size(json_object_get(answer, "messages")), 1);
	json_decref(answer);
	close(fd);
}

static void
messages_are_held_released_removed_and_sent_again(void **state)
{
	/* The last: what must not be sent meanwhile. */
	static const char *const row[][3] = {
	    {"hold 0123456789abcdef", "hold 0123456789abcdef", "0123456789abcdef"},
	    {"release 0123456789abcdef", "release 0123456789abcdef", ""},
	    {"remove\t0123456789abcdef ", "remove 0123456789abcdef", "0123456789abcdef"},
	    {"retry draft.eml", "retry draft.eml", ""},
	    {"retry \t my  \t draft 1.eml  \t", "retry my  \t draft 1.eml", ""},
	    {"retry ...", "retry ...", ""},
	};
	static const char *const wrong[][2] = {
	    {"hold x", "no message \"x\""},
	    {"release 0123456789ABCDEF", "no message"},
	    {"remove 0123456789abcdef0", "no message"},
	    {"retry ../state", "is no file's name"},
	    {"retry /etc/passwd", "is no file's name"},
	    {"retry .", "is no file's name"},
	    {"retry ..", "is no file's name"},
	};
	struct fixture *f = *state;
	struct outqueue *queue = &f->deliverer.queue;
	json_t *answer;
	int fd;

	fixture_start(f);
	fd = fixture_connect(f);
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		f->deliverer.withdrawn[0] = '\0';
		fixture_expect_ok(f, fd, row[i][0]);
		assert_string_equal(queue->asked, row[i][1]);
		assert_string_equal(f->deliverer.withdrawn, row[i][2]);
	}
	queue->asked[0] = '\0';
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		fixture_expect_error(f, fd, wrong[i][0], wrong[i][1]);
	assert_string_equal(queue->asked, "");
	queue->error = "it is being delivered";
	answer = fixture_ask(f, fd, "hold 0123456789abcdef");
	assert_string_equal(fixture_error(answer), "it is being delivered");
	fixture_expect_json(answer, "kind", "\"local\"");
	json_decref(answer);
	close(fd);
}

static void
flush_asks_the_deliverer(void **state)
{
	struct fixture *f = *state;
	struct deliverer *d = &f->deliverer;
	json_t *answer;
	int fd;

	fixture_start(f);
	fd = fixture_connect(f);
	fixture_expect_ok(f, fd, "flush");
	assert_string_equal(d->flushed, "*");
	fixture_expect_ok(f, fd, "flush outgoing");
	assert_string_equal(d->flushed, "outgoing");
	answer = fixture_ask(f, fd, "flush 0123456789abcdef");
	fixture_expect_json(answer, "account", "\"work\"");
	json_decref(answer);
	assert_string_equal(d->flushed, "0123456789abcdef of work");
	assert_int_equal(d->flushes, 3);
	fixture_expect_error(f, fd, "flush 0123456789abcdeg", "is held");
	fixture_expect_error(f, fd, "flush 0123456789abcdf0", "does not have");
	fixture_expect_error(f, fd, "flush 0123456789abcdf1", "no message");
	fixture_expect_error(f, fd, "flush personal", "has no smtp group");
	assert_int_equal(d->flushes, 3);
	close(fd);
}

static void
nothing_is_changed_while_stopping(void **state)
{
	static const char *const request[] = {"flush", "flush work", "flush 0123456789abcdef",
	    "hold 0123456789abcdef", "release 0123456789abcdef", "remove 0123456789abcdef",
	    "retry x"};
	struct fixture *f = *state;
	struct outqueue *queue = &f->deliverer.queue;
	json_t *answer;
	int fd;

	fixture_start(f);
	fd = fixture_connect(f);
	queue->waits = true;
	assert_true(fixture_send_text(f, fd, "flush 0123456789abcdef\n"));
	while (queue->waiting == NULL)
		fixture_turn(f);
	control_set_stopping(f->control);
	fake_queue_answer(queue);
	answer = fixture_answer(f, fd);
	assert_string_equal(fixture_error(answer), "the daemon is stopping");
	json_decref(answer);
	for (size_t i = 0; i < sizeof request / sizeof request[0]; i++)
		fixture_expect_error(f, fd, request[i], "stopping");
	assert_int_equal(f->deliverer.flushes, 0);
	assert_string_equal(queue->asked, "");
	queue->waits = false;
	fixture_expect_ok(f, fd, "queue");
	close(fd);
}

/* Until the queue has been asked. */
static int
ask_and_wait(struct fixture *f, const char *request)
{
	int fd = fixture_connect(f);

	assert_true(fixture_send_text(f, fd, request));
	while (f->deliverer.queue.waiting == NULL)
		fixture_turn(f);
	return fd;
}

/* By now the daemon has seen who left before. */
static void
expect_service(struct fixture *f)
{
	int fd = fixture_connect(f);

	fixture_expect_ok(f, fd, "version");
	close(fd);
}

static void
clients_may_leave_before_their_answers(void **state)
{
	/* One who leaves an answer unread is gone at once, others might still read theirs. */
	static const char *const request[] = {"queue\n", "queue 0123456789abcdef\n",
	    "flush 0123456789abcdef\n", "hold 0123456789abcdef\n", "retry x\n", "version\nqueue\n",
	    "version\nqueue 0123456789abcdef\n", "version\nflush 0123456789abcdef\n",
	    "version\nhold 0123456789abcdef\n", "version\nremove zzz\nretry x\n"};
	struct fixture *f = *state;
	struct outqueue *queue = &f->deliverer.queue;
	struct outqueue_row *row;
	int fd;

	fixture_start(f);
	queue->waits = true;
	for (size_t i = 0; i < sizeof request / sizeof request[0]; i++) {
		close(ask_and_wait(f, request[i]));
		expect_service(f);
		fake_queue_answer(queue);
	}
	assert_int_equal(f->deliverer.flushes, 2); /* it was asked for all the same */

	/* And while a list waits to be read. */
	queue->waits = false;
	row = make_rows(f, 20000, 4);
	fd = fixture_connect(f);
	assert_true(fixture_send_text(f, fd, "queue\n"));
	while (queue->pages < 10)
		fixture_turn(f);
	expect_service(f);
	close(fd);
	expect_service(f);
	free_rows(row);
}

static void
what_is_under_way_survives_the_control_socket(void **state)
{
	static const char *const request[] = {"queue\n", "queue 0123456789abcdef\n",
	    "flush 0123456789abcdef\n", "remove 0123456789abcdef\n"};
	struct fixture *f = *state;
	struct outqueue *queue = &f->deliverer.queue;
	json_t *answer;
	int fd;

	queue->waits = true;
	for (size_t i = 0; i < sizeof request / sizeof request[0]; i++) {
		fixture_start(f);
		fd = ask_and_wait(f, request[i]);
		control_free(&f->control);
		answer = fixture_answer(f, fd);
		assert_string_equal(fixture_error(answer), "the daemon is stopping");
		json_decref(answer);
		fake_queue_answer(queue);
		close(fd);
	}

	/* A list that was begun is ended. */
	queue->short_pages = true;
	fixture_start(f);
	fd = ask_and_wait(f, "queue\n");
	fake_queue_answer(queue);
	while (queue->waiting == NULL)
		fixture_turn(f);
	control_free(&f->control);
	answer = fixture_answer(f, fd);
	assert_string_equal(fixture_error(answer), "the daemon is stopping");
	assert_int_equal(json_array_size(json_object_get(answer, "messages")), 1);
	json_decref(answer);
	fake_queue_answer(queue);
	close(fd);
	assert_int_equal(f->deliverer.flushes, 0);
}

static bool
has_hung_up(int fd)
{
	struct pollfd p = {.fd = fd};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) != 0;
}

static void
who_does_not_read_a_list_is_dropped(void **state)
{
	struct fixture *f = *state;
	struct outqueue_row *row = make_rows(f, 20000, 4);
	int fd;

	f->settings.limits = (struct control_limits){.idle = 50};
	fixture_start(f);
	fd = fixture_connect(f);
	assert_true(fixture_send_text(f, fd, "queue\n"));
	while (!has_hung_up(fd))
		fixture_turn(f);
	assert_null(fixture_line(f, fd)); /* cut off in the middle of it */
	free_rows(row);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(status_shows_the_sending_side, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(sessions_of_both_sides_are_listed, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(the_queue_is_listed, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(trouble_of_the_account_is_told, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(one_message_is_listed, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_long_queue_comes_as_it_is_read, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		messages_for_many_come_in_shorter_pages, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_list_that_breaks_off_says_so, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		messages_are_held_released_removed_and_sent_again, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(flush_asks_the_deliverer, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(nothing_is_changed_while_stopping, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		clients_may_leave_before_their_answers, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		what_is_under_way_survives_the_control_socket, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(who_does_not_read_a_list_is_dropped, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
