#include "store/delivery.h"

#include "base/step.h"
#include "base/xalloc.h"
#include "store/disk.h"
#include "store/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_TRIES = 10 };

void
delivery_init(
    struct delivery *d, const char *path, mode_t mode, const struct maildir_identity *expected)
{
	memset(d, 0, sizeof *d);
	d->path = xstrdup(path);
	d->mode = mode;
	d->fd = -1;
	if (expected != NULL)
		d->expected = *expected;
	else
		verdict_fail(&d->why, FAIL_LOCAL, "maildir",
		    "Maildir %s was not looked at before the session", path);
}

static void
close_kept(struct delivery *d)
{
	for (size_t i = 0; i < d->kept_count; i++)
		close(d->kept[i]);
	d->kept_count = 0;
}

void
delivery_close(struct delivery *d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
	close_kept(d);
	maildir_close(&d->maildir);
}

void
delivery_clear(struct delivery *d)
{
	delivery_close(d);
	EVP_MD_CTX_free(d->digest);
	free(d->path);
	memset(d, 0, sizeof *d);
	d->fd = -1;
}

static bool
fail(struct delivery *d, int error, const char *what, const char *directory, const char *name)
{
	char *path = xasprintf("%s/%s/%s", d->path, directory, name);

	if (d->why.kind == FAIL_NONE)
		fault_errno(&d->why, "write", error, what, path);
	free(path);
	return false;
}

/* Opened before the first write, so that its syncfs sees every error of the batch. */
static bool
open_maildir(struct delivery *d)
{
	if (d->maildir.open)
		return true;
	if (!maildir_open(&d->maildir, d->path, &d->why))
		return false;
	if (!maildir_is_same(&d->maildir.identity, &d->expected)) {
		maildir_close(&d->maildir);
		return verdict_fail(&d->why, FAIL_LOCAL, "maildir",
		    "Maildir %s was replaced while the session ran; tried again with the next poll",
		    d->path);
	}
	d->whole = disk_has_syncfs(d->maildir.tmp);
	return true;
}

static bool
start_digest(struct delivery *d)
{
	const EVP_MD *type = d->digest == NULL ? EVP_sha256() : NULL;

	if (d->digest == NULL)
		d->digest = EVP_MD_CTX_new();
	if (d->digest == NULL || EVP_DigestInit_ex(d->digest, type, NULL) != 1)
		return verdict_fail(&d->why, FAIL_LOCAL, "write", "OpenSSL cannot do SHA-256");
	return true;
}

/* fchmod only where the umask or a default ACL changed what was asked for. */
static bool
fix_mode(struct delivery *d, const char *name)
{
	struct stat st;

	if (!d->mode_known) {
		if (fstat(d->fd, &st) < 0)
			return fail(d, errno, "look at", "tmp", name);
		d->set_mode = (st.st_mode & 07777) != d->mode;
		d->mode_known = true;
	}
	if (!d->set_mode)
		return true;
	step("mode");
	return fchmod(d->fd, d->mode) == 0 || fail(d, errno, "set the mode of", "tmp", name);
}

/* With octets >= 0 the name is complete at once. */
static bool
create_file(struct delivery *d, struct delivery_file *f, int64_t octets)
{
	f->state = DELIVERY_NONE;
	f->octets = 0;
	if (d->why.kind != FAIL_NONE || !open_maildir(d) || !start_digest(d))
		return false;
	for (int tries = 0; tries < NAME_TRIES && d->fd < 0; tries++) {
		filename_make(f->name);
		if (octets >= 0)
			filename_add_size(f->name, (uint64_t)octets);
		step("create");
		d->fd = openat(d->maildir.tmp, f->name,
		    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, d->mode);
		if (d->fd < 0 && errno != EEXIST)
			break;
	}
	if (d->fd < 0)
		return fail(d, errno, "create", "tmp", f->name);
	f->state = DELIVERY_OPEN;
	return fix_mode(d, f->name);
}

