#include "net/tls_pool.h"

#include "base/log.h"
#include "base/queue.h"
#include "base/str.h"
#include "base/worker.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "net/tls_store.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define READ_AHEAD (64 * 1024)

TAILQ_HEAD(tls_request_list, tls_request);

/* One caller.  Owned by the list that it waits in. */
struct tls_request {
	struct tls_request_list *list;
	struct tls_context *context; /* a reference, once it is in the list of those to tell */
	struct verdict why;
	tls_ready_cb *cb;
	void *arg;
	TAILQ_ENTRY(tls_request) link;
};

/* Counted: the pool's list, each connection, each request to tell.  A job until it is ready. */
struct tls_context {
	struct job job;
	size_t refs;
	struct tls_pool *pool;
	struct tls_request_list waiting;
	bool listed; /* offered to whoever asks */
	bool ready;
	TAILQ_ENTRY(tls_context) link;
	struct verdict why;

	char *key;
	bool verify; /* against CA certificates */
	char *ca_file;
	char *cert;
	char *private_key;
	char *keylog;
	int min_version;
	unsigned generation;

	SSL_CTX *ssl;
	int keylog_fd;
};

TAILQ_HEAD(tls_context_list, tls_context);

/* A CA store by file.  Owned by the thread while it runs. */
struct store {
	char *ca_file; /* NULL: the system's */
	X509_STORE *x509;
	SLIST_ENTRY(store) link;
};

SLIST_HEAD(store_list, store);

/* Owned by whoever called tls_pool_new(). */
struct tls_pool {
	struct event_base *base;
	struct worker *worker; /* NULL until the first context is wanted */
	struct tls_context_list contexts;
	struct tls_request_list to_tell;
	struct event *tell_event;
	unsigned generation; /* goes up when the stores are to be read again */

	struct store_list stores;
	unsigned stores_generation;
};

/* -- in the thread ---------------------------------------------------------------------------- */

static bool
same_text(const char *a, const char *b)
{
	return (a == NULL && b == NULL) || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void
stores_clear(struct tls_pool *p)
{
	struct store *s;

	while ((s = SLIST_FIRST(&p->stores)) != NULL) {
		SLIST_REMOVE_HEAD(&p->stores, link);
		X509_STORE_free(s->x509);
		free(s->ca_file);
		free(s);
	}
}

/* Borrowed; NULL with a verdict. */
static X509_STORE *
store_get(struct tls_pool *p, const struct tls_context *c, struct verdict *why)
{
	struct store *s;
	X509_STORE *x509;

	if (p->stores_generation != c->generation)
		stores_clear(p);
	p->stores_generation = c->generation;
	SLIST_FOREACH (s, &p->stores, link) {
		if (same_text(s->ca_file, c->ca_file))
			return s->x509;
	}
	x509 = tls_store_load(c->ca_file, why);
	if (x509 == NULL)
		return NULL;
	s = xcalloc(1, sizeof *s);
	s->ca_file = xstrdup(c->ca_file);
	s->x509 = x509;
	SLIST_INSERT_HEAD(&p->stores, s, link);
	return x509;
}

/* A key with a passphrase must not be asked for on the terminal. */
static int
no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return 0;
}

static bool
fail_file(struct tls_context *c, const char *what, const char *file)
{
	char reason[160];

	return verdict_fail(&c->why, FAIL_LOCAL, "tls", "%s %.250s: %s", what, file,
	    tls_store_error(reason, sizeof reason));
}

static bool
load_client_certificate(struct tls_context *c)
{
	const char *key = c->private_key != NULL ? c->private_key : c->cert;

	if (c->cert == NULL)
		return true;
	SSL_CTX_set_default_passwd_cb(c->ssl, no_passphrase);
	if (SSL_CTX_use_certificate_chain_file(c->ssl, c->cert) != 1)
		return fail_file(c, "tls_cert", c->cert);
	if (SSL_CTX_use_PrivateKey_file(c->ssl, key, SSL_FILETYPE_PEM) != 1)
		return fail_file(c, "tls_key", key);
	return true;
}

/* One line of the NSS key log format; write(2) appends it whole, from whatever connection. */
static void
keylog_cb(const SSL *ssl, const char *line)
{
	const struct tls_context *c = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	struct str s = STR_INIT;

	str_appendf(&s, "%s\n", line);
	if (write(c->keylog_fd, s.data, s.len) < 0)
		log_debug("tls_keylog %s: %s", c->keylog, strerror(errno));
	explicit_bzero(s.data, s.len);
	str_clear(&s);
}

