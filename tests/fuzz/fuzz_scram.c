#include "fuzz.h"

#include "base/secret.h"
#include "proto/scram.h"
#include "proto/scram_message.h"

#include <stdlib.h>
#include <string.h>

/* Input: what a server says, parted by LF, to a client whose nonce and key are always the same. */
#define NONCE "fyko+d2lbbFgONRv9qkxdawL"

static void
check_parsers(const char *text, size_t len)
{
	struct scram_server_first first;
	struct scram_server_final final;
	struct verdict why = VERDICT_OK;
	bool is_first, is_final;

	is_first = scram_parse_server_first(text, len, &first, &why);
	CHECK(is_first == (why.kind == FAIL_NONE));
	why = (struct verdict)VERDICT_OK;
	is_final = scram_parse_server_final(text, len, &final, &why);
	CHECK(is_final == (why.kind == FAIL_NONE));
	CHECK(!(is_first && is_final));
	CHECK(!scram_is_binding_refusal(text, len) || !(is_first || is_final));
	if (is_first) {
		CHECK(first.nonce > text && first.nonce + first.nonce_len < text + len);
		CHECK(first.salt_len > 0 && first.salt_len <= SCRAM_SALT_MAX);
		CHECK(first.iterations > 0 && first.iterations <= SASL_ITERATIONS_MAX);
	}
	CHECK(!is_final || (final.verifier_len > 0 && final.verifier_len <= SCRAM_HASH_MAX));
}

/* A key that costs nothing in place of the one asked for. */
static enum sasl_result
step(struct scram *s, const char *message, struct str *response, struct verdict *why)
{
	static const uint8_t salted[SASL_SALTED_MAX];
	enum sasl_result result = scram_step(s, message, response, why);

	CHECK(response->len == 0 || result == SASL_MORE);
	return result == SASL_DERIVE ? scram_resume(s, salted, response, why) : result;
}

static struct scram *
make_client(void)
{
	struct scram_settings settings = {.is_sha256 = true, .user = "user", .nonce = NONCE};
	struct verdict why = VERDICT_OK;
	struct scram *s;

	settings.secret = secret_new("pencil", 6);
	s = scram_new(&settings, &why);
	secret_unref(&settings.secret);
	CHECK(s != NULL);
	return s;
}

/* The message stands in a block of its own size, so that a sanitizer sees a step beyond. */
static bool
say(struct scram *s, const char *text, size_t len, bool failed)
{
	char *message = strndup(text, len);
	struct str response = STR_INIT;
	struct verdict why = VERDICT_OK;
	enum sasl_result result;

	CHECK(message != NULL);
	check_parsers(message, strlen(message));
	result = step(s, message, &response, &why);
	CHECK((result == SASL_FAIL) == (why.kind != FAIL_NONE));
	CHECK((result == SASL_DONE) == scram_is_proved(s));
	CHECK(!failed || result == SASL_FAIL);
	str_clear(&response);
	free(message);
	return result == SASL_FAIL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data, *end = p + size;
	struct scram *s = make_client();
	struct str response = STR_INIT;
	struct verdict why = VERDICT_OK;
	bool failed = false;

	CHECK(step(s, NULL, &response, &why) == SASL_MORE);
	str_clear(&response);
	while (p < end) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));

		failed = say(s, p, (size_t)((lf != NULL ? lf : end) - p), failed);
		p = lf != NULL ? lf + 1 : end;
	}
	scram_free(&s);
	return 0;
}
