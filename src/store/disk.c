#include "store/disk.h"

#include "base/step.h"
#include "base/xalloc.h"
#include "store/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif
#ifndef CIFS_SUPER_MAGIC
#define CIFS_SUPER_MAGIC 0xff534d42
#endif
#ifndef SMB2_SUPER_MAGIC
#define SMB2_SUPER_MAGIC 0xfe534d42
#endif
#ifndef CEPH_SUPER_MAGIC
#define CEPH_SUPER_MAGIC 0x00c36400
#endif
#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546
#endif

/* The directory's entry in its parent; the parent may be one that we may not read. */
static bool
flush_entry(const char *path)
{
	char *parent = xstrdup(path);
	char *slash = strrchr(parent, '/');
	int fd, failed;

	if (slash == NULL)
		strcpy(parent, ".");
	else
		slash[slash == parent ? 1 : 0] = '\0';
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(parent);
	if (fd >= 0) {
		failed = fsync(fd);
	} else {
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		failed = fd < 0 || syncfs(fd) < 0;
	}
	if (fd >= 0)
		close(fd);
	return failed == 0;
}

static bool
make_one(const char *path, mode_t mode, struct verdict *why)
{
	step("mkdir");
	if (mkdir(path, mode) < 0) {
		int error = errno;
		struct stat st;

		/* A read-only or foreign parent may refuse before it looks. */
		if (error == EEXIST || (stat(path, &st) == 0 && S_ISDIR(st.st_mode)))
			return true;
		return fault_errno(why, "mkdir", error, "create directory", path);
	}
	step("mkdir-mode");
	if (mode != 0700 && chmod(path, mode) < 0)
		return fault_errno(why, "mkdir", errno, "set the mode of", path);
	step("mkdir-flush");
	if (!flush_entry(path))
		return fault_errno(why, "mkdir", errno, "make durable directory", path);
	return true;
}

bool
disk_make_directory(const char *path, mode_t mode, struct verdict *why)
{
	char *prefix = xstrdup(path);
	size_t len = strlen(prefix);
	struct stat st;
	bool ok = true;

	while (len > 1 && prefix[len - 1] == '/')
		prefix[--len] = '\0';
	for (size_t i = 1; i < len && ok; i++) {
		if (prefix[i] != '/' || prefix[i - 1] == '/')
			continue;
		prefix[i] = '\0';
		ok = make_one(prefix, 0700, why);
		prefix[i] = '/';
	}
	ok = ok && make_one(prefix, mode, why);
	if (ok && stat(prefix, &st) == 0 && !S_ISDIR(st.st_mode))
		ok = fault_errno(why, "mkdir", ENOTDIR, "use as a directory", path);
	free(prefix);
	return ok;
}

static bool
kernel_reports_errors(void)
{
	struct utsname name;
	unsigned major, minor;

	return uname(&name) == 0 && sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
	       (major > 5 || (major == 5 && minor >= 8));
}

bool
disk_has_syncfs(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0 || !kernel_reports_errors())
		return false;
	switch ((unsigned)fs.f_type) {
	case EXT4_SUPER_MAGIC:
	case XFS_SUPER_MAGIC:
	case BTRFS_SUPER_MAGIC:
	case F2FS_SUPER_MAGIC:
	case TMPFS_MAGIC:
		return true;
	}
	return false;
}

bool
disk_is_network(const char *path)
{
	struct statfs fs;

	if (statfs(path, &fs) < 0)
		return false;
	switch ((unsigned)fs.f_type) {
	case NFS_SUPER_MAGIC:
	case SMB_SUPER_MAGIC:
	case CIFS_SUPER_MAGIC:
	case SMB2_SUPER_MAGIC:
	case V9FS_MAGIC:
	case AFS_SUPER_MAGIC:
	case AFS_FS_MAGIC:
	case CODA_SUPER_MAGIC:
	case CEPH_SUPER_MAGIC:
	case FUSE_SUPER_MAGIC:
		return true;
	}
	return false;
}
