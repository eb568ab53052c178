#include "unit.h"

#include "proto/dsn.h"

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Writes reports into a directory and lets Python's email package, which shares no line with this
 * project, read them: tests/unit/check_dsn.py.  Beside N.eml stands N.json, what is to be found in
 * it, and N.orig, the original.
 */

enum { RANDOM_REPORTS = 300 };

static char directory[] = "/tmp/postrider-dsn-XXXXXX";
static int written;

static FILE *
open_file(const char *suffix)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof path, "%s/%d.%s", directory, written, suffix);
	file = fopen(path, "wb");
	assert_non_null(file);
	return file;
}

static void
write_file(const char *suffix, const char *data, size_t len)
{
	FILE *file = open_file(suffix);

	assert_int_equal(fwrite(data, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static json_t *
text_or_null(const char *text)
{
	return text != NULL ? json_string(text) : json_null();
}

/* Values that are no UTF-8 cannot be said in JSON; those are only looked at for form. */
static void
write_expected(const struct dsn_report *report, const struct dsn_recipient *recipient, bool exact)
{
	static const char *const actions[] = {"failed", "delayed", "expanded"};
	json_t *expected = json_pack("{s:b, s:i, s:s}", "exact", exact, "original",
	    (int)report->original, "action", actions[recipient->action]);
	char *text;

	if (exact) {
		json_object_set_new(expected, "to", text_or_null(report->to));
		json_object_set_new(expected, "subject", text_or_null(report->subject));
		json_object_set_new(expected, "text", text_or_null(report->text));
		json_object_set_new(expected, "recipient", text_or_null(recipient->recipient));
		json_object_set_new(expected, "diagnostic", text_or_null(recipient->diagnostic));
	}
	text = json_dumps(expected, 0);
	assert_non_null(text);
	write_file("json", text, strlen(text));
	free(text);
	json_decref(expected);
}

static void
write_report(const struct dsn_report *report, const struct dsn_recipient *recipient,
    const char *original, size_t len, bool exact)
{
	struct dsn_report r = *report;
	struct str out = STR_INIT;
	struct dsn dsn;

	dsn_content_scan(&r.content, original, len);
	dsn_begin(&dsn, &r, &out);
	dsn_add_recipient(recipient, &out);
	dsn_add_recipient(recipient, &out);
	dsn_add_original(&dsn, original, len, &out);
	dsn_end(&dsn, &out);
	write_file("eml", out.data, out.len);
	write_file("orig", original, len);
	write_expected(&r, recipient, exact);
	str_clear(&out);
	written++;
}

static const struct {
	const char *to, *subject, *text, *recipient, *diagnostic, *original;
} plain[] = {
    {"me@example.org", "Undelivered: hello", "One line\nand another.\n", "you@example.net",
	"550 5.1.1 No such user", "From: <me@a>\r\nSubject: hello\r\n\r\nbody\r\n.\r\n"},
    {"p\xc3\xa9p\xc3\xa9@example.org", "caf\xc3\xa9 \xe2\x82\xac 5", "\xc3\xa9t\xc3\xa9\n",
	"\xc3\xa9@example.net", "x", "From: <p\xc3\xa9@a>\n\nbody \xc3\xa9\n"},
    {"me@example.org", "=?not really?=", "x\n", "\"a  b\"@example.net",
	"451 4.3.0 a long reply of many words that goes on and on until it has to be folded "
	"because no line may be that long",
	"Subject: x\n\n--boundary\n=_dsn_\nContent-Type: text/plain\n"},
    {"me@example.org",
	"\xd0\x9d\xd0\xb5\xd0\xb4\xd0\xbe\xd1\x81\xd1\x82\xd0\xb0\xd0\xb2\xd0\xbb\xd0\xb5\xd0\xbd"
	"\xd0\xbd\xd0\xbe\xd0\xb5 \xd0\xbf\xd0\xb8\xd1\x81\xd1\x8c\xd0\xbc\xd0\xbe "
	"\xd0\xbe\xd1\x82\xd0\xbf\xd1\x80\xd0\xb0\xd0\xb2\xd0\xb8\xd1\x82\xd0\xb5\xd0\xbb\xd1\x8e",
	"x\n", "a@b.example", "x", "Subject: no end of line"},
};

static void
write_plain_reports(void)
{
	for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
		for (int kind = DSN_NOTHING; kind <= DSN_MESSAGE; kind++) {
			struct dsn_report report = {.host = "host.example.org",
			    .to = plain[i].to,
			    .subject = plain[i].subject,
			    .text = plain[i].text,
			    .message_id = "<1@example.org>",
			    .date = INT64_C(1795169700000),
			    .arrival = INT64_C(1795169600000),
			    .original = (enum dsn_original)kind,
			    .unique = {(uint8_t)i, 1, 2, 3}};
			struct dsn_recipient recipient = {.recipient = plain[i].recipient,
			    .status = {5, 1, 1},
			    .remote = "mx.example.net",
			    .diagnostic = plain[i].diagnostic,
			    .last_attempt = INT64_C(1795169700000)};

			write_report(&report, &recipient, plain[i].original,
			    strlen(plain[i].original), true);
		}
	}
}

/* Octets that favour what is special; without NUL, to be freed. */
static char *
make_text(unsigned *seed, size_t max)
{
	static const char *const special[] = {"\r\n", "\n", "\r", " ", "\t", "\n\n", "\nBcc: x",
	    "\n--", "=?", "?=", "\xc3\xa9", "\xe2\x82\xac", "\xff", "\xc3", "\x1b[0m", "a@b", "<",
	    ">", "\"", "\\", "Subject: ", "\nStatus: 2.0.0\n", "\nContent-Type: x\n", "x"};
	size_t count = (size_t)rand_r(seed) % max;
	struct str s = STR_INIT;

	for (size_t i = 0; i < count; i++)
		str_append_text(
		    &s, special[(size_t)rand_r(seed) % (sizeof special / sizeof *special)]);
	return str_take(&s);
}

static void
write_random_reports(void)
{
	unsigned seed = 20261120;

	for (int i = 0; i < RANDOM_REPORTS; i++) {
		char *text[8];
		struct dsn_report report = {.date = 1000};
		struct dsn_recipient recipient = {.status = {4, 999, 0}};

		for (size_t n = 0; n < 8; n++)
			text[n] = make_text(&seed, n < 6 ? 40 : 400);
		report.host = text[0];
		report.to = text[1];
		report.subject = text[2];
		report.message_id = report.envid = text[3];
		report.text = text[6];
		report.original = (enum dsn_original)(i % 3);
		report.unique[0] = (uint8_t)i;
		recipient.original = recipient.recipient = text[4];
		recipient.remote = recipient.diagnostic = text[5];
		recipient.action = i % 2 == 0 ? DSN_FAILED : DSN_DELAYED;
		write_report(&report, &recipient, text[7], strlen(text[7]), false);
		for (size_t n = 0; n < 8; n++)
			free(text[n]);
	}
}

static void
remove_directory(void)
{
	DIR *d = opendir(directory);
	struct dirent *entry;

	while (d != NULL && (entry = readdir(d)) != NULL)
		unlinkat(dirfd(d), entry->d_name, 0);
	if (d != NULL)
		closedir(d);
	rmdir(directory);
}

/* The exit status of the script; 127 when there is no python3. */
static int
run_python(void)
{
	char script[4096];
	int status;
	pid_t pid;

	snprintf(script, sizeof script, "%s/tests/unit/check_dsn.py",
	    getenv("SRCDIR") != NULL ? getenv("SRCDIR") : ".");
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		execlp("python3", "python3", script, directory, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
is_read_by_python(void **state)
{
	int status;

	(void)state;
	assert_non_null(mkdtemp(directory));
	write_plain_reports();
	write_random_reports();
	status = run_python();
	if (status == 0 || status == 127)
		remove_directory();
	if (status == 127) {
		print_message("python3 is missing, so nobody else has read the reports\n");
		skip();
	}
	if (status != 0)
		print_error("the reports are in %s\n", directory);
	assert_int_equal(status, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(is_read_by_python),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
