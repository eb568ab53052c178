#include "unit.h"

#include "ctl/sendmail_header.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(row) (sizeof(row) / sizeof((row)[0]))

#define BARE     .login = "joe", .login_name = "Joe Doe"
#define AT_HOME  BARE, .local_domain = "host.example"
#define OF_OTHER BARE, .own_address = "me@example.org"
#define TO_YOU   .operands = to_you, .operand_count = 1

static char you[] = "you@example.org", list[] = "a@b, \"Mr. C\" <c@d>",
	    group[] = "group: e@f, root;", odd[] = "\"odd one\"@g", comma[] = " , ", null[] = "<>",
	    injected[] = "a@b\nX-Postrider-Account: other", broken[] = "c@";
static char *const to_you[] = {you};
static char *const to_many[] = {list, group, odd};
static char *const to_nobody[] = {comma};
static char *const to_null[] = {null};
static char *const to_injected[] = {injected};
static char *const to_broken[] = {you, broken};

/* The steering and the From that the command line makes. */
static const struct {
	struct sendmail_origin origin;
	const char *out; /* of a message without a header; NULL: refused */
} origins[] = {
    {{BARE}, "From: Joe Doe <joe>\n\n"},
    {{AT_HOME}, "From: Joe Doe <joe@host.example>\n\n"},
    {{OF_OTHER}, "From: Joe Doe <me@example.org>\n\n"},
    {{.login = "joe"}, "From: joe\n\n"},
    {{.login = "joe", .login_name = "  "}, "From: joe\n\n"},
    {{.login = "two words", .local_domain = "h"}, "From: \"two words\"@h\n\n"},
    {{.login = ".a..b", .local_domain = "h"}, "From: \".a..b\"@h\n\n"},
    {{.login = "a\"\\b", .local_domain = "h"}, "From: \"a\\\"\\\\b\"@h\n\n"},
    {{.login = "a.b", .local_domain = "h"}, "From: a.b@h\n\n"},
    {{BARE, .name = "Mr. \"X\" \\"}, "From: \"Mr. \\\"X\\\" \\\\\" <joe>\n\n"},
    {{BARE, .name = "CronDaemon"}, "From: CronDaemon <joe>\n\n"},
    {{BARE, .name = "a\nBcc: b@c"}, "From: \"a Bcc: b@c\" <joe>\n\n"},
    {{BARE, .name = "J\xc3\xb6"}, "From: =?UTF-8?B?SsO2?=\n <joe>\n\n"},
    {{BARE, .name = ""}, "From: joe\n\n"},
    {{AT_HOME, TO_YOU},
	"X-Postrider-Recipient: <you@example.org>\nFrom: Joe Doe <joe@host.example>\n\n"},
    {{BARE, .operands = to_many, .operand_count = 3},
	"X-Postrider-Recipient: <a@b>\nX-Postrider-Recipient: <c@d>\n"
	"X-Postrider-Recipient: <e@f>\nX-Postrider-Recipient: <root>\n"
	"X-Postrider-Recipient: <\"odd one\"@g>\nFrom: Joe Doe <joe>\n\n"},
    {{AT_HOME, .sender = "s@x"}, "X-Postrider-Sender: <s@x>\nFrom: s@x\n\n"},
    {{AT_HOME, .sender = "S <s@x>", .name = "T"}, "X-Postrider-Sender: <s@x>\nFrom: T <s@x>\n\n"},
    {{AT_HOME, .sender = ""}, "X-Postrider-Sender: <>\nFrom: Joe Doe <joe@host.example>\n\n"},
    {{OF_OTHER, .sender = " <> "}, "X-Postrider-Sender: <>\nFrom: Joe Doe <me@example.org>\n\n"},
    {{AT_HOME, .sender = "root"},
	"X-Postrider-Sender: <root@host.example>\nFrom: root@host.example\n\n"},
    {{OF_OTHER, .sender = "root"}, "From: me@example.org\n\n"},
    {{BARE, .sender = "root"}, "From: root\n\n"},
    {{BARE, .sender = "a@b, c@d"}, NULL},
    {{BARE, .sender = "a@b <>"}, NULL},
    {{BARE, .sender = "(comment)"}, NULL},
    {{BARE, .sender = "a@b\nBcc: c@d"}, NULL},
    {{BARE, .sender = "\"a\nb\"@c"}, NULL},
    {{BARE, .sender = "a@"}, NULL},
    {{BARE, .operands = to_nobody, .operand_count = 1}, NULL},
    {{BARE, .operands = to_null, .operand_count = 1}, NULL},
    {{BARE, .operands = to_injected, .operand_count = 1}, NULL},
    {{BARE, .operands = to_broken, .operand_count = 2}, NULL},
};

