#include "deliver/smtp_session_internal.h"

#include "net/conn.h"
#include "net/transcript.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The next piece is asked for when less than this waits to leave. */
enum { BODY_AHEAD = 256 * 1024 };
enum { BODY_SLICE = 16 * 1024 };

void
smtp_ask_body(struct smtp_session *s)
{
	struct smtp_transaction *t = &s->transaction;

	s->ask_body = false;
	if (s->failing || s->state != SMTP_STATE_BODY || t->body_wanted || t->body_given)
		return;
	/* The owner may take its time; that is none of the server's silence. */
	if (conn_unsent(s->conn) == 0)
		conn_set_silence(s->conn, 0);
	t->body_wanted = true;
	s->handler->body(t->message, s->arg);
}

void
smtp_enter_body(struct smtp_session *s)
{
	struct smtp_transaction *t = &s->transaction;

	t->stage = "data";
	smtp_data_init(&t->data, true);
	smtp_ask_body(s);
}

static void
send_slices(struct smtp_session *s, const char *data, size_t len)
{
	char out[2 * BODY_SLICE];

	while (len > 0) {
		size_t n = len < BODY_SLICE ? len : BODY_SLICE;
		size_t out_len = smtp_data_encode(&s->transaction.data, data, n, out);

		conn_send_octets(s->conn, out, out_len);
		data += n;
		len -= n;
	}
}

static void
send_end(struct smtp_session *s)
{
	struct smtp_transaction *t = &s->transaction;
	char end[SMTP_DATA_END_SIZE];
	size_t len = smtp_data_end(&t->data, end);
	char shown[64];

	conn_send_octets(s->conn, end, len);
	t->body_given = true;
	snprintf(shown, sizeof shown, "(message %u: %" PRIu64 " octets)", s->transactions,
	    t->data.octets);
	transcript_sent(s->transcript, shown, strlen(shown));
	if (t->data.longest > SMTP_TEXT_LINE_MAX)
		transcript_note(s->transcript,
		    "the message has a line of %" PRIu64 " octets, more than the %d of RFC 5321; "
		    "it goes as it is",
		    t->data.longest, SMTP_TEXT_LINE_MAX);
}

void
smtp_session_body(struct smtp_session *s, const char *data, size_t len, bool last)
{
	struct smtp_transaction *t = &s->transaction;

	if (s->failing || s->state != SMTP_STATE_BODY || !t->body_wanted)
		return;
	t->body_wanted = false;
	smtp_set_silence(s, SMTP_SILENCE_BLOCK);
	send_slices(s, data, len);
	if (last) {
		send_end(s);
	} else if (conn_unsent(s->conn) < BODY_AHEAD) {
		s->ask_body = true;
		smtp_wake(s);
	}
}

void
smtp_session_body_failed(struct smtp_session *s, const struct verdict *why)
{
	if (s->state == SMTP_STATE_BODY && s->transaction.body_wanted)
		smtp_session_fail(s, why);
}

/* What was given has left for the kernel: the dot with it, or there is room for more. */
void
smtp_on_drained(struct smtp_session *s)
{
	if (s->state != SMTP_STATE_BODY)
		return;
	if (s->transaction.body_given)
		smtp_set_state(s, SMTP_STATE_DOT);
	else if (s->transaction.body_wanted)
		conn_set_silence(s->conn, 0);
	else
		smtp_ask_body(s);
}

/* The answer to the dot, before it or after it. */
static enum smtp_state
take_verdict(struct smtp_session *s, const struct smtp_reply *reply)
{
	enum smtp_outcome outcome = smtp_outcome_judge(SMTP_STEP_BODY, reply->code, &reply->status);
	struct smtp_result result;

	switch (outcome) {
	case SMTP_ACCEPTED:
		smtp_fate_from_reply(s, &result, SMTP_SENT, s->transaction.stage, reply);
		break;
	case SMTP_DEFER_MESSAGE:
		smtp_fate_from_reply(s, &result, SMTP_DEFERRED, s->transaction.stage, reply);
		break;
	case SMTP_FAIL_MESSAGE:
		smtp_fate_from_reply(s, &result, SMTP_REFUSED, s->transaction.stage, reply);
		break;
	default:
		return smtp_transaction_abort(s, outcome, reply);
	}
	smtp_fate_decide_open(s, &result);
	return SMTP_STATE_READY;
}

/*
 * A server that has seen enough says so in the middle of the text.  Its word counts, but the two
 * sides are out of step: without the dot nothing can be delivered, so the connection ends.
 */
enum smtp_state
smtp_on_early_reply(struct smtp_session *s, const struct smtp_reply *reply)
{
	if (reply->code / 100 != 4 && reply->code / 100 != 5)
		return smtp_disorder(s, "data", "an answer before the message's end");
	take_verdict(s, reply);
	return SMTP_STATE_CLOSED;
}

void
smtp_enter_dot(struct smtp_session *s)
{
	s->transaction.stage = "dot";
	s->transaction.dot_sent = true;
	conn_progress(s->conn);
	conn_set_silence(s->conn, SMTP_SILENCE_DOT);
	s->seek = true;
}

enum smtp_state
smtp_on_dot(struct smtp_session *s, const struct smtp_reply *reply)
{
	enum smtp_state next = take_verdict(s, reply);

	s->rset_needed = false;
	return next == SMTP_STATE_READY ? smtp_transaction_advance(s) : next;
}

/* RFC 2920 section 3.1: DATA was sent with the RCPTs, and 354 comes though all were refused. */
void
smtp_enter_empty_dot(struct smtp_session *s)
{
	conn_send(s->conn, ".");
}

/* Whatever it says: there was nobody to send nothing to. */
enum smtp_state
smtp_on_empty_dot(struct smtp_session *s, const struct smtp_reply *reply)
{
	(void)reply;
	s->rset_needed = false;
	return smtp_transaction_end(s);
}
