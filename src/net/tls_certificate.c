#include "net/tls_certificate.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NAME_MAX_SHOWN 96
#define NAMES_SHOWN    160
#define SUBJECT_SHOWN  240

const char *
tls_certificate_hex(const unsigned char digest[32], char buf[TLS_CERTIFICATE_HEX_SIZE])
{
	for (size_t i = 0; i < 32; i++)
		snprintf(buf + 2 * i, 3, "%02x", digest[i]);
	return buf;
}

bool
tls_certificate_digest(const X509 *x, unsigned char digest[32])
{
	return X509_digest(x, EVP_sha256(), digest, NULL) == 1;
}

bool
tls_certificate_digest_key(const X509 *x, unsigned char digest[32])
{
	unsigned char *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
	bool good = len > 0 && EVP_Digest(der, (size_t)len, digest, NULL, EVP_sha256(), NULL) == 1;

	OPENSSL_free(der);
	return good;
}

/* -- names ------------------------------------------------------------------------------------ */

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

bool
tls_certificate_append_common_name(struct str *s, const X509 *x)
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

void
tls_certificate_append_names(struct str *s, const X509 *x)
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
	if (s->len == 0 && !tls_certificate_append_common_name(s, x))
		str_append_text(s, "no name at all");
}

static void
append_name(struct str *s, const X509_NAME *name)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	long len = 0;

	if (bio != NULL && X509_NAME_print_ex(bio, name, 0,
			       XN_FLAG_SEP_CPLUS_SPC | XN_FLAG_FN_SN | ASN1_STRFLGS_UTF8_CONVERT |
				   ASN1_STRFLGS_ESC_CTRL) > 0)
		len = BIO_get_mem_data(bio, &text);
	if (len > 0)
		str_append_escaped(s, text, (size_t)(len < SUBJECT_SHOWN ? len : SUBJECT_SHOWN));
	else
		str_append_text(s, "no name");
	BIO_free(bio);
}

void
tls_certificate_append_subject(struct str *s, const X509 *x)
{
	append_name(s, X509_get_subject_name(x));
}

void
tls_certificate_append_issuer(struct str *s, const X509 *x)
{
	append_name(s, X509_get_issuer_name(x));
}

/* -- times ------------------------------------------------------------------------------------ */

static int64_t
wall_of(const ASN1_TIME *time)
{
	struct tm tm;

	return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) * 1000 : 0;
}

int64_t
tls_certificate_valid_from(const X509 *x)
{
	return wall_of(X509_get0_notBefore(x));
}

int64_t
tls_certificate_valid_until(const X509 *x)
{
	return wall_of(X509_get0_notAfter(x));
}

const char *
tls_certificate_day(int64_t wall, char buf[TLS_CERTIFICATE_DAY_SIZE])
{
	time_t seconds = (time_t)(wall / 1000);
	struct tm tm;

	if (gmtime_r(&seconds, &tm) == NULL ||
	    strftime(buf, TLS_CERTIFICATE_DAY_SIZE, "%Y-%m-%d", &tm) == 0)
		snprintf(buf, TLS_CERTIFICATE_DAY_SIZE, "?");
	return buf;
}
