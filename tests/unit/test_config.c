#include "test_config_fixture.h"

#include "base/xalloc.h"

#include <openssl/ssl.h>

/* The whole of it, nothing left to a default. */
static const char everything[] =
    "spool = \"/var/spool/postrider\";\n"
    "state = \"/var/lib/postrider\";\n"
    "shutdown_timeout = 20;\n"
    "control = { socket = \"/run/postrider/control\"; mode = \"0660\"; group = \"postrider\"; };\n"
    "log = {\n"
    "  level = \"debug\"; sessions = \"/var/log/postrider\"; detail = \"full\";\n"
    "  keep = \"14d\"; keep_idle = \"1d\"; max_total = \"200M\";\n"
    "};\n"
    "submission = { listen = [ \"/run/postrider/submission\", \"127.0.0.1:2525\", \"[::1]:25\" ];\n"
    "  max_size = \"50M\"; };\n"
    "local = { domain = \"host.example.org\"; aliases = \"/etc/aliases\"; };\n"
    "limits = { sessions = 64; sessions_per_host = 4; };\n"
    "retry = { first = \"1m\"; max = \"1h\"; warn_after = \"4h\"; give_up = \"5d\"; };\n"
    "defaults = { pop3 = { interval = \"5m\"; }; smtp = { }; };\n"
    "accounts = (\n"
    "  { name = \"personal\"; maildir = \"~/Mail/personal\"; maildir_mode = \"0640\";\n"
    "    addresses = [ \"me@example.org\", \"@example.net\" ]; default = true;\n"
    "    on_fetch = [ \"notmuch\", \"new\" ]; on_failure = \"echo failed\";\n"
    "    pop3 = {\n"
    "      host = \"pop.example.org\"; port = 995; tls = \"implicit\"; user = \"me@example.org\";\n"
    "      password_command = [ \"pass\", \"show\", \"mail/personal\" ];\n"
    "      interval = \"5m\"; keep = \"14d\"; max_size = \"50M\"; pipelining = false;\n"
    "      received_header = true; auth = [ \"SCRAM-SHA-256\", \"APOP\" ]; family = \"ipv6\";\n"
    "      timeout = \"90s\"; deadline = 120; secret_timeout = \"1m\"; bind = \"::1\";\n"
    "      tls_verify = false; tls_min = \"1.3\"; tls_server_name = \"pop\";\n"
    "      tls_keylog = \"keys.log\"; tls_fingerprint = [\n"
    "        \"sha256:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\",\n"
    "        \"spki-sha256:FF:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:\"\n"
    "        \"10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F\" ];\n"
    "      proxy = \"socks5://u:p%40ss@[2001:db8::1]:1080\";\n"
    "    };\n"
    "    smtp = {\n"
    "      host = \"smtp.example.org\"; port = 465; tls = \"implicit\";\n"
    "      user = \"me@example.org\"; password_command = [ \"pass\", \"show\", \"mail/personal\" "
    "];\n"
    "      sent_maildir = \"~/Mail/personal/.Sent\"; from = \"a@b.example\";\n"
    "      header_from = \"c@d.example\"; helo = \"[192.0.2.1]\"; chunking = false;\n"
    "      pipelining = true; dsn = { notify = \"failure,delay\"; ret = \"hdrs\"; };\n"
    "      max_connections = 2; max_messages = 50; max_recipients = 10;\n"
    "    };\n"
    "  }\n"
    ");\n";

