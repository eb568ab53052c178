#include "deliver/smtp_session_internal.h"

#include "base/xalloc.h"
#include "config/config.h"
#include "net/conn.h"

#include <stdlib.h>

static bool
is_pipelining(const struct smtp_session *s)
{
	switch (s->config->pipelining) {
	case PIPELINING_ON:
		return true;
	case PIPELINING_OFF:
		return false;
	case PIPELINING_AUTO:
		break;
	}
	return s->capabilities.pipelining;
}

/* -- begin and end ----------------------------------------------------------------------------- */

void
smtp_transaction_clear(struct smtp_transaction *t)
{
	for (size_t i = 0; i < t->command_count; i++)
		free(t->commands[i].line);
	free(t->commands);
	free(t->results);
	free(t->stands);
	*t = (struct smtp_transaction){0};
}

static void
tell_end(struct smtp_session *s, struct smtp_transaction *place)
{
	struct smtp_transaction t = *place;

	smtp_fate_settle_again(s, &t);
	*place = (struct smtp_transaction){0};
	s->handler->done(t.message, t.results, s->arg);
	smtp_transaction_clear(&t);
}

enum smtp_state
smtp_transaction_end(struct smtp_session *s)
{
	tell_end(s, &s->transaction);
	return s->failing ? SMTP_STATE_CLOSED : SMTP_STATE_READY;
}

/* False when nobody is left to be asked about. */
static bool
prepare(struct smtp_session *s, const struct smtp_message *message)
{
	struct smtp_transaction *t = &s->transaction;

	*t = (struct smtp_transaction){
	    .message = message, .stage = "mail", .octets_before = smtp_session_octets_out(s)};
	t->results = xcalloc(message->recipient_count + 1, sizeof *t->results);
	t->stands = xcalloc(message->recipient_count + 1, sizeof *t->stands);
	return smtp_envelope_prepare(s);
}

enum smtp_state
smtp_transaction_begin(struct smtp_session *s, const struct smtp_message *message)
{
	if (!prepare(s, message))
		return smtp_transaction_end(s);
	return s->rset_needed ? SMTP_STATE_RSET : SMTP_STATE_ENVELOPE;
}

bool
smtp_transaction_has_left(const struct smtp_session *s)
{
	return smtp_session_octets_out(s) > s->transaction.octets_before;
}

bool
smtp_transaction_was_tried(const struct smtp_session *s)
{
	const struct smtp_transaction *t = &s->transaction;

	return t->mail_sent && smtp_transaction_has_left(s) && (!t->is_ahead || t->answered > 0);
}

bool
smtp_transaction_was_last(const struct smtp_session *s)
{
	uint32_t most = s->capabilities.mail_max; /* RFC 9422 section 3.1 */

	return s->transactions >= s->config->max_messages || (most > 0 && s->transactions >= most);
}

enum smtp_state
smtp_transaction_abort(
    struct smtp_session *s, enum smtp_outcome outcome, const struct smtp_reply *reply)
{
	struct smtp_transaction *t = &s->transaction;
	struct smtp_result result;

	switch (outcome) {
	case SMTP_SLOW_DOWN:
		smtp_fate_from_reply(s, &result,
		    smtp_transaction_was_tried(s) ? SMTP_DEFERRED : SMTP_UNTRIED, t->stage, reply);
		smtp_fate_decide_open(s, &result);
		return smtp_slowed(s, t->stage);
	case SMTP_ACCOUNT_TROUBLE:
	case SMTP_AUTH_REFUSED:
		s->account_trouble = true;
		return smtp_refused(s, FAIL_SERVER, t->stage, "to take mail");
	default:
		return smtp_disorder(s, t->stage, "an answer that does not belong there");
	}
}

/* -- ahead of the reply to the final dot ------------------------------------------------------- */

bool
smtp_transaction_may_go_ahead(const struct smtp_session *s)
{
	return s->state == SMTP_STATE_DOT && s->ahead.message == NULL && !s->ahead_withdrawn &&
	       !s->quit_wanted && is_pipelining(s) && !smtp_transaction_was_last(s);
}

void
smtp_transaction_go_ahead(struct smtp_session *s, const struct smtp_message *message)
{
	struct smtp_transaction under_way = s->transaction;
	struct smtp_transaction *t = &s->ahead;
	bool is_open = prepare(s, message);

	*t = s->transaction;
	s->transaction = under_way;
	if (!is_open) {
		tell_end(s, t);
		return;
	}
	t->is_ahead = true;
	t->mail_sent = true;
	s->transactions++;
	while (t->sent < t->command_count)
		conn_send(s->conn, t->commands[t->sent++].line);
}

static void
take_ahead(struct smtp_session *s)
{
	s->transaction = s->ahead;
	s->ahead = (struct smtp_transaction){0};
}

enum smtp_state
smtp_transaction_advance(struct smtp_session *s)
{
	enum smtp_state next = smtp_transaction_end(s);

	if (s->ahead_withdrawn)
		return SMTP_STATE_CLOSED;
	if (next != SMTP_STATE_READY || s->ahead.message == NULL)
		return next;
	take_ahead(s);
	return SMTP_STATE_ENVELOPE;
}

void
smtp_transaction_end_all(struct smtp_session *s)
{
	while (s->transaction.message != NULL || s->ahead.message != NULL) {
		if (s->transaction.message == NULL)
			take_ahead(s);
		smtp_fate_decide_by_verdict(s);
		smtp_transaction_end(s);
	}
}

/* -- RSET -------------------------------------------------------------------------------------- */

void
smtp_enter_rset(struct smtp_session *s)
{
	conn_send(s->conn, "RSET");
}

