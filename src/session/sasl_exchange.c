#include "session/sasl_exchange.h"

#include "auth/deriver.h"
#include "base/secret.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "net/conn.h"
#include "net/tls_binding.h"
#include "net/transcript.h"
#include "proto/sasl.h"
#include "proto/sasl_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One owner: the protocol's login. */
struct sasl_exchange {
	struct sasl_exchange_settings settings;
	const struct sasl_dialect *dialect;
	enum auth_mechanism mechanism;
	struct tls_binding bindings[TLS_BINDINGS_MAX]; /* in the order that they are tried */
	size_t binding_count;
	size_t binding; /* under way */
	bool is_unoffered;
	struct sasl_client *client;
	struct deriver_request *derivation; /* SCRAM's salted password is being computed */
	struct str initial; /* the response that goes with AUTH, until a challenge came */
	bool has_initial;   /* it did not fit there, and waits for the challenge */
	bool answered;      /* a challenge came */
	bool cancelled;
	uint32_t offered;   /* that was not declined in this exchange */
	uint32_t declined;  /* in this exchange */
	struct verdict why; /* of an exchange that we cancelled */
};

/* What has served before comes first: each refusal is a failed login in the server's log. */
static void
prefer_end_point(struct sasl_exchange *x)
{
	struct tls_binding first = x->bindings[0];

	if (x->binding_count != 2)
		return;
	x->bindings[0] = x->bindings[1];
	x->bindings[1] = first;
}

struct sasl_exchange *
sasl_exchange_new(const struct sasl_exchange_settings *settings, const struct sasl_dialect *dialect)
{
	struct sasl_exchange *x = xcalloc(1, sizeof *x);

	x->settings = *settings;
	x->dialect = dialect;
	x->mechanism = AUTH_NONE;
	x->binding_count = tls_binding_list(conn_ssl(settings->conn), x->bindings);
	if (sasl_login_was_end_point(settings->served))
		prefer_end_point(x);
	return x;
}

void
sasl_exchange_free(struct sasl_exchange **exchange)
{
	struct sasl_exchange *x = *exchange;

	*exchange = NULL;
	if (x == NULL)
		return;
	deriver_cancel(&x->derivation);
	sasl_client_free(&x->client);
	sasl_response_clear(&x->initial);
	free(x);
}

void
sasl_exchange_hide_secret(
    struct transcript *transcript, const char *user, const struct secret *secret)
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
send_response(struct sasl_exchange *x, const struct str *response)
{
	transcript_hide(x->settings.transcript, str_text(response), response->len);
	conn_send_secret(x->settings.conn, str_text(response), "****");
}

/* A refusal follows (RFC 5034, RFC 4954 section 4); our own reason is the one told. */
static void
cancel(struct sasl_exchange *x)
{
	conn_send(x->settings.conn, "*");
	x->cancelled = true;
}

static void after_step(struct sasl_exchange *x, enum sasl_result result, struct str *response);

static void
on_derived(const uint8_t *salted, void *arg)
{
	struct sasl_exchange *x = arg;
	struct str response = STR_INIT;
	enum sasl_result result = SASL_FAIL;

	x->derivation = NULL;
	if (salted != NULL)
		result = sasl_client_resume(x->client, salted, &response, &x->why);
	else
		verdict_fail(&x->why, FAIL_LOCAL, "login",
		    "the cryptographic library refuses to derive SCRAM's key");
	after_step(x, result, &response);
}

/* Takes the response: it is overwritten. */
static void
after_step(struct sasl_exchange *x, enum sasl_result result, struct str *response)
{
	switch (result) {
	case SASL_MORE:
	case SASL_DONE:
		send_response(x, response);
		break;
	case SASL_DERIVE:
		x->derivation = deriver_start(
		    x->settings.deriver, sasl_client_derivation(x->client), on_derived, x);
		break;
	case SASL_FAIL:
		cancel(x);
		break;
	}
	sasl_response_clear(response);
}

/*
 * The first challenge asks for the response that did not fit, or was not looked at: some servers
 * ask for what came with AUTH.  In PLAIN and EXTERNAL a challenge can ask for nothing else,
 * whatever it says; an access token is shown again by its own exchange.
 */
static bool
asks_for_initial(const struct sasl_exchange *x, const char *challenge)
{
	unsigned traits = sasl_mechanism_traits(x->mechanism);

	if (x->has_initial)
		return true;
	if (x->answered || (traits & SASL_TRAIT_CLIENT_FIRST) == 0 ||
	    (traits & SASL_TRAIT_TOKEN) != 0)
		return false;
	return *challenge == '\0' || (traits & SASL_TRAIT_DERIVES) == 0;
}

static void
forget_initial(struct sasl_exchange *x)
{
	sasl_response_clear(&x->initial);
	x->has_initial = false;
}

