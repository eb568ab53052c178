#include "test_config_fixture.h"

#include "config/faults.h"

/*
 * In the rows: an account stands in lines of its own so that line numbers are easy to see.  A
 * fault may be given in part: each line of `faults` must be the beginning of the fault found.
 */
#define ACCOUNTS(keys) "accounts = (\n{ name = \"a\"; maildir = \"m\";\n" keys "\n} );\n"
#define POP3(keys)     ACCOUNTS("pop3 = { host = \"pop.example.org\";\n" keys "\n};")
#define SMTP(keys)     ACCOUNTS("smtp = { host = \"smtp.example.org\";\n" keys "\n};")
#define NONE           "accounts = ();\n"

struct row {
	const char *text;
	const char *faults;
};

static void
check_row(struct fixture *f, const struct row *row)
{
	const char *want = row->faults;
	char *all, *found;

	fixture_load_text(f, row->text);
	all = found = fixture_faults(f);
	assert_false(f->unreadable);
	assert_true((f->config != NULL) == (row->faults[0] == '\0'));
	while (*want != '\0' || *found != '\0') {
		size_t len = strcspn(want, "\n");

		if (len == 0 || strncmp(want, found, len) != 0) {
			print_error(
			    "text:\n%s\nwant:\n%s\nfound:\n%s\n", row->text, row->faults, all);
			fail();
		}
		want += len + (want[len] == '\n');
		found += strcspn(found, "\n");
		found += *found == '\n';
	}
	free(all);
}

static void
check_rows(void **state, const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		check_row(*state, &rows[i]);
}

#define CHECK_ROWS(rows) check_rows(state, rows, sizeof rows / sizeof rows[0])

static void
syntax(void **state)
{
	static const struct row rows[] = {
	    {"", "c.conf:1: accounts: this key is missing"},
	    {"accounts = (\n", "c.conf:2: syntax error"},
	    {NONE "spool = /var/spool;\n", "c.conf:2: syntax error here or just before; expected"},
	    {NONE "spool = \"/a;\nstate = \"/b\";\n",
		"c.conf:2: the string that begins here has no closing"},
	    {NONE "spool = \"/a;\nstate = \"/b\";\nlog = { level = \"info\"; };\n",
		"c.conf:2: the string that begins here has no closing"},
	    {NONE "spool = \"/a;\nstate = \"/b;\n",
		"c.conf:2: the string that begins here runs over the end\nc.conf:3: syntax error"},
	    {NONE "/* open\nspool = 1;\n", "c.conf:2: the comment that begins here has no '*/'"},
	    {NONE "spool = \"/a\\x00b\";\n", "c.conf:2: a string cannot hold a NUL"},
	    {NONE "spool = \"a\";\nspool = \"b\";\n",
		"c.conf:3: spool: this key was given before in the same group"},
	    {NONE "log = { keep = 1; keep = 2; };\n",
		"c.conf:2: a key of this line was given before in the same group"},
	    {NONE "limits = { sessions = 99999999999999999999; };\n",
		"c.conf:2: the integer is too large"},
	    {NONE "log = { max_total = [ 1, \"2\" ]; };\n", "c.conf:2: mismatched element type"},
	};

	CHECK_ROWS(rows);
}

