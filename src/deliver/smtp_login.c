#include "deliver/smtp_session_internal.h"

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

/*
 * RFC 4954 section 4: an initial response that makes the command longer than RFC 5321 section
 * 4.5.3.1.4 allows, CRLF included, goes on a line of its own.
 */
enum { AUTH_LINE_MAX = 510 };

/* One owner: the session. */
struct smtp_login {
	struct smtp_login_settings settings;
	char server[320];
	enum auth_mechanism mechanism;
	struct tls_binding binding;
	struct sasl_client *sasl;
	struct deriver_request *derivation; /* SCRAM's salted password is being computed */
	struct str initial; /* a response that waits for the first, empty challenge */
	bool has_initial;
	bool cancelled;
	struct verdict why; /* of an exchange that we cancelled */
};

struct smtp_login *
smtp_login_new(const struct smtp_login_settings *settings)
{
	struct smtp_login *l = xcalloc(1, sizeof *l);

	l->settings = *settings;
	address_server_text(
	    l->server, sizeof l->server, settings->endpoint->host, settings->endpoint->port);
	tls_binding_read(conn_ssl(settings->conn), &l->binding);
	return l;
}

void
smtp_login_free(struct smtp_login **login)
{
	struct smtp_login *l = *login;

	*login = NULL;
	if (l == NULL)
		return;
	deriver_cancel(&l->derivation);
	sasl_client_free(&l->sasl);
	sasl_response_clear(&l->initial);
	free(l);
}

void
smtp_login_hide_secret(struct transcript *transcript, const char *user, const struct secret *secret)
{
	struct str plain = STR_INIT;

	str_append(&plain, "", 1);
	str_append_text(&plain, user != NULL ? user : "");
	str_append(&plain, "", 1);
	str_append(&plain, secret_text(secret), secret_len(secret));
	transcript_hide(transcript, plain.data, plain.len);
	transcript_hide(transcript, secret_text(secret), secret_len(secret));
	secret_wipe(plain.data, plain.cap);
	str_clear(&plain);
}

/* -- the exchange ------------------------------------------------------------------------------ */

static void
send_response(struct smtp_login *l, const struct str *response)
{
	transcript_hide(l->settings.transcript, str_text(response), response->len);
	conn_send_secret(l->settings.conn, str_text(response), "****");
}

/* RFC 4954 section 4: "*" cancels; the server answers 501, and our own reason is the one told. */
static enum smtp_login_step
cancel(struct smtp_login *l)
{
	conn_send(l->settings.conn, "*");
	l->cancelled = true;
	return SMTP_LOGIN_MORE;
}

static enum smtp_login_step after_sasl_step(
    struct smtp_login *l, enum sasl_result result, struct str *response);

