#include "unit.h"

#include "net_peer.h"

#include "base/xalloc.h"
#include "net/tls_binding.h"
#include "net/tls_verify.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What all tests use: a CA and the certificates that it issued, or did not. */
static struct identity ca, good, wrong_name, nameless, expired, future, self_signed, stranger,
    client;
static struct identity old_ca, below_old_ca;
static char directory[] = "/tmp/test_tls.XXXXXX";
static char *ca_file, *client_cert, *client_key;

static int
make_identities(void **state)
{
	const char *here = "DNS:localhost,IP:127.0.0.1";

	(void)state;
	assert_non_null(mkdtemp(directory));
	ca_file = xasprintf("%s/ca.crt", directory);
	client_cert = xasprintf("%s/client.crt", directory);
	client_key = xasprintf("%s/client.key", directory);
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

static int
clear_identities(void **state)
{
	struct identity *all[] = {&ca, &good, &wrong_name, &nameless, &expired, &future,
	    &self_signed, &stranger, &client, &old_ca, &below_old_ca};
	char *command = xasprintf("rm -rf '%s'", directory);

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

struct fixture {
	struct client c;
	struct peer peer;
};

static void
begin(struct fixture *f, peer_script *script, const struct identity *identity, enum tls_mode mode)
{
	*f = (struct fixture){0};
	peer_start(&f->peer, script, identity, f);
	client_init(&f->c, f->peer.port);
	f->c.endpoint.tls = mode;
	f->c.endpoint.tls_config.ca_file = ca_file;
}

static void
end(struct fixture *f)
{
	client_clear(&f->c);
	peer_stop(&f->peer);
}

static void
greet(struct peer_conn *c)
{
	if (!peer_tls(c))
		return;
	peer_say_line(c, SSL_session_reused(c->ssl) ? "+OK resumed" : "+OK ready");
	peer_drain(c);
}

static void
assert_text(struct fixture *f, const char *text)
{
	if (strstr(f->c.why.text, text) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", text, f->c.why.text);
}

/* -- who is trusted --------------------------------------------------------------------------- */

static void
a_verified_server_is_secured(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, greet, &good, TLS_IMPLICIT);
	client_start(&f.c);
	client_run_until(&f.c, "<+OK ready> ");
	assert_string_equal(str_text(&f.c.log), "connecting connected secured <+OK ready> ");
	assert_true(conn_is_secured(f.c.conn));
	assert_non_null(conn_ssl(f.c.conn));
	end(&f);
}

static void
what_is_wrong_is_said(void **state)
{
	static const struct {
		const struct identity *identity;
		const char *text;
		const char *host; /* NULL: 127.0.0.1 */
	} cases[] = {
	    {&expired, " expired on 20", NULL},
	    {&expired, "; tell the server's administrator", NULL},
	    {&future, " is not valid before 20", NULL},
	    {&wrong_name,
		"is not for 127.0.0.1 but for mail.example.test, *.example.test, 192.0.2.9, "
		"2001:db8::9; check host",
		NULL},
	    {&nameless, "is not for 127.0.0.1 but for no name at all", NULL},
	    {&self_signed,
		" is self-signed; if it is the right one, set tls_ca_file, or "
		"tls_fingerprint = \"sha256:",
		NULL},
	    {&stranger, " is issued by an unknown authority; if ", NULL},
	};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		begin(&f, greet, cases[i].identity, TLS_IMPLICIT);
		client_start(&f.c);
		client_run_until_failed(&f.c);
		assert_string_equal(str_text(&f.c.log), "connecting connected failed(tls/verify) ");
		assert_text(&f, cases[i].text);
		end(&f);
	}
}

static void
names_are_compared_as_rfc_9525_says(void **state)
{
	static const struct {
		const char *alternatives;
		const char *name;
		bool good;
	} cases[] = {
	    {"DNS:pop.example.test", "pop.example.test", true},
	    {"DNS:pop.example.test", "POP.EXAMPLE.TEST.", true},
	    {"DNS:*.example.test", "pop.example.test", true},
	    {"DNS:*.example.test", "a.pop.example.test", false},
	    {"DNS:*.example.test", "example.test", false},
	    {"DNS:p*.example.test", "pop.example.test", false},
	    {"DNS:xn--mller-kva.test", "m\xc3\xbcller.test", true},
	    {"DNS:127.0.0.1", "127.0.0.1", false},
	    {"IP:127.0.0.1", "127.0.0.1", true},
	};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct identity identity;

		identity_make(&identity, &(struct identity_settings){&ca, "pop.example.test",
					     cases[i].alternatives, -1, 100, false});
		begin(&f, greet, &identity, TLS_IMPLICIT);
		f.c.endpoint.tls_config.server_name = strdup(cases[i].name);
		client_start(&f.c);
		if (cases[i].good) {
			client_run_until(&f.c, "secured ");
		} else {
			client_run_until_failed(&f.c);
			assert_text(&f, "is not for ");
		}
		free(f.c.endpoint.tls_config.server_name);
		end(&f);
		identity_clear(&identity);
	}
}

