#include "proto/sasl_client.h"

#include "base/secret.h"
#include "base/xalloc.h"
#include "proto/sasl.h"
#include "proto/sasl_bearer.h"
#include "proto/scram.h"

#include <gsasl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STAGE "auth"

enum { STEPS_MAX = 8 };
enum { CHALLENGE_MAX = 64 * 1024 };

/* One owner: the session.  GNU SASL's copies of the secret are overwritten in sasl_client_free().
 */
struct sasl_client {
	enum auth_mechanism mechanism;
	struct secret *secret;
	char *user;
	char *host;
	uint16_t port;

	struct scram *scram; /* or NULL */
	Gsasl *library;      /* NULL for SCRAM, OAUTHBEARER and XOAUTH2 */
	Gsasl_session *session;

	int steps;
	bool finished; /* SASL_DONE was returned */
	bool refused;  /* the server said so inside the exchange */
	char *remark;
};

static bool
has_trait(const struct sasl_client *c, unsigned trait)
{
	return (sasl_mechanism_traits(c->mechanism) & trait) != 0;
}

static const char *
name_of(const struct sasl_client *c)
{
	return auth_mechanism_name(c->mechanism);
}

static enum sasl_result
fail(struct verdict *why, enum fail kind, const char *text, const char *name)
{
	verdict_fail(why, kind, STAGE, "%s: %s", name, text);
	return SASL_FAIL;
}

static void
encode_response(struct str *response, const char *data, size_t len)
{
	char *encoded = NULL;
	size_t encoded_len = 0;

	if (len == 0)
		return;
	if (gsasl_base64_to(data, len, &encoded, &encoded_len) != GSASL_OK)
		abort(); /* only for want of memory */
	str_append(response, encoded, encoded_len);
	secret_wipe(encoded, encoded_len);
	gsasl_free(encoded);
}

/* Returns NUL-terminated octets to free(3); NULL with why when it is no base64 or holds a NUL. */
static char *
decode_challenge(const struct sasl_client *c, const char *challenge, struct verdict *why)
{
	size_t encoded_len = strlen(challenge);
	char *decoded = NULL;
	size_t len = 0;
	char *text;

	if (encoded_len == 0)
		return xstrdup("");
	if (encoded_len > CHALLENGE_MAX ||
	    gsasl_base64_from(challenge, encoded_len, &decoded, &len) != GSASL_OK) {
		fail(why, FAIL_PROTOCOL, "the server's challenge is no base64", name_of(c));
		return NULL;
	}
	text = xstrndup(decoded, len);
	gsasl_free(decoded);
	if (strlen(text) == len)
		return text;
	free(text);
	fail(why, FAIL_PROTOCOL, "the server's challenge holds a NUL", name_of(c));
	return NULL;
}

/* RFC 7628 section 3.1; XOAUTH2 is its forerunner.  One buffer, filled without growing. */
static void
respond_bearer(const struct sasl_client *c, struct str *response)
{
	struct str head = STR_INIT;
	size_t token_len = secret_len(c->secret);
	size_t len;
	char *all;

	if (c->mechanism == AUTH_OAUTHBEARER) {
		str_append_text(&head, "n,a=");
		sasl_append_saslname(&head, c->user);
		str_appendf(&head, ",\001host=%s\001port=%u", c->host, (unsigned)c->port);
	} else
		str_appendf(&head, "user=%s", c->user);
	str_append_text(&head, "\001auth=Bearer ");

	len = head.len + token_len + 2;
	all = xmalloc(len);
	memcpy(all, head.data, head.len);
	memcpy(all + head.len, secret_text(c->secret), token_len);
	memcpy(all + len - 2, "\001\001", 2);
	encode_response(response, all, len);
	secret_wipe(all, len);
	free(all);
	str_clear(&head);
}

static bool
says_secret(const struct sasl_client *c, const char *text)
{
	return memmem(text, strlen(text), secret_text(c->secret), secret_len(c->secret)) != NULL;
}

