#include "fetch/pop3_login.h"

#include "auth/deriver.h"
#include "base/secret.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "net/address.h"
#include "net/conn.h"
#include "net/tls_binding.h"
#include "net/transcript.h"
#include "proto/sasl.h"
#include "proto/sasl_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An initial response that makes the line longer goes on a line of its own (RFC 5034 section 4). */
enum { AUTH_LINE_MAX = 255 };

enum login_awaits { AWAITS_USER, AWAITS_PASS, AWAITS_APOP, AWAITS_SASL, AWAITS_CANCEL };

/* One owner: the session. */
struct pop3_login {
	struct pop3_login_settings settings;
	char server[320];
	enum auth_mechanism mechanism;
	enum login_awaits awaits;
	struct sasl_client *sasl;
	struct tls_binding binding;
	struct deriver_request *derivation; /* SCRAM's salted password is being computed */
	struct str initial; /* a response that waits for the first, empty challenge */
	bool has_initial;
	struct verdict why; /* of an exchange that we cancelled */
};

struct pop3_login *
pop3_login_new(const struct pop3_login_settings *settings)
{
	struct pop3_login *l = xcalloc(1, sizeof *l);

	l->settings = *settings;
	address_server_text(
	    l->server, sizeof l->server, settings->endpoint->host, settings->endpoint->port);
	tls_binding_read(conn_ssl(settings->conn), &l->binding);
	return l;
}

void
pop3_login_free(struct pop3_login **login)
{
	struct pop3_login *l = *login;

	*login = NULL;
	if (l == NULL)
		return;
	deriver_cancel(&l->derivation);
	sasl_client_free(&l->sasl);
	sasl_response_clear(&l->initial);
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
next_step(const struct verdict *why)
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
	case HINT_NONE:
		break;
	}
	return why->kind == FAIL_AUTH ? "check user and password" : "it is tried again";
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
    const char *stage, const char *server, const char *what, const struct pop3_reply *reply)
{
	enum fail_hint hint = hint_of(reply->code);
	char shown[256];

	if (hint == HINT_NONE && plain == FAIL_AUTH && says_maildrop_locked(reply->text))
		hint = HINT_IN_USE;
	why->kind = hint == HINT_AUTH ? FAIL_AUTH : hint != HINT_NONE ? FAIL_SERVER : plain;
	why->hint = hint;
	transcript_escape(transcript, shown, sizeof shown, reply->text, strlen(reply->text));
	verdict_fail(why, why->kind, stage, "%s refused %s: \"%s\"; %s", server, what, shown,
	    next_step(why));
	why->hint = hint;
}

static enum pop3_login_step
login_fail(
    struct verdict *why, enum fail kind, const char *stage, const char *server, const char *text)
{
	verdict_fail(why, kind, stage, "%s: %s", server, text);
	return POP3_LOGIN_FAILED;
}

/* -- USER and PASS, APOP --------------------------------------------------------------------- */

static enum pop3_login_step
send_user(struct pop3_login *l)
{
	conn_sendf(l->settings.conn, "USER %s", l->settings.endpoint->user);
	l->awaits = AWAITS_USER;
	return POP3_LOGIN_MORE;
}

static enum pop3_login_step
send_pass(struct pop3_login *l)
{
	const struct secret *secret = l->settings.secret;
	struct str line = STR_INIT;

	str_append_text(&line, "PASS ");
	str_append(&line, secret_text(secret), secret_len(secret));
	conn_send_secret(l->settings.conn, str_text(&line), "PASS ****");
	sasl_response_clear(&line);
	l->awaits = AWAITS_PASS;
	return POP3_LOGIN_MORE;
}

