#include "unit.h"

#include "base/clock.h"
#include "base/str.h"
#include "base/worker.h"
#include "base/xalloc.h"
#include "net/transcript.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WALL  1795169700123 /* 2026-11-20T10:15:00.123Z */
#define STAMP "2026-11-20T10:15:00.123Z"
#define PATH  "/logs/personal/20261120T101500.123Z-pop3-000123.log"
#define FIRST                                                                                      \
	"# postrider session 000123 account=personal protocol=pop3 server=pop.example.org:995\n"

static int64_t wall;

static int64_t
fake_wall(void)
{
	return wall;
}

static const struct clock_source fake_clock = {fake_wall, fake_wall, fake_wall};

struct fixture {
	struct event_base *base;
	struct worker *worker;
	char *directory;
	struct transcript *t;
};

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);
	char directory[] = "/tmp/test_transcript.XXXXXX";

	wall = WALL;
	clock_set_source(&fake_clock);
	f->base = event_base_new();
	f->worker = worker_new(f->base, "test", NULL, NULL);
	f->directory = xstrdup(mkdtemp(directory));
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;
	char *command = xasprintf("rm -rf '%s'", f->directory);

	transcript_close(&f->t);
	worker_free(&f->worker);
	event_base_free(f->base);
	assert_int_equal(system(command), 0);
	free(command);
	free(f->directory);
	free(f);
	clock_set_source(NULL);
	return 0;
}

static void
open_transcript(struct fixture *f, bool full)
{
	char *logs = xasprintf("%s/logs", f->directory);
	const struct transcript_settings settings = {
	    .directory = logs,
	    .account = "personal",
	    .protocol = "pop3",
	    .server = "pop.example.org:995",
	    .id = "000123",
	    .full = full,
	};

	f->t = transcript_open(f->base, f->worker, &settings);
	free(logs);
}

/* The file's text; free(3) it. */
static char *
read_file(const struct fixture *f)
{
	char *path = xasprintf("%s" PATH, f->directory), *text = xcalloc(1, 8 << 20);
	FILE *file = fopen(path, "r");

	assert_non_null(file);
	assert_true(fread(text, 1, (8 << 20) - 1, file) > 0);
	fclose(file);
	free(path);
	return text;
}

/* Closes the transcript and lets the worker write everything; the file must hold the lines. */
static void
assert_log(struct fixture *f, const char *lines)
{
	char *expected = xasprintf(FIRST "%s", lines), *text;

	transcript_close(&f->t);
	worker_free(&f->worker);
	text = read_file(f);
	assert_string_equal(text, expected);
	free(expected);
	free(text);
}

static void
lines_have_the_promised_form(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	char *path;

	open_transcript(f, false);
	transcript_note(f->t, "connected to %s", "[2001:db8::5]:995");
	transcript_received(f->t, "+OK ready", 9);
	wall += 77;
	transcript_sent(f->t, "USER me@example.org", 19);
	wall += 60000;
	transcript_sent(f->t, "PASS ****", 9);
	transcript_octets(f->t, false, "Subject: x\r\n", 12);
	transcript_received_summary(f->t, "(message %d: %d octets)", 1, 3681);
	assert_log(f, STAMP " --- connected to [2001:db8::5]:995\n" STAMP " <-- +OK ready\n"
			    "2026-11-20T10:15:00.200Z --> USER me@example.org\n"
			    "2026-11-20T10:16:00.200Z --> PASS ****\n"
			    "2026-11-20T10:16:00.200Z <-- (message 1: 3681 octets)\n");
	path = xasprintf("%s" PATH, f->directory);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	*strrchr(path, '/') = '\0';
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	free(path);
}

static void
peers_cannot_write_to_the_terminal(void **state)
{
	struct fixture *f = *state;

	open_transcript(f, false);
	transcript_received(f->t, "-ERR \x1b[31m\0\x9b\r\n\\ \xc3\xa9", 18);
	transcript_note(f->t, "a\nb\x1b");
	assert_log(
	    f, STAMP " <-- -ERR \\x1b[31m\\x00\\x9b\\x0d\\x0a\\\\ \xc3\xa9\n" STAMP " --- a b \n");
}

