#include "config/guard.h"

#include "base/xalloc.h"
#include "config/source.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SERVICE_USER "postrider"

/* The user that the system service runs as; false when there is none. */
static bool
service_ids(uid_t *uid, gid_t *gid)
{
	struct passwd entry, *found = NULL;
	char buf[4096];

	if (getpwnam_r(SERVICE_USER, &entry, buf, sizeof buf, &found) != 0 || found == NULL)
		return false;
	*uid = found->pw_uid;
	*gid = found->pw_gid;
	return true;
}

char *
guard_find_leak(uid_t uid, gid_t gid, mode_t mode)
{
	uid_t daemon_uid = geteuid(), service_uid = daemon_uid;
	gid_t daemon_gid = getegid(), service_gid = daemon_gid;

	if (daemon_uid == 0 && !service_ids(&service_uid, &service_gid))
		service_uid = daemon_uid;
	if (uid != 0 && uid != daemon_uid && uid != service_uid)
		return xasprintf(
		    "its owner (uid %u) is neither root nor the daemon's user", (unsigned)uid);
	if ((mode & (S_IROTH | S_IWOTH)) != 0)
		return xasprintf("others have access to it (mode %04o)", (unsigned)mode & 07777);
	if ((mode & (S_IRGRP | S_IWGRP)) != 0 && gid != daemon_gid && gid != service_gid)
		return xasprintf("a group that is not the daemon's (gid %u) has access to it "
				 "(mode %04o)",
		    (unsigned)gid, (unsigned)mode & 07777);
	return NULL;
}

/* False after saying what is wrong. */
static bool
check_file(struct reader *reader, const struct key *key, const struct raw *raw, const char *path,
    struct stat *st)
{
	int fd;

	if (stat(path, st) == 0 && !S_ISREG(st->st_mode)) {
		reader_fault(reader, key->name, raw->line, "'%s' is not a regular file", path);
		return false;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, st) < 0) {
		reader_fault(reader, key->name, raw->line, "'%s' cannot be read: %s%s", path,
		    strerror(errno),
		    errno == EACCES ? "; give the daemon's user access to it" : "");
		if (fd >= 0)
			close(fd);
		return false;
	}
	close(fd);
	return true;
}

void
guard_check_readable(
    struct reader *reader, const struct key *key, const struct raw *raw, const char *path)
{
	struct stat st;

	if (!reader->client)
		(void)check_file(reader, key, raw, path, &st);
}

void
guard_check_secret(
    struct reader *reader, const struct key *key, const struct raw *raw, const char *path)
{
	struct stat st;
	char *leak;

	if (reader->client || !check_file(reader, key, raw, path, &st))
		return;
	leak = guard_find_leak(st.st_uid, st.st_gid, st.st_mode);
	if (leak != NULL)
		reader_fault(
		    reader, key->name, raw->line, "'%s' is unsafe: %s; try chmod 600", path, leak);
	free(leak);
}

void
guard_check_literal(struct reader *reader, const struct key *key, const struct raw *raw)
{
	struct source_file *file = source_file(reader->source, raw->line);
	char *leak;

	if (reader->client || reader->silent || file->accused)
		return;
	leak = guard_find_leak(file->uid, file->gid, file->mode);
	if (leak != NULL) {
		reader_fault(reader, key->name, raw->line,
		    "this file holds a password and is unsafe: %s; try chmod 600", leak);
		file->accused = true;
	}
	free(leak);
}
