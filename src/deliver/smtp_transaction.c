#include "deliver/smtp_session_internal.h"

#include "config/config.h"
#include "net/conn.h"

bool
smtp_is_pipelining(const struct smtp_session *s)
{
	switch (s->config->pipelining) {
	case PIPELINING_ON:
		return true;
	case PIPELINING_OFF:
		return false;
	case PIPELINING_AUTO:
		break;
	}
	return s->capabilities.pipelining && (s->shortcomings & SMTP_SHORT_PIPELINING) == 0;
}

enum smtp_state
smtp_transaction_begin(struct smtp_session *s, const struct smtp_message *message)
{
	if (s->chunks_served) {
		smtp_chunks_follow(s, message);
		return TAILQ_EMPTY(&s->flight) ? SMTP_STATE_READY : SMTP_STATE_CHUNKS;
	}
	if (smtp_flight_add(s, message) == NULL)
		return s->failing ? SMTP_STATE_CLOSED : SMTP_STATE_READY;
	return SMTP_STATE_ENVELOPE;
}

bool
smtp_transaction_is_refused(const struct smtp_transaction *t)
{
	if (t->mail_refused || t->text_refused)
		return true;
	if (t->accepted > 0)
		return false;
	for (size_t i = t->answered; i < t->command_count; i++)
		if (t->commands[i].step <= SMTP_STEP_RCPT)
			return false;
	return true;
}

/* -- what is sent ------------------------------------------------------------------------------ */

/* Without pipelining DATA is not sent when nobody is left to send to. */
static bool
may_send(const struct smtp_session *s, const struct smtp_transaction *t)
{
	if (t->sent == t->command_count)
		return false;
	if (smtp_is_pipelining(s))
		return true;
	if (t->sent != t->answered || t->mail_refused)
		return false;
	return t->commands[t->sent].step != SMTP_STEP_DATA || t->accepted > 0;
}

/*
 * Sends what may be sent, and waits for the first answer that is open.  When there is none, the
 * text is next, in chunks; or the transaction came to nothing.
 */
static enum smtp_state
go_on(struct smtp_session *s)
{
	struct smtp_transaction *t = smtp_flight_first(s);
	enum smtp_step step;

	while (may_send(s, t))
		smtp_flight_send(s, t);
	if (t->answered == t->sent)
		return smtp_transaction_is_refused(t) ? smtp_flight_end(s) : SMTP_STATE_CHUNKS;
	step = t->commands[t->answered].step;
	t->stage = smtp_step_name(step);
	smtp_set_silence(s, step == SMTP_STEP_DATA ? SMTP_SILENCE_DATA : SMTP_SILENCE_COMMAND);
	return SMTP_STATE_ENVELOPE;
}

void
smtp_enter_envelope(struct smtp_session *s)
{
	go_on(s);
}

/* -- what comes back --------------------------------------------------------------------------- */

static enum smtp_state
on_rset(struct smtp_session *s, const struct smtp_reply *reply)
{
	enum smtp_outcome outcome = smtp_outcome_judge(SMTP_STEP_RSET, reply->code, &reply->status);
	struct smtp_transaction *t = smtp_flight_first(s);

	if (outcome == SMTP_ACCEPTED) {
		s->rset_needed = false;
		return s->state;
	}
	t->mail_refused = true;
	return smtp_flight_abort(s, outcome, reply);
}

/* A refusal of the message as a whole: whoever is not decided has the same fate. */
static enum smtp_state
refuse_message(struct smtp_session *s, enum smtp_outcome outcome, const struct smtp_reply *reply)
{
	struct smtp_transaction *t = smtp_flight_first(s);
	struct smtp_result result;

	if (outcome != SMTP_DEFER_MESSAGE && outcome != SMTP_FAIL_MESSAGE)
		return smtp_flight_abort(s, outcome, reply);
	smtp_fate_from_reply(s, &result,
	    outcome == SMTP_FAIL_MESSAGE ? SMTP_REFUSED : SMTP_DEFERRED, t->stage, reply);
	smtp_fate_decide_open(t, &result);
	return s->state;
}

/*
 * RFC 5321 section 4.1.1.11, 4.2.4: 555, 504 and 501 may be about a parameter that the server
 * offers and does not know.  What it would be, 0: nothing; words about an address (RFC 3463
 * section 3.2) are not.
 */
