#include "unit.h"

#include "tls_fixture.h"

#include "net/tls_binding.h"

#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(row) (sizeof(row) / sizeof((row)[0]))

/* Tells the client its own view of the binding, which is the same only without one in between. */
static void
tell_binding(struct peer_conn *c)
{
	unsigned char data[64];
	char line[160] = "+OK ";
	size_t len = 32;

	if (!peer_tls(c))
		return;
	if (SSL_version(c->ssl) >= TLS1_3_VERSION)
		SSL_export_keying_material(
		    c->ssl, data, len, "EXPORTER-Channel-Binding", 24, NULL, 0, 0);
	else
		len = SSL_session_reused(c->ssl) ? SSL_get_finished(c->ssl, data, sizeof data)
						 : SSL_get_peer_finished(c->ssl, data, sizeof data);
	for (size_t i = 0; i < len; i++)
		snprintf(line + strlen(line), 3, "%02x", data[i]);
	peer_say_line(c, line);
	peer_drain(c);
}

static void
assert_end_point(const struct tls_binding *binding, const X509 *certificate, const EVP_MD *md)
{
	unsigned char digest[EVP_MAX_MD_SIZE], *der = NULL;
	int len = i2d_X509(certificate, &der);
	unsigned size;

	assert_int_equal(EVP_Digest(der, (size_t)len, digest, &size, md, NULL), 1);
	OPENSSL_free(der);
	assert_int_equal(binding->kind, TLS_BINDING_END_POINT);
	assert_int_equal(binding->len, size);
	assert_memory_equal(binding->data, digest, size);
}

static void
both_sides_have_the_same_binding(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	struct tls_binding bindings[TLS_BINDINGS_MAX];
	struct fixture f;

	(void)state;
	assert_int_equal(tls_binding_list(NULL, bindings), 0);
	for (size_t i = 0; i < 4; i++) { /* each version twice: in full, and resumed */
		if (i % 2 == 0) {
			begin(&f, tell_binding, &good, TLS_IMPLICIT);
			SSL_CTX_set_max_proto_version(f.peer.tls, versions[i / 2]);
		}
		client_start(&f.c);
		client_run_until(&f.c, "> ");
		assert_int_equal(tls_binding_list(conn_ssl(f.c.conn), bindings), 2);
		assert_int_equal(
		    bindings[0].kind, i < 2 ? TLS_BINDING_UNIQUE : TLS_BINDING_EXPORTER);
		char line[160] = "<+OK ";
		for (size_t j = 0; j < bindings[0].len; j++)
			snprintf(line + strlen(line), 3, "%02x", bindings[0].data[j]);
		assert_non_null(strstr(str_text(&f.c.log), line));
		assert_end_point(&bindings[1], good.cert, EVP_sha256());
		assert_int_equal(SSL_session_reused(conn_ssl(f.c.conn)), i % 2);
		if (i % 2 == 1)
			end(&f);
	}
}

static EVP_PKEY *
make_key(const char *type)
{
	if (strcmp(type, "RSA") == 0)
		return EVP_RSA_gen(2048);
	return strcmp(type, "EC") == 0 ? EVP_EC_gen("P-256") : EVP_PKEY_Q_keygen(NULL, NULL, type);
}

/* Like `good`, but signed by its own key, which lets a server show the weakest of hashes. */
static void
make_signed(struct identity *identity, const char *type, const EVP_MD *md, bool pss)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *key;

	identity->cert = X509_dup(good.cert);
	identity->key = make_key(type);
	assert_int_equal(X509_set_pubkey(identity->cert, identity->key), 1);
	X509_set_issuer_name(identity->cert, X509_get_subject_name(identity->cert));
	assert_int_equal(EVP_DigestSignInit(context, &key, md, NULL, identity->key), 1);
	if (pss)
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(key, RSA_PKCS1_PSS_PADDING), 1);
	assert_true(X509_sign_ctx(identity->cert, context) > 0);
	EVP_MD_CTX_free(context);
}

static void
say_ready(struct peer_conn *c)
{
	if (peer_tls(c))
		peer_say_line(c, "+OK");
	peer_drain(c);
}

/* RFC 5929 section 4.1. */
static void
the_end_point_has_the_hash_of_its_signature(void **state)
{
	const struct {
		const char *type;
		const EVP_MD *signature;
		bool pss;
		const EVP_MD *hash; /* NULL: there is no such binding */
	} row[] = {
	    {"RSA", EVP_md5(), false, EVP_sha256()},
	    {"RSA", EVP_sha1(), false, EVP_sha256()},
	    {"RSA", EVP_sha224(), false, EVP_sha224()},
	    {"RSA", EVP_sha384(), false, EVP_sha384()},
	    {"RSA", EVP_sha384(), true, EVP_sha384()},
	    {"RSA", EVP_sha1(), true, EVP_sha256()},
	    {"EC", EVP_sha1(), false, EVP_sha256()},
	    {"EC", EVP_sha256(), false, EVP_sha256()},
	    {"EC", EVP_sha512(), false, EVP_sha512()},
	    {"ED25519", NULL, false, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(row); i++) {
		struct tls_binding bindings[TLS_BINDINGS_MAX];
		struct identity identity;
		struct fixture f;

		make_signed(&identity, row[i].type, row[i].signature, row[i].pss);
		begin(&f, say_ready, &identity, TLS_IMPLICIT);
		f.c.endpoint.tls_config.verify = false;
		SSL_CTX_set_max_proto_version(f.peer.tls, TLS1_2_VERSION);
		SSL_CTX_set_options(f.peer.tls, SSL_OP_NO_EXTENDED_MASTER_SECRET);
		client_start(&f.c);
		client_run_until(&f.c, "> ");
		assert_int_equal(
		    tls_binding_list(conn_ssl(f.c.conn), bindings), row[i].hash != NULL);
		if (row[i].hash != NULL)
			assert_end_point(&bindings[0], identity.cert, row[i].hash);
		end(&f);
		identity_clear(&identity);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(both_sides_have_the_same_binding),
	    cmocka_unit_test(the_end_point_has_the_hash_of_its_signature),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, make_identities, clear_identities);
}