static void
includes(void **state)
{
	static const struct row rows[] = {
	    {NONE "@include \"nothing.conf\"\n", "c.conf:2: "},
	    {NONE "@include \"~/nothing\"\nspol = 1;\n", "c.conf:2: \nc.conf:3: spol: unknown key"},
	    {NONE "@include \"${UNSET_VARIABLE}/x\"\n",
		"c.conf:2: @include \"${UNSET_VARIABLE}/x\": the environment variable"},
	    {NONE "\n@include \"bad.conf\"\nport = 1;\n",
		"bad.conf:2: log.levle: unknown key; did you mean 'level'?\n"
		"bad.conf:3: log.keep: found \"x\", expected a duration\n"
		"c.conf:4: port: unknown key here; it belongs in an account's pop3 or smtp"},
	    {NONE "@include \"sub/inner.conf\"\n", "sub/deep.conf:1: spoool: unknown key"},
	    {NONE "@include \"short.conf\"\nspool = 1;\n", "c.conf:3: spool: found 1"},
	    {NONE "@include \"syntax.conf\"\n", "syntax.conf:2: syntax error"},
	};
	struct fixture *f = *state;

	mkdir(fixture_path(f, "sub"), 0700);
	fixture_write(f, "bad.conf", "log = {\n  levle = \"info\";\n  keep = \"x\";\n};\n", 0600);
	fixture_write(f, "sub/inner.conf", "@include \"deep.conf\" state = \"x\";", 0600);
	fixture_write(f, "sub/deep.conf", "spoool = 1;", 0600);
	fixture_write(f, "short.conf", "# no line end", 0600);
	fixture_write(f, "syntax.conf", "state = \"a\";\nlog = info;\n", 0600);
	for (size_t i = 2; i < sizeof rows / sizeof rows[0]; i++)
		check_row(f, &rows[i]);
	fixture_load_text(f, rows[0].text);
	assert_int_equal(f->faults.count, 1);
	assert_non_null(strstr(f->faults.text[0], "/c.conf:2: "));
	assert_non_null(strstr(f->faults.text[0], "/nothing.conf cannot be read: No such file"));
	fixture_load_text(f, rows[1].text);
	assert_int_equal(f->faults.count, 2);
	assert_non_null(
	    strstr(f->faults.text[1], "c.conf:3: spol: unknown key; did you mean 'spool'?"));
}

static void
endless_include_is_refused_once(void **state)
{
	struct fixture *f = *state;

	fixture_load_text(f, NONE "@include \"c.conf\"\n");
	assert_null(f->config);
	assert_int_equal(f->faults.count, 1);
	assert_non_null(
	    strstr(f->faults.text[0], "/c.conf:2: @include \"c.conf\": more than 10 files deep"));
}

static void
unknown_keys(void **state)
{
	static const struct row rows[] = {
	    {NONE "spol = \"x\";\n", "c.conf:2: spol: unknown key; did you mean 'spool'?"},
	    {NONE "Spool = \"x\";\n", "c.conf:2: Spool: unknown key; did you mean 'spool'?"},
	    {NONE "zzz = 1;\n", "c.conf:2: zzz: unknown key"},
	    {NONE "password_file = \"x\";\n", "c.conf:2: password_file: unknown key here; it "
					      "belongs in an account's pop3 or smtp"},
	    {NONE "log = { warn_after = 1; };\n",
		"c.conf:2: log.warn_after: unknown key here; it belongs in retry"},
	    {NONE "log = { shutdown_timeout = 1; };\n",
		"c.conf:2: log.shutdown_timeout: unknown key here; it belongs at the top of the "
		"file"},
	    {NONE "defaults = {\n pop3 = { intervall = 1; };\n smtp = { keep = 1; };\n};\n",
		"c.conf:3: defaults.pop3.intervall: unknown key; did you mean 'interval'?\n"
		"c.conf:4: defaults.smtp.keep: unknown key"},
	    {ACCOUNTS("mail_dir = \"x\";"),
		"c.conf:3: accounts.mail_dir: unknown key; did you mean 'maildir'?"},
	    {POP3("prot = 995;"), "c.conf:4: pop3.prot: unknown key; did you mean 'port'?"},
	    {POP3("password_cmd = 1;"),
		"c.conf:4: pop3.password_cmd: unknown key; did you mean 'password_command'?"},
	    {SMTP("dsn = { notfy = 1; };"),
		"c.conf:4: smtp.dsn.notfy: unknown key; did you mean 'notify'?"},
	};

	CHECK_ROWS(rows);
}

