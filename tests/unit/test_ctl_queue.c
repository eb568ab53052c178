#include "unit.h"

#include "ctl/ctl_queue.h"

#include <stdlib.h>

#define NOW INT64_C(1763633880123) /* 2025-11-20T10:18:00.123Z */

static const struct ctl_screen piped = {0, false, false};

static void
expect_text(const char *json, bool whole, const char *expected)
{
	json_t *answer = json_loads(json, 0, NULL);
	struct str s = STR_INIT;

	assert_non_null(answer);
	ctl_queue_append(&s, answer, whole, &piped, NOW);
	assert_string_equal(str_text(&s), expected);
	str_clear(&s);
	json_decref(answer);
}

static void
tells_who_waits_and_why(void **state)
{
	static const char json[] =
	    "{\"messages\":[{\"id\":\"0123456789abcdef\",\"account\":\"work\","
	    "\"sender\":\"me@example.org\",\"size\":4321,"
	    "\"queued\":\"2025-11-20T10:15:00.000Z\",\"attempts\":2,"
	    "\"next_attempt\":\"2025-11-20T10:20:01.000Z\",\"held\":false,"
	    "\"last_error\":\"rcpt: 450 4.2.0 try later\",\"recipients\":["
	    "{\"address\":\"bob@example.com\",\"state\":\"pending\","
	    "\"reply\":\"450 4.2.0 try later\"},"
	    "{\"address\":\"eve@example.com\",\"state\":\"sent\",\"reply\":null},"
	    "{\"address\":\"mal@example.com\",\"state\":\"failed\",\"reply\":\"550 no\"},"
	    "{\"address\":\"sue@example.com\",\"state\":\"unknown\",\"reply\":null}]},"
	    "{\"id\":\"0123456789abcdeg\",\"account\":\"work\",\"sender\":\"\",\"size\":1,"
	    "\"queued\":\"2025-11-20T09:18:00.123Z\",\"attempts\":0,\"next_attempt\":null,"
	    "\"held\":true,\"last_error\":null,\"recipients\":["
	    "{\"address\":\"bob@example.com\",\"state\":\"pending\",\"reply\":null}]},"
	    "{\"id\":\"0123456789abcdeh\",\"account\":\"work\",\"sender\":\"me@example.org\","
	    "\"size\":1,\"queued\":\"2025-11-20T09:18:00.123Z\",\"attempts\":1,"
	    "\"next_attempt\":null,\"held\":false,\"last_error\":\"550 no\",\"recipients\":["
	    "{\"address\":\"mal@example.com\",\"state\":\"failed\",\"reply\":\"550 no\"}]}],"
	    "\"ok\":true}";

	(void)state;
	expect_text(json, false,
	    "FROM            ID                ACCOUNT     SIZE  QUEUED     TRIED  NEXT\n"
	    "me@example.org  0123456789abcdef  work      4.3 kB  3 min ago      2  in 2 min\n"
	    "    to bob@example.com: waits: 450 4.2.0 try later\n"
	    "    to eve@example.com: sent\n"
	    "    to mal@example.com: failed: 550 no\n"
	    "    to sue@example.com: may have been delivered: the connection was lost before the "
	    "server's answer to the message\n"
	    "    last trouble: rcpt: 450 4.2.0 try later\n"
	    "<>              0123456789abcdeg  work     1 octet  1 h ago        0  held\n"
	    "    to bob@example.com: waits\n"
	    "me@example.org  0123456789abcdeh  work     1 octet  1 h ago        1  leaving\n"
	    "    to mal@example.com: failed: 550 no\n");
}

/* A message for this many: the first is sent to, the last failed, the others wait. */
static void
append_recipients(struct str *s, size_t count)
{
	str_append_text(s, "{\"messages\":[{\"id\":\"x\",\"sender\":\"a\",\"recipients\":[");
	for (size_t i = 0; i < count; i++)
		str_appendf(s, "%s{\"address\":\"%zu\",\"state\":\"%s\"}", i > 0 ? "," : "", i,
		    i == 0           ? "sent"
		    : i + 1 == count ? "failed"
				     : "pending");
	str_append_text(s, "]}]}");
}

static void
sums_up_many_recipients(void **state)
{
	static const char head[] = "FROM  ID  ACCOUNT      SIZE  QUEUED  TRIED  NEXT\n"
				   "a     x   -        0 octets  -           0  -\n"
				   "    to 0: sent\n";
	struct str json = STR_INIT, expected = STR_INIT;

	(void)state;
	append_recipients(&json, 13);
	str_append_text(&expected, head);
	for (size_t i = 1; i < 10; i++)
		str_appendf(&expected, "    to %zu: waits\n", i);
	str_append_text(&expected,
	    "    and to 3 more: 2 waiting, 1 failed; all of them: postriderctl queue x\n");
	expect_text(str_text(&json), false, str_text(&expected));

	str_truncate(&expected, 0);
	str_append_text(&expected, head);
	for (size_t i = 1; i < 12; i++)
		str_appendf(&expected, "    to %zu: waits\n", i);
	str_append_text(&expected, "    to 12: failed\n");
	expect_text(str_text(&json), true, str_text(&expected));
	str_clear(&json);
	str_clear(&expected);
}

static void
believes_no_answer(void **state)
{
	static const char *const row[][2] = {
	    {"{}", "the queue is empty\n"},
	    {"{\"messages\":[]}", "the queue is empty\n"},
	    {"{\"messages\":7}", "the queue is empty\n"},
	    {"{\"messages\":[3]}", "FROM  ID  ACCOUNT      SIZE  QUEUED  TRIED  NEXT\n"
				   "-     -   -        0 octets  -           0  -\n"},
	    {"{\"messages\":[{\"id\":\"\\u001b[2J\",\"sender\":[],\"account\":null,\"size\":-1,"
	     "\"attempts\":\"x\",\"queued\":7,\"next_attempt\":\"never\",\"held\":1,"
	     "\"last_error\":\"\\u202e\",\"recipients\":[4,{\"address\":\"\\n\","
	     "\"state\":\"lost\",\"reply\":{}}]}]}",
		"FROM  ID       ACCOUNT      SIZE  QUEUED  TRIED  NEXT\n"
		"-     \\x1b[2J  -        0 octets  -           0  -\n"
		"    to -: state not known\n"
		"    to \\x0a: state not known\n"
		"    last trouble: \\xe2\\x80\\xae\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
		expect_text(row[i][0], false, row[i][1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(tells_who_waits_and_why),
	    cmocka_unit_test(sums_up_many_recipients),
	    cmocka_unit_test(believes_no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
