#include "unit.h"

#include "base/secret.h"
#include "proto/scram.h"
#include "proto/scram_message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(row) (sizeof(row) / sizeof((row)[0]))

#define NONCE   "fyko+d2lbbFgONRv9qkxdawL"
#define FIRST   "r=" NONCE "3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"
#define FINAL   "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="
#define LONG_16 "abcdefghijklmnop"
#define LONG_64 LONG_16 LONG_16 LONG_16 LONG_16

static struct scram *
try_scram(struct scram_settings settings, const char *password, struct verdict *why)
{
	struct scram *s;

	settings.secret = secret_new(password, strlen(password));
	s = scram_new(&settings, why);
	secret_unref(&settings.secret);
	return s;
}

static struct scram *
make_scram(struct scram_settings settings, const char *password)
{
	struct verdict why = VERDICT_OK;
	struct scram *s = try_scram(settings, password, &why);

	assert_non_null(s);
	return s;
}

/* The client of RFC 5802 section 5. */
static struct scram *
make_usual(void)
{
	return make_scram((struct scram_settings){.user = "user", .nonce = NONCE}, "pencil");
}

static void
expect(struct scram *s, const char *message, enum sasl_result result, const char *text)
{
	struct str response = STR_INIT;
	struct verdict why = VERDICT_OK;

	assert_int_equal(scram_step(s, message, &response, &why), result);
	assert_string_equal(str_text(&response), text);
	str_clear(&response);
}