static void
secrets_are_hidden_in_every_form(void **state)
{
	static const struct {
		const char *line;
		const char *shown;
	} cases[] = {
	    {"-ERR bad password hunter2!", "-ERR bad password ****!"},
	    {"hunter2", "****"},
	    {"hunter2hunter2x", "********x"},
	    {"aHVudGVyMg==", "****"},
	    {"+ aHVudGVyMg", "+ ****"},
	    {"hunter", "hunter"},
	    {"the pin ab, not abc nor cab", "the pin ****, not abc nor cab"},
	    {"ab", "****"},
	    {"hunter2-and-more", "****"},
	    {"tab\\key", "tab\\\\key"},
	};
	struct fixture *f = *state;
	struct str expected = STR_INIT;

	open_transcript(f, false);
	transcript_hide(f->t, "hunter2", 7);
	transcript_hide(f->t, "hunter2", 7);
	transcript_hide(f->t, "hunter2-and-more", 16);
	transcript_hide(f->t, "ab", 2);
	transcript_hide(f->t, "", 0);
	transcript_hide(f->t, "q\\x\x01y", 5);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		transcript_received(f->t, cases[i].line, strlen(cases[i].line));
		str_appendf(&expected, STAMP " <-- %s\n", cases[i].shown);
	}
	transcript_sent(f->t, "PASS hunter2", 12);
	transcript_note(f->t, "refused: \"%s\"", "no hunter2");
	transcript_note(f->t, "refused: \"%s\"", "no q\\\\x\\x01y"); /* as it is escaped */
	transcript_received(f->t, "q\\x\x01y", 5);
	str_append_text(&expected,
	    STAMP " --> PASS ****\n" STAMP " --- refused: \"no ****\"\n" STAMP
		  " --- refused: \"no ****\"\n" STAMP " <-- ****\n");
	assert_log(f, str_text(&expected));
	str_clear(&expected);
}

/* A server that repeats a long one wraps it; the user's name is none, though it goes with it. */
static void
pieces_are_hidden_until_the_login_is_over(void **state)
{
	static const char token[] = "ya29.AbCdEfGhIjKlMnOpQrStUvWxYz0123456789";
	static const char plain[] =
	    "\0someone@example.org\0ya29.AbCdEfGhIjKlMnOpQrStUvWxYz0123456789";
	static const struct {
		const char *line;
		const char *shown;
	} cases[] = {
	    {"535-5.7.8 ya29.AbCdEfGhIj", "535-5.7.8 ****"},
	    {"535-KlMnOpQrStUvWx", "535-****"},
	    {"535 YzO 0123456789", "535 YzO 0123456789"},
	    {"535-ZXhhbXBsZS5vcmcAeWEyOS5BYkNkRWZH", "535-****"},
	    {"535 KlMnOpQrStU for someone@example.org", "535 KlMnOpQrStU for someone@example.org"},
	};
	struct fixture *f = *state;
	struct str expected = STR_INIT;

	open_transcript(f, false);
	transcript_hide(f->t, plain, sizeof plain - 1);
	transcript_hide(f->t, token, sizeof token - 1);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		transcript_received(f->t, cases[i].line, strlen(cases[i].line));
		str_appendf(&expected, STAMP " <-- %s\n", cases[i].shown);
	}
	transcript_end_login(f->t);
	transcript_received(f->t, cases[1].line, strlen(cases[1].line));
	transcript_received(f->t, token, sizeof token - 1);
	str_appendf(&expected, STAMP " <-- %s\n" STAMP " <-- ****\n", cases[1].line);
	transcript_end_login(NULL);
	assert_log(f, str_text(&expected));
	str_clear(&expected);
}

