#ifndef POSTRIDER_NET_TLS_CERTIFICATE_H
#define POSTRIDER_NET_TLS_CERTIFICATE_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct x509_st;

/* What a certificate says, for people.  Whatever its maker chose is bounded and escaped. */

/* "C=US, O=Example, CN=pop.example.org"; "no name" when it has none. */
void tls_certificate_append_subject(struct str *s, const struct x509_st *certificate);
void tls_certificate_append_issuer(struct str *s, const struct x509_st *certificate);

/* The subject's common name, behind ", " when s has text; false when there is none. */
bool tls_certificate_append_common_name(struct str *s, const struct x509_st *certificate);

/*
 * The names and addresses that it is good for, parted by ", "; the common name when it names none.
 * Into an empty s.
 */
void tls_certificate_append_names(struct str *s, const struct x509_st *certificate);

/* Wall times in ms; 0 when they cannot be read. */
int64_t tls_certificate_valid_from(const struct x509_st *certificate);
int64_t tls_certificate_valid_until(const struct x509_st *certificate);

/* "2026-11-20", the day of a wall time in UTC.  Returns buf. */
enum { TLS_CERTIFICATE_DAY_SIZE = 16 };
const char *tls_certificate_day(int64_t wall, char buf[TLS_CERTIFICATE_DAY_SIZE]);

/* SHA-256 of the DER certificate, and of its SubjectPublicKeyInfo. */
bool tls_certificate_digest(const struct x509_st *certificate, unsigned char digest[32]);
bool tls_certificate_digest_key(const struct x509_st *certificate, unsigned char digest[32]);

/* Such a digest in hexadecimal.  Returns buf. */
enum { TLS_CERTIFICATE_HEX_SIZE = 65 };
const char *tls_certificate_hex(const unsigned char digest[32], char buf[TLS_CERTIFICATE_HEX_SIZE]);

#endif