static enum smtp_shortcoming
find_doubt(const struct smtp_transaction *t, enum smtp_step step, const struct smtp_reply *reply)
{
	bool is_address = reply->status.class != 0 && reply->status.subject == 1;

	if (is_address || (reply->code != 501 && reply->code != 504 && reply->code != 555))
		return 0;
	if (step == SMTP_STEP_MAIL ? t->has_options : t->asks_reports)
		return SMTP_SHORT_PARAMETERS;
	return t->utf8 && step == SMTP_STEP_MAIL ? SMTP_SHORT_SMTPUTF8 : 0;
}

/* Asked about again without that: a refusal would be the same, and its acceptance tells. */
static void
fill_doubt(struct smtp_session *s, enum smtp_shortcoming what, const struct smtp_reply *reply,
    struct smtp_result *result)
{
	const struct smtp_transaction *t = smtp_flight_first(s);

	smtp_fate_from_reply(s, result, SMTP_DEFERRED, t->stage, reply);
	s->doubt = *result;
	result->again = true;
	result->without = t->message->without | what;
}

/* A recipient is accepted: what was left out for that was offered in vain. */
static void
confirm_doubt(struct smtp_session *s)
{
	unsigned found = smtp_flight_first(s)->message->without & ~s->shortcomings;

	for (unsigned bit = 1; bit <= found; bit <<= 1)
		if (found & bit)
			smtp_falls_short(s, (enum smtp_shortcoming)bit, &s->doubt);
}

/*
 * A server that refused a message before its end, and takes the rest of the text for commands,
 * answers 500 to each of those lines: that speaks of no envelope that left ahead.  What left by
 * itself may be a line too long for the server (RFC 5321 section 4.3.2).
 */
static bool
is_about_text(const struct smtp_transaction *t, const struct smtp_reply *reply)
{
	return t->is_ahead && reply->code == 500;
}

static enum smtp_state
refuse_mail(struct smtp_session *s, enum smtp_outcome outcome, const struct smtp_reply *reply)
{
	struct smtp_transaction *t = smtp_flight_first(s);
	enum smtp_shortcoming doubt = find_doubt(t, SMTP_STEP_MAIL, reply);
	struct smtp_result result;

	t->mail_refused = true;
	if (doubt == 0)
		return refuse_message(s, outcome, reply);
	fill_doubt(s, doubt, reply, &result);
	smtp_fate_decide_open(t, &result);
	return s->state;
}

static enum smtp_state
on_mail(struct smtp_session *s, const struct smtp_reply *reply)
{
	enum smtp_outcome outcome = smtp_outcome_judge(SMTP_STEP_MAIL, reply->code, &reply->status);
	struct smtp_transaction *t = smtp_flight_first(s);

	if (t->mail_refused)
		return s->state;
	if (is_about_text(t, reply)) {
		t->answered = 0;
		return smtp_flight_abort(s, SMTP_DISORDER, reply);
	}
	if (outcome != SMTP_ACCEPTED)
		return refuse_mail(s, outcome, reply);
	s->rset_needed = true;
	return s->state;
}

/* RFC 5321 section 4.5.3.1.10: those that were not asked about go with it. */
static void
put_off(struct smtp_session *s, size_t recipient, const struct smtp_reply *reply)
{
	struct smtp_transaction *t = smtp_flight_first(s);
	struct smtp_result result;

	smtp_fate_from_reply(s, &result, SMTP_DEFERRED, t->stage, reply);
	result.again = true;
	smtp_fate_decide(t, recipient, &result);
	if (t->accepted == 0)
		return;
	while (t->sent < t->command_count && t->commands[t->sent].step == SMTP_STEP_RCPT) {
		smtp_fate_decide(t, t->commands[t->sent++].recipient, &result);
		t->answered++;
	}
}

/*
 * With the text on its way already, what ends the session is said of this recipient alone: the
 * server may still take the message for the others.
 */
