#include "tls_fixture.h"

#include "unit.h"

#include "base/xalloc.h"
#include "net/tls_verify.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct identity ca, good, wrong_name, nameless, expired, future, self_signed, stranger, client,
    old_ca, below_old_ca;
char tls_directory[] = "/tmp/test_tls.XXXXXX";
char *ca_file, *client_cert, *client_key;

int
make_identities(void **state)
{
	const char *here = "DNS:localhost,IP:127.0.0.1";

	(void)state;
	assert_non_null(mkdtemp(tls_directory));
	ca_file = xasprintf("%s/ca.crt", tls_directory);
	client_cert = xasprintf("%s/client.crt", tls_directory);
	client_key = xasprintf("%s/client.key", tls_directory);
	identity_make(&ca, &(struct identity_settings){NULL, "Test CA", NULL, -1, 100, true});
	identity_make(&good, &(struct identity_settings){&ca, "localhost", here, -1, 100, false});
	identity_make(&wrong_name, &(struct identity_settings){&ca, "other",
				       "DNS:mail.example.test,DNS:*.example.test,"
				       "IP:192.0.2.9,IP:2001:db8::9",
				       -1, 100, false});
	identity_make(&nameless, &(struct identity_settings){&ca, NULL, NULL, -1, 100, false});
	identity_make(
	    &expired, &(struct identity_settings){&ca, "localhost", here, -100, -10, false});
	identity_make(&future, &(struct identity_settings){&ca, "localhost", here, 10, 100, false});
	identity_make(
	    &self_signed, &(struct identity_settings){NULL, "localhost", here, -1, 100, false});
	identity_make(&old_ca, &(struct identity_settings){NULL, "Old CA", NULL, -100, -10, true});
	identity_make(
	    &below_old_ca, &(struct identity_settings){&old_ca, "localhost", here, -1, 100, false});
	identity_make(
	    &stranger, &(struct identity_settings){&old_ca, "stranger", here, -1, 100, false});
	identity_make(&client, &(struct identity_settings){&ca, "me", NULL, -1, 100, false});
	identity_write(&ca, ca_file, NULL);
	identity_write(&client, client_cert, client_key);
	return 0;
}

int
clear_identities(void **state)
{
	struct identity *all[] = {&ca, &good, &wrong_name, &nameless, &expired, &future,
	    &self_signed, &stranger, &client, &old_ca, &below_old_ca};
	char *command = xasprintf("rm -rf '%s'", tls_directory);

	(void)state;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		identity_clear(all[i]);
	free(ca_file);
	free(client_cert);
	free(client_key);
	assert_int_equal(system(command), 0);
	free(command);
	return 0;
}

void
begin(struct fixture *f, peer_script *script, const struct identity *identity, enum tls_mode mode)
{
	*f = (struct fixture){0};
	peer_start(&f->peer, script, identity, f);
	client_init(&f->c, f->peer.port);
	f->c.endpoint.tls = mode;
	f->c.endpoint.tls_config.ca_file = ca_file;
}

void
end(struct fixture *f)
{
	client_clear(&f->c);
	peer_stop(&f->peer);
}

void
greet(struct peer_conn *c)
{
	if (!peer_tls(c))
		return;
	peer_say_line(c, SSL_session_reused(c->ssl) ? "+OK resumed" : "+OK ready");
	peer_drain(c);
}

void
assert_text(struct fixture *f, const char *text)
{
	if (strstr(f->c.why.text, text) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", text, f->c.why.text);
}

void
make_pin(struct tls_pin *pin, enum pin_kind kind, const struct identity *identity)
{
	unsigned char *der = NULL;
	int len = kind == PIN_KEY ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(identity->cert), &der)
				  : i2d_X509(identity->cert, &der);

	pin->kind = kind;
	EVP_Digest(der, (size_t)len, pin->sha256, NULL, EVP_sha256(), NULL);
	OPENSSL_free(der);
}

/* What the transcript says of the connection. */
void
assert_described(struct fixture *f, const char *text)
{
	struct str got = STR_INIT;

	tls_verify_describe(conn_ssl(f->c.conn), &f->c.endpoint.tls_config, &got);
	assert_string_equal(str_text(&got), text);
	str_clear(&got);
}

void
assert_greeted(struct fixture *f, const char *line)
{
	client_start(&f->c);
	client_run_until(&f->c, "> ");
	assert_non_null(strstr(str_text(&f->c.log), line));
}
