#include "fetch/pop3_session_internal.h"

#include "config/config.h"
#include "net/conn.h"
#include "net/transcript.h"

#include <stdio.h>
#include <string.h>

/* More lines than any server has capabilities: an answer without end. */
enum { CAPA_LINES = 1000 };

static enum pop3_state after_capa(struct pop3_session *s);

enum pop3_state
pop3_ask_capa(struct pop3_session *s)
{
	return pop3_lacks(s, POP3_FEATURE_CAPA) ? after_capa(s) : POP3_CAPA;
}

enum pop3_state
pop3_on_greeting(struct pop3_session *s, const char *line)
{
	struct pop3_reply reply;

	pop3_parse_reply(line, &reply);
	snprintf(s->greeting, sizeof s->greeting, "%s", line);
	if (reply.status == POP3_ERR)
		return pop3_refused(s, FAIL_SERVER, "greeting", "the connection", &reply);
	if (reply.status != POP3_OK)
		return pop3_garbage(s, "greeting", line);
	return pop3_ask_capa(s);
}

void
pop3_enter_capa(struct pop3_session *s)
{
	pop3_capabilities_init(&s->capabilities);
	conn_send(s->conn, "CAPA");
}

/*
 * RFC 6856 section 2.1: without UTF8 a server may alter messages that need it, or refuse them.  It
 * is asked for where the answer stands for the whole session: in the AUTHORIZATION state, and
 * behind STLS.
 */
static enum pop3_state
before_login(const struct pop3_session *s)
{
	return s->capabilities.utf8 && !pop3_lacks(s, POP3_FEATURE_UTF8) ? POP3_UTF8 : POP3_LOGIN;
}

/* RFC 2595 section 4: STLS, then everything learned in clear is asked again. */
static enum pop3_state
after_capa(struct pop3_session *s)
{
	if (s->config->endpoint.tls != TLS_STARTTLS || conn_is_secured(s->conn))
		return before_login(s);
	if (s->capabilities.known && !s->capabilities.stls)
		return pop3_fail(s, FAIL_TLS, "stls",
		    "%s does not offer STLS, and tls = \"starttls\" never goes on in clear: use "
		    "port 995 with tls = \"implicit\", or find out who strips it",
		    s->server);
	return POP3_STLS;
}

enum pop3_state
pop3_on_capa(struct pop3_session *s, const char *line)
{
	struct pop3_reply reply;

	pop3_parse_reply(line, &reply);
	if (reply.status == POP3_ERR) {
		s->capa_refused = true;
		return after_capa(s); /* a server from before RFC 2449 */
	}
	if (reply.status != POP3_OK)
		return pop3_garbage(s, "capa", line);
	s->capabilities.known = true;
	s->lines = 0;
	return POP3_CAPA_ITEM;
}

enum pop3_state
pop3_on_capa_item(struct pop3_session *s, const char *line)
{
	if (strcmp(line, ".") == 0) {
		s->proven |= POP3_FEATURE_CAPA;
		return after_capa(s);
	}
	if (pop3_endless(s, "capa", CAPA_LINES))
		return POP3_CLOSED;
	pop3_parse_capability(&s->capabilities, line);
	return POP3_CAPA_ITEM;
}

void
pop3_enter_stls(struct pop3_session *s)
{
	conn_send(s->conn, "STLS");
}

enum pop3_state
pop3_on_stls(struct pop3_session *s, const char *line)
{
	struct pop3_reply reply;

	pop3_parse_reply(line, &reply);
	if (reply.status == POP3_ERR)
		return pop3_refused(s, FAIL_TLS, "stls", "STLS", &reply);
	if (reply.status != POP3_OK)
		return pop3_garbage(s, "stls", line);
	conn_starttls(s->conn);
	return POP3_STLS_HANDSHAKE;
}

void
pop3_enter_utf8(struct pop3_session *s)
{
	conn_send(s->conn, "UTF8");
}

/* A server that refuses it sends what it did before there was UTF8: mail all the same. */
enum pop3_state
pop3_on_utf8(struct pop3_session *s, const char *line)
{
	struct pop3_reply reply;

	pop3_parse_reply(line, &reply);
	if (reply.status != POP3_OK && reply.status != POP3_ERR)
		return pop3_garbage(s, "utf8", line);
	s->proven |= POP3_FEATURE_UTF8;
	return POP3_LOGIN;
}

/* -- login ----------------------------------------------------------------------------------- */

static enum pop3_state
after_login(const struct pop3_session *s)
{
	bool asks = s->capabilities.per_user && !pop3_lacks(s, POP3_FEATURE_USER_CAPA);

	return asks ? POP3_USER_CAPA : POP3_STAT;
}

static enum pop3_state
after_login_step(struct pop3_session *s, enum pop3_login_step step)
{
	switch (step) {
	case POP3_LOGIN_MORE:
		return POP3_LOGIN;
	case POP3_LOGIN_DONE:
		transcript_end_login(s->transcript);
		s->mechanism = pop3_login_mechanism(s->login);
		s->declined = pop3_login_declined(s->login);
		return after_login(s);
	case POP3_LOGIN_FAILED:
		break;
	}
	return POP3_CLOSED;
}

void
pop3_enter_login(struct pop3_session *s)
{
	const struct pop3_login_settings settings = {
	    .exchange = {.conn = s->conn,
		.transcript = s->transcript,
		.endpoint = &s->config->endpoint,
		.secret = s->secret,
		.served = s->served,
		.declined = s->known_declined,
		.deriver = s->deriver},
	    .capabilities = &s->capabilities,
	    .greeting = s->greeting,
	    .server = s->server,
	};

	s->login = pop3_login_new(&settings);
	pop3_set_state(s, after_login_step(s, pop3_login_start(s->login, &s->why)));
}

enum pop3_state
pop3_on_login(struct pop3_session *s, const char *line)
{
	return after_login_step(s, pop3_login_reply(s->login, line, &s->why));
}

/* -- CAPA again: LOGIN-DELAY and EXPIRE of this user (RFC 2449 sections 6.5 and 6.7) ---------- */

void
pop3_enter_user_capa(struct pop3_session *s)
{
	pop3_capabilities_init(&s->for_user);
	conn_send(s->conn, "CAPA");
}

enum pop3_state
pop3_on_user_capa(struct pop3_session *s, const char *line)
{
	struct pop3_reply reply;

	pop3_parse_reply(line, &reply);
	if (reply.status == POP3_ERR)
		return POP3_STAT; /* what it said for everybody holds */
	if (reply.status != POP3_OK)
		return pop3_garbage(s, "capa", line);
	s->lines = 0;
	return POP3_USER_CAPA_ITEM;
}

/* Nothing but these two is taken: what is offered to whom is settled by now. */
enum pop3_state
pop3_on_user_capa_item(struct pop3_session *s, const char *line)
{
	if (strcmp(line, ".") != 0) {
		pop3_parse_capability(&s->for_user, line);
		return pop3_endless(s, "capa", CAPA_LINES) ? POP3_CLOSED : POP3_USER_CAPA_ITEM;
	}
	s->proven |= POP3_FEATURE_USER_CAPA;
	if (s->for_user.login_delay >= 0)
		s->capabilities.login_delay = s->for_user.login_delay;
	if (s->for_user.expire >= 0)
		s->capabilities.expire = s->for_user.expire;
	return POP3_STAT;
}
