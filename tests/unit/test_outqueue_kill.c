/*
 * Messages on their way through the queue, killed before each storage step in turn, then once more
 * before a step of the next run, then to the end: each message, each copy and each report must have
 * come to its place exactly once, and whose fate was recorded must not be tried again.  The run is
 * this program, started again; its store is compiled with kill points.
 *
 * tests/e2e/test_send_powercut.py cuts the power instead: it starts the verbs `fill`, `run` and
 * `check` of this program.
 */
#include "outqueue_fixture.h"

#include "base/step.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

static const char *const names[] = {
    "plain", "copied", "linked", "deferred", "fails", "reported", "retried"};
enum { NAMES = sizeof names / sizeof *names };

/* Its dir holds what is not the spool's: what the server saw, and what a person remembers. */
static struct fixture outside;

/* ---- the run, in the child ---- */

struct run {
	struct fixture f;
	bool asking;
	bool drained;
	bool retrying;
	size_t deciding;
	char sent[80], reports[80];
};

static void
note(const char *what, const char *name)
{
	char path[400], line[300];
	int fd, n;

	path_of(&outside, path, "journal");
	n = snprintf(line, sizeof line, "%s %s\n", what, name);
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, line, (size_t)n) != n)
		abort();
	close(fd);
}

struct decided {
	struct run *run;
	char name[300];
};

static void
on_decided(const struct verdict *why, void *arg)
{
	struct decided *d = arg;

	if (why->kind != FAIL_NONE) {
		fprintf(stderr, "%s\n", why->text);
		exit(1);
	}
	note("recorded", d->name);
	d->run->deciding--;
	free(d);
}

/* What has a row is whole, also after a cut of the power. */
static void
check_octets(struct run *r, const struct outmessage *m)
{
	char path[400], file[300];
	struct stat st;

	snprintf(file, sizeof file, "spool/queue/%s.%s", m->id, m->name);
	path_of(&r->f, path, file);
	if (stat(path, &st) < 0 || (uint64_t)st.st_size != m->size) {
		fprintf(stderr, "%s has lost its octets\n", m->name);
		exit(1);
	}
}

/* What the message's name says is what the server does. */
static void
attempt(struct run *r, struct outmessage *m)
{
	static const char report[] = "From: daemon\n\nfailed\n";
	struct outqueue_decision d = {.message = m};
	struct decided *decided = xcalloc(1, sizeof *decided);
	bool fails = strcmp(m->name, "fails") == 0 || strcmp(m->name, "reported") == 0;
	bool defers = strcmp(m->name, "deferred") == 0 && m->attempts == 0;
	bool bad = strcmp(m->name, "retried") == 0 && !exists(&outside, "retried");

	decided->run = r;
	snprintf(
	    decided->name, sizeof decided->name, "%s%s", m->name, defers || bad ? "-first" : "");
	check_octets(r, m);
	m->attempts++;
	note("tried", decided->name);
	if (defers) {
		d.next_attempt = 1;
		d.last_error = "451 later";
	} else {
		set_fates(m, fails || bad ? OUTQUEUE_FAILED : OUTQUEUE_SENT, "reply");
	}
	if (fails) {
		d.report = report;
		d.report_len = sizeof report - 1;
		d.report_has_original = true;
		d.report_end = "the end\n";
		d.report_maildir = strcmp(m->name, "fails") == 0 ? r->reports : NULL;
		d.report_account = "a";
		d.report_recipient = "me@example.org";
	}
	if (strcmp(m->name, "copied") == 0)
		d.sent_maildir = r->sent;
	r->deciding++;
	outqueue_decide(r->f.queue, &d, &m, on_decided, decided);
}

static void
on_due(struct outmessage **messages, size_t count, bool more, int64_t earliest,
    const struct verdict *why, void *arg)
{
	struct run *r = arg;

	(void)more;
	(void)earliest;
	if (why->kind != FAIL_NONE) {
		fprintf(stderr, "%s\n", why->text);
		exit(1);
	}
	r->asking = false;
	for (size_t i = 0; i < count; i++)
		attempt(r, messages[i]);
}

/* A person who asks until it has worked. */
static void
on_retried(const struct verdict *why, void *arg)
{
	struct run *r = arg;

	if (why->kind == FAIL_NONE)
		write_text(&outside, "retried", "");
	r->retrying = false;
}

