#ifndef POSTRIDER_NET_TLS_VERIFY_H
#define POSTRIDER_NET_TLS_VERIFY_H

#include "base/str.h"
#include "base/verdict.h"
#include "config/config.h"

#include <stdint.h>

struct ssl_st;
struct x509_st;
struct x509_store_ctx_st;

/*
 * Whether the peer is the one that the settings mean, and if not, why and what a person can do.
 *
 * With pins the digest of the certificate or of its key must be one of them; nothing else counts
 * then, no CA, no name, no date.  Else the chain must lead to a trusted certificate and the name
 * must be in it (RFC 9525; no partial wildcards).  tls_verify = false checks nothing.
 */

/* The first fault that OpenSSL found in a chain.  Embedded; zeroed memory begins it. */
struct tls_fault {
	int error; /* X509_V_ERR_... */
	int depth; /* 0: the server's own certificate */
	struct x509_st *blamed;
	struct x509_st *leaf;
};

void tls_verify_clear_fault(struct tls_fault *fault);

/* To be called from OpenSSL's verify callback when that is told of a fault. */
void tls_verify_note_fault(struct tls_fault *fault, struct x509_store_ctx_st *chain);

/* Before the handshake: SNI, and which name or address the certificate must have. */
bool tls_verify_prepare(
    struct ssl_st *ssl, const struct tls_config *config, const char *name, struct verdict *why);

/* A chain was refused: FAIL_TLS, stage "verify". */
void tls_verify_explain(
    const struct tls_fault *fault, const char *server, const char *name, struct verdict *why);

/* After the handshake, a full or a resumed one. */
bool tls_verify_peer(
    struct ssl_st *ssl, const struct tls_config *config, const char *server, struct verdict *why);

/* The pin of the settings that this certificate or its key matches, NULL when none does. */
const struct tls_pin *tls_verify_matching_pin(
    const struct x509_st *leaf, const struct tls_config *config);

/*
 * When the peer's certificate ends, wall ms; 0 when there is none, or its date does not matter:
 * with pins, and with tls_verify = false.
 */
int64_t tls_verify_end(struct ssl_st *ssl, const struct tls_config *config);

/* "TLSv1.3 TLS_AES_256_GCM_SHA384, CN=pop.example.org verified, resumed". */
void tls_verify_describe(struct ssl_st *ssl, const struct tls_config *config, struct str *text);

#endif