static void
types_and_ranges(void **state)
{
	static const struct row rows[] = {
	    {"accounts = 5;\n", "c.conf:1: accounts: found 5, expected a list of groups"},
	    {"accounts = ( 1,\n\"x\" );\n",
		"c.conf:1: accounts: found 1, expected\nc.conf:2: accounts: found \"x\", expected"},
	    {"accounts = { name = \"a\"; };\n",
		"c.conf:1: accounts: found a group, expected a list"},
	    {NONE "log = 5;\n", "c.conf:2: log: found 5, expected a group"},
	    {NONE "log = { level = 3; };\n", "c.conf:2: log.level: found 3, expected \"error\", "
					     "\"warning\", \"info\" or \"debug\""},
	    {NONE "log = { level = \"warn\"; };\n",
		"c.conf:2: log.level: found \"warn\", expected \"error\", \"warning\", \"info\" or "
		"\"debug\""},
	    {NONE "log = { detail = \"ful\"; };\n", "c.conf:2: log.detail: found \"ful\", expected "
						    "\"commands\" or \"full\"; did you mean "
						    "\"full\"?"},
	    {NONE "log = { keep = \"14\"; };\n",
		"c.conf:2: log.keep: found \"14\", expected a duration from 1s to 36500d"},
	    {NONE "log = { keep = 1.5; };\n",
		"c.conf:2: log.keep: found a number with a fraction, expected a duration"},
	    {NONE "log = { keep = 0; };\n", "c.conf:2: log.keep: found 0, expected a duration"},
	    {NONE "log = { keep = -1; };\n", "c.conf:2: log.keep: found -1, expected a duration"},
	    {NONE "log = { keep = \"1h\"; keep_idle = \"2h\"; };\n",
		"c.conf:2: log.keep_idle: found more than keep"},
	    {NONE "log = { max_total = \"5X\"; };\n",
		"c.conf:2: log.max_total: found \"5X\", expected a size from 1 to 1048576G"},
	    {NONE "log = { max_total = 9223372036854775807; };\n",
		"c.conf:2: log.max_total: found 9223372036854775807, expected a size"},
	    {NONE "control = { mode = 0660; };\n",
		"c.conf:2: control.mode: found 660, expected octal permissions"},
	    {NONE "control = { mode = \"0770\"; };\n", "c.conf:2: control.mode: found \"0770\""},
	    {NONE "control = { mode = \"0060\"; };\n", "c.conf:2: control.mode: found \"0060\""},
	    {NONE "limits = { sessions = 0; };\n",
		"c.conf:2: limits.sessions: found 0, expected an integer from 1 to 4096"},
	    {NONE "limits = { sessions = 4294967297; };\n",
		"c.conf:2: limits.sessions: found 4294967297, expected an integer from 1 to 4096"},
	    {NONE "limits = { sessions = 2;\nsessions_per_host = 3; };\n",
		"c.conf:3: limits.sessions_per_host: found more than sessions"},
	    {NONE "retry = { first = \"2h\"; max = \"1h\"; };\n",
		"c.conf:2: retry.first: found more than max"},
	    {NONE "retry = { max = \"8d\"; };\n", "c.conf:2: retry.max: found \"8d\""},
	    {NONE "shutdown_timeout = \"0s\";\n", "c.conf:2: shutdown_timeout: found \"0s\""},
	    {NONE "spool = 5;\n", "c.conf:2: spool: found 5, expected a path"},
	    {NONE "spool = \"\";\n", "c.conf:2: spool: the path is empty"},
	    {NONE "spool = \"${UNSET_VARIABLE}/x\";\n",
		"c.conf:2: spool: the environment variable 'UNSET_VARIABLE' is not set"},
	    {NONE "spool = \"~no-such-user-here/x\";\n",
		"c.conf:2: spool: '~no-such-user-here' does not expand: no such user"},
	    {NONE "spool = \"/a\";\nstate = \"/a/\";\n",
		"c.conf:3: state: /a is the directory of spool already"},
	    {NONE "spool = \"/a\";\nlog = { sessions = \"/./a\"; };\n",
		"c.conf:3: log.sessions: /a is the directory of spool already"},
	    {NONE "submission = { listen = [ \"0.0.0.0:25\" ]; };\n",
		"c.conf:2: submission.listen: found \"0.0.0.0:25\", expected absolute paths"},
	    {NONE "submission = { listen = [ \"relative/path\",\n\"/s\", \"/s\" ]; };\n",
		"c.conf:2: submission.listen: found \"relative/path\"\n"
		"c.conf:3: submission.listen: \"/s\" stands here twice"},
	    {NONE "submission = { listen = \"/s\"; };\n",
		"c.conf:2: submission.listen: found \"/s\""},
	    {NONE "local = { aliases = \"/etc/aliases\"; };\n",
		"c.conf:2: local.domain: this key is missing"},
	    {NONE "local = { domain = \"not a domain\"; };\n", "c.conf:2: local.domain: found"},
	    {"accounts = ( { maildir = \"m\"; } );\n",
		"c.conf:1: accounts.name: this key is missing"},
	    {"accounts = ( { name = \".hidden\"; } );\n",
		"c.conf:1: accounts.name: found \".hidden\""},
	    {"accounts = ( { name = \"a/b\"; } );\n", "c.conf:1: accounts.name: found \"a/b\""},
	    {"accounts = ( {\nname = \"a\"; pop3 = { host = \"h\"; };\n} );\n",
		"c.conf:1: accounts.maildir: this key is missing, pop3 needs it"},
	    {ACCOUNTS("default = 1;"),
		"c.conf:3: accounts.default: found 1, expected true or false"},
	    {ACCOUNTS("maildir_mode = \"0644\";"),
		"c.conf:3: accounts.maildir_mode: found \"0644\""},
	    {ACCOUNTS("addresses = \"a@b\";"),
		"c.conf:3: accounts.addresses: found \"a@b\", expected"},
	    {ACCOUNTS("addresses = [ \"a@b\",\n\"nobody\", \"A@B\" ];"),
		"c.conf:4: accounts.addresses: found \"nobody\", expected\n"
		"c.conf:4: accounts.addresses: \"A@B\" stands here twice"},
	    {ACCOUNTS("on_fetch = [];"),
		"c.conf:3: accounts.on_fetch: found an empty list, expected"},
	    {ACCOUNTS("on_fetch = [ \"\", \"x\" ];"),
		"c.conf:3: accounts.on_fetch: found \"\", expected"},
	    {ACCOUNTS("on_failure = ( \"x\", 5 );"),
		"c.conf:3: accounts.on_failure: found 5, expected"},
	    {ACCOUNTS("on_failure = \" \";"),
		"c.conf:3: accounts.on_failure: found \" \", expected"},
	    {ACCOUNTS("pop3 = ();"),
		"c.conf:3: accounts.pop3: found an empty list, expected a group"},
	};

	CHECK_ROWS(rows);
}

