#include "queue/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

void
lease_ignore_signal(void)
{
	signal(SIGIO, SIG_IGN);
}

enum lease
lease_take(int fd)
{
	if (fcntl(fd, F_SETLEASE, F_RDLCK) == 0)
		return LEASE_HELD;
	return errno == EAGAIN || errno == EBUSY ? LEASE_WRITER : LEASE_NONE;
}

bool
lease_is_undisturbed(int fd)
{
	return fcntl(fd, F_GETLEASE) == F_RDLCK;
}

void
lease_drop(int fd)
{
	fcntl(fd, F_SETLEASE, F_UNLCK);
}
