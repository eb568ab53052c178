#include "net_peer.h"

#include "unit.h"

#include "net/address.h"

#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* -- the client ------------------------------------------------------------------------------- */

static size_t
on_event(struct conn *conn, enum conn_event event, const struct conn_info *info, void *arg)
{
	static const char *const names[] = {[CONN_CONNECTING] = "connecting ",
	    [CONN_CONNECTED] = "connected ",
	    [CONN_SECURED] = "secured ",
	    [CONN_DRAINED] = "",
	    [CONN_LINE] = "<",
	    [CONN_OCTETS] = "[",
	    [CONN_FAILED] = "failed("};
	struct client *c = arg;
	size_t start = c->log.len, taken;

	(void)conn;
	if (event != CONN_OCTETS || !c->quiet)
		str_append_text(&c->log, names[event]);
	if (event == CONN_LINE) {
		assert_int_equal(info->data[info->len], '\0');
		str_append_escaped(&c->log, info->data, info->len);
		str_append_text(&c->log, "> ");
	} else if (event == CONN_FAILED) {
		c->why = *info->why;
		str_appendf(&c->log, "%s/%s) ", verdict_kind_name(c->why.kind), c->why.stage);
	}
	taken = c->hook != NULL ? c->hook(c, event, info) : info->len;
	if (event != CONN_OCTETS)
		return taken;
	c->octets += taken;
	if (c->quiet)
		return taken;
	str_append_escaped(&c->log, info->data, taken);
	str_append_text(&c->log, "] ");
	/* Slices are the kernel's choice: neighbours are written as one. */
	if (start >= 2 && strncmp(c->log.data + start - 2, "] [", 3) == 0) {
		memmove(c->log.data + start - 2, c->log.data + start + 1, c->log.len - start);
		c->log.len -= 3;
	}
	return taken;
}

void
client_init(struct client *c, uint16_t port)
{
	char host[] = "127.0.0.1";

	*c = (struct client){.base = event_base_new()};
	c->net = net_new(c->base);
	c->endpoint.host = strdup(host);
	c->endpoint.port = port;
	c->endpoint.tls = TLS_NONE;
	c->endpoint.tls_config.verify = true;
	c->endpoint.tls_config.min_version = TLS1_2_VERSION;
	c->settings = (struct conn_settings){.endpoint = &c->endpoint, .line_max = 1000};
}

void
client_clear(struct client *c)
{
	conn_free(&c->conn);
	net_free(&c->net);
	event_base_free(c->base);
	str_clear(&c->log);
	free(c->endpoint.host);
}

void
client_start(struct client *c)
{
	conn_free(&c->conn);
	str_truncate(&c->log, 0);
	c->octets = 0;
	c->why = (struct verdict)VERDICT_OK;
	c->conn = conn_new(c->net, &c->settings, on_event, c);
}

void
client_run_until(struct client *c, const char *text)
{
	while (strstr(str_text(&c->log), text) == NULL) {
		if (c->why.kind != FAIL_NONE)
			fail_msg("%s: %s", str_text(&c->log), c->why.text);
		event_base_loop(c->base, EVLOOP_ONCE);
	}
}

void
client_run_until_failed(struct client *c)
{
	while (c->why.kind == FAIL_NONE)
		event_base_loop(c->base, EVLOOP_ONCE);
}

void
client_run_until_in(struct client *c, uint64_t octets)
{
	while (conn_octets_in(c->conn) < octets)
		event_base_loop(c->base, EVLOOP_ONCE);
}

/* -- sockets ---------------------------------------------------------------------------------- */

int
listen_on(const char *address, uint16_t *port)
{
	struct address a;
	const int on = 1;
	int fd;

	assert_true(address_parse(address, *port, &a));
	fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	assert_int_equal(bind(fd, &a.any, a.len), 0);
	assert_int_equal(listen(fd, 64), 0);
	assert_int_equal(getsockname(fd, &a.any, &a.len), 0);
	*port = ntohs(a.any.sa_family == AF_INET6 ? a.in6.sin6_port : a.in.sin_port);
	return fd;
}