enum smtp_state
smtp_on_rset(struct smtp_session *s, const struct smtp_reply *reply)
{
	if (reply->code / 100 != 2)
		return smtp_refused(s, FAIL_SERVER, "rset", "RSET");
	s->rset_needed = false;
	return SMTP_STATE_ENVELOPE;
}

/* -- MAIL, RCPT, DATA -------------------------------------------------------------------------- */

/* Without pipelining DATA is not sent when nobody is left to send to. */
static bool
may_send(const struct smtp_session *s)
{
	const struct smtp_transaction *t = &s->transaction;

	if (t->sent == t->command_count)
		return false;
	if (is_pipelining(s))
		return true;
	if (t->sent != t->answered || t->mail_refused)
		return false;
	return t->commands[t->sent].step != SMTP_STEP_DATA || t->accepted > 0;
}

/*
 * Sends what may be sent, and waits for the first answer that is open.  When there is none, the
 * transaction came to nothing.
 */
static enum smtp_state
go_on(struct smtp_session *s)
{
	struct smtp_transaction *t = &s->transaction;
	enum smtp_step step;

	while (may_send(s))
		conn_send(s->conn, t->commands[t->sent++].line);
	if (t->answered == t->sent)
		return smtp_transaction_end(s);
	step = t->commands[t->answered].step;
	t->stage = smtp_step_name(step);
	smtp_set_silence(s, step == SMTP_STEP_DATA ? SMTP_SILENCE_DATA : SMTP_SILENCE_COMMAND);
	return SMTP_STATE_ENVELOPE;
}

void
smtp_enter_envelope(struct smtp_session *s)
{
	if (!s->transaction.is_ahead) {
		s->transaction.mail_sent = true;
		s->transactions++;
	}
	go_on(s);
}

/* A refusal of the message as a whole: whoever is not decided has the same fate. */
static enum smtp_state
refuse_message(struct smtp_session *s, enum smtp_outcome outcome, const struct smtp_reply *reply)
{
	struct smtp_result result;

	if (outcome != SMTP_DEFER_MESSAGE && outcome != SMTP_FAIL_MESSAGE)
		return smtp_transaction_abort(s, outcome, reply);
	smtp_fate_from_reply(s, &result,
	    outcome == SMTP_FAIL_MESSAGE ? SMTP_REFUSED : SMTP_DEFERRED, s->transaction.stage,
	    reply);
	smtp_fate_decide_open(s, &result);
	return go_on(s);
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
on_mail(struct smtp_session *s, const struct smtp_reply *reply)
{
	enum smtp_outcome outcome = smtp_outcome_judge(SMTP_STEP_MAIL, reply->code, &reply->status);

	if (is_about_text(&s->transaction, reply)) {
		s->transaction.answered = 0;
		return smtp_transaction_abort(s, SMTP_DISORDER, reply);
	}
	if (outcome != SMTP_ACCEPTED) {
		s->transaction.mail_refused = true;
		return refuse_message(s, outcome, reply);
	}
	s->rset_needed = true;
	return go_on(s);
}

/* RFC 5321 section 4.5.3.1.10: those that were not asked about go with it. */
static void
put_off(struct smtp_session *s, size_t recipient, const struct smtp_reply *reply)
{
	struct smtp_transaction *t = &s->transaction;
	struct smtp_result result;

	smtp_fate_from_reply(s, &result, SMTP_DEFERRED, t->stage, reply);
	result.again = true;
	smtp_fate_decide(s, recipient, &result);
	if (t->accepted == 0)
		return;
	while (t->sent < t->command_count && t->commands[t->sent].step == SMTP_STEP_RCPT) {
		smtp_fate_decide(s, t->commands[t->sent++].recipient, &result);
		t->answered++;
	}
}

static enum smtp_state
on_rcpt(struct smtp_session *s, size_t recipient, const struct smtp_reply *reply)
{
	struct smtp_transaction *t = &s->transaction;
	struct smtp_result result;
	enum smtp_outcome outcome;

	if (t->mail_refused)
		return go_on(s);
	outcome = smtp_outcome_judge(SMTP_STEP_RCPT, reply->code, &reply->status);
	switch (outcome) {
	case SMTP_ACCEPTED:
		t->stands[recipient] = SMTP_STAND_ACCEPTED;
		t->accepted++;
		return go_on(s);
	case SMTP_DEFER_RECIPIENT:
	case SMTP_FAIL_RECIPIENT:
		smtp_fate_from_reply(s, &result,
		    outcome == SMTP_FAIL_RECIPIENT ? SMTP_REFUSED : SMTP_DEFERRED, t->stage, reply);
		smtp_fate_decide(s, recipient, &result);
		return go_on(s);
	case SMTP_NEXT_TRANSACTION:
		put_off(s, recipient, reply);
		return go_on(s);
	default:
		return smtp_transaction_abort(s, outcome, reply);
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

	if (reply->code / 100 == 2) {
		smtp_fate_reopen(s);
		return smtp_transaction_abort(s, SMTP_DISORDER, reply);
	}
	if (s->transaction.accepted == 0)
		return reply->code / 100 == 3 ? SMTP_STATE_EMPTY_DOT : go_on(s);
	if (outcome == SMTP_ACCEPTED)
		return SMTP_STATE_BODY;
	return refuse_message(s, outcome, reply);
}

enum smtp_state
smtp_on_envelope(struct smtp_session *s, const struct smtp_reply *reply)
{
	struct smtp_transaction *t = &s->transaction;
	const struct smtp_envelope_command *command = &t->commands[t->answered++];

	switch (command->step) {
	case SMTP_STEP_MAIL:
		return on_mail(s, reply);
	case SMTP_STEP_RCPT:
		return on_rcpt(s, command->recipient, reply);
	default:
		return on_data(s, reply);
	}
}