static void
server_keys(void **state)
{
	static const struct row rows[] = {
	    {ACCOUNTS("pop3 = {\n};"), "c.conf:3: pop3.host: this key is missing"},
	    {ACCOUNTS("pop3 = { host = \"h:995\"; };"), "c.conf:3: pop3.host: found \"h:995\""},
	    {ACCOUNTS("pop3 = { host = \"1.2.3\"; };"), "c.conf:3: pop3.host: found \"1.2.3\""},
	    {POP3("port = 70000;"),
		"c.conf:4: pop3.port: found 70000, expected an integer from 1 to 65535"},
	    {POP3("port = \"995\";"), "c.conf:4: pop3.port: found \"995\", expected an integer"},
	    {POP3("tls = \"ssl\";"), "c.conf:4: pop3.tls: found \"ssl\", expected \"implicit\", "
				     "\"starttls\" or \"none\""},
	    {POP3("tls = false;"), "c.conf:4: pop3.tls: found false, expected \"implicit\""},
	    {POP3("tls_min = \"1.1\";"),
		"c.conf:4: pop3.tls_min: found \"1.1\", expected \"1.2\" or \"1.3\""},
	    {POP3("tls_min = 1.2;"), "c.conf:4: pop3.tls_min: found a number with a fraction"},
	    {POP3("tls_fingerprint = \"abcd\";"), "c.conf:4: pop3.tls_fingerprint: found \"abcd\""},
	    {POP3("tls_fingerprint = [];"), "c.conf:4: pop3.tls_fingerprint: found an empty list"},
	    {POP3("tls_key = \"c.conf\";"), "c.conf:4: pop3.tls_key: a key needs its tls_cert"},
	    {POP3("tls = \"none\";\ntls_min = \"1.3\"; tls_verify = true;"),
		"c.conf:5: pop3.tls_verify: this key is of no use with tls = \"none\"\n"
		"c.conf:5: pop3.tls_min: this key is of no use with tls = \"none\""},
	    {POP3("family = \"ipv5\";"), "c.conf:4: pop3.family: found \"ipv5\", expected \"any\", "
					 "\"ipv4\" or \"ipv6\"; did you mean"},
	    {POP3("bind = \"eth0\";"),
		"c.conf:4: pop3.bind: found \"eth0\", expected an IP address"},
	    {POP3("bind = \"::1\"; family = \"ipv4\";"),
		"c.conf:4: pop3.bind: found the address ::1, which family = \"ipv4\" rules out"},
	    {POP3("proxy = \"http://p:1\";"),
		"c.conf:4: pop3.proxy: found unfit text, expected \"socks5:"},
	    {POP3("timeout = 0;"), "c.conf:4: pop3.timeout: found 0, expected a duration from 1s"},
	    {POP3("deadline = \"2d\";"),
		"c.conf:4: pop3.deadline: found \"2d\", expected a duration"},
	    {POP3("interval = \"32d\";"),
		"c.conf:4: pop3.interval: found \"32d\", expected a duration"},
	    {POP3("keep = true;"),
		"c.conf:4: pop3.keep: found true, expected \"no\", \"forever\" or a"},
	    {POP3("keep = 0;"), "c.conf:4: pop3.keep: found 0, expected \"no\", \"forever\" or a"},
	    {POP3("max_size = -1;"), "c.conf:4: pop3.max_size: found -1, expected a size"},
	    {POP3("pipelining = \"on\";"),
		"c.conf:4: pop3.pipelining: found \"on\", expected \"auto\""},
	    {POP3("from = \"a@b\";"), "c.conf:4: pop3.from: unknown key"},
	    {SMTP("from = \"<>\";"), "c.conf:4: smtp.from: found \"<>\", expected a mail address"},
	    {SMTP("helo = \"two words\";"), "c.conf:4: smtp.helo: found \"two words\", expected"},
	    {SMTP("dsn = { notify = \"never,delay\"; ret = \"body\"; };"),
		"c.conf:4: smtp.dsn.notify: found \"never,delay\", expected\n"
		"c.conf:4: smtp.dsn.ret: found \"body\", expected \"hdrs\" or \"full\""},
	    {SMTP("bounce_to = \"a@b\"; bounce_maildir = \"b\";"),
		"c.conf:4: smtp.bounce_to: bounce_maildir is given as well"},
	    {SMTP("max_connections = 101;"), "c.conf:4: smtp.max_connections: found 101"},
	    {SMTP("chunking = \"yes\";"),
		"c.conf:4: smtp.chunking: found \"yes\", expected \"auto\""},
	};

	CHECK_ROWS(rows);
}

