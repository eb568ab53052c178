#include "unit.h"

#include "ctl/ctl_logfile.h"

#include "base/xalloc.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#define STAMP "2026-11-20T10:15:00.120Z"

/* A file without a name that holds the text. */
static int
make_file(const char *text, size_t len)
{
	int fd = memfd_create("log", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), (ssize_t)len);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void
open_text(struct ctl_logfile *file, const char *text)
{
	ctl_logfile_open(file, make_file(text, strlen(text)));
}

static void
parses_lines(void **state)
{
	static const struct {
		const char *line;
		enum ctl_logfile_kind kind;
		const char *text;
		enum ctl_tone tone;
	} row[] = {
	    {STAMP " --> USER me", CTL_LOGFILE_SENT, "USER me", CTL_OURS},
	    {STAMP " <-- +OK", CTL_LOGFILE_RECEIVED, "+OK", CTL_GOOD},
	    {STAMP " <-- -ERR no", CTL_LOGFILE_RECEIVED, "-ERR no", CTL_BAD},
	    {STAMP " <-- 250-SIZE", CTL_LOGFILE_RECEIVED, "250-SIZE", CTL_GOOD},
	    {STAMP " <-- 354 go on", CTL_LOGFILE_RECEIVED, "354 go on", CTL_PLAIN},
	    {STAMP " <-- 451 later", CTL_LOGFILE_RECEIVED, "451 later", CTL_WARN},
	    {STAMP " <-- 550", CTL_LOGFILE_RECEIVED, "550", CTL_BAD},
	    {STAMP " <-- 5500 Euro", CTL_LOGFILE_RECEIVED, "5500 Euro", CTL_PLAIN},
	    {STAMP " <-- ", CTL_LOGFILE_RECEIVED, "", CTL_PLAIN},
	    {STAMP " <--", CTL_LOGFILE_RECEIVED, "", CTL_PLAIN},
	    {STAMP " ---  x", CTL_LOGFILE_NOTE, " x", CTL_DIM},
	    {STAMP " --- closed: ok, 1 fetched", CTL_LOGFILE_NOTE, "closed: ok, 1 fetched",
		CTL_GOOD},
	    {STAMP " --- closed: stopped, 1", CTL_LOGFILE_NOTE, "closed: stopped, 1", CTL_WARN},
	    {STAMP " --- closed: tls, 0", CTL_LOGFILE_NOTE, "closed: tls, 0", CTL_BAD},
	    {STAMP " --> closed: tls, 0", CTL_LOGFILE_SENT, "closed: tls, 0", CTL_OURS},
	    {STAMP " -->x", CTL_LOGFILE_OTHER, NULL, CTL_BOLD},
	    {STAMP " ==> x", CTL_LOGFILE_OTHER, NULL, CTL_BOLD},
	    {STAMP, CTL_LOGFILE_OTHER, NULL, CTL_BOLD},
	    {"2026-11-20T10:15:00.120 --> USER", CTL_LOGFILE_OTHER, NULL, CTL_BOLD},
	    {"# postrider session 1", CTL_LOGFILE_OTHER, NULL, CTL_BOLD},
	    {"", CTL_LOGFILE_OTHER, NULL, CTL_BOLD},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct ctl_logfile_line line;

		ctl_logfile_parse(&line, row[i].line);
		assert_int_equal(line.kind, row[i].kind);
		assert_string_equal(line.text, row[i].text != NULL ? row[i].text : row[i].line);
		assert_int_equal(ctl_logfile_tone(&line), row[i].tone);
	}
}

