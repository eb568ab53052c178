#include "unit.h"

#include "ctl/ctl_flow.h"

#include "base/xalloc.h"

#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * The charts of two sessions as they should be are files in tests/unit/flow.  After a change that
 * is meant, CHARTS=write makes them anew: look at the difference with care.
 */
#define CHARTS SRCDIR "/tests/unit/flow"

#define STAMP(ms) "2026-11-20T10:15:00." ms "Z"

static int
set_up(void **state)
{
	(void)state;
	return setlocale(LC_CTYPE, "C.UTF-8") != NULL ? 0 : -1;
}

static char *
read_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct str s = STR_INIT;
	char piece[4096];
	ssize_t n;

	while (fd >= 0 && (n = read(fd, piece, sizeof piece)) > 0)
		str_append(&s, piece, (size_t)n);
	if (fd >= 0)
		close(fd);
	return str_take(&s);
}

static void
draw(struct str *s, int fd, const struct ctl_screen *screen)
{
	struct ctl_logfile file;

	assert_true(fd >= 0);
	ctl_logfile_open(&file, fd);
	assert_true(ctl_flow_append(s, &file, screen));
	ctl_logfile_close(&file);
}

static int
make_file(const char *text)
{
	int fd = memfd_create("log", MFD_CLOEXEC);

	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void
draws(const char *text, const char *expected)
{
	static const struct ctl_screen screen = {60, false, true};
	struct str s = STR_INIT;
	const char *chart;

	draw(&s, make_file(text), &screen);
	/* Behind the title and the boxes. */
	chart = strstr(str_text(&s), "---+\n");
	assert_non_null(chart);
	assert_string_equal(chart + 5, expected);
	str_clear(&s);
}

/* -- whole charts ----------------------------------------------------------------------------- */

static void
compare_chart(const char *name, const char *chart, const struct ctl_screen *screen)
{
	const char *write_them = getenv("CHARTS");
	char *path = xasprintf("%s/%s-%zu%s%s.txt", CHARTS, name, screen->width,
	    screen->ascii ? "-ascii" : "", screen->colour ? "-colour" : "");
	char *expected;

	if (write_them != NULL && strcmp(write_them, "write") == 0) {
		FILE *file = fopen(path, "w");

		assert_non_null(file);
		assert_true(fputs(chart, file) >= 0);
		assert_int_equal(fclose(file), 0);
	}
	expected = read_file(path);
	assert_string_equal(chart, expected);
	free(expected);
	free(path);
}

static void
draw_as_before(const char *name, const struct ctl_screen *screen)
{
	char *path = xasprintf("%s/%s.session", CHARTS, name);
	struct str s = STR_INIT;

	draw(&s, open(path, O_RDONLY | O_CLOEXEC), screen);
	compare_chart(name, str_text(&s), screen);
	str_clear(&s);
	free(path);
}

static void
draws_sessions_as_before(void **state)
{
	static const char *const names[] = {"pop3", "smtp"};
	static const struct ctl_screen screens[] = {{60, false, false}, {80, false, false},
	    {140, false, false}, {80, false, true}, {80, true, false}};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		for (size_t j = 0; j < sizeof screens / sizeof screens[0]; j++)
			draw_as_before(names[i], &screens[j]);
}

/* Each answer bears the command that it is for, whether the log has the octets of chunks or not. */
static void
draws_chunks_as_before(void **state)
{
	static const struct ctl_screen screen = {80, false, false};

	(void)state;
	draw_as_before("bdat", &screen);
	draw_as_before("bdat-full", &screen);
}

/* Every row between the boxes and the end ends where the right lifeline is. */
static void
check_rows(char *chart, size_t width)
{
	char *rows = chart, *row;
	size_t expected = (width < 140 ? width : 140) - 1;
	bool has_begun = false, has_ended = false;

	while ((row = strsep(&rows, "\n")) != NULL && *row != '\0') {
		size_t columns = ctl_text_width(row);

		assert_true(columns <= expected);
		if (has_begun && !has_ended)
			assert_int_equal(columns, expected);
		has_begun = has_begun || strstr(row, "postrider") != NULL;
		has_ended = has_ended || strstr(row, "╚") != NULL || strstr(row, "└──") != NULL;
		if (row == chart)
			strsep(&rows, "\n"); /* the empty one below the title */
	}
}

static void
lifelines_are_straight(void **state)
{
	static const char *const names[] = {"pop3", "smtp", "hostile"};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		char *path = xasprintf("%s/%s.session", CHARTS, names[i]);

		for (size_t width = 40; width <= 160; width++) {
			struct ctl_screen screen = {width, false, false};
			struct str s = STR_INIT;
			char *chart;

			draw(&s, open(path, O_RDONLY | O_CLOEXEC), &screen);
			chart = str_take(&s);
			check_rows(chart, width);
			free(chart);
		}
		free(path);
	}
}