static void
authentication(void **state)
{
	static const struct row rows[] = {
	    {POP3("user = \"me\";"), "c.conf:4: pop3.user: logging in needs a secret"},
	    {POP3("user = \"me\"; auth = [ \"EXTERNAL\", \"PLAIN\" ];"),
		"c.conf:4: pop3.user: PLAIN needs a secret"},
	    {POP3("user = \"me\"; auth = [ \"EXTERNAL\" ];"), ""},
	    {POP3("password_command = \"x\";"),
		"c.conf:4: pop3.password_command: a secret is of no use without a user"},
	    {POP3("auth = [ \"PLAIN\" ];"),
		"c.conf:4: pop3.auth: found PLAIN, which is of no use without"},
	    {POP3("auth = [ \"none\" ];"), ""},
	    {POP3("auth = [ \"EXTERNAL\" ];"),
		"c.conf:4: pop3.auth: found EXTERNAL, which is of no use without tls_cert"},
	    {POP3("tls_cert = \"c.conf\"; auth = [ \"EXTERNAL\", \"none\" ];"), ""},
	    {POP3("tls_cert = \"c.conf\"; auth = [ \"EXTERNAL\", \"PLAIN\" ];"),
		"c.conf:4: pop3.auth: found PLAIN, which is of no use without a user"},
	    {POP3("user = \"me\";\npassword = \"x\";\npassword_command = \"x\";"),
		"c.conf:6: pop3.password_command: found a second source of the secret beside "
		"password,"},
	    {POP3("user = \"me\";\npassword = \"\";"),
		"c.conf:5: pop3.password: found \"\", expected"},
	    {POP3("user = \"me\";\npassword = \"a\\nb\";"),
		"c.conf:5: pop3.password: found unfit text, expected"},
	    {POP3("user = \"me\";\npassword = 1234;"),
		"c.conf:5: pop3.password: found 1234, expected text"},
	    {POP3("user = \"\"; password = \"x\";"),
		"c.conf:4: pop3.user: found \"\", expected text"},
	    {POP3("user = \"me\"; password_command = \"\";"),
		"c.conf:4: pop3.password_command: found \"\", expected a command"},
	    {POP3("user = \"me\"; token_command = [];"),
		"c.conf:4: pop3.token_command: found an empty list, expected a command"},
	    {POP3("user = \"me\"; credential = \"../x\";"),
		"c.conf:4: pop3.credential: found \"../x\""},
	    {POP3("user = \"me\"; token_command = \"t\";\nauth = [ \"PLAIN\" ];"),
		"c.conf:4: pop3.token_command: a token is of no use when auth names neither"},
	    {POP3("user = \"me\"; token_command = \"t\"; auth = [ \"XOAUTH2\", \"PLAIN\" ];"), ""},
	    {POP3("user = \"me\"; password = \"x\"; auth = [];"),
		"c.conf:4: pop3.auth: found an empty list"},
	    {POP3("user = \"me\"; password = \"x\"; auth = \"PLAIN\";"),
		"c.conf:4: pop3.auth: found \"PLAIN\", expected \"auto\" or a list"},
	    {POP3("user = \"me\"; password = \"x\"; auth = [ \"PLIAN\" ];"),
		"c.conf:4: pop3.auth: unknown mechanism \"PLIAN\"; did you mean \"PLAIN\"?"},
	    {POP3("user = \"me\"; password = \"x\"; auth = [ \"SCRAM-SHA-265\", \"GSSAPI\" ];"),
		"c.conf:4: pop3.auth: unknown mechanism \"SCRAM-SHA-265\"; did you mean "
		"\"SCRAM-SHA-256\"?\n"
		"c.conf:4: pop3.auth: unknown mechanism \"GSSAPI\""},
	    {SMTP("user = \"me\"; password = \"x\"; auth = [ \"APOP\" ];"),
		"c.conf:4: smtp.auth: APOP is no mechanism of SMTP"},
	    {POP3("user = \"me\"; password = \"x\"; tls = \"none\";"),
		"c.conf:4: pop3.tls: found none, which would send the secret in clear to "
		"pop.example.org"},
	    {SMTP("user = \"me\"; password = \"x\"; port = 25;"),
		"c.conf:4: smtp.tls: found none, which would send the secret in clear to "
		"smtp.example.org"},
	    {POP3("user = \"me\"; password = \"x\"; tls = \"none\"; cleartext_auth = true;"), ""},
	    {POP3("tls = \"none\";"), ""},
	    {POP3("user = \"me\"; password = \"x\"; tls = \"starttls\";"), ""},
	    {ACCOUNTS("pop3 = { host = \"127.9.9.9\"; tls = \"none\"; user = \"u\"; password = "
		      "\"x\"; };"),
		""},
	    {ACCOUNTS(
		 "pop3 = { host = \"::1\"; tls = \"none\"; user = \"u\"; password = \"x\"; };"),
		""},
	    {ACCOUNTS("pop3 = { host = \"LocalHost\"; port = 1;\n"
		      "tls = \"none\"; user = \"u\"; password = \"x\"; };"),
		""},
	    {ACCOUNTS(
		 "pop3 = { host = \"127.0.0.1\"; tls = \"none\"; user = \"u\"; password = \"x\";\n"
		 "proxy = \"socks5://127.0.0.1:1080\"; };"),
		"c.conf:3: pop3.tls: found none, which would send the secret in clear"},
	    {ACCOUNTS("pop3 = { host = \"localhost.example\"; tls = \"none\";\n"
		      "user = \"u\"; password = \"x\"; };"),
		"c.conf:3: pop3.tls: found none"},
	};

	CHECK_ROWS(rows);
}

