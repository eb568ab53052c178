#include "deliver/smtp_session_internal.h"

#include "base/secret.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "net/address.h"
#include "net/conn.h"
#include "net/transcript.h"
#include "proto/rfc5322_domain.h"
#include "session/sasl_exchange.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

struct smtp_state_row {
	const char *name;
	const char *stage; /* of a verdict, outside transactions */
	int64_t silence;
	void (*enter)(struct smtp_session *s);
	enum smtp_state (*reply)(struct smtp_session *s, const struct smtp_reply *reply);
};

static const struct smtp_state_row states[SMTP_STATE_COUNT];

/* -- states ------------------------------------------------------------------------------------ */

void
smtp_falls_short(
    struct smtp_session *s, enum smtp_shortcoming what, const struct smtp_result *result)
{
	s->shortcomings |= what;
	s->handler->falls_short(what, result, s->arg);
}

/* What came is not SMTP; the transcript has the line. */
static enum smtp_state
on_garbage(struct smtp_session *s, const char *line, size_t len)
{
	const struct smtp_transaction *t = smtp_flight_first(s);
	const char *stage = t != NULL ? t->stage : states[s->state].stage;
	const char *fault = s->reply.fault;
	char shown[160];

	transcript_escape(s->transcript, shown, sizeof shown, line, len);
	return smtp_fail(s, FAIL_PROTOCOL, stage, "%s sent %s: \"%s\"; check host and port",
	    s->server, fault != NULL ? fault : "a line that does not belong there", shown);
}

void
smtp_set_silence(struct smtp_session *s, int64_t standard)
{
	conn_set_silence(s->conn, session_silence(&s->config->endpoint, standard));
}

void
smtp_set_state(struct smtp_session *s, enum smtp_state state)
{
	if (state == s->state || s->state == SMTP_STATE_CLOSED)
		return;
	if (state == SMTP_STATE_CLOSED)
		s->broke_on = smtp_suspect(s);
	s->state = state;
	if (states[state].silence > 0)
		smtp_set_silence(s, states[state].silence);
	if (states[state].enter != NULL)
		states[state].enter(s);
}

/* While nothing is awaited from the server, its silence is no fault. */
static void
enter_ready(struct smtp_session *s)
{
	conn_set_silence(s->conn, 0);
	s->seek = true;
	if (s->is_ready)
		return;
	s->is_ready = true;
	sasl_exchange_free(&s->login);
	transcript_end_login(s->transcript);
	s->handler->ready(s->arg);
}

static enum smtp_state
on_unasked(struct smtp_session *s, const struct smtp_reply *reply)
{
	(void)reply;
	return smtp_disorder(s, "idle", "an answer that nobody asked for");
}

static void
enter_quit(struct smtp_session *s)
{
	conn_send(s->conn, "QUIT");
}

static enum smtp_state
on_quit(struct smtp_session *s, const struct smtp_reply *reply)
{
	(void)s;
	(void)reply;
	return SMTP_STATE_CLOSED;
}

#define SILENCE(which) SMTP_SILENCE_##which

