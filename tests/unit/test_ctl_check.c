#include "unit.h"

#include "ctl/ctl_check.h"

#include <stdio.h>
#include <string.h>

#define NOW  INT64_C(1763633880123) /* 2025-11-20T10:18:00.123Z */
#define HOUR INT64_C(3600000)

static const struct ctl_check_limits limits = {HOUR, 4 * HOUR};

#define STATUS(accounts, queue)                                                                    \
	"{\"ok\":true,\"state\":\"running\",\"started\":\"2025-11-20T00:00:00.000Z\","             \
	"\"accounts\":[" accounts "],\"queue\":{" queue "}}"
#define ACCOUNT(pop3, smtp) "{\"name\":\"work\",\"pop3\":{" pop3 "},\"smtp\":{" smtp "}}"
#define FINE                "\"state\":\"idle\",\"failures\":0"
#define OFF                 "\"state\":\"disabled\""
#define BECAUSE             ",\"last_error\":{\"kind\":\"network\",\"text\":\"no route | pipe\"}"
#define NUMBERS             " | accounts=1 queued=0 oldest=0s;14400;28800 failed=0"

static void
judges(void **state)
{
	static const struct {
		const char *json;
		enum ctl_check_level level;
		const char *line;
	} row[] = {
	    {STATUS(ACCOUNT(FINE, FINE), "\"messages\":0,\"failed\":0,\"oldest\":null"),
		CTL_CHECK_OK, "postrider OK: 1 account, 0 in the queue" NUMBERS},
	    {STATUS(ACCOUNT(OFF, OFF), "\"messages\":2,\"oldest\":\"2025-11-20T10:08:00.123Z\""),
		CTL_CHECK_OK,
		"postrider OK: 1 account, 2 in the queue | accounts=1 queued=2 "
		"oldest=600s;14400;28800 failed=0"},
	    /* It fails: since a short time, however long ago it worked, and since a long one. */
	    {STATUS(ACCOUNT("\"state\":\"backoff\",\"failures\":1,\"last_success\":"
			    "\"2025-11-13T10:00:00.000Z\",\"failing_since\":"
			    "\"2025-11-20T10:09:00.000Z\"" BECAUSE,
			OFF),
		 ""),
		CTL_CHECK_WARNING,
		"postrider WARNING: fetching for work fails: no route / pipe" NUMBERS},
	    {STATUS(ACCOUNT("\"state\":\"fetching\",\"failures\":9,\"failing_since\":"
			    "\"2025-11-20T09:00:00.000Z\"" BECAUSE,
			OFF),
		 ""),
		CTL_CHECK_TROUBLE,
		"postrider CRITICAL: fetching for work has not worked for 1 h 18 min: no route / "
		"pipe" NUMBERS},
	    {STATUS(
		 ACCOUNT("\"state\":\"backoff\",\"failures\":9,\"failing_since\":null", OFF), ""),
		CTL_CHECK_WARNING,
		"postrider WARNING: fetching for work fails: the daemon does not say why" NUMBERS},
	    {STATUS(ACCOUNT("\"state\":\"blocked\",\"failures\":3,\"last_success\":"
			    "\"2025-11-20T10:17:00.000Z\"" BECAUSE,
			OFF),
		 ""),
		CTL_CHECK_TROUBLE,
		"postrider CRITICAL: fetching for work is blocked: no route / pipe" NUMBERS},
	    {STATUS(ACCOUNT(FINE ",\"server\":\"pop.example.org:995\",\"certificate_expires\":"
				 "\"2025-12-01T10:18:00.123Z\"",
			FINE ",\"certificate_expires\":\"2025-12-04T10:18:00.123Z\""),
		 ""),
		CTL_CHECK_WARNING,
		"postrider WARNING: the certificate of pop.example.org:995 ends in 11 d" NUMBERS},
	    {STATUS(ACCOUNT(FINE, "\"state\":\"backoff\",\"failures\":1,\"failing_since\":"
				  "\"2025-11-20T08:18:00.123Z\"" BECAUSE),
		 ""),
		CTL_CHECK_TROUBLE,
		"postrider CRITICAL: sending for work has not worked for 2 h: no route / "
		"pipe" NUMBERS},
	    /* A poll that is due and does not come. */
	    {STATUS(ACCOUNT(FINE ",\"next_attempt\":\"2025-11-20T10:17:00.000Z\"", OFF), ""),
		CTL_CHECK_OK, "postrider OK: 1 account, 0 in the queue" NUMBERS},
	    {STATUS(ACCOUNT(FINE ",\"next_attempt\":\"2025-11-20T09:17:00.000Z\"", OFF), ""),
		CTL_CHECK_TROUBLE,
		"postrider CRITICAL: fetching for work is overdue for 1 h 1 min" NUMBERS},
	    /* The queue. */
	    {STATUS(ACCOUNT(FINE, FINE), "\"messages\":1,\"oldest\":\"2025-11-20T06:18:00.123Z\""),
		CTL_CHECK_OK,
		"postrider OK: 1 account, 1 in the queue | accounts=1 queued=1 "
		"oldest=14400s;14400;28800 failed=0"},
	    {STATUS(ACCOUNT(FINE, FINE), "\"messages\":1,\"oldest\":\"2025-11-20T06:17:00.123Z\""),
		CTL_CHECK_WARNING,
		"postrider WARNING: the oldest message has been in the queue for 4 h 1 min | "
		"accounts=1 queued=1 oldest=14460s;14400;28800 failed=0"},
	    {STATUS(ACCOUNT(FINE, FINE), "\"messages\":1,\"oldest\":\"2025-11-20T02:17:00.123Z\""),
		CTL_CHECK_TROUBLE,
		"postrider CRITICAL: the oldest message has been in the queue for 8 h 1 min | "
		"accounts=1 queued=1 oldest=28860s;14400;28800 failed=0"},
	    {STATUS(ACCOUNT(FINE, FINE), "\"failed\":1,\"held\":2"), CTL_CHECK_WARNING,
		"postrider WARNING: 1 message in failed/; 2 messages are held | accounts=1 "
		"queued=0 oldest=0s;14400;28800 failed=1"},
	    /* The worst comes first. */
	    {STATUS(ACCOUNT("\"state\":\"backoff\",\"failures\":1,\"last_success\":"
			    "\"2025-11-20T10:17:00.000Z\"",
			"\"state\":\"blocked\",\"failures\":3"),
		 "\"failed\":1"),
		CTL_CHECK_TROUBLE,
		"postrider CRITICAL: sending for work is blocked: the daemon does not say why; "
		"fetching for work fails: the daemon does not say why; 1 message in failed/ | "
		"accounts=1 queued=0 oldest=0s;14400;28800 failed=1"},
	    {"{\"state\":\"stopping\",\"accounts\":[]}", CTL_CHECK_WARNING,
		"postrider WARNING: the daemon is stopping | accounts=0 queued=0 "
		"oldest=0s;14400;28800 failed=0"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		json_t *answer = json_loads(row[i].json, 0, NULL);
		struct str s = STR_INIT;

		assert_non_null(answer);
		assert_int_equal(ctl_check_append(&s, answer, &limits, NOW), row[i].level);
		assert_string_equal(str_text(&s), row[i].line);
		str_clear(&s);
		json_decref(answer);
	}
}

/* Whatever the daemon says, it is one line that a monitor can show, and no good news. */
static void
believes_no_answer(void **state)
{
	static const char *const row[] = {"{}", "[]", "{\"accounts\":7,\"queue\":[],\"state\":1}",
	    "{\"accounts\":{},\"queue\":{\"oldest\":\"x\",\"failed\":\"y\"}}"};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		json_t *answer = json_loads(row[i], 0, NULL);
		struct str s = STR_INIT;

		assert_int_equal(ctl_check_append(&s, answer, &limits, NOW), CTL_CHECK_TROUBLE);
		assert_non_null(strstr(str_text(&s), "is not understood"));
		str_clear(&s);
		json_decref(answer);
	}
}

