#include "proto/scram_message.h"

#include "base/str.h"
#include "base/utf8.h"
#include "proto/sasl_client.h"

#include <openssl/evp.h>
#include <string.h>

#define STAGE "auth"

struct reader {
	const char *p, *end;
	bool has_more; /* a comma promises another attribute */
};

struct attribute {
	char letter;
	const char *value; /* not empty */
	size_t len;
};

static bool
fail(struct verdict *why, const char *text)
{
	return verdict_fail(why, FAIL_PROTOCOL, STAGE, "the server's SCRAM challenge %s", text);
}

/* -- attributes -------------------------------------------------------------------------------- */

static bool
begin_message(struct reader *r, const char *message, size_t len, struct verdict *why)
{
	*r = (struct reader){.p = message, .end = message + len, .has_more = true};
	if (len > SCRAM_MESSAGE_MAX)
		return fail(why, "is too long");
	if (!utf8_is_valid(message, len))
		return fail(why, "is no UTF-8");
	return true;
}

static bool
is_alpha(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool
take_attribute(struct reader *r, struct attribute *a)
{
	size_t left = (size_t)(r->end - r->p), len;
	const char *comma = memchr(r->p, ',', left);

	len = comma != NULL ? (size_t)(comma - r->p) : left;
	if (!r->has_more || len < 3 || !is_alpha(r->p[0]) || r->p[1] != '=')
		return false;
	*a = (struct attribute){.letter = r->p[0], .value = r->p + 2, .len = len - 2};
	r->has_more = comma != NULL;
	r->p += len + (comma != NULL ? 1 : 0);
	return true;
}

static bool
fail_mandatory(struct verdict *why)
{
	return fail(why, "wants an extension that is not known here; set auth to another "
			 "mechanism");
}

/* The next one must be this; name says so for people. */
static bool
expect_attribute(
    struct reader *r, char letter, const char *name, struct attribute *a, struct verdict *why)
{
	bool ok = take_attribute(r, a);

	if (ok && a->letter == 'm')
		return fail_mandatory(why);
	if (!ok || a->letter != letter)
		return verdict_fail(why, FAIL_PROTOCOL, STAGE,
		    "the server's SCRAM challenge has no readable %s", name);
	return true;
}

static bool
pass_extensions(struct reader *r, struct verdict *why)
{
	struct attribute a;

	while (r->has_more) {
		if (!take_attribute(r, &a))
			return fail(why, "ends in what cannot be read");
		if (a.letter == 'm')
			return fail_mandatory(why);
	}
	return true;
}

/*
 * RFC 4648 section 4, in its one canonical form: what OpenSSL tolerates besides does not come out
 * of the encoder again.
 */
static bool
decode_base64(const struct attribute *a, uint8_t *out, size_t size, size_t *out_len)
{
	unsigned char decoded[SCRAM_MESSAGE_MAX], encoded[SCRAM_MESSAGE_MAX + 4];
	int len;

	if (a->len % 4 != 0 || a->len > SCRAM_MESSAGE_MAX)
		return false;
	len = EVP_DecodeBlock(decoded, (const unsigned char *)a->value, (int)a->len);
	if (len < 0)
		return false;
	for (size_t pad = 1; pad <= 2 && a->value[a->len - pad] == '='; pad++)
		len--;
	if (EVP_EncodeBlock(encoded, decoded, len) != (int)a->len ||
	    memcmp(encoded, a->value, a->len) != 0 || (size_t)len > size)
		return false;
	memcpy(out, decoded, (size_t)len);
	*out_len = (size_t)len;
	return true;
}

/* -- server-error ------------------------------------------------------------------------------ */

/* RFC 5802 section 7, server-error-value; those that say more than that the login failed. */
static const struct {
	const char *value;
	enum fail kind;
	const char *advice;
} errors[] = {
    {"server-does-support-channel-binding", FAIL_AUTH,
	"; it can bind the login to the channel and did not offer it: somebody between may have "
	"taken it out of the offer, to read the password"},
    {"channel-bindings-dont-match", FAIL_AUTH,
	"; its end of the TLS channel is another one: somebody may be between"},
    {"unsupported-channel-binding-type", FAIL_AUTH,
	"; set auth to mechanisms without -PLUS if it is to be trusted without"},
    {"unknown-user", FAIL_AUTH, "; check user"},
    {"invalid-username-encoding", FAIL_AUTH, "; check user"},
    {"invalid-proof", FAIL_AUTH, "; check user and password"},
    {"no-resources", FAIL_SERVER, "; it is tried again"},
};

static bool
is_value(const struct attribute *a, const char *value)
{
	return a->len == strlen(value) && memcmp(a->value, value, a->len) == 0;
}

static bool
fail_refused(const struct attribute *a, struct verdict *why)
{
	enum fail kind = FAIL_AUTH;
	const char *advice = "";
	char shown[128];

	for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
		if (!is_value(a, errors[i].value))
			continue;
		kind = errors[i].kind;
		advice = errors[i].advice;
	}
	return verdict_fail(why, kind, STAGE, "the server refused the SCRAM exchange: %s%s",
	    str_escape(shown, sizeof shown, a->value, a->len), advice);
}

