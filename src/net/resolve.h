#ifndef POSTRIDER_NET_RESOLVE_H
#define POSTRIDER_NET_RESOLVE_H

#include "net/address.h"

#include <stddef.h>

struct addrinfo;
struct event_base;

/*
 * Names to addresses with getaddrinfo(3), which alone knows hosts files, nsswitch and resolv.conf
 * of the moment, in up to RESOLVE_THREADS threads made on demand.  Each (name, family) is asked
 * once at a time, however many want it, and remembered for RESOLVE_KEEP (a failure for
 * RESOLVE_KEEP_FAILURE) ms.  A lookup that hangs occupies its own thread only, and there are more
 * threads than A and AAAA questions of all the sessions (64, with deliveries 128) that accounts in
 * trouble may hold, which is half of them.
 */
#define RESOLVE_THREADS      160
#define RESOLVE_KEEP         60000
#define RESOLVE_KEEP_FAILURE 5000
#define RESOLVE_ADDRESSES    16 /* of one name and family; the rest is dropped */

struct resolver;
struct lookup;

/* What a name came to: addresses without a port in the order of RFC 6724, or an error. */
struct resolve_answer {
	int error; /* 0, or EAI_... */
	int code;  /* errno with EAI_SYSTEM */
	size_t count;
	struct address list[RESOLVE_ADDRESSES];
};

/* The answer is borrowed for the call, after which the lookup is over. */
typedef void resolve_cb(const struct resolve_answer *answer, void *arg);

struct resolver *resolve_new(struct event_base *base);

/* Waits for nothing: a thread that hangs in getaddrinfo(3) is left to itself.  Sets it to NULL. */
void resolve_free(struct resolver **resolver);

/* Forgets what was answered; lookups under way answer their callers and are forgotten then. */
void resolve_forget(struct resolver *resolver);

/* Asks for AF_INET or AF_INET6 addresses.  The callback never runs inside. */
struct lookup *resolve_ask(
    struct resolver *resolver, const char *name, int family, resolve_cb *cb, void *arg);

/* The callback will not run.  Sets the pointer to NULL; NULL inside is fine. */
void resolve_withdraw(struct lookup **lookup);

/* Tests put their own functions here; NULL brings getaddrinfo(3) back.  Called in threads. */
struct resolve_source {
	int (*get)(const char *name, const char *service, const struct addrinfo *hints,
	    struct addrinfo **found);
	void (*release)(struct addrinfo *found);
};

void resolve_set_source(const struct resolve_source *source);

#endif
