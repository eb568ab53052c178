#include "net/tls_binding.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdbool.h>

#define EXPORTER_LABEL "EXPORTER-Channel-Binding"
#define EXPORTER_SIZE  32

/* The first Finished message: the client's, in a resumed handshake the server's. */
static bool
read_unique(SSL *ssl, struct tls_binding *b)
{
	if (SSL_get_extms_support(ssl) != 1)
		return false;
	b->kind = TLS_BINDING_UNIQUE;
	b->len = SSL_session_reused(ssl) ? SSL_get_peer_finished(ssl, b->data, sizeof b->data)
					 : SSL_get_finished(ssl, b->data, sizeof b->data);
	return b->len > 0 && b->len <= sizeof b->data;
}

static bool
read_exporter(SSL *ssl, struct tls_binding *b)
{
	b->kind = TLS_BINDING_EXPORTER;
	b->len = EXPORTER_SIZE;
	return SSL_export_keying_material(ssl, b->data, EXPORTER_SIZE, EXPORTER_LABEL,
		   sizeof EXPORTER_LABEL - 1, (const unsigned char *)"", 0, 1) == 1;
}

/* RFC 5929 section 4.1: the hash of the certificate's signature, SHA-256 in place of weaker ones.
 */
static const EVP_MD *
end_point_digest(X509 *certificate)
{
	int nid;

	if (X509_get_signature_info(certificate, &nid, NULL, NULL, NULL) != 1)
		return NULL;
	if (nid == NID_md5 || nid == NID_sha1)
		return EVP_sha256();
	return nid != NID_undef ? EVP_get_digestbynid(nid) : NULL;
}

static bool
read_end_point(SSL *ssl, struct tls_binding *b)
{
	X509 *certificate = SSL_get0_peer_certificate(ssl);
	unsigned len = sizeof b->data;
	const EVP_MD *md;

	if (certificate == NULL || (md = end_point_digest(certificate)) == NULL)
		return false;
	if (X509_digest(certificate, md, b->data, &len) != 1)
		return false;
	b->kind = TLS_BINDING_END_POINT;
	b->len = len;
	return true;
}

size_t
tls_binding_list(SSL *ssl, struct tls_binding bindings[TLS_BINDINGS_MAX])
{
	size_t count = 0;

	if (ssl == NULL)
		return 0;
	if (SSL_version(ssl) >= TLS1_3_VERSION ? read_exporter(ssl, &bindings[0])
					       : read_unique(ssl, &bindings[0]))
		count++;
	if (read_end_point(ssl, &bindings[count]))
		count++;
	return count;
}
