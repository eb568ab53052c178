#include "unit.h"

#include "config/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(rows) (sizeof rows / sizeof rows[0])

static void
durations(void **state)
{
	static const struct {
		const char *text;
		int64_t ms; /* -1: not one */
	} rows[] = {
	    {"90s", 90000},
	    {"5m", 300000},
	    {"2h", 7200000},
	    {"14d", 1209600000},
	    {"0s", 0},
	    {"106751991167d", 9223372036828800000},
	    {"106751991168d", -1},
	    {"99999999999999999999s", -1},
	    {"", -1},
	    {"5", -1},
	    {"s", -1},
	    {"5 m", -1},
	    {" 5m", -1},
	    {"5M", -1},
	    {"5ms", -1},
	    {"-5m", -1},
	    {"1h30m", -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t ms = -1;

		assert_true(value_duration(rows[i].text, &ms) == (rows[i].ms != -1));
		assert_int_equal(ms, rows[i].ms);
	}
}

static void
sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t octets; /* 1: not one */
	} rows[] = {
	    {"64K", 65536},
	    {"50M", 52428800},
	    {"2G", 2147483648},
	    {"2g", 2147483648},
	    {"0K", 0},
	    {"9999999999999G", 1},
	    {"64", 1},
	    {"K", 1},
	    {"64KB", 1},
	    {"64T", 1},
	    {"", 1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t octets = 1;

		assert_true(value_size(rows[i].text, &octets) == (rows[i].octets != 1));
		assert_int_equal(octets, rows[i].octets);
	}
}

static void
modes(void **state)
{
	static const struct {
		const char *text;
		int mode; /* -1: not one */
	} rows[] = {
	    {"0640", 0640},
	    {"600", 0600},
	    {"0", 0},
	    {"", -1},
	    {"00640", -1},
	    {"0680", -1},
	    {"rw", -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		mode_t mode = (mode_t)-1;

		assert_true(value_mode(rows[i].text, &mode) == (rows[i].mode != -1));
		assert_int_equal(mode, (mode_t)rows[i].mode);
	}
}

struct text_row {
	const char *text;
	bool good;
};

static void
check_texts(bool (*function)(const char *), const struct text_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (function(rows[i].text) != rows[i].good)
			print_error("\"%s\" is taken wrongly\n", rows[i].text);
		assert_int_equal(function(rows[i].text), rows[i].good);
	}
}

#define LABEL63 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg"

static void
names_and_hosts(void **state)
{
	static const struct text_row names[] = {
	    {"a", true},
	    {"A.b-c_9", true},
	    {"9", true},
	    {LABEL63 "4", true},
	    {LABEL63 "45", false},
	    {"", false},
	    {".a", false},
	    {"-a", false},
	    {"a b", false},
	    {"a/b", false},
	    {"\xc3\xa9", false},
	};
	static const struct text_row hosts[] = {
	    {"h", true},
	    {"pop.example.org", true},
	    {"pop.example.org.", true},
	    {"my_host", true},
	    {"m\xc3\xbcnchen.example", true},
	    {"192.0.2.1", true},
	    {"2001:db8::1", true},
	    {"fe80::1%eth0", true},
	    {LABEL63 ".x", true},
	    {LABEL63 "h.x", false},
	    {"", false},
	    {".", false},
	    {"a..b", false},
	    {"-a", false},
	    {"a-", false},
	    {"a.-b", false},
	    {"[::1]", false},
	    {"h:995", false},
	    {"192.0.2", false},
	    {"192.0.2.256", false},
	    {"a b", false},
	    {"a/b", false},
	    {"a@b", false},
	    {"\xff", false},
	    {"a\xe2\x80\xae"
	     "b",
		false},
	};
	static const struct text_row loopbacks[] = {
	    {"localhost", true},
	    {"LOCALHOST.", true},
	    {"127.0.0.1", true},
	    {"127.255.0.9", true},
	    {"::1", true},
	    {"0:0:0:0:0:0:0:1", true},
	    {"128.0.0.1", false},
	    {"0.0.0.0", false},
	    {"::", false},
	    {"::2", false},
	    {"localhost.example.org", false},
	    {"localhostx", false},
	    {"127.0.0.1.example.org", false},
	};

	(void)state;
	check_texts(value_name, names, COUNT(names));
	check_texts(value_host, hosts, COUNT(hosts));
	check_texts(value_host_is_loopback, loopbacks, COUNT(loopbacks));
}