static void
retry(struct run *r)
{
	if (r->retrying || !exists(&r->f, "spool/failed/retried"))
		return;
	r->retrying = true;
	step("retry");
	write_text(&outside, "retried", "");
	outqueue_retry(r->f.queue, "retried", on_retried, r);
}

static bool
is_over(struct run *r)
{
	return r->drained && !r->retrying && !exists(&r->f, "spool/failed/retried") &&
	       r->deciding == 0 && totals(&r->f).messages == 0 &&
	       count_files(&r->f, "spool", NULL) == 0 &&
	       count_files(&r->f, "spool/queue", NULL) == 0;
}

static void
on_drained(void *arg)
{
	((struct run *)arg)->drained = true;
}

static int
run_queue(const char *dir)
{
	struct run r = {.asking = false};

	log_set_level(LOG_LEVEL_ERROR);
	snprintf(r.f.dir, sizeof r.f.dir, "%s", dir);
	snprintf(r.f.spool, sizeof r.f.spool, "%.63s/spool", dir);
	snprintf(r.sent, sizeof r.sent, "%.63s/sent", dir);
	snprintf(r.reports, sizeof r.reports, "%.63s/reports", dir);
	fixture_start(&r.f);
	outqueue_drain(r.f.queue, on_drained, &r);
	while (!is_over(&r)) {
		retry(&r);
		if (!r.asking) {
			r.asking = true;
			outqueue_due(r.f.queue, "a", clock_wall(), 16, on_due, &r);
		}
		event_base_loop(r.f.base, EVLOOP_ONCE);
	}
	while (r.asking)
		event_base_loop(r.f.base, EVLOOP_ONCE);
	fixture_stop(&r.f);
	return 0;
}

/* ---- the parent ---- */

static int
start_run(const char *dir, long kill_step)
{
	char number[32];
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		snprintf(number, sizeof number, "%ld", kill_step);
		setenv("POSTRIDER_KILL_STEP", number, 1);
		execl("/proc/self/exe", "run", "run", dir, (char *)NULL);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	return status;
}

static void
fill_spool(struct fixture *f)
{
	char path[400], other[400];

	path_of(f, path, "spool");
	assert_int_equal(mkdir(path, 0700), 0);
	for (size_t i = 0; i < NAMES; i++) {
		snprintf(other, sizeof other, "spool/%s", names[i]);
		write_text(f, other, MESSAGE);
	}
	write_text(f, "spool/garbage", "no header\n");
	path_of(f, path, "spool/linked");
	path_of(f, other, "elsewhere");
	assert_int_equal(link(path, other), 0);
	path_of(f, path, "spool/fails");
	path_of(f, other, "elsewhere as well");
	assert_int_equal(link(path, other), 0);
	write_text(f, "spool/rejected", "no header either\n");
	path_of(f, path, "spool/rejected");
	path_of(f, other, "elsewhere too");
	assert_int_equal(link(path, other), 0);
}

static size_t
count_lines(const char *wanted)
{
	char path[400], line[300];
	size_t count = 0;
	FILE *file;

	path_of(&outside, path, "journal");
	if ((file = fopen(path, "r")) == NULL)
		return 0;
	while (fgets(line, sizeof line, file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		count += strcmp(line, wanted) == 0;
	}
	fclose(file);
	return count;
}

static void
want(size_t is, size_t least, size_t most, long kill_step, const char *what, const char *name)
{
	if (is < least || is > most)
		fail_msg(
		    "killed before step %ld: %s %s is there %zu times", kill_step, what, name, is);
}

/*
 * Three runs, so a message is tried three times at most; a kill between commit and answer keeps
 * "recorded" out of the journal, but nobody may be recorded twice.
 */
static void
check_fates(long kill_step)
{
	static const char *const more[] = {"deferred-first", "retried-first", "report"};
	char line[300];

	for (size_t i = 0; i < NAMES + 3; i++) {
		const char *name = i < NAMES ? names[i] : more[i - NAMES];
		size_t tried;

		snprintf(line, sizeof line, "tried %s", name);
		tried = count_lines(line);
		want(tried, 1, 3, kill_step, "an attempt of", name);
		snprintf(line, sizeof line, "recorded %s", name);
		want(count_lines(line), 0, 1, kill_step, "a fate of", name);
	}
}

/* Nothing is tried again once its fate was in the journal. */
static void
check_order(long kill_step)
{
	char path[400], line[300], seen[20][300];
	size_t count = 0;
	FILE *file;

	path_of(&outside, path, "journal");
	file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof line, file) != NULL) {
		if (strncmp(line, "recorded ", 9) == 0) {
			assert_true(count < 20);
			memcpy(seen[count++], line, sizeof line);
			continue;
		}
		for (size_t i = 0; i < count; i++)
			if (strcmp(line + 6, seen[i] + 9) == 0)
				fail_msg(
				    "killed before step %ld: tried again: %s", kill_step, line + 6);
	}
	fclose(file);
}