static void
an_old_ca_is_named(void **state)
{
	char *old = xasprintf("%s/old.crt", directory);
	struct fixture f;

	(void)state;
	identity_write(&old_ca, old, NULL);
	begin(&f, greet, &below_old_ca, TLS_IMPLICIT);
	f.c.endpoint.tls_config.ca_file = old;
	client_start(&f.c);
	client_run_until_failed(&f.c);
	assert_text(&f, "CA certificate 1 above the certificate of 127.0.0.1:");
	end(&f);
	free(old);
}

static void
a_ca_file_may_hold_the_certificate_itself(void **state)
{
	const struct identity *all[] = {&self_signed, &stranger};
	char *own = xasprintf("%s/own.crt", directory);
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		identity_write(all[i], own, NULL);
		begin(&f, greet, all[i], TLS_IMPLICIT);
		f.c.endpoint.tls_config.ca_file = own;
		client_start(&f.c);
		client_run_until(&f.c, "<+OK ready> ");
		end(&f);
	}
	free(own);
}

static void
without_a_ca_file_the_systems_are_used(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, greet, &good, TLS_IMPLICIT);
	f.c.endpoint.tls_config.ca_file = NULL;
	client_start(&f.c);
	client_run_until_failed(&f.c);
	assert_text(&f, "unknown authority");
	net_forget(f.c.net);
	setenv("SSL_CERT_FILE", ca_file, 1);
	client_start(&f.c);
	client_run_until(&f.c, "<+OK ready> ");
	unsetenv("SSL_CERT_FILE");
	end(&f);
}

static void
a_ca_directory_is_read_as_openssl_does(void **state)
{
	char *hashed = xasprintf("%s/%08lx.0", directory,
	    X509_NAME_hash_ex(X509_get_subject_name(ca.cert), NULL, NULL, NULL));
	char *list = xasprintf("/nonexistent:%s", directory);
	struct fixture f;

	(void)state;
	identity_write(&ca, hashed, NULL);
	setenv("SSL_CERT_DIR", list, 1);
	begin(&f, greet, &good, TLS_IMPLICIT);
	f.c.endpoint.tls_config.ca_file = NULL;
	client_start(&f.c);
	client_run_until(&f.c, "<+OK ready> ");
	end(&f);
	unsetenv("SSL_CERT_DIR");
	free(hashed);
	free(list);
}

static void
unreadable_files_are_named(void **state)
{
	char *empty = xasprintf("%s/empty", directory);
	struct fixture f;

	(void)state;
	fclose(fopen(empty, "w"));
	begin(&f, greet, &good, TLS_IMPLICIT);
	f.c.endpoint.tls_config.ca_file = empty;
	client_start(&f.c);
	client_run_until_failed(&f.c);
	assert_int_equal(f.c.why.kind, FAIL_LOCAL);
	assert_text(&f, "/empty: no certificate in it");
	f.c.endpoint.tls_config.ca_file = client_key;
	client_start(&f.c);
	client_run_until_failed(&f.c);
	assert_text(&f, "/client.key: no certificate in it");
	f.c.endpoint.tls_config.ca_file = ca_file;
	f.c.endpoint.tls_config.cert = client_key;
	client_start(&f.c);
	client_run_until_failed(&f.c);
	assert_text(&f, "tls_cert ");
	f.c.endpoint.tls_config.cert = NULL;
	unlink(empty);
	f.c.endpoint.tls_config.ca_file = empty;
	client_start(&f.c);
	client_run_until_failed(&f.c);
	assert_text(&f, "No such file or directory");
	identity_write(&ca, empty, NULL); /* not remembered as missing */
	client_start(&f.c);
	client_run_until(&f.c, "secured ");
	end(&f);
	free(empty);
}

