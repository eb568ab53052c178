#include "auth/vault.h"

#include "auth/deriver.h"
#include "auth/secret_check.h"
#include "auth/secret_command.h"
#include "auth/secret_file.h"
#include "base/child.h"
#include "base/clock.h"
#include "base/queue.h"
#include "base/worker.h"
#include "base/xalloc.h"
#include "config/config.h"

#include <event2/event.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* A token is fetched again so much before it expires, or a tenth of its life if that is less. */
enum { EXPIRY_MARGIN_MS = 30000 };
enum { DIGEST_SIZE = SHA256_DIGEST_LENGTH };

struct entry;

/* Owned by its entry, released when answered or withdrawn. */
struct vault_request {
	TAILQ_ENTRY(vault_request) link;
	struct vault_list *list; /* that it is on */
	vault_cb *cb;
	void *arg;
};

TAILQ_HEAD(vault_list, vault_request);

/* The reading of a file: while it is submitted the worker owns it, whole. */
struct reading {
	struct job job;
	struct entry *entry; /* NULL: the vault is being freed */
	char *path;
	bool guarded;
	struct secret *secret;
	struct verdict why;
};

/* One source.  Owned by the vault. */
struct entry {
	TAILQ_ENTRY(entry) link;
	struct vault *vault;
	struct secret_source source; /* a copy */
	struct secret *secret;       /* NULL: not held */
	int64_t expires;             /* boot ms, 0: never */
	struct vault_list waiting;   /* for the secret */
	struct vault_list answering; /* being called right now */

	struct child *child;     /* the fetch under way ... */
	struct reading *reading; /* ... in either form */
	bool outdated;           /* what it brings is for those who wait only */

	uint8_t digest[DIGEST_SIZE]; /* keyed, of the last secret held */
	unsigned long generation;    /* of that secret, 0: there was none yet */
	bool used;                   /* since the last vault_forget() */
	int calls;                   /* callbacks of this entry that are on the stack */
};

struct vault {
	struct event_base *base;
	struct worker *worker;
	struct deriver *deriver;
	struct event *answer_event; /* active: some entry can answer without a fetch */
	TAILQ_HEAD(, entry) entries;
	uint8_t pepper[DIGEST_SIZE]; /* so that a digest tells nothing about a secret */
	unsigned long last_generation;
	bool walking; /* over the entries, calling: none may go */
};

/* -- Sources --------------------------------------------------------------------------------- */

static char **
copy_argv(char *const *argv)
{
	size_t n = 0;
	char **copy;

	if (argv == NULL)
		return NULL;
	while (argv[n] != NULL)
		n++;
	copy = xcalloc(n + 1, sizeof *copy);
	for (size_t i = 0; i < n; i++)
		copy[i] = xstrdup(argv[i]);
	return copy;
}

static struct secret_source
copy_source(const struct secret_source *source)
{
	return (struct secret_source){
	    .kind = source->kind,
	    .value = xstrdup(source->value),
	    .path = xstrdup(source->path),
	    .argv = copy_argv(source->argv),
	    .timeout = source->timeout,
	};
}

static void
free_source(struct secret_source *source)
{
	if (source->value != NULL)
		secret_wipe(source->value, strlen(source->value));
	free(source->value);
	free(source->path);
	for (char **p = source->argv; p != NULL && *p != NULL; p++)
		free(*p);
	free(source->argv);
}

/* -- Entries --------------------------------------------------------------------------------- */

static struct entry *
find_entry(const struct vault *v, const struct secret_source *source)
{
	struct entry *e;

	TAILQ_FOREACH (e, &v->entries, link)
		if (secret_source_equal(&e->source, source))
			return e;
	return NULL;
}

static struct entry *
add_entry(struct vault *v, const struct secret_source *source)
{
	struct entry *e = xcalloc(1, sizeof *e);

	e->vault = v;
	e->source = copy_source(source);
	TAILQ_INIT(&e->waiting);
	TAILQ_INIT(&e->answering);
	TAILQ_INSERT_TAIL(&v->entries, e, link);
	return e;
}

static void
remove_entry(struct entry *e)
{
	TAILQ_REMOVE(&e->vault->entries, e, link);
	if (e->reading != NULL)
		e->reading->entry = NULL;
	child_cancel(&e->child);
	secret_unref(&e->secret);
	free_source(&e->source);
	free(e);
}

static bool
is_fetching(const struct entry *e)
{
	return e->child != NULL || e->reading != NULL;
}

static bool
is_held(const struct entry *e)
{
	return e->secret != NULL && (e->expires == 0 || clock_boot() < e->expires);
}

static void
make_digest(const struct vault *v, const struct secret *secret, uint8_t digest[DIGEST_SIZE])
{
	size_t len = sizeof v->pepper + secret_len(secret);
	uint8_t *all = xmalloc(len);

	memcpy(all, v->pepper, sizeof v->pepper);
	memcpy(all + sizeof v->pepper, secret_text(secret), secret_len(secret));
	SHA256(all, len, digest);
	secret_wipe(all, len);
	free(all);
}

