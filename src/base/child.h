#ifndef POSTRIDER_BASE_CHILD_H
#define POSTRIDER_BASE_CHILD_H

#include <stddef.h>
#include <stdint.h>

struct event_base;
struct child;

/*
 * The one place that starts commands (secrets, hooks): argv without a shell, its own session and
 * process group, standard input /dev/null, no terminal, standard output captured, standard error
 * captured for the log, all other descriptors closed, default signal dispositions and mask, a
 * clean environment (HOME, USER, LOGNAME, PATH, LANG/LC_*, TZ, XDG_*, GNUPGHOME, PASSWORD_STORE_*,
 * SSH_AUTH_SOCK, DBUS_SESSION_BUS_ADDRESS and the pairs given), and a time limit after which the
 * whole group is killed.  Works without SIGCHLD being owned by anyone (pidfd).
 */
struct child_settings {
	char *const *argv;        /* borrowed for the call */
	char *const *environment; /* further "NAME=value" strings, NULL-terminated; may be NULL */
	int64_t timeout;          /* ms */
	size_t output_max;        /* more is a failure; the buffer lies in locked memory */
};

struct child_result {
	int status;         /* as waitpid(2) gives it; -1 when it could not be started */
	int error;          /* errno of a failed start */
	int timed_out;      /* killed for the time limit */
	int overflowed;     /* killed for output_max */
	const char *output; /* borrowed for the callback; wiped afterwards */
	size_t output_len;
	const char
	    *errors; /* the first 1024 octets of standard error, NUL-terminated, not escaped */
};

typedef void child_cb(const struct child_result *result, void *arg);

/* Never fails at once: a failed start is told by the callback, which never runs inside. */
struct child *child_start(
    struct event_base *base, const struct child_settings *settings, child_cb *cb, void *arg);

/* Kills the group; the callback does not run.  Sets the pointer to NULL; NULL inside is fine. */
void child_cancel(struct child **child);

#endif