/* -- pins, no verification -------------------------------------------------------------------- */

static void
make_pin(struct tls_pin *pin, enum pin_kind kind, const struct identity *identity)
{
	unsigned char *der = NULL;
	int len = kind == PIN_KEY ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(identity->cert), &der)
				  : i2d_X509(identity->cert, &der);

	pin->kind = kind;
	EVP_Digest(der, (size_t)len, pin->sha256, NULL, EVP_sha256(), NULL);
	OPENSSL_free(der);
}

static void
pins_replace_the_ca(void **state)
{
	struct tls_pin pins[2];
	struct fixture f;

	(void)state;
	for (int kind = PIN_CERTIFICATE; kind <= PIN_KEY; kind++) {
		make_pin(&pins[0], PIN_CERTIFICATE, &ca);
		make_pin(&pins[1], (enum pin_kind)kind, &self_signed);
		begin(&f, greet, &self_signed, TLS_IMPLICIT);
		f.c.endpoint.tls_config.ca_file = NULL;
		f.c.endpoint.tls_config.pins = pins;
		f.c.endpoint.tls_config.pin_count = 2;
		client_start(&f.c);
		client_run_until(&f.c, "<+OK ready> ");
		f.c.endpoint.tls_config.pin_count = 1;
		client_start(&f.c);
		client_run_until_failed(&f.c);
		assert_string_equal(str_text(&f.c.log), "connecting connected failed(tls/verify) ");
		assert_text(&f, "matches no tls_fingerprint: it is \"sha256:");
		assert_text(&f, "spki-sha256:");
		end(&f);
	}
}

/* A certificate's pin is not that of its key, and a trusted CA does not help. */
static void
a_pin_of_the_wrong_kind_is_no_pin(void **state)
{
	struct tls_pin pin;
	struct fixture f;

	(void)state;
	make_pin(&pin, PIN_KEY, &good);
	pin.kind = PIN_CERTIFICATE;
	begin(&f, greet, &good, TLS_IMPLICIT);
	f.c.endpoint.tls_config.pins = &pin;
	f.c.endpoint.tls_config.pin_count = 1;
	client_start(&f.c);
	client_run_until_failed(&f.c);
	assert_text(&f, "matches no tls_fingerprint");
	end(&f);
}

/* What the transcript says of the connection. */
static void
assert_described(struct fixture *f, const char *text)
{
	struct str got = STR_INIT;

	tls_verify_describe(conn_ssl(f->c.conn), &f->c.endpoint.tls_config, &got);
	assert_string_equal(str_text(&got), text);
	str_clear(&got);
}

static void
unverified_is_possible_and_is_said(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, greet, &expired, TLS_IMPLICIT);
	f.c.endpoint.tls_config.verify = false;
	client_start(&f.c);
	client_run_until(&f.c, "<+OK ready> ");
	assert_described(
	    &f, "TLSv1.3 TLS_AES_256_GCM_SHA384, CN=localhost not verified (tls_verify = false)");
	end(&f);
}

/* -- resumption ------------------------------------------------------------------------------- */

static void
assert_greeted(struct fixture *f, const char *line)
{
	client_start(&f->c);
	client_run_until(&f->c, "> ");
	assert_non_null(strstr(str_text(&f->c.log), line));
}

