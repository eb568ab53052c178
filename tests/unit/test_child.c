#include "unit.h"

#include "base/child.h"
#include "base/clock.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct event_base *base;

/* Stands before the C library's, so that an old kernel can be played. */
static bool without_pidfd;

int
pidfd_open(pid_t pid, unsigned flags)
{
	if (!without_pidfd)
		return (int)syscall(SYS_pidfd_open, pid, flags);
	errno = ENOSYS;
	return -1;
}

/* What the callback saw, copied. */
struct seen {
	struct child *child;
	int calls;
	bool cancel_inside;
	struct child_result result;
	char output[8192];
	char errors[1100];
};

static void
on_child(const struct child_result *result, void *arg)
{
	struct seen *s = arg;

	s->calls++;
	s->result = *result;
	assert_true(result->output_len < sizeof s->output);
	memcpy(s->output, result->output, result->output_len);
	s->output[result->output_len] = '\0';
	snprintf(s->errors, sizeof s->errors, "%s", result->errors);
	if (s->cancel_inside)
		child_cancel(&s->child);
}

static void
turn(void)
{
	assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
}

static void
run_argv(
    struct seen *s, char *const *argv, char *const *environment, int64_t timeout, size_t output_max)
{
	struct child_settings settings = {
	    .argv = argv, .environment = environment, .timeout = timeout, .output_max = output_max};

	s->child = child_start(base, &settings, on_child, s);
	assert_int_equal(s->calls, 0);
	while (s->calls == 0)
		turn();
	assert_int_equal(s->calls, 1);
}

static void
run_shell(struct seen *s, const char *script, int64_t timeout)
{
	char command[1024];
	char sh[] = "/bin/sh", c[] = "-c";
	char *argv[] = {sh, c, command, NULL};

	snprintf(command, sizeof command, "%s", script);
	run_argv(s, argv, NULL, timeout, 4096);
}

enum { LONG = 60000 };

static void
captures_output_errors_and_status(void **state)
{
	struct seen s = {0};

	(void)state;
	run_shell(&s, "printf 'a\\0b'; echo oops >&2; exit 3", LONG);
	assert_true(WIFEXITED(s.result.status));
	assert_int_equal(WEXITSTATUS(s.result.status), 3);
	assert_int_equal(s.result.output_len, 3);
	assert_memory_equal(s.output, "a\0b", 3);
	assert_string_equal(s.errors, "oops\n");
	assert_false(s.result.timed_out || s.result.overflowed || s.result.error);
}

static void
tells_a_signal(void **state)
{
	struct seen s = {0};

	(void)state;
	run_shell(&s, "kill -TERM $$", LONG);
	assert_true(WIFSIGNALED(s.result.status));
	assert_int_equal(WTERMSIG(s.result.status), SIGTERM);
}

static void
tells_a_failed_start(void **state)
{
	char missing[] = "/nonexistent/command", none[] = "/etc/passwd";
	char *argv[] = {missing, NULL}, *unexecutable[] = {none, NULL}, *empty[] = {NULL};
	struct seen s = {0};

	(void)state;
	run_argv(&s, argv, NULL, LONG, 100);
	assert_int_equal(s.result.status, -1);
	assert_int_equal(s.result.error, ENOENT);
	s = (struct seen){0};
	run_argv(&s, unexecutable, NULL, LONG, 100);
	assert_int_equal(s.result.error, EACCES);
	s = (struct seen){0};
	run_argv(&s, empty, NULL, LONG, 100);
	assert_int_equal(s.result.error, EINVAL);
}

static void
finds_commands_by_path(void **state)
{
	char name[] = "printf", text[] = "found";
	char *argv[] = {name, text, NULL};
	struct seen s = {0};

	(void)state;
	run_argv(&s, argv, NULL, LONG, 100);
	assert_int_equal(s.result.status, 0);
	assert_string_equal(s.output, "found");
}