static void
hold(struct entry *e, struct secret *secret, int64_t lifetime)
{
	int64_t margin = lifetime / 10 < EXPIRY_MARGIN_MS ? lifetime / 10 : EXPIRY_MARGIN_MS;
	uint8_t digest[DIGEST_SIZE];

	secret_unref(&e->secret);
	e->secret = secret_ref(secret);
	e->expires = lifetime < 0 ? 0 : clock_boot() + lifetime - margin;
	make_digest(e->vault, secret, digest);
	if (e->generation != 0 && CRYPTO_memcmp(digest, e->digest, DIGEST_SIZE) == 0)
		return;
	memcpy(e->digest, digest, DIGEST_SIZE);
	e->generation = ++e->vault->last_generation;
}

/* -- Answers --------------------------------------------------------------------------------- */

/*
 * Answers all who wait by now.  A callee may ask again, withdraw others, or refuse the secret;
 * whoever asks from inside waits for the next turn.
 */
static void
answer_waiting(struct entry *e, struct secret *secret, const struct verdict *why)
{
	struct vault_request *r;

	TAILQ_CONCAT(&e->answering, &e->waiting, link);
	TAILQ_FOREACH (r, &e->answering, link)
		r->list = &e->answering;
	e->calls++;
	while ((r = TAILQ_FIRST(&e->answering)) != NULL) {
		vault_cb *cb = r->cb;
		void *arg = r->arg;

		TAILQ_REMOVE(&e->answering, r, link);
		free(r);
		cb(secret != NULL ? secret_ref(secret) : NULL, why, arg);
	}
	e->calls--;
}

/* The end of a fetch: takes over the reference.  What was outdated meanwhile is fetched again. */
static void
finish_fetch(struct entry *e, struct secret *secret, int64_t lifetime, const struct verdict *why)
{
	if (e->outdated) {
		e->outdated = false;
		event_active(e->vault->answer_event, EV_TIMEOUT, 0);
	} else {
		if (secret != NULL)
			hold(e, secret, lifetime);
		answer_waiting(e, secret, why);
	}
	secret_unref(&secret);
}

/* -- Fetching -------------------------------------------------------------------------------- */

static void
on_command(const struct child_result *result, void *arg)
{
	struct entry *e = arg;
	struct verdict why = VERDICT_OK;
	int64_t lifetime;
	struct secret *secret;

	e->child = NULL;
	secret = secret_command_judge(&e->source, result, &lifetime, &why);
	finish_fetch(e, secret, lifetime, &why);
}

static void
start_command(struct entry *e)
{
	struct child_settings settings = {
	    .argv = e->source.argv,
	    .timeout = e->source.timeout,
	    .output_max = SECRET_COMMAND_OUTPUT_MAX,
	};

	e->child = child_start(e->vault->base, &settings, on_command, e);
}

/* In the worker's thread. */
static void
run_reading(struct job *job)
{
	struct reading *r = (struct reading *)job;

	r->secret = secret_file_read(r->path, r->guarded, &r->why);
}

static void
on_read(struct job *job)
{
	struct reading *r = (struct reading *)job;
	struct entry *e = r->entry;

	if (e != NULL) {
		e->reading = NULL;
		finish_fetch(e, r->secret, -1, &r->why);
	} else
		secret_unref(&r->secret);
	free(r->path);
	free(r);
}

/* Takes the path. */
static void
start_reading(struct entry *e, char *path, bool guarded)
{
	struct reading *r = xcalloc(1, sizeof *r);

	r->job.run = run_reading;
	r->job.done = on_read;
	r->entry = e;
	r->path = path;
	r->guarded = guarded;
	e->reading = r;
	if (e->vault->worker == NULL)
		e->vault->worker = worker_new(e->vault->base, "secrets", NULL, NULL);
	worker_submit(e->vault->worker, &r->job);
}

/* The service manager guards the directory of credentials; its modes are not ours to judge. */
static void
start_credential(struct entry *e)
{
	const char *directory = getenv("CREDENTIALS_DIRECTORY");
	const char *name = e->source.value;
	struct verdict why;

	if (directory != NULL && *directory == '/' && *name != '\0' && *name != '.' &&
	    strchr(name, '/') == NULL) {
		start_reading(e, xasprintf("%s/%s", directory, name), false);
		return;
	}
	if (directory == NULL || *directory != '/')
		verdict_fail(&why, FAIL_LOCAL, SECRET_STAGE,
		    "$CREDENTIALS_DIRECTORY is not set: run under systemd with LoadCredential=, or "
		    "use another secret source");
	else
		verdict_fail(&why, FAIL_LOCAL, SECRET_STAGE,
		    "credential must be the plain name of a file below $CREDENTIALS_DIRECTORY");
	finish_fetch(e, NULL, -1, &why);
}

