#include "net/tls_binding.h"

#include <openssl/ssl.h>

#define EXPORTER_LABEL "EXPORTER-Channel-Binding"
#define EXPORTER_SIZE  32

/* The first Finished message: the client's, in a resumed handshake the server's. */
static void
read_unique(SSL *ssl, struct tls_binding *b)
{
	if (SSL_get_extms_support(ssl) != 1)
		return;
	b->len = SSL_session_reused(ssl) ? SSL_get_peer_finished(ssl, b->data, sizeof b->data)
					 : SSL_get_finished(ssl, b->data, sizeof b->data);
	if (b->len > 0 && b->len <= sizeof b->data)
		b->kind = TLS_BINDING_UNIQUE;
}

static void
read_exporter(SSL *ssl, struct tls_binding *b)
{
	if (SSL_export_keying_material(ssl, b->data, EXPORTER_SIZE, EXPORTER_LABEL,
		sizeof EXPORTER_LABEL - 1, (const unsigned char *)"", 0, 1) != 1)
		return;
	b->len = EXPORTER_SIZE;
	b->kind = TLS_BINDING_EXPORTER;
}

void
tls_binding_read(SSL *ssl, struct tls_binding *b)
{
	*b = (struct tls_binding){.kind = TLS_BINDING_NONE};
	if (ssl == NULL)
		return;
	if (SSL_version(ssl) >= TLS1_3_VERSION)
		read_exporter(ssl, b);
	else
		read_unique(ssl, b);
}