static enum smtp_state
abort_on_rcpt(struct smtp_session *s, size_t recipient, enum smtp_outcome outcome,
    const struct smtp_reply *reply)
{
	struct smtp_transaction *t = smtp_flight_first(s);
	struct smtp_result result;

	if (s->state != SMTP_STATE_CHUNKS || outcome == SMTP_DISORDER || reply->code == 421)
		return smtp_flight_abort(s, outcome, reply);
	smtp_fate_from_reply(
	    s, &result, outcome == SMTP_SLOW_DOWN ? SMTP_DEFERRED : SMTP_UNTRIED, t->stage, reply);
	smtp_fate_decide(t, recipient, &result);
	return smtp_flight_refuse(s, outcome);
}

static void
refuse_rcpt(struct smtp_session *s, size_t recipient, enum smtp_outcome outcome,
    const struct smtp_reply *reply)
{
	struct smtp_transaction *t = smtp_flight_first(s);
	enum smtp_shortcoming doubt = find_doubt(t, SMTP_STEP_RCPT, reply);
	struct smtp_result result;

	if (doubt != 0)
		fill_doubt(s, doubt, reply, &result);
	else
		smtp_fate_from_reply(s, &result,
		    outcome == SMTP_FAIL_RECIPIENT ? SMTP_REFUSED : SMTP_DEFERRED, t->stage, reply);
	smtp_fate_decide(t, recipient, &result);
}

static enum smtp_state
on_rcpt(struct smtp_session *s, size_t recipient, const struct smtp_reply *reply)
{
	struct smtp_transaction *t = smtp_flight_first(s);
	enum smtp_outcome outcome;

	if (t->mail_refused)
		return s->state;
	outcome = smtp_outcome_judge(SMTP_STEP_RCPT, reply->code, &reply->status);
	switch (outcome) {
	case SMTP_ACCEPTED:
		/* Decided, when the text could not be read meanwhile. */
		if (t->stands[recipient] == SMTP_STAND_OPEN)
			t->stands[recipient] = SMTP_STAND_ACCEPTED;
		t->accepted++;
		confirm_doubt(s);
		return s->state;
	case SMTP_DEFER_RECIPIENT:
	case SMTP_FAIL_RECIPIENT:
		refuse_rcpt(s, recipient, outcome, reply);
		return s->state;
	case SMTP_NEXT_TRANSACTION:
		put_off(s, recipient, reply);
		return s->state;
	default:
		return abort_on_rcpt(s, recipient, outcome, reply);
	}
}

/*
 * RFC 2920 section 3.1: DATA may have left though nobody is there, and be taken even so.  2yz is
 * the answer to another command: server and client are out of step, as behind one reply too many,
 * and what seemed to be said of a recipient was said of the one before.
 */
static enum smtp_state
on_data(struct smtp_session *s, const struct smtp_reply *reply)
{
	enum smtp_outcome outcome = smtp_outcome_judge(SMTP_STEP_DATA, reply->code, &reply->status);
	struct smtp_transaction *t = smtp_flight_first(s);

	if (reply->code / 100 == 2) {
		smtp_fate_reopen(t);
		return smtp_flight_abort(s, SMTP_DISORDER, reply);
	}
	if (t->accepted == 0)
		return reply->code / 100 == 3 ? SMTP_STATE_EMPTY_DOT : s->state;
	if (outcome == SMTP_ACCEPTED)
		return SMTP_STATE_BODY;
	t->text_refused = true;
	return refuse_message(s, outcome, reply);
}

enum smtp_state
smtp_transaction_note(struct smtp_session *s, const struct smtp_reply *reply)
{
	struct smtp_transaction *t = smtp_flight_first(s);
	const struct smtp_envelope_command *command = &t->commands[t->answered++];

	t->stage = smtp_step_name(command->step);
	switch (command->step) {
	case SMTP_STEP_RSET:
		return on_rset(s, reply);
	case SMTP_STEP_MAIL:
		return on_mail(s, reply);
	case SMTP_STEP_RCPT:
		return on_rcpt(s, command->recipient, reply);
	default:
		return on_data(s, reply);
	}
}

/* The owner may have ended the session just now, from inside a call. */
enum smtp_state
smtp_on_envelope(struct smtp_session *s, const struct smtp_reply *reply)
{
	enum smtp_state next = smtp_transaction_note(s, reply);

	return next == SMTP_STATE_ENVELOPE && !s->failing ? go_on(s) : next;
}