static void
between_accounts(void **state)
{
	static const struct row rows[] = {
	    {"accounts = (\n{ name = \"a\"; },\n{ name = \"a\"; } );\n",
		"c.conf:3: accounts.name: there is already an account named 'a'"},
	    {"accounts = (\n{ name = \"a\"; },\n{ name = \"A\"; } );\n", ""},
	    {"accounts = (\n{ name = \"a\"; default = true; },\n{ name = \"b\";\ndefault = true; } "
	     ");\n",
		"c.conf:4: accounts.default: the default account is already 'a'"},
	    {"accounts = (\n{ name = \"a\"; addresses = [ \"me@Example.org\" ]; },\n"
	     "{ name = \"b\"; addresses = [ \"Me@example.ORG\" ]; } );\n",
		"c.conf:3: accounts.addresses: \"Me@example.ORG\" is already claimed by the "
		"account 'a'"},
	    {"accounts = (\n{ name = \"a\"; maildir = \"~/m\"; },\n"
	     "{ name = \"b\"; maildir = \"${HOME}//m/\"; } );\n",
		"c.conf:3: accounts.maildir: this Maildir is already that of the account 'a'"},
	    {"accounts = (\n{ name = \"a\"; maildir = \"real\"; },\n{ name = \"b\"; maildir = "
	     "\"link\"; } );\n",
		"c.conf:3: accounts.maildir: this Maildir is already that of the account 'a'"},
	    {"accounts = (\n{ name = \"a\"; maildir = \"m\"; pop3 = { host = \"H\"; user = \"u\";\n"
	     "password = \"x\"; }; },\n"
	     "{ name = \"b\"; maildir = \"n\"; pop3 = { host = \"h.\"; port = 995; user = \"u\";\n"
	     "password_command = \"y\"; }; } );\n",
		"c.conf:4: accounts.pop3: this mailbox (host, port and user) is already that of"},
	    {"accounts = (\n{ name = \"a\"; maildir = \"m\"; pop3 = { host = \"h\"; user = \"u\";\n"
	     "password = \"x\"; }; },\n"
	     "{ name = \"b\"; maildir = \"n\"; pop3 = { host = \"h\"; user = \"U\"; password = "
	     "\"y\"; }; } );\n",
		""},
	};
	struct fixture *f = *state;

	mkdir(fixture_path(f, "real"), 0700);
	assert_int_equal(symlink("real", fixture_path(f, "link")), 0);
	CHECK_ROWS(rows);
}

