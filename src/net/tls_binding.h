#ifndef POSTRIDER_NET_TLS_BINDING_H
#define POSTRIDER_NET_TLS_BINDING_H

#include <stddef.h>

struct ssl_st;

/* What ties an authentication to this TLS connection (RFC 5056). */
enum tls_binding_kind {
	TLS_BINDING_NONE,
	TLS_BINDING_UNIQUE,  /* RFC 5929 section 3, TLS 1.2 */
	TLS_BINDING_EXPORTER /* RFC 9266, TLS 1.3 */
};

enum { TLS_BINDING_MAX = 64 };

struct tls_binding {
	enum tls_binding_kind kind;
	unsigned char data[TLS_BINDING_MAX];
	size_t len;
};

/*
 * Fills in the binding of an established connection; NONE without TLS (ssl is NULL), and with
 * TLS 1.2 without the extended master secret, where a binding proves nothing (RFC 7627).
 */
void tls_binding_read(struct ssl_st *ssl, struct tls_binding *binding);

#endif
