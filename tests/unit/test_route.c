#include "unit.h"

#include "base/str.h"
#include "config/config.h"
#include "deliver/aliases.h"
#include "deliver/route.h"
#include "proto/rfc5322_envelope.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *personal_addresses[] = {"me@example.org", "@example.net", NULL};
static char *work_addresses[] = {"Boss@Example.Net", "\"odd one\"@work.example", NULL};
static char *idn_addresses[] = {"@xn--bcher-kva.example", "x@M\xc3\xbcller.example", NULL};
static char *domain_addresses[] = {"@only.example", NULL};
static char *mute_addresses[] = {"mute@example.org", NULL};

static struct smtp_config plain_smtp;
static struct smtp_config steered_smtp = {.from = "envelope@idn.example"};

enum { PERSONAL, WORK, IDN, DOMAIN_ONLY, MUTE, ACCOUNTS };

static struct account_config accounts[ACCOUNTS] = {
    [PERSONAL] = {.name = "personal", .addresses = personal_addresses, .smtp = &plain_smtp},
    [WORK] = {.name = "work", .addresses = work_addresses, .smtp = &plain_smtp},
    [IDN] = {.name = "idn", .addresses = idn_addresses, .smtp = &steered_smtp},
    [DOMAIN_ONLY] = {.name = "domain", .addresses = domain_addresses, .smtp = &plain_smtp},
    [MUTE] = {.name = "mute", .addresses = mute_addresses},
};
static struct local_config local = {.domain = "Host.example.org"};
static struct config config = {.accounts = accounts, .account_count = ACCOUNTS};

static void
read_request(const char *header, struct envelope_request *request)
{
	struct rfc5322_envelope envelope;
	struct verdict why = VERDICT_OK;

	rfc5322_envelope_init(&envelope, config.local != NULL ? config.local->domain : NULL);
	assert_true(rfc5322_envelope_feed(&envelope, header, strlen(header)));
	if (!rfc5322_envelope_finish(&envelope, request, &why))
		fail_msg("%s: %s", header, why.text);
	rfc5322_envelope_clear(&envelope);
}

/* "account|sender|recipient recipient", or "!reason". */
static char *
route_request(const struct aliases *aliases, const struct envelope_request *request)
{
	struct str reason = STR_INIT, out = STR_INIT;
	struct route route;

	if (route_message(&config, aliases, request, &route, &reason)) {
		assert_int_equal(reason.len, 0);
		assert_null(route.recipients[route.recipient_count]);
		str_appendf(&out, "%s|%s|", route.account, route.sender);
		for (size_t i = 0; i < route.recipient_count; i++)
			str_appendf(&out, "%s%s", i > 0 ? " " : "", route.recipients[i]);
	} else {
		assert_null(route.account);
		assert_null(route.recipients);
		str_appendf(&out, "!%s", str_text(&reason));
	}
	route_clear(&route);
	str_clear(&reason);
	return str_take(&out);
}

static char *
route_header(const struct aliases *aliases, const char *header)
{
	struct envelope_request request;
	char *found;

	read_request(header, &request);
	found = route_request(aliases, &request);
	envelope_request_clear(&request);
	return found;
}

/* A refusal is compared as far as it is given. */
static void
assert_route(const struct aliases *aliases, const char *header, const char *expected)
{
	char *found = route_header(aliases, header);

	if (expected[0] == '!' && strlen(found) > strlen(expected))
		found[strlen(expected)] = '\0';
	assert_string_equal(found, expected);
	free(found);
}

static void
begin(int default_account, bool has_local)
{
	for (int i = 0; i < ACCOUNTS; i++)
		accounts[i].is_default = i == default_account;
	config.local = has_local ? &local : NULL;
}