static void
sessions_are_resumed_with_the_same_settings_only(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		begin(&f, greet, &good, TLS_IMPLICIT);
		SSL_CTX_set_max_proto_version(f.peer.tls, versions[i]);
		assert_greeted(&f, "<+OK ready> ");
		for (int again = 0; again < 5; again++)
			assert_greeted(&f, "<+OK resumed> ");
		f.c.endpoint.tls_config.verify = false;
		assert_greeted(&f, "<+OK ready> ");
		assert_greeted(&f, "<+OK resumed> ");
		f.c.endpoint.tls_config.verify = true;
		f.c.endpoint.tls_config.server_name = strdup("localhost");
		assert_greeted(&f, "<+OK ready> ");
		free(f.c.endpoint.tls_config.server_name);
		f.c.endpoint.tls_config.server_name = NULL;
		assert_greeted(&f, "<+OK resumed> ");
		net_forget(f.c.net);
		assert_greeted(&f, "<+OK ready> ");
		end(&f);
	}
}

#define TICKETS 2000

/* Some 500 KiB that say nothing, and then a line. */
static void
send_tickets(struct peer_conn *c)
{
	char go;

	if (!peer_tls(c))
		return;
	for (int i = 0; i < TICKETS; i++) {
		if (SSL_new_session_ticket(c->ssl) != 1 || SSL_do_handshake(c->ssl) != 1)
			abort();
	}
	peer_say_line(c, "+OK ready");
	go = 1;
	(void)!write(*(int *)c->peer->arg, &go, 1);
	peer_drain(c);
}

static size_t
pause_when_secured(struct client *c, enum conn_event event, const struct conn_info *info)
{
	if (event == CONN_SECURED)
		conn_pause(c->conn);
	return info->len;
}

static void
tickets_without_end_leave_others_their_turn(void **state)
{
	struct fixture f;
	int ends[2], turns = 0;
	char go;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	begin(&f, send_tickets, &good, TLS_IMPLICIT);
	f.peer.arg = &ends[1];
	f.c.hook = pause_when_secured;
	client_start(&f.c);
	client_run_until(&f.c, "secured ");
	assert_int_equal(read(ends[0], &go, 1), 1);
	conn_resume(f.c.conn);
	while (strstr(str_text(&f.c.log), "<+OK ready> ") == NULL) {
		event_base_loop(f.c.base, EVLOOP_ONCE);
		turns++;
	}
	assert_true(turns > 3);
	end(&f);
	close(ends[0]);
	close(ends[1]);
}

/* -- channel binding -------------------------------------------------------------------------- */

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
both_sides_have_the_same_binding(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	struct tls_binding binding;
	struct fixture f;

	(void)state;
	tls_binding_read(NULL, &binding);
	assert_int_equal(binding.kind, TLS_BINDING_NONE);
	for (size_t i = 0; i < 4; i++) { /* each version twice: in full, and resumed */
		if (i % 2 == 0) {
			begin(&f, tell_binding, &good, TLS_IMPLICIT);
			SSL_CTX_set_max_proto_version(f.peer.tls, versions[i / 2]);
		}
		client_start(&f.c);
		client_run_until(&f.c, "> ");
		tls_binding_read(conn_ssl(f.c.conn), &binding);
		assert_int_equal(binding.kind, i < 2 ? TLS_BINDING_UNIQUE : TLS_BINDING_EXPORTER);
		char line[160] = "<+OK ";
		for (size_t j = 0; j < binding.len; j++)
			snprintf(line + strlen(line), 3, "%02x", binding.data[j]);
		assert_non_null(strstr(str_text(&f.c.log), line));
		assert_int_equal(SSL_session_reused(conn_ssl(f.c.conn)), i % 2);
		if (i % 2 == 1)
			end(&f);
	}
}

static void
a_resumed_session_is_described_as_such(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, greet, &good, TLS_IMPLICIT);
	assert_greeted(&f, "<+OK ready> ");
	assert_described(&f, "TLSv1.3 TLS_AES_256_GCM_SHA384, CN=localhost verified");
	assert_greeted(&f, "<+OK resumed> ");
	assert_described(&f, "TLSv1.3 TLS_AES_256_GCM_SHA384, CN=localhost verified, resumed");
	end(&f);
}

