#include "net/tls_verify.h"

#include "base/clock.h"
#include "base/xalloc.h"
#include "net/address.h"
#include "net/tls_certificate.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* -- faults ----------------------------------------------------------------------------------- */

void
tls_verify_clear_fault(struct tls_fault *f)
{
	X509_free(f->blamed);
	X509_free(f->leaf);
	*f = (struct tls_fault){0};
}

static X509 *
x509_ref(X509 *x)
{
	if (x != NULL)
		X509_up_ref(x);
	return x;
}

void
tls_verify_note_fault(struct tls_fault *f, X509_STORE_CTX *chain)
{
	if (f->error != X509_V_OK)
		return;
	f->error = X509_STORE_CTX_get_error(chain);
	f->depth = X509_STORE_CTX_get_error_depth(chain);
	f->blamed = x509_ref(X509_STORE_CTX_get_current_cert(chain));
	f->leaf = x509_ref(X509_STORE_CTX_get0_cert(chain));
}

/* -- names ------------------------------------------------------------------------------------ */

static bool
fail_setup(struct verdict *why, const char *name)
{
	return verdict_fail(
	    why, FAIL_CONFIG, "tls", "%.200s cannot be checked as a TLS name", name);
}

static bool
set_sni(SSL *ssl, const char *name)
{
	char *copy = xstrdup(name);
	bool good = SSL_set_tlsext_host_name(ssl, copy) == 1;

	free(copy);
	return good;
}

bool
tls_verify_prepare(SSL *ssl, const struct tls_config *config, const char *name, struct verdict *why)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	struct address literal;
	char plain[256];

	if (!address_parse(name, 0, &literal)) {
		/* RFC 6066 section 3: host names only, no addresses. */
		if (!set_sni(ssl, name))
			return fail_setup(why, name);
		X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
		if (X509_VERIFY_PARAM_set1_host(param, name, 0) != 1)
			return fail_setup(why, name);
	} else {
		snprintf(plain, sizeof plain, "%.*s", (int)strcspn(name, "%"), name);
		if (X509_VERIFY_PARAM_set1_ip_asc(param, plain) != 1)
			return fail_setup(why, name);
	}
	if (!config->verify || config->pin_count > 0)
		SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
	return true;
}

/* -- why not ---------------------------------------------------------------------------------- */

/*
 * Which of the two is wrong, the certificate or the clock here, only a person can tell: both dates
 * are said.
 */
static void
explain_date(const struct tls_fault *f, const char *server, bool expired, struct verdict *why)
{
	char day[TLS_CERTIFICATE_DAY_SIZE], today[TLS_CERTIFICATE_DAY_SIZE], whose[48] = "";

	if (f->depth > 0)
		snprintf(whose, sizeof whose, "CA certificate %d above the ", f->depth);
	tls_certificate_day(clock_wall(), today);
	if (expired)
		verdict_fail(why, FAIL_TLS, "verify",
		    "%scertificate of %.150s expired on %s; tell the server's administrator, or "
		    "set "
		    "this machine's clock, which says %s",
		    whose, server, tls_certificate_day(tls_certificate_valid_until(f->blamed), day),
		    today);
	else
		verdict_fail(why, FAIL_TLS, "verify",
		    "%scertificate of %.150s is not valid before %s; this machine's clock says %s "
		    "and looks wrong: set it, or tell the server's administrator",
		    whose, server, tls_certificate_day(tls_certificate_valid_from(f->blamed), day),
		    today);
}

static void
explain_name(const struct tls_fault *f, const char *server, const char *name, struct verdict *why)
{
	struct str names = STR_INIT;

	tls_certificate_append_names(&names, f->leaf);
	verdict_fail(why, FAIL_TLS, "verify",
	    "certificate of %.120s is not for %.100s but for %.200s; check host, or set "
	    "tls_server_name",
	    server, name, str_text(&names));
	str_clear(&names);
}

static void
explain_trust(const struct tls_fault *f, const char *server, struct verdict *why)
{
	bool self = f->error == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT;
	unsigned char digest[32];
	char shown[TLS_CERTIFICATE_HEX_SIZE];

	if (f->leaf == NULL || !tls_certificate_digest(f->leaf, digest)) {
		verdict_fail(
		    why, FAIL_TLS, "verify", "certificate of %.150s is not trusted", server);
		return;
	}
	verdict_fail(why, FAIL_TLS, "verify",
	    "certificate of %.150s is %s; if it is the right one, set tls_ca_file, or "
	    "tls_fingerprint "
	    "= \"sha256:%s\"",
	    server, self ? "self-signed" : "issued by an unknown authority",
	    tls_certificate_hex(digest, shown));
}