static void
check_top(const struct config *c)
{
	assert_string_equal(c->spool, "/var/spool/postrider");
	assert_string_equal(c->state, "/var/lib/postrider");
	assert_int_equal(c->shutdown_timeout, 20000);
	assert_string_equal(c->control.socket, "/run/postrider/control");
	assert_int_equal(c->control.mode, 0660);
	assert_string_equal(c->control.group, "postrider");
	assert_int_equal(c->log.level, LOG_LEVEL_DEBUG);
	assert_string_equal(c->log.sessions, "/var/log/postrider");
	assert_true(c->log.full);
	assert_int_equal(c->log.keep, 14 * 86400000LL);
	assert_int_equal(c->log.keep_idle, 86400000LL);
	assert_int_equal(c->log.max_total, 200 << 20);
	assert_string_equal(c->submission->listen[0], "/run/postrider/submission");
	assert_string_equal(c->submission->listen[1], "127.0.0.1:2525");
	assert_string_equal(c->submission->listen[2], "[::1]:25");
	assert_null(c->submission->listen[3]);
	assert_int_equal(c->submission->max_size, 50 << 20);
	assert_string_equal(c->local->domain, "host.example.org");
	assert_string_equal(c->local->aliases, "/etc/aliases");
	assert_int_equal(c->sessions, 64);
	assert_int_equal(c->sessions_per_host, 4);
	assert_int_equal(c->retry.first, 60000);
	assert_int_equal(c->retry.max, 3600000);
	assert_int_equal(c->retry.warn_after, 4 * 3600000);
	assert_int_equal(c->retry.give_up, 5 * 86400000);
}

static void
check_pop3(const struct pop3_config *p)
{
	const struct endpoint_config *e = &p->endpoint;

	assert_string_equal(e->host, "pop.example.org");
	assert_int_equal(e->port, 995);
	assert_int_equal(e->tls, TLS_IMPLICIT);
	assert_string_equal(e->user, "me@example.org");
	assert_int_equal(e->secret.kind, SECRET_PASSWORD_COMMAND);
	assert_string_equal(e->secret.argv[0], "pass");
	assert_string_equal(e->secret.argv[2], "mail/personal");
	assert_null(e->secret.argv[3]);
	assert_int_equal(e->secret.timeout, 60000);
	assert_false(e->auth_auto);
	assert_int_equal(e->auth, 1u << AUTH_SCRAM_SHA_256 | 1u << AUTH_APOP);
	assert_int_equal(e->family, FAMILY_IPV6);
	assert_string_equal(e->bind, "::1");
	assert_int_equal(e->timeout, 90000);
	assert_int_equal(e->deadline, 120000);
	assert_string_equal(e->proxy->host, "2001:db8::1");
	assert_int_equal(e->proxy->port, 1080);
	assert_string_equal(e->proxy->user, "u");
	assert_string_equal(e->proxy->password, "p@ss");
	assert_int_equal(p->interval, 300000);
	assert_int_equal(p->keep, KEEP_FOR);
	assert_int_equal(p->keep_for, 14 * 86400000LL);
	assert_int_equal(p->max_size, 50 << 20);
	assert_int_equal(p->pipelining, PIPELINING_OFF);
	assert_true(p->received_header);
}

static void
check_tls(const struct fixture *f, const struct tls_config *t)
{
	assert_false(t->verify);
	assert_int_equal(t->min_version, TLS1_3_VERSION);
	assert_string_equal(t->server_name, "pop");
	assert_string_equal(t->keylog, fixture_path(f, "keys.log"));
	assert_int_equal(t->pin_count, 2);
	assert_int_equal(t->pins[0].kind, PIN_CERTIFICATE);
	assert_int_equal(t->pins[0].sha256[31], 0x1f);
	assert_int_equal(t->pins[1].kind, PIN_KEY);
	assert_int_equal(t->pins[1].sha256[0], 0xff);
	assert_null(t->cert);
	assert_null(t->key);
}

static void
check_smtp(const struct fixture *f, const struct smtp_config *s)
{
	assert_string_equal(s->endpoint.host, "smtp.example.org");
	assert_int_equal(s->endpoint.port, 465);
	assert_true(s->endpoint.auth_auto);
	assert_string_equal(s->from, "a@b.example");
	assert_string_equal(s->header_from, "c@d.example");
	assert_string_equal(s->helo, "[192.0.2.1]");
	assert_string_equal(s->sent_maildir, fixture_path(f, "Mail/personal/.Sent"));
	assert_string_equal(s->bounce_maildir, fixture_path(f, "Mail/personal"));
	assert_null(s->bounce_to);
	assert_string_equal(s->dsn_notify, "FAILURE,DELAY");
	assert_string_equal(s->dsn_ret, "HDRS");
	assert_false(s->chunking);
	assert_int_equal(s->pipelining, PIPELINING_ON);
	assert_int_equal(s->max_connections, 2);
	assert_int_equal(s->max_messages, 50);
	assert_int_equal(s->max_recipients, 10);
}

