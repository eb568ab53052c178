#include "auth/deriver.h"

#include "base/queue.h"
#include "base/secret.h"
#include "base/worker.h"
#include "base/xalloc.h"
#include "proto/sasl_client.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT_MAX = 32 };
enum { KEY_SIZE = SHA256_DIGEST_LENGTH };

/* A salted password and the digest of everything it was computed from. */
struct kept {
	uint8_t key[KEY_SIZE];
	struct secret *salted;
};

/*
 * Owned by the worker while submitted, then released in done().  What it works on is its own copy.
 */
struct deriver_request {
	struct job job;
	struct deriver *deriver;
	deriver_cb *cb; /* NULL: withdrawn */
	void *arg;
	unsigned generation; /* of the deriver, when it was asked */
	struct sasl_derivation derivation;
	struct secret *password;
	uint8_t *salt;
	uint8_t key[KEY_SIZE];
	uint8_t salted[SASL_SALTED_MAX];
	bool known;
	bool ok;
};

struct deriver {
	struct event_base *base;
	struct worker *worker;    /* started when first needed */
	uint8_t pepper[KEY_SIZE]; /* so that a kept key tells nothing about a password */
	struct kept kept[KEPT_MAX];
	size_t next; /* the oldest, overwritten next */
	unsigned generation;
	bool closing;
};

struct deriver *
deriver_new(struct event_base *base)
{
	struct deriver *d = xcalloc(1, sizeof *d);

	d->base = base;
	if (RAND_bytes(d->pepper, sizeof d->pepper) != 1)
		abort(); /* without random numbers there is no TLS either */
	return d;
}

void
deriver_forget(struct deriver *d)
{
	for (size_t i = 0; i < KEPT_MAX; i++)
		secret_unref(&d->kept[i].salted);
	d->generation++;
}

void
deriver_free(struct deriver **deriver)
{
	struct deriver *d = *deriver;

	*deriver = NULL;
	if (d == NULL)
		return;
	d->closing = true;
	worker_free(&d->worker);
	deriver_forget(d);
	secret_wipe(d->pepper, sizeof d->pepper);
	free(d);
}

/* Lengths go in as well: no two derivations share a key by shifting octets. */
static void
make_key(const struct deriver *d, const struct sasl_derivation *derivation, uint8_t key[KEY_SIZE])
{
	uint64_t head[4] = {derivation->is_sha256, derivation->iterations, derivation->salt_len,
	    derivation->password_len};
	size_t len =
	    sizeof d->pepper + sizeof head + derivation->salt_len + derivation->password_len;
	uint8_t *all = xmalloc(len), *p = all;

	p = mempcpy(p, d->pepper, sizeof d->pepper);
	p = mempcpy(p, head, sizeof head);
	p = mempcpy(p, derivation->salt, derivation->salt_len);
	memcpy(p, derivation->password, derivation->password_len);
	SHA256(all, len, key);
	secret_wipe(all, len);
	free(all);
}

static const struct kept *
find_kept(const struct deriver *d, const uint8_t key[KEY_SIZE])
{
	for (size_t i = 0; i < KEPT_MAX; i++)
		if (d->kept[i].salted != NULL && CRYPTO_memcmp(d->kept[i].key, key, KEY_SIZE) == 0)
			return &d->kept[i];
	return NULL;
}

static void
keep(struct deriver *d, const struct deriver_request *r)
{
	struct kept *k = &d->kept[d->next];

	if (r->known || r->generation != d->generation || find_kept(d, r->key) != NULL)
		return;
	secret_unref(&k->salted);
	k->salted = secret_new(r->salted, sasl_derivation_size(&r->derivation));
	memcpy(k->key, r->key, KEY_SIZE);
	d->next = (d->next + 1) % KEPT_MAX;
}

/* In the worker's thread. */
static void
run_derivation(struct job *job)
{
	struct deriver_request *r = (struct deriver_request *)job;

	if (!r->known)
		r->ok = sasl_derive(&r->derivation, r->salted);
}

static void
on_derived(struct job *job)
{
	struct deriver_request *r = (struct deriver_request *)job;

	if (r->ok)
		keep(r->deriver, r);
	if (r->cb != NULL && !r->deriver->closing)
		r->cb(r->ok ? r->salted : NULL, r->arg);
	secret_wipe(r->salted, sizeof r->salted);
	secret_unref(&r->password);
	free(r->salt);
	free(r);
}

static void
copy_derivation(struct deriver_request *r, const struct sasl_derivation *derivation)
{
	r->password = secret_new(derivation->password, derivation->password_len);
	r->salt = xmalloc(derivation->salt_len);
	memcpy(r->salt, derivation->salt, derivation->salt_len);
	r->derivation = *derivation;
	r->derivation.password = secret_text(r->password);
	r->derivation.salt = r->salt;
}

struct deriver_request *
deriver_start(
    struct deriver *d, const struct sasl_derivation *derivation, deriver_cb *cb, void *arg)
{
	struct deriver_request *r = xcalloc(1, sizeof *r);
	const struct kept *kept;

	r->job.run = run_derivation;
	r->job.done = on_derived;
	r->deriver = d;
	r->cb = cb;
	r->arg = arg;
	r->generation = d->generation;
	copy_derivation(r, derivation);
	make_key(d, derivation, r->key);
	if ((kept = find_kept(d, r->key)) != NULL) {
		memcpy(r->salted, secret_text(kept->salted), secret_len(kept->salted));
		r->known = r->ok = true;
	}
	if (d->worker == NULL)
		d->worker = worker_new(d->base, "derive", NULL, NULL);
	worker_submit(d->worker, &r->job);
	return r;
}

void
deriver_cancel(struct deriver_request **request)
{
	if (*request != NULL)
		(*request)->cb = NULL;
	*request = NULL;
}