void
tls_verify_explain(
    const struct tls_fault *f, const char *server, const char *name, struct verdict *why)
{
	switch (f->error) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		explain_date(f, server, true, why);
		return;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		explain_date(f, server, false, why);
		return;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		explain_name(f, server, name, why);
		return;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_CERT_UNTRUSTED:
		explain_trust(f, server, why);
		return;
	}
	verdict_fail(why, FAIL_TLS, "verify",
	    "certificate of %.150s: %s; tell the server's administrator", server,
	    X509_verify_cert_error_string(f->error));
}

/* -- after the handshake ---------------------------------------------------------------------- */

const struct tls_pin *
tls_verify_matching_pin(const X509 *leaf, const struct tls_config *config)
{
	unsigned char certificate[32], key[32];

	if (!tls_certificate_digest(leaf, certificate) || !tls_certificate_digest_key(leaf, key))
		return NULL;
	for (size_t i = 0; i < config->pin_count; i++) {
		const struct tls_pin *pin = &config->pins[i];

		if (memcmp(pin->sha256, pin->kind == PIN_KEY ? key : certificate, 32) == 0)
			return pin;
	}
	return NULL;
}

static bool
fail_pins(const X509 *leaf, const char *server, struct verdict *why)
{
	unsigned char certificate[32] = {0}, key[32] = {0};
	char shown[TLS_CERTIFICATE_HEX_SIZE], shown_key[TLS_CERTIFICATE_HEX_SIZE];

	tls_certificate_digest(leaf, certificate);
	tls_certificate_digest_key(leaf, key);
	return verdict_fail(why, FAIL_TLS, "verify",
	    "certificate of %.120s matches no tls_fingerprint: it is \"sha256:%s\" (key "
	    "\"spki-sha256:%s\"); ask the server's administrator whether it was changed",
	    server, tls_certificate_hex(certificate, shown), tls_certificate_hex(key, shown_key));
}

bool
tls_verify_peer(SSL *ssl, const struct tls_config *config, const char *server, struct verdict *why)
{
	const X509 *leaf = SSL_get0_peer_certificate(ssl);

	if (!config->verify && config->pin_count == 0)
		return true;
	if (leaf == NULL)
		return verdict_fail(why, FAIL_TLS, "verify", "%.200s shows no certificate", server);
	if (config->pin_count > 0)
		return tls_verify_matching_pin(leaf, config) != NULL ||
		       fail_pins(leaf, server, why);
	if (SSL_get_verify_result(ssl) != X509_V_OK)
		return verdict_fail(why, FAIL_TLS, "verify", "certificate of %.200s: %s", server,
		    X509_verify_cert_error_string(SSL_get_verify_result(ssl)));
	return true;
}

int64_t
tls_verify_end(SSL *ssl, const struct tls_config *config)
{
	const X509 *leaf = SSL_get0_peer_certificate(ssl);
	struct tm tm;

	if (leaf == NULL || !config->verify || config->pin_count > 0 ||
	    ASN1_TIME_to_tm(X509_get0_notAfter(leaf), &tm) != 1)
		return 0;
	return (int64_t)timegm(&tm) * 1000;
}

void
tls_verify_describe(SSL *ssl, const struct tls_config *config, struct str *text)
{
	const X509 *leaf = SSL_get0_peer_certificate(ssl);
	struct str name = STR_INIT;

	if (leaf != NULL && tls_certificate_append_common_name(&name, leaf))
		str_appendf(text, "%s %s, CN=%s ", SSL_get_version(ssl), SSL_get_cipher_name(ssl),
		    str_text(&name));
	else
		str_appendf(text, "%s %s, ", SSL_get_version(ssl), SSL_get_cipher_name(ssl));
	if (leaf != NULL && name.len == 0) {
		tls_certificate_append_names(&name, leaf);
		str_appendf(text, "%s ", str_text(&name));
	}
	str_append_text(text, config->pin_count > 0 ? "pinned"
			      : config->verify      ? "verified"
						    : "not verified (tls_verify = false)");
	if (SSL_session_reused(ssl))
		str_append_text(text, ", resumed");
	str_clear(&name);
}
