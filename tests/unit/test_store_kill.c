/*
 * A session against a server of seven messages is killed before each storage step in turn, then
 * once more before a step of the next session, then runs to its end: each message must be in the
 * Maildir exactly once, or where a reader has taken it.  The session is this program, started
 * again; its store is compiled with kill points.
 *
 *	test_store_kill session DIRECTORY SERVER keep|delete
 *
 * is one such session: mail and state are kept in DIRECTORY, what the server remembers in SERVER.
 * tests/e2e/test_powercut.py runs it on a disk that loses its power.
 */
#include "store_fixture.h"

#include "base/step.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

enum { SERVED = 7, FIRST_BATCH = 5, BIG = 150000 };

static char *texts[SERVED];

/* Two are equal, one is empty, one goes in pieces. */
static void
make_texts(void)
{
	for (size_t i = 0; i < SERVED; i++)
		texts[i] = xasprintf("From: %zu\n\ntext\n", i);
	free(texts[3]);
	texts[3] = xstrdup(texts[2]);
	texts[4][0] = '\0';
	free(texts[5]);
	texts[5] = xcalloc(1, BIG + 1);
	memset(texts[5], 'x', BIG);
}

static void
free_texts(void)
{
	for (size_t i = 0; i < SERVED; i++)
		free(texts[i]);
}

/* ---- the session, in the child ---- */

static void
demand(struct answer a, const char *what)
{
	if (a.why.kind == FAIL_NONE)
		return;
	fprintf(stderr, "%s: %s\n", what, a.why.text);
	exit(1);
}

static struct listing *
list_server(const char *server)
{
	struct served served[SERVED];
	char gone[100], uid[SERVED][8];
	size_t count = 0;

	snprintf(gone, sizeof gone, "%s/deleted", server);
	if (access(gone, F_OK) != 0)
		for (; count < SERVED; count++) {
			snprintf(uid[count], sizeof uid[count], "uid%zu", count);
			served[count] =
			    (struct served){.uid = uid[count], .text = texts[count], .size = 7};
		}
	return list_served(served, count);
}

static struct batch *
fill_batch(struct fixture *f, struct listing *l, uint32_t from, uint32_t to)
{
	struct batch *b = batch_new(f->mailbox);

	for (uint32_t n = from; n <= to && n <= listing_count(l); n++) {
		if (listing_match(l, n) == LISTED_SEEN)
			continue;
		batch_begin(b, l, n);
		batch_append(b, texts[n - 1], strlen(texts[n - 1]));
		batch_end(b);
	}
	return b;
}

static size_t
collect_rows(int64_t *rows, size_t count, const struct answer *a)
{
	for (size_t i = 0; i < a->count; i++)
		rows[count++] = a->items[i].row;
	return count;
}

