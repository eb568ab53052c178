#include "control/control_socket.h"

#include "base/log.h"
#include "base/str.h"
#include "base/xalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Rounds of finding a dead socket and removing it, before somebody else is at work there. */
#define OPEN_ROUNDS 3

static bool
fail_errno(struct verdict *why, const char *what, const char *path)
{
	int error = errno;
	char shown[256];

	verdict_fail(why, FAIL_LOCAL, "control", "%s %s: %s", what,
	    str_escape(shown, sizeof shown, path, strlen(path)), strerror(error));
	why->code = error;
	return false;
}

static bool
fill_address(struct sockaddr_un *address, const char *path, struct verdict *why)
{
	size_t len = strlen(path);

	memset(address, 0, sizeof *address);
	address->sun_family = AF_UNIX;
	if (len == 0 || len >= sizeof address->sun_path)
		return verdict_fail(why, FAIL_LOCAL, "control",
		    "control.socket: a socket's path has 1 to %zu octets, this one %zu; "
		    "choose a shorter one",
		    sizeof address->sun_path - 1, len);
	memcpy(address->sun_path, path, len);
	return true;
}

static bool
has_group(const struct control_config *config, struct verdict *why)
{
	char shown[128];

	return config->gid != NO_GID ||
	       verdict_fail(why, FAIL_LOCAL, "control",
		   "control.group: there is no group \"%s\" on this machine; create it, or name "
		   "another",
		   str_escape(shown, sizeof shown, config->group, strlen(config->group)));
}

static bool
make_directory(char *path, mode_t mode, struct verdict *why)
{
	struct stat st;

	if (stat(path, &st) == 0)
		return S_ISDIR(st.st_mode) || verdict_fail(why, FAIL_LOCAL, "control",
						  "control.socket: %s is not a directory", path);
	if (mkdir(path, mode) == 0)
		return chmod(path, mode) == 0 || fail_errno(why, "cannot set the mode of", path);
	if (errno == EEXIST)
		return true;
	return fail_errno(why, "cannot create the control socket's directory", path);
}

/* Others enter a system service's directory, or one that a group is meant to reach. */
static mode_t
directory_mode(const struct control_config *config)
{
	bool system = strncmp(config->socket, "/run/", 5) == 0 &&
		      strncmp(config->socket, "/run/user/", 10) != 0;

	return system || config->group != NULL ? 0755 : 0700;
}

/* Makes every missing directory above the socket. */
static bool
make_directories(const struct control_config *config, struct verdict *why)
{
	char *path = xstrdup(config->socket);
	mode_t mode = directory_mode(config);
	bool ok = true;

	for (char *slash = strchr(path + 1, '/'); ok && slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		ok = make_directory(path, mode, why);
		*slash = '/';
	}
	free(path);
	return ok;
}

/* Who has the place: a daemon that answers, a dead one's socket, or something else altogether. */
enum occupant { OCCUPANT_NONE, OCCUPANT_DEAD, OCCUPANT_ALIVE, OCCUPANT_FOREIGN, OCCUPANT_UNKNOWN };

static enum occupant
probe_socket(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error = 0;

	if (fd < 0)
		return OCCUPANT_UNKNOWN;
	if (connect(fd, (const struct sockaddr *)address, sizeof *address) != 0)
		error = errno;
	close(fd);
	switch (error) {
	case 0:
	case EAGAIN: /* its backlog is full */
		return OCCUPANT_ALIVE;
	case ECONNREFUSED:
		return OCCUPANT_DEAD;
	case ENOENT:
		return OCCUPANT_NONE;
	case EPROTOTYPE: /* a datagram socket */
		return OCCUPANT_FOREIGN;
	default:
		errno = error;
		return OCCUPANT_UNKNOWN;
	}
}

