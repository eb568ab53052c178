#ifndef POSTRIDER_NET_TLS_H
#define POSTRIDER_NET_TLS_H

#include "base/str.h"
#include "base/verdict.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct ssl_st;
struct tls;
struct tls_config;
struct tls_context;
struct tls_sessions;
struct x509_st;

/* One connection's TLS, over a non-blocking socket that somebody else owns. */
struct tls_settings {
	const struct tls_config *config; /* borrowed until the tls is freed */
	struct tls_context *context;     /* a reference is taken over, also by a failure */
	struct tls_sessions *sessions;   /* borrowed until the tls is freed */
	const char *host;                /* as in the name check, without tls_server_name */
	const char *server;              /* "host:port", for texts and for resumption */
	bool starttls;                   /* for texts: the server spoke in clear before */
	int fd;
};

/* What a step came to; WANT_READ and WANT_WRITE: call again when the socket can do that. */
enum tls_result { TLS_DONE, TLS_WANT_READ, TLS_WANT_WRITE, TLS_CLOSED, TLS_FAILED };

/* NULL with a verdict when the name cannot be used. */
struct tls *tls_new(const struct tls_settings *settings, struct verdict *why);

/* Says close_notify when all went well so far.  Sets the pointer to NULL; NULL inside is fine. */
void tls_free(struct tls **tls);

/*
 * One step of the handshake; TLS_DONE when it is over and the peer is verified.  TLS_FAILED fills
 * the verdict: FAIL_TLS, stage "handshake" or "verify".
 */
enum tls_result tls_handshake(struct tls *tls, struct verdict *why);

/* TLS_DONE with *got > 0 octets.  TLS_CLOSED with or without close_notify (see conn.h). */
enum tls_result tls_read(
    struct tls *tls, void *data, size_t size, size_t *got, struct verdict *why);

/*
 * TLS_DONE with *put > 0 octets taken, at most one record.  After WANT_* the same octets must be
 * given again, more may follow them.
 */
enum tls_result tls_write(
    struct tls *tls, const void *data, size_t len, size_t *put, struct verdict *why);

/* For the transcript, after the handshake: see tls_verify_describe(). */
void tls_describe(const struct tls *tls, struct str *text);

/* Nothing that came so far is resumed. */
void tls_forget_sessions(struct tls *tls);

struct ssl_st *tls_ssl(const struct tls *tls);

/* The certificate that the server showed, trusted or not; NULL when none came.  Borrowed. */
struct x509_st *tls_certificate(const struct tls *tls);

#endif
