#ifndef POSTRIDER_BASE_ACTIVATION_H
#define POSTRIDER_BASE_ACTIVATION_H

/*
 * Sockets that the service manager listens on and hands over (sd_listen_fds(3)), by the name that
 * their unit gives them (FileDescriptorName=).
 */

/*
 * Takes them all, before any other descriptor is opened and any program started.  The one with
 * this name is returned, and the caller's to close; the others are closed, which is said.  -1:
 * there is none.
 */
int activation_take(const char *name);

#endif
