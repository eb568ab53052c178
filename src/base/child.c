#include "base/child.h"

#include "base/queue.h"
#include "base/secret.h"
#include "base/xalloc.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

enum { ERRORS_MAX = 1024 };
enum { GRACE_MS = 1000 }; /* for the end of output behind the leader's exit, and for a kill */
enum { LOOK_MS = 50 };    /* between looks at a leader that no pidfd watches */
enum { FIRST_FREE_FD = 3 };

/*
 * Owned by this file from child_start() to the callback; one cancelled or killed stays, without
 * its owner, until its leader is gone.  The leader is not reaped before the very end: until then
 * neither its number nor its group's can name anything else, and killing the group is safe.
 */
struct child {
	TAILQ_ENTRY(child) link;
	struct event_base *base;
	child_cb *cb; /* NULL: nobody asks any more */
	void *arg;

	pid_t pid;          /* 0: not started, or reaped */
	int pidfd;          /* -1: the kernel has none */
	int out_fd, err_fd; /* -1: at end */
	struct event *exit_event, *out_event, *err_event;
	struct event *timer; /* the time limit; behind an exit or a kill: the grace */
	bool exited;         /* the leader is a zombie */
	bool killed;
	bool reporting; /* inside the callback */

	struct child_result result;
	char *output; /* mmapped: output_max + 1 octets */
	size_t output_size, output_len, output_max;
	char errors[ERRORS_MAX + 1];
	size_t errors_len;
};

/* Those whose callback has run or will not run, while their leader still dies. */
static TAILQ_HEAD(, child) dying = TAILQ_HEAD_INITIALIZER(dying);

static const char *const environment_names[] = {"HOME", "USER", "LOGNAME", "PATH", "LANG", "TZ",
    "GNUPGHOME", "SSH_AUTH_SOCK", "DBUS_SESSION_BUS_ADDRESS"};
static const char *const environment_prefixes[] = {"LC_", "XDG_", "PASSWORD_STORE_"};

static bool
is_passed_on(const char *pair)
{
	size_t len = strcspn(pair, "=");

	for (size_t i = 0; i < sizeof environment_names / sizeof *environment_names; i++)
		if (strlen(environment_names[i]) == len &&
		    strncmp(environment_names[i], pair, len) == 0)
			return true;
	for (size_t i = 0; i < sizeof environment_prefixes / sizeof *environment_prefixes; i++)
		if (strncmp(environment_prefixes[i], pair, strlen(environment_prefixes[i])) == 0)
			return true;
	return false;
}

static bool
has_name(char *const *pairs, const char *pair)
{
	size_t len = strcspn(pair, "=");

	for (; *pairs != NULL; pairs++)
		if (strncmp(*pairs, pair, len) == 0 && (*pairs)[len] == '=')
			return true;
	return false;
}

/* Pointers into environ and the further pairs, which win; free(3) the array only. */
static char **
make_environment(char *const *further)
{
	static char default_path[] = "PATH=/usr/local/bin:/usr/bin:/bin";
	size_t count = 2, n = 0;
	char **made;

	for (char **p = environ; *p != NULL; p++)
		count++;
	for (char *const *p = further; p != NULL && *p != NULL; p++)
		count++;
	made = xcalloc(count, sizeof *made);
	for (char *const *p = further; p != NULL && *p != NULL; p++)
		made[n++] = *p;
	for (char **p = environ; *p != NULL; p++)
		if (is_passed_on(*p) && !has_name(made, *p))
			made[n++] = *p;
	if (!has_name(made, default_path))
		made[n++] = default_path;
	return made;
}

static int
set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

/* Keeps a pipe off the descriptors 0, 1 and 2, which the child's own redirections overwrite. */
static int
move_up(int *fd)
{
	int moved;

	if (*fd >= FIRST_FREE_FD)
		return 0;
	moved = fcntl(*fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	if (moved < 0)
		return -1;
	close(*fd);
	*fd = moved;
	return 0;
}

/* Our end does not block, the child's does. */
static int
open_pipe(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC) != 0)
		return -1;
	if (move_up(&ends[0]) == 0 && move_up(&ends[1]) == 0 && set_nonblocking(ends[0]) == 0)
		return 0;
	close(ends[0]);
	close(ends[1]);
	return -1;
}

