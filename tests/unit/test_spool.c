#include "unit.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "queue/lease.h"
#include "queue/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The spool without threads, and clocks that only move when told so. */
static char directory[64];
static struct spool *spool;
static int64_t mono, wall;

static int64_t
told_mono(void)
{
	return mono;
}

static int64_t
told_wall(void)
{
	return wall;
}

static const struct clock_source told = {told_mono, told_wall, told_mono};

static int
remove_cb(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int
setup(void **state)
{
	struct verdict why;

	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	mono = 1000000;
	wall = clock_wall();
	clock_set_source(&told);
	lease_ignore_signal();
	strcpy(directory, "/tmp/postrider-test-XXXXXX");
	assert_non_null(mkdtemp(directory));
	spool = spool_open(directory, &why);
	assert_non_null(spool);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	spool_close(&spool);
	nftw(directory, remove_cb, 16, FTW_DEPTH | FTW_PHYS);
	clock_set_source(NULL);
	return 0;
}

#define MESSAGE "From: a@example.org\nTo: b@example.net\n\ntext\n"

static void
write_text(const char *name, const char *text)
{
	int fd = openat(spool->dir, name, O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static bool
exists(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static struct spool_look looked;

/* How many were claimed. */
static size_t
look(bool impatient)
{
	looked = (struct spool_look){.room = 100, .impatient = impatient};
	do
		spool_watch_look(spool, &looked);
	while (looked.count == 0 && looked.more);
	return looked.count;
}

/* The one that was claimed; its file's name into file. */
static void
take_one(char file[SPOOL_FILE_SIZE], struct spool_claim **claim)
{
	assert_int_equal(looked.count, 1);
	*claim = TAILQ_FIRST(&looked.claims);
	spool_file(file, (*claim)->id, (*claim)->name);
}

/* Of the Date and Message-ID that a message without them gets, as it is reckoned beforehand. */
enum { ADDED_SIZE = 120 };

static void
written_file_settles_for_a_second(void **state)
{
	char file[SPOOL_FILE_SIZE];
	struct spool_claim *c;

	(void)state;
	write_text("m", MESSAGE);
	look(false);
	assert_int_equal(looked.count, 0);
	assert_in_range(looked.due - mono, 900, 1000);
	mono += 500;
	assert_int_equal(look(false), 0);
	write_text("m", MESSAGE);
	mono += 500;
	look(false);
	assert_int_equal(looked.count, 0);
	mono += 1000;
	look(false);
	take_one(file, &c);
	assert_int_equal(c->why.kind, FAIL_NONE);
	assert_int_equal(c->request.recipient_count, 1);
	assert_int_equal(c->content.wire_size, strlen(MESSAGE) + 4 + ADDED_SIZE);
	assert_false(c->hidden);
	assert_true(exists(spool->queue, file));
	assert_false(exists(spool->dir, "m"));
	spool_claim_free(&c);
}

/* A file that lay there before is as old as it is. */
static void
old_file_is_taken_at_once(void **state)
{
	char file[SPOOL_FILE_SIZE];
	struct spool_claim *c;

	(void)state;
	write_text("m", MESSAGE);
	wall += 1500;
	look(false);
	take_one(file, &c);
	spool_claim_free(&c);
}

static void
writer_keeps_it_from_being_taken(void **state)
{
	int fd;

	(void)state;
	write_text("m", MESSAGE);
	fd = openat(spool->dir, "m", O_WRONLY);
	wall += 100000;
	mono += 100000;
	assert_int_equal(look(true), 0);
	assert_int_equal(look(false), 0);
	close(fd);
	look(false);
	assert_int_equal(looked.count, 1);
	spool_claim_free(&TAILQ_FIRST(&looked.claims));
}

static void
renamed_file_is_taken_at_once(void **state)
{

	(void)state;
	assert_int_equal(look(false), 0);
	write_text(".m", MESSAGE);
	assert_int_equal(renameat(spool->dir, ".m", spool->dir, "m"), 0);
	look(false);
	assert_int_equal(looked.count, 1);
	spool_claim_free(&TAILQ_FIRST(&looked.claims));
}

static void
linked_file_is_copied_once(void **state)
{
	char file[SPOOL_FILE_SIZE], hidden[SPOOL_FILE_SIZE + 1];
	struct verdict why = VERDICT_OK;
	struct spool_end *end;
	struct spool_claim *c;

	(void)state;
	write_text(".draft", MESSAGE);
	assert_int_equal(linkat(spool->dir, ".draft", spool->dir, "m", 0), 0);
	look(false);
	take_one(file, &c);
	assert_true(c->hidden);
	snprintf(hidden, sizeof hidden, ".%s", file);
	assert_true(exists(spool->queue, hidden));
	assert_true(exists(spool->dir, "m"));
	assert_int_equal(look(true), 0);
	end = spool_end_new(SPOOL_END_KEEP, c->id, c->name);
	end->hidden = true;
	end->source = c->source;
	c->source.name = NULL;
	assert_true(spool_end_run(spool, end, &why));
	assert_true(spool_end_run(spool, end, &why));
	assert_true(spool_flush(spool, &why));
	assert_false(exists(spool->dir, "m"));
	assert_true(exists(spool->dir, ".draft"));
	assert_true(exists(spool->queue, file));
	spool_end_free(&end);
	spool_claim_free(&c);
}

/* Another message that took the original's place stays. */
static void
replaced_original_is_another_message(void **state)
{
	char file[SPOOL_FILE_SIZE];
	struct verdict why = VERDICT_OK;
	struct spool_end *end;
	struct spool_claim *c;

	(void)state;
	write_text(".draft", MESSAGE);
	assert_int_equal(linkat(spool->dir, ".draft", spool->dir, "m", 0), 0);
	look(false);
	take_one(file, &c);
	write_text(".new", MESSAGE "more");
	assert_int_equal(renameat(spool->dir, ".new", spool->dir, "m"), 0);
	end = spool_end_new(SPOOL_END_KEEP, c->id, c->name);
	end->hidden = true;
	end->source = c->source;
	c->source.name = NULL;
	assert_true(spool_end_run(spool, end, &why));
	assert_true(exists(spool->dir, "m"));
	spool_end_free(&end);
	spool_claim_free(&c);
	look(false);
	assert_int_equal(looked.count, 1);
	spool_claim_free(&TAILQ_FIRST(&looked.claims));
}

static void
undone_claims_are_back(void **state)
{
	struct spool_claim *c;

	(void)state;
	write_text("m", MESSAGE);
	write_text(".draft", MESSAGE);
	assert_int_equal(linkat(spool->dir, ".draft", spool->dir, "n", 0), 0);
	look(true);
	assert_int_equal(looked.count, 2);
	while ((c = TAILQ_FIRST(&looked.claims)) != NULL) {
		TAILQ_REMOVE(&looked.claims, c, link);
		spool_claim_undo(spool, &c);
	}
	assert_true(exists(spool->dir, "m"));
	assert_true(exists(spool->dir, "n"));
	looked = (struct spool_look){.room = 100, .impatient = true, .rescan = true};
	spool_watch_look(spool, &looked);
	assert_int_equal(looked.count, 2);
	while ((c = TAILQ_FIRST(&looked.claims)) != NULL) {
		TAILQ_REMOVE(&looked.claims, c, link);
		spool_claim_free(&c);
	}
}

/* Nothing looks at a file without a row in queue/ until the next start. */
static void
undone_claims_do_not_stay_when_their_names_are_taken(void **state)
{
	struct spool_claim *c;
	char file[SPOOL_FILE_SIZE];

	(void)state;
	write_text("m", MESSAGE);
	look(true);
	take_one(file, &c);
	TAILQ_REMOVE(&looked.claims, c, link);
	write_text("m", "From: a@example.org\nTo: c@example.net\n\nother\n");
	spool_claim_undo(spool, &c);
	assert_false(exists(spool->queue, file));
	looked = (struct spool_look){.room = 100, .impatient = true, .rescan = true};
	spool_watch_look(spool, &looked);
	assert_int_equal(looked.count, 2);
	while ((c = TAILQ_FIRST(&looked.claims)) != NULL) {
		TAILQ_REMOVE(&looked.claims, c, link);
		spool_claim_free(&c);
	}
}

/* More than may wait at a time, and more than fit into one turn. */
static void
crowd_is_taken_in_turns(void **state)
{
	enum { COUNT = 6000 };
	size_t count = 0, most = 0;
	char name[32];

	(void)state;
	for (int i = 0; i < COUNT; i++) {
		snprintf(name, sizeof name, "m%d", i);
		write_text(name, MESSAGE);
	}
	for (int turns = 0; count < COUNT && turns < 1000; turns++) {
		struct spool_look l = {.room = 1000};
		struct spool_claim *c;

		spool_watch_look(spool, &l);
		most = l.count > most ? l.count : most;
		assert_true(spool->waiting_count <= 4096);
		while ((c = TAILQ_FIRST(&l.claims)) != NULL) {
			TAILQ_REMOVE(&l.claims, c, link);
			spool_claim_free(&c);
			count++;
		}
		if (!l.more)
			mono = l.due > mono ? l.due : mono;
	}
	assert_int_equal(count, COUNT);
	assert_true(most <= 200);
}

static void
room_is_respected(void **state)
{
	struct spool_look l = {.room = 1, .impatient = true};

	(void)state;
	write_text("m", MESSAGE);
	write_text("n", MESSAGE);
	spool_watch_look(spool, &l);
	assert_int_equal(l.count, 1);
	assert_true(l.more);
	spool_claim_free(&TAILQ_FIRST(&l.claims));
	l = (struct spool_look){.room = 0, .impatient = true};
	spool_watch_look(spool, &l);
	assert_int_equal(l.count, 0);
}

static void
files_that_are_no_messages_say_why(void **state)
{
	static const struct {
		const char *name;
		const char *text;
		const char *why;
	} cases[] = {
	    {"empty", "", "no header"},
	    {"binary",
		"\x7f"
		"ELF and so on\n",
		"no header field"},
	    {"nobody", "From: a@example.org\n\ntext\n", "no recipients"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct spool_claim *c;

		write_text(cases[i].name, cases[i].text);
		look(true);
		assert_int_equal(looked.count, 1);
		c = TAILQ_FIRST(&looked.claims);
		assert_int_equal(c->why.kind, FAIL_LOCAL);
		if (strstr(c->why.text, cases[i].why) == NULL)
			fail_msg("%s: %s", cases[i].name, c->why.text);
		spool_claim_free(&c);
	}
}

static void
content_is_known(void **state)
{
	struct spool_claim *c;

	(void)state;
	write_text("m", "From: a@example.org\r\nTo: b@example.net\n"
			"Subject: \xc3\xa9\n\nt\xc3\xa9xt\r\n.\n");
	look(true);
	assert_int_equal(looked.count, 1);
	c = TAILQ_FIRST(&looked.claims);
	assert_true(c->content.is_8bit);
	assert_true(c->content.has_utf8_header);
	assert_int_equal(c->content.longest_line, 19);
	assert_int_equal(c->content.wire_size, strlen("From: a@example.org..To: b@example.net..") +
						   strlen("Subject: xx......txxt.......") - 3 +
						   ADDED_SIZE);
	spool_claim_free(&c);
	write_text("open", "From: a@example.org\nTo: b@example.net\nMessage-ID: <x@y.example>\n"
			   "Date: Fri, 20 Nov 2026 10:15:00 +0000\n\nno end");
	look(true);
	c = TAILQ_FIRST(&looked.claims);
	assert_int_equal(c->content.wire_size,
	    strlen("From: a@example.org..To: b@example.net..Message-ID: <x@y.example>..") +
		strlen("Date: Fri, 20 Nov 2026 10:15:00 +0000....no end.."));
	spool_claim_free(&c);
}

/* ---- what only another user sees: in a child that is nobody ---- */

static int
watch_as_nobody(void)
{
	struct spool_claim *c;
	struct verdict why;
	struct stat st;

	if (setgid(65534) != 0 || setuid(65534) != 0 ||
	    (spool = spool_open(directory, &why)) == NULL)
		return 10;
	look(false);
	if (looked.count != 0)
		return 11;
	mono += 59000;
	if (look(false) != 0)
		return 12;
	mono += 2000;
	look(false);
	if (looked.count != 2)
		return 13;
	TAILQ_FOREACH (c, &looked.claims, link) {
		bool secret = strcmp(c->name, "secret") == 0;

		if (secret == (c->why.kind == FAIL_NONE) || secret == c->hidden)
			return 14;
		if (secret && strstr(c->why.text, "no read permission") == NULL)
			return 15;
	}
	if (fstatat(spool->dir, "secret", &st, 0) == 0 ||
	    fstatat(spool->dir, "foreign", &st, 0) != 0)
		return 16;
	return 0;
}

static void
foreign_files_take_a_minute(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	write_text("secret", MESSAGE);
	write_text("foreign", MESSAGE);
	assert_int_equal(fchmodat(spool->dir, "foreign", 0644, 0), 0);
	assert_int_equal(fchown(spool->dir, 65534, 65534), 0);
	assert_int_equal(fchown(spool->queue, 65534, 65534), 0);
	assert_int_equal(fchown(spool->failed, 65534, 65534), 0);
	spool_close(&spool);
	pid = fork();
	if (pid == 0)
		_exit(watch_as_nobody());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
names_are_cut_and_split(void **state)
{
	char id[OUTID_SIZE], file[SPOOL_FILE_SIZE], cut[SPOOL_NAME_SIZE], name[300];
	char found[OUTID_SIZE];
	const char *rest;

	(void)state;
	outid_make(id);
	assert_int_equal(strlen(id), OUTID_LEN);
	assert_true(spool_split(spool_file(file, id, "a.b"), found, &rest));
	assert_string_equal(found, id);
	assert_string_equal(rest, "a.b");
	assert_false(spool_split(id, found, &rest));
	assert_false(spool_split("short.name", found, &rest));
	assert_false(spool_split("0123456789abcdeZ.name", found, &rest));
	assert_false(spool_split("0123456789abcdef0.name", found, &rest));
	for (size_t len = 1; len < sizeof name; len++) {
		memset(name, 'n', len);
		name[len] = '\0';
		assert_int_equal(
		    strlen(spool_cut_name(cut, name)), len < SPOOL_NAME_MAX ? len : SPOOL_NAME_MAX);
	}
}

static void
ids_sort_by_time(void **state)
{
	char before[OUTID_SIZE], id[OUTID_SIZE];

	(void)state;
	outid_make(before);
	for (int i = 0; i < 100000; i++) {
		outid_make(id);
		if (strcmp(before, id) >= 0)
			fail_msg("%s is not before %s", before, id);
		memcpy(before, id, sizeof before);
		if (i % 1000 == 0)
			wall += i % 3 == 0 ? -5 : 1;
	}
}

static void
second_user_is_refused(void **state)
{
	struct verdict why;

	(void)state;
	assert_null(spool_open(directory, &why));
	assert_int_equal(why.code, EWOULDBLOCK);
}

static void
no_directory_is_said(void **state)
{
	struct verdict why;
	char path[100];

	(void)state;
	write_text("file", "x");
	snprintf(path, sizeof path, "%.63s/file/spool", directory);
	assert_null(spool_open(path, &why));
	assert_int_equal(why.kind, FAIL_LOCAL);
	assert_non_null(strstr(why.text, path));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(written_file_settles_for_a_second),
	    TEST(old_file_is_taken_at_once),
	    TEST(writer_keeps_it_from_being_taken),
	    TEST(renamed_file_is_taken_at_once),
	    TEST(linked_file_is_copied_once),
	    TEST(replaced_original_is_another_message),
	    TEST(undone_claims_are_back),
	    TEST(undone_claims_do_not_stay_when_their_names_are_taken),
	    TEST(crowd_is_taken_in_turns),
	    TEST(room_is_respected),
	    TEST(files_that_are_no_messages_say_why),
	    TEST(content_is_known),
	    TEST(foreign_files_take_a_minute),
	    TEST(names_are_cut_and_split),
	    TEST(ids_sort_by_time),
	    TEST(second_user_is_refused),
	    TEST(no_directory_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
