#ifndef POSTRIDER_STORE_MAILDIR_H
#define POSTRIDER_STORE_MAILDIR_H

#include "base/verdict.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * A Maildir as a directory: made, recognised, opened, swept.  Everything here blocks and belongs
 * to the writer threads.  Stage "maildir", FAIL_LOCAL in every failure.
 */

/*
 * What tells that a directory is still the same one.  Inode numbers are used again by the next
 * directory, and device numbers change with a reboot, so the time of birth decides where the file
 * system has one; else the device, or the file system's own identifier, or, for file systems
 * without a device (NFS, FUSE), their type.
 */
struct maildir_identity {
	uint64_t dev;
	uint64_t ino;
	uint64_t born; /* ns since 1970; 0: not known */
	uint64_t fsid; /* 0: not known */
	uint64_t fstype;
};

bool maildir_is_same(const struct maildir_identity *a, const struct maildir_identity *b);

/* Open directories; one owner.  Zeroed memory is not open. */
struct maildir {
	bool open;
	int tmp;
	int new;
	int cur;
	struct maildir_identity identity;
};

/* Makes what is missing, durably: tmp new cur, 0700, or with what the files' mode adds to it. */
bool maildir_create(const char *path, mode_t mode, struct verdict *why);

/* With hint HINT_SYS_PERM when it, or one of tmp new cur, is not there. */
bool maildir_open(struct maildir *maildir, const char *path, struct verdict *why);

/* The identity alone; works on any directory, stays silent. */
bool maildir_identify(const char *path, struct maildir_identity *identity);
void maildir_close(struct maildir *maildir);

/*
 * Flushes the directories' entries onto stable storage, after the files in them.  The descriptors
 * were opened before the changes, so that every write-back error since is seen.
 */
bool maildir_flush(struct maildir *maildir, const char *path, struct verdict *why);

/*
 * Removes what dead processes of this host left in tmp/ more than 36 hours ago, as Maildir readers
 * do as well; keep() says which names still matter.
 */
void maildir_sweep(struct maildir *maildir, bool (*keep)(const char *name, void *arg), void *arg);

#endif