/* Makes room at the path, or says why there is none. */
static bool
remove_dead(const struct sockaddr_un *address, struct verdict *why)
{
	const char *path = address->sun_path;
	enum occupant who = OCCUPANT_FOREIGN;
	struct stat before, now;
	char shown[128];

	str_escape(shown, sizeof shown, path, strlen(path));
	if (lstat(path, &before) != 0)
		return errno == ENOENT || fail_errno(why, "cannot look at", path);
	if (S_ISSOCK(before.st_mode))
		who = probe_socket(address);
	switch (who) {
	case OCCUPANT_NONE:
		return true;
	case OCCUPANT_DEAD:
		if (lstat(path, &now) != 0 || now.st_dev != before.st_dev ||
		    now.st_ino != before.st_ino)
			return true; /* somebody else was quicker: look again */
		if (unlink(path) != 0 && errno != ENOENT)
			return fail_errno(why, "cannot remove the dead socket", path);
		log_info("socket=%s reason=replaced a socket that nobody listened on", shown);
		return true;
	case OCCUPANT_ALIVE:
		return verdict_fail(why, FAIL_LOCAL, "control",
		    "another daemon answers on the control socket %s; stop it "
		    "(postriderctl -s %s stop), or give this one a control.socket of its own",
		    shown, shown);
	case OCCUPANT_FOREIGN:
		return verdict_fail(why, FAIL_LOCAL, "control",
		    "%s is in the way of the control socket and is not one; it is left alone: "
		    "move it, or choose another control.socket",
		    shown);
	case OCCUPANT_UNKNOWN:
		break;
	}
	return fail_errno(why, "cannot tell whether a daemon answers on", path);
}

static bool
bind_path(int fd, const struct sockaddr_un *address, struct verdict *why)
{
	for (int round = 0; round < OPEN_ROUNDS; round++) {
		if (bind(fd, (const struct sockaddr *)address, sizeof *address) == 0)
			return true;
		if (errno != EADDRINUSE)
			break;
		if (!remove_dead(address, why))
			return false;
		errno = EADDRINUSE;
	}
	return fail_errno(why, "cannot bind the control socket", address->sun_path);
}

/* Sets what connecting needs; nobody can connect before listen(2). */
static bool
protect(const char *path, const struct control_config *config, struct verdict *why)
{
	gid_t gid = config->group != NULL ? config->gid : NO_GID;
	struct stat st;

	if (config->group != NULL && !has_group(config, why))
		return false;
	/* Where chown(2) is forbidden altogether, the group may be the right one all the same. */
	if (lstat(path, &st) == 0 && st.st_gid == gid)
		gid = NO_GID;
	if (gid != NO_GID && lchown(path, (uid_t)-1, gid) != 0)
		return fail_errno(why, "control.group: cannot give the group to", path);
	if (fchmodat(AT_FDCWD, path, config->mode & 0777, AT_SYMLINK_NOFOLLOW) != 0)
		return fail_errno(why, "control.mode: cannot set the mode of", path);
	return true;
}

static void
add_group(struct control_socket *s, gid_t gid)
{
	for (size_t i = 0; i < s->group_count; i++) {
		if (s->groups[i] == gid)
			return;
	}
	if (s->group_count < sizeof s->groups / sizeof s->groups[0])
		s->groups[s->group_count++] = gid;
}

/* Notes which file it is and whose group it has. */
static bool
identify(struct control_socket *s, const char *path, struct verdict *why)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return fail_errno(why, "cannot look at", path);
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	s->group_count = 0;
	add_group(s, st.st_gid);
	return true;
}

static bool
listen_here(struct control_socket *s, const struct control_config *config, struct verdict *why)
{
	struct sockaddr_un address;

	if (!fill_address(&address, config->socket, why) || !make_directories(config, why))
		return false;
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		return fail_errno(why, "cannot make a socket for", config->socket);
	/* Whatever the umask is: closed to others until protect() opens it. */
	if (fchmod(s->fd, 0600) != 0)
		return fail_errno(why, "cannot close to others", config->socket);
	if (!bind_path(s->fd, &address, why) || !identify(s, config->socket, why))
		return false;
	s->path = xstrdup(config->socket);
	if (!protect(s->path, config, why) || !identify(s, s->path, why))
		return false;
	if (listen(s->fd, SOMAXCONN) != 0)
		return fail_errno(why, "cannot listen on", s->path);
	return true;
}

