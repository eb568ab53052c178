#include "net/tls_sessions.h"

#include "base/clock.h"
#include "base/xalloc.h"
#include "net/table.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* One server's, the oldest first. */
struct shelf {
	size_t count;
	SSL_SESSION *list[TLS_SESSIONS_EACH];
};

/* Owned by whoever called tls_sessions_new(). */
struct tls_sessions {
	struct table *shelves;
};

static void
shelf_free(void *value)
{
	struct shelf *s = value;

	for (size_t i = 0; i < s->count; i++)
		SSL_SESSION_free(s->list[i]);
	free(s);
}

struct tls_sessions *
tls_sessions_new(void)
{
	struct tls_sessions *t = xcalloc(1, sizeof *t);

	t->shelves = table_new(TLS_SESSIONS_SERVERS, shelf_free);
	return t;
}

void
tls_sessions_free(struct tls_sessions **sessions)
{
	struct tls_sessions *t = *sessions;

	*sessions = NULL;
	if (t == NULL)
		return;
	table_free(&t->shelves);
	free(t);
}

void
tls_sessions_forget(struct tls_sessions *t)
{
	table_clear(t->shelves);
}

static void
shelf_drop_oldest(struct shelf *s)
{
	SSL_SESSION_free(s->list[0]);
	s->count--;
	memmove(s->list, s->list + 1, s->count * sizeof *s->list);
}

void
tls_sessions_drop(struct tls_sessions *t, const char *name)
{
	struct shelf *s = table_get(t->shelves, name);

	while (s != NULL && s->count > 0)
		shelf_drop_oldest(s);
}

void
tls_sessions_put(struct tls_sessions *t, const char *name, SSL_SESSION *session)
{
	struct shelf *s = table_get(t->shelves, name);

	if (!SSL_SESSION_is_resumable(session))
		return;
	if (s == NULL) {
		s = xcalloc(1, sizeof *s);
		table_put(t->shelves, name, s);
	}
	for (size_t i = 0; i < s->count; i++) {
		if (s->list[i] == session)
			return;
	}
	if (s->count == TLS_SESSIONS_EACH)
		shelf_drop_oldest(s);
	SSL_SESSION_up_ref(session);
	s->list[s->count++] = session;
}

/* Neither the session nor the certificate that was verified for it has expired since. */
static bool
is_usable(SSL_SESSION *session)
{
	X509 *peer = SSL_SESSION_get0_peer(session);
	int64_t age = clock_wall() / 1000 - SSL_SESSION_get_time(session);

	if (!SSL_SESSION_is_resumable(session) || age < 0 ||
	    age >= SSL_SESSION_get_timeout(session))
		return false;
	return peer == NULL || X509_cmp_current_time(X509_get0_notAfter(peer)) > 0;
}

SSL_SESSION *
tls_sessions_take(struct tls_sessions *t, const char *name)
{
	struct shelf *s = table_get(t->shelves, name);

	while (s != NULL && s->count > 0) {
		SSL_SESSION *session = s->list[--s->count];

		if (is_usable(session))
			return session;
		SSL_SESSION_free(session);
	}
	return NULL;
}