/* A help for debugging: its trouble is said, and stops no mail. */
static void
open_keylog(struct tls_context *c)
{
	if (c->keylog == NULL)
		return;
	c->keylog_fd = open(
	    c->keylog, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (c->keylog_fd < 0) {
		log_warning("tls_keylog %s: %s", c->keylog, strerror(errno));
		return;
	}
	SSL_CTX_set_keylog_callback(c->ssl, keylog_cb);
}

static void
set_options(SSL_CTX *ssl, int min_version)
{
	SSL_CTX_set_min_proto_version(ssl, min_version != 0 ? min_version : TLS1_2_VERSION);
	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				  SSL_MODE_RELEASE_BUFFERS);
	/* A server that sends session tickets without end must not hold the loop in one read. */
	SSL_CTX_clear_mode(ssl, SSL_MODE_AUTO_RETRY);
	/* Several records a read(2) instead of two read(2) a record. */
	SSL_CTX_set_read_ahead(ssl, 1);
	SSL_CTX_set_default_read_buffer_len(ssl, READ_AHEAD);
	SSL_CTX_set_session_cache_mode(
	    ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL | SSL_SESS_CACHE_NO_AUTO_CLEAR);
}

static bool
build(struct tls_context *c)
{
	X509_STORE *store = NULL;

	c->ssl = SSL_CTX_new(TLS_client_method());
	if (c->ssl == NULL)
		return fail_file(c, "OpenSSL", "context");
	SSL_CTX_set_app_data(c->ssl, c);
	set_options(c->ssl, c->min_version);
	if (c->verify) {
		store = store_get(c->pool, c, &c->why);
		if (store == NULL)
			return false;
		SSL_CTX_set1_cert_store(c->ssl, store);
	}
	if (!load_client_certificate(c))
		return false;
	open_keylog(c);
	return true;
}

static void
build_run(struct job *job)
{
	struct tls_context *c =
	    (struct tls_context *)((char *)job - offsetof(struct tls_context, job));

	if (!build(c)) {
		SSL_CTX_free(c->ssl);
		c->ssl = NULL;
	}
}

/* -- in the loop's thread --------------------------------------------------------------------- */

void
tls_context_unref(struct tls_context **context)
{
	struct tls_context *c = *context;

	*context = NULL;
	if (c == NULL || --c->refs > 0)
		return;
	SSL_CTX_free(c->ssl);
	if (c->keylog_fd >= 0)
		close(c->keylog_fd);
	free(c->key);
	free(c->ca_file);
	free(c->cert);
	free(c->private_key);
	free(c->keylog);
	free(c);
}

static void
unlist(struct tls_context *c)
{
	if (!c->listed)
		return;
	c->listed = false;
	TAILQ_REMOVE(&c->pool->contexts, c, link);
	tls_context_unref(&c);
}

static void
tell_soon(struct tls_pool *p, struct tls_request *r, struct tls_context *c)
{
	if (c->ssl != NULL) {
		r->context = c;
		c->refs++;
	}
	r->why = c->why;
	r->list = &p->to_tell;
	TAILQ_INSERT_TAIL(&p->to_tell, r, link);
	event_active(p->tell_event, EV_TIMEOUT, 0);
}

static void
tell_cb(evutil_socket_t fd, short what, void *arg)
{
	struct tls_pool *p = arg;
	struct tls_request *r;

	(void)fd;
	(void)what;
	while ((r = TAILQ_FIRST(&p->to_tell)) != NULL) {
		TAILQ_REMOVE(&p->to_tell, r, link);
		r->cb(r->context, &r->why, r->arg);
		free(r);
	}
}

static void
build_done(struct job *job)
{
	struct tls_context *c =
	    (struct tls_context *)((char *)job - offsetof(struct tls_context, job));
	struct tls_request *r;

	c->ready = true;
	while ((r = TAILQ_FIRST(&c->waiting)) != NULL) {
		TAILQ_REMOVE(&c->waiting, r, link);
		tell_soon(c->pool, r, c);
	}
	if (c->ssl == NULL)
		unlist(c); /* the file may be there the next time */
	tls_context_unref(&c);
}