static void
start_fetch(struct entry *e)
{
	struct verdict why = VERDICT_OK;

	secret_unref(&e->secret);
	switch (e->source.kind) {
	case SECRET_NONE:
		finish_fetch(e, secret_new("", 0), -1, &why);
		return;
	case SECRET_PASSWORD:
		finish_fetch(e,
		    secret_check(
			e->source.value, strlen(e->source.value), "the password key", &why),
		    -1, &why);
		return;
	case SECRET_PASSWORD_FILE:
		start_reading(e, xstrdup(e->source.path), true);
		return;
	case SECRET_CREDENTIAL:
		start_credential(e);
		return;
	case SECRET_PASSWORD_COMMAND:
	case SECRET_TOKEN_COMMAND:
		start_command(e);
		return;
	}
}

/* Sees to all who wait where nothing is under way: the secret is held, or is fetched now. */
static void
answer_cb(evutil_socket_t fd, short what, void *arg)
{
	const struct verdict ok = VERDICT_OK;
	struct vault *v = arg;
	struct entry *e, *next;

	(void)fd;
	(void)what;
	v->walking = true;
	TAILQ_FOREACH_SAFE (e, &v->entries, link, next) {
		if (TAILQ_EMPTY(&e->waiting) || is_fetching(e))
			continue;
		if (!is_held(e)) {
			start_fetch(e);
			continue;
		}
		struct secret *secret = secret_ref(e->secret);
		answer_waiting(e, secret, &ok);
		secret_unref(&secret);
	}
	v->walking = false;
}

/* -- What others call ------------------------------------------------------------------------ */

struct vault *
vault_new(struct event_base *base)
{
	struct vault *v = xcalloc(1, sizeof *v);

	v->base = base;
	TAILQ_INIT(&v->entries);
	v->deriver = deriver_new(base);
	v->answer_event = event_new(base, -1, 0, answer_cb, v);
	if (v->answer_event == NULL || RAND_bytes(v->pepper, sizeof v->pepper) != 1)
		exit(EX_OSERR);
	return v;
}

static bool
answer_all(struct vault *v, const struct verdict *why)
{
	bool any = false;
	struct entry *e;

	TAILQ_FOREACH (e, &v->entries, link) {
		any |= !TAILQ_EMPTY(&e->waiting);
		answer_waiting(e, NULL, why);
	}
	return any;
}

void
vault_free(struct vault **vault)
{
	struct vault *v = *vault;
	struct verdict why;
	struct entry *e;

	if (v == NULL)
		return;
	verdict_fail(&why, FAIL_LOCAL, SECRET_STAGE, "the daemon is stopping");
	while (answer_all(v, &why))
		continue; /* a callee has asked again */
	*vault = NULL;
	while ((e = TAILQ_FIRST(&v->entries)) != NULL)
		remove_entry(e);
	worker_free(&v->worker);
	deriver_free(&v->deriver);
	event_free(v->answer_event);
	secret_wipe(v->pepper, sizeof v->pepper);
	free(v);
}

struct vault_request *
vault_get(struct vault *v, const struct secret_source *source, vault_cb *cb, void *arg)
{
	struct vault_request *r = xcalloc(1, sizeof *r);
	struct entry *e = find_entry(v, source);

	if (e == NULL)
		e = add_entry(v, source);
	e->used = true;
	r->cb = cb;
	r->arg = arg;
	r->list = &e->waiting;
	TAILQ_INSERT_TAIL(&e->waiting, r, link);
	if (!is_fetching(e))
		event_active(v->answer_event, EV_TIMEOUT, 0);
	return r;
}

void
vault_cancel(struct vault_request **request)
{
	struct vault_request *r = *request;

	*request = NULL;
	if (r == NULL)
		return;
	TAILQ_REMOVE(r->list, r, link);
	free(r);
}

static bool
is_same(const struct secret *a, const struct secret *b)
{
	return a == b || (secret_len(a) == secret_len(b) &&
			     CRYPTO_memcmp(secret_text(a), secret_text(b), secret_len(a)) == 0);
}

void
vault_refused(struct vault *v, const struct secret_source *source, const struct secret *secret)
{
	struct entry *e = find_entry(v, source);

	if (e != NULL && e->secret != NULL && is_same(e->secret, secret))
		secret_unref(&e->secret);
}

/* Sources that nobody has asked for since the last time belong to a former configuration. */
static bool
is_abandoned(const struct entry *e)
{
	return !e->used && !e->vault->walking && e->calls == 0 && !is_fetching(e) &&
	       TAILQ_EMPTY(&e->waiting);
}

void
vault_forget(struct vault *v)
{
	struct entry *e, *next;

	deriver_forget(v->deriver);
	TAILQ_FOREACH_SAFE (e, &v->entries, link, next) {
		if (e->source.kind == SECRET_CREDENTIAL)
			continue;
		if (is_abandoned(e)) {
			remove_entry(e);
			continue;
		}
		secret_unref(&e->secret);
		e->outdated = is_fetching(e);
		e->used = false;
	}
}

unsigned long
vault_generation(const struct vault *v, const struct secret_source *source)
{
	const struct entry *e = find_entry(v, source);

	return e != NULL && is_held(e) ? e->generation : 0;
}

struct deriver *
vault_deriver(struct vault *v)
{
	return v->deriver;
}
