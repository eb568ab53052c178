#include "fetch/pop3_login.h"

#include "base/secret.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "net/conn.h"
#include "net/transcript.h"
#include "proto/sasl.h"
#include "proto/sasl_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * RFC 5034 section 4: an initial response that makes the command longer than RFC 2449 section 4
 * allows, CRLF included, goes on a line of its own.
 */
static const struct sasl_dialect dialect = {.service = "pop", .challenge = "+ ", .line_max = 253};

/* Room for what was refused, for people. */
enum { REFUSED_MAX = 200 };

enum login_awaits { AWAITS_USER, AWAITS_PASS, AWAITS_APOP, AWAITS_SASL };

/* One owner: the session. */
struct pop3_login {
	struct pop3_login_settings settings;
	struct sasl_exchange *exchange;
	enum login_awaits awaits;
	bool done;
};

struct pop3_login *
pop3_login_new(const struct pop3_login_settings *settings)
{
	struct pop3_login *l = xcalloc(1, sizeof *l);

	l->settings = *settings;
	l->exchange = sasl_exchange_new(&settings->exchange, &dialect);
	return l;
}

void
pop3_login_free(struct pop3_login **login)
{
	struct pop3_login *l = *login;

	*login = NULL;
	if (l == NULL)
		return;
	sasl_exchange_free(&l->exchange);
	free(l);
}

/* Servers from before RFC 2449 tell a locked maildrop in words; RFC 1939 itself shows the first. */
static bool
says_maildrop_locked(const char *text)
{
	static const char *const phrases[] = {"maildrop already locked", "maildrop locked",
	    "lock busy", "mailbox in use", "mailbox is in use", "mailbox locked",
	    "unable to lock maildrop", "maildrop is locked"};

	for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++)
		if (strcasestr(text, phrases[i]) != NULL)
			return true;
	return false;
}

static const char *
next_step(const struct verdict *why, const char *advice)
{
	switch (why->hint) {
	case HINT_IN_USE:
		return "another session holds the maildrop; it is tried again";
	case HINT_LOGIN_DELAY:
		return "the server wants a longer interval";
	case HINT_SYS_TEMP:
		return "trouble at the server that should pass; it is tried again";
	case HINT_SYS_PERM:
		return "this needs the server's administrator";
	case HINT_AUTH:
	case HINT_WEAKER:
	case HINT_MESSAGES:
	case HINT_NONE:
		break;
	}
	return why->kind == FAIL_AUTH ? advice : "it is tried again";
}

static enum fail_hint
hint_of(enum pop3_code code)
{
	switch (code) {
	case POP3_CODE_IN_USE:
		return HINT_IN_USE;
	case POP3_CODE_LOGIN_DELAY:
		return HINT_LOGIN_DELAY;
	case POP3_CODE_SYS_TEMP:
		return HINT_SYS_TEMP;
	case POP3_CODE_SYS_PERM:
		return HINT_SYS_PERM;
	case POP3_CODE_AUTH:
		return HINT_AUTH;
	case POP3_CODE_NONE:
	case POP3_CODE_UTF8:
	case POP3_CODE_OTHER:
		break;
	}
	return HINT_NONE;
}

void
pop3_refusal(struct verdict *why, const struct transcript *transcript, enum fail plain,
    const char *stage, const char *server, const char *what, const struct pop3_reply *reply,
    const char *advice)
{
	enum fail_hint hint = hint_of(reply->code);
	char shown[256];

	if (hint == HINT_NONE && plain == FAIL_AUTH && says_maildrop_locked(reply->text))
		hint = HINT_IN_USE;
	why->kind = hint == HINT_AUTH ? FAIL_AUTH : hint != HINT_NONE ? FAIL_SERVER : plain;
	why->hint = hint;
	transcript_escape(transcript, shown, sizeof shown, reply->text, strlen(reply->text));
	verdict_fail(why, why->kind, stage, "%s refused %s: \"%s\"; %s", server, what, shown,
	    next_step(why, advice));
	why->hint = hint;
}

