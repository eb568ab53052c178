#include "store/fault.h"

#include "base/str.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static const struct {
	int error;
	const char *advice;
} advices[] = {
    {ENOSPC, "free space on its file system"},
    {EDQUOT, "free space or raise the disk quota"},
    {EACCES, "give the daemon's user access to it"},
    {EPERM, "give the daemon's user access to it"},
    {EROFS, "mount its file system writable"},
    {EIO, "check the disk and the kernel's log"},
    {EMFILE, "raise the daemon's limit of open files"},
    {ENFILE, "the machine has too many open files"},
    {ENOENT, "is its file system mounted?"},
    {ENOTDIR, "is its file system mounted?"},
    {EISDIR, "move that directory away"},
    {ENAMETOOLONG, "choose a shorter path"},
    {ELOOP, "look at its symbolic links"},
    {EXDEV, "tmp, new and cur must be on one file system"},
    {ESTALE, "mount its network file system again"},
    {EFBIG, "raise the daemon's limit of file sizes"},
};

static const char *
advice_for(int error)
{
	for (size_t i = 0; i < sizeof advices / sizeof *advices; i++)
		if (advices[i].error == error)
			return advices[i].advice;
	return "tried again with the next poll";
}

bool
fault_errno(struct verdict *why, const char *stage, int error, const char *what, const char *path)
{
	char reason[128], shown[256];

	str_escape(shown, sizeof shown, path != NULL ? path : "", path != NULL ? strlen(path) : 0);
	verdict_fail(why, FAIL_LOCAL, stage, "cannot %s%s%s: %s; %s", what, path != NULL ? " " : "",
	    shown, strerror_r(error, reason, sizeof reason), advice_for(error));
	why->code = error;
	return false;
}
