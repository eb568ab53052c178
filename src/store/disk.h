#ifndef POSTRIDER_STORE_DISK_H
#define POSTRIDER_STORE_DISK_H

#include "base/verdict.h"

#include <stdbool.h>
#include <sys/types.h>

/* What the kinds of file systems have in common and where they differ.  All of it blocks. */

/*
 * Creates a directory with this mode, whatever the umask, and its missing parents (0700), each
 * entry durable.  One that is there already stays as it is.  FAIL_LOCAL on failure.
 */
bool disk_make_directory(const char *path, mode_t mode, struct verdict *why);

/*
 * True when syncfs(2) on this descriptor flushes everything written before and reports every
 * write-back error since the descriptor was opened: Linux 5.8 and a local file system known to.
 */
bool disk_has_syncfs(int fd);

/* True for file systems where another machine may be behind: no shared memory, no WAL there. */
bool disk_is_network(const char *path);

#endif
