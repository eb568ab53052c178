#include "test_config_fixture.h"

#include "config/guard.h"

#define WITH(key)                                                                                  \
	"accounts = ( { name = \"a\"; maildir = \"m\"; pop3 = { host = \"h\"; user = \"u\";\n" key \
	"\n}; } );"

static void
load_with_mode(struct fixture *f, const char *text, mode_t mode, const char *fault)
{
	fixture_write(f, "c.conf", text, mode);
	fixture_load(f, "c.conf");
	if (fault == NULL) {
		assert_int_equal(f->faults.count, 0);
		return;
	}
	assert_int_equal(f->faults.count, 1);
	assert_non_null(strstr(f->faults.text[0], fault));
}

static void
passwords_want_closed_files(void **state)
{
	static const char literal[] = WITH("password = \"x\";");
	struct fixture *f = *state;

	load_with_mode(f, literal, 0600, NULL);
	load_with_mode(f, literal, 0640, NULL);
	load_with_mode(f, literal, 0644,
	    "c.conf:2: pop3.password: this file holds a password and is unsafe: others have "
	    "access");
	load_with_mode(f, WITH("password_command = \"x\";"), 0644, NULL);
	load_with_mode(f, WITH("password_command = \"x\"; proxy = \"socks5://h:1\";"), 0644, NULL);
	load_with_mode(f, WITH("password_command = \"x\"; proxy = \"socks5://u:p@h:1\";"), 0644,
	    "c.conf:2: pop3.proxy: this file holds a password and is unsafe");
	fixture_write(f, "secret.conf", "\npassword = \"x\";", 0604);
	load_with_mode(f, WITH("@include \"secret.conf\""), 0644,
	    "secret.conf:2: pop3.password: this file holds a password");
	fixture_write(f, "secret.conf", "password = \"x\";", 0600);
	fixture_write(f, "c.conf", "", 0644);
	assert_int_equal(chmod(fixture_path(f, "secret.conf"), 0600), 0);
	load_with_mode(f, WITH("@include \"secret.conf\""), 0644, NULL);
	load_with_mode(f,
	    "defaults = { pop3 = { user = \"u\";\npassword = \"x\"; }; };\n"
	    "accounts = ( { name = \"a\"; maildir = \"m\"; pop3 = { host = \"h\"; }; } );",
	    0604, "c.conf:2: defaults.pop3.password: this file holds a password");
}

static void
files_must_be_readable(void **state)
{
	struct fixture *f = *state;

	fixture_write(f, "pw", "secret\n", 0600);
	load_with_mode(f, WITH("password_file = \"pw\";"), 0644, NULL);
	assert_string_equal(
	    f->config->accounts[0].pop3->endpoint.secret.path, fixture_path(f, "pw"));
	fixture_write(f, "pw", "secret\n", 0604);
	load_with_mode(f, WITH("password_file = \"pw\";"), 0644, "is unsafe: others have access");
	load_with_mode(f, WITH("password_file = \"none\";"), 0644,
	    "none' cannot be read: No such file or directory");
	load_with_mode(f, WITH("password_file = \".\";"), 0644, "is not a regular file");
	load_with_mode(f, WITH("password_command = \"x\"; tls_ca_file = \"ca\";"), 0644,
	    "c.conf:2: pop3.tls_ca_file: '");
	load_with_mode(f, WITH("password_command = \"x\"; tls_cert = \"ca\";"), 0644,
	    "c.conf:2: pop3.tls_cert: '");
	fixture_write(f, "ca", "", 0644);
	load_with_mode(f, WITH("tls_cert = \"ca\";"), 0644, NULL);
	assert_string_equal(
	    f->config->accounts[0].pop3->endpoint.tls_config.key, fixture_path(f, "ca"));
}

static void
credentials_are_looked_for(void **state)
{
	struct fixture *f = *state;

	load_with_mode(f, WITH("credential = \"pw\";"), 0644, NULL);
	setenv("CREDENTIALS_DIRECTORY", f->directory, 1);
	load_with_mode(f, WITH("credential = \"pw\";"), 0644, "pop3.credential: '");
	fixture_write(f, "pw", "x", 0600);
	load_with_mode(f, WITH("credential = \"pw\";"), 0644, NULL);
	assert_string_equal(f->config->accounts[0].pop3->endpoint.secret.value, "pw");
}

static void
clients_do_not_look_at_files(void **state)
{
	struct fixture *f = *state;

	fixture_write(f, "c.conf", WITH("password = \"x\"; tls_ca_file = \"none\";"), 0644);
	f->config = config_load_client(fixture_path(f, "c.conf"), &f->faults, NULL);
	assert_int_equal(f->faults.count, 0);
	assert_non_null(f->config);
}

static void
leaks_are_found(void **state)
{
	uid_t me = geteuid();
	gid_t mine = getegid();
	const struct {
		uid_t uid;
		gid_t gid;
		mode_t mode;
		bool safe;
	} rows[] = {
	    {me, mine, 0600, true},
	    {me, mine, 0660, true},
	    {0, mine, 0640, true},
	    {0, mine + 4321, 0600, true},
	    {me, mine + 4321, 0640, false},
	    {me, mine + 4321, 0620, false},
	    {me, mine, 0604, false},
	    {me, mine, 0602, false},
	    {me, mine, 0777, false},
	    {me + 4321, mine, 0600, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *leak = guard_find_leak(rows[i].uid, rows[i].gid, rows[i].mode | S_IFREG);

		assert_true((leak == NULL) == rows[i].safe);
		free(leak);
	}
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(passwords_want_closed_files),
	    TEST(files_must_be_readable),
	    TEST(credentials_are_looked_for),
	    TEST(clients_do_not_look_at_files),
	    TEST(leaks_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
