#include "proto/sasl.h"

#include "base/secret.h"
#include "base/str.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define STAGE "mechanism"

#define SCRAM                                                                                      \
	(SASL_TRAIT_IMPLEMENTED | SASL_TRAIT_SASL | SASL_TRAIT_PASSWORD |                          \
	    SASL_TRAIT_CLIENT_FIRST | SASL_TRAIT_DERIVES)
#define BEARER                                                                                     \
	(SASL_TRAIT_IMPLEMENTED | SASL_TRAIT_SASL | SASL_TRAIT_TOKEN | SASL_TRAIT_CLEAR |          \
	    SASL_TRAIT_CLIENT_FIRST)

static const unsigned traits[AUTH_MECHANISM_COUNT] = {
    [AUTH_EXTERNAL] =
	SASL_TRAIT_IMPLEMENTED | SASL_TRAIT_SASL | SASL_TRAIT_CERTIFICATE | SASL_TRAIT_CLIENT_FIRST,
    [AUTH_SCRAM_SHA_256_PLUS] = SCRAM | SASL_TRAIT_BINDING,
    [AUTH_SCRAM_SHA_1_PLUS] = SCRAM | SASL_TRAIT_BINDING,
    [AUTH_SCRAM_SHA_256] = SCRAM,
    [AUTH_SCRAM_SHA_1] = SCRAM,
    [AUTH_OAUTHBEARER] = BEARER,
    [AUTH_XOAUTH2] = BEARER,
    [AUTH_PLAIN] = SASL_TRAIT_IMPLEMENTED | SASL_TRAIT_SASL | SASL_TRAIT_PASSWORD |
		   SASL_TRAIT_CLEAR | SASL_TRAIT_CLIENT_FIRST,
    [AUTH_LOGIN] =
	SASL_TRAIT_IMPLEMENTED | SASL_TRAIT_SASL | SASL_TRAIT_PASSWORD | SASL_TRAIT_CLEAR,
    [AUTH_USER] = SASL_TRAIT_IMPLEMENTED | SASL_TRAIT_PASSWORD | SASL_TRAIT_CLEAR,
    [AUTH_CRAM_MD5] =
	SASL_TRAIT_IMPLEMENTED | SASL_TRAIT_SASL | SASL_TRAIT_PASSWORD | SASL_TRAIT_NAMED_ONLY,
    [AUTH_APOP] = SASL_TRAIT_IMPLEMENTED | SASL_TRAIT_PASSWORD | SASL_TRAIT_NAMED_ONLY,
    [AUTH_NONE] = SASL_TRAIT_IMPLEMENTED | SASL_TRAIT_NAMED_ONLY,
};

unsigned
sasl_mechanism_traits(enum auth_mechanism mechanism)
{
	return (unsigned)mechanism < AUTH_MECHANISM_COUNT ? traits[mechanism] : 0;
}

bool
sasl_mechanism_from_name(const char *name, size_t len, enum auth_mechanism *mechanism)
{
	for (int i = 0; i < AUTH_MECHANISM_COUNT; i++) {
		const char *known = auth_mechanism_name((enum auth_mechanism)i);

		if (strlen(known) != len || strncasecmp(known, name, len) != 0)
			continue;
		*mechanism = (enum auth_mechanism)i;
		return true;
	}
	return false;
}

uint32_t
sasl_mechanisms_from_list(const char *list)
{
	enum auth_mechanism mechanism;
	uint32_t set = 0;

	for (;;) {
		size_t len;

		list += strspn(list, " \t");
		len = strcspn(list, " \t");
		if (len == 0)
			return set;
		if (sasl_mechanism_from_name(list, len, &mechanism) &&
		    (traits[mechanism] & SASL_TRAIT_SASL) != 0)
			set |= 1u << mechanism;
		list += len;
	}
}

static bool
holds_any(const char *text, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcasestr(text, words[i]) != NULL)
			return true;
	return false;
}

/* No reply code says it in POP3, and not all servers use SMTP's. */
bool
sasl_declines_mechanism(const char *text)
{
	static const char *const subjects[] = {"mechanism", "authentication type", "auth type",
	    "authentication method", "auth method"};
	static const char *const remarks[] = {"unsupported", "not supported", "unknown", "invalid",
	    "unrecognized", "unrecognised", "not recognized", "not recognised", "not available",
	    "unavailable", "not implemented", "unimplemented", "not enabled", "disabled"};
	static const char *const askers[] = {"password", "credential", "token", "user name",
	    "username", "invalid user", "unknown user"};

	return !holds_any(text, askers, sizeof askers / sizeof *askers) &&
	       holds_any(text, subjects, sizeof subjects / sizeof *subjects) &&
	       holds_any(text, remarks, sizeof remarks / sizeof *remarks);
}