static enum pop3_login_step
send_apop(struct pop3_login *l, struct verdict *why)
{
	const struct secret *secret = l->settings.secret;
	struct str line = STR_INIT, shown = STR_INIT;
	char digest[SASL_APOP_DIGEST_SIZE];
	const char *timestamp;
	size_t len;

	if (!pop3_parse_timestamp(l->settings.greeting, &timestamp, &len) ||
	    !sasl_apop_digest(timestamp, len, secret_text(secret), secret_len(secret), digest))
		return login_fail(why, FAIL_CONFIG, "apop", l->server,
		    "APOP is not possible here; name another mechanism in auth");
	transcript_hide(l->settings.transcript, digest, strlen(digest));
	str_appendf(&line, "APOP %s %s", l->settings.endpoint->user, digest);
	str_appendf(&shown, "APOP %s ****", l->settings.endpoint->user);
	conn_send_secret(l->settings.conn, str_text(&line), str_text(&shown));
	str_clear(&line);
	str_clear(&shown);
	l->awaits = AWAITS_APOP;
	return POP3_LOGIN_MORE;
}

/* -- SASL (RFC 5034) ------------------------------------------------------------------------- */

static void
send_response(struct pop3_login *l, const struct str *response)
{
	transcript_hide(l->settings.transcript, str_text(response), response->len);
	conn_send_secret(l->settings.conn, str_text(response), "****");
}

/* RFC 5034 section 4: "*" cancels; the server answers -ERR, and our own reason is the one told. */
static enum pop3_login_step
cancel_sasl(struct pop3_login *l)
{
	conn_send(l->settings.conn, "*");
	l->awaits = AWAITS_CANCEL;
	return POP3_LOGIN_MORE;
}

static enum pop3_login_step after_sasl_step(
    struct pop3_login *l, enum sasl_result result, struct str *response);

static void
on_derived(const uint8_t *salted, void *arg)
{
	struct pop3_login *l = arg;
	struct str response = STR_INIT;
	enum sasl_result result = SASL_FAIL;

	l->derivation = NULL;
	if (salted != NULL)
		result = sasl_client_resume(l->sasl, salted, &response, &l->why);
	else
		verdict_fail(&l->why, FAIL_LOCAL, "login",
		    "the cryptographic library refuses to derive SCRAM's key");
	after_sasl_step(l, result, &response);
	sasl_response_clear(&response);
}

static enum pop3_login_step
after_sasl_step(struct pop3_login *l, enum sasl_result result, struct str *response)
{
	switch (result) {
	case SASL_MORE:
	case SASL_DONE:
		send_response(l, response);
		return POP3_LOGIN_MORE;
	case SASL_DERIVE:
		l->derivation = deriver_start(
		    l->settings.deriver, sasl_client_derivation(l->sasl), on_derived, l);
		return POP3_LOGIN_MORE;
	case SASL_FAIL:
		break;
	}
	return cancel_sasl(l);
}

static enum pop3_login_step
answer_challenge(struct pop3_login *l, const char *challenge)
{
	struct str response = STR_INIT;
	enum sasl_result result = sasl_client_step(l->sasl, challenge, &response, &l->why);
	enum pop3_login_step next = after_sasl_step(l, result, &response);

	sasl_response_clear(&response);
	return next;
}

static void
send_auth(struct pop3_login *l, const char *name)
{
	struct str line = STR_INIT;
	char shown[64];

	if (!l->has_initial || l->initial.len + strlen(name) + 6 > AUTH_LINE_MAX) {
		conn_sendf(l->settings.conn, "AUTH %s", name);
		return;
	}
	transcript_hide(l->settings.transcript, str_text(&l->initial), l->initial.len);
	str_appendf(&line, "AUTH %s %s", name, l->initial.len > 0 ? str_text(&l->initial) : "=");
	snprintf(shown, sizeof shown, "AUTH %s ****", name);
	conn_send_secret(l->settings.conn, str_text(&line), shown);
	sasl_response_clear(&line);
	sasl_response_clear(&l->initial);
	l->has_initial = false;
}

static enum sasl_binding
binding_kind(const struct pop3_login *l)
{
	switch (l->binding.kind) {
	case TLS_BINDING_UNIQUE:
		return SASL_BINDING_TLS_UNIQUE;
	case TLS_BINDING_EXPORTER:
		return SASL_BINDING_TLS_EXPORTER;
	case TLS_BINDING_NONE:
		break;
	}
	return SASL_BINDING_NONE;
}