static void
note_resumed(struct peer_conn *c)
{
	if (peer_tls(c) && SSL_session_reused(c->ssl))
		*(bool *)c->peer->arg = true;
	peer_drain(c);
}

static void
a_session_with_an_unverified_server_is_not_kept(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	struct tls_pin pin;
	struct fixture f;
	bool resumed = false;

	(void)state;
	make_pin(&pin, PIN_KEY, &ca);
	for (size_t i = 0; i < 2; i++) {
		begin(&f, note_resumed, &good, TLS_IMPLICIT);
		f.peer.arg = &resumed;
		SSL_CTX_set_max_proto_version(f.peer.tls, versions[i]);
		f.c.endpoint.tls_config.pins = &pin;
		f.c.endpoint.tls_config.pin_count = 1;
		for (int again = 0; again < 3; again++) {
			client_start(&f.c);
			client_run_until_failed(&f.c);
		}
		end(&f);
		assert_false(resumed);
	}
}

/* -- STARTTLS --------------------------------------------------------------------------------- */

static void
agree_to_tls(struct peer_conn *c)
{
	peer_say_line(c, "+OK clear");
	peer_expect(c, "STLS");
	peer_say_line(c, "+OK begin");
	if (!peer_tls(c))
		return;
	peer_expect(c, "CAPA");
	peer_say_line(c, "+OK secure");
	peer_drain(c);
}

static size_t
want_tls(struct client *c, enum conn_event event, const struct conn_info *info)
{
	if (event == CONN_LINE && strcmp(info->data, "+OK clear") == 0)
		conn_send(c->conn, "STLS");
	else if (event == CONN_LINE && strcmp(info->data, "+OK begin") == 0)
		conn_starttls(c->conn);
	else if (event == CONN_SECURED)
		conn_send(c->conn, "CAPA");
	return info->len;
}

static void
tls_begins_in_place(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, agree_to_tls, &good, TLS_STARTTLS);
	f.c.hook = want_tls;
	client_start(&f.c);
	client_run_until(&f.c, "<+OK secure> ");
	assert_string_equal(str_text(&f.c.log),
	    "connecting connected <+OK clear> <+OK begin> secured <+OK secure> ");
	assert_true(conn_is_secured(f.c.conn));
	end(&f);
}

/* Whatever is sent behind the agreement must not leave in clear, even by mistake. */
static size_t
want_tls_and_hurry(struct client *c, enum conn_event event, const struct conn_info *info)
{
	if (event == CONN_LINE && strcmp(info->data, "+OK clear") == 0)
		conn_send(c->conn, "STLS");
	else if (event == CONN_LINE && strcmp(info->data, "+OK begin") == 0) {
		conn_starttls(c->conn);
		conn_send(c->conn, "CAPA");
	}
	return info->len;
}

static void
what_is_sent_behind_the_agreement_is_encrypted(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, agree_to_tls, &good, TLS_STARTTLS);
	f.c.hook = want_tls_and_hurry;
	client_start(&f.c);
	client_run_until(&f.c, "<+OK secure> ");
	end(&f);
}

static void
inject(struct peer_conn *c)
{
	peer_say_line(c, "+OK clear");
	peer_expect(c, "STLS");
	peer_say_line(c, "+OK begin\r\n+OK injected");
	peer_drain(c);
}

static void
injected_octets_are_refused(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, inject, &good, TLS_STARTTLS);
	f.c.hook = want_tls;
	client_start(&f.c);
	client_run_until_failed(&f.c);
	assert_string_equal(str_text(&f.c.log),
	    "connecting connected <+OK clear> <+OK begin> failed(tls/starttls) ");
	end(&f);
}

/* An attacker answers before the question has left: what follows would be out of step for good. */
static void
agree_unasked(struct peer_conn *c)
{
	peer_say_line(c, "+OK clear\r\n+OK begin");
	if (peer_tls(c))
		peer_say_line(c, "+OK secure");
	peer_drain(c);
}

