#include "unit.h"

#include "control_fixture.h"
#include "exposition.h"

#include "base/clock.h"
#include "base/xalloc.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int
set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);

	fixture_set_up(f);
	f->settings.deliverer = &f->deliverer;
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

/* Asks, and reads strictly. */
static void
read_metrics(struct fixture *f, struct exposition *e)
{
	int fd = fixture_connect(f);
	json_t *answer = fixture_ask(f, fd, "metrics");
	const char *text = json_string_value(json_object_get(answer, "text"));

	assert_string_equal(fixture_error(answer), "");
	assert_non_null(text);
	if (!exposition_parse(e, text))
		fail_msg("%s in\n%s", str_text(&e->error), text);
	json_decref(answer);
	close(fd);
}

static double
value(const struct exposition *e, const char *series)
{
	const double *found = exposition_value(e, series);

	if (found == NULL)
		fail_msg("no %s", series);
	return *found;
}

static void
check_value(const struct exposition *e, const char *series, double expected)
{
	double found = value(e, series);

	if (found < expected || found > expected)
		fail_msg("%s is %.3f, not %.3f", series, found, expected);
}

static void
what_status_knows_is_told(void **state)
{
	static const struct {
		const char *series;
		double value;
	} row[] = {
	    {"postrider_fetched_messages_total{account=\"personal\"}", 12},
	    {"postrider_fetched_octets_total{account=\"personal\"}", 34567},
	    {"postrider_fetched_messages_total{account=\"work\"}", 0},
	    {"postrider_polls_total{account=\"work\"}", 9},
	    {"postrider_polls_failed_total{account=\"work\"}", 2},
	    {"postrider_poll_failures{account=\"work\"}", 2},
	    {"postrider_poll_failures{account=\"personal\"}", 0},
	    {"postrider_poll_last_attempt_timestamp_seconds{account=\"work\"}", 1763633700.123},
	    {"postrider_poll_last_success_timestamp_seconds{account=\"work\"}", 0},
	    {"postrider_poll_last_success_timestamp_seconds{account=\"personal\"}", 1763633700},
	    {"postrider_poll_next_attempt_timestamp_seconds{account=\"personal\"}", 1763634000},
	    {"postrider_poll_state{account=\"work\",state=\"backoff\"}", 1},
	    {"postrider_poll_state{account=\"personal\",state=\"idle\"}", 1},
	    {"postrider_poll_trouble{account=\"work\",kind=\"network\"}", 1},
	    {"postrider_server_messages{account=\"personal\"}", 4},
	    {"postrider_server_skipped_large_messages{account=\"personal\"}", 1},
	    {"postrider_sent_messages_total{account=\"work\"}", 7},
	    {"postrider_sent_octets_total{account=\"work\"}", 7000},
	    {"postrider_send_sessions_total{account=\"work\"}", 5},
	    {"postrider_send_sessions_failed_total{account=\"work\"}", 1},
	    {"postrider_send_failures{account=\"work\"}", 1},
	    {"postrider_send_last_success_timestamp_seconds{account=\"outgoing\"}", 1763633700.001},
	    {"postrider_send_next_attempt_timestamp_seconds{account=\"work\"}", 1763633760},
	    {"postrider_send_queued_messages{account=\"work\"}", 3},
	    {"postrider_send_state{account=\"outgoing\",state=\"sending\"}", 1},
	    {"postrider_send_trouble{account=\"work\",kind=\"tls\"}", 1},
	    {"postrider_queue_messages", 5},
	    {"postrider_queue_octets", 6000},
	    {"postrider_queue_deferred_messages", 3},
	    {"postrider_queue_held_messages", 1},
	    {"postrider_failed_messages", 2},
	    {"postrider_sessions{protocol=\"pop3\"}", 1},
	    {"postrider_sessions{protocol=\"smtp\"}", 2},
	    {"postrider_control_clients", 2},
	    {"postrider_control_watchers", 1},
	    {"postrider_stopping", 0},
	    {"postrider_loop_lag_max_seconds", 0.017},
	    {"postrider_build_info{version=\"1.2.3\"}", 1},
	};
	static const char *const absent[] = {
	    "postrider_fetched_messages_total{account=\"outgoing\"}", /* no pop3 */
	    "postrider_sent_messages_total{account=\"personal\"}",    /* no smtp */
	    "postrider_server_messages{account=\"work\"}",            /* not known */
	    "postrider_poll_trouble{account=\"personal\",kind=\"ok\"}",
	};
	struct fetcher_session_view fetching = {.id = "000001"};
	struct deliverer_session_view sending[2] = {{.id = "000002"}, {.id = "000003"}};
	struct fixture *f = *state;
	struct exposition e;
	int watcher;

	f->views[0].polls = 9;
	f->views[0].polls_failed = 2;
	f->sending[1].sessions = 5;
	f->sending[1].sessions_failed = 1;
	f->fetcher.sessions = &fetching;
	f->fetcher.session_count = 1;
	f->deliverer.sessions = sending;
	f->deliverer.session_count = 2;
	f->deliverer.queue.totals = (struct outqueue_totals){.messages = 5,
	    .octets = 6000,
	    .deferred = 3,
	    .held = 1,
	    .failed = 2,
	    .oldest = clock_wall() - 90000};
	fixture_start(f);
	watcher = fixture_connect(f);
	fixture_expect_ok(f, watcher, "watch");
	read_metrics(f, &e);
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
		check_value(&e, row[i].series, row[i].value);
	for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++)
		assert_null(exposition_value(&e, absent[i]));
	assert_true(value(&e, "postrider_queue_oldest_age_seconds") >= 90);
	assert_true(value(&e, "postrider_queue_oldest_age_seconds") < 120);
	assert_true(
	    value(&e, "postrider_start_time_seconds") * 1000 > (double)f->settings.started - 1);
	for (size_t i = 0; i < e.count; i++)
		assert_int_equal(strncmp(e.series[i].name, "postrider_", 10), 0);
	exposition_clear(&e);
	close(watcher);
}