static bool
write_file(struct delivery *d, struct delivery_file *f, const char *data, size_t len)
{
	uint64_t ours = f->preface > f->octets ? f->preface - f->octets : 0;
	size_t skip = ours < len ? (size_t)ours : len;

	if (EVP_DigestUpdate(d->digest, data + skip, len - skip) != 1)
		return verdict_fail(&d->why, FAIL_LOCAL, "write", "OpenSSL cannot do SHA-256");
	f->octets += len;
	while (len > 0) {
		ssize_t n;

		step("write");
		n = write(d->fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail(d, n < 0 ? errno : EIO, "write", "tmp", f->name);
		data += n;
		len -= (size_t)n;
	}
	return true;
}

/*
 * Where syncfs serves, the first few files stay open for a flush of their own, in case they remain
 * few.  Elsewhere each file is flushed now: it costs the same as later, and no error can get lost.
 */
static bool
close_file(struct delivery *d, const char *name)
{
	int fd = d->fd;

	d->fd = -1;
	d->files++;
	if (d->whole && d->files <= DELIVERY_KEPT_MAX) {
		d->kept[d->kept_count++] = fd;
		return true;
	}
	if (d->whole)
		close_kept(d);
	step("close");
	if (!d->whole && fsync(fd) < 0) {
		int error = errno;

		close(fd);
		return fail(d, error, "make durable", "tmp", name);
	}
	return close(fd) == 0 || fail(d, errno, "close", "tmp", name);
}

static bool
finish_file(struct delivery *d, struct delivery_file *f)
{
	if (EVP_DigestFinal_ex(d->digest, f->digest, NULL) != 1)
		return verdict_fail(&d->why, FAIL_LOCAL, "write", "OpenSSL cannot do SHA-256");
	if (!close_file(d, f->name))
		return false;
	f->state = DELIVERY_WHOLE;
	return true;
}

void
delivery_put(struct delivery *d, struct delivery_file *f, const void *data, size_t len)
{
	if (!create_file(d, f, (int64_t)len) || !write_file(d, f, data, len) || !finish_file(d, f))
		delivery_remove(d, f);
}

void
delivery_begin(struct delivery *d, struct delivery_file *f)
{
	if (!create_file(d, f, -1))
		delivery_remove(d, f);
}

void
delivery_write(struct delivery *d, struct delivery_file *f, const void *data, size_t len)
{
	if (f->state == DELIVERY_OPEN && !write_file(d, f, data, len))
		delivery_remove(d, f);
}

/* The intent knows one name, so the size joins it before anything is flushed. */
static bool
rename_with_size(struct delivery *d, struct delivery_file *f)
{
	char sized[FILENAME_SIZE];

	memcpy(sized, f->name, sizeof sized);
	filename_add_size(sized, f->octets);
	step("rename-tmp");
	if (renameat(d->maildir.tmp, f->name, d->maildir.tmp, sized) < 0)
		return fail(d, errno, "rename", "tmp", f->name);
	memcpy(f->name, sized, sizeof f->name);
	return true;
}

void
delivery_end(struct delivery *d, struct delivery_file *f)
{
	if (f->state == DELIVERY_OPEN && (!rename_with_size(d, f) || !finish_file(d, f)))
		delivery_remove(d, f);
}

void
delivery_remove(struct delivery *d, struct delivery_file *f)
{
	if (f->state == DELIVERY_OPEN && d->fd >= 0) {
		close(d->fd);
		d->fd = -1;
	}
	if (f->state == DELIVERY_OPEN || f->state == DELIVERY_WHOLE) {
		step("remove");
		unlinkat(d->maildir.tmp, f->name, 0);
	}
	f->state = DELIVERY_NONE;
}

static bool
flush_kept(struct delivery *d)
{
	for (size_t i = 0; i < d->kept_count; i++) {
		step("flush-file");
		if (fsync(d->kept[i]) < 0)
			return fail(d, errno, "make durable", "tmp", "");
	}
	close_kept(d);
	step("flush-tmp");
	return fsync(d->maildir.tmp) == 0 || fail(d, errno, "make durable", "tmp", "");
}

bool
delivery_flush(struct delivery *d)
{
	if (d->files == 0)
		return true;
	if (!d->whole || d->files <= DELIVERY_KEPT_MAX)
		return flush_kept(d);
	step("flush-files");
	return syncfs(d->maildir.tmp) == 0 || fail(d, errno, "make durable", "tmp", "");
}

/*
 * Where the kernel cannot rename without replacing (NFS), a look comes first: names are unique, so
 * only a copy of this very file could be there.
 */
int
delivery_move(int from, int to, const char *name)
{
	struct stat st;

	if (renameat2(from, name, to, name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
		return errno;
	if (fstatat(to, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return EEXIST;
	if (errno != ENOENT)
		return errno;
	return renameat(from, name, to, name) == 0 ? 0 : errno;
}

/* A rename that a file server did twice says ENOENT, and the file is in new/. */
bool
delivery_publish(struct delivery *d, struct delivery_file *f, bool *gone)
{
	struct stat st;
	int error;

	*gone = false;
	step("rename");
	error = delivery_move(d->maildir.tmp, d->maildir.new, f->name);
	if (error == ENOENT && fstatat(d->maildir.new, f->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		error = 0;
	if (error != 0) {
		*gone = error == ENOENT &&
			fstatat(d->maildir.tmp, f->name, &st, AT_SYMLINK_NOFOLLOW) < 0 &&
			errno == ENOENT;
		return fail(d, error, "rename to new/ from", "tmp", f->name);
	}
	f->state = DELIVERY_PUBLISHED;
	return true;
}

bool
delivery_flush_published(struct delivery *d)
{
	step("flush-new");
	if (d->whole && d->files > DELIVERY_KEPT_MAX)
		return syncfs(d->maildir.tmp) == 0 || fail(d, errno, "make durable", "new", "");
	return (fsync(d->maildir.new) == 0 && fsync(d->maildir.tmp) == 0) ||
	       fail(d, errno, "make durable", "new", "");
}