/* Kept for people, unless the server sends the token back. */
static void
take_remark(struct sasl_client *c, const char *text)
{
	struct str remark = STR_INIT;

	if (*text == '\0' || says_secret(c, text))
		return;
	sasl_bearer_remark(text, &remark);
	free(c->remark);
	c->remark = xstrdup(str_text(&remark));
	str_clear(&remark);
}

/*
 * A challenge behind the token is the reason of a refusal, which the client answers with a dummy
 * (RFC 7628 section 3.2.3: one 0x01; XOAUTH2: nothing).  One without octets is no reason: the
 * server has not looked at what came with AUTH, and asks for it.
 */
static enum sasl_result
step_bearer(struct sasl_client *c, const char *challenge, struct str *response, struct verdict *why)
{
	char *text;

	if (c->steps == 1 || (c->steps == 2 && *challenge == '\0')) {
		respond_bearer(c, response);
		c->finished = true;
		return SASL_DONE;
	}
	if (c->steps > 3 || c->refused)
		return fail(why, FAIL_PROTOCOL, "the server's exchange does not end", name_of(c));
	if ((text = decode_challenge(c, challenge, why)) == NULL)
		return SASL_FAIL;
	c->refused = true;
	take_remark(c, text);
	free(text);
	if (c->mechanism == AUTH_OAUTHBEARER)
		encode_response(response, "\001", 1);
	return SASL_DONE;
}

static enum sasl_result
fail_library(const struct sasl_client *c, int rc, struct verdict *why)
{
	switch (rc) {
	case GSASL_MECHANISM_PARSE_ERROR:
		return fail(
		    why, FAIL_PROTOCOL, "the server's challenge cannot be read", name_of(c));
	case GSASL_SASLPREP_ERROR:
		return fail(why, FAIL_LOCAL,
		    "user or password hold characters that this mechanism cannot carry; "
		    "set auth to another one",
		    name_of(c));
	default:
		return fail(why, FAIL_LOCAL, gsasl_strerror(rc), name_of(c));
	}
}

static enum sasl_result
step_library(struct sasl_client *c, const char *input, struct str *response, struct verdict *why)
{
	char *output = NULL;
	size_t len = 0;
	int rc;

	rc = gsasl_step(c->session, input, strlen(input), &output, &len);
	if (rc == GSASL_OK || rc == GSASL_NEEDS_MORE)
		encode_response(response, output, len);
	if (output != NULL) {
		secret_wipe(output, len);
		gsasl_free(output);
	}
	if (rc != GSASL_OK && rc != GSASL_NEEDS_MORE)
		return fail_library(c, rc, why);
	c->finished = rc == GSASL_OK;
	return c->finished ? SASL_DONE : SASL_MORE;
}

/* SCRAM's messages are text: what it says gets its base64 here. */
static enum sasl_result
answer_scram(
    struct sasl_client *c, enum sasl_result result, struct str *message, struct str *response)
{
	if (result == SASL_MORE || result == SASL_DONE)
		encode_response(response, str_text(message), message->len);
	c->finished = result == SASL_DONE;
	sasl_response_clear(message);
	return result;
}

static enum sasl_result
step_scram(struct sasl_client *c, const char *challenge, struct str *response, struct verdict *why)
{
	struct str message = STR_INIT;
	enum sasl_result result;

	result = scram_step(c->scram, challenge, &message, why);
	if (result == SASL_FAIL && says_secret(c, challenge))
		fail(why, why->kind, "the server ended it in words that hold the password",
		    name_of(c));
	return answer_scram(c, result, &message, response);
}

/* The prompts of LOGIN, and a challenge before the initial response, say nothing. */
static bool
reads_challenge(const struct sasl_client *c)
{
	if (c->mechanism == AUTH_LOGIN)
		return false;
	return c->steps > 1 || !has_trait(c, SASL_TRAIT_CLIENT_FIRST);
}

static enum sasl_result
step_text(struct sasl_client *c, const char *text, struct str *response, struct verdict *why)
{
	return c->scram != NULL ? step_scram(c, text, response, why)
				: step_library(c, text, response, why);
}