static void
expect_fail(struct scram *s, const char *message, enum fail kind, const char *text)
{
	struct str response = STR_INIT;
	struct verdict why = VERDICT_OK;

	assert_int_equal(scram_step(s, message, &response, &why), SASL_FAIL);
	assert_int_equal(why.kind, kind);
	assert_string_equal(why.stage, "auth");
	if (strstr(why.text, text) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", why.text, text);
	assert_int_equal(response.len, 0);
	assert_false(scram_is_proved(s));
}

static void
derive(struct scram *s, struct str *response)
{
	uint8_t salted[SASL_SALTED_MAX];
	struct verdict why = VERDICT_OK;

	assert_true(sasl_derive(scram_derivation(s), salted));
	assert_int_equal(scram_resume(s, salted, response, &why), SASL_MORE);
}

/* Up to where the server has to prove itself. */
static struct scram *
make_answered(void)
{
	struct scram *s = make_usual();
	struct str response = STR_INIT;

	expect(s, NULL, SASL_MORE, "n,,n=user,r=" NONCE);
	expect(s, FIRST, SASL_DERIVE, "");
	derive(s, &response);
	str_clear(&response);
	return s;
}

/* -- what is said ------------------------------------------------------------------------------ */

/* RFC 5802 section 5, RFC 7677 section 3. */
static void
follows_the_examples(void **state)
{
	static const struct {
		bool is_sha256;
		const char *nonce, *server_nonce, *salt, *proof, *verifier;
	} row[] = {
	    {false, NONCE, "3rfcNHYJY1ZVvWVs7j", "QSXCR+Q6sek8bf92",
		"v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "rmF9pqV8S7suAoZWja4dJRkFsKQ="},
	    {true, "rOprNGfwEbeRWgbNEkqO", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
		"W22ZaJ0SNY7soEsUEjb6gQ==", "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
		"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct scram_settings settings = {
		    .is_sha256 = row[i].is_sha256, .user = "user", .nonce = row[i].nonce};
		struct scram *s = make_scram(settings, "pencil");
		struct str response = STR_INIT;
		char text[256];

		snprintf(text, sizeof text, "n,,n=user,r=%s", row[i].nonce);
		expect(s, NULL, SASL_MORE, text);
		snprintf(text, sizeof text, "r=%s%s,s=%s,i=4096", row[i].nonce, row[i].server_nonce,
		    row[i].salt);
		expect(s, text, SASL_DERIVE, "");
		derive(s, &response);
		snprintf(text, sizeof text, "c=biws,r=%s%s,p=%s", row[i].nonce, row[i].server_nonce,
		    row[i].proof);
		assert_string_equal(str_text(&response), text);
		assert_false(scram_is_proved(s));
		snprintf(text, sizeof text, "v=%s", row[i].verifier);
		expect(s, text, SASL_DONE, "");
		assert_true(scram_is_proved(s));
		str_clear(&response);
		scram_free(&s);
		assert_null(s);
	}
}

/* RFC 5802 section 6; the header comes again in c=, with what binds. */
static void
says_whether_it_binds(void **state)
{
	static const struct {
		const char *name, *data;
		bool is_unoffered;
		const char *header, *cbind_input;
	} row[] = {
	    {NULL, NULL, false, "n,,", "biws"},
	    {NULL, NULL, true, "y,,", "eSws"},
	    {"tls-unique", "abc", false, "p=tls-unique,,", "cD10bHMtdW5pcXVlLCxhYmM="},
	    {"tls-exporter", "\xff\x01", false, "p=tls-exporter,,", "cD10bHMtZXhwb3J0ZXIsLP8B"},
	    {"tls-server-end-point", "x", true, "p=tls-server-end-point,,",
		"cD10bHMtc2VydmVyLWVuZC1wb2ludCwseA=="},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct scram_settings settings = {.user = "user",
		    .nonce = NONCE,
		    .binding_name = row[i].name,
		    .binding_data = row[i].data,
		    .binding_len = row[i].data != NULL ? strlen(row[i].data) : 0,
		    .is_unoffered = row[i].is_unoffered};
		struct scram *s = make_scram(settings, "pencil");
		struct str response = STR_INIT;
		char text[128];

		snprintf(text, sizeof text, "%sn=user,r=" NONCE, row[i].header);
		expect(s, NULL, SASL_MORE, text);
		expect(s, FIRST, SASL_DERIVE, "");
		derive(s, &response);
		snprintf(
		    text, sizeof text, "c=%s,r=" NONCE "3rfcNHYJY1ZVvWVs7j,p=", row[i].cbind_input);
		assert_memory_equal(str_text(&response), text, strlen(text));
		str_clear(&response);
		scram_free(&s);
	}
}

/* RFC 5802 section 5.1; the examples of RFC 4013 section 3. */
static void
prepares_the_user(void **state)
{
	static const struct {
		const char *user, *said; /* NULL: refused */
	} row[] = {
	    {"user", "user"},
	    {"USER", "USER"},
	    {"us,er=1@example.org", "us=2Cer=3D1@example.org"},
	    {",=", "=2C=3D"},
	    {"I\xc2\xadX", "IX"},
	    {"\xc2\xaa", "a"},
	    {"\xe2\x85\xa8", "IX"},
	    {"a\xc2\xa0z", "a z"},
	    {"\a", NULL},
	    {"\xd8\xa7\x31", NULL},
	    {"\xff", NULL},
	    {"\xc2\xad", NULL}, /* nothing is left */
	    {"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct scram_settings settings = {.user = row[i].user, .nonce = NONCE};
		struct verdict why = VERDICT_OK;
		struct scram *s = try_scram(settings, "pencil", &why);
		char text[128];

		assert_int_equal(s != NULL, row[i].said != NULL);
		assert_int_equal(why.kind, s != NULL ? FAIL_NONE : FAIL_CONFIG);
		if (s == NULL)
			continue;
		snprintf(text, sizeof text, "n,,n=%s,r=" NONCE, row[i].said);
		expect(s, NULL, SASL_MORE, text);
		scram_free(&s);
	}
}

static void
prepares_the_password(void **state)
{
	static const struct {
		const char *password, *prepared;
	} row[] = {
	    {"pencil", "pencil"}, {"a\xc2\xa0z", "a z"}, {"\xe2\x85\xa8", "IX"},
	    {"tab\there", "tab\there"}, /* what is refused is used as it is */
	    {"\xd8\xa7\x31", "\xd8\xa7\x31"}, {"latin \xfc", "latin \xfc"},
	    {"\xc2\xad", "\xc2\xad"},
	    {"\xf0\x9f\xa6\xa9", "\xf0\x9f\xa6\xa9"}, /* newer than Unicode 3.2 */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct scram_settings settings = {.user = "user", .nonce = NONCE};
		struct scram *s = make_scram(settings, row[i].password);
		const struct sasl_derivation *d = scram_derivation(s);

		expect(s, NULL, SASL_MORE, "n,,n=user,r=" NONCE);
		expect(s, FIRST, SASL_DERIVE, "");
		assert_string_equal(d->password, row[i].prepared);
		assert_int_equal(d->password_len, strlen(row[i].prepared));
		assert_int_equal(d->salt_len, 12);
		assert_int_equal(d->iterations, 4096);
		assert_int_equal(sasl_derivation_size(d), 20);
		scram_free(&s);
	}
}

/* Nobody can answer what was not asked yet. */
static void
makes_nonces_of_its_own(void **state)
{
	char said[2][64];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct scram *s = make_scram((struct scram_settings){.user = "user"}, "pencil");
		struct str response = STR_INIT;
		struct verdict why = VERDICT_OK;

		assert_int_equal(scram_step(s, NULL, &response, &why), SASL_MORE);
		assert_int_equal(response.len, strlen("n,,n=user,r=") + 24);
		snprintf(said[i], sizeof said[i], "%s", str_text(&response));
		str_clear(&response);
		scram_free(&s);
	}
	assert_string_not_equal(said[0], said[1]);
}

/* -- what is heard ----------------------------------------------------------------------------- */

static void
accepts_what_the_grammar_has(void **state)
{
	static const char *const good[] = {
	    FIRST,
	    FIRST ",x=y",
	    FIRST ",x=y==,Y=\xc3\xa9 z",
	    "r=" NONCE "+,s=QQ==,i=1",
	    "r=" NONCE "=!~,s=" LONG_64 LONG_64 ",i=1000000",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		struct scram *s = make_usual();

		expect(s, NULL, SASL_MORE, "n,,n=user,r=" NONCE);
		expect(s, good[i], SASL_DERIVE, "");
		scram_free(&s);
	}
}

static void
refuses_any_other_first_message(void **state)
{
#define R "r=" NONCE "x"
#define S ",s=QSXCR+Q6sek8bf92"
#define I ",i=4096"
	static const struct {
		const char *message, *text;
	} row[] = {
	    {"", "nonce"},
	    {",", "nonce"},
	    {"r=", "nonce"},
	    {"r=" S I, "nonce"},
	    {"R=" NONCE "x" S I, "nonce"},
	    {"r " NONCE "x" S I, "nonce"},
	    {"r=" NONCE " x" S I, "nonce"},
	    {"r=" NONCE "\xc3\xa9" S I, "nonce"},
	    {"s=QSXCR+Q6sek8bf92,r=" NONCE "x" I, "nonce"},
	    {" " R S I, "nonce"},
	    {"r=foreign" S I, "foreign"},
	    {"r=" NONCE S I, "foreign"},
	    {"r=fyko+d2lbbFgONRv9qkxdawl3rfc" S I, "foreign"},
	    {"r=xfyko+d2lbbFgONRv9qkxdawL3rfc" S I, "foreign"},
	    {R I, "salt"},
	    {R I S, "salt"},
	    {R ",s=" I, "salt"},
	    {R ",s=!!!!" I, "salt"},
	    {R ",s=QSXC R+Q" I, "salt"},
	    {R ",s=QSXCR+Q" I, "salt"},
	    {R ",s=QSXCR+Q6sek8bf92===" I, "salt"},
	    {R ",s=QR==" I, "salt"}, /* "QQ==" is the canonical form */
	    {R ",s=QQ==QQ==" I, "salt"},
	    {R ",s=====" I, "salt"},
	    {R ",s=QSX-" I, "salt"},
	    {R ",s=    QQ==" I, "salt"},
	    {R ",s=QQ==\n\n\n\n" I, "salt"},
	    {R "," S I, "salt"},
	    {R S, "iteration count"},
	    {R S ",", "iteration count"},
	    {R S ",i=", "iteration count"},
	    {R S ",i=0", "iteration count"},
	    {R S ",i=04096", "iteration count"},
	    {R S ",i=-1", "iteration count"},
	    {R S ",i=+1", "iteration count"},
	    {R S ",i=4096 ", "iteration count"},
	    {R S ",i=0x10", "iteration count"},
	    {R S ",i=99999999999999999999", "iteration count"},
	    {R S ",i=1000001", "limit"},
	    {R S ",i=4294967297", "limit"},
	    {R S I ",", "cannot be read"},
	    {R S I ",x", "cannot be read"},
	    {R S I ",x=", "cannot be read"},
	    {R S I ",1=y", "cannot be read"},
	    {R S I ",x=y,,", "cannot be read"},
	    {R S I ",x=\xff", "UTF-8"},
	    {"m=x," R S I, "extension"},
	    {R ",m=x" S I, "extension"},
	    {R S I ",m=x", "extension"},
	    {R S I ",x=y,m=x", "extension"},
	    {FINAL, "nonce"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct scram *s = make_usual();

		expect(s, NULL, SASL_MORE, "n,,n=user,r=" NONCE);
		expect_fail(s, row[i].message, FAIL_PROTOCOL, row[i].text);
		expect_fail(s, FIRST, FAIL_PROTOCOL, "out of turn");
		assert_false(scram_may_rebind(s));
		scram_free(&s);
	}
}

static void
bounds_what_a_server_may_say(void **state)
{
	size_t size = SCRAM_MESSAGE_MAX + 64;
	char *message = malloc(size);
	struct scram *s = make_usual();

	(void)state;
	memset(message, 'A', size);
	memcpy(message, "r=" NONCE "x,s=", 2 + strlen(NONCE) + 4);
	memcpy(message + 2 + strlen(NONCE) + 4 + SCRAM_SALT_MAX / 3 * 4 + 4, ",i=1", 5);
	expect(s, NULL, SASL_MORE, "n,,n=user,r=" NONCE);
	expect_fail(s, message, FAIL_PROTOCOL, "salt");
	scram_free(&s);

	memset(message, 'A', size);
	memcpy(message, FIRST ",x=", strlen(FIRST ",x="));
	for (size_t len = SCRAM_MESSAGE_MAX + 1; len >= SCRAM_MESSAGE_MAX; len--) {
		message[len] = '\0';
		s = make_usual();
		expect(s, NULL, SASL_MORE, "n,,n=user,r=" NONCE);
		if (len > SCRAM_MESSAGE_MAX)
			expect_fail(s, message, FAIL_PROTOCOL, "too long");
		else
			expect(s, message, SASL_DERIVE, "");
		scram_free(&s);
	}
	free(message);
}

static void
wants_the_servers_proof(void **state)
{
	static const struct {
		const char *message, *text;
	} row[] = {
	    {"", "proof"},
	    {"v=", "proof"},
	    {"v=rmF9pqV8S7suAoZWja4dJRkFsKQ", "proof"},
	    {"v=rmF9pqV8S7suAoZWja4dJRkFsKR=", "proof"}, /* the same octets, written otherwise */
	    {"v=smF9pqV8S7suAoZWja4dJRkFsKQ=", "did not prove"},
	    {"v=rmF9pqV8S7suAoZWja4dJRkFsKA=", "did not prove"},
	    {"v=rmF9", "did not prove"},
	    {"v=rmF9pqV8S7suAoZWja4dJRkFsKQArmF9pqV8S7suAoY=", "did not prove"},
	    {"v=" LONG_64, "proof"},
	    {FINAL ",", "cannot be read"},
	    {FINAL ",m=x", "extension"},
	    {"x=y," FINAL, "proof"},
	    {FIRST, "proof"},
	};
	struct scram *s = make_answered();

	(void)state;
	expect(s, FINAL ",x=y", SASL_DONE, "");
	scram_free(&s);
	for (size_t i = 0; i < COUNT(row); i++) {
		s = make_answered();
		expect_fail(s, row[i].message, FAIL_PROTOCOL, row[i].text);
		expect_fail(s, FINAL, FAIL_PROTOCOL, "out of turn");
		scram_free(&s);
	}
}

static void
tells_a_servers_error(void **state)
{
	static const struct {
		const char *message;
		enum fail kind;
		const char *text;
	} row[] = {
	    {"e=unknown-user\x1b[31m", FAIL_AUTH, "unknown-user\\x1b[31m"},
	    {"e=unknown-user", FAIL_AUTH, "unknown-user; check user"},
	    {"e=invalid-proof,x=y", FAIL_AUTH, "invalid-proof; check user and password"},
	    {"e=channel-bindings-dont-match", FAIL_AUTH, "somebody may be between"},
	    {"e=server-does-support-channel-binding", FAIL_AUTH, "did not offer it"},
	    {"e=no-resources", FAIL_SERVER, "no-resources"},
	    {"e=unsupported-channel-binding-type", FAIL_AUTH, "without -PLUS"},
	    {"e=\xff", FAIL_PROTOCOL, "UTF-8"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct scram *s = make_usual();

		expect(s, NULL, SASL_MORE, "n,,n=user,r=" NONCE);
		expect_fail(s, row[i].message, row[i].kind, row[i].text);
		scram_free(&s);
		s = make_answered();
		expect_fail(s, row[i].message, row[i].kind, row[i].text);
		scram_free(&s);
	}
}

/* Another kind of binding is worth a try only while nothing was proved. */
static void
knows_when_another_binding_may_help(void **state)
{
	static const char refusal[] = "e=unsupported-channel-binding-type";
	struct scram *s = make_usual();

	(void)state;
	assert_false(scram_may_rebind(s));
	expect(s, NULL, SASL_MORE, "n,,n=user,r=" NONCE);
	assert_true(scram_may_rebind(s)); /* a refusal without a word */
	expect_fail(s, refusal, FAIL_AUTH, refusal + 2);
	assert_true(scram_may_rebind(s));
	expect_fail(s, FIRST, FAIL_PROTOCOL, "out of turn");
	assert_false(scram_may_rebind(s));
	scram_free(&s);

	s = make_usual();
	expect(s, NULL, SASL_MORE, "n,,n=user,r=" NONCE);
	expect_fail(s, "e=unsupported-channel-binding-types", FAIL_AUTH, "types");
	assert_false(scram_may_rebind(s));
	scram_free(&s);

	s = make_usual();
	expect(s, NULL, SASL_MORE, "n,,n=user,r=" NONCE);
	expect(s, FIRST, SASL_DERIVE, "");
	assert_false(scram_may_rebind(s));
	scram_free(&s);

	s = make_answered();
	assert_false(scram_may_rebind(s));
	expect_fail(s, refusal, FAIL_AUTH, refusal + 2);
	assert_false(scram_may_rebind(s));
	scram_free(&s);
}

static void
keeps_the_order(void **state)
{
	const uint8_t salted[SASL_SALTED_MAX] = {0};
	struct str response = STR_INIT;
	struct verdict why = VERDICT_OK;
	struct scram *s = make_usual();

	(void)state;
	assert_int_equal(scram_resume(s, salted, &response, &why), SASL_FAIL);
	assert_int_equal(why.kind, FAIL_LOCAL);
	scram_free(&s);

	s = make_usual();
	expect(s, NULL, SASL_MORE, "n,,n=user,r=" NONCE);
	expect(s, FIRST, SASL_DERIVE, "");
	expect_fail(s, FINAL, FAIL_PROTOCOL, "out of turn");
	assert_int_equal(scram_resume(s, salted, &response, &why), SASL_FAIL);
	scram_free(&s);

	s = make_answered();
	assert_int_equal(scram_resume(s, salted, &response, &why), SASL_FAIL);
	scram_free(&s);

	s = make_answered();
	expect(s, FINAL, SASL_DONE, "");
	expect_fail(s, FINAL, FAIL_PROTOCOL, "out of turn");
	scram_free(&s);
	scram_free(&s);
	assert_int_equal(response.len, 0);
}

/* -- hostile octets ---------------------------------------------------------------------------- */

/* A block of the message's own size, so that a sanitizer sees a step beyond. */
static bool
reads_first(const char *message, size_t len)
{
	char *copy = malloc(len > 0 ? len : 1);
	struct scram_server_first first;
	struct verdict why = VERDICT_OK;
	bool ok;

	memcpy(copy, message, len);
	ok = scram_parse_server_first(copy, len, &first, &why);
	assert_int_equal(ok, why.kind == FAIL_NONE);
	if (ok) {
		assert_true(first.nonce >= copy && first.nonce + first.nonce_len <= copy + len);
		assert_in_range(first.salt_len, 1, SCRAM_SALT_MAX);
		assert_in_range(first.iterations, 1, SASL_ITERATIONS_MAX);
	}
	free(copy);
	return ok;
}

static bool
reads_final(const char *message, size_t len, struct scram_server_final *final)
{
	char *copy = malloc(len > 0 ? len : 1);
	struct verdict why = VERDICT_OK;
	bool ok;

	memcpy(copy, message, len);
	ok = scram_parse_server_final(copy, len, final, &why);
	assert_int_equal(ok, why.kind == FAIL_NONE);
	(void)scram_is_binding_refusal(copy, len);
	free(copy);
	return ok;
}

static void
reads_messages_cut_anywhere(void **state)
{
	static const char first[] = FIRST ",x=y", final[] = FINAL ",x=y";
	size_t count = strlen(FIRST), proof = strlen(FINAL);
	struct scram_server_final read;

	(void)state;
	for (size_t len = 0; len < sizeof first; len++)
		assert_int_equal(
		    reads_first(first, len), (len > count - 4 && len <= count) || len == count + 4);
	for (size_t len = 0; len < sizeof final; len++)
		assert_int_equal(reads_final(final, len, &read),
		    len == proof || len == proof + 4 ||
			(len > 2 && len < proof && (len - 2) % 4 == 0));
}

/* One octet changed anywhere in the server's proof, and it is none. */
static void
refuses_each_changed_octet_of_a_proof(void **state)
{
	struct scram_server_final right, read;

	(void)state;
	assert_true(reads_final(FINAL, strlen(FINAL), &right));
	for (size_t at = 0; at < strlen(FINAL); at++) {
		for (int octet = 0; octet < 256; octet++) {
			char message[] = FINAL;

			if (message[at] == (char)octet)
				continue;
			message[at] = (char)octet;
			if (reads_final(message, strlen(FINAL), &read))
				assert_true(
				    read.verifier_len != right.verifier_len ||
				    memcmp(read.verifier, right.verifier, right.verifier_len) != 0);
		}
	}
}

static uint32_t
next_random(uint32_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 17;
	return *x ^= *x << 5;
}

/* Valid messages with pieces overwritten, doubled and taken out, and no messages at all. */
static void
survives_any_octets(void **state)
{
	static const char alphabet[] = "r=,s=,i=,m=,e=,v=,c=AQ+/=0179 \xc3\xa9\xff\n\t";
	uint32_t x = 2463534242u;
	struct scram_server_final final;
	int read = 0;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		char message[160] = FIRST ",x=y";
		size_t len = next_random(&x) % 2 ? strlen(message) : next_random(&x) % 160;

		for (uint32_t changes = next_random(&x) % 4; changes > 0; changes--) {
			size_t at = next_random(&x) % sizeof message;

			message[at] = next_random(&x) % 4 == 0
					  ? (char)next_random(&x)
					  : alphabet[next_random(&x) % (sizeof alphabet - 1)];
		}
		read += reads_first(message, len);
		reads_final(message + 2, len > 2 ? len - 2 : 0, &final);
	}
	assert_true(read > 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(follows_the_examples),
	    cmocka_unit_test(says_whether_it_binds),
	    cmocka_unit_test(prepares_the_user),
	    cmocka_unit_test(prepares_the_password),
	    cmocka_unit_test(makes_nonces_of_its_own),
	    cmocka_unit_test(accepts_what_the_grammar_has),
	    cmocka_unit_test(refuses_any_other_first_message),
	    cmocka_unit_test(bounds_what_a_server_may_say),
	    cmocka_unit_test(wants_the_servers_proof),
	    cmocka_unit_test(tells_a_servers_error),
	    cmocka_unit_test(knows_when_another_binding_may_help),
	    cmocka_unit_test(keeps_the_order),
	    cmocka_unit_test(reads_messages_cut_anywhere),
	    cmocka_unit_test(refuses_each_changed_octet_of_a_proof),
	    cmocka_unit_test(survives_any_octets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