static void
an_agreement_before_the_question_is_refused(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, agree_unasked, &good, TLS_STARTTLS);
	f.c.hook = want_tls;
	client_start(&f.c);
	client_run_until_failed(&f.c);
	assert_string_equal(str_text(&f.c.log),
	    "connecting connected <+OK clear> <+OK begin> failed(tls/starttls) ");
	end(&f);
}

static void
agree_and_lie(struct peer_conn *c)
{
	char buf[16];

	peer_say_line(c, "+OK clear");
	peer_expect(c, "STLS");
	peer_say_line(c, "+OK begin");
	(void)!recv(c->fd, buf, sizeof buf, 0); /* the ClientHello */
	peer_say_line(c, "-ERR what?");
	peer_drain(c);
}

static void
an_agreement_that_is_not_kept_is_said(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, agree_and_lie, &good, TLS_STARTTLS);
	f.c.hook = want_tls;
	client_start(&f.c);
	client_run_until_failed(&f.c);
	assert_string_equal(f.c.why.stage, "handshake");
	assert_text(&f, "agreed to TLS and then did not speak it");
	end(&f);
}

/* -- handshakes that fail --------------------------------------------------------------------- */

static void
greet_in_clear(struct peer_conn *c)
{
	peer_say_line(c, "+OK ready");
	peer_drain(c);
}

static void
a_port_without_tls_is_named(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, greet_in_clear, NULL, TLS_IMPLICIT);
	client_start(&f.c);
	client_run_until_failed(&f.c);
	assert_string_equal(str_text(&f.c.log), "connecting connected failed(tls/handshake) ");
	assert_text(&f, "does not speak TLS on this port; try tls = \"starttls\" or another port");
	end(&f);
}

static void
an_old_server_is_named(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, greet, &good, TLS_IMPLICIT);
	SSL_CTX_set_max_proto_version(f.peer.tls, TLS1_2_VERSION);
	f.c.endpoint.tls_config.min_version = TLS1_3_VERSION;
	client_start(&f.c);
	client_run_until_failed(&f.c);
	assert_string_equal(f.c.why.stage, "handshake");
	assert_text(&f, "speaks no version of TLS that tls_min");
	end(&f);
}

static void
hang_up(struct peer_conn *c)
{
	char buf[16];

	(void)!recv(c->fd, buf, sizeof buf, 0);
}

static void
a_close_in_the_handshake_is_said(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, hang_up, NULL, TLS_IMPLICIT);
	client_start(&f.c);
	client_run_until_failed(&f.c);
	assert_string_equal(f.c.why.stage, "handshake");
	end(&f);
}

static void
stay_silent(struct peer_conn *c)
{
	peer_drain(c);
}

static void
a_silent_handshake_is_given_up(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, stay_silent, NULL, TLS_IMPLICIT);
	f.c.settings.silence = 50;
	client_start(&f.c);
	client_run_until_failed(&f.c);
	assert_string_equal(str_text(&f.c.log), "connecting connected failed(network/handshake) ");
	assert_text(&f, "no answer for 0.05 s in the TLS handshake");
	conn_free(&f.c.conn);
	end(&f);
}

/* -- client certificates, key log ------------------------------------------------------------- */

static int
accept_any(int fine, X509_STORE_CTX *chain)
{
	(void)fine;
	(void)chain;
	return 1;
}

static void
a_client_certificate_is_shown(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, greet, &good, TLS_IMPLICIT);
	SSL_CTX_set_verify(
	    f.peer.tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, accept_any);
	client_start(&f.c);
	client_run_until_failed(&f.c);
	assert_text(&f, "wants a client certificate; set tls_cert and tls_key");
	f.c.endpoint.tls_config.cert = client_cert;
	f.c.endpoint.tls_config.key = client_key;
	client_start(&f.c);
	client_run_until(&f.c, "<+OK ready> ");
	end(&f);
}