static void
accounts_and_senders(void **state)
{
	static const struct {
		int by_default;
		const char *header, *expected;
	} row[] = {
	    {-1, "From: me@example.org\nTo: a@b.c\n", "personal|me@example.org|a@b.c"},
	    {-1, "From: ME@EXAMPLE.ORG\nTo: a@b.c\n", "personal|ME@example.org|a@b.c"},
	    /* A whole address wins, whichever account stands first. */
	    {-1, "From: boss@example.net\nTo: a@b.c\n", "work|boss@example.net|a@b.c"},
	    {-1, "From: else@example.net\nTo: a@b.c\n", "personal|else@example.net|a@b.c"},
	    {-1, "From: \"odd one\"@work.example\nTo: a@b.c\n",
		"work|\"odd one\"@work.example|a@b.c"},
	    {-1,
		"From: z@b\xc3\xbc"
		"cher.example\nTo: a@b.c\n",
		"idn|envelope@idn.example|a@b.c"},
	    {-1, "From: z@xn--bcher-kva.example\nTo: a@b.c\n", "idn|envelope@idn.example|a@b.c"},
	    {-1, "From: x@m\xc3\xbcller.example\nTo: a@b.c\n", "idn|envelope@idn.example|a@b.c"},
	    {-1, "From: y@m\xc3\xbcller.example\nTo: a@b.c\n",
		"!no account sends for y@m\xc3\xbcller.example,"},
	    {-1, "From: a@sub.example.net\nTo: a@b.c\n",
		"!no account sends for a@sub.example.net, and no"},
	    {WORK, "From: a@sub.example.net\nTo: a@b.c\n", "work|a@sub.example.net|a@b.c"},
	    {WORK, "From: me@example.org\nTo: a@b.c\n", "personal|me@example.org|a@b.c"},

	    {-1, "From: me@example.org\nSender: s@example.com\nTo: a@b.c\n",
		"personal|s@example.com|a@b.c"},
	    {-1, "From: a@xn--bcher-kva.example\nSender: s@example.com\nTo: a@b.c\n",
		"idn|envelope@idn.example|a@b.c"},
	    {-1, "From: a@xn--bcher-kva.example\nX-Postrider-Sender: t@t.t\nTo: a@b.c\n",
		"idn|t@t.t|a@b.c"},
	    {-1, "From: a@xn--bcher-kva.example\nX-Postrider-Sender: <>\nTo: a@b.c\n",
		"idn||a@b.c"},
	    {-1, "From: q@q.q\nSender: me@example.org\nTo: a@b.c\n",
		"!no account sends for q@q.q, "},

	    {-1, "To: a@b.c\n", "!it has no From address, and no account is the default"},
	    {-1, "From: (\nX-Postrider-Sender: <>\nTo: a@b.c\n",
		"!its From holds no address that can be read, and no account is"},
	    {PERSONAL, "From: (\nX-Postrider-Sender: <>\nTo: a@b.c\n", "personal||a@b.c"},
	    {PERSONAL, "To: a@b.c\n", "personal|me@example.org|a@b.c"},
	    {IDN, "To: a@b.c\n", "idn|envelope@idn.example|a@b.c"},
	    {DOMAIN_ONLY, "To: a@b.c\n",
		"!it has no From address, and the account \"domain\" has no full"},
	    {DOMAIN_ONLY, "Sender: s@s.s\nTo: a@b.c\n", "domain|s@s.s|a@b.c"},
	    {DOMAIN_ONLY, "X-Postrider-Sender: <>\nTo: a@b.c\n", "domain||a@b.c"},

	    {-1, "From: me@example.org\nX-Postrider-Account: work\nTo: a@b.c\n",
		"work|me@example.org|a@b.c"},
	    {-1, "X-Postrider-Account: work\nTo: a@b.c\n", "work|Boss@Example.Net|a@b.c"},
	    {WORK, "X-Postrider-Account: wrok\nTo: a@b.c\n",
		"!X-Postrider-Account: there is no account \"wrok\""},
	    {WORK, "X-Postrider-Account: a\tb\nTo: a@b.c\n",
		"!X-Postrider-Account: there is no account \"a\\x09b\""},
	    {WORK, "X-Postrider-Account: mute\nTo: a@b.c\n", "!the account \"mute\" cannot send"},
	    {WORK, "From: mute@example.org\nTo: a@b.c\n", "!the account \"mute\" cannot send"},
	    {MUTE, "From: else@where\nTo: a@b.c\n", "!the account \"mute\" cannot send"},

	    {-1, "From: me@example.org\nTo: a@b.c\nX-Postrider-Recipient: x@y.z\n",
		"personal|me@example.org|x@y.z"},
	    {-1, "From: me@example.org\nTo: a@b.c, g: c@d.e, A@b.c, a@B.C;\n",
		"personal|me@example.org|a@b.c c@d.e A@b.c"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		begin(row[i].by_default, false);
		assert_route(NULL, row[i].header, row[i].expected);
	}
}

static void
an_over_long_sender_is_named(void **state)
{
	char header[700], name[260];

	(void)state;
	begin(PERSONAL, false);
	memset(name, 'n', sizeof name);
	snprintf(header, sizeof header, "From: %.250s@%.60s.%.60s\nTo: a@b.c\n", name, name, name);
	assert_route(NULL, header, "!the sender nnn");
	snprintf(header, sizeof header, "From: %.200s@%.60s\nTo: a@b.c\n", name, name);
	free(route_header(NULL, header));
}

static const char alias_text[] = "postmaster: root\n"
				 "root: me@example.org, Other@host.example.org\n"
				 "other: other, far@example.com\n"
				 "keep: \\root, \\keep\n"
				 "one: two\n"
				 "two: three, one\n"
				 "three: one, end@example.com\n"
				 "ring: around\n"
				 "around: ring\n"
				 "cmd: |/usr/bin/procmail\n"
				 "list: a@b.c, :include:/etc/list\n"
				 "file: /var/mail/x\n"
				 "deep: cmd\n"
				 "\"John Doe\": john@example.com\n"
				 "weird: <>\n";

static void
local_recipients(void **state)
{
	static const struct {
		const char *to, *expected;
	} row[] = {
	    {"nobody", "nobody@host.example.org"},
	    {"root", "me@example.org other@host.example.org far@example.com"},
	    {"ROOT@HOST.example.org", "me@example.org other@host.example.org far@example.com"},
	    {"postmaster, root, me@example.org",
		"me@example.org other@host.example.org far@example.com"},
	    {"root@elsewhere.example", "root@elsewhere.example"},
	    {"keep", "root@host.example.org keep@host.example.org"},
	    {"one", "end@example.com"},
	    {"two", "end@example.com"},
	    {"three, one", "end@example.com"},
	    {"\"john doe\"", "john@example.com"},
	    {"ring", "!ring@host.example.org: its aliases lead in a circle"},
	    {"root, around", "!around@host.example.org: its aliases lead in a circle"},
	    {"cmd",
		"!line 10 of the aliases, |/usr/bin/procmail: a command; a courier starts none"},
	    {"root, deep", "!line 10 of the aliases, |/usr/bin/procmail: a command"},
	    {"list", "!line 11 of the aliases, :include:/etc/list: a list in a file"},
	    {"file", "!line 12 of the aliases, /var/mail/x: a file; a courier writes"},
	    {"weird", "!line 15 of the aliases, <>: <> is nobody's address"},
	};
	struct verdict why;
	struct aliases *aliases = aliases_parse(alias_text, sizeof alias_text - 1, &why);

	(void)state;
	begin(PERSONAL, true);
	assert_int_equal(why.kind, FAIL_NONE);
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		char *header = NULL, *expected = NULL;
		bool refused = row[i].expected[0] == '!';

		assert_true(asprintf(&header, "From: me@example.org\nTo: %s\n", row[i].to) > 0);
		assert_true(asprintf(&expected, "%s%s", refused ? "" : "personal|me@example.org|",
				row[i].expected) > 0);
		assert_route(aliases, header, expected);
		free(header);
		free(expected);
	}
	aliases_free(&aliases);
}