enum sasl_result
sasl_client_step(
    struct sasl_client *c, const char *challenge, struct str *response, struct verdict *why)
{
	enum sasl_result result;
	char *message;

	if (challenge == NULL && !has_trait(c, SASL_TRAIT_CLIENT_FIRST))
		return SASL_MORE;
	if (challenge == NULL)
		challenge = "";
	if (++c->steps > STEPS_MAX)
		return fail(why, FAIL_PROTOCOL, "the server's exchange does not end", name_of(c));
	if (has_trait(c, SASL_TRAIT_TOKEN))
		return step_bearer(c, challenge, response, why);
	if (c->finished)
		return fail(why, FAIL_PROTOCOL, "the server sent a challenge behind the last step",
		    name_of(c));
	if (!reads_challenge(c))
		return step_text(c, "", response, why);
	if ((message = decode_challenge(c, challenge, why)) == NULL)
		return SASL_FAIL;
	result = step_text(c, message, response, why);
	free(message);
	return result;
}

const struct sasl_derivation *
sasl_client_derivation(const struct sasl_client *c)
{
	return scram_derivation(c->scram);
}

enum sasl_result
sasl_client_resume(
    struct sasl_client *c, const uint8_t *salted, struct str *response, struct verdict *why)
{
	struct str message = STR_INIT;
	enum sasl_result result;

	result = scram_resume(c->scram, salted, &message, why);
	return answer_scram(c, result, &message, response);
}

bool
sasl_client_accepted(const struct sasl_client *c, struct verdict *why)
{
	if (c->scram != NULL && !scram_is_proved(c->scram))
		return verdict_fail(why, FAIL_PROTOCOL, STAGE,
		    "%s: the server said yes without proving that it knows the password",
		    name_of(c));
	if (c->finished)
		return true;
	return verdict_fail(why, FAIL_PROTOCOL, STAGE,
	    "%s: the server said yes before the exchange was over", name_of(c));
}

bool
sasl_client_may_rebind(const struct sasl_client *c)
{
	return has_trait(c, SASL_TRAIT_BINDING) && scram_may_rebind(c->scram);
}

const char *
sasl_client_remark(const struct sasl_client *c)
{
	return c->remark;
}

static void
set_properties(const struct sasl_client *c, const struct sasl_settings *settings)
{
	if (c->mechanism == AUTH_EXTERNAL)
		gsasl_property_set(c->session, GSASL_AUTHZID, c->user);
	else
		gsasl_property_set(c->session, GSASL_AUTHID, c->user);
	if (has_trait(c, SASL_TRAIT_PASSWORD))
		gsasl_property_set_raw(
		    c->session, GSASL_PASSWORD, secret_text(c->secret), secret_len(c->secret));
	gsasl_property_set(c->session, GSASL_SERVICE, settings->service);
	gsasl_property_set(c->session, GSASL_HOSTNAME, settings->host);
}

static bool
start_library(struct sasl_client *c, const struct sasl_settings *settings, struct verdict *why)
{
	int rc = gsasl_init(&c->library);

	if (rc != GSASL_OK)
		return verdict_fail(why, FAIL_LOCAL, STAGE, "GNU SASL: %s", gsasl_strerror(rc));
	rc = gsasl_client_start(c->library, name_of(c), &c->session);
	if (rc != GSASL_OK)
		return verdict_fail(why, FAIL_LOCAL, STAGE, "GNU SASL has no %s: %s", name_of(c),
		    gsasl_strerror(rc));
	set_properties(c, settings);
	return true;
}

const char *
sasl_binding_name(enum sasl_binding binding)
{
	switch (binding) {
	case SASL_BINDING_TLS_UNIQUE:
		return "tls-unique";
	case SASL_BINDING_TLS_EXPORTER:
		return "tls-exporter";
	case SASL_BINDING_TLS_SERVER_END_POINT:
		return "tls-server-end-point";
	case SASL_BINDING_NONE:
		break;
	}
	return NULL;
}