/* True, with why, when the message is one. */
static bool
is_error(struct reader r, struct verdict *why)
{
	struct attribute a;

	if (!take_attribute(&r, &a) || a.letter != 'e')
		return false;
	fail_refused(&a, why);
	return true;
}

bool
scram_is_binding_refusal(const char *message, size_t len)
{
	struct reader r = {.p = message, .end = message + len, .has_more = true};
	struct attribute a;

	return take_attribute(&r, &a) && a.letter == 'e' &&
	       is_value(&a, "unsupported-channel-binding-type");
}

/* -- server-first-message ---------------------------------------------------------------------- */

static bool
take_nonce(struct reader *r, struct scram_server_first *first, struct verdict *why)
{
	struct attribute a;

	if (!expect_attribute(r, 'r', "nonce", &a, why))
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (a.value[i] < '!' || a.value[i] > '~')
			return fail(why, "has no readable nonce");
	first->nonce = a.value;
	first->nonce_len = a.len;
	return true;
}

static bool
take_salt(struct reader *r, struct scram_server_first *first, struct verdict *why)
{
	struct attribute a;

	if (!expect_attribute(r, 's', "salt", &a, why))
		return false;
	if (!decode_base64(&a, first->salt, sizeof first->salt, &first->salt_len))
		return fail(why, "has no readable salt");
	return true;
}

/* posit-number = %x31-39 *DIGIT; false as well when it fits no integer here. */
static bool
parse_iterations(const struct attribute *a, uint64_t *iterations)
{
	*iterations = 0;
	if (a->len > 18 || a->value[0] == '0')
		return false;
	for (size_t i = 0; i < a->len; i++) {
		if (a->value[i] < '0' || a->value[i] > '9')
			return false;
		*iterations = *iterations * 10 + (uint64_t)(a->value[i] - '0');
	}
	return true;
}

static bool
take_iterations(struct reader *r, struct scram_server_first *first, struct verdict *why)
{
	struct attribute a;
	uint64_t iterations;

	if (!expect_attribute(r, 'i', "iteration count", &a, why))
		return false;
	if (!parse_iterations(&a, &iterations))
		return fail(why, "has no readable iteration count");
	if (iterations > SASL_ITERATIONS_MAX)
		return verdict_fail(why, FAIL_PROTOCOL, STAGE,
		    "the server asks for %.*s SCRAM iterations, more than the limit of %d; "
		    "set auth to another mechanism if it is to be trusted",
		    (int)a.len, a.value, SASL_ITERATIONS_MAX);
	first->iterations = (uint32_t)iterations;
	return true;
}

bool
scram_parse_server_first(
    const char *message, size_t len, struct scram_server_first *first, struct verdict *why)
{
	struct reader r;

	return begin_message(&r, message, len, why) && !is_error(r, why) &&
	       take_nonce(&r, first, why) && take_salt(&r, first, why) &&
	       take_iterations(&r, first, why) && pass_extensions(&r, why);
}

/* -- server-final-message ---------------------------------------------------------------------- */

bool
scram_parse_server_final(
    const char *message, size_t len, struct scram_server_final *final, struct verdict *why)
{
	struct attribute a;
	struct reader r;

	if (!begin_message(&r, message, len, why) || is_error(r, why) ||
	    !expect_attribute(&r, 'v', "proof of the server", &a, why))
		return false;
	if (!decode_base64(&a, final->verifier, sizeof final->verifier, &final->verifier_len))
		return fail(why, "has no readable proof of the server");
	return pass_extensions(&r, why);
}
