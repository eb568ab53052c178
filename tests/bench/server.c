#include "server.h"

#include "loopback.h"

#include <openssl/err.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* One thread's; the thread frees it. */
struct connection {
	SSL_CTX *context; /* the server's, for its whole life */
	void (*serve)(int fd, SSL_CTX *context);
	int fd;
};

static void *
connection_main(void *arg)
{
	struct connection *c = arg;

	c->serve(c->fd, c->context);
	close(c->fd);
	free(c);
	return NULL;
}

static void
start_connection(const struct connection *like, int fd)
{
	struct connection *c = malloc(sizeof *c);
	pthread_t thread;

	if (c == NULL)
		loopback_die("malloc");
	*c = *like;
	c->fd = fd;
	if (pthread_create(&thread, NULL, connection_main, c) != 0)
		loopback_die_text("no thread to be had");
	pthread_detach(thread);
}

static SSL_CTX *
open_context(const char *cert, const char *key)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	if (context == NULL || SSL_CTX_use_certificate_chain_file(context, cert) != 1 ||
	    SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
		ERR_print_errors_fp(stderr);
		loopback_die_text("the certificate or its key cannot be used");
	}
	return context;
}

void
server_run(const char *cert, const char *key, void (*serve)(int fd, SSL_CTX *context))
{
	const struct connection like = {.context = open_context(cert, key), .serve = serve};
	uint16_t port;
	int listener = loopback_listen(&port);

	signal(SIGPIPE, SIG_IGN);
	loopback_announce(port);
	for (;;)
		start_connection(&like, loopback_accept(listener));
}