/* The file is believed nothing: no control character of it gets through, on any screen. */
static void
terminals_obey_no_log(void **state)
{
	static const struct ctl_screen screens[] = {
	    {40, false, false}, {80, false, true}, {140, false, false}};
	char *path = xasprintf("%s/hostile.session", CHARTS);

	(void)state;
	for (size_t i = 0; i < sizeof screens / sizeof screens[0]; i++) {
		struct str s = STR_INIT;

		draw(&s, open(path, O_RDONLY | O_CLOEXEC), &screens[i]);
		for (size_t j = 0; j < s.len; j++) {
			unsigned char c = (unsigned char)s.data[j];

			assert_true(c == '\n' || (c >= 0x20 && c != 0x7f));
			assert_true(!screens[i].ascii || c < 0x80);
		}
		assert_null(strstr(str_text(&s), "\xc2\x9b"));     /* CSI */
		assert_null(strstr(str_text(&s), "\xe2\x80\xae")); /* right-to-left override */
		str_clear(&s);
	}
	free(path);
}

/* -- what lines mean -------------------------------------------------------------------------- */

#define HEAD(protocol) "# postrider session 000001 account=a protocol=" protocol " server=h:1\n"

static void
answers_bear_the_command_when_several_waited(void **state)
{
	(void)state;
	draws(
	    HEAD("pop3") STAMP("000") " --> NOOP\n" STAMP("010") " <-- +OK\n" STAMP(
		"010") " --> DELE 1\n" STAMP("010") " --> DELE 2\n" STAMP("020") " <-- "
										 "+OK\n" STAMP(
										     "0"
										     "2"
										     "0") " <-- "
											  "-ERR "
											  "no"
											  "\n" STAMP(
											      "020") " --- closed: ok, 1 fetched\n",
	    "           |- NOOP -------------------------------------->|\n"
	    "    +10 ms |<--------------------------------------- +OK -|\n"
	    "           |. DELE 1 ------------------------------------>|\n"
	    "           |' DELE 2 ------------------------------------>|\n"
	    "    +10 ms |<-- DELE 1 ----------------------------- +OK -|\n"
	    "           |<-- DELE 2 ------------------------- -ERR no -|\n"
	    "           +--------------- ok, 1 fetched ----------------+\n");
}

/* What looks like a reply in a message is the message's. */
static void
content_is_no_reply(void **state)
{
	(void)state;
	draws(
	    HEAD("pop3") STAMP("000") " --> RETR 1\n" STAMP("000") " <-- +OK\n" STAMP(
		"000") " <-- +OK is what I say\n" STAMP("000") " <-- (message 9: 1 "
							       "octets)\n" STAMP(
								   "000") " <-- "
									  "."
									  "\n" STAMP(
									      "000") " <-- "
										     "(message 1: "
										     "99 "
										     "octets)"
										     "\n" STAMP(
											 "00"
											 "0") " ---"
											      " clo"
											      "sed:"
											      " ok,"
											      " 1 "
											      "fetc"
											      "hed"
											      "\n",
	    "           |- RETR 1 ------------------------------------>|\n"
	    "           |<-------------------- +OK --------------------|\n"
	    "           |                      +OK is what I say       |\n"
	    "           |                      (message 9: 1 octets)   |\n"
	    "           |                      (message 1: 99 octets)  |\n"
	    "           +--------------- ok, 1 fetched ----------------+\n");
	draws(HEAD("smtp") STAMP("000") " --> DATA\n" STAMP("000") " <-- 354 go on\n" STAMP("000") " --> QUIT\n" STAMP("000") " --> .\n" STAMP(
		  "000") " --> (message 1: 4 octets)\n" STAMP("000") " --> QUIT\n" STAMP("000") " <"
												"--"
												" 2"
												"50"
												" o"
												"k"
												"\n" STAMP(
												    "000") " <-- 221 bye\n",
	    "           |- DATA -------------------------------------->|\n"
	    "           |<--------------------------------- 354 go on -|\n"
	    "           |. QUIT                                        |\n"
	    "           || (message 1: 4 octets) --------------------->|\n"
	    "           |' QUIT -------------------------------------->|\n"
	    "           |<-- the message --------------------- 250 ok -|\n"
	    "           |<-- QUIT --------------------------- 221 bye -|\n"
	    "           |   the log breaks off here: the daemon was    |\n"
	    "           |         killed, or the disk was full         |\n");
}

