#include "deliver/smtp_session_internal.h"

#include "base/xalloc.h"
#include "config/config.h"
#include "net/conn.h"

#include <stdlib.h>

/* -- one of them ------------------------------------------------------------------------------- */

static void
transaction_free(struct smtp_transaction *t)
{
	for (size_t i = 0; i < t->command_count; i++)
		free(t->commands[i].line);
	free(t->commands);
	free(t->results);
	free(t->stands);
	free(t);
}

struct smtp_transaction *
smtp_flight_first(const struct smtp_session *s)
{
	return TAILQ_FIRST(&s->flight);
}

static void
unlink_transaction(struct smtp_session *s, struct smtp_transaction *t)
{
	if (s->writing == t)
		s->writing = NULL;
	TAILQ_REMOVE(&s->flight, t, link);
	s->flight_count--;
}

void
smtp_flight_drop(struct smtp_session *s, struct smtp_transaction *t)
{
	unlink_transaction(s, t);
	transaction_free(t);
}

void
smtp_flight_clear(struct smtp_session *s)
{
	while (!TAILQ_EMPTY(&s->flight))
		smtp_flight_drop(s, smtp_flight_first(s));
	str_clear(&s->held);
}

static void
tell_end(struct smtp_session *s, struct smtp_transaction *t)
{
	smtp_fate_decide_by_verdict(s, t);
	smtp_fate_settle_again(s, t);
	unlink_transaction(s, t);
	s->handler->done(t->message, t->results, s->arg);
	transaction_free(t);
}

struct smtp_transaction *
smtp_flight_add(struct smtp_session *s, const struct smtp_message *message)
{
	struct smtp_transaction *t = xcalloc(1, sizeof *t);

	t->message = message;
	t->stage = "mail";
	t->is_ahead = !TAILQ_EMPTY(&s->flight);
	t->results = xcalloc(message->recipient_count + 1, sizeof *t->results);
	t->stands = xcalloc(message->recipient_count + 1, sizeof *t->stands);
	TAILQ_INSERT_TAIL(&s->flight, t, link);
	s->flight_count++;
	if (!smtp_envelope_prepare(s, t)) {
		tell_end(s, t);
		return NULL;
	}
	t->number = ++s->transactions;
	return t;
}

/* -- what has left ----------------------------------------------------------------------------- */

uint64_t
smtp_flight_position(const struct smtp_session *s)
{
	return smtp_session_octets_out(s) + conn_unsent(s->conn);
}

void
smtp_flight_send(struct smtp_session *s, struct smtp_transaction *t)
{
	struct smtp_envelope_command *command = &t->commands[t->sent++];

	conn_send(s->conn, command->line);
	command->end = smtp_flight_position(s);
}

bool
smtp_flight_has_left(const struct smtp_session *s, const struct smtp_transaction *t, size_t command)
{
	return command < t->sent && smtp_session_octets_out(s) >= t->commands[command].end;
}

bool
smtp_flight_is_unasked(const struct smtp_session *s)
{
	const struct smtp_transaction *t = smtp_flight_first(s);

	if (s->state != SMTP_STATE_ENVELOPE && s->state != SMTP_STATE_CHUNKS)
		return false;
	return t == NULL || !smtp_flight_has_left(s, t, t->answered);
}

/* RSET may stand before it. */
static size_t
find_mail(const struct smtp_transaction *t)
{
	return t->command_count > 0 && t->commands[0].step == SMTP_STEP_RSET ? 1 : 0;
}

bool
smtp_flight_was_tried(const struct smtp_session *s, const struct smtp_transaction *t)
{
	return smtp_flight_has_left(s, t, find_mail(t)) && (!t->is_ahead || t->answered > 0);
}

bool
smtp_flight_may_be_taken(const struct smtp_session *s, const struct smtp_transaction *t)
{
	if (s->server_closing)
		return false;
	if (t->dot_sent)
		return true;
	return t->body_given && t->sent > 0 && t->commands[t->sent - 1].is_last &&
	       smtp_flight_has_left(s, t, t->sent - 1);
}

