#ifndef POSTRIDER_AUTH_VAULT_H
#define POSTRIDER_AUTH_VAULT_H

#include "base/secret.h"
#include "base/verdict.h"

struct deriver;
struct event_base;
struct secret_source;
struct vault;
struct vault_request;

/*
 * Secrets by source: fetched once, single flight, shared by all who ask for an equal source, kept
 * in locked memory until refused or forgotten.  Commands run as children, files are read in a
 * thread; nothing blocks the loop.
 */
struct vault *vault_new(struct event_base *base);

/* Answers open requests with FAIL_LOCAL first.  Not from inside a vault_cb. */
void vault_free(struct vault **vault);

/*
 * secret: a reference for the callee to drop, NULL with why.  The request handle is dead when the
 * callback runs.  Never called from inside vault_get().
 */
typedef void vault_cb(struct secret *secret, const struct verdict *why, void *arg);

/* The source is copied.  SECRET_NONE answers with an empty secret. */
struct vault_request *vault_get(
    struct vault *vault, const struct secret_source *source, vault_cb *cb, void *arg);

/* Withdraws: the callback does not run.  Sets the pointer to NULL; NULL inside is fine. */
void vault_cancel(struct vault_request **request);

/*
 * The server refused this secret: the next vault_get() fetches it again, unless it already holds
 * a different one.
 */
void vault_refused(
    struct vault *vault, const struct secret_source *source, const struct secret *secret);

/* Forgets every secret but credentials: after a reload. */
void vault_forget(struct vault *vault);

/*
 * A number that changes when the secret of this source is known to differ from before, 0 when
 * none is held: lets a blocked account notice a changed secret.  Never reveals the secret.
 */
unsigned long vault_generation(const struct vault *vault, const struct secret_source *source);

/* The deriver of salted passwords (auth/deriver.h) that goes with this vault.  Borrowed. */
struct deriver *vault_deriver(struct vault *vault);

#endif