static void
every_key_is_kept(void **state)
{
	struct fixture *f = *state;
	const struct config *c = fixture_load_good(f, everything);
	const struct account_config *a = config_account(c, "personal");

	check_top(c);
	assert_int_equal(c->account_count, 1);
	assert_ptr_equal(a, &c->accounts[0]);
	assert_null(config_account(c, "person"));
	assert_string_equal(a->maildir, fixture_path(f, "Mail/personal"));
	assert_int_equal(a->maildir_mode, 0640);
	assert_string_equal(a->addresses[0], "me@example.org");
	assert_string_equal(a->addresses[1], "@example.net");
	assert_null(a->addresses[2]);
	assert_true(a->is_default);
	assert_string_equal(a->on_fetch[0], "notmuch");
	assert_null(a->on_fetch[2]);
	assert_string_equal(a->on_failure[0], "/bin/sh");
	assert_string_equal(a->on_failure[1], "-c");
	assert_string_equal(a->on_failure[2], "echo failed");
	assert_null(a->on_failure[3]);
	check_pop3(a->pop3);
	check_tls(f, &a->pop3->endpoint.tls_config);
	check_smtp(f, a->smtp);
	assert_true(secret_source_equal(&a->pop3->endpoint.secret, &a->smtp->endpoint.secret));
}

static void
absent_keys_have_defaults(void **state)
{
	const struct config *c =
	    fixture_load_good(*state, "submission = {}; accounts = ( { name = \"a\"; maildir = "
				      "\"m\"; pop3 = { host = \"h\"; };\n"
				      "smtp = { host = \"h\"; }; }, { name = \"b\"; } );");
	const struct account_config *a = &c->accounts[0];

	assert_int_equal(c->shutdown_timeout, 10000);
	assert_int_equal(c->control.mode, 0660);
	assert_null(c->control.group);
	assert_int_equal(c->log.level, LOG_LEVEL_INFO);
	assert_false(c->log.full);
	assert_null(c->submission->listen[0]);
	assert_null(c->local);
	assert_int_equal(a->maildir_mode, 0600);
	assert_null(a->addresses[0]);
	assert_null(a->on_fetch);
	assert_int_equal(a->pop3->interval, 300000);
	assert_int_equal(a->pop3->keep, KEEP_FOREVER);
	assert_int_equal(a->pop3->max_size, 0);
	assert_int_equal(a->pop3->pipelining, PIPELINING_AUTO);
	assert_null(a->pop3->endpoint.user);
	assert_int_equal(a->pop3->endpoint.secret.kind, SECRET_NONE);
	assert_int_equal(a->pop3->endpoint.timeout, 0);
	assert_int_equal(a->pop3->endpoint.deadline, 600000);
	assert_int_equal(a->pop3->endpoint.secret.timeout, 30000);
	assert_true(a->pop3->endpoint.tls_config.verify);
	assert_int_equal(a->pop3->endpoint.tls_config.min_version, TLS1_2_VERSION);
	assert_null(a->pop3->endpoint.proxy);
	assert_true(a->smtp->chunking);
	assert_null(a->smtp->dsn_notify);
	assert_int_equal(a->smtp->max_messages, 100);
	assert_null(c->accounts[1].maildir);
	assert_null(c->accounts[1].pop3);
	assert_null(c->accounts[1].smtp);
}

/* Whoever gives the socket its group has its number at hand, and asks nobody. */
static void
a_group_has_its_number(void **state)
{
	static const struct {
		const char *name;
		gid_t gid;
	} rows[] = {{"root", 0}, {"0", 0}, {"54321", 54321}, {"no-such-group-here", NO_GID},
	    {"5x", NO_GID}, {"-1", NO_GID}, {"4294967295", NO_GID}};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *text = xasprintf("control = { group = \"%s\"; };\n"
				       "accounts = ( { name = \"a\"; } );",
		    rows[i].name);
		const struct config *c = fixture_load_good(*state, text);

		assert_string_equal(c->control.group, rows[i].name);
		assert_int_equal(c->control.gid, rows[i].gid);
		free(text);
	}
	assert_int_equal(
	    fixture_load_good(*state, "accounts = ( { name = \"a\"; } );")->control.gid, NO_GID);
}

