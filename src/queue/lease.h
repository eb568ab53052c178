#ifndef POSTRIDER_QUEUE_LEASE_H
#define POSTRIDER_QUEUE_LEASE_H

#include <stdbool.h>

/*
 * Read leases (fcntl(2), F_SETLEASE): as long as one is held, nobody has the file open for writing,
 * and who wants to waits until it is dropped, at most /proc/sys/fs/lease-break-time seconds.
 */
enum lease {
	LEASE_HELD,   /* nobody writes */
	LEASE_WRITER, /* somebody has the file open for writing */
	LEASE_NONE    /* not to be had here: network file system, somebody else's file */
};

/* A process that holds leases is told by SIGIO of who waits; ignored from here on. */
void lease_ignore_signal(void);

/* fd must be open for reading only.  Closing it drops the lease as well. */
enum lease lease_take(int fd);

/* False once somebody waits to write. */
bool lease_is_undisturbed(int fd);
void lease_drop(int fd);

#endif