/* From a block of its own size, cut in two; what was not used of it is body. */
static bool
feed(struct sendmail_header *h, const char *in, size_t len, size_t cut, struct str *out)
{
	struct verdict why = VERDICT_OK;
	bool good = true;

	for (size_t part = 0; part < 2 && good; part++) {
		size_t at = part == 0 ? 0 : cut, n = part == 0 ? cut : len - cut, used = 0;
		char *copy = malloc(n > 0 ? n : 1);

		memcpy(copy, in + at, n);
		if (!h->is_over)
			good = sendmail_header_feed(h, copy, n, &used, &why);
		if (good)
			str_append(out, copy + used, n - used);
		free(copy);
	}
	assert_int_equal(why.kind, good ? FAIL_NONE : FAIL_LOCAL);
	return good && sendmail_header_finish(h, &why);
}

static bool
run(const struct sendmail_origin *origin, const char *in, size_t len, size_t cut, struct str *out)
{
	struct sendmail_header h;
	struct str body = STR_INIT;
	struct verdict why = VERDICT_OK;
	bool good = sendmail_header_begin(&h, origin, &why);

	assert_int_equal(why.kind, good ? FAIL_NONE : FAIL_LOCAL);
	good = good && feed(&h, in, len, cut, &body);
	if (good) {
		str_append(out, str_text(&h.text), h.text.len);
		str_append(out, str_text(&body), body.len);
	}
	str_clear(&body);
	sendmail_header_clear(&h);
	return good;
}

static void
the_command_line_becomes_fields(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(origins); i++) {
		struct str out = STR_INIT;
		bool good = run(&origins[i].origin, "", 0, 0, &out);

		assert_string_equal(good ? str_text(&out) : "refused",
		    origins[i].out != NULL ? origins[i].out : "refused");
		str_clear(&out);
	}
}

static const struct sendmail_origin by_header = {AT_HOME};
static const struct sendmail_origin by_operand = {AT_HOME, TO_YOU};
static const struct sendmail_origin by_sender = {AT_HOME, .sender = "s@x"};

#define YOU  "X-Postrider-Recipient: <you@example.org>\n"
#define SELF "X-Postrider-Sender: <s@x>\n"
#define FROM "From: Joe Doe <joe@host.example>\n"

