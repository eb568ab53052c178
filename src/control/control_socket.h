#ifndef POSTRIDER_CONTROL_CONTROL_SOCKET_H
#define POSTRIDER_CONTROL_CONTROL_SOCKET_H

#include "base/verdict.h"
#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * The listening UNIX socket in the file system: made with its final group and mode before the
 * first client can connect, and removed only if it is still the one that was made.  Embedded;
 * CONTROL_SOCKET_CLOSED begins it.
 */
struct control_socket {
	int fd;
	char *path; /* NULL: somebody else made it, and removes it */
	dev_t dev;
	ino_t ino;
	gid_t groups[2]; /* whose members may change something */
	size_t group_count;
};

#define CONTROL_SOCKET_CLOSED                                                                      \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/*
 * Makes the directory when it is missing (0755 below /run or for a group, else 0700), replaces the
 * socket of a daemon that is gone, refuses the place of one that answers.  Returns false with *why.
 */
bool control_socket_open(
    struct control_socket *s, const struct control_config *config, struct verdict *why);

/* Takes a socket that is listening already, from the service manager.  On failure fd is closed. */
bool control_socket_take(
    struct control_socket *s, int fd, const struct control_config *config, struct verdict *why);

/* Says so when a socket that was taken is not where the configuration has clients look. */
void control_socket_compare(const struct control_socket *s, const struct control_config *config);

/* True while the file at the path is still the socket that was made. */
bool control_socket_is_in_place(const struct control_socket *s);

/* Gives a socket in place another group and mode. */
bool control_socket_protect(
    struct control_socket *s, const struct control_config *config, struct verdict *why);

/* Removes the socket when it is still the one that was made.  Closing twice is fine. */
void control_socket_close(struct control_socket *s);

#endif
