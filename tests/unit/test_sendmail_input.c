#include "unit.h"

#include "ctl/sendmail_input.h"

#include <string.h>
#include <unistd.h>

#define COUNT(row) (sizeof(row) / sizeof((row)[0]))

static const struct {
	const char *in;
	const char *out;
	bool ignore_dots;
	bool is_over; /* before the end of the input */
} cases[] = {
    {"", "", false, false},
    {"a", "a", false, false},
    {"a\nb\n", "a\nb\n", false, false},
    {"a\n.\nb\n", "a\n", false, true},
    {"a\r\n.\r\nb\r\n", "a\r\n", false, true},
    {".\n", "", false, true},
    {"a\n.", "a\n", false, false},
    {"a\n.\r", "a\n", false, false},
    {"a\n..\nb\n", "a\n..\nb\n", false, false},
    {"a\n.b\n.\n", "a\n.b\n", false, true},
    {"a\n.\rb\n", "a\n.\rb\n", false, false},
    {"a\n.\r.\n", "a\n.\r.\n", false, false},
    {"a.\nb\n", "a.\nb\n", false, false},
    {"a\n \n. \n", "a\n \n. \n", false, false},
    {"\n\n.\n", "\n\n", false, true},
    {"a\n.\nb\n", "a\n.\nb\n", true, false},
    {".\n", ".\n", true, false},
    {"a\n.", "a\n.", true, false},
};

/* Cut in two at any place, and octet by octet. */
static void
scan_case(size_t c, size_t cut)
{
	struct sendmail_input input;
	struct str out = STR_INIT;
	size_t len = strlen(cases[c].in);

	sendmail_input_init(&input, -1, cases[c].ignore_dots);
	if (cut <= len) {
		sendmail_input_scan(&input, cases[c].in, cut, &out);
		sendmail_input_scan(&input, cases[c].in + cut, len - cut, &out);
	} else {
		for (size_t i = 0; i < len; i++)
			sendmail_input_scan(&input, cases[c].in + i, 1, &out);
	}
	assert_string_equal(str_text(&out), cases[c].out);
	assert_int_equal(input.is_over, cases[c].is_over);
	str_clear(&out);
}

static void
a_dot_ends_the_message(void **state)
{
	(void)state;
	for (size_t c = 0; c < COUNT(cases); c++)
		for (size_t cut = 0; cut <= strlen(cases[c].in) + 1; cut++)
			scan_case(c, cut);
}

static void
it_is_read_to_its_end(void **state)
{
	struct sendmail_input input;
	struct str out = STR_INIT;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	sendmail_input_init(&input, ends[0], false);
	assert_int_equal(write(ends[1], "one\n", 4), 4);
	assert_int_equal(sendmail_input_read(&input, &out), SENDMAIL_READ_SOME);
	assert_int_equal(write(ends[1], "two\n.", 5), 5);
	assert_int_equal(sendmail_input_read(&input, &out), SENDMAIL_READ_SOME);
	close(ends[1]);
	assert_int_equal(sendmail_input_read(&input, &out), SENDMAIL_READ_OVER);
	assert_true(input.is_over);
	assert_string_equal(str_text(&out), "one\ntwo\n");
	close(ends[0]);
	assert_int_equal(sendmail_input_read(&input, &out), SENDMAIL_READ_FAILED);
	str_clear(&out);
}

/* Whether octets are there or not. */
static void
a_signal_interrupts_it(void **state)
{
	struct sendmail_input input;
	struct str out = STR_INIT;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	sendmail_input_init(&input, ends[0], false);
	signal(SIGHUP, SIG_IGN);
	sendmail_input_catch_signals();
	raise(SIGHUP);
	assert_int_equal(write(ends[1], "one\n", 4), 4);
	assert_int_equal(sendmail_input_read(&input, &out), SENDMAIL_READ_SOME);
	raise(SIGTERM);
	assert_int_equal(sendmail_input_read(&input, &out), SENDMAIL_READ_INTERRUPTED);
	assert_int_equal(write(ends[1], "two\n", 4), 4);
	assert_int_equal(sendmail_input_read(&input, &out), SENDMAIL_READ_INTERRUPTED);
	close(ends[0]);
	close(ends[1]);
	str_clear(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_dot_ends_the_message),
	    cmocka_unit_test(it_is_read_to_its_end),
	    cmocka_unit_test(a_signal_interrupts_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
