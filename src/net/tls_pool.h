#ifndef POSTRIDER_NET_TLS_POOL_H
#define POSTRIDER_NET_TLS_POOL_H

#include "base/verdict.h"

struct event_base;
struct ssl_ctx_st;
struct tls_config;
struct tls_context;
struct tls_pool;
struct tls_request;

/*
 * The OpenSSL contexts, one for each distinct set of TLS settings, and the CA stores, one for each
 * tls_ca_file, made in a thread of their own: reading the CA certificates takes 25 ms.
 *
 * Without tls_ca_file the trusted certificates are those of OpenSSL's default file and directory,
 * or of SSL_CERT_FILE and SSL_CERT_DIR.  With pins or without verification none are read.
 */
struct tls_pool *tls_pool_new(struct event_base *base);

/* Waits for the thread to finish what it reads.  Sets the pointer to NULL; NULL inside is fine. */
void tls_pool_free(struct tls_pool **pool);

/* Reads files again for whoever asks from now on. */
void tls_pool_forget(struct tls_pool *pool);

/*
 * Either the context, a reference for the callee to drop, or NULL and why not: FAIL_LOCAL, stage
 * "tls", a file that cannot be read or understood.  The request is over then.
 */
typedef void tls_ready_cb(struct tls_context *context, const struct verdict *why, void *arg);

/* Copies what it needs of the settings.  The callback never runs inside. */
struct tls_request *tls_pool_ask(
    struct tls_pool *pool, const struct tls_config *config, tls_ready_cb *cb, void *arg);

/* The callback will not run.  Sets the pointer to NULL; NULL inside is fine. */
void tls_pool_cancel(struct tls_request **request);

void tls_context_unref(struct tls_context **context);
struct ssl_ctx_st *tls_context_ssl(const struct tls_context *context);

/* All settings of the context as one text, for what must not be shared between settings. */
const char *tls_context_key(const struct tls_context *context);

#endif
