#include "unit.h"

#include "base/journal.h"
#include "base/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The fields of a line as "NAME=value NAME=value". */
static const char *
fields_of(const char *line)
{
	static char text[256];
	struct journal_field field;

	text[0] = '\0';
	while (journal_next_field(&line, &field)) {
		size_t used = strlen(text);

		snprintf(text + used, sizeof text - used, "%s%s=%.*s", used > 0 ? " " : "",
		    field.name, field.value_len, field.value);
	}
	return text;
}

static void
the_beginning_becomes_fields(void **state)
{
	static const struct {
		const char *line;
		const char *fields;
	} row[] = {
	    {"account=box session=000123 protocol=pop3 result=auth stage=pass fetched=0",
		"ACCOUNT=box SESSION=000123 PROTOCOL=pop3 RESULT=auth STAGE=pass"},
	    {"account=box session=1 message=7 uid=x", "ACCOUNT=box SESSION=1 MAIL_ID=7"},
	    {"message=01k8jm name=letter fate=failed", "MAIL_ID=01k8jm"},
	    {"account=box is blocked: no", "ACCOUNT=box"},
	    {"account=box", "ACCOUNT=box"},
	    {"account= session=1", ""},
	    {"account", ""},
	    {"stopping", ""},
	    {"", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
		assert_string_equal(fields_of(row[i].line), row[i].fields);
}

/* Names of files, addresses and replies are other people's words, and may look like fields. */
static void
a_peers_word_is_no_field(void **state)
{
	static const char *const line[] = {
	    "reason=x account=forged",
	    "name=a session=forged",
	    "sender=<\"x account=forged\"@y> account=forged",
	    " account=forged",
	    "accounts=1 account=forged",
	    "ACCOUNT=forged",
	    "=forged",
	};

	(void)state;
	for (size_t i = 0; i < sizeof line / sizeof line[0]; i++)
		assert_string_equal(fields_of(line[i]), "");
}

static void
without_a_journal_nothing_is_sent(void **state)
{
	(void)state;
	assert_false(journal_is_stderr());
	assert_false(journal_send(6, "account=box"));
}

/* In a process of its own: where standard error leads is found out once. */
static void
log_as_a_service(int fd)
{
	char stream[64];
	struct stat st;

	fstat(fd, &st);
	snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)st.st_dev,
	    (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	dup2(fd, STDERR_FILENO);
	log_info("account=box started");
	log_error("oh");
	_exit(journal_is_stderr() ? 0 : 1);
}

/* What stands in for the journal here is a file, which takes no fields. */
static void
lines_have_priorities_else(void **state)
{
	char path[] = "/tmp/test_journal.XXXXXX", text[128] = "";
	int fd = mkstemp(path), status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		log_as_a_service(fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(pread(fd, text, sizeof text - 1, 0) > 0);
	assert_string_equal(text, "<6>account=box started\n<3>oh\n");
	close(fd);
	unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_beginning_becomes_fields),
	    cmocka_unit_test(a_peers_word_is_no_field),
	    cmocka_unit_test(lines_have_priorities_else), /* before this process finds out */
	    cmocka_unit_test(without_a_journal_nothing_is_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
