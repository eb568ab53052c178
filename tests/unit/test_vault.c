#include "unit.h"

#include "auth/deriver.h"
#include "auth/vault.h"
#include "base/clock.h"
#include "config/config.h"
#include "proto/sasl_client.h"

#include <event2/event.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct event_base *base;
static struct vault *vault;
static char directory[64];

/* -- Sources --------------------------------------------------------------------------------- */

/* A source whose strings live as long as the test. */
struct source {
	struct secret_source s;
	char text[80 * 1024];
	char *argv[4];
};

static struct source *
make_source(enum secret_kind kind, const char *text)
{
	static char sh[] = "/bin/sh", c[] = "-c";
	struct source *source = calloc(1, sizeof *source);

	assert_non_null(source);
	assert_true(strlen(text) < sizeof source->text);
	strcpy(source->text, text);
	source->s.kind = kind;
	source->s.timeout = 60000;
	switch (kind) {
	case SECRET_PASSWORD:
	case SECRET_CREDENTIAL:
		source->s.value = source->text;
		break;
	case SECRET_PASSWORD_FILE:
		source->s.path = source->text;
		break;
	case SECRET_PASSWORD_COMMAND:
	case SECRET_TOKEN_COMMAND:
		source->argv[0] = sh;
		source->argv[1] = c;
		source->argv[2] = source->text;
		source->s.argv = source->argv;
		break;
	case SECRET_NONE:
		break;
	}
	return source;
}

/* A file below the test's directory; returns its path, valid until the next call. */
static const char *
write_file(const char *name, const char *data, size_t len, mode_t mode)
{
	static char path[256];
	int fd;

	snprintf(path, sizeof path, "%s/%s", directory, name);
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	return path;
}

/* How many lines a command has left in a file: how often it ran. */
static int
count_runs(const char *name)
{
	char path[256];
	int count = 0, c;
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", directory, name);
	if ((f = fopen(path, "r")) == NULL)
		return 0;
	while ((c = getc(f)) != EOF)
		count += c == '\n';
	fclose(f);
	return count;
}

/* -- Asking ---------------------------------------------------------------------------------- */

struct answer {
	struct vault_request *request;
	int calls;
	struct secret *secret;
	struct verdict why;
	struct vault_request **withdraw; /* by the callback */
	struct source *ask_again;
	struct answer *again;
};

static void
on_secret(struct secret *secret, const struct verdict *why, void *arg)
{
	struct answer *a = arg;

	a->calls++;
	a->request = NULL;
	a->secret = secret;
	a->why = *why;
	if (a->withdraw != NULL)
		vault_cancel(a->withdraw);
	if (a->ask_again != NULL)
		a->again->request = vault_get(vault, &a->ask_again->s, on_secret, a->again);
}

static void
ask(struct answer *a, const struct source *source)
{
	a->request = vault_get(vault, &source->s, on_secret, a);
	assert_int_equal(a->calls, 0);
}

static void
await(const struct answer *a)
{
	while (a->calls == 0)
		assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
	assert_int_equal(a->calls, 1);
}

static void
expect_secret(const struct source *source, const char *text)
{
	struct answer a = {0};

	ask(&a, source);
	await(&a);
	if (a.secret == NULL)
		fail_msg("%s", a.why.text);
	assert_int_equal(a.why.kind, FAIL_NONE);
	assert_string_equal(secret_text(a.secret), text);
	assert_int_equal(secret_len(a.secret), strlen(text));
	secret_unref(&a.secret);
}

