#include "unit.h"

#include "ctl/ctl_test_text.h"

#include <locale.h>
#include <stdlib.h>

static const struct ctl_screen piped = {0, false, false};
static const struct ctl_screen coloured = {0, true, false};
static const struct ctl_screen narrow = {60, false, true};

static void
expect_step(const struct ctl_screen *screen, const char *json, const char *expected)
{
	json_t *step = json_loads(json, 0, NULL);
	struct str s = STR_INIT;

	assert_non_null(step);
	ctl_test_text_append_step(&s, step, screen);
	assert_string_equal(str_text(&s), expected);
	str_clear(&s);
	json_decref(step);
}

static void
ticks_every_step(void **state)
{
	(void)state;
	expect_step(&piped,
	    "{\"step\":\"connect\",\"ok\":true,\"ms\":12,\"text\":\"192.0.2.1:995 answered\","
	    "\"details\":[\"IPv6 did not work\",\"and so on\"]}",
	    "  \u2713  connect       192.0.2.1:995 answered\n"
	    "                   IPv6 did not work\n"
	    "                   and so on\n");
	expect_step(&piped, "{\"step\":\"capabilities\",\"ok\":true,\"ms\":1500,\"text\":\"TOP\"}",
	    "  \u2713  capabilities  TOP (after 1.5 s)\n");
	expect_step(&piped, "{\"step\":\"login\",\"ok\":false,\"ms\":1,\"text\":\"refused\"}",
	    "  \u2717  login         refused\n");
	expect_step(&coloured, "{\"step\":\"login\",\"ok\":false,\"ms\":1,\"text\":\"refused\"}",
	    "  \x1b[31m\u2717 \x1b[0m login         refused\n");
}

static void
wraps_and_keeps_to_ascii(void **state)
{
	(void)state;
	expect_step(&narrow,
	    "{\"step\":\"login\",\"ok\":false,\"ms\":0,\"text\":\"the server says: "
	    "Gr\\u00fc\\u00df "
	    "dich, and a good deal more than fits into one line\"}",
	    "  NO login         the server says: Gr\\xc3\\xbc\\xc3\\x9f dich,\n"
	    "                   and a good deal more than fits into one\n"
	    "                   line\n");
	expect_step(&narrow, "{\"step\":\"quit\",\"ok\":true,\"text\":\"+OK\"}",
	    "  ok quit          +OK\n");
}

static void
obeys_no_server(void **state)
{
	(void)state;
	expect_step(&piped,
	    "{\"step\":\"greeting\",\"ok\":true,\"text\":\"\\u001b[2J\\n\",\"details\":[7,"
	    "\"\\u0007\"]}",
	    "  \u2713  greeting      \\x1b[2J\\x0a\n"
	    "                   -\n"
	    "                   \\x07\n");
	expect_step(&piped, "{}", "  \u2717  -             -\n");
}

static void
names_the_sides(void **state)
{
	struct str s = STR_INIT;

	(void)state;
	ctl_test_text_append_side(&s, "pop3", "[::1]:995", &piped);
	ctl_test_text_append_side(&s, "smtp", NULL, &piped);
	assert_string_equal(str_text(&s), "POP3 at [::1]:995\nSMTP is not configured\n");
	str_clear(&s);
}

static void
expect_end(const char *json, const char *expected)
{
	json_t *result = json_loads(json, 0, NULL);
	struct str s = STR_INIT;

	ctl_test_text_append_end(&s, result, &piped);
	assert_string_equal(str_text(&s), expected);
	str_clear(&s);
	json_decref(result);
}

static void
ends_with_how_it_went(void **state)
{
	(void)state;
	expect_end("{\"ok\":false,\"account\":\"work\",\"pop3\":{\"ok\":false,\"steps\":[{}]},"
		   "\"smtp\":{\"ok\":true,\"steps\":[{}]}}",
	    "work: fetching does not work, sending works\n");
	expect_end("{\"ok\":true,\"account\":\"in\",\"pop3\":{\"ok\":true,\"steps\":[{}]},"
		   "\"smtp\":{\"ok\":true,\"server\":null,\"steps\":[]}}",
	    "in: fetching works, sending is not configured\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ticks_every_step),
	    cmocka_unit_test(wraps_and_keeps_to_ascii),
	    cmocka_unit_test(obeys_no_server),
	    cmocka_unit_test(names_the_sides),
	    cmocka_unit_test(ends_with_how_it_went),
	};

	setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