/* -- the end ----------------------------------------------------------------------------------- */

/*
 * Behind the reply to a final dot the message whose envelope has left already is the next; behind
 * that to a last chunk all of them go on.
 */
enum smtp_state
smtp_flight_end(struct smtp_session *s)
{
	tell_end(s, smtp_flight_first(s));
	if (s->failing || s->ahead_withdrawn)
		return SMTP_STATE_CLOSED;
	if (TAILQ_EMPTY(&s->flight))
		return SMTP_STATE_READY;
	return smtp_chunks_are_used(s) ? SMTP_STATE_CHUNKS : SMTP_STATE_ENVELOPE;
}

void
smtp_flight_end_all(struct smtp_session *s)
{
	struct smtp_transaction *t;

	while ((t = smtp_flight_first(s)) != NULL)
		tell_end(s, t);
}

bool
smtp_flight_was_last(const struct smtp_session *s)
{
	uint32_t most = s->capabilities.mail_max; /* RFC 9422 section 3.1 */

	return s->transactions >= s->config->max_messages || (most > 0 && s->transactions >= most);
}

/* The server's word is about the first; what it says of the others, the verdict tells. */
static void
decide_first(struct smtp_session *s, enum smtp_fate fate, const struct smtp_reply *reply)
{
	struct smtp_transaction *t = smtp_flight_first(s);
	struct smtp_result result;

	smtp_fate_from_reply(s, &result, fate, t->stage, reply);
	smtp_fate_decide_open(t, &result);
}

static void
leave_first_untried(struct smtp_session *s)
{
	struct smtp_transaction *t = smtp_flight_first(s);
	struct smtp_result result;

	smtp_fate_from_text(&result, SMTP_UNTRIED, t->stage, "", "%s", s->why.text);
	smtp_fate_decide_open(t, &result);
}

enum smtp_state
smtp_flight_refuse(struct smtp_session *s, enum smtp_outcome outcome)
{
	const struct smtp_transaction *t = smtp_flight_first(s);

	if (outcome == SMTP_SLOW_DOWN)
		return smtp_slowed(s, t->stage);
	s->account_trouble = true;
	return smtp_refused(s, FAIL_SERVER, t->stage, "to take mail");
}

enum smtp_state
smtp_flight_abort(struct smtp_session *s, enum smtp_outcome outcome, const struct smtp_reply *reply)
{
	const struct smtp_transaction *t = smtp_flight_first(s);
	bool is_tried = smtp_flight_was_tried(s, t);

	switch (outcome) {
	case SMTP_SLOW_DOWN:
		s->server_closing = reply->code == 421;
		decide_first(s, is_tried ? SMTP_DEFERRED : SMTP_UNTRIED, reply);
		return smtp_flight_refuse(s, outcome);
	case SMTP_ACCOUNT_TROUBLE:
	case SMTP_AUTH_REFUSED:
		smtp_flight_refuse(s, outcome);
		leave_first_untried(s);
		return SMTP_STATE_CLOSED;
	default:
		return smtp_disorder(s, t->stage, "an answer that does not belong there");
	}
}

/* -- one behind the other ---------------------------------------------------------------------- */

static bool
may_go_ahead(const struct smtp_session *s)
{
	return s->state == SMTP_STATE_DOT && s->flight_count == 1 && !s->ahead_withdrawn &&
	       smtp_is_pipelining(s);
}

bool
smtp_flight_may_follow(const struct smtp_session *s)
{
	if (s->quit_wanted || smtp_flight_was_last(s))
		return false;
	return may_go_ahead(s) || smtp_chunks_may_follow(s);
}

void
smtp_flight_follow(struct smtp_session *s, const struct smtp_message *message)
{
	struct smtp_transaction *t;

	if (s->state == SMTP_STATE_CHUNKS) {
		smtp_chunks_follow(s, message);
		return;
	}
	if ((t = smtp_flight_add(s, message)) == NULL)
		return;
	while (t->sent < t->command_count)
		smtp_flight_send(s, t);
}
