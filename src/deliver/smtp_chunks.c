#include "deliver/smtp_session_internal.h"

#include "base/xalloc.h"
#include "config/config.h"
#include "net/conn.h"
#include "proto/smtp_command.h"

#include <stdlib.h>
#include <string.h>

/*
 * The text by BDAT (RFC 3030), to servers that offer PIPELINING as well.  A chunk leaves with its
 * command, so envelope and text of many messages can be under way, and none costs a round trip.
 *
 * A server that offers CHUNKING and does not know BDAT takes a text for commands.  So the first
 * chunk of a connection is no more than the beginning of a header field, and goes alone; nothing
 * follows before the server took it.
 */
enum { FLIGHT_MAX = 32 }; /* messages under way */
enum { FIRST_CHUNK_MAX = 512 };

bool
smtp_chunks_are_used(const struct smtp_session *s)
{
	return s->config->chunking && s->capabilities.chunking && smtp_is_pipelining(s) &&
	       (s->shortcomings & SMTP_SHORT_CHUNKING) == 0;
}

/* -- what is sent ------------------------------------------------------------------------------ */

bool
smtp_chunks_wait(const struct smtp_session *s)
{
	const struct smtp_transaction *t = s->writing;

	return s->state == SMTP_STATE_CHUNKS && !s->chunks_served &&
	       t->commands[t->command_count - 1].step == SMTP_STEP_BODY;
}

static void
await_command(struct smtp_session *s, const struct smtp_envelope_command *command)
{
	if (command->step != SMTP_STEP_BODY)
		smtp_set_silence(s, SMTP_SILENCE_COMMAND);
	else if (command->is_last)
		conn_set_silence(s->conn, SMTP_SILENCE_DOT);
	else
		smtp_set_silence(s, SMTP_SILENCE_BLOCK);
}

static const char *
stage_of(const struct smtp_envelope_command *command)
{
	if (command->step != SMTP_STEP_BODY)
		return smtp_step_name(command->step);
	return command->is_last ? "dot" : "data";
}

/*
 * What comes next is about the first open command; when there is none, it is the owner's turn.  The
 * owner may have ended the session just now, from inside a call.
 */
static void
await(struct smtp_session *s)
{
	struct smtp_transaction *t = smtp_flight_first(s);

	if (t == NULL || s->failing)
		return;
	if (t->answered < t->sent) {
		t->stage = stage_of(&t->commands[t->answered]);
		await_command(s, &t->commands[t->answered]);
	} else if (conn_unsent(s->conn) > 0) {
		smtp_set_silence(s, SMTP_SILENCE_BLOCK);
	} else {
		conn_set_silence(s->conn, 0);
	}
}

static void
send_chunk(struct smtp_session *s, const char *data, size_t len, bool last)
{
	struct smtp_transaction *t = s->writing;
	struct smtp_envelope_command *command = smtp_envelope_add(t, SMTP_STEP_BODY);
	struct str line = STR_INIT;

	smtp_command_bdat(&line, len, last);
	conn_send(s->conn, str_text(&line));
	conn_send_octets(s->conn, data, len);
	str_clear(&line);
	command->is_last = last;
	command->end = smtp_flight_position(s);
	t->sent++;
	if (!last)
		return;
	t->body_given = true;
	s->writing = NULL;
	conn_progress(s->conn);
	smtp_note_body(s, t);
}

/* The first line, or what is there of it; no chunk ends between CR and LF. */
static size_t
measure_first_chunk(const char *data, size_t data_len)
{
	const char *lf = memchr(data, '\n', data_len);
	size_t len = lf != NULL ? (size_t)(lf - data) + 1 : data_len;

	if (len <= FIRST_CHUNK_MAX)
		return len;
	return data[FIRST_CHUNK_MAX - 1] == '\r' ? FIRST_CHUNK_MAX - 1 : FIRST_CHUNK_MAX;
}

static void
send_first_chunk(struct smtp_session *s, const char *data, size_t data_len, bool last)
{
	size_t len = measure_first_chunk(data, data_len);

	send_chunk(s, data, len, false);
	str_append(&s->held, data + len, data_len - len);
	s->held_is_last = last;
}

static void
send_held(struct smtp_session *s)
{
	if (s->writing == NULL)
		return;
	if (s->held.len > 0 || s->held_is_last)
		send_chunk(s, str_text(&s->held), s->held.len, s->held_is_last);
	str_clear(&s->held);
	smtp_ask_body(s);
}