static void
port_and_tls_follow_each_other(void **state)
{
	static const struct {
		const char *group;
		const char *keys;
		int port;
		enum tls_mode tls;
	} rows[] = {
	    {"pop3", "", 995, TLS_IMPLICIT},
	    {"pop3", "tls = \"implicit\";", 995, TLS_IMPLICIT},
	    {"pop3", "tls = \"starttls\";", 110, TLS_STARTTLS},
	    {"pop3", "tls = \"none\";", 110, TLS_NONE},
	    {"pop3", "port = 995;", 995, TLS_IMPLICIT},
	    {"pop3", "port = 110;", 110, TLS_STARTTLS},
	    {"pop3", "port = 1995;", 1995, TLS_IMPLICIT},
	    {"pop3", "port = 110; tls = \"implicit\";", 110, TLS_IMPLICIT},
	    {"smtp", "", 465, TLS_IMPLICIT},
	    {"smtp", "tls = \"starttls\";", 587, TLS_STARTTLS},
	    {"smtp", "tls = \"none\";", 25, TLS_NONE},
	    {"smtp", "port = 465;", 465, TLS_IMPLICIT},
	    {"smtp", "port = 587;", 587, TLS_STARTTLS},
	    {"smtp", "port = 25;", 25, TLS_NONE},
	    {"smtp", "port = 25; tls = \"starttls\";", 25, TLS_STARTTLS},
	};
	char text[256];

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct account_config *a;
		const struct endpoint_config *e;

		snprintf(text, sizeof text,
		    "accounts = ( { name = \"a\"; maildir = \"m\"; %s = { host = \"h\"; %s }; } );",
		    rows[i].group, rows[i].keys);
		a = &fixture_load_good(*state, text)->accounts[0];
		e = a->pop3 != NULL ? &a->pop3->endpoint : &a->smtp->endpoint;
		assert_int_equal(e->port, rows[i].port);
		assert_int_equal(e->tls, rows[i].tls);
	}
}

static void
defaults_are_inherited(void **state)
{
	const struct config *c = fixture_load_good(*state,
	    "defaults = {\n"
	    "  pop3 = { host = \"d\"; interval = 60; user = \"du\"; password_command = \"dp\";\n"
	    "    tls_min = \"1.3\"; keep = \"no\"; };\n"
	    "  smtp = { host = \"ds\"; bounce_to = \"p@example.org\"; dsn = { notify = \"never\";\n"
	    "    ret = \"full\"; }; };\n"
	    "};\n"
	    "accounts = (\n"
	    "  { name = \"a\"; maildir = \"ma\"; pop3 = { }; smtp = { }; },\n"
	    "  { name = \"b\"; maildir = \"mb\";\n"
	    "    pop3 = { host = \"127.0.0.1\"; tls = \"none\"; interval = 0; user = \"bu\";\n"
	    "      credential = \"c\"; keep = \"1d\"; };\n"
	    "    smtp = { bounce_maildir = \"bb\"; dsn = { ret = \"hdrs\"; }; }; } );");
	const struct account_config *a = &c->accounts[0], *b = &c->accounts[1];

	assert_string_equal(a->pop3->endpoint.host, "d");
	assert_string_equal(a->pop3->endpoint.user, "du");
	assert_int_equal(a->pop3->endpoint.secret.kind, SECRET_PASSWORD_COMMAND);
	assert_string_equal(a->pop3->endpoint.secret.argv[2], "dp");
	assert_int_equal(a->pop3->interval, 60000);
	assert_int_equal(a->pop3->keep, KEEP_NO);
	assert_string_equal(a->smtp->bounce_to, "p@example.org");
	assert_null(a->smtp->bounce_maildir);
	assert_string_equal(a->smtp->dsn_notify, "NEVER");
	assert_string_equal(a->smtp->dsn_ret, "FULL");

	assert_string_equal(b->pop3->endpoint.host, "127.0.0.1");
	assert_string_equal(b->pop3->endpoint.user, "bu");
	assert_int_equal(b->pop3->endpoint.secret.kind, SECRET_CREDENTIAL);
	assert_string_equal(b->pop3->endpoint.secret.value, "c");
	assert_null(b->pop3->endpoint.secret.argv);
	assert_int_equal(b->pop3->interval, 0);
	assert_int_equal(b->pop3->keep, KEEP_FOR);
	assert_null(b->smtp->bounce_to);
	assert_non_null(strstr(b->smtp->bounce_maildir, "/bb"));
	assert_string_equal(b->smtp->dsn_notify, "NEVER");
	assert_string_equal(b->smtp->dsn_ret, "HDRS");
}