static const struct {
	const struct sendmail_origin *origin;
	const char *in;
	const char *out;
} messages[] = {
    {&by_header, "From: a@b\nTo: c@d\n\nbody\n", "From: a@b\nTo: c@d\n\nbody\n"},
    {&by_header, "To: c@d\n\nbody", "To: c@d\n" FROM "\nbody"},
    {&by_header, "To: c@d\r\nCc:\r\n e@f\r\n\r\nbody\r\n",
	"To: c@d\nCc:\n e@f\n" FROM "\nbody\r\n"},
    {&by_header, "To: c@d", "To: c@d\n" FROM "\n"},
    {&by_header, "To: c@d\n", "To: c@d\n" FROM "\n"},
    {&by_header, "From x@y Mon Jan  1 00:00:00 2026\nTo: c@d\n\n", "To: c@d\n" FROM "\n"},
    {&by_operand, "From root\nTo: c@d\n\n", YOU "To: c@d\n" FROM "\n"},
    {&by_operand, "no header here\n", YOU FROM "\nno header here\n"},
    {&by_operand, "\nbody: of it\n", YOU FROM "\nbody: of it\n"},
    {&by_operand, " indented\n", YOU FROM "\n indented\n"},
    {&by_operand, "From: a@b\nbut no field\nTo: c@d\n", YOU "From: a@b\n\nbut no field\nTo: c@d\n"},
    {&by_operand, "X-Postrider-Recipient: evil@x,\n evil@y\nFrom: a@b\n\n", YOU "From: a@b\n\n"},
    {&by_operand, "x-postrider-RECIPIENT : evil@x\nFrom: a@b\n\n", YOU "From: a@b\n\n"},
    {&by_operand, "X-Postrider-Sender: a@b\nX-Postrider-Account: w\nFrom: a@b\n\n",
	YOU "X-Postrider-Sender: a@b\nX-Postrider-Account: w\nFrom: a@b\n\n"},
    {&by_sender, "X-Postrider-Sender: a@b\nX-Postrider-Recipient: c@d\nFrom: a@b\n\n",
	SELF "X-Postrider-Recipient: c@d\nFrom: a@b\n\n"},
    {&by_operand, "Received: x\nX-Postrider-Recipient: c@d\nFrom: a@b\n\n",
	YOU "Received: x\nX-Postrider-Recipient: c@d\nFrom: a@b\n\n"},
    {&by_operand, "Received: x\nFROM : a@b\n\n", YOU "Received: x\nFROM : a@b\n\n"},
};

static void
messages_pass_cut_anywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(messages); i++) {
		size_t len = strlen(messages[i].in);

		for (size_t cut = 0; cut <= len; cut++) {
			struct str out = STR_INIT;

			assert_true(run(messages[i].origin, messages[i].in, len, cut, &out));
			assert_string_equal(str_text(&out), messages[i].out);
			str_clear(&out);
		}
	}
}

static void
garbage_is_refused(void **state)
{
	static const char nul[] = "To: c\0@d\n\n";
	struct str out = STR_INIT, huge = STR_INIT;

	(void)state;
	for (size_t cut = 0; cut < sizeof nul; cut++)
		assert_false(run(&by_header, nul, sizeof nul - 1, cut, &out));
	while (huge.len <= RFC5322_HEADER_MAX)
		str_append_text(&huge, "X-Field: and so on\n");
	assert_false(run(&by_header, huge.data, huge.len, huge.len / 2, &out));
	str_clear(&huge);
	str_clear(&out);
}

static const struct {
	const struct sendmail_origin *origin;
	const char *in;
	const char *why; /* NULL: fine */
} checks[] = {
    {&by_header, "To: a@b\n\n", NULL},
    {&by_header, "To: root\n\n", NULL},
    {&by_header, "Bcc: a@b\n\n", NULL},
    {&by_header, "Subject: none\n\n", "no recipients in To, Cc or Bcc"},
    {&by_header, "", "no recipients"},
    {&by_header, "To: undisclosed-recipients:;\n\n", "no recipients"},
    {&by_header, "To: a@\n\n", "To:"},
    {&by_operand, "To: a@\n\n", NULL},
    {&by_operand, "", NULL},
    {&by_header, "To: a@b\nX-Postrider-Not-Before: soon\n\n", "X-Postrider-Not-Before"},
    {&by_header, "To: a@b\nResent-To: a@\n\n", "Resent-To"},
};

static void
headers_are_judged_as_by_the_daemon(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(checks); i++) {
		struct sendmail_header h;
		struct str body = STR_INIT;
		struct verdict why = VERDICT_OK;

		assert_true(sendmail_header_begin(&h, checks[i].origin, &why));
		assert_true(feed(&h, checks[i].in, strlen(checks[i].in), 0, &body));
		assert_int_equal(sendmail_header_check(&h, &why), checks[i].why == NULL);
		if (checks[i].why != NULL)
			assert_non_null(strstr(why.text, checks[i].why));
		str_clear(&body);
		sendmail_header_clear(&h);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_command_line_becomes_fields),
	    cmocka_unit_test(messages_pass_cut_anywhere),
	    cmocka_unit_test(garbage_is_refused),
	    cmocka_unit_test(headers_are_judged_as_by_the_daemon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
