#ifndef POSTRIDER_AUTH_DERIVER_H
#define POSTRIDER_AUTH_DERIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct sasl_derivation;
struct deriver;
struct deriver_request;

/*
 * Computes SCRAM's salted passwords (proto/sasl_client.h, SASL_DERIVE) in a thread of its own,
 * and keeps the last ones, so that a server with a steady salt costs the computation once.
 */
struct deriver *deriver_new(struct event_base *base);

/* Waits for a computation under way; open requests are dropped without an answer. */
void deriver_free(struct deriver **deriver);

/* salted: sasl_derivation_size() octets, borrowed for the call; NULL: the library refused. */
typedef void deriver_cb(const uint8_t *salted, void *arg);

/*
 * The derivation is copied.  Never answers from inside the call; the request is dead when the
 * callback runs.
 */
struct deriver_request *deriver_start(
    struct deriver *deriver, const struct sasl_derivation *derivation, deriver_cb *cb, void *arg);

/* Withdraws: the callback does not run.  Sets the pointer to NULL; NULL inside is fine. */
void deriver_cancel(struct deriver_request **request);

/* Forgets what was kept. */
void deriver_forget(struct deriver *deriver);

#endif
