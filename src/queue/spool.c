#include "queue/spool.h"

#include "base/step.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "store/disk.h"
#include "store/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

bool
spool_fault(const struct spool *s, struct verdict *why, int error, const char *what,
    const char *part, const char *name)
{
	char *path = xasprintf(
	    "%s%s%s%s%s", s->path, *part != '\0' ? "/" : "", part, *name != '\0' ? "/" : "", name);

	fault_errno(why, "spool", error, what, path);
	free(path);
	return false;
}

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void
close_directories(struct spool *s)
{
	close_fd(&s->dir);
	close_fd(&s->queue);
	close_fd(&s->failed);
}

static bool
open_directory(struct spool *s, const char *part, int *fd, struct verdict *why)
{
	char *path = xasprintf("%s%s%s", s->path, *part != '\0' ? "/" : "", part);
	bool ok = disk_make_directory(path, 0700, why);

	if (ok && (*fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		ok = fault_errno(why, "spool", errno, "open directory", path);
	free(path);
	return ok;
}

/* Where a file system knows no locks, nothing is locked. */
static bool
lock_queue(struct spool *s, struct verdict *why)
{
	if (flock(s->queue, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
		return true;
	verdict_fail(why, FAIL_LOCAL, "spool",
	    "spool %s is in use by another postriderd; stop that first, or give each its own",
	    s->path);
	why->code = EWOULDBLOCK;
	return false;
}

static bool
open_directories(struct spool *s, struct verdict *why)
{
	if (!open_directory(s, "", &s->dir, why) || !open_directory(s, "queue", &s->queue, why) ||
	    !open_directory(s, "failed", &s->failed, why) || !lock_queue(s, why)) {
		close_directories(s);
		return false;
	}
	s->is_new = true;
	s->has_syncfs = disk_has_syncfs(s->queue);
	s->is_network = disk_is_network(s->path);
	return true;
}

struct spool *
spool_open(const char *path, struct verdict *why)
{
	struct spool *s = xcalloc(1, sizeof *s);

	*why = (struct verdict)VERDICT_OK;
	s->path = xstrdup(path);
	s->dir = s->queue = s->failed = s->inotify = s->watch = -1;
	TAILQ_INIT(&s->waiting);
	TAILQ_INIT(&s->copied);
	if (!open_directories(s, why)) {
		spool_close(&s);
		return NULL;
	}
	spool_watch_open(s);
	return s;
}

static void
close_kept(struct spool *s)
{
	for (size_t i = 0; i < s->kept_count; i++)
		close(s->kept[i]);
	s->kept_count = 0;
}

void
spool_close(struct spool **spool)
{
	struct spool *s = *spool;

	*spool = NULL;
	if (s == NULL)
		return;
	spool_watch_close(s);
	spool_copied_clear(s);
	close_kept(s);
	close_directories(s);
	free(s->notes);
	free(s->path);
	free(s);
}

/* The path leads to what is open. */
static bool
is_same_directory(const struct spool *s, const char *part, int fd)
{
	char *path = xasprintf("%s/%s", s->path, part);
	struct stat is, was;
	bool same = fd >= 0 && stat(path, &is) == 0 && fstat(fd, &was) == 0 &&
		    is.st_dev == was.st_dev && is.st_ino == was.st_ino;

	free(path);
	return same;
}

bool
spool_is_changed(const struct spool *s)
{
	return !is_same_directory(s, "", s->dir) || !is_same_directory(s, "queue", s->queue) ||
	       !is_same_directory(s, "failed", s->failed);
}

bool
spool_reopen_changed(struct spool *s, struct verdict *why)
{
	if (!spool_is_changed(s))
		return true;
	close_directories(s);
	return open_directories(s, why);
}

const char *
spool_file(char buf[SPOOL_FILE_SIZE], const char *id, const char *name)
{
	snprintf(buf, SPOOL_FILE_SIZE, "%s.%.*s", id, SPOOL_NAME_MAX, name);
	return buf;
}

bool
spool_split(const char *file, char id[OUTID_SIZE], const char **name)
{
	if (!outid_begins(file) || file[OUTID_LEN] != '.' || file[OUTID_LEN + 1] == '\0' ||
	    strlen(file) > OUTID_LEN + 1 + SPOOL_NAME_MAX)
		return false;
	memcpy(id, file, OUTID_LEN);
	id[OUTID_LEN] = '\0';
	*name = file + OUTID_LEN + 1;
	return true;
}

const char *
spool_cut_name(char buf[SPOOL_NAME_SIZE], const char *name)
{
	size_t len = strlen(name);

	if (len <= SPOOL_NAME_MAX) {
		memcpy(buf, name, len + 1);
		return buf;
	}
	memcpy(buf, name, SPOOL_NAME_MAX);
	buf[SPOOL_NAME_MAX] = '\0';
	str_trim_partial(buf);
	if (buf[0] == '\0')
		memcpy(buf, name, SPOOL_NAME_MAX);
	return buf;
}

/*
 * Where the kernel cannot rename without replacing (NFS), a look comes first: queue/ and failed/
 * are ours alone.
 */
int
spool_move(int from, const char *name, int to, const char *new_name)
{
	struct stat st;

	if (renameat2(from, name, to, new_name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
		return errno;
	if (fstatat(to, new_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return EEXIST;
	if (errno != ENOENT)
		return errno;
	return renameat(from, name, to, new_name) == 0 ? 0 : errno;
}

/*
 * Where syncfs serves, the first few files stay open for a flush of their own, in case they remain
 * few.  Elsewhere each file is flushed now: it costs the same as later.
 */
bool
spool_keep(struct spool *s, int fd, struct verdict *why)
{
	int error = 0;

	if (s->has_syncfs) {
		if (!s->is_much && s->kept_count < SPOOL_KEPT_MAX) {
			s->kept[s->kept_count++] = fd;
			return true;
		}
		s->is_much = true;
		close_kept(s);
	} else {
		step("spool-flush-file");
		if (fsync(fd) < 0)
			error = errno;
	}
	close(fd);
	return error == 0 || spool_fault(s, why, error, "make durable a file in", "", "");
}

static bool
flush_few(struct spool *s)
{
	for (size_t i = 0; i < s->kept_count; i++) {
		step("spool-flush-file");
		if (fsync(s->kept[i]) < 0)
			return false;
	}
	step("spool-flush-directories");
	return (!s->is_queue_touched || fsync(s->queue) == 0) &&
	       (!s->is_failed_touched || fsync(s->failed) == 0) &&
	       (!s->is_dir_touched || fsync(s->dir) == 0);
}

bool
spool_flush(struct spool *s, struct verdict *why)
{
	bool ok;

	if (s->is_much) {
		step("spool-flush");
		ok = syncfs(s->queue) == 0;
	} else {
		ok = flush_few(s);
	}
	if (!ok)
		spool_fault(s, why, errno, "make durable", "", "");
	close_kept(s);
	s->is_much = s->is_dir_touched = s->is_queue_touched = s->is_failed_touched = false;
	return ok;
}

int
spool_write(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n;

		step("spool-write");
		n = write(fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : EIO;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}