static void
lesser_defaults_follow_what_is_given(void **state)
{
	const struct config *c = fixture_load_good(*state,
	    "log = { keep = \"1h\"; }; retry = { first = \"2h\"; }; limits = { sessions = 2; };\n"
	    "accounts = [];");

	assert_int_equal(c->log.keep_idle, 3600000);
	assert_int_equal(c->retry.max, 2 * 3600000);
	assert_int_equal(c->sessions_per_host, 2);
	c = fixture_load_good(*state, "log = { keep_idle = \"30d\"; }; accounts = ();");
	assert_int_equal(c->log.keep, 30 * 86400000LL);
}

static void
large_integers_are_whole(void **state)
{
	const struct config *c = fixture_load_good(*state,
	    "log = { max_total = 5000000000; }; submission = { max_size = 0x100000001; };\n"
	    "accounts = ( { name = \"a\"; maildir = \"m\"; pop3 = { host = \"h\";\n"
	    "max_size = 5000000001L; }; } );");

	assert_int_equal(c->log.max_total, 5000000000);
	assert_int_equal(c->submission->max_size, 0x100000001);
	assert_int_equal(c->accounts[0].pop3->max_size, 5000000001);
}

static void
places_follow_the_file(void **state)
{
	struct fixture *f = *state;
	const struct config *c = fixture_load_good(f, "accounts = ();");

	assert_string_equal(c->spool, fixture_path(f, ".local/state/postrider/spool"));
	assert_string_equal(c->state, fixture_path(f, ".local/state/postrider/state"));
	assert_string_equal(c->log.sessions, fixture_path(f, ".local/state/postrider/log"));
	assert_string_equal(c->control.socket, fixture_path(f, ".local/state/postrider/control"));
	setenv("XDG_STATE_HOME", "/x/state", 1);
	setenv("XDG_RUNTIME_DIR", "/x/run", 1);
	c = fixture_load_good(f, "log = { sessions = \"\"; }; accounts = ();");
	assert_string_equal(c->spool, "/x/state/postrider/spool");
	assert_string_equal(c->control.socket, "/x/run/postrider/control");
	assert_null(c->log.sessions);
	assert_string_equal(c->file, fixture_path(f, "c.conf"));
}

static void
included_text_is_in_its_place(void **state)
{
	struct fixture *f = *state;
	const struct config *c;

	mkdir(fixture_path(f, "sub"), 0700);
	fixture_write(f, "sub/a.conf", "@include \"b.conf\"\nhost = \"h\";\n", 0600);
	fixture_write(f, "sub/b.conf", "user = \"u\";", 0600);
	fixture_write(f, "p.conf", "password = \"a # b /* \\\" \\\\ @include\"; // \"", 0600);
	c = fixture_load_good(f, "# @include \"nothing\"\n/*\n@include \"nothing\"\n*/\n"
				 "accounts = ( { name = \"a\"; maildir = \"m\"; pop3 = {\n"
				 "  @include \"sub/a.conf\"\n"
				 "\t@include   \"~/p.conf\" keep = \"no\";\n"
				 "}; } );");
	assert_string_equal(c->accounts[0].pop3->endpoint.host, "h");
	assert_string_equal(c->accounts[0].pop3->endpoint.user, "u");
	assert_string_equal(c->accounts[0].pop3->endpoint.secret.value, "a # b /* \" \\ @include");
	assert_int_equal(c->accounts[0].pop3->keep, KEEP_NO);
}

static void
programs_by_path_are_expanded(void **state)
{
	struct fixture *f = *state;
	const struct config *c = fixture_load_good(f,
	    "accounts = ( { name = \"a\"; on_fetch = [ \"~/bin/x\", \"~/y\" ];\n"
	    "on_failure = [ \"./z\" ]; } );");

	assert_string_equal(c->accounts[0].on_fetch[0], fixture_path(f, "bin/x"));
	assert_string_equal(c->accounts[0].on_fetch[1], "~/y");
	assert_string_equal(c->accounts[0].on_failure[0], fixture_path(f, "z"));
}

