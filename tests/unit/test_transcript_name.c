#include "unit.h"

#include "base/clock.h"
#include "net/transcript_name.h"

#include <stdlib.h>
#include <string.h>

static void
session_logs_are_known_by_name(void **state)
{
	static const struct {
		const char *name;
		const char *time; /* NULL: somebody else's */
	} cases[] = {
	    {"20261120T101500.123Z-pop3-000123.log", "2026-11-20T10:15:00.123Z"},
	    {"20261120T101500.123Z-smtp-1a2B.log", "2026-11-20T10:15:00.123Z"},
	    {"20280229T235959.999Z-pop3-1.log", "2028-02-29T23:59:59.999Z"},
	    {"19700101T000000.000Z-pop3-1.log", "1970-01-01T00:00:00.000Z"},
	    {"", NULL},
	    {".", NULL},
	    {"notes.log", NULL},
	    {"20261120T101500.123Z-pop3-000123", NULL},
	    {"20261120T101500.123Z-pop3-000123.log~", NULL},
	    {"20261120T101500.123Z-pop3-000123.log.gz", NULL},
	    {"20261120T101500.123Z-pop3-000123.LOG", NULL},
	    {"20261120T101500.123Z-pop3-.log", NULL},
	    {"20261120T101500.123Z-pop3-a b.log", NULL},
	    {"20261120T101500.123Z-pop3-a-b.log", NULL},
	    {"20261120T101500.123Z-pop3-\xc3\xa9.log", NULL},
	    {"20261120T101500.123Z-imap-000123.log", NULL},
	    {"20261120T101500.123Z-POP3-000123.log", NULL},
	    {"20261120T101500.123Z_pop3-000123.log", NULL},
	    {"20261120T101500.123-pop3-000123.log", NULL},
	    {"20261120T101500Z-pop3-000123.log", NULL},
	    {"20261120T101500.12Z-pop3-000123.log", NULL},
	    {"20261120T101500.1234Z-pop3-000123.log", NULL},
	    {"20261120 101500.123Z-pop3-000123.log", NULL},
	    {"20261120T1015 0.123Z-pop3-000123.log", NULL},
	    {"20261120T101500. 23Z-pop3-000123.log", NULL},
	    {"20261120T101500.-23Z-pop3-000123.log", NULL},
	    {"20261120T+11500.123Z-pop3-000123.log", NULL},
	    {"2026-11-20T10:15:00.123Z-pop3-000123.log", NULL},
	    {"20261320T101500.123Z-pop3-000123.log", NULL},
	    {"20260230T101500.123Z-pop3-000123.log", NULL},
	    {"20270229T101500.123Z-pop3-000123.log", NULL},
	    {"20261120T241500.123Z-pop3-000123.log", NULL},
	    {"20261120T106000.123Z-pop3-000123.log", NULL},
	    {"20261120T101560.123Z-pop3-000123.log", NULL},
	    {"00000000T000000.000Z-pop3-000123.log", NULL},
	    {"x20261120T101500.123Z-pop3-000123.log", NULL},
	    {" 20261120T101500.123Z-pop3-000123.log", NULL},
	};
	char text[CLOCK_RFC3339_SIZE];
	int64_t time;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		bool known = transcript_name_parse(cases[i].name, &time);

		if (known != (cases[i].time != NULL))
			fail_msg("%s", cases[i].name);
		if (known)
			assert_string_equal(clock_rfc3339(time, text), cases[i].time);
	}
}

static void
no_part_of_a_name_is_one(void **state)
{
	static const char name[] = "20261120T101500.123Z-pop3-000123.log";
	int64_t time;

	(void)state;
	for (size_t cut = 0; cut < sizeof name - 1; cut++) {
		char *part = strndup(name, cut);

		assert_false(transcript_name_parse(part, &time));
		if (cut > 0)
			assert_false(transcript_name_parse(name + cut, &time));
		free(part);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(session_logs_are_known_by_name),
	    cmocka_unit_test(no_part_of_a_name_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