static bool
is_address(const char *text)
{
	return value_mailbox(text, false);
}

static bool
is_address_or_domain(const char *text)
{
	return value_mailbox(text, true);
}

static void
mailboxes(void **state)
{
	static const struct text_row addresses[] = {
	    {"me@example.org", true},
	    {"a.b+c@x", true},
	    {"\"a b\"@example.org", true},
	    {"\"a\\\"@b\"@example.org", true},
	    {"j\xc3\xb6rg@example.org", true},
	    {"me@[192.0.2.1]", true},
	    {"me@[IPv6:::1]", true},
	    {"me@[::1]", false},
	    {"me@[IPv6:192.0.2.1]", false},
	    {"@example.org", false},
	    {"me@", false},
	    {"me", false},
	    {"", false},
	    {"a..b@c", false},
	    {".a@c", false},
	    {"a.@c", false},
	    {"a b@c", false},
	    {"a@b@c", false},
	    {"<a@b>", false},
	    {"\"a\"b\"@c", false},
	    {"\"a\\\"@c", false},
	    {"\"@c", false},
	    {"a@b c", false},
	    {"a\r@b", false},
	};
	static const struct text_row with_domains[] = {
	    {"@example.org", true},
	    {"me@example.org", true},
	    {"@", false},
	    {"@a b", false},
	    {"@[192.0.2.1]", false},
	};

	(void)state;
	check_texts(is_address, addresses, COUNT(addresses));
	check_texts(is_address_or_domain, with_domains, COUNT(with_domains));
}

static void
other_texts(void **state)
{
	static const struct text_row helos[] = {
	    {"host.example.org", true},
	    {"[192.0.2.1]", true},
	    {"[IPv6:2001:db8::1]", true},
	    {"[]", false},
	    {"a b", false},
	    {"", false},
	};
	static const struct text_row ports[] = {
	    {"127.0.0.1:2525", true},
	    {"[::1]:1", true},
	    {"127.1.2.3:65535", true},
	    {"127.0.0.1:0", false},
	    {"127.0.0.1:65536", false},
	    {"127.0.0.1", false},
	    {"localhost:25", false},
	    {"0.0.0.0:25", false},
	    {"[::]:25", false},
	    {"::1:25", false},
	    {"[127.0.0.1]:25", false},
	    {"10.0.0.1:25", false},
	    {":25", false},
	    {"", false},
	};
	static const struct text_row notifies[] = {
	    {"never", true},
	    {"success", true},
	    {"SUCCESS,failure,Delay", true},
	    {"never,delay", false},
	    {"delay,delay", false},
	    {"delay,", false},
	    {",delay", false},
	    {"", false},
	    {"delay, failure", false},
	};

	(void)state;
	check_texts(value_helo, helos, COUNT(helos));
	check_texts(value_loopback_port, ports, COUNT(ports));
	check_texts(value_notify, notifies, COUNT(notifies));
	assert_true(value_text("a\\b \xc3\xa9", 5 + 1));
	assert_false(value_text("", 5));
	assert_false(value_text("abcdef", 5));
	assert_false(value_text("a\tb", 5));
	assert_false(value_text("a\x7f", 5));
}

