#include "proto/scram.h"

#include "base/secret.h"
#include "base/xalloc.h"
#include "proto/sasl.h"
#include "proto/scram_message.h"

#include <gsasl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#define STAGE "auth"

enum { NONCE_OCTETS = 18 };

enum scram_state {
	BEGUN,
	FIRST_SENT,
	DERIVING,
	FINAL_SENT,
	PROVED,
	BINDING_REFUSED, /* in words, before any proof */
	FAILED
};

struct scram {
	enum scram_state state;
	bool is_sha256;
	struct secret *password; /* prepared */
	struct str header;       /* gs2-header */
	struct str cbind_input;  /* the header, and what binds to the channel */
	struct str nonce;        /* ours; then the server's, which begins with it */
	struct str auth;         /* AuthMessage, as far as it is known */
	struct scram_server_first first;
	struct sasl_derivation derivation;
	uint8_t server_signature[SCRAM_HASH_MAX]; /* what the server must know */
};

/* -- hashes ------------------------------------------------------------------------------------ */

static const EVP_MD *
digest_of(bool is_sha256)
{
	return is_sha256 ? EVP_sha256() : EVP_sha1();
}

size_t
sasl_derivation_size(const struct sasl_derivation *d)
{
	return d->is_sha256 ? 32 : 20;
}

bool
sasl_derive(const struct sasl_derivation *d, uint8_t salted[SASL_SALTED_MAX])
{
	return PKCS5_PBKDF2_HMAC(d->password, (int)d->password_len, d->salt, (int)d->salt_len,
		   (int)d->iterations, digest_of(d->is_sha256), (int)sasl_derivation_size(d),
		   salted) == 1;
}

/* Key and result have the hash's size. */
static bool
hmac(const struct scram *s, const uint8_t *key, const char *text, size_t len, uint8_t *out)
{
	return HMAC(digest_of(s->is_sha256), key, (int)sasl_derivation_size(&s->derivation),
		   (const unsigned char *)text, len, out, NULL) != NULL;
}

/*
 * RFC 5802 section 3: ClientProof = ClientKey XOR HMAC(H(ClientKey), AuthMessage).  Whoever has
 * this and the channel's text can guess at the password, and no more.
 */
static bool
compute_proof(const struct scram *s, const uint8_t *salted, uint8_t proof[SCRAM_HASH_MAX])
{
	uint8_t key[SCRAM_HASH_MAX], stored[SCRAM_HASH_MAX], signature[SCRAM_HASH_MAX];
	size_t len = sasl_derivation_size(&s->derivation);
	bool ok;

	ok = hmac(s, salted, "Client Key", strlen("Client Key"), key) &&
	     EVP_Digest(key, len, stored, NULL, digest_of(s->is_sha256), NULL) == 1 &&
	     hmac(s, stored, str_text(&s->auth), s->auth.len, signature);
	for (size_t i = 0; ok && i < len; i++)
		proof[i] = key[i] ^ signature[i];
	secret_wipe(key, sizeof key);
	secret_wipe(stored, sizeof stored);
	secret_wipe(signature, sizeof signature);
	return ok;
}

static bool
compute_server_signature(struct scram *s, const uint8_t *salted)
{
	uint8_t key[SCRAM_HASH_MAX];
	bool ok;

	ok = hmac(s, salted, "Server Key", strlen("Server Key"), key) &&
	     hmac(s, key, str_text(&s->auth), s->auth.len, s->server_signature);
	secret_wipe(key, sizeof key);
	return ok;
}

/* -- text -------------------------------------------------------------------------------------- */

static void
append_base64(struct str *s, const void *data, size_t len)
{
	size_t size = (len + 2) / 3 * 4 + 1;
	unsigned char *encoded = xmalloc(size);

	str_append(s, encoded, (size_t)EVP_EncodeBlock(encoded, data, (int)len));
	secret_wipe(encoded, size);
	free(encoded);
}

/* SASLprep changes no printable ASCII, and knows no other ASCII. */
static bool
is_ascii(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text >= 0x80)
			return false;
	return true;
}