static void
sources_are_compared(void **state)
{
	char *const abc[] = {strdup("a"), strdup("b"), NULL}, *const ab[] = {abc[0], NULL};
	const struct secret_source none = {.kind = SECRET_NONE};
	const struct secret_source x = {.kind = SECRET_CREDENTIAL, .value = abc[0]};
	const struct secret_source y = {.kind = SECRET_PASSWORD, .value = abc[0]};
	const struct secret_source p = {.kind = SECRET_PASSWORD_FILE, .path = abc[1]};
	struct secret_source c = {.kind = SECRET_PASSWORD_COMMAND, .timeout = 1};
	struct secret_source d = {.kind = SECRET_PASSWORD_COMMAND, .timeout = 2};

	(void)state;
	c.argv = (char **)(uintptr_t)abc;
	d.argv = (char **)(uintptr_t)abc;
	assert_true(secret_source_equal(&none, &none));
	assert_true(secret_source_equal(&x, &x));
	assert_false(secret_source_equal(&x, &y));
	assert_false(secret_source_equal(&p, &none));
	assert_true(secret_source_equal(&c, &d));
	d.argv = (char **)(uintptr_t)ab;
	assert_false(secret_source_equal(&c, &d));
	free(abc[0]);
	free(abc[1]);
}

static void
references_are_counted(void **state)
{
	struct fixture *f = *state;
	struct config *c = config_ref(fixture_load_good(f, everything)), *none = NULL;

	config_unref(&f->config);
	assert_null(f->config);
	assert_string_equal(c->accounts[0].name, "personal");
	config_unref(&c);
	assert_null(c);
	config_unref(&none);
}

static void
assert_found(const char *want)
{
	char *found = config_find();

	assert_string_equal(found, want);
	free(found);
}

static void
the_file_is_found(void **state)
{
	struct fixture *f = *state;

	assert_found("/etc/postrider/postrider.conf");
	mkdir(fixture_path(f, ".config"), 0700);
	mkdir(fixture_path(f, ".config/postrider"), 0700);
	fixture_write(f, ".config/postrider/postrider.conf", "", 0600);
	assert_found(fixture_path(f, ".config/postrider/postrider.conf"));
	setenv("XDG_CONFIG_HOME", "relative/is/ignored", 1);
	assert_found(fixture_path(f, ".config/postrider/postrider.conf"));
	setenv("XDG_CONFIG_HOME", f->directory, 1);
	mkdir(fixture_path(f, "postrider"), 0700);
	fixture_write(f, "postrider/postrider.conf", "", 0600);
	assert_found(fixture_path(f, "postrider/postrider.conf"));
	setenv("POSTRIDER_CONFIG", "/does/not/exist", 1);
	assert_found(fixture_path(f, "postrider/postrider.conf"));
	fixture_write(f, "named.conf", "", 0600);
	setenv("POSTRIDER_CONFIG", fixture_path(f, "named.conf"), 1);
	assert_found(fixture_path(f, "named.conf"));
}

static void
mechanisms_have_names(void **state)
{
	(void)state;
	for (unsigned i = 0; i < AUTH_MECHANISM_COUNT; i++)
		assert_non_null(auth_mechanism_name((enum auth_mechanism)i));
	assert_string_equal(auth_mechanism_name(AUTH_SCRAM_SHA_256_PLUS), "SCRAM-SHA-256-PLUS");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(every_key_is_kept),
	    TEST(absent_keys_have_defaults),
	    TEST(a_group_has_its_number),
	    TEST(port_and_tls_follow_each_other),
	    TEST(defaults_are_inherited),
	    TEST(lesser_defaults_follow_what_is_given),
	    TEST(large_integers_are_whole),
	    TEST(places_follow_the_file),
	    TEST(included_text_is_in_its_place),
	    TEST(programs_by_path_are_expanded),
	    TEST(sources_are_compared),
	    TEST(references_are_counted),
	    TEST(the_file_is_found),
	    TEST(mechanisms_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