/* A session of its own, no terminal, nothing on standard input, no descriptor but three. */
static void
gives_a_clean_process(void **state)
{
	int leak = open("/dev/null", O_RDONLY); /* without O_CLOEXEC */
	long pid, group, session, self;
	struct seen s = {0};
	int used = 0;

	(void)state;
	assert_true(leak >= 0);
	run_shell(&s,
	    "cut -d' ' -f1,5,6 /proc/$$/stat; echo $$; read line && echo input; "
	    "(: </dev/tty) 2>/dev/null && echo terminal; "
	    "for n in 0 1 2 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$n ] && printf $n; done",
	    LONG);
	assert_int_equal(
	    sscanf(s.output, "%ld %ld %ld\n%ld\n%n", &pid, &group, &session, &self, &used), 4);
	assert_true(pid == group && pid == session && pid == self);
	assert_string_equal(s.output + used, "012");
	close(leak);
}

static void
resets_signals(void **state)
{
	unsigned long long blocked = 1, ignored = 1;
	sigset_t set, before;
	struct seen s = {0};

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, &before);
	run_shell(&s, "grep -E '^Sig(Blk|Ign):' /proc/self/status", LONG);
	sigprocmask(SIG_SETMASK, &before, NULL);
	signal(SIGPIPE, SIG_DFL);
	assert_int_equal(sscanf(s.output, "SigBlk: %llx SigIgn: %llx", &blocked, &ignored), 2);
	ignored &= ~(3ULL << 31); /* the two that the C library keeps for itself */
	assert_true(blocked == 0 && ignored == 0);
}

static void
cleans_the_environment(void **state)
{
	char extra[] = "ACCOUNT=me", home[] = "HOME=/given";
	char *further[] = {extra, home, NULL};
	char env[] = "env";
	char *argv[] = {env, NULL};
	struct seen s = {0};

	(void)state;
	setenv("HOME", "/mine", 1);
	setenv("SECRET_OF_OURS", "x", 1);
	setenv("LC_TIME", "C", 1);
	setenv("XDG_RUNTIME_DIR", "/run/user/1", 1);
	setenv("PASSWORD_STORE_DIR", "/store", 1);
	setenv("LD_PRELOAD_X", "x", 1);
	run_argv(&s, argv, further, LONG, 8000);
	assert_non_null(strstr(s.output, "ACCOUNT=me\n"));
	assert_non_null(strstr(s.output, "HOME=/given\n"));
	assert_non_null(strstr(s.output, "LC_TIME=C\n"));
	assert_non_null(strstr(s.output, "XDG_RUNTIME_DIR=/run/user/1\n"));
	assert_non_null(strstr(s.output, "PASSWORD_STORE_DIR=/store\n"));
	assert_non_null(strstr(s.output, "PATH="));
	assert_null(strstr(s.output, "/mine"));
	assert_null(strstr(s.output, "SECRET_OF_OURS"));
	assert_null(strstr(s.output, "LD_PRELOAD_X"));
}

static void
gives_a_path_where_there_is_none(void **state)
{
	char *path = strdup(getenv("PATH"));
	char env[] = "/usr/bin/env";
	char *argv[] = {env, NULL};
	struct seen s = {0};

	(void)state;
	unsetenv("PATH");
	run_argv(&s, argv, NULL, LONG, 8000);
	setenv("PATH", path, 1);
	free(path);
	assert_non_null(strstr(s.output, "PATH=/usr/local/bin:/usr/bin:/bin\n"));
}

/* Whoever is in the group holds the pipe; the pipe ends when they are all gone. */
static void
wait_for_end_of(int fd)
{
	char c;

	assert_int_equal(read(fd, &c, 1), 0);
	close(fd);
}

/* Runs a script whose processes all hold a FIFO open; returns our end of it. */
static int
open_witness(char *path, size_t size)
{
	static int number;

	snprintf(path, size, "/tmp/test_child.%d.%d", (int)getpid(), number++);
	assert_int_equal(mkfifo(path, 0600), 0);
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
	return fd;
}