/*
 * What GNU SASL takes along the way it does not overwrite: plain passwords are spared that.  The
 * preparation is that of a query (RFC 5802 section 5.1): characters too new to be known may pass.
 */
static struct secret *
prepare_password(const struct secret *secret)
{
	const char *text = secret_text(secret);
	struct secret *prepared = NULL;
	char *out = NULL;

	if (!is_ascii(text) &&
	    gsasl_saslprep(text, GSASL_ALLOW_UNASSIGNED, &out, NULL) == GSASL_OK && *out != '\0')
		prepared = secret_new(out, strlen(out));
	else
		prepared = secret_new(text, secret_len(secret));
	if (out == NULL)
		return prepared;
	secret_wipe(out, strlen(out));
	gsasl_free(out);
	return prepared;
}

/* client-first-message-bare, with which AuthMessage begins. */
static bool
begin_auth(struct scram *s, const char *user, struct verdict *why)
{
	char *prepared = NULL;

	if (gsasl_saslprep(user, GSASL_ALLOW_UNASSIGNED, &prepared, NULL) != GSASL_OK ||
	    *prepared == '\0') {
		gsasl_free(prepared);
		return verdict_fail(why, FAIL_CONFIG, STAGE,
		    "user holds characters that SCRAM cannot carry; set auth to another mechanism");
	}
	str_append_text(&s->auth, "n=");
	sasl_append_saslname(&s->auth, prepared);
	str_appendf(&s->auth, ",r=%s", str_text(&s->nonce));
	gsasl_free(prepared);
	return true;
}

static bool
make_nonce(struct scram *s, const char *given, struct verdict *why)
{
	uint8_t octets[NONCE_OCTETS];

	if (given != NULL) {
		str_append_text(&s->nonce, given);
		return true;
	}
	if (RAND_bytes(octets, sizeof octets) != 1)
		return verdict_fail(
		    why, FAIL_LOCAL, STAGE, "the cryptographic library has no random numbers");
	append_base64(&s->nonce, octets, sizeof octets);
	return true;
}

/* gs2-header = gs2-cbind-flag "," [ authzid ] ","; we never ask to be somebody else. */
static void
make_header(struct scram *s, const struct scram_settings *settings)
{
	if (settings->binding_name != NULL)
		str_appendf(&s->header, "p=%s,,", settings->binding_name);
	else
		str_append_text(&s->header, settings->is_unoffered ? "y,," : "n,,");
	str_append(&s->cbind_input, str_text(&s->header), s->header.len);
	if (settings->binding_name != NULL)
		str_append(&s->cbind_input, settings->binding_data, settings->binding_len);
}

/* -- the exchange ------------------------------------------------------------------------------ */

static enum sasl_result
fail(struct scram *s)
{
	s->state = FAILED;
	return SASL_FAIL;
}

static enum sasl_result
fail_with(struct scram *s, enum fail kind, const char *text, struct verdict *why)
{
	verdict_fail(why, kind, STAGE, "SCRAM: %s", text);
	return fail(s);
}

struct scram *
scram_new(const struct scram_settings *settings, struct verdict *why)
{
	struct scram *s = xcalloc(1, sizeof *s);

	s->is_sha256 = s->derivation.is_sha256 = settings->is_sha256;
	s->password = prepare_password(settings->secret);
	make_header(s, settings);
	if (!make_nonce(s, settings->nonce, why) || !begin_auth(s, settings->user, why))
		scram_free(&s);
	return s;
}

void
scram_free(struct scram **scram)
{
	struct scram *s = *scram;

	*scram = NULL;
	if (s == NULL)
		return;
	secret_unref(&s->password);
	secret_wipe(s->server_signature, sizeof s->server_signature);
	sasl_response_clear(&s->cbind_input);
	str_clear(&s->header);
	str_clear(&s->nonce);
	str_clear(&s->auth);
	free(s);
}

static enum sasl_result
say_first(struct scram *s, struct str *response)
{
	str_append(response, str_text(&s->header), s->header.len);
	str_append(response, str_text(&s->auth), s->auth.len);
	s->state = FIRST_SENT;
	return SASL_MORE;
}