void
sasl_terms_init(
    struct sasl_terms *terms, const struct endpoint_config *endpoint, bool is_tls, bool is_loopback)
{
	*terms = (struct sasl_terms){
	    .allowed = endpoint->auth,
	    .automatic = endpoint->auth_auto,
	    .has_user = endpoint->user != NULL,
	    .has_token = endpoint->secret.kind == SECRET_TOKEN_COMMAND,
	    .is_tls = is_tls,
	    .has_certificate = is_tls && endpoint->tls_config.cert != NULL,
	    .is_private = is_tls || is_loopback || endpoint->cleartext_auth,
	};
	terms->has_password = endpoint->secret.kind != SECRET_NONE && !terms->has_token;
}

static bool
is_allowed(const struct sasl_terms *terms, enum auth_mechanism mechanism)
{
	bool has_secret = terms->has_password || terms->has_token;

	if (!terms->automatic)
		return (terms->allowed & 1u << mechanism) != 0;
	if ((traits[mechanism] & SASL_TRAIT_CERTIFICATE) != 0 && has_secret)
		return false; /* a certificate next to a secret serves TLS */
	return (traits[mechanism] & SASL_TRAIT_NAMED_ONLY) == 0;
}

/* What the user, the secret and the certificate allow. */
static bool
is_fed(const struct sasl_terms *terms, enum auth_mechanism mechanism)
{
	unsigned t = traits[mechanism];

	return ((t & SASL_TRAIT_CERTIFICATE) != 0 || terms->has_user) &&
	       ((t & SASL_TRAIT_PASSWORD) == 0 || terms->has_password) &&
	       ((t & SASL_TRAIT_TOKEN) == 0 || terms->has_token) &&
	       ((t & SASL_TRAIT_CERTIFICATE) == 0 || terms->has_certificate);
}

/* What this build, this caller and this channel can do. */
static bool
is_possible(const struct sasl_terms *terms, enum auth_mechanism mechanism)
{
	unsigned t = traits[mechanism];

	return (t & SASL_TRAIT_IMPLEMENTED) != 0 &&
	       ((t & SASL_TRAIT_CLEAR) == 0 || terms->is_private) &&
	       ((t & SASL_TRAIT_BINDING) == 0 || terms->can_bind) &&
	       ((t & SASL_TRAIT_DERIVES) == 0 || terms->can_derive);
}

static void
append_set(struct str *s, uint32_t set)
{
	const char *separator = "";

	if (set == 0)
		str_append_text(s, "nothing that is known here");
	for (int i = 0; i < AUTH_MECHANISM_COUNT; i++) {
		if ((set & 1u << i) == 0)
			continue;
		str_appendf(s, "%s%s", separator, auth_mechanism_name((enum auth_mechanism)i));
		separator = ", ";
	}
}

static const char *
secret_name(const struct sasl_terms *terms)
{
	if (terms->has_token)
		return "an OAuth 2 token";
	if (terms->has_password)
		return "a password";
	return terms->has_certificate ? "a client certificate" : "no secret";
}

/* No offer could help: one of the settings stands in the way. */
static bool
fail_config(const struct sasl_terms *terms, uint32_t fed, struct str *s, struct verdict *why)
{
	if (fed == 0)
		str_appendf(s, "; none of that works with %s: change auth or the secret",
		    secret_name(terms));
	else if (!terms->is_private)
		str_append_text(s, "; without TLS the secret would be sent in clear: set tls, or "
				   "cleartext_auth = true");
	else
		str_append_text(s, "; none of that is possible on this connection: add another "
				   "mechanism to auth");
	return verdict_fail(why, FAIL_CONFIG, STAGE, "%s", str_text(s));
}

static bool
fail_choice(const struct sasl_terms *terms, uint32_t fed, uint32_t usable, struct verdict *why)
{
	struct str s = STR_INIT;

	str_append_text(&s, "no way to authenticate: the server offers ");
	append_set(&s, terms->offered);
	str_append_text(&s, ", auth allows ");
	if (terms->automatic) {
		str_append_text(&s, "\"auto\" with ");
		str_append_text(&s, secret_name(terms));
	} else
		append_set(&s, terms->allowed);
	if (usable == 0) {
		fail_config(terms, fed, &s, why);
	} else {
		str_append_text(&s, "; would work if offered: ");
		append_set(&s, usable);
		verdict_fail(why, FAIL_AUTH, STAGE, "%s", str_text(&s));
	}
	str_clear(&s);
	return false;
}

/*
 * What somebody in the middle of the channel, past TLS, would have: 1 the secret itself, 2 and 3 a
 * digest to guess at and a login to pass on, 4 no login, and a digest at most.
 */
static int
strength(enum auth_mechanism mechanism)
{
	unsigned t = traits[mechanism];

	if ((t & (SASL_TRAIT_BINDING | SASL_TRAIT_CERTIFICATE)) != 0)
		return 4;
	if ((t & SASL_TRAIT_DERIVES) != 0)
		return mechanism == AUTH_SCRAM_SHA_1 ? 2 : 3;
	return 1;
}