void
smtp_chunks_write(struct smtp_session *s, const char *data, size_t len, bool last)
{
	struct smtp_data *encoder = &s->writing->data;
	char *text = xmalloc(2 * len + SMTP_DATA_END_SIZE);
	size_t text_len = smtp_data_encode(encoder, data, len, text);

	if (last) /* the end of the last line goes with it */
		text_len += smtp_data_end(encoder, text + text_len);
	/* A first chunk of no octets is refused by some (Exim), unless it is the last. */
	if (s->chunks_served ? text_len > 0 || last : text_len == 0 && last)
		send_chunk(s, text, text_len, last);
	else if (text_len > 0)
		send_first_chunk(s, text, text_len, last);
	free(text);
	await(s);
}

/* Nobody is left whom the text could be for; what has left of it, RSET clears. */
static void
stop_writing(struct smtp_session *s)
{
	s->writing = NULL;
	s->rset_needed = true;
	str_clear(&s->held);
}

void
smtp_enter_chunks(struct smtp_session *s)
{
	if (s->writing == NULL && !s->chunks_served) {
		s->writing = smtp_flight_first(s);
		smtp_data_init(&s->writing->data, false);
	}
	smtp_ask_body(s);
}

bool
smtp_chunks_may_follow(const struct smtp_session *s)
{
	return s->state == SMTP_STATE_CHUNKS && s->chunks_served && !s->draining &&
	       s->writing == NULL && s->flight_count < FLIGHT_MAX &&
	       conn_unsent(s->conn) < SMTP_BODY_AHEAD;
}

void
smtp_chunks_follow(struct smtp_session *s, const struct smtp_message *message)
{
	struct smtp_transaction *t = smtp_flight_add(s, message);

	if (t == NULL)
		return;
	while (t->sent < t->command_count)
		smtp_flight_send(s, t);
	s->writing = t;
	smtp_data_init(&t->data, false);
	await(s);
	if (s->state == SMTP_STATE_CHUNKS)
		smtp_ask_body(s);
}

/* -- what comes back --------------------------------------------------------------------------- */

/* The last of the commands of the first transaction that was answered. */
static const struct smtp_envelope_command *
last_answered(const struct smtp_transaction *t)
{
	return &t->commands[t->answered - 1];
}

/*
 * What is no word about the message, but about the command: 500 to 504 (RFC 5321 section 4.2.2).
 * To the first chunk of a connection, any refusal of the message may mean that.
 */
static bool
is_about_command(const struct smtp_session *s, const struct smtp_reply *reply)
{
	enum smtp_outcome outcome = smtp_outcome_judge(SMTP_STEP_BODY, reply->code, &reply->status);

	if (outcome != SMTP_DEFER_MESSAGE && outcome != SMTP_FAIL_MESSAGE)
		return false;
	return !s->chunks_served || (reply->code >= 500 && reply->code <= 504);
}

/*
 * BDAT is not known here, whatever EHLO said.  Chunks may have been taken for commands, so nothing
 * else is sent on this connection; on the next one the message goes with DATA.
 */
static enum smtp_state
fall_short(struct smtp_session *s, const struct smtp_reply *reply)
{
	struct smtp_transaction *t = smtp_flight_first(s);
	struct smtp_result result;

	smtp_fate_from_reply(s, &result, SMTP_UNTRIED, t->stage, reply);
	smtp_fate_decide_open(t, &result);
	s->account_trouble = true;
	smtp_falls_short(s, SMTP_SHORT_CHUNKING, &result);
	return SMTP_STATE_CLOSED;
}

static enum smtp_state
refuse_text(struct smtp_session *s, const struct smtp_reply *reply)
{
	struct smtp_transaction *t = smtp_flight_first(s);

	if (is_about_command(s, reply))
		return fall_short(s, reply);
	t->text_refused = true;
	return smtp_take_verdict(s, reply) == SMTP_STATE_CLOSED ? SMTP_STATE_CLOSED : s->state;
}

/* 2yz to the end of a text that was for nobody: server and client are out of step. */
static enum smtp_state
accept_chunk(struct smtp_session *s, const struct smtp_reply *reply)
{
	struct smtp_transaction *t = smtp_flight_first(s);
	bool is_last = last_answered(t)->is_last;

	if (is_last && smtp_transaction_is_refused(t)) {
		smtp_fate_reopen(t);
		return smtp_flight_abort(s, SMTP_DISORDER, reply);
	}
	if (!s->chunks_served) {
		s->chunks_served = true;
		send_held(s);
	}
	if (!is_last)
		return s->state;
	s->rset_needed = false;
	return smtp_take_verdict(s, reply) == SMTP_STATE_CLOSED ? SMTP_STATE_CLOSED : s->state;
}

