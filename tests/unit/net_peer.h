#ifndef POSTRIDER_TESTS_NET_PEER_H
#define POSTRIDER_TESTS_NET_PEER_H

#include "base/str.h"
#include "config/config.h"
#include "net/conn.h"
#include "net/net.h"

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* -- a client: a conn whose events are written down as text */

struct client;

/* What a test does on an event, besides; returns how many octets it takes. */
typedef size_t client_hook(struct client *c, enum conn_event event, const struct conn_info *info);

struct client {
	struct event_base *base;
	struct net *net;
	struct endpoint_config endpoint;
	struct conn_settings settings;
	struct conn *conn;
	client_hook *hook; /* NULL: takes every octet */
	void *arg;
	struct str log; /* "connecting connected <+OK> [octets] secured failed(network/closed) " */
	struct verdict why; /* once it failed */
	size_t octets;      /* received in octet mode */
	bool quiet;         /* octets are not written down */
};

/* "127.0.0.1", tls = none, no timeouts. */
void client_init(struct client *c, uint16_t port);
void client_clear(struct client *c);
void client_start(struct client *c);

/* Runs the loop until the log holds the text. */
void client_run_until(struct client *c, const char *text);
void client_run_until_failed(struct client *c);
void client_run_until_in(struct client *c, uint64_t octets);

/* -- a listening socket, without a thread */

int listen_on(const char *address, uint16_t *port);
int accept_one(int listener);

/* A port of 127.0.0.1 where nobody listens. */
uint16_t dead_port(void);

/* -- certificates, made at run time */

struct identity {
	EVP_PKEY *key;
	X509 *cert;
};

struct identity_settings {
	const struct identity *issuer; /* NULL: self-signed */
	const char *name;              /* the subject's common name, NULL: none */
	const char *alternatives;      /* "DNS:a,IP:127.0.0.1" or NULL */
	long from;                     /* days from now */
	long to;
	bool ca;
};

void identity_make(struct identity *identity, const struct identity_settings *settings);
void identity_clear(struct identity *identity);
void identity_write(const struct identity *identity, const char *cert_file, const char *key_file);

/* -- a server in a thread of its own, one connection after the other */

struct peer;

struct peer_conn {
	struct peer *peer;
	int fd;
	int number; /* 0 for the first connection */
	SSL *ssl;
};

typedef void peer_script(struct peer_conn *c);

struct peer {
	int listener;
	uint16_t port;
	pthread_t thread;
	peer_script *script;
	SSL_CTX *tls;
	void *arg;
};

/* identity may be NULL for a server without TLS. */
void peer_start(struct peer *p, peer_script *script, const struct identity *identity, void *arg);
void peer_stop(struct peer *p);

/* For scripts; they end the process with a message when the client does not do its part. */
bool peer_tls(struct peer_conn *c); /* false: the handshake failed */
void peer_say(struct peer_conn *c, const void *data, size_t len);
void peer_say_line(struct peer_conn *c, const char *line);
void peer_expect(struct peer_conn *c, const char *line);

/* Reads until the client closes; returns how many octets came. */
size_t peer_drain(struct peer_conn *c);

#endif