static bool
is_weaker(const struct sasl_terms *terms, enum auth_mechanism mechanism)
{
	enum auth_mechanism served;

	return terms->automatic && terms->served != NULL &&
	       sasl_mechanism_from_name(terms->served, strcspn(terms->served, " "), &served) &&
	       strength(mechanism) < strength(served);
}

static bool
fail_weaker(const struct sasl_terms *terms, struct verdict *why)
{
	struct str s = STR_INIT;

	append_set(&s, terms->offered);
	verdict_fail(why, FAIL_AUTH, STAGE,
	    "the last login was by %.*s, and now the server offers only %s: somebody between may "
	    "want "
	    "the password; if the server was changed indeed, postriderctl poll (flush, for "
	    "sending) accepts it",
	    (int)strcspn(terms->served, " "), terms->served, str_text(&s));
	why->hint = HINT_WEAKER;
	str_clear(&s);
	return false;
}

/* There is somebody to log in as: a user, or whom the certificate names when that is asked for. */
static bool
is_wanted(const struct sasl_terms *terms)
{
	bool names_external = !terms->automatic && is_allowed(terms, AUTH_EXTERNAL);

	return terms->has_user || (names_external && terms->has_certificate);
}

bool
sasl_choose(const struct sasl_terms *terms, enum auth_mechanism *mechanism, struct verdict *why)
{
	uint32_t fed = 0, usable = 0;

	*mechanism = AUTH_NONE;
	if (!is_wanted(terms))
		return true;
	for (int i = 0; i < AUTH_NONE; i++) {
		enum auth_mechanism m = (enum auth_mechanism)i;

		if (!is_allowed(terms, m) || !is_fed(terms, m))
			continue;
		fed |= 1u << i;
		if (!is_possible(terms, m))
			continue;
		usable |= 1u << i;
		if ((terms->offered & 1u << i) == 0)
			continue;
		if (is_weaker(terms, m))
			return fail_weaker(terms, why);
		*mechanism = m;
		return true;
	}
	if (!terms->automatic && is_allowed(terms, AUTH_NONE))
		return true;
	return fail_choice(terms, fed, usable, why);
}

/* The mechanism that is this one bound to the channel; itself when there is none. */
static enum auth_mechanism
bound_form(enum auth_mechanism mechanism)
{
	switch (mechanism) {
	case AUTH_SCRAM_SHA_256:
		return AUTH_SCRAM_SHA_256_PLUS;
	case AUTH_SCRAM_SHA_1:
		return AUTH_SCRAM_SHA_1_PLUS;
	default:
		return mechanism;
	}
}

static bool
is_binding_allowed(const struct sasl_terms *terms)
{
	for (int i = 0; i < AUTH_MECHANISM_COUNT; i++)
		if ((traits[i] & SASL_TRAIT_BINDING) != 0 &&
		    is_allowed(terms, (enum auth_mechanism)i))
			return true;
	return false;
}

bool
sasl_is_unoffered(const struct sasl_terms *terms, enum auth_mechanism mechanism)
{
	enum auth_mechanism bound = bound_form(mechanism);

	return bound != mechanism && terms->is_tls && is_binding_allowed(terms) &&
	       (terms->offered & 1u << bound) == 0;
}

#define END_POINT " tls-server-end-point"

const char *
sasl_login_name(enum auth_mechanism mechanism, bool is_end_point)
{
	if (is_end_point && mechanism == AUTH_SCRAM_SHA_256_PLUS)
		return "SCRAM-SHA-256-PLUS" END_POINT;
	if (is_end_point && mechanism == AUTH_SCRAM_SHA_1_PLUS)
		return "SCRAM-SHA-1-PLUS" END_POINT;
	return auth_mechanism_name(mechanism);
}

bool
sasl_login_was_end_point(const char *name)
{
	return name != NULL && strstr(name, END_POINT) != NULL;
}

void
sasl_append_saslname(struct str *s, const char *name)
{
	for (; *name != '\0'; name++) {
		if (*name == ',')
			str_append_text(s, "=2C");
		else if (*name == '=')
			str_append_text(s, "=3D");
		else
			str_append_char(s, *name);
	}
}

static void
print_hex(const unsigned char *octets, size_t len, char *out)
{
	for (size_t i = 0; i < len; i++)
		snprintf(out + 2 * i, 3, "%02x", octets[i]);
}

bool
sasl_apop_digest(const char *timestamp, size_t timestamp_len, const char *secret, size_t secret_len,
    char digest[SASL_APOP_DIGEST_SIZE])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	bool ok;

	ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1 &&
	     EVP_DigestUpdate(ctx, timestamp, timestamp_len) == 1 &&
	     EVP_DigestUpdate(ctx, secret, secret_len) == 1 &&
	     EVP_DigestFinal_ex(ctx, md, &len) == 1 && len * 2 + 1 == SASL_APOP_DIGEST_SIZE;
	EVP_MD_CTX_free(ctx);
	if (ok)
		print_hex(md, len, digest);
	secret_wipe(md, sizeof md);
	return ok;
}
