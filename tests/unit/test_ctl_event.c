#include "unit.h"

#include "ctl/ctl_event.h"
#include "ctl/ctl_table.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct ctl_screen piped = {0, false, false};
static const struct ctl_screen coloured = {80, true, true};

static int
set_up_zone(void **state)
{
	(void)state;
	setenv("TZ", "UTC-1", 1);
	tzset();
	return 0;
}

static void
expect_line(const char *json, const struct ctl_screen *screen, const char *expected)
{
	json_t *event = json_loads(json, 0, NULL);
	struct str s = STR_INIT;

	assert_non_null(event);
	ctl_event_append(&s, event, screen);
	assert_string_equal(str_text(&s), expected);
	str_clear(&s);
	json_decref(event);
}

#define AT(event, account)                                                                         \
	"{\"time\":\"2025-11-20T10:15:00.123Z\",\"event\":\"" event "\",\"account\":" account
#define WHEN "2025-11-20 11:15:00 "

static void
every_event_is_a_sentence(void **state)
{
	static const char *const row[][2] = {
	    {AT("session-start", "\"work\"") ",\"session\":\"000123\",\"protocol\":\"pop3\","
					     "\"server\":\"[::1]:995\"}",
		WHEN "work: pop3 session 000123 with [::1]:995 begins\n"},
	    {AT("session-end",
		 "\"work\"") ",\"session\":\"000123\",\"protocol\":\"pop3\",\"server\":\"x:1\","
			     "\"outcome\":\"ok\",\"text\":null,\"fetched\":3,\"deleted\":2,"
			     "\"seconds\":0.88}",
		WHEN "work: pop3 session 000123 with x:1 ended: 3 fetched, 2 deleted, in 0.9 s\n"},
	    {AT("session-end",
		 "\"work\"") ",\"session\":\"000124\",\"protocol\":\"smtp\",\"server\":\"x:1\","
			     "\"outcome\":\"failed\",\"text\":\"no route\",\"sent\":1,"
			     "\"seconds\":2}",
		WHEN "work: smtp session 000124 with x:1 failed: 1 recipient reached, in 2.0 s: "
		     "no route\n"},
	    {AT("session-end",
		 "\"work\"") ",\"session\":\"000125\",\"protocol\":\"smtp\",\"server\":\"x:1\","
			     "\"outcome\":\"stopped\",\"text\":null,\"sent\":2,\"seconds\":0.0}",
		WHEN "work: smtp session 000125 with x:1 ended: stopped, 2 recipients reached, "
		     "in 0.0 s\n"},
	    {AT("message-fetched", "\"work\"") ",\"file\":\"1.M2P3Q4.h,S=3681\",\"octets\":3681,"
					       "\"uid\":\"u1\"}",
		WHEN "work: fetched 1.M2P3Q4.h,S=3681, 3.7 kB, uid u1\n"},
	    {AT("message-queued", "\"work\"") ",\"message\":\"0123456789abcdef\",\"sender\":\"\","
					      "\"recipients\":2,\"octets\":700}",
		WHEN "work: queued 0123456789abcdef from <> to 2 recipients, 700 octets\n"},
	    {AT("message-sent", "\"work\"") ",\"message\":\"0123456789abcdef\","
					    "\"recipient\":\"b@example.com\","
					    "\"reply\":\"250 ok\"}",
		WHEN "work: sent 0123456789abcdef to b@example.com: 250 ok\n"},
	    {AT("message-deferred", "\"work\"") ",\"message\":\"0123456789abcdef\","
						"\"recipient\":\"b@example.com\","
						"\"reply\":\"450 later\",\"state\":\"pending\","
						"\"held\":false,\"next_attempt\":"
						"\"2025-11-20T10:17:00.123Z\"}",
		WHEN "work: deferred 0123456789abcdef to b@example.com: 450 later; next attempt "
		     "in 2 min\n"},
	    {AT("message-deferred", "\"work\"") ",\"message\":\"0123456789abcdef\","
						"\"recipient\":null,\"recipients\":3,"
						"\"reply\":null,\"text\":\"no route\","
						"\"state\":\"pending\",\"next_attempt\":null}",
		WHEN "work: deferred 0123456789abcdef to 3 recipients: no route\n"},
	    {AT("message-deferred", "\"work\"") ",\"message\":\"0123456789abcdef\","
						"\"recipient\":\"b@example.com\","
						"\"reply\":\"lost\",\"state\":\"unknown\","
						"\"held\":true,\"next_attempt\":null}",
		WHEN "work: perhaps sent 0123456789abcdef to b@example.com: lost; held\n"},
	    {AT("message-failed", "\"work\"") ",\"message\":\"0123456789abcdef\","
					      "\"recipient\":\"b@example.com\","
					      "\"reply\":\"550 no\"}",
		WHEN "work: failed 0123456789abcdef to b@example.com: 550 no\n"},
	    {AT("message-failed", "null") ",\"message\":\"0123456789abcdef\",\"name\":\"letter\","
					  "\"recipient\":null,\"reply\":null,"
					  "\"text\":\"no account\"}",
		WHEN "failed letter: no account\n"},
	    {AT("poll-failed", "\"work\"") ",\"text\":\"no\",\"state\":\"backoff\",\"failures\":2,"
					   "\"next_attempt\":\"2025-11-20T10:15:30.123Z\"}",
		WHEN "work: poll failed, 2 in a row: no; next attempt in 30 s\n"},
	    {AT("poll-failed", "\"work\"") ",\"text\":\"no\",\"state\":\"blocked\",\"failures\":3,"
					   "\"next_attempt\":null}",
		WHEN "work: poll failed, 3 in a row: no; blocked\n"},
	    {AT("config-reloaded", "null") ",\"accounts\":1}",
		WHEN "the configuration was reloaded: 1 account\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
		expect_line(row[i][0], &piped, row[i][1]);
}

static void
believes_no_event(void **state)
{
	static const char *const row[][2] = {
	    {"{}", "- -\n"},
	    {AT("comet-seen", "\"sky\"") "}", WHEN "sky: comet-seen\n"},
	    {"{\"time\":7,\"event\":\"\\u001b[2J\\n\",\"account\":[]}", "- \\x1b[2J\\x0a\n"},
	    {"{\"event\":\"session-start\",\"account\":\"\\n\",\"session\":1,\"server\":{}}",
		"- \\x0a: - session - with - begins\n"},
	    {"{\"event\":\"session-end\",\"outcome\":2,\"seconds\":\"x\"}",
		"- - session - with - ended: 0 fetched, 0 deleted, in 0.0 s\n"},
	    {"{\"event\":\"message-deferred\",\"state\":1,\"next_attempt\":\"soon\"}",
		"- deferred - to 0 recipients\n"},
	    {"{\"event\":\"message-failed\",\"recipient\":3}", "- failed -\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
		expect_line(row[i][0], &piped, row[i][1]);
}

static void
colour_tells_good_from_bad(void **state)
{
	struct str s = STR_INIT;

	(void)state;
	str_append_text(&s, WHEN "work: ");
	ctl_table_append_tone(&s, &coloured, CTL_BAD, "poll failed, 1 in a row: caf\\xc3\\xa9");
	str_append_char(&s, '\n');
	expect_line(AT("poll-failed", "\"work\"") ",\"failures\":1,\"text\":\"caf\u00e9\"}",
	    &coloured, str_text(&s));
	assert_non_null(strchr(str_text(&s), '\033'));
	str_clear(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_event_is_a_sentence),
	    cmocka_unit_test(believes_no_event),
	    cmocka_unit_test(colour_tells_good_from_bad),
	};

	return cmocka_run_group_tests(tests, set_up_zone, NULL);
}