static void
kills_the_whole_group_for_time(void **state)
{
	char path[64], script[256];
	int fd = open_witness(path, sizeof path);
	struct seen s = {0};

	(void)state;
	snprintf(script, sizeof script,
	    "exec 9>%s; echo begun; sleep 1000 & trap '' TERM; sleep 1000", path);
	run_shell(&s, script, 300);
	assert_true(s.result.timed_out);
	assert_true(WIFSIGNALED(s.result.status) && WTERMSIG(s.result.status) == SIGKILL);
	wait_for_end_of(fd);
	unlink(path);
}

static void
kills_for_too_much_output(void **state)
{
	struct seen s = {0};

	(void)state;
	run_shell(&s, "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done", LONG);
	assert_true(s.result.overflowed);
	assert_false(s.result.timed_out);
	assert_true(WIFSIGNALED(s.result.status));
	assert_true(s.result.output_len == 4097);
}

static void
takes_output_up_to_the_limit(void **state)
{
	struct seen s = {0};

	(void)state;
	run_shell(&s, "head -c 4096 /dev/zero", LONG);
	assert_false(s.result.overflowed);
	assert_int_equal(s.result.status, 0);
	assert_int_equal(s.result.output_len, 4096);
	s = (struct seen){0};
	run_shell(&s, "head -c 4097 /dev/zero", LONG);
	assert_true(s.result.overflowed);
}

static void
keeps_the_beginning_of_errors(void **state)
{
	struct seen s = {0};

	(void)state;
	run_shell(&s, "echo first >&2; head -c 300000 /dev/zero | tr '\\0' e >&2; echo out", LONG);
	assert_int_equal(s.result.status, 0);
	assert_string_equal(s.output, "out\n");
	assert_int_equal(strlen(s.errors), 1024);
	assert_memory_equal(s.errors, "first\neee", 9);
}

/* A grandchild that keeps standard output does not hold us, and goes with the group. */
static void
outlives_a_grandchild_with_the_pipe(void **state)
{
	char path[64], script[256];
	int fd = open_witness(path, sizeof path);
	struct seen s = {0};

	(void)state;
	snprintf(script, sizeof script, "exec 9>%s; sleep 1000 & echo done; exit 0", path);
	run_shell(&s, script, LONG);
	assert_int_equal(s.result.status, 0);
	assert_false(s.result.timed_out);
	assert_string_equal(s.output, "done\n");
	wait_for_end_of(fd);
	unlink(path);
}

/* A daemon that has let go of standard output is left alone. */
static void
leaves_a_daemon_alone(void **state)
{
	struct seen s = {0};
	pid_t left;

	(void)state;
	run_shell(&s, "sleep 1000 >/dev/null & echo $!", LONG);
	assert_int_equal(s.result.status, 0);
	left = (pid_t)atol(s.output);
	assert_true(left > 1);
	assert_int_equal(kill(left, 0), 0);
	kill(left, SIGKILL);
}

static void
waits_for_a_leader_that_closed_its_output(void **state)
{
	struct seen s = {0};

	(void)state;
	run_shell(&s, "echo early; exec >&-; sleep 0.05; exit 7", LONG);
	assert_int_equal(WEXITSTATUS(s.result.status), 7);
	assert_string_equal(s.output, "early\n");
}