static enum pop3_login_step
login_fail(const struct pop3_login *l, struct verdict *why, enum fail kind, const char *stage,
    const char *text)
{
	verdict_fail(why, kind, stage, "%s: %s", l->settings.server, text);
	return POP3_LOGIN_FAILED;
}

/* -- USER and PASS, APOP --------------------------------------------------------------------- */

static enum pop3_login_step
send_user(struct pop3_login *l)
{
	conn_sendf(l->settings.exchange.conn, "USER %s", l->settings.exchange.endpoint->user);
	l->awaits = AWAITS_USER;
	return POP3_LOGIN_MORE;
}

static enum pop3_login_step
send_pass(struct pop3_login *l)
{
	const struct secret *secret = l->settings.exchange.secret;
	struct str line = STR_INIT;

	str_append_text(&line, "PASS ");
	str_append(&line, secret_text(secret), secret_len(secret));
	conn_send_secret(l->settings.exchange.conn, str_text(&line), "PASS ****");
	sasl_response_clear(&line);
	l->awaits = AWAITS_PASS;
	return POP3_LOGIN_MORE;
}

static enum pop3_login_step
send_apop(struct pop3_login *l, struct verdict *why)
{
	const struct secret *secret = l->settings.exchange.secret;
	struct str line = STR_INIT, shown = STR_INIT;
	char digest[SASL_APOP_DIGEST_SIZE];
	const char *timestamp;
	size_t len;

	if (!pop3_parse_timestamp(l->settings.greeting, &timestamp, &len) ||
	    !sasl_apop_digest(timestamp, len, secret_text(secret), secret_len(secret), digest))
		return login_fail(l, why, FAIL_CONFIG, "apop",
		    "APOP is not possible here; name another mechanism in auth");
	transcript_hide(l->settings.exchange.transcript, digest, strlen(digest));
	str_appendf(&line, "APOP %s %s", l->settings.exchange.endpoint->user, digest);
	str_appendf(&shown, "APOP %s ****", l->settings.exchange.endpoint->user);
	conn_send_secret(l->settings.exchange.conn, str_text(&line), str_text(&shown));
	str_clear(&line);
	str_clear(&shown);
	l->awaits = AWAITS_APOP;
	return POP3_LOGIN_MORE;
}

/* -- the choice, and the replies ------------------------------------------------------------- */

/* A server without CAPA, or one that names no way at all, gets USER: RFC 1939 has nothing else. */
static uint32_t
offered_mechanisms(const struct pop3_login *l)
{
	const struct pop3_capabilities *c = l->settings.capabilities;
	uint32_t offered = c->sasl;
	const char *timestamp;
	size_t len;

	if (!c->known || c->user || c->sasl == 0)
		offered |= 1u << AUTH_USER;
	if (pop3_parse_timestamp(l->settings.greeting, &timestamp, &len))
		offered |= 1u << AUTH_APOP;
	return offered;
}

static enum pop3_login_step
start_sasl(struct pop3_login *l, struct verdict *why)
{
	l->awaits = AWAITS_SASL;
	return sasl_exchange_start(l->exchange, why) ? POP3_LOGIN_MORE : POP3_LOGIN_FAILED;
}

static enum pop3_login_step
start_mechanism(struct pop3_login *l, enum auth_mechanism mechanism, struct verdict *why)
{
	switch (mechanism) {
	case AUTH_NONE:
		return POP3_LOGIN_DONE;
	case AUTH_USER:
		return send_user(l);
	case AUTH_APOP:
		return send_apop(l, why);
	default:
		return start_sasl(l, why);
	}
}

enum pop3_login_step
pop3_login_start(struct pop3_login *l, struct verdict *why)
{
	enum auth_mechanism mechanism;

	if (!sasl_exchange_choose(l->exchange, offered_mechanisms(l), &mechanism, why))
		return POP3_LOGIN_FAILED;
	return start_mechanism(l, mechanism, why);
}

static const char *
awaited_name(const struct pop3_login *l)
{
	switch (l->awaits) {
	case AWAITS_USER:
		return "USER";
	case AWAITS_PASS:
		return "PASS";
	case AWAITS_APOP:
		return "APOP";
	case AWAITS_SASL:
		break;
	}
	return "AUTH";
}