static void
keys_are_logged_when_wanted(void **state)
{
	char *path = xasprintf("%s/keys", directory);
	char line[64] = "";
	struct fixture f;
	struct stat st;
	FILE *file;

	(void)state;
	begin(&f, greet, &good, TLS_IMPLICIT);
	f.c.endpoint.tls_config.keylog = path;
	client_start(&f.c);
	client_run_until(&f.c, "<+OK ready> ");
	end(&f);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	file = fopen(path, "r");
	assert_non_null(fgets(line, sizeof line, file));
	fclose(file);
	assert_memory_equal(line, "SERVER_HANDSHAKE_TRAFFIC_SECRET ", 32);
	free(path);
}

/* -- octets ----------------------------------------------------------------------------------- */

#define BIG (3u << 20)

static unsigned char
octet_at(size_t i)
{
	return (unsigned char)(i * 2654435761u >> 13);
}

static void
send_big(struct peer_conn *c)
{
	unsigned char *big = malloc(BIG);

	for (size_t i = 0; i < BIG; i++)
		big[i] = octet_at(i);
	if (peer_tls(c)) {
		peer_say(c, big, BIG);
		peer_say_line(c, "+OK done");
		if (c->number % 2 == 0)
			peer_drain(c);
	}
	free(big);
}

/* Checks each octet; pauses now and then, and takes parts of slices. */
static size_t
check_big(struct client *c, enum conn_event event, const struct conn_info *info)
{
	size_t left = BIG - c->octets, taken;

	if (event == CONN_SECURED)
		conn_expect_octets(c->conn);
	if (event != CONN_OCTETS)
		return 0;
	taken = info->len < left ? info->len : left;
	if (taken % 3 == 1) {
		conn_pause(c->conn);
		taken -= taken / 2;
	}
	for (size_t i = 0; i < taken; i++)
		assert_int_equal((unsigned char)info->data[i], octet_at(c->octets + i));
	if (taken == left)
		conn_expect_lines(c->conn);
	return taken;
}

static void
much_arrives_whole(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, send_big, &good, TLS_IMPLICIT);
	f.c.hook = check_big;
	f.c.quiet = true;
	for (int i = 0; i < 2; i++) {
		client_start(&f.c);
		while (strstr(str_text(&f.c.log), "<+OK done> ") == NULL) {
			event_base_loop(f.c.base, EVLOOP_ONCE);
			conn_resume(f.c.conn);
		}
	}
	client_run_until_failed(&f.c); /* the second time the server closes without close_notify */
	assert_string_equal(f.c.why.stage, "closed");
	end(&f);
}

static void
echo_count(struct peer_conn *c)
{
	char text[32], buf[65536];
	size_t total = 0;

	if (!peer_tls(c))
		return;
	while (total < BIG) {
		int n = SSL_read(c->ssl, buf, sizeof buf);

		if (n <= 0)
			return;
		for (int i = 0; i < n; i++, total++) {
			if ((unsigned char)buf[i] != octet_at(total))
				abort();
		}
	}
	snprintf(text, sizeof text, "+OK %zu", total);
	peer_say_line(c, text);
	peer_drain(c);
}

static void
much_leaves_whole(void **state)
{
	char *big = malloc(BIG), text[32];
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < BIG; i++)
		big[i] = (char)octet_at(i);
	begin(&f, echo_count, &good, TLS_IMPLICIT);
	client_start(&f.c);
	for (size_t at = 0, n; at < BIG; at += n) {
		n = at % 77777 + 1 < BIG - at ? at % 77777 + 1 : BIG - at;
		conn_send_octets(f.c.conn, big + at, n);
		event_base_loop(f.c.base, EVLOOP_NONBLOCK);
	}
	snprintf(text, sizeof text, "<+OK %u> ", BIG);
	client_run_until(&f.c, text);
	assert_int_equal(conn_octets_out(f.c.conn), BIG);
	end(&f);
	free(big);
}

/* -- many at once, freed at any time ---------------------------------------------------------- */

#define MANY 24

