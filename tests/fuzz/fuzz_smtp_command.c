#include "fuzz.h"

#include "proto/dsn.h"
#include "proto/smtp_address.h"
#include "proto/smtp_command.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/*
 * Text from anywhere as an argument of every command, and as every value of a report.  Input: the
 * first octet chooses; the rest is the text.
 */
enum { COMMAND_MAX = 1024 }; /* RFC 5321 section 4.5.3.1.4 with what the extensions add */

/* Behind the path, only parameters that the caller asked for. */
static void
check_parameters(const char *p)
{
	static const char *const known[] = {
	    "SIZE=", "BODY=8BITMIME", "SMTPUTF8", "RET=", "ENVID=", "NOTIFY=", "ORCPT="};

	while (*p != '\0') {
		bool found = false;

		CHECK(*p == ' ');
		for (size_t i = 0; i < sizeof known / sizeof *known; i++)
			found |= strncmp(p + 1, known[i], strlen(known[i])) == 0;
		CHECK(found);
		p += 1 + strcspn(p + 1, " ");
	}
}

/* The path ends where a server sees its end, quoted strings skipped. */
static void
check_path(const char *path)
{
	bool quoted = false;

	for (; quoted || *path != '>'; path++) {
		CHECK(*path != '\0' && (quoted || (*path != ' ' && *path != '<')));
		if (quoted && *path == '\\')
			CHECK(*++path != '\0');
		else if (*path == '"')
			quoted = !quoted;
	}
	check_parameters(path + 1);
}

/* A command is one line, with one path, and never more than was meant. */
static void
check_command(const struct str *out, bool ok, const char *begin, bool utf8)
{
	CHECK(ok || out->len == 0);
	if (!ok)
		return;
	CHECK(out->len <= COMMAND_MAX && strlen(out->data) == out->len);
	CHECK(strncmp(out->data, begin, strlen(begin)) == 0);
	for (size_t i = 0; i < out->len; i++)
		CHECK((unsigned char)out->data[i] >= 0x20 && out->data[i] != 0x7f &&
		      (utf8 || (unsigned char)out->data[i] < 0x80));
	if (begin[strlen(begin) - 1] == '<')
		check_path(out->data + strlen(begin));
	else
		CHECK(strpbrk(out->data + strlen(begin), " <>") == NULL);
}

static void
check_commands(const char *text, unsigned choice)
{
	const struct smtp_capabilities c = {
	    .size = true, .eight_bit = true, .utf8 = (choice & 1) != 0, .dsn = (choice & 2) != 0};
	bool utf8 = (choice & 4) != 0;
	const struct smtp_mail mail = {.sender = (choice & 8) != 0 ? text : "a@b",
	    .size = choice,
	    .utf8 = utf8,
	    .ret = "HDRS",
	    .envid = text};
	const struct smtp_rcpt rcpt = {.recipient = (choice & 8) != 0 ? text : "a@b",
	    .utf8 = utf8,
	    .notify = (choice & 16) != 0 ? text : NULL,
	    .original = text};
	struct str out = STR_INIT;

	check_command(&out, smtp_command_ehlo(&out, text, NULL), "EHLO ", false);
	str_truncate(&out, 0);
	check_command(&out, smtp_command_mail(&out, &mail, &c, NULL), "MAIL FROM:<", utf8);
	str_truncate(&out, 0);
	check_command(&out, smtp_command_rcpt(&out, &rcpt, &c, NULL), "RCPT TO:<", utf8);
	str_clear(&out);
}

/* Only what this report writes itself begins a line that looks like its structure. */
static void
check_structure(const char *report, size_t len)
{
	const char *last = NULL;
	int actions = 0;

	CHECK(strlen(report) == len && strchr(report, '\r') == NULL);
	for (const char *p = report; *p != '\0'; p += strcspn(p, "\n") + 1) {
		CHECK(strcspn(p, "\n") <= 998);
		actions += strncmp(p, "Action: ", 8) == 0;
		last = p;
	}
	CHECK(actions == 1);
	CHECK(last != NULL && strncmp(last, "--=_dsn_", 8) == 0);
}

static void
check_report(const char *text, unsigned choice)
{
	const struct dsn_report report = {.host = text,
	    .to = text,
	    .subject = text,
	    .text = "x",
	    .message_id = text,
	    .envid = text,
	    .date = 1,
	    .action = choice % 2 == 0 ? DSN_FAILED : DSN_DELAYED};
	const struct dsn_recipient recipient = {.original = text,
	    .recipient = text,
	    .remote = text,
	    .diagnostic = text,
	    .is_local = choice % 2 == 0};
	struct str out = STR_INIT;
	struct dsn dsn;

	dsn_begin(&dsn, &report, &out);
	dsn_add_recipient(&recipient, &out);
	dsn_end(&dsn, &out);
	check_structure(out.data, out.len);
	str_clear(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned choice = size > 0 ? data[0] : 0;
	char *text = size > 0 ? strndup((const char *)data + 1, size - 1) : strdup("");

	CHECK(text != NULL);
	smtp_address_fault(text, true);
	check_commands(text, choice);
	check_report(text, choice);
	free(text);
	return 0;
}