void
sasl_exchange_challenge(struct sasl_exchange *x, const char *challenge)
{
	struct str response = STR_INIT;
	bool repeats = asks_for_initial(x, challenge);
	enum sasl_result result;

	x->answered = true;
	if (repeats)
		send_response(x, &x->initial);
	forget_initial(x);
	if (repeats)
		return;
	result = sasl_client_step(x->client, challenge, &response, &x->why);
	after_step(x, result, &response);
}

bool
sasl_exchange_is_deriving(const struct sasl_exchange *x)
{
	return x->derivation != NULL;
}

bool
sasl_exchange_was_cancelled(const struct sasl_exchange *x, struct verdict *why)
{
	if (x->cancelled)
		*why = x->why;
	return x->cancelled;
}

static enum sasl_binding
binding_kind(const struct tls_binding *binding)
{
	switch (binding->kind) {
	case TLS_BINDING_UNIQUE:
		return SASL_BINDING_TLS_UNIQUE;
	case TLS_BINDING_EXPORTER:
		return SASL_BINDING_TLS_EXPORTER;
	case TLS_BINDING_END_POINT:
		break;
	}
	return SASL_BINDING_TLS_SERVER_END_POINT;
}

static const char *
binding_name(const struct tls_binding *binding)
{
	return sasl_binding_name(binding_kind(binding));
}

bool
sasl_exchange_is_binding_refused(const struct sasl_exchange *x)
{
	return x != NULL && x->client != NULL && sasl_client_may_rebind(x->client);
}

void
sasl_exchange_refused_name(const struct sasl_exchange *x, char *name, size_t size)
{
	const char *remark = x->client != NULL ? sasl_client_remark(x->client) : NULL;
	char shown[512];

	snprintf(shown, sizeof shown, "%s", remark != NULL ? remark : "");
	transcript_conceal(x->settings.transcript, shown, sizeof shown);
	if (remark != NULL)
		snprintf(name, size, "the token (%s)", shown);
	else if (!sasl_exchange_is_binding_refused(x))
		snprintf(name, size, "AUTH");
	else if (x->binding == 0)
		snprintf(name, size, "AUTH bound by %s", binding_name(&x->bindings[0]));
	else
		snprintf(name, size, "AUTH bound by %s, and by %s", binding_name(&x->bindings[0]),
		    binding_name(&x->bindings[1]));
}

void
sasl_exchange_explain_end(const struct sasl_exchange *x, struct verdict *why)
{
	char text[sizeof why->text];

	if (x->binding == 0 || !sasl_exchange_is_binding_refused(x))
		return;
	snprintf(text, sizeof text, "%s", why->text);
	verdict_fail(why, FAIL_AUTH, why->stage, "%s, having refused AUTH bound by %s; %s", text,
	    binding_name(&x->bindings[0]), sasl_exchange_advice(x->settings.endpoint, x));
}

const char *
sasl_exchange_advice(const struct endpoint_config *endpoint, const struct sasl_exchange *x)
{
	if (sasl_exchange_is_binding_refused(x))
		return "check user; for a server that cannot bind a login, set auth to mechanisms "
		       "without -PLUS";
	switch (endpoint->secret.kind) {
	case SECRET_TOKEN_COMMAND:
		return "check user and what token_command prints";
	case SECRET_NONE:
		return "check tls_cert, and whom the server takes it for";
	default:
		return "check user and password";
	}
}

bool
sasl_exchange_accepted(struct sasl_exchange *x, struct verdict *why)
{
	forget_initial(x);
	return sasl_client_accepted(x->client, why);
}

/* -- AUTH -------------------------------------------------------------------------------------- */

static bool
choose(
    struct sasl_exchange *x, uint32_t offered, enum auth_mechanism *mechanism, struct verdict *why)
{
	struct conn *conn = x->settings.conn;
	struct sasl_terms terms;

	sasl_terms_init(
	    &terms, x->settings.endpoint, conn_is_secured(conn), conn_is_loopback(conn));
	terms.offered = offered;
	terms.served = x->settings.served;
	terms.can_derive = x->settings.deriver != NULL;
	terms.can_bind = x->binding_count > 0;
	if (!sasl_choose(&terms, &x->mechanism, why))
		return false;
	x->is_unoffered = sasl_is_unoffered(&terms, x->mechanism);
	*mechanism = x->mechanism;
	return true;
}

/* What was declined in an earlier exchange comes last. */
static bool
choose_left(struct sasl_exchange *x, enum auth_mechanism *mechanism, struct verdict *why)
{
	uint32_t without = x->offered & ~x->settings.declined;
	struct verdict ignored;

	if (without != x->offered && choose(x, without, mechanism, &ignored))
		return true;
	return choose(x, x->offered, mechanism, why);
}

bool
sasl_exchange_choose(
    struct sasl_exchange *x, uint32_t offered, enum auth_mechanism *mechanism, struct verdict *why)
{
	x->offered = offered;
	return choose_left(x, mechanism, why);
}