bool
control_socket_open(
    struct control_socket *s, const struct control_config *config, struct verdict *why)
{
	*s = (struct control_socket)CONTROL_SOCKET_CLOSED;
	if (listen_here(s, config, why))
		return true;
	control_socket_close(s);
	return false;
}

static bool
is_listening_stream(int fd)
{
	socklen_t size = sizeof(int);
	int family = 0, type = 0, listening = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0)
		return false;
	return family == AF_UNIX && type == SOCK_STREAM && listening != 0;
}

/* False for a socket that is bound to no file, as an abstract one. */
static bool
stat_bound(int fd, struct sockaddr_un *address, struct stat *st)
{
	socklen_t size = sizeof *address - 1; /* keeps the path NUL-terminated */

	memset(address, 0, sizeof *address);
	return getsockname(fd, (struct sockaddr *)address, &size) == 0 &&
	       address->sun_path[0] != '\0' && lstat(address->sun_path, st) == 0 &&
	       S_ISSOCK(st->st_mode);
}

/* The group of the file that an inherited socket is bound to. */
static void
add_file_group(struct control_socket *s)
{
	struct sockaddr_un address;
	struct stat st;

	if (stat_bound(s->fd, &address, &st))
		add_group(s, st.st_gid);
}

void
control_socket_compare(const struct control_socket *s, const struct control_config *config)
{
	struct sockaddr_un address;
	struct stat bound, wanted;
	char there[256], here[256];
	bool has_file = stat_bound(s->fd, &address, &bound);

	if (has_file && stat(config->socket, &wanted) == 0 && wanted.st_dev == bound.st_dev &&
	    wanted.st_ino == bound.st_ino)
		return;
	log_warning("socket=%s reason=the service manager listens at %s: clients that read the "
		    "configuration find nobody; ListenStream= of postrider.socket and "
		    "control.socket must be the same",
	    str_escape(here, sizeof here, config->socket, strlen(config->socket)),
	    has_file ? str_escape(there, sizeof there, address.sun_path, strlen(address.sun_path))
		     : "another place");
}

bool
control_socket_take(
    struct control_socket *s, int fd, const struct control_config *config, struct verdict *why)
{
	struct verdict no_group;

	*s = (struct control_socket)CONTROL_SOCKET_CLOSED;
	s->fd = fd;
	if (!is_listening_stream(fd)) {
		control_socket_close(s);
		return verdict_fail(why, FAIL_LOCAL, "control",
		    "descriptor %d from the service manager is not a listening UNIX stream "
		    "socket; see postrider.socket",
		    fd);
	}
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 ||
	    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0) {
		fail_errno(why, "cannot prepare", "the service manager's socket");
		control_socket_close(s);
		return false;
	}
	add_file_group(s);
	control_socket_compare(s, config);
	if (config->group != NULL && has_group(config, &no_group))
		add_group(s, config->gid);
	else if (config->group != NULL)
		log_warning("reason=%s", no_group.text);
	return true;
}

bool
control_socket_is_in_place(const struct control_socket *s)
{
	struct stat st;

	return s->path != NULL && lstat(s->path, &st) == 0 && S_ISSOCK(st.st_mode) &&
	       st.st_dev == s->dev && st.st_ino == s->ino;
}

bool
control_socket_protect(
    struct control_socket *s, const struct control_config *config, struct verdict *why)
{
	if (!control_socket_is_in_place(s)) {
		errno = ENOENT;
		return fail_errno(why, "the control socket is gone from", config->socket);
	}
	return protect(s->path, config, why) && identify(s, s->path, why);
}

void
control_socket_close(struct control_socket *s)
{
	if (s->fd >= 0 && control_socket_is_in_place(s))
		unlink(s->path);
	if (s->fd >= 0)
		close(s->fd);
	free(s->path);
	*s = (struct control_socket)CONTROL_SOCKET_CLOSED;
}