static void
pins(void **state)
{
	static const char hex[] =
	    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eFf";
	struct tls_pin pin;
	char text[128];

	(void)state;
	snprintf(text, sizeof text, "sha256:%s", hex);
	assert_true(value_pin(text, &pin));
	assert_int_equal(pin.kind, PIN_CERTIFICATE);
	assert_int_equal(pin.sha256[1], 1);
	assert_int_equal(pin.sha256[31], 0xff);
	snprintf(text, sizeof text, "SPKI-SHA256:%s", hex);
	assert_true(value_pin(text, &pin));
	assert_int_equal(pin.kind, PIN_KEY);
	for (size_t cut = 0; cut < strlen(text); cut++) {
		char *part = strndup(text, cut);

		assert_false(value_pin(part, &pin));
		free(part);
	}
	strcat(text, "0");
	assert_false(value_pin(text, &pin));
	assert_false(value_pin(hex, &pin));
	snprintf(text, sizeof text, "sha256:%.63sg", hex);
	assert_false(value_pin(text, &pin));
	snprintf(text, sizeof text, "sha1:%s", hex);
	assert_false(value_pin(text, &pin));
}

static void
pins_with_colons(void **state)
{
	char text[128] = "sha256:";
	struct tls_pin pin;

	(void)state;
	for (unsigned i = 0; i < 32; i++)
		snprintf(text + strlen(text), 4, "%s%02X", i > 0 ? ":" : "", i);
	assert_true(value_pin(text, &pin));
	assert_int_equal(pin.sha256[31], 31);
	for (size_t cut = 0; cut < strlen(text); cut++) {
		char *part = strndup(text, cut);

		assert_false(value_pin(part, &pin));
		free(part);
	}
	text[9] = '-';
	assert_false(value_pin(text, &pin));
}

static void
check_proxy(const char *text, const char *host, int port, const char *user, const char *password)
{
	struct proxy_config proxy;

	assert_true(value_proxy(text, &proxy));
	assert_string_equal(proxy.host, host);
	assert_int_equal(proxy.port, port);
	assert_true((user == NULL) == (proxy.user == NULL));
	if (user != NULL)
		assert_string_equal(proxy.user, user);
	if (password != NULL)
		assert_string_equal(proxy.password, password);
	free(proxy.host);
	free(proxy.user);
	free(proxy.password);
}

static void
proxies(void **state)
{
	static const char *const bad[] = {
	    "",
	    "socks5://",
	    "socks5://host",
	    "socks5://host:",
	    "socks5://host:0",
	    "socks5://host:1x",
	    "socks5://host:1/",
	    "socks5://::1:1080",
	    "socks5://[::1:1080",
	    "socks5://[host]:1080",
	    "socks5://u@host:1",
	    "socks5://u:@host:1",
	    "socks5://:p@host:1",
	    "socks5://u:p%@host:1",
	    "socks5://u:p%4@host:1",
	    "socks5://u:p%zz@host:1",
	    "socks5://u:p%00@host:1",
	    "socks5://u%00:p@host:1",
	    "socks4://host:1",
	    "http://host:1",
	    "host:1",
	};
	struct proxy_config proxy;

	(void)state;
	check_proxy("socks5://proxy.example:1080", "proxy.example", 1080, NULL, NULL);
	check_proxy("SOCKS5://[::1]:9", "::1", 9, NULL, NULL);
	check_proxy("socks5://u:p@192.0.2.1:1", "192.0.2.1", 1, "u", "p");
	check_proxy("socks5://u%3a:%70:@@h:65535", "h", 65535, "u:", "p:@");
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(value_proxy(bad[i], &proxy));
}

static void
proxies_cut_at_each_octet(void **state)
{
	static const char text[] = "socks5://u:%70@host:1080";
	struct proxy_config proxy;

	(void)state;
	for (size_t cut = 0; cut < sizeof text - 1; cut++) {
		char *part = strndup(text, cut);
		bool good = value_proxy(part, &proxy);

		assert_true(good == (cut > strlen("socks5://u:%70@host:")));
		if (good) {
			free(proxy.host);
			free(proxy.user);
			free(proxy.password);
		}
		free(part);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(durations),
	    cmocka_unit_test(sizes),
	    cmocka_unit_test(modes),
	    cmocka_unit_test(names_and_hosts),
	    cmocka_unit_test(mailboxes),
	    cmocka_unit_test(other_texts),
	    cmocka_unit_test(pins),
	    cmocka_unit_test(pins_with_colons),
	    cmocka_unit_test(proxies),
	    cmocka_unit_test(proxies_cut_at_each_octet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
