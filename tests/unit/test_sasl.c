#include "unit.h"

#include "base/secret.h"
#include "proto/sasl.h"
#include "proto/sasl_bearer.h"
#include "proto/sasl_client.h"

#include <gsasl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(row)     (sizeof(row) / sizeof((row)[0]))
#define BIT(mechanism) (1u << AUTH_##mechanism)

/* -- Names and choice ------------------------------------------------------------------------ */

static void
knows_names(void **state)
{
	static const struct {
		const char *name;
		int mechanism; /* -1: unknown */
	} row[] = {
	    {"PLAIN", AUTH_PLAIN},
	    {"plain", AUTH_PLAIN},
	    {"Scram-Sha-256-Plus", AUTH_SCRAM_SHA_256_PLUS},
	    {"SCRAM-SHA-256", AUTH_SCRAM_SHA_256},
	    {"XOAUTH2", AUTH_XOAUTH2},
	    {"none", AUTH_NONE},
	    {"PLAI", -1},
	    {"PLAINX", -1},
	    {"", -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		enum auth_mechanism m;
		bool known = sasl_mechanism_from_name(row[i].name, strlen(row[i].name), &m);

		assert_int_equal(known, row[i].mechanism >= 0);
		if (known)
			assert_int_equal(m, row[i].mechanism);
	}
}

static void
reads_lists(void **state)
{
	(void)state;
	assert_int_equal(sasl_mechanisms_from_list(""), 0);
	assert_int_equal(sasl_mechanisms_from_list("  \t "), 0);
	assert_int_equal(
	    sasl_mechanisms_from_list(" LOGIN\tplain GSSAPI "), BIT(LOGIN) | BIT(PLAIN));
	assert_int_equal(sasl_mechanisms_from_list("USER APOP none"), 0);
}

static void
tells_a_declined_mechanism(void **state)
{
	static const struct {
		const char *text;
		bool declined;
	} row[] = {
	    {"[AUTH] Unsupported authentication mechanism.", true},
	    {"Unrecognized Authentication Type", true},
	    {"Error: authentication failed: Invalid authentication mechanism", true},
	    {"AUTH mechanism SCRAM-SHA-256 not available", true},
	    {"auth method is disabled here", true},
	    {"Authentication mechanism is too weak", false},
	    {"unknown user", false},
	    {"Authentication unsuccessful, basic authentication is disabled.", false},
	    {"invalid user name or password", false},
	    {"Invalid Credentials for authentication mechanism PLAIN", false},
	    {"auth method PLAIN: wrong or unknown user name", false},
	    {"unknown user for this auth method", false},
	    {"mechanism XOAUTH2: invalid token", false},
	    {"authentication type LOGIN, invalid password", false},
	    {"", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++)
		if (sasl_declines_mechanism(row[i].text) != row[i].declined)
			fail_msg("\"%s\"", row[i].text);
}

enum means { NOTHING, PASSWORD, TOKEN, CERTIFICATE };

static const uint32_t everything = (1u << AUTH_MECHANISM_COUNT) - 1;

static struct sasl_terms
make_terms(uint32_t offered, uint32_t allowed, enum means means, bool is_private)
{
	return (struct sasl_terms){
	    .offered = offered,
	    .allowed = allowed,
	    .automatic = allowed == 0,
	    .has_user = true,
	    .has_password = means == PASSWORD,
	    .has_token = means == TOKEN,
	    .has_certificate = means == CERTIFICATE,
	    .is_private = is_private,
	    .can_bind = false,
	    .can_derive = true,
	};
}

static void
chooses_the_strongest_that_fits(void **state)
{
	static const struct {
		uint32_t offered, allowed; /* allowed 0: auto */
		enum means means;
		bool is_private;
		enum auth_mechanism mechanism;
	} row[] = {
	    {BIT(PLAIN) | BIT(LOGIN) | BIT(USER), 0, PASSWORD, true, AUTH_PLAIN},
	    {BIT(LOGIN) | BIT(USER), 0, PASSWORD, true, AUTH_LOGIN},
	    {BIT(USER), 0, PASSWORD, true, AUTH_USER},
	    {everything, 0, PASSWORD, true, AUTH_SCRAM_SHA_256},
	    {everything, 0, PASSWORD, false, AUTH_SCRAM_SHA_256},
	    {BIT(SCRAM_SHA_1) | BIT(PLAIN), 0, PASSWORD, true, AUTH_SCRAM_SHA_1},
	    {everything, 0, TOKEN, true, AUTH_OAUTHBEARER},
	    {BIT(XOAUTH2) | BIT(PLAIN), 0, TOKEN, true, AUTH_XOAUTH2},
	    {everything, 0, CERTIFICATE, true, AUTH_EXTERNAL},
	    {BIT(PLAIN) | BIT(LOGIN), BIT(LOGIN), PASSWORD, true, AUTH_LOGIN},
	    {everything, BIT(CRAM_MD5), PASSWORD, false, AUTH_CRAM_MD5},
	    {everything, BIT(APOP), PASSWORD, false, AUTH_APOP},
	    {BIT(USER) | BIT(APOP), BIT(APOP) | BIT(USER), PASSWORD, true, AUTH_USER},
	    {BIT(PLAIN), BIT(PLAIN) | BIT(NONE), PASSWORD, true, AUTH_PLAIN},
	    {BIT(LOGIN), BIT(PLAIN) | BIT(NONE), PASSWORD, true, AUTH_NONE},
	    {0, BIT(NONE), NOTHING, false, AUTH_NONE},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct sasl_terms terms =
		    make_terms(row[i].offered, row[i].allowed, row[i].means, row[i].is_private);
		enum auth_mechanism m;
		struct verdict why = VERDICT_OK;

		assert_true(sasl_choose(&terms, &m, &why));
		assert_int_equal(m, row[i].mechanism);
	}
}

/* Whoever is between takes what is strong out of the offer. */
static void
takes_nothing_weaker_than_before(void **state)
{
	static const struct {
		const char *served;
		uint32_t offered, allowed;
		bool taken;
	} row[] = {
	    {NULL, BIT(PLAIN), 0, true},
	    {"", BIT(PLAIN), 0, true},
	    {"NEW-ONE", BIT(PLAIN), 0, true},
	    {"SCRAM-SHA-256", BIT(PLAIN) | BIT(LOGIN), 0, false},
	    {"SCRAM-SHA-256", BIT(USER), 0, false},
	    {"SCRAM-SHA-1", BIT(PLAIN), 0, false},
	    {"SCRAM-SHA-256", BIT(SCRAM_SHA_1) | BIT(PLAIN), 0, false},
	    {"SCRAM-SHA-256-PLUS", BIT(SCRAM_SHA_256), 0, false},
	    {"SCRAM-SHA-256-PLUS tls-server-end-point", BIT(SCRAM_SHA_256), 0, false},
	    {"SCRAM-SHA-256-PLUS", BIT(SCRAM_SHA_1_PLUS), 0, true},
	    {"SCRAM-SHA-1-PLUS", BIT(SCRAM_SHA_256), 0, false},
	    {"SCRAM-SHA-1", BIT(SCRAM_SHA_256), 0, true},
	    {"SCRAM-SHA-256", BIT(SCRAM_SHA_256) | BIT(PLAIN), 0, true},
	    {"SCRAM-SHA-256", BIT(PLAIN), BIT(PLAIN), true}, /* auth says so */
	    {"PLAIN", BIT(USER), 0, true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct sasl_terms terms =
		    make_terms(row[i].offered, row[i].allowed, PASSWORD, true);
		struct verdict why = VERDICT_OK;
		enum auth_mechanism m;
		char text[64];

		terms.can_bind = true;
		terms.served = row[i].served;
		assert_int_equal(sasl_choose(&terms, &m, &why), row[i].taken);
		assert_int_equal(why.kind, row[i].taken ? FAIL_NONE : FAIL_AUTH);
		assert_int_equal(why.hint, row[i].taken ? HINT_NONE : HINT_WEAKER);
		if (row[i].taken)
			continue;
		snprintf(text, sizeof text, "the last login was by %.*s, and",
		    (int)strcspn(row[i].served, " "), row[i].served);
		assert_memory_equal(why.text, text, strlen(text));
	}
}

/* RFC 5802 section 6: "y" is for a server that does not seem to bind, where we would. */
static void
tells_a_server_that_it_could_bind(void **state)
{
	static const struct {
		uint32_t offered, allowed; /* allowed 0: auto */
		bool is_tls, can_bind;
		enum auth_mechanism mechanism;
		bool is_unoffered;
	} row[] = {
	    {BIT(SCRAM_SHA_256), 0, true, true, AUTH_SCRAM_SHA_256, true},
	    {BIT(SCRAM_SHA_256), 0, true, false, AUTH_SCRAM_SHA_256, true},
	    {BIT(SCRAM_SHA_256), 0, false, false, AUTH_SCRAM_SHA_256, false},
	    {BIT(SCRAM_SHA_256), BIT(SCRAM_SHA_256), true, true, AUTH_SCRAM_SHA_256, false},
	    {BIT(SCRAM_SHA_256) | BIT(SCRAM_SHA_256_PLUS), BIT(SCRAM_SHA_256), true, true,
		AUTH_SCRAM_SHA_256, false},
	    {BIT(SCRAM_SHA_256) | BIT(SCRAM_SHA_256_PLUS), 0, true, false, AUTH_SCRAM_SHA_256,
		false},
	    {BIT(SCRAM_SHA_256), BIT(SCRAM_SHA_256) | BIT(SCRAM_SHA_256_PLUS), true, true,
		AUTH_SCRAM_SHA_256, true},
	    {BIT(SCRAM_SHA_256) | BIT(SCRAM_SHA_256_PLUS), 0, true, true, AUTH_SCRAM_SHA_256_PLUS,
		false},
	    {BIT(SCRAM_SHA_1), 0, true, true, AUTH_SCRAM_SHA_1, true},
	    {BIT(SCRAM_SHA_1), BIT(SCRAM_SHA_1) | BIT(SCRAM_SHA_256_PLUS), true, true,
		AUTH_SCRAM_SHA_1, true},
	    {BIT(SCRAM_SHA_1) | BIT(SCRAM_SHA_1_PLUS), BIT(SCRAM_SHA_1) | BIT(SCRAM_SHA_256_PLUS),
		true, true, AUTH_SCRAM_SHA_1, false},
	    {BIT(SCRAM_SHA_1_PLUS) | BIT(SCRAM_SHA_256), 0, true, true, AUTH_SCRAM_SHA_1_PLUS,
		false},
	    {BIT(PLAIN), 0, true, true, AUTH_PLAIN, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct sasl_terms terms =
		    make_terms(row[i].offered, row[i].allowed, PASSWORD, true);
		struct verdict why = VERDICT_OK;
		enum auth_mechanism m;

		terms.is_tls = row[i].is_tls;
		terms.can_bind = row[i].can_bind;
		assert_true(sasl_choose(&terms, &m, &why));
		assert_int_equal(m, row[i].mechanism);
		assert_int_equal(sasl_is_unoffered(&terms, m), row[i].is_unoffered);
	}
}

static void
names_logins(void **state)
{
	(void)state;
	for (int i = 0; i < AUTH_MECHANISM_COUNT; i++) {
		enum auth_mechanism m = (enum auth_mechanism)i;
		bool binds = (sasl_mechanism_traits(m) & SASL_TRAIT_BINDING) != 0;
		const char *name = sasl_login_name(m, true);

		assert_string_equal(sasl_login_name(m, false), auth_mechanism_name(m));
		assert_int_equal(sasl_login_was_end_point(name), binds);
		assert_memory_equal(name, auth_mechanism_name(m), strlen(auth_mechanism_name(m)));
		assert_false(sasl_login_was_end_point(auth_mechanism_name(m)));
	}
	assert_false(sasl_login_was_end_point(NULL));
	assert_false(sasl_login_was_end_point(""));
}

static void
says_why_nothing_fits(void **state)
{
	static const struct {
		uint32_t offered, allowed;
		enum means means;
		bool is_private;
		enum fail kind;
		const char *text; /* in the verdict */
	} row[] = {
	    {BIT(SCRAM_SHA_1), BIT(PLAIN), PASSWORD, true, FAIL_AUTH,
		"would work if offered: PLAIN"},
	    {BIT(SCRAM_SHA_1), BIT(PLAIN), PASSWORD, true, FAIL_AUTH, "offers SCRAM-SHA-1,"},
	    {0, 0, PASSWORD, true, FAIL_AUTH, "offers nothing that is known here"},
	    {BIT(CRAM_MD5) | BIT(APOP), 0, PASSWORD, true, FAIL_AUTH, "\"auto\" with a password"},
	    {BIT(PLAIN), 0, TOKEN, true, FAIL_AUTH, "OAUTHBEARER, XOAUTH2"},
	    {BIT(PLAIN), BIT(PLAIN), TOKEN, true, FAIL_CONFIG, "with an OAuth 2 token"},
	    {BIT(XOAUTH2), 0, TOKEN, false, FAIL_CONFIG, "in clear"},
	    {BIT(PLAIN), BIT(PLAIN) | BIT(USER), PASSWORD, false, FAIL_CONFIG, "in clear"},
	    {BIT(PLAIN), 0, NOTHING, true, FAIL_CONFIG, "no secret"},
	    {BIT(SCRAM_SHA_256_PLUS), BIT(SCRAM_SHA_256_PLUS), PASSWORD, true, FAIL_CONFIG,
		"possible on this connection"},
	    {BIT(PLAIN), BIT(EXTERNAL), PASSWORD, true, FAIL_CONFIG, "with a password"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct sasl_terms terms =
		    make_terms(row[i].offered, row[i].allowed, row[i].means, row[i].is_private);
		enum auth_mechanism m;
		struct verdict why = VERDICT_OK;

		assert_false(sasl_choose(&terms, &m, &why));
		assert_int_equal(why.kind, row[i].kind);
		assert_string_equal(why.stage, "mechanism");
		if (strstr(why.text, row[i].text) == NULL)
			fail_msg("\"%s\" lacks \"%s\"", why.text, row[i].text);
	}
}

static void
heeds_what_the_caller_can_do(void **state)
{
	struct sasl_terms terms = make_terms(everything, 0, PASSWORD, true);
	struct verdict why = VERDICT_OK;
	enum auth_mechanism m;

	(void)state;
	terms.can_bind = true;
	assert_true(sasl_choose(&terms, &m, &why) && m == AUTH_SCRAM_SHA_256_PLUS);
	terms.can_derive = false;
	assert_true(sasl_choose(&terms, &m, &why) && m == AUTH_PLAIN);
	terms.has_certificate = true;
	assert_true(sasl_choose(&terms, &m, &why) && m == AUTH_PLAIN);
	terms.has_user = false;
	assert_true(sasl_choose(&terms, &m, &why) && m == AUTH_NONE);
	terms.automatic = false;
	terms.allowed = BIT(EXTERNAL);
	assert_true(sasl_choose(&terms, &m, &why) && m == AUTH_EXTERNAL);
	terms.offered = BIT(PLAIN);
	assert_false(sasl_choose(&terms, &m, &why));
	terms.allowed |= BIT(PLAIN);
	assert_false(sasl_choose(&terms, &m, &why)); /* PLAIN needs the user */
	terms.has_certificate = false;
	assert_true(sasl_choose(&terms, &m, &why) && m == AUTH_NONE);
}

static void
takes_terms_from_the_configuration(void **state)
{
	static char user[] = "u", cert[] = "/c.pem";
	struct endpoint_config e = {.user = user, .auth_auto = true};
	struct sasl_terms terms;

	(void)state;
	e.secret.kind = SECRET_PASSWORD_FILE;
	sasl_terms_init(&terms, &e, false, false);
	assert_true(terms.has_user && terms.has_password && !terms.has_token && terms.automatic);
	assert_false(terms.is_private || terms.has_certificate || terms.can_bind);
	sasl_terms_init(&terms, &e, false, true);
	assert_true(terms.is_private);
	e.cleartext_auth = true;
	e.tls_config.cert = cert;
	e.secret.kind = SECRET_TOKEN_COMMAND;
	sasl_terms_init(&terms, &e, false, false);
	assert_true(terms.is_private && terms.has_token && !terms.has_password);
	assert_false(terms.has_certificate);
	assert_false(terms.is_tls);
	sasl_terms_init(&terms, &e, true, false);
	assert_true(terms.has_certificate && terms.is_tls);
}

/* RFC 1939 section 7. */
static void
digests_for_apop(void **state)
{
	static const char timestamp[] = "<1896.697170952@dbc.mtview.ca.us>";
	char digest[SASL_APOP_DIGEST_SIZE];

	(void)state;
	assert_true(sasl_apop_digest(timestamp, strlen(timestamp), "tanstaaf", 8, digest));
	assert_string_equal(digest, "c4c9334bac560ecc979e58001b3e22fb");
}

/* -- Exchanges ------------------------------------------------------------------------------- */

static char *
base64(const char *text, size_t len)
{
	char *encoded = NULL;

	assert_int_equal(gsasl_base64_to(text, len, &encoded, NULL), GSASL_OK);
	return encoded;
}

static struct sasl_client *
make_client(enum auth_mechanism mechanism, const char *user, const char *password)
{
	struct secret *secret = password != NULL ? secret_new(password, strlen(password)) : NULL;
	struct sasl_settings settings = {
	    .mechanism = mechanism,
	    .user = user,
	    .secret = secret,
	    .service = "pop",
	    .host = "pop.example.org",
	    .port = 995,
	};
	struct verdict why = VERDICT_OK;
	struct sasl_client *c = sasl_client_new(&settings, &why);

	assert_non_null(c);
	secret_unref(&secret);
	return c;
}

/* The answer to a challenge must be this text, encoded. */
static void
expect(struct sasl_client *c, const char *challenge, enum sasl_result result, const char *text,
    size_t len)
{
	struct str response = STR_INIT;
	struct verdict why = VERDICT_OK;
	char *encoded = base64(text, len);

	assert_int_equal(sasl_client_step(c, challenge, &response, &why), result);
	assert_string_equal(str_text(&response), len > 0 ? encoded : "");
	sasl_response_clear(&response);
	gsasl_free(encoded);
}

#define EXPECT(c, challenge, result, text) expect(c, challenge, result, text, sizeof(text) - 1)

static void
expect_fail(struct sasl_client *c, const char *challenge, enum fail kind, const char *text)
{
	struct str response = STR_INIT;
	struct verdict why = VERDICT_OK;

	assert_int_equal(sasl_client_step(c, challenge, &response, &why), SASL_FAIL);
	assert_int_equal(why.kind, kind);
	assert_string_equal(why.stage, "auth");
	if (strstr(why.text, text) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", why.text, text);
	assert_string_equal(str_text(&response), "");
	sasl_response_clear(&response);
}

static void
speaks_plain(void **state)
{
	struct sasl_client *c = make_client(AUTH_PLAIN, "tim", "tanstaaftanstaaf");
	struct verdict why = VERDICT_OK;

	(void)state;
	assert_false(sasl_client_accepted(c, &why));
	EXPECT(c, NULL, SASL_DONE, "\0tim\0tanstaaftanstaaf");
	assert_true(sasl_client_accepted(c, &why));
	expect_fail(c, "", FAIL_PROTOCOL, "behind the last step");
	sasl_client_free(&c);
	assert_null(c);

	c = make_client(AUTH_PLAIN, "tim", "x");
	EXPECT(c, "not base64, but nobody reads it", SASL_DONE, "\0tim\0x");
	sasl_client_free(&c);
	sasl_client_free(&c);
}

static void
carries_secrets_of_64_kib(void **state)
{
	size_t len = 64 * 1024;
	char *password = malloc(len + 1), *message = malloc(len + 5);
	struct sasl_client *c;

	(void)state;
	memset(password, '\xfe', len);
	password[len] = '\0';
	memcpy(message, "\0tim\0", 5);
	memcpy(message + 5, password, len);
	c = make_client(AUTH_PLAIN, "tim", password);
	expect(c, NULL, SASL_DONE, message, len + 5);
	sasl_client_free(&c);
	free(password);
	free(message);
}

static void
speaks_login(void **state)
{
	struct sasl_client *c = make_client(AUTH_LOGIN, "tim", "secret");

	(void)state;
	EXPECT(c, NULL, SASL_MORE, "");
	EXPECT(c, "VXNlcm5hbWU6", SASL_MORE, "tim");
	EXPECT(c, "Password:", SASL_DONE, "secret");
	expect_fail(c, "UGFzc3dvcmQ6", FAIL_PROTOCOL, "behind the last step");
	sasl_client_free(&c);
}

/* RFC 2195 section 2. */
static void
speaks_cram_md5(void **state)
{
	static const char challenge[] = "<1896.697170952@postoffice.reston.mci.net>";
	struct sasl_client *c = make_client(AUTH_CRAM_MD5, "tim", "tanstaaftanstaaf");
	char *encoded = base64(challenge, strlen(challenge));

	(void)state;
	EXPECT(c, encoded, SASL_DONE, "tim b913a602c7eda7a495b4e6e7334d3890");
	sasl_client_free(&c);
	gsasl_free(encoded);
}

static void
speaks_external(void **state)
{
	struct sasl_client *c = make_client(AUTH_EXTERNAL, "tim", NULL);

	(void)state;
	EXPECT(c, NULL, SASL_DONE, "tim");
	sasl_client_free(&c);
	c = make_client(AUTH_EXTERNAL, NULL, NULL);
	EXPECT(c, NULL, SASL_DONE, "");
	sasl_client_free(&c);
}

static void
speaks_oauthbearer(void **state)
{
	struct sasl_client *c = make_client(AUTH_OAUTHBEARER, "a,b=c@example.org", "vF9dft4qmT");
	char *encoded;

	(void)state;
	EXPECT(c, NULL, SASL_DONE,
	    "n,a=a=2Cb=3Dc@example.org,\001host=pop.example.org\001port=995\001"
	    "auth=Bearer vF9dft4qmT\001\001");
	assert_null(sasl_client_remark(c));
	encoded = base64("{\"status\":\"expired\"}", 20);
	EXPECT(c, encoded, SASL_DONE, "\001");
	assert_string_equal(sasl_client_remark(c), "expired");
	expect_fail(c, encoded, FAIL_PROTOCOL, "does not end");
	gsasl_free(encoded);
	sasl_client_free(&c);
}

static void
says_the_token_again(void **state)
{
	struct sasl_client *c = make_client(AUTH_XOAUTH2, "me@example.org", "ya29.token");
	const char said[] = "user=me@example.org\001auth=Bearer ya29.token\001\001";
	char *encoded = base64("no", 2);

	(void)state;
	EXPECT(c, NULL, SASL_DONE, said);
	EXPECT(c, "", SASL_DONE, said); /* a server that did not look at what came with AUTH */
	EXPECT(c, encoded, SASL_DONE, "");
	expect_fail(c, "", FAIL_PROTOCOL, "does not end");
	gsasl_free(encoded);
	sasl_client_free(&c);
}

static void
tells_the_reason_of_a_refusal(void **state)
{
	static const struct {
		const char *said, *remark;
	} cases[] = {
	    {"{\"status\":\"invalid_token\",\"scope\":\"a b\",\"schemes\":\"bearer\"}",
		"invalid_token, it wants the scope a b"},
	    {"{\"status\":400,\"error_description\":\"ended\"}", "400: ended"},
	    {"{\"status\":\"a\\u001b\"}", "a\\x1b"},
	    {"{\"status\":[]}", "{\"status\":[]}"},
	    {"{\"status\":", "{\"status\":"},
	    {"[1]", "[1]"},
	    {"no\r\n", "no\\x0d\\x0a"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct str remark = STR_INIT;

		sasl_bearer_remark(cases[i].said, &remark);
		assert_string_equal(str_text(&remark), cases[i].remark);
		str_clear(&remark);
	}
}

static void
speaks_xoauth2_in_two_steps(void **state)
{
	struct sasl_client *c = make_client(AUTH_XOAUTH2, "me@example.org", "ya29.token");
	char *encoded;

	(void)state;
	EXPECT(c, "", SASL_DONE, "user=me@example.org\001auth=Bearer ya29.token\001\001");
	encoded = base64("bad token ya29.token!", 21);
	EXPECT(c, encoded, SASL_DONE, "");
	assert_null(sasl_client_remark(c)); /* it holds the token */
	gsasl_free(encoded);
	sasl_client_free(&c);
}

static void
shows_no_password_that_a_server_says(void **state)
{
	static const struct {
		const char *said;
		enum fail kind;
	} row[] = {
	    {"e=no pen,cil but pencil", FAIL_AUTH},
	    {"e=pencil", FAIL_AUTH},
	    {"r=pencil,s=", FAIL_PROTOCOL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct sasl_client *c = make_client(AUTH_SCRAM_SHA_256, "user", "pencil");
		char *encoded = base64(row[i].said, strlen(row[i].said));
		struct str response = STR_INIT;
		struct verdict why = VERDICT_OK;

		assert_int_equal(sasl_client_step(c, NULL, &response, &why), SASL_MORE);
		sasl_response_clear(&response);
		assert_int_equal(sasl_client_step(c, encoded, &response, &why), SASL_FAIL);
		assert_int_equal(why.kind, row[i].kind);
		assert_null(strstr(why.text, "pencil"));
		gsasl_free(encoded);
		sasl_client_free(&c);
	}
}

/* -- SCRAM against the library's server ------------------------------------------------------ */

struct server {
	Gsasl *library;
	Gsasl_session *session;
	const char *password;
	const char *iterations;
	const char *binding; /* base64, for tls-exporter */
};

static int
server_cb(Gsasl *library, Gsasl_session *session, Gsasl_property property)
{
	const struct server *s = gsasl_callback_hook_get(library);

	switch (property) {
	case GSASL_PASSWORD:
		return gsasl_property_set(session, property, s->password);
	case GSASL_SCRAM_ITER:
		return gsasl_property_set(session, property, s->iterations);
	case GSASL_CB_TLS_EXPORTER:
		if (s->binding != NULL)
			return gsasl_property_set(session, property, s->binding);
		return GSASL_NO_CALLBACK;
	default:
		return GSASL_NO_CALLBACK;
	}
}

static void
server_start(struct server *s, const char *mechanism)
{
	assert_int_equal(gsasl_init(&s->library), GSASL_OK);
	gsasl_callback_hook_set(s->library, s);
	gsasl_callback_set(s->library, server_cb);
	assert_int_equal(gsasl_server_start(s->library, mechanism, &s->session), GSASL_OK);
}

static void
server_end(struct server *s)
{
	gsasl_finish(s->session);
	gsasl_done(s->library);
}

static enum sasl_result
derive_and_resume(struct sasl_client *c, struct str *response, struct verdict *why)
{
	uint8_t salted[SASL_SALTED_MAX];

	assert_true(sasl_derive(sasl_client_derivation(c), salted));
	return sasl_client_resume(c, salted, response, why);
}

/* Talks to the end; true when both sides are content. */
static bool
converse(struct sasl_client *c, struct server *s, struct verdict *why)
{
	enum sasl_result result = SASL_MORE;
	char *challenge = NULL;
	bool ok = false;
	int rc = GSASL_NEEDS_MORE;

	for (int i = 0; i < 6; i++) {
		struct str response = STR_INIT;

		result = sasl_client_step(c, challenge, &response, why);
		gsasl_free(challenge);
		challenge = NULL;
		if (result == SASL_DERIVE)
			result = derive_and_resume(c, &response, why);
		if (result == SASL_FAIL)
			break;
		if (rc == GSASL_NEEDS_MORE)
			rc = gsasl_step64(s->session, str_text(&response), &challenge);
		sasl_response_clear(&response);
		if (rc != GSASL_OK && rc != GSASL_NEEDS_MORE)
			break;
		ok = rc == GSASL_OK && result == SASL_DONE;
		if (ok)
			break;
	}
	gsasl_free(challenge);
	return ok && sasl_client_accepted(c, why);
}

static void
speaks_scram(void **state)
{
	static const struct {
		enum auth_mechanism mechanism;
		const char *name;
		const char *here, *there; /* passwords */
		bool ok;
	} row[] = {
	    {AUTH_SCRAM_SHA_1, "SCRAM-SHA-1", "pencil", "pencil", true},
	    {AUTH_SCRAM_SHA_256, "SCRAM-SHA-256", "pencil", "pencil", true},
	    {AUTH_SCRAM_SHA_256, "SCRAM-SHA-256",
		"pen\xc2\xa0"
		"cil",
		"pen cil", true},
	    {AUTH_SCRAM_SHA_1, "SCRAM-SHA-1", "pencil", "pencils", false},
	    {AUTH_SCRAM_SHA_256, "SCRAM-SHA-256", "Pencil", "pencil", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct server s = {.password = row[i].there, .iterations = "4096"};
		struct sasl_client *c =
		    make_client(row[i].mechanism, "us,er=1@example.org", row[i].here);
		struct verdict why = VERDICT_OK;

		server_start(&s, row[i].name);
		assert_int_equal(converse(c, &s, &why), row[i].ok);
		assert_true(sasl_client_accepted(c, &why) == row[i].ok);
		if (row[i].ok)
			assert_string_equal(
			    gsasl_property_fast(s.session, GSASL_AUTHID), "us,er=1@example.org");
		sasl_client_free(&c);
		server_end(&s);
	}
}

static bool
binds(enum auth_mechanism mechanism, const char *name, const char *here, const char *there)
{
	char *encoded = base64(there, strlen(there));
	struct server s = {
	    .password = "pencil", .iterations = "4096", .binding = *there != '\0' ? encoded : NULL};
	struct secret *secret = secret_new("pencil", 6);
	struct sasl_settings settings = {
	    .mechanism = mechanism,
	    .user = "user",
	    .secret = secret,
	    .service = "pop",
	    .host = "pop.example.org",
	    .binding = SASL_BINDING_TLS_EXPORTER,
	    .binding_data = here,
	    .binding_len = strlen(here),
	};
	struct verdict why = VERDICT_OK;
	struct sasl_client *c = sasl_client_new(&settings, &why);
	bool ok;

	assert_non_null(c);
	server_start(&s, name);
	ok = converse(c, &s, &why);
	server_end(&s);
	sasl_client_free(&c);
	secret_unref(&secret);
	gsasl_free(encoded);
	return ok;
}

static void
binds_scram_to_the_channel(void **state)
{
	(void)state;
	assert_true(binds(
	    AUTH_SCRAM_SHA_256_PLUS, "SCRAM-SHA-256-PLUS", "0123456789abcdef", "0123456789abcdef"));
	assert_false(binds(
	    AUTH_SCRAM_SHA_256_PLUS, "SCRAM-SHA-256-PLUS", "0123456789abcdef", "another channel."));
	assert_true(binds(
	    AUTH_SCRAM_SHA_1_PLUS, "SCRAM-SHA-1-PLUS", "0123456789abcdef", "0123456789abcdef"));
	assert_false(binds(
	    AUTH_SCRAM_SHA_1_PLUS, "SCRAM-SHA-1-PLUS", "0123456789abcdef", "another channel."));
	assert_true(binds(AUTH_SCRAM_SHA_256, "SCRAM-SHA-256", "0123456789abcdef", ""));
}

static void
needs_a_binding_for_plus(void **state)
{
	struct secret *secret = secret_new("pencil", 6);
	struct sasl_settings settings = {.mechanism = AUTH_SCRAM_SHA_256_PLUS,
	    .user = "user",
	    .secret = secret,
	    .service = "pop",
	    .host = "pop.example.org"};
	struct verdict why = VERDICT_OK;

	(void)state;
	assert_null(sasl_client_new(&settings, &why));
	assert_int_equal(why.kind, FAIL_LOCAL);
	settings.mechanism = AUTH_USER;
	assert_null(sasl_client_new(&settings, &why));
	assert_int_equal(why.kind, FAIL_CONFIG);
	settings.mechanism = AUTH_PLAIN;
	settings.user = "";
	assert_null(sasl_client_new(&settings, &why));
	assert_int_equal(why.kind, FAIL_CONFIG);
	secret_unref(&secret);

	secret = secret_new("tok\001en", 6);
	settings = (struct sasl_settings){.mechanism = AUTH_XOAUTH2,
	    .user = "user",
	    .secret = secret,
	    .service = "pop",
	    .host = "h"};
	assert_null(sasl_client_new(&settings, &why));
	assert_int_equal(why.kind, FAIL_LOCAL);
	secret_unref(&secret);
}

/* Where the client is after its first message, in answer to the server's. */
static void
expect_scram_fail(const char *message, enum fail kind, const char *text)
{
	struct sasl_client *c = make_client(AUTH_SCRAM_SHA_256, "user", "pencil");
	struct str response = STR_INIT;
	struct verdict why = VERDICT_OK;
	char *encoded = base64(message, strlen(message));

	assert_int_equal(sasl_client_step(c, NULL, &response, &why), SASL_MORE);
	sasl_response_clear(&response);
	expect_fail(c, encoded, kind, text);
	sasl_client_free(&c);
	gsasl_free(encoded);
}

static void
refuses_hostile_scram_servers(void **state)
{
	(void)state;
	expect_scram_fail("r=foreign,s=QSXCR+Q6sek8bf92,i=4096", FAIL_PROTOCOL, "foreign");
	expect_scram_fail("r=x,s=QSXCR+Q6sek8bf92,i=1000001", FAIL_PROTOCOL, "limit");
	expect_scram_fail("e=unknown-user\x1b[31m", FAIL_AUTH, "unknown-user\\x1b[31m");
	expect_scram_fail("", FAIL_PROTOCOL, "nonce");
}

/* Beginning with the nonce of the client, which it is asked for here. */
static enum sasl_result
answer_first(struct sasl_client *c, struct str *response, struct verdict *why)
{
	struct str message = STR_INIT;
	char *decoded, *encoded;
	enum sasl_result result;
	size_t len;

	assert_int_equal(sasl_client_step(c, NULL, response, why), SASL_MORE);
	assert_int_equal(
	    gsasl_base64_from(str_text(response), response->len, &decoded, &len), GSASL_OK);
	sasl_response_clear(response);
	str_appendf(&message, "%.*sx,s=QSXCR+Q6sek8bf92,i=4096", (int)(len - strlen("n,,n=user,")),
	    decoded + strlen("n,,n=user,"));
	encoded = base64(str_text(&message), message.len);
	result = sasl_client_step(c, encoded, response, why);
	gsasl_free(encoded);
	gsasl_free(decoded);
	str_clear(&message);
	return result;
}

static void
misses_the_proof_of_a_server(void **state)
{
	struct sasl_client *c = make_client(AUTH_SCRAM_SHA_256, "user", "pencil");
	struct str response = STR_INIT;
	struct verdict why = VERDICT_OK;

	(void)state;
	assert_int_equal(answer_first(c, &response, &why), SASL_DERIVE);
	assert_int_equal(sasl_client_derivation(c)->iterations, 4096);
	assert_int_equal(sasl_client_derivation(c)->salt_len, 12);
	assert_int_equal(sasl_derivation_size(sasl_client_derivation(c)), 32);
	assert_int_equal(derive_and_resume(c, &response, &why), SASL_MORE);
	assert_false(sasl_client_accepted(c, &why));
	assert_int_equal(why.kind, FAIL_PROTOCOL);
	assert_non_null(strstr(why.text, "without proving"));
	sasl_response_clear(&response);
	sasl_client_free(&c);
}

static void
refuses_what_is_no_base64(void **state)
{
	static const char *const bad[] = {
	    "*", "abc", "ab=c", "YWJj YWJj", "YWJj!", "AA==" /* NUL */};
	enum auth_mechanism reading[] = {AUTH_CRAM_MD5, AUTH_SCRAM_SHA_1, AUTH_OAUTHBEARER};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		for (size_t m = 0; m < COUNT(reading); m++) {
			struct sasl_client *c = make_client(reading[m], "user", "pencil");
			struct str response = STR_INIT;
			struct verdict why = VERDICT_OK;

			sasl_client_step(c, NULL, &response, &why);
			sasl_response_clear(&response);
			expect_fail(c, bad[i], FAIL_PROTOCOL, "challenge");
			sasl_client_free(&c);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(knows_names),
	    cmocka_unit_test(reads_lists),
	    cmocka_unit_test(tells_a_declined_mechanism),
	    cmocka_unit_test(chooses_the_strongest_that_fits),
	    cmocka_unit_test(takes_nothing_weaker_than_before),
	    cmocka_unit_test(tells_a_server_that_it_could_bind),
	    cmocka_unit_test(names_logins),
	    cmocka_unit_test(says_why_nothing_fits),
	    cmocka_unit_test(heeds_what_the_caller_can_do),
	    cmocka_unit_test(takes_terms_from_the_configuration),
	    cmocka_unit_test(digests_for_apop),
	    cmocka_unit_test(speaks_plain),
	    cmocka_unit_test(carries_secrets_of_64_kib),
	    cmocka_unit_test(speaks_login),
	    cmocka_unit_test(speaks_cram_md5),
	    cmocka_unit_test(speaks_external),
	    cmocka_unit_test(speaks_oauthbearer),
	    cmocka_unit_test(speaks_xoauth2_in_two_steps),
	    cmocka_unit_test(shows_no_password_that_a_server_says),
	    cmocka_unit_test(says_the_token_again),
	    cmocka_unit_test(tells_the_reason_of_a_refusal),
	    cmocka_unit_test(speaks_scram),
	    cmocka_unit_test(binds_scram_to_the_channel),
	    cmocka_unit_test(needs_a_binding_for_plus),
	    cmocka_unit_test(refuses_hostile_scram_servers),
	    cmocka_unit_test(misses_the_proof_of_a_server),
	    cmocka_unit_test(refuses_what_is_no_base64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