/* Every fault in one run, in the order of the file, each once. */
static void
all_are_found_in_order(void **state)
{
	static const struct row row = {
	    "retry = { first = \"x\"; };\n"
	    "defaults = {\n"
	    "  pop3 = { interval = \"soon\"; };\n"
	    "};\n"
	    "accounts = (\n"
	    "  { name = \"a\"; maildir = \"m\"; pop3 = { host = \"h\"; prot = 1; }; },\n"
	    "  { name = \"b\"; maildir = \"n\"; pop3 = { host = \"i\"; }; nmae = 2; },\n"
	    "  { name = \"a\"; } );\n"
	    "spol = 1;\n",
	    "c.conf:1: retry.first: found \"x\"\n"
	    "c.conf:3: defaults.pop3.interval: found \"soon\"\n"
	    "c.conf:6: pop3.prot: unknown key; did you mean 'port'?\n"
	    "c.conf:7: accounts.nmae: unknown key; did you mean 'name'?\n"
	    "c.conf:8: accounts.name: there is already an account named 'a'\n"
	    "c.conf:9: spol: unknown key; did you mean 'spool'?\n"};

	check_row(*state, &row);
}

static void
nul_octets_are_refused(void **state)
{
	static const char text[] = NONE "spool = \"/a\0b\";\n";
	struct fixture *f = *state;

	fixture_write_octets(f, "c.conf", text, sizeof text - 1, 0600);
	fixture_load(f, "c.conf");
	assert_null(f->config);
	assert_int_equal(f->faults.count, 1);
	assert_non_null(strstr(f->faults.text[0], "c.conf:2: the file holds a NUL octet here"));
}