static enum pop3_login_step
start_sasl(struct pop3_login *l, struct verdict *why)
{
	const struct sasl_settings settings = {
	    .mechanism = l->mechanism,
	    .user = l->settings.endpoint->user,
	    .secret = l->settings.secret,
	    .service = "pop",
	    .host = l->settings.endpoint->host,
	    .port = l->settings.endpoint->port,
	    .binding = binding_kind(l),
	    .binding_data = l->binding.data,
	    .binding_len = l->binding.len,
	};

	transcript_hide_challenges(l->settings.transcript, "+ ");
	l->sasl = sasl_client_new(&settings, why);
	if (l->sasl == NULL)
		return POP3_LOGIN_FAILED;
	if (sasl_mechanism_traits(l->mechanism) & SASL_TRAIT_CLIENT_FIRST) {
		enum sasl_result result = sasl_client_step(l->sasl, NULL, &l->initial, why);

		if (result != SASL_MORE && result != SASL_DONE)
			return POP3_LOGIN_FAILED;
		l->has_initial = true;
	}
	send_auth(l, auth_mechanism_name(l->mechanism));
	l->awaits = AWAITS_SASL;
	return POP3_LOGIN_MORE;
}

static enum pop3_login_step
on_challenge(struct pop3_login *l, const struct pop3_reply *reply)
{
	enum pop3_login_step next = POP3_LOGIN_MORE;

	if (!l->has_initial)
		return answer_challenge(l, reply->text);
	send_response(l, &l->initial);
	sasl_response_clear(&l->initial);
	l->has_initial = false;
	return next;
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

enum pop3_login_step
pop3_login_start(struct pop3_login *l, struct verdict *why)
{
	const struct endpoint_config *endpoint = l->settings.endpoint;
	struct conn *conn = l->settings.conn;
	struct sasl_terms terms;

	sasl_terms_init(&terms, endpoint, conn_is_secured(conn), conn_is_loopback(conn));
	terms.offered = offered_mechanisms(l);
	terms.can_derive = l->settings.deriver != NULL;
	terms.can_bind = l->binding.kind != TLS_BINDING_NONE;
	terms.has_certificate = endpoint->tls_config.cert != NULL && conn_is_secured(conn);
	if (!sasl_choose(&terms, &l->mechanism, why))
		return POP3_LOGIN_FAILED;
	switch (l->mechanism) {
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
	case AWAITS_CANCEL:
		break;
	}
	return "AUTH";
}

static enum pop3_login_step
on_accepted(struct pop3_login *l, struct verdict *why)
{
	if (l->awaits == AWAITS_USER)
		return send_pass(l);
	if (l->awaits == AWAITS_CANCEL)
		*why = l->why;
	else if (l->sasl == NULL || sasl_client_accepted(l->sasl, why))
		return POP3_LOGIN_DONE;
	return POP3_LOGIN_FAILED;
}

enum pop3_login_step
pop3_login_reply(struct pop3_login *l, const char *line, struct verdict *why)
{
	struct pop3_reply reply;

	pop3_parse_reply(line, &reply);
	if (l->derivation != NULL)
		return login_fail(why, FAIL_PROTOCOL, "login", l->server,
		    "the server spoke before its challenge was answered");
	switch (reply.status) {
	case POP3_OK:
		return on_accepted(l, why);
	case POP3_CONTINUE:
		if (l->awaits == AWAITS_SASL)
			return on_challenge(l, &reply);
		break;
	case POP3_ERR:
		if (l->awaits == AWAITS_CANCEL)
			*why = l->why;
		else
			pop3_refusal(why, l->settings.transcript, FAIL_AUTH, "login", l->server,
			    awaited_name(l), &reply);
		return POP3_LOGIN_FAILED;
	case POP3_GARBAGE:
		break;
	}
	return login_fail(why, FAIL_PROTOCOL, "login", l->server,
	    "the answer to the login is not POP3; check host and port");
}