bool
sasl_exchange_is_declined(const struct sasl_exchange *x, bool says_so, const char *text)
{
	return !x->answered && (says_so || sasl_declines_mechanism(text));
}

/* That of all nothing fits any more says less than what the server said of the last one. */
static bool
fail_declined(const struct sasl_exchange *x, const char *server, enum auth_mechanism declined,
    const char *text, struct verdict *why)
{
	char shown[256];

	transcript_escape(x->settings.transcript, shown, sizeof shown, text, strlen(text));
	return verdict_fail(why, FAIL_SERVER, "mechanism",
	    "%s lists %s, and declines it: \"%s\"; name another mechanism in auth", server,
	    auth_mechanism_name(declined), shown);
}

bool
sasl_exchange_choose_next(struct sasl_exchange *x, const char *server, const char *text,
    enum auth_mechanism *mechanism, struct verdict *why)
{
	enum auth_mechanism declined = x->mechanism;

	x->declined |= 1u << declined;
	x->offered &= ~x->declined;
	x->binding = 0;
	sasl_client_free(&x->client);
	forget_initial(x);
	if (choose_left(x, mechanism, why))
		return true;
	return why->hint == HINT_WEAKER ? false : fail_declined(x, server, declined, text, why);
}

uint32_t
sasl_exchange_declined(const struct sasl_exchange *x)
{
	return x->declined;
}

enum auth_mechanism
sasl_exchange_mechanism(const struct sasl_exchange *x)
{
	return x->mechanism;
}

const char *
sasl_exchange_login_name(const struct sasl_exchange *x)
{
	return sasl_login_name(x->mechanism,
	    x->binding_count > 1 && x->bindings[x->binding].kind == TLS_BINDING_END_POINT);
}

static void
send_auth(struct sasl_exchange *x, const char *name)
{
	struct conn *conn = x->settings.conn;
	struct str line = STR_INIT;
	char shown[64];

	if (!x->has_initial ||
	    x->initial.len + strlen(name) + strlen("AUTH  ") > x->dialect->line_max) {
		conn_sendf(conn, "AUTH %s", name);
		return;
	}
	transcript_hide(x->settings.transcript, str_text(&x->initial), x->initial.len);
	str_appendf(&line, "AUTH %s %s", name, x->initial.len > 0 ? str_text(&x->initial) : "=");
	snprintf(shown, sizeof shown, "AUTH %s ****", name);
	conn_send_secret(conn, str_text(&line), shown);
	sasl_response_clear(&line);
	x->has_initial = false;
}

static struct sasl_client *
make_client(const struct sasl_exchange *x, struct verdict *why)
{
	const struct endpoint_config *endpoint = x->settings.endpoint;
	const struct tls_binding *binding = &x->bindings[x->binding];
	struct sasl_settings settings = {
	    .mechanism = x->mechanism,
	    .user = endpoint->user,
	    .secret = x->settings.secret,
	    .service = x->dialect->service,
	    .host = endpoint->host,
	    .port = endpoint->port,
	    .is_unoffered = x->is_unoffered,
	};

	if (x->binding_count > 0) {
		settings.binding = binding_kind(binding);
		settings.binding_data = binding->data;
		settings.binding_len = binding->len;
	}
	return sasl_client_new(&settings, why);
}

static bool
begin(struct sasl_exchange *x, struct verdict *why)
{
	x->answered = false;
	x->client = make_client(x, why);
	if (x->client == NULL)
		return false;
	if (sasl_mechanism_traits(x->mechanism) & SASL_TRAIT_CLIENT_FIRST) {
		enum sasl_result result = sasl_client_step(x->client, NULL, &x->initial, why);

		if (result != SASL_MORE && result != SASL_DONE)
			return false;
		x->has_initial = true;
	}
	send_auth(x, auth_mechanism_name(x->mechanism));
	return true;
}

bool
sasl_exchange_start(struct sasl_exchange *x, struct verdict *why)
{
	transcript_hide_challenges(x->settings.transcript, x->dialect->challenge);
	return begin(x, why);
}

/* The certificate of a resumed session is that of its first handshake, and may be the old one. */
static void
doubt_certificate(struct sasl_exchange *x)
{
	if ((sasl_mechanism_traits(x->mechanism) & SASL_TRAIT_BINDING) != 0 &&
	    x->bindings[x->binding].kind == TLS_BINDING_END_POINT)
		conn_forget_sessions(x->settings.conn);
}

bool
sasl_exchange_rebind(struct sasl_exchange *x)
{
	doubt_certificate(x);
	if (!sasl_exchange_is_binding_refused(x) || x->binding + 1 >= x->binding_count)
		return false;
	transcript_note(x->settings.transcript,
	    "the server takes no login bound by %s; once more, by %s",
	    binding_name(&x->bindings[x->binding]), binding_name(&x->bindings[x->binding + 1]));
	x->binding++;
	x->cancelled = false;
	forget_initial(x);
	sasl_client_free(&x->client);
	return begin(x, &x->why);
}
