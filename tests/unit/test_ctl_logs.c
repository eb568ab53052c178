#include "unit.h"

#include "ctl/ctl_logs.h"

#include "base/xalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

static char *
make_directory(void)
{
	char *directory = xstrdup("/tmp/test_ctl_logs.XXXXXX");

	assert_non_null(mkdtemp(directory));
	return directory;
}

static void
remove_directory(char *directory)
{
	char *command = xasprintf("rm -rf '%s'", directory);

	assert_int_equal(system(command), 0);
	free(command);
	free(directory);
}

static void
make_log(const char *directory, const char *account, const char *name)
{
	char *path = xasprintf("%s/%s", directory, account);
	int fd;

	(void)mkdir(path, 0700);
	free(path);
	path = xasprintf("%s/%s/%s", directory, account, name);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	close(fd);
	free(path);
}

static void
knows_names(void **state)
{
	static const struct {
		const char *name;
		const char *protocol; /* NULL: it is none */
		const char *id;
	} row[] = {
	    {"20261120T101500.123Z-pop3-000123.log", "pop3", "000123"},
	    {"20261120T101500.123Z-smtp-1.log", "smtp", "1"},
	    {"20261120T101500.123Z-smtp-abc.log", "smtp", "abc"},
	    {"20261120T101500.123Z-imap-000123.log", NULL, NULL},
	    {"20261120T101500.123Z-pop3-000123.log.gz", NULL, NULL},
	    {"20261120T101500.123Z-pop3-.log", NULL, NULL},
	    {"20261120T101500.123Z-pop3-00 1.log", NULL, NULL},
	    {"20261120T101500.123-pop3-000123.log", NULL, NULL},
	    {"2026112xT101500.123Z-pop3-000123.log", NULL, NULL},
	    {"20261320T101500.123Z-pop3-000123.log", NULL, NULL},
	    {"20261120T101500.123Z", NULL, NULL},
	    {"", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct ctl_logs_entry entry = {0};
		char *name = xstrdup(row[i].name);

		assert_int_equal(ctl_logs_parse_name(name, &entry), row[i].protocol != NULL);
		if (row[i].protocol != NULL) {
			assert_string_equal(entry.protocol, row[i].protocol);
			assert_int_equal(entry.id_len, strlen(row[i].id));
			assert_memory_equal(entry.id, row[i].id, entry.id_len);
		}
		free(name);
	}
}

static void
finds_the_newest(void **state)
{
	static const struct {
		const char *word;
		const char *name; /* NULL: there is none */
	} row[] = {
	    {"000001", "20261120T101502.000Z-pop3-000001.log"},
	    {"1", "20261120T101502.000Z-pop3-000001.log"},
	    {"0001", "20261120T101502.000Z-pop3-000001.log"},
	    {"10", "20261120T101503.000Z-smtp-000010.log"},
	    {"0", NULL},
	    {"", NULL},
	    {"000002", NULL},
	    {"20261120T101500.000Z-pop3-000001", "20261120T101500.000Z-pop3-000001.log"},
	    {"20261120T101500.000Z-pop3-000001.log", "20261120T101500.000Z-pop3-000001.log"},
	};
	char *directory = make_directory();
	const struct ctl_logs_entry *entry;
	struct ctl_logs logs = {0};
	int code = EX_OK;

	(void)state;
	make_log(directory, "work", "20261120T101500.000Z-pop3-000001.log");
	make_log(directory, "work", "20261120T101503.000Z-smtp-000010.log");
	make_log(directory, "home", "20261120T101502.000Z-pop3-000001.log");
	make_log(directory, "home", "notes.txt");
	make_log(directory, ".hidden", "20261120T101509.000Z-pop3-000009.log");
	assert_true(ctl_logs_read(&logs, directory, NULL, &code));
	assert_int_equal(logs.count, 3);
	assert_string_equal(logs.list[0].name, "20261120T101503.000Z-smtp-000010.log");
	assert_string_equal(logs.list[1].account, "home");
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		entry = ctl_logs_find(&logs, row[i].word);
		assert_int_equal(entry != NULL, row[i].name != NULL);
		if (entry != NULL)
			assert_string_equal(entry->name, row[i].name);
	}
	assert_int_equal(ctl_logs_count_id(&logs, &logs.list[1]), 2);
	assert_true(ctl_logs_compare(&logs.list[0], &logs.list[1]) < 0);
	assert_true(ctl_logs_compare(&logs.list[2], &logs.list[1]) > 0);
	assert_int_equal(ctl_logs_compare(&logs.list[2], &logs.list[2]), 0);
	assert_true(ctl_logs_read(&logs, directory, "work", &code));
	assert_int_equal(logs.count, 2);
	ctl_logs_clear(&logs);
	remove_directory(directory);
}

static void
a_missing_directory_holds_none(void **state)
{
	char *directory = make_directory();
	char *missing = xasprintf("%s/missing", directory);
	struct ctl_logs logs = {0};
	int code = EX_OK;

	(void)state;
	assert_true(ctl_logs_read(&logs, missing, NULL, &code));
	assert_true(ctl_logs_read(&logs, directory, "nobody", &code));
	assert_int_equal(logs.count, 0);
	assert_int_equal(code, EX_OK);
	ctl_logs_clear(&logs);
	free(missing);
	remove_directory(directory);
}

/* A link in place of a log or of an account's directory leads nowhere. */
static void
follows_no_link(void **state)
{
	char *directory = make_directory();
	char *account = xasprintf("%s/other", directory);
	char *link = xasprintf("%s/office/20261120T101501.000Z-pop3-000002.log", directory);
	struct ctl_logs logs = {0};
	int code = EX_OK;

	(void)state;
	make_log(directory, "office", "20261120T101500.000Z-pop3-000001.log");
	assert_int_equal(symlink("/etc/passwd", link), 0);
	assert_int_equal(symlink("office", account), 0);
	assert_true(ctl_logs_read(&logs, directory, NULL, &code));
	assert_int_equal(logs.count, 2);
	assert_int_equal(ctl_logs_open(&logs, &logs.list[0]), -1);
	assert_int_equal(errno, ELOOP);
	ctl_logs_clear(&logs);
	free(account);
	free(link);
	remove_directory(directory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(knows_names),
	    cmocka_unit_test(finds_the_newest),
	    cmocka_unit_test(a_missing_directory_holds_none),
	    cmocka_unit_test(follows_no_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