static void
without_aliases_local_ones_stand_for_themselves(void **state)
{
	(void)state;
	begin(PERSONAL, true);
	assert_route(NULL, "From: root\nTo: root, root@host.example.org\n",
	    "personal|root@host.example.org|root@host.example.org");
}

/* The reader completes addresses; whoever does not has it done here. */
static void
bare_recipients_of_a_request(void **state)
{
	struct rfc5322_address to = {.local = "root"};
	struct rfc5322_address from = {.local = "me", .domain = "example.org"};
	struct envelope_request request = {
	    .from = from, .sender = from, .recipients = &to, .recipient_count = 1};
	char *found;

	(void)state;
	begin(-1, true);
	found = route_request(NULL, &request);
	assert_string_equal(found, "personal|me@example.org|root@host.example.org");
	free(found);
	begin(-1, false);
	found = route_request(NULL, &request);
	assert_memory_equal(found, "!root: has no domain, and", 25);
	free(found);
	request.recipient_count = 0;
	found = route_request(NULL, &request);
	assert_string_equal(found, "!it has no recipients");
	free(found);
}

static struct aliases *
parse_text(struct str *text)
{
	struct verdict why;
	struct aliases *aliases = aliases_parse(str_text(text), text->len, &why);

	str_clear(text);
	assert_non_null(aliases);
	assert_int_equal(why.kind, FAIL_NONE);
	return aliases;
}

