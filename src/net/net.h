#ifndef POSTRIDER_NET_NET_H
#define POSTRIDER_NET_NET_H

#include "base/verdict.h"

struct event_base;
struct net;
struct tls_config;

/*
 * What connections share: the resolver's threads and cache, the TLS contexts (one CA store for
 * each tls_ca_file, loaded once, off the loop), sessions for resumption (kept for each host, port,
 * server name and TLS settings), and the reaper of closed connections.
 *
 * Ignores SIGPIPE in the whole process: OpenSSL writes to sockets that peers may have closed.
 */
struct net *net_new(struct event_base *base);

/* After every conn is freed.  Sets the pointer to NULL. */
void net_free(struct net **net);

/* Forgets names, TLS contexts and sessions: after a reload, or when routes changed. */
void net_forget(struct net *net);

#endif
