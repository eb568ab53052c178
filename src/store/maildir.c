#include "store/maildir.h"

#include "base/clock.h"
#include "base/step.h"
#include "base/xalloc.h"
#include "store/disk.h"
#include "store/fault.h"
#include "store/filename.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

static const char *const parts[] = {"tmp", "new", "cur"};

static bool
is_anonymous(uint64_t dev)
{
	return major((dev_t)dev) == 0;
}

bool
maildir_is_same(const struct maildir_identity *a, const struct maildir_identity *b)
{
	if (a->ino != b->ino)
		return false;
	if (a->born != 0 && b->born != 0)
		return a->born == b->born;
	return a->dev == b->dev || (a->fsid != 0 && a->fsid == b->fsid) ||
	       (a->fstype == b->fstype && is_anonymous(a->dev) && is_anonymous(b->dev));
}

static bool
identify(int fd, struct maildir_identity *identity)
{
	struct statx stx;
	struct statfs fs;

	memset(identity, 0, sizeof *identity);
	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &stx) < 0 ||
	    fstatfs(fd, &fs) < 0)
		return false;
	identity->dev = makedev(stx.stx_dev_major, stx.stx_dev_minor);
	identity->ino = stx.stx_ino;
	if (stx.stx_mask & STATX_BTIME)
		identity->born =
		    (uint64_t)stx.stx_btime.tv_sec * 1000000000u + stx.stx_btime.tv_nsec;
	memcpy(&identity->fsid, &fs.f_fsid, sizeof identity->fsid);
	identity->fstype = (uint64_t)(unsigned)fs.f_type;
	return true;
}

bool
maildir_identify(const char *path, struct maildir_identity *identity)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && identify(fd, identity);

	if (fd >= 0)
		close(fd);
	return ok;
}

/* Who may read the files may enter the directories, who may write them may move them. */
static mode_t
directory_mode(mode_t mode)
{
	mode_t result = 0700 | (mode & 066);

	if (mode & 040)
		result |= 010;
	if (mode & 04)
		result |= 01;
	return result;
}

bool
maildir_create(const char *path, mode_t mode, struct verdict *why)
{
	mode_t mode_of_directory = directory_mode(mode);
	bool ok = disk_make_directory(path, mode_of_directory, why);
	int fd;

	for (size_t i = 0; i < 3 && ok; i++) {
		char *part = xasprintf("%s/%s", path, parts[i]);

		ok = disk_make_directory(part, mode_of_directory, why);
		free(part);
	}
	if (!ok)
		return false;
	/* An earlier run may have been killed between making and flushing. */
	step("maildir-flush");
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || syncfs(fd) < 0)
		ok = fault_errno(why, "maildir", errno, "make durable directory", path);
	if (fd >= 0)
		close(fd);
	return ok;
}

static bool
refuse(struct verdict *why, int error, const char *path, const char *part)
{
	char *full = xasprintf("%s%s%s", path, part != NULL ? "/" : "", part != NULL ? part : "");

	fault_errno(why, "maildir", error, "open Maildir", full);
	if (error == ENOENT || error == ENOTDIR)
		why->hint = HINT_SYS_PERM;
	free(full);
	return false;
}

bool
maildir_open(struct maildir *m, const char *path, struct verdict *why)
{
	int *const fds[] = {&m->tmp, &m->new, &m->cur};
	int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool ok = true;

	memset(m, 0, sizeof *m);
	m->tmp = m->new = m->cur = -1;
	if (root < 0)
		return refuse(why, errno, path, NULL);
	m->open = true;
	if (!identify(root, &m->identity))
		ok = refuse(why, errno, path, NULL);
	for (size_t i = 0; i < 3 && ok; i++) {
		*fds[i] = openat(root, parts[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (*fds[i] < 0)
			ok = refuse(why, errno, path, parts[i]);
	}
	close(root);
	if (!ok)
		maildir_close(m);
	return ok;
}

void
maildir_close(struct maildir *m)
{
	if (!m->open)
		return;
	m->open = false;
	if (m->tmp >= 0)
		close(m->tmp);
	if (m->new >= 0)
		close(m->new);
	if (m->cur >= 0)
		close(m->cur);
	m->tmp = m->new = m->cur = -1;
}

bool
maildir_flush(struct maildir *m, const char *path, struct verdict *why)
{
	bool ok;

	step("flush-directories");
	if (disk_has_syncfs(m->tmp))
		ok = syncfs(m->tmp) == 0;
	else
		ok = fsync(m->new) == 0 && fsync(m->cur) == 0 && fsync(m->tmp) == 0;
	return ok || fault_errno(why, "maildir", errno, "make durable Maildir", path);
}

void
maildir_sweep(struct maildir *m, bool (*keep)(const char *name, void *arg), void *arg)
{
	int fd = openat(m->tmp, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(dir)) != NULL) {
		if (!filename_is_leftover(m->tmp, entry->d_name, 0) || keep(entry->d_name, arg))
			continue;
		step("sweep");
		unlinkat(m->tmp, entry->d_name, 0);
	}
	closedir(dir);
}