int
accept_one(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

uint16_t
dead_port(void)
{
	uint16_t port = 0;

	close(listen_on("127.0.0.1", &port));
	return port;
}

/* -- certificates ----------------------------------------------------------------------------- */

static void
add_extension(X509 *x, const struct identity *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&context, issuer != NULL ? issuer->cert : x, x, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	assert_non_null(extension);
	X509_add_ext(x, extension, -1);
	X509_EXTENSION_free(extension);
}

void
identity_make(struct identity *identity, const struct identity_settings *s)
{
	static long serial = 1;
	const struct identity *issuer = s->issuer;
	X509 *x = X509_new();

	identity->key = EVP_EC_gen("P-256");
	identity->cert = x;
	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
	X509_gmtime_adj(X509_getm_notBefore(x), s->from * 86400);
	X509_gmtime_adj(X509_getm_notAfter(x), s->to * 86400);
	if (s->name != NULL)
		X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
		    (const unsigned char *)s->name, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(issuer != NULL ? issuer->cert : x));
	X509_set_pubkey(x, identity->key);
	if (s->ca)
		add_extension(x, issuer, NID_basic_constraints, "critical,CA:TRUE");
	if (s->alternatives != NULL)
		add_extension(x, issuer, NID_subject_alt_name, s->alternatives);
	assert_true(X509_sign(x, issuer != NULL ? issuer->key : identity->key, EVP_sha256()) > 0);
}

void
identity_clear(struct identity *identity)
{
	EVP_PKEY_free(identity->key);
	X509_free(identity->cert);
}

void
identity_write(const struct identity *identity, const char *cert_file, const char *key_file)
{
	FILE *f = fopen(cert_file, "w");

	assert_non_null(f);
	assert_int_equal(PEM_write_X509(f, identity->cert), 1);
	fclose(f);
	if (key_file == NULL)
		return;
	f = fopen(key_file, "w");
	assert_non_null(f);
	assert_int_equal(PEM_write_PrivateKey(f, identity->key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(f);
}

/* -- the server's thread ---------------------------------------------------------------------- */

static void
die(const char *what)
{
	fprintf(stderr, "peer: %s\n", what);
	abort();
}

static void *
peer_main(void *arg)
{
	struct peer *p = arg;
	struct peer_conn c = {.peer = p};

	while ((c.fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		p->script(&c);
		SSL_free(c.ssl);
		c.ssl = NULL;
		close(c.fd);
		c.number++;
	}
	return NULL;
}

void
peer_start(struct peer *p, peer_script *script, const struct identity *identity, void *arg)
{
	*p = (struct peer){.script = script, .arg = arg};
	if (identity != NULL) {
		p->tls = SSL_CTX_new(TLS_server_method());
		SSL_CTX_use_certificate(p->tls, identity->cert);
		SSL_CTX_use_PrivateKey(p->tls, identity->key);
		SSL_CTX_set_session_id_context(p->tls, (const unsigned char *)"peer", 4);
	}
	p->listener = listen_on("127.0.0.1", &p->port);
	assert_int_equal(pthread_create(&p->thread, NULL, peer_main, p), 0);
}

void
peer_stop(struct peer *p)
{
	shutdown(p->listener, SHUT_RDWR);
	pthread_join(p->thread, NULL);
	close(p->listener);
	SSL_CTX_free(p->tls);
}

bool
peer_tls(struct peer_conn *c)
{
	c->ssl = SSL_new(c->peer->tls);
	SSL_set_fd(c->ssl, c->fd);
	if (SSL_accept(c->ssl) == 1)
		return true;
	ERR_clear_error();
	return false;
}

static ssize_t
peer_write(struct peer_conn *c, const char *data, size_t len)
{
	if (c->ssl != NULL)
		return SSL_write(c->ssl, data, (int)len);
	return send(c->fd, data, len, MSG_NOSIGNAL);
}

static ssize_t
peer_read(struct peer_conn *c, char *data, size_t size)
{
	if (c->ssl != NULL)
		return SSL_read(c->ssl, data, (int)size);
	return recv(c->fd, data, size, 0);
}

void
peer_say(struct peer_conn *c, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = peer_write(c, at, len);

		if (n <= 0)
			break; /* the client did not like us: the test says whether that is right */
		at += n;
		len -= (size_t)n;
	}
	ERR_clear_error();
}

void
peer_say_line(struct peer_conn *c, const char *line)
{
	struct str s = STR_INIT;

	str_appendf(&s, "%s\r\n", line);
	peer_say(c, s.data, s.len);
	str_clear(&s);
}

void
peer_expect(struct peer_conn *c, const char *line)
{
	char got[4096];
	size_t len = 0;

	while (len < 2 || got[len - 1] != '\n') {
		if (len == sizeof got || peer_read(c, got + len++, 1) != 1)
			die("the client closed");
	}
	if (len != strlen(line) + 2 || memcmp(got, line, len - 2) != 0)
		die("the client said something else");
}

size_t
peer_drain(struct peer_conn *c)
{
	char buf[65536];
	size_t total = 0;
	ssize_t n;

	while ((n = peer_read(c, buf, sizeof buf)) > 0)
		total += (size_t)n;
	ERR_clear_error();
	return total;
}
