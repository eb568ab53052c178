#include "deliver/smtp_session_internal.h"

#include "base/str.h"
#include "net/transcript.h"

#include <stdarg.h>
#include <stdio.h>

void
smtp_fate_from_reply(struct smtp_session *s, struct smtp_result *result, enum smtp_fate fate,
    const char *stage, const struct smtp_reply *reply)
{
	const struct smtp_status *status = &reply->status;
	struct str line = STR_INIT;

	*result = (struct smtp_result){.fate = fate, .stage = stage, .code = reply->code};
	if (status->class != 0)
		snprintf(result->status, sizeof result->status, "%u.%u.%u", status->class % 10,
		    status->subject % 1000, status->detail % 1000);
	smtp_reply_describe(reply, &line);
	transcript_escape(
	    s->transcript, result->text, sizeof result->text, str_text(&line), line.len);
	str_clear(&line);
}

void
smtp_fate_from_text(struct smtp_result *result, enum smtp_fate fate, const char *stage,
    const char *status, const char *format, ...)
{
	va_list ap;

	*result = (struct smtp_result){.fate = fate, .stage = stage};
	snprintf(result->status, sizeof result->status, "%s", status);
	va_start(ap, format);
	vsnprintf(result->text, sizeof result->text, format, ap);
	va_end(ap);
	str_trim_partial(result->text);
}

void
smtp_fate_decide(struct smtp_transaction *t, size_t recipient, const struct smtp_result *result)
{
	t->stands[recipient] = SMTP_STAND_DECIDED;
	t->results[recipient] = *result;
}

void
smtp_fate_decide_open(struct smtp_transaction *t, const struct smtp_result *result)
{
	for (size_t i = 0; i < t->message->recipient_count; i++)
		if (t->stands[i] != SMTP_STAND_DECIDED)
			smtp_fate_decide(t, i, result);
}

void
smtp_fate_reopen(struct smtp_transaction *t)
{
	for (size_t i = 0; i < t->command_count; i++)
		if (t->commands[i].step == SMTP_STEP_RCPT)
			t->stands[t->commands[i].recipient] = SMTP_STAND_OPEN;
}

bool
smtp_fate_is_anybody_open(const struct smtp_transaction *t)
{
	for (size_t i = 0; i < t->message->recipient_count; i++)
		if (t->stands[i] != SMTP_STAND_DECIDED)
			return true;
	return false;
}

/*
 * Behind the end of the text only a reply tells, whatever ended the session; before MAIL, with the
 * account's own trouble, and where the session ended in order, nothing is held against the message.
 */
void
smtp_fate_decide_by_verdict(struct smtp_session *s, struct smtp_transaction *t)
{
	struct smtp_result result;

	if (!smtp_fate_is_anybody_open(t))
		return;
	if (smtp_flight_may_be_taken(s, t))
		smtp_fate_from_text(&result, SMTP_UNKNOWN, "dot", "",
		    "the message was sent and its end not acknowledged, so it may have been "
		    "delivered: %.350s",
		    s->why.kind != FAIL_NONE ? s->why.text : "the connection was given up");
	else if (s->why.kind == FAIL_NONE)
		smtp_fate_from_text(&result, SMTP_UNTRIED, t->stage, "",
		    "the connection to %s ended before this message", s->server);
	else if (s->account_trouble || !smtp_flight_was_tried(s, t))
		smtp_fate_from_text(&result, SMTP_UNTRIED, t->stage, "", "%s", s->why.text);
	else
		smtp_fate_from_text(&result, SMTP_DEFERRED, t->stage, "", "%s", s->why.text);
	smtp_fate_decide_open(t, &result);
}

static bool
is_sent_to_anybody(const struct smtp_transaction *t)
{
	for (size_t i = 0; i < t->message->recipient_count; i++)
		if (t->results[i].fate == SMTP_SENT)
			return true;
	return false;
}

/*
 * Who was put off by the server comes back at once when the others got through.  Who was put off
 * here, by the limit that the server told, was never asked about: or the first ones, if they are
 * deferred each time, would keep the last ones from ever being tried.  When the session is over,
 * nothing was said of them.  Who is to be asked about in another way comes back in any case.
 */
void
smtp_fate_settle_again(const struct smtp_session *s, struct smtp_transaction *t)
{
	bool over = s->state == SMTP_STATE_CLOSED;
	bool sent = is_sent_to_anybody(t);

	for (size_t i = 0; i < t->message->recipient_count; i++) {
		struct smtp_result *r = &t->results[i];

		if (r->again && over && r->code == 0 && !t->mail_refused)
			r->fate = SMTP_UNTRIED;
		r->again = r->again && !over &&
			   (r->without != 0 || (r->code == 0 ? !t->mail_refused : sent));
	}
}