static bool
start_scram(struct sasl_client *c, const struct sasl_settings *settings, struct verdict *why)
{
	bool binds = has_trait(c, SASL_TRAIT_BINDING);
	const struct scram_settings scram = {
	    .is_sha256 =
		c->mechanism == AUTH_SCRAM_SHA_256_PLUS || c->mechanism == AUTH_SCRAM_SHA_256,
	    .user = c->user,
	    .secret = c->secret,
	    .binding_name = binds ? sasl_binding_name(settings->binding) : NULL,
	    .binding_data = settings->binding_data,
	    .binding_len = settings->binding_len,
	    .is_unoffered = settings->is_unoffered,
	};

	c->scram = scram_new(&scram, why);
	return c->scram != NULL;
}

/* OAUTHBEARER and XOAUTH2 are all in here. */
static bool
start(struct sasl_client *c, const struct sasl_settings *settings, struct verdict *why)
{
	if (has_trait(c, SASL_TRAIT_TOKEN))
		return true;
	return has_trait(c, SASL_TRAIT_DERIVES) ? start_scram(c, settings, why)
						: start_library(c, settings, why);
}

static bool
check_settings(
    const struct sasl_client *c, const struct sasl_settings *settings, struct verdict *why)
{
	unsigned wanted = SASL_TRAIT_SASL | SASL_TRAIT_IMPLEMENTED;

	if ((sasl_mechanism_traits(c->mechanism) & wanted) != wanted)
		return verdict_fail(why, FAIL_CONFIG, STAGE, "%s is no SASL mechanism", name_of(c));
	if (!has_trait(c, SASL_TRAIT_CERTIFICATE) && (c->secret == NULL || *c->user == '\0'))
		return verdict_fail(
		    why, FAIL_CONFIG, STAGE, "%s needs a user and a secret", name_of(c));
	if (has_trait(c, SASL_TRAIT_BINDING) && settings->binding == SASL_BINDING_NONE)
		return verdict_fail(why, FAIL_LOCAL, STAGE, "%s: no channel binding", name_of(c));
	if (has_trait(c, SASL_TRAIT_TOKEN) && strchr(c->user, '\001') != NULL)
		return verdict_fail(
		    why, FAIL_CONFIG, STAGE, "%s: user holds a control character", name_of(c));
	if (has_trait(c, SASL_TRAIT_TOKEN) &&
	    memchr(secret_text(c->secret), '\001', secret_len(c->secret)) != NULL)
		return verdict_fail(
		    why, FAIL_LOCAL, STAGE, "%s: the token holds an octet 0x01", name_of(c));
	return true;
}

struct sasl_client *
sasl_client_new(const struct sasl_settings *settings, struct verdict *why)
{
	struct sasl_client *c = xcalloc(1, sizeof *c);

	c->mechanism = settings->mechanism;
	c->secret = settings->secret != NULL ? secret_ref(settings->secret) : NULL;
	c->user = xstrdup(settings->user != NULL ? settings->user : "");
	c->host = xstrdup(settings->host);
	c->port = settings->port;
	if (!check_settings(c, settings, why) || !start(c, settings, why))
		sasl_client_free(&c);
	return c;
}

/* The library releases its copy without overwriting it. */
static void
wipe_password(Gsasl_session *session)
{
	const char *value = gsasl_property_fast(session, GSASL_PASSWORD);

	if (value != NULL)
		secret_wipe((char *)(uintptr_t)value, strlen(value));
}

void
sasl_client_free(struct sasl_client **client)
{
	struct sasl_client *c = *client;

	*client = NULL;
	if (c == NULL)
		return;
	if (c->session != NULL) {
		wipe_password(c->session);
		gsasl_finish(c->session);
	}
	if (c->library != NULL)
		gsasl_done(c->library);
	scram_free(&c->scram);
	secret_unref(&c->secret);
	free(c->remark);
	free(c->user);
	free(c->host);
	free(c);
}

void
sasl_response_clear(struct str *response)
{
	if (response->data != NULL)
		secret_wipe(response->data, response->cap);
	str_clear(response);
}