/* However a good file is cut, the answer is a fault or settings, and nothing breaks. */
static void
cut_at_each_octet(void **state)
{
	static const char text[] =
	    POP3("user = \"m\\\"e\"; password = \"x\"; # c\n/* c */ tls_min = \"1.2\"; timeout = "
		 "0x20;") "@include \"c2.conf\" spool = \"~/s\";\n";
	struct fixture *f = *state;

	fixture_write(f, "c2.conf", "// nothing", 0600);
	for (size_t len = 0; len < sizeof text; len++) {
		fixture_write_octets(f, "c.conf", text, len, 0600);
		fixture_load(f, "c.conf");
		assert_true((f->config == NULL) == (f->faults.count > 0));
	}
	assert_null(strstr(f->faults.count > 0 ? f->faults.text[0] : "", "syntax"));
}

static void
unreadable_files(void **state)
{
	struct fixture *f = *state;

	fixture_load(f, "missing.conf");
	assert_null(f->config);
	assert_true(f->unreadable);
	assert_int_equal(f->faults.count, 1);
	assert_non_null(
	    strstr(f->faults.text[0], "/missing.conf: cannot be read: No such file or directory"));
	fixture_load(f, ".");
	assert_true(f->unreadable);
	assert_int_equal(f->faults.count, 1);
}

static void
nearest_words(void **state)
{
	static const char *const words[] = {"port", "password", "password_file", "host", "tls"};
	static const struct {
		const char *word;
		const char *nearest;
	} rows[] = {
	    {"prot", "port"},
	    {"PORT", "port"},
	    {"pasword", "password"},
	    {"passwordfile", "password_file"},
	    {"hots", "host"},
	    {"x", NULL},
	    {"", NULL},
	    {"tsl", "tls"},
	    {"completely_different_and_much_too_long_to_be_meant", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const char *nearest = faults_nearest(rows[i].word, words, 5);

		if (rows[i].nearest == NULL)
			assert_null(nearest);
		else
			assert_string_equal(nearest, rows[i].nearest);
	}
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(syntax),
	    TEST(includes),
	    TEST(endless_include_is_refused_once),
	    TEST(unknown_keys),
	    TEST(types_and_ranges),
	    TEST(server_keys),
	    TEST(authentication),
	    TEST(between_accounts),
	    TEST(all_are_found_in_order),
	    TEST(nul_octets_are_refused),
	    TEST(cut_at_each_octet),
	    TEST(unreadable_files),
	    TEST(nearest_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
