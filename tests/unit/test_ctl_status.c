#include "unit.h"

#include "ctl/ctl_status.h"

#include <stdlib.h>

#define NOW INT64_C(1763633880123) /* 2025-11-20T10:18:00.123Z */

static const struct ctl_screen piped = {0, false, false};

static void
expect_text(void (*append)(struct str *, const json_t *, const struct ctl_screen *, int64_t),
    const char *json, const char *expected)
{
	json_t *answer = json_loads(json, 0, NULL);
	struct str s = STR_INIT;

	assert_non_null(answer);
	append(&s, answer, &piped, NOW);
	assert_string_equal(str_text(&s), expected);
	str_clear(&s);
	json_decref(answer);
}

static void
says_how_accounts_are(void **state)
{
	static const char json[] =
	    "{\"ok\":true,\"version\":\"0.1.0\",\"pid\":77,\"uptime\":3660,\"state\":\"running\","
	    "\"accounts\":[{\"name\":\"personal\",\"pop3\":{\"state\":\"idle\","
	    "\"last_success\":\"2025-11-20T10:15:00.000Z\","
	    "\"next_attempt\":\"2025-11-20T10:20:01.000Z\",\"failures\":0,\"last_error\":null,"
	    "\"fetched\":12,\"fetched_octets\":34567,\"on_server\":4,\"skipped_large\":1},"
	    "\"smtp\":{\"state\":\"disabled\"}},"
	    "{\"name\":\"work\",\"pop3\":{\"state\":\"blocked\",\"last_success\":null,"
	    "\"next_attempt\":\"2025-11-21T10:18:00.123Z\",\"failures\":3,"
	    "\"last_error\":{\"time\":\"2025-11-20T10:17:00.000Z\",\"kind\":\"auth\","
	    "\"text\":\"pass: server said \\\\x1b[31m no; check the password\"},"
	    "\"fetched\":0,\"fetched_octets\":0,\"on_server\":null,\"skipped_large\":0},"
	    "\"smtp\":{\"state\":\"blocked\",\"failures\":1,"
	    "\"last_error\":{\"time\":\"2025-11-20T10:17:00.000Z\",\"kind\":\"tls\","
	    "\"text\":\"the certificate has expired\"},\"sent\":7,\"queued\":2,"
	    "\"next_attempt\":\"2025-11-20T10:25:00.000Z\"}},"
	    "{\"name\":\"out\",\"pop3\":{\"state\":\"disabled\"},\"smtp\":{\"state\":\"idle\","
	    "\"last_success\":\"2025-11-20T10:16:00.000Z\",\"sent\":12,\"queued\":0}},"
	    "{\"name\":\"now\",\"pop3\":{\"state\":\"fetching\",\"failures\":0,"
	    "\"last_error\":{\"time\":null,\"kind\":\"network\",\"text\":\"over\"},"
	    "\"fetched\":1,\"fetched_octets\":1},"
	    "\"smtp\":{\"state\":\"sending\",\"queued\":1}}],"
	    "\"queue\":{\"messages\":2,\"octets\":2048,\"deferred\":1,\"held\":0,\"failed\":1},"
	    "\"loop\":{\"lag_max_ms\":1500}}";

	(void)state;
	expect_text(ctl_status_append, json,
	    "postriderd 0.1.0 is running, process 77, up 1 h 1 min\n"
	    "ACCOUNT   STATE       LAST WORKED  NEXT      FETCHED      SIZE  ON SERVER  SENT\n"
	    "personal  idle        3 min ago    in 2 min       12     35 kB          4     -\n"
	    "    1 message larger than max_size stays on the server\n"
	    "work      blocked     never        in 1 d          0  0 octets          -     7\n"
	    "    fetching: login refused, 1 min ago, 3 times in a row: pass: server said "
	    "\\x1b[31m no; check the password\n"
	    "    Once that is mended, try at once: postriderctl poll work\n"
	    "    sending: TLS trouble, 1 min ago: the certificate has expired\n"
	    "    Once that is mended, try at once: postriderctl flush work\n"
	    "    2 messages waiting to be sent, next attempt in 6 min\n"
	    "out       sends only  2 min ago    -               -  0 octets          -    12\n"
	    "now       fetching    never        running         1   1 octet          -     -\n"
	    "    1 message in the queue, sending now\n"
	    "queue: 2 messages, 2.0 kB, 1 deferred, 0 held\n"
	    "failed: 1 message\n"
	    "the daemon was once held up for 1.5 s\n");
}

static void
believes_no_answer(void **state)
{
	static const char *const row[][2] = {
	    {"{}", "postriderd - is there, process 0, up 0 s\nno account is configured\n"},
	    {"{\"accounts\":7,\"queue\":[],\"loop\":null,\"pid\":-5,\"state\":[]}",
		"postriderd - is there, process 0, up 0 s\nno account is configured\n"},
	    {"{\"version\":\"\\u001b[2J\\n\",\"accounts\":[3]}",
		"postriderd \\x1b[2J\\x0a is there, process 0, up 0 s\n"
		"ACCOUNT  STATE     LAST WORKED  NEXT  FETCHED      SIZE  ON SERVER  SENT\n"
		"-        disabled  -            -           -  0 octets          -     -\n"},
	    {"{\"accounts\":[{\"name\":\"\\u202ex\",\"pop3\":{\"state\":\"backoff\\u0007\","
	     "\"failures\":\"2\",\"last_error\":{\"text\":1,\"kind\":2,\"time\":\"x\"}}}]}",
		"postriderd - is there, process 0, up 0 s\n"
		"ACCOUNT        STATE        LAST WORKED  NEXT     FETCHED      SIZE  ON SERVER  "
		"SENT\n"
		"\\xe2\\x80\\xaex  backoff\\x07  never        running        -  0 octets"
		"          -     -\n"},
	    {"{\"accounts\":[{\"name\":\"a\",\"pop3\":{\"state\":\"backoff\",\"last_error\":{}}}]}",
		"postriderd - is there, process 0, up 0 s\n"
		"ACCOUNT  STATE    LAST WORKED  NEXT       FETCHED      SIZE  ON SERVER  SENT\n"
		"a        backoff  never        on demand        -  0 octets          -     -\n"
		"    fetching: trouble: the daemon does not say more\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
		expect_text(ctl_status_append, row[i][0], row[i][1]);
}

static void
lists_sessions(void **state)
{
	(void)state;
	expect_text(
	    ctl_status_append_sessions, "{\"ok\":true,\"sessions\":[]}", "no session is running\n");
	expect_text(ctl_status_append_sessions,
	    "{\"sessions\":[{\"id\":\"000123\",\"account\":\"work\",\"protocol\":\"pop3\","
	    "\"server\":\"[::1]:995\",\"state\":\"fetching\",\"since\":\"2025-11-20T10:17:50."
	    "000Z\","
	    "\"octets_in\":123456,\"octets_out\":88},{}]}",
	    "ACCOUNT  SESSION  PROTOCOL  SERVER     STATE      FOR        IN        OUT\n"
	    "work     000123   pop3      [::1]:995  fetching  10 s    123 kB  88 octets\n"
	    "-        -        -         -          -            -  0 octets   0 octets\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(says_how_accounts_are),
	    cmocka_unit_test(believes_no_answer),
	    cmocka_unit_test(lists_sessions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