static enum pop3_login_step
on_accepted(struct pop3_login *l, struct verdict *why)
{
	if (l->awaits == AWAITS_USER)
		return send_pass(l);
	if (sasl_exchange_was_cancelled(l->exchange, why) ||
	    (l->awaits == AWAITS_SASL && !sasl_exchange_accepted(l->exchange, why)))
		return POP3_LOGIN_FAILED;
	l->done = true;
	return POP3_LOGIN_DONE;
}

const char *
pop3_login_mechanism(const struct pop3_login *l)
{
	return l->done ? sasl_exchange_login_name(l->exchange) : NULL;
}

/* -ERR may be about the login itself: not about a lock, a delay or trouble at the server. */
static bool
may_be_about_login(const struct pop3_reply *reply)
{
	enum fail_hint hint = hint_of(reply->code);

	return (hint == HINT_NONE || hint == HINT_AUTH) && !says_maildrop_locked(reply->text);
}

/* It may be about the mechanism: what passes has no bearing on that. */
static bool
is_declined(const struct pop3_login *l, const struct pop3_reply *reply)
{
	enum fail_hint hint = hint_of(reply->code);

	return l->awaits == AWAITS_SASL && hint != HINT_IN_USE && hint != HINT_LOGIN_DELAY &&
	       hint != HINT_SYS_TEMP && sasl_exchange_is_declined(l->exchange, false, reply->text);
}

void
pop3_login_explain_end(const struct pop3_login *l, struct verdict *why)
{
	sasl_exchange_explain_end(l->exchange, why);
}

uint32_t
pop3_login_declined(const struct pop3_login *l)
{
	return l->done ? sasl_exchange_declined(l->exchange) : 0;
}

static enum pop3_login_step
on_declined(struct pop3_login *l, const char *text, struct verdict *why)
{
	enum auth_mechanism next;

	if (!sasl_exchange_choose_next(l->exchange, l->settings.server, text, &next, why))
		return POP3_LOGIN_FAILED;
	return start_mechanism(l, next, why);
}

static enum pop3_login_step
on_refused(struct pop3_login *l, const struct pop3_reply *reply, struct verdict *why)
{
	const struct sasl_exchange_settings *settings = &l->settings.exchange;
	char what[REFUSED_MAX];

	if (may_be_about_login(reply) && sasl_exchange_rebind(l->exchange))
		return POP3_LOGIN_MORE;
	if (sasl_exchange_was_cancelled(l->exchange, why))
		return POP3_LOGIN_FAILED;
	if (is_declined(l, reply))
		return on_declined(l, reply->text, why);
	if (l->awaits == AWAITS_SASL)
		sasl_exchange_refused_name(l->exchange, what, sizeof what);
	else
		snprintf(what, sizeof what, "%s", awaited_name(l));
	pop3_refusal(why, settings->transcript, FAIL_AUTH, "login", l->settings.server, what, reply,
	    sasl_exchange_advice(settings->endpoint, l->exchange));
	return POP3_LOGIN_FAILED;
}

enum pop3_login_step
pop3_login_reply(struct pop3_login *l, const char *line, struct verdict *why)
{
	struct pop3_reply reply;

	pop3_parse_reply(line, &reply);
	if (sasl_exchange_is_deriving(l->exchange))
		return login_fail(l, why, FAIL_PROTOCOL, "login",
		    "the server spoke before its challenge was answered");
	switch (reply.status) {
	case POP3_OK:
		return on_accepted(l, why);
	case POP3_CONTINUE:
		if (l->awaits != AWAITS_SASL || sasl_exchange_was_cancelled(l->exchange, why))
			break;
		sasl_exchange_challenge(l->exchange, reply.text);
		return POP3_LOGIN_MORE;
	case POP3_ERR:
		return on_refused(l, &reply, why);
	case POP3_GARBAGE:
		break;
	}
	return login_fail(l, why, FAIL_PROTOCOL, "login",
	    "the answer to the login is not POP3; check host and port");
}