/* The order of the rows is the order of enum smtp_state. */
static const struct smtp_state_row states[SMTP_STATE_COUNT] = {
    [SMTP_STATE_RESOLVING] = {"resolving", "resolve", 0, NULL, NULL},
    [SMTP_STATE_CONNECTING] = {"connecting", "connect", 0, NULL, NULL},
    [SMTP_STATE_HANDSHAKE] = {"handshake", "handshake", SILENCE(HANDSHAKE), NULL, NULL},
    [SMTP_STATE_GREETING] = {"connecting", "greeting", SILENCE(COMMAND), NULL, smtp_on_greeting},
    [SMTP_STATE_EHLO] = {"connecting", "ehlo", SILENCE(COMMAND), smtp_enter_ehlo, smtp_on_ehlo},
    [SMTP_STATE_HELO] = {"connecting", "helo", SILENCE(COMMAND), smtp_enter_helo, smtp_on_helo},
    [SMTP_STATE_STARTTLS] = {"handshake", "starttls", SILENCE(COMMAND), smtp_enter_starttls,
	smtp_on_starttls},
    [SMTP_STATE_STARTTLS_HANDSHAKE] = {"handshake", "handshake", SILENCE(HANDSHAKE), NULL, NULL},
    [SMTP_STATE_LOGIN] = {"authenticating", "auth", SILENCE(LOGIN), smtp_enter_login,
	smtp_on_login},
    [SMTP_STATE_READY] = {"sending", "idle", 0, enter_ready, on_unasked},
    [SMTP_STATE_ENVELOPE] = {"sending", "mail", SILENCE(COMMAND), smtp_enter_envelope,
	smtp_on_envelope},
    [SMTP_STATE_BODY] = {"sending", "data", SILENCE(BLOCK), smtp_enter_body, smtp_on_early_reply},
    [SMTP_STATE_DOT] = {"sending", "dot", 0, smtp_enter_dot, smtp_on_dot},
    [SMTP_STATE_EMPTY_DOT] = {"sending", "data", SILENCE(COMMAND), smtp_enter_empty_dot,
	smtp_on_empty_dot},
    [SMTP_STATE_CHUNKS] = {"sending", "data", 0, smtp_enter_chunks, smtp_on_chunks},
    [SMTP_STATE_QUIT] = {"sending", "quit", SILENCE(QUIT), enter_quit, on_quit},
    [SMTP_STATE_CLOSED] = {"sending", "closed", 0, NULL, NULL},
};

/* -- the end ----------------------------------------------------------------------------------- */

static void
hang_up(struct smtp_session *s)
{
	sasl_exchange_free(&s->login);
	session_hang_up(&s->conn, &s->gone);
}

/* The last call may free the session: nothing of it is touched after this. */
static void
finish(struct smtp_session *s)
{
	s->over = true;
	hang_up(s);
	smtp_flight_end_all(s);
	s->handler->closed(&s->why, s->slow, s->arg);
}

/* -- messages ---------------------------------------------------------------------------------- */

/* With nothing under way: the next message, or the end, or a word to the owner. */
static void
seek(struct smtp_session *s)
{
	const struct smtp_message *message;

	while (s->seek && !s->failing && s->state == SMTP_STATE_READY) {
		if (s->quit_wanted || smtp_flight_was_last(s)) {
			smtp_set_state(s, SMTP_STATE_QUIT);
		} else if (s->handler->next(&message, s->arg)) {
			smtp_set_state(s, smtp_transaction_begin(s, message));
		} else {
			s->seek = false;
			s->handler->idle(s->arg);
		}
	}
}

/* While something waits for its reply: whether another message can follow it. */
static void
look_ahead(struct smtp_session *s)
{
	const struct smtp_message *message;

	while (s->seek && !s->failing && smtp_flight_may_follow(s)) {
		if (s->handler->next(&message, s->arg))
			smtp_flight_follow(s, message);
		else
			s->seek = false;
	}
}

static void
turn_cb(evutil_socket_t fd, short what, void *arg)
{
	struct smtp_session *s = arg;

	(void)fd;
	(void)what;
	if (s->over)
		return;
	if (s->ask_body)
		smtp_ask_body(s);
	smtp_chunks_advance(s);
	seek(s);
	look_ahead(s);
	if (s->failing)
		smtp_set_state(s, SMTP_STATE_CLOSED);
	if (s->state == SMTP_STATE_CLOSED)
		finish(s);
}

void
smtp_wake(struct smtp_session *s)
{
	event_active(s->turn, EV_TIMEOUT, 0);
}

/* -- events of the connection ------------------------------------------------------------------ */

/* RFC 5321 section 3.8: whatever was asked, the server closes the channel. */
static enum smtp_state
on_service_closing(struct smtp_session *s, const struct smtp_reply *reply)
{
	if (smtp_flight_first(s) != NULL)
		return smtp_flight_abort(s, SMTP_SLOW_DOWN, reply);
	return smtp_slowed(s, states[s->state].stage);
}

/* The next message has begun here, and this is about what was before. */
static enum smtp_state
on_late_word(struct smtp_session *s, const struct smtp_reply *reply)
{
	const char *stage = states[SMTP_STATE_READY].stage;

	return reply->code == 421 ? smtp_slowed(s, stage)
				  : smtp_disorder(s, stage, "an answer that nobody asked for");
}