static void
expect_fault(const struct source *source, const char *text)
{
	struct answer a = {0};

	ask(&a, source);
	await(&a);
	assert_null(a.secret);
	assert_int_equal(a.why.kind, FAIL_LOCAL);
	assert_string_equal(a.why.stage, "secret");
	if (strstr(a.why.text, text) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", a.why.text, text);
	assert_null(strstr(a.why.text, "hunter2"));
}

/* -- Tests ----------------------------------------------------------------------------------- */

static void
gives_literal_and_no_secrets(void **state)
{
	struct source *literal = make_source(SECRET_PASSWORD, "hunter2");
	struct source *empty = make_source(SECRET_PASSWORD, "");
	struct source *lines = make_source(SECRET_PASSWORD, "hunter2\nx");
	struct source *none = make_source(SECRET_NONE, "");

	(void)state;
	expect_secret(literal, "hunter2");
	expect_secret(none, "");
	expect_fault(empty, "empty");
	expect_fault(lines, "more than one line");
	free(literal);
	free(empty);
	free(lines);
	free(none);
}

static void
reads_files(void **state)
{
	static const struct {
		const char *data;
		size_t len;
		const char *secret; /* NULL: a fault ... */
		const char *fault;
	} row[] = {
	    {"hunter2", 7, "hunter2", NULL},
	    {"hunter2\n", 8, "hunter2", NULL},
	    {"hunter2\r\n", 9, "hunter2", NULL},
	    {" h\xff \t\n", 6, " h\xff \t", NULL},
	    {"hunter2\n\n", 9, NULL, "more than one line"},
	    {"hunter2\r", 8, NULL, "more than one line"},
	    {"a\0hunter2\n", 10, NULL, "NUL"},
	    {"\n", 1, NULL, "empty"},
	    {"", 0, NULL, "empty"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		const char *path = write_file("secret", row[i].data, row[i].len, 0600);
		struct source *source = make_source(SECRET_PASSWORD_FILE, path);

		if (row[i].secret != NULL)
			expect_secret(source, row[i].secret);
		else
			expect_fault(source, row[i].fault);
		vault_forget(vault);
		free(source);
	}
}

static void
takes_64_kib_and_no_more(void **state)
{
	size_t max = 64 * 1024;
	char *data = malloc(max + 2);
	struct source *source = make_source(SECRET_PASSWORD_FILE, write_file("large", "", 0, 0600));
	struct answer a = {0};

	(void)state;
	memset(data, 's', max + 1);
	data[max] = '\n';
	write_file("large", data, max + 1, 0600);
	ask(&a, source);
	await(&a);
	assert_int_equal(secret_len(a.secret), max);
	secret_unref(&a.secret);

	vault_forget(vault);
	data[max] = 's';
	write_file("large", data, max + 1, 0600);
	expect_fault(source, "64 KiB");
	free(data);
	free(source);
}

static void
refuses_files_that_others_can_read(void **state)
{
	static const mode_t bad[] = {0604, 0602, 0646, 0777};
	char path[256];
	struct source *source;

	(void)state;
	snprintf(path, sizeof path, "%s", write_file("open", "hunter2", 7, 0600));
	source = make_source(SECRET_PASSWORD_FILE, path);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(chmod(path, bad[i]), 0);
		expect_fault(source, "chmod 600");
	}
	assert_int_equal(chmod(path, 0640), 0); /* our own group */
	expect_secret(source, "hunter2");
	vault_forget(vault);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 0, 12345), 0);
		expect_fault(source, "group");
		assert_int_equal(chmod(path, 0600), 0);
		assert_int_equal(chown(path, 12345, 0), 0);
		expect_fault(source, "belongs to neither");
	}
	unlink(path);
	expect_fault(source, "No such file");
	assert_int_equal(mkfifo(path, 0600), 0);
	expect_fault(source, "no regular file");
	unlink(path);
	free(source);
}

static void
reads_credentials(void **state)
{
	struct source *named = make_source(SECRET_CREDENTIAL, "mail");
	struct source *above = make_source(SECRET_CREDENTIAL, "../mail");
	struct source *dots = make_source(SECRET_CREDENTIAL, "..");

	(void)state;
	unsetenv("CREDENTIALS_DIRECTORY");
	expect_fault(named, "LoadCredential=");
	setenv("CREDENTIALS_DIRECTORY", directory, 1);
	expect_fault(named, "No such file");
	write_file("mail", "hunter2\n", 8, 0440);
	expect_secret(named, "hunter2");
	expect_fault(above, "plain name");
	expect_fault(dots, "plain name");

	write_file("mail", "hunter3\n", 8, 0440);
	vault_forget(vault);
	expect_secret(named, "hunter2"); /* read once */
	unsetenv("CREDENTIALS_DIRECTORY");
	free(named);
	free(above);
	free(dots);
}