static void
challenges_are_hidden_while_wanted(void **state)
{
	static const struct {
		const char *line, *shown;
	} cases[] = {
	    {"+ cj1ub25jZSxzPXNhbHQ=", "+ ****"},
	    {"+\tcj1ub25jZSxzPXNhbHQ=", "+ ****"},
	    {"+ ", "+ "},
	    {"+", "+"},
	    {"+OK in", "+OK in"},
	    {"-ERR + no", "-ERR + no"},
	    {"", ""},
	};
	struct fixture *f = *state;
	struct str expected = STR_INIT;

	open_transcript(f, false);
	transcript_hide_challenges(f->t, "+ ");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		transcript_received(f->t, cases[i].line, strlen(cases[i].line));
		str_appendf(&expected, STAMP " <-- %s\n", cases[i].shown);
	}
	transcript_hide_challenges(f->t, NULL);
	transcript_received(f->t, "+ more", 6);
	str_append_text(&expected, STAMP " <-- + more\n");
	assert_log(f, str_text(&expected));
	str_clear(&expected);
	transcript_hide_challenges(NULL, "+ ");
}

/* Message octets, cut at each byte, come out as the same lines, in order with the rest. */
static void
octets_appear_when_full(void **state)
{
	static const char octets[] = "Subject: hunter2\r\n\r\na bare LF\nlong";
	struct str expected = STR_INIT;
	struct fixture *f = *state;
	size_t len = sizeof octets - 1;

	open_transcript(f, true);
	assert_true(transcript_is_full(f->t));
	transcript_hide(f->t, "hunter2", 7);
	for (size_t cut = 0; cut <= len; cut++) {
		transcript_octets(f->t, false, octets, cut);
		transcript_octets(f->t, false, octets + cut, len - cut);
		transcript_received(f->t, "+OK", 3);
		str_append_text(&expected,
		    STAMP " <-- Subject: ****\n" STAMP " <-- \n" STAMP " <-- a bare LF\n" STAMP
			  " <-- long\n" STAMP " <-- +OK\n");
	}
	transcript_octets(f->t, true, "one", 3);
	transcript_octets(f->t, false, "two\n", 4);
	str_append_text(&expected, STAMP " --> one\n" STAMP " <-- two\n");
	assert_log(f, str_text(&expected));
	str_clear(&expected);
}

static bool
file_exists(const struct fixture *f)
{
	char *path = xasprintf("%s" PATH, f->directory);
	struct stat st;
	bool there = stat(path, &st) == 0 && (size_t)st.st_size > sizeof FIRST;

	free(path);
	return there;
}

static void
the_file_is_there_while_the_session_runs(void **state)
{
	struct fixture *f = *state;

	open_transcript(f, false);
	transcript_note(f->t, "here");
	while (!file_exists(f))
		event_base_loop(f->base, EVLOOP_ONCE);
}

static void
many_lines_arrive_whole(void **state)
{
	struct fixture *f = *state;
	struct str expected = STR_INIT;

	open_transcript(f, false);
	for (int i = 0; i < 9000; i++) {
		char line[64];
		int n = snprintf(line, sizeof line, "RETR %d", i);

		transcript_sent(f->t, line, (size_t)n);
		str_appendf(&expected, STAMP " --> %s\n", line);
	}
	assert_log(f, str_text(&expected));
	str_clear(&expected);
}

/* What the worker wrote counts as waiting until the loop runs: here that is never. */
static void
a_stalled_disk_costs_lines_not_memory(void **state)
{
	struct fixture *f = *state;
	char *path = xasprintf("%s" PATH, f->directory);
	char line[1000], *text;
	struct stat st;

	memset(line, 'x', sizeof line);
	open_transcript(f, false);
	for (int i = 0; i < 10000; i++)
		transcript_received(f->t, line, sizeof line);
	transcript_close(&f->t);
	worker_free(&f->worker);
	assert_int_equal(stat(path, &st), 0);
	assert_in_range(st.st_size, 4000000, 4400000);
	f->t = NULL;
	text = read_file(f);
	assert_non_null(strstr(text, " lines are missing: the disk was too slow\n"));
	free(text);
	free(path);
}

