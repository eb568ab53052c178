#include "deliver/smtp_session_internal.h"

#include "net/conn.h"
#include "net/transcript.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { BODY_SLICE = 16 * 1024 };

void
smtp_ask_body(struct smtp_session *s)
{
	struct smtp_transaction *t = s->writing;

	s->ask_body = false;
	if (s->failing || t == NULL || t->body_wanted || t->body_given || smtp_chunks_wait(s))
		return;
	/* The owner may take its time; that is none of the server's silence. */
	if (conn_unsent(s->conn) == 0 && t->answered == t->sent)
		conn_set_silence(s->conn, 0);
	t->body_wanted = true;
	s->handler->body(t->message, s->arg);
}

void
smtp_enter_body(struct smtp_session *s)
{
	struct smtp_transaction *t = smtp_flight_first(s);

	t->stage = "data";
	s->writing = t;
	smtp_data_init(&t->data, true);
	smtp_ask_body(s);
}

static void
send_slices(struct smtp_session *s, const char *data, size_t len)
{
	char out[2 * BODY_SLICE];

	while (len > 0) {
		size_t n = len < BODY_SLICE ? len : BODY_SLICE;
		size_t out_len = smtp_data_encode(&s->writing->data, data, n, out);

		conn_send_octets(s->conn, out, out_len);
		data += n;
		len -= n;
	}
}

void
smtp_note_body(struct smtp_session *s, const struct smtp_transaction *t)
{
	char shown[64];

	snprintf(
	    shown, sizeof shown, "(message %u: %" PRIu64 " octets)", t->number, t->data.octets);
	transcript_sent(s->transcript, shown, strlen(shown));
	if (t->data.longest > SMTP_TEXT_LINE_MAX)
		transcript_note(s->transcript,
		    "the message has a line of %" PRIu64 " octets, more than the %d of RFC 5321; "
		    "it goes as it is",
		    t->data.longest, SMTP_TEXT_LINE_MAX);
}

static void
send_end(struct smtp_session *s)
{
	struct smtp_transaction *t = s->writing;
	char end[SMTP_DATA_END_SIZE];
	size_t len = smtp_data_end(&t->data, end);

	conn_send_octets(s->conn, end, len);
	t->body_given = true;
	smtp_note_body(s, t);
}

static void
write_text(struct smtp_session *s, const char *data, size_t len, bool last)
{
	smtp_set_silence(s, SMTP_SILENCE_BLOCK);
	send_slices(s, data, len);
	if (last)
		send_end(s);
}

static bool
wants_body(const struct smtp_session *s, const struct smtp_message *message)
{
	const struct smtp_transaction *t = s->writing;

	return !s->failing && !s->over && t != NULL && t->message == message && t->body_wanted;
}

void
smtp_session_body(struct smtp_session *s, const struct smtp_message *message, const char *data,
    size_t len, bool last)
{
	if (!wants_body(s, message))
		return;
	s->writing->body_wanted = false;
	if (s->state == SMTP_STATE_CHUNKS)
		smtp_chunks_write(s, data, len, last);
	else
		write_text(s, data, len, last);
	if (!last && conn_unsent(s->conn) < SMTP_BODY_AHEAD) {
		s->ask_body = true;
		smtp_wake(s);
	}
}

void
smtp_session_body_failed(
    struct smtp_session *s, const struct smtp_message *message, const struct verdict *why)
{
	if (!wants_body(s, message))
		return;
	if (s->state == SMTP_STATE_CHUNKS)
		smtp_chunks_give_up(s, why);
	else
		smtp_session_fail(s, why);
}

/* What was given has left for the kernel: the dot with it, or there is room for more. */
void
smtp_on_drained(struct smtp_session *s)
{
	const struct smtp_transaction *t = s->writing;

	if (s->state == SMTP_STATE_CHUNKS)
		smtp_ask_body(s);
	if (s->state != SMTP_STATE_BODY)
		return;
	if (t->body_given)
		smtp_set_state(s, SMTP_STATE_DOT);
	else if (t->body_wanted)
		conn_set_silence(s->conn, 0);
	else
		smtp_ask_body(s);
}

enum smtp_state
smtp_take_verdict(struct smtp_session *s, const struct smtp_reply *reply)
{
	struct smtp_transaction *t = smtp_flight_first(s);
	enum smtp_outcome outcome = smtp_outcome_judge(SMTP_STEP_BODY, reply->code, &reply->status);
	struct smtp_result result;

	switch (outcome) {
	case SMTP_ACCEPTED:
		s->has_taken = true;
		smtp_fate_from_reply(s, &result, SMTP_SENT, t->stage, reply);
		break;
	case SMTP_DEFER_MESSAGE:
		smtp_fate_from_reply(s, &result, SMTP_DEFERRED, t->stage, reply);
		break;
	case SMTP_FAIL_MESSAGE:
		smtp_fate_from_reply(s, &result, SMTP_REFUSED, t->stage, reply);
		break;
	default:
		return smtp_flight_abort(s, outcome, reply);
	}
	smtp_fate_decide_open(t, &result);
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
	smtp_take_verdict(s, reply);
	return SMTP_STATE_CLOSED;
}

void
smtp_enter_dot(struct smtp_session *s)
{
	struct smtp_transaction *t = smtp_flight_first(s);

	t->stage = "dot";
	t->dot_sent = true;
	s->writing = NULL;
	conn_progress(s->conn);
	conn_set_silence(s->conn, SMTP_SILENCE_DOT);
	s->seek = true;
}

enum smtp_state
smtp_on_dot(struct smtp_session *s, const struct smtp_reply *reply)
{
	enum smtp_state next = smtp_take_verdict(s, reply);

	s->rset_needed = false;
	return next == SMTP_STATE_READY ? smtp_flight_end(s) : next;
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
	return smtp_flight_end(s);
}
