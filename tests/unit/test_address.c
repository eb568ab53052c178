#include "unit.h"

#include "net/address.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static void
literals_are_read_and_written(void **state)
{
	static const struct {
		const char *text;
		const char *shown; /* NULL: no address */
		bool loopback;
	} cases[] = {
	    {"127.0.0.1", "127.0.0.1:995", true},
	    {"127.9.8.7", "127.9.8.7:995", true},
	    {"128.0.0.1", "128.0.0.1:995", false},
	    {"192.0.2.1", "192.0.2.1:995", false},
	    {"::1", "[::1]:995", true},
	    {"::ffff:127.0.0.1", "[::ffff:127.0.0.1]:995", true},
	    {"::ffff:192.0.2.1", "[::ffff:192.0.2.1]:995", false},
	    {"2001:DB8::5", "[2001:db8::5]:995", false},
	    {"", NULL, false},
	    {"localhost", NULL, false},
	    {"[::1]", NULL, false},
	    {"1.2.3.4.5", NULL, false},
	    {"::1::", NULL, false},
	};
	char buf[ADDRESS_TEXT_SIZE];
	struct address a;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(address_parse(cases[i].text, 995, &a), cases[i].shown != NULL);
		if (cases[i].shown == NULL)
			continue;
		assert_string_equal(address_format(&a, true, buf), cases[i].shown);
		assert_int_equal(address_is_loopback(&a), cases[i].loopback);
	}
}

static void
the_same_host_is_the_same_with_any_port(void **state)
{
	struct address a, b;

	(void)state;
	assert_true(address_parse("192.0.2.1", 1, &a));
	assert_true(address_parse("192.0.2.1", 2, &b));
	assert_true(address_same_host(&a, &b));
	assert_true(address_parse("192.0.2.2", 1, &b));
	assert_false(address_same_host(&a, &b));
	assert_true(address_parse("2001:db8::1", 1, &b));
	assert_false(address_same_host(&a, &b));
	assert_true(address_parse("2001:db8::1", 2, &a));
	assert_true(address_same_host(&a, &b));
}

static void
hosts_become_what_the_wire_wants(void **state)
{
	static const struct {
		const char *host;
		const char *ascii;
	} cases[] = {
	    {"pop.example.org", "pop.example.org"},
	    {"pop.example.org.", "pop.example.org"},
	    {"m\xc3\xbcller.example", "xn--mller-kva.example"},
	    {"::1", "::1"},
	    {"", NULL},
	    {".", NULL},
	    {".example.org", NULL},
	    {"\xff\xfe", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *got = address_ascii_host(cases[i].host);

		if (cases[i].ascii == NULL)
			assert_null(got);
		else
			assert_string_equal(got, cases[i].ascii);
		free(got);
	}
}

static void
servers_are_called_by_host_and_port(void **state)
{
	char *name = address_server_name("pop.example.org", 995);

	(void)state;
	assert_string_equal(name, "pop.example.org:995");
	free(name);
	name = address_server_name("2001:db8::1", 110);
	assert_string_equal(name, "[2001:db8::1]:110");
	free(name);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(literals_are_read_and_written),
	    cmocka_unit_test(the_same_host_is_the_same_with_any_port),
	    cmocka_unit_test(hosts_become_what_the_wire_wants),
	    cmocka_unit_test(servers_are_called_by_host_and_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