static void
runs_commands(void **state)
{
	static const struct {
		const char *script;
		const char *secret; /* NULL: a fault ... */
		const char *fault;
	} row[] = {
	    {"echo hunter2", "hunter2", NULL},
	    {"printf hunter2", "hunter2", NULL},
	    {"head -c 16384 /dev/zero | tr '\\0' t", "", NULL},
	    {"echo hunter2; exit 3", NULL, "exited with status 3"},
	    {"pass-is-missing show mail", NULL, "\"pass-is-missing\" (password_command) exited"},
	    {"echo 'gpg: no\033 key' >&2; echo second >&2; exit 1", NULL,
		"status 1: gpg: no\\x1b key;"},
	    {"kill -9 $$", NULL, "signal 9 (Killed)"},
	    {"echo hunter2; echo login: me", NULL, "head -n 1"},
	    {"true", NULL, "empty"},
	    {"printf 'hunter2\\0'", NULL, "NUL"},
	    {"TOKEN=hunter2 false", NULL, "the command \"TOKEN\""},
	    {"cat /dev/zero", NULL, "far more"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct source *source = make_source(SECRET_PASSWORD_COMMAND, row[i].script);
		struct answer a = {0};

		if (row[i].secret == NULL) {
			expect_fault(source, row[i].fault);
			expect_fault(source, "the command \"");
		} else if (*row[i].secret != '\0') {
			expect_secret(source, row[i].secret);
		} else {
			ask(&a, source);
			await(&a);
			assert_int_equal(secret_len(a.secret), 16384);
			secret_unref(&a.secret);
		}
		free(source);
	}
}

static void
says_why_a_command_cannot_start_or_end(void **state)
{
	static char missing[] = "/nonexistent/pass";
	static char *argv[] = {missing, NULL};
	struct source *absent = make_source(SECRET_PASSWORD_COMMAND, "");
	struct source *slow = make_source(SECRET_PASSWORD_COMMAND, "sleep 1000");

	(void)state;
	absent->s.argv = argv;
	expect_fault(
	    absent, "\"/nonexistent/pass\" (password_command) could not be started: No such");
	slow->s.timeout = 50;
	expect_fault(slow, "secret_timeout");
	free(absent);
	free(slow);
}

static void
fetches_once_for_all(void **state)
{
	char script[256];
	struct source *one, *other;
	struct answer a[3] = {{0}};

	(void)state;
	snprintf(script, sizeof script, "echo run >>%s/runs; echo hunter2", directory);
	one = make_source(SECRET_PASSWORD_COMMAND, script);
	other = make_source(SECRET_PASSWORD_COMMAND, script);
	ask(&a[0], one);
	ask(&a[1], other);
	ask(&a[2], one);
	for (int i = 0; i < 3; i++) {
		await(&a[i]);
		assert_string_equal(secret_text(a[i].secret), "hunter2");
		secret_unref(&a[i].secret);
	}
	expect_secret(other, "hunter2");
	assert_int_equal(count_runs("runs"), 1);
	free(one);
	free(other);
}

static void
fetches_again_what_was_refused(void **state)
{
	char path[256];
	struct source *source;
	struct answer a = {0};
	unsigned long first, second;

	(void)state;
	snprintf(path, sizeof path, "%s", write_file("pw", "old", 3, 0600));
	source = make_source(SECRET_PASSWORD_FILE, path);
	assert_int_equal(vault_generation(vault, &source->s), 0);
	ask(&a, source);
	await(&a);
	first = vault_generation(vault, &source->s);
	assert_int_not_equal(first, 0);

	vault_refused(vault, &source->s, a.secret);
	assert_int_equal(vault_generation(vault, &source->s), 0);
	expect_secret(source, "old");
	assert_int_equal(vault_generation(vault, &source->s), first);

	write_file("pw", "new", 3, 0600);
	vault_refused(vault, &source->s, a.secret);
	expect_secret(source, "new");
	second = vault_generation(vault, &source->s);
	assert_true(second != 0 && second != first);

	vault_refused(vault, &source->s, a.secret); /* the old one: the new one stays */
	assert_int_equal(vault_generation(vault, &source->s), second);
	secret_unref(&a.secret);

	write_file("pw", "newer", 5, 0600);
	expect_secret(source, "new");
	vault_forget(vault);
	assert_int_equal(vault_generation(vault, &source->s), 0);
	expect_secret(source, "newer");
	free(source);
}

static void
forgets_abandoned_sources(void **state)
{
	struct source *source = make_source(SECRET_PASSWORD, "hunter2");
	unsigned long first;

	(void)state;
	expect_secret(source, "hunter2");
	first = vault_generation(vault, &source->s);
	vault_forget(vault);
	expect_secret(source, "hunter2");
	assert_int_equal(vault_generation(vault, &source->s), first);
	vault_forget(vault);
	vault_forget(vault);
	assert_int_equal(vault_generation(vault, &source->s), 0);
	expect_secret(source, "hunter2");
	assert_int_not_equal(vault_generation(vault, &source->s), first);
	free(source);
}

/* What was begun before a reload is not given to anyone: it is begun anew. */
static void
drops_what_a_reload_has_outdated(void **state)
{
	char script[512];
	struct source *source;
	struct answer a = {0};
	int gate;

	(void)state;
	write_file("value", "old\n", 4, 0600);
	snprintf(script, sizeof script, "%s/gate", directory);
	assert_int_equal(mkfifo(script, 0600), 0);
	gate = open(script, O_RDWR | O_CLOEXEC);
	assert_true(gate >= 0);
	snprintf(script, sizeof script,
	    "v=$(cat %s/value); echo run >>%s/begun; [ $v = old ] && read x <%s/gate; echo $v",
	    directory, directory, directory);
	source = make_source(SECRET_PASSWORD_COMMAND, script);
	ask(&a, source);
	while (count_runs("begun") == 0)
		event_base_loop(base, EVLOOP_NONBLOCK);
	write_file("value", "new\n", 4, 0600);
	vault_forget(vault);
	assert_int_equal(write(gate, "\n", 1), 1);
	await(&a);
	assert_non_null(a.secret);
	assert_string_equal(secret_text(a.secret), "new");
	secret_unref(&a.secret);
	close(gate);
	free(source);
}

static int64_t boot_now;

static int64_t
fake_boot(void)
{
	return boot_now;
}

static void
fetches_tokens_again_when_they_expire(void **state)
{
	static struct clock_source source;
	char script[512];
	struct source *token;

	(void)state;
	boot_now = 1000000;
	snprintf(script, sizeof script,
	    "echo run >>%s/tokens; printf '{\"access_token\":\"t%%d\",\"expires_in\":3600}' "
	    "$(wc -l <%s/tokens)",
	    directory, directory);
	token = make_source(SECRET_TOKEN_COMMAND, script);

	source.boot = fake_boot; /* nothing else of the clock is asked here */
	clock_set_source(&source);
	expect_secret(token, "t1");
	boot_now += 3569 * 1000;
	expect_secret(token, "t1");
	boot_now += 2000;
	assert_int_equal(vault_generation(vault, &token->s), 0);
	expect_secret(token, "t2");
	clock_set_source(NULL);
	free(token);
}

static void
reads_tokens(void **state)
{
	static const struct {
		const char *script;
		const char *token; /* NULL: a fault ... */
		const char *fault;
	} row[] = {
	    {"echo ya29.x", "ya29.x", NULL},
	    {"echo '{\"access_token\":\"abc\",\"token_type\":\"Bearer\"}'", "abc", NULL},
	    {"echo ' {\"access_token\":\"abc\",\"expires_in\":\"3599\"}'", "abc", NULL},
	    {"echo '{\"access_token\":\"abc\",\"expires_in\":0}'", "abc", NULL},
	    {"echo '{\"access_token\":\"abc\",\"expires_in\":1e300}'", "abc", NULL},
	    {"echo '{\"access_token\":\"abc\",\"expires_in\":\"soon\"}'", "abc", NULL},
	    {"echo '{\"access_token\":\"\"}'", NULL, "empty"},
	    {"echo '{\"access_token\":\"a\\\\nhunter2\"}'", NULL, "more than one line"},
	    {"echo '{\"access_token\":7}'", NULL, "without access_token"},
	    {"echo '{\"error\":\"hunter2\"}'", NULL, "but with an error"},
	    {"echo '{\"access_token\":\"hunter2\"'", NULL, "unreadable JSON"},
	    {"echo '{'", NULL, "\"echo\" (token_command) printed unreadable JSON"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct source *source = make_source(SECRET_TOKEN_COMMAND, row[i].script);

		if (row[i].token != NULL)
			expect_secret(source, row[i].token);
		else
			expect_fault(source, row[i].fault);
		free(source);
	}
}

static void
withdraws(void **state)
{
	struct source *source = make_source(SECRET_PASSWORD, "hunter2");
	struct answer a = {0}, b = {0}, c = {0}, again = {0};

	(void)state;
	ask(&a, source);
	ask(&b, source);
	ask(&c, source);
	vault_cancel(&a.request);
	assert_null(a.request);
	vault_cancel(&a.request);
	b.withdraw = &c.request; /* while the answers go out */
	b.ask_again = source;
	b.again = &again;
	await(&b);
	await(&again);
	assert_int_equal(a.calls + c.calls, 0);
	secret_unref(&b.secret);
	secret_unref(&again.secret);
	free(source);
}

static void
answers_everyone_before_it_goes(void **state)
{
	struct vault *other = vault_new(base);
	struct source *slow = make_source(SECRET_PASSWORD_COMMAND, "sleep 1000");
	struct source *file = make_source(SECRET_PASSWORD_FILE, "/etc/hostname");
	struct answer a = {0}, b = {0}, c = {0};

	(void)state;
	a.request = vault_get(other, &slow->s, on_secret, &a);
	event_base_loop(base, EVLOOP_NONBLOCK);
	b.request = vault_get(other, &slow->s, on_secret, &b);
	c.request = vault_get(other, &file->s, on_secret, &c);
	event_base_loop(base, EVLOOP_NONBLOCK);
	vault_free(&other);
	assert_null(other);
	assert_int_equal(a.calls + b.calls, 2);
	assert_int_equal(a.why.kind, FAIL_LOCAL);
	assert_int_equal(b.why.kind, FAIL_LOCAL);
	assert_int_equal(c.calls, 1);
	secret_unref(&c.secret);
	free(slow);
	free(file);
}

/* -- Derivation ------------------------------------------------------------------------------ */

struct derived {
	int calls;
	uint8_t salted[SASL_SALTED_MAX];
};

static void
on_salted(const uint8_t *salted, void *arg)
{
	struct derived *d = arg;

	assert_non_null(salted);
	memcpy(d->salted, salted, 20);
	d->calls++;
}

/* RFC 6070's second and third vectors are PBKDF2-HMAC-SHA-1 of 20 octets. */
static void
derives_in_a_thread(void **state)
{
	static const uint8_t salt[] = "salt";
	static const uint8_t want2[20] = {0xea, 0x6c, 0x01, 0x4d, 0xc7, 0x2d, 0x6f, 0x8c, 0xcd,
	    0x1e, 0xd9, 0x2a, 0xce, 0x1d, 0x41, 0xf0, 0xd8, 0xde, 0x89, 0x57};
	static const uint8_t want4096[20] = {0x4b, 0x00, 0x79, 0x01, 0xb7, 0x65, 0x48, 0x9a, 0xbe,
	    0xad, 0x49, 0xd9, 0x26, 0xf7, 0x21, 0xd0, 0x65, 0xa4, 0x29, 0xc1};
	struct sasl_derivation derivation = {.password = "password",
	    .password_len = 8,
	    .salt = salt,
	    .salt_len = 4,
	    .iterations = 2};
	struct deriver *deriver = vault_deriver(vault);
	struct derived two = {0}, many = {0}, again = {0}, never = {0};
	struct deriver_request *r;

	(void)state;
	deriver_start(deriver, &derivation, on_salted, &two);
	derivation.iterations = 4096;
	deriver_start(deriver, &derivation, on_salted, &many);
	r = deriver_start(deriver, &derivation, on_salted, &never);
	deriver_cancel(&r);
	deriver_cancel(&r);
	assert_int_equal(two.calls + many.calls, 0);
	while (two.calls + many.calls < 2)
		assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
	assert_memory_equal(two.salted, want2, 20);
	assert_memory_equal(many.salted, want4096, 20);
	deriver_start(deriver, &derivation, on_salted, &again);
	while (again.calls == 0)
		assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
	assert_memory_equal(again.salted, want4096, 20);
	assert_int_equal(never.calls, 0);
	deriver_start(deriver, &derivation, on_salted, &never);
	vault_free(&vault); /* drops what is open */
	assert_int_equal(never.calls, 0);
	vault = vault_new(base);
}

static int
set_up(void **state)
{
	(void)state;
	base = event_base_new();
	vault = vault_new(base);
	snprintf(directory, sizeof directory, "/tmp/test_vault.XXXXXX");
	return mkdtemp(directory) == NULL;
}

static int
tear_down(void **state)
{
	static const char *const names[] = {
	    "secret", "large", "mail", "runs", "pw", "value", "begun", "gate", "tokens", "open"};
	char path[256];

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", directory, names[i]);
		unlink(path);
	}
	vault_free(&vault);
	event_base_free(base);
	return rmdir(directory);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(gives_literal_and_no_secrets),
	    TEST(reads_files),
	    TEST(takes_64_kib_and_no_more),
	    TEST(refuses_files_that_others_can_read),
	    TEST(reads_credentials),
	    TEST(runs_commands),
	    TEST(says_why_a_command_cannot_start_or_end),
	    TEST(fetches_once_for_all),
	    TEST(fetches_again_what_was_refused),
	    TEST(forgets_abandoned_sources),
	    TEST(drops_what_a_reload_has_outdated),
	    TEST(fetches_tokens_again_when_they_expire),
	    TEST(reads_tokens),
	    TEST(withdraws),
	    TEST(answers_everyone_before_it_goes),
	    TEST(derives_in_a_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
