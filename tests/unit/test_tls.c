#include "unit.h"

#include "tls_fixture.h"

#include "base/xalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
	    {&expired, "clock, which says 20", NULL},
	    {&future, " is not valid before 20", NULL},
	    {&future, "; this machine's clock says 20", NULL},
	    {&future, " and looks wrong: set it", NULL},
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
	char *old = xasprintf("%s/old.crt", tls_directory);
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
	char *own = xasprintf("%s/own.crt", tls_directory);
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
	char *hashed = xasprintf("%s/%08lx.0", tls_directory,
	    X509_NAME_hash_ex(X509_get_subject_name(ca.cert), NULL, NULL, NULL));
	char *list = xasprintf("/nonexistent:%s", tls_directory);
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
	char *empty = xasprintf("%s/empty", tls_directory);
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
	char *path = xasprintf("%s/keys", tls_directory);
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
	    cmocka_unit_test(a_client_certificate_is_shown),
	    cmocka_unit_test(keys_are_logged_when_wanted),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, make_identities, clear_identities);
}
