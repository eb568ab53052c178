#include "unit.h"

#include "proto/smtp_command.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(row) (sizeof(row) / sizeof((row)[0]))

static const struct smtp_capabilities all = {
    .size = true, .eight_bit = true, .utf8 = true, .dsn = true, .chunking = true};
static const struct smtp_capabilities none = {0};

/* A refusal leaves what was there and says why. */
static void
expect(bool ok, const struct str *out, const char *why, const char *line)
{
	static const char before[] = "before ";

	assert_memory_equal(out->data, before, sizeof before - 1);
	assert_true(ok == (line != NULL));
	assert_true(ok == (why == NULL));
	assert_string_equal(out->data + sizeof before - 1, ok ? line : "");
}

static void
writes_ehlo(void **state)
{
	static const struct {
		const char *name, *line;
	} row[] = {
	    {"host.example.org", "EHLO host.example.org"},
	    {"[192.0.2.1]", "EHLO [192.0.2.1]"},
	    {"[IPv6:2001:db8::1]", "EHLO [IPv6:2001:db8::1]"},
	    {"my_pc", "EHLO my_pc"},
	    {"", NULL},
	    {"a b", NULL},
	    {"a\r\nMAIL", NULL},
	    {"a\n", NULL},
	    {"<a>", NULL},
	    {"b\xc3\xbc"
	     "cher",
		NULL},
	    {"a\x7f", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct str out = STR_INIT;
		const char *why = NULL;
		bool ok;

		str_append_text(&out, "before ");
		ok = smtp_command_ehlo(&out, row[i].name, &why);
		expect(ok, &out, why, row[i].line);
		assert_true(smtp_command_helo(&out, row[i].name, NULL) == ok);
		assert_true(!ok || strstr(out.data, "HELO ") != NULL);
		str_clear(&out);
	}
}

static void
refuses_a_long_name(void **state)
{
	struct str out = STR_INIT;
	char name[257];

	(void)state;
	memset(name, 'a', sizeof name);
	name[256] = '\0';
	assert_false(smtp_command_ehlo(&out, name, NULL));
	assert_true(smtp_command_ehlo(&out, name + 1, NULL));
	str_clear(&out);
}

#define ENVID_34 "================================="

static void
writes_mail(void **state)
{
	static const struct {
		struct smtp_mail mail;
		const struct smtp_capabilities *capabilities;
		const char *line;
	} row[] = {
	    {{.sender = ""}, &none, "MAIL FROM:<>"},
	    {{.sender = "me@a", .size = 5, .eight_bit = true, .ret = "FULL", .envid = "x"}, &none,
		"MAIL FROM:<me@a>"},
	    {{.sender = "me@a", .size = 5, .eight_bit = true, .ret = "FULL", .envid = "x"}, &all,
		"MAIL FROM:<me@a> SIZE=5 BODY=8BITMIME RET=FULL ENVID=x"},
	    {{.sender = "me@a", .utf8 = true, .ret = "HDRS"}, &all,
		"MAIL FROM:<me@a> SMTPUTF8 RET=HDRS"},
	    {{.sender = "\xc3\xa9@a", .utf8 = true}, &all, "MAIL FROM:<\xc3\xa9@a> SMTPUTF8"},
	    {{.sender = "me@a", .size = UINT64_MAX, .envid = "a+b=c d"}, &all,
		"MAIL FROM:<me@a> SIZE=18446744073709551615 ENVID=a+2Bb+3Dc+20d"},
	    {{.sender = "me@a", .utf8 = true}, &none, NULL},
	    {{.sender = "\xc3\xa9@a"}, &all, NULL},
	    {{.sender = "me@a\r\nRCPT TO:<b@c>"}, &all, NULL},
	    {{.sender = "me@a> SIZE=1"}, &all, NULL},
	    {{.sender = "me@a", .ret = "HEADERS"}, &all, NULL},
	    {{.sender = "me@a", .ret = "FULL ENVID=x"}, &all, NULL},
	    {{.sender = "me@a", .envid = ""}, &all, NULL},
	    {{.sender = "me@a", .envid = "a\r\nb"}, &all, NULL},
	    {{.sender = "me@a", .envid = "\xc3\xa9"}, &all, NULL},
	    {{.sender = "me@a", .envid = ENVID_34 "x"}, &all,
		"MAIL FROM:<me@a> ENVID="
		"+3D+3D+3D+3D+3D+3D+3D+3D+3D+3D+3D+3D+3D+3D+3D+3D+3D+3D+3D+3D+3D+3D+3D+3D+3D+3D"
		"+3D+3D+3D+3D+3D+3D+3Dx"},
	    {{.sender = "me@a", .envid = ENVID_34 "xx"}, &all, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct str out = STR_INIT;
		const char *why = NULL;
		bool ok;

		str_append_text(&out, "before ");
		ok = smtp_command_mail(&out, &row[i].mail, row[i].capabilities, &why);
		expect(ok, &out, why, row[i].line);
		str_clear(&out);
	}
}

static void
writes_rcpt(void **state)
{
	static const struct {
		struct smtp_rcpt rcpt;
		const struct smtp_capabilities *capabilities;
		const char *line;
	} row[] = {
	    {{.recipient = "a@b"}, &all, "RCPT TO:<a@b>"},
	    {{.recipient = "Postmaster"}, &all, "RCPT TO:<Postmaster>"},
	    {{.recipient = "\"a b\"@c"}, &all, "RCPT TO:<\"a b\"@c>"},
	    {{.recipient = "a@b", .notify = "NEVER"}, &all, "RCPT TO:<a@b> NOTIFY=NEVER"},
	    {{.recipient = "a@b", .notify = "FAILURE,DELAY", .original = "x+y@z"}, &all,
		"RCPT TO:<a@b> NOTIFY=FAILURE,DELAY ORCPT=rfc822;x+2By@z"},
	    {{.recipient = "a@b", .notify = "FAILURE,DELAY", .original = "x@z"}, &none,
		"RCPT TO:<a@b>"},
	    {{.recipient = "a@xn--bcher-kva.example",
		 .original = "a@b\xc3\xbc"
			     "cher.example"},
		&all, "RCPT TO:<a@xn--bcher-kva.example> ORCPT=utf-8;a@b\\x{FC}cher.example"},
	    {{.recipient = "a@b", .original = "x\r\n@z"}, &all,
		"RCPT TO:<a@b> ORCPT=rfc822;x+0D+0A@z"},
	    {{.recipient = "a@b", .original = ""}, &all, "RCPT TO:<a@b>"},
	    {{.recipient = "\xc3\xa9@b", .utf8 = true}, &all, "RCPT TO:<\xc3\xa9@b>"},
	    {{.recipient = "\xc3\xa9@b", .utf8 = true}, &none, NULL},
	    {{.recipient = "\xc3\xa9@b"}, &all, NULL},
	    {{.recipient = ""}, &all, NULL},
	    {{.recipient = "a@b>\r\nDATA"}, &all, NULL},
	    {{.recipient = "a@b> NOTIFY=NEVER"}, &all, NULL},
	    {{.recipient = "a@b", .notify = ""}, &all, NULL},
	    {{.recipient = "a@b", .notify = "NEVER,FAILURE"}, &all, NULL},
	    {{.recipient = "a@b", .notify = "FAILURE,FAILURE"}, &all, NULL},
	    {{.recipient = "a@b", .notify = "FAILURE,"}, &all, NULL},
	    {{.recipient = "a@b", .notify = "failure"}, &all, NULL},
	    {{.recipient = "a@b", .notify = "FAILURE ORCPT=x"}, &all, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct str out = STR_INIT;
		const char *why = NULL;
		bool ok;

		str_append_text(&out, "before ");
		ok = smtp_command_rcpt(&out, &row[i].rcpt, row[i].capabilities, &why);
		expect(ok, &out, why, row[i].line);
		str_clear(&out);
	}
}

static void
says_why(void **state)
{
	struct smtp_mail mail = {.sender = "a@b", .utf8 = true};
	struct smtp_rcpt rcpt = {.recipient = "\xc3\xa9@b", .utf8 = true};
	struct str out = STR_INIT;
	const char *why = NULL;

	(void)state;
	assert_false(smtp_command_mail(&out, &mail, &none, &why));
	assert_string_equal(why, "needs SMTPUTF8, which the server lacks");
	why = NULL;
	assert_false(smtp_command_rcpt(&out, &rcpt, &none, &why));
	assert_string_equal(why, "needs SMTPUTF8, which the server lacks");
	rcpt.recipient = "a\r\n@b";
	assert_false(smtp_command_rcpt(&out, &rcpt, &all, &why));
	assert_string_equal(why, "holds a control character");
	str_clear(&out);
}

static void
leaves_out_a_long_original(void **state)
{
	char original[200];
	struct smtp_rcpt rcpt = {.recipient = "a@b", .original = original};
	struct str out = STR_INIT;

	(void)state;
	memset(original, '+', sizeof original);
	original[199] = '\0';
	assert_true(smtp_command_rcpt(&out, &rcpt, &all, NULL));
	assert_string_equal(out.data, "RCPT TO:<a@b>");
	original[164] = '\0'; /* 7 + 3 * 164 = 499 */
	assert_true(smtp_command_rcpt(&out, &rcpt, &all, NULL));
	assert_non_null(strstr(out.data, " ORCPT=rfc822;+2B+2B"));
	str_clear(&out);
}

static void
writes_bdat(void **state)
{
	struct str out = STR_INIT;

	(void)state;
	smtp_command_bdat(&out, 0, true);
	assert_string_equal(out.data, "BDAT 0 LAST");
	str_truncate(&out, 0);
	smtp_command_bdat(&out, UINT64_MAX, false);
	assert_string_equal(out.data, "BDAT 18446744073709551615");
	str_clear(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(writes_ehlo),
	    cmocka_unit_test(refuses_a_long_name),
	    cmocka_unit_test(writes_mail),
	    cmocka_unit_test(writes_rcpt),
	    cmocka_unit_test(says_why),
	    cmocka_unit_test(leaves_out_a_long_original),
	    cmocka_unit_test(writes_bdat),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
