#include "unit.h"

#include "ctl/ctl_status.h"

#include <stdio.h>
#include <stdlib.h>

#define NOW INT64_C(1763633880123) /* 2025-11-20T10:18:00.123Z */

static const struct ctl_screen piped = {0, false, false};

static void
expect_on(const struct ctl_screen *screen,
    void (*append)(struct str *, const json_t *, const struct ctl_screen *, int64_t),
    const char *json, const char *expected)
{
	json_t *answer = json_loads(json, 0, NULL);
	struct str s = STR_INIT;

	assert_non_null(answer);
	append(&s, answer, screen, NOW);
	assert_string_equal(str_text(&s), expected);
	str_clear(&s);
	json_decref(answer);
}

static void
expect_text(void (*append)(struct str *, const json_t *, const struct ctl_screen *, int64_t),
    const char *json, const char *expected)
{
	expect_on(&piped, append, json, expected);
}

/* A file of tests/unit/golden; free(3) it. */
static char *
read_golden(const char *name)
{
	char path[512];
	struct str s = STR_INIT;
	char piece[4096];
	FILE *file;
	size_t n;

	snprintf(path, sizeof path, "%s/tests/unit/golden/%s", getenv("SRCDIR"), name);
	file = fopen(path, "r");
	assert_non_null(file);
	while ((n = fread(piece, 1, sizeof piece, file)) > 0)
		str_append(&s, piece, n);
	fclose(file);
	return str_take(&s);
}

/* How it looks in a pipe (0), where nothing is left out, cut or wrapped, and on terminals. */
static void
says_how_accounts_are(void **state)
{
	static const size_t widths[] = {0, 60, 80, 140};
	char *json = read_golden("status.json");

	(void)state;
	for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
		const struct ctl_screen screen = {widths[i], false, false};
		char name[32];
		char *expected;

		snprintf(name, sizeof name, "status-%zu.txt", widths[i]);
		expected = read_golden(name);
		expect_on(&screen, ctl_status_append, json, expected);
		free(expected);
	}
	free(json);
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
		"ACCOUNT  FETCHING  LAST WORKED  NEXT  FETCHED      SIZE  LEFT  SENDING  SENT"
		"  QUEUED  POP3 SERVER  SMTP SERVER\n"
		"-        -         -            -           -  0 octets     -  -           -"
		"       -  -            -\n"},
	    {"{\"accounts\":[{\"name\":\"\\u202ex\",\"pop3\":{\"state\":\"backoff\\u0007\","
	     "\"failures\":\"2\",\"last_error\":{\"text\":1,\"kind\":2,\"time\":\"x\"}}}]}",
		"postriderd - is there, process 0, up 0 s\n"
		"ACCOUNT        FETCHING     LAST WORKED  NEXT     FETCHED      SIZE  LEFT"
		"  SENDING  SENT  QUEUED  POP3 SERVER  SMTP SERVER\n"
		"\\xe2\\x80\\xaex  backoff\\x07  never        running        -  0 octets     -"
		"  -           -       -  -            -\n"},
	    {"{\"accounts\":[{\"name\":\"a\",\"pop3\":{\"state\":\"backoff\",\"last_error\":{}}}]}",
		"postriderd - is there, process 0, up 0 s\n"
		"ACCOUNT  FETCHING  LAST WORKED  NEXT       FETCHED      SIZE  LEFT  SENDING"
		"  SENT  QUEUED  POP3 SERVER  SMTP SERVER\n"
		"a        backoff   never        on demand        -  0 octets     -  -      "
		"     -       -  -            -\n"
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