static void
check_report(struct fixture *f, long kill_step)
{
	char found[300], *text;

	want(count_files(f, "sent/new", NULL), 1, 1, kill_step, "a copy", "");
	want(count_files(f, "sent/tmp", NULL), 0, 2, kill_step, "an unfinished copy", "");
	want(count_files(f, "reports/new", found), 1, 1, kill_step, "a report", "");
	text = read_text(f, found);
	assert_string_equal(text, "From: daemon\n\nfailed\n" MESSAGE "the end\n");
	free(text);
}

static void
check_all(struct fixture *f, long kill_step)
{
	static const char *const failed[] = {"fails", "reported", "garbage", "rejected"};
	char name[300];

	check_fates(kill_step);
	check_order(kill_step);
	check_report(f, kill_step);
	for (size_t i = 0; i < 4; i++) {
		snprintf(name, sizeof name, "spool/failed/%s", failed[i]);
		want(exists(f, name), 1, 1, kill_step, "failed", failed[i]);
		snprintf(name, sizeof name, "spool/failed/%s.reason", failed[i]);
		want(exists(f, name), 1, 1, kill_step, "the reason of", failed[i]);
	}
	want(count_files(f, "spool/failed", NULL), 8, 8, kill_step, "in failed/, a file", "");
	want(count_files(f, "spool", NULL), 0, 0, kill_step, "in the spool, a file", "");
	want(exists(f, "elsewhere"), 1, 1, kill_step, "the other link", "");
}

/* False when the run has fewer steps. */
static bool
kill_at(long kill_step)
{
	struct fixture f;
	bool killed;
	int status;

	strcpy(f.dir, "/dev/shm/postrider-kill-XXXXXX");
	if (mkdtemp(f.dir) == NULL) {
		strcpy(f.dir, "/tmp/postrider-kill-XXXXXX");
		assert_non_null(mkdtemp(f.dir));
	}
	strcpy(outside.dir, f.dir);
	fill_spool(&f);
	status = start_run(f.dir, kill_step);
	killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	if (!killed)
		assert_int_equal(status, 0);
	start_run(f.dir, kill_step % 17 + 1);
	assert_int_equal(start_run(f.dir, 0), 0);
	check_all(&f, kill_step);
	assert_int_equal(start_run(f.dir, 0), 0);
	check_all(&f, kill_step);
	nftw(f.dir, remove_cb, 16, FTW_DEPTH | FTW_PHYS);
	return killed;
}

static void
every_step_survives(void **state)
{
	long steps = 1;

	(void)state;
	while (kill_at(steps))
		steps++;
	print_message("  %ld steps\n", steps - 1);
	assert_true(steps > 60);
}

/* ---- what test_send_powercut.py asks for ---- */

static struct fixture judged;
static long judged_step;

static void
everything_is_in_its_place(void **state)
{
	(void)state;
	check_all(&judged, judged_step);
}

static void
spool_is_filled(void **state)
{
	(void)state;
	fill_spool(&judged);
}

static int
serve(int argc, char **argv)
{
	const struct CMUnitTest check[] = {cmocka_unit_test(everything_is_in_its_place)};
	const struct CMUnitTest fill[] = {cmocka_unit_test(spool_is_filled)};

	snprintf(judged.dir, sizeof judged.dir, "%s", argv[2]);
	snprintf(outside.dir, sizeof outside.dir, "%s", argc > 3 ? argv[3] : argv[2]);
	judged_step = argc > 4 ? atol(argv[4]) : 0;
	if (strcmp(argv[1], "run") == 0)
		return run_queue(argv[2]);
	if (strcmp(argv[1], "fill") == 0)
		return cmocka_run_group_tests(fill, NULL, NULL);
	return cmocka_run_group_tests(check, NULL, NULL);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_step_survives),
	};

	if (argc > 2)
		return serve(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