static void
handshakes_at_once_all_succeed(void **state)
{
	struct client many[MANY];
	struct fixture f;
	size_t secured = 0;

	(void)state;
	begin(&f, greet, &good, TLS_IMPLICIT);
	for (size_t i = 0; i < MANY; i++) {
		many[i] = f.c;
		many[i].settings.endpoint = &f.c.endpoint;
		client_start(&many[i]);
	}
	while (secured < MANY) {
		event_base_loop(f.c.base, EVLOOP_ONCE);
		/* The server serves one after the other: who is done makes room. */
		for (size_t i = 0; i < MANY; i++) {
			assert_int_equal(many[i].why.kind, FAIL_NONE);
			if (many[i].conn != NULL &&
			    strstr(str_text(&many[i].log), "<+OK") != NULL) {
				secured++;
				conn_free(&many[i].conn);
			}
		}
	}
	for (size_t i = 0; i < MANY; i++)
		str_clear(&many[i].log);
	end(&f);
}

static void
a_conn_may_be_freed_in_every_step(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, greet, &good, TLS_IMPLICIT);
	for (int turns = 0; turns < 40; turns++) {
		client_start(&f.c);
		for (int i = 0; i < turns && strchr(str_text(&f.c.log), '>') == NULL; i++)
			event_base_loop(f.c.base, EVLOOP_ONCE);
		conn_free(&f.c.conn);
		if (turns % 7 == 0)
			net_forget(f.c.net);
	}
	end(&f);
}

static size_t
free_when_secured(struct client *c, enum conn_event event, const struct conn_info *info)
{
	if (event == CONN_SECURED)
		conn_free(&c->conn);
	return info->len;
}

static void
a_conn_may_be_freed_when_it_is_secured(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, greet, &good, TLS_IMPLICIT);
	f.c.hook = free_when_secured;
	client_start(&f.c);
	client_run_until(&f.c, "secured ");
	for (int i = 0; i < 10; i++)
		event_base_loop(f.c.base, EVLOOP_NONBLOCK);
	assert_string_equal(str_text(&f.c.log), "connecting connected secured ");
	end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_verified_server_is_secured),
	    cmocka_unit_test(what_is_wrong_is_said),
	    cmocka_unit_test(names_are_compared_as_rfc_9525_says),
	    cmocka_unit_test(an_old_ca_is_named),
	    cmocka_unit_test(a_ca_file_may_hold_the_certificate_itself),
	    cmocka_unit_test(without_a_ca_file_the_systems_are_used),
	    cmocka_unit_test(a_ca_directory_is_read_as_openssl_does),
	    cmocka_unit_test(unreadable_files_are_named),
	    cmocka_unit_test(pins_replace_the_ca),
	    cmocka_unit_test(a_pin_of_the_wrong_kind_is_no_pin),
	    cmocka_unit_test(unverified_is_possible_and_is_said),
	    cmocka_unit_test(sessions_are_resumed_with_the_same_settings_only),
	    cmocka_unit_test(a_resumed_session_is_described_as_such),
	    cmocka_unit_test(a_session_with_an_unverified_server_is_not_kept),
	    cmocka_unit_test(tickets_without_end_leave_others_their_turn),
	    cmocka_unit_test(both_sides_have_the_same_binding),
	    cmocka_unit_test(tls_begins_in_place),
	    cmocka_unit_test(what_is_sent_behind_the_agreement_is_encrypted),
	    cmocka_unit_test(injected_octets_are_refused),
	    cmocka_unit_test(an_agreement_before_the_question_is_refused),
	    cmocka_unit_test(an_agreement_that_is_not_kept_is_said),
	    cmocka_unit_test(a_port_without_tls_is_named),
	    cmocka_unit_test(an_old_server_is_named),
	    cmocka_unit_test(a_close_in_the_handshake_is_said),
	    cmocka_unit_test(a_silent_handshake_is_given_up),
	    cmocka_unit_test(a_client_certificate_is_shown),
	    cmocka_unit_test(keys_are_logged_when_wanted),
	    cmocka_unit_test(much_arrives_whole),
	    cmocka_unit_test(much_leaves_whole),
	    cmocka_unit_test(handshakes_at_once_all_succeed),
	    cmocka_unit_test(a_conn_may_be_freed_in_every_step),
	    cmocka_unit_test(a_conn_may_be_freed_when_it_is_secured),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, make_identities, clear_identities);
}
