#include "auth/secret_file.h"

#include "auth/secret_check.h"
#include "base/secret.h"
#include "base/str.h"
#include "base/xalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_MAX = SECRET_MAX + 3 }; /* a line end, and one octet that says "too long" */

static const char *
next_step(int error)
{
	switch (error) {
	case EACCES:
	case EPERM:
		return "give the daemon's user access to it";
	case ENOENT:
	case ENOTDIR:
		return "put it there, or name another one";
	default:
		return "check the file and its disk";
	}
}

static bool
fail_errno(struct verdict *why, const char *shown, const char *what, int error)
{
	verdict_fail(why, FAIL_LOCAL, SECRET_STAGE, "%s \"%s\": %s; %s", what, shown,
	    strerror(error), next_step(error));
	why->code = error;
	return false;
}

static bool
check_guard(const struct stat *st, const char *shown, struct verdict *why)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return verdict_fail(why, FAIL_LOCAL, SECRET_STAGE,
		    "\"%s\" holds a secret but belongs to neither root nor this user: chown it",
		    shown);
	if ((st->st_mode & (S_IROTH | S_IWOTH)) != 0)
		return verdict_fail(why, FAIL_LOCAL, SECRET_STAGE,
		    "\"%s\" holds a secret but others may read or write it: chmod 600 it", shown);
	if ((st->st_mode & (S_IRGRP | S_IWGRP)) != 0 && st->st_gid != getegid())
		return verdict_fail(why, FAIL_LOCAL, SECRET_STAGE,
		    "\"%s\" holds a secret but a group that is not the daemon's own may read or "
		    "write it: chmod 600 it",
		    shown);
	return true;
}

/* Fewer than READ_MAX octets, or READ_MAX of a longer file; -1 with errno. */
static ssize_t
read_all(int fd, char *buf)
{
	size_t len = 0;
	ssize_t n;

	while (len < READ_MAX) {
		n = read(fd, buf + len, READ_MAX - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

static struct secret *
read_secret(int fd, const char *shown, struct verdict *why)
{
	char *buf = xmalloc(READ_MAX);
	struct secret *secret = NULL;
	ssize_t len = read_all(fd, buf);

	if (len < 0) {
		fail_errno(why, shown, "cannot read the secret file", errno);
	} else {
		char *origin = xasprintf("the secret file \"%s\"", shown);

		secret = secret_check(buf, (size_t)len, origin, why);
		free(origin);
	}
	secret_wipe(buf, READ_MAX);
	free(buf);
	return secret;
}

struct secret *
secret_file_read(const char *path, bool guarded, struct verdict *why)
{
	struct secret *secret = NULL;
	struct stat st;
	char shown[256];
	int fd;

	str_escape(shown, sizeof shown, path, strlen(path));
	/* O_NONBLOCK: a FIFO in its place must not hold us. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) != 0)
		fail_errno(why, shown, "cannot open the secret file", errno);
	else if (!S_ISREG(st.st_mode))
		verdict_fail(why, FAIL_LOCAL, SECRET_STAGE, "\"%s\" is no regular file", shown);
	else if (!guarded || check_guard(&st, shown, why))
		secret = read_secret(fd, shown, why);
	if (fd >= 0)
		close(fd);
	return secret;
}