/* A parent may have left SIGCHLD ignored, and then the kernel keeps no exit status. */
static void
keep_exit_statuses(void)
{
	struct sigaction action;

	if (sigaction(SIGCHLD, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
		signal(SIGCHLD, SIG_DFL);
}

/* Returns an errno.  The session is made before the program starts: its group is there at once. */
static int
spawn(pid_t *pid, const struct child_settings *settings, int out, int err)
{
	char **environment = make_environment(settings->environment);
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int rc;

	keep_exit_statuses();
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(
	    &attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&files, err, STDERR_FILENO);
	posix_spawn_file_actions_addclosefrom_np(&files, FIRST_FREE_FD);

	rc = posix_spawnp(pid, settings->argv[0], &files, &attr, settings->argv, environment);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	free(environment);
	return rc;
}

static void
close_stream(struct event **event, int *fd)
{
	if (*event != NULL)
		event_free(*event);
	if (*fd >= 0)
		close(*fd);
	*event = NULL;
	*fd = -1;
}

static void
set_timer(struct child *c, int64_t ms)
{
	struct timeval tv = {0};

	if (ms > 0)
		tv = (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	event_add(c->timer, &tv);
}

static void
release(struct child *c)
{
	close_stream(&c->out_event, &c->out_fd);
	close_stream(&c->err_event, &c->err_fd);
	if (c->timer != NULL)
		event_free(c->timer);
	if (c->output != NULL) {
		secret_wipe(c->output, c->output_len);
		munmap(c->output, c->output_size);
	}
	c->timer = NULL;
	c->output = NULL;
	secret_wipe(c->errors, sizeof c->errors);
}

static void
release_leader(struct child *c)
{
	if (c->exit_event != NULL)
		event_free(c->exit_event);
	if (c->pidfd >= 0)
		close(c->pidfd);
	free(c);
}

/* Leaves a zombie, so that the number stays taken. */
static bool
has_exited(const struct child *c)
{
	siginfo_t info = {0};

	if (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0)
		return errno != EINTR; /* ECHILD: somebody else has reaped it */
	return info.si_pid == c->pid;
}

static int
reap(struct child *c)
{
	int status;

	/* Somebody else having reaped it, nothing is known: never taken for success. */
	if (waitpid(c->pid, &status, WNOHANG) != c->pid)
		status = c->killed ? SIGKILL : W_EXITCODE(255, 0);
	c->pid = 0;
	return status;
}

static void
kill_group(struct child *c)
{
	if (c->pid > 0)
		kill(-c->pid, SIGKILL);
}

/* The owner is done with it; a leader that still dies is waited for. */
static void
dispose(struct child *c)
{
	c->cb = NULL;
	release(c);
	if (c->exited && c->pid > 0)
		reap(c);
	if (c->pid == 0) {
		release_leader(c);
		return;
	}
	TAILQ_INSERT_TAIL(&dying, c, link);
}

static void
report(struct child *c)
{
	child_cb *cb = c->cb;

	if (c->pid > 0)
		c->result.status = c->exited ? reap(c) : SIGKILL;
	c->errors[c->errors_len] = '\0';
	c->result.errors = c->errors;
	c->result.output = c->output;
	c->result.output_len = c->output_len;
	c->reporting = true;
	cb(&c->result, c->arg);
	c->reporting = false;
	dispose(c);
}

/* Kills, and reports when the leader is gone, or a little later when it cannot die. */
static void
kill_and_report(struct child *c)
{
	c->killed = true;
	kill_group(c);
	close_stream(&c->out_event, &c->out_fd);
	close_stream(&c->err_event, &c->err_fd);
	if (c->exited)
		report(c);
	else
		set_timer(c, GRACE_MS);
}

/* True at the end, or past the limit; false when all that is there was read and more may come. */
static bool
read_output(struct child *c)
{
	ssize_t n;

	while (c->output_len <= c->output_max) {
		n = read(c->out_fd, c->output + c->output_len, c->output_max + 1 - c->output_len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return false;
		if (n <= 0)
			return true;
		c->output_len += (size_t)n;
	}
	c->result.overflowed = 1;
	return true;
}

/* Keeps the beginning and drops the rest.  True at the end. */
static bool
read_errors(struct child *c)
{
	char chunk[4096];
	ssize_t n = read(c->err_fd, chunk, sizeof chunk);
	size_t keep = ERRORS_MAX - c->errors_len;

	if (n < 0)
		return errno != EINTR && errno != EAGAIN;
	if ((size_t)n < keep)
		keep = (size_t)n;
	memcpy(c->errors + c->errors_len, chunk, keep);
	c->errors_len += keep;
	secret_wipe(chunk, (size_t)n);
	return n == 0;
}

static void
on_output_end(struct child *c)
{
	close_stream(&c->out_event, &c->out_fd);
	if (c->result.overflowed)
		kill_and_report(c);
	else if (c->exited)
		report(c);
}

static void
output_cb(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;

	(void)fd;
	(void)what;
	if (read_output(c))
		on_output_end(c);
}

static void
errors_cb(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;

	(void)fd;
	(void)what;
	if (read_errors(c))
		close_stream(&c->err_event, &c->err_fd);
}

/*
 * What the leader wrote is in the pipes by now.  When output is at its end too, that is all; else
 * somebody else holds the pipe, and gets a little time.
 */
static void
on_exit_of_leader(struct child *c)
{
	c->exited = true;
	if (c->cb == NULL) {
		TAILQ_REMOVE(&dying, c, link);
		reap(c);
		release_leader(c);
		return;
	}
	event_free(c->exit_event);
	c->exit_event = NULL;
	if (c->killed) {
		report(c);
		return;
	}
	if (c->err_fd >= 0 && read_errors(c))
		close_stream(&c->err_event, &c->err_fd);
	set_timer(c, GRACE_MS);
	if (c->out_fd < 0)
		report(c);
	else if (read_output(c))
		on_output_end(c);
}

static void
exit_cb(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;

	(void)fd;
	(void)what;
	if (has_exited(c))
		on_exit_of_leader(c);
}

/* Fires for a start that failed, the time limit, the grace for output, and that for dying. */
static void
timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;

	(void)fd;
	(void)what;
	if (c->pid == 0 || c->killed) {
		report(c);
	} else {
		c->result.timed_out = !c->exited;
		kill_and_report(c);
	}
}

static struct event *
watch(struct event_base *base, int fd, short what, event_callback_fn cb, struct child *c)
{
	struct event *event = event_new(base, fd, what, cb, c);

	if (event == NULL)
		exit(EX_OSERR);
	return event;
}

static void
watch_leader(struct child *c)
{
	struct timeval look = {.tv_usec = LOOK_MS * 1000};

	c->pidfd = pidfd_open(c->pid, 0);
	if (c->pidfd >= 0) {
		c->exit_event = watch(c->base, c->pidfd, EV_READ | EV_PERSIST, exit_cb, c);
		event_add(c->exit_event, NULL);
	} else {
		c->exit_event = watch(c->base, -1, EV_PERSIST, exit_cb, c);
		event_add(c->exit_event, &look);
	}
}

static void
watch_streams(struct child *c)
{
	c->out_event = watch(c->base, c->out_fd, EV_READ | EV_PERSIST, output_cb, c);
	c->err_event = watch(c->base, c->err_fd, EV_READ | EV_PERSIST, errors_cb, c);
	event_add(c->out_event, NULL);
	event_add(c->err_event, NULL);
}

/* Opens the pipes and starts the program; returns an errno. */
static int
start(struct child *c, const struct child_settings *settings)
{
	int out[2], err[2];
	int rc;

	if (settings->argv[0] == NULL)
		return EINVAL;
	if (open_pipe(out) != 0)
		return errno;
	if (open_pipe(err) != 0) {
		rc = errno;
		close(out[0]);
		close(out[1]);
		return rc;
	}
	c->out_fd = out[0];
	c->err_fd = err[0];
	rc = spawn(&c->pid, settings, out[1], err[1]);
	close(out[1]);
	close(err[1]);
	return rc;
}

static void
map_output(struct child *c, size_t output_max)
{
	c->output_max = output_max;
	c->output_size = output_max + 1;
	c->output =
	    mmap(NULL, c->output_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (c->output == MAP_FAILED)
		_exit(EX_OSERR);
	/* RLIMIT_MEMLOCK may refuse; the command must run all the same. */
	(void)mlock(c->output, c->output_size);
	(void)madvise(c->output, c->output_size, MADV_DONTDUMP);
}

struct child *
child_start(struct event_base *base, const struct child_settings *settings, child_cb *cb, void *arg)
{
	struct child *c = xcalloc(1, sizeof *c);

	c->base = base;
	c->cb = cb;
	c->arg = arg;
	c->pidfd = c->out_fd = c->err_fd = -1;
	c->timer = watch(base, -1, 0, timer_cb, c);
	map_output(c, settings->output_max);
	c->result.error = start(c, settings);
	if (c->result.error != 0) {
		c->pid = 0;
		c->result.status = -1;
		event_active(c->timer, EV_TIMEOUT, 0);
		return c;
	}
	watch_leader(c);
	watch_streams(c);
	set_timer(c, settings->timeout);
	return c;
}

void
child_cancel(struct child **child)
{
	struct child *c = *child;

	*child = NULL;
	if (c == NULL || c->reporting)
		return;
	c->killed = true;
	kill_group(c);
	dispose(c);
}