static void
label_values_are_escaped(void **state)
{
	struct fixture *f = *state;
	struct exposition e;

	f->settings.version = "1 \"two\" \\3\nfour\\";
	fixture_start(f);
	read_metrics(f, &e);
	check_value(&e, "postrider_build_info{version=\"1 \\\"two\\\" \\\\3\\nfour\\\\\"}", 1);
	exposition_clear(&e);
}

static void
a_daemon_without_accounts_or_queue_has_metrics(void **state)
{
	struct fixture *f = *state;
	struct exposition e;

	f->settings.deliverer = NULL;
	f->config.account_count = 0;
	fixture_start(f);
	control_set_stopping(f->control);
	read_metrics(f, &e);
	check_value(&e, "postrider_queue_messages", 0);
	check_value(&e, "postrider_queue_oldest_age_seconds", 0);
	check_value(&e, "postrider_sessions{protocol=\"smtp\"}", 0);
	check_value(&e, "postrider_stopping", 1);
	exposition_clear(&e);
}

/* The reader refuses what it is there to refuse. */
static void
the_reader_is_strict(void **state)
{
#define HEAD  "# HELP a A.\n# TYPE a gauge\n"
#define TOTAL "# HELP a_total A.\n# TYPE a_total counter\n"
	static const struct {
		const char *text;
		bool good;
	} row[] = {
	    {"", true},
	    {HEAD, true},
	    {HEAD "a 1\n", true},
	    {HEAD "a{b=\"c\",d=\"\\\\ \\\" \\n\"} -1.5\na{b=\"c\"} NaN\n", true},
	    {TOTAL "a_total 1\n" HEAD "a 1\n", true},
	    {HEAD "a 1", false},
	    {HEAD "a 1 \n", false},
	    {HEAD "a\n", false},
	    {HEAD "a x\n", false},
	    {HEAD "a  1\n", false},
	    {HEAD "a 1\n\n", false},
	    {HEAD "b 1\n", false},
	    {HEAD "9a 1\n", false},
	    {HEAD "a{} 1\n", false},
	    {HEAD "a{b} 1\n", false},
	    {HEAD "a{b=c} 1\n", false},
	    {HEAD "a{b=\"c} 1\n", false},
	    {HEAD "a{b=\"c\"d=\"e\"} 1\n", false},
	    {HEAD "a{b=\"c\",} 1\n", false},
	    {HEAD "a{b=\"c\",b=\"d\"} 1\n", false},
	    {HEAD "a{b:=\"c\"} 1\n", false},
	    {HEAD "a{__b=\"c\"} 1\n", false},
	    {HEAD "a{b=\"\\t\"} 1\n", false},
	    {HEAD "a{b=\"\xff\"} 1\n", false},
	    {HEAD "a 1\na 1\n", false},
	    {HEAD "a{b=\"c\"} 1\na{b=\"c\"} 2\n", false},
	    {HEAD HEAD, false},
	    {HEAD "a 1\n" TOTAL HEAD, false},
	    {TOTAL "a_total -1\n", false},
	    {TOTAL "a_total +Inf\n", false},
	    {"a 1\n", false},
	    {"# TYPE a gauge\na 1\n", false},
	    {"# HELP a A.\na 1\n", false},
	    {"# HELP a A.\n# TYPE b gauge\n", false},
	    {"# HELP a A \\t.\n# TYPE a gauge\n", false},
	    {"# HELP a A.\n# TYPE a sauge\n", false},
	    {"# HELP a A.\n# TYPE a counter\n", false},
	    {"# HELP a_total A.\n# TYPE a_total gauge\n", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct exposition e;

		if (exposition_parse(&e, row[i].text) != row[i].good)
			fail_msg("%s: %s", row[i].text, str_text(&e.error));
		assert_int_equal(e.error.len == 0, row[i].good);
		exposition_clear(&e);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(what_status_knows_is_told, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(label_values_are_escaped, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		a_daemon_without_accounts_or_queue_has_metrics, set_up, tear_down),
	    cmocka_unit_test(the_reader_is_strict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