/* RFC 1939 section 6: the server deletes when it has read QUIT; its answer may get lost. */
static void
quit_server(const char *server)
{
	char gone[100];

	snprintf(gone, sizeof gone, "%s/deleted", server);
	step("quit");
	close(open(gone, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	step("quit-answered");
}

static void
delete_on_server(struct fixture *f, const char *server, struct listing *l, const struct answer *a,
    const struct answer *b)
{
	int64_t rows[SERVED];
	size_t count = collect_rows(rows, collect_rows(rows, 0, a), b);

	for (uint32_t n = 1; n <= listing_count(l); n++)
		if (listing_match(l, n) == LISTED_SEEN)
			rows[count++] = listing_row(l, n);
	if (count == 0)
		return;
	demand(expunging(f, rows, count), "expunging");
	quit_server(server);
	demand(expunged(f, rows, count), "expunged");
}

static int
run_session(const char *dir, const char *server, bool deletes)
{
	struct answer first = {.arrived = false}, second = {.arrived = false};
	struct fixture f = {.forget_ms = 90 * DAY_MS};
	struct batch *one, *two;
	struct listing *l;

	log_set_level(LOG_LEVEL_ERROR);
	snprintf(f.dir, sizeof f.dir, "%s", dir);
	snprintf(f.maildir, sizeof f.maildir, "%s/mail", dir);
	fixture_start(&f);
	demand(prepare(&f), "prepare");
	l = list_server(server);
	demand(match(&f, l, -1), "match");
	one = fill_batch(&f, l, 1, FIRST_BATCH);
	two = fill_batch(&f, l, FIRST_BATCH + 1, SERVED);
	batch_commit(&one, batch_answered, &first);
	batch_commit(&two, batch_answered, &second);
	wait_for(&f, &first);
	wait_for(&f, &second);
	demand(first, "first batch");
	demand(second, "second batch");
	if (deletes)
		delete_on_server(&f, server, l, &first, &second);
	listing_free(&l);
	fixture_stop(&f);
	free_texts();
	return 0;
}

/* ---- the parent ---- */

static int
start_session(const char *dir, bool deletes, long kill_step)
{
	char number[32];
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		snprintf(number, sizeof number, "%ld", kill_step);
		setenv("POSTRIDER_KILL_STEP", number, 1);
		execl("/proc/self/exe", "session", "session", dir, dir, deletes ? "delete" : "keep",
		    (char *)NULL);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	return status;
}

/* Moves whatever is in new/ to another folder. */
static void
take_mail(const char *dir)
{
	char from[200], to[200];
	struct dirent *e;
	DIR *d;

	snprintf(from, sizeof from, "%s/mail/new", dir);
	snprintf(to, sizeof to, "%s/taken", dir);
	mkdir(to, 0700);
	if ((d = opendir(from)) == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		char old[600], new[600];

		snprintf(old, sizeof old, "%s/%s", from, e->d_name);
		snprintf(new, sizeof new, "%s/%s:2,S", to, e->d_name);
		if (e->d_name[0] != '.')
			assert_int_equal(rename(old, new), 0);
	}
	closedir(d);
}

static size_t
identify_text(const char *path)
{
	static char data[BIG + 2];
	FILE *file = fopen(path, "r");
	size_t len;

	assert_non_null(file);
	len = fread(data, 1, sizeof data, file);
	fclose(file);
	for (size_t i = 0; i < SERVED; i++)
		if (strlen(texts[i]) == len && memcmp(texts[i], data, len) == 0)
			return i;
	return SERVED;
}

static void
count_mail(const char *dir, const char *part, size_t counts[SERVED + 1])
{
	char path[200], full[600];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof path, "%s/%s", dir, part);
	if ((d = opendir(path)) == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		snprintf(full, sizeof full, "%s/%s", path, e->d_name);
		if (e->d_name[0] != '.')
			counts[identify_text(full)]++;
	}
	closedir(d);
}

/* texts[2] and texts[3] are equal and both counted as the former. */
static void
check_mail(const char *dir, long kill_step)
{
	static const size_t wanted[SERVED + 1] = {1, 1, 2, 0, 1, 1, 1, 0};
	size_t counts[SERVED + 1] = {0};

	count_mail(dir, "mail/new", counts);
	count_mail(dir, "mail/cur", counts);
	count_mail(dir, "taken", counts);
	for (size_t i = 0; i <= SERVED; i++)
		if (counts[i] != wanted[i])
			fail_msg("killed before step %ld: message %zu is there %zu times",
			    kill_step, i + 1, counts[i]);
}

/* False when the session has fewer steps. */
static bool
kill_at(long kill_step, bool deletes, bool reader)
{
	char dir[64] = "/dev/shm/postrider-kill-XXXXXX";
	bool killed;
	int status;

	if (mkdtemp(dir) == NULL) {
		strcpy(dir, "/tmp/postrider-kill-XXXXXX");
		assert_non_null(mkdtemp(dir));
	}
	status = start_session(dir, deletes, kill_step);
	killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	if (!killed)
		assert_int_equal(status, 0);
	for (int again = 0; again < 2; again++) {
		if (reader)
			take_mail(dir);
		status = start_session(dir, deletes, again == 0 ? kill_step % 13 + 1 : 0);
		if (again == 1)
			assert_int_equal(status, 0);
	}
	check_mail(dir, kill_step);
	assert_int_equal(start_session(dir, deletes, 0), 0);
	check_mail(dir, kill_step);
	remove_tree(dir);
	return killed;
}

static void
kill_everywhere(bool deletes, bool reader)
{
	long steps = 1;

	while (kill_at(steps, deletes, reader))
		steps++;
	print_message("  %ld steps\n", steps - 1);
	assert_true(steps > 30);
}

static void
kept_mail_survives(void **state)
{
	(void)state;
	kill_everywhere(false, false);
}

static void
kept_mail_survives_beside_a_reader(void **state)
{
	(void)state;
	kill_everywhere(false, true);
}

static void
deleted_mail_survives(void **state)
{
	(void)state;
	kill_everywhere(true, false);
}

static void
deleted_mail_survives_beside_a_reader(void **state)
{
	(void)state;
	kill_everywhere(true, true);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(kept_mail_survives),
	    cmocka_unit_test(kept_mail_survives_beside_a_reader),
	    cmocka_unit_test(deleted_mail_survives),
	    cmocka_unit_test(deleted_mail_survives_beside_a_reader),
	};
	int result;

	make_texts();
	if (argc == 5 && strcmp(argv[1], "session") == 0)
		return run_session(argv[2], argv[3], strcmp(argv[4], "delete") == 0);
	result = cmocka_run_group_tests(tests, NULL, NULL);
	free_texts();
	return result;
}