/* The server's nonce begins with ours, and it has added to it: else the message is an old one. */
static bool
take_nonce(struct scram *s)
{
	const struct scram_server_first *first = &s->first;

	if (first->nonce_len <= s->nonce.len ||
	    memcmp(first->nonce, str_text(&s->nonce), s->nonce.len) != 0)
		return false;
	str_truncate(&s->nonce, 0);
	str_append(&s->nonce, first->nonce, first->nonce_len);
	return true;
}

static enum sasl_result
hear_first(struct scram *s, const char *message, struct verdict *why)
{
	size_t len = strlen(message);

	if (!scram_parse_server_first(message, len, &s->first, why)) {
		s->state = scram_is_binding_refusal(message, len) ? BINDING_REFUSED : FAILED;
		return SASL_FAIL;
	}
	if (!take_nonce(s))
		return fail_with(s, FAIL_PROTOCOL,
		    "the server's challenge does not go with our own: its nonce is foreign", why);
	str_appendf(&s->auth, ",%s,", message);
	s->derivation.password = secret_text(s->password);
	s->derivation.password_len = secret_len(s->password);
	s->derivation.salt = s->first.salt;
	s->derivation.salt_len = s->first.salt_len;
	s->derivation.iterations = s->first.iterations;
	s->state = DERIVING;
	return SASL_DERIVE;
}

/* client-final-message-without-proof, with which AuthMessage ends. */
static void
end_auth(struct scram *s)
{
	str_append_text(&s->auth, "c=");
	append_base64(&s->auth, str_text(&s->cbind_input), s->cbind_input.len);
	str_appendf(&s->auth, ",r=%s", str_text(&s->nonce));
}

enum sasl_result
scram_resume(struct scram *s, const uint8_t *salted, struct str *response, struct verdict *why)
{
	size_t before = s->auth.len;
	uint8_t proof[SCRAM_HASH_MAX];

	if (s->state != DERIVING)
		return fail_with(s, FAIL_LOCAL, "no key was asked for", why);
	end_auth(s);
	if (!compute_server_signature(s, salted) || !compute_proof(s, salted, proof))
		return fail_with(s, FAIL_LOCAL, "the cryptographic library refuses", why);
	str_append(response, str_text(&s->auth) + before, s->auth.len - before);
	str_append_text(response, ",p=");
	append_base64(response, proof, sasl_derivation_size(&s->derivation));
	secret_wipe(proof, sizeof proof);
	s->state = FINAL_SENT;
	return SASL_MORE;
}

static enum sasl_result
hear_final(struct scram *s, const char *message, struct verdict *why)
{
	size_t size = sasl_derivation_size(&s->derivation);
	struct scram_server_final final;

	if (!scram_parse_server_final(message, strlen(message), &final, why))
		return fail(s);
	if (final.verifier_len != size ||
	    CRYPTO_memcmp(final.verifier, s->server_signature, size) != 0)
		return fail_with(s, FAIL_PROTOCOL,
		    "the server did not prove that it knows the password: is it the right one?",
		    why);
	s->state = PROVED;
	return SASL_DONE;
}

enum sasl_result
scram_step(struct scram *s, const char *message, struct str *response, struct verdict *why)
{
	switch (s->state) {
	case BEGUN:
		return say_first(s, response);
	case FIRST_SENT:
		return hear_first(s, message, why);
	case FINAL_SENT:
		return hear_final(s, message, why);
	case DERIVING:
	case PROVED:
	case BINDING_REFUSED:
	case FAILED:
		break;
	}
	return fail_with(s, FAIL_PROTOCOL, "the server sent a challenge out of turn", why);
}

const struct sasl_derivation *
scram_derivation(const struct scram *s)
{
	return &s->derivation;
}

bool
scram_is_proved(const struct scram *s)
{
	return s->state == PROVED;
}

bool
scram_may_rebind(const struct scram *s)
{
	return s->state == FIRST_SENT || s->state == BINDING_REFUSED;
}