static bool
has_children(void)
{
	siginfo_t info;

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

static void
cancels(void **state)
{
	char path[64], script[256], sh[] = "/bin/sh", c[] = "-c";
	char *argv[] = {sh, c, script, NULL};
	struct child_settings settings = {.argv = argv, .timeout = LONG, .output_max = 100};
	int fd = open_witness(path, sizeof path);
	struct seen s = {0};

	(void)state;
	snprintf(script, sizeof script, "exec 9>%s; sleep 1000 & sleep 1000", path);
	s.child = child_start(base, &settings, on_child, &s);
	child_cancel(&s.child);
	assert_null(s.child);
	child_cancel(&s.child);
	wait_for_end_of(fd);
	unlink(path);
	while (has_children()) /* until the zombie is taken away */
		turn();
	assert_int_equal(s.calls, 0);
}

static void
cancels_a_failed_start_and_inside_the_callback(void **state)
{
	char missing[] = "/nonexistent/command";
	char *argv[] = {missing, NULL};
	struct child_settings settings = {.argv = argv, .timeout = LONG, .output_max = 100};
	struct seen s = {0};

	(void)state;
	s.child = child_start(base, &settings, on_child, &s);
	child_cancel(&s.child);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(s.calls, 0);

	s.cancel_inside = true;
	run_shell(&s, "echo x", LONG);
	assert_null(s.child);
}

static void
survives_an_ignored_sigchld(void **state)
{
	struct seen s = {0};

	(void)state;
	signal(SIGCHLD, SIG_IGN);
	run_shell(&s, "exit 5", LONG);
	assert_int_equal(WEXITSTATUS(s.result.status), 5);
	signal(SIGCHLD, SIG_DFL);
}

static void
runs_many_at_once(void **state)
{
	enum { MANY = 20 };
	static struct seen s[MANY];
	char sh[] = "/bin/sh", c[] = "-c", script[] = "echo $NUMBER";
	char *argv[] = {sh, c, script, NULL};
	int calls = 0;

	(void)state;
	for (int i = 0; i < MANY; i++) {
		char pair[32];
		char *environment[] = {pair, NULL};
		struct child_settings settings = {
		    .argv = argv, .environment = environment, .timeout = LONG, .output_max = 100};

		snprintf(pair, sizeof pair, "NUMBER=%d", i);
		s[i].child = child_start(base, &settings, on_child, &s[i]);
	}
	while (calls < MANY) {
		turn();
		calls = 0;
		for (int i = 0; i < MANY; i++)
			calls += s[i].calls;
	}
	for (int i = 0; i < MANY; i++)
		assert_int_equal(atoi(s[i].output), i);
}

static void
does_without_pidfd(void **state)
{
	without_pidfd = true;
	captures_output_errors_and_status(state);
	tells_a_signal(state);
	kills_the_whole_group_for_time(state);
	outlives_a_grandchild_with_the_pipe(state);
	cancels(state);
	without_pidfd = false;
}

static int
make_base(void **state)
{
	(void)state;
	base = event_base_new();
	return base == NULL;
}

static int
free_base(void **state)
{
	(void)state;
	event_base_free(base);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(captures_output_errors_and_status),
	    cmocka_unit_test(tells_a_signal),
	    cmocka_unit_test(tells_a_failed_start),
	    cmocka_unit_test(finds_commands_by_path),
	    cmocka_unit_test(gives_a_clean_process),
	    cmocka_unit_test(resets_signals),
	    cmocka_unit_test(cleans_the_environment),
	    cmocka_unit_test(gives_a_path_where_there_is_none),
	    cmocka_unit_test(kills_the_whole_group_for_time),
	    cmocka_unit_test(kills_for_too_much_output),
	    cmocka_unit_test(takes_output_up_to_the_limit),
	    cmocka_unit_test(keeps_the_beginning_of_errors),
	    cmocka_unit_test(outlives_a_grandchild_with_the_pipe),
	    cmocka_unit_test(leaves_a_daemon_alone),
	    cmocka_unit_test(waits_for_a_leader_that_closed_its_output),
	    cmocka_unit_test(cancels),
	    cmocka_unit_test(cancels_a_failed_start_and_inside_the_callback),
	    cmocka_unit_test(survives_an_ignored_sigchld),
	    cmocka_unit_test(runs_many_at_once),
	    cmocka_unit_test(does_without_pidfd),
	};

	return cmocka_run_group_tests(tests, make_base, free_base);
}
