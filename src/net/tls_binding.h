#ifndef POSTRIDER_NET_TLS_BINDING_H
#define POSTRIDER_NET_TLS_BINDING_H

#include <stddef.h>

struct ssl_st;

/* What ties an authentication to this TLS connection (RFC 5056). */
enum tls_binding_kind {
	TLS_BINDING_UNIQUE,   /* RFC 5929 section 3, TLS 1.2 */
	TLS_BINDING_EXPORTER, /* RFC 9266, TLS 1.3 */
	TLS_BINDING_END_POINT /* RFC 5929 section 4: only to the server's certificate */
};

enum { TLS_BINDING_MAX = 64 };
enum { TLS_BINDINGS_MAX = 2 };

struct tls_binding {
	enum tls_binding_kind kind;
	unsigned char data[TLS_BINDING_MAX];
	size_t len;
};

/*
 * Fills in what an established connection can be bound to, the closest first; returns how many.
 * None without TLS (ssl is NULL).  With TLS 1.2 without the extended master secret a binding to the
 * handshake proves nothing (RFC 7627); a certificate whose signature names no hash (Ed25519) has no
 * tls-server-end-point.
 */
size_t tls_binding_list(struct ssl_st *ssl, struct tls_binding bindings[TLS_BINDINGS_MAX]);

#endif