static void
a_link_in_the_way_is_not_followed(void **state)
{
	struct fixture *f = *state;
	char *victim = xasprintf("%s/victim", f->directory);
	char *logs = xasprintf("%s/logs", f->directory);
	char *account = xasprintf("%s/logs/personal", f->directory);
	char *path = xasprintf("%s" PATH, f->directory);

	assert_int_equal(mkdir(logs, 0700), 0);
	assert_int_equal(mkdir(account, 0700), 0);
	assert_int_equal(symlink(victim, path), 0);
	open_transcript(f, false);
	transcript_note(f->t, "here");
	transcript_close(&f->t);
	worker_free(&f->worker);
	assert_int_equal(access(victim, F_OK), -1);
	free(victim);
	free(logs);
	free(account);
	free(path);
}

static void
without_a_directory_nothing_is_written(void **state)
{
	struct fixture *f = *state;
	const struct transcript_settings settings = {
	    .account = "a", .protocol = "pop3", .server = "s", .id = "1", .full = true};
	struct transcript *none = NULL;

	f->t = transcript_open(f->base, f->worker, &settings);
	assert_false(transcript_is_full(f->t));
	transcript_hide(f->t, "x", 1);
	transcript_sent(f->t, "a", 1);
	transcript_octets(f->t, true, "a", 1);
	transcript_note(f->t, "a");
	transcript_close(&f->t);
	transcript_close(&none);
	transcript_hide(none, "x", 1);
	transcript_sent(none, "a", 1);
	transcript_received(none, "a", 1);
	transcript_octets(none, true, "a", 1);
	transcript_note(none, "a");
	transcript_received_summary(none, "a");
}

static void
note_line(bool sent, const char *line, void *arg)
{
	str_appendf(arg, "%s %s\n", sent ? "-->" : "<--", line);
}

static void
who_listens_gets_what_a_log_shows(void **state)
{
	struct fixture *f = *state;
	struct str heard = STR_INIT;
	const struct transcript_settings settings = {
	    .account = "personal",
	    .protocol = "pop3",
	    .server = "pop.example.org:995",
	    .id = "000123",
	    .tap = note_line,
	    .tap_arg = &heard,
	};

	f->t = transcript_open(f->base, NULL, &settings);
	transcript_hide(f->t, "hunter22", 8);
	transcript_received(f->t, "+OK \x1b[2J ready", 14);
	transcript_sent(f->t, "PASS ****", 9);
	transcript_received(f->t, "-ERR not hunter22, aHVudGVyMjI=", 31);
	transcript_hide_challenges(f->t, "+ ");
	transcript_received(f->t, "+ Y2hhbGxlbmdl", 14);
	transcript_note(f->t, "a remark");
	transcript_octets(f->t, false, "octets\n", 7);
	assert_string_equal(str_text(&heard), "<-- +OK \\x1b[2J ready\n"
					      "--> PASS ****\n"
					      "<-- -ERR not ****, ****\n");
	str_clear(&heard);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(lines_have_the_promised_form, setup, teardown),
	    cmocka_unit_test_setup_teardown(peers_cannot_write_to_the_terminal, setup, teardown),
	    cmocka_unit_test_setup_teardown(secrets_are_hidden_in_every_form, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		pieces_are_hidden_until_the_login_is_over, setup, teardown),
	    cmocka_unit_test_setup_teardown(challenges_are_hidden_while_wanted, setup, teardown),
	    cmocka_unit_test_setup_teardown(octets_appear_when_full, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		the_file_is_there_while_the_session_runs, setup, teardown),
	    cmocka_unit_test_setup_teardown(many_lines_arrive_whole, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_stalled_disk_costs_lines_not_memory, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_link_in_the_way_is_not_followed, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		without_a_directory_nothing_is_written, setup, teardown),
	    cmocka_unit_test_setup_teardown(who_listens_gets_what_a_log_shows, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
