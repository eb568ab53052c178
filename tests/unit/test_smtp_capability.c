#include "unit.h"

#include "config/config.h"
#include "proto/smtp_capability.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(row) (sizeof(row) / sizeof((row)[0]))
#define BIT(name)  (1u << AUTH_##name)

static bool
equal(const struct smtp_capabilities *a, const struct smtp_capabilities *b)
{
	return a->size == b->size && a->eight_bit == b->eight_bit && a->utf8 == b->utf8 &&
	       a->enhanced == b->enhanced && a->dsn == b->dsn && a->pipelining == b->pipelining &&
	       a->starttls == b->starttls && a->chunking == b->chunking &&
	       a->require_tls == b->require_tls && a->auth == b->auth &&
	       a->size_limit == b->size_limit && a->mechanisms == b->mechanisms &&
	       a->rcpt_max == b->rcpt_max && a->mail_max == b->mail_max &&
	       a->rcpt_domain_max == b->rcpt_domain_max;
}

static const struct {
	const char *line;
	struct smtp_capabilities result;
} row[] = {
    {"SIZE", {.size = true}},
    {"SIZE 0", {.size = true}},
    {"size 52428800", {.size = true, .size_limit = 52428800}},
    {"SIZE 18446744073709551615", {.size = true, .size_limit = UINT64_MAX}},
    {"SIZE 18446744073709551616", {.size = true}},
    {"SIZE many", {.size = true}},
    {"SIZE 12x", {.size = true}},
    {"SIZE -1", {.size = true}},
    {"SIZES 5", {0}},
    {"8BITMIME", {.eight_bit = true}},
    {"8BITMIME with an argument", {.eight_bit = true}},
    {"SMTPUTF8", {.utf8 = true}},
    {"EnhancedStatusCodes", {.enhanced = true}},
    {"DSN", {.dsn = true}},
    {"PIPELINING", {.pipelining = true}},
    {"STARTTLS", {.starttls = true}},
    {"STARTTLSX", {0}},
    {"CHUNKING", {.chunking = true}},
    {"REQUIRETLS", {.require_tls = true}},
    {"AUTH", {.auth = true}},
    {"AUTH PLAIN login X-UNKNOWN", {.auth = true, .mechanisms = BIT(PLAIN) | BIT(LOGIN)}},
    {"AUTH=LOGIN PLAIN", {.auth = true, .mechanisms = BIT(PLAIN) | BIT(LOGIN)}},
    {"AUTH =LOGIN", {.auth = true}},
    {"auth=cram-md5", {.auth = true, .mechanisms = BIT(CRAM_MD5)}},
    {"AUTH=", {.auth = true}},
    {"AUTH SCRAM-SHA-256-PLUS\tXOAUTH2",
	{.auth = true, .mechanisms = BIT(SCRAM_SHA_256_PLUS) | BIT(XOAUTH2)}},
    {"AUTHX PLAIN", {0}},
    {"LIMITS RCPTMAX=20 MAILMAX=5 RCPTDOMAINMAX=1",
	{.rcpt_max = 20, .mail_max = 5, .rcpt_domain_max = 1}},
    {"LIMITS rcptmax=999999 OTHER=3", {.rcpt_max = 999999}},
    {"LIMITS RCPTMAX=1000000 MAILMAX=0 RCPTDOMAINMAX=", {0}},
    {"LIMITS RCPTMAX=05 MAILMAX=x RCPTDOMAINMAX", {0}},
    {"LIMITS", {0}},
    {"  DSN", {.dsn = true}},
    {"XCLIENT NAME ADDR", {0}},
    {"VRFY", {0}},
    {"", {0}},
};

static void
reads_capabilities(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct smtp_capabilities c = {0};

		smtp_capability_parse(&c, row[i].line);
		assert_true(equal(&c, &row[i].result));
	}
}

/* Each from a block of its own size, so that a sanitizer sees a step beyond. */
static void
reads_capabilities_cut_anywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		for (size_t cut = 0; cut < strlen(row[i].line); cut++) {
			struct smtp_capabilities c = {0};
			char *line = strndup(row[i].line, cut);

			smtp_capability_parse(&c, line);
			assert_true(c.auth || c.mechanisms == 0);
			free(line);
		}
	}
}

static void
adds_up_the_answer(void **state)
{
	static const char *const lines[] = {"250-SIZE greets you", "250-PIPELINING",
	    "250-SIZE 1000", "250-AUTH PLAIN", "250-AUTH=LOGIN", "250 8BITMIME"};
	struct smtp_capabilities c = {0};
	struct smtp_reply reply = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		smtp_reply_feed(&reply, lines[i], strlen(lines[i]));
		smtp_capability_take(&c, &reply);
		assert_true(i > 0 || !c.size);
	}
	assert_true(equal(&c, &(struct smtp_capabilities){.pipelining = true,
				  .size = true,
				  .size_limit = 1000,
				  .auth = true,
				  .mechanisms = BIT(PLAIN) | BIT(LOGIN),
				  .eight_bit = true}));
	smtp_reply_clear(&reply);
}

static void
takes_nothing_from_a_refusal(void **state)
{
	static const char *const lines[] = {"550-no", "550-DSN", "250-SIZE", "DSN"};
	struct smtp_capabilities c = {0};
	struct smtp_reply reply = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		smtp_reply_feed(&reply, lines[i], strlen(lines[i]));
		smtp_capability_take(&c, &reply);
	}
	assert_true(equal(&c, &(struct smtp_capabilities){0}));
	smtp_reply_clear(&reply);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_capabilities),
	    cmocka_unit_test(reads_capabilities_cut_anywhere),
	    cmocka_unit_test(adds_up_the_answer),
	    cmocka_unit_test(takes_nothing_from_a_refusal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