static enum smtp_state
on_reply(struct smtp_session *s, const struct smtp_reply *reply)
{
	conn_progress(s->conn);
	if (smtp_flight_is_unasked(s))
		return smtp_chunks_is_early(s, reply) ? smtp_on_early_chunk(s, reply)
						      : on_late_word(s, reply);
	if (reply->code == 421 && s->state != SMTP_STATE_LOGIN && s->state != SMTP_STATE_QUIT &&
	    s->state != SMTP_STATE_CHUNKS)
		return on_service_closing(s, reply);
	return states[s->state].reply(s, reply);
}

static void
on_line(struct smtp_session *s, const struct conn_info *info)
{
	enum smtp_reply_result result = smtp_reply_feed(&s->reply, info->data, info->len);
	bool has_nul = memchr(info->data, '\0', info->len) != NULL;

	if (result == SMTP_REPLY_BAD || has_nul || states[s->state].reply == NULL) {
		/* RFC 5321 section 4.1.1.10: nothing depends on how the server takes QUIT. */
		smtp_set_state(s, s->state == SMTP_STATE_QUIT
				      ? SMTP_STATE_CLOSED
				      : on_garbage(s, info->data, info->len));
		return;
	}
	if (s->state == SMTP_STATE_EHLO)
		smtp_capability_take(&s->capabilities, &s->reply);
	if (result == SMTP_REPLY_DONE)
		smtp_set_state(s, on_reply(s, &s->reply));
}

static void
on_connected(struct smtp_session *s)
{
	bool implicit = s->config->endpoint.tls == TLS_IMPLICIT;

	smtp_set_state(s, implicit ? SMTP_STATE_HANDSHAKE : SMTP_STATE_GREETING);
}

static void
on_secured(struct smtp_session *s)
{
	bool again = s->state == SMTP_STATE_STARTTLS_HANDSHAKE;

	smtp_set_state(s, again ? SMTP_STATE_EHLO : SMTP_STATE_GREETING);
}

/*
 * RFC 5321 section 4.1.1.10: nothing depends on how the server takes QUIT.  When the session is
 * being ended, why is known.
 */
static void
on_failed(struct smtp_session *s, const struct verdict *why)
{
	if (smtp_is_mere_end(s, why) && !s->draining)
		transcript_note(s->transcript, "the server closed between messages");
	else if (s->state != SMTP_STATE_QUIT && !s->draining)
		s->why = *why;
	if (s->state == SMTP_STATE_LOGIN)
		sasl_exchange_explain_end(s->login, &s->why);
	smtp_set_state(s, SMTP_STATE_CLOSED);
}

static size_t
on_conn(struct conn *conn, enum conn_event event, const struct conn_info *info, void *arg)
{
	struct smtp_session *s = arg;

	(void)conn;
	if (s->failing)
		return 0; /* over in the next turn */
	switch (event) {
	case CONN_CONNECTING:
		smtp_set_state(s, SMTP_STATE_CONNECTING);
		break;
	case CONN_CONNECTED:
		on_connected(s);
		break;
	case CONN_SECURED:
		s->certificate_end = session_certificate_end(s->conn, &s->config->endpoint);
		on_secured(s);
		break;
	case CONN_LINE:
		on_line(s, info);
		break;
	case CONN_OCTETS:
		break;
	case CONN_DRAINED:
		smtp_on_drained(s);
		break;
	case CONN_FAILED:
		on_failed(s, info->why);
		break;
	}
	seek(s);
	look_ahead(s);
	if (s->state == SMTP_STATE_CLOSED && !s->failing)
		finish(s);
	return 0;
}

/* -- what the owner calls ---------------------------------------------------------------------- */

/* RFC 6531 section 3.7.1: the name goes out in A-labels.  free(3) it. */
static char *
ascii_name(const char *helo)
{
	char *ascii = rfc5322_domain_to_ascii(helo);

	return ascii != NULL ? ascii : xstrdup(helo);
}

static struct conn *
connect_server(struct smtp_session *s, const struct smtp_session_settings *settings)
{
	const struct session_connect to = {
	    .net = settings->net,
	    .endpoint = &s->config->endpoint,
	    .transcript = s->transcript,
	    .line_max = SMTP_LINE_MAX,
	    .silence = SMTP_SILENCE_COMMAND,
	    .watch = settings->watch,
	    .ack_at_once = true,
	};

	return session_connect(&to, on_conn, s);
}

