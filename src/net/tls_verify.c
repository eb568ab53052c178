#include "net/tls_verify.h"

#include "base/xalloc.h"
#include "net/address.h"

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_SHOWN 96
#define NAMES_SHOWN    160
#define HEX_SIZE       65

static const char *
hex(const unsigned char digest[32], char buf[HEX_SIZE])
{
	for (size_t i = 0; i < 32; i++)
		snprintf(buf + 2 * i, 3, "%02x", digest[i]);
	return buf;
}

static bool
digest_certificate(const X509 *x, unsigned char digest[32])
{
	return X509_digest(x, EVP_sha256(), digest, NULL) == 1;
}

static bool
digest_key(const X509 *x, unsigned char digest[32])
{
	unsigned char *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
	bool good = len > 0 && EVP_Digest(der, (size_t)len, digest, NULL, EVP_sha256(), NULL) == 1;

	OPENSSL_free(der);
	return good;
}

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

static void
append_separated(struct str *s, const void *data, size_t len)
{
	if (s->len > 0)
		str_append_text(s, ", ");
	str_append_escaped(s, data, len < NAME_MAX_SHOWN ? len : NAME_MAX_SHOWN);
}

static void
append_address(struct str *s, const ASN1_OCTET_STRING *ip)
{
	int len = ASN1_STRING_length(ip);
	char text[INET6_ADDRSTRLEN];

	if (len != 4 && len != 16)
		return;
	inet_ntop(len == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(ip), text, sizeof text);
	append_separated(s, text, strlen(text));
}

/* The subject's common name, escaped; false when it has none. */
static bool
append_common_name(struct str *s, const X509 *x)
{
	const X509_NAME *subject = X509_get_subject_name(x);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	const ASN1_STRING *cn;

	if (at < 0)
		return false;
	cn = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
	append_separated(s, ASN1_STRING_get0_data(cn), (size_t)ASN1_STRING_length(cn));
	return true;
}

/* The names that the certificate is good for, bounded and escaped. */
static void
append_names(struct str *s, const X509 *x)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);

		if (s->len > NAMES_SHOWN) {
			str_append_text(s, ", ...");
			break;
		}
		if (n->type == GEN_DNS)
			append_separated(s, ASN1_STRING_get0_data(n->d.dNSName),
			    (size_t)ASN1_STRING_length(n->d.dNSName));
		else if (n->type == GEN_IPADD)
			append_address(s, n->d.iPAddress);
	}
	GENERAL_NAMES_free(names);
	if (s->len == 0 && !append_common_name(s, x))
		str_append_text(s, "no name at all");
}

/* -- why not ---------------------------------------------------------------------------------- */

static const char *
date(const ASN1_TIME *time, char buf[16])
{
	struct tm tm;

	if (ASN1_TIME_to_tm(time, &tm) != 1 || strftime(buf, 16, "%Y-%m-%d", &tm) == 0)
		snprintf(buf, 16, "?");
	return buf;
}

static void
explain_date(const struct tls_fault *f, const char *server, bool expired, struct verdict *why)
{
	char day[16], whose[48] = "";

	if (f->depth > 0)
		snprintf(whose, sizeof whose, "CA certificate %d above the ", f->depth);
	if (expired)
		verdict_fail(why, FAIL_TLS, "verify",
		    "%scertificate of %.150s expired on %s; tell the server's administrator", whose,
		    server, date(X509_get0_notAfter(f->blamed), day));
	else
		verdict_fail(why, FAIL_TLS, "verify",
		    "%scertificate of %.150s is not valid before %s; check this machine's clock",
		    whose, server, date(X509_get0_notBefore(f->blamed), day));
}

static void
explain_name(const struct tls_fault *f, const char *server, const char *name, struct verdict *why)
{
	struct str names = STR_INIT;

	append_names(&names, f->leaf);
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
	char shown[HEX_SIZE];

	if (f->leaf == NULL || !digest_certificate(f->leaf, digest)) {
		verdict_fail(
		    why, FAIL_TLS, "verify", "certificate of %.150s is not trusted", server);
		return;
	}
	verdict_fail(why, FAIL_TLS, "verify",
	    "certificate of %.150s is %s; if it is the right one, set tls_ca_file, or "
	    "tls_fingerprint "
	    "= \"sha256:%s\"",
	    server, self ? "self-signed" : "issued by an unknown authority", hex(digest, shown));
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

static bool
matches_pin(const X509 *leaf, const struct tls_config *config)
{
	unsigned char certificate[32], key[32];

	if (!digest_certificate(leaf, certificate) || !digest_key(leaf, key))
		return false;
	for (size_t i = 0; i < config->pin_count; i++) {
		const struct tls_pin *pin = &config->pins[i];

		if (memcmp(pin->sha256, pin->kind == PIN_KEY ? key : certificate, 32) == 0)
			return true;
	}
	return false;
}

static bool
fail_pins(const X509 *leaf, const char *server, struct verdict *why)
{
	unsigned char certificate[32] = {0}, key[32] = {0};
	char shown[HEX_SIZE], shown_key[HEX_SIZE];

	digest_certificate(leaf, certificate);
	digest_key(leaf, key);
	return verdict_fail(why, FAIL_TLS, "verify",
	    "certificate of %.120s matches no tls_fingerprint: it is \"sha256:%s\" (key "
	    "\"spki-sha256:%s\"); ask the server's administrator whether it was changed",
	    server, hex(certificate, shown), hex(key, shown_key));
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
		return matches_pin(leaf, config) || fail_pins(leaf, server, why);
	if (SSL_get_verify_result(ssl) != X509_V_OK)
		return verdict_fail(why, FAIL_TLS, "verify", "certificate of %.200s: %s", server,
		    X509_verify_cert_error_string(SSL_get_verify_result(ssl)));
	return true;
}

void
tls_verify_describe(SSL *ssl, const struct tls_config *config, struct str *text)
{
	const X509 *leaf = SSL_get0_peer_certificate(ssl);
	struct str name = STR_INIT;

	if (leaf != NULL && append_common_name(&name, leaf))
		str_appendf(text, "%s %s, CN=%s ", SSL_get_version(ssl), SSL_get_cipher_name(ssl),
		    str_text(&name));
	else
		str_appendf(text, "%s %s, ", SSL_get_version(ssl), SSL_get_cipher_name(ssl));
	if (leaf != NULL && name.len == 0) {
		append_names(&name, leaf);
		str_appendf(text, "%s ", str_text(&name));
	}
	str_append_text(text, config->pin_count > 0 ? "pinned"
			      : config->verify      ? "verified"
						    : "not verified (tls_verify = false)");
	if (SSL_session_reused(ssl))
		str_append_text(text, ", resumed");
	str_clear(&name);
}