static void
on_derived(const uint8_t *salted, void *arg)
{
	struct smtp_login *l = arg;
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

static enum smtp_login_step
after_sasl_step(struct smtp_login *l, enum sasl_result result, struct str *response)
{
	switch (result) {
	case SASL_MORE:
	case SASL_DONE:
		send_response(l, response);
		return SMTP_LOGIN_MORE;
	case SASL_DERIVE:
		l->derivation = deriver_start(
		    l->settings.deriver, sasl_client_derivation(l->sasl), on_derived, l);
		return SMTP_LOGIN_MORE;
	case SASL_FAIL:
		break;
	}
	return cancel(l);
}

static enum smtp_login_step
on_challenge(struct smtp_login *l, const char *challenge)
{
	struct str response = STR_INIT;
	enum smtp_login_step next;

	if (l->has_initial) {
		send_response(l, &l->initial);
		sasl_response_clear(&l->initial);
		l->has_initial = false;
		return SMTP_LOGIN_MORE;
	}
	next =
	    after_sasl_step(l, sasl_client_step(l->sasl, challenge, &response, &l->why), &response);
	sasl_response_clear(&response);
	return next;
}

/* -- AUTH -------------------------------------------------------------------------------------- */

static void
send_auth(struct smtp_login *l, const char *name)
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

/*
 * A mechanism that does not bind says that it could have (RFC 5802 section 6, "y"), unless it was
 * the configuration that passed over one that the server offers.
 */
static enum sasl_binding
binding_to_give(const struct smtp_login *l)
{
	uint32_t plus = 1u << AUTH_SCRAM_SHA_256_PLUS;
	bool offered = (l->settings.capabilities->mechanisms & plus) != 0;

	if (offered && (sasl_mechanism_traits(l->mechanism) & SASL_TRAIT_BINDING) == 0)
		return SASL_BINDING_NONE;
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

static enum smtp_login_step
start_sasl(struct smtp_login *l, struct verdict *why)
{
	const struct sasl_settings settings = {
	    .mechanism = l->mechanism,
	    .user = l->settings.endpoint->user,
	    .secret = l->settings.secret,
	    .service = "smtp",
	    .host = l->settings.endpoint->host,
	    .port = l->settings.endpoint->port,
	    .binding = binding_to_give(l),
	    .binding_data = l->binding.data,
	    .binding_len = l->binding.len,
	};
	enum sasl_result result;

	transcript_hide_challenges(l->settings.transcript, "334 ");
	l->sasl = sasl_client_new(&settings, why);
	if (l->sasl == NULL)
		return SMTP_LOGIN_FAILED;
	if (sasl_mechanism_traits(l->mechanism) & SASL_TRAIT_CLIENT_FIRST) {
		result = sasl_client_step(l->sasl, NULL, &l->initial, why);
		if (result != SASL_MORE && result != SASL_DONE)
			return SMTP_LOGIN_FAILED;
		l->has_initial = true;
	}
	send_auth(l, auth_mechanism_name(l->mechanism));
	return SMTP_LOGIN_MORE;
}

enum smtp_login_step
smtp_login_start(struct smtp_login *l, struct verdict *why)
{
	const struct endpoint_config *endpoint = l->settings.endpoint;
	struct conn *conn = l->settings.conn;
	struct sasl_terms terms;

	sasl_terms_init(&terms, endpoint, conn_is_secured(conn), conn_is_loopback(conn));
	terms.offered = l->settings.capabilities->mechanisms;
	terms.can_derive = l->settings.deriver != NULL;
	terms.can_bind = l->binding.kind != TLS_BINDING_NONE;
	terms.has_certificate = endpoint->tls_config.cert != NULL && conn_is_secured(conn);
	if (!sasl_choose(&terms, &l->mechanism, why))
		return SMTP_LOGIN_FAILED;
	if (l->mechanism == AUTH_NONE)
		return SMTP_LOGIN_DONE;
	return start_sasl(l, why);
}

/* -- replies ----------------------------------------------------------------------------------- */

static enum smtp_login_step
refused(struct smtp_login *l, enum fail kind, const struct smtp_reply *reply, struct verdict *why)
{
	smtp_refusal(why, l->settings.transcript, kind, "auth", l->server, "AUTH", reply);
	return SMTP_LOGIN_FAILED;
}

enum smtp_login_step
smtp_login_reply(struct smtp_login *l, const struct smtp_reply *reply, struct verdict *why)
{
	if (l->cancelled) {
		*why = l->why;
		return SMTP_LOGIN_FAILED;
	}
	switch (smtp_outcome_judge(SMTP_STEP_AUTH, reply->code, &reply->status)) {
	case SMTP_ACCEPTED:
		if (l->derivation != NULL)
			break;
		return sasl_client_accepted(l->sasl, why) ? SMTP_LOGIN_DONE : SMTP_LOGIN_FAILED;
	case SMTP_CHALLENGE:
		if (l->derivation != NULL)
			break;
		return on_challenge(l, reply->line);
	case SMTP_AUTH_REFUSED:
		return refused(l, FAIL_AUTH, reply, why);
	case SMTP_ACCOUNT_TROUBLE:
	case SMTP_SLOW_DOWN:
		return refused(l, FAIL_SERVER, reply, why);
	default:
		break;
	}
	verdict_fail(why, FAIL_PROTOCOL, "auth",
	    "%s: the answer to AUTH does not belong there; check host and port", l->server);
	return SMTP_LOGIN_FAILED;
}
