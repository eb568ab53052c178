#include "unit.h"

#include "config/config.h"
#include "proto/pop3.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(row) (sizeof(row) / sizeof((row)[0]))

static void
reads_replies(void **state)
{
	static const struct {
		const char *line;
		enum pop3_status status;
		enum pop3_code code;
		const char *text;
	} row[] = {
	    {"+OK", POP3_OK, POP3_CODE_NONE, ""},
	    {"+OK ready", POP3_OK, POP3_CODE_NONE, "ready"},
	    {"+ok \t ready", POP3_OK, POP3_CODE_NONE, "ready"},
	    {"+OK<1.2@x>", POP3_OK, POP3_CODE_NONE, "<1.2@x>"},
	    {"+OK [IN-USE] no code here", POP3_OK, POP3_CODE_NONE, "[IN-USE] no code here"},
	    {"+OKAY", POP3_GARBAGE, POP3_CODE_NONE, "+OKAY"},
	    {"-ERR", POP3_ERR, POP3_CODE_NONE, ""},
	    {"-err no such message", POP3_ERR, POP3_CODE_NONE, "no such message"},
	    {"-ERROR", POP3_GARBAGE, POP3_CODE_NONE, "-ERROR"},
	    {"-ERR [IN-USE] locked", POP3_ERR, POP3_CODE_IN_USE, "locked"},
	    {"-ERR [in-use]locked", POP3_ERR, POP3_CODE_IN_USE, "locked"},
	    {"-ERR [LOGIN-DELAY] wait", POP3_ERR, POP3_CODE_LOGIN_DELAY, "wait"},
	    {"-ERR [SYS/TEMP] disk", POP3_ERR, POP3_CODE_SYS_TEMP, "disk"},
	    {"-ERR [SYS/PERM] gone", POP3_ERR, POP3_CODE_SYS_PERM, "gone"},
	    {"-ERR [SYS/PERM/QUOTA] gone", POP3_ERR, POP3_CODE_SYS_PERM, "gone"},
	    {"-ERR [SYS/PERMANENT] new", POP3_ERR, POP3_CODE_SYS_TEMP, "new"},
	    {"-ERR [SYS] new", POP3_ERR, POP3_CODE_SYS_TEMP, "new"},
	    {"-ERR [AUTH] bad password", POP3_ERR, POP3_CODE_AUTH, "bad password"},
	    {"-ERR [AUTH/EXPIRED] bad", POP3_ERR, POP3_CODE_AUTH, "bad"},
	    {"-ERR [AUTHX] bad", POP3_ERR, POP3_CODE_OTHER, "[AUTHX] bad"},
	    {"-ERR [UTF8] needs it", POP3_ERR, POP3_CODE_UTF8, "needs it"},
	    {"-ERR [192.0.2.1] banned", POP3_ERR, POP3_CODE_OTHER, "[192.0.2.1] banned"},
	    {"-ERR [] banned", POP3_ERR, POP3_CODE_OTHER, "[] banned"},
	    {"-ERR [AUTH bad", POP3_ERR, POP3_CODE_NONE, "[AUTH bad"},
	    {"+", POP3_CONTINUE, POP3_CODE_NONE, ""},
	    {"+ ", POP3_CONTINUE, POP3_CODE_NONE, ""},
	    {"+ VXNlcg==", POP3_CONTINUE, POP3_CODE_NONE, "VXNlcg=="},
	    {"+VXNlcg==", POP3_GARBAGE, POP3_CODE_NONE, "+VXNlcg=="},
	    {"", POP3_GARBAGE, POP3_CODE_NONE, ""},
	    {" +OK", POP3_GARBAGE, POP3_CODE_NONE, " +OK"},
	    {"HTTP/1.1 400 Bad Request", POP3_GARBAGE, POP3_CODE_NONE, "HTTP/1.1 400 Bad Request"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct pop3_reply reply;

		pop3_parse_reply(row[i].line, &reply);
		assert_int_equal(reply.status, row[i].status);
		assert_int_equal(reply.code, row[i].code);
		assert_string_equal(reply.text, row[i].text);
	}
}

static void
reads_stat(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		uint64_t count, octets;
	} row[] = {
	    {"2 320", true, 2, 320},
	    {" 2  320 extra", true, 2, 320},
	    {"0 0", true, 0, 0},
	    {"18446744073709551615 18446744073709551615", true, UINT64_MAX, UINT64_MAX},
	    {"18446744073709551616 0", false, 0, 0},
	    {"2", false, 0, 0},
	    {"2 ", false, 0, 0},
	    {"", false, 0, 0},
	    {"-1 5", false, 0, 0},
	    {"two messages", false, 0, 0},
	    {"2x 320", false, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		uint64_t count = 0, octets = 0;

		assert_int_equal(pop3_parse_stat(row[i].text, &count, &octets), row[i].ok);
		if (!row[i].ok)
			continue;
		assert_true(count == row[i].count && octets == row[i].octets);
	}
}

static void
reads_list_items(void **state)
{
	static const struct {
		const char *line;
		uint32_t number; /* 0: refused */
		uint64_t size;
	} row[] = {
	    {"1 120", 1, 120},
	    {"1\t120", 1, 120},
	    {" 1   120  octets, more", 1, 120},
	    {"4294967295 0", UINT32_MAX, 0},
	    {"4294967296 1", 0, 0},
	    {"1 18446744073709551615", 1, UINT64_MAX},
	    {"1 18446744073709551616", 0, 0},
	    {"0 120", 0, 0},
	    {"1", 0, 0},
	    {"1 ", 0, 0},
	    {"1 -5", 0, 0},
	    {"1 0x10", 0, 0},
	    {"+1 10", 0, 0},
	    {"", 0, 0},
	    {"..", 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct pop3_listing_item item;

		assert_int_equal(pop3_parse_list(row[i].line, &item), row[i].number != 0);
		if (row[i].number == 0)
			continue;
		assert_int_equal(item.number, row[i].number);
		assert_true(item.size == row[i].size);
	}
}

static void
reads_uidl_items(void **state)
{
	static const struct {
		const char *line;
		uint32_t number; /* 0: refused */
		const char *uid;
	} row[] = {
	    {"1 whqtswO00WBw418f9t5JxYwZ", 1, "whqtswO00WBw418f9t5JxYwZ"},
	    {"2 QhdPYR:00WBw1Ph7x7", 2, "QhdPYR:00WBw1Ph7x7"},
	    {"3  x \t ", 3, "x"},
	    {"4 with blank", 4, "with blank"},
	    {"5 \xe9\x80", 5, "\xe9\x80"},
	    {"6 .", 6, "."},
	    {"7", 7, ""},
	    {"7 ", 7, ""},
	    {"7  \t", 7, ""},
	    {"0 x", 0, NULL},
	    {"x 7", 0, NULL},
	    {"8 a\tb", 0, NULL},
	    {"8 a\x1b", 0, NULL},
	    {"8 a\x7f", 0, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct pop3_listing_item item;

		assert_int_equal(pop3_parse_uidl(row[i].line, &item), row[i].number != 0);
		if (row[i].number == 0)
			continue;
		assert_int_equal(item.number, row[i].number);
		assert_int_equal(item.uid_len, strlen(row[i].uid));
		assert_memory_equal(item.uid, row[i].uid, item.uid_len);
	}
}

static void
bounds_the_uid(void **state)
{
	char line[POP3_UID_LIMIT + 8] = "1 ";
	struct pop3_listing_item item;

	(void)state;
	memset(line + 2, 'u', POP3_UID_LIMIT);
	assert_true(pop3_parse_uidl(line, &item));
	assert_int_equal(item.uid_len, POP3_UID_LIMIT);
	line[2 + POP3_UID_LIMIT] = 'u';
	assert_false(pop3_parse_uidl(line, &item));
}

static void
reads_capabilities(void **state)
{
	static const char *const lines[] = {"TOP", "user", "SASL PLAIN login X-OTHER SCRAM-SHA-256",
	    "SASL  XOAUTH2\tUSER none APOP", "RESP-CODES", "LOGIN-DELAY 900 USER", "PIPELINING",
	    "EXPIRE 60 USER", "UIDL", "STLS", "AUTH-RESP-CODE", "UTF8 USER",
	    "IMPLEMENTATION Shlemazle\x1b[0m-v302", "X-UNKNOWN with arguments", "", "TOPPING"};
	struct pop3_capabilities c;

	(void)state;
	pop3_capabilities_init(&c);
	assert_false(c.known || c.top || c.stls);
	assert_true(c.login_delay == -1 && c.expire == -1);
	for (size_t i = 0; i < COUNT(lines); i++)
		pop3_parse_capability(&c, lines[i]);
	assert_true(c.top && c.user && c.uidl && c.stls && c.pipelining);
	assert_true(c.resp_codes && c.auth_resp_code && c.utf8);
	assert_int_equal(c.sasl,
	    1u << AUTH_PLAIN | 1u << AUTH_LOGIN | 1u << AUTH_SCRAM_SHA_256 | 1u << AUTH_XOAUTH2);
	assert_true(c.login_delay == 900 && c.expire == 60 && c.per_user);
	assert_string_equal(c.implementation, "Shlemazle\\x1b[0m-v302");
}

static void
ignores_unreadable_arguments(void **state)
{
	static const char *const lines[] = {"LOGIN-DELAY", "LOGIN-DELAY soon", "EXPIRE",
	    "EXPIRE -1", "LOGIN-DELAY 99999999999999999999", "EXPIRE 9223372036854775807", "SASL",
	    "TOPX", "XTOP"};
	struct pop3_capabilities c;

	(void)state;
	pop3_capabilities_init(&c);
	for (size_t i = 0; i < COUNT(lines); i++)
		pop3_parse_capability(&c, lines[i]);
	assert_true(c.login_delay == -1 && c.expire == -1 && c.sasl == 0 && !c.top);
	pop3_parse_capability(&c, "EXPIRE never");
	assert_true(c.expire == POP3_EXPIRE_NEVER);
}

static void
knows_what_differs_by_user(void **state)
{
	static const struct {
		const char *line;
		bool per_user;
	} row[] = {
	    {"LOGIN-DELAY 900", false},
	    {"LOGIN-DELAY 900 user", true},
	    {"LOGIN-DELAY 900 USERS", false},
	    {"LOGIN-DELAY soon USER", false},
	    {"EXPIRE 30", false},
	    {"EXPIRE 30 USER", true},
	    {"EXPIRE NEVER", false},
	    {"EXPIRE NEVER USER", true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct pop3_capabilities c;

		pop3_capabilities_init(&c);
		pop3_parse_capability(&c, row[i].line);
		assert_int_equal(c.per_user, row[i].per_user);
	}
}

static void
cuts_the_implementation_between_characters(void **state)
{
	struct pop3_capabilities c;
	char line[400] = "IMPLEMENTATION x";

	(void)state;
	pop3_capabilities_init(&c);
	for (int i = 0; i < 100; i++)
		strcat(line, "\xe2\x82\xac");
	pop3_parse_capability(&c, line);
	assert_int_equal(strlen(c.implementation), 1 + 3 * 42);
}

static void
finds_the_timestamp(void **state)
{
	static const struct {
		const char *greeting;
		const char *timestamp; /* NULL: none */
	} row[] = {
	    {"POP3 ready <1896.697170952@dbc.mtview.ca.us>", "<1896.697170952@dbc.mtview.ca.us>"},
	    {"<a@b> x <c@d>", "<a@b>"},
	    {"<no at> then <a@b>", "<a@b>"},
	    {"<<a@b>", "<a@b>"},
	    {"<a@b", NULL},
	    {"<@b>", NULL},
	    {"<a@>", NULL},
	    {"<a@b@c>", NULL},
	    {"<a b@c>", NULL},
	    {"<a\x80@c>", NULL},
	    {"<>", NULL},
	    {"<", NULL},
	    {"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		const char *timestamp = NULL;
		size_t len = 0;
		bool found = pop3_parse_timestamp(row[i].greeting, &timestamp, &len);

		assert_int_equal(found, row[i].timestamp != NULL);
		if (!found)
			continue;
		assert_int_equal(len, strlen(row[i].timestamp));
		assert_memory_equal(timestamp, row[i].timestamp, len);
	}
}

/* Every beginning of a line is a line as well, in a block that ends with it: nothing looks behind.
 */
static void
reads_lines_cut_anywhere(void **state)
{
	static const char *const lines[] = {"-ERR [SYS/TEMP] <1.2@x> text", "12 345 more",
	    "1 uid-1 ", "SASL PLAIN LOGIN", "EXPIRE NEVER", "LOGIN-DELAY 9", "<a@b>"};

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		for (size_t len = 0; len <= strlen(lines[i]); len++) {
			char *line = strndup(lines[i], len);
			struct pop3_capabilities c;
			struct pop3_listing_item item;
			struct pop3_reply reply;
			uint64_t a, b;
			const char *t;
			size_t n;

			pop3_capabilities_init(&c);
			pop3_parse_reply(line, &reply);
			assert_true(reply.text >= line && reply.text <= line + len);
			pop3_parse_stat(line, &a, &b);
			pop3_parse_list(line, &item);
			if (pop3_parse_uidl(line, &item))
				assert_true(item.uid + item.uid_len <= line + len);
			pop3_parse_capability(&c, line);
			if (pop3_parse_timestamp(line, &t, &n))
				assert_true(t + n <= line + len);
			free(line);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_replies),
	    cmocka_unit_test(reads_stat),
	    cmocka_unit_test(reads_list_items),
	    cmocka_unit_test(reads_uidl_items),
	    cmocka_unit_test(bounds_the_uid),
	    cmocka_unit_test(reads_capabilities),
	    cmocka_unit_test(knows_what_differs_by_user),
	    cmocka_unit_test(ignores_unreadable_arguments),
	    cmocka_unit_test(cuts_the_implementation_between_characters),
	    cmocka_unit_test(finds_the_timestamp),
	    cmocka_unit_test(reads_lines_cut_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
