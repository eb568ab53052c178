#include "fuzz.h"

#include "proto/smtp_capability.h"
#include "proto/smtp_outcome.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Input: lines parted by LF, read as replies one after another, and as capabilities. */

static void
check_status(const struct smtp_status *status, int code)
{
	CHECK(status->class == 0 || status->class == (unsigned)code / 100);
	CHECK(status->subject <= 999 && status->detail <= 999);
}

static void
check_done(const struct smtp_reply *reply)
{
	struct str described = STR_INIT;

	CHECK(reply->code >= 200 && reply->code <= 599 && reply->lines > 0);
	check_status(&reply->status, reply->code);
	smtp_reply_describe(reply, &described);
	CHECK(described.len >= 3 && described.len <= SMTP_REPLY_TEXT_MAX + 16);
	for (int step = SMTP_STEP_GREETING; step <= SMTP_STEP_BODY; step++) {
		enum smtp_outcome outcome =
		    smtp_outcome_judge((enum smtp_step)step, reply->code, &reply->status);

		CHECK(outcome != SMTP_FAIL_MESSAGE || reply->code >= 500);
		CHECK(outcome != SMTP_FAIL_RECIPIENT || reply->code >= 500);
		CHECK(outcome != SMTP_ACCEPTED || reply->code < 400);
	}
	str_clear(&described);
}

/* The line stands in a block of its own size, so that a sanitizer sees a step beyond. */
static bool
take_line(struct smtp_reply *reply, struct smtp_capabilities *c, const char *text, size_t len)
{
	char *line = strndup(text, len);
	enum smtp_reply_result result;

	CHECK(line != NULL);
	len = strlen(line);
	result = smtp_reply_feed(reply, line, len);
	CHECK((result == SMTP_REPLY_BAD) == (reply->fault != NULL));
	CHECK(reply->text.len <= SMTP_REPLY_TEXT_MAX);
	CHECK(reply->lines <= SMTP_REPLY_LINES_MAX && reply->octets <= SMTP_REPLY_OCTETS_MAX);
	if (result != SMTP_REPLY_BAD)
		CHECK(reply->line >= line && reply->line + reply->line_len == line + len);
	if (result == SMTP_REPLY_DONE)
		check_done(reply);
	smtp_capability_take(c, reply);
	CHECK(c->auth || c->mechanisms == 0);
	CHECK(c->size || c->size_limit == 0);
	CHECK(c->rcpt_max <= 999999 && c->mail_max <= 999999 && c->rcpt_domain_max <= 999999);
	free(line);
	return result != SMTP_REPLY_BAD;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data, *end = p + size;
	struct smtp_capabilities capabilities = {0};
	struct smtp_reply reply = {0};
	bool good = true;

	while (p < end && good) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));

		good = take_line(&reply, &capabilities, p, (size_t)((lf != NULL ? lf : end) - p));
		p = lf != NULL ? lf + 1 : end;
	}
	smtp_reply_clear(&reply);
	return 0;
}