/* With the generation: what was verified by files as they were then is not resumed after them. */
static char *
make_key(const struct tls_pool *p, const struct tls_config *config)
{
	struct str s = STR_INIT;

	str_appendf(&s, "%u|%d|%x|%s|%s|%s|%s", p->generation, config->verify,
	    (unsigned)config->min_version, config->ca_file != NULL ? config->ca_file : "",
	    config->cert != NULL ? config->cert : "", config->key != NULL ? config->key : "",
	    config->keylog != NULL ? config->keylog : "");
	for (size_t i = 0; i < config->pin_count; i++) {
		str_appendf(&s, "|%d:", config->pins[i].kind);
		for (size_t j = 0; j < sizeof config->pins[i].sha256; j++)
			str_appendf(&s, "%02x", config->pins[i].sha256[j]);
	}
	return str_take(&s);
}

/* Takes the key. */
static struct tls_context *
context_new(struct tls_pool *p, const struct tls_config *config, char *key)
{
	struct tls_context *c = xcalloc(1, sizeof *c);

	c->job = (struct job){.run = build_run, .done = build_done};
	c->refs = 2; /* the list's and the job's */
	c->pool = p;
	TAILQ_INIT(&c->waiting);
	c->key = key;
	c->verify = config->verify && config->pin_count == 0;
	c->ca_file = xstrdup(config->ca_file);
	c->cert = xstrdup(config->cert);
	c->private_key = xstrdup(config->key);
	c->keylog = xstrdup(config->keylog);
	c->min_version = config->min_version;
	c->generation = p->generation;
	c->keylog_fd = -1;
	c->listed = true;
	TAILQ_INSERT_TAIL(&p->contexts, c, link);
	if (p->worker == NULL)
		p->worker = worker_new(p->base, "tls", NULL, NULL);
	worker_submit(p->worker, &c->job);
	return c;
}

static struct tls_context *
context_get(struct tls_pool *p, const struct tls_config *config)
{
	char *key = make_key(p, config);
	struct tls_context *c;

	TAILQ_FOREACH (c, &p->contexts, link) {
		if (strcmp(c->key, key) == 0) {
			free(key);
			return c;
		}
	}
	return context_new(p, config, key);
}

struct tls_request *
tls_pool_ask(struct tls_pool *p, const struct tls_config *config, tls_ready_cb *cb, void *arg)
{
	struct tls_context *c = context_get(p, config);
	struct tls_request *r = xcalloc(1, sizeof *r);

	r->cb = cb;
	r->arg = arg;
	if (c->ready) {
		tell_soon(p, r, c);
		return r;
	}
	r->list = &c->waiting;
	TAILQ_INSERT_TAIL(&c->waiting, r, link);
	return r;
}

void
tls_pool_cancel(struct tls_request **request)
{
	struct tls_request *r = *request;

	*request = NULL;
	if (r == NULL)
		return;
	TAILQ_REMOVE(r->list, r, link);
	tls_context_unref(&r->context);
	free(r);
}

struct tls_pool *
tls_pool_new(struct event_base *base)
{
	struct tls_pool *p = xcalloc(1, sizeof *p);

	p->base = base;
	TAILQ_INIT(&p->contexts);
	TAILQ_INIT(&p->to_tell);
	SLIST_INIT(&p->stores);
	p->tell_event = event_new(base, -1, 0, tell_cb, p);
	if (p->tell_event == NULL)
		exit(EX_OSERR);
	return p;
}

void
tls_pool_forget(struct tls_pool *p)
{
	struct tls_context *c;

	p->generation++;
	while ((c = TAILQ_FIRST(&p->contexts)) != NULL)
		unlist(c);
}

void
tls_pool_free(struct tls_pool **pool)
{
	struct tls_pool *p = *pool;
	struct tls_request *r;

	*pool = NULL;
	if (p == NULL)
		return;
	worker_free(&p->worker);
	tls_pool_forget(p);
	while ((r = TAILQ_FIRST(&p->to_tell)) != NULL)
		tls_pool_cancel(&r);
	stores_clear(p);
	event_free(p->tell_event);
	free(p);
}

SSL_CTX *
tls_context_ssl(const struct tls_context *c)
{
	return c->ssl;
}

const char *
tls_context_key(const struct tls_context *c)
{
	return c->key;
}