static void
the_wait_is_told(void **state)
{
	(void)state;
	draws(HEAD("smtp") "2026-11-20T10:15:00.000Z --> NOOP\n"
			   "2026-11-20T10:15:12.500Z <-- 250 ok\n"
			   "2026-11-20T11:15:12.500Z --- closed: network, 0 sent\n",
	    "           |- NOOP -------------------------------------->|\n"
	    " +12.500 s |<------------------------------------ 250 ok -|\n"
	    " +60.0 min +---------- network trouble, 0 sent -----------+\n");
}

static void
what_repeats_is_folded(void **state)
{
	struct str log = STR_INIT;

	(void)state;
	str_append_text(&log, HEAD("pop3"));
	for (int i = 1; i <= 100; i++)
		str_appendf(&log, STAMP("%03d") " --> DELE %d\n" STAMP("%03d") " <-- %s\n", 2 * i,
		    i, 2 * i + 1, i == 60 ? "-ERR no" : "+OK");
	str_append_text(&log, STAMP("999") " --- closed: ok, 100 deleted\n");
	draws(str_text(&log), "           |- DELE 1 ------------------------------------>|\n"
			      "     +1 ms |<--------------------------------------- +OK -|\n"
			      "     +1 ms |- DELE 2 ------------------------------------>|\n"
			      "     +1 ms |<--------------------------------------- +OK -|\n"
			      "   +113 ms |         ... 113 more like these ...          |\n"
			      "     +1 ms |<--------------------------------------- +OK -|\n"
			      "     +1 ms |- DELE 60 ----------------------------------->|\n"
			      "     +1 ms |<----------------------------------- -ERR no -|\n"
			      "     +1 ms |- DELE 61 ----------------------------------->|\n"
			      "     +1 ms |<--------------------------------------- +OK -|\n"
			      "     +1 ms |- DELE 62 ----------------------------------->|\n"
			      "     +1 ms |<--------------------------------------- +OK -|\n"
			      "    +74 ms |          ... 74 more like these ...          |\n"
			      "     +1 ms |- DELE 100 ---------------------------------->|\n"
			      "     +1 ms |<--------------------------------------- +OK -|\n"
			      "   +798 ms +-------------- ok, 100 deleted ---------------+\n");
	str_clear(&log);
}

static void
no_log_is_no_chart(void **state)
{
	static const char *const row[] = {"", "\n", "hello\nworld\n", HEAD("pop3")};
	static const struct ctl_screen screen = {80, false, false};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct ctl_logfile file;
		struct str s = STR_INIT;

		ctl_logfile_open(&file, make_file(row[i]));
		assert_false(ctl_flow_append(&s, &file, &screen));
		assert_int_equal(s.len, 0);
		ctl_logfile_close(&file);
		str_clear(&s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(draws_sessions_as_before),
	    cmocka_unit_test(draws_chunks_as_before),
	    cmocka_unit_test(lifelines_are_straight),
	    cmocka_unit_test(terminals_obey_no_log),
	    cmocka_unit_test(answers_bear_the_command_when_several_waited),
	    cmocka_unit_test(content_is_no_reply),
	    cmocka_unit_test(the_wait_is_told),
	    cmocka_unit_test(what_repeats_is_folded),
	    cmocka_unit_test(no_log_is_no_chart),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