static void
a_long_chain_and_a_wide_alias(void **state)
{
	struct str text = STR_INIT;
	struct aliases *aliases;

	(void)state;
	begin(PERSONAL, true);
	for (int i = 0; i < 40000; i++)
		str_appendf(&text, "c%d: c%d\n", i, i + 1);
	str_append_text(&text, "c40000: end@example.com\nwide: x");
	for (int i = 0; i < 30000; i++)
		str_append_text(&text, ",x");
	aliases = parse_text(&text);
	assert_route(
	    aliases, "From: me@example.org\nTo: c0\n", "personal|me@example.org|end@example.com");
	assert_route(aliases, "From: me@example.org\nTo: wide\n",
	    "personal|me@example.org|x@host.example.org");
	assert_route(aliases, "From: me@example.org\nTo: wide, Wide, wIde, WIde\n",
	    "!the aliases of its recipients lead to more than 100000 addresses");
	aliases_free(&aliases);
}

static void
more_recipients_than_a_message_may_have(void **state)
{
	struct str text = STR_INIT;
	struct aliases *aliases;

	(void)state;
	begin(PERSONAL, true);
	str_append_text(&text, "all: 0");
	for (int i = 1; i <= 50000; i++)
		str_appendf(&text, ",%d", i);
	aliases = parse_text(&text);
	assert_route(aliases, "From: me@example.org\nTo: all\n",
	    "!more than 50000 recipients behind the aliases");
	aliases_free(&aliases);
}

static void
the_admission_borrows(void **state)
{
	struct envelope_request request;
	struct outqueue_admission admission;
	struct str reason = STR_INIT;
	struct route route;

	(void)state;
	begin(-1, false);
	read_request("From: me@example.org\nTo: a@b.c\n"
		     "X-Postrider-Not-Before: 2026-11-20T10:15:00Z\n",
	    &request);
	assert_true(route_message(&config, NULL, &request, &route, &reason));
	admission = route_admission(&route, "ID");
	assert_string_equal(admission.id, "ID");
	assert_ptr_equal(admission.account, route.account);
	assert_ptr_equal(admission.sender, route.sender);
	assert_string_equal(admission.recipients[0], "a@b.c");
	assert_null(admission.recipients[1]);
	assert_int_equal(admission.not_before, INT64_C(1795169700000));
	assert_false(admission.bounce);
	route_clear(&route);
	envelope_request_clear(&request);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(accounts_and_senders),
	    cmocka_unit_test(an_over_long_sender_is_named),
	    cmocka_unit_test(local_recipients),
	    cmocka_unit_test(without_aliases_local_ones_stand_for_themselves),
	    cmocka_unit_test(bare_recipients_of_a_request),
	    cmocka_unit_test(a_long_chain_and_a_wide_alias),
	    cmocka_unit_test(more_recipients_than_a_message_may_have),
	    cmocka_unit_test(the_admission_borrows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