struct smtp_session *
smtp_session_new(
    const struct smtp_session_settings *settings, const struct smtp_handler *handler, void *arg)
{
	struct smtp_session *s = xcalloc(1, sizeof *s);
	const struct endpoint_config *endpoint = &settings->config->endpoint;

	s->config = settings->config;
	s->transcript = settings->transcript;
	s->secret = settings->secret != NULL ? secret_ref(settings->secret) : NULL;
	s->deriver = settings->deriver;
	s->served = settings->served;
	s->shortcomings = settings->shortcomings;
	s->known_declined = settings->declined;
	s->handler = handler;
	s->arg = arg;
	s->helo = ascii_name(settings->helo);
	s->state = SMTP_STATE_RESOLVING;
	TAILQ_INIT(&s->flight);
	address_server_text(s->server, sizeof s->server, endpoint->host, endpoint->port);
	s->turn = event_new(settings->base, -1, 0, turn_cb, s);
	if (s->turn == NULL)
		exit(EX_OSERR);
	if (s->secret != NULL)
		sasl_exchange_hide_secret(s->transcript, endpoint->user, s->secret);
	s->conn = connect_server(s, settings);
	return s;
}

void
smtp_session_free(struct smtp_session **session)
{
	struct smtp_session *s = *session;

	*session = NULL;
	if (s == NULL)
		return;
	hang_up(s);
	event_free(s->turn);
	smtp_flight_clear(s);
	smtp_reply_clear(&s->reply);
	secret_unref(&s->secret);
	free(s->helo);
	free(s);
}

void
smtp_session_go(struct smtp_session *s)
{
	s->seek = true;
	smtp_wake(s);
}

void
smtp_session_quit(struct smtp_session *s)
{
	s->quit_wanted = true;
	s->seek = true;
	smtp_wake(s);
}

void
smtp_session_fail(struct smtp_session *s, const struct verdict *why)
{
	if (s->failing || s->over || s->state == SMTP_STATE_CLOSED)
		return;
	s->why = *why;
	s->failing = true;
	hang_up(s); /* or a final dot that waits could still leave in this turn, unnoticed */
	smtp_wake(s);
}

void
smtp_session_stop(struct smtp_session *s)
{
	struct verdict why;

	verdict_fail(&why, FAIL_LOCAL, "stop", "stopped");
	s->account_trouble = true;
	smtp_session_fail(s, &why);
}

bool
smtp_session_withdraw(struct smtp_session *s, const struct smtp_message *message)
{
	struct smtp_transaction *t = TAILQ_LAST(&s->flight, smtp_flight);

	if (s->state != SMTP_STATE_DOT || t->message != message || t == smtp_flight_first(s))
		return false;
	smtp_flight_drop(s, t);
	s->ahead_withdrawn = true;
	return true;
}

bool
smtp_session_awaits_fate(const struct smtp_session *s)
{
	const struct smtp_transaction *t;

	TAILQ_FOREACH (t, &s->flight, link)
		if (t->dot_sent || (t->body_given && s->state == SMTP_STATE_CHUNKS))
			return true;
	return false;
}

int64_t
smtp_session_certificate_end(const struct smtp_session *s)
{
	return s->certificate_end;
}

const char *
smtp_session_mechanism(const struct smtp_session *s)
{
	return s->mechanism;
}

unsigned
smtp_session_broke_on(const struct smtp_session *s)
{
	bool is_broken = s->why.kind == FAIL_NETWORK || s->why.kind == FAIL_PROTOCOL;

	return is_broken ? s->broke_on : 0;
}

uint32_t
smtp_session_declined(const struct smtp_session *s)
{
	return s->declined;
}

const char *
smtp_session_state(const struct smtp_session *s)
{
	return states[s->state].name;
}

uint64_t
smtp_session_octets_in(const struct smtp_session *s)
{
	return session_octets(s->conn, &s->gone).in;
}

uint64_t
smtp_session_octets_out(const struct smtp_session *s)
{
	return session_octets(s->conn, &s->gone).out;
}
