#include "proto/sasl_scram.h"

#include "base/secret.h"
#include "base/str.h"
#include "base/xalloc.h"

#include <gsasl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define STAGE "auth"

enum { ATTRIBUTES_MAX = 8 };

bool
sasl_scram_is_error(const char *message, struct verdict *why)
{
	char shown[128];

	if (strncmp(message, "e=", 2) != 0)
		return false;
	str_escape(shown, sizeof shown, message + 2, strcspn(message + 2, ","));
	verdict_fail(why, FAIL_AUTH, STAGE, "the server refused the SCRAM exchange: %s", shown);
	return true;
}

/* The value of the attribute; NULL when the message has none by that letter. */
static const char *
find_attribute(const char *message, char letter, size_t *len)
{
	for (int i = 0; i < ATTRIBUTES_MAX; i++) {
		*len = strcspn(message, ",");
		if (*len >= 2 && message[0] == letter && message[1] == '=') {
			*len -= 2;
			return message + 2;
		}
		if (message[*len] == '\0')
			return NULL;
		message += *len + 1;
	}
	return NULL;
}

static bool
parse_iterations(const char *digits, size_t len, uint64_t *iterations)
{
	*iterations = 0;
	if (len == 0 || len > 18)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (digits[i] < '0' || digits[i] > '9')
			return false;
		*iterations = *iterations * 10 + (uint64_t)(digits[i] - '0');
	}
	return *iterations > 0;
}

static bool
take_iterations(struct sasl_derivation *d, const char *message, struct verdict *why)
{
	uint64_t iterations;
	const char *digits;
	size_t len;

	digits = find_attribute(message, 'i', &len);
	if (digits == NULL || !parse_iterations(digits, len, &iterations))
		return verdict_fail(why, FAIL_PROTOCOL, STAGE,
		    "the server's SCRAM challenge has no readable iteration count");
	if (iterations > SASL_ITERATIONS_MAX)
		return verdict_fail(why, FAIL_PROTOCOL, STAGE,
		    "the server asks for %.*s SCRAM iterations, more than the limit of %d; "
		    "set auth to another mechanism if it is to be trusted",
		    (int)len, digits, SASL_ITERATIONS_MAX);
	d->iterations = (uint32_t)iterations;
	return true;
}

static bool
take_salt(struct sasl_derivation *d, const char *message, struct verdict *why)
{
	const char *encoded;
	char *decoded = NULL;
	uint8_t *salt;
	size_t len;

	encoded = find_attribute(message, 's', &len);
	if (encoded == NULL || len == 0 ||
	    gsasl_base64_from(encoded, len, &decoded, &len) != GSASL_OK)
		return verdict_fail(
		    why, FAIL_PROTOCOL, STAGE, "the server's SCRAM challenge has no readable salt");
	salt = xmalloc(len);
	memcpy(salt, decoded, len);
	gsasl_free(decoded);
	d->salt = salt;
	d->salt_len = len;
	return true;
}

static void
take_password(struct sasl_derivation *d, const char *password, size_t len)
{
	char *prepared = NULL;

	if (gsasl_saslprep(password, GSASL_ALLOW_UNASSIGNED, &prepared, NULL) == GSASL_OK &&
	    *prepared != '\0') {
		d->password = xstrdup(prepared);
		d->password_len = strlen(prepared);
	} else {
		d->password = xstrndup(password, len);
		d->password_len = len;
	}
	if (prepared == NULL)
		return;
	secret_wipe(prepared, strlen(prepared));
	gsasl_free(prepared);
}

bool
sasl_scram_prepare(struct sasl_derivation *d, const char *message, const char *password,
    size_t password_len, struct verdict *why)
{
	*d = (struct sasl_derivation){.is_sha256 = d->is_sha256};
	if (sasl_scram_is_error(message, why))
		return false;
	if (!take_iterations(d, message, why) || !take_salt(d, message, why))
		return false;
	take_password(d, password, password_len);
	return true;
}

/* The pointers are const for the callers only. */
static void *
own(const void *p)
{
	return (void *)(uintptr_t)p;
}

void
sasl_scram_clear(struct sasl_derivation *d)
{
	if (d->password != NULL)
		secret_wipe(own(d->password), d->password_len);
	free(own(d->password));
	free(own(d->salt));
	*d = (struct sasl_derivation){.is_sha256 = d->is_sha256};
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
		   (int)d->iterations, d->is_sha256 ? EVP_sha256() : EVP_sha1(),
		   (int)sasl_derivation_size(d), salted) == 1;
}