static enum smtp_state
on_chunk(struct smtp_session *s, const struct smtp_reply *reply)
{
	const struct smtp_transaction *t = smtp_flight_first(s);
	int class = reply->code / 100;

	if (class == 2)
		return accept_chunk(s, reply);
	if (class == 3)
		return smtp_flight_abort(s, SMTP_DISORDER, reply);
	s->rset_needed = true;
	/* RFC 3030 section 2: behind a refusal, the chunks that are under way are refused too. */
	return smtp_transaction_is_refused(t) ? s->state : refuse_text(s, reply);
}

/*
 * What ends the session, while texts that have left wait for their answers: those come first, or
 * nobody could say what became of them.  Not from a server that does not know BDAT after all: what
 * it answers may be about their lines.
 */
static bool
may_drain(const struct smtp_session *s)
{
	const struct smtp_transaction *t = smtp_flight_first(s);

	return s->why.kind == FAIL_SERVER && smtp_chunks_are_used(s) &&
	       (t->answered < t->sent || s->flight_count > 1);
}

static enum smtp_state
drain(struct smtp_session *s)
{
	s->draining = true;
	if (s->writing != NULL)
		stop_writing(s);
	return s->state;
}

/* The next answer is awaited; what has all of its answers has its fate. */
static enum smtp_state
go_on(struct smtp_session *s)
{
	const struct smtp_transaction *t = smtp_flight_first(s);
	enum smtp_state next;

	if (t == s->writing && smtp_transaction_is_refused(t))
		stop_writing(s);
	if (t == s->writing || t->answered < t->sent) {
		await(s);
		return SMTP_STATE_CHUNKS;
	}
	next = smtp_flight_end(s);
	await(s);
	return next == SMTP_STATE_READY && s->draining ? SMTP_STATE_CLOSED : next;
}

static enum smtp_state
note(struct smtp_session *s, const struct smtp_reply *reply)
{
	struct smtp_transaction *t = smtp_flight_first(s);

	if (t->commands[t->answered].step != SMTP_STEP_BODY)
		return smtp_transaction_note(s, reply);
	t->answered++;
	return on_chunk(s, reply);
}

/*
 * RFC 5321 section 3.8: the server closes the channel now, and looks at nothing that is under way.
 * Some say 421 and mean 451: as long as the channel is there, they may take what has left.
 */
static enum smtp_state
on_service_closing(struct smtp_session *s, const struct smtp_reply *reply)
{
	struct smtp_transaction *t = smtp_flight_first(s);
	enum smtp_state next = smtp_flight_abort(s, SMTP_SLOW_DOWN, reply);

	t->answered++;
	t->mail_refused = true;
	return next;
}

enum smtp_state
smtp_on_chunks(struct smtp_session *s, const struct smtp_reply *reply)
{
	enum smtp_state next;

	s->server_closing = false;
	next = reply->code == 421 ? on_service_closing(s, reply) : note(s, reply);
	if (next == SMTP_STATE_CLOSED && may_drain(s))
		next = drain(s);
	return next == SMTP_STATE_CHUNKS ? go_on(s) : next;
}

bool
smtp_chunks_is_early(const struct smtp_session *s, const struct smtp_reply *reply)
{
	const struct smtp_transaction *t = smtp_flight_first(s);
	bool is_no = reply->code / 100 == 4 || reply->code / 100 == 5;

	return s->state == SMTP_STATE_CHUNKS && is_no && reply->code != 421 && t != NULL &&
	       t->answered > 0 && t->answered < t->sent &&
	       t->commands[t->answered].step == SMTP_STEP_BODY &&
	       smtp_session_octets_out(s) > t->commands[t->answered - 1].end;
}

/* As with DATA, its word counts, and the connection ends: nothing else is under way. */
enum smtp_state
smtp_on_early_chunk(struct smtp_session *s, const struct smtp_reply *reply)
{
	note(s, reply);
	return SMTP_STATE_CLOSED;
}

/* -- the owner cannot go on -------------------------------------------------------------------- */

void
smtp_chunks_give_up(struct smtp_session *s, const struct verdict *why)
{
	struct smtp_transaction *t = s->writing;
	struct smtp_result result;

	smtp_fate_from_text(&result, SMTP_DEFERRED, "read", "", "%s", why->text);
	smtp_fate_decide_open(t, &result);
	t->text_refused = true;
	stop_writing(s);
	smtp_wake(s);
}

/* In the next turn: what waited for the owner alone waits no more. */
void
smtp_chunks_advance(struct smtp_session *s)
{
	const struct smtp_transaction *t = smtp_flight_first(s);

	if (s->state == SMTP_STATE_CHUNKS && t != s->writing && t->answered == t->sent)
		smtp_set_state(s, go_on(s));
}