static void
says_one_safe_line(void **state)
{
	static const char json[] =
	    STATUS("{\"name\":\"a\\u001b[2J|\\n\",\"pop3\":{\"state\":\"blocked\",\"last_error\":"
		   "{\"text\":\"x\\ny\\u009bz|\"}},\"smtp\":{}}",
		"");
	json_t *answer = json_loads(json, 0, NULL);
	struct str s = STR_INIT;

	(void)state;
	assert_int_equal(ctl_check_append(&s, answer, &limits, NOW), CTL_CHECK_TROUBLE);
	assert_string_equal(str_text(&s), "postrider CRITICAL: fetching for a\\x1b[2J/\\x0a is "
					  "blocked: x\\x0ay\\xc2\\x9bz/" NUMBERS);
	str_clear(&s);
	json_decref(answer);
}

static void
many_problems_are_counted(void **state)
{
	struct str json = STR_INIT, s = STR_INIT;
	json_t *answer;

	(void)state;
	str_append_text(&json, "{\"accounts\":[");
	for (int i = 0; i < 9; i++)
		str_appendf(&json, "%s{\"name\":\"a%d\",\"pop3\":{\"state\":\"blocked\"}}",
		    i > 0 ? "," : "", i);
	str_append_text(&json, "]}");
	answer = json_loads(str_text(&json), 0, NULL);
	assert_int_equal(ctl_check_append(&s, answer, &limits, NOW), CTL_CHECK_TROUBLE);
	assert_non_null(strstr(str_text(&s), "fetching for a4 is blocked"));
	assert_null(strstr(str_text(&s), "fetching for a5 is blocked"));
	assert_non_null(strstr(str_text(&s), "; and 4 more | accounts=9 "));
	str_clear(&json);
	str_clear(&s);
	json_decref(answer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(judges),
	    cmocka_unit_test(believes_no_answer),
	    cmocka_unit_test(says_one_safe_line),
	    cmocka_unit_test(many_problems_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
