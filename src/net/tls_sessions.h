#ifndef POSTRIDER_NET_TLS_SESSIONS_H
#define POSTRIDER_NET_TLS_SESSIONS_H

#include <stddef.h>

struct ssl_session_st;
struct tls_sessions;

/*
 * Sessions for resumption (RFC 8446 section 2.2, RFC 5077) of servers that were verified, by the
 * name that a caller makes of the server and all settings that matter.  Each is given out once, as
 * RFC 8446 appendix C.4 wants of tickets; whoever resumed a TLS 1.2 session puts it back.
 */
#define TLS_SESSIONS_SERVERS 1024
#define TLS_SESSIONS_EACH    4

struct tls_sessions *tls_sessions_new(void);
void tls_sessions_free(struct tls_sessions **sessions);
void tls_sessions_forget(struct tls_sessions *sessions);

/* Takes a reference of its own; of too many the oldest goes. */
void tls_sessions_put(
    struct tls_sessions *sessions, const char *name, struct ssl_session_st *session);

/* Those of one server. */
void tls_sessions_drop(struct tls_sessions *sessions, const char *name);

/* The newest that can still be used, a reference for the caller to drop, or NULL. */
struct ssl_session_st *tls_sessions_take(struct tls_sessions *sessions, const char *name);

#endif