static void
parses_heads(void **state)
{
	static const struct {
		const char *line;
		const char *session, *account, *protocol, *server;
	} row[] = {
	    {"# postrider session 000123 account=a protocol=pop3 server=[::1]:995", "000123", "a",
		"pop3", "[::1]:995"},
	    {"# postrider session 7 server=x", "7", "-", "-", "x"},
	    {"# postrider session  account= x", "-", "-", "-", "-"},
	    {"# something else server=x", "-", "-", "-", "-"},
	    {"", "-", "-", "-", "-"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct ctl_logfile_head head;

		ctl_logfile_parse_head(&head, row[i].line);
		assert_string_equal(head.session, row[i].session);
		assert_string_equal(head.account, row[i].account);
		assert_string_equal(head.protocol, row[i].protocol);
		assert_string_equal(head.server, row[i].server);
		ctl_logfile_clear_head(&head);
	}
}

static void
reads_line_by_line(void **state)
{
	struct ctl_logfile file;
	int fd = make_file("one\n\ntw\0o\nthr", 13);
	int writer = dup(fd);

	(void)state;
	ctl_logfile_open(&file, fd);
	assert_string_equal(ctl_logfile_next(&file, false), "one");
	assert_string_equal(ctl_logfile_next(&file, false), "");
	assert_string_equal(ctl_logfile_next(&file, false), "tw\\x00o");
	assert_null(ctl_logfile_next(&file, false));
	assert_int_equal(pwrite(writer, "ee\nfour", 7, 13), 7);
	assert_string_equal(ctl_logfile_next(&file, false), "three");
	assert_null(ctl_logfile_next(&file, false));
	assert_string_equal(ctl_logfile_next(&file, true), "four");
	assert_null(ctl_logfile_next(&file, true));
	ctl_logfile_close(&file);
	close(writer);
}

/* A file that is no log at all takes no more memory than a line may have. */
static void
an_endless_line_comes_in_pieces(void **state)
{
	size_t len = 3 << 20, total = 0;
	char *text = xmalloc(len);
	struct ctl_logfile file;
	const char *line;
	size_t pieces = 0;

	(void)state;
	memset(text, 'x', len);
	ctl_logfile_open(&file, make_file(text, len));
	free(text);
	while ((line = ctl_logfile_next(&file, true)) != NULL) {
		assert_true(strlen(line) <= 1 << 20);
		total += strlen(line);
		pieces++;
	}
	assert_int_equal(total, len);
	assert_true(pieces >= 3);
	ctl_logfile_close(&file);
}

static void
tells_how_it_ended(void **state)
{
	static const struct {
		const char *text;
		const char *trouble;
		const char *end;
	} row[] = {
	    {"# head\n" STAMP " --- closed: ok, 1 fetched\n", NULL, "closed: ok, 1 fetched"},
	    {"# head\n" STAMP " --- no route\n" STAMP " --- closed: network, 0 fetched\n",
		"no route", "closed: network, 0 fetched"},
	    {"# head\n" STAMP " --> QUIT\n" STAMP " --- closed: network, 0 fetched\n", NULL,
		"closed: network, 0 fetched"},
	    {"# head\n" STAMP " --- no route\n" STAMP " --- closed: stopped, 0 fetched\n", NULL,
		"closed: stopped, 0 fetched"},
	    {"# head\n" STAMP " --- closed: ok, 1 fet", NULL, NULL},
	    {"# head\n" STAMP " --> closed: ok, 1 fetched\n", NULL, NULL},
	    {"# head\n", NULL, NULL},
	    {"", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		char *trouble, *end;
		struct ctl_logfile file;

		open_text(&file, row[i].text);
		ctl_logfile_tail(&file, &trouble, &end);
		assert_int_equal(trouble != NULL, row[i].trouble != NULL);
		assert_int_equal(end != NULL, row[i].end != NULL);
		if (trouble != NULL)
			assert_string_equal(trouble, row[i].trouble);
		if (end != NULL)
			assert_string_equal(end, row[i].end);
		free(trouble);
		free(end);
		ctl_logfile_close(&file);
	}
}

static void
knows_whether_it_is_written(void **state)
{
	char path[] = "/tmp/test_ctl_logfile.XXXXXX";
	int writer = mkstemp(path);
	struct ctl_logfile file;

	(void)state;
	assert_true(writer >= 0);
	ctl_logfile_open(&file, open(path, O_RDONLY | O_CLOEXEC));
	assert_true(ctl_logfile_is_written(&file)); /* about to be */
	assert_int_equal(flock(writer, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(write(writer, "# head\n", 7), 7);
	assert_true(ctl_logfile_is_written(&file));
	assert_int_equal(flock(writer, LOCK_UN), 0);
	assert_false(ctl_logfile_is_written(&file));
	/* Nothing is left behind that would keep a writer from its lock. */
	assert_int_equal(flock(writer, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(write(writer, STAMP " --- closed: ok, 0\n", 43), 43);
	while (ctl_logfile_next(&file, false) != NULL)
		;
	assert_false(ctl_logfile_is_written(&file));
	ctl_logfile_close(&file);
	close(writer);
	unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(parses_lines),
	    cmocka_unit_test(parses_heads),
	    cmocka_unit_test(reads_line_by_line),
	    cmocka_unit_test(an_endless_line_comes_in_pieces),
	    cmocka_unit_test(tells_how_it_ended),
	    cmocka_unit_test(knows_whether_it_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
